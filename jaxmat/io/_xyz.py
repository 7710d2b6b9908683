"""Extended XYZ files: frames of periodic atoms, as ASE and OVITO read them.

Of each frame the box (`Lattice`, lattice vectors one after the other), the names of the
species and Cartesian positions; other columns and keys are skipped.
"""

import itertools
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
        JaxmatError: if there is no frame or one cannot be written, a species has no
            name of its own, or the file cannot be written.
    """
    if isinstance(frames, Atoms):
        raise JaxmatError("`frames` is one `Atoms`; give a list, such as [atoms].")
    if not frames:
        raise JaxmatError("there are no frames; give at least one.")
    _check_symbols(symbols)
    lines = []
    for k, atoms in enumerate(frames):
        r, box, species = in_space(f"frame {k}", atoms)
        if species.max() >= len(symbols):
            raise JaxmatError(
                f"species run from {species.min()} to {species.max()} and `symbols` "
                f"has {len(symbols)} names; give one for each."
            )
        lattice = " ".join(repr(x) for x in box.T.ravel().tolist())
        lines.append(str(len(species)))
        lines.append(f'Lattice="{lattice}" Properties=species:S:1:pos:R:3 pbc="T T T"')
        for kind, (x, y, z) in zip(species, r.tolist(), strict=True):
            lines.append(f"{symbols[kind]} {x!r} {y!r} {z!r}")
    with atomic_path(path) as temporary:
        temporary.write_text("\n".join(lines) + "\n", encoding="utf-8")


def in_space(what: str, atoms: Atoms) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Cartesian positions, box and species of atoms that a text file can hold.

    Raises:
        JaxmatError: unless `atoms` is one configuration in three dimensions, its
            numbers finite, its box with a volume, its species numbered from 0.
    """
    if not isinstance(atoms, Atoms):
        raise JaxmatError(f"{what} is of type {type(atoms).__name__}; give `Atoms`.")
    s, box = np.asarray(atoms.positions, float), np.asarray(atoms.box, float)
    species = np.asarray(atoms.species)
    if s.ndim != 2 or box.shape != (3, 3) or species.ndim != 1:
        raise JaxmatError(
            f"{what} has positions of shape {s.shape} and a box of shape {box.shape}; "
            "give one configuration in three dimensions, (atoms, 3) and (3, 3)."
        )
    if not len(s):
        raise JaxmatError(f"{what} has no atoms; give at least one.")
    with np.errstate(all="ignore"):
        r = s @ box.T
    if not (np.isfinite(r).all() and np.isfinite(box).all()):
        raise JaxmatError(f"{what} holds NaN or infinity; give finite numbers.")
    if np.linalg.matrix_rank(box) < 3:
        raise JaxmatError(
            f"{what} has a box without volume; give lattice vectors that span one."
        )
    if species.dtype.kind not in "iu" or species.min() < 0:
        raise JaxmatError(
            f"{what} has species {species.min()} of type {species.dtype}; give whole "
            "numbers from 0."
        )
    return r, box, species


def _check_symbols(symbols: Sequence[str]) -> None:
    if isinstance(symbols, str):
        raise JaxmatError(
            f"`symbols` is the text {symbols!r}; give a name for each species, such as "
            f"({symbols!r},)."
        )
    for k, x in enumerate(symbols):
        if not isinstance(x, str) or x.split() != [x] or not x.isprintable():
            raise JaxmatError(f"{x!r} names a species; use a name without blanks.")
        if x in symbols[:k]:
            raise JaxmatError(
                f"{x!r} names two species, which would be one in the file; give each a "
                "name of its own."
            )


