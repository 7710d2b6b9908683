"""Paths of strain in a plane: straight, there and back, and wandering."""

import numpy as np
from jaxtyping import Float

from jaxmat._check import JaxmatError, check_positive

Strains = Float[np.ndarray, "paths steps 3"]

STEP = 5e-4
"""Strain of one component in a step of a canonical path."""


def canonical_paths(num_steps: int = 60) -> Strains:
    """Eighteen straight, monotonic paths: one component, or two, up or down.

    Args:
        num_steps: of `STEP` engineering strain each.

    Returns:
        Mandel strain at the end of every step.

    Raises:
        JaxmatError: for fewer than three steps.
    """
    _check(18, num_steps)
    directions = []
    for i in range(3):
        directions += [np.eye(3)[i], -np.eye(3)[i]]
    for i, j in ((0, 1), (0, 2), (1, 2)):
        for a in (1, -1):
            directions += [a * np.eye(3)[i] + b * np.eye(3)[j] for b in (1, -1)]
    steps = STEP * np.arange(1, num_steps + 1)
    return np.stack(directions)[:, None] * steps[:, None] * _MANDEL


def proportional_paths(seed: int, count: int, num_steps: int = 60) -> Strains:
    """Paths in a random direction that unload in the middle third.

    Args:
        seed: of the directions.
        count: paths.
        num_steps: of `STEP` in the norm of the engineering strain.

    Returns:
        Mandel strain at the end of every step.

    Raises:
        JaxmatError: for fewer than three steps or no path.
    """
    _check(count, num_steps)
    rng = np.random.default_rng(seed)
    directions = rng.normal(size=(count, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    third = num_steps // 3
    signs = np.ones(num_steps)
    signs[third : 2 * third] = -1
    length = STEP * np.cumsum(signs)
    return directions[:, None] * length[:, None] * _MANDEL


def gaussian_process_paths(
    seed: int, count: int, num_steps: int = 60, *, size: float = 0.015
) -> Strains:
    """Smooth random paths from zero, each component a Gaussian process of the step.

    The covariance is squared exponential over half the path, conditioned on zero strain
    at the beginning; so a path turns about twice.

    Args:
        seed: of the paths.
        count: paths.
        num_steps: of a path.
        size: standard deviation of a component before the condition.

    Returns:
        Mandel strain at the end of every step.

    Raises:
        JaxmatError: for fewer than three steps or no path, or a size that is not
            positive.

    References:
        Rasmussen & Williams (2006), Gaussian Processes for Machine Learning, chapter 2.
    """
    _check(count, num_steps)
    check_positive("size", size)
    rng = np.random.default_rng(seed)
    t = np.arange(num_steps + 1) / num_steps
    covariance = np.exp(-((t[:, None] - t) ** 2) / (2 * 0.25**2))
    known = covariance[1:, :1]
    covariance = covariance[1:, 1:] - known @ known.T
    values, vectors = np.linalg.eigh(covariance)
    root = vectors * np.sqrt(np.maximum(values, 0))
    return size * (root @ rng.normal(size=(count, num_steps, 3))) * _MANDEL


_MANDEL = np.array([1, 1, 2**-0.5])  # of engineering shear


def _check(count: int, num_steps: int) -> None:
    if count < 1 or num_steps < 3:
        raise JaxmatError(
            f"{count} paths of {num_steps} steps were asked for; give at least one "
            "path of at least three steps."
        )
