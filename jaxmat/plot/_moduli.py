"""Decides how Young's modulus is drawn against direction."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.projections.polar import PolarAxes
from matplotlib.ticker import MaxNLocator

from jaxmat import mandel
from jaxmat._types import Stiffness

_EFFECTIVE, _ESTIMATE, _BAND = "#0b3c5d", "#c1440e", "#8a8f98"
_ABOVE: dict[str, Any] = {"loc": "lower center", "bbox_to_anchor": (0.5, 1.0)}


def directional_modulus(
    lines: Mapping[str, Stiffness],
    *,
    bands: Mapping[str, tuple[Stiffness, Stiffness]] | None = None,
) -> Figure:
    """Young's modulus of stiffnesses against the direction of pull in the map plane.

    Left a polar diagram from zero, x right and y down like the maps: the true shape.
    Right the same against the angle from x towards y, magnified: the differences.

    Args:
        lines: Mandel stiffness, GPa, 6x6 or 3x3, by name; the first is drawn boldest.
        bands: pairs of bounds by name, filled in between.

    Returns:
        The figure.
    """
    angle = np.linspace(0.0, 2 * np.pi, 361)
    figure = Figure(figsize=(7.2, 3.6), layout="constrained")
    polar = figure.add_subplot(1, 2, 1, projection="polar")
    flat = figure.add_subplot(1, 2, 2)
    assert isinstance(polar, PolarAxes)
    for axes, unit in ((polar, 1.0), (flat, 180 / np.pi)):
        x = angle * unit
        for k, (name, (low, high)) in enumerate((bands or {}).items()):
            limits = (_modulus(low, angle), _modulus(high, angle))
            style: dict[str, Any] = {"color": _BAND, "alpha": 0.3, "linewidth": 0}
            if k:
                style = {"facecolor": "none", "edgecolor": _BAND, "hatch": "////"}
                style["linewidth"] = 0.5
            axes.fill_between(x, *limits, label=name, **style)
        for k, (name, stiffness) in enumerate(lines.items()):
            axes.plot(
                x,
                _modulus(stiffness, angle),
                label=name,
                color=_ESTIMATE if k else _EFFECTIVE,
                linestyle="-" if k == 0 else ("--", ":", "-.")[(k - 1) % 3],
                linewidth=1.2 if k else 2.0,
            )
    polar.set_theta_direction(-1)
    polar.set_rlim(0)
    polar.yaxis.set_major_locator(MaxNLocator(3, prune="both"))
    polar.set_rlabel_position(22.5)
    polar.tick_params(labelsize="small")
    polar.set_thetagrids(
        range(0, 360, 45), ["x", "45°", "y", "135°", "180°", "225°", "270°", "315°"]
    )
    polar.set_title("Young's modulus / GPa", fontsize="medium")
    flat.set(
        xlim=(0, 180),
        xticks=range(0, 181, 45),
        xlabel="direction of pull, degrees from x to y",
        ylabel="Young's modulus / GPa",
    )
    flat.legend(frameon=False, fontsize="small", ncols=2, **_ABOVE)
    return figure


def _modulus(stiffness: Stiffness, angle: np.ndarray) -> np.ndarray:
    """Young's modulus, GPa, along directions at `angle` from x towards y."""
    compliance = np.linalg.inv(np.asarray(stiffness))
    c, s = np.cos(angle), np.sin(angle)
    dyad = np.zeros((len(angle), len(compliance)))
    dyad[:, mandel.PLANE if len(compliance) == 6 else [0, 1, 2]] = np.stack(
        [c * c, s * s, math.sqrt(2) * c * s], axis=-1
    )
    return 1 / np.einsum("ai,ij,aj->a", dyad, compliance, dyad)
