import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from jaxmat import microstructure as ms
from jaxmat._check import JaxmatError
from jaxmat.microstructure import Grid, Microstructure

KEY = jax.random.key(11)


def single_grain_in_matrix(inside, lengths):
    grain = jnp.asarray(inside).astype(int)
    orientation = ms.uniform_texture(KEY, 2)
    return Microstructure(
        Grid(grain.shape, lengths), grain, jnp.zeros_like(grain), orientation
    )


def checkerboard(n, side):
    index = np.indices((n, n)) // side
    return jnp.asarray(index.sum(0) % 2)


@pytest.mark.parametrize("dim", [2, 3])
def test_grains_fill_the_box(dim):
    lengths = (2.0, 1.0, 0.5)[:dim]
    m = ms.voronoi(KEY, Grid((30, 20, 10)[:dim], lengths), 25)
    volumes = ms.grain_volumes(m)
    assert volumes.sum() == pytest.approx(np.prod(lengths), rel=1e-12)
    assert volumes.mean() == pytest.approx(np.prod(lengths) / 25, rel=1e-12)
    diameters = ms.equivalent_diameters(m)
    ball = np.pi / 4 * diameters**2 if dim == 2 else np.pi / 6 * diameters**3
    np.testing.assert_allclose(ball, volumes, rtol=1e-12)


@pytest.mark.parametrize("centre", [(0.5, 0.5), (0.02, 0.97)], ids=["inside", "across"])
def test_an_elliptical_grain_has_the_ellipse_it_was_drawn_with(centre):
    n, semi_axes, turn = 300, np.array([0.3, 0.12]), 0.4
    x, y = np.meshgrid(*Grid((n, n), (1.0, 1.0)).centres(), indexing="ij")
    dx, dy = ((u - c + 0.5) % 1 - 0.5 for u, c in zip((x, y), centre, strict=True))
    along, across = (
        dx * np.cos(turn) + dy * np.sin(turn),
        dy * np.cos(turn) - dx * np.sin(turn),
    )
    inside = (along / semi_axes[0]) ** 2 + (across / semi_axes[1]) ** 2 < 1
    shapes = ms.grain_shapes(single_grain_in_matrix(inside, (1.0, 1.0)))
    # Pixels resolve the outline to 1/300 and the moments to about 1e-3.
    np.testing.assert_allclose(shapes.semi_axes[1], semi_axes, rtol=2e-3)
    np.testing.assert_allclose(shapes.centre[1], centre, atol=1e-3)
    assert shapes.aspect_ratio[1] == pytest.approx(2.5, rel=3e-3)
    direction = np.array([np.cos(turn), np.sin(turn)])
    assert abs(shapes.directions[1, 0] @ direction) == pytest.approx(1.0, abs=1e-4)


def test_a_box_shaped_grain_has_the_moments_of_the_box():
    inside = np.zeros((12, 10, 8), bool)
    inside[2:8, 3:6, 4:6] = True  # 6 x 3 x 2 voxels of 1 x 2 x 0.5
    m = single_grain_in_matrix(inside, (12.0, 20.0, 4.0))
    shapes = ms.grain_shapes(m, periodic=False)
    np.testing.assert_allclose(
        shapes.semi_axes[1], np.sqrt(5 / 12) * np.array([6.0, 6.0, 1.0]), rtol=1e-12
    )
    np.testing.assert_allclose(shapes.centre[1], [5.0, 9.0, 2.5], rtol=1e-12)


def test_a_grain_without_voxels_has_no_shape_and_does_not_count():
    grain = jnp.array([[0, 0], [2, 2]])
    m = Microstructure(
        Grid((2, 2), (2.0, 2.0)), grain, grain * 0, ms.uniform_texture(KEY, 3)
    )
    np.testing.assert_array_equal(ms.grain_volumes(m), [2.0, 0.0, 2.0])
    shapes = ms.grain_shapes(m, periodic=False)
    assert np.isnan(shapes.semi_axes[1]).all()
    summary = ms.summarise(np.array([1.0, 7.0, 3.0]), ms.grain_volumes(m))
    assert summary == (2, 2.0, 1.0, 1.0, 3.0, 2.0)


