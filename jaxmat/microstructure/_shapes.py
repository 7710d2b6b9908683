"""Size and shape of grains, from volumes and second moments.

A grain that continues through a periodic face is measured as one piece: its voxels are
unwrapped about its circular mean, which is right for grains smaller than half the box.
"""

from typing import NamedTuple

import numpy as np

from jaxmat.microstructure._grid import Microstructure


class GrainShapes(NamedTuple):
    """Ellipse or ellipsoid of each grain with the grain's second moments.

    Attributes:
        centre: centroid, micrometres, `(grains, dim)`.
        semi_axes: half lengths, micrometres, largest first, `(grains, dim)`.
        directions: `directions[g, i]` is the unit vector along `semi_axes[g, i]`.
    """

    centre: np.ndarray
    semi_axes: np.ndarray
    directions: np.ndarray

    @property
    def aspect_ratio(self) -> np.ndarray:
        """Longest over shortest semi-axis, at least 1."""
        return self.semi_axes[:, 0] / self.semi_axes[:, -1]


class Summary(NamedTuple):
    """Mean, standard deviation, extremes and volume-weighted mean of a grain value."""

    count: int
    mean: float
    std: float
    smallest: float
    largest: float
    weighted_mean: float


def grain_volumes(microstructure: Microstructure) -> np.ndarray:
    """Volume (area in two dimensions) per grain.

    Returns:
        `(grains,)`, cubic or square micrometres; 0 for a grain that owns no voxel.
    """
    voxel = float(np.prod(microstructure.grid.spacing))
    labels = np.asarray(microstructure.grain).ravel()
    return np.bincount(labels, minlength=microstructure.num_grains) * voxel


def equivalent_diameters(microstructure: Microstructure) -> np.ndarray:
    """Diameter of the sphere (circle) with each grain's volume (area), micrometres."""
    volumes = grain_volumes(microstructure)
    if microstructure.grid.ndim == 2:
        return np.sqrt(4 * volumes / np.pi)
    return np.cbrt(6 * volumes / np.pi)


def grain_shapes(
    microstructure: Microstructure, *, periodic: bool = True
) -> GrainShapes:
    """Moment ellipse or ellipsoid of every grain.

    The uniform ellipsoid with the covariance `M` of the grain's points has semi-axes
    `sqrt((dim + 2) eigenvalues(M))`; the voxel's own extent is part of `M`.

    Args:
        microstructure: the grains.
        periodic: whether a grain continues through opposite faces.

    Returns:
        Centres, semi-axes and directions; NaN for a grain that owns no voxel.
    """
    grid = microstructure.grid
    labels = np.asarray(microstructure.grain).ravel()
    num = microstructure.num_grains
    count = np.bincount(labels, minlength=num)

    def mean(values):
        with np.errstate(invalid="ignore"):
            return np.bincount(labels, weights=values, minlength=num) / count

    centres, offsets = [], []
    mesh = np.meshgrid(*grid.centres(), indexing="ij")
    for x, length in zip((m.ravel() for m in mesh), grid.lengths, strict=True):
        centre = mean(x)
        if periodic:
            turn = 2 * np.pi * x / length
            circular = np.arctan2(mean(np.sin(turn)), mean(np.cos(turn)))
            pivot = circular * length / (2 * np.pi)
            x = x - length * np.round((x - pivot[labels]) / length)
            centre = mean(x)
        offsets.append(x - centre[labels])
        centres.append(np.mod(centre, length))
    dim = grid.ndim
    moments = np.empty((num, dim, dim))
    for i in range(dim):
        for j in range(dim):
            moments[:, i, j] = mean(offsets[i] * offsets[j])
        moments[:, i, i] += grid.spacing[i] ** 2 / 12
    empty = count == 0
    moments[empty] = np.eye(dim)
    values, vectors = np.linalg.eigh(moments)
    semi_axes = np.sqrt((dim + 2) * values[:, ::-1])
    directions = np.swapaxes(vectors, 1, 2)[:, ::-1].copy()
    semi_axes[empty], directions[empty] = np.nan, np.nan
    return GrainShapes(np.stack(centres, axis=1), semi_axes, directions)


def summarise(values: np.ndarray, volumes: np.ndarray) -> Summary:
    """Statistics of one value per grain, over the grains that own a voxel.

    Args:
        values: one number per grain, such as `equivalent_diameters`.
        volumes: weight of each grain, such as `grain_volumes`.

    Returns:
        Count, mean, standard deviation, smallest, largest, volume-weighted mean, in
        the unit of `values`.
    """
    present = volumes > 0
    kept, weights = values[present], volumes[present]
    return Summary(
        count=int(present.sum()),
        mean=float(kept.mean()),
        std=float(kept.std()),
        smallest=float(kept.min()),
        largest=float(kept.max()),
        weighted_mean=float(np.average(kept, weights=weights)),
    )
