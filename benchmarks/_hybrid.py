"""Networks of boxes of atoms for a glass with stiff inclusions, and their rivals.

    python benchmarks/_hybrid.py DIR atoms points gru

Trainings lie in `DIR`, one file each; what is there is not done again. Runs of the
solids and boxes are those of `tests/data/glass`; `studies.glass.make_runs` made them.

Everyone learns from the first four random paths, each of which one solid of 2000 atoms
has taken, a GRU also from forty; and is judged by the mean of eight solids along two
cycles of shear that nobody has seen. Errors are means of the absolute error of the
three Mandel components, in energies per area.
"""

import json
import pathlib
import sys
import time

import jax
import jax.numpy as jnp
import numpy as np

from jaxmat import surrogates
from jaxmat.atoms import Atoms
from jaxmat.studies import composite, glass
from jaxmat.studies.composite import learning

DATA = pathlib.Path(__file__).parents[1] / "tests" / "data" / "glass"
FEW, MANY = 4, 40
SEEDS = range(5)
SMALL = 1000  # atoms of a small solid, with two inclusions as large as in the others
AMPLITUDES = (1.0, 0.85, 0.7, 0.6)
REPLICAS = 4  # choices of boxes that a trained network is tried with


def runs() -> glass.Runs:
    return glass.read_runs(DATA / "runs.h5")


def boxes() -> list[Atoms]:
    return glass.load_boxes(DATA / "boxes.npz")


