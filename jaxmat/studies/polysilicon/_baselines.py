"""The predictors that a network has to beat, from the constant to the coarse solver.

None of them is trained by gradient descent, and each is fitted on the training set
alone. Every estimate is given as it is and, as "NAME, calibrated", after one straight
line per quantity, fitted by least squares.
"""

import functools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxmat._types import full_precision
from jaxmat.studies.polysilicon._apparent import youngs_modulus
from jaxmat.studies.polysilicon._averages import AVERAGES
from jaxmat.studies.polysilicon._coarse import Channels, coarse_solver
from jaxmat.studies.polysilicon._files import DataSet
from jaxmat.studies.polysilicon._images import channels
from jaxmat.studies.polysilicon._metrics import score
from jaxmat.studies.polysilicon._regression import Line, Ridge, fit_line, fit_ridge

FACTOR = 4
"""Pixels along a block of the coarse solver."""

LAG, REACH = 0.5, 2.0
"""Step and length of the vectors of the two-point statistics, mean grain sizes."""

_ROWS, _COLUMNS = np.triu_indices(3)


class Prediction(NamedTuple):
    """What is predicted of the films of a data set.

    Attributes:
        youngs_modulus: along x, GPa.
        stiffness: plane stress, Mandel, GPa.
    """

    youngs_modulus: Float[np.ndarray, " films"]
    stiffness: Float[np.ndarray, "films 3 3"]


class Baselines(NamedTuple):
    """All baselines, fitted; make it with `fit_baselines`.

    Attributes:
        mean: of the training set.
        lines: calibrations of Young's modulus and of the stiffness, by name.
        ridges: likewise, of the two-point statistics.
        factor: of the coarse solver.
    """

    mean: Prediction
    lines: dict[str, tuple[Line, Line]]
    ridges: tuple[Ridge, Ridge]
    factor: int

    def predict(self, data: DataSet) -> dict[str, Prediction]:
        """What every baseline says of a data set, by name; GPa."""
        count = data.num_samples
        found = {
            "constant": Prediction(
                np.repeat(self.mean.youngs_modulus, count),
                np.repeat(self.mean.stiffness, count, axis=0),
            )
        }
        for name, raw in estimates(data, self.factor).items():
            modulus, entries = self.lines[name]
            found[name] = raw
            found[f"{name}, calibrated"] = Prediction(
                modulus(raw.youngs_modulus), _matrix(entries(_entries(raw.stiffness)))
            )
        features = two_point_features(data)
        modulus, entries = (ridge(features) for ridge in self.ridges)
        found["two-point ridge"] = Prediction(modulus[:, 0], _matrix(entries))
        return found

    def table(self, data: DataSet) -> dict[str, dict[str, dict[str, object]]]:
        """Scores of every baseline on a data set, ready for JSON.

        Returns:
            `score` by name of the baseline, then "youngs_modulus" or "stiffness".
        """
        return {
            name: {
                "youngs_modulus": score(said.youngs_modulus, data.youngs_modulus),
                "stiffness": score(said.stiffness, data.stiffness),
            }
            for name, said in self.predict(data).items()
        }


def fit_baselines(train: DataSet, *, factor: int = FACTOR) -> Baselines:
    """Fit every baseline on a training set.

    Args:
        train: films and labels.
        factor: pixels along a block of the coarse solver.

    Returns:
        The baselines, for films of any size with the same pixel and boundary.

    Raises:
        JaxmatError: if the factor does not divide the films' pixels.
    """
    modulus, stiffness = train.youngs_modulus, train.stiffness
    entries = _entries(stiffness)
    features = two_point_features(train)
    return Baselines(
        Prediction(modulus.mean(keepdims=True), stiffness.mean(0, keepdims=True)),
        {
            name: (
                fit_line(raw.youngs_modulus, modulus),
                fit_line(_entries(raw.stiffness), entries),
            )
            for name, raw in estimates(train, factor).items()
        },
        (fit_ridge(features, modulus[:, None]), fit_ridge(features, entries)),
        factor,
    )


