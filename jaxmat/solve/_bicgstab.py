"""Stabilised biconjugate gradients on pytrees: linear systems without symmetry."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import PyTree

from jaxmat._types import Count, Scalar
from jaxmat.solve._cg import dot
from jaxmat.solve._solution import Info, Solution


def bicgstab(
    operator: Callable[[PyTree], PyTree],
    rhs: PyTree,
    precondition: Callable[[PyTree], PyTree],
    *,
    rtol: Scalar | float,
    max_steps: Count | int,
) -> Solution:
    """Solve `operator(x) = rhs`, starting from zero; symmetry is not needed.

    Twice the work of `conjugate_gradient` in an iteration. The residual is measured in
    the same norm, `sqrt(r . M r)` relative to its start.

    Args:
        operator: linear; its symmetric part should be positive.
        rhs: pytree of real arrays.
        precondition: symmetric and positive definite; may answer in a lower precision.
        rtol: relative tolerance, traced or not.
        max_steps: bound on the number of iterations.

    Returns:
        `Solution` with the pytree `x` and an `Info`. A breakdown or a NaN anywhere ends
        the iteration as not converged.

    References:
        van der Vorst (1992), SIAM J. Sci. Stat. Comput. 13, 631-644.
    """

    def like(z):
        return jax.tree.map(lambda z, b: z.astype(b.dtype), z, rhs)

    def add(x, scale, y):
        return jax.tree.map(lambda x, y: x + scale * y, x, y)

    z = like(precondition(rhs))
    shadow, square = z, dot(rhs, z)
    tolerance = rtol**2 * square

    def running(state):
        *_, square, step = state
        return (square > tolerance) & (step < max_steps)

    def iterate(state):
        x, r, z, p, rho, _, step = state
        ap = operator(p)
        alpha = rho / dot(shadow, ap)
        s = add(r, -alpha, ap)
        # Anew, not by recurrence: a preconditioner in single precision would drift.
        zs = like(precondition(s))
        t = operator(zs)
        mt = like(precondition(t))
        length = dot(t, mt)
        omega = jnp.where(length > 0, dot(t, zs) / length, 0.0)
        x = add(add(x, alpha, p), omega, zs)
        r, new_z = add(s, -omega, t), add(zs, -omega, mt)
        new_rho = dot(shadow, r)
        beta = new_rho / rho * alpha / omega
        # The preconditioned `ap` is `(z - zs) / alpha`.
        p = add(p, -omega / alpha, add(z, -1.0, zs))
        return x, r, new_z, add(new_z, beta, p), new_rho, dot(r, new_z), step + 1

    zero = jax.tree.map(jnp.zeros_like, rhs)
    start = (zero, rhs, z, z, square, square, jnp.asarray(0))
    x, *_, final, step = jax.lax.while_loop(running, iterate, start)
    ratio = jnp.where(square > 0, final / jnp.where(square > 0, square, 1.0), final)
    info = Info(final <= tolerance, step, jnp.sqrt(jnp.maximum(ratio, 0.0)))
    return Solution(x, info)
