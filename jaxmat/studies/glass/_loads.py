"""Load paths of a glass in its plane: there and back, straight on, and wandering."""

import numpy as np
from jaxtyping import Float

from jaxmat.studies.composite import gaussian_process_paths

Strains = Float[np.ndarray, "paths steps 3"]

STEP = 2e-3
"""Norm of the strain in one step of a straight path."""

STEPS = 72

_SHEARS = np.array([[2**-0.5, -(2**-0.5), 0.0], [0.0, 0.0, 1.0]])
"""Two shears of unit norm: along the axes, and between them."""

SQUARE = np.array(
    [
        np.eye(3),
        np.diag([1.0, 1.0, -1.0]),
        [[0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]],
        [[0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, -1.0]],
    ]
)
"""What the symmetries of a square do to a Mandel strain: a solid with square cell and
no direction of its own has them, but for chance."""


def cyclic_paths() -> Strains:
    """Two shears: up, as far to the other side, and back to no strain at all."""
    quarter = STEPS // 4
    turns = np.concatenate([np.ones(quarter), -np.ones(2 * quarter), np.ones(quarter)])
    return STEP * np.cumsum(turns)[:, None] * _SHEARS[:, None]


def monotonic_paths() -> Strains:
    """Two shears, each to both sides, straight on for half as many steps as a cycle.

    They go on at the same strain for the other half, so that all paths are as long.
    """
    length = STEP * np.minimum(np.arange(1, STEPS + 1), STEPS // 2)
    both = np.concatenate([_SHEARS, -_SHEARS])
    return length[:, None] * both[:, None]


def random_paths(seed: int, count: int) -> Strains:
    """Smooth random paths from zero: mostly shear, a little change of area.

    Three Gaussian processes of the step, as in `composite.gaussian_process_paths`: the
    change of area and two shears.

    Args:
        seed: of the paths.
        count: paths.

    Returns:
        Mandel strain in the plane at the end of every step.

    Raises:
        JaxmatError: for no path.
    """
    plain = gaussian_process_paths(seed, count, STEPS, size=1.0) * [1, 1, 2**0.5]
    modes = np.array([[2**-0.5, 2**-0.5, 0.0], *_SHEARS])
    sizes = np.array([0.003, 0.02, 0.02])
    return (plain * sizes) @ modes
