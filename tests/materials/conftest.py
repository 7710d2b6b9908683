"""Silicon, a von Mises law as a user would write one, and closed forms."""

import json
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import pytest
from jaxtyping import Array, Float

from jaxmat import crystals, mandel
from jaxmat.materials import AbstractMaterial, LinearElastic

DATA = Path(__file__).parents[1] / "data"


class J2State(eqx.Module):
    """Plastic strain and accumulated plastic strain."""

    eps_p: Float[Array, "6"]
    p: Float[Array, ""]


class J2(AbstractMaterial):
    """Isotropic elasticity, von Mises yield, linear isotropic hardening; GPa."""

    bulk: Float[Array, ""]
    shear: Float[Array, ""]
    yield_stress: Float[Array, ""]
    hardening: Float[Array, ""]

    @property
    def num_strains(self):
        return 6

    @property
    def is_linear(self):
        return False

    def init_state(self, key=None):
        zero = jnp.zeros_like(self.bulk)
        return J2State(jnp.zeros(6, zero.dtype), zero)

    def update(self, eps, state, dt):
        trial = crystals.isotropic(self.bulk, self.shear) @ (eps - state.eps_p)
        q, normal = mandel.von_mises(trial)
        overstress = q - self.yield_stress - self.hardening * state.p
        dp = jax.nn.relu(overstress) / (3 * self.shear + self.hardening)
        sig = trial - 2 * self.shear * dp * normal
        return sig, J2State(state.eps_p + dp * normal, state.p + dp)


def make_j2(youngs, poisson, yield_stress, hardening):
    bulk, shear = youngs / (3 - 6 * poisson), youngs / (2 + 2 * poisson)
    return J2(*map(jnp.asarray, (bulk, shear, yield_stress, hardening)))


@pytest.fixture(scope="session")
def steel():
    """The bar of the closed form: E = 200 GPa, yield at 0.2 GPa, H = 2 GPa."""
    return make_j2(200.0, 0.3, 0.2, 2.0)


@pytest.fixture(scope="session")
def perfect():
    """Without hardening: no strain gives a stress beyond yield."""
    return make_j2(200.0, 0.3, 0.2, 0.0)


@pytest.fixture(scope="session")
def silicon():
    return LinearElastic(crystals.cubic(165.64, 63.94, 79.51))


@pytest.fixture(scope="session")
def closed_form():
    return json.loads((DATA / "r4_closed_form.json").read_text())
