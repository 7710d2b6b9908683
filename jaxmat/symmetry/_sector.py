"""Which of a direction's equivalents stands for all of them.

The mirrors of the four Laue groups mmm, 4/mmm, 6/mmm and m-3m cut the sphere into
spherical triangles, and folding along the mirrors takes any direction into one of them
exactly, without a search. The sector of another Laue group consists of two or four such
triangles of the smallest mirror group that contains it; which one a direction belongs
to is told by signs: crossing a mirror that the crystal lacks changes a sign.
"""

import math
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int

from jaxmat._check import check_shape
from jaxmat._types import Scalar, Vector, constant
from jaxmat.symmetry._groups import check_laue


def _at(*degrees: float) -> np.ndarray:
    """Unit vectors in the basal plane at these azimuths."""
    azimuth = np.radians(degrees)
    return np.stack([np.cos(azimuth), np.sin(azimuth), 0 * azimuth], axis=1)


def _unit(*vectors: tuple[float, float, float]) -> np.ndarray:
    """Unit vectors along these."""
    v = np.array(vectors, dtype=float)
    return v / np.linalg.norm(v, axis=1, keepdims=True)


def _mirror(normal: np.ndarray) -> np.ndarray:
    """Reflection in the plane with this unit normal."""
    return np.eye(3) - 2 * np.outer(normal, normal)


_X, _Y, _Z = np.eye(3)
_HEXAGONAL_MIRRORS = np.concatenate([[_Z], _at(0, 30, 60, 90, -60, -30)])

# Normals of the mirrors, pointing into the triangle; corners red, green, blue.
_MIRRORS = {
    "mmm": np.eye(3),
    "4/mmm": _unit((0, 0, 1), (1, 0, 0), (0, 1, 0), (1, -1, 0), (1, 1, 0)),
    "6/mmm": _HEXAGONAL_MIRRORS,
    "m-3m": _unit(
        *((1, 0, 0), (0, 1, 0), (0, 0, 1), (1, -1, 0), (1, 1, 0)),
        *((-1, 0, 1), (1, 0, 1), (0, -1, 1), (0, 1, 1)),
    ),
}
_CORNERS = {
    "mmm": np.array([_Z, _X, _Y]),
    "4/mmm": _unit((0, 0, 1), (1, 0, 0), (1, 1, 0)),
    "6/mmm": np.concatenate([[_Z], _at(0, 30)]),
    "m-3m": _unit((0, 0, 1), (1, 0, 1), (1, 1, 1)),
}


class _Sector(NamedTuple):
    """A Laue group's sector, built from triangles of a mirror group.

    Attributes:
        parent: the mirror group.
        absent: one row per sign, one column per mirror of the parent: does crossing
            the mirror change the sign?
        signs: the signs of each triangle of the sector, one row per triangle.
        placements: carries the first triangle to each triangle of the sector.
        corners: of the whole sector, anticlockwise seen from outside.
    """

    parent: str
    absent: np.ndarray
    signs: np.ndarray
    placements: np.ndarray
    corners: np.ndarray


def _whole(laue: str) -> _Sector:
    """A group with all mirrors: its sector is the triangle."""
    none = np.zeros((0, len(_MIRRORS[laue])), dtype=bool)
    return _Sector(laue, none, np.ones((1, 0)), np.eye(3)[None], _CORNERS[laue])


def _double(
    parent: str, absent: list[int], normal: np.ndarray, corners: np.ndarray
) -> _Sector:
    """A group with half the parent's elements: the triangle and its mirror image."""
    row = np.zeros((1, len(_MIRRORS[parent])), dtype=bool)
    row[0, absent] = True
    placements = np.stack([np.eye(3), _mirror(normal)])
    return _Sector(parent, row, np.array([[1.0], [-1.0]]), placements, corners)


def _fourfold(
    parent: str, absent: list[list[int]], placements: list[np.ndarray], corners
) -> _Sector:
    """A group with a quarter of the parent's elements; the third sign is a product."""
    rows = np.zeros((3, len(_MIRRORS[parent])), dtype=bool)
    for row, columns in zip(rows, absent, strict=True):
        row[columns] = True
    signs = np.array([[1.0, 1, 1], [1, -1, -1], [-1, -1, 1], [-1, 1, -1]])
    return _Sector(parent, rows, signs, np.stack(placements), corners)


_TURN_60 = _mirror(_at(120)[0]) @ _mirror(_Y)  # mirrors 30 degrees apart
_SECTORS = {
    **{laue: _whole(laue) for laue in _MIRRORS},
    "-1": _fourfold(
        "mmm",
        [[0, 2], [1, 2], [0, 1]],
        [np.eye(3), _mirror(_Y), _mirror(_X) @ _mirror(_Y), _mirror(_X)],
        np.array([_X, _Y, -_X, -_Y]),
    ),
    "2/m": _double("mmm", [0, 2], _X, np.array([_X, _Y, -_X, _Z])),
    "4/m": _double("4/mmm", [1, 2, 3, 4], _unit((1, -1, 0))[0], np.array([_Z, _X, _Y])),
    "-3": _fourfold(
        "6/mmm",
        [[0, 2, 4, 6], [0, 1, 3, 5], [1, 2, 3, 4, 5, 6]],
        [np.eye(3), _mirror(_at(120)[0]), _TURN_60, _mirror(_at(150)[0])],
        np.concatenate([[_Z], _at(0, 120)]),
    ),
    "-3m": _double("6/mmm", [0, 2, 4, 6], _Y, np.concatenate([[_Z], _at(-30, 30)])),
    "6/m": _double(
        "6/mmm", [1, 2, 3, 4, 5, 6], _at(120)[0], np.concatenate([[_Z], _at(0, 60)])
    ),
    "m-3": _double(
        "m-3m",
        [3, 4, 5, 6, 7, 8],
        _unit((1, -1, 0))[0],
        _unit((0, 0, 1), (1, 0, 1), (1, 1, 1), (0, 1, 1)),
    ),
}


