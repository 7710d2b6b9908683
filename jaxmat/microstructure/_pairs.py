"""Pairs of neighbouring voxels, and the disorientation across each pair.

Maps come in any size; pairs are handed to the compiled function in blocks of one size,
so that it is compiled once per Laue group and not once per map.
"""

import math
from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from jaxmat import rotations, symmetry
from jaxmat._types import Quaternion, constant
from jaxmat.microstructure._grid import Grid, OrientationMap

GRAIN_THRESHOLD = math.radians(5.0)
"""Disorientation from which on two neighbours are in different grains, unless given."""

_BLOCK = 1 << 14


def neighbour_pairs(grid: Grid, *, periodic: bool) -> list[np.ndarray]:
    """Flat indices of voxels that share a face, one `(pairs, 2)` array per axis."""
    index = np.arange(grid.size).reshape(grid.shape)
    pairs = []
    for axis in range(grid.ndim):
        ahead = np.roll(index, -1, axis)
        if not periodic:
            inner = np.arange(grid.shape[axis] - 1)
            ahead, here = ahead.take(inner, axis), index.take(inner, axis)
        else:
            here = index
        pairs.append(np.stack([here.ravel(), ahead.ravel()], axis=1))
    return pairs


def map_pairs(orientation_map: OrientationMap) -> tuple[np.ndarray, np.ndarray]:
    """Neighbours of one phase and the disorientation between them.

    Returns:
        `(pairs, 2)` flat indices and `(pairs,)` angles, radians. Pairs with a point
        that is not indexed, and pairs across phases, are left out.
    """
    phase = np.asarray(orientation_map.phase).ravel()
    quaternion = np.asarray(orientation_map.quaternion).reshape(-1, 4)
    pairs = np.concatenate(neighbour_pairs(orientation_map.grid, periodic=False))
    first = phase[pairs[:, 0]]
    pairs = pairs[(first == phase[pairs[:, 1]]) & (first >= 0)]
    angles = np.empty(len(pairs), quaternion.dtype)
    for k, (_, laue) in enumerate(orientation_map.phases):
        chosen = phase[pairs[:, 0]] == k
        if chosen.any():
            a, b = pairs[chosen].T
            angles[chosen] = disorientation_angles(quaternion[a], quaternion[b], laue)
    return pairs, angles


def disorientation_angles(q_a: np.ndarray, q_b: np.ndarray, laue: str) -> np.ndarray:
    """Disorientation angle of each pair of rows, radians."""
    return _in_blocks(partial(_angles, laue=laue), q_a, q_b)


def nearest_equivalent(q: Quaternion, reference: Quaternion, laue: str) -> Quaternion:
    """Of the symmetrically equivalent forms of `q` the one nearest to `reference`.

    The turn `q s` by every symmetry `s` is the same orientation; the nearest has the
    largest inner product with the reference, and of its two signs the positive one.
    """
    table = constant(symmetry.operators(laue), q)
    between = rotations.multiply(rotations.conjugate(q), reference)
    overlap = jnp.sum(table * between, axis=1)
    best = jnp.argmax(jnp.abs(overlap))
    sign = jnp.where(overlap[best] < 0, -1, 1).astype(q.dtype)
    return sign * rotations.multiply(q, table[best])


def nearest_equivalents(q: np.ndarray, reference: np.ndarray, laue: str) -> np.ndarray:
    """`nearest_equivalent` of each pair of rows."""
    return _in_blocks(partial(_nearest, laue=laue), q, reference)


def fundamental(q: np.ndarray, laue: str) -> np.ndarray:
    """Every row reduced to the fundamental zone."""
    return _in_blocks(partial(_fundamental, laue=laue), q)


def _in_blocks(function: Callable[..., jax.Array], *arrays: np.ndarray) -> np.ndarray:
    """Apply a row-by-row function to blocks of equal size, the last one padded.

    There must be at least one row.
    """
    num, parts = len(arrays[0]), []
    for start in range(0, num, _BLOCK):
        rows = min(_BLOCK, num - start)
        padded = [
            np.pad(a[start : start + rows], ((0, _BLOCK - rows), (0, 0)), "edge")
            for a in arrays
        ]
        parts.append(np.asarray(function(*map(jnp.asarray, padded)))[:rows])
    return np.concatenate(parts)


@partial(jax.jit, static_argnames="laue")
def _angles(q_a, q_b, laue):
    return jax.vmap(partial(symmetry.disorientation_angle, laue=laue))(q_a, q_b)


@partial(jax.jit, static_argnames="laue")
def _nearest(q, reference, laue):
    return jax.vmap(partial(nearest_equivalent, laue=laue))(q, reference)


@partial(jax.jit, static_argnames="laue")
def _fundamental(q, laue):
    return jax.vmap(partial(symmetry.to_fundamental_zone, laue=laue))(q)
