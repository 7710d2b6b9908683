"""Conjugate gradients on pytrees, stopped in the norm of the preconditioner."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

from jaxmat._types import Count, Scalar
from jaxmat.solve._solution import Info, Solution


def dot(a: PyTree, b: PyTree) -> Float[Array, ""]:
    """Euclidean inner product of two real pytrees of the same structure."""
    products = jax.tree.map(lambda x, y: jnp.sum(x * y), a, b)
    return jax.tree.reduce(jnp.add, products)


def conjugate_gradient(
    operator: Callable[[PyTree], PyTree],
    rhs: PyTree,
    precondition: Callable[[PyTree], PyTree],
    *,
    rtol: Scalar | float,
    max_steps: Count | int,
) -> Solution:
    """Solve `operator(x) = rhs`, starting from zero.

    The residual is measured as `sqrt(r . M r)` with the preconditioner `M`, relative to
    its value at the start: where `M` is close to the inverse of the operator this is
    the error in the energy norm, whatever the units and the mesh.

    Args:
        operator: symmetric and positive semidefinite; a null space is allowed if `rhs`
            is orthogonal to it.
        rhs: pytree of real arrays.
        precondition: symmetric, positive definite on the range of `operator`; may
            answer in a lower precision.
        rtol: relative tolerance, traced or not.
        max_steps: bound on the number of iterations.

    Returns:
        `Solution` with the pytree `x` and an `Info`. A NaN anywhere, or a direction
        along which `operator` is not positive, ends the iteration as not converged, at
        the last `x` that lowered the energy.

    References:
        Hestenes & Stiefel (1952), J. Res. Natl. Bur. Stand. 49, 409-436.
    """
    z = precondition(rhs)
    square = dot(rhs, z)
    tolerance = rtol**2 * square

    def running(state):
        *_, square, step, positive = state
        return (square > tolerance) & (step < max_steps) & positive

    def iterate(state):
        x, r, p, z, beta, square, step, _ = state
        p = jax.tree.map(lambda z, p: z.astype(p.dtype) + beta * p, z, p)
        ap = operator(p)
        curvature = dot(p, ap)
        positive = curvature > 0
        alpha = jnp.where(positive, square / curvature, 0.0)
        x = jax.tree.map(lambda x, p: x + alpha * p, x, p)
        r = jax.tree.map(lambda r, ap: r - alpha * ap, r, ap)
        z = precondition(r)
        new_square = dot(r, z)
        beta = new_square / square
        return x, r, p, z, beta, new_square, step + 1, positive

    zero = jax.tree.map(jnp.zeros_like, rhs)
    none, begin = jnp.zeros_like(square), jnp.asarray(0)
    start = (zero, rhs, zero, z, none, square, begin, jnp.asarray(True))
    x, *_, final, step, _ = jax.lax.while_loop(running, iterate, start)
    ratio = jnp.where(square > 0, final / jnp.where(square > 0, square, 1.0), final)
    info = Info(
        converged=final <= tolerance, num_steps=step, residual_norm=jnp.sqrt(ratio)
    )
    return Solution(x, info)
