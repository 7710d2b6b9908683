import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from jaxmat import microstructure as ms
from jaxmat import rotations, symmetry
from jaxmat._check import JaxmatError
from jaxmat.microstructure import Grid, OrientationMap, Phase

KEY = jax.random.key(5)
NICKEL = (Phase("Ni", "m-3m"),)
THRESHOLD = float(np.radians(5.0))


def as_map(microstructure, phases=NICKEL):
    """The map a perfect microscope would measure."""
    return OrientationMap(
        microstructure.grid,
        microstructure.orientation[microstructure.grain],
        microstructure.phase,
        phases,
        jnp.ones(microstructure.grid.shape),
    )


def replaced(m, **changes):
    fields = ("grid", "quaternion", "phase", "phases", "confidence")
    return OrientationMap(*(changes.get(name, getattr(m, name)) for name in fields))


def first_seen(labels):
    """Labels renumbered in the order of their first voxel."""
    _, first, inverse = np.unique(labels, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[inverse].reshape(labels.shape)


def disturb(m, seed, laue="m-3m"):
    """Another of the equivalent quaternions, of either sign, at every point."""
    rng = np.random.default_rng(seed)
    table = symmetry.operators(laue)
    s = table[rng.integers(len(table), size=m.grid.shape)]
    s = s * rng.choice([-1.0, 1.0], size=(*m.grid.shape, 1))
    multiply = rotations.multiply
    for _ in range(m.grid.ndim):
        multiply = jax.vmap(multiply)
    return replaced(m, quaternion=jax.jit(multiply)(m.quaternion, jnp.asarray(s)))


@pytest.fixture(scope="module", params=[(60, 50), (14, 12, 16)], ids=["2d", "3d"])
def polycrystal(request):
    # Not periodic: a measured map cannot know that opposite edges meet.
    grid = Grid(request.param, tuple(map(float, request.param)))
    distance = 8.0 if grid.ndim == 2 else 3.5
    m = ms.voronoi(KEY, grid, 20, periodic=False, min_distance=distance)
    # The voxels of a cell hang together, so that there are as many grains as cells.
    grain = np.asarray(m.grain)
    assert all(ndimage.label(grain == k)[1] == 1 for k in range(20))
    return m


angles_between = jax.jit(
    jax.vmap(lambda a, b: symmetry.disorientation_angle(a, b, "m-3m"))
)


def test_segmentation_recovers_a_tessellation(polycrystal):
    found = ms.check_microstructure(ms.segment(as_map(polycrystal), THRESHOLD))
    truth = np.asarray(polycrystal.grain)
    np.testing.assert_array_equal(found.grain, first_seen(truth))
    _, first = np.unique(found.grain, return_index=True)
    expected = polycrystal.orientation[truth.ravel()[first]]
    np.testing.assert_allclose(
        angles_between(found.orientation, expected), 0, atol=1e-7
    )


def test_segmentation_does_not_depend_on_the_equivalent_a_vendor_wrote(polycrystal):
    m = as_map(polycrystal)
    plain, disturbed = (ms.segment(x, THRESHOLD) for x in (m, disturb(m, 1)))
    np.testing.assert_array_equal(plain.grain, disturbed.grain)
    np.testing.assert_allclose(plain.orientation, disturbed.orientation, atol=1e-12)


def test_the_grain_orientation_is_the_mean_of_noisy_points(polycrystal):
    m, spread = as_map(polycrystal), 0.01
    noisy = jax.vmap(lambda k, q: rotations.random_near(k, q, spread))(
        jax.random.split(KEY, m.grid.size), m.quaternion.reshape(-1, 4)
    )
    noisy = replaced(m, quaternion=noisy.reshape(m.quaternion.shape))
    found = ms.segment(disturb(noisy, 2), THRESHOLD)
    np.testing.assert_array_equal(
        found.grain, first_seen(np.asarray(m.quaternion[..., 0]))
    )
    clean_mean = ms.segment(m, THRESHOLD).orientation
    counts = np.bincount(np.asarray(found.grain).ravel())
    error = np.asarray(angles_between(found.orientation, clean_mean))
    # The error of a mean of n has about sqrt(3 / n) spread per grain; 3 sigma more.
    assert (error < 3 * spread * np.sqrt(3 / counts)).all()


def test_grains_of_two_phases_do_not_merge_though_they_are_parallel():
    grid = Grid((8, 6), (8.0, 6.0))
    phase = jnp.zeros((8, 6), int).at[4:].set(1)
    q = jnp.tile(rotations.identity(), (8, 6, 1))
    phases = (Phase("Ti", "6/mmm"), Phase("Fe", "m-3m"))
    m = OrientationMap(grid, q, phase, phases, jnp.ones((8, 6)))
    found = ms.segment(m, THRESHOLD)
    np.testing.assert_array_equal(found.grain, phase)
    np.testing.assert_array_equal(found.phase, phase)


def test_a_boundary_below_the_threshold_is_no_boundary():
    tilt = np.radians(4.0)
    q = jax.vmap(lambda a: rotations.from_axis_angle(jnp.array([0.0, 0, 1]), a))(
        jnp.array([0.0, tilt])
    )
    q = jnp.repeat(q, 3, axis=0)[:, None] * jnp.ones((6, 4, 1))
    m = OrientationMap(
        Grid((6, 4), (6.0, 4.0)), q, jnp.zeros((6, 4), int), NICKEL, jnp.ones((6, 4))
    )
    assert ms.segment(m, np.radians(3.9)).num_grains == 2
    merged = ms.segment(m, np.radians(4.1))
    assert merged.num_grains == 1
    middle = rotations.from_axis_angle(jnp.array([0.0, 0, 1]), tilt / 2)
    np.testing.assert_allclose(merged.orientation[0], middle, atol=1e-12)


def test_isolated_unindexed_points_are_filled_exactly():
    grid = Grid((40, 40), (40.0, 40.0))
    truth = ms.voronoi(KEY, grid, 6, periodic=False)
    m = as_map(truth)
    grain = np.asarray(truth.grain)
    same = np.ones(grain.shape, bool)  # all four neighbours in the same grain
    for axis in (0, 1):
        for step in (1, -1):
            same &= np.roll(grain, step, axis) == grain
    holes = np.zeros(grain.shape, bool)
    holes[2:-2:4, 2:-2:4] = True
    holes &= same
    assert holes.sum() > 40
    broken = replaced(
        m,
        quaternion=jnp.where(holes[..., None], jnp.nan, m.quaternion),
        phase=jnp.where(holes, -1, m.phase),
        confidence=jnp.where(holes, -1.0, 1.0),
    )
    healed = ms.clean(broken)
    np.testing.assert_array_equal(healed.quaternion, m.quaternion)
    np.testing.assert_array_equal(healed.phase, m.phase)
    np.testing.assert_array_equal(healed.confidence, broken.confidence)


def test_a_large_hole_is_closed_from_its_rim_and_cleaning_again_changes_nothing():
    m = as_map(ms.voronoi(KEY, Grid((30, 30), (1.0, 1.0)), 5, periodic=False))
    broken = replaced(m, phase=m.phase.at[5:25, 8:22].set(-1))
    healed = ms.clean(broken)
    assert (np.asarray(healed.phase) == 0).all()
    outside = np.asarray(broken.phase) == 0
    np.testing.assert_array_equal(
        np.asarray(healed.quaternion)[outside], np.asarray(m.quaternion)[outside]
    )
    again = ms.clean(healed)
    np.testing.assert_array_equal(again.quaternion, healed.quaternion)


def test_a_speck_takes_the_orientation_around_it():
    m = as_map(ms.voronoi(KEY, Grid((30, 30), (1.0, 1.0)), 2, periodic=False))
    spoiled = replaced(m, quaternion=m.quaternion.at[3, 3].set(rotations.identity()))
    assert ms.segment(spoiled, THRESHOLD).num_grains == 3
    np.testing.assert_array_equal(ms.clean(spoiled).quaternion, m.quaternion)
    kept = ms.clean(spoiled, min_points=1)
    np.testing.assert_array_equal(kept.quaternion, spoiled.quaternion)


def test_a_map_of_nothing_but_specks_is_left_as_it_is():
    grid = Grid((6, 5), (1.0, 1.0))
    q = ms.uniform_texture(KEY, 30).reshape(6, 5, 4)
    m = OrientationMap(grid, q, jnp.zeros((6, 5), int), NICKEL, jnp.ones((6, 5)))
    np.testing.assert_array_equal(ms.clean(m).quaternion, q)
    assert ms.segment(m, THRESHOLD).num_grains == 30


BAD = {
    "nothing indexed": (
        lambda m: replaced(m, phase=m.phase - 1),
        r"no point of the map is indexed \(all 42 have phase -1\)",
    ),
    "nan": (
        lambda m: replaced(m, quaternion=m.quaternion.at[1, 2].set(jnp.nan)),
        r"\(nan, nan, nan, nan\) at index \(1, 2\)",
    ),
    "zero": (
        lambda m: replaced(m, quaternion=m.quaternion.at[0, 3].set(0.0)),
        r"\(0, 0, 0, 0\) at index \(0, 3\)",
    ),
    "not unit": (
        lambda m: replaced(m, quaternion=3 * m.quaternion),
        "not a unit quaternion; divide",
    ),
    "unknown phase": (
        lambda m: replaced(m, phase=m.phase.at[2, 2].set(4)),
        r"`phase` is 4 at index \(2, 2\)",
    ),
    "phase below -1": (
        lambda m: replaced(m, phase=m.phase.at[2, 2].set(-2)),
        r"`phase` is -2 at index \(2, 2\)",
    ),
    "unknown Laue group": (
        lambda m: replaced(m, phases=(Phase("Ni", "cubic"),)),
        "`laue` is 'cubic'",
    ),
}


@pytest.mark.parametrize("function", [ms.clean, lambda m: ms.segment(m, THRESHOLD)])
@pytest.mark.parametrize(("spoil", "message"), BAD.values(), ids=BAD)
def test_a_map_that_cannot_be_used_is_told_in_a_sentence(function, spoil, message):
    m = as_map(ms.voronoi(KEY, Grid((7, 6), (1.0, 1.0)), 2))
    with pytest.raises(JaxmatError, match=message):
        function(spoil(m))


def test_options_that_make_no_sense_are_told_in_a_sentence():
    m = as_map(ms.voronoi(KEY, Grid((7, 6), (1.0, 1.0)), 2))
    with pytest.raises(JaxmatError, match="`threshold` is 5"):  # degrees
        ms.segment(m, 5.0)
    with pytest.raises(JaxmatError, match="`threshold` is nan"):
        ms.segment(m, float("nan"))
    with pytest.raises(JaxmatError, match="`min_points` is 0"):
        ms.clean(m, min_points=0)
    hole = replaced(m, phase=m.phase.at[2, 2].set(-1))
    with pytest.raises(JaxmatError, match="1 of 42 points of the map are not indexed"):
        ms.segment(hole, THRESHOLD)


def test_segmentation_runs_in_single_precision():
    with jax.enable_x64(False):
        m = as_map(ms.voronoi(KEY, Grid((20, 20), (1.0, 1.0)), 5, periodic=False))
        found = ms.segment(ms.clean(m), THRESHOLD)
    assert found.orientation.dtype == jnp.float32
    assert found.num_grains == 5


GOOD = [(1.0, 0, 0, 0), (0.6, 0.8, 0, 0), (0.5, 0.5, 0.5, -0.5), (0, 0, 0, -1.0)]
SPECIAL = [(0.0, 0, 0, 0), (np.nan, 1, 0, 0), (np.inf, 0, 0, 0), (2.0, 0, 0, 0)]


@settings(max_examples=50, deadline=None)
@given(
    shape=st.sampled_from([(2, 2), (3, 5), (2, 3, 2)]),
    q=st.lists(st.sampled_from(GOOD * 10 + SPECIAL), min_size=15, max_size=15),
    phase=st.lists(st.sampled_from([-1, 0, 1]), min_size=15, max_size=15),
    min_points=st.integers(1, 4),
)
def test_any_map_gives_valid_grains_or_a_sentence(shape, q, phase, min_points):
    size = int(np.prod(shape))
    m = OrientationMap(
        Grid(shape, tuple(map(float, shape))),
        jnp.asarray(np.array(q[:size]).reshape(*shape, 4)),
        jnp.asarray(np.array(phase[:size]).reshape(shape)),
        (Phase("Ti", "6/mmm"), Phase("Fe", "m-3m")),
        jnp.asarray(np.full(shape, np.nan)),
    )
    try:
        cleaned = ms.clean(m, min_points=min_points)
    except JaxmatError:
        bad = ~np.isclose(np.linalg.norm(q[:size], axis=1), 1)
        indexed = np.array(phase[:size]) >= 0
        assert (bad & indexed).any() or not indexed.any()
        return
    found = ms.check_microstructure(ms.segment(cleaned, THRESHOLD))
    assert len(np.unique(found.grain)) == found.num_grains
