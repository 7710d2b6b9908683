"""Finite strain: energy, rotations, and the way back to small strain."""

import contract
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmat import JaxmatError, crystals, drive, mandel, rotations, tangent
from jaxmat.materials import (
    FiniteStrain,
    J2Plasticity,
    LinearElastic,
    LinearHardening,
    LoadPath,
    Oriented,
    PlaneStress,
    SaintVenantKirchhoff,
    SmallStrain,
)

QUARTZ = crystals.constants("Quartz").stiffness
CRYSTAL = SaintVenantKirchhoff(QUARTZ)
# Strains of 10 to 20 %, and a turn.
DEFORMED = jnp.array([[1.1, 0.2, -0.1], [-0.15, 0.9, 0.1], [0.05, -0.2, 1.2]])
STEEL = J2Plasticity(
    jnp.asarray(160.0),
    jnp.asarray(80.0),
    LinearHardening(jnp.asarray(0.2), jnp.asarray(2.0)),
)
STRAIN = 0.1 * jnp.array([1.0, -0.3, 0.2, 0.5, -0.7, 0.4])


@pytest.mark.parametrize("law", contract.FINITE_LAWS, ids=lambda law: law.__name__)
@pytest.mark.parametrize(
    "material",
    [CRYSTAL, FiniteStrain(LinearElastic(QUARTZ)), FiniteStrain(STEEL)],
    ids=["crystal", "law of Biot's strain", "plastic law of Biot's strain"],
)
def test_a_finite_material_obeys(law, material):
    law(material, DEFORMED)


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


def test_a_law_of_finite_strain_comes_back_from_small_strain():
    there_and_back = FiniteStrain(SmallStrain(CRYSTAL))
    np.testing.assert_allclose(
        contract.stress(there_and_back, DEFORMED),
        contract.stress(CRYSTAL, DEFORMED),
        rtol=0,
        atol=1e-12 * 100,
    )


def test_a_law_of_small_strain_comes_back_from_finite_strain():
    np.testing.assert_allclose(
        contract.stress(SmallStrain(FiniteStrain(STEEL)), STRAIN),
        contract.stress(STEEL, STRAIN),
        rtol=1e-12,
    )


def test_where_stretches_are_equal_derivatives_of_any_order_exist():
    """The axes of stretch are undefined there, of the second order too."""

    def work(eps):
        turn = rotations.to_matrix(contract.TURN)
        F = turn @ (jnp.eye(3) + mandel.to_tensor2(eps))
        law = FiniteStrain(LinearElastic(QUARTZ))
        return jnp.vdot(contract.stress(law, F), F) / 2

    at_rest = jnp.zeros(6)
    one = mandel.from_tensor2(jnp.eye(3))
    # P : F / 2 = sig : (1 + eps) / 2 with sig = C eps.
    # Rounding of moduli of order 100, here and below.
    close = {"rtol": 0, "atol": 1e-10}
    np.testing.assert_allclose(jax.grad(work)(at_rest), QUARTZ @ one / 2, **close)
    hessian = jax.jit(jax.hessian(work))(at_rest)
    np.testing.assert_allclose(hessian, QUARTZ, **close)


def test_history_turns_with_the_body():
    """Flowed, then turned and pulled again, as if never turned."""
    law, turn = FiniteStrain(STEEL), rotations.to_matrix(contract.TURN)
    first = jnp.eye(3) + mandel.to_tensor2(STRAIN / 5)
    second = jnp.eye(3) + mandel.to_tensor2(-STRAIN / 7)
    _, flowed = law.update(first, law.init_state(), jnp.ones(()))
    plain, _ = law.update(second, flowed, jnp.ones(()))
    turned, _ = law.update(turn @ second, flowed, jnp.ones(()))
    # Rounding of moduli of order 100 at stresses of order one.
    np.testing.assert_allclose(turned, turn @ plain, rtol=0, atol=1e-12)


def test_a_law_of_a_plane_has_no_deformation_gradient():
    with pytest.raises(JaxmatError, match="3 strain components"):
        FiniteStrain(PlaneStress(STEEL))


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
