"""Load paths of a composite in a plane, and the text file that keeps them.

A row is one step: exx eyy gxy sxx syy txy, engineering shear, MPa. A blank line ends a
path. It is the layout of pyprnn's data sets.
"""

import hashlib
import os
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Array, Float

from jaxmat._check import JaxmatError
from jaxmat.io import atomic_path

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

    @property
    def digest(self) -> str:
        """A short text that differs for other paths."""
        numbers = b"".join(np.ascontiguousarray(x, float).tobytes() for x in self)
        return hashlib.sha256(numbers).hexdigest()[:16]


def check_paths(paths: Paths, what: str) -> None:
    """Raise unless strain and stress are finite and belong together."""
    eps, sig = (np.shape(x) for x in paths)
    if eps != sig or len(eps) != 3 or eps[-1] != 3 or 0 in eps:
        raise JaxmatError(
            f"the {what} paths have strain of shape {eps} and stress {sig}; give both "
            "as (paths, steps, 3)."
        )
    for name, values in paths._asdict().items():
        sound = np.isfinite(np.asarray(values)).all((1, 2))
        if not sound.all():
            raise JaxmatError(
                f"`{name}` of the {what} paths is not finite in path "
                f"{int(np.argmin(sound))}; leave it out."
            )


def read_paths(path: str | os.PathLike) -> Paths:
    """Read load paths of a text file.

    Args:
        path: rows of exx eyy gxy sxx syy txy (engineering shear, MPa), paths separated
            by blank lines.

    Returns:
        Mandel strain and stress, GPa.

    Raises:
        JaxmatError: if the file cannot be read or holds something else, a number is not
            finite, or the paths differ in length.
    """
    blocks: list[list[list[float]]] = [[]]
    for number, line in enumerate(_lines(path), 1):
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
    """Write load paths as `read_paths` reads them, to twelve digits, or no file at all.

    Raises:
        JaxmatError: if paths are not finite or do not match, or as `io.atomic_path`.
    """
    check_paths(paths, "given")
    rows = np.concatenate(
        [np.asarray(paths.eps) / _STRAIN, np.asarray(paths.sig) / _STRESS], axis=-1
    )
    blocks = ("\n".join(" ".join(f"{x:.12e}" for x in row) for row in p) for p in rows)
    with atomic_path(path) as temporary:
        temporary.write_text("\n\n".join(blocks) + "\n")


def error_in_mpa(predicted: Series, sig: Series) -> float:
    """Mean absolute error over sxx, syy, txy and all steps, MPa; from GPa, Mandel.

    Raises:
        JaxmatError: if the two differ in shape.
    """
    found, wanted = in_mpa(predicted), in_mpa(sig)
    if found.shape != wanted.shape:
        raise JaxmatError(
            f"`predicted` has shape {found.shape} and `sig` {wanted.shape}; give the "
            "stress of the same paths."
        )
    return float(np.mean(np.abs(found - wanted)))


def in_mpa(
    sig: Float[Array | np.ndarray, "*paths steps 3"],
) -> Float[np.ndarray, "*paths steps 3"]:
    """Components sxx, syy, txy of a Mandel stress in GPa."""
    return np.asarray(sig) / _STRESS


def _lines(path: str | os.PathLike) -> list[str]:
    try:
        return Path(path).read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise JaxmatError(
            f"cannot read `{path}`: {error.strerror}; give a file of load paths."
        ) from error
    except UnicodeDecodeError as error:
        raise JaxmatError(f"`{path}` is no text; give a file of load paths.") from error


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
