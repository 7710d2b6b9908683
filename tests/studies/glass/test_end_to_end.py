"""One derivative from the bonds of embedded atoms to the stress of a specimen."""

import dataclasses
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmat import cells, crystals
from jaxmat.materials import LinearElastic, PlaneStrain
from jaxmat.microstructure import Grid, Microstructure
from jaxmat.studies import glass

BOXES = Path(__file__).parents[2] / "data" / "glass" / "boxes.npz"
# Too small for an event: a difference is one of a smooth function.
EPS = jnp.array([1e-3, -5e-4, 8e-4])


@pytest.mark.slow  # two minutes of compilation
def test_a_specimen_of_networks_of_boxes_of_atoms_is_differentiated_to_the_bonds():
    boxes = glass.load_boxes(BOXES)[:2]
    network = glass.box_network(boxes, counts=(1, 1), key=jax.random.key(0))
    noise = np.random.default_rng(0).normal(size=network.encoder.shape)
    network = eqx.tree_at(lambda n: n.encoder, network, network.encoder + 0.1 * noise)
    stiff = PlaneStrain(LinearElastic(crystals.isotropic(60.0, 20.0)))
    phase = jnp.array([[1, 0], [0, 0]])
    upright = jnp.array([[1.0, 0.0, 0.0, 0.0]])
    sheet = Microstructure(
        Grid((2, 2), (1.0, 1.0)), jnp.zeros_like(phase), phase, upright
    )

    def energy_of(point):
        return point.law.law.law.epsilon

    @jax.jit
    @jax.value_and_grad
    def mean_stress(epsilon):
        points = tuple(
            eqx.tree_at(energy_of, point, energy_of(point).at[0, 0].set(epsilon))
            for point in network.laws
        )
        learned = dataclasses.replace(network, laws=points, learn_laws=True)
        cell = cells.grid_cell(sheet, (learned, stiff), plane="strain")
        return cell.update(EPS, cell.init_state(), jnp.ones(()))[0][0]

    slope = mean_stress(jnp.ones(()))[1]
    step = 1e-4
    plus, minus = (mean_stress(jnp.asarray(1 + s))[0] for s in (step, -step))
    # The bar of the project is 1e-5; a difference of this step errs by some 1e-8.
    np.testing.assert_allclose((plus - minus) / (2 * step), slope, rtol=1e-6)
