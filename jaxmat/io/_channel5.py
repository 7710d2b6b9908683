"""Decides how a Channel 5 project is read: `.cpr` (text) says what `.crc` holds.

Layout of the `.crc`: one packed little-endian record per point, x fastest; the phase
number (one byte, 0: not indexed), then the fields that `[Fields]` of the `.cpr` lists
by number. Learnt from the documentation of DefDAP (Apache-2.0) and checked against
its test map.
"""

import os
from pathlib import Path

import numpy as np

from jaxmat._check import JaxmatError
from jaxmat.io import _text
from jaxmat.io._ctf import laue_of
from jaxmat.io._frames import OXFORD_TO_MAP, Scan, check_count
from jaxmat.microstructure import Phase

_EULER_FIELDS = (3, 4, 5)
_BYTE_FIELDS = range(7, 12)  # band contrast, slope, -, bands, error; others are float32
_MAX_FIELDS = 1000


def scan_channel5(path: str | os.PathLike) -> Scan:
    """The points of a Channel 5 project; give either of its two files.

    Angles are in radians and refer to the scanned surface (CS1). The format has no
    confidence between 0 and 1: it is NaN.

    Raises:
        JaxmatError: if one of the two files is missing, they do not belong together,
            or a phase or Laue group is unknown.
    """
    name = Path(path).name
    sections = _parse_cpr(_text.decode(_text.read_bytes(_sibling(path, ".cpr"))))
    phases = _phases(name, sections)
    job = sections.get("job", {})
    cells = (
        _text.whole(name, "xCells", job.get("xcells")),
        _text.whole(name, "yCells", job.get("ycells")),
    )
    record = _record(name, sections.get("fields", {}))
    raw = _text.read_bytes(_sibling(path, ".crc"))
    check_count(name, cells, len(raw) / record.itemsize)
    points = np.frombuffer(raw, record)
    euler = np.stack([points[f"field{number}"] for number in _EULER_FIELDS], axis=1)
    known = {number: number - 1 for number in range(len(phases) + 1)}
    with np.errstate(invalid="ignore"):  # a damaged file may hold signalling NaN
        euler = euler.astype(float)
    return Scan(
        name=name,
        cells=cells,
        steps=(
            _text.number(name, "GridDistX", job.get("griddistx")),
            _text.number(name, "GridDistY", job.get("griddisty")),
        ),
        euler_bunge=euler,
        phase=_text.phase_numbers(name, points["phase"], known),
        phases=phases,
        confidence=np.full(len(points), np.nan),
        to_map=OXFORD_TO_MAP,
        hexagonal_x_is_a=False,
    )


def _sibling(path: str | os.PathLike, suffix: str) -> Path:
    """The file of the pair that ends in `suffix`, in either case.

    Raises:
        JaxmatError: if it is missing.
    """
    for spelling in (suffix, suffix.upper()):
        candidate = Path(path).with_suffix(spelling)
        if candidate.is_file():
            return candidate
    raise JaxmatError(
        f"`{Path(path).name}` is half of a Channel 5 project; put its other half, "
        f"`{Path(path).with_suffix(suffix).name}`, beside it."
    )


def _parse_cpr(text: str) -> dict[str, dict[str, str]]:
    """Values by section and key, both in lower case."""
    sections: dict[str, dict[str, str]] = {}
    current: dict[str, str] = {}
    for line in text.splitlines():
        line = line.strip()
        if line.startswith("["):
            current = sections.setdefault(line.strip("[]").lower(), {})
        elif "=" in line and not line.startswith(";"):
            key, _, value = line.partition("=")
            current[key.strip().lower()] = value.strip()
    return sections


def _phases(name: str, sections: dict[str, dict[str, str]]) -> tuple[Phase, ...]:
    """The phases, in the order of their numbers."""
    count = _text.whole(name, "[Phases] Count", sections.get("phases", {}).get("count"))
    found = []
    for number in range(1, count + 1):
        entry = sections.get(f"phase{number}")
        if entry is None or "lauegroup" not in entry:
            raise JaxmatError(
                f"`{name}` counts {count} phases but does not describe phase {number}; "
                "the .cpr was cut off or edited, export it again."
            )
        found.append(
            Phase(entry.get("structurename", ""), laue_of(name, entry["lauegroup"]))
        )
    return tuple(found)


def _record(name: str, fields: dict[str, str]) -> np.dtype:
    """What one point occupies in the `.crc`."""
    count = _text.whole(name, "[Fields] Count", fields.get("count"))
    numbers = [
        _text.whole(name, f"Field{index}", fields.get(f"field{index}"))
        for index in range(1, min(count, _MAX_FIELDS) + 1)
    ]
    if len(set(numbers)) != count or not set(_EULER_FIELDS) <= set(numbers):
        raise JaxmatError(
            f"`{name}` lists the fields {numbers[:20]}; 3, 4 and 5 (Euler angles) are "
            "needed, each once: export the project again."
        )
    return np.dtype(
        [("phase", "u1")]
        + [(f"field{n}", "u1" if n in _BYTE_FIELDS else "<f4") for n in numbers]
    )
