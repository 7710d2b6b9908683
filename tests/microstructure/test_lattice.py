from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from jaxmat import microstructure as ms
from jaxmat import rotations, symmetry
from jaxmat._check import JaxmatError
from jaxmat.microstructure import Grid, OrientationMap, Phase

KEY = jax.random.key(2)
NICKEL = (Phase("Ni", "m-3m"),)
BURGERS = 2.49e-4  # um
X, _, Z = np.eye(3)
random_uniform = jax.jit(rotations.random_uniform)


@jax.jit
def turned_lattice(angles, axis, start):
    turns = jax.vmap(rotations.from_axis_angle, (None, 0))(axis, angles)
    return jax.vmap(rotations.multiply, (0, None))(turns, start)


def bent(shape, spacing, along, axis, kappa, *, start=None):
    """A crystal whose lattice turns about `axis` by `kappa` per um along `along`."""
    grid = Grid(shape, tuple(n * h for n, h in zip(shape, spacing, strict=True)))
    mesh = np.meshgrid(*grid.centres(), indexing="ij")
    angle = jnp.asarray(kappa * mesh[along].ravel())
    start = rotations.identity() if start is None else start
    q = turned_lattice(angle, jnp.asarray(axis), start)
    return OrientationMap(
        grid,
        q.reshape(*shape, 4),
        jnp.zeros(shape, int),
        NICKEL,
        jnp.ones(shape),
    )


def replaced(m, **changes):
    fields = ("grid", "quaternion", "phase", "phases", "confidence")
    return OrientationMap(*(changes.get(name, getattr(m, name)) for name in fields))


kam = eqx.filter_jit(ms.kernel_average_misorientation)
nye = eqx.filter_jit(ms.nye_tensor)
gnd = eqx.filter_jit(ms.gnd_density)


@eqx.filter_jit
def bending(m):
    return ms.lattice_curvature(m), ms.nye_tensor(m), ms.gnd_density(m, 1.0)


@pytest.mark.parametrize("shape", [(7, 6), (4, 5, 3)])
def test_a_perfect_crystal_has_no_local_misorientation_and_no_dislocations(shape):
    q = random_uniform(KEY)
    m = bent(shape, (1.0,) * len(shape), 0, Z, 0.0, start=q)
    np.testing.assert_allclose(kam(m), 0, atol=1e-12)
    np.testing.assert_allclose(gnd(m, BURGERS), 0, atol=1e-9 / BURGERS)


def test_the_kam_of_a_tilt_ramp_is_the_step_weighted_by_the_neighbours_that_see_it():
    step = 0.01
    m = bent((6, 5), (1.0, 1.0), 0, Z, step, start=random_uniform(KEY))
    # inside: two of four neighbours; on the edges x = const: one of three
    expected = np.full((6, 5), step / 2)
    expected[[0, -1], :] = step / 3
    expected[:, [0, -1]] = 2 * step / 3
    expected[np.ix_([0, -1], [0, -1])] = step / 2
    np.testing.assert_allclose(kam(m), expected, rtol=1e-9)


@pytest.mark.parametrize("spacing", [(1.0, 1.0), (0.5, 0.2)])
def test_a_constant_curvature_needs_kappa_over_b_dislocations(spacing):
    kappa = 0.02  # rad/um
    start = random_uniform(KEY)
    m = bent((8, 5), spacing, 0, Z, kappa, start=start)
    np.testing.assert_allclose(gnd(m, BURGERS), kappa / BURGERS, rtol=1e-9)
    # Edge dislocations with lines along z and Burgers vectors along x.
    expected = np.zeros((3, 3))
    expected[0, 2] = kappa
    np.testing.assert_allclose(
        nye(m), np.broadcast_to(expected, (8, 5, 3, 3)), atol=1e-12
    )


