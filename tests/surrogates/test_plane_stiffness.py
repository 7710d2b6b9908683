"""Plane stiffnesses as six free numbers, and the modulus of a film."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.linalg
from hypothesis import given, settings
from hypothesis import strategies as st
from jax.test_util import check_grads

from jaxmat import crystals, mandel
from jaxmat._check import JaxmatError
from jaxmat.materials import LinearElastic, PlaneStress, stiffness_of
from jaxmat.surrogates import apparent_modulus, relative_exp, relative_log

ISOTROPIC = mandel.from_voigt_stiffness(
    jnp.array([[160.0, 40.0, 0.0], [40.0, 160.0, 0.0], [0.0, 0.0, 60.0]])
)
FILM = jnp.array([[149.7, 30.5, 1.9], [30.5, 149.7, -1.9], [1.9, -1.9, 133.6]])
exp, log, modulus = map(jax.jit, (relative_exp, relative_log, apparent_modulus))


def some_numbers(size):
    return jnp.asarray(np.random.default_rng(1).normal(size=6) * size)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(-4, 4), min_size=6, max_size=6))
def test_any_six_numbers_are_a_positive_definite_stiffness(numbers):
    stiffness = exp(jnp.array(numbers), FILM)
    np.testing.assert_array_equal(stiffness, stiffness.T)
    assert np.linalg.eigvalsh(stiffness)[0] > 0


@pytest.mark.parametrize("size", [1e-6, 0.1, 1.0, 5.0])
def test_it_is_the_exponential_between_cholesky_factors(size):
    numbers = some_numbers(size)
    factor = np.linalg.cholesky(FILM)
    expected = factor @ scipy.linalg.expm(mandel.to_tensor2(numbers)) @ factor.T
    found = exp(numbers, FILM)
    # Seven squarings, and scipy's own rounding.
    scale = np.abs(expected).max()
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12 * scale)


def test_zero_is_the_reference():
    np.testing.assert_allclose(exp(jnp.zeros(6), FILM), FILM, rtol=1e-15)
    np.testing.assert_allclose(log(FILM, FILM), np.zeros(6), atol=1e-14)


@pytest.mark.parametrize("size", [1e-3, 0.3, 2.0])
def test_the_logarithm_undoes_the_exponential(size):
    numbers = some_numbers(size)
    np.testing.assert_allclose(log(exp(numbers, FILM), FILM), numbers, atol=1e-11)


def test_single_precision_loses_nothing_to_squaring():
    numbers = some_numbers(0.02)
    found = exp(numbers.astype(jnp.float32), FILM.astype(jnp.float32))
    # A few roundings of 6e-8; squaring exp itself would lose two digits.
    np.testing.assert_allclose(found, exp(numbers, FILM), rtol=0, atol=4e-7 * 150)


def test_slopes_at_zero_are_the_closed_form():
    # d(L exp(S) L^T) = L dS L^T at S = 0, where all eigenvalues are equal.
    factor = jnp.linalg.cholesky(ISOTROPIC)
    found = jax.jit(jax.jacrev(relative_exp))(jnp.zeros(6), ISOTROPIC)
    for k, basis in enumerate(mandel.BASIS[6]):
        np.testing.assert_allclose(
            found[..., k], factor @ basis @ factor.T, rtol=0, atol=1e-11
        )
    back = jax.jit(jax.jacrev(relative_log))(ISOTROPIC, ISOTROPIC)
    both = np.einsum("kij,ijl->kl", back, found)
    np.testing.assert_allclose(both, np.eye(6), atol=1e-12)


@pytest.mark.parametrize("numbers", [jnp.zeros(6), some_numbers(0.5)], ids=["0", "S"])
@pytest.mark.parametrize("reference", [ISOTROPIC, FILM], ids=["isotropic", "film"])
def test_derivatives_are_finite_and_right_where_eigenvalues_are_equal(
    numbers, reference
):
    def symmetric(c):
        return (c + c.T) / 2

    check_grads(
        lambda s, c: exp(s, symmetric(c)) / 100,
        (numbers, reference),
        order=2,
        modes=["rev"],
        eps=1e-4,
    )
    stiffness = exp(numbers, reference)
    check_grads(
        lambda c: log(symmetric(c), reference),
        (stiffness,),
        order=1,
        modes=["fwd", "rev"],
        eps=1e-3,
    )


@pytest.mark.parametrize("degrees", [0, 17, 45, 90])
def test_modulus_of_a_film_of_one_crystal_is_the_crystals(degrees):
    crystal = crystals.cubic(165.64, 63.94, 79.51)
    plane = jax.jit(stiffness_of)(PlaneStress(LinearElastic(crystal)))
    c, s = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    found = modulus(plane, jnp.array([2 * c, 2 * s]))
    expected = crystals.youngs_modulus(crystal, jnp.array([c, s, 0.0]))
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_labels_that_no_film_has_are_told_in_a_sentence():
    mistakes = {
        "`stiffness` is not positive definite.* -1": (
            jnp.diag(jnp.array([2.0, 1, -1]))
        ),
        "`stiffness` is not finite and symmetric": FILM.at[0, 1].set(99.0),
        "`stiffness` is not finite": FILM.at[0, 0].set(jnp.nan),
    }
    for words, stiffness in mistakes.items():
        with pytest.raises(JaxmatError, match=words):
            relative_log(stiffness, FILM)
    with pytest.raises(JaxmatError, match="`reference` is not positive definite"):
        relative_log(FILM, -FILM)
