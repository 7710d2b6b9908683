"""Derivatives of paths through a nonlinear cell against central differences."""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmat import cells, crystals, rotations, tangent
from jaxmat.materials import Damage, J2Plasticity, LinearElastic, VoceHardening
from jaxmat.microstructure import Grid, Microstructure

ONE = jnp.asarray(1.0)
PATH = 0.02 * jnp.array([[0.4, -0.1, 0.2], [1.0, -0.2, 0.3], [0.9, 0.3, 0.8]])


def film(quaternion):
    x = (np.arange(4) + 0.5) / 4 - 0.5
    fibre = jnp.asarray(x[:, None] ** 2 + x**2 < 0.09, jnp.int32)
    grain = jnp.asarray(np.arange(16).reshape(4, 4) % 2, jnp.int32)
    return Microstructure(Grid((4, 4), (1.0, 1.3)), grain, fibre, quaternion)


TURNS = jax.vmap(rotations.from_rotation_vector)(
    jnp.array([[0.0, 0.0, 0.3], [0.0, 0.0, -0.8]])
)
CONSTANTS = {
    "matrix": jnp.array([4.0, 1.1]),
    "hardening": jnp.array([0.03, 0.06, 300.0]),
    "fibre": jnp.array([80.0, 30.0, 40.0]),
    "turns": TURNS,
}


def composite(constants, **options):
    matrix = J2Plasticity(*constants["matrix"], VoceHardening(*constants["hardening"]))
    fibre = LinearElastic(crystals.cubic(*constants["fibre"]))
    cell = cells.grid_cell(
        film(constants["turns"]), (matrix, fibre), plane="strain", **options
    )
    return dataclasses.replace(cell, rtol=1e-12)


def work(constants, path):
    """A number that every step of a path has a share in."""
    cell = composite(constants)

    def step(state, eps):
        sig, state = cell.update(eps, state, ONE)
        return state, sig

    _, sig = jax.lax.scan(step, cell.init_state(), path)
    return 1e3 * jnp.sum(sig[1:] * (path[1:] - path[:-1]))


@pytest.mark.slow  # reverse mode through three steps, each with its solves
def test_a_path_is_differentiated_in_every_constant_and_strain():
    """Yield stress, hardening, elastic constants, orientations, mean strains."""
    x = (CONSTANTS, PATH)
    flat, unravel = jax.flatten_util.ravel_pytree(x)
    value = jax.jit(lambda flat: work(*unravel(flat)))
    # A step relative to the size of each, so that none drowns the others.
    draw = np.random.default_rng(0).normal(size=flat.shape)
    direction = jnp.asarray(draw) * jnp.where(flat == 0, 0.01, abs(flat))
    step = 1e-5
    difference = (value(flat + step * direction) - value(flat - step * direction)) / (
        2 * step
    )
    forward = jax.jit(lambda v: jax.jvp(value, (v,), (direction,))[1])(flat)
    gradient = jax.jit(jax.grad(value))(flat)
    # Of order step^2 of the third derivative and 1e-12 / step of rounding.
    np.testing.assert_allclose(forward, difference, rtol=1e-6)
    np.testing.assert_allclose(gradient @ direction, forward, rtol=1e-8)


def central(material, eps, state, step=1e-7):
    update = eqx.filter_jit(material.update)
    columns = [
        (update(eps + d, state, ONE)[0] - update(eps - d, state, ONE)[0]) / (2 * step)
        for d in step * jnp.eye(eps.size)
    ]
    return jnp.stack(columns, -1)


@pytest.mark.parametrize(
    "options", [{}, {"boundary": "subc"}, {"discretisation": "fourier"}], ids=str
)
def test_the_tangent_of_a_cell_is_that_of_differences(options):
    cell = composite(CONSTANTS, **options)
    _, state = eqx.filter_jit(cell.update)(PATH[0], cell.init_state(), ONE)
    slope = eqx.filter_jit(tangent)(cell, PATH[1], state, 1.0)
    np.testing.assert_allclose(slope, slope.T, rtol=0, atol=1e-9 * abs(slope).max())
    # The stress is exact to 1e-12 of itself, so a difference to 1e-6 of the tangent.
    scale = 1e-6 * float(abs(slope).max())
    difference = central(cell, PATH[1], state)
    np.testing.assert_allclose(slope, difference, rtol=0, atol=scale)


