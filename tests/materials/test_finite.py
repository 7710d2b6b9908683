"""Finite strain: energy, rotations, and the way back to small strain."""

import contract
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmat import JaxmatError, crystals, drive, mandel, rotations, tangent
from jaxmat.materials import LoadPath, Oriented, SaintVenantKirchhoff, SmallStrain

QUARTZ = crystals.constants("Quartz").stiffness
CRYSTAL = SaintVenantKirchhoff(QUARTZ)
# Strains of 10 to 20 %, and a turn.
DEFORMED = jnp.array([[1.1, 0.2, -0.1], [-0.15, 0.9, 0.1], [0.05, -0.2, 1.2]])
STRAIN = 0.1 * jnp.array([1.0, -0.3, 0.2, 0.5, -0.7, 0.4])


@pytest.mark.parametrize("law", contract.FINITE_LAWS, ids=lambda law: law.__name__)
def test_a_finite_material_obeys(law):
    law(CRYSTAL, DEFORMED)


def test_stress_is_the_slope_of_the_energy():
    def energy(F):
        eps = mandel.from_tensor2(F.T @ F - jnp.eye(3)) / 2
        return eps @ QUARTZ @ eps / 2

    slope = jax.jit(jax.grad(energy))(DEFORMED)
    # Rounding.
    P = contract.stress(CRYSTAL, DEFORMED)
    np.testing.assert_allclose(P, slope, rtol=0, atol=1e-13 * 100)


def test_a_rotation_of_any_size_costs_nothing():
    turn = rotations.to_matrix(contract.TURN)
    # Rounding of moduli of order 100.
    np.testing.assert_allclose(contract.stress(CRYSTAL, turn), 0, atol=1e-13)


def test_a_column_held_sideways_bears_most_where_the_docstring_says():
    def axial(stretch):
        return contract.stress(CRYSTAL, jnp.diag(jnp.array([1.0, 1.0, stretch])))[2, 2]

    slope = jax.jit(jax.grad(axial))
    assert abs(slope(1 / np.sqrt(3.0))) < 1e-12
    np.testing.assert_allclose(slope(1.0), QUARTZ[2, 2], rtol=1e-14)


def test_a_plane_stiffness_is_refused():
    with pytest.raises(JaxmatError, match=r"`stiffness` has shape \(3, 3\)"):
        SaintVenantKirchhoff(jnp.eye(3))


@pytest.fixture(scope="module")
def slope():
    return eqx.filter_jit(lambda material, eps: tangent(material, eps, None, 1.0))


def test_at_no_strain_the_tangent_is_the_stiffness(slope):
    law = SmallStrain(CRYSTAL)
    # Rounding of moduli of order 100.
    np.testing.assert_allclose(slope(law, jnp.zeros(6)), QUARTZ, rtol=0, atol=1e-13)


def test_the_tangent_stays_symmetric_under_large_stretch(slope):
    """As it must if stress comes of an energy: sig is conjugate to eps."""
    matrix = slope(SmallStrain(CRYSTAL), STRAIN)
    np.testing.assert_allclose(matrix, matrix.T, rtol=0, atol=1e-12)
    assert np.abs(matrix - QUARTZ).max() > 1.0  # not the stiffness any more


def test_small_and_finite_strain_differ_in_the_second_order():
    law = SmallStrain(CRYSTAL)
    ratios = [
        float(jnp.linalg.norm(contract.stress(law, s * STRAIN) - QUARTZ @ (s * STRAIN)))
        for s in (1e-2, 1e-3)
    ]
    assert ratios[0] / ratios[1] == pytest.approx(100, rel=0.02)


def test_an_oriented_crystal_is_one_of_turned_stiffness():
    turned = SaintVenantKirchhoff(crystals.rotate_stiffness(QUARTZ, contract.TURN))
    np.testing.assert_allclose(
        contract.stress(Oriented(SmallStrain(CRYSTAL), contract.TURN), STRAIN),
        contract.stress(SmallStrain(turned), STRAIN),
        rtol=1e-12,
    )


def test_a_pulled_bar_follows_the_closed_form():
    """Only S11 is not zero, so that the Green-Lagrange strains are Hooke's."""
    youngs, poisson = 200.0, 0.3
    bulk, shear = youngs / (3 - 6 * poisson), youngs / (2 + 2 * poisson)
    bar = SmallStrain(SaintVenantKirchhoff(crystals.isotropic(bulk, shear)))
    pull = np.array([0.05, 0.2, -0.1])
    eps = jnp.zeros((3, 6)).at[:, 0].set(pull)
    sideways_free = np.broadcast_to(np.arange(6) > 0, eps.shape)
    path = LoadPath(eps, jnp.zeros_like(eps), sideways_free, jnp.ones(3))
    history = drive(bar, path, rtol=1e-10).value
    along = pull + pull**2 / 2
    np.testing.assert_allclose(
        history.sig[:, 0], (1 + pull) * youngs * along, rtol=1e-8
    )
    np.testing.assert_allclose(
        history.eps[:, 1], np.sqrt(1 - 2 * poisson * along) - 1, rtol=1e-8
    )
