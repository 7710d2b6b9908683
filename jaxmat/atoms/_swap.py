"""Swap Monte Carlo: two atoms exchange their species where they are.

It takes a supercooled mixture to equilibrium orders of magnitude faster than motion
alone, for atoms of different sizes need not squeeze past each other.

References:
    Grigera & Parisi (2001), Phys. Rev. E 63, 045102.
    Ninarello, Berthier & Coslovich (2017), Phys. Rev. X 7, 021039.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Key

from jaxmat._types import Count, Scalar
from jaxmat.atoms._atoms import Atoms
from jaxmat.atoms._neighbours import Neighbours
from jaxmat.atoms._potential import AbstractPotential


def swap(
    law: AbstractPotential,
    key: Key[Array, ""],
    atoms: Atoms,
    temperature: Scalar | float,
    attempts: int,
    *,
    neighbours: Neighbours | None = None,
) -> tuple[Atoms, Count]:
    """Try to exchange the species of two atoms, again and again.

    The two are drawn at random, and accepted as Metropolis has it, so that the
    assignments of species come up as often as Boltzmann says. One energy an attempt.

    Args:
        law: potential.
        key: random key.
        atoms: configuration; positions stay.
        temperature: as an energy.
        attempts: how many, static. Two atoms of a kind are an attempt too.
        neighbours: a list, or None for all pairs. Where it is out of date nothing is
            swapped.

    Returns:
        The atoms, as many of each species as before, and how many attempts with atoms
        of two kinds were accepted.
    """
    n, T = atoms.num_atoms, jnp.asarray(temperature, atoms.positions.dtype)

    def attempt(carry, key):
        species, energy, accepted = carry
        first, second, chance = jax.random.split(key, 3)
        i = jax.random.randint(first, (), 0, n)
        j = (i + jax.random.randint(second, (), 1, n)) % n
        trial = species.at[i].set(species[j]).at[j].set(species[i])
        after = law.energy(Atoms(atoms.positions, atoms.box, trial), neighbours)
        u = jax.random.uniform(chance, (), T.dtype)
        taken = after - energy < -T * jnp.log(u)
        species = jnp.where(taken, trial, species)
        real = taken & (trial[i] != trial[j])
        return (species, jnp.where(taken, after, energy), accepted + real), None

    start = (atoms.species, law.energy(atoms, neighbours), jnp.zeros((), int))
    keys = jax.random.split(key, attempts)
    (species, _, accepted), _ = jax.lax.scan(attempt, start, keys)
    return Atoms(atoms.positions, atoms.box, species), accepted
