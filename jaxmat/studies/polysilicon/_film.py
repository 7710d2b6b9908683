"""Decides what a stochastic volume element (SVE) of an epitaxial silicon film is.

A film of columnar grains, cut by a square window or repeated periodically: Voronoi
cells of a Poisson process, so that both the number of grains and their sizes scatter
from film to film as they do under a microscope. A cube axis is along x3; the angle in
the plane is uniform in [0, 90) degrees. Lengths count in mean grain sizes `s`, the
square root of the mean grain area: pixels per grain, and the ratio L/s, are given, so
that films of every size have the same pixel.

A window is cut from a periodic film that is larger by `MARGIN` on every side. Cells of
seeds drawn inside the window alone would be larger and rounder at its edges than in the
middle, where the film does not know where it will be cut.

Every array has one shape for all films of the same parameters: nothing is compiled
twice, and film `k` is a function of the seed and `k` alone.

References:
    Mariani, Martini, Ghisi, Corigliano & Beghi (2011), Int. J. Multiscale Comput. Eng.
    9, 327-346 (the statistical volume elements of the study that is repeated here).
"""

import dataclasses
import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int
from scipy.special import pdtr

from jaxmat import rotations
from jaxmat._check import JaxmatError, check_option
from jaxmat._types import Count
from jaxmat.cells import BOUNDARIES
from jaxmat.microstructure import Grid, Microstructure

GRAIN_SIZE = 0.5
"""Square root of the mean grain area, micrometres. Stiffness does not depend on it."""

MARGIN = 2
"""Mean grain sizes between a window and the edge of the film that it is cut from."""

_RARE = 1e-9  # one film in so many would have more grains than there is room for


@dataclasses.dataclass(frozen=True)
class Parameters:
    """What the films of a data set have in common. Static and hashable.

    Args:
        ratio: side of the film over the mean grain size, L/s.
        pixels_per_grain: pixels along a mean grain size; 32 makes 128 x 128 pixels at
            L/s = 4, 192 x 192 at 6 and 320 x 320 at 10.
        boundary: "periodic" (of a periodic film), or "kubc" or "subc" (of a window).
        seed: of all random numbers, below 2^32.

    Raises:
        JaxmatError: if one of them is out of range.
    """

    ratio: int = 4
    pixels_per_grain: int = 32
    boundary: str = "periodic"
    seed: int = 0

    def __post_init__(self):
        check_option("boundary", self.boundary, BOUNDARIES)
        for name, low, high in (
            ("ratio", 1, 100),
            ("pixels_per_grain", 2, 1000),
            ("seed", 0, 2**32 - 1),
        ):
            value = getattr(self, name)
            if not isinstance(value, int) or not low <= value <= high:
                raise JaxmatError(
                    f"`{name}` is {value!r}; give a whole number from {low} to {high}."
                )

    @property
    def periodic(self) -> bool:
        """Whether the film continues through its sides; otherwise it is a window."""
        return self.boundary == "periodic"

    @property
    def grid(self) -> Grid:
        """The pixels of the film."""
        return self.refined(1)

    def refined(self, factor: int) -> Grid:
        """A grid over the film with `factor` times as many pixels along each side."""
        side = self.ratio * self.pixels_per_grain * factor
        return Grid((side, side), (self.ratio * GRAIN_SIZE,) * 2)

    @property
    def margin(self) -> float:
        """Film around the window, micrometres, on every side."""
        return 0.0 if self.periodic else MARGIN * GRAIN_SIZE

    @property
    def period(self) -> float:
        """Side of the periodic film, the margins of a window included, micrometres."""
        return self.ratio * GRAIN_SIZE + 2 * self.margin

    @property
    def mean_grains(self) -> float:
        """Mean number of grains, those in the margin of a window included."""
        return (self.period / GRAIN_SIZE) ** 2

    @property
    def max_grains(self) -> int:
        """Room for grains: the number that one film in 10^9 exceeds."""
        mean = self.mean_grains
        enough = np.arange(math.ceil(mean + 10 * math.sqrt(mean) + 20))
        return int(np.argmax(pdtr(enough, mean) > 1 - _RARE))


