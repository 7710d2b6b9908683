"""Trajectories of atoms in our own HDF5 files."""

import os
from collections.abc import Mapping
from pathlib import Path

import h5py
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxmat._check import JaxmatError
from jaxmat.atoms import Atoms
from jaxmat.io._hdf5 import Quantity, read_hdf5, write_hdf5

_NAMES = ("positions", "box", "species", "times")


def write_trajectory(
    path: str | os.PathLike,
    frames: Atoms,
    times: Float[Array | np.ndarray, " frames"],
    *,
    length_unit: str = "reduced",
    time_unit: str = "reduced",
    command: str = "",
) -> None:
    """Write configurations over time, as `simulate` observes them.

    Args:
        path: file to write, replaced if it exists.
        frames: atoms with a leading axis of frames on every array.
        times: of the frames.
        length_unit: of the box, as a text.
        time_unit: of the times.
        command: how it was made.

    Raises:
        JaxmatError: if the arrays differ in their frames or atoms, a number is not
            finite, or the file cannot be written.
    """
    if not isinstance(frames, Atoms):
        raise JaxmatError(
            f"`frames` is of type {type(frames).__name__}; give one `Atoms` with an "
            "axis of frames, jax.tree.map(lambda *x: jnp.stack(x), *frames) of a list."
        )
    arrays = {k: np.asarray(getattr(frames, k)) for k in _NAMES[:3]}
    arrays["times"] = np.asarray(times)
    _check_shapes("`frames` and `times`", arrays)
    for name in ("positions", "box", "times"):
        bad = ~np.isfinite(arrays[name].reshape(len(arrays[name]), -1)).all(1)
        if bad.any():
            raise JaxmatError(
                f"`{name}` holds NaN or infinity in frame {bad.argmax()}; give finite "
                "numbers, such as the frames before it."
            )
    units = ("fractional", length_unit, "", time_unit)
    items = {k: Quantity(arrays[k], x) for k, x in zip(_NAMES, units, strict=True)}
    write_hdf5(path, items, command=command)


def read_trajectory(
    path: str | os.PathLike,
) -> tuple[Atoms, Float[Array, " frames"]]:
    """Read a file of `write_trajectory`.

    Returns:
        Atoms with a leading axis of frames, and the times.

    Raises:
        JaxmatError: as `read_hdf5`, or if the file holds something else.
    """
    if Path(path).exists() and not h5py.is_hdf5(path):
        raise JaxmatError(
            f"`{os.fspath(path)}` is no HDF5 file; give one of `write_trajectory`."
        )
    items = read_hdf5(path).items
    found = {k: items.get(k) for k in _NAMES}
    arrays = {k: x.value for k, x in found.items() if isinstance(x, Quantity)}
    if len(arrays) != len(found):
        raise JaxmatError(
            f"`{os.fspath(path)}` holds {', '.join(sorted(items))}, no trajectory; "
            "read it with io.read_hdf5."
        )
    _check_shapes(f"the arrays of `{os.fspath(path)}`", arrays)
    positions, box, species, times = map(jnp.asarray, arrays.values())
    return jax.vmap(Atoms)(positions, box, species), times


def _check_shapes(what: str, arrays: Mapping[str, Array | np.ndarray]) -> None:
    """Raise unless they are numbers, and every array has the axis of frames."""
    shapes = [x.shape for x in arrays.values()]
    frames, atoms, d = (*shapes[0], 0, 0, 0)[:3]
    wanted = [(frames, atoms, d), (frames, d, d), (frames, atoms), (frames,)]
    kinds = ("f", "f", "iu", "iuf")
    numbers = all(
        x.dtype.kind in kind for x, kind in zip(arrays.values(), kinds, strict=True)
    )
    if shapes != wanted or not frames * atoms or d not in (2, 3) or not numbers:
        found = ", ".join(f"{k} {x.shape} {x.dtype}" for k, x in arrays.items())
        raise JaxmatError(
            f"{what} do not belong together: {found}; give positions (frames, atoms, "
            "d), box (frames, d, d), whole species (frames, atoms), times (frames,)."
        )
