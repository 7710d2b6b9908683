"""Which pixels decide Young's modulus, and whether a network knows it.

A gradient with respect to the channels has two parts in each pixel. The one along the
unit circle turns the crystal: it is the derivative with respect to theta, over four.
The one across the circle leads out of the crystals to mixtures of them, and means
what a model of mixtures says; networks that were trained on crystals alone say nothing
reliable there. Gradients are therefore compared twice, whole and along the circle.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxmat._check import JaxmatError, check_shape
from jaxmat._types import Scalar
from jaxmat.studies.polysilicon._apparent import (
    DISCRETISATION,
    RTOL,
    youngs_modulus,
)
from jaxmat.studies.polysilicon._coarse import Channels, image_stiffness

Model = Callable[[Channels], Float[Array, "3 3"] | Scalar]


class Agreement(NamedTuple):
    """Cosines of the angles between two gradients of Young's modulus.

    Attributes:
        image: of the gradients with respect to the channels of every pixel.
        theta: of those with respect to the angle of every pixel.
    """

    image: Scalar
    theta: Scalar


def pixel_solver(
    *, boundary: str = "periodic", rtol: float = RTOL
) -> Callable[[Channels], Float[Array, "3 3"]]:
    """The solver that makes the labels, as a function of a film's channels.

    Of a film's own channels it is `apparent_stiffness`; a pixel that several grains
    share has their dual average.

    Args:
        boundary: "periodic", "kubc" or "subc".
        rtol: tolerance of the equilibrium.

    Returns:
        A function of channels, pure and differentiable: the Mandel stiffness in plane
        stress, GPa, or NaN if equilibrium was not reached.
    """

    def solve(channels: Channels) -> Float[Array, "3 3"]:
        check_shape(
            "channels", channels, (None, None, 2), hint="give those of one film"
        )
        return image_stiffness(channels, boundary, DISCRETISATION, rtol)

    return solve


def modulus_of(model: Model) -> Callable[[Channels], Scalar]:
    """Young's modulus along x, GPa, that a model gives to a film.

    Args:
        model: from channels to the modulus itself, or to the stiffness in plane stress.

    Returns:
        A function of channels. It raises `JaxmatError` if the model answers with
        anything else.
    """

    def modulus(channels: Channels) -> Scalar:
        answer = model(channels)
        shape = getattr(answer, "shape", None)
        if shape == ():
            return answer
        if shape == (3, 3):
            return jnp.asarray(youngs_modulus(answer))
        what = type(answer).__name__ if shape is None else f"an array of shape {shape}"
        raise JaxmatError(
            f"a model answered {what} for one film; give one that answers a modulus or "
            "a 3x3 stiffness, of an ensemble `lambda image: ensemble(image).mean`."
        )

    return modulus


def gradient_agreement(network: Model, solver: Model, channels: Channels) -> Agreement:
    """How far two models agree on how Young's modulus of a film is changed.

    Args:
        network: from channels to a modulus or a stiffness, GPa.
        solver: likewise, such as `pixel_solver()`.
        channels: of one film.

    Returns:
        1 where the gradients point in one direction, whatever their lengths; NaN where
        one of them is zero, as those with respect to theta are for a single crystal
        along its axes.

    Raises:
        JaxmatError: if a model answers neither a modulus nor a stiffness.
    """
    first, second = (jax.grad(modulus_of(m))(channels) for m in (network, solver))
    around = jnp.stack([-channels[..., 1], channels[..., 0]], axis=-1)
    return Agreement(
        _cosine(first, second),
        _cosine(*(jnp.sum(g * around, axis=-1) for g in (first, second))),
    )


def _cosine(a: Array, b: Array) -> Scalar:
    """Of the angle between two arrays, as vectors."""
    return jnp.sum(a * b) / jnp.sqrt(jnp.sum(a * a) * jnp.sum(b * b))
