"""Decides what a study of films leaves to read: figures, tables, and a model card."""

import base64
import dataclasses
import html
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import jaxmat
from jaxmat.io import atomic_path
from jaxmat.studies.polysilicon._evaluate import REFERENCE, Evaluation, Table
from jaxmat.studies.polysilicon._figures import figures
from jaxmat.studies.polysilicon._model_card import model_card
from jaxmat.studies.polysilicon._presets import RATIOS, Preset
from jaxmat.studies.polysilicon._tables import CAPTION, HEADINGS, rows

RESULTS, PAGE, CARD = "results.json", "report.html", "model_card.md"
DPI = 160

STYLE = """\
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto;
  padding: 0 1rem; color: #1b1f24 }
h1, h2 { line-height: 1.2 }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: 14px }
th, td { padding: .2rem .6rem; text-align: right; border-bottom: 1px solid #d5d9de }
th:first-child, td:first-child { text-align: left }
img { max-width: 100% } figure { margin: 1.5rem 0 } figcaption { color: #57606a }
"""


def write_report(
    folder: Path,
    preset: Preset,
    evaluation: Evaluation,
    histories: Mapping[str, Sequence[Mapping[str, float]]],
    *,
    command: str,
) -> dict[str, Any]:
    """Write figures, page, model card and results; what was there is replaced.

    Args:
        folder: of the study.
        preset: what was done.
        evaluation: what came out.
        histories: metrics of every training step, by the name of the model.
        command: how it was called.

    Returns:
        The content of `results.json`.
    """
    drawn = figures(preset, evaluation, histories)
    for name, (figure, _) in drawn.items():
        with atomic_path(folder / f"{name}.png") as temporary:
            figure.savefig(temporary, dpi=DPI, bbox_inches="tight")
    results = {
        "preset": dataclasses.asdict(preset),
        "command": command,
        "jaxmat": jaxmat.__version__,
        "youngs_modulus": {
            str(ratio): _moments(true) for ratio, true in evaluation.true.items()
        },
        "tables": evaluation.tables,
        "uncertainty": {
            title: one.summary() for title, one in evaluation.uncertainty.items()
        },
        "reference_scatter_error": REFERENCE,
        "files": [*(f"{name}.png" for name in drawn), PAGE, CARD, RESULTS],
    }
    captions = {name: caption for name, (_, caption) in drawn.items()}
    texts = {
        PAGE: _page(folder, preset, evaluation, captions),
        CARD: model_card(preset, evaluation, command=command),
        RESULTS: json.dumps(results, indent=2) + "\n",
    }
    for name, text in texts.items():
        with atomic_path(folder / name) as temporary:
            temporary.write_text(text, encoding="utf-8")
    return results


def _moments(true: np.ndarray) -> dict[str, float]:
    """Mean and scatter of the labels, GPa, and how many there are."""
    return {
        "mean": float(true.mean()),
        "standard_deviation": float(true.std()),
        "films": len(true),
    }


def _page(
    folder: Path, preset: Preset, evaluation: Evaluation, captions: Mapping[str, str]
) -> str:
    """One HTML file with everything in it."""
    parts = [
        f"<h1>Polysilicon films, preset {preset.name}</h1>",
        f"<p>{html.escape(_summary(preset, evaluation))}</p>",
    ]
    for quantity, title in (
        ("youngs_modulus", "Young's modulus along x"),
        ("stiffness", "Whole stiffness in plane stress"),
    ):
        parts += [f"<h2>{title}</h2>", _html_table(evaluation.tables, quantity)]
    parts += [f"<p>{html.escape(CAPTION)}</p>", "<h2>Figures</h2>"]
    for name, caption in captions.items():
        image = base64.b64encode((folder / f"{name}.png").read_bytes()).decode()
        text = html.escape(caption)
        parts.append(
            f'<figure><img alt="{text}" src="data:image/png;base64,{image}">'
            f"<figcaption>{text}</figcaption></figure>"
        )
    body = "\n".join(parts)
    return (
        '<!doctype html>\n<html lang="en">\n<head><meta charset="utf-8">\n'
        f"<title>Polysilicon films</title>\n<style>\n{STYLE}</style></head>\n"
        f"<body>\n{body}\n</body>\n</html>\n"
    )


def _summary(preset: Preset, evaluation: Evaluation) -> str:
    scatter = ", ".join(
        f"{evaluation.true[ratio].mean():.2f} ± {evaluation.true[ratio].std():.2f} GPa "
        f"at L/s = {ratio}"
        for ratio in RATIOS
    )
    return (
        f"{preset.num_train} films for training and {preset.num_validation} for "
        f"validation at L/s = 4, {preset.num_test} for each test; "
        f"{preset.pixels_per_grain} pixels along a mean grain; {preset.boundary} "
        f"labels. Young's modulus: {scatter}."
    )


def _html_table(tables: Mapping[str, Table], quantity: str) -> str:
    head = "".join(f"<th>{html.escape(name)}</th>" for name in HEADINGS)
    body = "\n".join(
        "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>"
        for row in rows(tables, quantity, intervals=True)
    )
    return f"<table>\n<tr>{head}</tr>\n{body}\n</table>"
