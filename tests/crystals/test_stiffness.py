"""Builders: the right symmetry, every constant counts, Voigt in and Mandel out."""

import inspect

import contract
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from jaxmat import JaxmatError, crystals, mandel, rotations

PI = np.pi
# Generating rotations of each class as Bunge angles; (0, pi, 0) is a half turn about x,
# (pi, pi, 0) one about y, and the diagonal of the cube is the product of two quarters.
HALF_X, HALF_Y, HALF_Z = (0, PI, 0), (PI, PI, 0), (PI, 0, 0)
THIRD_Z, QUARTER_Z, SIXTH_Z = (2 * PI / 3, 0, 0), (PI / 2, 0, 0), (PI / 3, 0, 0)
ANY_Z, DIAGONAL = (0.3, 0, 0), (PI / 2, PI / 2, 0)
GENERATORS = {
    "isotropic": [ANY_Z, (0.2, 0.9, 1.3)],
    "cubic": [QUARTER_Z, DIAGONAL],
    "hexagonal": [SIXTH_Z, HALF_X, ANY_Z],
    "trigonal": [THIRD_Z],
    "tetragonal": [QUARTER_Z],
    "orthorhombic": [HALF_X, HALF_Z],
    "monoclinic": [HALF_Y],
    "triclinic": [],
}
# The higher Laue groups: without their last constant these have one more generator.
HIGHER = {"trigonal": HALF_X, "tetragonal": HALF_X}
NUM_INDEPENDENT = {
    "isotropic": 2,
    "cubic": 3,
    "hexagonal": 5,
    "trigonal": 7,
    "tetragonal": 7,
    "orthorhombic": 9,
    "monoclinic": 13,
    "triclinic": 21,
}
CLASSES = sorted(GENERATORS)


def arguments(name):
    """Distinct constants for the builder of class `name`."""
    parameters = inspect.signature(getattr(crystals, name)).parameters
    return {key: 10.0 + 3.7 * k for k, key in enumerate(parameters)}


def turned(stiffness, euler):
    quaternion = rotations.from_euler_bunge(jnp.array(euler, float))
    return crystals.rotate_stiffness(stiffness, quaternion)


@pytest.mark.parametrize("name", CLASSES)
def test_symmetry_operators_of_the_class_leave_the_stiffness_unchanged(name):
    stiffness = getattr(crystals, name)(**arguments(name))
    for euler in GENERATORS[name]:
        # Rounding of a few products of numbers below 100.
        np.testing.assert_allclose(turned(stiffness, euler), stiffness, atol=1e-12)


@pytest.mark.parametrize("name", HIGHER)
def test_without_its_last_constant_the_class_gains_a_twofold_axis(name):
    values = arguments(name)
    lower = getattr(crystals, name)(**values)
    values.popitem()
    higher = getattr(crystals, name)(**values)
    np.testing.assert_allclose(turned(higher, HIGHER[name]), higher, atol=1e-12)
    assert not np.allclose(turned(lower, HIGHER[name]), lower, atol=1e-3)


@pytest.mark.parametrize("name", CLASSES)
def test_class_has_as_many_constants_as_its_symmetry_allows(name):
    """Stiffnesses unchanged by the operators form a space of that dimension."""
    triangle = np.triu_indices(6)
    tensors = []
    for i, j in zip(*triangle, strict=True):
        unit = np.zeros((6, 6))
        unit[i, j] = unit[j, i] = 1.0
        tensors.append(unit)
    tensors = jnp.array(tensors)
    changes = [
        (jax.vmap(lambda c, e=euler: turned(c, e))(tensors) - tensors).reshape(21, 36)
        for euler in GENERATORS[name]
    ]
    constraints = np.concatenate([np.zeros((21, 1)), *changes], axis=1)
    free = 21 - np.linalg.matrix_rank(constraints, tol=1e-9)
    builder = getattr(crystals, name)
    values = arguments(name)
    slopes = jnp.stack(
        [slope.ravel() for slope in jax.jacfwd(lambda v: builder(**v))(values).values()]
    )
    assert np.linalg.matrix_rank(slopes) == len(values) == NUM_INDEPENDENT[name] == free


