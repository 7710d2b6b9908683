"""How the lattice turns inside the grains: local misorientation and curvature.

Differences are taken between voxels that share a face, and only where both are indexed,
of the same phase, and nearer in orientation than a threshold: a grain boundary is not a
curved lattice. A point without any such neighbour gets NaN. Everything here works on
concrete or traced maps under jit and grad.
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxmat import rotations, symmetry
from jaxmat._check import JaxmatError
from jaxmat._types import Quaternion, Scalar, Vector, constant
from jaxmat.microstructure._grid import OrientationMap
from jaxmat.microstructure._pairs import GRAIN_THRESHOLD, nearest_equivalent

# Components of Nye's tensor that a section normal to x3 shows.
_SEEN_IN_PLANE = np.array([[0, 1, 1], [1, 0, 1], [0, 0, 1]])


def kernel_average_misorientation(
    orientation_map: OrientationMap, *, threshold: float = GRAIN_THRESHOLD
) -> Float[Array, "*grid"]:
    """Mean disorientation between each point and its neighbours in the same grain.

    Args:
        orientation_map: a measured map.
        threshold: radians; a neighbour further away than this is in another grain.

    Returns:
        Radians; NaN where a point is not indexed or has no neighbour in its grain.

    References:
        Calcagnotto et al. (2010), Mater. Sci. Eng. A 527, 2738-2746.
    """
    total, count = 0.0, 0
    for axis in range(orientation_map.grid.ndim):
        angle, joined = _links(orientation_map, axis, symmetry.disorientation_angle)
        joined &= angle < threshold
        angle = jnp.where(joined, angle, 0)
        total += _to_points(angle, axis)
        count += _to_points(joined.astype(int), axis)
    mean = total / jnp.maximum(count, 1)
    return jnp.where(count > 0, mean, jnp.nan)


def lattice_curvature(
    orientation_map: OrientationMap, *, threshold: float = GRAIN_THRESHOLD
) -> Float[Array, "*grid 3 3"]:
    """Gradient of the lattice rotation, kappa_ij = d(theta_i)/d(x_j).

    The rotation between two neighbours is the smallest under the crystal's symmetry, a
    vector theta in the sample frame. A point takes the mean of its differences forward
    and backward, or the one there is.

    Args:
        orientation_map: a measured map.
        threshold: radians; a neighbour further away than this is in another grain.

    Returns:
        Radians per micrometre, sample frame. The third column is zero on a
        two-dimensional map, which is taken not to change along x3. A column is NaN
        where a point has no neighbour in its grain along that axis.

    References:
        Pantleon (2008), Scripta Mater. 58, 994-997.
    """
    grid, columns = orientation_map.grid, []
    for axis, step in enumerate(grid.spacing):
        turn, joined = _links(orientation_map, axis, _rotation_between)
        joined &= jnp.sum(turn**2, axis=-1) < threshold**2
        turn = jnp.where(joined[..., None], turn, 0)
        count = _to_points(joined.astype(int), axis)[..., None]
        slope = _to_points(turn, axis) / (jnp.maximum(count, 1) * step)
        columns.append(jnp.where(count > 0, slope, jnp.nan))
    if grid.ndim == 2:
        columns.append(jnp.zeros_like(columns[0]))
    return jnp.stack(columns, axis=-1)


def nye_tensor(
    orientation_map: OrientationMap, *, threshold: float = GRAIN_THRESHOLD
) -> Float[Array, "*grid 3 3"]:
    """Nye's dislocation tensor from the lattice curvature, elastic strain neglected.

    `alpha_ij = kappa_ji - delta_ij kappa_kk`: the Burgers vector's component i of the
    dislocations whose lines run along j, per unit area.

    Args:
        orientation_map: a measured map.
        threshold: radians; a neighbour further away than this is in another grain.

    Returns:
        1/micrometre, sample frame. On a two-dimensional map, taken not to change along
        x3, components 31 and 32 are zero and 11 and 22 rest on that assumption.

    References:
        Nye (1953), Acta Metall. 1, 153-162.
    """
    kappa = lattice_curvature(orientation_map, threshold=threshold)
    trace = jnp.trace(kappa, axis1=-2, axis2=-1)[..., None, None]
    return jnp.swapaxes(kappa, -1, -2) - trace * constant(np.eye(3), kappa)


def gnd_density(
    orientation_map: OrientationMap,
    burgers: Scalar | float,
    *,
    threshold: float = GRAIN_THRESHOLD,
) -> Float[Array, "*grid"]:
    """Density of geometrically necessary dislocations, a lower estimate.

    The sum of the magnitudes of the components of Nye's tensor, over the Burgers
    vector: all nine on a three-dimensional map, and on a section normal to x3 the five
    it shows without an assumption (12, 13, 21, 23, 33).

    Args:
        orientation_map: a measured map.
        burgers: length of the Burgers vector, micrometres (nickel: 2.49e-4).
        threshold: radians; a neighbour further away than this is in another grain.

    Returns:
        Line length per volume, 1/square micrometre (1 is 1e12 per square metre); NaN
        where a point lacks a neighbour in its grain.

    Raises:
        JaxmatError: if `burgers` is not a positive number.

    References:
        Pantleon (2008), Scripta Mater. 58, 994-997. El-Dasher, Adams & Rollett
        (2003), Scripta Mater. 48, 141-145.
    """
    if isinstance(burgers, int | float) and not burgers > 0:
        raise JaxmatError(
            f"`burgers` is {burgers}; give a positive length, micrometres."
        )
    alpha = nye_tensor(orientation_map, threshold=threshold)
    seen = _SEEN_IN_PLANE if orientation_map.grid.ndim == 2 else np.ones((3, 3))
    return jnp.sum(jnp.abs(alpha) * constant(seen, alpha), axis=(-2, -1)) / burgers


def _rotation_between(q_a: Quaternion, q_b: Quaternion, laue: str) -> Vector:
    """Smallest rotation vector, sample frame, that carries `q_a` to a form of `q_b`."""
    nearest = nearest_equivalent(q_b, q_a, laue)
    return rotations.to_rotation_vector(
        rotations.multiply(nearest, rotations.conjugate(q_a))
    )


def _links(orientation_map, axis, difference):
    """Difference between each voxel and the next along `axis`; whether it exists."""
    phase = orientation_map.phase
    indexed = (phase >= 0)[..., None]
    identity = constant([1.0, 0.0, 0.0, 0.0], orientation_map.quaternion)
    q = jnp.where(indexed, orientation_map.quaternion, identity)

    def ends(values):
        last = values.shape[axis] - 1
        return (
            jax.lax.slice_in_dim(values, 0, last, axis=axis),
            jax.lax.slice_in_dim(values, 1, None, axis=axis),
        )

    q_a, q_b = ends(q)
    phase_a, phase_b = ends(phase)
    groups = [laue for _, laue in orientation_map.phases] or ["-1"]

    def under(laue):
        batched = partial(difference, laue=laue)
        for _ in range(phase.ndim - 1):
            batched = jax.vmap(batched)
        # Row by row: a map at once would hold every symmetry of every point.
        return jax.lax.map(lambda pair: batched(*pair), (q_a, q_b))

    value = under(groups[0])
    for laue in sorted(set(groups) - {groups[0]}):
        members = jnp.array([k for k, group in enumerate(groups) if group == laue])
        chosen = jnp.isin(phase_a, members)
        chosen = chosen.reshape(chosen.shape + (1,) * (value.ndim - chosen.ndim))
        value = jnp.where(chosen, under(laue), value)
    return value, (phase_a == phase_b) & (phase_a >= 0)


def _to_points(links: Array, axis: int) -> Array:
    """Sum at every voxel of the links on its two sides."""
    before = [(0, 0)] * links.ndim
    after = [(0, 0)] * links.ndim
    before[axis], after[axis] = (1, 0), (0, 1)
    return jnp.pad(links, after) + jnp.pad(links, before)
