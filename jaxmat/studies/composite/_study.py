"""Decides what a training and an evaluation leave on the disk.

A folder holds `model.eqx` (a line of JSON, then the weights), `training.jsonl` and the
checkpoint of a training that was stopped; an evaluation adds `evaluation.json` and
`stress.png`.
"""

import dataclasses
import json
import os
from pathlib import Path
from typing import Any, NamedTuple

import equinox as eqx
import jax
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from jaxmat._check import JaxmatError
from jaxmat.io import atomic_path, make_folder
from jaxmat.materials import AbstractMaterial
from jaxmat.studies.composite._data import Paths, error_in_mpa, in_mpa, read_paths
from jaxmat.studies.composite._learn import error_on, fit_paths, predict
from jaxmat.studies.composite._models import Model, build

MODEL, CHECKPOINT, EVALUATION = "model.eqx", "checkpoint", "evaluation.json"
FIGURE = "stress.png"
COMPONENTS = ("sxx", "syy", "txy")


class Split(NamedTuple):
    """How many of a file's paths serve what, the rest being the test.

    Attributes:
        training: the first so many.
        validation: the next.
    """

    training: int
    validation: int

    def apply(self, paths: Paths) -> tuple[Paths, Paths, Paths]:
        """Paths for training, validation and test.

        Raises:
            JaxmatError: if one of the three is empty.
        """
        first, second = self.training, self.training + self.validation
        if min(self) < 1 or second >= len(paths.eps):
            raise JaxmatError(
                f"{self.training} paths for training and {self.validation} for "
                f"validation leave none of the {len(paths.eps)} in the file for the "
                "test; give fewer, and at least one of each."
            )
        return (
            paths.take(slice(first)),
            paths.take(slice(first, second)),
            paths.take(slice(second, None)),
        )

    def seen(self, paths: Paths) -> Paths:
        """Paths for training and validation."""
        return paths.take(slice(sum(self)))


def train(
    data: str | os.PathLike,
    folder: str | os.PathLike,
    model: Model,
    split: Split,
    *,
    seed: int = 0,
    progress: bool = True,
) -> dict[str, Any]:
    """Train a model on the paths of a file; goes on where it was stopped.

    Args:
        data: file of load paths.
        folder: made if it is not there; belongs to one model and split.
        model: what learns, and how long.
        split: of the paths.
        seed: of weights, batches and dropout.
        progress: a bar on standard error.

    Returns:
        Errors on validation and test, MPa.

    Raises:
        JaxmatError: if the file or the split cannot be used, or the folder holds
            another model.
    """
    paths = read_paths(data)
    training, validation, test = split.apply(paths)
    target = make_folder(folder)
    head = {
        "model": dataclasses.asdict(model),
        "split": list(split),
        "seed": seed,
        "stress_scale": float(np.std(training.sig)),
        "learned_from": split.seen(paths).digest,
    }
    if (target / MODEL).exists():
        material, there = read_model(target)
        if there != head:
            raise JaxmatError(
                f"`{folder}` holds a model of other options or other paths; give "
                "another folder."
            )
    else:
        material = fit_paths(
            model,
            training,
            validation,
            key=jax.random.key(seed),
            checkpoint=target / CHECKPOINT,
            progress=progress,
        ).value
        _write_model(target, material, head)
    return {
        "validation_mae_mpa": error_on(material, validation),
        "test_mae_mpa": error_on(material, test),
    }


