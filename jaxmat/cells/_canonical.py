"""Canonical averages of the stress of a box, and what their derivatives are.

In fractional coordinates the free energy of N atoms in a deformed box is `-T log` of
the integral of `V^N exp(-U(F, s) / T)`, and its slope in `F` is the mean of `dU/dF`
and the share of the momenta, `-N T F^-T`.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from jaxmat import atoms
from jaxmat._types import Scalar, full_precision
from jaxmat.atoms import AbstractPotential, Atoms
from jaxmat.solve import by_platform, in_turn, poison


class Canonical(eqx.Module):
    """Atoms at a temperature."""

    law: AbstractPotential
    species: Int[Array, " atoms"]
    temperature: Scalar


@full_precision
def average(
    ensemble: Canonical,
    F: Float[Array, "d d"],
    boxes: Float[Array, "replicas d d"],
    seen: Float[Array, "replicas samples atoms d"],
) -> Float[Array, "d d"]:
    """Mean stress of all samples, with the derivative of a canonical average.

    Each replica's samples are weighted by `exp(-U/T)` over what it is now, which is
    one; its derivative is not. The mean of K samples takes part in their covariance,
    which is therefore too small by 1/K of it.
    """
    K = seen.shape[1]

    def of_sample(sample):
        box, positions = sample
        now = Atoms(positions, F @ box, ensemble.species)
        action = atoms.energy(ensemble.law, now) / ensemble.temperature
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
def average_at_rest(
    ensemble: Canonical,
    F: Float[Array, "d d"],
    boxes: Float[Array, "replicas d d"],
    positions: Float[Array, "replicas atoms d"],
) -> Float[Array, "d d"]:
    """Mean stress of the replicas quenched, and of their momenta; differentiable."""

    def of_replica(positions, box):
        held = jax.lax.stop_gradient((ensemble, F @ box, positions))
        quenched, converged = _quench(held)
        now = Atoms(quenched, F @ box, ensemble.species)
        P = _of_forces(ensemble, F, box, atoms.at_rest(ensemble.law, now))
        return poison(P + _of_momenta(ensemble, F, box), converged)

    return jnp.mean(jax.vmap(of_replica)(positions, boxes), axis=0)


@in_turn
def _quench(everything):
    ensemble, box, positions = everything
    hot = Atoms(positions, box, ensemble.species)
    found = atoms.relax(ensemble.law, hot, throw=False)
    return found.value.positions, found.info.converged


def _of_momenta(ensemble, F, box):
    """Their canonical mean."""
    V0 = jnp.abs(jnp.linalg.det(box))
    return -len(ensemble.species) * ensemble.temperature / V0 * jnp.linalg.inv(F).T


def _of_forces(ensemble, F, box, positions):
    now = Atoms(positions, F @ box, ensemble.species)
    return atoms.box_slope(ensemble.law, now) @ box.T / jnp.abs(jnp.linalg.det(box))


@jax.custom_jvp
def with_slope_of(
    value: Float[Array, "d d"], model: Float[Array, "d d"]
) -> Float[Array, "d d"]:
    """`value`, with the derivative of `model`."""
    del model
    return value


@with_slope_of.defjvp
def _with_slope_of_jvp(primals, tangents):
    return with_slope_of(*primals), tangents[1]
