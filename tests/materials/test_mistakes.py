"""Constants that no material has are told in a sentence; traced ones pass."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jaxtyping
import pytest

from jaxmat import JaxmatError, crystals
from jaxmat.materials import (
    Damage,
    J2Plasticity,
    LinearHardening,
    PronySeries,
    SwiftHardening,
    TabulatedHardening,
    VoceHardening,
)

ONE, NOTHING, NEGATIVE = map(jnp.asarray, (1.0, 0.0, -0.3))
CURVE = LinearHardening(ONE, NOTHING)
STIFFNESS = crystals.isotropic(ONE, ONE)

MISTAKES = {
    "`yield_stress` holds -0.3; give .* positive": lambda: LinearHardening(
        NEGATIVE, ONE
    ),
    "`rate` holds 0": lambda: VoceHardening(ONE, ONE, NOTHING),
    "`saturation` holds nan": lambda: VoceHardening(ONE, ONE * jnp.nan, ONE),
    "`offset` holds 0": lambda: SwiftHardening(ONE, NOTHING, ONE),
    "`steps of plastic_strain` holds -0.1": lambda: TabulatedHardening(
        jnp.array([0.1, 0.0]), jnp.ones(2)
    ),
    "one stress for each strain": lambda: TabulatedHardening(jnp.ones(2), jnp.ones(3)),
    "`shear` holds inf": lambda: J2Plasticity(ONE, ONE / 0, CURVE),
    "`bulk` holds 0": lambda: J2Plasticity(NOTHING, ONE, CURVE),
    "`times` holds 0": lambda: PronySeries(
        ONE, ONE, jnp.ones(2), jnp.ones(2), jnp.array([1.0, 0.0])
    ),
    "`threshold` holds 0": lambda: Damage(STIFFNESS, NOTHING, ONE),
    "`brittleness` holds -0.3; .* no negative": lambda: Damage(
        STIFFNESS, ONE, NEGATIVE
    ),
}


@pytest.mark.parametrize(("words", "mistake"), MISTAKES.items(), ids=MISTAKES)
def test_impossible_constants_are_told(words, mistake, monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # as for a user
    with pytest.raises(JaxmatError, match=words):
        mistake()


def test_traced_constants_and_zero_brittleness_pass():
    @jax.jit
    def stress(value):
        law = J2Plasticity(value, value, LinearHardening(value, NOTHING))
        return law.update(jnp.full(6, 1e-3), law.init_state(), ONE)[0]

    assert jnp.all(jnp.isfinite(stress(ONE)))
    assert Damage(STIFFNESS, ONE, NOTHING).brittleness == 0


def test_strains_that_are_no_numbers_give_no_stress():
    """What is wrong is seen, and does not hang in a search for a root."""
    law = J2Plasticity(ONE, ONE, VoceHardening(ONE, 2 * ONE, ONE))
    sig, _ = eqx.filter_jit(law.update)(jnp.full(6, jnp.nan), law.init_state(), ONE)
    assert jnp.all(jnp.isnan(sig))
    sig, state = eqx.filter_jit(law.update)(jnp.full(6, 1e100), law.init_state(), ONE)
    assert jnp.all(jnp.isfinite(state.p))
