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

Values = Float[Array | np.ndarray, "..."]  # one, or a matrix, for each film
Counts = Float[np.ndarray, "resamples films"]
Scores = np.ndarray | np.floating  # a number, or one per resample
Metric = Callable[..., Scores]

RESAMPLES = 2000


def r2(predicted: Values, true: Values, counts: Counts | None = None) -> Scores:
    """Share of the variance that is predicted; 1 is perfect, 0 a constant.

    Args:
        predicted: one value per film.
        true: likewise.
        counts: how often each film counts, one row per resample; None is once.

    Returns:
        A number, or one per resample.

    Raises:
        JaxmatError: if the two have different shapes, or hold fewer than two films.
    """
    predicted, true, counts = _rows(predicted, true, counts)
    square = np.sum((predicted - true) ** 2, axis=1)
    return 1 - counts @ square / len(true) / _variance(true, counts)


def mean_error(predicted: Values, true: Values, counts: Counts | None = None) -> Scores:
    """Mean absolute error, in the unit of the values; arguments as those of `r2`."""
    predicted, true, counts = _rows(predicted, true, counts)
    return counts @ np.linalg.norm(predicted - true, axis=1) / len(true)


def scatter_error(
    predicted: Values, true: Values, counts: Counts | None = None
) -> Scores:
    """Relative error of the standard deviation over the set; arguments as of `r2`."""
    predicted, true, counts = _rows(predicted, true, counts)
    found, wanted = (np.sqrt(_variance(x, counts)) for x in (predicted, true))
    return np.abs(found - wanted) / wanted


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

    Resamples without scatter, of one film only, are left out.

    Args:
        metric: one of those here.
        predicted: one value per film.
        true: likewise.
        seed: of the resampling.
        level: probability that the interval is to cover.

    Returns:
        Its ends.

    Raises:
        JaxmatError: if the two have different shapes, or hold fewer than two films.
    """
    num = len(true)
    draws = np.random.default_rng(seed).integers(num, size=(RESAMPLES, num))
    cells = draws + num * np.arange(RESAMPLES)[:, None]
    counts = np.bincount(cells.ravel(), minlength=RESAMPLES * num)
    counts = counts.reshape(RESAMPLES, num).astype(float)
    found = metric(predicted, true, counts[np.sum(counts > 0, axis=1) > 1])
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
        found[name] = float(metric(predicted, true))
        found[f"{name}_interval"] = bootstrap(metric, predicted, true, seed=seed)
    return found


def _rows(
    predicted: Values, true: Values, counts: Counts | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Prediction and truth as one row per film, and how often each film counts."""
    if predicted.shape != true.shape:
        raise JaxmatError(
            f"{predicted.shape} values are predicted, but {true.shape} are true; give "
            "one for each film."
        )
    num = len(true)
    if num < 2:
        raise JaxmatError(f"{num} films have no scatter; give 2 or more.")
    counts = np.ones(num) if counts is None else counts
    predicted, true = (np.asarray(x, float) for x in (predicted, true))
    return predicted.reshape(num, -1), true.reshape(num, -1), counts


def _variance(x: np.ndarray, counts: np.ndarray) -> Scores:
    """Mean squared distance from the mean."""
    num, x = len(x), x - x.mean(0)  # before it is squared: the mean is the larger part
    mean = counts @ x / num
    return counts @ np.sum(x * x, axis=1) / num - np.sum(mean * mean, axis=-1)
