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
from jaxtyping import Array, Real

from jaxmat._check import JaxmatError, check_positive
from jaxmat.atoms import Atoms
from jaxmat.io._atomic import atomic_path
from jaxmat.io._text import decode, read_bytes
from jaxmat.io._xyz import in_space


def write_lammps(
    path: str | os.PathLike,
    atoms: Atoms,
    *,
    masses: Sequence[float] | Real[Array | np.ndarray, "..."] | None = None,
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
        JaxmatError: if the atoms are in a plane, the box is left-handed, a number is
            not finite, species or masses are not as many as declared, or the file
            cannot be written.
    """
    _, box, species = in_space("`atoms`", atoms)
    if np.linalg.det(box) <= 0:
        raise JaxmatError(
            "the box is left-handed; exchange two lattice vectors and positions."
        )
    weights = None if masses is None else np.asarray(masses, float)
    count = _declared(int(species.max()) + 1, weights, num_species)
    upper = np.linalg.qr(box)[1]
    upper = upper * np.sign(np.diag(upper))[:, None]
    r = (np.asarray(atoms.positions, float) % 1.0) @ upper.T
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
    if weights is not None:
        lines += ["Masses", ""]
        lines += [f"{k + 1} {m!r}" for k, m in enumerate(weights.tolist())] + [""]
    lines += ["Atoms # atomic", ""]
    for k, (kind, (x, y, z)) in enumerate(zip(species, r.tolist(), strict=True)):
        lines.append(f"{k + 1} {kind + 1} {x!r} {y!r} {z!r}")
    with atomic_path(path) as temporary:
        temporary.write_text("\n".join(lines) + "\n")


def _declared(used: int, masses: np.ndarray | None, num_species: int | None) -> int:
    """How many species the file declares."""
    count = num_species
    if count is None:
        count = used if masses is None else max(used, masses.size)
    if count < used:
        raise JaxmatError(
            f"`num_species` is {count} and the atoms have {used}; give that or more."
        )
    if masses is not None:
        if masses.shape != (count,):
            raise JaxmatError(
                f"`masses` has shape {masses.shape} and there are {count} species; "
                "give one for each."
            )
        check_positive("masses", masses)
    return count


def read_lammps(path: str | os.PathLike) -> Atoms:
    """Read box and atoms of a data file of `atom_style atomic`, in order of their ids.

    Returns:
        Atoms in LAMMPS's orientation, the origin of the box at zero, image flags
        dropped.

    Raises:
        JaxmatError: if there is no such file, it was cut off or damaged, it is no data
            file, or of another style.
    """
    name = Path(path).name
    text = decode(read_bytes(path)).splitlines()[1:]
    _check_style(name, text)
    lines = [line.split("#", 1)[0].strip() for line in text]
    header, rows = _split(name, lines)
    count, types = (_whole(name, header, key) for key in ("atoms", "atom types"))
    low, box = _box(name, header)
    if len(rows) != count or any(len(row) not in (5, 8) for row in rows):
        raise JaxmatError(
            f"`{name}` promises {count} atoms and has {len(rows)} whole lines of them; "
            "it was cut off, or its atom_style is not atomic."
        )
    numbers = _sorted(name, rows)
    with np.errstate(all="ignore"):
        s = np.linalg.solve(box, (numbers[:, 2:] - low).T).T
    if not np.isfinite(s).all():
        raise JaxmatError(f"`{name}` has an atom without a place; fix it.")
    first, last = numbers[:, 1].min(), numbers[:, 1].max()
    if first < 1 or last > types:
        raise JaxmatError(
            f"`{name}` has {types} atom types and an atom of type "
            f"{first if first < 1 else last:g}; fix one of them."
        )
    species = numbers[:, 1].astype(np.int32) - 1
    return Atoms(jnp.asarray(s), jnp.asarray(box), jnp.asarray(species))


def _check_style(name: str, lines: list[str]) -> None:
    for line in lines:
        title, _, style = line.partition("#")
        if title.strip() == "Atoms" and style.strip() not in ("", "atomic"):
            raise JaxmatError(
                f"`{name}` has atom_style {style.strip()[:40]}; write it with atomic."
            )


def _split(name: str, lines: list[str]) -> tuple[dict, list[list[str]]]:
    """Header values by their keyword, and the lines of the section of atoms."""
    header, rows, section = {}, [], None
    for line in filter(None, lines):
        if line[0].isupper() or (section and line[0].isalpha()):
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


def _sorted(name: str, rows: list[list[str]]) -> np.ndarray:
    """Id, type and position of the atoms, in order of their ids."""
    try:
        numbers = np.array([[float(x) for x in row[:5]] for row in rows])
        images = np.array([float(x) for row in rows for x in row[5:]])
    except ValueError as error:
        raise JaxmatError(
            f"`{name}` has an atom that is no number; {str(error)[:80]}."
        ) from error
    with np.errstate(all="ignore"):
        fractions = np.concatenate([numbers[:, :2].ravel(), images]) % 1
    if fractions.any() or len(np.unique(numbers[:, 0])) < len(rows):
        raise JaxmatError(
            f"`{name}` has an id, a type or an image that is no whole number, or an id "
            "twice; fix it."
        )
    return numbers[np.argsort(numbers[:, 0])]


def _entry(name: str, header: dict, key: str, size: int) -> tuple[float, ...]:
    found = header.get(key, ())
    if len(found) != size or not np.isfinite(found).all():
        raise JaxmatError(
            f"`{name}` has no line '{'<number> ' * size}{key}' in its header; it is no "
            "LAMMPS data file, or was cut off."
        )
    return found


def _whole(name: str, header: dict, key: str) -> int:
    """A number of things, at least one."""
    (value,) = _entry(name, header, key, 1)
    if value < 1 or value % 1 or value >= 2**31:
        raise JaxmatError(
            f"`{name}` has {value:g} {key}; a whole number from 1 is needed, write it "
            "again."
        )
    return int(value)


def _box(name: str, header: dict) -> tuple[np.ndarray, np.ndarray]:
    """Origin of the box, and its lattice vectors."""
    *sides, tilts = keys = ("xlo xhi", "ylo yhi", "zlo zhi", "xy xz yz")
    for key in header:
        if key not in keys and set(key.split()) & set(" ".join(keys).split()):
            raise JaxmatError(
                f"`{name}` has a line '{key[:40]}' in its header; the lines of a box "
                f"are {', '.join(keys)}."
            )
    low, high = np.array([_entry(name, header, key, 2) for key in sides]).T
    xy, xz, yz = _entry(name, header, tilts, 3) if tilts in header else (0.0,) * 3
    with np.errstate(all="ignore"):
        lengths = high - low
    if not (np.isfinite(lengths).all() and (lengths > 0).all()):
        raise JaxmatError(f"`{name}` has a box without volume; write it again.")
    return low, np.diag(lengths) + np.array([[0, xy, xz], [0, 0, yz], [0, 0, 0]])