def test_the_two_point_function_of_a_checkerboard_is_the_product_of_triangles():
    n, side = 32, 4
    s2 = np.asarray(jax.jit(ms.two_point_correlation)(checkerboard(n, side)))
    shift = np.arange(n) % (2 * side)
    wave = 1 - np.minimum(shift, 2 * side - shift) * 2 / side  # from 1 to -1
    np.testing.assert_allclose(s2, (1 + np.outer(wave, wave)) / 4, atol=1e-14)


def test_the_two_point_function_of_a_laminate_is_a_triangle_wave():
    n, thick = 40, 10
    layer = jnp.broadcast_to((jnp.arange(n) < thick)[:, None], (n, 6))
    s2 = np.asarray(ms.two_point_correlation(layer))
    shift = np.minimum(np.arange(n), n - np.arange(n))
    expected = np.maximum(thick - shift, 0) / n
    np.testing.assert_allclose(s2, np.tile(expected[:, None], (1, 6)), atol=1e-14)


def test_distant_points_of_a_random_medium_are_independent():
    inside = jax.random.bernoulli(KEY, 0.3, (256, 256))
    s2 = np.asarray(ms.two_point_correlation(inside))
    fraction = float(inside.mean())
    assert s2[0, 0] == pytest.approx(fraction, rel=1e-12)
    assert s2.mean() == pytest.approx(fraction**2, rel=1e-12)
    # standard error of one shift: fraction (1 - fraction) / 256
    np.testing.assert_allclose(s2[40:200, 40:200], fraction**2, atol=6 * 0.21 / 256)


def test_the_two_point_function_has_exact_derivatives():
    field = jax.random.uniform(KEY, (6, 5))
    check_grads(
        jax.jit(ms.two_point_correlation), (field,), order=1, modes=["fwd", "rev"]
    )


@pytest.mark.parametrize("shape", [(14, 9), (6, 8, 5)])
def test_the_same_grain_correlation_counts_pairs_of_voxels(shape):
    m = ms.voronoi(KEY, Grid(shape, (1.0,) * len(shape)), 7)
    grain = np.asarray(m.grain)
    expected = np.empty(shape)
    for shift in np.ndindex(shape):
        moved = np.roll(grain, [-s for s in shift], range(grain.ndim))
        expected[shift] = (moved == grain).mean()
    np.testing.assert_allclose(ms.same_grain_correlation(m), expected, rtol=1e-12)


def test_the_lineal_path_of_a_laminate_falls_linearly_across_and_is_flat_along():
    n, thick = 20, 5
    layer = jnp.broadcast_to((jnp.arange(n) < thick)[:, None], (n, 8))
    expected = np.maximum(thick - np.arange(n), 0) / n
    np.testing.assert_allclose(ms.lineal_path(layer, 0), expected, rtol=1e-12)
    np.testing.assert_allclose(ms.lineal_path(layer, 1), np.full(8, thick / n))
    # A layer that is cut by the box's face is shorter unless the map is periodic.
    cut = jnp.roll(layer, -2, axis=0)
    np.testing.assert_allclose(ms.lineal_path(cut, 0), expected, rtol=1e-12)
    assert ms.lineal_path(cut, 0, periodic=False)[3] == 0
    with pytest.raises(JaxmatError, match="`axis` is 2"):
        ms.lineal_path(layer, 2)


def test_the_radial_average_of_a_radial_function_is_that_function():
    n, spacing = 40, (0.5, 0.25)
    axes = (
        np.fft.fftfreq(size, 1 / size) * h
        for size, h in zip((n, 2 * n), spacing, strict=True)
    )
    square = sum(x**2 for x in np.meshgrid(*axes, indexing="ij"))
    distance, value = ms.radial_average(square, spacing)
    # A ring holds distances within half a voxel of its nominal one.
    np.testing.assert_allclose(value, distance**2, atol=0.13 * (distance.max() + 0.25))
    assert value[0] == 0
    assert distance.max() == 10.0
    with pytest.raises(JaxmatError, match="one voxel side per axis"):
        ms.radial_average(square, (1.0,))
