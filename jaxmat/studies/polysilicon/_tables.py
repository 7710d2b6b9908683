"""Decides how scores are printed: R2, mean error, scatter error at every film size."""

import textwrap
from collections.abc import Mapping
from typing import Any

from jaxmat.studies.polysilicon._evaluate import REFERENCE, Table
from jaxmat.studies.polysilicon._presets import RATIOS

HEADINGS = (
    "predictor",
    *(f"R2, L/s {ratio}" for ratio in RATIOS),
    *(f"error/GPa, {ratio}" for ratio in RATIOS),
    *(f"std error/%, {ratio}" for ratio in RATIOS),
)

CAPTION = (
    "R2: share of the variance that is predicted. Error: mean of the absolute error, "
    "of a stiffness of its Frobenius norm. Std error: relative error of the standard "
    "deviation over the set; it means nothing where R2 is low. Calibrated: after one "
    "straight line per quantity, fitted on the training set. Of several seeds, the "
    "worst."
)

_ABSENT = "-"


def rows(
    tables: Mapping[str, Table], quantity: str, *, intervals: bool = False
) -> list[list[str]]:
    """The table of a quantity as text, a row for every predictor.

    Args:
        tables: all scores, by L/s as text.
        quantity: "youngs_modulus" or "stiffness".
        intervals: append the 95 % interval of the scatter error.

    Returns:
        Rows below `HEADINGS`; those of the reference are last, for Young's modulus.
    """
    found = []
    for name in tables[str(RATIOS[0])]:
        scores = [tables[str(ratio)][name][quantity] for ratio in RATIOS]
        found.append(
            [
                name,
                *(f"{one['r2']:.5f}" for one in scores),
                *(f"{one['mean_error']:.3f}" for one in scores),
                *(_scatter(one, intervals) for one in scores),
            ]
        )
    if quantity == "youngs_modulus":
        found += [_published(name, errors) for name, errors in REFERENCE.items()]
    return found


def text_table(tables: Mapping[str, Table], quantity: str) -> str:
    """The table for a terminal."""
    groups = ["", *("R2", "", "", "error", "/ GPa", "", "std", "error", "/ %")]
    sizes = ["L/s", *(str(ratio) for _ in range(3) for ratio in RATIOS)]
    lines = [groups, sizes, *rows(tables, quantity)]
    first = max(len(line[0]) for line in lines)
    width = max(len(cell) for line in lines for cell in line[1:])
    return "\n".join(
        line[0].ljust(first) + "".join(f"  {cell:>{width}}" for cell in line[1:])
        for line in lines
    )


def wrapped(text: str) -> str:
    """Text in lines of a terminal."""
    return textwrap.fill(text, 88)


def _scatter(scores: Mapping[str, Any], intervals: bool) -> str:
    error = f"{100 * scores['scatter_error']:.2f}"
    if not intervals:
        return error
    low, high = (100 * end for end in scores["scatter_error_interval"])
    return f"{error} ({low:.2f} to {high:.2f})"


def _published(name: str, errors: Mapping[int, float]) -> list[str]:
    absent = [_ABSENT] * (2 * len(RATIOS))
    scatter = [
        f"{100 * errors[ratio]:.1f}" if ratio in errors else _ABSENT for ratio in RATIOS
    ]
    return [name, *absent, *scatter]
