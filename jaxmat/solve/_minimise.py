"""Minimisers of a smooth function of many variables, one gradient at a time.

Each iteration of a loop evaluates the function once, a step refused included, so that a
batch under `vmap` costs what its slowest member costs and no more. The tolerance is on
the largest entry of the gradient. Nothing here is to be differentiated through: use the
implicit function theorem at the minimum.
"""

import math
from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from jaxmat._types import Count, Scalar, full_precision
from jaxmat.solve._cg import conjugate_gradient
from jaxmat.solve._solution import Info, Solution

HISTORY = 8
"""Pairs of steps and changes of the gradient that L-BFGS remembers."""

MAX_REFUSED = 12
"""Steps refused in a row, each at most half as long, before a search has stalled."""

SUFFICIENT = 1e-4
"""Share of the linear decrease that a step has to reach (Armijo)."""


class _Search(eqx.Module):
    """Where L-BFGS stands: the point, the line it searches, and what it remembers."""

    x: Array
    value: Scalar
    gradient: Array
    direction: Array
    length: Scalar
    refused: Count
    steps: Array  # the last few, the newest last
    changes: Array  # of the gradient
    num_steps: Count


@full_precision
def lbfgs(
    function: Callable[[Float[Array, "*n"]], Scalar],
    x: Float[Array, "*n"],
    *,
    tolerance: Scalar | float,
    max_steps: Count | int,
    max_move: Scalar | float = math.inf,
    precondition: Callable[[Array], Array] | None = None,
) -> Solution:
    """Minimise by the limited-memory quasi-Newton method of Broyden and others.

    A step is accepted if the function falls enough. Near the minimum, where its change
    drowns in rounding, the slope along the step decides instead, so the gradient can
    be brought down to its own rounding. A rise by less than `tolerance` times
    `max_move`, or by the rounding of the value, is taken for rounding: a sum may round
    by far more than its value does.

    Args:
        function: of one array, real and smooth.
        x: where to start.
        tolerance: on the largest entry of the gradient.
        max_steps: bound on the evaluations.
        max_move: bound on the change of any entry in one step.
        precondition: symmetric positive definite, close to the inverse of the Hessian:
            the first direction is minus its product with the gradient. A multiple of
            the identity by default, and then the first step is a hundredth of
            `max_move` if that is finite.

    Returns:
        `Solution` with the point of the last accepted step and an `Info`, whose
        residual is the largest entry of the gradient there. A search that finds no
        lower point, or NaN, ends as not converged.

    References:
        Liu & Nocedal (1989), Math. Program. 45, 503-528.
        Hager & Zhang (2005), SIAM J. Optim. 16, 170-192 (acceptance by the slope).
    """
    slope = jax.value_and_grad(function)
    negligible = jnp.where(jnp.isfinite(max_move), tolerance * max_move, 0.0)

    def aim(x, value, gradient, steps, changes, num_steps):
        """A new line from an accepted point."""
        direction = -_two_loops(gradient, steps, changes, precondition)
        known = jnp.any(changes != 0) | (precondition is not None)
        downhill = jnp.sum(direction * gradient) < 0
        careful = jnp.minimum(1.0, 0.01 * max_move / _largest(gradient))
        direction = jnp.where(known & downhill, direction, -careful * gradient)
        length = jnp.minimum(1.0, max_move / _largest(direction)).astype(value.dtype)
        zero = jnp.zeros_like(num_steps)
        state = (x, value, gradient, direction, length, zero, steps, changes)
        return _Search(*state, num_steps)

    def search(now: _Search) -> _Search:
        step = now.length * now.direction
        value, gradient = slope(now.x + step)
        before = jnp.sum(now.gradient * now.direction)
        after = jnp.sum(gradient * now.direction)
        noise = negligible + 8 * jnp.finfo(value.dtype).eps * jnp.abs(now.value)
        falls = value <= now.value + SUFFICIENT * now.length * before
        flattens = (value <= now.value + noise) & (
            after <= (2 * SUFFICIENT - 1) * before
        )
        accepted = (falls | flattens) & jnp.isfinite(after)
        change = gradient - now.gradient
        curved = jnp.sum(step * change) > 1e-14 * jnp.sum(change * change)
        steps = _remember(now.steps, step, curved)
        changes = _remember(now.changes, change, curved)
        new = now.x + step
        taken = aim(new, value, gradient, steps, changes, now.num_steps + 1)
        # Where the slope would vanish if it were linear along the line.
        secant = now.length * before / (before - after)
        secant = jnp.where(jnp.isfinite(secant), secant, 0.0)
        shorter = jnp.clip(secant, 0.1 * now.length, 0.5 * now.length)
        back = eqx.tree_at(
            lambda n: (n.length, n.refused, n.num_steps),
            now,
            (shorter, now.refused + 1, now.num_steps + 1),
        )
        return jax.tree.map(lambda a, b: jnp.where(accepted, a, b), taken, back)

    def running(now: _Search) -> Bool[Array, ""]:
        return (
            (_largest(now.gradient) > tolerance)
            & (now.num_steps < max_steps)
            & (now.refused < MAX_REFUSED)
        )

    nothing = jnp.zeros((HISTORY, *x.shape), x.dtype)
    start = aim(x, *slope(x), nothing, nothing, jnp.asarray(1))
    end = jax.lax.while_loop(running, search, start)
    return Solution(end.x, _info(end.gradient, end.num_steps, tolerance))


def _largest(x: Array) -> Scalar:
    return jnp.max(jnp.abs(x))


def _info(gradient: Array, num_steps: Count, tolerance: Scalar | float) -> Info:
    residual = _largest(gradient)
    return Info(residual <= tolerance, num_steps, residual)


