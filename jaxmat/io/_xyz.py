"""Extended XYZ files: frames of periodic atoms, as ASE and OVITO read them.

Of each frame the box (`Lattice`, lattice vectors one after the other), the names of the
species and Cartesian positions; other columns and keys are skipped.
"""

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from jaxmat._check import JaxmatError
from jaxmat.atoms import Atoms
from jaxmat.io._atomic import atomic_path
from jaxmat.io._text import decode, read_bytes


class Frames(NamedTuple):
    """What `read_xyz` returns.

    Attributes:
        atoms: one configuration for each frame.
        symbols: name of each species, in all frames alike.
    """

    atoms: list[Atoms]
    symbols: tuple[str, ...]


def write_xyz(
    path: str | os.PathLike, frames: Sequence[Atoms], symbols: Sequence[str]
) -> None:
    """Write frames one after the other, with all digits; images of atoms are kept.

    Args:
        path: file to write, replaced if it exists.
        frames: configurations in three dimensions.
        symbols: name of each species, without blanks ("Si"; "A" for a model).

    Raises:
        JaxmatError: if there is no frame or one is in a plane, a species has no name,
            or the file cannot be written.
    """
    if not frames:
        raise JaxmatError("there are no frames; give at least one.")
    bad = [x for x in symbols if not x or any(c.isspace() for c in x)]
    if bad:
        raise JaxmatError(f"{bad[0]!r} names a species; use a name without blanks.")
    lines = []
    for atoms in frames:
        box, species = np.asarray(atoms.box, float), np.asarray(atoms.species)
        if box.shape != (3, 3):
            raise JaxmatError("extended XYZ has three dimensions; give 3D atoms.")
        if species.min() < 0 or species.max() >= len(symbols):
            raise JaxmatError(
                f"species run from {species.min()} to {species.max()} and `symbols` "
                f"has {len(symbols)} names; give one for each."
            )
        lattice = " ".join(repr(x) for x in box.T.ravel().tolist())
        lines.append(str(len(species)))
        lines.append(f'Lattice="{lattice}" Properties=species:S:1:pos:R:3 pbc="T T T"')
        r = np.asarray(atoms.positions, float) @ box.T
        for kind, (x, y, z) in zip(species, r.tolist(), strict=True):
            lines.append(f"{symbols[kind]} {x!r} {y!r} {z!r}")
    with atomic_path(path) as temporary:
        temporary.write_text("\n".join(lines) + "\n")


def read_xyz(path: str | os.PathLike) -> Frames:
    """Read all frames.

    Returns:
        Atoms of each frame, and the names of the species in order of appearance.

    Raises:
        JaxmatError: if there is no such file, a frame was cut off or has no box.
    """
    name = Path(path).name
    lines, k = decode(read_bytes(path)).splitlines(), 0
    frames, symbols = [], {}
    while not frames or (k < len(lines) and lines[k].strip()):
        count, box, (kind, place) = _header(name, lines[k : k + 2])
        rows = [line.split() for line in lines[k + 2 : k + 2 + count]]
        if len(rows) < count or any(
            len(row) < max(kind + 1, place + 3) for row in rows
        ):
            raise JaxmatError(
                f"`{name}` ends within frame {len(frames)} or has a line that is too "
                "short; it was cut off, write it again."
            )
        try:
            r = np.array([[float(x) for x in row[place : place + 3]] for row in rows])
        except ValueError as error:
            raise JaxmatError(
                f"`{name}` has an atom without a place: {error}."
            ) from error
        if not np.isfinite(r).all():
            raise JaxmatError(f"`{name}` has an atom at infinity; write it again.")
        species = [symbols.setdefault(row[kind], len(symbols)) for row in rows]
        s = np.linalg.solve(box, r.T).T
        packed = jnp.asarray(s), jnp.asarray(box), jnp.asarray(species, jnp.int32)
        frames.append(Atoms(*packed))
        k += 2 + count
    return Frames(frames, tuple(symbols))


def _header(name: str, lines: list[str]) -> tuple[int, np.ndarray, tuple[int, int]]:
    """Atoms, box, and the columns of names and positions."""
    count = lines[0].strip() if lines else ""
    if not count.isdigit() or int(count) == 0 or len(lines) < 2:
        raise JaxmatError(
            f"`{name}` has {count[:40]!r} where the number of atoms belongs; it is no "
            "extended XYZ file, or was cut off."
        )
    lattice = re.search(r'Lattice="([^"]*)"', lines[1])
    try:
        numbers = [float(x) for x in lattice.group(1).split()] if lattice else []
    except ValueError:
        numbers = []
    box = np.reshape(numbers, (3, 3)).T if len(numbers) == 9 else np.zeros((3, 3))
    if not np.isfinite(box).all() or abs(np.linalg.det(box)) == 0:
        raise JaxmatError(
            f"`{name}` has a frame without a Lattice of nine numbers; periodic atoms "
            "need one."
        )
    described = re.search(r"Properties=(\S+)", lines[1])
    words = (described.group(1) if described else "species:S:1:pos:R:3").split(":")
    starts, column = {}, 0
    try:
        for what, _, width in zip(words[::3], words[1::3], words[2::3], strict=True):
            starts[what], column = column, column + int(width)
        return int(count), box, (starts["species"], starts["pos"])
    except (ValueError, KeyError) as error:
        raise JaxmatError(
            f"`{name}` has Properties {':'.join(words)[:60]!r}; it needs species and "
            "pos."
        ) from error
