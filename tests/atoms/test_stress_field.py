"""Stress per atom and on a grid: what they sum up to, and their balance."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from atoms_cases import rattled_lattice

import jaxmat
from jaxmat import atoms

ONE = np.ones((2, 2))
LAW = atoms.LennardJones(ONE, [[1.0, 0.9], [0.9, 0.8]], 1.6)
SHAPE, WIDTH = (10, 9, 8), 0.55


def few(d=3):
    return rattled_lattice(d=d, per_side=4 if d == 3 else 6, density=1.0)


@pytest.mark.parametrize("d", [2, 3])
def test_the_mean_over_atoms_and_over_the_grid_is_the_stress(d):
    a = few(d)
    expected = atoms.stress(LAW, a)
    scale = float(jnp.abs(expected).max())
    each = eqx.filter_jit(atoms.atomic_stress)(LAW, a)
    field = eqx.filter_jit(lambda a: atoms.stress_field(LAW, a, SHAPE[:d], WIDTH))(a)
    for found in (each.mean(0), field.mean(tuple(range(d)))):
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-13 * scale)
    np.testing.assert_allclose(field, jnp.swapaxes(field, -1, -2), atol=1e-12 * scale)


def test_the_divergence_of_the_field_is_the_density_of_the_forces():
    """Wave by wave: forces smeared out by the same Gaussian, whatever the state."""
    a = few()
    field = eqx.filter_jit(lambda a: atoms.stress_field(LAW, a, SHAPE, WIDTH))(a)
    sigma = np.fft.fftn(field, axes=(0, 1, 2)) / np.prod(SHAPE)
    f, box = np.asarray(atoms.forces(LAW, a)), np.asarray(a.box)
    volume, inverse = np.linalg.det(box), np.linalg.inv(box)
    for wave in ((1, 0, 0), (0, 2, -1), (-3, 1, 2), (4, -4, 3)):
        k = 2 * np.pi * np.asarray(wave) @ inverse
        phase = np.exp(-2j * np.pi * np.asarray(a.positions) @ wave)
        density = phase @ f * np.exp(-(k @ k) * WIDTH**2 / 2) / volume
        divergence = 1j * sigma[wave] @ k
        np.testing.assert_allclose(
            divergence, density, rtol=0, atol=1e-12 * np.abs(f).max()
        )


def test_the_field_follows_the_atoms():
    """A shift by a point of the grid, and a derivative against differences."""
    a = few(2)

    def field(s):
        moved = atoms.Atoms(s, a.box, a.species)
        return atoms.stress_field(LAW, moved, SHAPE[:2], WIDTH)

    once = jax.jit(field)
    start, by = once(a.positions), jnp.array([1 / SHAPE[0], 2 / SHAPE[1]])
    scale = float(jnp.abs(start).max())
    expected = jnp.roll(start, (1, 2), (0, 1))
    moved = once(a.positions + by)
    np.testing.assert_allclose(moved, expected, rtol=0, atol=1e-12 * scale)

    def peak(s):
        return field(s)[3, 4, 0, 1]

    u = jnp.asarray(np.random.default_rng(1).normal(size=a.positions.shape))
    slope, h = jnp.sum(jax.jit(jax.grad(peak))(a.positions) * u), 1e-6
    ends = [once(a.positions + x * u)[3, 4, 0, 1] for x in (h, -h)]
    np.testing.assert_allclose(slope, (ends[0] - ends[1]) / (2 * h), rtol=1e-6)


def test_a_grid_of_another_dimension_is_refused():
    with pytest.raises(jaxmat.JaxmatError, match="2 dimensions"):
        atoms.stress_field(LAW, few(2), SHAPE, WIDTH)


def test_a_potential_that_is_not_of_pairs_is_refused():
    silicon = atoms.StillingerWeber()
    a = few(2)
    for function in (
        atoms.atomic_stress,
        lambda *a: atoms.stress_field(*a, SHAPE, 1.0),
    ):
        with pytest.raises(jaxmat.JaxmatError, match="potentials of pairs only"):
            function(silicon, a)
