"""Convolutional networks that see a film of any size as a mean over its pixels.

What this module decides, so that a network trained on small films serves large ones:

- Stem, stages, mean over all pixels, and two dense layers. A homogenised quantity is a
  smooth function of means of local quantities, and so is the network: repeat a periodic
  film and the answer stays.
- Nothing is normalised. Statistics over a batch tie the answer to the films beside it,
  statistics over an image to its size, and both take away the means that decide the
  stiffness. He's initialisation, and residual branches that start at zero, are enough.
- Fewer pixels are made by means over blocks, never by a stride: they alias less, keep
  the image's mean, and map a turned or reflected grid to itself. Sides must be
  divisible; what padding would add is not part of the film.
- The last layer starts at zero: an untrained network answers zero, which a head turns
  into the mean label, or the coarse solver's.

Images are channel-last, `(height, width, channels)`, axis 0 = x. One image at a time;
`jax.vmap` makes one batched convolution of each.

References:
    He et al. (2016), ECCV, 630-645 (residual blocks that activate first).
    Huang et al. (2017), CVPR, 4700-4708 (DenseNet).
    Zhang, Dauphin & Ma (2019), ICLR (residual networks without normalisation).
    Zhang (2019), ICML, 7324-7334 (strides alias).
"""

import abc
from collections.abc import Callable, Sequence
from functools import partial

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Key

from jaxmat._check import JaxmatError, check_option

Image = Float[Array, "height width channels"]

PADDINGS = ("circular", "reflect")
WIDTH = 16
DEPTHS = (2, 2, 2)

_activate = jax.nn.silu  # smooth: gradients with respect to the image are used
_he_normal = nnx.initializers.he_normal()
_zeros = nnx.initializers.zeros_init()


class AbstractNetwork(nnx.Module):
    """Stem, stages, mean over the pixels, two dense layers.

    Args:
        in_channels: channels of the image.
        out_features: numbers to predict.
        width: channels of the first stage; the others double it one by one.
        depths: blocks of each stage; the sides are halved before each.
        reduction: side of the blocks of pixels that are averaged before the stem; fine
            images need no convolution at their own resolution.
        padding: "circular" for periodic films, "reflect" for others.
        dropout: fraction of the features before the last layer left out in training.
        rngs: where the first weights come from, `nnx.Rngs(seed)`.

    Raises:
        JaxmatError: for an argument out of its range.
    """

    def __init__(
        self,
        in_channels: int,
        out_features: int,
        *,
        width: int = WIDTH,
        depths: Sequence[int] = DEPTHS,
        reduction: int = 1,
        padding: str = "circular",
        dropout: float = 0.0,
        rngs: nnx.Rngs,
    ):
        depths = tuple(depths)
        _check_sizes(in_channels, out_features, width, depths, reduction)
        check_option("padding", padding, PADDINGS)
        if not 0 <= dropout < 1:
            raise JaxmatError(f"`dropout` is {dropout}; give a fraction in [0, 1).")
        self.in_channels = in_channels
        self.reduction, self.num_halvings = reduction, len(depths)
        convolution = partial(_convolution, padding=padding, rngs=rngs)
        self.stem = convolution(in_channels, width)
        stages, channels = [], width
        for k, depth in enumerate(depths):
            blocks, channels = self._stage(channels, width * 2**k, depth, convolution)
            stages.append(nnx.List(blocks))
        self.stages = nnx.List(stages)
        dense = partial(nnx.Linear, rngs=rngs)
        self.hidden = dense(channels, channels, kernel_init=_he_normal)
        self.dropout = nnx.Dropout(dropout)
        self.last = dense(channels, out_features, kernel_init=_zeros)

    @staticmethod
    @abc.abstractmethod
    def _stage(
        channels: int, width: int, depth: int, convolution: Callable[..., nnx.Conv]
    ) -> tuple[list[nnx.Module], int]:
        """The blocks of a stage that is given `channels`, and the channels it makes."""

    def __call__(
        self, image: Image, *, key: Key[Array, ""] | None = None
    ) -> Float[Array, " out_features"]:
        """Answer for one image.

        Args:
            image: sides divisible by 2 for each stage.
            key: decides what is dropped in training; None drops nothing.

        Returns:
            The raw outputs; a head gives them a unit.

        Raises:
            JaxmatError: for another number of channels, or sides that cannot be halved.
        """
        _check_image(image, self.in_channels, self.reduction, self.num_halvings)
        features = _activate(self.stem(_reduce(image, self.reduction)))
        for blocks in self.stages:
            features = _reduce(features, 2)
            for block in blocks:
                features = block(features)
        means = jnp.mean(features, axis=(0, 1))
        hidden = _activate(self.hidden(means))
        return self.last(self.dropout(hidden, deterministic=key is None, rngs=key))


