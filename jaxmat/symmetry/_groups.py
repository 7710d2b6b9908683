"""Which rotations leave each crystal unchanged: static tables, made by NumPy.

Diffraction adds an inversion centre, so orientations are known up to the proper
rotations of the Laue group; those are listed here, the inversion is left out.
"""

from functools import cache

import numpy as np

from jaxmat._check import JaxmatError, check_option

_HALF_X = (0.0, 1.0, 0.0, 0.0)
_HALF_Y = (0.0, 0.0, 1.0, 0.0)
_HALF_Z = (0.0, 0.0, 0.0, 1.0)
_THIRD_Z = (0.5, 0.0, 0.0, np.sqrt(0.75))
_FOURTH_Z = (np.sqrt(0.5), 0.0, 0.0, np.sqrt(0.5))
_SIXTH_Z = (np.sqrt(0.75), 0.0, 0.0, 0.5)
_THIRD_111 = (0.5, 0.5, 0.5, 0.5)

_GENERATORS = {
    "-1": (),
    "2/m": (_HALF_Y,),
    "mmm": (_HALF_X, _HALF_Z),
    "-3": (_THIRD_Z,),
    "-3m": (_THIRD_Z, _HALF_X),
    "4/m": (_FOURTH_Z,),
    "4/mmm": (_FOURTH_Z, _HALF_X),
    "6/m": (_SIXTH_Z,),
    "6/mmm": (_SIXTH_Z, _HALF_X),
    "m-3": (_HALF_X, _HALF_Z, _THIRD_111),
    "m-3m": (_FOURTH_Z, _HALF_X, _THIRD_111),
}

_POINT_GROUPS = {
    "-1": ("1", "-1"),
    "2/m": ("2", "m", "2/m"),
    "mmm": ("222", "mm2", "mmm"),
    "-3": ("3", "-3"),
    "-3m": ("32", "3m", "-3m"),
    "4/m": ("4", "-4", "4/m"),
    "4/mmm": ("422", "4mm", "-42m", "4/mmm"),
    "6/m": ("6", "-6", "6/m"),
    "6/mmm": ("622", "6mm", "-6m2", "6/mmm"),
    "m-3": ("23", "m-3"),
    "m-3m": ("432", "-43m", "m-3m"),
}
_LAUE_OF = {point: laue for laue, points in _POINT_GROUPS.items() for point in points}

LAUE_GROUPS = tuple(_GENERATORS)
"""Hermann-Mauguin symbols of the eleven Laue groups, from triclinic to cubic."""

# No other number occurs in a quaternion of a crystallographic rotation.
_EXACT = np.array([0.0, 0.5, np.sqrt(0.5), np.sqrt(0.75), 1.0])


def check_laue(laue: str) -> None:
    """Raise unless `laue` is the symbol of a Laue group.

    Raises:
        JaxmatError: naming the known symbols, and `laue_group` for a point group.
    """
    if laue in _LAUE_OF and laue not in _GENERATORS:
        raise JaxmatError(
            f"`laue` is {laue!r}, a point group without an inversion centre; "
            f"use its Laue group {_LAUE_OF[laue]!r} (symmetry.laue_group)."
        )
    check_option("laue", laue, LAUE_GROUPS)


def laue_group(point_group: str) -> str:
    """Laue group of a crystallographic point group: the group with inversion added.

    Args:
        point_group: one of the 32 Hermann-Mauguin symbols, such as "-43m".

    Returns:
        The Laue group's symbol, such as "m-3m".

    Raises:
        JaxmatError: if the symbol is unknown; the message lists those known.
    """
    check_option("point_group", point_group, _LAUE_OF)
    return _LAUE_OF[point_group]


def operators(laue: str) -> np.ndarray:
    """Proper rotations of a Laue group, as unit quaternions; the identity comes first.

    Args:
        laue: one of `LAUE_GROUPS`.

    Returns:
        A read-only NumPy table, shape (order, 4), with w >= 0. The orders are 1, 2, 4,
        3, 6, 4, 8, 6, 12, 12 and 24. If `q` is an orientation, `q s` is the same one
        for every row `s`. Axes are set as the package's docstring says.

    Raises:
        JaxmatError: if `laue` is unknown; the message lists those known.
    """
    check_laue(laue)
    return _operators(laue)


@cache
def _operators(laue: str) -> np.ndarray:
    """The group generated: multiply by the generators until nothing new comes out."""
    table = [np.array([1.0, 0.0, 0.0, 0.0])]
    for element in table:  # grows while we walk along it
        for generator in _GENERATORS[laue]:
            product = _snap(right_matrix(np.array(generator)) @ element)
            if not any(np.array_equal(product, known) for known in table):
                table.append(product)
    result = np.array(table)
    result.setflags(write=False)
    return result


def right_matrix(q: np.ndarray) -> np.ndarray:
    """The 4x4 matrix of a Hamilton product: `right_matrix(q) @ p` is `p q`."""
    w, x, y, z = q
    return np.array([[w, -x, -y, -z], [x, w, z, -y], [y, -z, w, x], [z, y, -x, w]])


def _snap(q: np.ndarray) -> np.ndarray:
    """Remove rounding errors; of `q` and `-q` take the one whose first entry is > 0."""
    nearest = np.argmin(np.abs(np.abs(q)[:, None] - _EXACT), axis=1)
    exact = np.sign(q) * _EXACT[nearest] + 0.0
    return exact * np.sign(exact[np.nonzero(exact)[0][0]]) + 0.0
