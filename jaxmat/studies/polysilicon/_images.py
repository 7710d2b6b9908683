"""Decides what a network sees of a film.

`channels` are cos 4 theta and sin 4 theta, on which the stiffness of a cubic crystal
turned about x3 depends linearly, and which do not jump where theta does.

`grey_image` repeats the reference study: theta as a grey level on a grid four times
finer, reduced by averaging, and a median filter that takes away the mixed grey levels
that the averaging leaves on grain boundaries. Theta is treated as a number there, with
its jump from 90 to 0 degrees.
"""

import math

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Float

from jaxmat._check import JaxmatError
from jaxmat.microstructure import median_filter
from jaxmat.studies.polysilicon._film import Film, owners

FINER = 4
"""Pixels of the reference's image that become one: 512 x 512 to 128 x 128."""

MEDIANS = 5
"""How often the reference applies its 3 x 3 median filter."""

_TOLERANCE = 1e-3  # radians: far above rounding, far below degrees


def check_angles(theta: Array | np.ndarray) -> None:
    """Raise for angles in degrees, or not numbers; says nothing of traced ones.

    Raises:
        JaxmatError: naming the largest angle.
    """
    if isinstance(theta, Tracer):
        return
    largest = float(np.max(np.abs(np.asarray(theta)), initial=0.0))
    if not largest <= math.pi / 2 + _TOLERANCE:
        raise JaxmatError(
            f"an angle is {largest:.4g}, but angles in a film go from 0 to pi/2; give "
            "radians, and finite numbers (numpy.radians converts degrees)."
        )


def channels(
    theta: Float[Array | np.ndarray, "*shape"],
) -> Float[Array, "*shape 2"]:
    """What the stiffness depends on: cos 4 theta and sin 4 theta.

    Args:
        theta: angles, radians, of pixels or of grains.

    Returns:
        The two channels, last.

    Raises:
        JaxmatError: if an angle is in degrees.
    """
    check_angles(theta)
    turn = 4 * jnp.asarray(theta)
    return jnp.stack([jnp.cos(turn), jnp.sin(turn)], axis=-1)


def grey_image(film: Film) -> Float[Array, "x y"]:
    """The reference's image of a film, on the film's own grid.

    Args:
        film: one film, not traced; its generators make the finer image.

    Returns:
        Grey level: 0 for an angle of zero, 1 for 90 degrees.
    """
    grey = _reduced(film) / (np.pi / 2)
    return median_filter(grey, repeats=MEDIANS, periodic=film.parameters.periodic)


@jax.jit
def _reduced(film: Film) -> Float[Array, "x y"]:
    """Angle on the finer grid, averaged over the film's pixels."""
    parameters = film.parameters
    fine = parameters.refined(FINER)
    owner = owners(film.seeds, film.num_grains, fine, parameters.period)
    side, _ = parameters.grid.shape
    blocks = film.theta[owner].reshape(side, FINER, side, FINER)
    return blocks.mean((1, 3))
