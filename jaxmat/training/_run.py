"""Decides what happens between two steps: when to read, validate, save and stop."""

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PyTree

from jaxmat._check import JaxmatError
from jaxmat.training._batches import batches_from
from jaxmat.training._checkpoint import Checkpoints, Snapshot, to_host
from jaxmat.training._layout import Layout
from jaxmat.training._record import MetricsFile, Record
from jaxmat.training._step import State, Step

AHEAD = 2
"""Steps that the device is given before the metrics of the oldest are read."""


@dataclass
class Run:
    """A training run under way.

    Attributes:
        state: after the last step taken.
        best: trained leaves with the best validation, on the host; None before one.
        record: metrics of the steps that have been read, and validations.
        frozen: leaves of `params` that are not trained.
        validate: as in `fit`.
        patience: as in `fit`.
        layout: where arrays lie.
        checkpoints: where snapshots go.
        file: where metrics go.
        bar: counts steps on standard error.
    """

    state: State
    best: PyTree
    record: Record
    frozen: PyTree
    validate: Callable[[Any], Any] | None
    patience: int | None
    layout: Layout
    checkpoints: Checkpoints
    file: MetricsFile
    bar: Any
    _pending: deque = field(default_factory=deque)

    @property
    def taken(self) -> int:
        """Steps taken."""
        return self.record.num_steps + len(self._pending)

    @property
    def stopped(self) -> bool:
        """Whether patience has run out."""
        return self.patience is not None and self.record.stale >= self.patience

    def remaining(self, batches: Any) -> Iterator[PyTree]:
        """The batches of steps not yet taken, until the run stops."""
        if self.stopped:
            return
        for batch in batches_from(batches, self.taken):
            yield batch
            if self.stopped:
                return

    def step(self, take_step: Step, batch: PyTree) -> None:
        """Hand a step to the device, and read what it has finished."""
        index = np.uint32(self.taken)
        self.state, metrics = take_step(self.state, self.layout.split(batch), index)
        self._pending.append(metrics)
        self._read(AHEAD)

    def review(self) -> None:
        """Read every step, validate, and save.

        Raises:
            JaxmatError: if the loss or the validation is not finite, or the disk full.
        """
        self._read(0)
        if self.validate is not None:
            value = self.validate(eqx.combine(self.state.trained, self.frozen))
            if jnp.shape(value) != ():
                raise JaxmatError(
                    f"`validate` returned shape {jnp.shape(value)}; return a scalar."
                )
            if self.record.add_validation(self.layout.agree(float(value))):
                self.best = to_host(self.state.trained)
            self.bar.set_postfix(validation=f"{float(value):.3g}", refresh=False)
        self.file.append(self.record)
        self.checkpoints.save(Snapshot(self.state, self.best, self.record))

    def params(self) -> PyTree:
        """The best parameters, or without a validation the last."""
        last = self.best is None
        trained = to_host(self.state.trained) if last else self.best
        return eqx.combine(jax.tree.map(jnp.asarray, trained), self.frozen)

    def _read(self, keep: int) -> None:
        """Wait for steps until `keep` are left on the device."""
        while len(self._pending) > keep:
            try:
                self.record.add_step(jax.device_get(self._pending.popleft()))
            except JaxmatError:
                self.file.append(self.record)
                raise
            self.bar.update()
