"""Decides the order of a run: check, begin or go on, step, review, and end."""

import contextlib
import os
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.sharding import Mesh
from jaxtyping import PyTree

from jaxmat._check import JaxmatError
from jaxmat.solve import Solution
from jaxmat.training._batches import num_batches
from jaxmat.training._checkpoint import Checkpoints, Snapshot
from jaxmat.training._layout import Layout, check_key
from jaxmat.training._record import MetricsFile, Record, counting
from jaxmat.training._run import Run
from jaxmat.training._step import (
    Loss,
    State,
    compile_step,
    is_trained,
    place,
    start,
)


def fit(
    loss: Loss,
    params: PyTree,
    batches: Any,
    *,
    optimiser: Any,
    key: Any,
    checkpoint: str | os.PathLike | None = None,
    given: Mapping[str, Any] = MappingProxyType({}),
    validate: Callable[[Any], Any] | None = None,
    every: int = 100,
    patience: int | None = None,
    metrics: str | os.PathLike | None = None,
    mesh: Mesh | None = None,
    progress: bool = True,
) -> Solution:
    """Minimise a loss, one step of the optimiser for each batch.

    The arrays of floating-point numbers in `params` are trained; integers, keys and
    functions are not. To hold others fixed, close over them in the loss. Gradients are
    clipped by the optimiser:
    `optax.chain(optax.clip_by_global_norm(1.0), optax.adam(1e-3))`. Randomness, such
    as dropout or augmentation of the batch, is drawn in the loss from its key.

    With `checkpoint`, calling `fit` again after a crash goes on from the last
    checkpoint and ends with the same bits; after the end it returns at once. On a GPU
    that takes `XLA_FLAGS=--xla_gpu_deterministic_ops=true`.

    Args:
        loss: `loss(params, batch, key)`, a scalar, or (scalar, dictionary of scalar
            metrics). It is compiled; step k, from 0, gets `fold_in(key, k)`.
        params: any pytree: an Equinox module, a dictionary. It is not changed.
        batches: an iterable with one batch per step. One with a length and items by
            number, such as `Batches` or a list, is resumed without reading what came
            before.
        optimiser: an optax transformation. One that asks for `value`, `grad` and
            `value_fn` (`optax.lbfgs`, `optax.contrib.reduce_on_plateau`) gets them.
        key: random key.
        checkpoint: folder for the state of the run; None keeps nothing. It belongs to
            one run: parameters, optimiser and key must be the same when it goes on.
        given: what else must be the same when it goes on, by its name: a digest of the
            data, a learning rate; numbers and texts. Batches are not looked at.
        validate: `validate(params)`, a scalar, lower is better. It is not compiled, and
            its argument is gone after the next step. The best parameters are returned;
            without it, the last.
        every: steps between validations, each followed by a checkpoint. The end of the
            run counts too.
        patience: validations in a row without a new best that end the run.
        metrics: file for one JSON object per step, written at checkpoints.
        mesh: devices to split batches over, `jax.sharding.Mesh(devices, ("batch",))`.
            Where it spans processes (`jax.distributed`), each process gives its own
            rows, and calls `fit` with everything else equal.
        progress: a bar on standard error.

    Returns:
        `Solution` with the parameters and a `Progress`.

    Raises:
        JaxmatError: if an argument cannot be used; if the loss or its gradient is not
            finite, with the last checkpoint kept; if the checkpoint is of another run;
            or if the disk is full.
    """
    total = num_batches(batches)
    _check_options(optimiser, key, every, patience, validate)
    trained, frozen = _partition(params)
    layout = Layout(mesh)
    state = start(trained, optimiser, layout)
    with contextlib.ExitStack() as stack:
        checkpoints = stack.enter_context(Checkpoints(checkpoint, state, key, given))
        snapshot, file = _begin(checkpoints, state, metrics, layout)
        record = snapshot.record
        bar = counting("training", total, record.num_steps, shown=progress)
        run = Run(
            **snapshot._asdict(),
            frozen=frozen,
            validate=validate,
            patience=patience,
            layout=layout,
            checkpoints=checkpoints,
            file=file,
            bar=stack.enter_context(bar),
        )
        take_step = compile_step(loss, optimiser, frozen, key, layout)
        reviewed = run.taken
        for batch in run.remaining(batches):
            run.step(take_step, batch)
            if run.taken % every == 0:
                run.review()
                reviewed = run.taken
        if run.taken > reviewed:
            run.review()
    return Solution(run.params(), record.progress(patience))


def _begin(
    checkpoints: Checkpoints,
    first: State,
    metrics: str | os.PathLike | None,
    layout: Layout,
) -> tuple[Snapshot, MetricsFile]:
    """The snapshot to go on from, on its devices, and the metrics up to there.

    A run that starts is saved before its first step: a folder that cannot be written is
    found out at once, and from then on the file of metrics is known to be its own.
    """
    snapshot = checkpoints.restore(first)
    file = MetricsFile(metrics, snapshot.record if snapshot else None)
    if snapshot is None:
        snapshot = Snapshot(first, None, Record())
        checkpoints.save(snapshot)
        return snapshot, file
    return snapshot._replace(state=place(snapshot.state, layout)), file


def _partition(params: PyTree) -> tuple[PyTree, PyTree]:
    """The leaves that are trained, and the others.

    Raises:
        JaxmatError: if nothing can be trained.
    """
    trained, frozen = eqx.partition(params, is_trained)
    types = {leaf.dtype for leaf in jax.tree.leaves(trained)}
    if not types:
        raise JaxmatError(
            "`params` holds no array of floating-point numbers; make the numbers to be "
            "trained arrays with jnp.asarray."
        )
    if any(jnp.issubdtype(dtype, jnp.complexfloating) for dtype in types):
        raise JaxmatError(
            "`params` holds complex numbers; train their real and imaginary parts as "
            "two arrays."
        )
    return trained, frozen


def _check_options(
    optimiser: Any,
    key: Any,
    every: int,
    patience: int | None,
    validate: Callable[[Any], Any] | None,
) -> None:
    if not (hasattr(optimiser, "init") and hasattr(optimiser, "update")):
        raise JaxmatError(
            f"`optimiser` is of type {type(optimiser).__name__}; give an optax "
            "transformation, such as optax.adam(1e-3)."
        )
    check_key(key)
    if every < 1:
        raise JaxmatError(f"`every` is {every}; choose at least 1.")
    if patience is not None and (patience < 1 or validate is None):
        raise JaxmatError(
            f"`patience` is {patience}; choose at least 1, and give `validate`."
        )
