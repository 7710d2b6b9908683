"""Decides how the HDF5 files of EDAX (`.h5`, `.oh5`) and Oxford (`.h5oina`) are read.

EDAX: `/<scan>/EBSD/{Data,Header}`, one dataset per column as in `.ang`.
Oxford: `/1/EBSD/{Data,Header}` after the H5OINA specification, all angles in radians.
Both store one value per point, x fastest.
"""

import os
from pathlib import Path

import h5py
import numpy as np

from jaxmat._check import JaxmatError
from jaxmat.io import _h5, _text
from jaxmat.io._ang import edax_grid, is_unindexed
from jaxmat.io._ang import laue_of as edax_laue_of
from jaxmat.io._ctf import laue_of as oxford_laue_of
from jaxmat.io._frames import EDAX_TO_MAP, OXFORD_TO_MAP, Scan, check_count
from jaxmat.microstructure import Phase

SIGNATURE = b"\x89HDF\r\n\x1a\n"


def scan_vendor_h5(path: str | os.PathLike) -> Scan:
    """The points of an EDAX or Oxford HDF5 file: the first EBSD map in it.

    Raises:
        JaxmatError: for a damaged file, one of another kind, or one whose points do
            not match its header.
    """
    with _h5.opened_hdf5(path) as file:
        return _scan(Path(path).name, file)


def _scan(name: str, file: h5py.File) -> Scan:
    """Find the map, and whose it is."""
    for group in file.values():
        ebsd = group.get("EBSD") if isinstance(group, h5py.Group) else None
        if isinstance(ebsd, h5py.Group) and "Data" in ebsd and "Header" in ebsd:
            data, header = _h5.group(ebsd, "Data"), _h5.group(ebsd, "Header")
            return (_oxford if "Euler" in data else _edax)(name, data, header)
    if "jaxmat_schema" in file.attrs:
        raise JaxmatError(
            f"`{name}` was written by jaxmat; read it with jaxmat.io.read_hdf5."
        )
    raise JaxmatError(
        f"`{name}` is an HDF5 file without an EBSD map (EDAX: /<scan>/EBSD/Data, "
        "Oxford: /1/EBSD/Data); export the map, not the project."
    )


def _edax(name: str, data: h5py.Group, header: h5py.Group) -> Scan:
    """EDAX's layout, as OIM 7 and later write it."""
    phi1 = _column(name, data, "Phi1")
    columns, rows = _count(name, header, "nColumns"), _count(name, header, "nRows")
    steps = (_float(name, header, "Step X"), _float(name, header, "Step Y"))
    kind = _entry(header, "Grid Type") or ""
    full = len(phi1) == columns * rows
    lengths = (columns, columns if full else columns - 1, rows)
    cells, steps, pixel = edax_grid(name, kind, lengths, steps, len(phi1))
    pixel = slice(None) if pixel is None else pixel
    angles = [phi1, _column(name, data, "Phi"), _column(name, data, "Phi2")]
    confidence = _column(name, data, "CI")
    number = _column(name, data, "Phase")
    valid = _column(name, data, "Valid") if "Valid" in data else np.zeros(len(phi1))
    _check_lengths(name, [*angles, confidence, number, valid])
    euler = np.stack(angles, axis=1)
    phases, known = _edax_phases(name, header)
    phase = _text.phase_numbers(name, number, known)
    phase[is_unindexed(euler, confidence) | (valid != 0)] = -1
    return Scan(
        name=name,
        cells=cells,
        steps=steps,
        euler_bunge=euler[pixel],
        phase=phase[pixel],
        phases=phases,
        confidence=np.clip(confidence, 0.0, 1.0)[pixel],
        to_map=EDAX_TO_MAP[_mounting(name, header)],
        hexagonal_x_is_a=True,
    )


def _edax_phases(
    name: str, header: h5py.Group
) -> tuple[tuple[Phase, ...], dict[int, int]]:
    """Phases and our index by EDAX's number: with one phase, 0 is that phase."""
    groups = _numbered(name, _h5.group(header, "Phase"))
    phases = tuple(
        Phase(
            _entry(group, "MaterialName") or "",
            edax_laue_of(name, _entry(group, "Symmetry") or ""),
        )
        for group in groups.values()
    )
    known = {number: index for index, number in enumerate(groups)} | {-1: -1}
    known.setdefault(0, 0 if len(phases) == 1 else -1)
    return phases, known


