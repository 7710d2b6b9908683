"""Atoms in motion: velocities, and what is averaged over them.

Temperatures are energies, `k_B T` in units of the potential. Mass times velocity
squared is an energy too, which fixes the unit of time: the reduced one of the
potential, or 10.18 fs with electronvolts, angstroms and atomic mass units.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Float, Key, PyTree

from jaxmat._check import JaxmatError, check_positive, check_shape
from jaxmat._types import Scalar, full_precision
from jaxmat.atoms._atoms import Atoms, volume


class Motion(eqx.Module):
    """Atoms, how fast they move, and what a thermostat remembers of them.

    Attributes:
        atoms: configuration.
        velocities: Cartesian.
        masses: of each atom.
        key: of the random numbers to come.
        bath: the variables of a thermostat that has some.

    Raises:
        JaxmatError: if velocities or masses are not those of the atoms.
    """

    atoms: Atoms
    velocities: Float[Array, "atoms d"]
    masses: Float[Array, " atoms"]
    key: Key[Array, ""]
    bath: PyTree = None

    def __check_init__(self):
        shapes = [getattr(x, "shape", None) for x in (self.velocities, self.masses)]
        here = getattr(self.atoms.positions, "shape", None)
        if here and None not in shapes and shapes != [here, here[:-1]]:
            raise JaxmatError(
                f"velocities have shape {shapes[0]} and masses {shapes[1]} for "
                f"positions of shape {here}; give one of each for each atom."
            )


def set_in_motion(
    key: Key[Array, ""],
    atoms: Atoms,
    temperature: Scalar | float,
    masses: Float[Array, " species"] | None = None,
) -> Motion:
    """Give atoms the velocities of a temperature, at random and without total momentum.

    Args:
        key: random key; the motion keeps another made from it.
        atoms: configuration.
        temperature: as an energy; the expected value, over all velocities without total
            momentum, of `temperature`.
        masses: one for each species; all one by default.

    Returns:
        The atoms in motion.

    Raises:
        JaxmatError: if there is one atom only, or the temperature is negative or not a
            single number, or a mass is not positive or missing.
    """
    check_positive("temperature", temperature, zero=True)
    check_shape("temperature", jnp.asarray(temperature), (), hint="a single number")
    if atoms.num_atoms < 2:
        raise JaxmatError("there is one atom; temperature takes at least two.")
    dtype = atoms.positions.dtype
    if masses is None:
        of_atoms = jnp.ones(atoms.num_atoms, dtype)
    else:
        check_positive("masses", masses)
        species = atoms.species
        if not isinstance(species, Tracer):
            kinds = int(np.asarray(species).max()) + 1
            if len(masses) < kinds or kinds < len(masses) == atoms.num_atoms:
                raise JaxmatError(
                    f"there are {len(masses)} masses and {kinds} species; give one "
                    "mass for each species."
                )
        of_atoms = jnp.asarray(masses, dtype)[atoms.species]
    key, used = jax.random.split(key)
    noise = jax.random.normal(used, atoms.positions.shape, dtype)
    velocities = jnp.sqrt(jnp.asarray(temperature, dtype) / of_atoms)[:, None] * noise
    drift = _drift(velocities, of_atoms)
    return Motion(atoms, velocities - drift, of_atoms, key)


@full_precision
def _drift(velocities, masses):
    """Velocity of the centre of mass."""
    return masses @ velocities / jnp.sum(masses)


@full_precision
def kinetic_energy(motion: Motion) -> Scalar:
    """Kinetic energy.

    Returns:
        Of all atoms together, in the unit of the potential.
    """
    return jnp.sum(motion.masses[:, None] * motion.velocities**2) / 2


@full_precision
def temperature(motion: Motion) -> Scalar:
    """Temperature of the motion about the centre of mass.

    That motion has `d (N - 1)` degrees of freedom, whether the total momentum is kept
    or not.

    Returns:
        An energy, `k_B T` in the unit of the potential.
    """
    n, d = motion.velocities.shape
    about = motion.velocities - _drift(motion.velocities, motion.masses)
    return jnp.sum(motion.masses[:, None] * about**2) / (d * (n - 1))


@full_precision
def kinetic_stress(motion: Motion) -> Float[Array, "d d"]:
    """What motion adds to the stress of atoms at rest, tension positive.

    `-sum m v v^T / V`, of the motion about the centre of mass. The Cauchy stress of
    atoms in motion is the mean over time of `stress(law, motion.atoms)` and this.

    Returns:
        Energy per volume of the potential (per area in two dimensions).
    """
    about = motion.velocities - _drift(motion.velocities, motion.masses)
    return -(about.T * motion.masses) @ about / volume(motion.atoms)
