"""Derivatives of effective quantities against central differences, both modes."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from jaxmat import cells, crystals, homogenise, rotations
from jaxmat.materials import LinearElastic
from jaxmat.microstructure import Grid, Microstructure

# The solves are exact to 1e-11; a central difference with step 1e-4 is good to 1e-8 of
# the third derivative, so 1e-6 relative is the accuracy of the comparison, not of the
# gradient.
TIGHT = {"rtol": 1e-11}


def directional_error(fn, x, *, step=1e-4):
    """Relative differences of forward and reverse mode from a central difference."""
    flat, unravel = jax.flatten_util.ravel_pytree(x)
    direction = np.random.default_rng(0).normal(size=flat.shape)
    direction = jnp.asarray(direction / np.linalg.norm(direction))
    value = jax.jit(lambda v: fn(unravel(v)))
    difference = (
        8 * (value(flat + step * direction) - value(flat - step * direction))
        - (value(flat + 2 * step * direction) - value(flat - 2 * step * direction))
    ) / (12 * step)
    forward = jax.jit(lambda v: jax.jvp(value, (v,), (direction,))[1])(flat)
    reverse = jax.jit(jax.grad(value))(flat) @ direction
    return [abs(float(x / difference) - 1) for x in (forward, reverse)]


def youngs_modulus(stiffness):
    return 1 / jnp.linalg.inv(stiffness)[0, 0]


@pytest.mark.parametrize("boundary", ["periodic", "kubc", "subc"])
def test_modulus_is_differentiated_in_every_orientation(small, silicon, boundary):
    def modulus(orientation):
        grains = eqx.tree_at(lambda m: m.orientation, small, orientation)
        cell = cells.grid_cell(grains, silicon, boundary=boundary)
        return youngs_modulus(homogenise(cell, **TIGHT).value)

    assert max(directional_error(modulus, small.orientation)) < 1e-6


@pytest.mark.parametrize("scheme", ["full", "reduced", "fourier"])
def test_modulus_is_differentiated_in_the_crystal_constants(small, scheme):
    def modulus(constants):
        law = LinearElastic(crystals.cubic(*constants))
        cell = cells.grid_cell(small, law, discretisation=scheme)
        return homogenise(cell, **TIGHT).value[0, 1]

    constants = jnp.array([165.64, 63.94, 79.51])
    assert max(directional_error(modulus, constants)) < 1e-6


def test_plane_stress_is_differentiated_through_the_condensation(micro):
    film = eqx.tree_at(
        lambda m: m.orientation, micro("voronoi2d_20g_128"), jnp.eye(20, 4) + 0.3
    )
    film = eqx.tree_at(
        lambda m: (m.grid, m.grain, m.phase),
        film,
        (Grid((8, 8), (1.0, 1.0)), film.grain[::16, ::16], film.phase[::16, ::16]),
    )

    def modulus(stiffness):
        cell = cells.grid_cell(film, LinearElastic(stiffness), plane="stress")
        return youngs_modulus(homogenise(cell, **TIGHT).value)

    stiffness = crystals.cubic(165.64, 63.94, 79.51)
    assert max(directional_error(modulus, stiffness)) < 1e-6


def test_modulus_is_differentiated_in_a_smooth_phase_field(silicon):
    grid = Grid((6, 7), (1.0, 1.0))
    soft, stiff = silicon.stiffness, 3 * silicon.stiffness

    def modulus(density):
        mixture = jax.vmap(jax.vmap(lambda d: LinearElastic(soft + d**3 * stiff)))
        cell = cells.field_cell(grid, mixture(density), plane="strain")
        return homogenise(cell, **TIGHT).value[2, 2]

    density = jax.random.uniform(jax.random.key(0), grid.shape)
    assert max(directional_error(modulus, density)) < 1e-6


@pytest.mark.parametrize("boundary", ["periodic", "subc"])
def test_local_stress_is_differentiated_implicitly(small, silicon, boundary):
    eps_bar = jnp.array([1.0, -0.2, 0.3, 0.5, -0.4, 0.6])

    def hottest(orientation):
        grains = eqx.tree_at(lambda m: m.orientation, small, orientation)
        cell = cells.grid_cell(grains, silicon, boundary=boundary)
        sig = cells.local_fields(cell, eps_bar, **TIGHT).value.sig
        return jax.nn.logsumexp(sig[..., 0] / 20)

    assert max(directional_error(hottest, small.orientation)) < 1e-6


def test_second_derivatives_are_right_too(small):
    """The stationarity rule is itself differentiable: Hessian against differences."""

    def modulus(constants):
        law = LinearElastic(crystals.cubic(*constants))
        return homogenise(cells.grid_cell(small, law), **TIGHT).value[0, 0]

    constants = jnp.array([165.64, 63.94, 79.51])
    check_grads(
        jax.jit(jax.grad(modulus)),
        (constants,),
        order=1,
        modes=["fwd"],
        eps=1e-3,
        rtol=1e-5,
        atol=1e-9,
    )


def test_reverse_mode_needs_no_second_solve(small, silicon):
    """Stationarity: one Krylov loop a gradient, the same as for the value."""

    def modulus(orientation):
        grains = eqx.tree_at(lambda m: m.orientation, small, orientation)
        return homogenise(cells.grid_cell(grains, silicon), throw=False).value[0, 0]

    def loops(fn):
        text = jax.jit(fn).lower(small.orientation).compile().as_text()
        return text.count(" while(")

    assert loops(jax.grad(modulus)) == loops(modulus)


def test_the_cell_is_a_material_with_the_effective_tangent(small, silicon):
    from jaxmat import tangent

    cell = cells.grid_cell(small, silicon)
    at = 1e-3 * jnp.ones(6)
    stiffness = tangent(cell, at, None, 1.0)
    exact = homogenise(cell, rtol=1e-9).value
    np.testing.assert_allclose(stiffness, exact, rtol=0, atol=1e-5)


@pytest.mark.parametrize("discretisation", ["full", "reduced", "fourier"])
def test_displacements_are_differentiated_under_any_weights(silicon, discretisation):
    """Weights with a mean and an hourglass: loads that no strain can bear."""
    grid = Grid((4, 4), (1.0, 1.0))
    grain = jnp.arange(16, dtype=jnp.int32).reshape(4, 4) % 3
    axes = jnp.zeros((3, 3)).at[:, 2].set(jnp.array([0.1, 0.5, 1.2]))
    orientation = jax.vmap(rotations.from_rotation_vector)(axes)
    film = Microstructure(grid, grain, jnp.zeros((4, 4), jnp.int32), orientation)
    draw = np.random.default_rng(1)

    def weighted(turned):
        place = eqx.tree_at(lambda m: m.orientation, film, turned)
        cell = cells.grid_cell(place, silicon, discretisation=discretisation)
        load = jnp.array([1.0, -0.3, 0.2, 0.5, -0.7, 0.4])
        u = cells.local_fields(cell, load, **TIGHT).value.displacement
        return jnp.sum(u * weights[: u.shape[0], : u.shape[1]])

    weights = jnp.asarray(1 + draw.normal(size=(5, 5, 3)))
    assert max(directional_error(weighted, orientation)) < 1e-6
