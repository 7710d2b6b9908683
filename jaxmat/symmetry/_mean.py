"""What the average of crystal orientations is: the one nearest to all, under symmetry.

The sign of a quaternion has no meaning, so the mean maximises `sum w_i (q . q_i)^2`: it
is the principal eigenvector of the scatter matrix `sum w_i q_i q_i^T`. With symmetry,
each orientation is first replaced by its equivalent nearest to the current mean.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxmat import rotations
from jaxmat._check import check_shape
from jaxmat._types import Quaternion
from jaxmat.symmetry._disorientation import equivalents, to_fundamental_zone

_NUM_PASSES = 8  # a cloud narrower than the zone needs two; a wide one a few more


def mean_orientation(
    quaternions: Float[Array, "n 4"],
    laue: str,
    weights: Float[Array, " n"] | None = None,
) -> Quaternion:
    """Average of the orientations of crystals of one symmetry.

    Starts from the orientation with the largest weight. The mean of a cloud wider than
    the fundamental zone may depend on that start, as it has no meaning.

    Args:
        quaternions: crystal -> sample, one per row.
        laue: one of `LAUE_GROUPS`.
        weights: not negative, such as areas; equal if left out.

    Returns:
        Unit quaternion in the fundamental zone. First derivatives, forward and reverse,
        are those of the eigenvector and finite also where all orientations coincide.

    Raises:
        JaxmatError: if `laue` is unknown or a shape is wrong.

    References:
        Cho, Rollett & Oh (2005), Metall. Mater. Trans. A 36, 3427-3438.
    """
    check_shape("quaternions", quaternions, (None, 4), hint="one quaternion per row")
    count = quaternions.shape[0]
    if weights is None:
        weights = jnp.ones(count, quaternions.dtype)
    check_shape("weights", weights, (count,), hint="give one weight per quaternion")
    q = jax.vmap(rotations.normalise)(quaternions)
    weights = weights / jnp.sum(weights)
    fixed = jax.lax.stop_gradient(q)
    first = jax.lax.stop_gradient(weights)

    def improve(mean: Quaternion) -> Quaternion:
        return jnp.linalg.eigh(_scatter(_nearest(fixed, mean, laue), first))[1][:, -1]

    start = fixed[jnp.argmax(first)]
    mean = jax.lax.fori_loop(0, _NUM_PASSES, lambda _, m: improve(m), start)
    mean = _principal(_scatter(_nearest(q, mean, laue), weights))
    return to_fundamental_zone(mean, laue)


def _nearest(
    q: Float[Array, "n 4"], mean: Quaternion, laue: str
) -> Float[Array, "n 4"]:
    """Of each orientation the equivalent nearest to `mean`."""

    def choose(q: Quaternion) -> Quaternion:
        products = equivalents(q, laue)
        return products[jnp.argmax(jnp.abs(jnp.sum(products * mean, axis=1)))]

    return jax.vmap(choose)(q)


def _scatter(
    q: Float[Array, "n 4"], weights: Float[Array, " n"]
) -> Float[Array, "4 4"]:
    """Weighted sum of the outer products of quaternions with themselves."""
    return jnp.einsum("n,ni,nj->ij", weights, q, q, precision="highest")


def _principal(matrix: Float[Array, "4 4"]) -> Quaternion:
    """Eigenvector of the largest eigenvalue, differentiable when the others coincide.

    `eigh` itself divides by differences of all eigenvalues; only those to the largest
    one matter here.
    """
    values, vectors = jnp.linalg.eigh(jax.lax.stop_gradient(matrix))
    best = vectors[:, -1]
    gap = values[-1] - values[:-1]
    gap = jnp.maximum(gap, jnp.finfo(gap.dtype).eps * values[-1])
    # First-order perturbation: it adds nothing to the value and carries the derivative.
    pull = jnp.sum((matrix - jax.lax.stop_gradient(matrix)) * best, axis=1)
    change = jnp.sum(vectors[:, :-1] * pull[:, None], axis=0)
    return best + jnp.sum(vectors[:, :-1] * (change / gap), axis=1)
