"""Plasticity of von Mises, with any curve of hardening.

References:
    Simo & Hughes (1998), Computational Inelasticity, section 3.3 (radial return).
"""

from collections.abc import Callable
from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxmat import mandel
from jaxmat._check import JaxmatError, check_positive
from jaxmat._types import Scalar, full_precision
from jaxmat.materials._base import AbstractMaterial
from jaxmat.solve import bracketed_root


class LinearHardening(eqx.Module):
    """Flow stress `yield_stress + modulus p`.

    Attributes:
        yield_stress: GPa.
        modulus: GPa; zero is perfect plasticity.

    Raises:
        JaxmatError: if the yield stress is not positive.
    """

    yield_stress: Scalar
    modulus: Scalar

    def __check_init__(self):
        check_positive("yield_stress", self.yield_stress)

    def __call__(self, p: Scalar) -> Scalar:
        return self.yield_stress + self.modulus * p


class VoceHardening(eqx.Module):
    """Flow stress `yield_stress + (saturation - yield_stress) (1 - exp(-rate p))`.

    Attributes:
        yield_stress: GPa.
        saturation: flow stress in the end, GPa.
        rate: of the approach to it.

    Raises:
        JaxmatError: if one of them is not positive.

    References:
        Voce (1948), J. Inst. Met. 74, 537-562.
    """

    yield_stress: Scalar
    saturation: Scalar
    rate: Scalar

    def __check_init__(self):
        check_positive("yield_stress", self.yield_stress)
        check_positive("saturation", self.saturation)
        check_positive("rate", self.rate)

    def __call__(self, p: Scalar) -> Scalar:
        rise = self.saturation - self.yield_stress
        return self.yield_stress - rise * jnp.expm1(-self.rate * p)


class SwiftHardening(eqx.Module):
    """Flow stress `yield_stress (1 + p / offset)^exponent`.

    Attributes:
        yield_stress: GPa.
        offset: plastic strain that doubles the bracket.
        exponent: 0 is perfect plasticity, 1 linear hardening.

    Raises:
        JaxmatError: if yield stress or offset is not positive.

    References:
        Swift (1952), J. Mech. Phys. Solids 1, 1-18.
    """

    yield_stress: Scalar
    offset: Scalar
    exponent: Scalar

    def __check_init__(self):
        check_positive("yield_stress", self.yield_stress)
        check_positive("offset", self.offset)

    def __call__(self, p: Scalar) -> Scalar:
        return self.yield_stress * (1 + p / self.offset) ** self.exponent


class TabulatedHardening(eqx.Module):
    """Flow stress interpolated linearly between measured points, constant beyond.

    Attributes:
        plastic_strain: increasing, from 0.
        stress: flow stress there, GPa.

    Raises:
        JaxmatError: if the strains do not increase, a stress is not positive, or there
            are not as many of both.
    """

    plastic_strain: Float[Array, " points"]
    stress: Float[Array, " points"]

    def __check_init__(self):
        strains, stresses = self.plastic_strain.shape, self.stress.shape
        if strains != stresses:
            raise JaxmatError(
                f"TabulatedHardening has plastic_strain {strains} and stress "
                f"{stresses}; give one stress for each strain."
            )
        check_positive("stress", self.stress)
        if len(self.stress) > 1:
            check_positive("steps of plastic_strain", jnp.diff(self.plastic_strain))

    def __call__(self, p: Scalar) -> Scalar:
        return jnp.interp(p, self.plastic_strain, self.stress)


class J2State(NamedTuple):
    """History of a J2 point.

    Attributes:
        eps_p: plastic strain, Mandel.
        p: accumulated plastic strain.
    """

    eps_p: Float[Array, "6"]
    p: Scalar


_SPLIT = np.array([[1.0, 1.0, 0.0], [1.0, -1.0, 0.0], [0.0, 0.0, 2**0.5]]) / 2**0.5
"""Mandel components in the plane to the equibiaxial part and two shears, and back."""

_MISES = np.array([0.5, 1.5, 1.5])
"""Their weights in the square of the stress of von Mises."""


