"""Load paths of a composite in a plane, and the text file that keeps them.

A row is one step: exx eyy gxy sxx syy txy, engineering shear, MPa. A blank line ends a
path. It is the layout of pyprnn's data sets.
"""

import os
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Array, Float

from jaxmat._check import JaxmatError

_ROOT = 2**0.5
_STRAIN = np.array([1, 1, 1 / _ROOT])  # engineering shear to Mandel
_STRESS = np.array([1, 1, _ROOT]) / 1000  # MPa to GPa

Series = Float[Array | np.ndarray, "paths steps 3"]


class Paths(NamedTuple):
    """Strain and stress along load paths of as many steps.

    Attributes:
        eps: Mandel strain in the plane.
        sig: Mandel stress, GPa.
    """

    eps: Series
    sig: Series

    def take(self, which: slice | list[int]) -> "Paths":
        """Some of the paths."""
        return Paths(self.eps[which], self.sig[which])


def read_paths(path: str | os.PathLike) -> Paths:
    """Read load paths of a text file.

    Args:
        path: rows of exx eyy gxy sxx syy txy (engineering shear, MPa), paths separated
            by blank lines.

    Returns:
        Mandel strain and stress, GPa.

    Raises:
        JaxmatError: if the file holds something else, a number is not finite, or the
            paths differ in length.
    """
    blocks: list[list[list[float]]] = [[]]
    for number, line in enumerate(Path(path).read_text().splitlines(), 1):
        words = line.split()
        if not words:
            blocks.append([])
            continue
        blocks[-1].append(_row(words, path, number))
    blocks = [block for block in blocks if block]
    lengths = sorted({len(block) for block in blocks})
    if len(lengths) != 1:
        raise JaxmatError(
            f"`{path}` holds paths of {lengths or 'no'} steps; give paths of one "
            "length, with a blank line after each."
        )
    rows = np.asarray(blocks)
    return Paths(rows[..., :3] * _STRAIN, rows[..., 3:] * _STRESS)


def write_paths(path: str | os.PathLike, paths: Paths) -> None:
    """Write load paths as `read_paths` reads them, to twelve digits."""
    rows = np.concatenate(
        [np.asarray(paths.eps) / _STRAIN, np.asarray(paths.sig) / _STRESS], axis=-1
    )
    blocks = ("\n".join(" ".join(f"{x:.12e}" for x in row) for row in p) for p in rows)
    Path(path).write_text("\n\n".join(blocks) + "\n")


def error_in_mpa(predicted: Series, sig: Series) -> float:
    """Mean absolute error over sxx, syy, txy and all steps, MPa; from GPa, Mandel."""
    return float(np.mean(np.abs(in_mpa(predicted) - in_mpa(sig))))


def in_mpa(
    sig: Float[Array | np.ndarray, "*paths steps 3"],
) -> Float[np.ndarray, "*paths steps 3"]:
    """Components sxx, syy, txy of a Mandel stress in GPa."""
    return np.asarray(sig) / _STRESS


def _row(words: list[str], path: str | os.PathLike, number: int) -> list[float]:
    try:
        row = [float(word) for word in words]
    except ValueError:
        row = []
    if len(row) != 6 or not np.all(np.isfinite(row)):
        raise JaxmatError(
            f"line {number} of `{path}` is {' '.join(words)[:60]!r}; give six finite "
            "numbers: exx eyy gxy sxx syy txy."
        )
    return row
