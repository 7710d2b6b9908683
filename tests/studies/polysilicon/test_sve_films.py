"""Films: the process they are drawn from, their cells, and their images."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sve_films import QUARTER, film_of

from jaxmat import JaxmatError
from jaxmat.microstructure import Grid, Tessellation, rasterise
from jaxmat.studies.polysilicon import Parameters, channels, draw_film, grey_image
from jaxmat.studies.polysilicon._film import GRAIN_SIZE, MARGIN


def cells_of(film, grid):
    """Voronoi cells of the whole periodic film, from the k-d tree."""
    parameters, count = film.parameters, int(film.num_grains)
    seeds = np.mod(film.seeds[:count] + parameters.margin, parameters.period)
    cells = Tessellation(jnp.asarray(seeds), jnp.zeros(count), grid.lengths, True)
    return np.asarray(rasterise(cells, grid))


def test_a_periodic_film_is_a_voronoi_tessellation():
    parameters = Parameters(ratio=3, pixels_per_grain=9)
    film = draw_film(parameters, 5)
    np.testing.assert_array_equal(film.grain, cells_of(film, parameters.grid))


def test_a_window_is_cut_from_a_larger_periodic_film():
    parameters = Parameters(ratio=3, pixels_per_grain=8, boundary="kubc")
    film = draw_film(parameters, 2)
    side = (3 + 2 * MARGIN) * 8
    whole = cells_of(film, Grid((side, side), (parameters.period,) * 2))
    cut = slice(8 * MARGIN, 8 * (MARGIN + 3))
    np.testing.assert_array_equal(film.grain, whole[cut, cut])


@pytest.mark.parametrize("boundary", ["periodic", "subc"])
def test_numbers_of_grains_are_those_of_a_poisson_process(boundary):
    parameters = Parameters(ratio=4, pixels_per_grain=2, boundary=boundary)
    films = jax.jit(jax.vmap(functools.partial(draw_film, parameters)))
    count = 2000
    numbers = np.asarray(films(jnp.arange(count)).num_grains)
    mean = parameters.mean_grains
    # Mean and variance of a Poisson variate are equal; four standard errors of each.
    assert abs(numbers.mean() - mean) < 4 * np.sqrt(mean / count)
    assert abs(numbers.var() / mean - 1) < 4 * np.sqrt(2 / count)
    assert numbers.min() >= 1
    assert numbers.max() < parameters.max_grains


def test_the_mean_grain_area_is_the_square_of_the_grain_size():
    parameters = Parameters(ratio=6)
    area = np.prod(parameters.grid.lengths) / parameters.mean_grains
    assert area == pytest.approx(GRAIN_SIZE**2)


def test_angles_fill_the_quarter_circle_evenly():
    draw = jax.jit(functools.partial(draw_film, Parameters(20, 2)))
    theta = np.concatenate([draw(k).theta for k in range(8)])
    assert theta.min() >= 0
    assert theta.max() < QUARTER
    # Means of c and s vanish for a uniform angle; four standard errors.
    mean = np.asarray(channels(theta)).mean(0)
    assert np.abs(mean).max() < 4 * np.sqrt(0.5 / len(theta))


def test_a_film_does_not_depend_on_how_it_is_asked_for():
    parameters = Parameters(ratio=4, pixels_per_grain=4, seed=3)
    draw = functools.partial(draw_film, parameters)
    batch = jax.jit(jax.vmap(draw))(jnp.array([7, 3, 12]))
    for row, index in enumerate((7, 3, 12)):
        alone = jax.jit(draw)(index)
        picked = jax.tree.map(lambda x, row=row: x[row], batch)
        jax.tree.map(np.testing.assert_array_equal, alone, picked)


def test_films_of_one_set_of_parameters_compile_once():
    draw = jax.jit(functools.partial(draw_film, Parameters(4, 4)))
    numbers = {int(draw(k).num_grains) for k in range(10)}
    assert len(numbers) > 1
    assert draw._cache_size() == 1


def test_other_seeds_and_numbers_give_other_films():
    films = [
        draw_film(Parameters(2, 4, seed=seed), k)
        for seed, k in ((0, 0), (0, 1), (1, 0))
    ]
    thetas = {tuple(np.asarray(film.theta)) for film in films}
    assert len(thetas) == 3


def test_larger_films_have_the_same_pixel():
    shapes = {ratio: Parameters(ratio).grid.shape for ratio in (4, 6, 10)}
    assert shapes == {4: (128, 128), 6: (192, 192), 10: (320, 320)}
    spacings = {Parameters(ratio).grid.spacing for ratio in (4, 6, 10)}
    np.testing.assert_allclose(list(spacings), GRAIN_SIZE / 32, rtol=1e-14)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"ratio": 0}, "`ratio` is 0; give a whole number"),
        ({"ratio": 101}, "from 1 to 100"),
        ({"pixels_per_grain": 1}, "`pixels_per_grain` is 1"),
        ({"seed": -1}, "`seed` is -1"),
        ({"boundary": "dirichlet"}, "`boundary` is 'dirichlet'; choose one of"),
    ],
)
def test_parameters_out_of_range_are_refused(options, message):
    with pytest.raises(JaxmatError, match=message):
        Parameters(**options)


def test_channels_do_not_see_a_quarter_turn_and_a_reflection_flips_the_sine():
    theta = np.linspace(0, QUARTER, 7)
    c, s = np.moveaxis(np.asarray(channels(theta)), -1, 0)
    other = np.moveaxis(np.asarray(channels(QUARTER - theta)), -1, 0)
    # Rounding of an angle of up to 2 pi.
    np.testing.assert_allclose(other, [c, -s], atol=1e-15 * 2 * np.pi)


@pytest.mark.parametrize("theta", [[0.1, 45.0], [0.1, np.nan], [-3.0]])
def test_angles_in_degrees_and_no_numbers_are_refused(theta):
    with pytest.raises(JaxmatError, match="give radians"):
        channels(jnp.array(theta))


def test_channels_of_traced_angles_are_not_checked():
    assert jax.jit(channels)(jnp.array([45.0])).shape == (1, 2)


def test_the_grey_image_is_theta_inside_the_grains():
    parameters = Parameters(ratio=2, pixels_per_grain=16, seed=4)
    film = draw_film(parameters, 1)
    grey, exact = np.asarray(grey_image(film)), np.asarray(film.image) / QUARTER
    grain = np.asarray(film.grain)
    inside = np.ones(grain.shape, bool)
    # A median filter of 3 x 3 pixels, applied five times, reaches five pixels.
    for i in range(-6, 7):
        for j in range(-6, 7):
            inside &= np.roll(grain, (i, j), (0, 1)) == grain
    assert inside.sum() > 20
    np.testing.assert_allclose(grey[inside], exact[inside], rtol=1e-12)


def test_the_median_filter_only_moves_boundaries():
    film = draw_film(Parameters(ratio=2, pixels_per_grain=16, seed=4), 1)
    grey, exact = np.asarray(grey_image(film)), np.asarray(film.image) / QUARTER
    apart = np.abs(grey[..., None] - np.unique(exact)).min(-1)
    # Averages of four by four finer pixels are mixed on every boundary pixel.
    assert np.mean(apart < 1e-9) > 0.9
    assert grey.min() >= 0
    assert grey.max() <= 1


def test_the_grey_image_of_one_grain_is_flat():
    film = film_of(np.zeros((8, 8)), [QUARTER / 3], boundary="subc")
    np.testing.assert_allclose(grey_image(film), 1 / 3, rtol=1e-14)
