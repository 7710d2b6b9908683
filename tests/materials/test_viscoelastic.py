"""Relaxation, creep and oscillation of a Prony series, against closed forms."""

import equinox as eqx
import jax.numpy as jnp
import jaxtyping
import numpy as np
import pytest

from jaxmat import JaxmatError
from jaxmat.materials import LoadPath, PronySeries, drive

EPOXY = PronySeries(
    jnp.asarray(4.0),
    jnp.asarray(1.0),
    jnp.array([0.5, 0.0]),
    jnp.array([0.4, 0.3]),
    jnp.array([0.6, 20.0]),
)
SHEAR = 5


def shear_modulus(t):
    """GPa, of the time since a sudden strain, seconds."""
    return 1.0 + 0.4 * np.exp(-t / 0.6) + 0.3 * np.exp(-t / 20)


def follow(eps, dt):
    """Stress at the end of every step of a strain path."""
    step, state, found = eqx.filter_jit(EPOXY.update), EPOXY.init_state(), []
    for strain, seconds in zip(eps, dt, strict=True):
        sig, state = step(jnp.asarray(strain), state, jnp.asarray(seconds))
        found.append(sig)
    return np.stack(found)


def test_a_sudden_strain_relaxes_by_the_series():
    eps = np.zeros(6)
    eps[SHEAR], eps[:3] = 0.01, 0.002
    dt = [0.0, 0.1, 0.5, 3.0, 40.0]
    sig, t = follow([eps] * 5, dt), np.cumsum(dt)
    np.testing.assert_allclose(sig[:, SHEAR], 0.02 * shear_modulus(t), rtol=1e-13)
    bulk = 4.0 + 0.5 * np.exp(-t / 0.6)
    np.testing.assert_allclose(sig[:, :3].sum(1), 3 * bulk * 0.006, rtol=1e-13)


def test_a_ramp_is_exact_whatever_the_steps():
    """sigma = 2 rate times the integral of G, as strain is linear in every step."""
    rate = 1e-3

    def integral(t):
        branches = 0.4 * 0.6 * -np.expm1(-t / 0.6) + 0.3 * 20 * -np.expm1(-t / 20)
        return t + branches

    for dt in ([5.0], [0.01, 0.3, 1.7, 2.99], [2.5, 2.5]):
        t = np.cumsum(dt)
        eps = np.zeros((len(dt), 6))
        eps[:, SHEAR] = rate * t
        np.testing.assert_allclose(
            follow(eps, dt)[:, SHEAR], 2 * rate * integral(t), rtol=1e-12
        )


def test_an_oscillation_has_the_storage_and_loss_moduli_of_the_series():
    omega, times, moduli = 2.0, np.array([0.6, 20.0]), np.array([0.4, 0.3])
    x = omega * times
    storage = 1.0 + np.sum(moduli * x**2 / (1 + x**2))
    loss = np.sum(moduli * x / (1 + x**2))
    period, steps = 2 * np.pi / omega, 400
    t = np.arange(1, 40 * steps + 1) * period / steps
    eps = np.zeros((len(t), 6))
    eps[:, SHEAR] = 0.01 * np.sin(omega * t)
    free = np.zeros(eps.shape, bool)
    path = LoadPath(*map(jnp.asarray, (eps, eps, free, np.diff(t, prepend=0.0))))
    sig = drive(EPOXY, path).value.sig[-steps:, SHEAR]
    end = omega * t[-steps:]
    # What is left of the start is exp(-125/20); chords of 400 steps err by 2e-5.
    assert 2 * np.mean(sig * np.sin(end)) == pytest.approx(0.02 * storage, rel=1e-4)
    assert 2 * np.mean(sig * np.cos(end)) == pytest.approx(0.02 * loss, rel=1e-2)


def test_a_creeping_bar_comes_to_rest_at_the_long_term_moduli():
    steps = 60
    sig = jnp.zeros((steps, 6)).at[:, 0].set(0.01)
    path = LoadPath(sig, sig, np.ones((steps, 6), bool), jnp.full(steps, 10.0))
    eps = drive(EPOXY, path).value.eps[:, 0]
    youngs = 9 * 4.0 * 1.0 / (3 * 4.0 + 1.0)
    assert np.all(np.diff(eps) > 0)
    assert eps[-1] == pytest.approx(0.01 / youngs, rel=1e-6)


def test_branches_of_unlike_number_are_refused(monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # as for a user
    with pytest.raises(JaxmatError, match="one of each per branch"):
        PronySeries(EPOXY.bulk, EPOXY.shear, jnp.ones(1), jnp.ones(2), jnp.ones(2))
