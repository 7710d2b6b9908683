"""Decides how an Oxford/Channel 5 `.ctf` text file is read and written.

Layout: a tab-separated header that begins with "Channel Text File" and ends with the
phases and the column titles, then one line per point, x fastest: phase number (0: not
indexed), x, y, bands, error, three Bunge angles in degrees, and qualities.
"""

import os
from pathlib import Path

import numpy as np

from jaxmat._check import JaxmatError
from jaxmat.io import _text
from jaxmat.io._atomic import atomic_path
from jaxmat.io._frames import (
    OXFORD_LAUE,
    OXFORD_TO_MAP,
    Scan,
    check_count,
    conjugate,
    from_euler,
    from_orientation_map,
    multiply,
)
from jaxmat.microstructure import OrientationMap, Phase

SIGNATURE = "Channel Text File"
_NUMBER = {laue: number for number, laue in OXFORD_LAUE.items()}
_NEEDED = ("phase", "euler1", "euler2", "euler3")
_TITLES = "Phase\tX\tY\tBands\tError\tEuler1\tEuler2\tEuler3\tMAD\tBC\tBS"


def scan_ctf(path: str | os.PathLike) -> Scan:
    """The points of a `.ctf` file.

    Angles refer to the specimen (CS0); where the header says that the scanned surface
    (CS1) is turned against it (AcqE1 to AcqE3), that rotation is undone. The format
    has no confidence between 0 and 1: it is NaN.

    Raises:
        JaxmatError: for a file that is not whole, whose points do not match its
            header, or whose phase or Laue group is unknown.
    """
    name = Path(path).name
    text = _text.decode(_text.read_bytes(path))
    lines = [line for line in text.splitlines() if line.strip()]
    titles_at = _titles_line(name, lines)
    fields = _parse_header(lines[:titles_at])
    phases = _parse_phases(name, lines[:titles_at])
    titles = lines[titles_at].lower().split()
    data = _text.table(name, lines[titles_at + 1 :], len(titles))
    cells = (
        _text.whole(name, "XCells", fields.get("xcells")),
        _text.whole(name, "YCells", fields.get("ycells")),
    )
    check_count(name, cells, len(data))
    phase_column, *euler_columns = (data[:, titles.index(key)] for key in _NEEDED)
    known = {number: number - 1 for number in range(len(phases) + 1)}
    surface = [
        _text.number(name, key, fields.get(key.lower(), "0"))
        for key in ("AcqE1", "AcqE2", "AcqE3")
    ]
    return Scan(
        name=name,
        cells=cells,
        steps=(
            _text.number(name, "XStep", fields.get("xstep")),
            _text.number(name, "YStep", fields.get("ystep")),
        ),
        euler_bunge=np.deg2rad(np.stack(euler_columns, axis=1)),
        phase=_text.phase_numbers(name, phase_column, known),
        phases=phases,
        confidence=np.full(len(data), np.nan),
        to_map=surface_to_map(np.deg2rad(surface)),
        hexagonal_x_is_a=False,
    )


def surface_to_map(surface: np.ndarray) -> np.ndarray:
    """Quaternion, specimen (CS0) -> map frame, from the Euler angles CS1 -> CS0."""
    surface_to_specimen = from_euler(np.asarray(surface, float)[None])[0]
    return multiply(OXFORD_TO_MAP, conjugate(surface_to_specimen))


def _titles_line(name: str, lines: list[str]) -> int:
    """Number of the line that titles the columns, the last of the header."""
    for index, line in enumerate(lines[:1000]):
        titles = line.lower().split()
        if titles[:1] == ["phase"]:
            missing = [key for key in _NEEDED if key not in titles]
            if missing:
                raise JaxmatError(
                    f"`{name}` has no column {', '.join(missing)}; export it again "
                    "with phase and Euler angles."
                )
            return index
    raise JaxmatError(
        f"`{name}` has no line of column titles (Phase, X, Y, ... Euler1); the file "
        "was cut off or edited, export it again."
    )


def _parse_header(lines: list[str]) -> dict[str, str]:
    """Header values by lower-case key."""
    pairs = (line.replace("\t", " ").strip().partition(" ") for line in lines)
    return {key.lower(): value.strip() for key, _, value in pairs}


