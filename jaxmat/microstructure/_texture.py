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
from jaxmat._types import Quaternion
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
    return jax.vmap(rotations.random_uniform)(jax.random.split(key, num_grains))


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
        spread: standard deviation, radians, of each of the two components of the
            rotation that tilts the fibre axis away from the sample direction.

    Returns:
        Unit quaternions, crystal -> sample.

    Raises:
        JaxmatError: if a direction is zero or not finite, or `spread` is negative.
    """
    if not spread >= 0:
        raise JaxmatError(f"`spread` is {spread}; give zero or more, radians.")
    axis = _unit("sample_direction", sample_direction)
    align = _align(_unit("crystal_direction", crystal_direction), axis)
    turn_key, tilt_key = jax.random.split(key)
    angle = jax.random.uniform(turn_key, (num_grains,), maxval=2 * np.pi)
    tilt = spread * jax.random.normal(tilt_key, (num_grains, 3))
    tilt = tilt - jnp.outer(tilt @ axis, axis)

    def sample(angle, tilt):
        turned = rotations.multiply(_from_vector(angle * axis), align)
        return rotations.multiply(_from_vector(tilt), turned)

    return jax.vmap(sample)(angle, tilt)


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


def _unit(name: str, direction: Direction) -> Float[Array, "3"]:
    values = np.asarray(direction, float)
    if values.shape != (3,) or not np.linalg.norm(values) > 0:
        raise JaxmatError(
            f"`{name}` is {direction}; give three components, not all zero."
        )
    return jnp.asarray(values / np.linalg.norm(values))


def _align(a: Float[Array, "3"], b: Float[Array, "3"]) -> Quaternion:
    """A rotation that carries the unit vector `a` onto `b`."""
    middle = a + b
    if jnp.linalg.norm(middle) < 1e-6:  # opposite: half a turn about any normal
        middle = jnp.cross(a, jnp.eye(3, dtype=a.dtype)[jnp.argmin(jnp.abs(a))])
        middle = middle / jnp.linalg.norm(middle)
        return jnp.concatenate([jnp.zeros(1, a.dtype), middle])
    middle = middle / jnp.linalg.norm(middle)
    return jnp.concatenate([jnp.dot(a, middle)[None], jnp.cross(a, middle)])


def _from_vector(v: Float[Array, "3"]) -> Quaternion:
    """Unit quaternion of a rotation vector (axis times angle)."""
    angle = jnp.linalg.norm(v)
    scale = 0.5 * jnp.sinc(angle / (2 * jnp.pi))  # sin(angle / 2) / angle
    return jnp.concatenate([jnp.cos(angle / 2)[None], scale * v])
