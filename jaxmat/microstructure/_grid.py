"""What a microscope or a generator hands to the solvers: grids and maps on them.

Axis 0 is x, 1 is y, 2 is z. Voxel centres lie at (i + 1/2) length / shape, in
micrometres. Only readers and plots transpose.
"""

import math
from typing import NamedTuple

import equinox as eqx
import numpy as np
from jaxtyping import Array, Float, Int

from jaxmat._check import JaxmatError


class Grid(eqx.Module):
    """A regular grid in two or three dimensions; static, hashable, no arrays.

    Args:
        shape: voxels along each axis, at least 2.
        lengths: side lengths of the box, micrometres, positive.

    Raises:
        JaxmatError: if there are not two or three axes, a side has fewer than two
            voxels, or a length is not positive.
    """

    shape: tuple[int, ...] = eqx.field(static=True)
    lengths: tuple[float, ...] = eqx.field(static=True)

    def __init__(self, shape, lengths):
        self.shape = tuple(int(n) for n in shape)
        self.lengths = tuple(float(length) for length in lengths)
        if len(self.shape) not in (2, 3) or len(self.shape) != len(self.lengths):
            raise JaxmatError(
                f"Grid has shape {self.shape} and lengths {self.lengths}; give two or "
                "three of each."
            )
        if min(self.shape) < 2:
            raise JaxmatError(
                f"Grid has shape {self.shape}; each side needs at least 2 voxels "
                "(drop an axis of 1 voxel to make the grid two-dimensional)."
            )
        if not all(math.isfinite(length) and length > 0 for length in self.lengths):
            raise JaxmatError(
                f"Grid has lengths {self.lengths}; give positive numbers, micrometres."
            )

    @property
    def ndim(self) -> int:
        """Two or three."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """Number of voxels."""
        return math.prod(self.shape)

    @property
    def spacing(self) -> tuple[float, ...]:
        """Voxel sides, micrometres."""
        return tuple(
            length / n for length, n in zip(self.lengths, self.shape, strict=True)
        )

    def centres(self) -> tuple[np.ndarray, ...]:
        """Voxel-centre coordinates along each axis, micrometres."""
        return tuple(
            (np.arange(n) + 0.5) * step
            for n, step in zip(self.shape, self.spacing, strict=True)
        )


class Phase(NamedTuple):
    """A phase of an orientation map: its name and its Laue group, such as "m-3m"."""

    name: str
    laue: str


class Microstructure(eqx.Module):
    """Grains on a grid: one orientation per grain.

    Attributes:
        grid: the grid, static.
        grain: index of the grain of every voxel, `0 ... grains - 1`.
        phase: index of the phase of every voxel, `0 ... phases - 1`.
        orientation: unit quaternion per grain, crystal -> sample.
    """

    grid: Grid
    grain: Int[Array, "*grid"]
    phase: Int[Array, "*grid"]
    orientation: Float[Array, "grains 4"]

    @property
    def num_grains(self) -> int:
        """Number of rows of `orientation`."""
        return self.orientation.shape[0]


class OrientationMap(eqx.Module):
    """One orientation per voxel: what a microscope measures.

    Attributes:
        grid: the grid, static.
        quaternion: unit quaternion per voxel, crystal -> sample.
        phase: index into `phases`; -1 where the point was not indexed.
        phases: name and Laue group of every phase, static.
        confidence: the vendor's measure of trust, 0 (none) to 1; NaN where not given.
    """

    grid: Grid
    quaternion: Float[Array, "*grid 4"]
    phase: Int[Array, "*grid"]
    phases: tuple[Phase, ...] = eqx.field(static=True)
    confidence: Float[Array, "*grid"]
