"""Plasticity of von Mises against closed forms, another program of it, and itself."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import brentq

from jaxmat import mandel, tangent
from jaxmat.materials import (
    AbstractMaterial,
    J2Plasticity,
    LinearHardening,
    LoadPath,
    PlaneStress,
    SwiftHardening,
    TabulatedHardening,
    VoceHardening,
    drive,
)

BULK, SHEAR = 500 / 3, 1000 / 13  # E = 200 GPa, nu = 0.3


def numbers(*values):
    return map(jnp.asarray, values)


def bar(flow_stress):
    return J2Plasticity(*numbers(BULK, SHEAR), flow_stress)


CURVES = {
    "linear": LinearHardening(*numbers(0.2, 2.0)),
    "perfect": LinearHardening(*numbers(0.2, 0.0)),
    "Voce": VoceHardening(*numbers(0.2, 0.5, 40.0)),
    "Swift": SwiftHardening(*numbers(0.2, 1e-3, 0.2)),
    "table": TabulatedHardening(*map(jnp.array, ([0.0, 0.01, 0.1], [0.2, 0.3, 0.4]))),
    "softening": VoceHardening(*numbers(0.2, 0.1, 40.0)),
}
for_every_curve = pytest.mark.parametrize("curve", CURVES.values(), ids=CURVES)


def tension(strain):
    """A path of uniaxial stress along x, strain by strain."""
    eps = jnp.zeros((len(strain), 6)).at[:, 0].set(jnp.asarray(strain))
    free = jnp.tile(jnp.array([False] + [True] * 5), (len(strain), 1))
    return LoadPath(eps, jnp.zeros_like(eps), free, jnp.ones(len(strain)))


def test_the_bar_of_the_closed_form_is_met(closed_form):
    exact = closed_form["J2 uniaxial E=200GPa sy=200 H=2GPa (linear iso)"]
    strains = (0.002, 0.005, 0.01)
    found = drive(bar(CURVES["linear"]), tension(strains)).value.sig[:, 0]
    wanted = [exact[f"sigma(eps={eps})"] / 1000 for eps in strains]
    np.testing.assert_allclose(found, wanted, rtol=1e-7)  # drive stops at 1e-8


@for_every_curve
def test_in_tension_the_stress_is_the_flow_stress(curve):
    """sigma = flow(eps - sigma / E): one scalar equation, whatever the steps."""
    strains = [0.004, 0.01, 0.03]
    history = drive(bar(curve), tension(strains)).value
    for eps, sig, p in zip(strains, history.sig, history.state.p, strict=True):
        excess = lambda s, e=eps: s - curve(jnp.asarray(e - s / 200))  # noqa: E731
        exact = brentq(excess, 0, 200 * eps, xtol=1e-15)
        np.testing.assert_allclose(sig[0], exact, rtol=1e-7)
        np.testing.assert_allclose(p, eps - exact / 200, rtol=1e-6)


@for_every_curve
def test_after_a_plastic_step_the_stress_lies_on_the_yield_surface(curve):
    material = bar(curve)
    eps = jnp.array([0.01, -0.02, 0.005, 0.01, 0.0, 0.03])
    sig, state = eqx.filter_jit(material.update)(
        eps, material.init_state(), jnp.asarray(1.0)
    )
    q, _ = mandel.von_mises(sig)
    # Rounding of strains of 1e-2 times 200 GPa, beside 0.2.
    np.testing.assert_allclose(q, curve(state.p), rtol=1e-12)
    np.testing.assert_allclose(mandel.trace(state.eps_p), 0, atol=1e-16)
    np.testing.assert_allclose(mandel.trace(sig), 3 * BULK * mandel.trace(eps))


def test_unloading_is_elastic_and_leaves_the_plastic_strain():
    material = bar(CURVES["Voce"])
    history = drive(material, tension([0.01, 0.0095, 0.009, -0.01])).value
    slopes = np.diff(history.sig[:3, 0]) / np.diff(history.eps[:3, 0])
    np.testing.assert_allclose(slopes, 200, rtol=1e-6)
    p = history.state.p
    np.testing.assert_allclose(p[:3], p[0], rtol=1e-12)
    assert p[3] > p[0]
    assert history.sig[3, 0] < -history.sig[0, 0]


def test_one_step_of_proportional_loading_is_as_good_as_many():
    """Backward Euler is exact where the direction of flow stays."""
    material = bar(CURVES["Swift"])
    direction = jnp.array([1.0, -0.5, -0.5, 0.3, 0.0, 0.2])
    step = eqx.filter_jit(material.update)
    state = material.init_state()
    for size in np.linspace(0, 0.02, 9)[1:]:
        many, state = step(size * direction, state, jnp.asarray(1.0))
    once, _ = step(0.02 * direction, material.init_state(), jnp.asarray(1.0))
    np.testing.assert_allclose(many, once, rtol=1e-11, atol=1e-13)


def test_dissipation_is_not_negative_along_a_random_path():
    rng = np.random.default_rng(1)
    material, step = bar(CURVES["Voce"]), None
    step = eqx.filter_jit(material.update)
    state, eps = material.init_state(), jnp.zeros(6)
    for _ in range(40):
        eps = eps + 2e-3 * rng.normal(size=6)
        sig, new = step(eps, state, jnp.asarray(1.0))
        assert jnp.vdot(sig, new.eps_p - state.eps_p) >= 0
        state = new


def test_second_derivatives_go_through_the_return():
    """The tangent's derivative in the yield stress against a central difference."""

    def slope(yield_stress):
        curve = VoceHardening(yield_stress, *numbers(0.5, 40.0))
        sig = lambda e: bar(curve).update(  # noqa: E731
            e * jnp.array([1.0, -0.4, 0.1, 0.0, 0.3, 0.0]),
            bar(curve).init_state(),
            jnp.asarray(1.0),
        )[0][0]
        return jax.grad(sig)(jnp.asarray(0.01))

    slope = jax.jit(slope)
    exact = jax.jit(jax.grad(slope))(jnp.asarray(0.2))
    # A central difference of step 1e-5 errs by 1e-10 of the third derivative.
    central = (slope(jnp.asarray(0.20001)) - slope(jnp.asarray(0.19999))) / 2e-5
    np.testing.assert_allclose(exact, central, rtol=1e-6)