class PlainCNN(AbstractNetwork):
    """Convolutions one after the other."""

    @staticmethod
    def _stage(channels, width, depth, convolution):
        inputs = [channels, *[width] * (depth - 1)]
        return [_Plain(convolution(n, width)) for n in inputs], width


class ResNet(AbstractNetwork):
    """Residual blocks; the path around them is linear and keeps means as they are."""

    @staticmethod
    def _stage(channels, width, depth, convolution):
        widen = [convolution(channels, width, side=1)] if channels != width else []
        return [*widen, *(_Residual(width, convolution) for _ in range(depth))], width


class DenseNet(AbstractNetwork):
    """Every layer sees all before it and adds `width` channels, doubled by stages."""

    @staticmethod
    def _stage(channels, width, depth, convolution):
        blocks = [
            _Dense(convolution(channels + k * width, width)) for k in range(depth)
        ]
        kept = (channels + depth * width) // 2
        squeeze = convolution(channels + depth * width, kept, side=1)
        return [*blocks, squeeze], kept


class _Plain(nnx.Module):
    def __init__(self, convolution: nnx.Conv):
        self.convolution = convolution

    def __call__(self, features):
        return _activate(self.convolution(features))


class _Residual(nnx.Module):
    def __init__(self, width: int, convolution: Callable[..., nnx.Conv]):
        self.first = convolution(width, width)
        self.second = convolution(width, width, kernel_init=_zeros)

    def __call__(self, features):
        return features + self.second(_activate(self.first(_activate(features))))


class _Dense(nnx.Module):
    def __init__(self, convolution: nnx.Conv):
        self.convolution = convolution

    def __call__(self, features):
        return jnp.concatenate([features, self.convolution(_activate(features))], -1)


def _convolution(
    channels: int,
    width: int,
    *,
    padding: str,
    rngs: nnx.Rngs,
    side: int = 3,
    kernel_init: Callable = _he_normal,
) -> nnx.Conv:
    return nnx.Conv(
        channels,
        width,
        (side, side),
        padding=padding.upper(),
        kernel_init=kernel_init,
        rngs=rngs,
    )


def _reduce(features: Image, side: int) -> Float[Array, "rows columns channels"]:
    """Mean over square blocks of pixels."""
    height, width, channels = features.shape
    blocks = features.reshape(height // side, side, width // side, side, channels)
    return jnp.mean(blocks, axis=(1, 3))


def _check_sizes(
    in_channels: int,
    out_features: int,
    width: int,
    depths: tuple[int, ...],
    reduction: int,
) -> None:
    sizes = {"in_channels": in_channels, "out_features": out_features, "width": width}
    sizes["reduction"] = reduction
    sizes |= {f"depths[{k}]": depth for k, depth in enumerate(depths)}
    for name, size in sizes.items():
        if size < 1:
            raise JaxmatError(f"`{name}` is {size}; give a positive whole number.")
    if not depths:
        raise JaxmatError("`depths` is empty; give the blocks of at least one stage.")


def _check_image(
    image: Image, in_channels: int, reduction: int, num_halvings: int
) -> None:
    """Raise where shapes, which are static, do not fit the network."""
    shape = tuple(image.shape)
    if len(shape) != 3 or shape[-1] != in_channels:
        raise JaxmatError(
            f"`image` has shape {shape}, expected (height, width, {in_channels}): one "
            "image at a time, channels last, batch with jax.vmap."
        )
    factor = reduction * 2**num_halvings
    if any(side % factor or side < 2 * factor for side in shape[:2]):
        raise JaxmatError(
            f"`image` has {shape[0]} x {shape[1]} pixels, and the network reduces its "
            f"sides {factor} times; give multiples of {factor}, at least {2 * factor}."
        )