def _parse_phases(name: str, lines: list[str]) -> tuple[Phase, ...]:
    """The phases, one per line behind the line that counts them."""
    for index, line in enumerate(lines):
        key, _, value = line.replace("\t", " ").strip().partition(" ")
        if key.lower() == "phases":
            count = _text.whole(name, "Phases", value)
            entries = lines[index + 1 : index + 1 + count]
            if len(entries) == count:
                return tuple(_parse_phase(name, entry) for entry in entries)
    raise JaxmatError(
        f"`{name}` does not list its phases; the file was cut off or edited, export it "
        "again."
    )


def _parse_phase(name: str, line: str) -> Phase:
    """Lengths, angles, name, Laue number, ... separated by tabs."""
    entries = line.split("\t")
    if len(entries) < 4:
        raise JaxmatError(
            f"`{name}` has the phase {line.strip()[:60]!r}; name and Laue group are "
            "needed, export it again."
        )
    return Phase(entries[2].strip(), laue_of(name, entries[3]))


def laue_of(name: str, text: str) -> str:
    """Laue group of Channel 5's number, 1 to 11.

    Raises:
        JaxmatError: if the number is not one of the eleven groups.
    """
    number = _text.whole(name, "Laue group", text)
    if number not in OXFORD_LAUE:
        raise JaxmatError(
            f"`{name}` has a phase with Laue group {number}; Channel 5 numbers them 1 "
            "to 11."
        )
    return OXFORD_LAUE[number]


def write_ctf(path: str | os.PathLike, m: OrientationMap) -> None:
    """Write a map as an Oxford/Channel 5 `.ctf` file.

    Orientations are written in Oxford's sample frame (x right, y up, z out of the
    specimen) and crystal frame (x along a* in trigonal and hexagonal crystals), as
    `read_ebsd` expects, in degrees with five decimals. The format has no place for
    the confidence. A map carries no lattice constants: those in the header are
    placeholders.

    Args:
        path: file to write, replaced if it exists.
        m: a two-dimensional map.

    Raises:
        JaxmatError: if the map is inconsistent, a Laue group is unknown, or the file
            cannot be written.
    """
    scan = from_orientation_map(
        m, Path(path).name, OXFORD_TO_MAP, hexagonal_x_is_a=False
    )
    (nx, ny), indexed = scan.cells, scan.phase >= 0
    table = np.column_stack(
        [
            scan.phase + 1,
            np.tile(np.arange(nx) * scan.steps[0], ny),
            np.repeat(np.arange(ny) * scan.steps[1], nx),
            np.where(indexed, 8, 0),
            np.where(indexed, 0, 3),
            np.rad2deg(scan.euler_bunge),
            np.zeros((nx * ny, 3)),
        ]
    )
    formats = ["%d", *["%.6f"] * 2, "%d", "%d", *["%.5f"] * 3, "%.4f", "%d", "%d"]
    with (
        atomic_path(path) as temporary,
        temporary.open("w", encoding="utf-8", newline="") as file,
    ):
        file.write("".join(line + "\r\n" for line in _header_lines(scan)))
        np.savetxt(file, table, fmt="\t".join(formats), newline="\r\n")


def _header_lines(scan: Scan) -> list[str]:
    """The header that Channel 5 and other readers look for."""
    (nx, ny), (dx, dy) = scan.cells, scan.steps
    lines = [SIGNATURE, "Prj\tjaxmat", "Author\tjaxmat", "JobMode\tGrid"]
    lines += [f"XCells\t{nx}", f"YCells\t{ny}", f"XStep\t{dx:.9g}", f"YStep\t{dy:.9g}"]
    lines += ["AcqE1\t0", "AcqE2\t0", "AcqE3\t0"]
    lines += [
        "Euler angles refer to Sample Coordinate system (CS0)!\tMag\t1\tCoverage\t100\t"
        "Device\t0\tKV\t0\tTiltAngle\t0\tTiltAxis\t0",
        f"Phases\t{len(scan.phases)}",
    ]
    for phase in scan.phases:
        if phase.laue not in _NUMBER:
            raise JaxmatError(
                f"phase {phase.name!r} has Laue group {phase.laue!r}; choose one of "
                f"{', '.join(_NUMBER)}."
            )
        gamma = 120 if phase.laue in ("-3", "-3m", "6/m", "6/mmm") else 90
        title = " ".join(phase.name.split())
        lines += [
            f"1.000;1.000;1.000\t90;90;{gamma}\t{title}\t{_NUMBER[phase.laue]}\t0"
        ]
    return [*lines, _TITLES]