@pytest.mark.parametrize("along", [0, 1, 2])
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_nyes_tensor_of_uniform_bending_and_torsion(along, axis):
    kappa = np.zeros((3, 3))
    kappa[axis, along] = 0.03
    m = bent((3, 4, 3), (1.0, 0.5, 2.0), along, np.eye(3)[axis], 0.03)
    expected = kappa.T - np.trace(kappa) * np.eye(3)
    curvature, alpha, density = bending(m)
    np.testing.assert_allclose(curvature - kappa, 0, atol=1e-12)
    np.testing.assert_allclose(alpha - expected, 0, atol=1e-12)
    np.testing.assert_allclose(density, np.abs(expected).sum(), rtol=1e-9)


def test_the_curvature_does_not_depend_on_the_equivalent_a_vendor_wrote():
    m = bent((6, 5), (1.0, 1.0), 1, X, 0.02, start=random_uniform(KEY))
    rng = np.random.default_rng(0)
    s = symmetry.operators("m-3m")[rng.integers(24, size=(6, 5))]
    other = replaced(
        m, quaternion=-jax.vmap(jax.vmap(rotations.multiply))(m.quaternion, s)
    )
    np.testing.assert_allclose(nye(other), nye(m), atol=1e-12)
    np.testing.assert_allclose(kam(other), kam(m), atol=1e-12)


def test_a_grain_boundary_is_not_a_curved_lattice():
    m = bent((8, 5), (1.0, 1.0), 0, Z, 0.01)
    turned = bent((8, 5), (1.0, 1.0), 0, Z, 0.01, start=random_uniform(KEY))
    both = jnp.concatenate([m.quaternion[:4], turned.quaternion[4:]])
    pair = replaced(m, quaternion=both)
    np.testing.assert_allclose(gnd(pair, BURGERS), 0.01 / BURGERS, rtol=1e-9)
    assert np.nanmax(kam(pair)) < 0.01


def test_an_unindexed_point_has_no_value_and_spoils_none_around_it():
    m = bent((7, 6), (1.0, 1.0), 0, Z, 0.01)
    hole = replaced(
        m,
        quaternion=m.quaternion.at[3, 2].set(jnp.nan),
        phase=m.phase.at[3, 2].set(-1),
    )
    missing = np.zeros((7, 6), bool)
    missing[3, 2] = True
    np.testing.assert_array_equal(np.isnan(kam(hole)), missing)
    density = gnd(hole, BURGERS)
    np.testing.assert_array_equal(np.isnan(density), missing)
    np.testing.assert_allclose(density[~missing], 0.01 / BURGERS, rtol=1e-9)


def test_each_phase_is_compared_under_its_own_symmetry():
    phases = (Phase("Ti", "6/mmm"), Phase("Ni", "m-3m"))
    quarter, sixth = (
        rotations.from_axis_angle(jnp.asarray(Z), a) for a in (np.pi / 2, np.pi / 3)
    )
    q = jnp.tile(rotations.identity(), (4, 4, 1))
    q = q.at[0, 1].set(sixth).at[3, 1].set(quarter)
    phase = jnp.zeros((4, 4), int).at[2:].set(1)
    m = OrientationMap(Grid((4, 4), (4.0, 4.0)), q, phase, phases, jnp.ones((4, 4)))
    np.testing.assert_allclose(kam(m), 0, atol=1e-12)
    swapped = replaced(m, phase=1 - phase)
    assert np.isnan(kam(swapped)[0, 1])  # a 30 degree boundary on every side


def test_local_misorientation_and_dislocation_density_have_exact_derivatives():
    m = bent((4, 3), (1.0, 1.0), 0, Z, 0.01, start=random_uniform(KEY))
    # The magnitudes have kinks at zero: noise, so that no component is near one.
    noise = 1e-2 * jax.random.normal(KEY, m.quaternion.shape)

    def statistics(quaternion):
        curved = replaced(m, quaternion=quaternion)
        density = ms.gnd_density(curved, BURGERS) * BURGERS
        return jnp.mean(ms.kernel_average_misorientation(curved) + density)

    check_grads(
        jax.jit(statistics),
        (m.quaternion + noise,),
        order=1,
        modes=["fwd", "rev"],
        eps=1e-6,
    )


