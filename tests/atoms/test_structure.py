"""Structure: ideal gas, crystal shells, affine maps, modes with a known answer."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from atoms_cases import rattled_lattice

from jaxmat import JaxmatError, atoms

CELL = np.array([[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]])


def crystal(per_side=4):
    """Face-centred cubic with lattice constant one."""
    corners = np.indices((per_side,) * 3).reshape(3, -1).T
    s = (corners[:, None] + CELL).reshape(-1, 3) / per_side
    zero = jnp.zeros(len(s), int)
    return atoms.Atoms(jnp.asarray(s), per_side * jnp.eye(3), zero)


def gas(n=2000, d=3, seed=0):
    s = np.random.default_rng(seed).uniform(size=(n, d))
    box = 10 * np.eye(d) + np.triu(np.full((d, d), 1.5), 1)
    return atoms.Atoms(jnp.asarray(s), jnp.asarray(box), jnp.arange(n) % 2)


@pytest.mark.parametrize("d", [2, 3])
@pytest.mark.parametrize("species", [(None, None), (0, 1), (1, 1)])
def test_an_ideal_gas_has_no_structure(d, species):
    a = gas(d=d)
    edges = jnp.linspace(0.5, 4.5, 9)
    g = eqx.filter_jit(atoms.radial_distribution)(a, edges, *species)
    # Counts of pairs are Poisson: at least 5000 and 300 in the smallest bin.
    np.testing.assert_allclose(g, 1.0, atol=0.25 if d == 3 else 0.08)
    np.testing.assert_allclose(jnp.mean(g), 1.0, atol=0.03)


def test_a_crystal_has_the_shells_of_its_lattice():
    a = crystal()
    edges = jnp.array([0.6, 0.8, 1.1, 1.3, 1.5, 1.7])
    g = atoms.radial_distribution(a, edges)
    shells = 4 * np.pi / 3 * np.diff(np.asarray(edges) ** 3)
    density = 255 / 64  # of the others
    # 12, 6, 24, 12, 24 neighbours at 1/sqrt(2), 1, sqrt(3/2), sqrt(2), sqrt(5/2).
    np.testing.assert_allclose(g * shells * density, [12, 6, 24, 12, 24], rtol=1e-12)


def test_a_crystal_scatters_into_its_own_waves_only():
    a = crystal()
    waves = jnp.array([[4, 4, 4], [8, 0, 0], [4, 0, 0], [1, 0, 0], [3, 2, 1]])
    found = atoms.structure_factor(a, waves)
    np.testing.assert_allclose(found, [256, 256, 0, 0, 0], atol=1e-9)
    np.testing.assert_allclose(
        atoms.wave_numbers(a, waves)[:2], 2 * np.pi * np.array([3**0.5, 2])
    )


def test_an_ideal_gas_scatters_all_waves_alike():
    rng = np.random.default_rng(1)
    waves = jnp.asarray(rng.integers(1, 20, (400, 3)))
    found = atoms.structure_factor(gas(), waves)
    # Exponentially distributed about one: three standard errors.
    np.testing.assert_allclose(jnp.mean(found), 1.0, atol=3 / 20)


def test_an_affine_map_leaves_no_d2min_and_one_atom_leaves_its_own():
    before = rattled_lattice(per_side=6)
    F = jnp.eye(3) + jnp.asarray(np.random.default_rng(0).normal(size=(3, 3)) / 10)
    d2min = eqx.filter_jit(atoms.d2min)
    np.testing.assert_allclose(
        d2min(before, atoms.deform(before, F), 1.5), 0, atol=1e-20
    )
    # Whole lattice vectors are no motion either.
    moved = before.positions.at[::3, 1].add(1.0)
    same = atoms.Atoms(moved, before.box, before.species)
    np.testing.assert_allclose(d2min(before, same, 1.5), 0, atol=1e-20)

    u = 0.05
    r = atoms.cartesian(before).at[7, 0].add(u)
    after = atoms.from_cartesian(r, before.box, before.species)
    found = d2min(before, after, 1.5)
    old = np.asarray(before.positions - before.positions[7])
    old = (old - np.round(old)) @ np.asarray(before.box).T
    near = (np.linalg.norm(old, axis=1) < 1.5) & (np.arange(len(old)) != 7)
    # All its neighbours move alike: what the best map leaves of constant rows.
    x = old[near]
    constant = np.full(near.sum(), -u)
    fit, *_ = np.linalg.lstsq(x, constant, rcond=None)
    np.testing.assert_allclose(found[7], np.sum((constant - x @ fit) ** 2), rtol=1e-9)
    far = np.linalg.norm(old, axis=1) > 1.5
    np.testing.assert_allclose(np.asarray(found)[far], 0, atol=1e-20)


def test_modes_have_the_participation_of_their_shape():
    n = 64
    one = jnp.zeros((n, 3)).at[5, 1].set(0.3)
    np.testing.assert_allclose(atoms.participation_ratio(one), 1 / n, rtol=1e-14)
    all_alike = jnp.ones((n, 3))
    np.testing.assert_allclose(atoms.participation_ratio(all_alike), 1, rtol=1e-14)
    # <sin^2>^2 / <sin^4> = (1/4) / (3/8)
    wave = jnp.zeros((n, 3)).at[:, 0].set(jnp.sin(2 * jnp.pi * jnp.arange(n) / n))
    np.testing.assert_allclose(atoms.participation_ratio(wave), 2 / 3, rtol=1e-12)
    rng = jax.random.normal(jax.random.key(0), (n, 3))
    assert 1 / n < float(atoms.participation_ratio(rng)) < 1


@pytest.mark.parametrize(
    ("mistake", "words"),
    [
        (lambda a: atoms.radial_distribution(a, jnp.array([1.0, 0.5])), "increase"),
        (lambda a: atoms.radial_distribution(a, jnp.array([1.0])), "increase"),
        (
            lambda a: atoms.radial_distribution(a, jnp.array([0.5, 1.0]), of=3),
            "no atom of species 3",
        ),
        (
            lambda a: atoms.radial_distribution(
                atoms.Atoms(a.positions, a.box, a.species.at[0].set(1)),
                jnp.array([0.5, 1.0]),
                of=1,
                around=1,
            ),
            "one atom and no pair",
        ),
        (lambda a: atoms.structure_factor(a, jnp.array([[1, 0]])), "3 for each wave"),
        (lambda a: atoms.wave_numbers(a, jnp.array([[1, 0]])), "3 for each wave"),
        (lambda a: atoms.d2min(a, a, 0.0), "`cutoff` holds 0"),
        (
            lambda a: atoms.d2min(
                a, atoms.Atoms(a.positions, a.box, a.species + 1), 1.0
            ),
            "species before and after differ",
        ),
        (
            lambda a: atoms.d2min(
                a, atoms.Atoms(a.positions * jnp.nan, a.box, a.species), 1.0
            ),
            "`positions` holds NaN",
        ),
    ],
)
def test_what_would_count_wrongly_is_refused(mistake, words):
    with pytest.raises(JaxmatError, match=words):
        mistake(crystal())


def test_what_lies_beyond_half_the_box_is_refused():
    with pytest.raises(JaxmatError, match="half of the box"):
        atoms.radial_distribution(crystal(), jnp.linspace(0, 2.1, 5))
    with pytest.raises(JaxmatError, match="half of the box"):
        atoms.d2min(crystal(), crystal(), 2.5)
