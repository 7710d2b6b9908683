"""Decides how a TSL/EDAX `.ang` file is read and written.

Layout: header lines that begin with `#`, then one line per point, x fastest: three
Bunge angles in radians, x, y, image quality, confidence index, phase number, detector
signal, fit. A point that was not indexed has 4 pi for every angle and confidence -1.
"""

import os
import re
from pathlib import Path

import numpy as np

from jaxmat._check import JaxmatError
from jaxmat.io import _text
from jaxmat.io._atomic import atomic_path
from jaxmat.io._frames import (
    EDAX_TO_MAP,
    Scan,
    check_count,
    check_steps,
    from_orientation_map,
    resample_hexagonal,
)
from jaxmat.microstructure import OrientationMap, Phase

UNINDEXED_ANGLE = 4 * np.pi

LAUE = {
    **{"1": "-1", "20": "2/m", "22": "mmm", "4": "4/m"},
    **{"42": "4/mmm", "3": "-3", "32": "-3m", "6": "6/m", "62": "6/mmm"},
    **{"23": "m-3", "43": "m-3m"},
}
"""Laue group by EDAX's symmetry number: the rotation axes of the proper point group.
Of the monoclinic 2, 20 and 21 (twofold axis along c, b, a) only b is our setting."""

_NUMBER = {laue: code for code, laue in LAUE.items()}
_COLUMNS = 8  # up to the phase number


def scan_ang(path: str | os.PathLike) -> Scan:
    """The points of a `.ang` file; a hexagonal grid is resampled to a square one.

    A single phase may be numbered 0 or 1, several are numbered as in the header and 0
    is not indexed. Confidence is clipped to 0 ... 1.

    Raises:
        JaxmatError: for a file that is not whole, whose points do not match its
            header, or whose grid, phase or symmetry is unknown.
    """
    name = Path(path).name
    lines = _text.decode(_text.read_bytes(path)).splitlines()
    header = [line.lstrip()[1:].strip() for line in lines if line.lstrip()[:1] == "#"]
    fields, phases, numbers = _parse_header(name, header)
    points = [line for line in lines if line.lstrip()[:1] != "#"]
    data = _text.table(name, points, _COLUMNS)
    cells, steps, pixel = _grid(name, fields, len(data))
    data = data if pixel is None else data[pixel]
    known = {number: index for index, number in enumerate(numbers)} | {-1: -1}
    known.setdefault(0, 0 if len(phases) == 1 else -1)
    if len(phases) == 1:
        known.setdefault(1, 0)
    phase_column = data[:, _phase_column(fields, data, known)]
    phase = _text.phase_numbers(name, phase_column, known)
    phase = np.where(is_unindexed(data[:, :3], data[:, 6]), -1, phase)
    return Scan(
        name=name,
        cells=cells,
        steps=steps,
        euler_bunge=data[:, :3],
        phase=phase,
        phases=phases,
        confidence=np.clip(data[:, 6], 0.0, 1.0),
        to_map=EDAX_TO_MAP[1],
        hexagonal_x_is_a=True,
    )


def is_unindexed(euler_bunge: np.ndarray, confidence: np.ndarray) -> np.ndarray:
    """Where EDAX's software marks a point as not indexed."""
    with np.errstate(invalid="ignore"):  # damaged files hold inf, and inf - inf
        marked = np.abs(euler_bunge - UNINDEXED_ANGLE).max(axis=1) < 1e-3
    return marked | (confidence == -1.0)