def evaluate(
    data: str | os.PathLike, folder: str | os.PathLike, *, all_paths: bool = False
) -> dict[str, Any]:
    """Errors of a trained model on the test paths of a file, and a figure of three.

    Args:
        data: file of load paths; that of the training, or any other.
        folder: of the training.
        all_paths: take all of them, where the file is another.

    Returns:
        Errors, MPa: mean, by component, and of the worst path.

    Raises:
        JaxmatError: if the folder holds no model, or the file no test paths, or begins
            with other paths than those of the training and not all of them are taken.
    """
    material, head = read_model(folder)
    test = paths = read_paths(data)
    if not all_paths:
        split = Split(*head["split"])
        test = split.apply(paths)[2]
        if split.seen(paths).digest != head.get("learned_from"):
            raise JaxmatError(
                f"`{data}` does not begin with the paths that `{folder}` was trained "
                "on; give that file, or take all paths of this one (--all)."
            )
    predicted = np.asarray(predict(material, test.eps))
    error = np.abs(in_mpa(predicted) - in_mpa(test.sig))
    result = {
        "data": str(data),
        "paths": len(test.eps),
        "mae_mpa": error_in_mpa(predicted, test.sig),
        "mae_mpa_by_component": dict(
            zip(COMPONENTS, error.mean((0, 1)).tolist(), strict=True)
        ),
        "mae_mpa_of_the_worst_path": float(error.mean((1, 2)).max()),
        "mean_stress_mpa": float(np.abs(in_mpa(test.sig)).mean()),
    }
    with atomic_path(Path(folder) / EVALUATION) as temporary:
        temporary.write_text(json.dumps(result, indent=1) + "\n")
    with atomic_path(Path(folder) / FIGURE) as temporary:
        stress_figure(test, predicted).savefig(temporary, dpi=150)
    return result


def read_model(folder: str | os.PathLike) -> tuple[AbstractMaterial, dict[str, Any]]:
    """A trained model, and what its training was told.

    Raises:
        JaxmatError: if there is none, or the file is cut off.
    """
    path = Path(folder) / MODEL
    try:
        with path.open("rb") as file:
            head = json.loads(file.readline())
            model, _ = Model(**head["model"]), Split(*head["split"])
            blank = build(model, head["stress_scale"], key=jax.random.key(0))
            return eqx.tree_deserialise_leaves(file, blank), head
    except OSError as error:
        raise JaxmatError(
            f"`{folder}` holds no model; train one there first."
        ) from error
    except (ValueError, KeyError, TypeError, EOFError, RuntimeError) as error:
        raise JaxmatError(
            f"`{path}` is no model of this version, or cut off; train it again."
        ) from error


def stress_figure(paths: Paths, predicted: np.ndarray, count: int = 3) -> Figure:
    """Stress components along the first paths, beside what a model says, in MPa."""
    count = min(count, len(paths.eps))
    figure = Figure(figsize=(3.2 * count, 2.8), layout="constrained")
    axes = figure.subplots(1, count, sharey=True, squeeze=False)[0]
    for k, ax in enumerate(axes):
        _draw(ax, in_mpa(paths.sig[k]), in_mpa(predicted[k]))
        ax.set_title(f"path {k + 1}", fontsize=9)
    axes[0].set_ylabel("stress / MPa")
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(
        handles, labels, loc="outside lower center", ncols=4, frameon=False, fontsize=8
    )
    return figure


def _draw(ax: Axes, wanted: np.ndarray, found: np.ndarray) -> None:
    steps = np.arange(1, len(wanted) + 1)
    for k, (name, colour) in enumerate(zip(COMPONENTS, _COLOURS, strict=True)):
        ax.plot(steps, wanted[:, k], color=colour, lw=2.5, alpha=0.35, label=name)
        label = "network" if k == 2 else None
        ax.plot(steps, found[:, k], color="black", lw=0.8, ls="--", label=label)
    ax.axhline(0, color="0.85", lw=0.6, zorder=0)
    ax.set_xlabel("step")


_COLOURS = ("#0b3c5d", "#c1440e", "#2a9d8f")


def _write_model(folder: Path, material: AbstractMaterial, head: dict) -> None:
    with atomic_path(folder / MODEL) as temporary, temporary.open("wb") as file:
        file.write(json.dumps(head).encode() + b"\n")
        eqx.tree_serialise_leaves(file, material)
