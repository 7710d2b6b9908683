"""From the bonds of embedded atoms to the stress of a specimen, in one derivative."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmat import atoms, cells
from jaxmat.materials import PlaneStrain, SmallStrain, follow
from jaxmat.microstructure import Grid, Microstructure

PIXELS = 3


def box():
    """As few atoms of Kob and Andersen as fit twice the cutoff, without stress."""
    law = atoms.kob_andersen()
    recipe = atoms.Quench((26, 14), 1.14, 0.6, 0.1, melting=2.0, dimension=2)
    start = atoms.relax(law, atoms.random_atoms(law, jax.random.key(0), recipe)).value
    return law, atoms.relax_box(law, start).value


def specimen():
    """A sheet of a network of two boxes of atoms, with one weak voxel in nine."""
    law, one = box()
    softer = eqx.tree_at(lambda x: x.epsilon, law, 0.4 * law.epsilon)
    points = [
        PlaneStrain(SmallStrain(cells.atomistic_cell(some, one)))
        for some in (law, softer)
    ]
    network = cells.prnn(points, (1, 1), key=jax.random.key(1), learn_laws=True)
    phase = jnp.zeros((PIXELS, PIXELS), jnp.int32).at[1, 1].set(1)
    grid = Grid((PIXELS, PIXELS), (1.0, 1.0))
    upright = jnp.array([[1.0, 0.0, 0.0, 0.0]])
    sheet = Microstructure(grid, jnp.zeros_like(phase), phase, upright)
    return cells.grid_cell(sheet, (network, points[1]), plane="strain")


@pytest.mark.slow  # three minutes, most of it compilation
def test_the_stress_of_a_specimen_knows_the_bonds_of_its_atoms():
    cell = specimen()
    eps = jnp.array([[5e-4, -2e-4, 4e-4], [1e-3, -4e-4, 8e-4]])

    def mean_stress(bond):
        """Shear stress at the end, where A and A hold each other by `bond`."""

        def rebond(x):
            return x.at[0, 0].set(bond) if x.shape == (2, 2) else x

        law = cell.medium.laws[0].laws[0].law.law.law
        new = eqx.tree_at(lambda x: x.epsilon, law, rebond(law.epsilon))
        now = eqx.tree_at(lambda c: c.medium.laws[0].laws[0].law.law.law, cell, new)
        return follow(now, eps)[-1] @ jnp.array([1.0, -1.0, 1.0])

    value, slope = jax.jit(jax.value_and_grad(mean_stress))(1.0)
    h = 1e-4
    run = jax.jit(mean_stress)
    difference = (run(1.0 + h) - run(1.0 - h)) / (2 * h)
    assert np.isfinite(value)
    assert abs(difference) > 1e-4
    # Central differences: the error is of the order h^2.
    np.testing.assert_allclose(slope, difference, rtol=1e-5)
