"""Newton's method whose linear systems are solved only as well as it pays."""

from collections.abc import Callable
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PyTree

from jaxmat._types import Count, Scalar
from jaxmat.solve._cg import dot
from jaxmat.solve._solution import Solution

LOOSEST = 0.01
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
    residual: Callable[[PyTree], tuple[PyTree, PyTree]],
    solve: Callable[[PyTree, PyTree, Scalar], Solution],
    precondition: Callable[[PyTree], PyTree],
    start: PyTree,
    *,
    tolerance: Callable[[PyTree], Scalar],
    max_steps: Count | int,
) -> Solution:
    """Find `x` with `residual(x)[0] = 0`.

    Linear systems are solved to a tolerance that falls with the square of the residual.
    A step that does not lower the residual is halved, down to a sixteenth; if that does
    not help either, the iteration ends as not converged.

    Args:
        residual: of a pytree of real arrays, in the same structure; with whatever else
            is known at the same point, such as the derivative.
        solve: `solve(known, rhs, rtol)` is a `Solution` of the system with the
            derivative of the residual, as `conjugate_gradient` returns it.
        precondition: symmetric, positive definite where residuals lie; residuals are
            measured as `sqrt(r . M r)`.
        start: first guess.
        tolerance: on that norm, absolute, from what is known at the first guess.
        max_steps: bound on the number of Newton steps.

    Returns:
        `Solution` with `x` and what is known there, and a `NewtonInfo`; not
        differentiable.

    References:
        Eisenstat & Walker (1996), SIAM J. Sci. Comput. 17, 16-32 (choice 2).
    """

    def measured(x):
        r, known = residual(x)
        norm = jnp.sqrt(jnp.maximum(dot(r, precondition(r)), 0.0))
        return Trial(x, r, known, norm)

    def running(state):
        now, _, step, _, moves = state
        return (now.norm > small) & (step < max_steps) & moves

    def iterate(state):
        now, forcing, step, inner, _ = state
        # Not more digits than the last step needs.
        rtol = jnp.maximum(forcing, small / (2 * now.norm))
        rhs = jax.tree.map(jnp.negative, now.r)
        solution = solve(now.known, rhs, rtol)
        new = line_search(now, solution.value)
        forcing = jnp.maximum(0.9 * forcing**2, 0.9 * (new.norm / now.norm) ** 2)
        forcing = jnp.minimum(forcing, LOOSEST)
        inner = inner + solution.info.num_steps
        return new, forcing, step + 1, inner, new.norm < now.norm

    def line_search(now, direction):
        def failing(state):
            length, new = state
            better = new.norm < (1 - 1e-4 * length) * now.norm
            return ~better & (length > SHORTEST)

        def shorter(state):
            length = state[0] / 2
            x = jax.tree.map(lambda x, d: x + length * d, now.x, direction)
            return length, measured(x)

        begin = now._replace(norm=jnp.full_like(now.norm, jnp.inf))
        begin = (jnp.full_like(now.norm, 2.0), begin)
        return jax.lax.while_loop(failing, shorter, begin)[1]

    first = measured(start)
    small, zero = tolerance(first.known), jnp.asarray(0)
    forcing = jnp.full_like(first.norm, LOOSEST)
    begin = (first, forcing, zero, zero, jnp.asarray(True))
    end, _, step, inner, _ = jax.lax.while_loop(running, iterate, begin)
    info = NewtonInfo(end.norm <= small, step, inner, end.norm)
    return Solution((end.x, end.known), info)


class Trial(NamedTuple):
    """A point, its residual with the norm of it, and what else is known there."""

    x: PyTree
    r: PyTree
    known: PyTree
    norm: Scalar
