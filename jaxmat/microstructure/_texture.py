"""Orientation texture: how the grains of a generated microstructure are oriented.

A texture is a function `(key, num_grains) -> quaternions`, so any sampler can be handed
to a generator; `functools.partial` fixes the options of those here.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from jaxmat import rotations
from jaxmat._check import JaxmatError
from jaxmat.microstructure._grid import OrientationMap
from jaxmat.microstructure._validate import check_orientation_map

Texture = Callable[[Key[Array, ""], int], Float[Array, "grains 4"]]
"""Draws one unit quaternion (crystal -> sample) per grain."""

Direction = tuple[float, float, float]


def uniform_texture(key: Key[Array, ""], num_grains: int) -> Float[Array, "grains 4"]:
    """Orientations drawn uniformly over all rotations: no texture.

    Returns:
        Unit quaternions, crystal -> sample.
    """
    return _uniform(jax.random.split(key, num_grains))


def fibre_texture(
    key: Key[Array, ""],
    num_grains: int,
    *,
    crystal_direction: Direction = (0.0, 0.0, 1.0),
    sample_direction: Direction = (0.0, 0.0, 1.0),
    spread: float = 0.0,
) -> Float[Array, "grains 4"]:
    """A crystal direction held along a sample direction, free to turn about it.

    The defaults are the columnar film of epitaxial polysilicon: a cube axis along x3
    and a uniform angle in the plane.

    Args:
        key: random key.
        num_grains: how many orientations to draw.
        crystal_direction: Cartesian crystal components of any length.
        sample_direction: Cartesian sample components of any length.
        spread: radians; see `rotations.random_fibre`.

    Returns:
        Unit quaternions, crystal -> sample.

    Raises:
        JaxmatError: if a direction is zero or not finite, or `spread` is negative.
    """
    if not spread >= 0:
        raise JaxmatError(f"`spread` is {spread}; give zero or more, radians.")
    crystal = _vector("crystal_direction", crystal_direction)
    sample = _vector("sample_direction", sample_direction)
    return _fibre(jax.random.split(key, num_grains), crystal, sample, spread)


def map_texture(
    key: Key[Array, ""],
    num_grains: int,
    orientation_map: OrientationMap,
    *,
    phase: int = 0,
) -> Float[Array, "grains 4"]:
    """Orientations drawn from the points of a measured map, area-weighted.

    Args:
        key: random key.
        num_grains: how many orientations to draw, with replacement.
        orientation_map: a measured map.
        phase: only points of this phase are drawn.

    Returns:
        Unit quaternions, crystal -> sample.

    Raises:
        JaxmatError: if the map has no point of that phase or is not valid.
    """
    check_orientation_map(orientation_map)
    of_phase = np.flatnonzero(np.asarray(orientation_map.phase) == phase)
    if of_phase.size == 0:
        raise JaxmatError(
            f"`orientation_map` has no point of phase {phase}; its phases are "
            f"{orientation_map.phases}."
        )
    points = orientation_map.quaternion.reshape(-1, 4)[of_phase]
    return points[jax.random.randint(key, (num_grains,), 0, of_phase.size)]


_uniform = jax.jit(jax.vmap(rotations.random_uniform))
_fibre = jax.jit(jax.vmap(rotations.random_fibre, in_axes=(0, None, None, None)))


def _vector(name: str, direction: Direction) -> Float[Array, "3"]:
    values = np.asarray(direction, float)
    if values.shape != (3,) or not np.linalg.norm(values) > 0:
        raise JaxmatError(
            f"`{name}` is {direction}; give three components, not all zero."
        )
    return jnp.asarray(values)
