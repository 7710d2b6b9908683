"""What every solver returns, and what becomes of a number that did not converge."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PyTree


class Info(eqx.Module):
    """How a solve ended.

    Attributes:
        converged: whether the tolerance was met.
        num_steps: iterations taken (the largest over a batch of right-hand sides).
        residual_norm: final residual over the physical scale it was compared with.
    """

    converged: Bool[Array, "..."]
    num_steps: Int[Array, "..."]
    residual_norm: Float[Array, "..."]


class Solution(eqx.Module):
    """A value and how it was reached."""

    value: Any
    info: Any  # `Info`, or what another kind of solver says of itself


def poison(tree: PyTree, converged: Bool[Array, ""]) -> PyTree:
    """Turn every float of `tree`, and its derivatives, into NaN unless `converged`.

    A wrong number is worse than no number; the border turns NaN into a sentence.
    """
    factor = jnp.where(converged, 1.0, jnp.nan)
    return jax.tree.map(
        lambda x: x * factor.astype(x.dtype) if eqx.is_inexact_array(x) else x, tree
    )