class Careful(J2Plasticity):
    """Plasticity that answers only increments of strain below one percent."""

    def init_state(self, key=None):
        return jnp.zeros(6), super().init_state(key)

    def update(self, eps, state, dt):
        last, state = state
        sig, state = super().update(eps, state, dt)
        small = jnp.sum((eps - last) ** 2) < 1e-4
        return jnp.where(small, sig, jnp.nan), (eps, state)


@pytest.mark.slow  # three derivatives to compile
def test_a_step_that_is_cut_is_a_path_with_its_derivatives():
    """A law that takes small increments only; the same path, cut by hand."""
    hardening = VoceHardening(*CONSTANTS["hardening"])
    law = Careful(*CONSTANTS["matrix"], hardening)
    fibre = LinearElastic(crystals.cubic(*CONSTANTS["fibre"]))
    cell = cells.grid_cell(film(TURNS), (law, fibre), plane="strain")
    cell = dataclasses.replace(cell, rtol=1e-12)
    start, end = cell.init_state(), 1.2 * PATH[1]

    @eqx.filter_jit
    def plan(eps):
        return cell._take(eps, start, 1.0, 1e-12, 1000)[-1]

    found = plan(end)
    num = int(found.num)
    assert 3 < num <= 16
    marks = np.asarray(found.ends[:num]) / 16
    assert marks[-1] == 1

    update = eqx.filter_jit(cell.update)

    def at_once(eps):
        return update(eps, start, ONE)[0]

    def by_hand(eps):
        state, sig = start, jnp.zeros(3)
        for mark in marks:
            sig, state = update(mark * eps, state, ONE)
        return sig

    np.testing.assert_allclose(at_once(end), by_hand(end), rtol=1e-10)
    slope = jax.jit(jax.jacfwd(at_once))(end)
    step = 1e-7 * jnp.eye(3)
    difference = [(by_hand(end + d) - by_hand(end - d)) / 2e-7 for d in step]
    scale = float(abs(slope).max())
    close = {"rtol": 0, "atol": 1e-6 * scale}
    np.testing.assert_allclose(slope, jnp.stack(difference, -1), **close)
    row = jax.jit(jax.grad(lambda eps: at_once(eps)[0]))(end)
    np.testing.assert_allclose(row, slope[0], rtol=0, atol=1e-9 * scale)


def test_fields_are_differentiated_too():
    """Displacement and stress at the end of a second step, in the yield stress."""
    cell = composite(CONSTANTS)

    @jax.jit
    def peak(yield_stress):
        changed = {**CONSTANTS, "hardening": jnp.array([yield_stress, 0.06, 300.0])}
        cell = composite(changed)
        _, state = cell.update(PATH[0], cell.init_state(), ONE)
        solution = cells.local_fields(
            cell, PATH[1], state=state, rtol=1e-12, throw=False
        )
        fields = solution.value
        weights = jnp.arange(fields.displacement.size).reshape(5, 5, 2) / 50
        return jnp.sum(weights * fields.displacement) + fields.sig[0, 0, 0]

    assert cell.num_strains == 3
    step = 1e-7
    difference = (peak(0.03 + step) - peak(0.03 - step)) / (2 * step)
    np.testing.assert_allclose(jax.jit(jax.grad(peak))(0.03), difference, rtol=1e-5)


def test_a_softening_cell_still_has_its_slope():
    ceramic = Damage(
        crystals.cubic(165.64, 63.94, 79.51), jnp.asarray(0.05), jnp.asarray(0.02)
    )
    glass = LinearElastic(crystals.cubic(80.0, 20.0, 30.0))
    cell = cells.grid_cell(film(TURNS), (ceramic, glass), plane="strain")
    cell, eps = dataclasses.replace(cell, rtol=1e-12), PATH[1] / 2
    state = cell.init_state()
    slope = eqx.filter_jit(tangent)(cell, eps, state, 1.0)
    scale = 1e-6 * float(abs(slope).max())
    difference = central(cell, eps, state)
    np.testing.assert_allclose(slope, difference, rtol=0, atol=scale)
