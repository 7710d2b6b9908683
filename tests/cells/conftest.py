"""Polycrystals with known answers, and silicon and copper to fill them."""

import json
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest

from jaxmat import crystals
from jaxmat.materials import LinearElastic
from jaxmat.microstructure import Grid, Microstructure

DATA = Path(__file__).parents[1] / "data"


def turn_about_x3(angle):
    """Quaternions of in-plane rotations."""
    zero = np.zeros_like(angle)
    return np.stack([np.cos(angle / 2), zero, zero, np.sin(angle / 2)], -1)


def load_micro(name):
    """A stored polycrystal of the reference set."""
    stored = np.load(DATA / "micro" / f"{name}.npz")
    grain = stored["grain_id"]
    if "theta_rad" in stored:
        orientation = turn_about_x3(stored["theta_rad"])
    else:
        orientation = stored["quat_wxyz"]
    return Microstructure(
        Grid(grain.shape, (1.0,) * grain.ndim),
        jnp.asarray(grain, jnp.int32),
        jnp.zeros(grain.shape, jnp.int32),
        jnp.asarray(orientation),
    )


@pytest.fixture(scope="session")
def micro():
    return load_micro


@pytest.fixture(scope="session")
def reference():
    return json.loads((DATA / "micro" / "reference_results.json").read_text())


@pytest.fixture(scope="session")
def silicon():
    return LinearElastic(crystals.cubic(165.64, 63.94, 79.51))


@pytest.fixture(scope="session")
def copper():
    return LinearElastic(crystals.cubic(168.9, 121.8, 75.8))


@pytest.fixture(scope="session")
def small():
    """Five random grains on 9 x 8 voxels of unequal sides, fully anisotropic."""
    rng = np.random.default_rng(3)
    grain = rng.integers(0, 5, (9, 8))
    orientation = rng.normal(size=(5, 4))
    orientation /= np.linalg.norm(orientation, axis=1, keepdims=True)
    return Microstructure(
        Grid((9, 8), (1.8, 1.2)),
        jnp.asarray(grain, jnp.int32),
        jnp.zeros((9, 8), jnp.int32),
        jnp.asarray(orientation),
    )
