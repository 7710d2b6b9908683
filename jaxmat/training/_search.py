"""Decides which hyperparameters are tried next: a function of the results so far.

The sampler is seeded again for every trial, from the key and the number of results, so
that a search that was killed goes on with the trial that it would have made.
"""

import contextlib
import math
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from jaxmat._check import JaxmatError
from jaxmat.solve import Solution
from jaxmat.training._layout import check_key
from jaxmat.training._record import counting

NAME = "search"
"""Name of the one study in a storage file."""

_CHOICES = (bool, int, float, str, type(None))


class Trials(eqx.Module):
    """How a search went.

    Attributes:
        options: what was tried, in order.
        values: what the objective returned; infinite where it raised `JaxmatError`.
        best_value: the lowest of them.
    """

    options: list[dict[str, Any]]
    values: Float[np.ndarray, " trials"]
    best_value: float


def search(
    objective: Callable[[dict[str, Any], Any], Any],
    space: Mapping[str, Any],
    *,
    num_trials: int,
    storage: str | os.PathLike,
    key: Any,
    progress: bool = True,
) -> Solution:
    """Look for the hyperparameters that make an objective small.

    Trials are proposed by the tree-structured Parzen estimator of Optuna. Calling
    `search` again after a crash goes on where it was and makes the same trials; only
    the one that was under way is done again. After the end it returns at once.

    Args:
        objective: `objective(options, key)`, a scalar, lower is better, such as
            `fit(...).info.best_value`. Options have the names of `space`; every trial
            has a key of its own. A `JaxmatError` that it raises, such as that of a loss
            that diverged, counts as an infinite value.
        space: for each name a list of choices, `["adam", "sgd"]`, or a tuple with the
            ends of a range, `(1, 8)` for integers, `(0.0, 0.5)` for other numbers,
            `(1e-5, 1e-2, "log")` on a logarithmic scale.
        num_trials: trials in all, those of earlier calls included.
        storage: SQLite file, made if it does not exist. It belongs to one search.
        key: random key.
        progress: a bar on standard error.

    Returns:
        `Solution` with the best options and the `Trials`.

    Raises:
        JaxmatError: if Optuna is missing; if an argument cannot be used; if the file is
            of another search, or cannot be used; or if every trial failed.

    References:
        Bergstra, Bardenet, Bengio & Kegl (2011), NeurIPS 24, 2546-2554. Akiba et al.
        (2019), Proc. KDD, 2623-2631.
    """
    try:
        import optuna
    except ImportError as error:
        raise JaxmatError(
            "training.search needs Optuna; install jaxmat-multiscale[hpo]."
        ) from error
    if num_trials < 1:
        raise JaxmatError(f"`num_trials` is {num_trials}; choose at least 1.")
    if not space:
        raise JaxmatError("`space` is empty; give at least one option to vary.")
    check_key(key)
    distributions = {name: _distribution(optuna, name, x) for name, x in space.items()}
    identity = {
        "space": {name: list(x) for name, x in space.items()},
        "key": np.asarray(jax.random.key_data(key)).tolist(),
    }
    with _opened(optuna, storage, identity) as study:
        begun = len(_finished(study))
        with counting("search", num_trials, begun, shown=progress) as bar:
            while (done := len(_finished(study))) < num_trials:
                for_sampler, for_trial = jax.random.split(jax.random.fold_in(key, done))
                seed = int(jax.random.bits(for_sampler, dtype=jnp.uint32))
                study.sampler = optuna.samplers.TPESampler(seed=seed)
                trial = study.ask(distributions)
                value, error = _evaluate(objective, dict(trial.params), for_trial)
                trial.set_user_attr("error", error)
                study.tell(trial, value)
                bar.update()
        return _solution(study)


def _evaluate(objective: Any, options: dict[str, Any], key: Any) -> tuple[float, str]:
    """The value of a trial, and why it is infinite."""
    try:
        value = objective(options, key)
    except JaxmatError as error:
        return math.inf, str(error)
    if np.shape(value) != ():
        raise JaxmatError(
            f"the objective returned shape {np.shape(value)}; return a scalar."
        )
    value = float(value)
    return (value, "") if math.isfinite(value) else (math.inf, f"it returned {value}.")


def _finished(study: Any) -> list[Any]:
    """Trials with a value; those that a crash ended have none."""
    return [trial for trial in study.trials if trial.value is not None]


def _solution(study: Any) -> Solution:
    """The best trial of all.

    Raises:
        JaxmatError: if all failed.
    """
    trials = _finished(study)
    values = np.asarray([trial.value for trial in trials])
    best = int(np.argmin(values))
    if not math.isfinite(values[best]):
        raise JaxmatError(
            f"each of {len(trials)} trials failed; the last said: "
            f"{trials[-1].user_attrs['error']}"
        )
    options = [dict(trial.params) for trial in trials]
    return Solution(options[best], Trials(options, values, float(values[best])))


@contextlib.contextmanager
def _opened(
    optuna: Any, storage: str | os.PathLike, identity: dict[str, Any]
) -> Iterator[Any]:
    """The study in a file; a trial that a crash left unfinished is given up.

    Raises:
        JaxmatError: if the file cannot be used, or is of another search.
    """
    path = Path(storage).absolute()
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    database = None
    try:
        try:
            database = optuna.storages.RDBStorage(f"sqlite:///{path}")
            study = optuna.create_study(
                storage=database, study_name=NAME, load_if_exists=True
            )
        except Exception as error:
            raise JaxmatError(
                f"cannot use `{storage}` for a search: "
                f"{str(error).partition(chr(10))[0]}; choose another file in an "
                "existing folder."
            ) from error
        _check_identity(study, storage, identity)
        for trial in study.trials:
            if not trial.state.is_finished():
                study.tell(trial.number, state=optuna.trial.TrialState.FAIL)
        yield study
    finally:
        optuna.logging.set_verbosity(verbosity)
        if database is not None:
            database.remove_session()
            database.engine.dispose()


def _check_identity(
    study: Any, storage: str | os.PathLike, identity: dict[str, Any]
) -> None:
    """Name a new study; refuse one of another search."""
    if not study.user_attrs:
        for name, value in identity.items():
            study.set_user_attr(name, value)
    for name, value in identity.items():
        if study.user_attrs.get(name) != value:
            raise JaxmatError(
                f"`{storage}` is of a search whose {name} is "
                f"{study.user_attrs.get(name)}, here it is {value}; give the same, or "
                "another file to `storage`."
            )


def _distribution(optuna: Any, name: str, values: Any) -> Any:
    """What Optuna draws an option from.

    Raises:
        JaxmatError: if `values` is neither choices nor a range.
    """
    kinds = optuna.distributions
    if isinstance(values, list):
        if values and all(isinstance(x, _CHOICES) for x in values):
            return kinds.CategoricalDistribution(values)
    elif isinstance(values, tuple) and len(values) in (2, 3):
        low, high, *scale = values
        log = scale == ["log"]
        number = all(type(x) in (int, float) and math.isfinite(x) for x in (low, high))
        if number and (low > 0 or not log) and low < high and (log or not scale):
            whole = type(low) is type(high) is int
            kind = kinds.IntDistribution if whole else kinds.FloatDistribution
            return kind(low, high, log=log)
    raise JaxmatError(
        f"`space[{name!r}]` is {values!r}; give a list of choices (numbers, strings, "
        'None), or a range (low, high) or (low, high, "log") with low < high, and '
        "low > 0 where it is logarithmic."
    )
