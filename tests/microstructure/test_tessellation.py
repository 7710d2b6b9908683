import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmat import microstructure as ms
from jaxmat import rotations
from jaxmat._check import JaxmatError
from jaxmat.microstructure import Grid, Tessellation

KEY = jax.random.key(7)


def brute_force(tessellation, grid):
    """Least power distance over every generator and its 3^d images."""
    mesh = np.meshgrid(*grid.centres(), indexing="ij")
    points = np.stack(mesh, -1).reshape(-1, grid.ndim)
    images = [0.0]
    if tessellation.periodic:
        images = [-1.0, 0.0, 1.0]
    best = np.full((len(points), len(tessellation.seeds)), np.inf)
    for shift in itertools.product(images, repeat=grid.ndim):
        seeds = np.asarray(tessellation.seeds) + np.array(shift) * grid.lengths
        square = ((points[:, None] - seeds) ** 2).sum(-1)
        best = np.minimum(best, square - np.asarray(tessellation.weights))
    return best.argmin(1).reshape(grid.shape)


def volume_fractions(microstructure):
    grain = np.asarray(microstructure.grain).ravel()
    return np.bincount(grain, minlength=microstructure.num_grains) / grain.size


@pytest.mark.parametrize("periodic", [True, False])
@pytest.mark.parametrize("shape", [(31, 24), (12, 9, 10)])
@pytest.mark.parametrize("spread", [0.0, 0.05], ids=["voronoi", "laguerre"])
def test_every_voxel_belongs_to_its_nearest_generator(shape, periodic, spread):
    lengths = (2.0, 1.0, 1.5)[: len(shape)]
    grid = Grid(shape, lengths)
    seeds = ms.random_seeds(KEY, lengths, 17, periodic=periodic)
    weights = spread * jax.random.uniform(KEY, (17,))
    cells = Tessellation(seeds, weights, grid.lengths, periodic)
    np.testing.assert_array_equal(ms.rasterise(cells, grid), brute_force(cells, grid))


def test_equal_weights_make_voronoi_cells_whatever_their_value():
    grid = Grid((40, 40), (1.0, 1.0))
    seeds = ms.random_seeds(KEY, grid.lengths, 12)
    plain = Tessellation(seeds, jnp.zeros(12), grid.lengths, True)
    raised = Tessellation(seeds, jnp.full(12, 0.3), grid.lengths, True)
    np.testing.assert_array_equal(ms.rasterise(plain, grid), ms.rasterise(raised, grid))


def test_a_generator_outside_the_periodic_box_acts_through_its_image():
    grid = Grid((40, 30), (2.0, 1.0))
    seeds = ms.random_seeds(KEY, grid.lengths, 12)
    moved = seeds + jnp.array([2.0, -1.0])
    cells, shifted = (
        Tessellation(s, jnp.zeros(12), grid.lengths, True) for s in (seeds, moved)
    )
    np.testing.assert_array_equal(
        ms.rasterise(cells, grid), ms.rasterise(shifted, grid)
    )


def test_a_heavier_generator_takes_volume_from_its_neighbours():
    grid = Grid((64, 64), (1.0, 1.0))
    seeds = ms.random_seeds(KEY, grid.lengths, 12)
    sizes = []
    for weight in (0.0, 0.01, 0.02):
        weights = jnp.zeros(12).at[4].set(weight)
        grain = ms.rasterise(Tessellation(seeds, weights, grid.lengths, True), grid)
        sizes.append(int((grain == 4).sum()))
    assert sizes[0] < sizes[1] < sizes[2]


def test_a_finer_grid_shows_the_same_polycrystal():
    coarse = ms.voronoi(KEY, Grid((33, 33), (1.0, 1.0)), 20)
    fine = ms.voronoi(KEY, Grid((99, 99), (1.0, 1.0)), 20)
    # Voxel centres of the coarse grid are voxel centres of one three times finer.
    np.testing.assert_array_equal(coarse.grain, fine.grain[1::3, 1::3])
    np.testing.assert_array_equal(coarse.orientation, fine.orientation)


