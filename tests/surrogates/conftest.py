"""A small film of silicon, its solver, and networks whose answers are not zero."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from jaxmat import cells, crystals
from jaxmat.materials import LinearElastic
from jaxmat.microstructure import Grid, Microstructure, voronoi
from jaxmat.surrogates import Frozen

SILICON = crystals.cubic(165.64, 63.94, 79.51)


def angles_of(image, encoding):
    """Angle of every pixel of an encoded film, radians."""
    if encoding == "grey":
        return image[..., 0] * jnp.pi / 2
    return jnp.arctan2(image[..., 1], image[..., 0]) / 4


def stiffness_of_angles(theta, boundary="periodic"):
    """Effective stiffness of a film of silicon in plane stress, GPa."""
    flat = theta.ravel() / 2
    zero = jnp.zeros_like(flat)
    orientation = jnp.stack([jnp.cos(flat), zero, zero, jnp.sin(flat)], axis=-1)
    grain = jnp.arange(theta.size).reshape(theta.shape)
    pixels = Microstructure(
        Grid(theta.shape, (1.0, 1.0)), grain, jnp.zeros_like(grain), orientation
    )
    cell = cells.grid_cell(
        pixels, LinearElastic(SILICON), plane="stress", boundary=boundary
    )
    return cells.homogenise(cell, rtol=1e-9, throw=False).value


def stirred(network, dtype=np.float64):
    """The network as a pure function, with random weights in every layer."""
    rng = np.random.default_rng(3)

    def disturb(weight):
        return jnp.asarray(weight + rng.normal(size=weight.shape) / 10, dtype)

    return jax.tree.map(disturb, Frozen(network))


@pytest.fixture(scope="session")
def stir():
    return stirred


@pytest.fixture(scope="session")
def angles():
    return angles_of


@pytest.fixture(scope="session")
def solve():
    return stiffness_of_angles


@pytest.fixture(scope="session")
def theta():
    """A periodic film of 16 x 16 pixels and 9 grains, radians in [0, pi/2)."""
    film = voronoi(jax.random.key(4), Grid((16, 16), (1.0, 1.0)), 9)
    angle = np.random.default_rng(4).uniform(0, np.pi / 2, 9)
    return jnp.asarray(angle)[film.grain]


@pytest.fixture(scope="session")
def encode():
    """Image of a film, as its encodings are defined."""

    def image(theta, encoding):
        if encoding == "grey":
            return (theta / (jnp.pi / 2))[..., None]
        return jnp.stack([jnp.cos(4 * theta), jnp.sin(4 * theta)], axis=-1)

    return image


@pytest.fixture
def rngs():
    return nnx.Rngs(0)
