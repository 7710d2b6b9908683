"""Metals: the embedded-atom method, from tables in a `setfl` file."""

import functools
from collections.abc import Iterator
from pathlib import Path

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxmat._check import JaxmatError
from jaxmat.atoms._neighbours import only_if_current, pair_vectors
from jaxmat.atoms._potential import AbstractPotential

CORE = 0.2
"""Angstrom; nuclei are never that close."""

CUT_OFF = "{path} ends before its tables do; it is cut off, get it again."


class Table(eqx.Module):
    """A cubic spline on a uniform grid from zero; beyond its end, its last polynomial.

    Attributes:
        coefficients: of each interval, constant first, in the fraction of the interval.
        spacing: of the knots, static.
    """

    coefficients: Float[Array, "intervals 4"]
    spacing: float = eqx.field(static=True)

    def __call__(self, x: Array) -> Array:
        """Value, elementwise."""
        place = x / self.spacing
        last = self.coefficients.shape[0] - 1
        k = jnp.clip(place.astype(int), 0, last)
        t = place - k
        c = self.coefficients[k]
        return c[..., 0] + t * (c[..., 1] + t * (c[..., 2] + t * c[..., 3]))


class EAM(AbstractPotential):
    """`sum_i F(rho_i) + sum_i<j phi(r_ij)` with `rho_i = sum_j f(r_ij)`.

    Splines with two continuous derivatives through the tables of a file, which `setfl`
    files have in eV and angstrom. Make with `read_setfl`.

    Attributes:
        embedding: `F` of each species.
        density: `f`, what an atom of each species adds at a distance.
        pair: `r phi` for the species (0, 0), (1, 0), (1, 1), (2, 0), ...
        names: of the elements, static.
        masses: of the elements, atomic mass units, static.
        range: cutoff, angstrom, static.

    References:
        Daw & Baskes (1984), Phys. Rev. B 29, 6443-6453.
    """

    embedding: tuple[Table, ...]
    density: tuple[Table, ...]
    pair: tuple[Table, ...]
    names: tuple[str, ...] = eqx.field(static=True)
    masses: tuple[float, ...] = eqx.field(static=True)
    range: float = eqx.field(static=True)

    @property
    def num_species(self):
        return len(self.names)

    @property
    def cutoff(self):
        return jnp.asarray(self.range, self.embedding[0].coefficients.dtype)

    @property
    def core(self):
        return jnp.full((self.num_species,) * 2, CORE, self.cutoff.dtype)

    def energy(self, atoms, neighbours=None):
        _, r, counts = pair_vectors(atoms, neighbours)
        square = sum(c * c for c in r)
        inside = counts & (square < self.range**2)
        distance = jnp.sqrt(jnp.where(inside, square, self.range**2))
        n, here = atoms.num_atoms, atoms.species
        index = jnp.arange(n)[None, :] if neighbours is None else neighbours.indices % n
        there = here[index]
        density, bonds = jnp.zeros_like(distance), jnp.zeros_like(distance)
        for b in range(self.num_species):
            density = jnp.where(there == b, self.density[b](distance), density)
            for a in range(b + 1):
                low = jnp.minimum(here[:, None], there)
                high = jnp.maximum(here[:, None], there)
                found = self.pair[b * (b + 1) // 2 + a](distance) / distance
                bonds = jnp.where((low == a) & (high == b), found, bonds)
        rho = jnp.sum(jnp.where(inside, density, 0.0), axis=1)
        embedded = [
            jnp.where(here == a, F(rho), 0.0) for a, F in enumerate(self.embedding)
        ]
        total = jnp.sum(jnp.where(inside, bonds, 0.0)) / 2
        total += jnp.sum(functools.reduce(jnp.add, embedded))
        return only_if_current(total, neighbours, atoms, self.cutoff)


def read_setfl(path: str | Path) -> EAM:
    """Read an embedded-atom potential, DYNAMO's multi-element format (`.eam.alloy`).

    Args:
        path: of the file.

    Returns:
        The potential; species are numbered in the order of the file.

    Raises:
        JaxmatError: if the file is cut off, or holds something else.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except (OSError, ValueError) as error:
        raise JaxmatError(f"cannot read {path}: {error}.") from error
    lines, words, ended = text.splitlines(), iter(()), text[-1:].isspace()
    try:
        names, words = tuple(lines[3].split()[1:]), iter(" ".join(lines[4:]).split())
        count = int(lines[3].split()[0])
        num_rho, d_rho = int(next(words)), _number(words)
        num_r, d_r, cutoff = int(next(words)), _number(words), _number(words)
        _check_numbers(d_rho, d_r, cutoff, count)
        if cutoff > num_r * d_r * (1 + 1e-6):
            raise ValueError(
                f"its tables end at {num_r * d_r:.4g}, the cutoff does not"
            )
        embedding, density, masses = [], [], []
        for _ in range(count):
            _, mass, _, _ = (next(words) for _ in range(4))  # number, lattice
            masses.append(float(mass))
            _check_numbers(masses[-1])
            embedding.append(_table(words, num_rho, d_rho))
            density.append(_table(words, num_r, d_r))
        pair = [_table(words, num_r, d_r) for _ in range(count * (count + 1) // 2)]
        if (surplus := next(words, None)) is not None:
            raise ValueError(f"its tables are followed by {surplus[:20]!r}")
    except (StopIteration, RuntimeError, IndexError):
        raise JaxmatError(CUT_OFF.format(path=path)) from None
    except ValueError as error:
        if not ended and next(words, None) is None:  # in the middle of a number
            raise JaxmatError(CUT_OFF.format(path=path)) from None
        raise JaxmatError(
            f"{path} is no setfl file ({error}); give a potential in DYNAMO's "
            "multi-element format."
        ) from None
    if len(names) != count:
        raise JaxmatError(
            f"{path} names {len(names)} elements but says {count}; correct line 4."
        )
    *_, last_but_one, last = text.split()
    if not ended and len(last) < len(last_but_one):
        raise JaxmatError(
            f"{path} ends with {last!r}, which may be half a number; get it again, or "
            "end its last line if it is whole."
        )
    tables = tuple(embedding), tuple(density), tuple(pair)
    return EAM(*tables, names, tuple(masses), cutoff)


def _check_numbers(*numbers: float) -> None:
    for number in numbers:
        if not 0 < number < np.inf:
            raise ValueError(f"{number:.4g} stands where a positive number belongs")


def _number(words: Iterator[str]) -> float:
    return float(next(words))


def _table(words: Iterator[str], count: int, spacing: float) -> Table:
    """A spline through so many numbers, its third derivative continuous at its ends."""
    from scipy.interpolate import CubicSpline

    values = np.array([_number(words) for _ in range(count)])
    if not np.isfinite(values).all():
        raise ValueError("a table holds NaN or infinity")
    spline = CubicSpline(np.arange(count), values)
    return Table(jnp.asarray(spline.c[::-1].T, float), spacing)
