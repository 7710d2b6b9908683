"""Silica of Vashishta: the formula, derivatives, symmetries. LAMMPS: test_lammps."""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from atoms_cases import cristobalite
from jax.test_util import check_grads

from jaxmat import JaxmatError, atoms, rotations

E2 = 14.3996454
SMALL = atoms.vashishta_silica(cutoff=5.5)
energy, forces, stress = map(eqx.filter_jit, (atoms.energy, atoms.forces, atoms.stress))


def molecule(places, species):
    """A few atoms alone in a wide box."""
    return atoms.Atoms(
        jnp.asarray(places) / 24.0, 24.0 * jnp.eye(3), jnp.asarray(species)
    )


def formula(H, n, charges, D):
    """The pair energy of the paper, less the line that ends it at 10 angstrom."""

    def plain(r):
        coulomb = charges * E2 * jnp.exp(-r / 999) / r
        return H / r**n + coulomb - D * jnp.exp(-r / 4.43) / r**4

    slope = jax.grad(plain)(10.0)
    return lambda r: plain(r) - plain(10.0) - slope * (r - 10.0)


PAIRS = {
    (0, 0): formula(0.82023, 11, 2.56, 0.0),
    (0, 1): formula(163.859, 9, -1.28, 44.2357),
    (1, 1): formula(743.848, 7, 0.64, 22.1179),
}


@pytest.mark.parametrize("kinds", PAIRS)
def test_two_ions_have_the_energy_of_the_paper(kinds):
    law = atoms.vashishta_silica()
    for r in (1.5, 2.5, 7.0):
        pair = molecule([[0.0, 0, 0], [0, r, 0]], kinds)
        np.testing.assert_allclose(law.energy(pair), PAIRS[kinds](r), rtol=1e-12)
    pair = molecule([[0.0, 0, 0], [0, 10 - 1e-8, 0]], kinds)
    assert (
        float(jnp.abs(atoms.forces(law, pair)).max()) < 1e-8
    )  # to zero with its slope


@pytest.mark.parametrize(
    ("centre", "strength", "cosine"), [(0, 5.0365, -1 / 3), (1, 20.146, -0.77714596)]
)
def test_three_ions_have_one_angle_more(centre, strength, cosine):
    law, end = atoms.vashishta_silica(), 1 - centre
    r1, r2, angle = 1.6, 1.9, 1.8
    places = [[0.0, 0, 0], [r1, 0, 0], [r2 * np.cos(angle), r2 * np.sin(angle), 0]]
    apart = np.sqrt(r1**2 + r2**2 - 2 * r1 * r2 * np.cos(angle))
    expected = PAIRS[0, 1](r1) + PAIRS[0, 1](r2) + PAIRS[end, end](apart)
    weight = np.exp(1 / (r1 - 2.6) + 1 / (r2 - 2.6))
    expected += strength * weight * (np.cos(angle) - cosine) ** 2
    found = law.energy(molecule(places, [centre, end, end]))
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_an_angle_ends_smoothly_and_like_ions_have_none():
    law = SMALL.angles
    places = np.array([[0.0, 0, 0], [1.6, 0, 0], [0, 1.6, 0]])
    assert law.energy(molecule(places, [0, 1, 1])) > 0
    assert law.energy(molecule(places, [1, 1, 1])) == 0
    near = molecule(places * 2.59 / 1.6, [0, 1, 1])  # weights of exp(-200)
    assert float(jnp.abs(atoms.forces(law, near)).max()) < 1e-80


def test_forces_stress_and_slopes_in_all_parameters_are_right():
    law, start = atoms.vashishta_silica(3.3), cristobalite(1, rattle=0.1)
    atoms.check(law, start)

    @jax.jit
    def answers(law, F, u):
        moved = atoms.shifted(atoms.deform(start, F), u)
        return law.energy(moved) / 100, atoms.stress(law, moved)

    # Central differences of step 1e-6, forward and reverse, in everything at once.
    u = jnp.zeros_like(start.positions)
    check_grads(answers, (law, jnp.eye(3), u), 1, eps=1e-6, rtol=1e-5, atol=1e-5)
    total = jnp.sum(forces(law, start), axis=0)
    np.testing.assert_allclose(total, 0.0, atol=1e-10)


def test_a_body_that_turns_does_nothing_else():
    a = cristobalite(2, rattle=0.1)
    turn = rotations.to_matrix(jnp.array([0.5, -0.1, 0.7, 0.5]))
    turned, sig = atoms.deform(a, turn), stress(SMALL, a)
    np.testing.assert_allclose(energy(SMALL, turned), energy(SMALL, a), rtol=1e-12)
    scale = float(jnp.abs(sig).max())
    np.testing.assert_allclose(
        stress(SMALL, turned), turn @ sig @ turn.T, rtol=0, atol=1e-11 * scale
    )
    np.testing.assert_allclose(sig, sig.T, rtol=0, atol=1e-12 * scale)


def test_a_list_gives_what_all_pairs_give():
    a = cristobalite(2, rattle=0.1)
    near = atoms.find_neighbours(a, SMALL.cutoff)
    for answer in (energy, forces, stress):
        exact = answer(SMALL, a)
        scale = float(jnp.abs(exact).max())
        np.testing.assert_allclose(answer(SMALL, a, near), exact, atol=1e-12 * scale)


@pytest.mark.parametrize("name", ["hessian", "hessian_product", "mixed", "box_hessian"])
def test_second_derivatives_are_the_sum_of_those_of_bonds_and_angles(name):
    law, a = atoms.vashishta_silica(3.3, "curvature"), cristobalite(1, rattle=0.1)
    rest = ()
    if name == "hessian_product":
        rest = (jnp.asarray(np.random.default_rng(0).normal(size=a.positions.shape)),)
    plain = eqx.filter_jit(getattr(atoms.AbstractPotential, name))(law, a, *rest)
    found = eqx.filter_jit(getattr(law, name))(a, *rest)
    scale = float(jnp.abs(plain).max())
    np.testing.assert_allclose(found, plain, rtol=0, atol=1e-12 * scale)


def test_what_is_no_length_is_refused():
    with pytest.raises(JaxmatError, match="screening"):
        dataclasses.replace(SMALL.bonds, screening=jnp.asarray(-1.0))
