"""Figures: what is drawn where, checked on the artists, not on pixels."""

import subprocess
import sys

import jax.numpy as jnp
import numpy as np
import pytest
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.patches import Polygon

from jaxmat import JaxmatError, crystals, plot, rotations, symmetry
from jaxmat.microstructure import Grid, Microstructure, OrientationMap, Phase

GRID = Grid((6, 4), (12.0, 4.0))
TILTED = rotations.from_euler_bunge(jnp.array([0.3, 0.7, 0.2]))


@pytest.fixture
def two_grains():
    """The left third is a cubic grain, the rest a tilted one."""
    grain = jnp.zeros(GRID.shape, jnp.int32).at[2:].set(1)
    orientation = jnp.stack([rotations.identity(), TILTED])
    return Microstructure(GRID, grain, jnp.zeros_like(grain), orientation)


def test_maps_have_x_to_the_right_and_y_down():
    values = np.arange(24.0).reshape(6, 4)
    figure = plot.scalar_map(GRID, values, label="stress / MPa")
    (image,) = figure.axes[0].get_images()
    np.testing.assert_array_equal(image.get_array(), values.T)  # rows are y
    assert list(image.get_extent()) == [0.0, 12.0, 4.0, 0.0]
    assert image.origin == "upper"
    assert figure.axes[0].get_xlabel() == "x / µm"
    assert figure.axes[1].get_xlabel() == "stress / MPa"  # a long map: bar below


def test_an_upright_map_has_its_bar_at_the_side():
    square = Grid((4, 4), (1.0, 1.0))
    figure = plot.scalar_map(square, np.eye(4), label="energy / GPa")
    bars = [ax for ax in figure.axes[0].child_axes if ax.get_ylabel()]
    assert [ax.get_ylabel() for ax in bars] == ["energy / GPa"]


def test_signed_values_get_a_scale_symmetric_about_zero():
    values = np.linspace(-1.0, 3.0, 24).reshape(6, 4)
    figure = plot.scalar_map(GRID, values, label="slope", signed=True)
    low, high = figure.axes[0].get_images()[0].get_clim()
    assert low == -high
    assert high > 2.9  # half a percent is left out


@pytest.mark.parametrize("value", [2.5, np.nan])
def test_a_map_of_one_value_or_none_is_drawn(value):
    figure = plot.scalar_map(GRID, np.full((6, 4), value), label="constant")
    low, high = figure.axes[0].get_images()[0].get_clim()
    assert low < high


def test_one_outlier_does_not_flatten_the_scale():
    values = np.full((6, 4), 1.0)
    values[0] = 0.0
    values[5, 3] = 1e6
    figure = plot.scalar_map(GRID, np.kron(values, np.eye(1)), label="stress")
    assert figure.axes[0].get_images()[0].get_clim()[0] == 0.0
    many = np.tile(values, (20, 20))
    many[many == 1e6] = 1.0
    many[7, 7] = 1e6
    large = Grid(many.shape, many.shape)
    figure = plot.scalar_map(large, many, label="stress")
    assert figure.axes[0].get_images()[0].get_clim() == (0.0, 1.0)


def test_boundaries_run_between_the_grains(two_grains):
    values = np.zeros(GRID.shape)
    figure = plot.scalar_map(GRID, values, label="none", grain=two_grains.grain)
    (lines,) = (c for c in figure.axes[0].collections if isinstance(c, LineCollection))
    segments = np.array(lines.get_segments())
    np.testing.assert_array_equal(segments[..., 0], 4.0)  # x of the boundary
    assert sorted(segments[:, 0, 1]) == [0.0, 1.0, 2.0, 3.0]


def test_a_grain_has_the_colour_of_its_crystal_direction(two_grains):
    image = plot.ipf_colours(two_grains, "m-3m")
    np.testing.assert_allclose(image[0, 0], [1.0, 0.0, 0.0], atol=1e-6)  # 001: red
    tilted = symmetry.ipf_colour(TILTED, jnp.array([0.0, 0.0, 1.0]), "m-3m")
    np.testing.assert_allclose(image[5, 3], tilted, atol=1e-6)


def test_another_sample_direction_has_other_colours(two_grains):
    along_x = plot.ipf_colours(two_grains, "m-3m", direction=(1.0, 0.0, 0.0))
    tilted = symmetry.ipf_colour(TILTED, jnp.array([1.0, 0.0, 0.0]), "m-3m")
    np.testing.assert_allclose(along_x[5, 3], tilted, atol=1e-6)


@pytest.fixture
def measured():
    """A hexagonal phase, a cubic one, and a row that is not indexed."""
    phase = jnp.zeros(GRID.shape, jnp.int32).at[3:].set(1).at[:, 0].set(-1)
    phases = (Phase("Mg", "6/mmm"), Phase("Cu", "m-3m"))
    quaternion = jnp.broadcast_to(TILTED, (*GRID.shape, 4))
    return OrientationMap(GRID, quaternion, phase, phases, jnp.ones(GRID.shape))


def test_points_that_are_not_indexed_are_grey(measured):
    image = plot.ipf_colours(measured)
    np.testing.assert_array_equal(image[:, 0], 0.6)
    for pixel, laue in (((0, 1), "6/mmm"), ((5, 1), "m-3m")):
        colour = symmetry.ipf_colour(TILTED, jnp.array([0.0, 0.0, 1.0]), laue)
        np.testing.assert_allclose(image[pixel], colour, atol=1e-6)


