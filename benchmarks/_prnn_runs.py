"""Trainings of `bench_prnn.py`, one file each; what is there is not done again.

    python benchmarks/_prnn_runs.py DIR prnn gru

Every kind has twelve settings (the deep material network six, and fewer steps, since
each takes ten times as long). With the first seed all are tried on two paths and on
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
import numpy as np

from jaxmat.studies import composite
from jaxmat.studies.composite import learning
from jaxmat.studies.composite.learning import Model

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
    """Twelve of each kind; six of the tree, of which a step costs ten times as much."""
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
            Model("dmn", depth, rate, num_steps=150)
            for depth, rate in itertools.product((2, 3), rates)
        ],
    }


def make_quick() -> None:
    """One setting, one seed, ten steps: to try it out, in this process."""
    global SEEDS, SIZES, settings
    SEEDS, SIZES = range(1), (1, 64)
    settings = lambda: {"prnn": [Model("prnn", 8, num_steps=10)]}  # noqa: E731


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
    solution = learning.fit_paths(model, training, validation, key=key, progress=False)
    row = what | {
        "seconds": time.perf_counter() - start,
        "validation_mae": learning.error_on(solution.value, validation),
        "test_mae": learning.error_on(solution.value, test),
    }
    path.write_text(json.dumps(row))
    return row


def extrapolate(folder: pathlib.Path, kind: str, seed: int) -> dict:
    """Errors where no training path goes, MPa; settings as for the canonical paths.

    Trained on the canonical paths, which are monotonic: on proportional paths that
    unload and reload, and between steps of another size. Trained on their first third:
    on the whole of them, three times the strain.
    """
    path = folder / f"extrapolation-{kind}-{seed}.json"
    if path.exists():
        return json.loads(path.read_text())
    model = best(folder, kind, "canonical")
    canonical = composite.read_paths(DATA / "canonical.data")
    unloading = composite.read_paths(DATA / "propCurves.data")
    gp = composite.read_paths(DATA / "gpCurves.data")
    third = composite.Paths(*(x[:, : x.shape[1] // 3] for x in canonical))
    key, validation = jax.random.key(seed), gp.take(PARTS["validation"])
    whole, part = (
        learning.fit_paths(model, paths, held, key=key, progress=False).value
        for paths, held in ((canonical, validation), (third, third))
    )
    row = {
        "model": kind,
        "seed": seed,
        "unloading_mae": learning.error_on(whole, unloading),
        "unloading_mean_stress": composite.error_in_mpa(
            0 * unloading.sig, unloading.sig
        ),
        "within_a_third_mae": learning.error_on(part, third),
        "three_times_the_strain_mae": learning.error_on(part, canonical),
        "three_times_the_strain_mean_stress": composite.error_in_mpa(
            0 * canonical.sig, canonical.sig
        ),
        "step_sizes": step_sizes(whole, gp.take(PARTS["test"])),
    }
    path.write_text(json.dumps(row))
    return row


def step_sizes(material, paths) -> list[dict]:
    """Change of the stress with the number of steps, over its root mean square."""
    refined = {}
    start = np.zeros((len(paths.eps), 1, 3))
    knots = np.concatenate([start, paths.eps], axis=1)
    for each in (1, 2, 4, 8, 16, 32):
        weights = np.arange(1, each + 1)[:, None] / each
        parts = knots[:, :-1, None] * (1 - weights) + knots[:, 1:, None] * weights
        fine = parts.reshape(len(knots), -1, 3)
        refined[each] = np.asarray(learning.predict(material, fine))[
            :, each - 1 :: each
        ]
    exact = refined.pop(32)
    size = np.sqrt(np.mean(exact**2))
    return [
        {
            "steps": 60 * each,
            "difference": float(np.sqrt(np.mean((x - exact) ** 2)) / size),
        }
        for each, x in refined.items()
    ]


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
        for seed in SEEDS:
            print(extrapolate(target, kind, seed), flush=True)
