"""Decides how a material is fitted to load paths, and how its error is measured."""

import os

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Key

from jaxmat import training
from jaxmat._check import JaxmatError, check_positive, check_whole
from jaxmat.materials import AbstractMaterial, follow
from jaxmat.solve import Solution
from jaxmat.studies.composite._data import Paths, Series, check_paths, error_in_mpa
from jaxmat.studies.composite._models import Model, build

BATCH = 16
"""Paths in a step of the optimiser, at most."""

REVIEWS = 20
"""Validations in a training."""

_SMOOTH = 1e-3
"""Errors below this share of the stress count as their square."""

_MASKS = 16
"""Draws of dropout that a prediction averages."""


def fit_paths(
    model: Model,
    paths: Paths,
    validation: Paths,
    *,
    key: Key[Array, ""],
    checkpoint: str | os.PathLike | None = None,
    progress: bool = True,
) -> Solution:
    """Train a model on load paths.

    The loss is the mean absolute error over the standard deviation of the stress,
    smooth at zero. The best weights on the validation paths are kept.

    Args:
        model: what learns, and how long.
        paths: to learn from; each step sees `BATCH` of them, or all.
        validation: to choose among the `REVIEWS` states of the training.
        key: random key of weights, batches and dropout.
        checkpoint: folder for the state of the training, to go on after a stop.
        progress: a bar on standard error.

    Returns:
        `Solution` with the material and a `Progress`.

    Raises:
        JaxmatError: as `fit_material`.
    """
    build_key, *_ = jax.random.split(key, 3)
    material = build(model, _spread(paths), key=build_key)
    return fit_material(
        material,
        paths,
        validation,
        learning_rate=model.learning_rate,
        num_steps=model.num_steps,
        key=key,
        checkpoint=checkpoint,
        progress=progress,
    )


def fit_material(
    material: AbstractMaterial,
    paths: Paths,
    validation: Paths,
    *,
    learning_rate: float,
    num_steps: int,
    key: Key[Array, ""],
    checkpoint: str | os.PathLike | None = None,
    progress: bool = True,
) -> Solution:
    """Train any material in the plane on load paths, as `fit_paths` does.

    Args:
        material: where to start.
        paths: to learn from.
        validation: to choose among the `REVIEWS` states of the training.
        learning_rate: of Adam, at the beginning; it falls to zero as a cosine.
        num_steps: of the optimiser.
        key: random key of batches and dropout.
        checkpoint: folder for the state of the training, to go on after a stop; of one
            training, with these paths and numbers.
        progress: a bar on standard error.

    Returns:
        `Solution` with the material and a `Progress`.

    Raises:
        JaxmatError: as `training.fit`, and where paths are not finite, do not match, or
            have the same stress everywhere, or steps or rate are not positive.
    """
    check_whole("num_steps", num_steps, 1)
    check_positive("learning_rate", learning_rate)
    scale, num_paths = _spread(paths), len(paths.eps)
    check_paths(validation, "validation")
    _, batch_key, fit_key = jax.random.split(key, 3)
    batch = min(BATCH, num_paths)
    epochs = -(-num_steps // (num_paths // batch))
    batches = training.Batches(paths, batch, epochs, batch_key)
    rate = optax.cosine_decay_schedule(learning_rate, len(batches))
    return training.fit(
        _Loss(scale),
        material,
        batches,
        optimiser=optax.chain(optax.clip_by_global_norm(1.0), optax.adam(rate)),
        key=fit_key,
        checkpoint=checkpoint,
        given={
            "digest of the training paths": paths.digest,
            "digest of the validation paths": validation.digest,
            "learning rate": learning_rate,
            "number of steps": num_steps,
        },
        validate=lambda material: error_on(material, validation),
        every=max(1, len(batches) // REVIEWS),
        progress=progress,
    )


def _spread(paths: Paths) -> float:
    """Standard deviation of the stress to learn from, GPa."""
    check_paths(paths, "training")
    if not (spread := float(np.std(paths.sig))):
        raise JaxmatError(
            "the stress of the training paths is the same everywhere; give paths to "
            "learn from."
        )
    return spread


class _Loss:
    """Mean absolute error of a batch, in units of `scale`, GPa."""

    def __init__(self, scale: float):
        self.scale = scale

    def __call__(self, material: AbstractMaterial, batch: Paths, key) -> Array:
        keys = jax.random.split(key, len(batch.eps))
        strains = jnp.asarray(batch.eps)
        sig = jax.vmap(_follow_with_key, (None, 0, 0))(material, strains, keys)
        error = (sig - batch.sig) / self.scale
        return jnp.mean(jnp.sqrt(error**2 + _SMOOTH**2))


def _follow_with_key(material: AbstractMaterial, eps: Array, key: Array) -> Array:
    return follow(material, eps, state=material.init_state(key))


@eqx.filter_jit
def predict(material: AbstractMaterial, eps: Series) -> Series:
    """Stress along every path, GPa."""
    return jax.vmap(follow, (None, 0))(material, jnp.asarray(eps))


@eqx.filter_jit
def predict_with_dropout(
    material: AbstractMaterial,
    eps: Series,
    *,
    key: Key[Array, ""],
) -> tuple[Series, Series]:
    """Mean and standard deviation of the stress over draws of dropout, GPa."""

    def draw(key):
        keys = jnp.broadcast_to(key, len(eps))
        strains = jnp.asarray(eps)
        return jax.vmap(_follow_with_key, (None, 0, 0))(material, strains, keys)

    draws = jax.lax.map(draw, jax.random.split(key, _MASKS))
    return jnp.mean(draws, 0), jnp.std(draws, 0)


def error_on(material: AbstractMaterial, paths: Paths) -> float:
    """Mean absolute error over sxx, syy, txy at all steps, MPa."""
    return error_in_mpa(predict(material, paths.eps), paths.sig)
