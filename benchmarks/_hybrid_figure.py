"""The solid, its boxes, and what networks of them answer: `results/glass.png`."""

import pathlib

import _hybrid
import numpy as np
from _bars_hybrid import EIGHT, REFERENCE, RIVALS, TRAINED
from _record import RESULTS, pick

from jaxmat.atoms import Atoms
from jaxmat.studies import glass

FIGURE = RESULTS / "glass.png"
COLOURS = {
    TRAINED: "#c1440e",
    RIVALS["untrained"]: "#e0a100",
    RIVALS["points"]: "#0b3c5d",
    RIVALS["gru-many"]: "#6a4c93",
}
LABELS = {
    TRAINED: "boxes of atoms, trained",
    EIGHT: "eight boxes, trained",
    RIVALS["untrained"]: "boxes of atoms, untrained",
    RIVALS["one-factor"]: "boxes of atoms, one factor",
    RIVALS["localised"]: "boxes of atoms, Mori-Tanaka",
    RIVALS["points"]: "points of J2 plasticity",
    RIVALS["points-images"]: "points of J2, with images",
    RIVALS["gru"]: "GRU, 8 paths",
    RIVALS["gru-images"]: "GRU, 8 paths with images",
    RIVALS["gru-many"]: "GRU, 80 paths",
    RIVALS["gru-many-images"]: "GRU, 80 paths with images",
    RIVALS["nearest"]: "nearest of 80 histories",
    "one small solid": "one solid of 1000 atoms",
    REFERENCE: "one solid of 2000 atoms",
}
SHEAR = 2
"""Component of the second cycle that is drawn."""


def draw(rows: list[dict], folder: pathlib.Path) -> None:
    """Three panels: atoms, a cycle, and the errors of all seeds."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10.5, 3.6), layout="constrained")
    axes = figure.subplots(1, 3, width_ratios=(1.15, 1.2, 1))
    (solid,) = glass.load_boxes(folder / "small-0.npz")
    _atoms(axes[0], solid, _hybrid.boxes()[0])
    _cycle(axes[1], rows)
    _errors(axes[2], rows)
    figure.savefig(FIGURE, dpi=200)


def _atoms(ax, solid: Atoms, box: Atoms) -> None:
    from matplotlib.collections import EllipseCollection

    side = float(solid.box[0, 0])
    for one, left in ((solid, 0.0), (box, 1.08 * side)):
        xy = (np.asarray(one.positions) % 1) @ np.asarray(one.box).T
        species = np.asarray(one.species)
        size = np.where(species % 2 == 0, 1.0, 0.88)
        ax.add_collection(
            EllipseCollection(
                *(size, size, 0 * size),
                units="x",
                facecolors=np.where(species < 2, "#8fa8bd", "#0b3c5d"),
                offsets=xy + np.array([left, 0.0]),
                offset_transform=ax.transData,
            )
        )
    ax.text(side / 2, -1.5, "solid, 1000 atoms", ha="center", va="top", fontsize=8)
    end = left + float(box.box[0, 0]) / 2
    ax.text(end, -1.5, "box, 120", ha="center", va="top", fontsize=8)
    ax.set(xlim=(-1, left + float(box.box[0, 0]) + 1), ylim=(-5, side + 1))
    ax.set(aspect="equal")
    ax.axis("off")


def _cycle(ax, rows: list[dict]) -> None:
    eps, sig, mean = _hybrid.target()
    x = 100 * np.append(0, eps[1, :, SHEAR])

    def line(stress, *style, **options):
        ax.plot(x, np.append(0, np.asarray(stress)[:, SHEAR]), *style, **options)

    for one in sig[1]:
        line(one, color="0.8", lw=0.5)
    line(mean[1], "k", lw=1.6, label="mean of eight solids")
    for model, colour in COLOURS.items():
        row = pick({"rows": rows}, "rows", model=model)[0]
        line(row["sig"][1], color=colour, lw=1.1)
        ax.plot([], [], color=colour, label=LABELS[model])
    ax.set_xlabel("shear strain (Mandel) / %")
    ax.set_ylabel(r"shear stress / $\epsilon\sigma^{-2}$")
    ax.set_ylim(-1.7, 1.7)
    ax.legend(frameon=False, fontsize=7, loc="lower right")


def _errors(ax, rows: list[dict]) -> None:
    names = [m for m in LABELS if any(row["model"] == m for row in rows)][::-1]
    for place, model in enumerate(names):
        errors = [row["test_mae"] for row in rows if row["model"] == model]
        colour = COLOURS.get(model, "0.35")
        ax.plot(errors, [place] * len(errors), "o", ms=4, color=colour, alpha=0.7)
    ax.set_yticks(range(len(names)), [LABELS[m] for m in names], fontsize=8)
    ax.set_xscale("log")
    ticks = (0.05, 0.1, 0.2, 0.4)
    ax.set_xticks(ticks, [str(t) for t in ticks])
    ax.minorticks_off()
    ax.set_xlabel(r"mean absolute error / $\epsilon\sigma^{-2}$")
    ax.grid(axis="x", color="0.9", lw=0.6)
