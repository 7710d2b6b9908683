"""Decides how a model of films is trained: what it sees, and what it has to say.

A model answers with six coordinates of a stiffness relative to a reference
(`surrogates.relative_log`): the mean of the training labels, or the coarse solver's
answer. Films have three free numbers only (`_averages`), or two if they are periodic,
but their eigenvector of equal strain is oblique in the axes of the Cholesky factor, so
that all six coordinates vary and none of their standard deviations vanishes.

The coarse solver has no weights, hence it answers once per film. Turned films get its
answer turned, which is exact; shifts are by whole blocks, which do not change it.
"""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key, Shaped, UInt8

from jaxmat import surrogates, training
from jaxmat._check import check_option
from jaxmat._types import Scalar
from jaxmat.io import atomic_path
from jaxmat.studies.polysilicon._baselines import per_film
from jaxmat.studies.polysilicon._coarse import coarse_solver
from jaxmat.studies.polysilicon._files import DataSet
from jaxmat.studies.polysilicon._images import channels, grey_image
from jaxmat.studies.polysilicon._model_file import (
    Blueprint,
    Trained,
    static_numbers,
    write_model,
)
from jaxmat.studies.polysilicon._presets import Model
from jaxmat.training import Progress

MODEL, CHECKPOINT, METRICS = "model.eqx", "checkpoint", "metrics.jsonl"

OPTIMISERS = ("adamw", "lion", "sgd")

REVIEWS = 24
"""Validations in a training, each of them followed by a checkpoint."""

WARM_UP = 0.05
"""Part of the training in which the learning rate rises."""

_LEVELS = 255  # of grey, beside black

_BATCH = 16  # films that are predicted at once

Image = Float[Array, "x y channels"]
GreyImages = UInt8[np.ndarray, "films x y"]
Stiffnesses = Float[np.ndarray, "films 3 3"]


class Films(NamedTuple):
    """Films as the training step takes them; the first axis of every array is the film.

    The image is `channels[grain]`. Where grains have no channels of their own, because
    the image was filtered, every pixel counts as a grain.

    Attributes:
        grain: grain of every pixel.
        channels: of every grain, or the grey level of every pixel, 0 to 255.
        labels: the stiffness and, for a model with a coarse solver, its answer, GPa.
    """

    grain: Int[Array | np.ndarray, "*films x y"]
    channels: Shaped[Array | np.ndarray, "*films grains channels"]
    labels: Float[Array | np.ndarray, "*films labels 3 3"]


def films_of(
    data: DataSet, coarse: Stiffnesses | None = None, grey: GreyImages | None = None
) -> Films:
    """The films of a data set for a training.

    Args:
        data: the films.
        coarse: what the coarse solver says, for a model that corrects it.
        grey: images, for a model that sees them instead of the channels.

    Returns:
        Grains, channels and labels.
    """
    labels = (data.stiffness,) if coarse is None else (data.stiffness, coarse)
    grain, seen = data.grain, np.asarray(channels(data.theta), np.float32)
    if grey is not None:
        pixels = np.arange(grain[0].size).reshape(grain[0].shape)
        grain = np.broadcast_to(pixels, grain.shape)
        seen = grey.reshape(len(grey), -1, 1)
    return Films(grain, seen, np.stack(labels, axis=1))


def coarse_answers(data: DataSet, factor: int) -> Stiffnesses:
    """What the coarse solver says of every film, GPa."""
    return per_film(coarse_solver(factor, boundary=data.parameters.boundary), data)


def grey_images(data: DataSet) -> GreyImages:
    """The reference's image of every film, in the 256 levels of an image."""
    images = [np.asarray(grey_image(data.film(k))) for k in range(data.num_samples)]
    return np.round(_LEVELS * np.stack(images)).astype(np.uint8)


def cached(file: Path, compute: Callable[[], np.ndarray]) -> np.ndarray:
    """An array from a file, which is made if it is not there."""
    if not file.exists():
        with atomic_path(file) as temporary:
            np.save(temporary, compute())
    return np.load(file)


def plan(model: Model, films: Films, data: DataSet, factor: int) -> Blueprint:
    """How a model is built for its training films.

    Raises:
        JaxmatError: if the labels cannot be standardised.
    """
    labels = jnp.asarray(films.labels)
    if model.in_the_loop:
        reference, head = None, surrogates.CorrectionHead.of(labels[:, 0], labels[:, 1])
    else:
        spd = surrogates.SPDHead.of(labels[:, 0])
        reference, head = spd.reference, spd.correction
    return Blueprint(
        model.architecture,
        model.width,
        model.depths,
        model.reduction,
        model.encoding,
        data.parameters.boundary,
        data.parameters.pixels_per_grain,
        factor if model.in_the_loop else None,
        None if reference is None else static_numbers(np.array(reference)),
        head.mean,
        head.std,
    )


