"""LAMMPS data files (atom_style atomic): boxes in LAMMPS's orientation.

LAMMPS wants the first lattice vector along x and the second in the xy plane. A box in
another orientation is turned on writing, and so are its atoms; a reader gets LAMMPS's
orientation. Fractional positions do not notice. Species are types less one.
"""

import os
from collections.abc import Sequence
from pathlib import Path

import jax.numpy as jnp
import numpy as np

from jaxmat._check import JaxmatError
from jaxmat.atoms import Atoms
from jaxmat.io._atomic import atomic_path
from jaxmat.io._text import decode, read_bytes


def write_lammps(
    path: str | os.PathLike,
    atoms: Atoms,
    *,
    masses: Sequence[float] | None = None,
    num_species: int | None = None,
) -> None:
    """Write a data file with one periodic box, its origin at zero.

    Numbers are written with all their digits. A left-handed box is refused: no rotation
    brings it into LAMMPS's orientation.

    Args:
        path: file to write, replaced if it exists.
        atoms: in three dimensions; images are taken into the box.
        masses: one for each species; left out of the file by default.
        num_species: types declared; by default as many as there are.

    Raises:
        JaxmatError: if the atoms are in a plane, the box is left-handed or a number is
            not finite, or the file cannot be written.
    """
    s, box = np.asarray(atoms.positions, float), np.asarray(atoms.box, float)
    if box.shape != (3, 3):
        raise JaxmatError("a LAMMPS data file has three dimensions; give 3D atoms.")
    if not (np.isfinite(s).all() and np.isfinite(box).all()):
        raise JaxmatError("`atoms` holds NaN or infinity; give finite numbers.")
    if np.linalg.det(box) <= 0:
        raise JaxmatError(
            "the box is left-handed; exchange two lattice vectors and positions."
        )
    upper = np.linalg.qr(box)[1]
    upper = upper * np.sign(np.diag(upper))[:, None]
    r = (s % 1.0) @ upper.T
    types = np.asarray(atoms.species) + 1
    count = max(int(types.max()), len(masses or ()), num_species or 1)
    (xx, xy, xz), (_, yy, yz), (_, _, zz) = upper.tolist()
    lines = [
        "LAMMPS data file written by jaxmat",
        "",
        f"{len(r)} atoms",
        f"{count} atom types",
        "",
        f"0.0 {xx!r} xlo xhi",
        f"0.0 {yy!r} ylo yhi",
        f"0.0 {zz!r} zlo zhi",
        f"{xy!r} {xz!r} {yz!r} xy xz yz",
        "",
    ]
    if masses is not None:
        lines += ["Masses", ""]
        lines += [f"{k + 1} {float(m)!r}" for k, m in enumerate(masses)] + [""]
    lines += ["Atoms # atomic", ""]
    for k, (kind, (x, y, z)) in enumerate(zip(types, r.tolist(), strict=True)):
        lines.append(f"{k + 1} {kind} {x!r} {y!r} {z!r}")
    with atomic_path(path) as temporary:
        temporary.write_text("\n".join(lines) + "\n")


def read_lammps(path: str | os.PathLike) -> Atoms:
    """Read box and atoms of a data file of `atom_style atomic`, in order of their ids.

    Returns:
        Atoms in LAMMPS's orientation, the origin of the box at zero, image flags
        dropped.

    Raises:
        JaxmatError: if there is no such file, it was cut off, it is no data file, or
            of another style.
    """
    name = Path(path).name
    text = decode(read_bytes(path)).splitlines()[1:]
    _check_style(name, text)
    lines = [line.split("#", 1)[0].strip() for line in text]
    header, rows = _split(name, lines)
    count = int(_entry(name, header, "atoms")[0])
    low, high = zip(*(_entry(name, header, f"{k}lo {k}hi") for k in "xyz"), strict=True)
    xy, xz, yz = header.get("xy xz yz", (0.0, 0.0, 0.0))
    lengths = np.subtract(high, low)
    if count < 1 or not (lengths > 0).all():
        raise JaxmatError(f"`{name}` has no atoms or no volume; write it again.")
    box = np.diag(lengths) + np.array([[0, xy, xz], [0, 0, yz], [0, 0, 0]])
    if len(rows) != count or any(len(row) not in (5, 8) for row in rows):
        raise JaxmatError(
            f"`{name}` promises {count} atoms and has {len(rows)} whole lines of them; "
            "it was cut off, or its atom_style is not atomic."
        )
    try:
        numbers = np.array([[float(x) for x in row[:5]] for row in rows])
    except ValueError as error:
        raise JaxmatError(
            f"`{name}` has an atom that is no number; {error}."
        ) from error
    numbers = numbers[np.argsort(numbers[:, 0], kind="stable")]
    s = np.linalg.solve(box, (numbers[:, 2:5] - low).T).T
    if not np.isfinite(s).all() or numbers[:, 1].min() < 1:
        raise JaxmatError(f"`{name}` has an atom without a place or type; fix it.")
    species = numbers[:, 1].astype(np.int32) - 1
    if (numbers[:, 1] % 1).any() or len(np.unique(numbers[:, 0])) < count:
        raise JaxmatError(
            f"`{name}` has a type that is no whole number, or an id twice; fix it."
        )
    return Atoms(jnp.asarray(s), jnp.asarray(box), jnp.asarray(species))


def _check_style(name: str, lines: list[str]) -> None:
    for line in lines:
        title, _, style = line.partition("#")
        if title.strip() == "Atoms" and style.strip() not in ("", "atomic"):
            raise JaxmatError(
                f"`{name}` has atom_style {style.strip()}; write it with atomic."
            )


def _split(name: str, lines: list[str]) -> tuple[dict, list[list[str]]]:
    """Header values by their keyword, and the lines of the section of atoms."""
    header, rows, section = {}, [], None
    for line in filter(None, lines):
        if line[0].isalpha():
            section = line
        elif section is None:
            words = line.split()
            numbers = [w for w in words if not w[0].isalpha()]
            key = " ".join(words[len(numbers) :])
            try:
                header[key] = tuple(float(x) for x in numbers)
            except ValueError as error:
                raise JaxmatError(
                    f"`{name}` is no LAMMPS data file: its header has {line[:40]!r}."
                ) from error
        elif section == "Atoms":
            rows.append(line.split())
    return header, rows


def _entry(name: str, header: dict, key: str) -> tuple[float, ...]:
    found = header.get(key)
    if not found or len(found) != len(key.split()):
        raise JaxmatError(
            f"`{name}` has no line '{key}' in its header; it is no LAMMPS data file, "
            "or was cut off."
        )
    return found
