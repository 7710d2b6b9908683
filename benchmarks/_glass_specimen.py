"""Boxes of atoms in a specimen on a grid, and at a temperature; a measured program.

The specimen is a sheet in plane strain with a stiff elastic quarter. The derivative is
that of two by two pixels, the network one of two boxes of 120 atoms, one of them
stiffened; the trained network of twelve boxes answers on four by four.
"""

import dataclasses
import json
import time

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from _hybrid import boxes, network_of
from _serve import serve

from jaxmat import cells, crystals
from jaxmat.materials import LinearElastic, PlaneStrain
from jaxmat.microstructure import Grid, Microstructure
from jaxmat.studies import glass

STRAIN = (1e-3, -5e-4, 8e-4)
"""Too small for an event, so that a difference is one of a smooth function."""

STEP = 1e-4


def sheet(network, pixels: int):
    """The specimen, one integration point a pixel."""
    x, y = np.indices((pixels, pixels))
    phase = jnp.asarray((x < pixels // 2) & (y < pixels // 2), jnp.int32)
    stiff = PlaneStrain(LinearElastic(crystals.isotropic(60.0, 20.0)))
    upright = jnp.array([[1.0, 0.0, 0.0, 0.0]])
    grid = Grid((pixels, pixels), (1.0, 1.0))
    whole = Microstructure(grid, jnp.zeros_like(phase), phase, upright)
    laws = network, stiff
    return cells.grid_cell(whole, laws, plane="strain", discretisation="reduced")


def with_energy(network, epsilon):
    """The same with another bond energy of the large atoms, to be differentiated."""
    points = tuple(
        eqx.tree_at(
            lambda point: point.law.law.law.epsilon,
            point,
            point.law.law.law.epsilon.at[0, 0].set(epsilon),
        )
        for point in network.laws
    )
    return dataclasses.replace(network, laws=points, learn_laws=True)


def gradient() -> dict:
    """Derivative of the mean stress in `epsilon`, and its central difference."""
    network = glass.box_network(boxes()[:2], counts=(1, 1), key=jax.random.key(0))
    scatter = np.random.default_rng(0).normal(size=network.encoder.shape)
    network = eqx.tree_at(lambda n: n.encoder, network, network.encoder + 0.1 * scatter)

    def mean_stress(epsilon):
        cell = sheet(with_energy(network, epsilon), 2)
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


def specimen(trained: str, steps: int) -> dict:
    """Seconds of a step of shear where the trained network fills a specimen."""
    with open(trained) as file:
        found = json.load(file)
    network = network_of(found["seed"])
    network = eqx.tree_at(
        lambda n: (n.encoder, n.weights),
        network,
        (jnp.asarray(found["encoder"]), jnp.asarray(found["weights"])),
    )
    cell, pixels = sheet(network, 4), 4

    @eqx.filter_jit
    def step(state, eps):
        return cell.update(eps, state, jnp.ones(()))

    state, stress, seconds = cell.init_state(), [], []
    for k in range(steps):
        eps = jnp.array([0.0, 0.0, glass.STEP * (k + 1)])
        start = time.perf_counter()
        sig, state = jax.block_until_ready(step(state, eps))
        seconds.append(time.perf_counter() - start)
        stress.append(float(sig[2]))
    points = pixels**2 - (pixels // 2) ** 2
    return {
        "what": "specimen",
        "points": points,
        "atoms": points * sum(network.counts) * boxes()[0].num_atoms,
        "shear_stress": stress,
        "seconds_per_step": float(np.median(seconds[1:])),
        "compile_s": seconds[0] - float(np.median(seconds[1:])),
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
    serve({"gradient": gradient, "specimen": specimen, "relaxation": relaxation})