def edax_grid(
    name: str,
    kind: str,
    rows: tuple[int, int, int],
    steps: tuple[float, float],
    found: int,
) -> tuple[tuple[int, int], tuple[float, float], np.ndarray | None]:
    """Pixels along x and y, steps, and the point of each pixel (`None`: in order).

    Args:
        name: file name, for messages.
        kind: "SqrGrid" or "HexGrid".
        rows: points in odd rows, in even rows, number of rows.
        steps: along a row, between rows; micrometres.
        found: number of points in the file.
    """
    odd, even, count = rows
    check_steps(name, steps)
    if kind.lower() == "sqrgrid":
        check_count(name, (odd, count), found)
        return (odd, count), steps, None
    if kind.lower() != "hexgrid":
        raise JaxmatError(f"`{name}` has grid {kind!r}; SqrGrid and HexGrid are read.")
    total = odd * ((count + 1) // 2) + even * (count // 2)
    if total != found or min(odd, even, count) < 1:
        raise JaxmatError(
            f"`{name}` holds {found} points, its header says {count} rows of {odd} and "
            f"{even}; the file was cut off or edited, export it again."
        )
    pixel, cells = resample_hexagonal(rows, steps, name)
    return cells, (steps[0], steps[0]), pixel


def _parse_header(
    name: str, header: list[str]
) -> tuple[dict[str, str], tuple[Phase, ...], list[int]]:
    """Header values by key, phases, and the numbers of the phases."""
    fields: dict[str, str] = {}
    found: list[dict[str, str]] = []
    for line in header:
        key, _, value = line.replace("\t", " ").partition(" ")
        key, value = key.rstrip(":"), value.strip()
        # Old files with one phase leave the line "Phase 1" out.
        if key == "Phase" or (key == "MaterialName" and not found):
            found.append({"Phase": value if key == "Phase" else "1"})
        if found and key in ("MaterialName", "Symmetry"):
            found[-1][key] = value
        fields.setdefault(key, value)
    if not found:
        raise JaxmatError(
            f"`{name}` names no phase in its header; it is not a whole .ang file, "
            "export it again."
        )
    phases = tuple(
        Phase(entry.get("MaterialName", ""), laue_of(name, entry.get("Symmetry", "")))
        for entry in found
    )
    return fields, phases, [_text.whole(name, "Phase", e["Phase"]) for e in found]


def laue_of(name: str, symmetry: str) -> str:
    """Laue group of EDAX's symmetry number.

    Raises:
        JaxmatError: if the number is not one of the eleven groups.
    """
    spelt = symmetry.strip().replace("m3m", "m-3m").replace("m3", "m-3")
    if spelt not in LAUE and spelt not in LAUE.values():
        raise JaxmatError(
            f"`{name}` has a phase with Symmetry {symmetry[:40]!r}; EDAX numbers "
            f"{', '.join(LAUE)} are read (monoclinic: unique axis b)."
        )
    return LAUE.get(spelt, spelt)


def _grid(name: str, fields: dict[str, str], found: int):
    """`edax_grid` from the header of a `.ang` file."""
    odd, even, rows = (
        _text.whole(name, key, fields.get(key))
        for key in ("NCOLS_ODD", "NCOLS_EVEN", "NROWS")
    )
    steps = (
        _text.number(name, "XSTEP", fields.get("XSTEP")),
        _text.number(name, "YSTEP", fields.get("YSTEP")),
    )
    kind = fields.get("GRID", "")
    return edax_grid(name, kind, (odd, even, rows), steps, found)


def _phase_column(
    fields: dict[str, str], data: np.ndarray, known: dict[int, int]
) -> int:
    """Where the phase number is: named since version 7, else the eighth.

    Files of nine columns come in two kinds; some have the fit before the phase.
    """
    named = re.split(r"\s*,\s*", fields.get("COLUMN_HEADERS", "").lower())
    for title in ("phase", "phase index"):
        if title in named[: data.shape[1]]:
            return named.index(title)
    fit_first = data.shape[1] == 9 and not np.isin(data[:, 7], list(known)).all()
    return 8 if fit_first else 7


def write_ang(path: str | os.PathLike, m: OrientationMap) -> None:
    """Write a map as a TSL/EDAX `.ang` file on a square grid.

    Orientations are written in EDAX's sample frame (A1 down the image, A2 right, A3
    out of the specimen), as `read_ebsd` expects, with six decimals. Unindexed points
    get 4 pi and confidence -1; a confidence that is not known (NaN) is written as 1,
    because other software drops points of low confidence. A map carries no lattice
    constants: those in the header are placeholders.

    Args:
        path: file to write, replaced if it exists.
        m: a two-dimensional map.

    Raises:
        JaxmatError: if the map is inconsistent, a Laue group is unknown, or the file
            cannot be written.
    """
    scan = from_orientation_map(
        m, Path(path).name, EDAX_TO_MAP[1], hexagonal_x_is_a=True
    )
    (nx, ny), indexed = scan.cells, scan.phase >= 0
    confidence = np.where(np.isnan(scan.confidence), 1.0, scan.confidence)
    table = np.column_stack(
        [
            np.where(indexed[:, None], scan.euler_bunge, UNINDEXED_ANGLE),
            np.tile(np.arange(nx) * scan.steps[0], ny),
            np.repeat(np.arange(ny) * scan.steps[1], nx),
            np.zeros(nx * ny),
            np.where(indexed, confidence, -1.0),
            np.maximum(scan.phase + 1, len(scan.phases) == 1),
            np.zeros(nx * ny),
            np.zeros(nx * ny),
        ]
    )
    formats = [*["%9.6f"] * 3, *["%12.6f"] * 2, "%.1f", "%.6f", "%d", "%d", "%.3f"]
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8") as file:
        file.write("".join(f"# {line}\n" for line in _header_lines(scan)))
        np.savetxt(file, table, fmt="  ".join(formats))


def _header_lines(scan: Scan) -> list[str]:
    """The header that OIM and other readers look for."""
    lines = ["TEM_PIXperUM          1.000000", "x-star 0", "y-star 0", "z-star 0"]
    lines += ["WorkingDistance 0", ""]
    for index, phase in enumerate(scan.phases, start=1):
        if phase.laue not in _NUMBER:
            raise JaxmatError(
                f"phase {phase.name!r} has Laue group {phase.laue!r}; choose one of "
                f"{', '.join(_NUMBER)}."
            )
        gamma = 120 if phase.laue in ("-3", "-3m", "6/m", "6/mmm") else 90
        title = " ".join(phase.name.split())
        lines += [
            f"Phase {index}",
            f"MaterialName  \t{title}",
            f"Formula     \t{title}",
        ]
        lines += ["Info \t\t", f"Symmetry              {_NUMBER[phase.laue]}"]
        lines += [
            f"LatticeConstants      1.000 1.000 1.000  90.000  90.000 {gamma}.000"
        ]
        lines += ["NumberFamilies        0", "Categories 0 0 0 0 0 ", ""]
    (nx, ny), (dx, dy) = scan.cells, scan.steps
    lines += ["GRID: SqrGrid", f"XSTEP: {dx:.9g}", f"YSTEP: {dy:.9g}"]
    lines += [f"NCOLS_ODD: {nx}", f"NCOLS_EVEN: {nx}", f"NROWS: {ny}", ""]
    return [*lines, "OPERATOR: \tjaxmat", "", "SAMPLEID: \t", "", "SCANID: \t", ""]
