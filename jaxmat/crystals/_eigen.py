"""Eigenvalues of small symmetric matrices whose gradient is finite when they coincide.

Crystals are symmetric, so coinciding eigenvalues are the rule; there the usual
derivative of the eigenvectors divides zero by zero.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxmat._types import full_precision


@jax.custom_jvp
def eigh(a: Float[Array, "n n"]) -> tuple[Float[Array, " n"], Float[Array, "n n"]]:
    """Ascending eigenvalues and eigenvectors (columns) of a symmetric matrix.

    Inside a group of coinciding eigenvalues the vectors do not turn: derivatives of
    anything that does not depend on the choice of basis in the group are right.
    """
    values, vectors = jnp.linalg.eigh(a)
    return values, vectors


@eigh.defjvp
@full_precision
def _eigh_jvp(primals, tangents):
    (a,), (da,) = primals, tangents
    values, vectors = eigh(a)
    change = vectors.T @ (0.5 * (da + da.T)) @ vectors
    gap = values[None, :] - values[:, None]
    apart = jnp.abs(gap) > coincidence(values)
    turn = jnp.where(apart, change / jnp.where(apart, gap, 1.0), 0.0)
    return (values, vectors), (jnp.diagonal(change), vectors @ turn)


def coincidence(values: Float[Array, " n"]) -> Float[Array, ""]:
    """How close two eigenvalues must be to count as one: 32 rounding errors."""
    return 32 * jnp.finfo(values.dtype).eps * jnp.max(jnp.abs(values))
