"""Maps as images: another resolution, and the filters that smooth grain boundaries.

Labels are voted on and never interpolated; only scalar images have a median.
"""

import itertools

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from scipy import ndimage

from jaxmat._check import JaxmatError
from jaxmat.microstructure._grid import Grid, Microstructure


def resample(microstructure: Microstructure, shape: tuple[int, ...]) -> Microstructure:
    """The same grains on a coarser or finer grid over the same box.

    A new voxel takes the grain that most of its sample points lie in; there is one
    sample point per axis where the grid is refined (the nearest voxel), and one per
    old voxel where an axis is coarsened by a whole factor (the majority).

    Args:
        microstructure: the grains.
        shape: voxels per axis of the new grid.

    Returns:
        The grains on the new grid. Orientations keep their rows, also those of grains
        that own no voxel any more.

    Raises:
        JaxmatError: if `shape` has not one number of at least 2 per axis.
    """
    old = microstructure.grid
    grid = Grid(shape, old.lengths)
    axes = []
    for n_old, n_new in zip(old.shape, grid.shape, strict=True):
        parts = -(-n_old // n_new)
        points = (np.arange(n_new * parts) + 0.5) / (n_new * parts)
        axes.append((points * n_old).astype(int).reshape(n_new, parts))
    offsets = itertools.product(*(range(axis.shape[1]) for axis in axes))
    samples = [
        np.ix_(*(axis[:, k] for axis, k in zip(axes, offset, strict=True)))
        for offset in offsets
    ]
    label, num_phases = _labels(microstructure)
    stack = np.stack([label[sample] for sample in samples], axis=-1)
    return _from_labels(microstructure, grid, majority(stack), num_phases)


def majority_filter(
    microstructure: Microstructure, *, repeats: int = 1, periodic: bool = True
) -> Microstructure:
    """Smooth grain boundaries: a voxel joins the grain most common around it.

    The window is three voxels along every axis; a voxel changes only where another
    grain has more of the window than its own.

    Args:
        microstructure: the grains.
        repeats: how many times the filter is applied.
        periodic: whether the window continues through opposite faces; the map is
            reflected at its faces where not.

    Returns:
        The same grid, with the rows of `orientation` unchanged.

    Raises:
        JaxmatError: if `repeats` is negative.
    """
    _check_repeats(repeats)
    label, num_phases = _labels(microstructure)
    # The voxel itself comes first, and so wins a tie.
    window = sorted(
        itertools.product(range(3), repeat=label.ndim),
        key=lambda offset: sum(abs(k - 1) for k in offset),
    )
    for _ in range(repeats):
        padded = np.pad(label, 1, mode="wrap" if periodic else "symmetric")
        neighbours = [
            padded[
                tuple(slice(k, k + n) for k, n in zip(offset, label.shape, strict=True))
            ]
            for offset in window
        ]
        label = majority(np.stack(neighbours, axis=-1))
    return _from_labels(microstructure, microstructure.grid, label, num_phases)


def median_filter(
    image: Float[Array, "*grid"], *, repeats: int = 1, periodic: bool = True
) -> Float[Array, "*grid"]:
    """Median over a window of three pixels along every axis, applied `repeats` times.

    For a scalar image such as a grey level. An angle has no median across the point
    where it wraps; the filter treats it as a number.

    Args:
        image: any scalar, any unit.
        repeats: how many times the filter is applied.
        periodic: whether the window continues through opposite faces; the image is
            reflected at its faces where not.

    Returns:
        The filtered image, in its unit.

    Raises:
        JaxmatError: if `repeats` is negative.
    """
    _check_repeats(repeats)
    values = np.asarray(image)
    for _ in range(repeats):
        values = ndimage.median_filter(
            values, size=3, mode="wrap" if periodic else "reflect"
        )
    return jnp.asarray(values)


def majority(labels: np.ndarray) -> np.ndarray:
    """Most common label along the last axis; the first of several equally common.

    Negative labels have no vote; where there is no other the answer is -1.
    """
    best = np.full(labels.shape[:-1], -1, labels.dtype)
    most = np.zeros(labels.shape[:-1], np.int16)
    for k in range(labels.shape[-1]):
        candidate = labels[..., k]
        same = labels == candidate[..., None]
        votes = np.asarray(same.sum(-1, dtype=np.int16))
        better = (votes > most) & (candidate >= 0)
        best[better] = candidate[better]
        most[better] = votes[better]
    return best


def _check_repeats(repeats: int) -> None:
    if repeats < 0:
        raise JaxmatError(f"`repeats` is {repeats}; give 0 or more.")


def _labels(microstructure: Microstructure) -> tuple[np.ndarray, int]:
    """Grain and phase of every voxel as one number, and the number of phases."""
    phase = np.asarray(microstructure.phase, np.int64)
    num_phases = int(phase.max()) + 1
    return np.asarray(microstructure.grain, np.int64) * num_phases + phase, num_phases


def _from_labels(
    microstructure: Microstructure, grid: Grid, label: np.ndarray, num_phases: int
) -> Microstructure:
    """Split the labels again into grain and phase."""
    grain, phase = np.divmod(label, num_phases)
    dtype = np.int32
    return Microstructure(
        grid,
        jnp.asarray(grain.astype(dtype)),
        jnp.asarray(phase.astype(dtype)),
        microstructure.orientation,
    )
