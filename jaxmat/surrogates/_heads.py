"""What turns the raw outputs of a network into labels, and labels into its targets.

A network is trained on targets of mean 0 and standard deviation 1. The mean and the
standard deviation of the labels are the head's: static numbers, not leaves, because no
optimiser may move them (one that decays weights moves leaves that have no gradient).
Like the structure of the network they are compiled into the program, and are stored
with it.
"""

from collections.abc import Sequence
from typing import ClassVar, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxmat._check import JaxmatError, check_shape
from jaxmat._types import Scalar, constant
from jaxmat.surrogates._stiffness import (
    Coordinates,
    PlaneStiffness,
    check_plane_stiffness,
    relative_exp,
    relative_log,
)

_SIX = "build the network with `out_features=6`"


class ModulusHead(eqx.Module):
    """One raw output as a modulus.

    Attributes:
        mean: of the training labels, GPa, static.
        std: their standard deviation, GPa, static.
    """

    mean: float = eqx.field(static=True)
    std: float = eqx.field(static=True)
    out_features: ClassVar[int] = 1

    @classmethod
    def of(cls, moduli: Float[Array, " samples"]) -> "ModulusHead":
        """The head for training labels, GPa."""
        ((mean,), (std,)) = _standard(moduli[:, None])
        return cls(mean, std)

    def __call__(self, raw: Float[Array, "1"]) -> Scalar:
        check_shape("raw", raw, (1,), hint="build the network with `out_features=1`")
        return self.mean + self.std * raw[0]

    def target(self, modulus: Scalar) -> Float[Array, "1"]:
        """What the network has to say for a modulus."""
        return ((modulus - self.mean) / self.std)[None]


class Gaussian(NamedTuple):
    """A prediction and its uncertainty, in the unit of the label.

    Attributes:
        mean: the prediction.
        std: its standard deviation.
    """

    mean: Float[Array, "*label"]
    std: Float[Array, "*label"]


class GaussianHead(eqx.Module):
    """Two raw outputs as a modulus and its standard deviation; train on `gaussian_nll`.

    Attributes:
        mean: of the training labels, GPa, static.
        std: their standard deviation, GPa, static.
    """

    mean: float = eqx.field(static=True)
    std: float = eqx.field(static=True)
    out_features: ClassVar[int] = 2

    @classmethod
    def of(cls, moduli: Float[Array, " samples"]) -> "GaussianHead":
        """The head for training labels, GPa."""
        ((mean,), (std,)) = _standard(moduli[:, None])
        return cls(mean, std)

    def __call__(self, raw: Float[Array, "2"]) -> Gaussian:
        check_shape("raw", raw, (2,), hint="build the network with `out_features=2`")
        # Zero means the scatter of the labels: one, after softplus.
        spread = jax.nn.softplus(raw[1] + float(np.log(np.e - 1)))
        return Gaussian(self.mean + self.std * raw[0], self.std * spread)


def gaussian_nll(
    prediction: Gaussian, label: Float[Array, "*label"]
) -> Float[Array, "*label"]:
    """Negative log likelihood of labels, up to a constant.

    Args:
        prediction: mean and standard deviation.
        label: what was to be predicted, in the same unit.

    Returns:
        One number for each label; smallest, on average, for the true spread.

    References:
        Nix & Weigend (1994), Proc. IEEE ICNN, 55-60.
    """
    z = (label - prediction.mean) / prediction.std
    return 0.5 * z**2 + jnp.log(prediction.std)


class CorrectionHead(eqx.Module):
    """Six raw outputs as a correction of a reference stiffness; see `relative_exp`.

    Attributes:
        mean: of the logarithms of the training labels, static.
        std: their standard deviation, static.
    """

    mean: tuple[float, ...] = eqx.field(static=True, default=(0.0,) * 6)
    std: tuple[float, ...] = eqx.field(static=True, default=(1.0,) * 6)
    out_features: ClassVar[int] = 6

    @classmethod
    def of(
        cls,
        stiffnesses: Float[Array, "samples 3 3"],
        references: Float[Array, "samples 3 3"],
    ) -> "CorrectionHead":
        """The head for training labels and their references, GPa.

        Raises:
            JaxmatError: if one of them is not symmetric positive definite.
        """
        check_plane_stiffness("stiffnesses", stiffnesses)
        check_plane_stiffness("references", references)
        logarithms = jax.jit(jax.vmap(relative_log))(stiffnesses, references)
        return cls(*_standard(logarithms))

    def __call__(
        self, raw: Float[Array, "6"], reference: PlaneStiffness
    ) -> PlaneStiffness:
        check_shape("raw", raw, (6,), hint=_SIX)
        coordinates = _like(self.mean, raw) + _like(self.std, raw) * raw
        return relative_exp(coordinates, reference)

    def target(
        self, stiffness: PlaneStiffness, reference: PlaneStiffness
    ) -> Coordinates:
        """What the network has to say for a stiffness."""
        log = relative_log(stiffness, reference)
        return (log - _like(self.mean, log)) / _like(self.std, log)


class SPDHead(eqx.Module):
    """Six raw outputs as a stiffness, symmetric positive definite.

    Attributes:
        reference: the mean of the training labels, GPa, static.
        correction: takes it to a label.
    """

    reference: tuple[tuple[float, ...], ...] = eqx.field(static=True)
    correction: CorrectionHead
    out_features: ClassVar[int] = 6

    @classmethod
    def of(cls, stiffnesses: Float[Array, "samples 3 3"]) -> "SPDHead":
        """The head for training labels, GPa.

        Raises:
            JaxmatError: if one of them is not symmetric positive definite.
        """
        check_plane_stiffness("stiffnesses", stiffnesses)
        mean = jnp.mean(stiffnesses, axis=0)
        references = jnp.broadcast_to(mean, stiffnesses.shape)
        reference = tuple(map(tuple, np.asarray(mean).tolist()))
        return cls(reference, CorrectionHead.of(stiffnesses, references))

    def __call__(self, raw: Float[Array, "6"]) -> PlaneStiffness:
        return self.correction(raw, _like(self.reference, raw))

    def target(self, stiffness: PlaneStiffness) -> Coordinates:
        """What the network has to say for a stiffness."""
        return self.correction.target(stiffness, _like(self.reference, stiffness))


def _like(numbers: Sequence, array: Array) -> Array:
    """Static numbers as an array, in the type of another."""
    return constant(np.array(numbers), array)


def _standard(
    values: Float[Array, "samples k"],
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of each column."""
    columns = np.asarray(values, float)
    mean, std = columns.mean(0), columns.std(0)
    if not (np.isfinite(mean).all() and (std > 0).all()):
        raise JaxmatError(
            f"the labels have mean {mean.tolist()} and standard deviation "
            f"{std.tolist()}; give at least two different, finite ones."
        )
    return tuple(mean.tolist()), tuple(std.tolist())
