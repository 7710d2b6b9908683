"""Periodic space: the minimum image in fractional coordinates.

The nearest image is looked for by rounding fractional differences, `s - round(s)`. In a
triclinic box that is the true nearest image only for distances below half the smallest
perpendicular width: any other image of the pair is then farther away than that. Hence
the rule that a box is at least two cutoffs wide (`check`).
"""

import functools
from collections.abc import Sequence

import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxmat._types import full_precision


def minimum_image(s: Float[Array, "*n d"]) -> Float[Array, "*n d"]:
    """The image of fractional differences between -1/2 and 1/2."""
    return s - jnp.round(s)


@full_precision
def perpendicular_widths(box: Float[Array, "d d"]) -> Float[Array, " d"]:
    """Distances between opposite faces of the box whose columns are lattice vectors."""
    return 1 / jnp.linalg.norm(inverse(box), axis=1)


@full_precision
def inverse(box: Float[Array, "d d"]) -> Float[Array, "d d"]:
    """Inverse of a box in two or three dimensions, by cofactors.

    A fifth of the time of LAPACK's, which took a third of the forces of a small cell.
    """
    if len(box) == 2:
        (a, b), (c, d) = box
        return jnp.array([[d, -b], [-c, a]]) / (a * d - b * c)
    rows = jnp.stack([jnp.cross(box[:, i - 2], box[:, i - 1]) for i in range(3)])
    return rows / jnp.dot(rows[0], box[:, 0])


def separations(
    s: Sequence[Float[Array, "*n"]], box: Float[Array, "d d"]
) -> list[Float[Array, "*n"]]:
    """Cartesian components of fractional differences, `box @ s`, both by component.

    Arrays of components and not of vectors: an axis of length three keeps the compiler
    from making one vectorised loop over the pairs.
    """
    d = range(len(s))
    return [functools.reduce(jnp.add, [box[i, k] * s[k] for k in d]) for i in d]


@full_precision
def square_length(
    s: Sequence[Float[Array, "*n"]], box: Float[Array, "d d"]
) -> Float[Array, "*n"]:
    """Squared length of fractional differences by component: `s . (box^T box) s`."""
    gram, d = box.T @ box, len(s)
    doubled = 2 * gram  # products of different components come twice
    rows = [
        functools.reduce(
            jnp.add, [doubled[i, k] * s[k] for k in range(i + 1, d)], gram[i, i] * s[i]
        )
        for i in range(d)
    ]
    return functools.reduce(jnp.add, [s[i] * rows[i] for i in range(d)])