class Hidden(AbstractMaterial):
    """A law that does not tell what it knows of plane stress."""

    law: AbstractMaterial
    num_strains = 6
    is_linear = False

    def init_state(self, key=None):
        return self.law.init_state(key)

    def update(self, eps, state, dt):
        return self.law.update(eps, state, dt)


@for_every_curve
def test_one_scalar_equation_gives_plane_stress_as_newtons_method_does(curve):
    """Stress, state and tangent along a random path, unloading included."""
    rng = np.random.default_rng(2)
    laws = PlaneStress(bar(curve)), PlaneStress(Hidden(bar(curve)))
    change = jnp.zeros(3)

    @eqx.filter_jit
    def step(law, eps, state):
        sig, new = law.update(eps, state, jnp.asarray(1.0))
        return sig, new, tangent(law, eps, state, 1.0)

    state, eps, yielded = laws[0].init_state(), jnp.zeros(3), 0
    for k in range(20):
        # Every fourth step goes back a little, which is elastic.
        change = -0.1 * change if k % 4 == 3 else 2e-3 * rng.normal(size=3)
        eps = eps + change
        quick, newton = (step(law, eps, state) for law in laws)
        # Newton's method stops at 2e-13 of the strain.
        for a, b in zip(jax.tree.leaves(quick), jax.tree.leaves(newton), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-11)
        yielded += int(quick[1].p > state.p)
        state = quick[1]
    assert 5 < yielded < 20
