"""Rotations: conventions against outside programs, round trips, gradients, sampling."""

from functools import partial

import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import pytest
from jax.test_util import check_grads
from scipy import stats
from scipy.spatial.transform import Rotation

from jaxmat import rotations
from jaxmat._check import JaxmatError

HALF = np.sqrt(0.5)
SPECIAL = np.array(
    [
        [1.0, 0.0, 0.0, 0.0],  # identity
        [0.0, 1.0, 0.0, 0.0],  # half turns
        [0.0, 0.0, 1.0, 0.0],
        [0.0, 0.0, 0.0, 1.0],
        [0.0, HALF, -HALF, 0.0],
        [HALF, 0.0, 0.0, HALF],  # quarter turns
        [HALF, HALF, 0.0, 0.0],
        [0.5, 0.5, 0.5, 0.5],  # third of a turn
        [1.0, 1e-9, -2e-9, 1e-9],  # nearly the identity
        [1e-9, 0.6, 0.0, 0.8],  # nearly a half turn
        [0.6, 1e-9, 0.0, 0.8],  # nearly gimbal-locked
    ]
)

CONVERSIONS = {
    "matrix": (rotations.to_matrix, rotations.from_matrix),
    "euler": (rotations.to_euler_bunge, rotations.from_euler_bunge),
    "axis angle": (
        rotations.to_axis_angle,
        lambda pair: rotations.from_axis_angle(*pair),
    ),
    "rotation vector": (rotations.to_rotation_vector, rotations.from_rotation_vector),
    "rodrigues": (rotations.to_rodrigues, rotations.from_rodrigues),
    "homochoric": (rotations.to_homochoric, rotations.from_homochoric),
}
conversion = pytest.mark.parametrize(
    ("to", "back"), CONVERSIONS.values(), ids=CONVERSIONS.keys()
)


@partial(jax.jit, static_argnums=0)
def draws(num, seed=0):
    keys = jax.random.split(jax.random.key(seed), num)
    return jax.vmap(rotations.random_uniform)(keys)


def scipy_rotation(q):
    return Rotation.from_quat(np.asarray(q), scalar_first=True)


def assert_same_rotation(p, q, atol):
    p, q = np.atleast_2d(p), np.atleast_2d(q)
    sign = np.sign(np.sum(p * q, axis=1, keepdims=True))
    np.testing.assert_allclose(sign * p, q, rtol=0, atol=atol)


def test_bunge_matrix_is_the_transpose_of_ours():
    euler = np.array([0.3, 0.7, 1.9])
    c1, c, c2 = np.cos(euler)
    s1, s, s2 = np.sin(euler)
    bunge = np.array(  # Bunge (1982), equation 2.50: sample -> crystal
        [
            [c1 * c2 - s1 * s2 * c, s1 * c2 + c1 * s2 * c, s2 * s],
            [-c1 * s2 - s1 * c2 * c, -s1 * s2 + c1 * c2 * c, c2 * s],
            [s1 * s, -c1 * s, c],
        ]
    )
    r = rotations.to_matrix(rotations.from_euler_bunge(jnp.asarray(euler)))
    np.testing.assert_allclose(r, bunge.T, atol=1e-15)


def test_damask_has_our_quaternion_and_orix_the_conjugate():
    # damask 3.1.0 Rotation.from_Euler_angles, orix 0.15.0 Rotation.from_euler
    q = rotations.from_euler_bunge(jnp.array([0.3, 0.7, 1.9]))
    v = np.array([0.2388992030746455, -0.2459798307342598, 0.8371758755304612])
    damask, orix = [0.4260958191205938, *v], [0.4260958191205938, *(-v)]
    np.testing.assert_allclose(q, damask, atol=1e-15)
    np.testing.assert_allclose(rotations.conjugate(q), orix, atol=1e-15)


def test_a_quarter_turn_about_z_carries_the_crystal_x_axis_to_sample_y():
    q = rotations.from_euler_bunge(jnp.array([np.pi / 2, 0.0, 0.0]))
    v = rotations.rotate(q, jnp.array([1.0, 0.0, 0.0]))
    np.testing.assert_allclose(v, [0.0, 1.0, 0.0], atol=1e-15)


