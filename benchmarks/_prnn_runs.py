"""Trainings of `bench_prnn.py`, one file each; what is there is not done again.

    python benchmarks/_prnn_runs.py DIR prnn gru

Every kind has twelve settings. With the first seed all are tried on two paths and on
64; those with the least error on the validation paths are kept, the former for up to
eight paths, the latter for more. Several processes may share the folder if they have
different kinds.
"""

import dataclasses
import hashlib
import itertools
import json
import pathlib
import sys
import time

import jax

from jaxmat.studies import composite
from jaxmat.studies.composite import Model

DATA = pathlib.Path(__file__).parents[1] / "tests" / "data" / "prnn"
SEEDS = range(5)
SIZES = (1, 2, 4, 8, 16, 32, 64)
TRIALS = (2, 64)
FEW = 8
"""Paths up to which the settings tried on two are taken."""

PARTS = {
    "training": slice(0, 64),
    "validation": slice(64, 70),
    "test": slice(70, 100),
}


def settings() -> dict[str, list[Model]]:
    """Twelve of each kind."""
    rates = (1e-2, 2e-2, 4e-2)
    memories = {
        kind: [
            Model(kind, width, rate)
            for width, rate in itertools.product((32, 64, 128, 256), (3e-3, 1e-2, 3e-2))
        ]
        for kind in ("gru", "lstm")
    }
    return {
        "prnn": [
            Model("prnn", size, rate, decoder=decoder)
            for size, rate, decoder in itertools.product(
                (16, 24), rates, ("tied", "positive")
            )
        ],
        "law": [
            Model("law", 1, rate, scatter=scatter)
            for rate, scatter in itertools.product((3e-3, *rates), (0.1, 0.3, 0.5))
        ],
        **memories,
        "lstm with dropout": [
            Model("lstm", width, rate, dropout=dropout)
            for width, rate, dropout in itertools.product(
                (64, 128, 256), (3e-3, 1e-2), (0.1, 0.3)
            )
        ],
        "dmn": [
            Model("dmn", depth, rate, num_steps=300)
            for depth, rate in itertools.product((2, 3, 4), (*rates, 8e-2))
        ],
    }


def train(folder: pathlib.Path, model: Model, paths: int | str, seed: int) -> dict:
    """Errors of a model after training, MPa; from the folder if it has them."""
    what = {**dataclasses.asdict(model), "paths": paths, "seed": seed}
    name = hashlib.sha1(json.dumps(what).encode()).hexdigest()[:16]
    path = folder / f"{name}.json"
    if path.exists():
        return json.loads(path.read_text())
    gp = composite.read_paths(DATA / "gpCurves.data")
    if paths == "canonical":
        training = composite.read_paths(DATA / "canonical.data")
    else:
        training = gp.take(slice(paths))
    validation, test = (gp.take(PARTS[part]) for part in ("validation", "test"))
    start = time.perf_counter()
    key = jax.random.key(seed)
    solution = composite.fit_paths(model, training, validation, key=key, progress=False)
    row = what | {
        "seconds": time.perf_counter() - start,
        "validation_mae": composite.error_on(solution.value, validation),
        "test_mae": composite.error_on(solution.value, test),
    }
    path.write_text(json.dumps(row))
    return row


def best(folder: pathlib.Path, kind: str, paths: int | str) -> Model:
    """The settings for so many paths."""
    tried = TRIALS[0] if isinstance(paths, int) and paths <= FEW else TRIALS[1]
    return min(
        settings()[kind],
        key=lambda model: train(folder, model, tried, 0)["validation_mae"],
    )


def curve(folder: pathlib.Path, kind: str) -> list[dict]:
    """Rows of all numbers of paths and seeds with the best settings."""
    rows = []
    for paths, seed in itertools.product((*SIZES, "canonical"), SEEDS):
        row = train(folder, best(folder, kind, paths), paths, seed)
        rows.append({"model": kind, **row})
        print(kind, paths, seed, round(row["test_mae"], 3), flush=True)
    return rows


if __name__ == "__main__":
    jax.config.update("jax_enable_x64", True)
    target = pathlib.Path(sys.argv[1])
    target.mkdir(parents=True, exist_ok=True)
    for kind in sys.argv[2:]:
        curve(target, kind)