def estimates(data: DataSet, factor: int) -> dict[str, Prediction]:
    """Estimates that need no training: averages of the grains, and the coarse solver.

    Args:
        data: the films; labels are not looked at.
        factor: pixels along a block of the coarse solver.

    Returns:
        Predictions by name; "hill" has the mean of the moduli of Voigt and Reuss.
    """
    found = {}
    mean = per_film(_mean, data)
    for name, average in AVERAGES.items():
        stiffness = np.asarray(average(jnp.asarray(mean)))
        found[name] = _prediction(stiffness)
    both = found["voigt"].youngs_modulus + found["reuss"].youngs_modulus
    found["hill"] = found["hill"]._replace(youngs_modulus=both / 2)
    solve = coarse_solver(factor, boundary=data.parameters.boundary)
    found[f"coarse solver, {factor} x {factor}"] = _prediction(per_film(solve, data))
    return found


def two_point_features(data: DataSet) -> Float[np.ndarray, "films features"]:
    """One- and two-point averages of the channels, the same number for every film size.

    The mean of c and s, and of the four products of c and s at one pixel with c and s
    at another, for vectors between them on a square lattice of `LAG` up to `REACH` mean
    grain sizes; the vector's negative has the same products.

    Args:
        data: the films; labels are not looked at.

    Returns:
        One row per film.
    """
    lattice = range(-round(REACH / LAG), round(REACH / LAG) + 1)
    step = max(1, round(LAG * data.parameters.pixels_per_grain))
    lags = tuple(
        (i * step, j * step)
        for i in lattice
        for j in lattice
        if (i, j) >= (0, 0) and LAG * np.hypot(i, j) <= REACH
    )
    return per_film(_statistics(lags, data.parameters.periodic), data)


@functools.cache
def _statistics(
    lags: tuple[tuple[int, int], ...], periodic: bool
) -> Callable[[Channels], Float[Array, " features"]]:
    """Means of the channels, then of their products at every lag."""

    @full_precision
    def of_image(image: Channels) -> Float[Array, " features"]:
        found = [_mean(image)]
        for i, j in lags:  # i >= 0
            if periodic:
                here, there = image, jnp.roll(image, (-i, -j), (0, 1))
            else:
                x, y, _ = image.shape
                here = image[: x - i, max(0, -j) : y - max(0, j)]
                there = image[i:, max(0, j) : y - max(0, -j)]
            products = jnp.einsum("xya,xyb->ab", here, there)
            found.append(jnp.ravel(products) / (here.size / 2))
        return jnp.concatenate(found)

    return of_image


def _mean(image: Channels) -> Float[Array, "2"]:
    """Mean channels of a film."""
    return jnp.mean(image, (0, 1))


def per_film(function: Callable[[Channels], Array], data: DataSet) -> np.ndarray:
    """A function of the channels of one film, of every film in turn."""
    films = zip(data.grain, data.theta, strict=True)
    return np.stack([np.asarray(_of_film(function, *film)) for film in films])


@jax.jit(static_argnums=0)
def _of_film(function: Callable[[Channels], Array], grain: Array, theta: Array):
    return function(channels(theta)[grain])


def _prediction(stiffness: np.ndarray) -> Prediction:
    return Prediction(np.asarray(youngs_modulus(stiffness)), stiffness)


def _entries(stiffness: np.ndarray) -> Float[np.ndarray, "films 6"]:
    """Upper triangle of each."""
    return stiffness[:, _ROWS, _COLUMNS]


def _matrix(entries: np.ndarray) -> Float[np.ndarray, "films 3 3"]:
    """Inverse of `_entries`."""
    stiffness = np.empty((len(entries), 3, 3))
    stiffness[:, _ROWS, _COLUMNS] = stiffness[:, _COLUMNS, _ROWS] = entries
    return stiffness