def test_conversions_agree_with_scipy():
    q = draws(200)
    ours = [jax.jit(jax.vmap(f)) for f in (rotations.to_matrix, rotations.angle)]
    other = scipy_rotation(q)
    np.testing.assert_allclose(ours[0](q), other.as_matrix(), atol=1e-14)
    np.testing.assert_allclose(ours[1](q), other.magnitude(), atol=1e-14)
    vector = jax.jit(jax.vmap(rotations.to_rotation_vector))(q)
    np.testing.assert_allclose(vector, other.as_rotvec(), atol=1e-13)
    # scipy's modified Rodrigues is tan(angle/4); the classical one is 2 m/(1 - m^2)
    m = other.as_mrp()
    rodrigues = 2 * m / (1 - np.sum(m**2, axis=1, keepdims=True))
    mine = jax.jit(jax.vmap(rotations.to_rodrigues))(q)
    np.testing.assert_allclose(mine, rodrigues, rtol=1e-9)
    euler = np.asarray(jax.jit(jax.vmap(rotations.to_euler_bunge))(q))
    intrinsic = Rotation.from_euler("ZXZ", euler)  # capitals: about the moved axes
    assert_same_rotation(intrinsic.as_quat(scalar_first=True), q, atol=1e-14)


def test_product_rotates_by_the_second_factor_first():
    p, q = draws(50, seed=1), draws(50, seed=2)
    ours = jax.jit(jax.vmap(rotations.multiply))(p, q)
    other = scipy_rotation(p) * scipy_rotation(q)
    assert_same_rotation(ours, other.as_quat(scalar_first=True), atol=1e-14)
    inverse = jax.vmap(rotations.multiply)(jax.vmap(rotations.conjugate)(q), q)
    assert_same_rotation(inverse, np.tile(rotations.identity(), (50, 1)), atol=1e-15)


@conversion
def test_every_conversion_goes_there_and_back(to, back):
    q = draws(500)
    again = jax.jit(jax.vmap(lambda q: back(to(q))))(q)
    assert_same_rotation(again, q, atol=1e-13)
    assert np.all(again[:, 0] >= 0)


@conversion
def test_special_rotations_go_there_and_back_with_finite_gradients(to, back):
    def there_and_back(q):
        return to(q), back(to(q))

    forms, again = jax.jit(jax.vmap(there_and_back))(SPECIAL)
    assert_same_rotation(again, SPECIAL, atol=1e-14)
    for derivative in (jax.jacfwd, jax.jacrev):
        slopes = jax.jit(jax.vmap(derivative(there_and_back)))(SPECIAL)
        assert all(np.all(np.isfinite(s)) for s in jax.tree.leaves((forms, slopes)))


@conversion
def test_conversions_have_the_derivatives_of_finite_differences(to, back):
    to, back = jax.jit(jax.vmap(to)), jax.jit(jax.vmap(back))
    q = draws(3, seed=5)
    # central differences of 1e-6 are good to about 1e-9 relative
    check_grads(to, (q,), 1, ["fwd", "rev"], rtol=1e-6, eps=1e-6)
    check_grads(back, (to(q),), 1, ["fwd", "rev"], rtol=1e-6, eps=1e-6)


@pytest.mark.parametrize("name", ["rotation vector", "homochoric", "rodrigues"])
def test_vectors_of_a_rotation_are_smooth_through_the_identity(name):
    to, back = CONVERSIONS[name]
    slope = {"rotation vector": 1.0, "homochoric": 0.5, "rodrigues": 0.5}[name]
    jacobian = jax.jit(jax.jacrev(back))(jnp.zeros(3))
    np.testing.assert_allclose(jacobian[1:], 0.5 / slope * np.eye(3), atol=1e-15)
    jacobian = jax.jit(jax.jacrev(to))(rotations.identity())
    np.testing.assert_allclose(jacobian[:, 1:], 2 * slope * np.eye(3), atol=1e-15)


