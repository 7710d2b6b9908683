"""Rotations as unit quaternions.

Convention (the only one in the library; vendor conventions live in `jaxmat.io`):

- A quaternion is `(w, x, y, z)`, Hamilton product, `|q| = 1`; `q` and `-q` agree.
- It carries crystal components to sample components: `v_sample = R(q) @ v_crystal`.
  Bunge's passive matrix is the transpose, `g = R(q).T`.
- Angles are in radians. Euler angles are Bunge's (phi1, Phi, phi2).
- A rotation vector, a Rodrigues vector and a homochoric vector all point along the
  axis; they differ in length: omega, tan(omega/2), (3/4 (omega - sin omega))^(1/3).

Gradients are finite for every rotation. Where none exists (the angle at the identity
and at half turns, Euler angles at Phi = 0 and pi) a finite one-sided value or zero
stands in for it.

Every function acts on one rotation; batch with `jax.vmap`.
"""

import math

import jax
import jax.numpy as jnp
from jaxtyping import Array, Key

from jaxmat._check import check_shape
from jaxmat._types import EulerBunge, Matrix, Quaternion, Scalar, Vector, constant

_ONE_ROTATION = "one rotation at a time, batch with jax.vmap"
_ONE_VECTOR = "one vector at a time, batch with jax.vmap"

# 6 (omega - sin omega) / omega^3 as a polynomial in omega^2, highest power first: the
# term left out is below 1e-16 for all omega up to pi.
_CUBIC_RATIO = [6 * (-1) ** k / math.factorial(2 * k + 3) for k in reversed(range(13))]


def identity() -> Quaternion:
    """The rotation that leaves the crystal aligned with the sample."""
    return jnp.array([1.0, 0.0, 0.0, 0.0])


def normalise(q: Quaternion) -> Quaternion:
    """Scale to unit length; a zero quaternion gives NaN, never a made-up rotation."""
    check_shape("q", q, (4,), hint=_ONE_ROTATION)
    return q / jnp.linalg.norm(q)


def conjugate(q: Quaternion) -> Quaternion:
    """The inverse rotation: sample -> crystal, if `q` is crystal -> sample."""
    check_shape("q", q, (4,), hint=_ONE_ROTATION)
    return q * constant([1.0, -1.0, -1.0, -1.0], q)


def multiply(p: Quaternion, q: Quaternion) -> Quaternion:
    """Hamilton product: first rotate by `q`, then by `p`, `R(pq) = R(p) R(q)`."""
    check_shape("p", p, (4,), hint=_ONE_ROTATION)
    check_shape("q", q, (4,), hint=_ONE_ROTATION)
    w = p[0] * q[0] - _dot(p[1:], q[1:])
    v = p[0] * q[1:] + q[0] * p[1:] + jnp.cross(p[1:], q[1:])
    return jnp.concatenate([w[None], v])


def rotate(q: Quaternion, v: Vector) -> Vector:
    """Sample components of a vector given in the crystal frame."""
    check_shape("v", v, (3,), hint=_ONE_VECTOR)
    return jnp.sum(to_matrix(q) * v, axis=1)


def to_matrix(q: Quaternion) -> Matrix:
    """Rotation matrix `R`, crystal -> sample, of a unit quaternion.

    A quaternion that is not of unit length is normalised first, so that an optimiser
    may leave the unit sphere.
    """
    w, x, y, z = normalise(q)
    return jnp.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    )


