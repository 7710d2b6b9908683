"""Decides what the seeds of a model are good for together: a mean, and its doubt.

The members of an ensemble agree more than they are right: what they have learned from
the same films they have in common. Their spread is therefore multiplied by one number,
for which it fits their errors on the validation films, and judged on the test films,
also those of other sizes, before and after.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from jaxmat.surrogates import Calibration, Gaussian, calibration

Answers = tuple[np.ndarray, np.ndarray]
"""What each seed says of each film, and the truth: (seeds, films) and (films,), GPa."""


class Uncertainty(NamedTuple):
    """How well the spread of an ensemble tells its errors.

    Attributes:
        scale: what the spread is multiplied by, from the validation films.
        raw: calibration of the spread as it is, by L/s of the test set.
        scaled: likewise, of its multiple.
    """

    scale: float
    raw: dict[int, Calibration]
    scaled: dict[int, Calibration]

    def summary(self) -> dict[str, Any]:
        """Numbers of it, ready for JSON."""
        found: dict[str, Any] = {"scale": self.scale}
        for name, sets in (("raw", self.raw), ("scaled", self.scaled)):
            found[name] = {
                str(ratio): {
                    "miscalibration": float(one.miscalibration),
                    "z_std": float(one.z_std),
                }
                for ratio, one in sets.items()
            }
        return found


def uncertainty(validation: Answers, tests: Mapping[int, Answers]) -> Uncertainty:
    """Fit the scale of an ensemble's spread, and judge it.

    Args:
        validation: answers of the validation films.
        tests: of the test films, by L/s.

    Returns:
        The scale and the calibration with and without it.
    """
    scale = float(_judged(*validation, 1.0).z_std)
    raw, scaled = (
        {ratio: _judged(*one, factor) for ratio, one in tests.items()}
        for factor in (1.0, scale)
    )
    return Uncertainty(scale, raw, scaled)


def _judged(
    members: Float[np.ndarray, "seeds films"],
    labels: Float[np.ndarray, " films"],
    scale: float,
) -> Calibration:
    """The variance of few members is divided by one less than their number.

    Members that agree to the last digit are as sure as rounding lets them be.
    """
    mean, spread = members.mean(axis=0), members.std(axis=0, ddof=1)
    spread = scale * np.maximum(spread, np.finfo(float).eps * np.abs(mean))
    said = Gaussian(jnp.asarray(mean), jnp.asarray(spread))
    return calibration(said, jnp.asarray(labels))
