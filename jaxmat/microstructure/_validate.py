"""What a map must satisfy before anything is computed on it.

Maps are built from files and by hand, so their values are checked once, on the host, at
the border; the numerical functions behind it trust them.
"""

import numpy as np
from jax.core import Tracer
from jaxtyping import Array

from jaxmat._check import JaxmatError
from jaxmat.microstructure._grid import Grid, Microstructure, OrientationMap

_UNIT_TOLERANCE = 1e-3  # quaternions written with four decimals pass


def check_microstructure(microstructure: Microstructure) -> Microstructure:
    """Return `microstructure` as it is, or say what is wrong with it.

    Args:
        microstructure: concrete arrays, not traced.

    Returns:
        `microstructure` itself.

    Raises:
        JaxmatError: if a map has not the grid's shape or is not made of integers, a
            grain index has no orientation, a phase index is negative, or an
            orientation is not a unit quaternion.
    """
    orientation = np.asarray(microstructure.orientation)
    if orientation.ndim != 2 or orientation.shape[-1] != 4:
        raise JaxmatError(
            f"`orientation` has shape {orientation.shape}, expected (grains, 4): one "
            "quaternion (w, x, y, z) per grain."
        )
    check_indices(microstructure)
    _check_unit("orientation", orientation)
    return microstructure


def check_indices(microstructure: Microstructure) -> None:
    """Raise unless every voxel has a grain and a phase; traced values are not seen.

    Raises:
        JaxmatError: if a map has not the grid's shape or is not made of integers, a
            grain index has no orientation, or a phase index is negative.
    """
    last = len(microstructure.orientation) - 1
    for name, highest, what in (
        ("grain", last, "one row of `orientation`"),
        ("phase", None, "a phase index (clean unindexed points)"),
    ):
        indices = getattr(microstructure, name)
        _check_map(name, indices, microstructure.grid)
        if not isinstance(indices, Tracer):
            _check_range(name, np.asarray(indices), 0, highest, what)


def check_orientation_map(orientation_map: OrientationMap) -> OrientationMap:
    """Return `orientation_map` as it is, or say what is wrong with it.

    Points that are not indexed (phase -1) may hold any quaternion.

    Args:
        orientation_map: concrete arrays, not traced.

    Returns:
        `orientation_map` itself.

    Raises:
        JaxmatError: if an array has not the grid's shape, a phase index is outside
            `phases`, or the quaternion of an indexed point is not of unit length.
    """
    grid = orientation_map.grid
    _check_map("phase", orientation_map.phase, grid)
    phase = np.asarray(orientation_map.phase)
    quaternion = np.asarray(orientation_map.quaternion)
    confidence = np.asarray(orientation_map.confidence)
    if quaternion.shape != (*grid.shape, 4):
        raise JaxmatError(
            f"`quaternion` has shape {quaternion.shape}, expected "
            f"{(*grid.shape, 4)}: one quaternion (w, x, y, z) per voxel of the grid."
        )
    if confidence.shape != grid.shape:
        raise JaxmatError(
            f"`confidence` has shape {confidence.shape}, expected {grid.shape}; fill "
            "it with NaN where there is none."
        )
    last = len(orientation_map.phases) - 1
    _check_range("phase", phase, -1, last, "an index into `phases`, or -1")
    _check_unit("quaternion", quaternion, phase >= 0)
    return orientation_map


def _check_map(name: str, values: Array | np.ndarray, grid: Grid) -> None:
    """Raise unless the map is made of integers and fits the grid."""
    if values.shape != grid.shape:
        raise JaxmatError(
            f"`{name}` has shape {values.shape}, expected the grid's {grid.shape}; "
            "axis 0 is x, so an image may need a transpose."
        )
    if not np.issubdtype(values.dtype, np.integer):
        raise JaxmatError(
            f"`{name}` has dtype {values.dtype}, expected integers; cast indices with "
            ".astype(int)."
        )


def _check_range(
    name: str, values: np.ndarray, lowest: int, highest: int | None, what: str
) -> None:
    """Raise at the first index that is too small or too large."""
    wrong = values < lowest
    if highest is not None:
        wrong |= values > highest
    if wrong.any():
        index = tuple(int(i) for i in np.argwhere(wrong)[0])
        upper = "or more" if highest is None else f"to {highest}"
        raise JaxmatError(
            f"`{name}` is {values[index]} at index {index}; it must be {lowest} "
            f"{upper}: {what}."
        )


def _check_unit(
    name: str, quaternion: np.ndarray, needed: np.ndarray | None = None
) -> None:
    """Raise at the first quaternion that is not of unit length."""
    with np.errstate(invalid="ignore", over="ignore"):
        error = np.abs(np.linalg.norm(quaternion.astype(float), axis=-1) - 1)
        wrong = ~(error < _UNIT_TOLERANCE)  # NaN is wrong too
    if needed is not None:
        wrong &= needed
    if wrong.any():
        index = tuple(int(i) for i in np.argwhere(wrong)[0])
        value = ", ".join(f"{component:.6g}" for component in quaternion[index])
        raise JaxmatError(
            f"`{name}` is ({value}) at index {index}, which is not a unit quaternion; "
            "divide it by its norm, or mark a point without orientation by phase -1."
        )