def read_xyz(path: str | os.PathLike) -> Frames:
    """Read all frames; blank lines between them are skipped.

    Returns:
        Atoms of each frame, and the names of the species in order of appearance.

    Raises:
        JaxmatError: if there is no such file, a frame was cut off, has no box or is not
            periodic, or its columns are not as described.
    """
    name = Path(path).name
    lines, k = decode(read_bytes(path)).splitlines(), 0
    frames, symbols = [], {}
    while k < len(lines):
        if not lines[k].strip():
            k += 1
            continue
        count, box = _header(name, lines[k : k + 2])
        kind, place, width = _columns(name, lines[k + 1])
        rows = [line.split() for line in lines[k + 2 : k + 2 + count]]
        if len(rows) < count or any(len(row) < width for row in rows):
            raise JaxmatError(
                f"`{name}` ends within frame {len(frames)} or has a line that is too "
                "short; it was cut off, write it again."
            )
        s = _fractional(name, box, [row[place : place + 3] for row in rows])
        species = [symbols.setdefault(row[kind], len(symbols)) for row in rows]
        packed = jnp.asarray(s), jnp.asarray(box), jnp.asarray(species, jnp.int32)
        frames.append(Atoms(*packed))
        k += 2 + count
    if not frames:
        raise JaxmatError(
            f"`{name}` has no frames; it is no extended XYZ file, or was cut off."
        )
    return Frames(frames, tuple(symbols))


def _header(name: str, lines: list[str]) -> tuple[int, np.ndarray]:
    """Number of atoms, and their box."""
    count = lines[0].strip()
    if not re.fullmatch("0*[1-9][0-9]{0,15}", count) or len(lines) < 2:
        raise JaxmatError(
            f"`{name}` has {count[:40]!r} where the number of atoms belongs; it is no "
            "extended XYZ file, or was cut off."
        )
    lattice = re.search(r'(?<!\S)Lattice="([^"]*)"', lines[1])
    try:
        numbers = [float(x) for x in lattice.group(1).split()] if lattice else []
    except ValueError:
        numbers = []
    box = np.reshape(numbers, (3, 3)).T if len(numbers) == 9 else np.zeros((3, 3))
    if not np.isfinite(box).all() or np.linalg.matrix_rank(box) < 3:
        raise JaxmatError(
            f"`{name}` has a frame without a Lattice of nine numbers and a volume; "
            "periodic atoms need one."
        )
    periodic = re.search(r'(?<!\S)pbc="([^"]*)"', lines[1])
    if periodic and "F" in periodic.group(1).upper():
        raise JaxmatError(
            f'`{name}` has pbc="{periodic.group(1)[:20]}"; atoms are periodic here, '
            'give a box wide enough and pbc="T T T".'
        )
    return int(count), box


def _columns(name: str, comment: str) -> tuple[int, int, int]:
    """Columns of the names and of the positions, and how many there are."""
    described = re.search(r"(?<!\S)Properties=(\S+)", comment)
    words = (described.group(1) if described else "species:S:1:pos:R:3").split(":")
    names, widths = words[::3], words[2::3]
    width = dict(zip(names, widths, strict=False))
    whole = all(re.fullmatch("[1-9][0-9]{0,3}", x) for x in widths)
    fits = (width.get("species"), width.get("pos")) == ("1", "3")
    if len(words) % 3 or len(width) < len(names) or not (whole and fits):
        raise JaxmatError(
            f"`{name}` has Properties {':'.join(words)[:60]!r}; it needs species of "
            "one column, pos of three, and others of one or more."
        )
    ends = list(itertools.accumulate(map(int, widths), initial=0))
    starts = dict(zip(names, ends, strict=False))
    return starts["species"], starts["pos"], ends[-1]


def _fractional(name: str, box: np.ndarray, places: list[list[str]]) -> np.ndarray:
    """Fractional positions of Cartesian ones."""
    try:
        r = np.array([[float(x) for x in place] for place in places])
    except ValueError as error:
        raise JaxmatError(
            f"`{name}` has an atom without a place: {str(error)[:80]}."
        ) from error
    with np.errstate(all="ignore"):
        s = np.linalg.solve(box, r.T).T
    if not np.isfinite(s).all():
        raise JaxmatError(f"`{name}` has an atom at infinity; write it again.")
    return s
