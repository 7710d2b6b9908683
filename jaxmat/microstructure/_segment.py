"""From a measured map to grains: fill what was not measured, then find the grains.

A grain is a set of points of one phase, connected through faces across which the
disorientation is below a threshold. A measured map is never taken as periodic.
"""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from jaxmat._check import JaxmatError
from jaxmat.microstructure._grid import Microstructure, OrientationMap
from jaxmat.microstructure._images import majority
from jaxmat.microstructure._pairs import (
    GRAIN_THRESHOLD,
    fundamental,
    map_pairs,
    nearest_equivalents,
)
from jaxmat.microstructure._validate import check_orientation_map


def segment(orientation_map: OrientationMap, threshold: float) -> Microstructure:
    """Find the grains of a map in which every point is indexed.

    Args:
        orientation_map: a map after `clean`.
        threshold: disorientation, radians, from which on two neighbours belong to
            different grains; 5 degrees is usual.

    Returns:
        Grains numbered in the order of their first voxel, each with the mean of its
        points' orientations under the crystal's symmetry, reduced to the fundamental
        zone; and the map's phases.

    Raises:
        JaxmatError: if the map is not valid, a point is not indexed, or `threshold`
            is not between 0 and 1 (degrees, perhaps).
    """
    _check_threshold(threshold)
    check_orientation_map(orientation_map)
    phase = np.asarray(orientation_map.phase)
    missing = int((phase < 0).sum())
    if missing:
        _check_any_indexed(phase)
        raise JaxmatError(
            f"{missing} of {phase.size} points of the map are not indexed (phase -1); "
            "fill them with microstructure.clean first."
        )
    label = grain_labels(orientation_map, threshold)
    return Microstructure(
        orientation_map.grid,
        jnp.asarray(label.astype(np.int32).reshape(phase.shape)),
        jnp.asarray(phase.astype(np.int32)),
        _mean_orientations(orientation_map, label),
    )


def clean(
    orientation_map: OrientationMap,
    *,
    threshold: float = GRAIN_THRESHOLD,
    min_points: int = 2,
) -> OrientationMap:
    """Fill points that were not indexed, and remove specks, from their surroundings.

    Grains of fewer than `min_points` points (found as by `segment`) count as not
    indexed, unless the map has no larger one. Then the indexed region grows, one layer
    at a time: a point takes orientation and phase from a neighbour in the grain that
    most of its indexed neighbours (across faces) belong to.

    Args:
        orientation_map: a measured map.
        threshold: disorientation, radians, between two grains.
        min_points: grains smaller than this are removed; 1 removes none.

    Returns:
        A map in which every point is indexed. The confidence stays as measured.

    Raises:
        JaxmatError: if no point is indexed, or the map or an option is not valid.
    """
    _check_threshold(threshold)
    if min_points < 1:
        raise JaxmatError(f"`min_points` is {min_points}; give 1 or more.")
    check_orientation_map(orientation_map)
    phase = np.asarray(orientation_map.phase)
    _check_any_indexed(phase)
    label = grain_labels(orientation_map, threshold)
    size = np.bincount(label[label >= 0])
    if size.max() >= min_points:
        label[(label >= 0) & (size[label] < min_points)] = -1
    source = _grow(label.reshape(phase.shape)).ravel()
    quaternion = np.asarray(orientation_map.quaternion).reshape(-1, 4)
    return OrientationMap(
        orientation_map.grid,
        jnp.asarray(quaternion[source].reshape(*phase.shape, 4)),
        jnp.asarray(phase.ravel()[source].reshape(phase.shape)),
        orientation_map.phases,
        orientation_map.confidence,
    )


def grain_labels(orientation_map: OrientationMap, threshold: float) -> np.ndarray:
    """Grain of every point of the flattened map, -1 where it is not indexed.

    Grains are numbered in the order of their first point.
    """
    phase = np.asarray(orientation_map.phase).ravel()
    pairs, angles = map_pairs(orientation_map)
    a, b = pairs[angles < threshold].T
    graph = coo_array((np.ones(len(a), bool), (a, b)), shape=(phase.size, phase.size))
    _, component = connected_components(graph, directed=False)
    label = np.full(phase.size, -1)
    indexed = phase >= 0
    _, first, inverse = np.unique(
        component[indexed], return_index=True, return_inverse=True
    )
    rank = np.empty(len(first), int)
    rank[np.argsort(first)] = np.arange(len(first))
    label[indexed] = rank[inverse]
    return label


def _grow(label: np.ndarray) -> np.ndarray:
    """For every point the flat index of the labelled point that it takes after."""
    source = np.arange(label.size).reshape(label.shape)
    label = label.copy()
    while (label < 0).any():
        neighbours = _face_neighbours(label, -1)
        winner = majority(neighbours)
        filled = (label < 0) & (winner >= 0)
        which = np.argmax(neighbours[filled] == winner[filled][:, None], axis=-1)
        origins = _face_neighbours(source, -1)[filled]
        source[filled] = np.take_along_axis(origins, which[:, None], -1)[:, 0]
        label[filled] = winner[filled]
    return source


def _face_neighbours(values: np.ndarray, outside: int) -> np.ndarray:
    """The values across each face, along a new last axis of two per dimension."""
    padded = np.pad(values, 1, constant_values=outside)
    inner = (slice(1, -1),) * values.ndim
    shifted = []
    for axis in range(values.ndim):
        for step in (slice(0, -2), slice(2, None)):
            shifted.append(padded[(*inner[:axis], step, *inner[axis + 1 :])])
    return np.stack(shifted, axis=-1)


def _mean_orientations(
    orientation_map: OrientationMap, label: np.ndarray
) -> Float[Array, "grains 4"]:
    """Mean orientation per grain, in the fundamental zone.

    Each point is turned to its equivalent nearest to a reference; the mean is the
    eigenvector of the mean outer product `q q^T` with the largest eigenvalue (Markley
    et al. 2007, J. Guidance, Control and Dynamics 30, 1193-1197). The first pass takes
    the grain's first point as reference, the second the mean of the first pass.
    """
    quaternion = np.asarray(orientation_map.quaternion).reshape(-1, 4)
    phase = np.asarray(orientation_map.phase).ravel()
    _, first = np.unique(label, return_index=True)
    mean = quaternion[first]
    for k, (_, laue) in enumerate(orientation_map.phases):
        points = np.flatnonzero(phase == k)
        if not len(points):
            continue
        grains, local = np.unique(label[points], return_inverse=True)
        q = quaternion[points]
        for _ in range(2):
            near = nearest_equivalents(q, mean[grains][local], laue).astype(float)
            outer = np.empty((len(grains), 4, 4))
            for i in range(4):
                for j in range(4):
                    outer[:, i, j] = np.bincount(local, near[:, i] * near[:, j])
            mean[grains] = np.linalg.eigh(outer)[1][:, :, -1]
        mean[grains] = fundamental(mean[grains], laue)
    return jnp.asarray(mean)


def _check_any_indexed(phase: np.ndarray) -> None:
    if (phase < 0).all():
        raise JaxmatError(
            f"no point of the map is indexed (all {phase.size} have phase -1); index "
            "the patterns again or choose another map."
        )


def _check_threshold(threshold: float) -> None:
    if not 0 < threshold < 1:
        raise JaxmatError(
            f"`threshold` is {threshold}; give an angle above 0 and below 1, in "
            "radians (5 degrees is 0.0873)."
        )