def ipf_corners(laue: str) -> np.ndarray:
    """Corners of a Laue group's sector of directions, for the key of a colour map.

    Neighbouring corners are joined by great circles. With z first and angles measured
    from x (a) the sectors are: the upper half sphere for -1, its half with y >= 0 for
    2/m, an octant for mmm, azimuths 0 to 120 degrees for -3, -30 to 30 for -3m, 0 to 90
    for 4/m, 0 to 45 for 4/mmm, 0 to 60 for 6/m, 0 to 30 for 6/mmm, the quadrangle 001,
    101, 111, 011 for m-3 and the triangle 001, 101, 111 for m-3m.

    Args:
        laue: one of `LAUE_GROUPS`.

    Returns:
        Unit vectors in the crystal frame, one per row, anticlockwise seen from outside.

    Raises:
        JaxmatError: if `laue` is unknown; the message lists those known.
    """
    check_laue(laue)
    return _SECTORS[laue].corners.copy()


def to_sector(direction: Vector, laue: str) -> Vector:
    """The one among a direction's equivalents that lies in the sector of `ipf_corners`.

    Equivalents are the images under the Laue group, inversion included. The result is
    continuous where sectors meet in a mirror; elsewhere it jumps between equivalents.
    Where the edge of a sector is equivalent to another edge, the one belonging to the
    first triangle is taken.

    Args:
        direction: components in the crystal frame, any length (kept).
        laue: one of `LAUE_GROUPS`.

    Returns:
        Components in the crystal frame.

    Raises:
        JaxmatError: if `laue` is unknown; the message lists those known.
    """
    return place(direction, laue, jnp.sqrt(jnp.sum(direction**2)))


def place(direction: Vector, laue: str, size: Scalar | float) -> Vector:
    """As `to_sector`, for components known to the rounding error of a number `size`."""
    folded, triangle = fold(direction, laue, size)
    placements = constant(_SECTORS[laue].placements, direction)
    return jnp.sum(placements[triangle] * folded, axis=1)


def fold(
    direction: Vector, laue: str, size: Scalar | float
) -> tuple[Vector, Int[Array, ""]]:
    """Fold into the triangle `red, green, blue` of the mirror group.

    Returns:
        The folded direction, and the number of the sector's triangle it came from.
    """
    check_laue(laue)
    check_shape(
        "direction", direction, (3,), hint="one direction at a time, use jax.vmap"
    )
    sector = _SECTORS[laue]
    folded = _FOLDS[sector.parent](*jnp.abs(direction))
    if len(sector.signs) == 1:
        return folded, jnp.zeros((), jnp.int32)
    normals = constant(_MIRRORS[sector.parent], direction)
    height = jnp.sum(normals * direction, axis=1)
    # A direction in a mirror belongs to both sides: its sign may be either.
    rounding = 64 * float(jnp.finfo(direction.dtype).eps) * size
    side = jnp.where(jnp.abs(height) <= rounding, 0, jnp.sign(height))
    sign = jnp.prod(jnp.where(sector.absent, side, 1), axis=1)
    fits = jnp.all((sign == 0) | (sign == sector.signs), axis=1)
    return folded, jnp.argmax(fits)


def colour_weights(folded: Vector, laue: str) -> Vector:
    """How much of the red, green and blue corner a folded direction is made of.

    Returns:
        Three weights, not negative, up to rounding: distances from the sides opposite
        to the corners, one at the corner itself for a unit vector.
    """
    inverse = np.linalg.inv(_CORNERS[_SECTORS[laue].parent].T)
    return jnp.sum(constant(inverse, folded) * folded, axis=1)


def _fold_octant(x: Scalar, y: Scalar, z: Scalar) -> Vector:
    """Mirror group mmm, of a direction in the first octant (as all folds)."""
    return jnp.stack([x, y, z])


def _fold_tetragonal(x: Scalar, y: Scalar, z: Scalar) -> Vector:
    """Mirror group 4/mmm: azimuth 0 to 45 degrees."""
    return jnp.stack([jnp.maximum(x, y), jnp.minimum(x, y), z])


def _fold_hexagonal(x: Scalar, y: Scalar, z: Scalar) -> Vector:
    """Mirror group 6/mmm: azimuth 0 to 30 degrees."""
    c, s = math.sqrt(0.75), 0.5
    beyond = jnp.minimum(s * x - c * y, 0)  # distance past the mirror at 30 degrees
    return jnp.stack([x - 2 * s * beyond, jnp.abs(y + 2 * c * beyond), z])


def _fold_cubic(x: Scalar, y: Scalar, z: Scalar) -> Vector:
    """Mirror group m-3m: z >= x >= y."""
    low, high = jnp.minimum(x, y), jnp.maximum(x, y)
    middle = jnp.maximum(low, jnp.minimum(high, z))
    return jnp.stack([middle, jnp.minimum(low, z), jnp.maximum(high, z)])


_FOLDS = {
    "mmm": _fold_octant,
    "4/mmm": _fold_tetragonal,
    "6/mmm": _fold_hexagonal,
    "m-3m": _fold_cubic,
}


def num_triangles(laue: str) -> int:
    """How many triangles the sector of a Laue group is made of: 1, 2 or 4."""
    return len(_SECTORS[laue].signs)
