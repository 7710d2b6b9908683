"""Decides the colours of crystal directions on a map, and how their key is drawn."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Polygon

from jaxmat import symmetry
from jaxmat._check import JaxmatError
from jaxmat.microstructure import Microstructure, OrientationMap

_BASAL = {
    "-3": ("0001", r"2\bar{1}\bar{1}0", r"\bar{1}2\bar{1}0"),
    "-3m": ("0001", r"1\bar{1}00", r"10\bar{1}0"),
    "6/m": ("0001", r"2\bar{1}\bar{1}0", r"11\bar{2}0"),
    "6/mmm": ("0001", r"2\bar{1}\bar{1}0", r"10\bar{1}0"),
}
_CORNER_NAMES = _BASAL | {
    "-1": ("x", "y", "-x", "-y"),
    "2/m": ("x", "y", "-x", "z"),
    "mmm": ("001", "100", "010"),
    "4/m": ("001", "100", "010"),
    "4/mmm": ("001", "100", "110"),
    "m-3": ("001", "101", "111", "011"),
    "m-3m": ("001", "101", "111"),
}
"""What lies at each corner of `symmetry.ipf_corners`; Miller indices of directions, or
axes of the crystal frame where indices would need the lattice constants."""


def ipf_colours(
    source: Microstructure | OrientationMap,
    laue: str | Sequence[str] | None = None,
    *,
    direction: tuple[float, float, float] = (0.0, 0.0, 1.0),
) -> Float[np.ndarray, "nx ny 3"]:
    """The pixels of `ipf_map`: red, green, blue in [0, 1], axis 0 = x.

    Arguments and errors as in `ipf_map`.
    """
    if source.grid.ndim != 2:
        raise JaxmatError(
            f"the map has {source.grid.ndim} dimensions; draw one section of it, with "
            "a Grid of two."
        )
    along = jnp.asarray(direction, float)
    phase = np.asarray(source.phase)
    image = np.full((*source.grid.shape, 3), 0.6)
    for index, group in enumerate(laue_of_phases(source, laue)):
        here = phase == index
        if not here.any():
            continue
        if isinstance(source, Microstructure):
            table = np.asarray(_ipf_colours(source.orientation, along, group))
            image[here] = table[np.asarray(source.grain)[here]]
        else:
            quaternion = source.quaternion.reshape(-1, 4)
            colours = np.asarray(_ipf_colours(quaternion, along, group))
            image[here] = colours.reshape(image.shape)[here]
    return np.clip(image, 0.0, 1.0)


def ipf_key(laue: str, *, ax: Axes | None = None) -> Figure:
    """Colour key of a Laue group: its sector of crystal directions, stereographic.

    Args:
        laue: one of `symmetry.LAUE_GROUPS`.
        ax: axes to draw into.

    Returns:
        The figure.

    Raises:
        JaxmatError: if `laue` is unknown.
    """
    corners = symmetry.ipf_corners(laue)
    if ax is None:
        figure = Figure(figsize=(2.6, 2.4), layout="constrained")
        ax = figure.add_subplot()
    outline = _project(_great_circles(corners))
    low, high = outline.min(axis=0), outline.max(axis=0)
    side = np.linspace(0.0, 1.0, 400)
    plane = low + np.stack(np.meshgrid(side, side, indexing="xy"), -1) * (high - low)
    colours = np.asarray(_direction_colours(_unproject(plane.reshape(-1, 2)), laue))
    image = ax.imshow(
        np.clip(colours, 0.0, 1.0).reshape(*plane.shape[:2], 3),
        extent=(low[0], high[0], low[1], high[1]),
        origin="lower",
        interpolation="bilinear",
    )
    edge = Polygon(outline, closed=True, fill=False, edgecolor="black", linewidth=0.8)
    ax.add_patch(edge)
    image.set_clip_path(edge)
    middle = outline.mean(axis=0)
    for corner, name in zip(_project(corners), _CORNER_NAMES[laue], strict=True):
        outward = (corner - middle) / np.linalg.norm(corner - middle)
        ax.annotate(
            rf"$[{name}]$" if any(map(str.isdigit, name)) else rf"${name}$",
            corner,
            xytext=outward * (13, 11),
            textcoords="offset points",
            ha="center",
            va="center",
            fontsize="small",
            annotation_clip=False,
        )
    ax.set_axis_off()
    return figure_of(ax)


def laue_of_phases(
    source: Microstructure | OrientationMap, laue: str | Sequence[str] | None
) -> tuple[str, ...]:
    """Laue group of every phase of the map."""
    if laue is None and isinstance(source, OrientationMap):
        return tuple(phase.laue for phase in source.phases)
    wanted = int(np.max(source.phase)) + 1
    groups = (laue,) * wanted if isinstance(laue, str) else tuple(laue or ())
    if len(groups) < wanted:
        raise JaxmatError(
            f"the map has {wanted} phases but `laue` {len(groups)} groups; give the "
            "Laue group of each phase."
        )
    return groups


def _ipf_colours(quaternion: Array, direction: Array, laue: str) -> Array:
    colour = jax.vmap(lambda q, d: symmetry.ipf_colour(q, d, laue), (0, None))
    return jax.jit(colour)(quaternion, direction)


def _direction_colours(direction: np.ndarray, laue: str) -> Array:
    colour = jax.vmap(lambda d: symmetry.direction_colour(d, laue))
    return jax.jit(colour)(jnp.asarray(direction))


def figure_of(ax: Axes) -> Figure:
    """The figure that the axes are in."""
    figure = ax.get_figure(root=True)
    assert figure is not None  # only of axes that were removed
    return figure


def _project(direction: np.ndarray) -> np.ndarray:
    """Stereographic projection of unit vectors of the upper half sphere."""
    return direction[:, :2] / (1 + direction[:, 2:])


def _unproject(plane: np.ndarray) -> np.ndarray:
    square = np.sum(plane**2, axis=1, keepdims=True)
    return np.concatenate([2 * plane, 1 - square], axis=1) / (1 + square)


def _great_circles(corners: np.ndarray) -> np.ndarray:
    """Points along the arcs from each corner to the next, none twice."""
    part = np.linspace(0.0, 1.0, 64, endpoint=False)[:, None]
    arcs = []
    for a, b in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        points = (1 - part) * a + part * b
        arcs.append(points / np.linalg.norm(points, axis=1, keepdims=True))
    return np.concatenate(arcs)
