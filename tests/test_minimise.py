"""Minimisers on functions whose minima are known."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmat import solve

START = jnp.array([-1.2, 1.0, -0.5, 0.8])


def rosenbrock(x):
    return jnp.sum(100 * (x[1::2] - x[::2] ** 2) ** 2 + (1 - x[::2]) ** 2)


gradient = jax.grad(rosenbrock)


def by_lbfgs(x, tolerance=1e-10, **options):
    return solve.lbfgs(
        rosenbrock, x, tolerance=tolerance, max_steps=500, max_move=0.5, **options
    )


def by_fire(x, tolerance=1e-10):
    return solve.fire(
        gradient,
        x,
        tolerance=tolerance,
        max_steps=20_000,
        max_move=0.1,
        first_step=0.01,
    )


def by_newton(x, tolerance=1e-10):
    near = by_lbfgs(x, tolerance=1e-4).value
    return solve.newton(gradient, near, tolerance=tolerance)


MINIMISERS = (by_lbfgs, by_fire, by_newton)
every_minimiser = pytest.mark.parametrize("minimise", MINIMISERS)


@every_minimiser
def test_the_curved_valley_is_followed_to_its_end(minimise):
    found = jax.jit(minimise)(START)
    assert found.info.converged
    # The smallest curvature there is 0.4.
    np.testing.assert_allclose(found.value, 1.0, atol=1e-9)
    slope = jnp.max(jnp.abs(gradient(found.value)))
    np.testing.assert_allclose(found.info.residual_norm, slope, rtol=1e-6, atol=1e-15)


@every_minimiser
def test_a_batch_is_a_loop(minimise):
    batch = START + 0.1 * jnp.arange(3.0)[:, None]
    together = jax.jit(jax.vmap(minimise))(batch)
    one_by_one = jax.jit(lambda x: jax.lax.map(minimise, x))(batch)
    # Rounding differs, and may decide about the last step.
    np.testing.assert_allclose(
        together.info.num_steps, one_by_one.info.num_steps, atol=2
    )
    np.testing.assert_allclose(together.value, one_by_one.value, atol=1e-9)


def test_a_good_preconditioner_saves_steps():
    scales = jnp.logspace(0, 3, 40)

    def count(precondition):
        return solve.lbfgs(
            lambda x: jnp.sum(scales * x**2) / 2 + jnp.sum(x**4),
            jnp.ones(40),
            tolerance=1e-9,
            max_steps=2000,
            precondition=precondition,
        ).info

    plain, helped = jax.jit(lambda: (count(None), count(lambda g: g / scales)))()
    assert plain.converged
    assert helped.converged
    assert helped.num_steps * 3 < plain.num_steps


def test_a_minimum_below_rounding_of_the_value_is_found():
    """1e6 above zero values are known to 1e-10, and the slope to far less."""

    def raised(x):
        return 1e6 + rosenbrock(x)

    found = jax.jit(
        lambda x: solve.lbfgs(raised, x, tolerance=1e-10, max_steps=500, max_move=0.5)
    )(START)
    assert found.info.converged


@every_minimiser
def test_no_number_means_not_converged(minimise):
    assert not jax.jit(minimise)(START.at[0].set(jnp.nan)).info.converged


def test_too_few_steps_mean_not_converged():
    for found in (
        solve.lbfgs(rosenbrock, START, tolerance=1e-10, max_steps=5),
        solve.newton(gradient, START, tolerance=1e-10, max_steps=1),
    ):
        assert not found.info.converged
        assert found.info.num_steps <= 5


def test_a_wall_is_not_jumped_over():
    """With moves bounded by 0.1, nothing ends in the deeper well beyond the barrier."""

    def wells(x):
        return jnp.sum((x**2 - 1) ** 2 - 0.5 * x)

    start = jnp.array([-1.4])
    for found in (
        solve.lbfgs(wells, start, tolerance=1e-10, max_steps=200, max_move=0.1),
        solve.fire(
            jax.grad(wells),
            start,
            tolerance=1e-10,
            max_steps=5000,
            max_move=0.05,
            first_step=0.01,
        ),
    ):
        assert found.info.converged
        assert found.value[0] < -0.8


def test_in_a_batch_only_what_differs_is_looped_over():
    shapes = []

    @solve.in_turn
    def product(matrix, vector):
        shapes.append((matrix.shape, vector.shape))
        return matrix @ vector

    rng = np.random.default_rng(0)
    matrices, vectors = jnp.asarray(rng.normal(size=(5, 3, 3))), jnp.eye(3)[:2]
    both = jax.vmap(jax.vmap(product, (None, 0)), (0, None))
    np.testing.assert_allclose(
        jax.jit(both)(matrices, vectors), matrices[:, :, :2].swapaxes(1, 2), atol=1e-15
    )
    assert set(shapes) == {((3, 3), (3,))}


def test_a_cpu_never_sees_a_batch_of_triangular_solves():
    """Two of them at once wait for each other for ever (jaxlib 0.10.2, two cores)."""
    if jax.default_backend() != "cpu":
        pytest.skip("a loop on CPUs only")

    @solve.in_turn
    def substitute(lower, rhs):
        return jax.scipy.linalg.solve_triangular(lower, rhs, lower=True)

    # Columns of one matrix within matrices of many points, as a tangent asks for them.
    columns = jax.vmap(substitute, (None, 1), 1)
    lower = jnp.tril(np.random.default_rng(0).uniform(1, 2, (5, 3, 3)))
    text = str(jax.make_jaxpr(jax.vmap(columns, (0, None)))(lower, jnp.eye(3)))
    shapes = set(re.findall(r":f64\[([0-9,]*)\] = triangular_solve", text))
    assert shapes == {"3,3"}
    found = jax.vmap(columns, (0, None))(lower, jnp.eye(3))
    np.testing.assert_allclose(found, np.linalg.inv(lower), atol=1e-13)
