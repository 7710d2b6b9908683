"""Networks of boxes of atoms for a glass with stiff inclusions, and their rivals.

    python benchmarks/_hybrid.py DIR atoms points gru

Trainings lie in `DIR`, one file each; what is there is not done again. Runs of the
solids and boxes are those of `tests/data/glass`; `studies.glass.make_runs` made them.

Everyone learns from the first eight random paths, each of which one solid of 2000 atoms
has taken, a GRU also from eighty; and is judged by the mean of eight solids along two
cycles of shear that nobody has seen. Errors are means of the absolute error of the
three Mandel components, in energies per area. A network begins with the same boxes in
training and in tests, other ones for every seed. Its points share encoders through the
symmetries of a square; rivals are also tried with all images of the paths, so that they
know as much.
"""

import json
import pathlib
import sys
import time

import jax
import jax.numpy as jnp
import numpy as np
from tqdm import tqdm

from jaxmat import JaxmatError, surrogates
from jaxmat.atoms import Atoms
from jaxmat.cells import PRNN
from jaxmat.studies import composite, glass
from jaxmat.studies.composite import learning

DATA = pathlib.Path(__file__).parents[1] / "tests" / "data" / "glass"
FEW, MANY = 8, 80
SEEDS = range(5)
SMALL = 1000  # atoms of a small solid, with two inclusions as large as in the others
AMPLITUDES = (1.0, 0.85, 0.7, 0.6, 0.5)
START = 0.85  # amplitude where a training begins; see CONTRIBUTING
WALKS = 20


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


def network_of(seed: int, amplitude: float = 1.0, **options) -> PRNN:
    key = jax.random.key(seed)
    return glass.box_network(boxes(), amplitude=amplitude, key=key, **options)


def untrained(folder, seed: int) -> dict:
    """The same boxes with an identity for an encoder and their plain average."""
    return tried(network_of(seed)) | {"model": "boxes, untrained", "seed": seed}


def localised(folder, seed: int) -> dict:
    """The same with the strains of Mori and Tanaka, and areas for weights."""
    network = glass.localised(network_of(seed), boxes())
    row = tried(network) | elsewhere(network)
    return row | {"model": "boxes, Mori-Tanaka", "seed": seed}


def scaled(folder, seed: int) -> dict:
    """The same with one factor for all strains, the best of some on the few paths."""
    few, tries = runs().of("random", slice(FEW)), []
    for amplitude in AMPLITUDES:
        network = network_of(seed, amplitude)
        sig, _ = glass.predict(network, jnp.asarray(few.eps))
        off = float(np.mean(np.square(np.asarray(sig) - few.sig)))
        tries.append((off, amplitude, network))
    _, amplitude, network = min(tries, key=lambda one: one[0])
    found = {"model": "boxes, one factor", "seed": seed, "amplitude": amplitude}
    return tried(network) | found


def with_atoms(model: str, **options):
    """A network of boxes, trained on few paths by Gauss and Newton."""

    def run(folder: pathlib.Path, seed: int) -> dict:
        few, start = runs().of("random", slice(FEW)), time.process_time()
        found = glass.fit_network(
            network_of(seed, START, **options),
            few.eps,
            few.sig,
            images=glass.SQUARE,
            max_walks=WALKS,
            checkpoint=folder / f"walks-{model}-{seed}.npz",
        )
        trace = found.info._asdict() | {"cpu_seconds": time.process_time() - start}
        weights = {
            "encoder": np.asarray(found.value.encoder).tolist(),
            "weights": np.asarray(found.value.weights).tolist(),
        }
        row = tried(found.value) | elsewhere(found.value) | weights
        return row | {"model": model, "seed": seed, "training": trace}

    return run


def tried(network: PRNN) -> dict:
    """Error with the network's own boxes, and what it took."""
    sig, evaluations = glass.predict(network, jnp.asarray(target()[0]))
    num_atoms = boxes()[0].num_atoms
    return {
        "test_mae": error(sig),
        "left": at_the_end(sig),
        "sig": np.asarray(sig).tolist(),
        "num_atoms": sum(network.counts) * num_atoms,
        "atom_evaluations": num_atoms * float(np.mean(np.asarray(evaluations))),
    }


def elsewhere(network: PRNN) -> dict:
    """Errors on held random paths, and with other boxes on the cycles."""
    held, eps = runs().of("random", slice(MANY, None)), jnp.asarray(target()[0])
    on_held, _ = glass.predict(network, jnp.asarray(held.eps))
    keys = jax.random.split(jax.random.key(100), 3)
    others = [error(glass.predict(network, eps, key)[0]) for key in keys]
    return {
        "validation_mae": float(np.mean(np.abs(np.asarray(on_held) - held.sig))),
        "test_mae_of_other_boxes": float(np.mean(others)),
    }


WITH = {False: "", True: ", images"}


def imaged(x: np.ndarray) -> np.ndarray:
    """Strain or stress of all paths as they are and in a square's other positions."""
    return np.einsum("gij,ptj->gpti", glass.SQUARE, x).reshape(-1, *x.shape[1:])


def learned(
    material, num_paths: int, images: bool, seed: int, rate: float, steps: int
) -> dict:
    """A material without atoms after training, judged as the others."""
    every = runs()
    training = every.of("random", slice(num_paths))
    held = every.of("random", slice(MANY, None))
    known = training.eps, training.sig
    found = learning.fit_material(
        material,
        composite.Paths(*(map(imaged, known) if images else known)),
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
        "rate": rate,
    }


def best(*tries) -> dict:
    """What validation prefers among the arguments of `learned`."""
    rows = []
    for arguments in tries:
        try:
            rows.append(learned(*arguments))
        except JaxmatError as mistake:  # so high a rate that the loss is NaN
            tqdm.write(str(mistake))
    return min(rows, key=lambda row: row["validation_mae"])


def points(images: bool):
    """A network of von Mises points; the rate that validation prefers."""

    def run(folder, seed: int) -> dict:
        network = glass.plastic_network(key=jax.random.key(seed))
        rates = (3e-3, 1e-2, 3e-2, 1e-1)
        found = best(*((network, FEW, images, seed, rate, 800) for rate in rates))
        return found | {"model": "points of J2" + WITH[images]}

    return run


def gru(num_paths: int, images: bool):
    """A GRU; width and rate that validation prefers."""

    def run(folder, seed: int) -> dict:
        scale, tries = float(np.std(runs().sig)), []
        for width in (16, 32, 64, 128):
            network = surrogates.recurrent(
                "gru",
                3,
                width,
                strain_scale=0.02,
                stress_scale=scale,
                key=jax.random.key(seed),
            )
            rates = (3e-3, 1e-2, 3e-2)
            found = best(
                *((network, num_paths, images, seed, rate, 1200) for rate in rates)
            )
            tries.append(found | {"width": width})
        found = min(tries, key=lambda row: row["validation_mae"])
        return found | {"model": f"GRU, {num_paths} paths" + WITH[images]}

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
    "localised": localised,
    "atoms": with_atoms("boxes"),
    "atoms-eight": with_atoms("boxes, 4 + 4", counts=(4, 4)),
    "points": points(False),
    "points-images": points(True),
    "gru": gru(FEW, False),
    "gru-images": gru(FEW, True),
    "gru-many": gru(MANY, False),
    "gru-many-images": gru(MANY, True),
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