class Film(eqx.Module):
    """A film on its grid, and the generators that give it on any other.

    Rows of `seeds` and `theta` from `num_grains` on mean nothing. In a window some
    grains own no pixel.

    Attributes:
        parameters: static.
        grain: index of the grain of every pixel.
        theta: turn of the crystal about x3, radians, in [0, pi/2).
        seeds: generators, micrometres from the corner of the film.
        num_grains: how many there are.
    """

    parameters: Parameters = eqx.field(static=True)
    grain: Int[Array, "x y"]
    theta: Float[Array, " grains"]
    seeds: Float[Array, "grains 2"]
    num_grains: Count

    @property
    def image(self) -> Float[Array, "x y"]:
        """Angle of every pixel, radians."""
        return self.theta[self.grain]

    @property
    def microstructure(self) -> Microstructure:
        """The film as the solver takes it."""
        axes = jnp.zeros((len(self.theta), 3)).at[:, 2].set(self.theta)
        orientation = jax.vmap(rotations.from_rotation_vector)(axes)
        phase = jnp.zeros_like(self.grain)
        return Microstructure(self.parameters.grid, self.grain, phase, orientation)


def draw_film(parameters: Parameters, index: int | Count) -> Film:
    """Film number `index`: the same whatever else is drawn, and by whom.

    Compiles once for all films of the same parameters.

    Args:
        parameters: what all films share.
        index: 0, 1, ...; may be traced.

    Returns:
        The film. It has at least one grain.
    """
    key = jax.random.fold_in(jax.random.key(parameters.seed), index)
    number_key, seeds_key, theta_key = jax.random.split(key, 3)
    room = parameters.max_grains
    # Drawn in single precision, so that it does not matter what the caller enabled.
    quantile = jax.random.uniform(number_key, (), jnp.float32)
    seeds = jax.random.uniform(seeds_key, (room, 2), jnp.float32).astype(float)
    turn = jax.random.uniform(theta_key, (room,), jnp.float32).astype(float)
    seeds = seeds * parameters.period - parameters.margin
    num_grains = _number_of_grains(parameters, quantile)
    return Film(
        parameters,
        owners(seeds, num_grains, parameters.grid, parameters.period),
        turn * (np.pi / 2),
        seeds,
        num_grains,
    )


def _number_of_grains(parameters: Parameters, quantile: Float[Array, ""]) -> Count:
    """Poisson variate, given that it is not zero, from its quantile."""
    numbers = np.arange(parameters.max_grains + 1)
    below = pdtr(numbers, parameters.mean_grains)
    below = (below - below[0]) / (below[-1] - below[0])
    return jnp.searchsorted(jnp.asarray(below[1:-1]), quantile, side="right") + 1


def owners(
    seeds: Float[Array, "grains 2"], num_grains: Count, grid: Grid, period: float
) -> Int[Array, "x y"]:
    """Index of the seed nearest to each pixel centre of a grid over the film.

    The Voronoi cells of `microstructure.rasterise`, made inside a trace: the squared
    distance on a torus is a sum of one term per axis, so that a grain costs one sum and
    one comparison per pixel (0.2 ms for 128 x 128 pixels, where the k-d tree takes 4).

    Args:
        seeds: micrometres; the rows from `num_grains` on are not looked at.
        num_grains: number of seeds.
        grid: pixels, its corner at the origin.
        period: of the film along both axes, micrometres.

    Returns:
        Index of the owner of every pixel; of several nearest the first.
    """

    def squares(centres, seed):
        apart = centres - seed
        return (apart - period * jnp.round(apart / period)) ** 2

    def compare(k, found):
        best, owner = found
        x, y = (squares(c, seeds[k, axis]) for axis, c in enumerate(grid.centres()))
        distance = x[:, None] + y
        nearer = distance < best
        return jnp.where(nearer, distance, best), jnp.where(nearer, k, owner)

    far = jnp.full(grid.shape, jnp.inf, seeds.dtype)
    nobody = jnp.zeros(grid.shape, jnp.int32)
    return jax.lax.fori_loop(0, num_grains, compare, (far, nobody))[1]