def from_matrix(r: Matrix) -> Quaternion:
    """Unit quaternion of a rotation matrix `R`, crystal -> sample.

    The largest of the four components is found first, which keeps the value exact and
    the gradient finite for every rotation, half turns included.

    References:
        Shepperd (1978), J. Guidance and Control 1, 223-224.
    """
    check_shape("r", r, (3, 3), hint=_ONE_ROTATION)
    d = jnp.diagonal(r)
    t = jnp.sum(d)
    # Row k of `outer` is 4 q_k q: every row is the quaternion up to its length.
    outer = jnp.array(
        [
            [1 + t, r[2, 1] - r[1, 2], r[0, 2] - r[2, 0], r[1, 0] - r[0, 1]],
            [r[2, 1] - r[1, 2], 1 + 2 * d[0] - t, r[0, 1] + r[1, 0], r[0, 2] + r[2, 0]],
            [r[0, 2] - r[2, 0], r[0, 1] + r[1, 0], 1 + 2 * d[1] - t, r[1, 2] + r[2, 1]],
            [r[1, 0] - r[0, 1], r[0, 2] + r[2, 0], r[1, 2] + r[2, 1], 1 + 2 * d[2] - t],
        ]
    )
    row = outer[jnp.argmax(jnp.diagonal(outer))]
    return _upper(row / jnp.linalg.norm(row))


def from_euler_bunge(euler_bunge: EulerBunge) -> Quaternion:
    """Unit quaternion of Bunge's Euler angles (phi1, Phi, phi2), radians.

    Crystal -> sample, that is `Rz(phi1) Rx(Phi) Rz(phi2)`.

    References:
        Bunge (1982), Texture Analysis in Materials Science.
    """
    check_shape("euler_bunge", euler_bunge, (3,), hint=_ONE_ROTATION)
    phi1, capital_phi, phi2 = euler_bunge
    half_sum, half_difference = (phi1 + phi2) / 2, (phi1 - phi2) / 2
    c, s = jnp.cos(capital_phi / 2), jnp.sin(capital_phi / 2)
    return _upper(
        jnp.array(
            [
                c * jnp.cos(half_sum),
                s * jnp.cos(half_difference),
                s * jnp.sin(half_difference),
                c * jnp.sin(half_sum),
            ]
        )
    )


def to_euler_bunge(q: Quaternion) -> EulerBunge:
    """Bunge's Euler angles (phi1, Phi, phi2) of a crystal -> sample rotation.

    At Phi = 0 and pi only phi1 + phi2 or phi1 - phi2 has a meaning: phi2 is zero there
    and the gradient is the finite one at fixed phi2.

    Returns:
        Radians; phi1 and phi2 in [0, 2 pi), Phi in [0, pi].

    References:
        Bunge (1982), Texture Analysis in Materials Science.
    """
    w, x, y, z = normalise(q)
    c, s = _safe_norm(jnp.array([w, z])), _safe_norm(jnp.array([x, y]))
    flat, turned = s <= _rounding(q), c <= _rounding(q)
    half_sum = _safe_arctan2(z, w, ~turned)
    half_difference = _safe_arctan2(y, x, ~flat)
    half_sum = jnp.where(turned, half_difference, half_sum)
    half_difference = jnp.where(flat, half_sum, half_difference)
    return jnp.array(
        [
            _wrap(half_sum + half_difference),
            2 * jnp.arctan2(s, c),
            _wrap(half_sum - half_difference),
        ]
    )


def angle(q: Quaternion) -> Scalar:
    """Rotation angle in [0, pi], radians.

    The gradient is zero at the identity, where the angle has a kink, and one-sided at
    half turns.
    """
    q = normalise(q)
    return 2 * jnp.arctan2(_safe_norm(q[1:]), jnp.abs(q[0]))


def from_axis_angle(axis: Vector, angle: Scalar | float) -> Quaternion:
    """Unit quaternion of a turn by `angle` (radians) about `axis`.

    The axis is normalised here; a zero axis gives NaN, never a made-up rotation.
    """
    check_shape("axis", axis, (3,), hint=_ONE_VECTOR)
    half = constant(angle, axis) / 2
    unit = axis / jnp.linalg.norm(axis)
    return _upper(jnp.concatenate([jnp.cos(half)[None], jnp.sin(half) * unit]))


def to_axis_angle(q: Quaternion) -> tuple[Vector, Scalar]:
    """Unit axis and angle in [0, pi], radians; the identity has the axis z.

    The gradient of the axis is zero at the identity, where it has none.
    """
    v = _upper(normalise(q))[1:]
    still = _dot(v, v) == 0
    unit = v / jnp.where(still, 1, _safe_norm(v))
    axis = jnp.where(still, constant([0, 0, 1], v), unit)
    return axis, angle(q)


