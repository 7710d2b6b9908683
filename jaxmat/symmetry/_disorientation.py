"""Which of many equivalent rotations is reported: the one with the smallest angle.

Symmetry multiplies an orientation from the right (crystal frame), and a misorientation
`m = q_a^-1 q_b` from both sides. One side is enough for the smallest angle: the scalar
part of a product does not change when its factors are permuted cyclically, so that
`w(s^-1 m t) = w(m t s^-1)`, and `t s^-1` runs through the whole group once `s` is
fixed. Hence the least angle of all `s^-1 m t` is the least of all `m u`: n products
instead of n^2. The pairs with `t s^-1 = u` give the conjugates `s^-1 (m u) s`: they
turn the axis of `m u` by the symmetry operations, and exchanging the two crystals
inverts it. What is left of the freedom is thus a direction, reduced by `to_sector`.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxmat import rotations
from jaxmat._types import Quaternion, Scalar, constant
from jaxmat.symmetry._groups import operators, right_matrix
from jaxmat.symmetry._sector import place

# Ranks candidates that tie in the angle; any direction that is not special would do.
_GENERIC = np.array([0.83, 0.31, 0.47])


def disorientation_angle(q_a: Quaternion, q_b: Quaternion, laue: str) -> Scalar:
    """Smallest angle between two orientations of crystals of the same symmetry.

    The gradient is zero where the orientations coincide (the angle has a kink there)
    and that of one of the branches where several operators tie.

    Args:
        q_a: crystal -> sample.
        q_b: crystal -> sample.
        laue: one of `LAUE_GROUPS`.

    Returns:
        Radians, unchanged when either crystal is turned by a symmetry operation.

    Raises:
        JaxmatError: if `laue` is unknown; the message lists those known.
    """
    table = operators(laue)
    m = _misorientation(q_a, q_b)
    # w(m s) is the product of m with the conjugate of s, summed here without a matrix
    # product, whose factors a GPU would round.
    cosines = jnp.sum(constant(table * [1, -1, -1, -1], m) * m, axis=1)
    best = jnp.argmax(jnp.abs(cosines))
    return rotations.angle(rotations.multiply(m, constant(table, m)[best]))


def disorientation(q_a: Quaternion, q_b: Quaternion, laue: str) -> Quaternion:
    """Misorientation reduced by the symmetry of both crystals and by their exchange.

    Of all `(q_a s)^-1 (q_b t)` and their inverses, the one with the smallest angle and
    its axis in the sector of `ipf_corners`. Ties are broken by a fixed rule, so that
    equivalent input gives the same output within rounding.

    Args:
        q_a: crystal -> sample.
        q_b: crystal -> sample.
        laue: one of `LAUE_GROUPS`.

    Returns:
        Unit quaternion in the crystal frame, with w >= 0. Gradients are finite, those
        of one branch where several tie.

    Raises:
        JaxmatError: if `laue` is unknown; the message lists those known.

    References:
        Grimmer (1974), Acta Cryst. A 30, 685-688; Heinz & Neumann (1991), Acta Cryst.
        A 47, 780-789.
    """
    products = equivalents(_misorientation(q_a, q_b), laue)
    axes = jax.vmap(lambda v: place(v, laue, 1.0))(products[:, 1:])
    return _smallest(jnp.concatenate([jnp.abs(products[:, :1]), axes], axis=1))


def to_fundamental_zone(q: Quaternion, laue: str) -> Quaternion:
    """The orientation among the equivalents `q s` with the smallest rotation angle.

    Ties (on the surface of the zone) are broken by a fixed rule, so that equivalent
    input gives the same output within rounding.

    Args:
        q: crystal -> sample.
        laue: one of `LAUE_GROUPS`.

    Returns:
        Unit quaternion, crystal -> sample, with w >= 0. Gradients are finite, those of
        one branch where several tie.

    Raises:
        JaxmatError: if `laue` is unknown; the message lists those known.

    References:
        Heinz & Neumann (1991), Acta Cryst. A 47, 780-789.
    """
    products = equivalents(rotations.normalise(q), laue)
    rank = jnp.where(
        jnp.abs(products[:, 0]) <= _tolerance(q), _rank(products), products[:, 0]
    )
    return _smallest(jnp.where(rank[:, None] < 0, -products, products))


def equivalents(q: Quaternion, laue: str) -> Float[Array, "order 4"]:
    """All products `q s` with the operators of a Laue group."""
    matrices = constant(np.stack([right_matrix(s) for s in operators(laue)]), q)
    return jnp.sum(matrices * q, axis=2)


def _misorientation(q_a: Quaternion, q_b: Quaternion) -> Quaternion:
    """Crystal frame of b seen from that of a, `q_a^-1 q_b`, normalised."""
    return rotations.normalise(rotations.multiply(rotations.conjugate(q_a), q_b))


def _smallest(candidates: Float[Array, "order 4"]) -> Quaternion:
    """The candidate with the largest w; of those that tie, the one ranked highest."""
    w = candidates[:, 0]
    ties = w >= jnp.max(w) - _tolerance(w)
    return candidates[jnp.argmax(jnp.where(ties, _rank(candidates), -jnp.inf))]


def _rank(candidates: Float[Array, "order 4"]) -> Float[Array, " order"]:
    """An order among quaternions with the same w."""
    return jnp.sum(candidates[:, 1:] * constant(_GENERIC, candidates), axis=1)


def _tolerance(like: Array) -> float:
    """Differences of unit quaternions below this are rounding errors."""
    return 64 * float(jnp.finfo(like.dtype).eps)
