"""The stored stresses of the composite against its phases."""

from pathlib import Path

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmat import tangent
from jaxmat.materials import PlaneStress
from jaxmat.studies import composite

DATA = Path(__file__).parents[2] / "data" / "prnn"
FIBRES = 0.61  # volume fraction


@pytest.mark.parametrize("name", ["gpCurves", "canonical", "propCurves"])
def test_the_composite_begins_between_the_averages_of_its_phases(name):
    """Work of the first step, small enough to be elastic, against Voigt and Reuss."""
    stiff, soft = (
        eqx.filter_jit(tangent)(law, jnp.zeros(3), law.init_state(), 1.0)
        for law in map(PlaneStress, (composite.fibre(), composite.matrix()))
    )
    voigt = FIBRES * stiff + (1 - FIBRES) * soft
    reuss = jnp.linalg.inv(
        FIBRES * jnp.linalg.inv(stiff) + (1 - FIBRES) * jnp.linalg.inv(soft)
    )
    paths = composite.read_paths(DATA / f"{name}.data")
    eps, sig = paths.eps[:, 0], paths.sig[:, 0]
    small = np.linalg.norm(eps, axis=1) < 1e-3
    work = np.sum(eps * sig, axis=1)[small]
    upper, lower = (
        np.einsum("pi,ij,pj->p", eps, c, eps)[small] for c in (voigt, reuss)
    )
    assert np.all(work < upper)
    assert np.all(work > lower)
