"""A network of elastic and plastic points against a fibre composite solved in full."""

from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxmat import cells, crystals, tangent, training
from jaxmat.materials import J2Plasticity, LinearElastic, PlaneStress, VoceHardening

DATA = Path(__file__).parents[1] / "data" / "prnn"
ROOT = np.sqrt(2)


def isotropic(youngs, poisson):
    """Bulk and shear modulus."""
    return map(jnp.asarray, (youngs / (3 - 6 * poisson), youngs / (2 + 2 * poisson)))


MATRIX = PlaneStress(
    J2Plasticity(
        *isotropic(3.13, 0.37),
        VoceHardening(*map(jnp.asarray, (0.0312, 0.0648, 1 / 0.003407))),
    )
)
FIBRE = PlaneStress(LinearElastic(crystals.isotropic(*isotropic(74.0, 0.2))))


def read(name):
    """Mandel strain and stress, GPa, of all paths."""
    rows = np.loadtxt(DATA / f"{name}.data").reshape(-1, 60, 6)
    eps = rows[..., :3] / [1, 1, ROOT]
    return jnp.asarray(eps), jnp.asarray(rows[..., 3:] * [1, 1, ROOT] / 1000)


def follow(material, eps):
    """Stress along a path."""

    def step(state, eps):
        sig, state = material.update(eps, state, jnp.asarray(1.0))
        return state, sig

    return jax.lax.scan(step, material.init_state(), eps)[1]


follow_all = eqx.filter_jit(jax.vmap(follow, (None, 0)))


def test_the_composite_begins_between_the_averages_of_its_phases():
    """Work of the first step, small enough to be elastic, against Voigt and Reuss."""
    stiff, soft = (
        eqx.filter_jit(tangent)(law, jnp.zeros(3), law.init_state(), 1.0)
        for law in (FIBRE, MATRIX)
    )
    voigt = 0.61 * stiff + 0.39 * soft
    reuss = jnp.linalg.inv(0.61 * jnp.linalg.inv(stiff) + 0.39 * jnp.linalg.inv(soft))
    for name in ("gpCurves", "canonical", "propCurves"):
        eps, sig = (x[:, 0] for x in read(name))
        first = np.linalg.norm(eps, axis=1) < 1e-3
        work = jnp.sum(eps * sig, axis=1)[first]
        upper, lower = (
            jnp.einsum("pi,ij,pj->p", eps, c, eps)[first] for c in (voigt, reuss)
        )
        assert np.all(work < upper)
        assert np.all(work > lower)


@pytest.mark.slow  # two minutes of training
def test_sixty_four_paths_teach_it_the_others():
    """The mean error on unseen paths is below 1.8 MPa; a GRU's is 11.6, published."""
    eps, sig = read("gpCurves")
    scale = float(jnp.std(sig[:64]))

    def loss(material, batch, key):
        eps, sig = batch
        error = (jax.vmap(follow, (None, 0))(material, eps) - sig) / scale
        return jnp.mean(jnp.sqrt(error**2 + 1e-6))

    key = jax.random.key(0)
    material = cells.prnn((MATRIX, FIBRE), (12, 4), key=key, decoder="positive")
    batches = training.Batches((eps[:64], sig[:64]), 16, 400, key)
    rate = optax.cosine_decay_schedule(1e-2, len(batches))
    solution = training.fit(
        loss,
        material,
        batches,
        optimiser=optax.chain(optax.clip_by_global_norm(1.0), optax.adam(rate)),
        key=key,
        progress=False,
    )
    error = (follow_all(solution.value, eps[70:]) - sig[70:]) * jnp.array(
        [1000, 1000, 1000 / ROOT]
    )
    assert float(jnp.mean(jnp.abs(error))) < 1.8