def _remember(old: Array, new: Array, curved: Bool[Array, ""]) -> Array:
    """The newest last; what has no positive curvature is not worth it."""
    return jnp.where(curved, jnp.concatenate([old[1:], new[None]]), old)


def _two_loops(gradient, steps, changes, precondition):
    """Product of the approximate inverse Hessian with the gradient."""
    curvature = [jnp.sum(s * y) for s, y in zip(steps, changes, strict=True)]
    inverse = [jnp.where(c > 0, 1 / jnp.where(c > 0, c, 1.0), 0.0) for c in curvature]
    weights, q = [], gradient
    for k in reversed(range(HISTORY)):
        weights.append(inverse[k] * jnp.sum(steps[k] * q))
        q = q - weights[-1] * changes[k]
    if precondition is None:
        newest = jnp.sum(changes[-1] ** 2)
        q = q * jnp.where(newest > 0, curvature[-1] / newest, 1.0)
    else:
        q = precondition(q)
    for k in range(HISTORY):
        correction = inverse[k] * jnp.sum(changes[k] * q)
        q = q + (weights[HISTORY - 1 - k] - correction) * steps[k]
    return q


def fire(
    gradient: Callable[[Float[Array, "*n"]], Float[Array, "*n"]],
    x: Float[Array, "*n"],
    *,
    tolerance: Scalar | float,
    max_steps: Count | int,
    max_move: Scalar | float,
    first_step: Scalar | float,
) -> Solution:
    """Minimise by the fast inertial relaxation engine: a ball that brakes uphill.

    Slower than `lbfgs` where that works, and indifferent to kinks. Unit masses.

    Args:
        gradient: of one array.
        x: where to start.
        tolerance: on the largest entry of the gradient.
        max_steps: bound on the evaluations.
        max_move: bound on the change of any entry in one step, whatever the force; no
            step is too long for an atom that sits on another.
        first_step: first time step; it grows to ten times that at most.

    Returns:
        `Solution` with the last point and an `Info`, whose residual is the largest
        entry of the gradient there.

    References:
        Bitzek, Koskinen, Gahler, Moseler & Gumbsch (2006), Phys. Rev. Lett. 97, 170201.
    """
    delay, faster, slower, mixing, shrink = 5, 1.1, 0.5, 0.1, 0.99

    def move(state):
        x, v, g, dt, mix, downhill, k = state
        uphill = jnp.sum(g * v) > 0
        downhill = jnp.where(uphill, 0, downhill + 1)
        late = downhill > delay
        dt = jnp.where(late, jnp.minimum(faster * dt, 10 * first_step), dt)
        dt = jnp.where(uphill, slower * dt, dt)
        speed, size = jnp.linalg.norm(v), jnp.linalg.norm(g)
        v = jnp.where(uphill, 0.0, (1 - mix) * v - mix * g * (speed / size))
        mix = jnp.where(uphill, mixing, jnp.where(late, shrink * mix, mix))
        v = v - dt * g
        v = v * jnp.minimum(1.0, max_move / (dt * _largest(v)))
        x = x + dt * v
        return x, v, gradient(x), dt, mix, downhill, k + 1

    def running(state):
        return (_largest(state[2]) > tolerance) & (state[-1] < max_steps)

    dt, mix = jnp.asarray(first_step, x.dtype), jnp.asarray(mixing, x.dtype)
    none = jnp.asarray(0)
    start = (x, jnp.zeros_like(x), gradient(x), dt, mix, none, none + 1)
    x, _, g, *_, k = jax.lax.while_loop(running, move, start)
    return Solution(x, _info(g, k, tolerance))


def newton(
    gradient: Callable[[Float[Array, "*n"]], Float[Array, "*n"]],
    x: Float[Array, "*n"],
    *,
    tolerance: Scalar | float,
    max_steps: Count | int = 10,
    max_products: Count | int = 1000,
    precondition: Callable[[Array], Array] = lambda r: r,
) -> Solution:
    """Polish a minimum by Newton's method, its equations solved as far as is worth it.

    Conjugate gradients on products with the Hessian, which is never formed. Meant for
    points where it is positive semidefinite already. A null space is allowed to which
    the gradient is orthogonal, such as translations.

    Args:
        gradient: of one array.
        x: a point near the minimum.
        tolerance: on the largest entry of the gradient.
        max_steps: bound on Newton's steps.
        max_products: bound on the products with the Hessian in each.
        precondition: symmetric, positive definite; for conjugate gradients.

    Returns:
        `Solution` with the best point and an `Info`, whose residual is the largest
        entry of the gradient there. A step that does not lower it is not taken and ends
        the iteration, not converged.

    References:
        Dembo & Steihaug (1983), Math. Program. 26, 190-212 (truncated Newton methods).
    """

    def improve(state):
        x, g, _, k = state
        forcing = jnp.clip(0.1 * tolerance / _largest(g), 1e-10, 1e-2)

        def product(p):
            return jax.jvp(gradient, (x,), (p,))[1]

        step = conjugate_gradient(
            product, -g, precondition, rtol=forcing, max_steps=max_products
        ).value
        new = gradient(x + step)
        better = _largest(new) < _largest(g)
        x, g = jnp.where(better, x + step, x), jnp.where(better, new, g)
        return x, g, better, k + 1

    def running(state):
        _, g, better, k = state
        return (_largest(g) > tolerance) & better & (k < max_steps)

    start = (x, gradient(x), jnp.asarray(True), jnp.asarray(0))
    x, g, _, k = jax.lax.while_loop(running, improve, start)
    return Solution(x, _info(g, k, tolerance))
