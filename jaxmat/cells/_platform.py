"""Which of two equivalent programs a device runs."""

from collections.abc import Callable

import jax
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
