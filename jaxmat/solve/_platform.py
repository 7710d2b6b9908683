"""Which of two equivalent programs a device runs, and how it runs a batch."""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.custom_batching
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
    after the other. Where the first argument is the same for the whole batch, the batch
    stays one: a matrix with many right-hand sides.

    Args:
        function: of pytrees of arrays; it closes over none. The first argument decides.

    Returns:
        The function. It cannot be transposed: hold its arguments, or let a rule of
        one's own differentiate it.
    """
    wrapped = jax.custom_batching.custom_vmap(function)

    @wrapped.def_vmap
    def _(axis_size, in_batched, *args):
        batched, shared = eqx.partition(args, tuple(in_batched))

        def batch(batched):
            return jax.vmap(lambda x: function(*eqx.combine(x, shared)))(batched)

        def loop(batched):
            return jax.lax.map(lambda x: wrapped(*eqx.combine(x, shared)), batched)

        if any(jax.tree.leaves(in_batched[0])):
            out = by_platform(batched, cpu=loop, default=batch)
        else:
            out = batch(batched)
        return out, jax.tree.map(lambda _: True, out)

    return wrapped