def from_rotation_vector(v: Vector) -> Quaternion:
    """Unit quaternion of a rotation vector (axis times angle, radians); smooth."""
    check_shape("v", v, (3,), hint=_ONE_VECTOR)
    square = _dot(v, v)
    small = square < 1e-6  # the series below are exact to 1e-20 there
    theta = jnp.sqrt(jnp.where(small, 1, square))
    c = jnp.where(small, 1 - square / 8 + square**2 / 384, jnp.cos(theta / 2))
    s = jnp.where(
        small, 0.5 - square / 48 + square**2 / 3840, jnp.sin(theta / 2) / theta
    )
    return _upper(jnp.concatenate([c[None], s * v]))


def to_rotation_vector(q: Quaternion) -> Vector:
    """Rotation vector, axis times angle in [0, pi] (radians); smooth to half turns."""
    w, x, y, z = _upper(normalise(q))
    v = jnp.array([x, y, z])
    square = _dot(v, v)
    small = square < 1e-6  # arctan(s/w)/s by its series, exact to 1e-18 there
    s = jnp.sqrt(jnp.where(small, 1, square))
    t = square / jnp.where(small, w, 1) ** 2
    series = (1 - t / 3 + t**2 / 5) / jnp.where(small, w, 1)
    return 2 * v * jnp.where(small, series, jnp.arctan2(s, w) / s)


def from_rodrigues(v: Vector) -> Quaternion:
    """Unit quaternion of a Rodrigues vector, axis times tan(angle/2)."""
    check_shape("v", v, (3,), hint=_ONE_VECTOR)
    q = jnp.concatenate([jnp.ones_like(v[:1]), v])
    return q / jnp.linalg.norm(q)


def to_rodrigues(q: Quaternion) -> Vector:
    """Rodrigues vector, axis times tan(angle/2).

    A half turn has none: it gets a vector of length 1/(machine epsilon), which
    `from_rodrigues` takes back to the half turn within rounding.
    """
    q = _upper(normalise(q))
    return q[1:] / jnp.maximum(q[0], jnp.finfo(q.dtype).eps)


def from_homochoric(v: Vector) -> Quaternion:
    """Unit quaternion of a homochoric vector, of length up to (3 pi/4)^(1/3).

    The angle is found by Newton's method for its square, which is smooth also at the
    identity; the last step alone carries the gradient, as the implicit function
    theorem has it.
    """
    check_shape("v", v, (3,), hint=_ONE_VECTOR)

    def newton(u: Scalar, square: Scalar) -> Scalar:
        """One step for u = omega^2: |v| = omega/2 cbrt(ratio(u))."""
        length, slope = jax.jvp(
            lambda u: u / 4 * _cubic_ratio(u) ** (2 / 3), (u,), (jnp.ones_like(u),)
        )
        return u - (length - square) / slope

    square = _dot(v, v)
    fixed = jax.lax.stop_gradient(square)
    # quadratic from within 30 %: rounding error after four steps
    u = jax.lax.fori_loop(0, 4, lambda _, u: newton(u, fixed), 4 * fixed)
    u = newton(u, square)
    return from_rotation_vector(2 * v / jnp.cbrt(_cubic_ratio(u)))


def to_homochoric(q: Quaternion) -> Vector:
    """Homochoric (equal-volume) vector: axis times (3/4 (omega - sin omega))^(1/3).

    Uniformly distributed rotations fill the ball of radius (3 pi/4)^(1/3) uniformly.

    References:
        Frank (1988), Metall. Trans. A 19, 403-408.
    """
    v = to_rotation_vector(q)
    return v / 2 * jnp.cbrt(_cubic_ratio(_dot(v, v)))


def random_uniform(key: Key[Array, ""]) -> Quaternion:
    """A rotation drawn uniformly (Haar measure) over all rotations."""
    q = jax.random.normal(key, (4,))
    return _upper(q / jnp.linalg.norm(q))


