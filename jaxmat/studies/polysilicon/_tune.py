"""Decides which options of a network are searched, and by what they are judged.

The list is that of the reference study: architecture, optimiser, learning rate and its
decay, regularisation, layers, number of films, resolution, batch size. A trial is a
training on the films of a study; the validation decides. Test films are not looked at.
"""

import dataclasses
import json
import tempfile
from pathlib import Path
from typing import Any

import jax

from jaxmat import training
from jaxmat.io import atomic_path
from jaxmat.studies.polysilicon._learn import OPTIMISERS, train
from jaxmat.studies.polysilicon._model_file import ARCHITECTURES
from jaxmat.studies.polysilicon._presets import Model
from jaxmat.studies.polysilicon._study import Study

TRIALS, BEST = "search.db", "search.json"
STAGES = 3

SPACE: dict[str, Any] = {
    "architecture": list(ARCHITECTURES),
    "optimiser": list(OPTIMISERS),
    "learning_rate": (1e-4, 3e-2, "log"),
    "weight_decay": (1e-6, 1e-2, "log"),
    "l1": (1e-8, 1e-4, "log"),
    "dropout": (0.0, 0.3),
    "width": [8, 12, 16],
    "blocks": (1, 2),
    "part": [0.25, 0.5, 1.0],
    "reduction": [1, 2, 4],
    "batch_size": [8, 16, 32],
}
"""What is tried; "blocks" of each of the stages, "part" of the training films."""


def search(study: Study, num_trials: int, *, progress: bool = True) -> dict[str, Any]:
    """Look for the options with which a network alone learns a study's films best.

    Stopped and called again, it goes on with the next trial.

    Args:
        study: has its films.
        num_trials: trials in all, those of earlier calls included.
        progress: show a bar.

    Returns:
        Options and validation of the best trial, as in the file `search.json`.

    Raises:
        JaxmatError: if there are no films, Optuna is missing, or every trial failed.
    """
    base = study.preset.models[0]
    films, validation = (
        study.given(name, in_the_loop=False, encoding=base.encoding)
        for name in ("train", "validation")
    )

    def objective(options: dict[str, Any], key: Any) -> float:
        seed = int(jax.random.bits(key, dtype="uint16"))
        with tempfile.TemporaryDirectory() as folder:
            info = train(
                _model(base, options),
                seed,
                study.data["train"],
                films,
                validation,
                folder=Path(folder),
                factor=study.preset.factor,
                progress=False,
            )
        return info.best_value

    solution = training.search(
        objective,
        SPACE,
        num_trials=num_trials,
        storage=study.folder / TRIALS,
        key=jax.random.key(study.preset.seed),
        progress=progress,
    )
    found = {
        "options": solution.value,
        "validation": solution.info.best_value,
        "trials": len(solution.info.values),
    }
    with atomic_path(study.folder / BEST) as temporary:
        temporary.write_text(json.dumps(found, indent=2) + "\n")
    return found


def _model(base: Model, options: dict[str, Any]) -> Model:
    """The base with the options of a trial, and as many steps whatever its films."""
    rest = {k: v for k, v in options.items() if k not in ("blocks", "part")}
    num_films = round(base.num_films * options["part"])
    samples = base.num_films * base.epochs
    return dataclasses.replace(
        base,
        num_films=num_films,
        epochs=samples // num_films,
        depths=(options["blocks"],) * STAGES,
        **rest,
    )
