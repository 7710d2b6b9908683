"""Where the generators of a tessellation lie, and how large its cells shall be.

Positions are drawn in single precision whatever the caller enabled, so that one key
gives one tessellation in float32 and in float64.
"""

import math

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key
from scipy.spatial import KDTree

from jaxmat._check import JaxmatError

_MAX_SWEEPS = 200
# Random sequential addition jams at these packed fractions, by dimension
# (Torquato, Uche & Stillinger 2006, Phys. Rev. E 74, 061308).
_SATURATION = {2: 0.547, 3: 0.384}


def num_grains_for(lengths: tuple[float, ...], mean_size: float) -> int:
    """Number of grains that gives a box a mean grain size.

    Args:
        lengths: side lengths of the box, micrometres.
        mean_size: square root of the mean grain area in two dimensions, cube root of
            the mean volume in three, micrometres.

    Returns:
        The nearest whole number of grains, at least 1.

    Raises:
        JaxmatError: if `mean_size` is not positive.
    """
    if not (math.isfinite(mean_size) and mean_size > 0):
        raise JaxmatError(
            f"`mean_size` is {mean_size}; give a positive length, micrometres."
        )
    return max(1, round(math.prod(lengths) / mean_size ** len(lengths)))


def random_seeds(
    key: Key[Array, ""],
    lengths: tuple[float, ...],
    num_seeds: int,
    *,
    min_distance: float = 0.0,
    periodic: bool = True,
) -> Float[Array, "seeds dim"]:
    """Points uniform in a box, none nearer to another than `min_distance`.

    Random sequential addition: points are tried one after the other and one that comes
    too near to an earlier one is dropped.

    Args:
        key: random key.
        lengths: side lengths of the box, micrometres.
        num_seeds: number of points.
        min_distance: smallest distance allowed, micrometres.
        periodic: whether distances are measured across opposite faces too.

    Returns:
        Coordinates, micrometres, in `[0, length)`.

    Raises:
        JaxmatError: if `num_seeds` is not positive, or that many points do not fit.

    References:
        Torquato, Uche & Stillinger (2006), Phys. Rev. E 74, 061308.
    """
    if num_seeds < 1:
        raise JaxmatError(f"The number of grains is {num_seeds}; give 1 or more.")
    if not min_distance >= 0:
        raise JaxmatError(f"`min_distance` is {min_distance}; give 0 or more.")
    box = np.asarray(lengths, float)
    accepted = np.empty((0, len(box)))
    if periodic and (num_seeds > 1 and min_distance > 0):
        _check_fits(lengths, num_seeds, min_distance)
    for sweep in range(_MAX_SWEEPS):
        draw = jax.random.uniform(
            jax.random.fold_in(key, sweep), (num_seeds, len(box)), jnp.float32
        )
        candidates = np.asarray(draw, float) * box
        accepted = _add(accepted, candidates, min_distance, box if periodic else None)
        if len(accepted) >= num_seeds:
            return jnp.asarray(accepted[:num_seeds])
    raise JaxmatError(
        f"only {len(accepted)} of {num_seeds} generators found room at least "
        f"{min_distance} apart in a box of {tuple(lengths)} after "
        f"{_MAX_SWEEPS * num_seeds} tries; lower `min_distance` or the number of "
        "grains."
    )


def lognormal_volumes(
    key: Key[Array, ""], num_grains: int, spread: float, *, ndim: int = 3
) -> Float[Array, " grains"]:
    """Relative grain volumes whose equivalent diameters are log-normal.

    Args:
        key: random key.
        num_grains: number of grains.
        spread: standard deviation of the logarithm of the diameter; 0.35 is typical
            of recrystallised metals.
        ndim: 3 for volumes, 2 for areas.

    Returns:
        Volumes or areas with mean 1.

    Raises:
        JaxmatError: if `spread` is negative or `num_grains` is not positive.
    """
    if num_grains < 1 or not spread >= 0:
        raise JaxmatError(
            f"`num_grains` is {num_grains} and `spread` is {spread}; give at least 1 "
            "grain and a spread of 0 or more."
        )
    volumes = jnp.exp(ndim * spread * jax.random.normal(key, (num_grains,)))
    return volumes / jnp.mean(volumes)


def _check_fits(lengths: tuple[float, ...], num: int, min_distance: float) -> None:
    """Raise at once where spheres of that diameter cannot be placed at random."""
    dim, box = len(lengths), math.prod(lengths)
    unit_ball = math.pi / 4 if dim == 2 else math.pi / 6  # of diameter 1
    largest = (_SATURATION[dim] * box / (num * unit_ball)) ** (1 / dim)
    if min_distance > largest:
        raise JaxmatError(
            f"`min_distance` is {min_distance}, but {num} generators placed at random "
            f"in a box of {tuple(lengths)} cannot all be more than about {largest:.3g} "
            "apart; lower it, or the number of grains."
        )


def _add(
    accepted: np.ndarray,
    candidates: np.ndarray,
    min_distance: float,
    box: np.ndarray | None,
) -> np.ndarray:
    """Append the candidates, in their order, that keep the distance."""
    if min_distance == 0:
        return np.concatenate([accepted, candidates])
    if len(accepted):
        nearest, _ = KDTree(accepted, boxsize=box).query(candidates)
        candidates = candidates[nearest >= min_distance]
    if not len(candidates):
        return accepted
    tree = KDTree(candidates, boxsize=box)
    keep = np.ones(len(candidates), bool)
    pairs = tree.query_pairs(min_distance * (1 - 1e-12), output_type="ndarray")
    for first, second in pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))]:
        if keep[first]:
            keep[second] = False
    return np.concatenate([accepted, candidates[keep]])
