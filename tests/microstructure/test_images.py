import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmat import microstructure as ms
from jaxmat._check import JaxmatError
from jaxmat.microstructure import Grid, Microstructure

KEY = jax.random.key(3)


def labelled(grain, phase=None):
    grain = jnp.asarray(grain)
    phase = jnp.zeros_like(grain) if phase is None else jnp.asarray(phase)
    num_grains = int(grain.max()) + 1
    orientation = ms.uniform_texture(KEY, num_grains)
    return Microstructure(
        Grid(grain.shape, tuple(map(float, grain.shape))), grain, phase, orientation
    )


@pytest.mark.parametrize("shape", [(12, 8), (6, 4, 10)])
def test_refining_by_a_whole_factor_repeats_voxels_and_coarsening_undoes_it(shape):
    coarse = ms.voronoi(KEY, Grid(shape, (1.0,) * len(shape)), 9)
    fine = ms.resample(coarse, tuple(3 * n for n in shape))
    expected = np.asarray(coarse.grain)
    for axis in range(len(shape)):
        expected = np.repeat(expected, 3, axis)
    np.testing.assert_array_equal(fine.grain, expected)
    back = ms.resample(fine, shape)
    np.testing.assert_array_equal(back.grain, coarse.grain)
    assert back.grid == coarse.grid


def test_coarsening_gives_a_voxel_to_the_grain_with_the_most_of_it():
    grain = np.zeros((4, 4), int)
    grain[:2, :2] = [[1, 1], [1, 0]]  # three quarters of the first block
    grain[2:, 2:] = [[0, 0], [0, 1]]
    coarse = ms.resample(labelled(grain), (2, 2))
    np.testing.assert_array_equal(coarse.grain, [[1, 0], [0, 0]])


def test_resampling_by_an_odd_ratio_keeps_volume_fractions_and_phases():
    fine = ms.voronoi(KEY, Grid((200, 200), (1.0, 1.0)), 12)
    fine = Microstructure(fine.grid, fine.grain, fine.grain % 3, fine.orientation)
    coarse = ms.resample(fine, (77, 130))
    np.testing.assert_array_equal(coarse.phase, coarse.grain % 3)
    np.testing.assert_allclose(
        ms.grain_volumes(coarse), ms.grain_volumes(fine), atol=3e-3
    )


def test_the_majority_filter_removes_specks_and_leaves_straight_boundaries():
    grain = np.repeat([0, 1], 8)[:, None] * np.ones((1, 16), int)
    specks = grain.copy()
    specks[3, 3], specks[12, 0] = 1, 0
    filtered = ms.majority_filter(labelled(specks))
    np.testing.assert_array_equal(filtered.grain, grain)
    np.testing.assert_array_equal(
        ms.majority_filter(labelled(grain), repeats=4).grain, grain
    )


def test_the_periodic_majority_filter_commutes_with_translation():
    m = ms.voronoi(KEY, Grid((24, 24), (1.0, 1.0)), 30)
    moved = Microstructure(
        m.grid, jnp.roll(m.grain, (5, 9), (0, 1)), m.phase, m.orientation
    )
    # The first of several equally common neighbours wins, in an order that moves along.
    np.testing.assert_array_equal(
        ms.majority_filter(moved).grain,
        jnp.roll(ms.majority_filter(m).grain, (5, 9), (0, 1)),
    )


@pytest.mark.parametrize(("periodic", "mode"), [(True, "wrap"), (False, "symmetric")])
def test_the_median_filter_takes_the_middle_of_nine(periodic, mode):
    image = np.asarray(jax.random.uniform(KEY, (9, 7)))
    padded = np.pad(image, 1, mode=mode)
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3))
    filtered = ms.median_filter(jnp.asarray(image), periodic=periodic)
    np.testing.assert_array_equal(filtered, np.median(windows, axis=(2, 3)))
    twice = ms.median_filter(filtered, periodic=periodic)
    np.testing.assert_array_equal(
        ms.median_filter(jnp.asarray(image), repeats=2, periodic=periodic), twice
    )


def test_filters_and_resampling_refuse_what_they_cannot_do():
    m = labelled(np.zeros((4, 4), int))
    with pytest.raises(JaxmatError, match="`repeats` is -1"):
        ms.majority_filter(m, repeats=-1)
    with pytest.raises(JaxmatError, match="`repeats` is -2"):
        ms.median_filter(jnp.zeros((4, 4)), repeats=-2)
    with pytest.raises(JaxmatError, match="at least 2 voxels"):
        ms.resample(m, (4, 1))
    with pytest.raises(JaxmatError, match="two or three"):
        ms.resample(m, (4, 4, 4))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda m: (m.grain.T[:3], m.phase, m.orientation), "`grain` has shape"),
        (lambda m: (m.grain * 1.0, m.phase, m.orientation), "dtype float64"),
        (lambda m: (m.grain.at[1, 2].set(9), m.phase, m.orientation), r"\(1, 2\)"),
        (lambda m: (m.grain.at[0, 0].set(-1), m.phase, m.orientation), "is -1"),
        (lambda m: (m.grain, m.phase.at[3, 3].set(-1), m.orientation), "phase` is -1"),
        (lambda m: (m.grain, m.phase, m.orientation.at[2].set(0.0)), r"index \(2,\)"),
        (lambda m: (m.grain, m.phase, m.orientation.at[1, 1].set(np.nan)), "nan"),
        (lambda m: (m.grain, m.phase, 2 * m.orientation), "not a unit quaternion"),
        (lambda m: (m.grain, m.phase, m.orientation[:, :3]), r"expected \(grains, 4\)"),
    ],
)
def test_a_broken_microstructure_is_told_in_a_sentence(change, message):
    good = labelled(np.arange(16).reshape(4, 4) % 3)
    assert ms.check_microstructure(good) is good
    broken = object.__new__(Microstructure)  # past the type checker of the test run
    names = ("grid", "grain", "phase", "orientation")
    for name, value in zip(names, (good.grid, *change(good)), strict=True):
        object.__setattr__(broken, name, value)
    with pytest.raises(JaxmatError, match=message):
        ms.check_microstructure(broken)
