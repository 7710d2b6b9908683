"""Canonical averages of the stress of a box, and what their derivatives are.

In fractional coordinates the free energy of N atoms in a deformed box is `-T log` of
the integral of `V^N exp(-U(F, s) / T)`, and its slope in `F` is the mean of `dU/dF`
and the share of the momenta, `-N T F^-T`.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from jaxmat._check import JaxmatError
from jaxmat._types import Scalar, full_precision
from jaxmat.atoms._atoms import Atoms
from jaxmat.atoms._potential import AbstractPotential, box_slope, energy
from jaxmat.atoms._relax import relax
from jaxmat.atoms._rest import at_rest
from jaxmat.atoms._space import inverse
from jaxmat.solve import by_platform, in_turn, poison


class Canonical(eqx.Module):
    """Atoms at a temperature.

    Attributes:
        law: potential.
        species: of the atoms.
        temperature: as an energy.
    """

    law: AbstractPotential
    species: Int[Array, " atoms"]
    temperature: Scalar


@full_precision
def canonical_stress(
    ensemble: Canonical,
    F: Float[Array, "d d"],
    boxes: Float[Array, "replicas d d"],
    seen: Float[Array, "replicas samples atoms d"],
) -> Float[Array, "d d"]:
    """Mean stress of all samples, with the derivative of a canonical average.

    Each replica's samples are weighted by `exp(-U/T)` over what it is now, which is
    one; its derivative is not. The mean of K samples takes part in their covariance,
    which is therefore too small by 1/K of it.

    Args:
        ensemble: atoms at a temperature.
        F: deformation gradient of the boxes.
        boxes: undeformed.
        seen: fractional positions, at least two samples of each replica.

    Returns:
        First Piola-Kirchhoff stress, the potential's energy per undeformed volume.
    """
    K = seen.shape[1]

    def of_sample(sample):
        box, positions = sample
        now = Atoms(positions, F @ box, ensemble.species)
        action = energy(ensemble.law, now) / ensemble.temperature
        return _of_forces(ensemble, F, box, positions), action

    def one_by_one(samples):
        return jax.lax.map(jax.checkpoint(of_sample), samples)

    def of_replica(stresses, actions, box):
        change = actions - jax.lax.stop_gradient(actions)
        weights = jax.nn.softmax(-change * (K / (K - 1)))
        return jnp.tensordot(weights, stresses, 1) + _of_momenta(ensemble, F, box)

    samples = (jnp.repeat(boxes, K, axis=0), seen.reshape(-1, *seen.shape[2:]))
    found = by_platform(samples, cpu=one_by_one, default=jax.vmap(of_sample))
    stresses, actions = jax.tree.map(lambda x: x.reshape(-1, K, *x.shape[1:]), found)
    return jnp.mean(jax.vmap(of_replica)(stresses, actions, boxes), axis=0)


@full_precision
def quenched_stress(
    ensemble: Canonical,
    F: Float[Array, "d d"],
    boxes: Float[Array, "replicas d d"],
    positions: Float[Array, "replicas atoms d"],
) -> Float[Array, "d d"]:
    """Mean stress of the replicas quenched, and of their momenta; differentiable.

    Args:
        ensemble: atoms at a temperature.
        F: deformation gradient of the boxes.
        boxes: undeformed.
        positions: fractional, where the minimisations begin.

    Returns:
        First Piola-Kirchhoff stress; NaN where one does not come to rest.
    """

    def of_replica(positions, box):
        held = jax.lax.stop_gradient((ensemble, F @ box, positions))
        quenched, converged = _quench(held)
        now = Atoms(quenched, F @ box, ensemble.species)
        P = _of_forces(ensemble, F, box, at_rest(ensemble.law, now))
        return poison(P + _of_momenta(ensemble, F, box), converged)

    return jnp.mean(jax.vmap(of_replica)(positions, boxes), axis=0)


@in_turn
def _quench(everything):
    ensemble, box, positions = everything
    hot = Atoms(positions, box, ensemble.species)
    found = relax(ensemble.law, hot, throw=False)
    return found.value.positions, found.info.converged


def _of_momenta(ensemble, F, box):
    """Their canonical mean."""
    V0 = jnp.abs(jnp.linalg.det(box))
    return -len(ensemble.species) * ensemble.temperature / V0 * inverse(F).T


def _of_forces(ensemble, F, box, positions):
    now = Atoms(positions, F @ box, ensemble.species)
    return box_slope(ensemble.law, now) @ box.T / jnp.abs(jnp.linalg.det(box))


def fluctuation_moduli(
    law: AbstractPotential,
    atoms: Atoms,
    temperature: Scalar | float,
    seen: Float[Array, "samples atoms d"],
) -> Float[Array, "d d d d"]:
    """Isothermal moduli at a temperature, from samples of the positions.

    The derivative of the first Piola-Kirchhoff stress in `F` at `F = 1`: Born's term in
    the mean, less `V / T` times the covariance of the stress, and the momenta's share
    `N T / V`, which is exact. As in `elastic_moduli`, the stress of the reference is
    contained.

    Args:
        law: potential, smooth to second order at the cutoff.
        atoms: box and species; its positions do not count.
        temperature: as an energy.
        seen: fractional positions, as independent as possible (`simulate` with
            `observe`). What is slower than all of them together is not in the moduli.

    Returns:
        Moduli in the potential's energy per volume, `elastic_moduli` at T = 0. Their
        statistical error falls with the root of the number of samples.

    Raises:
        JaxmatError: if there is one sample only.

    References:
        Squire, Holt & Hoover (1969), Physica 42, 388-397.
        Lutsko (1989), J. Appl. Phys. 65, 2991-2997.
    """
    if len(seen) < 2:
        raise JaxmatError("there is one sample; fluctuations take at least two.")
    dtype = atoms.box.dtype
    ensemble = Canonical(law, atoms.species, jnp.asarray(temperature, dtype))

    def stress(F):
        return canonical_stress(ensemble, F, atoms.box[None], seen[None])

    return jax.jacfwd(stress)(jnp.eye(atoms.dimension, dtype=dtype))
