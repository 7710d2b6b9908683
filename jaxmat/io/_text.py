"""Decides how bytes become numbers: decoding, tables, header values, their errors."""

import math
import os
from pathlib import Path

import numpy as np

from jaxmat._check import JaxmatError


def read_bytes(path: str | os.PathLike, limit: int = -1) -> bytes:
    """The file, or its first `limit` bytes.

    Raises:
        JaxmatError: if there is no such file or it cannot be read.
    """
    try:
        with Path(path).open("rb") as file:
            return file.read(limit)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise JaxmatError(
            f"cannot read `{os.fspath(path)}`: {reason}; give the path of a file that "
            "you may read."
        ) from error


def decode(raw: bytes) -> str:
    """Text of a vendor's file: UTF-8, or the Windows code page of old ones."""
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def number(name: str, key: str, text: str | None) -> float:
    """A finite header value; the decimal sign may be a comma.

    Raises:
        JaxmatError: if the key was missing (`None`) or the value is not a number.
    """
    if text is None:
        raise JaxmatError(
            f"`{name}` has no {key} in its header; the file was cut off or edited, "
            "export it again."
        )
    try:
        value = float(text.strip().replace(",", "."))
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise JaxmatError(
            f"`{name}` has {key} {text.strip()[:40]!r} in its header; a number is "
            "needed, export it again."
        )
    return value


def whole(name: str, key: str, text: str | None) -> int:
    """A header value that counts something.

    Raises:
        JaxmatError: if it is missing, not whole, or negative.
    """
    value = number(name, key, text)
    if value < 0 or value != int(value):
        raise JaxmatError(
            f"`{name}` has {key} {value:g} in its header; a whole number is needed."
        )
    return int(value)


def table(name: str, lines: list[str], min_columns: int) -> np.ndarray:
    """Numbers in columns; blank lines are skipped, a decimal comma is a point.

    Raises:
        JaxmatError: if there are none, if rows differ in length, if there are fewer
            columns than `min_columns`, or if an entry is not a number.
    """
    if not any(line.strip() for line in lines):
        raise JaxmatError(
            f"`{name}` has a header but no points; the file was cut off, export it "
            "again."
        )
    try:
        numbers = np.loadtxt(
            (line.replace(",", ".") for line in lines), comments=None, ndmin=2
        )
    except ValueError as error:
        raise JaxmatError(
            f"`{name}` has points that are not a table of numbers ({error}); the file "
            "was cut off or edited, export it again."
        ) from error
    if numbers.shape[1] < min_columns:
        raise JaxmatError(
            f"`{name}` has {numbers.shape[1]} columns, {min_columns} or more are "
            "needed; export it again with all columns."
        )
    return numbers


def phase_numbers(name: str, column: np.ndarray, known: dict[int, int]) -> np.ndarray:
    """Our phase index of every point from the file's numbers.

    Raises:
        JaxmatError: if a number is not among the `known`.
    """
    found = np.unique(column)
    for value in found:
        if value not in known:
            named = ", ".join(str(key) for key in list(known)[:20])
            raise JaxmatError(
                f"`{name}` has phase number {value:g} at a point; its header names "
                f"{named}: the file was damaged, or the phase column is elsewhere."
            )
    lookup = np.array([known[int(value)] for value in found])
    return lookup[np.searchsorted(found, column)]
