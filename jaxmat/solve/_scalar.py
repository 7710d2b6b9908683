"""One equation for one number, as at every plastic point."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from jaxmat._types import Scalar

MAX_STEPS = 50
"""More than bisection alone takes."""

POLISH = 2
"""Newton steps that carry derivatives; k of them are exact up to order 2^k - 1."""


def bracketed_root(
    function: Callable[[Scalar], Scalar], lower: Scalar, upper: Scalar
) -> Scalar:
    """Root of a function that falls from `lower`, where it is not negative, to `upper`.

    Newton's method from the root of the chord, and bisection where that leaves the
    bracket or does not halve its steps. The search is not differentiated: two Newton
    steps from its end are, which is the implicit function theorem, and they are exact
    for first to third derivatives, forward and reverse.

    Args:
        function: of a scalar, with a derivative that is not zero at the root; it may
            close over traced values.
        lower: left end of the bracket.
        upper: right end.

    Returns:
        The root, in the type of `lower`. Where there is none, the end of the bracket
        that is nearest to one, and its derivatives mean nothing.
    """
    converted, constants = jax.closure_convert(function, lower)
    frozen = jax.lax.stop_gradient((lower, upper, constants))
    x = _search(lambda x: converted(x, *frozen[2]), *frozen[:2])
    for _ in range(POLISH):
        value, slope = _with_slope(lambda x: converted(x, *constants), x)
        x = x - value / slope
    return x


def _search(function: Callable, lower: Scalar, upper: Scalar) -> Scalar:
    # The polish squares this error; below it, rounding keeps Newton's steps alive.
    resolution = jnp.finfo(lower.dtype).eps ** 0.5 * jnp.maximum(abs(lower), abs(upper))

    def step(carry):
        k, x, low, high, last = carry
        value, slope = _with_slope(function, x)
        low, high = jnp.where(value > 0, x, low), jnp.where(value > 0, high, x)
        newton = x - value / slope
        good = (newton >= low) & (newton <= high) & (2 * abs(newton - x) <= last)
        new = jnp.where(good, newton, (low + high) / 2)
        return k + 1, new, low, high, jnp.abs(new - x)

    def unfinished(carry):
        k, *_, change = carry
        return (k < MAX_STEPS) & (change > resolution)

    # The chord's root: near, where the slope is steep at first and steady later.
    left, right = function(lower), function(upper)
    falls = (left > 0) & (right < 0)
    share = jnp.where(falls, left / jnp.where(falls, left - right, 1.0), 0.0)
    chord = lower + share * (upper - lower)
    start = (0, chord, lower, upper, jnp.full_like(lower, jnp.inf))
    return jax.lax.while_loop(unfinished, step, start)[1]


def _with_slope(function: Callable, x: Scalar) -> tuple[Scalar, Scalar]:
    return jax.jvp(function, (x,), (jnp.ones_like(x),))