class J2Plasticity(AbstractMaterial):
    """Isotropic elasticity, yield surface of von Mises, isotropic hardening, no rate.

    Backward Euler: the stress returns along the radius to a yield surface that has
    grown, one scalar equation for any hardening, in plane stress too. Exact for
    proportional loading.

    Attributes:
        bulk: bulk modulus, GPa.
        shear: shear modulus, GPa.
        flow_stress: flow stress, GPa, of the accumulated plastic strain: a module such
            as `VoceHardening`, whose leaves are parameters, or any function. It may
            soften, but more slowly than the elastic unloading, -3 `shear`.

    Raises:
        JaxmatError: if a modulus is not positive.
    """

    bulk: Scalar
    shear: Scalar
    flow_stress: Callable[[Scalar], Scalar]

    def __check_init__(self):
        check_positive("bulk", self.bulk)
        check_positive("shear", self.shear)

    @property
    def num_strains(self) -> int:
        return 6

    @property
    def is_linear(self) -> bool:
        return False

    @property
    def has_symmetric_tangent(self) -> bool:
        return True

    def init_state(self, key=None) -> J2State:
        dtype = jnp.result_type(float, self.bulk, self.shear)
        return J2State(jnp.zeros(6, dtype), jnp.zeros((), dtype))

    def update(self, eps, state, dt):
        elastic = eps - state.eps_p
        volumetric = jnp.zeros_like(eps).at[:3].set(self.bulk * mandel.trace(elastic))
        trial = volumetric + 2 * self.shear * mandel.deviator(elastic)
        q, normal = mandel.von_mises(trial)
        dp = self._plastic_strain(q, state.p)
        sig = trial - 2 * self.shear * dp * normal
        return sig, J2State(state.eps_p + dp * normal, state.p + dp)

    @full_precision
    def update_in_plane_stress(
        self, eps: Float[Array, "3"], state: J2State, dt: Scalar
    ) -> tuple[Float[Array, "3"], J2State]:
        """As `PlaneStress`, by one scalar equation; Simo & Hughes, section 3.4.1.

        Stress is split into its equibiaxial part and two shears, which flow scales down
        by different factors, functions of the share of the shear that it takes away.
        """
        biaxial = 18 * self.bulk * self.shear / (3 * self.bulk + 4 * self.shear)
        stiffness = jnp.stack([biaxial, 2 * self.shear, 2 * self.shear])
        split, weights = jnp.asarray(_SPLIT, eps.dtype), jnp.asarray(_MISES, eps.dtype)
        trial = stiffness * (split @ (eps - state.eps_p[mandel.PLANE]))
        squares = weights * trial**2
        limit = self.flow_stress(state.p)
        yields = squares[0] + squares[1] + squares[2] > limit**2
        # Below yield, a problem whose answer is zero, so that its slopes are finite.
        pressed = jnp.where(yields, squares[0], 0.0)
        sheared = jnp.where(yields, squares[1] + squares[2], limit**2)

        def remains(share):
            """Of the equibiaxial part, over what remains of the shears."""
            ratio = biaxial / (6 * self.shear)
            return 1 / (1 - share + ratio * share)

        def trial_mises(share):
            return jnp.sqrt(pressed * remains(share) ** 2 + sheared)

        def overstress(share):
            mises = trial_mises(share)
            dp = share * mises / (3 * self.shear)
            return (1 - share) * mises - self.flow_stress(state.p + dp)

        one = jnp.ones_like(limit)
        share = jnp.where(yields, bracketed_root(overstress, 0 * one, one), 0.0)
        dp = share * trial_mises(share) / (3 * self.shear)
        factor = jnp.stack([remains(share), one, one])
        sig = split @ ((1 - share) * factor * trial)
        x, y, shear = split @ (share / (3 * self.shear) * weights * factor * trial)
        zero = jnp.zeros_like(dp)
        eps_p = state.eps_p + jnp.stack([x, y, -x - y, zero, zero, shear])
        return sig, J2State(eps_p, state.p + dp)

    def _plastic_strain(self, q: Scalar, p: Scalar) -> Scalar:
        """Increment of the accumulated plastic strain after a trial stress."""
        flow = self.flow_stress(p)
        yields = q > flow
        # Below yield, a problem whose answer is zero, so that its slopes are finite.
        q = jnp.where(yields, q, flow)

        def overstress(dp):
            return q - 3 * self.shear * dp - self.flow_stress(p + dp)

        dp = bracketed_root(overstress, jnp.zeros_like(q), q / (3 * self.shear))
        return jnp.where(yields, dp, 0.0)