def train(
    model: Model,
    seed: int,
    data: DataSet,
    films: Films,
    validation: Films,
    *,
    folder: Path,
    factor: int,
    progress: bool = True,
) -> Progress:
    """Train a model, or go on with it, and write it into its folder.

    Args:
        model: what to train.
        seed: of first weights, batches and augmentation.
        data: the training set, of which the films were made.
        films: its first films are used, as many as the model is to have.
        validation: films that decide when to stop, and which weights are kept.
        folder: of checkpoints, metrics and the model.
        factor: pixels along a block of the coarse solver.
        progress: show a bar.

    Returns:
        How it went; at once, if the model is complete.

    Raises:
        JaxmatError: as `training.fit`, and if the labels cannot be standardised.
    """
    import optax

    films = jax.tree.map(lambda x: x[: model.num_films], films)
    blueprint = plan(model, films, data, factor)
    key = jax.random.key(seed)
    batches = training.Batches(films, model.batch_size, model.epochs, key)
    steps = len(batches)
    warm_up = max(1, round(WARM_UP * steps))
    rate = optax.warmup_cosine_decay_schedule(0.0, model.learning_rate, warm_up, steps)
    solution = training.fit(
        functools.partial(
            _training_loss,
            regime=model.regime,
            encoding=model.encoding,
            periodic=data.parameters.periodic,
            step=factor if model.in_the_loop else 1,
            l1=model.l1,
        ),
        blueprint.build(seed, dropout=model.dropout),
        batches,
        optimiser=optax.chain(
            optax.clip_by_global_norm(1.0),
            _optimiser(model.optimiser, rate, model.weight_decay),
        ),
        key=key,
        checkpoint=folder / CHECKPOINT,
        validate=functools.partial(_validation_loss, films=validation),
        every=max(1, steps // REVIEWS),
        patience=model.patience,
        metrics=folder / METRICS,
        progress=progress,
    )
    write_model(folder / MODEL, blueprint, solution.value)
    return solution.info


def _optimiser(name: str, rate: Any, weight_decay: float) -> Any:
    """An optax transformation by its name.

    Raises:
        JaxmatError: if there is no such optimiser.
    """
    import optax

    check_option("optimiser", name, OPTIMISERS)
    if name == "sgd":
        decay = optax.add_decayed_weights(weight_decay)
        return optax.chain(decay, optax.sgd(rate, momentum=0.9, nesterov=True))
    return getattr(optax, name)(rate, weight_decay=weight_decay)


def predict(
    model: Trained, data: DataSet, *, encoding: str = "fourfold"
) -> Stiffnesses:
    """Stiffness that a trained model gives every film, GPa.

    Args:
        model: a trained model.
        data: the films; labels are not looked at.
        encoding: of the images that the model was trained on.

    Returns:
        Stiffnesses.
    """
    in_the_loop = isinstance(model, surrogates.PhysicsInTheLoop)
    coarse = per_film(model.coarse, data) if in_the_loop else None
    grey = grey_images(data) if encoding == "grey" else None
    return answers(model, films_of(data, coarse, grey))


def answers(model: Trained, films: Films) -> Stiffnesses:
    """Stiffness that a trained model gives films, GPa."""
    return np.asarray(_answers(model, jax.tree.map(jnp.asarray, films)), float)


@eqx.filter_jit
def _answers(model: Trained, films: Films) -> Float[Array, "films 3 3"]:
    def answer(film: Films):
        image = _image(film)
        if isinstance(model, surrogates.PhysicsInTheLoop):
            return model.correct(film.labels[1], image)
        return model(image)

    return jax.lax.map(answer, films, batch_size=_BATCH)


def _image(film: Films) -> Image:
    """Image of one film."""
    image = film.channels[film.grain]
    levels = jnp.issubdtype(image.dtype, jnp.integer)
    return image.astype(jnp.float32) / _LEVELS if levels else image


def _training_loss(
    model: Trained,
    films: Films,
    key: Key[Array, ""],
    *,
    regime: str,
    encoding: str,
    periodic: bool,
    step: int,
    l1: float,
) -> Scalar:
    """Mean square error of the standardised targets, of films seen at random."""
    see: Callable = {
        "originals": lambda key, image, labels: (image, labels),
        "exact": functools.partial(
            _exact, encoding=encoding, periodic=periodic, step=step
        ),
        "pixels only": _pixels_only,
    }[regime]

    def error(film, key):
        image, labels = see(key, _image(film), film.labels)
        return _square_error(model, image, labels, key=jax.random.fold_in(key, 1))

    keys = jax.random.split(key, len(films.grain))
    mean = jnp.mean(jax.vmap(error)(films, keys))
    if not l1:
        return mean
    weights = jax.tree.leaves(model.network.weights)
    return mean + l1 * sum(jnp.sum(jnp.abs(w)) for w in weights)


def _exact(
    key, image: Image, labels: Array, *, encoding: str, periodic: bool, step: int
):
    """The film turned with its labels, and shifted by a multiple of `step` pixels."""
    turn_key, shift_key = jax.random.split(key)
    image, labels = surrogates.augment(
        turn_key, image, labels, encoding=encoding, periodic=False
    )
    if periodic:
        shift = jax.random.randint(shift_key, (2,), 0, image.shape[0] // step)
        image = jnp.roll(image, step * shift, axis=(0, 1))
    return image, labels


def _pixels_only(key, image: Image, labels: Array):
    """The reference's augmentation: pixels move, crystals and label do not."""
    element = jax.random.randint(key, (), 0, surrogates.NUM_SYMMETRIES)
    return surrogates.move_pixels_only(image, element), labels


def _square_error(
    model: Trained, image: Image, labels: Array, *, key: Key[Array, ""] | None = None
) -> Scalar:
    head: Any = model.head
    target = head.target(*labels)
    raw = model.network(image, key=key)
    return jnp.mean((raw - jnp.asarray(target, raw.dtype)) ** 2)


@eqx.filter_jit
def _validation_loss(model: Trained, films: Films) -> Scalar:
    """The loss of films as they are."""

    def error(film):
        return _square_error(model, _image(film), film.labels)

    batched = jax.tree.map(jnp.asarray, films)
    return jnp.mean(jax.lax.map(error, batched, batch_size=_BATCH))
