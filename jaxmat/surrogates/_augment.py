"""The eight symmetries of a square film, and its shifts, as they act on all it is.

What this module decides: to turn or to reflect a film is to move its pixels, *and* to
turn its crystals, *and* to turn its stiffness. A cube axis stands along x3, so that an
in-plane angle counts modulo 90 degrees: turning by 90 degrees changes no crystal, and
a reflection takes theta to -theta. Images of films are encoded as

- "fourfold": the channels (cos 4 theta, sin 4 theta), on which the stiffness depends;
- "grey": one channel, theta over 90 degrees, in [0, 1].

Element k = t + 2 a + 4 b of the group exchanges the axes if t, then turns axis 0 around
if a and axis 1 around if b; as an orthogonal matrix Q = diag(1 - 2a, 1 - 2b) P^t. What
was at x is then at Q x, and axis 0 is x.
"""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Float, Int, Key

from jaxmat import mandel
from jaxmat._check import JaxmatError, check_option, check_shape
from jaxmat._types import constant, full_precision
from jaxmat.surrogates._networks import Image
from jaxmat.surrogates._stiffness import PlaneStiffness

ENCODINGS = {"fourfold": 2, "grey": 1}
"""Number of channels, by encoding."""

NUM_SYMMETRIES = 8
_ROUNDING = 1e-3
Element = int | Int[Array, ""]


def transform_image(image: Image, element: Element, encoding: str) -> Image:
    """Turn or reflect a film: its pixels and, with them, its crystals.

    Args:
        image: of a square film.
        element: 0 to 7, where 0 is the identity; may be traced.
        encoding: "fourfold" or "grey".

    Returns:
        Image of the film turned.

    Raises:
        JaxmatError: if the film is not square, channels or, where they are concrete,
            values are not those of the encoding, or the element does not exist.
    """
    _check_encoding(image, encoding)
    moved = move_pixels_only(image, element)
    if encoding == "fourfold":
        mirrored = moved * constant([1.0, -1.0], image)
    else:
        mirrored = jnp.mod(-moved, 1)
    return jnp.where(_is_reflection(element), mirrored, moved)


def transform_stiffness(
    stiffness: Float[Array, "*labels 3 3"], element: Element
) -> Float[Array, "*labels 3 3"]:
    """Stiffness of the film turned or reflected: M C M^T.

    Args:
        stiffness: Mandel stiffness of a plane, GPa; several of one film may be stacked.
        element: 0 to 7, where 0 is the identity; may be traced.

    Returns:
        As given, in the same axes.

    Raises:
        JaxmatError: if the stiffness is not 3x3, or the element does not exist.
    """
    if tuple(stiffness.shape[-2:]) != (3, 3):
        raise JaxmatError(
            f"`stiffness` has shape {tuple(stiffness.shape)}, expected (..., 3, 3): "
            "Mandel components 11, 22, 12 of a plane."
        )
    return _turned(stiffness, symmetry_matrix(element))


def symmetry_matrix(element: Element) -> Float[Array, "2 2"]:
    """The orthogonal matrix Q of a symmetry of the square.

    Args:
        element: 0 to 7, where 0 is the identity; may be traced.

    Returns:
        Q; what was at x, from the centre of the film, goes to Q x.

    Raises:
        JaxmatError: if the element does not exist.
    """
    exchange, turn_0, turn_1 = _bits(element)
    axes = jnp.where(exchange, constant([[0, 1], [1, 0]]), constant(np.eye(2)))
    return jnp.where(jnp.stack([turn_0, turn_1]), -1, 1)[:, None] * axes


def move_pixels_only(image: Image, element: Element) -> Image:
    """Move the pixels of a square film and leave its crystals: *not* a film turned.

    With the label left as it is too, this is how photographs are augmented. For the
    four turns it is right: cubic crystals do not notice them, nor does the stiffness of
    a film of them. Reflected without its crystals, the film has another stiffness. It
    is here to show what wrong labels cost.

    Args:
        image: of a square film.
        element: 0 to 7, where 0 is the identity; may be traced.

    Returns:
        Image with the same values elsewhere.

    Raises:
        JaxmatError: if the film is not square, or the element does not exist.
    """
    check_shape("image", image, (None, None, None), hint="batch with jax.vmap")
    if image.shape[0] != image.shape[1]:
        raise JaxmatError(
            f"`image` has {image.shape[0]} x {image.shape[1]} pixels; only a square "
            "film has these symmetries."
        )
    exchange, turn_0, turn_1 = _bits(element)
    image = jnp.where(exchange, jnp.swapaxes(image, 0, 1), image)
    image = jnp.where(turn_0, jnp.flip(image, 0), image)
    return jnp.where(turn_1, jnp.flip(image, 1), image)


