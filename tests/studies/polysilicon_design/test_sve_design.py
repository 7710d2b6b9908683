"""Designed films, against closed forms, differences, and the solver's last word."""

import dataclasses
from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

from jaxmat import JaxmatError, crystals, surrogates
from jaxmat.studies import polysilicon

SILICON = crystals.cubic(C11=165.64, C12=63.94, C44=79.51)


def directional_modulus(direction):
    """Young's modulus of the single crystal, GPa: plane stress is uniaxial stress."""
    return float(crystals.youngs_modulus(SILICON, jnp.asarray(direction)))


LIMITS = {
    "softest": directional_modulus([1.0, 0.0, 0.0]),
    "stiffest": directional_modulus([1.0, 1.0, 0.0]),
}


@pytest.fixture(scope="module")
def film():
    return polysilicon.draw_film(polysilicon.Parameters(ratio=2, pixels_per_grain=8), 3)


def image_of(film):
    return polysilicon.channels(film.theta)[film.grain]


def grains_alone(image):
    """A model without a solver, hence quick: the average of the grains."""
    return polysilicon.dual_average(jnp.mean(image, (0, 1)))


def modulus_of(film):
    return float(polysilicon.youngs_modulus(polysilicon.apparent_stiffness(film)))


def with_theta(film, theta):
    return image_of(dataclasses.replace(film, theta=theta))


def test_of_a_films_own_channels_the_pixel_solver_is_the_one_of_the_labels(film):
    found = jax.jit(polysilicon.pixel_solver())(image_of(film))
    # Both are solved to 1e-5 of the energy.
    np.testing.assert_allclose(
        found, polysilicon.apparent_stiffness(film), rtol=1e-7, atol=1e-5
    )


@pytest.mark.parametrize("objective", LIMITS)
def test_the_extreme_film_is_a_single_crystal(film, objective):
    solution = polysilicon.design(film, objective, progress=False)
    # Quadratic in angles, that end some mrad off: 4e-6 of the modulus each.
    np.testing.assert_allclose(solution.info.modulus, LIMITS[objective], rtol=3e-5)
    turned = np.asarray(solution.value.theta)[np.unique(film.grain)]
    wanted = 0 if objective == "softest" else np.pi / 4
    apart = (turned - wanted + np.pi / 4) % (np.pi / 2) - np.pi / 4
    np.testing.assert_allclose(apart, 0, atol=0.03)


def test_a_target_is_hit_and_the_solver_confirms_it(film):
    solution = polysilicon.design(film, 150.0, num_steps=30, progress=False)
    info = solution.info
    assert abs(info.predicted - 150) < 1e-6  # Newton's method converged
    assert abs(info.modulus - 150) < 1e-3  # two solvers, each to 1e-5 of the energy
    assert abs(modulus_of(solution.value) - info.modulus) < 1e-9
    np.testing.assert_array_equal(solution.value.grain, film.grain)
    assert solution.value.theta.min() >= 0
    assert solution.value.theta.max() <= np.pi / 2
    assert info.history.shape == (30,)


def test_the_solver_tells_how_wrong_a_model_was(film):
    solution = polysilicon.design(film, 150.0, through=grains_alone, progress=False)
    info = solution.info
    true = modulus_of(solution.value)
    assert abs(info.predicted - 150) < 1e-6
    np.testing.assert_allclose(info.modulus, true, rtol=1e-9)
    np.testing.assert_allclose(info.relative_error, (150 - true) / true, rtol=1e-5)
    assert 1e-5 < abs(info.relative_error) < 1e-2  # a good average, but no solver


def test_a_film_is_designed_through_a_network_in_a_loop_with_physics(film):
    network = surrogates.Frozen(surrogates.PlainCNN(2, 6, width=2, rngs=nnx.Rngs(0)))
    model = surrogates.PhysicsInTheLoop(polysilicon.coarse_solver(2), network)
    solution = polysilicon.design(
        film, 140.0, through=model, num_steps=10, progress=False
    )
    assert abs(solution.info.predicted - 140) < 1e-5
    assert abs(solution.info.relative_error) < 5e-3  # blocks of 2 x 2 pixels of 16


@pytest.mark.parametrize("target", LIMITS.values(), ids=LIMITS)
def test_a_limit_of_the_single_crystal_is_a_target_like_others(film, target):
    solution = polysilicon.design(film, target, through=grains_alone, progress=False)
    # Newton's method halves the distance to a double root, and no more.
    np.testing.assert_allclose(solution.info.modulus, target, rtol=2e-4)


