"""Neighbour lists: as all pairs, or NaN."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pytest
from atoms_cases import rattled_lattice

from jaxmat import JaxmatError, atoms

LAW = atoms.wca(np.ones((2, 2)), np.ones((2, 2)))
energy, forces, stress = map(eqx.filter_jit, (atoms.energy, atoms.forces, atoms.stress))


@pytest.mark.parametrize("d", [2, 3])
@pytest.mark.parametrize("per_side", [5, 9], ids=["one cell", "many cells"])
def test_a_list_gives_what_all_pairs_give(d, per_side):
    a = rattled_lattice(d=d, per_side=per_side)
    neighbours = atoms.find_neighbours(a, LAW.cutoff)
    assert not neighbours.overflowed
    for answer in (energy, forces, stress):
        exact = answer(LAW, a)
        np.testing.assert_allclose(
            answer(LAW, a, neighbours),
            exact,
            rtol=0,
            atol=1e-12 * float(jnp.abs(exact).max()),
        )


def test_a_list_holds_just_those_within_reach():
    a = rattled_lattice(per_side=8)
    neighbours = atoms.find_neighbours(a, 1.2, skin=0.3)
    s = np.asarray(a.positions)
    s = s[:, None] - s
    distance = np.linalg.norm((s - np.round(s)) @ np.asarray(a.box).T, axis=-1)
    near = (distance < 1.5) & ~np.eye(len(s), dtype=bool)
    for i, row in enumerate(np.asarray(neighbours.indices)):
        assert sorted(row[row < len(s)]) == list(np.flatnonzero(near[i]))


def test_too_few_columns_are_reported_and_poison_the_energy():
    a = rattled_lattice(per_side=6)
    neighbours = atoms.find_neighbours(a, LAW.cutoff, capacity=3)
    assert neighbours.overflowed
    assert jnp.isnan(energy(LAW, a, neighbours))
    assert jnp.isnan(forces(LAW, a, neighbours)).all()


def test_a_list_that_its_room_does_not_hold_is_made_again_with_more(monkeypatch):
    """All atoms in an eighth of the box: far more neighbours than its density says."""
    from jaxmat.atoms import _large

    monkeypatch.setattr(_large, "ALL_PAIRS", 10)
    a = rattled_lattice(per_side=6)
    crowded = atoms.Atoms(a.positions / 2, a.box, a.species)
    listed = _large.list_neighbours(LAW, crowded)
    usual = _large.list_neighbours(LAW, a)
    assert int(listed.longest) > usual.indices.shape[1]
    assert not listed.overflowed
    exact = energy(LAW, crowded)
    np.testing.assert_allclose(energy(LAW, crowded, listed), exact, rtol=1e-12)


def test_a_list_is_good_for_half_a_skin_and_no_longer():
    a = rattled_lattice(per_side=6)
    neighbours = atoms.find_neighbours(a, LAW.cutoff, skin=0.2)

    def shifted(u):
        r = atoms.cartesian(a).at[0, 0].add(u)
        return atoms.from_cartesian(r, a.box, a.species)

    for u in (0.099, -0.099):
        near = shifted(u)
        exact = energy(LAW, near)
        np.testing.assert_allclose(energy(LAW, near, neighbours), exact, rtol=1e-12)
    assert jnp.isnan(energy(LAW, shifted(0.101), neighbours))
    # Compressed by more than skin over reach, pairs may have come in.
    reach = float(LAW.cutoff) + 0.2
    for factor, current in ((1 - 0.19 / reach, True), (1 - 0.21 / reach, False)):
        squeezed = atoms.deform(a, jnp.diag(jnp.array([factor, 1.0, 1.0])))
        assert bool(atoms.is_current(neighbours, squeezed, LAW.cutoff)) == current


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"cutoff": -1.0}, "`cutoff` holds -1"),
        ({"cutoff": float("nan")}, "`cutoff` holds nan"),
        ({"skin": -0.1}, "`skin` holds -0.1"),
        ({"capacity": 0}, "`capacity` is 0; give a whole number of at least 1"),
    ],
)
def test_a_list_that_could_hold_no_pairs_is_refused(options, words):
    with pytest.raises(JaxmatError, match=words):
        atoms.find_neighbours(rattled_lattice(), **({"cutoff": 1.2} | options))


def test_a_list_of_other_atoms_is_refused():
    a = rattled_lattice()
    listed = atoms.find_neighbours(a, LAW.cutoff)
    half = atoms.Atoms(a.positions[:100], a.box, a.species[:100])
    with pytest.raises(JaxmatError, match="made for 216 atoms and there are 100"):
        energy(LAW, half, listed)


def test_a_box_in_which_an_atom_is_a_neighbour_twice_is_refused():
    with pytest.raises(JaxmatError, match="twice cutoff and skin"):
        atoms.find_neighbours(rattled_lattice(per_side=3), 1.5)
