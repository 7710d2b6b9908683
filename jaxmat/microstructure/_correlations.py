"""Spatial statistics of periodic images: how far order reaches.

Distances are counted in whole voxels along the axes, so that the statistics are exact
counts; entry `[i, j]` of a correlation belongs to the shift `(i, j)` modulo the shape
(`numpy.fft.fftshift` puts the zero shift in the middle).
"""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Real
from scipy import fft

from jaxmat._check import JaxmatError, check_option
from jaxmat.microstructure._grid import Microstructure


def two_point_correlation(
    indicator: Real[Array, "*grid"] | Bool[Array, "*grid"],
) -> Float[Array, "*grid"]:
    """Probability that both ends of a vector lie in a phase, S2, for every vector.

    The image is periodic. Differentiable, for a smooth phase field too.

    Args:
        indicator: 1 inside the phase and 0 outside, or a density between.

    Returns:
        S2 for every shift; `S2[0, 0]` is the volume fraction of an indicator, and its
        mean is the square of the fraction.

    References:
        Torquato (2002), Random Heterogeneous Materials, section 2.2.
    """
    field = jnp.asarray(indicator, jnp.result_type(float, indicator))
    spectrum = jnp.fft.rfftn(field)
    power = jnp.real(spectrum) ** 2 + jnp.imag(spectrum) ** 2
    return jnp.fft.irfftn(power, s=field.shape, axes=range(field.ndim)) / field.size


def same_grain_correlation(microstructure: Microstructure) -> np.ndarray:
    """Probability that both ends of a vector lie in the same grain, for every vector.

    The map is periodic. Each grain is correlated with itself in its own bounding box,
    so the cost grows with the number of voxels and not with the number of grains.

    Returns:
        One number per shift, 1 at the zero shift.

    References:
        Torquato (2002), Random Heterogeneous Materials, section 2.5 (C2).
    """
    grain = np.asarray(microstructure.grain)
    shape = grain.shape
    order = np.argsort(grain, axis=None, kind="stable")
    sizes = np.bincount(grain.ravel(), minlength=microstructure.num_grains)
    total = np.zeros(shape)
    for members in np.split(order, np.cumsum(sizes)[:-1]):
        if not len(members):
            continue
        local = [
            _unwrap(index, n)
            for index, n in zip(np.unravel_index(members, shape), shape, strict=True)
        ]
        extent = [int(index.max()) + 1 for index in local]
        padded = [_fast(2 * n - 1) for n in extent]
        box = np.zeros(padded)
        box[tuple(local)] = 1.0
        power = np.abs(np.asarray(fft.rfftn(box))) ** 2
        pairs = np.rint(np.asarray(fft.irfftn(power, s=padded)))
        shifts = [np.arange(1 - n, n) for n in extent]
        np.add.at(
            total,
            np.ix_(*(shift % n for shift, n in zip(shifts, shape, strict=True))),
            pairs[np.ix_(*shifts)],
        )
    return total / grain.size


def lineal_path(
    indicator: Bool[Array, "*grid"] | Int[Array, "*grid"],
    axis: int,
    *,
    periodic: bool = True,
) -> np.ndarray:
    """Probability that a segment along an axis lies wholly in a phase.

    Args:
        indicator: nonzero inside the phase.
        axis: 0 for x, 1 for y, 2 for z.
        periodic: whether segments continue through opposite faces.

    Returns:
        Entry k is for a segment whose ends are k voxels apart; entry 0 is the volume
        fraction. As long as the grid along `axis`.

    Raises:
        JaxmatError: if there is no such axis.

    References:
        Lu & Torquato (1992), Phys. Rev. A 45, 922-929.
    """
    inside = np.asarray(indicator) != 0
    check_option("axis", axis, range(inside.ndim))
    inside = np.moveaxis(inside, axis, 0)
    whole = inside
    probabilities = [inside.mean()]
    for k in range(1, len(inside)):
        if periodic:
            whole = whole & np.roll(inside, -k, axis=0)
        else:
            whole = whole[:-1] & inside[k:]
        probabilities.append(whole.mean())
    return np.array(probabilities)


def radial_average(
    correlation: np.ndarray, spacing: tuple[float, ...]
) -> tuple[np.ndarray, np.ndarray]:
    """Average of a correlation over directions.

    Args:
        correlation: one number per shift, as the functions here return it.
        spacing: voxel sides, micrometres.

    Returns:
        Distances, micrometres, at multiples of the smallest voxel side up to half the
        shortest side of the box; and the mean of the shifts nearest to each distance.

    Raises:
        JaxmatError: if there is not one spacing per axis.
    """
    values = np.asarray(correlation)
    if values.ndim != len(spacing):
        raise JaxmatError(
            f"`spacing` is {spacing} but `correlation` has {values.ndim} axes; give "
            "one voxel side per axis."
        )
    axes = [
        np.fft.fftfreq(n, 1 / n) * h for n, h in zip(values.shape, spacing, strict=True)
    ]
    distance = np.sqrt(sum(x**2 for x in np.meshgrid(*axes, indexing="ij")))
    step = min(spacing)
    reach = min(n * h for n, h in zip(values.shape, spacing, strict=True)) / 2
    bins = np.rint(distance / step).astype(int).ravel()
    num = int(reach / step) + 1
    count = np.bincount(bins, minlength=num)[:num]
    total = np.bincount(bins, weights=values.ravel(), minlength=num)[:num]
    kept = count > 0
    return np.arange(num)[kept] * step, total[kept] / count[kept]


def _fast(n: int) -> int:
    """A transform length of at least `n` with small prime factors."""
    return int(fft.next_fast_len(n, real=True) or n)


def _unwrap(index: np.ndarray, period: int) -> np.ndarray:
    """Shift periodic indices so that they start at 0 after their widest gap."""
    present = np.unique(index)
    gaps = np.diff(present, append=present[0] + period)
    start = present[(np.argmax(gaps) + 1) % len(present)]
    return (index - start) % period
