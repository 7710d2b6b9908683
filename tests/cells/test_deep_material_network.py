"""Trees of laminates against laminates in closed form, and what interfaces owe."""

import contract
import equinox as eqx
import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import pytest
from jax.test_util import check_grads

from jaxmat import JaxmatError, cells, crystals, tangent
from jaxmat.cells import DeepMaterialNetwork, Laminate
from jaxmat.materials import (
    J2Plasticity,
    LinearElastic,
    LinearHardening,
    PlaneStress,
    follow,
)

STEEL = J2Plasticity(
    jnp.asarray(160.0),
    jnp.asarray(80.0),
    LinearHardening(jnp.asarray(0.2), jnp.asarray(2.0)),
)
SILICON = LinearElastic(crystals.cubic(165.64, 63.94, 79.51))
SOFT = LinearElastic(crystals.isotropic(3.5, 1.2))
DIRECTION = np.array([1.0, -0.3, 0.2, 0.5, -0.7, 0.4])


def network(laws, depth, seed=0, **options):
    return cells.deep_material_network(laws, depth, key=jax.random.key(seed), **options)


def uneven(tree):
    """Leaves of unequal volume."""
    weights = jnp.sin(1.0 + jnp.arange(len(tree.weights)))
    return eqx.tree_at(lambda t: t.weights, tree, weights)


@pytest.mark.parametrize("rule", contract.LAWS, ids=lambda rule: rule.__name__)
def test_trees_in_plane_stress_obey(rule):
    laws = PlaneStress(STEEL), PlaneStress(SILICON)
    tree = uneven(network(laws, 2, learn_laws=True))
    rule(tree, jnp.asarray(1e-2 * DIRECTION[:3]))


def test_two_leaves_are_a_laminate():
    tree = uneven(network((SILICON, SOFT), 1))
    shares = jax.nn.softmax(tree.weights)
    exact = Laminate((SILICON, SOFT), shares, tree.normals[0])
    zero = jnp.zeros(6)
    found, wanted = (
        eqx.filter_jit(tangent)(m, zero, m.init_state(), 1.0) for m in (tree, exact)
    )
    # Newton's method stops at half the digits and takes one more step.
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-9 * np.abs(wanted).max())


def test_four_leaves_are_a_laminate_of_laminates():
    """Leaves have the laws in turn, weights are sorted by law."""
    tree = uneven(network((SILICON, SOFT), 2, seed=1))
    w = jax.nn.softmax(tree.weights)
    first = Laminate((SILICON, SOFT), w[jnp.array([0, 2])], tree.normals[1])
    second = Laminate((SILICON, SOFT), w[jnp.array([1, 3])], tree.normals[2])
    halves = jnp.stack([w[0] + w[2], w[1] + w[3]])
    exact = Laminate((first, second), halves, tree.normals[0])
    eps = jnp.asarray(1e-3 * DIRECTION)
    found, wanted = (contract.stress(m, eps) for m in (tree, exact))
    np.testing.assert_allclose(found, wanted, rtol=1e-9)


def test_leaves_of_one_law_are_that_law_along_a_path():
    tree = uneven(network((PlaneStress(STEEL), PlaneStress(STEEL)), 3))
    rng = np.random.default_rng(0)
    eps = jnp.asarray(np.cumsum(2e-3 * rng.normal(size=(10, 3)), axis=0))
    found, wanted = (
        eqx.filter_jit(follow)(law, eps) for law in (tree, PlaneStress(STEEL))
    )
    np.testing.assert_allclose(found, wanted, rtol=1e-9, atol=1e-12)


def test_plastic_layers_share_traction_and_the_mean_strain():
    """Depth one: all that an interface asks for, from the stresses of the leaves."""
    laws = PlaneStress(STEEL), PlaneStress(SOFT)
    tree = uneven(network(laws, 1))
    eps = jnp.asarray(2e-2 * DIRECTION[:3])
    sig, state = eqx.filter_jit(tree.update)(eps, tree.init_state(), jnp.asarray(1.0))
    shares = jax.nn.softmax(tree.weights)
    n = tree.normals[0] / jnp.linalg.norm(tree.normals[0])
    jump = state.jumps[0]
    dyad = jnp.stack(
        [jump[0] * n[0], jump[1] * n[1], (jump[0] * n[1] + jump[1] * n[0]) / 2**0.5]
    )
    strains = eps + jnp.array([[shares[1]], [-shares[0]]]) * dyad
    stresses = [contract.stress(law, e) for law, e in zip(laws, strains, strict=True)]
    np.testing.assert_allclose(shares @ jnp.stack(stresses), sig, rtol=1e-10)
    assert state.leaves[0].p[0] > 1e-3  # it yields

    def traction(s):
        return jnp.array(
            [
                s[0] * n[0] + s[2] * n[1] / 2**0.5,
                s[2] * n[0] / 2**0.5 + s[1] * n[1],
            ]
        )

    np.testing.assert_allclose(*map(traction, stresses), rtol=1e-10)


def test_derivatives_with_respect_to_volumes_normals_and_constants():
    tree = uneven(network((PlaneStress(STEEL), PlaneStress(SOFT)), 2, learn_laws=True))
    params, static = eqx.partition(tree, eqx.is_inexact_array)
    eps = jnp.asarray(5e-3 * np.outer([0.5, 1.0, 0.2], DIRECTION[:3]))

    def end(params, eps):
        return follow(eqx.combine(params, static), eps)[-1]

    # Central differences of step 1e-6 lose half the digits.
    check_grads(jax.jit(end), (params, eps), 1, eps=1e-6, rtol=1e-5, atol=1e-7)

    held = network((PlaneStress(STEEL), PlaneStress(SOFT)), 2)
    total = eqx.filter_jit(eqx.filter_grad(lambda t: jnp.sum(follow(t, eps))))
    gradient = total(held)
    assert np.abs(gradient.normals).max() > 0
    assert all(jnp.all(x == 0) for x in jax.tree.leaves(gradient.laws))


def test_layers_that_all_flow_are_still_found():
    """Perfect plasticity leaves jumps free; the least of them are taken."""
    perfect = J2Plasticity(
        STEEL.bulk, STEEL.shear, LinearHardening(jnp.asarray(0.2), jnp.asarray(0.0))
    )
    tree = network((PlaneStress(perfect), PlaneStress(STEEL)), 3)
    rng = np.random.default_rng(3)
    eps = jnp.asarray(np.cumsum(1e-2 * rng.normal(size=(20, 3)), axis=0))
    assert np.all(np.isfinite(eqx.filter_jit(follow)(tree, eps)))


def test_trees_that_cannot_be_are_refused(monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # as for a user
    mistakes = {
        "`depth` is 0; give a whole number of at least 1": lambda: network((STEEL,), 0),
        "`depth` is 2.0; give a whole": lambda: network((STEEL,), 2.0),
        "`depth` is 2 for 3 laws": lambda: network((STEEL, SOFT, SILICON), 2),
        r"\[3, 6\] strain components": lambda: network((STEEL, PlaneStress(SOFT)), 1),
    }
    for words, mistake in mistakes.items():
        with pytest.raises(JaxmatError, match=words):
            mistake()
    assert isinstance(network((STEEL, SOFT), 1), DeepMaterialNetwork)
