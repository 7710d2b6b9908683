"""A search that is killed makes the trials that it would have made."""

import os
import signal
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxmat import JaxmatError, training

KEY = jax.random.key(0)
SPACE = {
    "rate": (1e-4, 1.0, "log"),
    "width": (1, 8),
    "dropout": (0.0, 0.5),
    "name": ["adam", "sgd", None],
}


def bowl(options, key):
    """Smallest at a rate of 0.01 and a width of 3 with adam."""
    penalty = 0.0 if options["name"] == "adam" else 1.0
    return np.log10(options["rate"] / 0.01) ** 2 + (options["width"] - 3) ** 2 + penalty


def search(storage, objective=bowl, space=SPACE, num_trials=12, key=KEY):
    pytest.importorskip("optuna")
    return training.search(
        objective,
        space,
        num_trials=num_trials,
        storage=storage,
        key=key,
        progress=False,
    )


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return search(tmp_path_factory.mktemp("search") / "whole.db")


def same(a, b):
    assert a.value == b.value
    assert a.info.options == b.info.options
    np.testing.assert_array_equal(a.info.values, b.info.values)
    return True


def test_the_best_trial_is_returned_and_options_lie_in_the_space(whole):
    values = [bowl(options, None) for options in whole.info.options]
    np.testing.assert_array_equal(whole.info.values, values)
    assert whole.info.best_value == min(values) == bowl(whole.value, None)
    for options in whole.info.options:
        assert list(options) == list(SPACE)
        assert 1e-4 <= options["rate"] <= 1.0
        assert 0.0 <= options["dropout"] <= 0.5
        assert options["width"] in range(1, 9)
        assert options["name"] in SPACE["name"]
    # Trials after the first ten are led by the results.
    assert np.min(values[10:]) < np.median(values[:10])


def test_a_search_depends_on_its_key_alone(tmp_path, whole):
    other = search(tmp_path / "other.db", num_trials=2, key=jax.random.key(1))
    assert other.info.options != whole.info.options[:2]


def test_a_finished_search_returns_at_once_and_more_trials_go_on(tmp_path, whole):
    def never(options, key):
        raise AssertionError("a trial was made")

    first = search(tmp_path / "search.db", num_trials=5)
    assert same(search(tmp_path / "search.db", never, num_trials=5), first)
    assert same(search(tmp_path / "search.db"), whole)


DYING = """
import os, signal, sys
import jax
jax.config.update("jax_enable_x64", True)
sys.path.insert(0, sys.argv[1])
import test_search

def objective(options, key):
    dying.append(options)
    if len(dying) == 12:
        os.kill(os.getpid(), signal.SIGKILL)
    return test_search.bowl(options, key)

dying = []
test_search.search(sys.argv[2], objective)
"""


def test_a_killed_search_makes_the_trials_it_would_have_made(tmp_path, whole):
    pytest.importorskip("optuna")
    folder, storage = os.path.dirname(__file__), tmp_path / "search.db"
    killed = subprocess.run(
        [sys.executable, "-c", DYING, folder, storage],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    made = []

    def counted(options, key):
        made.append(options)
        return bowl(options, key)

    assert same(search(storage, counted), whole)
    assert len(made) == 1


def test_every_trial_has_a_key_of_its_own(tmp_path):
    keys = []
    search(tmp_path / "s.db", lambda o, key: keys.append(key) or 1.0, num_trials=3)
    assert len({tuple(jax.random.key_data(key).tolist()) for key in keys}) == 3


def test_a_training_that_diverges_is_a_bad_trial_and_not_the_end(tmp_path):
    def objective(options, key):
        solution = training.fit(
            lambda w, batch, key: jnp.sum((w - 3.0) ** 4),
            jnp.zeros(2),
            [0.0] * 30,
            optimiser=optax.sgd(options["rate"]),
            key=key,
            progress=False,
        )
        return solution.info.history["loss"][-1]

    space = {"rate": [1e9, 0.003]}
    solution = search(tmp_path / "s.db", objective, space, 4, jax.random.key(1))
    assert solution.value == {"rate": 0.003}
    assert np.isinf(solution.info.values).any()


def test_if_every_trial_fails_the_last_says_why(tmp_path):
    def objective(options, key):
        raise JaxmatError("the net has no weights.")

    with pytest.raises(JaxmatError, match=r"each of 2 trials failed.*no weights"):
        search(tmp_path / "s.db", objective, num_trials=2)
    with pytest.raises(JaxmatError, match=r"each of 2 trials failed.*returned nan"):
        search(tmp_path / "nan.db", lambda o, k: float("nan"), num_trials=2)


def test_an_objective_that_breaks_does_not_count(tmp_path, whole):
    def breaks(options, key):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        search(tmp_path / "s.db", breaks)
    assert same(search(tmp_path / "s.db"), whole)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"num_trials": 0}, "`num_trials` is 0"),
        ({"key": 0}, "`key` is 0; give one key"),
        ({"space": {}}, "`space` is empty"),
        ({"objective": lambda o, k: np.ones(2)}, r"objective returned shape \(2,\)"),
    ],
)
def test_what_cannot_be_searched_is_refused(tmp_path, options, sentence):
    with pytest.raises(JaxmatError, match=sentence):
        search(tmp_path / "s.db", **options)


@pytest.mark.parametrize(
    "values",
    [
        [],
        (1,),
        (2, 1),
        (0.0, 1.0, "log"),
        (1, 10, "lin"),
        ("a", "b"),
        [(1, 2)],
        "adam",
        (True, 5),
        (0.0, float("inf")),
    ],
)
def test_what_is_neither_choices_nor_a_range_is_refused(tmp_path, values):
    with pytest.raises(JaxmatError, match=r"`space\['x'\]` is "):
        search(tmp_path / "s.db", space={"x": values})
    assert not (tmp_path / "s.db").exists()


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"space": SPACE | {"width": (1, 9)}}, "a search whose space is"),
        ({"key": jax.random.key(1)}, "a search whose key is"),
    ],
)
def test_the_file_of_another_search_is_refused(tmp_path, options, sentence):
    search(tmp_path / "s.db", num_trials=1)
    with pytest.raises(JaxmatError, match=sentence):
        search(tmp_path / "s.db", **options)


def test_a_file_that_is_no_database_is_refused(tmp_path):
    (tmp_path / "s.db").write_text("a text of some length" * 100)
    with pytest.raises(JaxmatError, match=r"cannot use `.*s.db` for a search"):
        search(tmp_path / "s.db")
    with pytest.raises(JaxmatError, match=r"cannot use `.*s.db` for a search"):
        search(tmp_path / "nowhere" / "s.db")


def test_without_optuna_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(JaxmatError, match=r"install jaxmat-multiscale\[hpo\]"):
        training.search(bowl, SPACE, num_trials=1, storage=tmp_path / "s.db", key=KEY)
