"""Large boxes: what lists and sparse factors find is what all pairs find."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmat import JaxmatError, atoms
from jaxmat.atoms import _large

LAW = atoms.kob_andersen()


@pytest.fixture(scope="module")
def glass():
    """Kob-Andersen in the plane, 65:35, four cutoffs wide and without stress."""
    recipe = atoms.Quench((78, 42), 1.14, 0.6, 0.1, melting=2.0, dimension=2)
    start = atoms.random_atoms(LAW, jax.random.key(0), recipe)
    return atoms.relax_box(LAW, atoms.relax(LAW, start).value).value


def as_if_large(monkeypatch):
    monkeypatch.setattr(_large, "ALL_PAIRS", 10)


def test_the_sparse_factor_is_that_of_the_dense_hessian(glass, monkeypatch):
    as_if_large(monkeypatch)
    factor = _large.SparseFactor()
    shift, stiffness = factor.factorise(LAW, glass, _large.list_neighbours(LAW, glass))
    dense = np.asarray(atoms.hessian(LAW, glass)).reshape(240, 240)
    assert shift == 0
    np.testing.assert_allclose(stiffness, np.diag(dense).mean(), rtol=1e-12)
    force = np.random.default_rng(0).normal(size=(120, 2))
    force -= force.mean(axis=0)  # translations have no stiffness to compare
    u = np.asarray(jax.jit(factor.solve)(jnp.asarray(force)))
    # What keeps translations finite changes the rest by 1e-9 of the softest mode.
    np.testing.assert_allclose(dense @ u.ravel(), force.ravel(), atol=1e-5)


def test_a_hessian_that_is_indefinite_is_shifted(glass):
    s = jax.random.uniform(jax.random.key(1), glass.positions.shape)
    torn = atoms.Atoms(glass.positions + 0.02 * s, glass.box, glass.species)
    shift, _ = _large.SparseFactor().factorise(LAW, torn, None)
    least = np.linalg.eigvalsh(np.asarray(atoms.hessian(LAW, torn)).reshape(240, 240))
    assert least[0] < -1
    assert shift > -least[0]


def test_a_search_outlives_the_list_it_began_with(monkeypatch):
    as_if_large(monkeypatch)
    law = atoms.wca(1.0, 1.0)
    # On a line, far closer than at rest: every atom leaves the skin of its first list.
    x = 0.5 + 0.06 * (jnp.arange(12) - 5.5)
    y = 0.5 + 0.01 * (jnp.arange(12) % 3)
    start = atoms.Atoms(jnp.stack([x, y], 1), 12 * jnp.eye(2), jnp.zeros(12, int))
    first = _large.list_neighbours(law, start)
    assert not bool(atoms.relax(law, start, first, throw=False).info.converged)
    end = atoms.relax_large(law, start).value
    assert float(jnp.abs(atoms.forces(law, end)).max()) < 1e-10


def test_a_step_of_a_large_box_ends_where_that_of_a_small_one_does(glass, monkeypatch):
    F = jnp.eye(2) + 1e-3 * jnp.array([[1.0, 0.3], [0.3, -1.0]])
    small = atoms.settle(LAW, glass, F @ glass.box)
    as_if_large(monkeypatch)
    large = atoms.settle_large(LAW, glass, F @ glass.box)
    assert bool(large.info.converged)
    assert not bool(large.event | small.event)
    assert int(large.info.num_steps) < 60  # a hundred and more without the factor
    # Forces of 1e-10 over modes of stiffness 0.1 and more.
    np.testing.assert_allclose(large.atoms.positions, small.atoms.positions, atol=1e-9)


def test_going_over_to_another_minimum_is_an_event(glass, monkeypatch):
    as_if_large(monkeypatch)
    now, energies, events = glass, [], []
    for k in range(1, 60):
        F = jnp.eye(2) + 2e-3 * k * jnp.array([[1.0, 0.0], [0.0, -1.0]])
        settled = atoms.settle_large(LAW, now, F @ glass.box)
        now = settled.atoms
        energies.append(float(atoms.energy(LAW, now)))
        events.append(bool(settled.event))
    falls = np.diff(energies) < -0.05
    assert falls.any()
    assert np.array(events)[1:][falls].all()


def test_a_free_box_ends_without_stress(glass, monkeypatch):
    as_if_large(monkeypatch)
    F = jnp.array([[1.005, 0.002], [0.0, 0.997]])
    end = atoms.relax_large(LAW, atoms.deform(glass, F), free_box=True).value
    assert float(jnp.abs(atoms.stress(LAW, end)).max()) < 1e-11
    np.testing.assert_allclose(
        atoms.energy(LAW, end), atoms.energy(LAW, glass), rtol=1e-12
    )


def test_a_box_too_narrow_for_a_list_is_refused(glass, monkeypatch):
    as_if_large(monkeypatch)
    narrow = atoms.Atoms(glass.positions, 0.5 * glass.box, glass.species)
    with pytest.raises(JaxmatError, match="larger box"):
        atoms.relax_large(LAW, narrow)


def test_atoms_out_of_each_others_reach_are_at_rest_as_they_are():
    far = jnp.array([[0.1, 0.1], [0.6, 0.1], [0.1, 0.6]])
    start = atoms.Atoms(far, 12 * jnp.eye(2), jnp.zeros(3, int))
    end = atoms.relax_large(LAW, start).value
    np.testing.assert_allclose(end.positions, far, atol=1e-15)


def test_a_bond_beyond_its_inflection_still_contracts():
    # The mean of the Hessian's diagonal is negative here.
    start = atoms.Atoms(
        jnp.array([[0.1, 0.1], [0.26, 0.1]]), 12 * jnp.eye(2), jnp.zeros(2, int)
    )
    end = atoms.relax_large(LAW, start).value
    plain = atoms.relax(LAW, start).value
    np.testing.assert_allclose(
        atoms.energy(LAW, end), atoms.energy(LAW, plain), rtol=1e-12
    )


def test_single_precision_comes_to_rest_as_well(glass):
    law, start = (
        jax.tree.map(
            lambda x: x.astype(jnp.float32) if x.dtype == jnp.float64 else x, tree
        )
        for tree in (LAW, glass)
    )
    F = jnp.eye(2, dtype=jnp.float32) + 1e-3 * jnp.array([[1, 0], [0, -1]], jnp.float32)
    settled = atoms.settle_large(law, start, F @ start.box)
    assert bool(settled.info.converged)
    assert settled.atoms.positions.dtype == jnp.float32


def test_atoms_at_nan_are_refused_in_one_sentence(glass):
    lost = atoms.Atoms(glass.positions.at[3, 0].set(jnp.nan), glass.box, glass.species)
    for relax in (atoms.relax_large, lambda law, a: atoms.settle_large(law, a, a.box)):
        with pytest.raises(JaxmatError, match="finite numbers"):
            relax(LAW, lost)