@pytest.mark.parametrize("name", [n for n in CLASSES if n != "isotropic"])
def test_each_argument_is_the_voigt_constant_of_its_name(name):
    values = arguments(name)
    voigt = mandel.to_voigt_stiffness(getattr(crystals, name)(**values))
    for key, value in values.items():
        i, j = int(key[1]) - 1, int(key[2]) - 1
        np.testing.assert_allclose([voigt[i, j], voigt[j, i]], value, rtol=1e-14)


def test_isotropic_solid_has_three_k_once_and_two_g_five_times():
    kelvin = np.linalg.eigvalsh(crystals.isotropic(97.0, 66.0))
    np.testing.assert_allclose(kelvin, [132.0] * 5 + [291.0], rtol=1e-13)


def test_nested_classes_agree_where_their_constants_do():
    c11, c12, c44 = 168.9, 121.8, 75.8
    cubic = crystals.cubic(c11, c12, c44)
    tetragonal = crystals.tetragonal(c11, c12, c12, c11, c44, c44)
    orthorhombic = crystals.orthorhombic(c11, c12, c12, c11, c12, c11, c44, c44, c44)
    np.testing.assert_array_equal(tetragonal, cubic)
    np.testing.assert_array_equal(orthorhombic, cubic)
    trigonal = crystals.trigonal(86.8, 6.9, 11.9, 0.0, 105.5, 58.1)
    np.testing.assert_array_equal(
        trigonal, crystals.hexagonal(86.8, 6.9, 11.9, 105.5, 58.1)
    )


def test_half_turn_about_c_changes_the_sign_of_c14_and_nothing_else():
    quartz = (86.76, 6.868, 11.85, -18.02, 105.46, 58.14)
    other = crystals.trigonal(*quartz[:3], 18.02, *quartz[4:])
    np.testing.assert_allclose(
        turned(crystals.trigonal(*quartz), HALF_Z), other, atol=1e-13
    )


def test_rotated_stiffness_is_the_rotated_tensor_and_keeps_the_kelvin_moduli():
    crystal = crystals.triclinic(
        **{  # any symmetric matrix will do here
            key: value * (1 if key[1] == key[2] else 0.1)
            for key, value in arguments("triclinic").items()
        }
    )
    q = rotations.random_uniform(jax.random.key(3))
    r = rotations.to_matrix(q)
    sample = jax.jit(crystals.rotate_stiffness)(crystal, 2.5 * q)  # any length
    tensor = jnp.einsum("ia,jb,kc,ld,abcd", r, r, r, r, mandel.to_tensor4(crystal))
    np.testing.assert_allclose(mandel.to_tensor4(sample), tensor, atol=1e-12)
    np.testing.assert_allclose(
        np.linalg.eigvalsh(sample), np.linalg.eigvalsh(crystal), rtol=1e-12
    )


def test_rotated_stiffness_is_differentiable_in_crystal_and_orientation():
    crystal = crystals.cubic(1.65, 0.64, 0.79)
    q = jnp.array([0.3, -0.5, 0.7, 0.4])
    rotate = jax.jit(crystals.rotate_stiffness)
    check_grads(rotate, (crystal, q), order=1, modes=["fwd", "rev"], eps=1e-6)


def test_vmap_over_crystals_is_the_loop():
    values = jnp.array([[168.9, 121.8, 75.8], [106.9, 60.5, 28.4]])
    batch = jax.vmap(crystals.cubic)(*values.T)
    loop = jnp.stack([crystals.cubic(*row) for row in values])
    np.testing.assert_array_equal(batch, loop)


@pytest.mark.parametrize("name", CLASSES)
def test_single_precision_constants_give_a_single_precision_stiffness(name):
    values = {k: jnp.float32(v) for k, v in arguments(name).items()}
    assert getattr(crystals, name)(**values).dtype == jnp.float32


def test_wrong_shape_is_refused_with_a_remedy():
    with pytest.raises(JaxmatError, match=r"\(3, 3\).*from_tensor4"):
        crystals.rotate_stiffness(jnp.eye(3), rotations.identity())


def test_a_rotation_in_float32_asks_for_float32_products():
    """And so do its derivatives: the default of JAX on a GPU is ten bits."""
    crystal, q = jnp.eye(6, dtype=jnp.float32), jnp.ones(4, jnp.float32)
    slope = jax.jacrev(crystals.rotate_stiffness, argnums=(0, 1))
    for function in (crystals.rotate_stiffness, slope):
        lowered = jax.jit(function).lower(crystal, q)
        assert "dot_general" in lowered.as_text()
        assert contract.rounded_products(lowered) == []
