"""Trajectories of atoms in our own HDF5 files."""

import os

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxmat._check import JaxmatError
from jaxmat.atoms import Atoms
from jaxmat.io._hdf5 import Quantity, read_hdf5, write_hdf5


def write_trajectory(
    path: str | os.PathLike,
    frames: Atoms,
    times: Float[Array, " frames"],
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
        JaxmatError: if frames and times differ in number, or the file cannot be
            written.
    """
    if frames.positions.ndim != 3 or len(times) != len(frames.positions):
        raise JaxmatError(
            f"`frames` has positions of shape {frames.positions.shape}, `times` "
            f"{len(times)} entries; give (frames, atoms, d) and one time for each."
        )
    items = {
        "positions": Quantity(frames.positions, "fractional"),
        "box": Quantity(frames.box, length_unit),
        "species": Quantity(frames.species, ""),
        "times": Quantity(times, time_unit),
    }
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
    items = read_hdf5(path).items
    found = [items.get(key) for key in ("positions", "box", "species", "times")]
    values = [item.value for item in found if isinstance(item, Quantity)]
    if len(values) != len(found):
        raise JaxmatError(
            f"`{os.fspath(path)}` holds {', '.join(sorted(items))}, no trajectory; "
            "read it with io.read_hdf5."
        )
    positions, box, species, times = map(jnp.asarray, values)
    return jax.vmap(Atoms)(positions, box, species), times
