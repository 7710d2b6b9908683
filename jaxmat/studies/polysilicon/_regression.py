"""Decides how a number is predicted by least squares: one line, or many features."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

PENALTIES = np.logspace(-8, 4, 25)
"""What the penalty of a ridge regression is chosen from."""


class Line(NamedTuple):
    """A straight line for each column of a prediction."""

    slope: np.ndarray
    intercept: np.ndarray

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """The calibrated prediction, in its unit."""
        return self.slope * x + self.intercept


class Ridge(NamedTuple):
    """A linear map of features whose size is penalised."""

    weights: Float[np.ndarray, "features targets"]
    centre: Float[np.ndarray, " features"]
    intercept: Float[np.ndarray, " targets"]

    def __call__(self, features: np.ndarray) -> np.ndarray:
        """The prediction, in the unit of the targets."""
        return (features - self.centre) @ self.weights + self.intercept


def fit_line(predicted: np.ndarray, true: np.ndarray) -> Line:
    """Least-squares line from a prediction to the truth, for each column on its own.

    A column that does not vary gets its mean.
    """
    centre, mean = predicted.mean(0), true.mean(0)
    apart = predicted - centre
    square = np.sum(apart**2, axis=0)
    varies = square > 1e-20 * np.sum(predicted**2, axis=0)
    slope = np.where(
        varies, np.sum(apart * (true - mean), axis=0) / np.where(varies, square, 1.0), 0
    )
    return Line(slope, mean - slope * centre)


def fit_ridge(features: np.ndarray, targets: np.ndarray) -> Ridge:
    """Ridge regression on features of unit variance, its penalty by leaving one out.

    The errors of all fits that leave one film out follow from one decomposition.

    Args:
        features: one row per film.
        targets: likewise.

    Returns:
        The map with the smallest squared error on films left out.

    References:
        Hastie, Tibshirani & Friedman (2009), The Elements of Statistical Learning,
        sections 3.4.1 and 7.10.
    """
    centre, scale = features.mean(0), features.std(0)
    scale = np.where(scale > 1e-9, scale, np.inf)  # what does not vary has no say
    intercept = targets.mean(0)
    left, singular, right = np.linalg.svd(
        (features - centre) / scale, full_matrices=False
    )
    projected = left.T @ (targets - intercept)

    def left_out(penalty: float) -> float:
        shrink = singular**2 / (singular**2 + penalty)
        leverage = 1 / len(targets) + left**2 @ shrink
        residual = targets - intercept - left @ (shrink[:, None] * projected)
        return float(np.sum((residual / (1 - leverage)[:, None]) ** 2))

    penalty = min(PENALTIES, key=left_out)
    gain = singular / (singular**2 + penalty)
    weights = right.T @ (gain[:, None] * projected) / scale[:, None]
    return Ridge(weights, centre, intercept)
