"""The symmetries of a film, held against the solver."""

import itertools

import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import pytest

from jaxmat._check import JaxmatError
from jaxmat.surrogates import (
    ENCODINGS,
    NUM_SYMMETRIES,
    ResNet,
    SPDHead,
    Surrogate,
    Symmetrised,
    augment,
    move_pixels_only,
    symmetry_matrix,
    transform_image,
    transform_stiffness,
)

ELEMENTS = jnp.arange(NUM_SYMMETRIES)
# Solved to 1e-9 of the strain fluctuation, which enters the stiffness squared; GPa.
SOLVED = {"rtol": 0, "atol": 1e-9}


@pytest.mark.parametrize(
    ("encoding", "boundary"),
    [("fourfold", "periodic"), ("fourfold", "subc"), ("grey", "periodic")],
)
def test_the_solver_gives_a_transformed_film_the_transformed_stiffness(
    theta, encode, angles, solve, encoding, boundary
):
    image = encode(theta, encoding)

    @jax.jit
    def solved(element):
        turned = transform_image(image, element, encoding)
        return solve(angles(turned, encoding), boundary)

    found = jax.vmap(solved)(ELEMENTS)  # the first is the film as it was
    labels = jax.vmap(transform_stiffness, (None, 0))(found[0], ELEMENTS)
    np.testing.assert_allclose(found, labels, **SOLVED)
    # The film is anisotropic enough to tell the elements apart.
    assert np.ptp(labels, axis=0).max() > 1


def test_moving_the_pixels_only_is_wrong_for_reflections(theta, encode, angles, solve):
    image = encode(theta, "fourfold")

    @jax.jit
    def solved(element):
        return solve(angles(move_pixels_only(image, element), "fourfold"))

    found = jax.vmap(solved)(ELEMENTS)
    errors = jnp.abs(found - found[0]).max((1, 2))
    # A quarter turn leaves cubic crystals as they are. All of them answer equal biaxial
    # strain alike, so that the film does, exactly: its stiffness survives the turn too.
    turns = jnp.linalg.det(jax.vmap(symmetry_matrix)(ELEMENTS)) > 0
    assert errors[turns].max() < 1e-9
    assert errors[~turns].min() > 0.1


def test_shifting_a_periodic_film_keeps_its_stiffness(theta, solve):
    shifted = solve(jnp.roll(theta, (5, -3), axis=(0, 1)))
    np.testing.assert_allclose(shifted, solve(theta), **SOLVED)


def test_the_elements_are_the_group_of_the_square():
    matrices = np.asarray(jax.vmap(symmetry_matrix)(ELEMENTS))
    np.testing.assert_array_equal(
        matrices @ np.swapaxes(matrices, 1, 2), np.broadcast_to(np.eye(2), (8, 2, 2))
    )
    as_set = {tuple(m.ravel()) for m in matrices}
    assert len(as_set) == NUM_SYMMETRIES
    products = {
        tuple((a @ b).ravel()) for a, b in itertools.product(matrices, repeat=2)
    }
    assert products == as_set
    np.testing.assert_array_equal(symmetry_matrix(0), np.eye(2))


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_transforming_twice_is_transforming_by_the_product(encoding):
    image = jax.random.uniform(jax.random.key(0), (4, 4, ENCODINGS[encoding]))
    matrices = np.asarray(jax.vmap(symmetry_matrix)(ELEMENTS))
    for first, second in itertools.product(range(NUM_SYMMETRIES), repeat=2):
        product = matrices[second] @ matrices[first]
        (both,) = np.flatnonzero((matrices == product).all((1, 2)))
        once = transform_image(image, first, encoding)
        # Grey levels leave [0, 1) and come back, which rounds them.
        np.testing.assert_allclose(
            transform_image(once, second, encoding),
            transform_image(image, int(both), encoding),
            atol=1e-15,
        )


def test_a_quarter_turn_takes_x_to_y(encode):
    image = jnp.zeros((4, 4, 2)).at[3, 1].set(jnp.array([0.6, 0.8]))
    turns = [k for k in range(8) if np.allclose(symmetry_matrix(k), [[0, -1], [1, 0]])]
    (quarter,) = turns
    turned = transform_image(image, quarter, "fourfold")
    np.testing.assert_array_equal(turned, np.rot90(image))  # from axis 0 to axis 1
    np.testing.assert_array_equal(turned[2, 3], [0.6, 0.8])


def test_augmenting_draws_the_symmetries_and_the_shifts(theta, encode):
    image = encode(theta, "fourfold")
    labels = jnp.stack([jnp.diag(jnp.array([3.0, 2.0, 1.0])), jnp.eye(3)])
    keys = jax.random.split(jax.random.key(0), 64)

    def of(periodic):
        def one(key):
            return augment(key, image, labels, encoding="fourfold", periodic=periodic)

        return jax.jit(jax.vmap(one))(keys)

    known = np.asarray(
        jax.vmap(transform_image, (None, 0, None))(image, ELEMENTS, "fourfold")
    )
    images, stiffnesses = of(False)
    drawn = [[np.array_equal(x, y) for y in known].index(True) for x in images]
    assert set(drawn) == set(range(NUM_SYMMETRIES))
    np.testing.assert_array_equal(
        stiffnesses, jax.vmap(transform_stiffness, (None, 0))(labels, jnp.array(drawn))
    )
    shifted, same = of(True)
    np.testing.assert_array_equal(same, stiffnesses)
    for moved, unmoved in zip(np.asarray(shifted), np.asarray(images), strict=True):
        rolled = (
            np.roll(unmoved, shift, (0, 1)) for shift in np.ndindex(unmoved.shape[:2])
        )
        assert any(np.array_equal(moved, candidate) for candidate in rolled)
    assert not np.array_equal(shifted, images)


def test_a_symmetrised_model_is_equivariant(theta, encode, stir, rngs):
    network = stir(ResNet(2, 6, width=4, depths=(1,), rngs=rngs))
    noise = jax.random.normal(jax.random.key(1), (9, 3, 3))
    labels = jnp.diag(jnp.array([150.0, 140.0, 100.0])) + noise @ noise.mT
    model = Surrogate(network, SPDHead.of(labels))
    image = encode(theta, "fourfold")

    def errors(model):
        def of(element):
            there = model(transform_image(image, element, "fourfold"))
            return there - transform_stiffness(model(image), element)

        return jnp.abs(jax.jit(jax.vmap(of))(ELEMENTS))

    assert errors(model).max() > 1e-3
    # Equal up to the order of sums; of some 150 GPa.
    assert errors(Symmetrised(model, "fourfold")).max() < 1e-10


def test_mistakes_are_told_in_a_sentence(monkeypatch, encode, theta):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # as for a user
    image = encode(theta, "fourfold")
    mistakes = {
        "has shape .* expected .*1.": lambda: transform_image(image, 1, "grey"),
        "choose one of": lambda: transform_image(image, 1, "colour"),
        "only a square": lambda: move_pixels_only(image[:8], 1),
        "numbered from 0 to 7": lambda: transform_image(image, 8, "fourfold"),
        "is -1": lambda: transform_stiffness(jnp.eye(3), -1),
        "no angles, and no degrees": lambda: transform_image(
            jnp.rad2deg(theta)[..., None], 1, "grey"
        ),
        "expected .*3, 3": lambda: transform_stiffness(jnp.eye(6), 1),
        "only a stiffness turns": lambda: Symmetrised(
            lambda image, key: image[0, 0, 0], "fourfold"
        )(image),
    }
    for words, mistake in mistakes.items():
        with pytest.raises(JaxmatError, match=words):
            mistake()
