"""Glasses: composition and density as asked for, at rest, resumable."""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmat import JaxmatError, atoms

# Small soft disks, to be quick: a melt of some hundred steps.
LAW = atoms.wca(np.ones((2, 2)), [[1.0, 1.1], [1.1, 1.2]])
RECIPE = atoms.Quench((20, 12), 0.8, 1.0, 0.2, melting=2.0, dimension=2)


def test_a_random_start_has_its_atoms_apart():
    law = atoms.kob_andersen()
    recipe = atoms.Quench((160, 40), 1.2, 1.0, 0.1)
    a = eqx.filter_jit(atoms.random_atoms)(law, jax.random.key(0), recipe)
    np.testing.assert_array_equal(np.bincount(np.asarray(a.species)), [160, 40])
    np.testing.assert_allclose(200 / atoms.volume(a), 1.2, rtol=1e-12)
    s = np.asarray(a.positions)
    s = s[:, None] - s
    distance = np.linalg.norm((s - np.round(s)) @ np.asarray(a.box).T, axis=-1)
    sigma = np.asarray(law.sigma)[a.species[:, None], a.species]
    np.fill_diagonal(distance, np.inf)
    # Nine tenths is where soft spheres touch; at rest they may overlap a little.
    assert (distance / sigma).min() > 0.8


def test_glasses_are_at_rest_and_all_different():
    keys = jax.random.split(jax.random.key(1), 3)
    batch = eqx.filter_jit(eqx.filter_vmap(lambda k: atoms.quench(LAW, k, RECIPE)))(
        keys
    )
    energies = jax.vmap(lambda a: atoms.energy(LAW, a))(batch)
    force = jax.vmap(lambda a: atoms.forces(LAW, a))(batch)
    assert float(jnp.abs(force).max()) < 1e-10
    assert len(np.unique(np.round(energies, 8))) == 3
    assert (np.asarray(energies) >= 0).all()


@pytest.mark.parametrize("swaps", [0, 40])
def test_a_quench_that_was_stopped_goes_on(tmp_path, swaps):
    path, seen = tmp_path / "glass.npz", []
    recipe = dataclasses.replace(RECIPE, swaps=swaps)

    class Stopped(Exception):
        pass

    def stop(done, total):
        seen.append(done)
        if done == 10:
            raise Stopped

    whole = atoms.make_glass(LAW, jax.random.key(2), recipe)
    with pytest.raises(Stopped):
        atoms.make_glass(LAW, jax.random.key(2), recipe, path=path, progress=stop)
    rest = atoms.make_glass(
        LAW, jax.random.key(2), recipe, path=path, progress=lambda k, n: seen.append(k)
    )
    assert seen == list(range(1, len(recipe.temperatures) + 1))
    np.testing.assert_array_equal(rest.positions, whole.positions)
    np.testing.assert_array_equal(rest.species, whole.species)
    other = dataclasses.replace(recipe, rate=0.1)
    softer = eqx.tree_at(lambda law: law.epsilon, LAW, 0.9 * LAW.epsilon)
    for name, law, seed, how in (
        ("recipe", LAW, 2, other),
        ("potential", softer, 2, recipe),
        ("potential", atoms.LennardJones(LAW.epsilon, LAW.sigma, 1.2), 2, recipe),
        ("key", LAW, 3, recipe),
    ):
        with pytest.raises(JaxmatError, match=f"another {name}; give another path"):
            atoms.make_glass(law, jax.random.key(seed), how, path=path)
    path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(JaxmatError, match="not a whole file"):
        atoms.make_glass(LAW, jax.random.key(2), recipe, path=path)


def test_large_cells_with_lists_move_as_with_all_pairs(monkeypatch):
    from jaxmat.atoms import _glass, _large

    recipe = atoms.Quench((60, 40), 0.8, 0.5, 0.2, melting=0.5, dimension=2)
    motion = atoms.set_in_motion(
        jax.random.key(0), atoms.random_atoms(LAW, jax.random.key(3), recipe), 0.5
    )
    exact, none = _glass._with_lists(LAW, recipe, motion, 0.5, None)
    assert none is None
    monkeypatch.setattr(_large, "ALL_PAIRS", 10)
    listed, neighbours = _glass._with_lists(LAW, recipe, motion, 0.5, None)
    assert neighbours is not None
    # Rounding of fifty steps, and paths that diverge.
    np.testing.assert_allclose(listed.velocities, exact.velocities, atol=1e-9)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rate": -0.1}, "rate"),
        ({"rate": float("nan")}, "rate"),
        ({"cold": 2.0}, "below that of the melt"),
        ({"hot": 0.0}, "hot"),
        ({"counts": (1,)}, "two atoms"),
        ({"density": -1.0}, "density"),
        ({"rate": 1e-9}, "blocks of 50 steps; cool faster"),
    ],
)
def test_what_is_no_quench_is_refused(change, message):
    with pytest.raises(JaxmatError, match=message):
        dataclasses.replace(RECIPE, **change)


def test_a_glass_is_not_made_where_it_cannot_be_kept(tmp_path):
    for path in (tmp_path, tmp_path / "missing" / "glass.npz"):
        with pytest.raises(JaxmatError, match="cannot be written"):
            atoms.make_glass(LAW, jax.random.key(0), RECIPE, path=path)


def test_a_recipe_with_more_species_than_the_potential_is_refused():
    with pytest.raises(JaxmatError, match="3 species"):
        atoms.make_glass(
            LAW, jax.random.key(0), dataclasses.replace(RECIPE, counts=(9, 8, 7))
        )


def test_a_box_too_narrow_for_the_cutoff_is_refused_or_nan():
    long = atoms.kob_andersen()
    recipe = dataclasses.replace(RECIPE, melting=0.25, rate=100.0)
    with pytest.raises(JaxmatError, match="less than twice the cutoff"):
        atoms.make_glass(
            long, jax.random.key(0), dataclasses.replace(recipe, counts=(9, 3))
        )
    found = eqx.filter_jit(atoms.quench)(
        long, jax.random.key(0), dataclasses.replace(recipe, counts=(9, 3))
    )
    assert jnp.isnan(found.positions).all()


def test_a_step_that_is_too_long_is_said_and_the_state_kept(tmp_path):
    path = tmp_path / "glass.npz"
    recipe = dataclasses.replace(RECIPE, dt=0.3, hot=50.0, melting=15.0)
    with pytest.raises(JaxmatError, match="time step"):
        atoms.make_glass(LAW, jax.random.key(0), recipe, path=path)
