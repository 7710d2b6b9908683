"""Christoffel speeds against the closed forms along the axes of a cubic crystal."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from jaxmat import crystals

C11, C12, C44 = 165.64, 63.94, 79.51  # silicon, GPa
DENSITY = jnp.asarray(2329.0)  # kg/m^3
SILICON = crystals.cubic(C11, C12, C44)
wave_speeds = jax.jit(crystals.wave_speeds)
CASES = {
    "100": ([1.0, 0.0, 0.0], [C44, C44, C11]),
    "110": ([1.0, 1.0, 0.0], [(C11 - C12) / 2, C44, (C11 + C12) / 2 + C44]),
    "111": (
        [1.0, 1.0, 1.0],
        [(C11 - C12 + C44) / 3] * 2 + [(C11 + 2 * C12 + 4 * C44) / 3],
    ),
}


@pytest.mark.parametrize("axis", CASES)
def test_speeds_along_symmetry_axes_are_the_closed_forms(axis):
    direction, moduli = CASES[axis]
    speed, _ = wave_speeds(SILICON, DENSITY, jnp.array(direction))
    expected = np.sqrt(np.array(moduli) * 1e9 / DENSITY)  # Pa / (kg/m^3)
    np.testing.assert_allclose(speed, expected, rtol=1e-13)
    assert np.all(np.diff(speed) >= -1e-9 * speed[0])


def test_silicon_rings_at_the_speed_in_the_textbook():
    speed, _ = crystals.wave_speeds(SILICON, 2329.0, jnp.array([1.0, 0.0, 0.0]))
    # 8433 m/s longitudinal and 5843 m/s shear along [100], 298 K.
    np.testing.assert_allclose(speed, [5843, 5843, 8433], rtol=1e-3)


def test_polarisations_are_orthonormal_and_longitudinal_along_a_symmetry_axis():
    direction = jnp.array([1.0, 1.0, 1.0])
    _, polarisation = wave_speeds(SILICON, DENSITY, direction)
    np.testing.assert_allclose(polarisation @ polarisation.T, np.eye(3), atol=1e-14)
    along = abs(polarisation[2] @ direction) / jnp.linalg.norm(direction)
    np.testing.assert_allclose(along, 1.0, rtol=1e-13)


def test_waves_of_quartz_are_eigenvectors_of_its_christoffel_tensor():
    quartz = crystals.constants("Quartz").stiffness
    direction = jnp.array([0.2, -0.7, 0.4])
    speed, polarisation = wave_speeds(quartz, jnp.asarray(2650.0), direction)
    n = direction / jnp.linalg.norm(direction)
    for c, u in zip(speed, polarisation, strict=True):
        # Strain of a plane wave: sym(n u). Its traction is rho c^2 u.
        eps = jnp.array(
            [n[0] * u[0], n[1] * u[1], n[2] * u[2]]
            + [
                (n[i] * u[j] + n[j] * u[i]) / 2**0.5
                for i, j in ((1, 2), (0, 2), (0, 1))
            ]
        )
        s11, s22, s33, s23, s13, s12 = (quartz @ eps) / jnp.array(
            [1] * 3 + [2**0.5] * 3
        )
        stress = jnp.array([[s11, s12, s13], [s12, s22, s23], [s13, s23, s33]])
        np.testing.assert_allclose(stress @ n * 1e9, 2650 * c**2 * u, rtol=1e-10)


def test_derivatives_agree_with_finite_differences_where_speeds_are_distinct():
    quartz = crystals.constants("Quartz").stiffness / 100

    def observable(stiffness, density, direction):
        speed, polarisation = crystals.wave_speeds(stiffness, density, direction)
        return speed / 1e4, polarisation**2  # free of the arbitrary sign

    args = (quartz, jnp.asarray(2.65), jnp.array([0.2, -0.7, 0.4]))
    check_grads(jax.jit(observable), args, order=1, modes=["fwd", "rev"], eps=1e-6)


def test_on_an_acoustic_axis_gradients_are_finite_and_the_mean_of_the_pair_is_right():
    axis = jnp.array([0.0, 0.0, 1.0])

    def shear_sum(c44):
        silicon = crystals.cubic(C11, C12, c44)
        speed, _ = crystals.wave_speeds(silicon, DENSITY, axis)
        return speed[0] + speed[1]

    slope = jax.jit(jax.grad(shear_sum))(C44)
    speed = np.sqrt(C44 * 1e9 / DENSITY)
    np.testing.assert_allclose(slope, speed / C44, rtol=1e-12)

    waves = jax.jit(jax.jacrev(lambda c: crystals.wave_speeds(c, DENSITY, axis)))
    for leaf in jax.tree.leaves(waves(SILICON)):
        assert jnp.all(jnp.isfinite(leaf))


def test_vmap_over_directions_is_the_loop_and_single_precision_stays():
    directions = jax.random.normal(jax.random.key(0), (4, 3))
    batch = jax.vmap(wave_speeds, in_axes=(None, None, 0))(SILICON, DENSITY, directions)
    loop = jnp.stack([wave_speeds(SILICON, DENSITY, d).speed for d in directions])
    np.testing.assert_allclose(batch.speed, loop, rtol=1e-13)
    single = [jnp.asarray(a, jnp.float32) for a in (SILICON, DENSITY, directions[0])]
    waves = wave_speeds(*single)
    assert waves.speed.dtype == waves.polarisation.dtype == jnp.float32
    np.testing.assert_allclose(waves.speed, loop[0], rtol=1e-6)
