"""Crystals at T = 0 against values computed without this library (tests/data)."""

import json
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmat import atoms, mandel

DATA = Path(__file__).parents[1] / "data"
FCC = np.array([[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]])
DIAMOND = np.concatenate([FCC, FCC + 0.25])
GPA = 160.2176634  # one eV per cubic angstrom


def crystal(basis, a, repeats):
    corners = np.indices((repeats,) * 3).reshape(3, -1).T
    s = (corners[:, None] + basis).reshape(-1, 3) / repeats
    species = jnp.zeros(len(s), int)
    return atoms.Atoms(jnp.asarray(s), repeats * a * jnp.eye(3), species)


def taken_off(cutoff):
    """What smoothing and cutting take off Lennard-Jones: integral and value at zero.

    Inside the cutoff a parabola in r^2, outside the potential itself. The function is
    smooth, so its sum over a lattice is its integral over space, but for the third
    derivative's jump at the cutoff; less its value at zero, where no neighbour is.
    """

    def u(x):
        return 4 * (x**-6 - x**-3)

    end = cutoff**2
    value, slope, bend = (
        float(f(end)) for f in (u, jax.grad(u), jax.grad(jax.grad(u)))
    )
    parabola = np.polynomial.Polynomial([value, slope, bend / 2])
    parabola = parabola(np.polynomial.Polynomial([-end, 1.0]))
    inside = sum(
        c * cutoff ** (2 * k + 3) / (2 * k + 3) for k, c in enumerate(parabola.coef)
    )
    outside = 4 * (cutoff**-9 / 9 - cutoff**-3 / 3)
    return 4 * np.pi * (inside + outside), parabola(0.0)


@pytest.mark.parametrize(
    ("repeats", "cutoff", "accuracy"),
    [
        # The rest falls off as cutoff^-6: 5e-5 and 3e-6 of the moduli.
        (6, 4.6, 1e-4),
        pytest.param(10, 7.7, 1e-5, marks=pytest.mark.slow),
    ],
)
def test_lennard_jones_fcc_is_that_of_the_whole_lattice_sum(repeats, cutoff, accuracy):
    data = json.loads((DATA / "r5_atomistic.json").read_text())
    expected = data["LJ_fcc_converged"]
    a = expected["a"]
    box = crystal(FCC, a, repeats)
    law = atoms.LennardJones(1.0, 1.0, cutoff)
    integral, at_zero = taken_off(cutoff)
    density, n = 4 / a**3, box.num_atoms

    def rest(F):
        """Energy per atom of all that was taken off."""
        return (density / jnp.linalg.det(F) * integral - at_zero) / 2

    @jax.jit
    def answers():
        eye = jnp.eye(3)
        energy = law.energy(box) / n + rest(eye)
        sig = atoms.stress(law, box) + density * jax.grad(rest)(eye)
        A = atoms.born_moduli(law, box) + density * jax.hessian(rest)(eye)
        return energy, sig, mandel.to_voigt_stiffness(mandel.from_tensor4(A))

    energy, sig, C = answers()
    np.testing.assert_allclose(energy, expected["E"], rtol=accuracy / 10)
    # A stress is a lattice constant that is wrong by stress over three bulk moduli.
    assert abs(float(sig[0, 0])) / (3 * 75) < accuracy
    for (i, j), name in (((0, 0), "C11"), ((0, 1), "C12"), ((3, 3), "C44")):
        np.testing.assert_allclose(C[i, j], expected[name], rtol=accuracy)


def test_silicon_is_as_computed_elsewhere():
    expected = json.loads((DATA / "r6_sw_si.json").read_text())
    law, start = atoms.StillingerWeber(), crystal(DIAMOND, 5.4, 2)
    rng = np.random.default_rng(0)
    noise = 0.002 * rng.normal(size=start.positions.shape)
    start = atoms.Atoms(start.positions + noise, start.box, start.species)
    found = atoms.relax_box(law, start, tolerance=1e-8).value
    a = atoms.volume(found) ** (1 / 3) / 2
    np.testing.assert_allclose(a, expected["a0"], rtol=1e-8)
    energy = law.energy(found) / found.num_atoms
    np.testing.assert_allclose(energy, expected["E_per_atom"], rtol=1e-10)
    # The reference is a central difference of step 2e-4.
    C = eqx.filter_jit(atoms.elastic_moduli)(law, found)
    C = mandel.to_voigt_stiffness(mandel.from_tensor4(C)) * GPA
    np.testing.assert_allclose(C[0, 0], expected["C11"], rtol=1e-6)
    np.testing.assert_allclose(C[0, 1], expected["C12"], rtol=1e-6)
    np.testing.assert_allclose(C[3, 3], expected["C44_relaxed"], rtol=1e-6)
    C = eqx.filter_jit(atoms.born_moduli)(law, found)
    C44 = mandel.to_voigt_stiffness(mandel.from_tensor4(C))[3, 3] * GPA
    np.testing.assert_allclose(C44, expected["C44_unrelaxed"], rtol=1e-6)


def test_angles_are_those_of_the_sum_over_triples():
    """Stillinger and Weber's formula, triple by triple."""
    law, start = atoms.StillingerWeber(), crystal(DIAMOND, 5.4, 2)
    rng = np.random.default_rng(3)
    r = np.asarray(atoms.cartesian(start)) + 0.3 * rng.normal(size=(64, 3))
    box = start.box + 0.3 * rng.normal(size=(3, 3))
    one = atoms.from_cartesian(jnp.asarray(r), box, start.species)
    s = np.asarray(one.positions)
    s = s[:, None] - s
    vectors = (s - np.round(s)) @ np.asarray(box).T / 2.0951
    total = 0.0
    for i, row in enumerate(vectors):
        near = [v for k, v in enumerate(row) if k != i and np.linalg.norm(v) < 1.8]
        for m, v in enumerate(near):
            x = np.linalg.norm(v)
            bond = 0.6022245584 * x**-4 - 1
            total += 7.049556277 * bond * np.exp(1 / (x - 1.8)) / 2
            for w in near[:m]:
                y = np.linalg.norm(w)
                weight = np.exp(1.2 / (x - 1.8) + 1.2 / (y - 1.8))
                total += 21 * weight * (v @ w / (x * y) + 1 / 3) ** 2
    np.testing.assert_allclose(law.energy(one), 2.1683 * total, rtol=1e-12)
    neighbours = atoms.find_neighbours(one, law.cutoff)
    np.testing.assert_allclose(law.energy(one, neighbours), 2.1683 * total, rtol=1e-12)