def test_every_laue_group_on_the_map_has_its_key(measured):
    figure = plot.ipf_map(measured)
    words = {text.get_text() for ax in figure.axes for text in ax.texts}
    assert {"$[0001]$", "$[111]$"} <= words
    assert len(figure.axes) == 3


def test_the_scale_bar_has_a_round_length_and_says_it(two_grains):
    ax = plot.ipf_map(two_grains, "m-3m").axes[0]
    (bar,) = ax.lines
    assert list(bar.get_xdata()) == [0, 2]
    assert ax.texts[0].get_text() == "2 µm"


def test_maps_can_be_drawn_into_given_axes(two_grains):
    figure = Figure()
    left, right = figure.subplots(1, 2)
    assert plot.ipf_map(two_grains, "m-3m", ax=left) is figure
    assert plot.scalar_map(GRID, np.ones(GRID.shape), label="one", ax=right) is figure
    assert len(left.get_images()) == len(right.get_images()) == 1


@pytest.mark.parametrize("laue", symmetry.LAUE_GROUPS)
def test_the_key_of_a_group_fills_its_sector_with_names_at_the_corners(laue):
    ax = plot.ipf_key(laue).axes[0]
    corners = symmetry.ipf_corners(laue)
    plane = corners[:, :2] / (1 + corners[:, 2:])
    assert len(ax.texts) == len(corners)
    np.testing.assert_allclose([text.xy for text in ax.texts], plane, atol=1e-12)
    (outline,) = (p for p in ax.patches if isinstance(p, Polygon))
    (image,) = ax.get_images()
    colours = np.asarray(image.get_array())
    low, high, bottom, top = image.get_extent()
    inside = outline.get_path().contains_points(plane.mean(axis=0)[None])
    assert inside.all() or laue == "-3"  # its sector is wider than a third of a turn
    for corner, (x, y) in zip(corners, plane, strict=True):
        column = round((x - low) / (high - low) * 399)
        row = round((y - bottom) / (top - bottom) * 399)
        expected = symmetry.direction_colour(jnp.asarray(corner), laue)
        # The corner is half a pixel of 400 away from the middle of its pixel.
        np.testing.assert_allclose(colours[row, column], expected, atol=0.02)


@pytest.mark.parametrize("size", [6, 3])
def test_the_modulus_drawn_is_that_of_the_crystal_in_every_direction(size):
    copper = crystals.constants("Cu").stiffness
    stiffness = crystals.rotate_stiffness(copper, TILTED)
    compliance = np.linalg.inv(np.asarray(stiffness))
    plane = [0, 1, 5]
    # In plane stress the compliance is the plane part of the whole one.
    given = stiffness if size == 6 else np.linalg.inv(compliance[np.ix_(plane, plane)])
    figure = plot.directional_modulus({"copper": jnp.asarray(given)})
    for ax, unit in zip(figure.axes, (1.0, np.pi / 180), strict=True):
        angle, drawn = ax.lines[0].get_data()
        for k in (0, 47, 200):
            pull = jnp.array([np.cos(angle[k] * unit), np.sin(angle[k] * unit), 0.0])
            expected = crystals.youngs_modulus(stiffness, pull)
            np.testing.assert_allclose(drawn[k], expected, rtol=1e-10)


def test_bounds_are_filled_bands_and_the_polar_diagram_turns_like_the_map():
    solids = tuple(crystals.isotropic(jnp.array(k), jnp.array(k)) for k in (1.0, 2.0))
    figure = plot.directional_modulus({"mean": solids[0]}, bands={"bounds": solids})
    polar, flat = figure.axes
    assert polar.get_theta_direction() == -1  # y down, as on the maps
    assert polar.get_rmin() == 0
    band = flat.collections[0].get_paths()[0].vertices[:, 1]
    # E = 9 K G / (3 K + G) = 9/4 and twice that.
    np.testing.assert_allclose([band.min(), band.max()], [2.25, 4.5], rtol=1e-12)
    labels = [text.get_text() for text in flat.get_legend().get_texts()]
    assert labels == ["bounds", "mean"]


def test_what_cannot_be_drawn_is_said_in_a_sentence(two_grains):
    with pytest.raises(
        JaxmatError, match=r"shape \(4, 6\) on a grid of shape \(6, 4\)"
    ):
        plot.scalar_map(GRID, np.zeros((4, 6)), label="transposed")
    with pytest.raises(JaxmatError, match="give the Laue group of each phase"):
        plot.ipf_map(two_grains)
    body = Grid((2, 2, 2), (1.0, 1.0, 1.0))
    zeros = jnp.zeros(body.shape, jnp.int32)
    solid = Microstructure(body, zeros, zeros, TILTED[None])
    with pytest.raises(JaxmatError, match="3 dimensions"):
        plot.ipf_map(solid, "m-3m")


def test_every_figure_can_be_written(two_grains, tmp_path):
    copper = crystals.constants("Cu").stiffness
    for number, figure in enumerate(
        (
            plot.ipf_map(two_grains, "m-3m"),
            plot.scalar_map(GRID, np.ones(GRID.shape), label="one"),
            plot.directional_modulus({"Cu": copper}, bands={"b": (copper, copper)}),
        )
    ):
        figure.savefig(tmp_path / f"{number}.png")
        assert (tmp_path / f"{number}.png").stat().st_size > 5000


def test_plotting_touches_no_global_state_of_matplotlib():
    program = "import jaxmat.plot, sys; sys.exit('matplotlib.pyplot' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program]).returncode == 0
