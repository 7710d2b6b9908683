"""What networks of material points have to hold, read off the rows."""

import math
import statistics
from collections.abc import Callable

from _record import Bar, pick

PUBLISHED_GRU = 11.55  # MPa, 64 paths
KINDS = ("gru", "lstm", "lstm with dropout", "law", "dmn")


def errors(rows: dict, kind: str, paths) -> list[float]:
    """Test errors of all seeds, MPa."""
    return [
        row["test_mae"]
        for row in pick(rows, "learning", model=kind)
        if row["paths"] == paths
    ]


def median(rows: dict, kind: str, paths) -> float | None:
    found = errors(rows, kind, paths)
    return statistics.median(found) if found else None


def paths_for(rows: dict, kind: str, error: float) -> float | None:
    """Paths that a kind needs for a median error, between those that were tried.

    Interpolated in the logarithms; the least or most that was tried at the ends, hence
    a lower bound of the ratio where even one path does.
    """
    curve = sorted(
        {
            row["paths"]
            for row in pick(rows, "learning", model=kind)
            if isinstance(row["paths"], int)
        }
    )
    if not curve:
        return None
    values = [median(rows, kind, paths) for paths in curve]
    if values[0] <= error:
        return float(curve[0])
    for k in range(1, len(curve)):
        if values[k] <= error:
            share = math.log(values[k - 1] / error) / math.log(
                values[k - 1] / values[k]
            )
            return curve[k - 1] * (curve[k] / curve[k - 1]) ** share
    return float("inf")


def data_ratio(kind: str) -> Callable[[dict], float | None]:
    def value(rows: dict) -> float | None:
        reached = median(rows, kind, 64)
        needed = paths_for(rows, "prnn", reached) if reached else None
        return 64 / needed if needed else None

    return value


def _accuracy(paths, bar: float) -> list[Bar]:
    what = f"{paths} GP paths" if isinstance(paths, int) else "the 18 canonical paths"
    what = what.replace("1 GP paths", "one GP path") if paths == 1 else what
    return [
        Bar(
            f"prnn-{paths}-{name}",
            "learning",
            f"mean absolute error from {what}, {name} of five seeds, MPa",
            "<=",
            bar,
            lambda rows, of=of: (
                of(found) if (found := errors(rows, "prnn", paths)) else None
            ),
        )
        for name, of in (("median", statistics.median), ("worst", max))
    ]


def _one_path_against_our_gru(rows: dict) -> float | None:
    few, many = median(rows, "prnn", 1), median(rows, "gru", 64)
    return few / many if few and many else None


def _extrapolation(key: str, kind: str = "prnn") -> Callable[[dict], float | None]:
    def value(rows: dict) -> float | None:
        found = [row[key] for row in pick(rows, "extrapolation", model=kind)]
        return statistics.median(found) if found else None

    return value


def _against_gru(key: str) -> Callable[[dict], float | None]:
    def value(rows: dict) -> float | None:
        ours, peer = (_extrapolation(key, kind)(rows) for kind in ("prnn", "gru"))
        return ours / peer if ours and peer else None

    return value


def _step_size(steps: int) -> Callable[[dict], float | None]:
    def value(rows: dict) -> float | None:
        found = [
            size["difference"]
            for row in pick(rows, "extrapolation", model="prnn")
            for size in row["step_sizes"]
            if size["steps"] == steps
        ]
        return max(found) if found else None

    return value


def _order(rows: dict) -> float | None:
    coarse, fine = _step_size(60)(rows), _step_size(240)(rows)
    return math.log(coarse / fine) / math.log(4) if coarse and fine else None


def _speed(program: str) -> Callable[[dict], float | None]:
    def value(rows: dict) -> float | None:
        full = [row for row in pick(rows, "speed", program="full") if row["converged"]]
        ours = pick(rows, "speed", program=program)
        if not (full and ours):
            return None
        fastest = min(row["seconds_per_step"] for row in ours)
        return min(row["seconds_per_step"] for row in full) / fastest

    return value


BARS = [
    *_accuracy(64, 1.5),
    *_accuracy(8, 3.8),
    *_accuracy(2, 9.0),
    *_accuracy("canonical", 5.5),
    *_accuracy(1, PUBLISHED_GRU),
    Bar(
        "one-path-against-our-gru",
        "learning",
        "median error from one path over that of our tuned GRU from 64",
        "<=",
        1.0,
        _one_path_against_our_gru,
    ),
    *(
        Bar(
            f"data-ratio-{kind.replace(' ', '-')}",
            "learning",
            f"paths that a {kind} needs over those of the network of points, at the "
            "error that the former has from 64 (a lower bound where one path does)",
            ">=",
            10.0,
            data_ratio(kind),
        )
        for kind in KINDS
    ),
    Bar(
        "unloading",
        "extrapolation",
        "trained on monotonic paths: error on paths that unload and reload, median of "
        "five seeds, MPa",
        "<=",
        5.5,
        _extrapolation("unloading_mae"),
    ),
    Bar(
        "unloading-against-gru",
        "extrapolation",
        "that error over a GRU's, trained on the same",
        "<=",
        1.0,
        _against_gru("unloading_mae"),
    ),
    Bar(
        "three-times-the-strain-against-gru",
        "extrapolation",
        "trained on the first third of monotonic paths: error on the whole, over that "
        "of a GRU",
        "<=",
        1.0,
        _against_gru("three_times_the_strain_mae"),
    ),
    Bar(
        "step-size",
        "extrapolation",
        "change of the stress with infinitely fine steps, over its size, worst seed",
        "<=",
        0.01,
        _step_size(60),
    ),
    Bar(
        "step-size-order",
        "extrapolation",
        "order of that change in the size of the steps",
        ">=",
        0.9,
        _order,
    ),
    Bar(
        "speed-batched",
        "speed",
        "seconds of a step of the full cell, refined until converged, over those of a "
        "point of the network in a batch",
        ">=",
        1e4,
        _speed("batched"),
    ),
    Bar(
        "speed-specimen",
        "speed",
        "seconds of a step of the full cell over those of a point of a two-scale "
        "specimen, its solver included",
        ">=",
        1e4,
        _speed("specimen"),
    ),
]