@pytest.mark.parametrize("scale", [0.99e-3, 1.01e-3, 1e-5])
def test_the_series_for_small_rotations_continues_the_closed_form(scale):
    v = scale * jnp.array([0.6, 0.0, -0.8])
    q = rotations.from_rotation_vector(v)
    exact = scipy_rotation(q).as_rotvec()
    np.testing.assert_allclose(exact, v, rtol=1e-12)
    np.testing.assert_allclose(rotations.to_rotation_vector(q), v, rtol=1e-12)


def test_euler_angles_stay_in_their_ranges():
    q = jnp.concatenate([SPECIAL, -SPECIAL, draws(1000)])
    phi1, phi, phi2 = jax.jit(jax.vmap(rotations.to_euler_bunge))(q).T
    for angle in (phi1, phi2):
        assert angle.min() >= 0
        assert angle.max() < 2 * np.pi
    assert phi.min() >= 0
    assert phi.max() <= np.pi


@pytest.mark.parametrize("phi", [0.0, np.pi])
def test_at_gimbal_lock_the_whole_turn_goes_to_phi1(phi):
    euler = jnp.array([0.4, phi, 0.9])
    q = rotations.from_euler_bunge(euler)
    found = jax.jit(rotations.to_euler_bunge)(q)
    turn = 1.3 if phi == 0 else 2 * np.pi - 0.5
    np.testing.assert_allclose(found, [turn, phi, 0.0], atol=1e-15)


def test_a_negative_rounding_error_does_not_wrap_to_a_full_turn():
    euler = rotations.to_euler_bunge(jnp.array([1.0, 0.1, 0.0, -1e-20]))
    assert np.all(np.asarray(euler) < 6)


def test_homochoric_length_is_the_closed_form():
    for turn in (0.1, 1.0, 2.5, np.pi):
        q = rotations.from_axis_angle(jnp.array([0.0, 3.0, 0.0]), turn)
        h = rotations.to_homochoric(q)
        length = np.cbrt(0.75 * (turn - np.sin(turn)))
        np.testing.assert_allclose(h, [0.0, length, 0.0], rtol=1e-14)


def test_the_angle_has_finite_gradients_where_it_has_kinks():
    gradient = jax.jit(jax.grad(rotations.angle))
    np.testing.assert_array_equal(gradient(rotations.identity()), np.zeros(4))
    half_turn = gradient(jnp.array([0.0, 0.6, 0.8, 0.0]))
    np.testing.assert_allclose(half_turn, [-2.0, 0.0, 0.0, 0.0], atol=1e-15)


def test_a_zero_quaternion_gives_nan_and_not_a_rotation():
    for to, _ in CONVERSIONS.values():
        assert np.any(np.isnan(jax.tree.leaves(to(jnp.zeros(4)))[0]))


def test_uniform_rotations_fill_the_homochoric_ball_uniformly():
    num = 4000
    h = np.asarray(jax.jit(jax.vmap(rotations.to_homochoric))(draws(num, seed=7)))
    volume = np.linalg.norm(h, axis=1) ** 3 / (3 * np.pi / 4)
    assert stats.kstest(volume, "uniform").pvalue > 1e-3
    # each component of the axis of a uniform direction is uniform in [-1, 1]
    axis = h / np.linalg.norm(h, axis=1, keepdims=True)
    for component in axis.T:
        assert stats.kstest(component, "uniform", (-1, 2)).pvalue > 1e-3


def test_uniform_rotations_have_the_moments_of_the_haar_measure():
    r = np.asarray(jax.vmap(rotations.to_matrix)(draws(20000, seed=3)))
    trace = np.trace(r, axis1=1, axis2=2)
    # characters of SO(3): <tr> = 0, <tr^2> = 1, <tr^3> = 1; four standard errors
    for power, exact in ((1, 0), (2, 1), (3, 1)):
        sample = trace**power
        error = sample.std() / np.sqrt(sample.size)
        assert abs(sample.mean() - exact) < 4 * error


def test_rotations_drawn_near_one_are_maxwell_distributed():
    q, spread = draws(1)[0], 0.05
    keys = jax.random.split(jax.random.key(1), 3000)
    near = jax.jit(jax.vmap(lambda k: rotations.random_near(k, q, spread)))(keys)
    delta = jax.vmap(lambda p: rotations.multiply(rotations.conjugate(q), p))(near)
    turn = np.asarray(jax.vmap(rotations.angle)(delta))
    assert stats.kstest(turn, stats.maxwell(scale=spread).cdf).pvalue > 1e-3


