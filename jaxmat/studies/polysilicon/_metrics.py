"""Decides how a prediction is judged.

A constant has a small mean error here, and noise can fake a scatter: the error of the
standard deviation counts only beside R2. Both are of one scalar per film, or of a whole
stiffness, with the Frobenius norm in place of the absolute value; in the Mandel basis
that norm does not depend on the axes.

The interval resamples films, prediction and truth together, so that the sampling error
that both share does not widen it.

References:
    Efron & Tibshirani (1993), An Introduction to the Bootstrap, section 13.3.
"""

from collections.abc import Callable

import numpy as np
from jaxtyping import Array, Float

from jaxmat._check import JaxmatError

Values = Float[Array | np.ndarray, "films *shape"]
Metric = Callable[[Values, Values], float]

RESAMPLES = 2000


def r2(predicted: Values, true: Values) -> float:
    """Share of the variance that is predicted; 1 is perfect, 0 a constant."""
    predicted, true = _rows(predicted, true)
    return float(1 - _square(predicted - true) / _square(true - true.mean(0)))


def mean_error(predicted: Values, true: Values) -> float:
    """Mean absolute error, in the unit of the values."""
    predicted, true = _rows(predicted, true)
    return float(np.mean(np.linalg.norm(predicted - true, axis=1)))


def scatter_error(predicted: Values, true: Values) -> float:
    """Relative error of the standard deviation over the set."""
    predicted, true = _rows(predicted, true)
    found, wanted = (_square(x - x.mean(0)) ** 0.5 for x in (predicted, true))
    return float(abs(found - wanted) / wanted)


METRICS: dict[str, Metric] = {
    "r2": r2,
    "mean_error": mean_error,
    "scatter_error": scatter_error,
}


def bootstrap(
    metric: Metric,
    predicted: Values,
    true: Values,
    *,
    seed: int = 0,
    level: float = 0.95,
) -> tuple[float, float]:
    """Percentile interval of a metric under paired resampling of the films.

    Args:
        metric: of a prediction and the truth.
        predicted: one value per film.
        true: likewise.
        seed: of the resampling.
        level: probability that the interval is to cover.

    Returns:
        Its ends.

    Raises:
        JaxmatError: if the two have different shapes, or hold fewer than two films.
    """
    predicted, true = _rows(predicted, true)
    draw = np.random.default_rng(seed)
    found = []
    for _ in range(RESAMPLES):
        films = draw.integers(len(true), size=len(true))
        found.append(metric(predicted[films], true[films]))
    tail = 100 * (1 - level) / 2
    low, high = np.percentile(found, [tail, 100 - tail])
    return float(low), float(high)


def score(predicted: Values, true: Values, *, seed: int = 0) -> dict[str, object]:
    """Every metric and its 95 % interval, ready for JSON.

    Args:
        predicted: one value per film.
        true: likewise.
        seed: of the resampling.

    Returns:
        The metrics by name, and each again as `NAME_interval`.

    Raises:
        JaxmatError: if the two have different shapes, or hold fewer than two films.
    """
    found: dict[str, object] = {}
    for name, metric in METRICS.items():
        found[name] = metric(predicted, true)
        found[f"{name}_interval"] = bootstrap(metric, predicted, true, seed=seed)
    return found


def _rows(predicted: Values, true: Values) -> tuple[np.ndarray, np.ndarray]:
    """Both as one row per film."""
    if predicted.shape != true.shape:
        raise JaxmatError(
            f"{predicted.shape} values are predicted, but {true.shape} are true; give "
            "one for each film."
        )
    if len(true) < 2:
        raise JaxmatError(f"{len(true)} films have no scatter; give 2 or more.")
    rows = (len(true), -1)
    return np.asarray(predicted, float).reshape(rows), np.asarray(true).reshape(rows)


def _square(x: np.ndarray) -> float:
    return float(np.sum(x * x))
