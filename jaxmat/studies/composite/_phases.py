"""Epoxy and glass, the phases of the composite."""

import jax.numpy as jnp
from jaxtyping import Array

from jaxmat import crystals
from jaxmat.materials import J2Plasticity, LinearElastic, VoceHardening


def matrix() -> J2Plasticity:
    """The epoxy of Maia et al. (2023): E = 3.13 GPa, nu = 0.37, Voce hardening."""
    curve = VoceHardening(*map(jnp.asarray, (0.0312, 0.0648, 1 / 0.003407)))
    return J2Plasticity(*_bulk_and_shear(3.13, 0.37), curve)


def fibre() -> LinearElastic:
    """Glass: E = 74 GPa, nu = 0.2."""
    return LinearElastic(crystals.isotropic(*_bulk_and_shear(74.0, 0.2)))


def _bulk_and_shear(youngs: float, poisson: float) -> tuple[Array, Array]:
    bulk, shear = youngs / (3 - 6 * poisson), youngs / (2 + 2 * poisson)
    return jnp.asarray(bulk), jnp.asarray(shear)
