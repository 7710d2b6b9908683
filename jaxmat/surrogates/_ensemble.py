"""Several networks instead of one: where they disagree, they do not know.

References:
    Lakshminarayanan, Pritzel & Blundell (2017), NeurIPS 30 (deep ensembles).
    Kuleshov, Fenner & Ermon (2018), ICML, 2796-2804 (calibration of regression).
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxmat._check import JaxmatError, check_shape
from jaxmat._types import Scalar
from jaxmat.surrogates._heads import Gaussian
from jaxmat.surrogates._networks import Image

NUM_LEVELS = 100
"""Levels of confidence at which `calibration` counts."""


class Ensemble(eqx.Module):
    """Members of one architecture, trained from different first weights.

    Args:
        members: at least two, answering with arrays or with a `Gaussian` each.

    Attributes:
        members: one module, whose leaves have the member as their first axis.

    Raises:
        JaxmatError: if there are fewer, or they differ in more than the values of
            their arrays.
    """

    members: Callable[[Image], Any]

    def __init__(self, members: Sequence[Callable[[Image], Any]]):
        if len(members) < 2:
            raise JaxmatError(f"`members` has length {len(members)}; give at least 2.")
        arrays = [eqx.filter(member, eqx.is_array) for member in members]
        rest = eqx.filter(members[0], eqx.is_array, inverse=True)
        built = [jax.tree.map(_built, member) for member in members]
        for k, one in enumerate(built):
            if not eqx.tree_equal(one, built[0]):
                raise JaxmatError(
                    f"member {k} of the ensemble is not built like member 0; give "
                    "networks of one architecture, with the same head."
                )
        stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *arrays)
        self.members = eqx.combine(stacked, rest)

    def each(self, image: Image) -> Any:
        """What each member answers; the member is the first axis.

        One member after the other: a convolution with kernels of several networks at
        once is one in groups, five times slower on a CPU.
        """
        arrays, rest = eqx.partition(self.members, eqx.is_array)
        return jax.lax.map(lambda leaves: eqx.combine(leaves, rest)(image), arrays)

    def __call__(self, image: Image) -> Gaussian:
        """Mean and standard deviation of the mixture of all members.

        Members without an uncertainty of their own count as certain.
        """
        answers = self.each(image)
        if not isinstance(answers, Gaussian):
            answers = Gaussian(answers, jnp.zeros_like(answers))
        variance = jnp.mean(answers.std**2, 0) + jnp.var(answers.mean, 0)
        return Gaussian(jnp.mean(answers.mean, 0), jnp.sqrt(variance))


def _built(leaf: Any) -> Any:
    """What members have in common: of arrays all but values, of functions the type."""
    if eqx.is_array(leaf):
        return leaf.shape, leaf.dtype
    return leaf if isinstance(leaf, bool | int | float | complex | str) else type(leaf)


class Calibration(NamedTuple):
    """Whether uncertainties are what they claim to be.

    Attributes:
        level: fractions of labels that an interval around the mean should hold.
        coverage: fractions that it does hold.
        miscalibration: area between `coverage` and `level`; 0 to 1/2, 0 at best.
        z_std: root mean square of error over standard deviation; 1 at best, more for
            overconfidence, and what the standard deviations should be multiplied by.
    """

    level: Float[Array, " levels"]
    coverage: Float[Array, " levels"]
    miscalibration: Scalar
    z_std: Scalar


def calibration(prediction: Gaussian, labels: Float[Array, " samples"]) -> Calibration:
    """Compare uncertainties with errors on labels that were not trained on.

    Args:
        prediction: means and standard deviations, one for each label.
        labels: the truth.

    Returns:
        Expected and observed coverage of central intervals, and their summary.

    Raises:
        JaxmatError: if there is not one prediction for each label.
    """
    hint = "give one mean and one standard deviation for each label"
    check_shape("prediction.mean", prediction.mean, labels.shape, hint=hint)
    check_shape("prediction.std", prediction.std, labels.shape, hint=hint)
    z = jnp.abs(labels - prediction.mean) / prediction.std
    level = (jnp.arange(NUM_LEVELS, dtype=z.dtype) + 0.5) / NUM_LEVELS
    # The central interval that just holds a label has this much of the Gaussian.
    needed = jax.scipy.special.erf(z / jnp.sqrt(2.0).astype(z.dtype))
    coverage = jnp.mean(needed[:, None] <= level, axis=0, dtype=z.dtype)
    return Calibration(
        level=level,
        coverage=coverage,
        miscalibration=jnp.mean(jnp.abs(coverage - level)),
        z_std=jnp.sqrt(jnp.mean(z**2)),
    )
