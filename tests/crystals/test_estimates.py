"""Polycrystal estimates against independent numbers, brute force and each other."""

import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads
from scipy.spatial.transform import Rotation

from jaxmat import JaxmatError, crystals, mandel, rotations

REFERENCE = json.loads(
    (Path(__file__).parents[1] / "data" / "r1_elastic_bounds.json").read_text()
)
IN_LIBRARY = {
    "Cu": "Cu",
    "Al": "Al",
    "Ni": "Ni",
    "Fe-alpha": "Fe-alpha",
    "W": "W",
    "Si(Bourgeois)": "Si",
    "304 austenite": "304",
    "316L": "316L",
}
LOWER_SYMMETRY = ["Zn", "Cd", "Sn-beta", "Quartz", "Olivine"]


@jax.jit
def estimates(stiffness):
    bounds = crystals.hashin_shtrikman(stiffness)
    return {
        "Reuss": crystals.reuss(stiffness),
        "HSlo": bounds.lower,
        "SC": crystals.self_consistent(stiffness),
        "HShi": bounds.upper,
        "Voigt": crystals.voigt(stiffness),
        "Hill": crystals.hill(stiffness),
    }


def stiffness_of(name):
    return crystals.constants(name).stiffness


@pytest.mark.parametrize("name", IN_LIBRARY)
def test_cubic_estimates_agree_with_the_published_closed_forms(name):
    found = estimates(stiffness_of(IN_LIBRARY[name]))
    for kind, moduli in found.items():
        numbers = (*moduli, moduli.youngs_modulus, moduli.poissons_ratio)
        expected = [REFERENCE[name][kind][key] for key in ("K", "G", "E", "nu")]
        # The same closed forms evaluated elsewhere: only rounding differs.
        np.testing.assert_allclose(numbers, expected, rtol=1e-10, err_msg=kind)


def test_polysilicon_agrees_for_the_constants_of_hopcroft():
    found = estimates(crystals.cubic(165.7, 63.9, 79.6))
    for kind, moduli in found.items():
        expected = REFERENCE["Si(Hopcroft)"][kind]["E"]
        np.testing.assert_allclose(moduli.youngs_modulus, expected, rtol=1e-10)


@pytest.mark.parametrize("name", crystals.names())
def test_estimates_are_ordered_from_reuss_to_voigt(name):
    found = estimates(stiffness_of(name))
    for field in ("bulk", "shear"):
        ladder = [
            float(getattr(found[kind], field))
            for kind in ("Reuss", "HSlo", "SC", "HShi", "Voigt")
        ]
        # Cubic bulk moduli are all the same number, up to rounding.
        assert np.all(np.diff(ladder) >= -1e-12 * ladder[0]), (field, ladder)


def test_isotropic_crystal_makes_a_polycrystal_of_itself():
    found = estimates(crystals.isotropic(97.0, 66.0))
    for kind, moduli in found.items():
        np.testing.assert_allclose(moduli, (97.0, 66.0), rtol=1e-12, err_msg=kind)
    solid = crystals.isotropic(97.0, 66.0)
    np.testing.assert_allclose(crystals.universal_anisotropy(solid), 0.0, atol=1e-12)


def brute_force_average(matrix, num=4000):
    """Mandel matrix averaged over many random rotations, by rotating the tensor."""
    r = Rotation.random(num, random_state=0).as_matrix()
    basis = mandel.BASIS[6]
    turn = np.einsum("kij,nia,njb,lab->nkl", basis, r, r, basis, optimize=True)
    return np.einsum("nik,kl,njl->ij", turn, matrix, turn, optimize=True) / num


@pytest.mark.parametrize("name", LOWER_SYMMETRY)
def test_voigt_and_reuss_are_the_averages_over_random_rotations(name):
    crystal = np.asarray(stiffness_of(name))
    found = estimates(jnp.asarray(crystal))
    upper = brute_force_average(crystal)
    lower = np.linalg.inv(brute_force_average(np.linalg.inv(crystal)))
    # 4000 rotations leave 1/sqrt(4000) of a spread below the mean itself.
    scale = 0.03 * crystal.max()
    np.testing.assert_allclose(found["Voigt"].stiffness, upper, atol=scale)
    np.testing.assert_allclose(found["Reuss"].stiffness, lower, atol=scale)


def willis_bounds(crystal, medium, bulk, shear):
    """C0 + (<((C - C0)^-1 + P)^-1>^-1 - P)^-1, Willis's own form, for many media."""
    j = np.zeros((6, 6))
    j[:3, :3] = 1 / 3
    k = np.eye(6) - j
    p_j = 1 / (3 * bulk + 4 * shear)
    p_k = 3 * (bulk + 2 * shear) * p_j / (5 * shear)
    hill = p_j[:, None, None] * j + p_k[:, None, None] * k
    inner = np.linalg.inv(np.linalg.inv(crystal - medium) + hill)
    mean_j = np.sum(inner * j, axis=(1, 2))
    mean_k = np.sum(inner * k, axis=(1, 2)) / 5
    return bulk + 1 / (1 / mean_j - p_j) / 3, shear + 1 / (1 / mean_k - p_k) / 2


