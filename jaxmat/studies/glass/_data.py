"""All that the study needs from simulation: solids, boxes, and runs of the solids.

One file each in a folder, so that work that was stopped goes on and several processes
share it; then one HDF5 file of all runs.
"""

import os
import time
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from jaxmat._check import JaxmatError, check_option
from jaxmat.atoms import Atoms
from jaxmat.io import Quantity, atomic_path, make_folder, read_hdf5, write_hdf5
from jaxmat.studies.glass._loads import cyclic_paths, monotonic_paths, random_paths
from jaxmat.studies.glass._reference import Response, load_solid
from jaxmat.studies.glass._solids import bonds, make_solid

KINDS = ("random", "cyclic", "monotonic")

SOLIDS, NUM_ATOMS = 8, 2000

TRAINING, VALIDATION = 80, 4
"""Random paths, the first to learn from."""

_ARRAYS = ("positions", "box", "species")

# What NumPy raises for files that are damaged, or no archives.
_DAMAGE = (
    *(OSError, ValueError, EOFError, TypeError, LookupError, RuntimeError),
    *(MemoryError, zipfile.BadZipFile, zlib.error),
)


class Runs(NamedTuple):
    """Solids along paths of strain.

    Attributes:
        eps: Mandel strain in the plane.
        sig: Mandel stress per undeformed area, in the unit of the potential.
        kind: number in `KINDS`.
        number: of the path among its kind.
        solid: which of the eight.
        events: searches that ended in another minimum.
        evaluations: gradients of the energy.
    """

    eps: Float[np.ndarray, "runs steps 3"]
    sig: Float[np.ndarray, "runs steps 3"]
    kind: Int[np.ndarray, " runs"]
    number: Int[np.ndarray, " runs"]
    solid: Int[np.ndarray, " runs"]
    events: Int[np.ndarray, " runs"]
    evaluations: Int[np.ndarray, " runs"]

    def of(self, kind: str, numbers: slice = slice(None)) -> "Runs":
        """Runs of one kind in the order of their paths, those numbers only.

        Raises:
            JaxmatError: if there is no such kind.
        """
        check_option("kind", kind, KINDS)
        rows = np.flatnonzero(self.kind == KINDS.index(kind))
        rows = rows[np.lexsort((self.solid[rows], self.number[rows]))]
        wanted = np.arange(1 + self.number[rows].max(initial=-1))[numbers]
        rows = rows[np.isin(self.number[rows], wanted)]
        return Runs(*(x[rows] for x in self))


def jobs() -> Iterator[tuple[str, int, int, Float[np.ndarray, "steps 3"]]]:
    """Kind, number, solid and strain of all 104 runs: those that a test needs first.

    Random paths each on one solid, cycles each on all of them.
    """
    random = random_paths(0, TRAINING + VALIDATION)
    cycles, straight = cyclic_paths(), monotonic_paths()
    few = 8
    yield from (("random", k, k % SOLIDS, random[k]) for k in range(few))
    for solid in range(SOLIDS):
        yield from (("cyclic", k, solid, path) for k, path in enumerate(cycles))
    last = range(TRAINING, TRAINING + VALIDATION)
    yield from (("random", k, k % SOLIDS, random[k]) for k in last)
    yield from (("monotonic", k, k, path) for k, path in enumerate(straight))
    yield from (("random", k, k % SOLIDS, random[k]) for k in range(few, TRAINING))


def make_runs(folder: str | os.PathLike, *, part: int = 0, parts: int = 1) -> None:
    """Make the solids and take them along all paths; what is there stays.

    About an hour and a half on a core. A line on standard output for each.

    Args:
        folder: of the files, made if it is missing.
        part: which share of the work is this process's.
        parts: of how many.

    Raises:
        JaxmatError: if there is no such share, or the folder cannot be made.
    """
    if not 0 <= part < parts:
        raise JaxmatError(f"there is no part {part} of {parts}; number them from 0.")
    folder = make_folder(folder)
    for k in range(part, SOLIDS, parts):
        path = folder / f"solid-{k}.npz"
        if not path.exists():
            solid = make_solid(k, num_atoms=NUM_ATOMS, path=folder / f"quench-{k}.npz")
            save_boxes(path, [solid])
            print(path.name, flush=True)
    for kind, number, k, eps in list(jobs())[part::parts]:
        path = folder / f"run-{kind}-{number}-{k}.npz"
        if path.exists():
            continue
        while not (folder / f"solid-{k}.npz").exists():
            time.sleep(10)  # another process is at it
        (solid,) = load_boxes(folder / f"solid-{k}.npz")
        run = load_solid(bonds(), solid, eps)
        save_arrays(path, **run._asdict())
        print(path.name, run.events, run.evaluations, flush=True)


def gather_runs(folder: str | os.PathLike) -> Runs:
    """All runs of a folder.

    Returns:
        `Runs` in the order of `jobs`.

    Raises:
        JaxmatError: if one is missing, or is no run.
    """
    rows = []
    for kind, number, solid, _ in jobs():
        path = Path(folder) / f"run-{kind}-{number}-{solid}.npz"
        if not path.exists():
            raise JaxmatError(f"`{path}` is missing; finish `make_runs` first.")
        run = load_arrays(path, "run of a solid", Response._fields)
        rows.append(
            (
                run["eps"],
                run["sig"],
                KINDS.index(kind),
                number,
                solid,
                int(run["events"]),
                int(run["evaluations"]),
            )
        )
    return Runs(*(np.stack(column) for column in zip(*rows, strict=True)))


