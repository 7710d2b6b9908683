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


def test_the_epoxy_hardens_as_published():
    """Maia et al. (2023): 64.80 - 33.60 exp(-p / 0.003407) MPa."""
    p = np.array([0.0, 0.002, 0.01, 0.1])
    curve = [1e3 * float(composite.matrix().flow_stress(jnp.asarray(x))) for x in p]
    published = 64.80 - 33.60 * np.exp(-p / 0.003407)
    np.testing.assert_allclose(curve, published, rtol=1e-12)


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