@pytest.mark.parametrize("name", LOWER_SYMMETRY)
@pytest.mark.parametrize("side", ["lower", "upper"])
def test_bounds_are_the_best_of_all_isotropic_comparison_media(name, side):
    crystal = np.asarray(stiffness_of(name))
    found = estimates(jnp.asarray(crystal))
    if side == "lower":
        sign, ours, start = 1, found["HSlo"], found["Reuss"]
        factors = np.linspace(0.2, 1.0, 161)
    else:
        sign, ours, start = -1, found["HShi"], found["Voigt"]
        factors = np.linspace(1.0, 4.0, 301)
    bulk, shear = np.meshgrid(factors * float(start.bulk), factors * float(start.shear))
    bulk, shear = bulk.ravel(), shear.ravel()
    medium = np.zeros((bulk.size, 6, 6))
    medium[:, :3, :3] = (bulk - 2 * shear / 3)[:, None, None]
    medium += 2 * shear[:, None, None] * np.eye(6)
    admissible = np.linalg.eigvalsh(sign * (crystal - medium))[:, 0] > 0
    media = medium[admissible], bulk[admissible], shear[admissible]
    best = np.max(sign * np.array(willis_bounds(crystal, *media)), axis=1)
    ours = sign * np.array(ours)
    assert np.all(ours >= best - 1e-9 * abs(best)), "another medium does better"
    # The scan stops a step (1 %) short of the best medium.
    np.testing.assert_allclose(ours, best, rtol=5e-3)


def test_bounds_do_not_depend_on_the_frame_of_the_crystal():
    quartz = stiffness_of("Quartz")
    q = rotations.random_uniform(jax.random.key(5))
    turned = estimates(crystals.rotate_stiffness(quartz, q))
    for kind, moduli in estimates(quartz).items():
        np.testing.assert_allclose(turned[kind], moduli, rtol=1e-11, err_msg=kind)


def test_bounds_hold_their_own_through_a_change_of_class():
    """Trigonal to hexagonal: a coupling that fades away must not make a jump."""
    faded = crystals.trigonal(86.76, 6.868, 11.85, -1e-7, 105.46, 58.14)
    gone = crystals.hexagonal(86.76, 6.868, 11.85, 105.46, 58.14)
    for kind, moduli in estimates(gone).items():
        np.testing.assert_allclose(estimates(faded)[kind], moduli, rtol=1e-8)


def test_cubic_derivatives_agree_with_finite_differences():
    def moduli(c11, c12, c44):
        return estimates(crystals.cubic(c11, c12, c44))

    args = tuple(jnp.array([1.689, 1.218, 0.758]))
    check_grads(moduli, args, order=1, modes=["fwd", "rev"], eps=1e-6)


@pytest.mark.parametrize("name", ["Zn", "Quartz", "Olivine"])
def test_derivatives_agree_with_finite_differences_in_lower_symmetry(name):
    crystal = stiffness_of(name) / 100
    basis = crystals._stiffness.BASIS[
        crystals._stiffness.CLASS_OF_LAUE[crystals.constants(name).laue]
    ]
    coefficients = jnp.linalg.lstsq(basis.reshape(len(basis), 36).T, crystal.ravel())[0]

    def moduli(values):
        return estimates(jnp.einsum("n,nij->ij", values, basis))

    # The line search places the best medium to 1e-9; the slope there is that small.
    check_grads(
        moduli, (coefficients,), order=1, modes=["fwd", "rev"], eps=1e-5, rtol=1e-5
    )


def test_self_consistent_estimate_has_second_derivatives():
    def shear(c44):
        return crystals.self_consistent(crystals.cubic(1.689, 1.218, c44)).shear

    check_grads(jax.jit(jax.grad(shear)), (0.758,), order=1, modes=["fwd"], eps=1e-5)


def test_gradient_is_finite_for_an_isotropic_crystal():
    jacobian = jax.jit(jax.jacrev(estimates))(crystals.isotropic(97.0, 66.0))
    for leaf in jax.tree.leaves(jacobian):
        assert jnp.all(jnp.isfinite(leaf))


def test_universal_anisotropy_of_a_cubic_crystal_follows_zeners():
    copper = stiffness_of("Cu")
    a = crystals.zener_ratio(copper)
    index = jax.jit(crystals.universal_anisotropy)(copper)
    # 5 G_V / G_R - 5 written in Zener's ratio alone.
    np.testing.assert_allclose(index, 6 / 5 * (a**0.5 - a**-0.5) ** 2, rtol=1e-12)


@pytest.mark.parametrize("constants", [(100.0, 140.0, 50.0), (165.0, 64.0, -1.0)])
def test_impossible_crystal_gives_nan_and_no_wrong_number(constants):
    found = estimates(crystals.cubic(*constants))
    for kind in ("HSlo", "SC", "HShi"):
        assert jnp.isnan(found[kind].shear), kind


def test_vmap_is_the_loop_and_single_precision_stays():
    stack = jnp.stack([stiffness_of(n) for n in ("Cu", "Zn", "Quartz")])
    batch = jax.jit(jax.vmap(estimates))(stack)
    loop = [estimates(c) for c in stack]
    for kind, moduli in batch.items():
        np.testing.assert_allclose(
            moduli.shear, [e[kind].shear for e in loop], rtol=1e-11, err_msg=kind
        )
    for crystal, exact in zip(stack, loop, strict=True):
        for kind, moduli in estimates(jnp.asarray(crystal, jnp.float32)).items():
            assert moduli.bulk.dtype == moduli.shear.dtype == jnp.float32
            # 6e-8 times the condition number of zinc (20) and a few operations.
            np.testing.assert_allclose(moduli, exact[kind], rtol=2e-5, err_msg=kind)


def test_plane_stiffness_is_refused():
    for estimate in (crystals.voigt, crystals.reuss, crystals.self_consistent):
        with pytest.raises(JaxmatError, match=r"`stiffness` has shape \(3, 3\)"):
            estimate(jnp.eye(3))
