"""Boxes of atoms in a specimen on a grid, and at a temperature; a measured program.

The specimen is a sheet of two by two pixels in plane strain, one of them elastic, the
others a network of two boxes of 120 atoms, one of them stiffened.
"""

import dataclasses
import os
import time

# Without it the gradient of the specimen hangs in some runs: see CONTRIBUTING.
os.environ["XLA_FLAGS"] = os.environ.get("XLA_FLAGS", "") + (
    " --xla_cpu_enable_concurrency_optimized_scheduler=false"
)

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from _hybrid import boxes
from _serve import serve

from jaxmat import cells, crystals
from jaxmat.materials import LinearElastic, PlaneStrain
from jaxmat.microstructure import Grid, Microstructure
from jaxmat.studies import glass

STRAIN = (1e-3, -5e-4, 8e-4)
"""Too small for an event, so that a difference is one of a smooth function."""

STEP = 1e-4


def sheet(epsilon, network):
    """The specimen; `epsilon` is the bond energy of the large atoms of the matrix."""
    points = tuple(
        eqx.tree_at(
            lambda point: point.law.law.law.epsilon,
            point,
            point.law.law.law.epsilon.at[0, 0].set(epsilon),
        )
        for point in network.laws
    )
    network = dataclasses.replace(network, laws=points, learn_laws=True)
    stiff = PlaneStrain(LinearElastic(crystals.isotropic(60.0, 20.0)))
    phase = jnp.array([[1, 0], [0, 0]])
    upright = jnp.array([[1.0, 0.0, 0.0, 0.0]])
    grid = Grid((2, 2), (1.0, 1.0))
    whole = Microstructure(grid, jnp.zeros_like(phase), phase, upright)
    return cells.grid_cell(whole, (network, stiff), plane="strain")


def gradient() -> dict:
    """Derivative of the mean stress in `epsilon`, through all scales, and difference."""
    network = glass.box_network(boxes()[:2], counts=(1, 1), key=jax.random.key(0))
    scatter = np.random.default_rng(0).normal(size=network.encoder.shape)
    network = eqx.tree_at(lambda n: n.encoder, network, network.encoder + 0.1 * scatter)

    def mean_stress(epsilon):
        cell = sheet(epsilon, network)
        return cell.update(jnp.array(STRAIN), cell.init_state(), jnp.ones(()))[0][0]

    start = time.perf_counter()
    both = jax.jit(jax.value_and_grad(mean_stress)).lower(jnp.ones(())).compile()
    compile_s = time.perf_counter() - start
    start = time.perf_counter()
    value, slope = map(float, both(jnp.ones(())))
    seconds = time.perf_counter() - start
    plus, minus = (float(both(jnp.asarray(1 + s))[0]) for s in (STEP, -STEP))
    difference = (plus - minus) / (2 * STEP)
    return {
        "what": "gradient",
        "value": abs(slope / difference - 1),
        "stress": value,
        "slope": slope,
        "difference": difference,
        "compile_s": compile_s,
        "seconds": seconds,
    }


def relaxation() -> dict:
    """Shear stress of boxes of the matrix that were strained by 3 % and held."""
    cell = cells.thermal_cell(
        glass.bonds(), boxes()[:8], temperature=0.2, replicas=8, num_samples=20
    )

    @jax.jit
    def hold(shear):
        F = jnp.eye(3).at[0, 1].set(shear)
        first, state = cell.update(F, cell.init_state(), jnp.asarray(1.0))

        def wait(state, _):
            P, state = cell.update(F, state, jnp.asarray(5.0))
            return state, P[0, 1]

        return jnp.append(first[0, 1], jax.lax.scan(wait, state, length=8)[1])

    # Both signs, so that a stress of the boxes themselves drops out.
    stress = (np.asarray(hold(0.03)) - np.asarray(hold(-0.03))) / 2
    return {
        "what": "relaxation",
        "value": float(stress[-2:].mean() / stress[0]),
        "shear_stress": stress.tolist(),
    }


if __name__ == "__main__":
    jax.config.update("jax_enable_x64", True)
    serve({"gradient": gradient, "relaxation": relaxation})