def test_the_gradient_by_the_solver_is_that_of_central_differences(film):
    solve = polysilicon.pixel_solver(rtol=1e-10)

    @jax.jit
    def modulus(theta):
        return polysilicon.youngs_modulus(solve(with_theta(film, theta)))

    gradient = jax.jit(jax.grad(modulus))(film.theta)
    for grain in np.unique(film.grain)[:2]:
        step = jnp.zeros_like(film.theta).at[grain].set(1e-4)
        slope = (modulus(film.theta + step) - modulus(film.theta - step)) / 2e-4
        np.testing.assert_allclose(gradient[grain], slope, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("boundary", ["periodic", "kubc"])
def test_a_film_with_narrow_boundaries_is_the_film_itself(boundary):
    parameters = polysilicon.Parameters(2, 16, boundary)
    film = polysilicon.draw_film(parameters, 0)
    images = [polysilicon.relaxed_image(film, w) for w in (1.0, 0.1, 0.01, 1e-6)]
    apart = [float(jnp.mean(jnp.abs(x - image_of(film)))) for x in images]
    assert all(wide > narrow for wide, narrow in pairwise(apart))
    assert apart[-1] < 1e-12


def test_a_relaxed_boundary_is_a_sigmoid_as_wide_as_it_says():
    parameters = polysilicon.Parameters(2, 16)  # a period of 1 micrometre, 32 pixels
    drawn = polysilicon.draw_film(parameters, 0)
    seeds = drawn.seeds.at[:2].set(jnp.array([[0.25, 0.5], [0.75, 0.5]]))  # s apart
    theta = drawn.theta.at[:2].set(jnp.array([0.0, np.pi / 4]))
    film = dataclasses.replace(
        drawn, seeds=seeds, theta=theta, num_grains=jnp.asarray(2)
    )
    row = polysilicon.relaxed_image(film, 1.5)[8:24, 5, 0]  # from seed to seed
    x = np.arange(16) - 7.5  # pixels from the boundary
    np.testing.assert_allclose((1 + row) / 2, 1 / (1 + np.exp(x / 1.5)), atol=1e-12)


def test_the_gradient_with_respect_to_positions_is_that_of_central_differences(film):
    @jax.jit
    def modulus(seeds):
        image = polysilicon.relaxed_image(dataclasses.replace(film, seeds=seeds), 1.0)
        return polysilicon.youngs_modulus(grains_alone(image))

    gradient = jax.jit(jax.grad(modulus))(film.seeds)
    assert jnp.isfinite(gradient).all()
    np.testing.assert_array_equal(gradient[film.num_grains :], 0)
    step = jnp.asarray(np.random.default_rng(0).normal(size=film.seeds.shape))
    slope = (
        modulus(film.seeds + 1e-6 * step) - modulus(film.seeds - 1e-6 * step)
    ) / 2e-6
    np.testing.assert_allclose(jnp.sum(gradient * step), slope, rtol=1e-6)


def test_positions_alone_bring_a_film_towards_the_target(film):
    target = modulus_of(film) - 2
    solution = polysilicon.design(
        film, target, free=("seeds",), num_steps=40, progress=False
    )
    info, found = solution.info, solution.value
    assert abs(info.relaxed - target) < 0.3
    # A pixel of 16 x 16 that changes its owner is worth 0.1 GPa.
    assert abs(info.modulus - target) < 1
    assert info.rounded == info.predicted  # no angle makes up for it
    np.testing.assert_allclose(info.predicted, info.modulus, rtol=1e-6)
    np.testing.assert_array_equal(found.theta, film.theta)
    assert found.seeds.min() >= 0
    assert found.seeds.max() <= found.parameters.period


def test_angles_make_up_for_what_the_pixels_changed(film):
    info = polysilicon.design(
        film,
        150.0,
        through=grains_alone,
        free=("theta", "seeds"),
        optimiser=optax.adam(0.02),
        progress=False,
    ).info
    assert abs(info.rounded - info.relaxed) > 1e-3
    assert abs(info.predicted - 150) < 1e-6


def test_a_target_beyond_the_single_crystal_is_refused_with_its_range(film):
    for target in (129.0, 170.0, float("nan")):
        with pytest.raises(JaxmatError, match=r"between 130\.024 and 168\.956 GPa"):
            polysilicon.design(film, target)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"objective": "strongest"}, "`objective` is 'strongest'"),
        ({"free": ("angles",)}, "`free` is 'angles'"),
        ({"free": ()}, "`free` is empty"),
        ({"num_steps": 0}, "`num_steps` is 0"),
        ({"optimiser": 0.1}, "`optimiser` is of type float"),
        ({"through": lambda image: image}, r"an array of shape \(16, 16, 2\)"),
        ({"through": lambda image: (1, 2)}, "answered tuple"),
    ],
    ids=lambda x: next(iter(x)) if isinstance(x, dict) else "",
)
def test_what_cannot_be_used_is_named(film, arguments, words):
    with pytest.raises(JaxmatError, match=words):
        polysilicon.design(
            film, **{"objective": "softest", "progress": False} | arguments
        )


def test_several_films_at_once_are_refused(film):
    films = jax.tree.map(lambda x: jnp.stack([x, x]), film)
    with pytest.raises(JaxmatError, match="one film at a time"):
        polysilicon.design(films, "softest")
