"""Swap Monte Carlo: atoms of different kinds exchange their places.

What takes dynamics longest in a cold liquid of two sizes, to bring a small atom where a
large one is, takes an exchange one move. Positions stay, so a list of neighbours does.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Key

from jaxmat._check import check_positive
from jaxmat._types import Count, Scalar
from jaxmat.atoms._atoms import Atoms, exchanged
from jaxmat.atoms._neighbours import Neighbours
from jaxmat.atoms._potential import AbstractPotential, check_covers
from jaxmat.solve import poison


def swap_species(
    law: AbstractPotential,
    key: Key[Array, ""],
    atoms: Atoms,
    temperature: Scalar | float,
    attempts: int,
    neighbours: Neighbours | None = None,
) -> tuple[Atoms, Count]:
    """Exchange the species of two atoms at a time, as Metropolis accepts it.

    Each attempt takes any atom, and any one of another kind; it samples the canonical
    distribution of species over the places. Pair potentials look at the bonds of the
    two, others take two energies of the whole cell. In between dynamics it samples the
    canonical ensemble where masses are equal. Pure; not to be differentiated.

    Args:
        law: potential.
        key: random key.
        atoms: configuration; one of a single species stays as it is, none accepted.
        temperature: as an energy.
        attempts: static.
        neighbours: see `AbstractPotential.energy`.

    Returns:
        Atoms with the same positions, NaN where the list is out of date, and how many
        attempts were accepted.

    Raises:
        JaxmatError: if the temperature or `attempts` is negative, or as `energy`.

    References:
        Grigera & Parisi (2001), Phys. Rev. E 63, 045102.
        Ninarello, Berthier & Coslovich (2017), Phys. Rev. X 7, 021039.
    """
    check_positive("temperature", temperature, zero=True)
    check_positive("attempts", attempts, zero=True)
    check_covers(law, atoms)
    temperature = jnp.asarray(temperature, atoms.positions.dtype)

    def attempt(k, state):
        species, accepted = state
        keys = jax.random.split(jax.random.fold_in(key, k), 3)
        now = Atoms(atoms.positions, atoms.box, species)
        i = jax.random.randint(keys[0], (), 0, atoms.num_atoms)
        lots = jax.random.uniform(keys[1], species.shape, temperature.dtype)
        j = jnp.argmax(jnp.where(species != species[i], lots, -1.0))
        cost = law.exchange(now, i, j, neighbours)
        yes = cost <= temperature * jax.random.exponential(keys[2], (), cost.dtype)
        yes &= species[i] != species[j]
        after = jnp.where(yes, exchanged(now, i, j).species, species)
        return after, accepted + yes

    start = atoms.species, jnp.asarray(0)
    species, accepted = jax.lax.fori_loop(0, attempts, attempt, start)
    sound = jnp.isfinite(law.energy(atoms, neighbours))
    return Atoms(poison(atoms.positions, sound), atoms.box, species), accepted