def test_one_key_gives_one_tessellation_in_single_and_double_precision():
    grid = Grid((32, 32), (1.0, 1.0))
    double = ms.voronoi(KEY, grid, 9).grain
    with jax.enable_x64(False):
        single = ms.voronoi(KEY, grid, 9)
    np.testing.assert_array_equal(single.grain, double)
    assert single.orientation.dtype == jnp.float32


@pytest.mark.parametrize(("dim", "size"), [(2, 0.5), (3, 1.0)])
def test_the_mean_grain_size_is_the_prescribed_one(dim, size):
    lengths = (4.0, 4.0, 3.0)[:dim]
    num_grains = ms.num_grains_for(lengths, size)
    assert math.prod(lengths) / num_grains == pytest.approx(size**dim, rel=1e-12)
    microstructure = ms.voronoi(KEY, Grid((40,) * dim, lengths), num_grains)
    assert microstructure.num_grains == num_grains
    assert len(np.unique(microstructure.grain)) == num_grains


@pytest.mark.parametrize("periodic", [True, False])
def test_generators_keep_their_distance(periodic):
    lengths, distance = (2.0, 1.0), 0.12
    seeds = np.asarray(
        ms.random_seeds(KEY, lengths, 60, min_distance=distance, periodic=periodic)
    )
    difference = seeds[:, None] - seeds
    if periodic:
        difference -= np.round(difference / lengths) * lengths
    separation = np.linalg.norm(difference, axis=-1) + 10 * np.eye(60)
    assert separation.min() >= distance
    assert separation.min() < 1.2 * distance  # random, not a lattice
    assert (seeds >= 0).all()
    assert (seeds < lengths).all()


@pytest.mark.parametrize("dim", [2, 3])
def test_laguerre_grains_have_the_prescribed_volumes(dim):
    shape = (96,) * 2 if dim == 2 else (40,) * 3
    volumes = ms.lognormal_volumes(KEY, 30, 0.3, ndim=dim)
    polycrystal = ms.laguerre(KEY, Grid(shape, (1.0,) * dim), volumes)
    # fitted to 1 % of the mean, counted here on another grid
    np.testing.assert_allclose(volume_fractions(polycrystal) * 30, volumes, atol=0.06)
    plain = ms.voronoi(KEY, Grid(shape, (1.0,) * dim), 30)
    assert np.abs(volume_fractions(plain) * 30 - volumes).max() > 0.5


def test_film_grains_keep_a_cube_axis_along_the_thickness():
    plane = ms.columnar(KEY, Grid((24, 20), (1.0, 1.0)), 15)
    film = ms.columnar(KEY, Grid((24, 20, 3), (1.0, 1.0, 0.2)), 15)
    z = jax.jit(jax.vmap(lambda q: rotations.rotate(q, jnp.array([0.0, 0.0, 1.0]))))
    np.testing.assert_allclose(
        z(plane.orientation), np.tile([0.0, 0.0, 1.0], (15, 1)), atol=1e-12
    )
    for layer in range(3):
        np.testing.assert_array_equal(film.grain[..., layer], plane.grain)


@pytest.mark.parametrize(
    ("crystal", "sample"),
    [((1, 1, 1), (0, 0, 1)), ((0, 0, 1), (0, 0, -1)), ((1, 2, 0), (3, 0, 1))],
)
def test_a_fibre_holds_its_axis_and_turns_uniformly_about_it(crystal, sample):
    q = ms.fibre_texture(KEY, 4000, crystal_direction=crystal, sample_direction=sample)
    c, s = (np.array(d) / np.linalg.norm(d) for d in (crystal, sample))
    matrices = np.asarray(jax.jit(jax.vmap(rotations.to_matrix))(q))
    np.testing.assert_allclose(matrices @ c, np.tile(s, (4000, 1)), atol=1e-12)
    # A vector normal to the axis averages to zero: standard error 1 / sqrt(2 * 4000).
    normal = np.cross(c, [0.3, -0.5, 0.8])
    normal /= np.linalg.norm(normal)
    assert np.linalg.norm((matrices @ normal).mean(0)) < 0.05


