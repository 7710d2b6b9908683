"""The main job's numbers: closed forms for one crystal, averages, derivatives."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmat import JaxmatError, crystals, io, rotations
from jaxmat.cells import voigt_bound
from jaxmat.microstructure import Grid, OrientationMap, Phase
from jaxmat.solve import Info
from jaxmat.studies import polycrystal
from jaxmat.studies._elasticity import check_converged

NICKEL = Phase("Ni", "m-3m")
TILTED = rotations.from_euler_bunge(jnp.array([0.3, 0.7, 0.2]))


def as_map(quaternion, phase=None, phases=(NICKEL,)):
    """A map of square pixels, one micrometre wide."""
    shape = quaternion.shape[:2]
    if phase is None:
        phase = jnp.zeros(shape, jnp.int32)
    lengths = tuple(map(float, shape))
    return OrientationMap(
        Grid(shape, lengths), quaternion, phase, phases, jnp.ones(shape)
    )


def single_crystal(quaternion):
    return polycrystal.prepare(as_map(jnp.broadcast_to(quaternion, (4, 4, 4))))


@pytest.fixture(scope="module")
def small():
    """Six grains of nickel on 12 x 12 pixels, solved tightly."""
    made = polycrystal.generate(jax.random.key(1), num_grains=6, resolution=12)
    specimen = polycrystal.prepare(made)
    return specimen, polycrystal.analyse(specimen, rtol=1e-11)


def test_one_crystal_has_the_modulus_of_the_crystal():
    # Pulled along x with nothing else held: also in plane stress E is 1 / S11.
    specimen = single_crystal(TILTED)
    results = polycrystal.analyse(specimen, plane="stress", rtol=1e-12)
    stiffness = crystals.rotate_stiffness(specimen.constants[0].stiffness, TILTED)
    modulus = crystals.youngs_modulus(stiffness, jnp.array([1.0, 0.0, 0.0]))
    # Rounding: nothing fluctuates.
    np.testing.assert_allclose(results.youngs_modulus, modulus, rtol=1e-12)
    np.testing.assert_allclose(results.voigt, results.reuss, atol=1e-10)
    np.testing.assert_allclose(results.von_mises, 0.1, rtol=1e-11)
    np.testing.assert_allclose(results.energy, 0.1**2 / (2 * modulus), rtol=1e-11)


def test_plane_strain_adds_the_stress_that_holds_the_thickness():
    about_z = rotations.from_rotation_vector(jnp.array([0.0, 0.0, 0.4]))
    specimen = single_crystal(about_z)
    results = polycrystal.analyse(specimen, plane="strain", rtol=1e-12)
    stiffness = crystals.rotate_stiffness(specimen.constants[0].stiffness, about_z)
    s = np.linalg.inv(np.asarray(stiffness))
    np.testing.assert_allclose(
        results.youngs_modulus, 1 / (s[0, 0] - s[0, 2] ** 2 / s[2, 2]), rtol=1e-12
    )
    held = np.zeros(6)
    held[[0, 2]] = 0.1, -0.1 * s[0, 2] / s[2, 2]
    expected = np.broadcast_to(held, (4, 4, 6))
    np.testing.assert_allclose(results.sig, expected, atol=1e-13)
    np.testing.assert_allclose(results.eps[..., 2:5], 0.0, atol=1e-16)


def test_the_mean_stress_is_uniaxial_along_x(small):
    mean = small[1].sig.mean(axis=(0, 1))
    # Equilibrium to 1e-11 of the strain fluctuation.
    np.testing.assert_allclose(mean, [0.1, 0, 0, 0, 0, 0], atol=1e-11)


def test_grains_oriented_apart_concentrate_stress(small):
    von_mises = np.asarray(small[1].von_mises)
    assert von_mises.max() > 1.1 * von_mises.mean()
    assert von_mises.min() < 0.9 * von_mises.mean()


@pytest.mark.parametrize("axis", [0, 2])
def test_sensitivity_is_the_slope_under_a_small_turn_of_one_grain(small, axis):
    specimen, results = small
    where = lambda s: s.microstructure.orientation  # noqa: E731
    step, grain = 1e-4, 2

    def turned(angle):
        turn = rotations.from_rotation_vector(angle * jnp.eye(3)[axis])
        moved = rotations.multiply(turn, where(specimen)[grain])
        changed = eqx.tree_at(where, specimen, where(specimen).at[grain].set(moved))
        return polycrystal.analyse(changed, rtol=1e-11).youngs_modulus

    slope = (turned(step) - turned(-step)) / (2 * step)
    # The difference's own error: step^2 times a third derivative of order one.
    np.testing.assert_allclose(
        results.sensitivity[grain, axis], slope, rtol=1e-6, atol=1e-7
    )


def test_a_grain_too_small_for_the_resolution_is_left_out():
    quaternion = np.tile(np.asarray(rotations.identity()), (24, 24, 1))
    quaternion[12:] = np.asarray(TILTED)
    quaternion[4, 4:6] = np.asarray(
        rotations.from_euler_bunge(jnp.array([1.1, 0.6, 0.4]))
    )
    fine = polycrystal.prepare(as_map(jnp.asarray(quaternion)))
    coarse = polycrystal.prepare(as_map(jnp.asarray(quaternion)), resolution=4)
    assert fine.microstructure.num_grains == 3
    assert coarse.microstructure.num_grains == 2
    assert coarse.microstructure.grid.shape == (4, 4)
    assert coarse.map_shape == (24, 24)
    assert set(np.unique(coarse.microstructure.grain)) == {0, 1}


def test_a_long_map_keeps_its_proportions():
    long = as_map(jnp.broadcast_to(TILTED, (40, 10, 4)))
    grid = polycrystal.prepare(long, resolution=20).microstructure.grid
    assert grid.shape == (20, 5)
    assert grid.lengths == (40.0, 10.0)


TWO_OF_THREE = (Phase("Unseen", "-1"), Phase("Cu", "m-3m"), Phase("Mg", "6/mmm"))


def two_phases():
    phase = jnp.repeat(jnp.array([[1], [2]]), 4, axis=0).repeat(8, axis=1)
    return as_map(jnp.broadcast_to(TILTED, (8, 8, 4)), phase, TWO_OF_THREE)


def test_only_phases_that_occur_need_constants():
    specimen = polycrystal.prepare(two_phases())
    assert specimen.materials == ("Cu", "Mg")
    assert set(np.unique(specimen.microstructure.phase)) == {0, 1}
    voigt = voigt_bound(specimen.microstructure, specimen.laws)
    mean = sum(
        crystals.rotate_stiffness(crystals.constants(name).stiffness, TILTED) / 2
        for name in ("Cu", "Mg")
    )
    # The mean orientation of a grain is an eigenvector, exact to rounding.
    np.testing.assert_allclose(voigt, mean, atol=1e-10)


def test_each_phase_can_be_given_its_material():
    specimen = polycrystal.prepare(two_phases(), material=["Ag", "Zn"])
    assert specimen.materials == ("Ag", "Zn")


@pytest.mark.parametrize(
    ("material", "message"),
    [
        (["Ag"], "phase 'Mg' of the map is hexagonal"),
        (["Ag", "Zn", "Cu"], "3 materials are given for the 2 phases 'Cu', 'Mg'"),
        (["Ag", "Zinc-free"], "material 'Zinc-free' is not in the library"),
    ],
)
def test_materials_that_do_not_fit_the_phases_are_refused(material, message):
    with pytest.raises(JaxmatError, match=message):
        polycrystal.prepare(two_phases(), material=material)


def test_one_pixel_is_no_map():
    with pytest.raises(JaxmatError, match="`resolution` is 1"):
        polycrystal.prepare(two_phases(), resolution=1)


def test_an_unfinished_solve_says_how_far_it_came():
    info = Info(jnp.asarray(False), jnp.asarray(1000), jnp.asarray(3e-5))
    with pytest.raises(JaxmatError, match=r"1000 iterations the error is 3.0e-05"):
        check_converged(info, 1e-6)


@pytest.mark.slow  # three compilations
def test_measured_maps_lie_between_displacement_and_traction_boundaries(ebsd_dir):
    # Same elements, same map: kubc - periodic - subc in the sense of quadratic forms.
    specimen = polycrystal.prepare(io.read_ebsd(ebsd_dir / "Test_US_1.ctf"))
    assert specimen.materials == ("Zirc-alloy4",)
    stiff, between, soft = (
        polycrystal.analyse(specimen, boundary=boundary, rtol=1e-9).stiffness
        for boundary in ("kubc", "periodic", "subc")
    )
    # Rounding of a difference of numbers of order 100 GPa, solved to 1e-9.
    assert np.linalg.eigvalsh(stiff - between).min() > -1e-6
    assert np.linalg.eigvalsh(between - soft).min() > -1e-6
