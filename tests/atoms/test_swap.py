"""Swap Monte Carlo: the distribution it samples, and quenches with it."""

import dataclasses
import itertools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from atoms_cases import cristobalite, rattled_lattice

from jaxmat import JaxmatError, atoms

DISKS = atoms.wca(np.ones((2, 2)), [[1.0, 1.1], [1.1, 1.2]])
RECIPE = atoms.Quench((20, 12), 0.8, 1.0, 0.2, melting=2.0, dimension=2, swaps=40)
THREE = atoms.LennardJones(
    [[1.0, 1.4, 0.7], [1.4, 0.6, 1.1], [0.7, 1.1, 1.3]],
    [[1.0, 0.9, 1.1], [0.9, 0.9, 1.0], [1.1, 1.0, 1.1]],
    2.0,
)


@pytest.mark.parametrize(
    ("law", "a"),
    [
        (atoms.kob_andersen(), rattled_lattice()),
        (atoms.bks_silica(3.5), cristobalite(1, rattle=0.1)),
        (atoms.vashishta_silica(3.4), cristobalite(1, rattle=0.1)),
    ],
    ids=["pairs", "charges", "angles"],
)
def test_what_an_exchange_costs_is_the_difference_of_two_energies(law, a):
    i, j = (int(np.flatnonzero(a.species == k)[3]) for k in (0, 1))
    pair = jnp.array([i, j])
    species = a.species.at[pair].set(jnp.array([1, 0]))
    after = atoms.Atoms(a.positions, a.box, species)
    energy = eqx.filter_jit(atoms.energy)
    difference = energy(law, after) - energy(law, a)
    found = eqx.filter_jit(type(law).exchange)(law, a, *pair)
    # Of two energies that cancel, rounded by 1e-16 each term.
    np.testing.assert_allclose(found, difference, rtol=1e-9)


def test_species_on_frozen_places_are_distributed_as_boltzmann_says():
    """All 60 ways to place one, two and three atoms of three kinds, by 500 chains."""
    rng = np.random.default_rng(0)
    grid = np.array([[0, 0], [1, 0], [2, 0], [0, 1], [1, 1], [2, 1]]) * 1.2
    places = jnp.asarray(grid + 0.05 * rng.normal(size=(6, 2))) / 8.0
    ways = sorted(set(itertools.permutations([0, 1, 1, 2, 2, 2])))
    ways, kT, box = jnp.asarray(ways), 0.7, 8.0 * jnp.eye(2)

    def of_way(species):
        return atoms.energy(THREE, atoms.Atoms(places, box, species))

    expected = jax.nn.softmax(-jax.vmap(of_way)(ways) / kT)
    assert expected.max() / expected.min() > 30  # a sampler of all alike would fail

    def chain(key):
        def sample(now, key):
            now, accepted = atoms.swap_species(THREE, key, now, kT, 4)
            return now, (jnp.all(ways == now.species, axis=1), accepted)

        start = atoms.Atoms(places, box, ways[0])
        _, (seen, accepted) = jax.lax.scan(sample, start, jax.random.split(key, 60))
        return jnp.mean(seen[10:], axis=0), jnp.mean(accepted)

    keys = jax.random.split(jax.random.key(0), 500)
    seen, accepted = eqx.filter_jit(jax.vmap(chain))(keys)
    assert 0.4 < float(accepted.mean()) < 3.6  # of four
    # Chains are independent: their spread is the error of the mean, to 3 %. Among 60
    # of them one is beyond four such errors once in 250 times.
    error = np.std(seen, axis=0) / np.sqrt(500)
    assert np.all(np.abs(np.mean(seen, axis=0) - expected) < 4 * error)
    np.testing.assert_allclose(np.sum(seen, axis=1), 1.0, atol=1e-6)  # composition


def test_without_temperature_only_what_sets_energy_free_is_accepted():
    a = rattled_lattice(d=2, per_side=8, density=1.0)
    swap = eqx.filter_jit(atoms.swap_species)
    law = atoms.kob_andersen()
    down, accepted = swap(law, jax.random.key(1), a, 0.0, 60)
    assert int(accepted) > 0
    assert atoms.energy(law, down) < atoms.energy(law, a)
    same, _ = swap(law, jax.random.key(1), a, 0.0, 60)
    np.testing.assert_array_equal(down.species, same.species)


