"""Films made by hand, and what D4 does to them."""

import jax.numpy as jnp
import numpy as np

from jaxmat import mandel
from jaxmat.mandel import PLANE
from jaxmat.studies.polysilicon import Film, Parameters

QUARTER = np.pi / 2


def film_of(grain, theta, boundary="periodic"):
    """A film with given grains; its generators mean nothing."""
    grain = jnp.asarray(grain, jnp.int32)
    return Film(
        Parameters(ratio=1, pixels_per_grain=len(grain), boundary=boundary),
        grain,
        jnp.asarray(theta, float),
        jnp.zeros((len(theta), 2)),
        jnp.asarray(len(theta)),
    )


def turned(film):
    """The film after a turn by 90 degrees about x3: (x, y) goes to (-y, x)."""
    return film_of(
        np.flip(np.asarray(film.grain).T, 0), film.theta, film.parameters.boundary
    )


def reflected(film):
    """The film seen in a mirror, x to -x; angles change their sign."""
    theta = np.mod(-np.asarray(film.theta), QUARTER)
    return film_of(np.flip(np.asarray(film.grain), 0), theta, film.parameters.boundary)


def in_other_axes(stiffness, matrix):
    """A plane stiffness after an orthogonal map of the plane."""
    space = np.eye(3)
    space[:2, :2] = matrix
    m = np.asarray(mandel.rotation(jnp.asarray(space)))[np.ix_(PLANE, PLANE)]
    return m @ np.asarray(stiffness) @ m.T