def random_near(
    key: Key[Array, ""], q: Quaternion, spread: Scalar | float
) -> Quaternion:
    """A rotation drawn near `q`.

    The rotation vector from `q` to the draw is Gaussian and isotropic with standard
    deviation `spread` for each of its three components, so that the angle between the
    two is Maxwell-distributed with mean `2 sqrt(2/pi) spread`, about 1.6 `spread`.

    Args:
        key: random key.
        q: centre of the distribution.
        spread: radians, small against pi.

    Returns:
        Unit quaternion, crystal -> sample.
    """
    q = normalise(q)
    v = constant(spread, q) * jax.random.normal(key, (3,), q.dtype)
    return _upper(multiply(q, from_rotation_vector(v)))


def random_fibre(
    key: Key[Array, ""],
    crystal_direction: Vector,
    sample_direction: Vector,
    spread: Scalar | float,
) -> Quaternion:
    """A rotation drawn from a fibre: a crystal direction lies along a sample direction.

    The turn about the fibre axis is uniform; then the whole crystal is disturbed as in
    `random_near`, so that the crystal direction is tilted from the sample direction by
    a Rayleigh-distributed angle with mean `sqrt(pi/2) spread`.

    Args:
        key: random key.
        crystal_direction: Cartesian components in the crystal frame, any length.
        sample_direction: components in the sample frame, any length.
        spread: radians; zero for the ideal fibre.

    Returns:
        Unit quaternion, crystal -> sample.
    """
    key_turn, key_tilt = jax.random.split(key)
    to_sample, to_crystal = _frame(sample_direction), _frame(crystal_direction)
    align = multiply(from_matrix(to_sample), conjugate(from_matrix(to_crystal)))
    turn = jax.random.uniform(key_turn, (), align.dtype, 0.0, 2 * math.pi)
    about = from_axis_angle(sample_direction, turn)
    return random_near(key_tilt, multiply(about, align), spread)


def _dot(a: Array, b: Array) -> Scalar:
    """Inner product; a GPU would round the factors of `jnp.dot` to ten bits."""
    return jnp.sum(a * b)


def _upper(q: Quaternion) -> Quaternion:
    """Of `q` and `-q` the one with w >= 0."""
    return jnp.where(q[0] < 0, -q, q)


def _rounding(like: Array) -> float:
    """What a component of a unit vector may be off by after a few operations."""
    return 4 * float(jnp.finfo(like.dtype).eps)


def _safe_norm(v: Array) -> Scalar:
    """Length of a vector with gradient zero, not NaN, where it vanishes."""
    square = _dot(v, v)
    positive = square > 0
    return jnp.where(positive, jnp.sqrt(jnp.where(positive, square, 1)), 0 * square)


def _safe_arctan2(y: Scalar, x: Scalar, defined: Array) -> Scalar:
    """Angle of (x, y) where `defined`; elsewhere zero, with a finite gradient."""
    return jnp.arctan2(jnp.where(defined, y, 0), jnp.where(defined, x, 1))


def _wrap(angle: Scalar) -> Scalar:
    """Into [0, 2 pi), also where rounding would give 2 pi itself."""
    turn = 2 * math.pi
    wrapped = jnp.mod(angle, turn)
    return jnp.where(wrapped >= turn, 0 * wrapped, wrapped)


def _cubic_ratio(square: Scalar) -> Scalar:
    """`6 (omega - sin omega) / omega^3` of `square = omega^2` in [0, pi^2]."""
    ratio = jnp.zeros_like(square)
    for coefficient in _CUBIC_RATIO:
        ratio = ratio * square + coefficient
    return ratio


def _frame(direction: Vector) -> Matrix:
    """A rotation matrix whose third column is along `direction`."""
    check_shape("direction", direction, (3,), hint=_ONE_VECTOR)
    n = direction / jnp.linalg.norm(direction)
    least = jnp.zeros_like(n).at[jnp.argmin(jnp.abs(n))].set(1)
    a = jnp.cross(n, least)
    a = a / jnp.linalg.norm(a)
    return jnp.stack([a, jnp.cross(n, a), n], axis=1)
