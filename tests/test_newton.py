"""Newton's method and the linear solver for systems without symmetry."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmat.solve import bicgstab, conjugate_gradient, inexact_newton

RNG = np.random.default_rng(0)


def lopsided(size):
    noise = RNG.normal(size=(size, size))
    return jnp.asarray(noise - noise.T + 6 * np.eye(size) + 0.3 * noise)


@pytest.mark.parametrize("dtype", [jnp.float64, jnp.float32])
def test_a_system_without_symmetry_is_solved_though_the_preconditioner_rounds(dtype):
    matrix, rhs = lopsided(30).astype(dtype), jnp.asarray(RNG.normal(size=30), dtype)
    weights = jnp.linspace(0.5, 2.0, 30, dtype=jnp.float32)
    tolerance = 1e-12 if dtype == jnp.float64 else 1e-5
    solution = jax.jit(
        lambda b: bicgstab(
            lambda x: matrix @ x,
            b,
            lambda r: weights * r.astype(jnp.float32),
            rtol=tolerance,
            max_steps=200,
        )
    )(rhs)
    assert bool(solution.info.converged)
    assert solution.value.dtype == dtype
    np.testing.assert_allclose(matrix @ solution.value, rhs, atol=20 * tolerance)


def test_no_load_needs_no_step():
    solution = bicgstab(
        lambda x: 2 * x, jnp.zeros(3), lambda r: r, rtol=1e-8, max_steps=9
    )
    assert bool(solution.info.converged)
    assert int(solution.info.num_steps) == 0


def test_a_direction_without_stiffness_ends_conjugate_gradients():
    """An indefinite matrix: what was found before is kept, and said not to converge."""
    diagonal = jnp.array([3.0, 1.0, -1.0])
    solution = conjugate_gradient(
        lambda x: diagonal * x, jnp.ones(3), lambda r: r, rtol=1e-10, max_steps=50
    )
    assert not bool(solution.info.converged)
    assert jnp.isfinite(solution.value).all()


def search(function, start, max_steps=30):
    """Root of a function of vectors, its Jacobian solved by conjugate gradients."""

    def residual(x):
        return function(x), jax.jacfwd(function)(x)

    def solve(matrix, rhs, rtol):
        return bicgstab(
            lambda v: matrix @ v, rhs, lambda r: r, rtol=rtol, max_steps=100
        )

    return jax.jit(
        lambda x: inexact_newton(
            residual,
            solve,
            lambda r: r,
            x,
            tolerance=lambda _: jnp.asarray(1e-10),
            max_steps=max_steps,
        )
    )(start)


def test_newton_shortens_steps_that_would_leave():
    """arctan sends a full step from 3 further and further away."""
    solution = search(jnp.arctan, jnp.array([3.0, -4.0]))
    (x, known), info = solution.value, solution.info
    assert bool(info.converged)
    np.testing.assert_allclose(x, 0.0, atol=1e-10)
    np.testing.assert_allclose(known, jnp.eye(2), atol=1e-9)  # at the root
    assert 3 < int(info.num_steps) < 15


def test_newton_says_when_there_is_no_root():
    solution = search(lambda x: 1 + x**2, jnp.array([0.7]))
    assert not bool(solution.info.converged)
    assert jnp.isfinite(solution.value[0]).all()
    assert not bool(search(lambda x: x * jnp.nan, jnp.array([0.7])).info.converged)
    assert not bool(search(jnp.arctan, jnp.array([3.0]), max_steps=2).info.converged)


def test_a_root_needs_no_step():
    solution = search(jnp.arctan, jnp.zeros(2))
    assert bool(solution.info.converged)
    assert int(solution.info.num_steps) == 0