def test_an_ideal_fibre_puts_the_crystal_direction_along_the_sample_direction():
    crystal, sample = jnp.array([1.0, 1.0, 1.0]), jnp.array([0.0, 0.0, 2.0])
    keys = jax.random.split(jax.random.key(2), 2000)

    def draw(k):
        return rotations.random_fibre(k, crystal, sample, 0.0)

    q = jax.jit(jax.vmap(draw))(keys)
    along = jax.vmap(rotations.rotate, (0, None))(q, crystal / jnp.sqrt(3.0))
    np.testing.assert_allclose(along, np.tile([0.0, 0.0, 1.0], (2000, 1)), atol=1e-14)
    other = np.asarray(jax.vmap(rotations.rotate, (0, None))(q, jnp.array([1.0, 0, 0])))
    azimuth = np.arctan2(other[:, 1], other[:, 0])
    assert stats.kstest(azimuth, "uniform", (-np.pi, 2 * np.pi)).pvalue > 1e-3


def test_a_spread_fibre_tilts_by_a_rayleigh_distributed_angle():
    crystal, sample = jnp.array([0.0, 0.0, 1.0]), jnp.array([1.0, -2.0, 0.5])
    keys = jax.random.split(jax.random.key(3), 3000)

    def draw(k):
        return rotations.random_fibre(k, crystal, sample, 0.02)

    q = jax.jit(jax.vmap(draw))(keys)
    along = np.asarray(jax.vmap(rotations.rotate, (0, None))(q, crystal))
    cross = np.cross(along, sample / np.linalg.norm(sample))
    tilt = np.arcsin(np.linalg.norm(cross, axis=1))
    assert stats.kstest(tilt, stats.rayleigh(scale=0.02).cdf).pvalue > 1e-3


@pytest.mark.parametrize("crystal", [[0.0, 0.0, 1.0], [0.0, 0.0, -1.0]])
def test_a_fibre_is_found_also_for_equal_and_opposite_directions(crystal):
    crystal, sample = jnp.array(crystal), jnp.array([0.0, 0.0, -1.0])
    q = rotations.random_fibre(jax.random.key(0), crystal, sample, 0.0)
    np.testing.assert_allclose(rotations.rotate(q, crystal), sample, atol=1e-15)


def test_draws_are_differentiable_in_their_spread():
    q, key = draws(1)[0], jax.random.key(4)
    near = jax.jit(lambda spread, q: rotations.random_near(key, q, spread))
    check_grads(near, (0.1, q), 1, ["fwd", "rev"], rtol=1e-6, eps=1e-6)
    a, b = jnp.array([1.0, 1.0, 0.2]), jnp.array([0.1, 0.5, 2.0])
    fibre = jax.jit(lambda s, a, b: rotations.random_fibre(key, a, b, s))
    check_grads(fibre, (0.1, a, b), 1, ["fwd", "rev"], rtol=1e-6, eps=1e-6)


@conversion
def test_single_precision_stays_single(to, back):
    q = draws(20).astype(jnp.float32)
    form = jax.jit(jax.vmap(to))(q)
    assert all(leaf.dtype == jnp.float32 for leaf in jax.tree.leaves(form))
    again = jax.jit(jax.vmap(back))(form)
    assert again.dtype == jnp.float32
    assert_same_rotation(again, q, atol=1e-5)  # a few rounding errors of 1e-7
    near = rotations.random_near(jax.random.key(0), q[0], 0.1)
    fibre = rotations.random_fibre(jax.random.key(0), q[0, 1:], q[1, 1:], 0.1)
    assert near.dtype == fibre.dtype == jnp.float32


def test_a_batch_passed_at_once_is_refused_in_one_sentence(monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # as for a user
    batch = jnp.ones((5, 4))
    with pytest.raises(JaxmatError, match=r"`q` has shape \(5, 4\).*jax\.vmap"):
        rotations.to_euler_bunge(batch)
    with pytest.raises(JaxmatError, match=r"`v` has shape \(4,\).*jax\.vmap"):
        rotations.from_rodrigues(batch[0])
