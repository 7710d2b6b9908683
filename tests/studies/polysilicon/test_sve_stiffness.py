"""Labels and the coarse solver: bounds, symmetries, and two exact results."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sve_films import film_of, in_other_axes, reflected, turned

from jaxmat import JaxmatError, cells, crystals, rotations
from jaxmat.cells._media import in_plane
from jaxmat.materials import LinearElastic
from jaxmat.studies.polysilicon import (
    Parameters,
    apparent_stiffness,
    channels,
    coarse_solver,
    draw_film,
    dual_average,
    hill_average,
    reuss_average,
    voigt_average,
    youngs_modulus,
)
from jaxmat.studies.polysilicon._apparent import SILICON
from jaxmat.studies.polysilicon._averages import ACROSS, ALONG, BIAXIAL

BOUNDARIES = ("periodic", "kubc", "subc")
LAW = LinearElastic(crystals.cubic(**SILICON))
TIGHT = 1e-10


def smallest(difference):
    return np.linalg.eigvalsh(np.asarray(difference)).min()


def label(film, boundary, rtol=TIGHT):
    return np.asarray(solve(film, boundary, rtol))


@jax.jit(static_argnums=(1, 2))
def solve(film, boundary, rtol):
    return apparent_stiffness(film, boundary=boundary, rtol=rtol)


@pytest.fixture(scope="module")
def film():
    """About nine grains on 12 x 12 pixels, no parameter of which says periodic."""
    drawn = draw_film(Parameters(ratio=3, pixels_per_grain=4, seed=1), 0)
    return film_of(drawn.grain, drawn.theta)


@pytest.fixture(scope="module")
def labels(film):
    return {boundary: label(film, boundary) for boundary in BOUNDARIES}


def shear_block(stiffness):
    """The part of a stiffness that is not biaxial, and what is left of it."""
    basis = np.array([[1, 1, 0], [1, -1, 0], [0, 0, 2**0.5]]) / 2**0.5
    turned = basis @ np.asarray(stiffness) @ basis.T
    return turned[1:, 1:], turned[0]


def excess(stiffness):
    """Relative error of the determinant that every periodic film shares."""
    compliance = np.linalg.inv(shear_block(stiffness)[0]) + np.eye(2) / BIAXIAL
    exact = (1 / ALONG + 1 / BIAXIAL) * (1 / ACROSS + 1 / BIAXIAL)
    return np.linalg.det(compliance) / exact - 1


@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_a_film_of_one_grain_is_the_crystal(film, boundary):
    theta = 0.3
    quaternion = rotations.from_rotation_vector(jnp.array([0.0, 0.0, theta]))
    crystal = in_plane(crystals.rotate_stiffness(LAW.stiffness, quaternion), "stress")
    one = film_of(np.zeros((12, 12)), np.full(len(film.theta), theta))
    # Nothing fluctuates: rounding of numbers of order 100 GPa.
    np.testing.assert_allclose(label(one, boundary), crystal, atol=1e-12)


@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_labels_lie_between_reuss_and_voigt(film, labels, boundary):
    mean = channels(film.image).mean((0, 1))
    # Entries are solved to a square of the tolerance; rounding is left.
    assert smallest(voigt_average(mean) - labels[boundary]) > -1e-10
    assert smallest(labels[boundary] - reuss_average(mean)) > -1e-10


def test_averages_are_those_of_the_grid_cell(film):
    grains = film.microstructure
    mean = channels(film.image).mean((0, 1))
    voigt, reuss = (
        jax.jit(bound, static_argnames="plane")(grains, LAW, plane="stress")
        for bound in (cells.voigt_bound, cells.reuss_bound)
    )
    np.testing.assert_allclose(voigt_average(mean), voigt, atol=1e-11)
    np.testing.assert_allclose(reuss_average(mean), reuss, atol=1e-11)
    np.testing.assert_allclose(hill_average(mean), (voigt + reuss) / 2, atol=1e-11)


def test_the_dual_average_of_one_grain_is_the_grain():
    one = channels(jnp.array(0.7))
    np.testing.assert_allclose(dual_average(one), voigt_average(one), atol=1e-11)


@pytest.mark.parametrize("radius", [0.0, 0.4, 1.0])
def test_the_dual_average_has_the_determinant_of_the_grains(radius):
    mean = radius * channels(jnp.array(0.2))
    assert abs(excess(dual_average(mean))) < 1e-13


def test_displacement_stiffens_and_traction_softens(labels):
    assert smallest(labels["kubc"] - labels["periodic"]) > -1e-10
    assert smallest(labels["periodic"] - labels["subc"]) > -1e-10


@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_turned_and_reflected_films_have_turned_and_reflected_labels(
    film, labels, boundary
):
    quarter, mirror = np.array([[0, -1], [1, 0]]), np.diag([-1, 1])
    moved, matrix = film, np.eye(2)
    for _ in range(4):
        moved, matrix = turned(moved), quarter @ matrix
        for shown, total in ((moved, matrix), (reflected(moved), mirror @ matrix)):
            expected = in_other_axes(labels[boundary], total)
            # Sums in another order, squared tolerance of the solver.
            np.testing.assert_allclose(
                label(shown, boundary), expected, atol=1e-9, rtol=0
            )


@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_the_biaxial_modulus_of_every_film_is_that_of_the_grains(labels, boundary):
    # Equal stretch along x and y leaves every grain with the same stress.
    _, biaxial = shear_block(labels[boundary])
    np.testing.assert_allclose(biaxial, [BIAXIAL, 0, 0], atol=1e-11)
    along_y = np.flip(np.flip(labels[boundary][:2, :2], 0), 1)
    np.testing.assert_allclose(labels[boundary][:2, :2], along_y, atol=1e-11)


def test_youngs_modulus_is_one_over_the_compliance(labels):
    stack = np.stack(list(labels.values()))
    expected = 1 / np.linalg.inv(stack)[:, 0, 0]
    np.testing.assert_allclose(youngs_modulus(stack), expected, rtol=1e-13)
    np.testing.assert_allclose(
        youngs_modulus(jnp.asarray(stack[0])), expected[0], rtol=1e-13
    )


def test_periodic_films_keep_the_determinant_of_the_crystal():
    """Duality of plane elasticity, for a film that is not isotropic at all."""
    drawn = draw_film(Parameters(ratio=2, pixels_per_grain=8, seed=2), 0)
    solve = coarse_solver(1, rtol=TIGHT)
    stiffness = jax.jit(solve)(channels(drawn.image))
    shear = shear_block(stiffness)[0]
    assert np.ptp(np.linalg.eigvalsh(shear)) > 1.0  # GPa: anisotropic
    # One-point elements keep it but for the coarseness: 4e-6 at 32 x 32.
    assert abs(excess(stiffness)) < 5e-5


def test_full_elements_approach_the_determinant_from_above():
    coarse, fine = (
        excess(label(draw_film(Parameters(2, pixels, seed=2), 0), "periodic", 1e-6))
        for pixels in (8, 16)
    )
    # Corners of grains are singular but weakly: close to first order in the pixel.
    assert fine < 0
    assert 1.6 < coarse / fine < 2.6


def test_the_coarse_solver_on_pixels_differs_by_its_elements_only(film, labels):
    for boundary, tolerance in (("periodic", 3e-3), ("subc", 1e-9)):
        found = coarse_solver(1, boundary=boundary, rtol=TIGHT)(channels(film.image))
        # "subc" uses the elements of the labels, on grains that are the pixels' own.
        np.testing.assert_allclose(
            youngs_modulus(found), youngs_modulus(labels[boundary]), rtol=tolerance
        )


def test_blocks_are_nearer_to_the_fine_solution_than_averages(film, labels):
    image = channels(film.image)
    exact = youngs_modulus(labels["periodic"])
    block = abs(float(youngs_modulus(coarse_solver(3)(image))) - exact)
    average = abs(float(youngs_modulus(hill_average(image.mean((0, 1))))) - exact)
    assert block < average


def test_the_coarse_solver_is_differentiable_and_batches(film):
    solve, step = coarse_solver(3, rtol=1e-11), 1e-4
    image = channels(film.image)
    rng = np.random.default_rng(3)
    direction = jnp.asarray(rng.normal(size=image.shape))

    @jax.jit
    def everything(image):
        modulus = lambda x: youngs_modulus(solve(x))  # noqa: E731
        near = jnp.stack([image, image + step * direction, image - step * direction])
        slope = jax.jvp(modulus, (image,), (direction,))[1]
        return jax.vmap(modulus)(near), modulus(image), slope, jax.grad(modulus)(image)

    batch, alone, forward, reverse = everything(image)
    np.testing.assert_allclose(batch[0], alone, rtol=1e-12)
    # The fields are converged to 1e-11; a central difference errs by its step squared.
    np.testing.assert_allclose(forward, (batch[1] - batch[2]) / (2 * step), rtol=1e-5)
    np.testing.assert_allclose(jnp.sum(reverse * direction), forward, rtol=1e-8)


def test_the_gradient_vanishes_nowhere_to_nan_where_a_block_has_no_direction():
    solve = coarse_solver(2)
    slope = jax.jit(jax.grad(lambda image: solve(image)[0, 0]))(jnp.zeros((8, 8, 2)))
    assert np.isfinite(slope).all()


def test_the_coarse_solver_stays_in_single_precision(film):
    image = jnp.asarray(channels(film.image), jnp.float32)
    found = jax.jit(coarse_solver(3))(image)
    assert found.dtype == jnp.float32
    exact = coarse_solver(3, rtol=TIGHT)(channels(film.image))
    # Single precision of numbers of order 100.
    np.testing.assert_allclose(found, exact, rtol=0, atol=2e-3)


def test_no_number_in_the_image_gives_no_number_and_raises_nothing():
    found = jax.jit(coarse_solver(2))(jnp.full((8, 8, 2), jnp.nan))
    assert np.isnan(found).all()


@pytest.mark.parametrize(
    ("factor", "shape", "message"),
    [
        (3, (8, 9, 2), "8 x 9 pixels cannot be cut into blocks of 3"),
        (4, (4, 4, 2), "two blocks or more"),
        (2, (8, 8), r"`channels` has shape \(8, 8\)"),
        (2, (8, 8, 3), r"`channels` has shape \(8, 8, 3\)"),
    ],
)
def test_images_that_cannot_be_coarsened_are_refused(factor, shape, message):
    solve = coarse_solver(factor)
    with pytest.raises(JaxmatError, match=message):
        solve(jnp.zeros(shape))


def test_a_factor_of_zero_and_an_unknown_boundary_are_refused():
    with pytest.raises(JaxmatError, match="`factor` is 0"):
        coarse_solver(0)
    with pytest.raises(JaxmatError, match="`boundary` is 'free'"):
        coarse_solver(2, boundary="free")
