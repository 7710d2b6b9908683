"""Rotations as unit quaternions.

Convention (the only one in the library; vendor conventions live in `jaxmat.io`):

- A quaternion is `(w, x, y, z)`, Hamilton product, `|q| = 1`; `q` and `-q` agree.
- It carries crystal components to sample components: `v_sample = R(q) @ v_crystal`.
  Bunge's passive matrix is the transpose, `g = R(q).T`.
- Angles are in radians. Euler angles are Bunge's (phi1, Phi, phi2).

Every function acts on one rotation; batch with `jax.vmap`.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Key

from jaxmat._check import check_shape
from jaxmat._types import EulerBunge, Matrix, Quaternion, Vector, constant

_ONE_ROTATION = "one rotation at a time, batch with jax.vmap"


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
    w = p[0] * q[0] - jnp.dot(p[1:], q[1:])
    v = p[0] * q[1:] + q[0] * p[1:] + jnp.cross(p[1:], q[1:])
    return jnp.concatenate([w[None], v])


def rotate(q: Quaternion, v: Vector) -> Vector:
    """Sample components of a vector given in the crystal frame."""
    return to_matrix(q) @ v


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
    q = row / jnp.linalg.norm(row)
    return jnp.where(q[0] < 0, -q, q)


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
    q = jnp.array(
        [
            c * jnp.cos(half_sum),
            s * jnp.cos(half_difference),
            s * jnp.sin(half_difference),
            c * jnp.sin(half_sum),
        ]
    )
    return jnp.where(q[0] < 0, -q, q)


def random_uniform(key: Key[Array, ""]) -> Quaternion:
    """A rotation drawn uniformly (Haar measure) over all rotations."""
    q = jax.random.normal(key, (4,))
    q = q / jnp.linalg.norm(q)
    return jnp.where(q[0] < 0, -q, q)