def augment(
    key: Key[Array, ""],
    image: Image,
    stiffness: Float[Array, "*labels 3 3"],
    *,
    encoding: str,
    periodic: bool,
) -> tuple[Image, Float[Array, "*labels 3 3"]]:
    """The same film seen otherwise, with the label it then has: exact new samples.

    Args:
        key: random key.
        image: of a square film.
        stiffness: its label; several, such as a coarse solver's, may be stacked.
        encoding: "fourfold" or "grey".
        periodic: also shift the film, which is free where its label is periodic.

    Returns:
        Image and stiffness, turned or reflected at random.

    Raises:
        JaxmatError: as `transform_image`.
    """
    symmetry_key, shift_key = jax.random.split(key)
    element = jax.random.randint(symmetry_key, (), 0, NUM_SYMMETRIES)
    image = transform_image(image, element, encoding)
    if periodic:
        shift = jax.random.randint(shift_key, (2,), 0, image.shape[0])
        image = jnp.roll(image, shift, axis=(0, 1))
    return image, transform_stiffness(stiffness, element)


class Symmetrised(eqx.Module):
    """A stiffness model averaged over the symmetries of the square: equivariant.

    Eight times the work of the model.

    Attributes:
        model: an image in, 3x3 Mandel stiffness out.
        encoding: of its images, static.
    """

    model: Callable[..., PlaneStiffness]
    encoding: str = eqx.field(static=True)

    def __call__(
        self, image: Image, *, key: Key[Array, ""] | None = None
    ) -> PlaneStiffness:
        def seen_from(element):
            there = self.model(transform_image(image, element, self.encoding), key=key)
            check_shape("model(image)", there, (3, 3), hint="only a stiffness turns")
            return _turned(there, symmetry_matrix(element).T)

        return jnp.mean(jax.vmap(seen_from)(jnp.arange(NUM_SYMMETRIES)), axis=0)


@full_precision
def _turned(
    stiffness: Float[Array, "*labels 3 3"], q: Float[Array, "2 2"]
) -> Float[Array, "*labels 3 3"]:
    m = mandel.rotation(q).astype(stiffness.dtype)
    return m @ stiffness @ m.T


def _check_encoding(image: Image, encoding: str) -> None:
    """Raise where an image cannot be what `encoding` says."""
    check_option("encoding", encoding, ENCODINGS)
    num = ENCODINGS[encoding]
    check_shape(
        "image", image, (None, None, num), hint=f'"{encoding}" has that many channels'
    )
    if isinstance(image, Tracer):
        return
    values = np.asarray(image)
    lowest = {"fourfold": -1, "grey": 0}[encoding]
    if not lowest - _ROUNDING <= values.min() <= values.max() <= 1 + _ROUNDING:
        raise JaxmatError(
            f"`image` holds values from {values.min():.4g} to {values.max():.4g}, and "
            f'"{encoding}" goes from {lowest} to 1; give no angles, and no degrees.'
        )


def _bits(element: Element) -> tuple[Element, Element, Element]:
    """Whether the axes are exchanged, and which of them are turned around."""
    if not isinstance(element, Tracer) and not 0 <= int(element) < NUM_SYMMETRIES:
        raise JaxmatError(
            f"`element` is {element}; the symmetries of a square are numbered from 0 "
            f"to {NUM_SYMMETRIES - 1}."
        )
    return element & 1, (element >> 1) & 1, (element >> 2) & 1


def _is_reflection(element: Element) -> Element:
    exchange, turn_0, turn_1 = _bits(element)
    return exchange ^ turn_0 ^ turn_1