def test_atoms_of_one_species_exchange_nothing():
    a = rattled_lattice(d=2, per_side=8, density=1.0)
    alike = atoms.Atoms(a.positions, a.box, jnp.zeros_like(a.species))
    swap = eqx.filter_jit(atoms.swap_species)
    same, accepted = swap(atoms.kob_andersen(), jax.random.key(1), alike, 1.0, 10)
    assert int(accepted) == 0
    np.testing.assert_array_equal(same.species, alike.species)


def test_an_outdated_list_leaves_no_positions():
    a = rattled_lattice()
    law = atoms.wca(np.ones((2, 2)), np.ones((2, 2)))
    near = atoms.find_neighbours(a, law.cutoff, skin=0.1)
    swap = eqx.filter_jit(atoms.swap_species)
    good, _ = swap(law, jax.random.key(0), a, 0.1, 3, near)
    np.testing.assert_array_equal(good.positions, a.positions)
    moved = atoms.Atoms(a.positions.at[0].add(0.1), a.box, a.species)
    lost, _ = swap(law, jax.random.key(0), moved, 0.1, 3, near)
    assert jnp.isnan(lost.positions).all()


def test_glasses_made_with_swaps_have_the_atoms_asked_for_and_are_at_rest():
    keys = jax.random.split(jax.random.key(1), 2)
    make = eqx.filter_jit(eqx.filter_vmap(lambda k: atoms.quench(DISKS, k, RECIPE)))
    for species in make(keys).species:
        np.testing.assert_array_equal(np.bincount(np.asarray(species)), [20, 12])
    alone = eqx.filter_jit(atoms.quench)(DISKS, keys[0], RECIPE)
    assert float(jnp.abs(atoms.forces(DISKS, alone)).max()) < 1e-10


def test_large_cells_swap_with_lists(monkeypatch):
    from jaxmat.atoms import _large

    recipe = atoms.Quench((60, 40), 0.8, 0.5, 0.4, melting=0.5, dimension=2, swaps=50)
    whole = atoms.make_glass(DISKS, jax.random.key(0), recipe)
    monkeypatch.setattr(_large, "ALL_PAIRS", 10)
    listed = atoms.make_glass(DISKS, jax.random.key(0), recipe)
    np.testing.assert_array_equal(np.bincount(np.asarray(listed.species)), [60, 40])
    assert float(jnp.abs(atoms.forces(DISKS, listed)).max()) < 1e-10
    np.testing.assert_array_equal(listed.species, whole.species)


@pytest.mark.parametrize("change", [{"swaps": -1}, {"counts": (32,)}])
def test_swaps_that_cannot_be_are_refused(change):
    with pytest.raises(JaxmatError, match="swaps"):
        dataclasses.replace(RECIPE, **change)


@pytest.mark.parametrize(
    ("temperature", "attempts", "words"),
    [(-1.0, 1, "`temperature` holds -1"), (1.0, -1, "`attempts` holds -1")],
)
def test_exchanges_that_make_no_sense_are_refused(temperature, attempts, words):
    a = atoms.random_atoms(DISKS, jax.random.key(0), RECIPE)
    with pytest.raises(JaxmatError, match=words):
        atoms.swap_species(DISKS, jax.random.key(0), a, temperature, attempts)


@pytest.mark.slow
def test_with_swaps_a_glass_cooled_as_fast_lies_lower():
    sigma = [[1.0, 1.1], [1.1, 1.2]]
    law = atoms.LennardJones(np.ones((2, 2)), sigma, 2.0)
    recipe = atoms.Quench((50, 50), 0.9, 1.0, 0.05, melting=2.0, dimension=2)
    keys = jax.random.split(jax.random.key(0), 8)

    def energies(recipe):
        make = eqx.filter_jit(eqx.filter_vmap(lambda k: atoms.quench(law, k, recipe)))
        return np.asarray(jax.vmap(lambda a: atoms.energy(law, a))(make(keys))) / 100

    without, swapped = (
        energies(dataclasses.replace(recipe, swaps=swaps)) for swaps in (0, 100)
    )
    error = np.hypot(without.std(), swapped.std()) / np.sqrt(7)
    # 0.38 and 0.67 an atom, known to 0.06.
    assert swapped.mean() < without.mean() - 3 * error