def target() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Strain of the cycles, stress of every solid, (cycles, solids, steps, 3), mean."""
    cycles = runs().of("cyclic")
    count = int(cycles.solid.max()) + 1
    sig = cycles.sig.reshape(-1, count, *cycles.sig.shape[1:])
    return cycles.eps[::count], sig, sig.mean(1)


def error(sig) -> float:
    return float(np.mean(np.abs(np.asarray(sig) - target()[2])))


def at_the_end(sig) -> list[float]:
    """Shear stress that is left at no strain: 11 minus 22 of one cycle, 12 of other."""
    last = np.asarray(sig)[:, -1]
    return [float(last[0, 0] - last[0, 1]) / 2**0.5, float(last[1, 2])]


def reference() -> dict:
    """Spread of the solids around their mean, and what is left after unloading."""
    every = runs()
    _, sig, mean = target()
    count = sig.shape[1]
    # One of n differs from the mean of all n by sqrt(1 - 1/n) of its scatter.
    scatter = np.mean(np.abs(sig - mean[:, None])) / np.sqrt(1 - 1 / count)
    return {
        "model": "one solid",
        "test_mae": float(scatter),
        "stress_size": float(np.mean(np.abs(mean))),
        "left": at_the_end(mean),
        "left_scatter": np.std(
            [at_the_end(sig[:, k]) for k in range(count)], 0
        ).tolist(),
        "num_atoms": glass.NUM_ATOMS,
        "evaluations": float(every.of("cyclic").evaluations.mean()),
        "training_evaluations": int(every.of("random", slice(FEW)).evaluations.sum()),
    }


def untrained(folder, seed: int) -> dict:
    """The same boxes with an identity for an encoder and their plain average."""
    network = glass.box_network(boxes(), key=jax.random.key(0))
    return tried(network, seed) | {"model": "boxes, untrained", "seed": seed}


def scaled(folder, seed: int) -> dict:
    """The same with one factor for all strains, the best of some on the few paths."""
    few, tries = runs().of("random", slice(FEW)), []
    keys = jax.random.split(jax.random.key(seed), FEW)
    for amplitude in AMPLITUDES:
        network = glass.box_network(boxes(), amplitude=amplitude, key=jax.random.key(0))
        sig, _ = glass.predict(network, jnp.asarray(few.eps), keys)
        off = float(np.mean(np.square(np.asarray(sig) - few.sig)))
        tries.append((off, amplitude, network))
    _, amplitude, network = min(tries, key=lambda one: one[0])
    found = {"model": "boxes, one factor", "seed": seed, "amplitude": amplitude}
    return tried(network, 100 + seed) | found


def with_atoms(folder: pathlib.Path, seed: int) -> dict:
    """A network of boxes, trained on few paths by Gauss and Newton."""
    network = glass.box_network(boxes(), key=jax.random.key(0))
    few = runs().of("random", slice(FEW))
    start = time.process_time()
    found = glass.fit_network(
        network,
        few.eps,
        few.sig,
        key=jax.random.key(seed),
        max_walks=30,
        checkpoint=folder / f"walks-{seed}.npz",
    )
    trace = found.info._asdict() | {"cpu_seconds": time.process_time() - start}
    weights = {
        "encoder": np.asarray(found.value.encoder).tolist(),
        "weights": np.asarray(found.value.weights).tolist(),
    }
    row = tried(found.value, 100 + seed) | {"model": "boxes", "seed": seed}
    return row | weights | {"training": trace}


def tried(network, seed: int) -> dict:
    """Errors with several choices of boxes, one by one and their mean."""
    eps, *_ = target()
    keys = jax.random.split(jax.random.key(seed), REPLICAS)
    found = [
        glass.predict(network, jnp.asarray(eps), jax.random.split(key, len(eps)))
        for key in keys
    ]
    sig = np.stack([np.asarray(each[0]) for each in found])
    return {
        "test_mae": float(np.mean([error(each) for each in sig])),
        "test_mae_of_mean": error(sig.mean(0)),
        "left": at_the_end(sig.mean(0)),
        "sig": sig[0].tolist(),
        "sig_of_mean": sig.mean(0).tolist(),
        "num_atoms": sum(network.counts) * boxes()[0].num_atoms,
        "replicas": REPLICAS,
        "atom_evaluations": boxes()[0].num_atoms
        * float(np.mean([np.asarray(each[1]) for each in found])),
    }


def learned(material, num_paths: int, seed: int, rate: float, steps: int) -> dict:
    """A material without atoms after training, judged as the others."""
    every = runs()
    training = every.of("random", slice(num_paths))
    held = every.of("random", slice(MANY, None))
    found = learning.fit_material(
        material,
        composite.Paths(training.eps, training.sig),
        composite.Paths(held.eps, held.sig),
        learning_rate=rate,
        num_steps=steps,
        key=jax.random.key(seed),
        progress=False,
    ).value
    eps, *_ = target()
    sig = np.asarray(learning.predict(found, jnp.asarray(eps)))
    on_held = np.asarray(learning.predict(found, jnp.asarray(held.eps)))
    return {
        "test_mae": error(sig),
        "validation_mae": float(np.mean(np.abs(on_held - held.sig))),
        "left": at_the_end(sig),
        "sig": sig.tolist(),
        "paths": num_paths,
        "seed": seed,
    }


def with_points(folder, seed: int) -> dict:
    """A network of von Mises points; the rate that validation prefers."""
    tries = []
    for rate in (3e-3, 1e-2, 3e-2):
        network = glass.plastic_network(key=jax.random.key(seed))
        tries.append(learned(network, FEW, seed, rate, 800) | {"rate": rate})
    best = min(tries, key=lambda row: row["validation_mae"])
    return best | {"model": "points of J2"}


def gru(num_paths: int):
    """A GRU; width and rate that validation prefers."""

    def run(folder, seed: int) -> dict:
        scale, tries = float(np.std(runs().sig)), []
        for width in (32, 64, 128):
            for rate in (3e-3, 1e-2):
                network = surrogates.recurrent(
                    "gru",
                    3,
                    width,
                    strain_scale=0.02,
                    stress_scale=scale,
                    key=jax.random.key(seed),
                )
                row = learned(network, num_paths, seed, rate, 1200)
                tries.append(row | {"rate": rate, "width": width})
        best = min(tries, key=lambda row: row["validation_mae"])
        return best | {"model": f"GRU, {num_paths} paths"}

    return run


def direct(folder: pathlib.Path, seed: int) -> dict:
    """One small solid with inclusions of the same size, as many atoms as a network."""
    path = folder / f"small-{seed}.npz"
    if not path.exists():
        solid = glass.make_solid(100 + seed, num_atoms=SMALL, discs=2)
        glass.save_boxes(path, [solid])
    (solid,) = glass.load_boxes(path)
    eps, *_ = target()
    found = [glass.load_solid(glass.bonds(), solid, one) for one in eps]
    sig = np.stack([one.sig for one in found])
    return {
        "model": "one small solid",
        "test_mae": error(sig),
        "left": at_the_end(sig),
        "sig": sig.tolist(),
        "num_atoms": SMALL,
        "evaluations": float(np.mean([one.evaluations for one in found])),
        "seed": seed,
    }


def nearest(num_paths: int):
    """No training: the stress of the path whose strain was most alike."""

    def run(folder, seed: int) -> dict:
        known, (eps, *_) = runs().of("random", slice(num_paths)), target()
        sig = glass.nearest_history(known.eps, known.sig, eps)
        row = {"test_mae": error(sig), "left": at_the_end(sig), "sig": sig.tolist()}
        return row | {"model": f"nearest of {num_paths} histories", "seed": seed}

    return run


KINDS = {
    "untrained": untrained,
    "scaled": scaled,
    "atoms": with_atoms,
    "points": with_points,
    "gru": gru(FEW),
    "gru-many": gru(MANY),
    "direct": direct,
    "nearest": nearest(FEW),
    "nearest-many": nearest(MANY),
}


def seeds(kind: str) -> range:
    """Nothing is drawn by chance for the nearest history."""
    return range(1) if kind.startswith("nearest") else SEEDS


def row(folder: pathlib.Path, kind: str, seed: int) -> dict:
    path = folder / f"hybrid-{kind}-{seed}.json"
    if not path.exists():
        path.write_text(json.dumps(KINDS[kind](folder, seed)))
    return json.loads(path.read_text())


if __name__ == "__main__":
    jax.config.update("jax_enable_x64", True)
    target_folder = pathlib.Path(sys.argv[1])
    target_folder.mkdir(parents=True, exist_ok=True)
    for name in sys.argv[2:]:
        for number in seeds(name):
            found = row(target_folder, name, number)
            print(name, number, found["test_mae"], flush=True)