def _mounting(name: str, header: h5py.Group) -> int:
    """How the sample lay in front of the detector, 1 where the file does not say."""
    system = header.get("Coordinate System")
    text = _entry(system, "ID") if isinstance(system, h5py.Group) else None
    number = 1 if text is None else _text.whole(name, "Coordinate System ID", text)
    if number not in EDAX_TO_MAP:
        raise JaxmatError(
            f"`{name}` has Coordinate System {number}; EDAX numbers them 1 to 4."
        )
    return number


def _oxford(name: str, data: h5py.Group, header: h5py.Group) -> Scan:
    """Oxford's layout, H5OINA 1 to 8; the angles refer to the scanned surface (CS1)."""
    euler = _column(name, data, "Euler", width=3)
    cells = (_count(name, header, "X Cells"), _count(name, header, "Y Cells"))
    check_count(name, cells, len(euler))
    groups = _numbered(name, _h5.group(header, "Phases"))
    known = {number: index for index, number in enumerate(groups)} | {0: -1}
    phase = _text.phase_numbers(name, _column(name, data, "Phase"), known)
    _check_lengths(name, [euler, phase])
    return Scan(
        name=name,
        cells=cells,
        steps=(_float(name, header, "X Step"), _float(name, header, "Y Step")),
        euler_bunge=euler,
        phase=phase,
        phases=tuple(
            Phase(
                _entry(group, "Phase Name") or "",
                oxford_laue_of(name, _entry(group, "Laue Group") or ""),
            )
            for group in groups.values()
        ),
        confidence=np.full(len(euler), np.nan),
        to_map=OXFORD_TO_MAP,
        hexagonal_x_is_a=False,
    )


def _numbered(name: str, group: h5py.Group) -> dict[int, h5py.Group]:
    """Subgroups by their number, in order."""
    numbered = {
        _text.whole(name, "phase number", str(key)): _h5.group(group, str(key))
        for key in group
    }
    if not numbered:
        raise JaxmatError(f"`{name}` names no phase; export it again.")
    return dict(sorted(numbered.items()))


def _column(name: str, group: h5py.Group, key: str, width: int = 1) -> np.ndarray:
    """A dataset as floats, (points,) or (points, width)."""
    if key not in group:
        raise JaxmatError(
            f"`{name}` has no {group.name}/{key}; export it again with all columns."
        )
    dataset = _h5.dataset(group, key)
    with np.errstate(invalid="ignore", over="ignore"):  # damaged floats
        values = _h5.array(dataset).astype(float, casting="same_kind")
    if values.size != dataset.shape[0] * width:
        raise JaxmatError(
            f"`{name}` has {group.name}/{key} of shape {dataset.shape}; {width} per "
            "point expected."
        )
    return values.reshape(-1) if width == 1 else values.reshape(-1, width)


def _check_lengths(name: str, columns: list[np.ndarray]) -> None:
    """Raise unless every column has as many points as the first."""
    lengths = [len(column) for column in columns]
    if len(set(lengths)) != 1:
        raise JaxmatError(
            f"`{name}` has columns of {sorted(set(lengths))} points; the file was "
            "damaged, export it again."
        )


def _entry(group: h5py.Group, key: str) -> str | None:
    """A header value (vendors store scalars as one-element arrays) as text."""
    if key not in group:
        return None
    dataset = _h5.dataset(group, key)
    if dataset.size != 1:
        raise TypeError(f"{dataset.name} is not a single value")
    value = _h5.array(dataset).ravel()[0]
    return _text.decode(value) if isinstance(value, bytes) else str(value)


def _count(name: str, group: h5py.Group, key: str) -> int:
    return _text.whole(name, key, _entry(group, key))


def _float(name: str, group: h5py.Group, key: str) -> float:
    return _text.number(name, key, _entry(group, key))
