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

    # The residual is evaluated in one place and systems are solved in one, so that each
    # is compiled once: a pass through the loop tries a point, and either goes on from
    # there or comes back half the way.
    def running(search):
        unfinished = (search.norm > search.small) & (search.length >= SHORTEST)
        return unfinished & (search.step < max_steps)

    def attempt(search):
        x = jax.tree.map(lambda x, d: x + search.length * d, search.x, search.direction)
        r, known = residual(x)
        norm = jnp.sqrt(jnp.maximum(dot(r, precondition(r)), 0.0))

        def accept(_):
            small = jnp.where(search.step < 0, tolerance(known), search.small)
            gain = jnp.where(search.step < 0, 1.0, norm / search.norm)
            forcing = 0.9 * jnp.maximum(search.forcing**2, gain**2)
            forcing = jnp.minimum(forcing, LOOSEST)
            at = search._replace(
                x=x,
                known=known,
                norm=norm,
                small=small,
                forcing=forcing,
                step=search.step + 1,
                length=jnp.ones_like(norm),
            )
            return jax.lax.cond(norm > small, turn, lambda at: at, at)

        def turn(at):
            # Not more digits than the last step needs.
            rtol = jnp.maximum(at.forcing, at.small / (2 * at.norm))
            solution = solve(known, jax.tree.map(jnp.negative, r), rtol)
            inner = at.inner + solution.info.num_steps
            return at._replace(direction=solution.value, inner=inner)

        def reject(_):
            return search._replace(length=search.length / 2)

        better = norm < (1 - 1e-4 * search.length) * search.norm
        return jax.lax.cond(better, accept, reject, None)

    known = jax.tree.map(
        lambda x: jnp.zeros(x.shape, x.dtype), jax.eval_shape(residual, start)[1]
    )
    first = dot(start, start) * 0
    begin = _Search(
        x=start,
        direction=jax.tree.map(jnp.zeros_like, start),
        known=known,
        norm=first + jnp.inf,
        small=first,
        forcing=first,
        length=first + 1,
        step=jnp.asarray(-1),
        inner=jnp.asarray(0),
    )
    end = jax.lax.while_loop(running, attempt, begin)
    info = NewtonInfo(end.norm <= end.small, end.step, end.inner, end.norm)
    return Solution((end.x, end.known), info)


class _Search(NamedTuple):
    """The best point so far, and where to go from it."""

    x: PyTree
    direction: PyTree
    known: PyTree
    norm: Scalar
    small: Scalar
    forcing: Scalar
    length: Scalar
    step: Count
    inner: Count
