"""Isotropic damage: stiffness that is lost for good.

References:
    Simo & Ju (1987), Int. J. Solids Struct. 23, 821-840 (norm of the energy).
    Oliver, Cervera, Oller & Lubliner (1990), SCI-C 2, 945-957 (exponential softening).
"""

import jax.numpy as jnp

from jaxmat._check import check_positive
from jaxmat._types import Scalar, Stiffness, full_precision
from jaxmat.materials._base import AbstractMaterial


class Damage(AbstractMaterial):
    """Elasticity whose stiffness falls with the largest energy that it has borne.

    The driving force is r = sqrt(eps : C : eps), the norm of the energy, in sqrt(GPa).
    Up to `threshold` nothing happens; beyond, damage is
    d = 1 - threshold / r exp(-brittleness (r / threshold - 1)) at the largest r so far,
    and the stress (1 - d) C : eps. A `brittleness` of zero keeps the stress norm at its
    peak. The state is the largest r.

    A softening law has no length: on a grid, damage localises in one row of pixels.

    Attributes:
        stiffness: of the undamaged material, Mandel, GPa, 6x6 (3x3 in a plane).
        threshold: r at which damage begins; in uniaxial stress, strength over the
            square root of Young's modulus.
        brittleness: how fast the stress falls, at least 0.

    Raises:
        JaxmatError: if the threshold is not positive, or the brittleness negative.
    """

    stiffness: Stiffness
    threshold: Scalar
    brittleness: Scalar

    def __check_init__(self):
        check_positive("threshold", self.threshold)
        check_positive("brittleness", self.brittleness, zero=True)

    @property
    def num_strains(self) -> int:
        return self.stiffness.shape[-1]

    @property
    def is_linear(self) -> bool:
        return False

    @property
    def has_symmetric_tangent(self) -> bool:
        return True

    def init_state(self, key=None) -> Scalar:
        return jnp.zeros((), jnp.result_type(float, self.stiffness))

    @full_precision
    def update(self, eps, state, dt):
        undamaged = self.stiffness @ eps
        square = jnp.vdot(eps, undamaged)
        strained = square > 0
        force = jnp.where(strained, jnp.sqrt(jnp.where(strained, square, 1.0)), 0.0)
        largest = jnp.maximum(force, state)
        return (1 - self.damage(largest)) * undamaged, largest

    def damage(self, largest: Scalar) -> Scalar:
        """Share of the stiffness that is lost, from the state."""
        damaged = largest > self.threshold
        ratio = jnp.where(damaged, largest / self.threshold, 1.0)
        return 1 - jnp.exp(-self.brittleness * (ratio - 1)) / ratio
