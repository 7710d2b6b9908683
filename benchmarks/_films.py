"""The library's side of `bench_polysilicon.py`: films, training steps, predictions."""

import itertools
import statistics
import tempfile
import time
from pathlib import Path

import equinox as eqx
import flax
import jax
import jax.numpy as jnp
import numpy as np
import optax
from _serve import serve
from flax import nnx

import jaxmat
from jaxmat import mandel
from jaxmat.studies import polysilicon
from jaxmat.studies.polysilicon import learning
from jaxmat.surrogates import Frozen, ResNet
from jaxmat.training._layout import Layout
from jaxmat.training._step import compile_step, start

jax.config.update("jax_enable_x64", True)
NUM_FILMS, REPEATS = 512, 5
held = {}


def generate(*, boundary: str, count: int, workers: int) -> dict:
    """Seconds that so many films and their labels take, the writing included."""
    with tempfile.TemporaryDirectory() as folder:
        made = polysilicon.generate(
            Path(folder) / "films.h5",
            polysilicon.Parameters(boundary=boundary, seed=9),
            num_samples=count,
            workers=workers,
            progress=False,
        )
    return {"seconds": made.seconds}


def write_films(*, path: str, count: int) -> dict:
    """The first periodic films for a peer: grain of a pixel, stiffness of a grain.

    Our labels of them are the answer.
    """
    parameters = polysilicon.Parameters(seed=9)
    films = [polysilicon.draw_film(parameters, k) for k in range(count)]
    labels = [polysilicon.apparent_stiffness(film) for film in films]
    # A grain is the average of itself.
    grains = [
        polysilicon.dual_average(polysilicon.channels(film.theta)) for film in films
    ]
    voigt = jax.vmap(jax.vmap(mandel.to_voigt_stiffness))(jnp.stack(grains))
    np.savez(path, grain=np.stack([film.grain for film in films]), stiffness=voigt)
    return {"stiffness": [mandel.to_voigt_stiffness(c).tolist() for c in labels]}


def write_batch(*, path: str, side: int, batch_size: int) -> dict:
    """Images and targets of a training step, for both programs."""
    rng = np.random.default_rng(0)
    parameters = polysilicon.Parameters(pixels_per_grain=side // 4)
    films = [polysilicon.draw_film(parameters, k) for k in range(batch_size)]
    image = jnp.stack([polysilicon.channels(film.image) for film in films])
    target = rng.normal(size=(batch_size, 6))
    np.savez(path, image=np.float32(image), target=np.float32(target))
    return {"mean": float(image.mean())}


def prepare_step(*, images: str, width: int, depths: list[int], reduction: int) -> dict:
    """Compile a training step of the library's loop on a batch from a file."""
    stored = np.load(images)
    network = ResNet(
        *(2, 6), width=width, depths=depths, reduction=reduction, rngs=nnx.Rngs(0)
    )
    trained, rest = eqx.partition(Frozen(network), eqx.is_inexact_array)

    def loss(network, batch, key):
        image, target = batch
        return jnp.mean((jax.vmap(network)(image) - target) ** 2)

    optimiser = optax.chain(
        optax.clip_by_global_norm(1.0), optax.adamw(1e-3, weight_decay=1e-4)
    )
    layout = Layout(None)
    held.update(
        batch=(jnp.asarray(stored["image"]), jnp.asarray(stored["target"])),
        state=start(trained, optimiser, layout),
        take=compile_step(loss, optimiser, rest, jax.random.key(0), layout),
        index=itertools.count(),
    )
    seconds, leaves = step()["seconds"], jax.tree.leaves(trained)
    return {"compile_s": seconds, "parameters": sum(x.size for x in leaves)}


def step() -> dict:
    """Seconds of one training step."""
    begin = time.perf_counter()
    held["state"], metrics = held["take"](
        held["state"], held["batch"], np.uint32(next(held["index"]))
    )
    jax.block_until_ready(held["state"])
    return {"seconds": time.perf_counter() - begin, "loss": float(metrics["loss"])}


def prepare_models(*, study: str) -> dict:
    """Films of a study: tests to be predicted, others to calibrate solvers on."""
    opened = learning.open_study(study)
    held["folder"] = Path(study)
    for name in ("test_4", "train"):
        films = opened.data[name].select(slice(NUM_FILMS))
        images = [
            polysilicon.channels(theta)[grain]
            for theta, grain in zip(films.theta, films.grain, strict=True)
        ]
        held[name] = jnp.stack(images), films.youngs_modulus
    return {"films": NUM_FILMS, "pixels": films.grain.shape[1]}


def _model(name: str | int):
    """A trained model by name, or the coarse solver on blocks of so many pixels."""
    if isinstance(name, int):
        return jax.tree_util.Partial(polysilicon.coarse_solver(name))
    return learning.read_model(held["folder"] / "models" / name / "model.eqx")[1]


def answer(*, name: str | int, batch_size: int) -> dict:
    """Seconds per film of a model or of the coarse solver, and its mean error, GPa.

    The coarse solver is calibrated on films of the training set, as in the study.
    """

    def predict(model, images):
        stiffness = jax.lax.map(model, images, batch_size=batch_size)
        return polysilicon.youngs_modulus(stiffness)

    model = _model(name)
    images, true = held["test_4"]
    begin = time.perf_counter()
    compiled = eqx.filter_jit(predict).lower(model, images).compile()
    compiling = time.perf_counter() - begin
    seconds = []
    for _ in range(REPEATS + 1):
        begin = time.perf_counter()
        said = np.asarray(compiled(model, images))
        seconds.append(time.perf_counter() - begin)
    if isinstance(name, int):
        images, known = held["train"]
        said = np.polyval(np.polyfit(compiled(model, images), known, 1), said)
    return {
        "seconds": statistics.median(seconds[1:]) / len(said),
        "compile_s": compiling,
        "mean_error": float(np.mean(np.abs(said - true))),
    }


def agreement(*, name: str, count: int) -> dict:
    """Cosines between the gradients of Young's modulus, model against pixel solver."""
    model, solver = _model(name), polysilicon.pixel_solver()
    compare = eqx.filter_jit(
        lambda model, image: polysilicon.gradient_agreement(model, solver, image)
    )
    found = [compare(model, image) for image in held["test_4"][0][:count]]
    return {
        part: [float(getattr(one, part)) for one in found]
        for part in ("image", "theta")
    }


def version() -> dict:
    return {
        "jaxmat": jaxmat.__version__,
        "jax": jax.__version__,
        "flax": flax.__version__,
        "device": jax.devices()[0].device_kind,
        "platform": jax.default_backend(),
    }


if __name__ == "__main__":
    tasks = (generate, write_films, write_batch, prepare_step, step, prepare_models)
    tasks = (*tasks, answer, agreement, version)
    serve({task.__name__: task for task in tasks})