def test_gradients_stay_finite_in_a_perfect_crystal_with_a_hole():
    m = bent((4, 3), (1.0, 1.0), 0, Z, 0.0)
    phase = m.phase.at[1, 1].set(-1)

    def total(quaternion):
        holed = replaced(m, quaternion=quaternion, phase=phase)
        return jnp.nansum(ms.kernel_average_misorientation(holed)) + jnp.nansum(
            ms.gnd_density(holed, BURGERS)
        )

    gradient = jax.jit(jax.grad(total))(m.quaternion.at[1, 1].set(jnp.nan))
    assert np.isfinite(gradient).all()


def test_maps_can_be_batched_and_single_precision_stays():
    m = bent((4, 3), (1.0, 1.0), 0, Z, 0.01)
    batch = jnp.stack([m.quaternion, m.quaternion[::-1]])
    density = jax.jit(
        jax.vmap(lambda q: ms.gnd_density(replaced(m, quaternion=q), BURGERS))
    )
    np.testing.assert_allclose(density(batch), 0.01 / BURGERS, rtol=1e-9)
    single = replaced(m, quaternion=m.quaternion.astype(jnp.float32))
    assert kam(single).dtype == jnp.float32
    assert gnd(single, BURGERS).dtype == jnp.float32


def test_a_burgers_vector_must_have_a_length():
    m = bent((4, 3), (1.0, 1.0), 0, Z, 0.01)
    with pytest.raises(JaxmatError, match="`burgers` is 0"):
        ms.gnd_density(m, 0.0)


def test_grains_without_texture_have_mackenzies_distribution():
    m = ms.voronoi(KEY, Grid((60,) * 3, (1.0,) * 3), 3000)
    edges = np.radians(np.arange(0, 65, 5.0))
    density = ms.misorientation_distribution(m, "m-3m", edges)
    assert np.sum(density * np.diff(edges)) == pytest.approx(1.0)
    found = ms.boundaries(m, "m-3m")
    assert np.degrees(found.angle.max()) < 62.8  # the largest a pair of cubes can have
    # Mackenzie's mean; and up to 45 degrees, where no zone face is reached and each of
    # the 24 balls counts fully, the distribution function 24 (w - sin w) / pi.
    count = len(found.angle)
    for limit in np.radians([15.0, 30.0, 45.0]):
        expected = 24 * (limit - np.sin(limit)) / np.pi
        noise = np.sqrt(expected * (1 - expected) / count)
        assert (found.angle < limit).mean() == pytest.approx(expected, abs=6 * noise)
    assert np.degrees(found.angle.mean()) == pytest.approx(40.736, abs=0.4)


def test_boundary_area_counts_every_face_between_two_grains_once():
    grain = jnp.zeros((6, 4), int).at[2:4].set(1)
    orientation = jax.vmap(partial(rotations.from_axis_angle, jnp.asarray(Z)))(
        jnp.array([0.0, 0.3])
    )
    m = ms.Microstructure(Grid((6, 4), (3.0, 8.0)), grain, grain * 0, orientation)
    found = ms.boundaries(m, "m-3m")
    np.testing.assert_array_equal(found.grains, [[0, 1]])
    np.testing.assert_allclose(found.area, [2 * 8.0])  # two walls across 8 um
    np.testing.assert_allclose(found.angle, [0.3], rtol=1e-12)
    cut = ms.Microstructure(m.grid, jnp.roll(grain, 2, 0), m.phase, orientation)
    np.testing.assert_allclose(ms.boundaries(cut, "m-3m", periodic=False).area, [8.0])


def test_misorientations_need_a_laue_group_per_phase_and_a_boundary():
    grain = jnp.zeros((4, 4), int).at[2:].set(1)
    grid = Grid((4, 4), (1.0, 1.0))
    m = ms.Microstructure(grid, grain, grain, ms.uniform_texture(KEY, 2))
    with pytest.raises(JaxmatError, match="give one Laue group per phase"):
        ms.boundaries(m, "m-3m")
    edges = np.linspace(0, 1.1, 5)
    with pytest.raises(JaxmatError, match="none of the 0 boundaries"):
        ms.misorientation_distribution(m, ("m-3m", "m-3m"), edges)
