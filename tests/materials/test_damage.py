"""Damage against its closed form in tension, and what may never happen."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from jaxmat import crystals
from jaxmat.materials import Damage, LoadPath, drive

YOUNGS, THRESHOLD, BRITTLENESS = 200.0, 0.02, 0.5
STIFFNESS = crystals.isotropic(jnp.asarray(500 / 3), jnp.asarray(1000 / 13))
CERAMIC = Damage(STIFFNESS, jnp.asarray(THRESHOLD), jnp.asarray(BRITTLENESS))


def tension(strain):
    eps = jnp.zeros((len(strain), 6)).at[:, 0].set(jnp.asarray(strain))
    free = jnp.tile(jnp.array([False] + [True] * 5), (len(strain), 1))
    return LoadPath(eps, jnp.zeros_like(eps), free, jnp.ones(len(strain)))


def test_tension_follows_the_closed_form():
    """In uniaxial stress r = sqrt(E) eps."""
    strain = np.linspace(2e-4, 5e-3, 25)
    sig = drive(CERAMIC, tension(strain)).value.sig[:, 0]
    r = np.sqrt(YOUNGS) * strain
    fall = np.exp(-BRITTLENESS * (r / THRESHOLD - 1)) * THRESHOLD / r
    exact = YOUNGS * strain * np.where(r > THRESHOLD, fall, 1)
    np.testing.assert_allclose(sig, exact, rtol=1e-7)  # drive stops at 1e-8
    assert exact.max() < np.sqrt(YOUNGS) * THRESHOLD


def test_stiffness_is_lost_for_good():
    """Unloading goes to the origin, and reloading the same way back."""
    peak, half = 4e-3, 2e-3
    rise = np.linspace(0, peak, 12)[1:]
    history = drive(CERAMIC, tension([*rise, half, 0.0, 0.8 * peak])).value
    sig, state = np.asarray(history.sig[10:, 0]), np.asarray(history.state[10:])
    np.testing.assert_allclose(
        sig[1:], sig[0] * np.array([0.5, 0, 0.8]), rtol=1e-6, atol=1e-12
    )
    np.testing.assert_allclose(state, state[0], rtol=1e-9)


def test_damage_grows_from_zero_to_one_along_any_path():
    rng = np.random.default_rng(0)
    step, state, eps, before = eqx.filter_jit(CERAMIC.update), 0.0, jnp.zeros(6), 0.0
    state = CERAMIC.init_state()
    for _ in range(50):
        eps = eps + 1e-3 * rng.normal(size=6)
        sig, state = step(eps, state, jnp.asarray(1.0))
        damage = CERAMIC.damage(state)
        assert before <= damage < 1
        undamaged = STIFFNESS @ eps
        np.testing.assert_allclose(sig, (1 - damage) * undamaged, rtol=1e-12)
        before = damage
    assert before > 0.5
