"""What networks of boxes of atoms have to hold, read off the rows."""

import statistics
from collections.abc import Callable

import numpy as np
from _record import Bar, pick

REFERENCE = "one solid"
RIVALS = {
    "untrained": "boxes, untrained",
    "one-factor": "boxes, one factor",
    "localised": "boxes, Mori-Tanaka",
    "points": "points of J2",
    "points-images": "points of J2, images",
    "gru": "GRU, 8 paths",
    "gru-images": "GRU, 8 paths, images",
    "gru-many": "GRU, 80 paths",
    "gru-many-images": "GRU, 80 paths, images",
    "nearest": "nearest of 80 histories",
}
TRAINED, EIGHT = "boxes", "boxes, 4 + 4"
GOAL = 1e4
"""Work of a solid over that of a network that the project asks for."""


def middle(rows: dict, model: str) -> float | None:
    """Median error of all seeds."""
    found = [row["test_mae"] for row in pick(rows, "hybrid", model=model)]
    return statistics.median(found) if found else None


def _against(model: str, trained: str) -> Callable[[dict], float | None]:
    def value(rows: dict) -> float | None:
        ours, theirs = middle(rows, trained), middle(rows, model)
        return ours / theirs if ours and theirs else None

    return value


def scaled_scatter(rows: dict) -> float | None:
    """Scatter of the solids, if they had as many atoms as a network."""
    solids, networks = (pick(rows, "hybrid", model=m) for m in (REFERENCE, TRAINED))
    if not (solids and networks):
        return None
    ratio = solids[0]["num_atoms"] / networks[0]["num_atoms"]
    return solids[0]["test_mae"] * ratio**0.5


def _against_scatter(rows: dict) -> float | None:
    ours, scatter = middle(rows, TRAINED), scaled_scatter(rows)
    return ours / scatter if ours and scatter else None


def _left(rows: dict) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """Stress left at no strain: network, solids, and scatter of one solid."""
    solids, networks = (pick(rows, "hybrid", model=m) for m in (REFERENCE, TRAINED))
    if not (solids and networks):
        return None
    ours = np.median([row["left"] for row in networks], 0)
    return ours, *(np.array(solids[0][key]) for key in ("left", "left_scatter"))


def _left_ratio(rows: dict) -> float | None:
    found = _left(rows)
    return None if found is None else float(np.min(found[0] / found[1]))


def _left_difference(rows: dict) -> float | None:
    found = _left(rows)
    if found is None:
        return None
    ours, solids, scatter = found
    return float(np.max(np.abs(ours - solids) / scatter))


def work_ratio(rows: dict) -> float | None:
    """Atoms times gradients of a solid over those of a network, on the same path."""
    solids, networks = (pick(rows, "hybrid", model=m) for m in (REFERENCE, TRAINED))
    if not (solids and networks):
        return None
    full = solids[0]["num_atoms"] * solids[0]["evaluations"]
    return full / statistics.median(row["atom_evaluations"] for row in networks)


def accounting(rows: list[dict], training_paths: int) -> dict:
    """Where the saving in work passes `GOAL`, and what a training costs.

    Gradients of a solid grow as a power of its atoms, measured between the two sizes;
    a network of the same boxes costs what it does.
    """
    table = {"hybrid": rows}
    whole, small, trained = (
        pick(table, "hybrid", model=model)
        for model in (REFERENCE, "one small solid", TRAINED)
    )
    saving, N = work_ratio(table), whole[0]["num_atoms"]
    growth = whole[0]["evaluations"] / np.median([row["evaluations"] for row in small])
    power = float(np.log(growth) / np.log(N / small[0]["num_atoms"]))
    walks = np.median([row["training"]["walks"] for row in trained])
    seconds = [row["training"]["cpu_seconds"] for row in trained]
    return {
        "model": "accounting",
        "gradients_of_the_solid_over_those_of_the_small_one": float(growth),
        "atoms_at_which_the_goal_is_passed": float(
            N * (GOAL / saving) ** (1 / (1 + power))
        ),
        "atoms_at_which_it_is_without_growth": N * GOAL / saving,
        "training_over_a_path_of_the_solid": float(walks * training_paths / saving),
        "training_minutes": max(s for s in seconds if s) / 60,
    }


def _specimen(key: str) -> Callable[[dict], float | None]:
    def value(rows: dict) -> float | None:
        found = pick(rows, "atoms_in_specimen", what=key)
        return found[0]["value"] if found else None

    return value


_TRAINED = "trained on eight paths: median error of five seeds"

BARS = [
    *(
        Bar(
            f"{slug}-{name}",
            "hybrid",
            f"network of {trained}, {_TRAINED} on unseen cycles over that of: {model}",
            "<=",
            1.0,
            _against(model, trained),
        )
        for slug, trained in (("hybrid", TRAINED), ("hybrid-eight", EIGHT))
        for name, model in RIVALS.items()
    ),
    Bar(
        "hybrid-scatter",
        "hybrid",
        "that error over the scatter of the solids from sample to sample, times "
        "sqrt(N_ref / sum N_cell)",
        "<=",
        1.0,
        _against_scatter,
    ),
    Bar(
        "hybrid-left-sign",
        "hybrid",
        "shear stress left after a cycle, median of five seeds, over that of the "
        "solids, the smaller of two cycles",
        ">=",
        0.0,
        _left_ratio,
    ),
    Bar(
        "hybrid-left-size",
        "hybrid",
        "its difference from that of the solids over their scatter, the larger of two "
        "cycles",
        "<=",
        1.0,
        _left_difference,
    ),
    Bar(
        "hybrid-work",
        "hybrid",
        "N_ref x evaluations over sum(N_cell x evaluations), N_ref = 2000",
        ">=",
        1.0,
        work_ratio,
    ),
    Bar(
        "hybrid-relaxation",
        "atoms_in_specimen",
        "boxes at T = 0.2: shear stress in the last two windows of a hold of 40 units "
        "of time, mean, over that right after the strain",
        "<=",
        0.9,
        _specimen("relaxation"),
    ),
    Bar(
        "end-to-end-gradient",
        "atoms_in_specimen",
        "derivative of a specimen's mean stress in the epsilon of the embedded atoms "
        "against central differences, relative",
        "<=",
        1e-5,
        _specimen("gradient"),
    ),
]
