"""What wraps a law refuses what it cannot wrap; laminates against closed forms."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmat import JaxmatError, crystals, homogenise, mandel, rotations
from jaxmat.cells import Laminate
from jaxmat.materials import (
    LinearElastic,
    Oriented,
    PlaneStrain,
    PlaneStress,
    stiffness_of,
)


@pytest.fixture(scope="module")
def copper():
    return LinearElastic(crystals.cubic(168.9, 121.8, 75.8))


def about_x1(law, degrees):
    angle = jnp.radians(degrees)
    axis = jnp.array([1.0, 0.0, 0.0])
    return Oriented(law, rotations.from_axis_angle(axis, angle))


def test_plane_stress_keeps_the_in_plane_compliance(copper):
    law = about_x1(copper, 30.0)
    compliance = np.linalg.inv(stiffness_of(law))
    np.testing.assert_allclose(
        np.linalg.inv(jax.jit(stiffness_of)(PlaneStress(law))),
        compliance[np.ix_(mandel.PLANE, mandel.PLANE)],
        rtol=1e-12,
        atol=1e-14,
    )


def test_plane_strain_keeps_the_in_plane_stiffness(copper):
    np.testing.assert_array_equal(
        jax.jit(stiffness_of)(PlaneStrain(copper)),
        copper.stiffness[np.ix_(mandel.PLANE, mandel.PLANE)],
    )


@pytest.mark.parametrize(
    "wrap", [PlaneStress, PlaneStrain, lambda x: Oriented(x, TURN)]
)
def test_a_law_in_a_plane_is_not_wrapped_again(wrap, copper):
    with pytest.raises(JaxmatError, match="wraps a law of 3 strain components"):
        wrap(PlaneStress(copper))


TURN = jnp.array([1.0, 0.0, 0.0, 0.0])


def test_plane_strain_refuses_a_crystal_that_shears_out_of_the_plane(copper):
    law = Oriented(copper, rotations.random_uniform(jax.random.key(0)))
    with pytest.raises(JaxmatError, match="needs x3 normal to a mirror plane"):
        PlaneStrain(law)


@pytest.fixture(scope="module")
def layers(copper):
    return (copper, about_x1(copper, 45.0))


HALVES = jnp.array([0.5, 0.5])


@pytest.fixture(scope="module")
def stiffness():
    return jax.jit(lambda laminate: homogenise(laminate).value)


def test_laminate_of_copper_has_its_closed_form(layers, stiffness, closed_form):
    laminate = Laminate(layers, HALVES, jnp.array([0.0, 0.0, 1.0]))
    expected = next(v for k, v in closed_form.items() if k.startswith("laminate Cu"))
    # The closed form is stored with six decimals.
    np.testing.assert_allclose(
        mandel.to_voigt_stiffness(stiffness(laminate)), expected, rtol=0, atol=1e-6
    )


@pytest.mark.parametrize("scale", [-1.0, 3.0, -1e-4])
@pytest.mark.parametrize(
    "normal", [(0.0, 0.0, 1.0), (1.0, 0.0, 0.0), (0.3, -0.5, 0.0), (0.2, 0.4, -0.7)]
)
def test_sign_and_length_of_the_normal_do_not_matter(layers, stiffness, normal, scale):
    normal = jnp.asarray(normal)
    # Rounding of moduli of order 200.
    np.testing.assert_allclose(
        stiffness(Laminate(layers, HALVES, scale * normal)),
        stiffness(Laminate(layers, HALVES, normal)),
        rtol=0,
        atol=1e-11,
    )


def test_turning_layers_and_normal_turns_the_laminate(layers, stiffness):
    normal, q = jnp.array([0.2, 0.4, -0.7]), rotations.random_uniform(jax.random.key(1))
    turned = Laminate(
        tuple(Oriented(law, q) for law in layers), HALVES, rotations.rotate(q, normal)
    )
    np.testing.assert_allclose(
        stiffness(turned),
        crystals.rotate_stiffness(stiffness(Laminate(layers, HALVES, normal)), q),
        rtol=0,
        atol=1e-11,
    )


def test_traction_and_in_plane_strain_are_continuous_across_layers(layers, stiffness):
    """What defines a laminate, checked from the strain that each layer must have."""
    normal = jnp.array([0.0, 0.0, 1.0])
    tilted = (about_x1(layers[0], 20.0), layers[1])
    fractions = np.array([0.3, 0.7])
    effective = stiffness(Laminate(tilted, jnp.asarray(fractions), normal))
    across, along = np.array([2, 3, 4]), np.array([0, 1, 5])
    eps = 1e-3 * np.array([1.0, -0.3, 0.2, 0.5, -0.7, 0.4])
    sig = np.asarray(effective @ eps)
    mean = np.zeros(6)
    for fraction, law in zip(fractions, tilted, strict=True):
        c = np.asarray(stiffness_of(law))
        inside = eps.copy()
        rhs = sig[across] - c[np.ix_(across, along)] @ eps[along]
        inside[across] = np.linalg.solve(c[np.ix_(across, across)], rhs)
        mean += fraction * inside
    np.testing.assert_allclose(mean, eps, rtol=1e-11)


def test_fractions_are_relative(layers, stiffness):
    normal = jnp.array([0.2, 0.4, -0.7])
    np.testing.assert_allclose(
        stiffness(Laminate(layers, jnp.array([3.0, 7.0]), normal)),
        stiffness(Laminate(layers, jnp.array([0.3, 0.7]), normal)),
        rtol=0,
        atol=1e-11,
    )


@pytest.mark.parametrize("normal", [(0.0, 0.0, 0.0), (0.0, np.nan, 1.0)])
def test_a_normal_without_direction_is_refused(layers, normal):
    with pytest.raises(JaxmatError, match=re.escape(f"`normal` is {list(normal)}")):
        Laminate(layers, HALVES, jnp.asarray(normal))


@pytest.mark.parametrize("fractions", [(0.0, 0.0), (1.5, -0.5), (np.inf, 1.0)])
def test_fractions_that_no_layers_have_are_refused(layers, fractions):
    sentence = re.escape(f"`fractions` are {list(fractions)}")
    with pytest.raises(JaxmatError, match=sentence):
        Laminate(layers, jnp.asarray(fractions), jnp.array([0.0, 0.0, 1.0]))


def test_values_are_not_looked_at_under_a_trace(layers):
    """Also beside concrete ones, which JAX operations would make part of the trace."""

    @jax.jit
    def corner(normal):
        return Laminate(layers, HALVES, normal)._stiffness()[0, 0]

    assert jnp.isnan(corner(jnp.zeros(3)))


@pytest.mark.parametrize(
    ("laws", "sentence"),
    [
        (lambda law, steel: (law,), "1 laws and 2 fractions; give one fraction"),
        (lambda law, steel: (law, PlaneStress(law)), "takes linear laws of six strain"),
        (lambda law, steel: (law, steel), "takes linear laws of six strain"),
    ],
    ids=["a fraction too many", "a law in a plane", "a law that yields"],
)
def test_a_laminate_refuses_what_it_cannot_layer(copper, steel, laws, sentence):
    with pytest.raises(JaxmatError, match=re.escape(sentence)):
        Laminate(laws(copper, steel), HALVES, jnp.array([0.0, 0.0, 1.0]))
