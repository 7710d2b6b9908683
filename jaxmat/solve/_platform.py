"""Which of two equivalent programs a device runs, and how it runs a batch."""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.custom_batching
import jax.numpy as jnp
from jax.experimental.xla_metadata import set_xla_metadata
from jaxtyping import PyTree


def by_platform(
    *args: PyTree, cpu: Callable[..., PyTree], default: Callable[..., PyTree]
) -> PyTree:
    """`cpu(*args)` on a CPU, `default(*args)` elsewhere; both mean the same.

    Where JAX has nothing but CPUs only one of them is traced, which halves the time to
    compile. Code exported from such a machine to another platform keeps the choice: it
    is slower there, not wrong.
    """
    if jax.default_backend() == "cpu":
        return cpu(*args)
    return jax.lax.platform_dependent(*args, cpu=cpu, default=default)


def in_turn(function: Callable[..., PyTree]) -> Callable[..., PyTree]:
    """The same function of arrays; on a CPU a batch of it under `vmap` is a loop.

    A batch of iterations lasts as long as its slowest member for all of them, and the
    CPU's batched factorisations and triangular solves take several times as long as one
    after the other. Worse, jaxlib shares a batched triangular solve among the threads
    that wait for it: two at once, on two cores, wait for each other for ever. Where the
    first argument is the same for the whole batch, the batch stays one: a matrix with
    many right-hand sides, itself in turn under another `vmap`.

    Args:
        function: of pytrees of arrays; it closes over none. The first argument decides.

    Returns:
        The function. It cannot be transposed: hold its arguments, or let a rule of
        one's own differentiate it.
    """
    wrapped = jax.custom_batching.custom_vmap(function)

    @wrapped.def_vmap
    def _(axis_size, in_batched, *args):
        axes = jax.tree.map(lambda is_batched: 0 if is_batched else None, in_batched)
        batch = jax.vmap(function, tuple(axes))

        def loop(*args):
            batched, shared = eqx.partition(args, tuple(in_batched))

            # The item at hand is the carry, an array of its own: `lax.map` slices it
            # out of the batch inside every loop that reads it, 2.5 times as slow for
            # the pairs of atoms.
            def step(item, following):
                return following, wrapped(*eqx.combine(item, shared))

            first = jax.tree.map(lambda x: x[0], batched)
            rest = jax.tree.map(lambda x: jnp.roll(x, -1, axis=0), batched)
            return jax.lax.scan(step, first, rest)[1]

        if any(jax.tree.leaves(in_batched[0])):
            out = by_platform(*args, cpu=loop, default=batch)
        else:
            out = in_turn(batch)(*args)
        return out, jax.tree.map(lambda _: True, out)

    return wrapped


def apart(function: Callable[..., PyTree], *args: PyTree) -> PyTree:
    """`function(*args)`, on a CPU compiled apart from what uses it.

    XLA would otherwise fuse the end of the function into each of its users, and compute
    it as often as there are.
    """

    def body(*args):
        with set_xla_metadata(inlineable=None):
            return function(*args)

    def on_cpu(*args):
        with set_xla_metadata(inlineable="false"):
            return jax.jit(body)(*args)

    return by_platform(*args, cpu=on_cpu, default=function)
