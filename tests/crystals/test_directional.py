"""Directional moduli against the closed forms for cubic and hexagonal crystals."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from jaxmat import JaxmatError, crystals

C11, C12, C44 = 168.9, 121.8, 75.8  # copper
COPPER = crystals.cubic(C11, C12, C44)
S11 = (C11 + C12) / ((C11 - C12) * (C11 + 2 * C12))
S12 = -C12 / ((C11 - C12) * (C11 + 2 * C12))
S44 = 1 / C44
ANISOTROPY = S11 - S12 - S44 / 2
X, Y, Z = jnp.eye(3)
DIAGONAL = jnp.array([1.0, 1.0, 1.0])
FACE = jnp.array([1.0, 1.0, 0.0])

youngs_modulus = jax.jit(crystals.youngs_modulus)
shear_modulus = jax.jit(crystals.shear_modulus)
poissons_ratio = jax.jit(crystals.poissons_ratio)


@pytest.mark.parametrize(
    ("direction", "spread"), [(X, 0.0), (FACE, 1 / 4), (DIAGONAL, 1 / 3)]
)
def test_youngs_modulus_of_a_cubic_crystal_follows_the_direction_cosines(
    direction, spread
):
    expected = 1 / (S11 - 2 * ANISOTROPY * spread)
    # The inverse of a matrix with condition number 8 costs one digit of sixteen.
    np.testing.assert_allclose(youngs_modulus(COPPER, direction), expected, rtol=1e-13)
    np.testing.assert_allclose(
        youngs_modulus(COPPER, -7 * direction), expected, rtol=1e-13
    )


def test_cubic_crystal_shears_by_c44_on_cube_planes_and_c_prime_on_face_diagonals():
    np.testing.assert_allclose(shear_modulus(COPPER, X, Y), C44, rtol=1e-13)
    c_prime = (C11 - C12) / 2
    sheared = shear_modulus(COPPER, FACE, jnp.array([1.0, -1.0, 0.0]))
    np.testing.assert_allclose(sheared, c_prime, rtol=1e-13)


def test_octahedral_plane_of_a_cubic_crystal_shears_equally_in_all_directions():
    expected = 3 / (S44 + 4 * (S11 - S12))
    for direction in (jnp.array([1.0, -1.0, 0.0]), jnp.array([1.0, 1.0, -2.0]), X):
        np.testing.assert_allclose(
            shear_modulus(COPPER, DIAGONAL, direction), expected, rtol=1e-13
        )


def test_shear_modulus_does_not_tell_plane_from_direction():
    olivine = crystals.constants("Olivine").stiffness
    n, m = jnp.array([1.0, 2.0, -0.5]), jnp.array([0.5, 0.0, 1.0])
    np.testing.assert_allclose(
        shear_modulus(olivine, n, m), shear_modulus(olivine, m, n), rtol=1e-12
    )


def test_copper_pulled_along_a_face_diagonal_widens_sideways():
    face = poissons_ratio(COPPER, FACE, jnp.array([1.0, -1.0, 0.0]))
    expected = -(S11 + S12 - S44 / 2) / (S11 + S12 + S44 / 2)
    np.testing.assert_allclose(face, expected, rtol=1e-12)
    assert face < 0
    np.testing.assert_allclose(poissons_ratio(COPPER, X, Z), -S12 / S11, rtol=1e-12)


def test_isotropic_solid_is_the_same_along_every_direction():
    bulk, shear = 97.8, 66.5
    solid = crystals.isotropic(bulk, shear)
    moduli = crystals.Isotropic(jnp.asarray(bulk), jnp.asarray(shear))
    d, t = jnp.array([0.3, -1.2, 0.4]), jnp.array([1.0, 0.2, 2.0])
    np.testing.assert_allclose(
        youngs_modulus(solid, d), moduli.youngs_modulus, rtol=1e-13
    )
    np.testing.assert_allclose(
        poissons_ratio(solid, d, t), moduli.poissons_ratio, rtol=1e-12
    )
    np.testing.assert_allclose(shear_modulus(solid, d, t), shear, rtol=1e-13)
    np.testing.assert_allclose(
        crystals.linear_compressibility(solid, d), 1 / (3 * bulk), rtol=1e-13
    )
    np.testing.assert_allclose(crystals.bulk_modulus(solid), bulk, rtol=1e-13)
    np.testing.assert_allclose(crystals.zener_ratio(solid), 1.0, rtol=1e-13)


def test_zinc_is_compressed_along_c_more_than_seven_times_as_much_as_across():
    c11, c12, c13, c33, c44 = 163.7, 36.4, 53.0, 63.5, 38.8
    zinc = crystals.hexagonal(c11, c12, c13, c33, c44)
    scale = (c11 + c12) * c33 - 2 * c13**2
    along = (c11 + c12 - 2 * c13) / scale
    across = (c33 - c13) / scale
    compressibility = jax.jit(crystals.linear_compressibility)
    np.testing.assert_allclose(compressibility(zinc, Z), along, rtol=1e-12)
    np.testing.assert_allclose(compressibility(zinc, X + Y), across, rtol=1e-12)
    assert along > 7 * across
    np.testing.assert_allclose(
        crystals.bulk_modulus(zinc), 1 / (along + 2 * across), rtol=1e-12
    )


def test_zener_ratio_of_copper_is_its_two_shear_moduli():
    np.testing.assert_allclose(
        crystals.zener_ratio(COPPER), 2 * C44 / (C11 - C12), rtol=1e-14
    )


def test_derivatives_agree_with_finite_differences():
    crystal = crystals.constants("Quartz").stiffness / 100  # numbers of order one
    d, t = jnp.array([0.3, -1.2, 0.4]), jnp.array([1.0, 0.2, 2.0])
    for fn, args in (
        (youngs_modulus, (crystal, d)),
        (shear_modulus, (crystal, d, t)),
        (poissons_ratio, (crystal, d, t)),
        (jax.jit(crystals.linear_compressibility), (crystal, d)),
        (jax.jit(crystals.bulk_modulus), (crystal,)),
    ):
        check_grads(fn, args, order=1, modes=["fwd", "rev"], eps=1e-6)


def test_gradient_with_respect_to_published_constants_is_the_closed_form():
    def modulus(c11, c12, c44):
        return crystals.youngs_modulus(crystals.cubic(c11, c12, c44), DIAGONAL)

    slope = jax.jit(jax.grad(modulus, argnums=2))(C11, C12, C44)
    bulk = (C11 + 2 * C12) / 3
    # E<111> = 9 K C44 / (3 K + C44)
    np.testing.assert_allclose(slope, 27 * bulk**2 / (3 * bulk + C44) ** 2, rtol=1e-12)


def test_vmap_over_directions_is_the_loop():
    directions = jax.random.normal(jax.random.key(0), (5, 3))
    batch = jax.vmap(youngs_modulus, in_axes=(None, 0))(COPPER, directions)
    loop = jnp.stack([youngs_modulus(COPPER, d) for d in directions])
    np.testing.assert_allclose(batch, loop, rtol=1e-14)


def test_single_precision_stays_single():
    single = jnp.asarray(COPPER, jnp.float32)
    d, t = jnp.asarray(FACE, jnp.float32), jnp.asarray(Z, jnp.float32)
    values = (
        crystals.youngs_modulus(single, d),
        crystals.shear_modulus(single, d, t),
        crystals.poissons_ratio(single, d, t),
        crystals.linear_compressibility(single, d),
        crystals.bulk_modulus(single),
        crystals.zener_ratio(single),
    )
    assert {v.dtype for v in values} == {jnp.dtype(jnp.float32)}
    # Eight rounding errors of 6e-8 times the condition number of copper, 8.
    np.testing.assert_allclose(values[0], youngs_modulus(COPPER, FACE), rtol=4e-6)


def test_plane_stiffness_is_refused():
    with pytest.raises(JaxmatError, match=r"`stiffness` has shape \(3, 3\)"):
        crystals.youngs_modulus(jnp.eye(3), X)
