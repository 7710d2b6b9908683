"""How a crystal direction is coloured, so that equivalent directions look alike.

The corners of the triangle are red, green and blue, its sides are fully saturated, and
its middle is white, as EDAX's maps have it. Groups with fewer mirrors need two or four
triangles; they share the colours of their sides and differ in the middle: white and
black, or white, two greys and black. So the colour is continuous on the whole sphere
for every Laue group, and different for directions that are not equivalent (as Nolze &
Hielscher ask).
"""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxmat import rotations
from jaxmat._types import Quaternion, Vector, constant
from jaxmat.symmetry._sector import colour_weights, fold, num_triangles

# Brightness of the middle of each triangle, by the number of triangles in the sector.
_MIDDLES = {1: np.ones(1), 2: np.array([1, 0.0]), 4: np.array([1, 2 / 3, 1 / 3, 0])}


def ipf_colour(q: Quaternion, direction: Vector, laue: str) -> Float[Array, "3"]:
    """Inverse-pole-figure colour: which crystal direction lies along `direction`.

    Args:
        q: crystal -> sample.
        direction: components in the sample frame, any length, such as (0, 0, 1).
        laue: one of `LAUE_GROUPS`.

    Returns:
        Red, green and blue in [0, 1], see `direction_colour`.

    Raises:
        JaxmatError: if `laue` is unknown; the message lists those known.
    """
    return direction_colour(rotations.rotate(rotations.conjugate(q), direction), laue)


def direction_colour(direction: Vector, laue: str) -> Float[Array, "3"]:
    """Colour of a crystal direction, the same for all its equivalents.

    Red, green and blue are 001, 101, 111 in the cubic groups; 0001, 2-1-10 (a, along x)
    and 10-10 in the hexagonal and trigonal ones; 001, 100, 110 in the tetragonal ones;
    z, x, y in the others. Around them, the middle of the triangle is white; in groups
    with fewer mirrors than m-3m, 6/mmm, 4/mmm or mmm the next triangle of the sector
    (`ipf_corners`) has a black middle, or the next three two greys and black.

    Args:
        direction: components in the crystal frame, any length; zero gives NaN.
        laue: one of `LAUE_GROUPS`.

    Returns:
        Red, green and blue in [0, 1]; finite gradients, one-sided on mirrors.

    Raises:
        JaxmatError: if `laue` is unknown; the message lists those known.

    References:
        Nolze & Hielscher (2016), J. Appl. Cryst. 49, 1786-1802.
    """
    # Colours agree on both sides of a mirror: no rounding error to allow for.
    folded, triangle = fold(direction, laue, 0.0)
    weights = jnp.maximum(colour_weights(folded, laue), 0)
    part = weights / jnp.max(weights)
    bright = 3 * part / (1 + 2 * part)  # widens the white middle; slope finite at zero
    middles = constant(_MIDDLES[num_triangles(laue)], direction)
    return bright - (1 - middles[triangle]) * jnp.min(bright)
