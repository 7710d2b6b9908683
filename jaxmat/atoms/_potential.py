"""What a potential is, and what follows from its energy alone."""

import abc

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxmat._types import Scalar, full_precision
from jaxmat.atoms._atoms import Atoms, deform, volume
from jaxmat.atoms._neighbours import Neighbours


class AbstractPotential(eqx.Module):
    """Energy of a periodic configuration. Parameters are the leaves.

    Lengths and energies are in units of the parameters: reduced, or angstrom and eV.
    """

    @property
    @abc.abstractmethod
    def num_species(self) -> int:
        """Species that it has parameters for."""

    @property
    @abc.abstractmethod
    def cutoff(self) -> Scalar:
        """Distance from which on no two atoms see each other, whatever their species.

        The box is at least twice as wide in every perpendicular direction.
        """

    @property
    @abc.abstractmethod
    def core(self) -> Float[Array, "species species"]:
        """Distance below which two atoms are a mistake: a tenth of their size."""

    @abc.abstractmethod
    def energy(self, atoms: Atoms, neighbours: Neighbours | None = None) -> Scalar:
        """Energy of the whole cell.

        Args:
            atoms: configuration.
            neighbours: list made by `find_neighbours` for this cutoff, or None for all
                pairs. NaN where the list has overflowed, or is out of date.
        """


def energy(
    law: AbstractPotential, atoms: Atoms, neighbours: Neighbours | None = None
) -> Scalar:
    """Energy of the whole cell; see `AbstractPotential.energy`."""
    return law.energy(atoms, neighbours)


@full_precision
def forces(
    law: AbstractPotential, atoms: Atoms, neighbours: Neighbours | None = None
) -> Float[Array, "atoms d"]:
    """Cartesian forces on the atoms, `-dE/dr`."""
    inverse = jnp.linalg.inv(atoms.box)

    def moved(u):
        positions = atoms.positions + u @ inverse.T
        return law.energy(Atoms(positions, atoms.box, atoms.species), neighbours)

    return -jax.grad(moved)(jnp.zeros_like(atoms.positions))


@full_precision
def stress(
    law: AbstractPotential, atoms: Atoms, neighbours: Neighbours | None = None
) -> Float[Array, "d d"]:
    """Cauchy stress of atoms at rest, `(1/V) dE/dF` at `F = 1`; tension positive.

    The virial without its kinetic part. Symmetric, because energy does not change when
    the body turns.
    """
    eye = jnp.eye(atoms.dimension, dtype=atoms.box.dtype)
    slope = jax.grad(lambda F: law.energy(deform(atoms, F), neighbours))(eye)
    return slope / volume(atoms)
