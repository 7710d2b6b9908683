"""The solid with stiff inclusions, and the small boxes of what it is made of.

Atoms of Kob and Andersen in a plane, 65:35, quenched at constant density and then
relieved of all stress. Inclusions are discs of the same glass whose atoms hold to each
other `STIFFNESS` times as firmly; across the interface the geometric mean counts. So
every part of the solid has the structure of a glass, and none is stressed at the start.

References:
    Bruning, St-Onge, Patterson & Kob (2009), J. Phys. Condens. Matter 21, 035117 (the
    mixture in two dimensions).
"""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from jaxmat import atoms
from jaxmat._check import check_positive
from jaxmat.atoms import Atoms, LennardJones
from jaxmat.microstructure import random_seeds

STIFFNESS = 5.0
"""Energy of a bond in an inclusion over that of the same bond in the matrix."""

FRACTION = 0.25
"""Area of the inclusions."""

DENSITY = 1.142
"""Atoms per area of this glass without stress."""

_GAP = 1.15  # centres of discs at least so many diameters apart
_TYPES = 2  # species of the mixture; inclusions are the same two once more


def bonds() -> LennardJones:
    """The potential of all four species: matrix 0 and 1, inclusions 2 and 3."""
    one = atoms.kob_andersen()
    factors = np.array([[1.0, STIFFNESS**0.5], [STIFFNESS**0.5, STIFFNESS]])
    epsilon = np.kron(factors, np.asarray(one.epsilon))
    return LennardJones(epsilon, np.kron(np.ones((2, 2)), np.asarray(one.sigma)))


def recipe(num_atoms: int) -> atoms.Quench:
    """How glasses of any size are made: from T = 1 at a rate of 0.02, density kept."""
    small = round(0.35 * num_atoms)
    return atoms.Quench(
        (num_atoms - small, small), DENSITY, 1.0, 0.02, melting=10.0, dimension=2
    )


def make_cells(seed: int, count: int, *, num_atoms: int = 120) -> list[Atoms]:
    """Small boxes of the matrix, at rest and without stress.

    Args:
        seed: of the first; the others follow.
        count: boxes.
        num_atoms: in each.

    Returns:
        Boxes of different structure whose atoms are in the same order.

    Raises:
        JaxmatError: if there are fewer boxes than one or atoms than two.
    """
    check_positive("count", count)
    law, how = bonds(), recipe(num_atoms)
    keys = jax.random.split(jax.random.key(seed), count)
    make = eqx.filter_jit(eqx.filter_vmap(lambda key: atoms.quench(law, key, how)))
    batch = make(keys)
    out = []
    for k in range(count):
        one = _sorted(jax.tree.map(lambda x, k=k: x[k], batch))
        out.append(atoms.relax_box(law, one).value)
    return out


def stiffened(cell: Atoms) -> Atoms:
    """The same box as a part of an inclusion: at rest as well."""
    return Atoms(cell.positions, cell.box, cell.species + _TYPES)


def make_solid(
    seed: int, *, num_atoms: int = 2000, discs: int = 4, path=None, progress=None
) -> Atoms:
    """A glass with stiff discs, at rest and without stress.

    Args:
        seed: of the quench and of the places of the discs, which do not overlap.
        num_atoms: of the whole.
        discs: inclusions, `FRACTION` of the area together.
        path: file that keeps the quench, see `atoms.make_glass`.
        progress: as there.

    Returns:
        Atoms of four species.
    """
    key, places = jax.random.split(jax.random.key(seed))
    glass = atoms.make_glass(
        bonds(), key, recipe(num_atoms), path=path, progress=progress
    )
    radius = math.sqrt(FRACTION / (discs * math.pi))
    centres = random_seeds(places, (1.0, 1.0), discs, min_distance=2 * _GAP * radius)
    apart = np.asarray(glass.positions)[:, None] - np.asarray(centres)
    apart -= np.round(apart)
    inside = (np.linalg.norm(apart, axis=-1) < radius).any(axis=1)
    species = glass.species + _TYPES * jnp.asarray(inside)
    mixed = Atoms(glass.positions, glass.box, species)
    at_rest = atoms.relax_large(bonds(), mixed, tolerance=1e-4).value
    return atoms.relax_large(bonds(), at_rest, free_box=True).value


def _sorted(cell: Atoms) -> Atoms:
    order = jnp.argsort(cell.species, stable=True)
    return Atoms(cell.positions[order], cell.box, cell.species[order])
