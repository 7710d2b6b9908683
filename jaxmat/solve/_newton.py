"""Newton's method whose linear systems are solved only as well as it pays."""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PyTree

from jaxmat._types import Count, Scalar
from jaxmat.solve._cg import dot
from jaxmat.solve._solution import Solution

LOOSEST = 0.1
"""Largest relative residual that a linear solve may leave."""

SHORTEST = 1 / 16
"""Smallest share of a Newton step that is tried."""


class NewtonInfo(eqx.Module):
    """How Newton's method ended.

    Attributes:
        converged: whether the tolerance was met.
        num_steps: Newton steps.
        inner_steps: iterations of the linear solver, all together.
        residual_norm: final residual, in the norm of the preconditioner.
    """

    converged: Bool[Array, "..."]
    num_steps: Int[Array, "..."]
    inner_steps: Int[Array, "..."]
    residual_norm: Float[Array, "..."]


def inexact_newton(
    residual: Callable[[PyTree], PyTree],
    solve: Callable[[PyTree, PyTree, Scalar], Solution],
    precondition: Callable[[PyTree], PyTree],
    start: PyTree,
    *,
    tolerance: Scalar,
    max_steps: Count | int,
) -> Solution:
    """Find `x` with `residual(x) = 0`.

    Linear systems are solved to a tolerance that falls with the square of the residual.
    A step that does not lower the residual is halved, down to a sixteenth; if that does
    not help either, the iteration ends as not converged.

    Args:
        residual: of a pytree of real arrays, in the same structure.
        solve: `solve(x, rhs, rtol)` is a `Solution` of the system with the derivative
            of `residual` at `x`, as `conjugate_gradient` returns it.
        precondition: symmetric, positive definite where residuals lie; residuals are
            measured as `sqrt(r . M r)`.
        start: first guess.
        tolerance: on that norm, absolute.
        max_steps: bound on the number of Newton steps.

    Returns:
        `Solution` with `x` and a `NewtonInfo`; not differentiable.

    References:
        Eisenstat & Walker (1996), SIAM J. Sci. Comput. 17, 16-32 (choice 2).
    """

    def measured(x):
        r = residual(x)
        return r, jnp.sqrt(jnp.maximum(dot(r, precondition(r)), 0.0))

    def running(state):
        _, _, norm, _, step, _, moves = state
        return (norm > tolerance) & (step < max_steps) & moves

    def iterate(state):
        x, r, norm, forcing, step, inner, _ = state
        # Not more digits than the last step needs.
        rtol = jnp.maximum(forcing, tolerance / (2 * norm))
        solution = solve(x, jax.tree.map(jnp.negative, r), rtol)
        x, r, new_norm, moves = line_search(x, r, norm, solution.value)
        forcing = jnp.maximum(0.9 * forcing**2, 0.9 * (new_norm / norm) ** 2)
        forcing = jnp.minimum(forcing, LOOSEST)
        inner = inner + solution.info.num_steps
        return x, r, new_norm, forcing, step + 1, inner, moves

    def line_search(x, r, norm, direction):
        def failing(state):
            length, *_, new_norm = state
            better = new_norm < (1 - 1e-4 * length) * norm
            return ~better & (length > SHORTEST)

        def shorter(state):
            length = state[0] / 2
            trial = jax.tree.map(lambda x, d: x + length * d, x, direction)
            return length, trial, *measured(trial)

        begin = (jnp.full_like(norm, 2.0), x, r, jnp.full_like(norm, jnp.inf))
        _, trial, new_r, new_norm = jax.lax.while_loop(failing, shorter, begin)
        return trial, new_r, new_norm, new_norm < norm

    r, norm = measured(start)
    begin = (start, r, norm, jnp.full_like(norm, LOOSEST))
    begin = (*begin, jnp.asarray(0), jnp.asarray(0), jnp.asarray(True))
    x, _, norm, _, step, inner, _ = jax.lax.while_loop(running, iterate, begin)
    return Solution(x, NewtonInfo(norm <= tolerance, step, inner, norm))