def test_a_fibre_texture_is_a_random_fibre_for_every_grain():
    q = ms.fibre_texture(KEY, 3, sample_direction=(1.0, 2.0, 0.0), spread=0.1)
    x3, along = jnp.array([0.0, 0.0, 1.0]), jnp.array([1.0, 2.0, 0.0])
    one_by_one = [
        rotations.random_fibre(key, x3, along, 0.1) for key in jax.random.split(KEY, 3)
    ]
    # The same numbers up to rounding, which a batch may do in another order.
    np.testing.assert_allclose(q, jnp.stack(one_by_one), atol=1e-14)


def test_the_spread_of_a_fibre_is_that_of_its_tilt():
    q = ms.fibre_texture(KEY, 4000, spread=0.05)
    matrices = np.asarray(jax.vmap(rotations.to_matrix)(q))
    tilt = np.arccos(matrices[:, 2, 2])
    # Two normal components: mean square 2 spread^2, relative error 1 / sqrt(4000).
    np.testing.assert_allclose((tilt**2).mean(), 2 * 0.05**2, rtol=0.06)


def test_a_measured_texture_is_drawn_from_the_indexed_points_of_the_phase():
    grid = Grid((20, 20), (1.0, 1.0))
    q = ms.uniform_texture(KEY, 400).reshape(20, 20, 4)
    phase = jnp.zeros((20, 20), int).at[:10].set(-1).at[:, :10].set(1)
    measured = ms.OrientationMap(
        grid,
        q,
        phase,
        (ms.Phase("Ni", "m-3m"), ms.Phase("Ti", "6/mmm")),
        jnp.ones((20, 20)),
    )
    drawn = np.asarray(ms.map_texture(KEY, 500, measured))
    allowed = {tuple(row) for row in np.asarray(q[10:, 10:]).reshape(-1, 4)}
    assert {tuple(row) for row in drawn} <= allowed
    with pytest.raises(JaxmatError, match="no point of phase 5"):
        ms.map_texture(KEY, 3, measured, phase=5)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda g: ms.voronoi(KEY, g, 0), "number of grains is 0"),
        (lambda g: ms.voronoi(KEY, g, 9, min_distance=-1.0), "`min_distance` is -1"),
        (lambda g: ms.voronoi(KEY, g, 90, min_distance=0.5), "cannot all be more"),
        (
            lambda g: ms.voronoi(KEY, g, 40, min_distance=0.2, periodic=False),
            "of 40 generators found room",
        ),
        (lambda g: ms.num_grains_for(g.lengths, 0.0), "`mean_size` is 0"),
        (lambda g: ms.lognormal_volumes(KEY, 3, -0.1), "`spread` is -0.1"),
        (lambda g: ms.fibre_texture(KEY, 3, spread=-0.1), "`spread` is -0.1"),
        (
            lambda g: ms.fibre_texture(KEY, 3, sample_direction=(0.0, 0.0, 0.0)),
            "`sample_direction` is",
        ),
        (lambda g: ms.laguerre(KEY, g, jnp.array([1.0, 0.0])), "one positive volume"),
        (
            lambda g: ms.rasterise(
                Tessellation(jnp.ones((2, 2)), jnp.zeros(2), (3.0, 3.0), True), g
            ),
            "give both the same box",
        ),
        (
            lambda g: ms.rasterise(
                Tessellation(jnp.full((2, 2), jnp.nan), jnp.zeros(2), g.lengths, True),
                g,
            ),
            "not finite",
        ),
    ],
)
def test_impossible_requests_are_told_in_a_sentence(call, message):
    with pytest.raises(JaxmatError, match=message):
        call(Grid((8, 8), (1.0, 1.0)))


def test_relaxed_laguerre_grains_are_rounder():
    grid = Grid((96, 96), (1.0, 1.0))
    volumes = ms.lognormal_volumes(KEY, 30, 0.3, ndim=2)
    raw, relaxed = (
        np.median(ms.grain_shapes(m).aspect_ratio)
        for m in (ms.laguerre(KEY, grid, volumes, relaxations=n) for n in (0, 5))
    )
    assert relaxed < 1.35 < raw
