"""Linear viscoelasticity: springs, and springs in line with dashpots, side by side.

References:
    Simo & Hughes (1998), Computational Inelasticity, section 10.3.
"""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxmat import mandel
from jaxmat._check import JaxmatError, check_positive
from jaxmat._types import Mandel, Scalar
from jaxmat.materials._base import AbstractMaterial


class ViscoelasticState(NamedTuple):
    """History of a viscoelastic point.

    Attributes:
        eps: strain at the end of the last step, Mandel.
        branches: stress of each Maxwell branch, GPa, Mandel.
    """

    eps: Float[Array, "6"]
    branches: Float[Array, "branches 6"]


class PronySeries(AbstractMaterial):
    """Isotropic generalised Maxwell solid: moduli that relax as sums of exponentials.

    K(t) = bulk + sum_i bulk_branches_i exp(-t / times_i), likewise the shear modulus.
    The step is exact for a strain that is linear in time within it.

    Attributes:
        bulk: bulk modulus after all relaxation, GPa.
        shear: shear modulus after all relaxation, GPa.
        bulk_branches: bulk moduli that relax, GPa; often zero.
        shear_branches: shear moduli that relax, GPa.
        times: relaxation times, seconds.

    Raises:
        JaxmatError: if the branches are not as many as the times, or a time is not
            positive.
    """

    bulk: Scalar
    shear: Scalar
    bulk_branches: Float[Array, " branches"]
    shear_branches: Float[Array, " branches"]
    times: Float[Array, " branches"]

    def __check_init__(self):
        arrays = (self.bulk_branches, self.shear_branches, self.times)
        bulk, shear, times = (x.shape for x in arrays)
        if not bulk == shear == times:
            raise JaxmatError(
                f"PronySeries has bulk_branches {bulk}, shear_branches {shear} and "
                f"times {times}; give one of each per branch."
            )
        check_positive("times", self.times)

    @property
    def num_strains(self) -> int:
        return 6

    @property
    def is_linear(self) -> bool:
        return False  # stress depends on the path

    @property
    def has_symmetric_tangent(self) -> bool:
        return True

    def init_state(self, key=None) -> ViscoelasticState:
        dtype = jnp.result_type(float, self.bulk, self.times)
        branches = jnp.zeros((len(self.times), 6), dtype)
        return ViscoelasticState(jnp.zeros(6, dtype), branches)

    def update(self, eps, state, dt):
        x = dt / self.times
        added = _stress(self.bulk_branches, self.shear_branches, eps - state.eps)
        kept, mean = jnp.exp(-x)[:, None], _mean_decay(x)[:, None]
        branches = kept * state.branches + mean * added
        sig = _stress(self.bulk, self.shear, eps) + jnp.sum(branches, axis=0)
        return sig, ViscoelasticState(eps, branches)


def _stress(bulk: Array, shear: Array, eps: Mandel) -> Float[Array, "*branches 6"]:
    """Hooke's law, for any number of moduli."""
    volumetric = jnp.zeros_like(eps).at[:3].set(mandel.trace(eps))
    shape = (..., None)
    return bulk[shape] * volumetric + 2 * shear[shape] * mandel.deviator(eps)


def _mean_decay(x: Float[Array, " branches"]) -> Float[Array, " branches"]:
    """(1 - exp(-x)) / x: mean of what is left of a strain that is added evenly."""
    nonzero = x > 0
    safe = jnp.where(nonzero, x, 1.0)
    return jnp.where(nonzero, -jnp.expm1(-safe) / safe, 1.0)