def write_runs(path: str | os.PathLike, runs: Runs) -> None:
    """Write runs into one HDF5 file.

    Raises:
        JaxmatError: if the arrays differ in their runs, or as `io.write_hdf5`.
    """
    _check_runs("`runs`", runs)
    units = {"sig": "epsilon/sigma^2"}
    items = {k: Quantity(v, units.get(k, "")) for k, v in runs._asdict().items()}
    write_hdf5(path, items, command="jaxmat.studies.glass.make_runs")


def read_runs(path: str | os.PathLike) -> Runs:
    """Read a file of `write_runs`.

    Returns:
        The runs, in the order of `jobs`.

    Raises:
        JaxmatError: as `io.read_hdf5`, or if the file holds something else or arrays
            that differ in their runs.
    """
    stored = read_hdf5(path).items
    items = {k: v.value for k, v in stored.items() if isinstance(v, Quantity)}
    if set(items) != set(Runs._fields):
        raise JaxmatError(
            f"`{path}` holds {sorted(stored)}, not the runs of a glass; give a file of "
            "`write_runs`."
        )
    runs = Runs(*(np.asarray(items[name]) for name in Runs._fields))
    _check_runs(f"`{path}`", runs)
    return runs


def _check_runs(what: str, runs: Runs) -> None:
    """Raise unless all arrays have one entry for each run."""
    shapes = {name: np.shape(x) for name, x in runs._asdict().items()}
    count, steps = (*shapes["eps"], 0, 0)[:2]
    if list(shapes.values()) != [(count, steps, 3)] * 2 + [(count,)] * 5:
        found = ", ".join(f"{name} {shape}" for name, shape in shapes.items())
        raise JaxmatError(
            f"{what} has arrays that do not belong together: {found}; give eps and sig "
            "as (runs, steps, 3), the others as (runs,)."
        )


def save_boxes(path: str | os.PathLike, boxes: Sequence[Atoms]) -> None:
    """Write boxes of as many atoms into one `.npz` file.

    Raises:
        JaxmatError: if there are none, they differ in the number of atoms, or the file
            cannot be written.
    """
    if isinstance(boxes, Atoms) or not boxes:
        raise JaxmatError(
            "`boxes` is one `Atoms` or empty; give a list, such as [box]."
        )
    sizes = list(dict.fromkeys(box.positions.shape for box in boxes))
    if len(sizes) > 1:
        raise JaxmatError(
            f"`boxes` have positions of shapes {sizes[0]} and {sizes[1]}; give boxes "
            "of as many atoms in one file."
        )
    arrays = {k: np.stack([getattr(box, k) for box in boxes]) for k in _ARRAYS}
    _check_boxes("`boxes` are", arrays)
    save_arrays(path, **arrays)


def load_boxes(path: str | os.PathLike) -> list[Atoms]:
    """Read a file of `save_boxes`.

    Returns:
        Its boxes in their order, lengths as there.

    Raises:
        JaxmatError: if it is missing, or holds something else.
    """
    stored = load_arrays(path, "boxes of atoms", _ARRAYS)
    _check_boxes(f"`{path}` holds", stored)
    arrays = [jnp.asarray(stored[name]) for name in _ARRAYS]
    return [Atoms(*one) for one in zip(*arrays, strict=True)]


def _check_boxes(what: str, arrays: dict[str, np.ndarray]) -> None:
    """Raise unless the arrays are one configuration for each box."""
    shapes, kinds = zip(
        *((arrays[k].shape, arrays[k].dtype.kind) for k in _ARRAYS), strict=True
    )
    count, atoms, d = (*shapes[0], 0, 0, 0)[:3]
    fits = shapes == ((count, atoms, d), (count, d, d), (count, atoms))
    if not fits or not count * atoms or kinds not in (("f", "f", "i"), ("f", "f", "u")):
        found = ", ".join(f"{k} {arrays[k].shape} {arrays[k].dtype}" for k in _ARRAYS)
        raise JaxmatError(
            f"{what} no boxes of atoms, but {found}; give positions (boxes, atoms, d), "
            "box (boxes, d, d) and whole species (boxes, atoms)."
        )


def save_arrays(path: str | os.PathLike, **arrays: Any) -> None:
    """Write arrays into an `.npz` file, which is whole or not there at all."""
    with atomic_path(path) as temporary, open(temporary, "wb") as file:
        np.savez(file, **arrays)


def load_arrays(
    path: str | os.PathLike, what: str, names: Sequence[str]
) -> dict[str, np.ndarray]:
    """Read a file of `save_arrays`.

    Args:
        path: of the file.
        what: it should hold, for the message.
        names: of the arrays in it, these and no others.

    Returns:
        The arrays.

    Raises:
        JaxmatError: if it is missing, broken, or holds something else.
    """
    try:
        with open(path, "rb") as opened, np.load(opened) as file:
            stored = {name: file[name] for name in file.files}
    except FileNotFoundError as error:
        raise JaxmatError(f"`{path}` does not exist; give another path.") from error
    except _DAMAGE as error:
        raise JaxmatError(f"`{path}` holds no {what}; give another path.") from error
    if set(stored) != set(names):
        raise JaxmatError(f"`{path}` holds no {what}; give another path.")
    return stored
