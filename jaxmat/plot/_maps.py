"""Decides how maps are laid out: axes, scales, boundaries, scale bar."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Array, Shaped
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.transforms import ScaledTranslation

from jaxmat._check import JaxmatError
from jaxmat.microstructure import Grid, Microstructure, OrientationMap
from jaxmat.plot._ipf import figure_of, ipf_colours, ipf_key, laue_of_phases

_LONG_SIDE = 4.2  # inches
_CLIPPED = 0.5  # percent of the pixels beyond each end of a colour scale


def scalar_map(
    grid: Grid,
    values: Shaped[Array | np.ndarray, "nx ny"],
    *,
    label: str,
    grain: Shaped[Array | np.ndarray, "nx ny"] | None = None,
    signed: bool = False,
    ax: Axes | None = None,
) -> Figure:
    """A number per pixel, with a colour bar and thin grain boundaries.

    The scale leaves out half a percent of the pixels at each end, so that a few corners
    do not flatten the picture; the ends of the bar are pointed where it does.

    Args:
        grid: two-dimensional.
        values: the map; NaN is left blank.
        label: quantity and unit, written on the colour bar.
        grain: index of the grain of every pixel, to draw boundaries.
        signed: a diverging scale, symmetric about zero.
        ax: axes to draw into.

    Returns:
        The figure.

    Raises:
        JaxmatError: if the map does not fit a two-dimensional grid.
    """
    values = _on(grid, "values", values)
    figure, ax = _map_axes(grid, ax)
    norm, extend = _scale(values, signed)
    image = ax.imshow(
        values.T,
        extent=_extent(grid),
        cmap="RdBu_r" if signed else "viridis",
        norm=norm,
        interpolation="nearest",
    )
    if grain is not None:
        _draw_boundaries(ax, grid, _on(grid, "grain", grain))
    style: dict[str, Any] = {"label": label, "extend": extend}
    if grid.lengths[0] > 2 * grid.lengths[1]:
        figure.colorbar(image, ax=ax, location="bottom", aspect=40, **style)
    else:
        figure.colorbar(image, cax=ax.inset_axes((1.03, 0, 0.04, 1)), **style)
    return figure


def ipf_map(
    source: Microstructure | OrientationMap,
    laue: str | Sequence[str] | None = None,
    *,
    direction: tuple[float, float, float] = (0.0, 0.0, 1.0),
    ax: Axes | None = None,
) -> Figure:
    """Inverse-pole-figure map: which crystal direction lies along a sample direction.

    With a scale bar, and a colour key for every Laue group beside it (no key when
    drawn into given axes, see `ipf_key`).

    Args:
        source: grains with boundaries, or a measured map (not indexed: grey).
        laue: Laue group of each phase, or one for all; an `OrientationMap` knows its.
        direction: components in the sample (map) frame.
        ax: axes to draw into.

    Returns:
        The figure.

    Raises:
        JaxmatError: if the map is not two-dimensional, or a Laue group is missing.
    """
    laues = laue_of_phases(source, laue)
    colours = ipf_colours(source, laues, direction=direction)
    shown = sorted({laues[k] for k in np.unique(source.phase) if k >= 0})
    if ax is not None:
        figure = figure_of(ax)
    else:
        width, height = _size(source.grid)
        height = max(height, 1.6 * len(shown))
        figure = Figure(figsize=(width + 1.3, height), layout="constrained")
        places = figure.add_gridspec(len(shown), 2, width_ratios=(width - 0.5, 1.5))
        ax = figure.add_subplot(places[:, 0])
        for row, group in enumerate(shown):
            ipf_key(group, ax=figure.add_subplot(places[row, 1]))
        figure.axes[1].set_title(_along(direction), fontsize="medium")
    ax.imshow(
        np.swapaxes(colours, 0, 1),
        extent=_extent(source.grid),
        interpolation="nearest",
    )
    ax.set(xticks=[], yticks=[])
    if isinstance(source, Microstructure):
        _draw_boundaries(ax, source.grid, np.asarray(source.grain))
    _draw_scale_bar(ax, source.grid)
    return figure


def _on(grid: Grid, name: str, values) -> np.ndarray:
    values = np.asarray(values)
    if grid.ndim != 2 or values.shape != grid.shape:
        raise JaxmatError(
            f"`{name}` has shape {values.shape} on a grid of shape {grid.shape}; give "
            "one number per pixel of a two-dimensional grid (a section of a body)."
        )
    return values


def _extent(grid: Grid) -> tuple[float, float, float, float]:
    """Left, right, bottom, top of an image with y down."""
    return 0.0, grid.lengths[0], grid.lengths[1], 0.0


def _size(grid: Grid) -> tuple[float, float]:
    """Width and height of a figure around the map, inches."""
    scale = _LONG_SIDE / max(grid.lengths)
    return scale * grid.lengths[0] + 1.2, max(scale * grid.lengths[1], 1.3) + 0.7


def _map_axes(grid: Grid, ax: Axes | None) -> tuple[Figure, Axes]:
    if ax is None:
        ax = Figure(figsize=_size(grid), layout="constrained").add_subplot()
    ax.set(xlabel="x / µm", ylabel="y / µm")
    return figure_of(ax), ax


def _scale(values: np.ndarray, signed: bool) -> tuple[Normalize, str]:
    """Colour limits, and which ends of the bar are pointed."""
    finite = values[np.isfinite(values)]
    if not finite.size:
        return Normalize(0.0, 1.0), "neither"
    low, high = np.percentile(finite, [_CLIPPED, 100 - _CLIPPED])
    if signed:
        high = max(abs(low), abs(high))
        low = -high
    if low == high:
        low, high = low - 0.5, high + 0.5
    below, above = finite.min() < low, finite.max() > high
    ends = {(0, 0): "neither", (1, 0): "min", (0, 1): "max", (1, 1): "both"}
    return Normalize(low, high), ends[int(below), int(above)]


def _draw_boundaries(ax: Axes, grid: Grid, grain: np.ndarray) -> None:
    """Lines along the pixel edges between two grains."""
    dx, dy = grid.spacing
    i, j = np.nonzero(grain[1:] != grain[:-1])
    upright = np.stack([(i + 1) * dx, j * dy, (i + 1) * dx, (j + 1) * dy], axis=-1)
    i, j = np.nonzero(grain[:, 1:] != grain[:, :-1])
    level = np.stack([i * dx, (j + 1) * dy, (i + 1) * dx, (j + 1) * dy], axis=-1)
    edges = np.concatenate([upright, level]).reshape(-1, 2, 2)
    lines = LineCollection(
        list(edges), colors="black", linewidths=0.4, capstyle="projecting"
    )
    ax.add_collection(lines, autolim=False)


def _draw_scale_bar(ax: Axes, grid: Grid) -> None:
    """A bar of a round length, about a quarter of the width, below the map."""
    width = grid.lengths[0]
    power = 10 ** math.floor(math.log10(width / 4))
    length = max(m for m in (1, 2, 5) if m * power <= width / 4) * power
    lower = ScaledTranslation(0, -8 / 72, figure_of(ax).dpi_scale_trans)
    below = ax.get_xaxis_transform() + lower
    ax.plot(
        *([0, length], [0, 0]),
        color="black",
        linewidth=3,
        solid_capstyle="butt",
        transform=below,
        clip_on=False,
    )
    ax.text(
        length + 0.01 * width,
        0,
        f"{length:g} µm",
        va="center",
        fontsize="small",
        transform=below,
    )


def _along(direction: tuple[float, float, float]) -> str:
    """Name of the sample direction that an IPF map colours by."""
    for axis, name in enumerate(("x", "y", "z")):
        if np.count_nonzero(direction) == 1 and direction[axis] != 0:
            return f"crystal direction\nalong {name}"
    return f"crystal direction\nalong {direction}"
