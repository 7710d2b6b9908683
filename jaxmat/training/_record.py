"""Decides what is remembered of a run, and how it is written for others to read.

The record lives in the checkpoint. The file of metrics is made from it, so that a
resumed run neither loses nor repeats a step, whatever was in the file when it died.
"""

import contextlib
import json
import math
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import numpy as np
from jaxtyping import Float, Int

from jaxmat._check import JaxmatError
from jaxmat.io import atomic_path


class Progress(eqx.Module):
    """How a training run went.

    Attributes:
        num_steps: steps taken.
        best_step: steps taken when the parameters returned were reached.
        best_value: their validation value; NaN without `validate`.
        stopped_early: whether patience ended the run.
        history: per step, before its update: `loss`, `gradient_norm`, and the metrics
            that the loss returned.
        validation: values of `validate`, in order.
        validation_steps: steps taken when each was measured.
    """

    num_steps: int
    best_step: int
    best_value: float
    stopped_early: bool
    history: dict[str, Float[np.ndarray, " steps"]]
    validation: Float[np.ndarray, " validations"]
    validation_steps: Int[np.ndarray, " validations"]


class Record:
    """Metrics of every step, and validations: all that grows during a run."""

    def __init__(self):
        self.columns: dict[str, list[float]] = {}
        self.validations: list[tuple[int, float]] = []

    @property
    def num_steps(self) -> int:
        """Steps whose metrics have been read."""
        return len(self.columns.get("loss", ()))

    @property
    def stale(self) -> int:
        """Validations since the best one."""
        values = [value for _, value in self.validations]
        return len(values) - 1 - values.index(min(values)) if values else 0

    def add_step(self, metrics: Mapping[str, Any]) -> None:
        """Append the metrics of the next step.

        Raises:
            JaxmatError: if the loss or its gradient is not finite, or the metrics have
                other names than those of the step before.
        """
        step = self.num_steps + 1
        for name in ("loss", "gradient_norm"):
            if not math.isfinite(metrics[name]):
                raise JaxmatError(
                    f"{name} is {float(metrics[name])} at step {step}; lower the "
                    "learning rate, or clip with optax.clip_by_global_norm."
                )
        if self.columns and set(self.columns) != set(metrics):
            raise JaxmatError(
                f"the loss returns {sorted(metrics)}, before the checkpoint it "
                f"returned {sorted(self.columns)}; give the same loss, or another "
                "folder to `checkpoint`."
            )
        for name, value in metrics.items():
            self.columns.setdefault(name, []).append(float(value))

    def add_validation(self, value: float) -> bool:
        """Append a validation after the last step; whether it is the best so far.

        Raises:
            JaxmatError: if it is not finite.
        """
        if not math.isfinite(value):
            raise JaxmatError(
                f"`validate` returned {value} after step {self.num_steps}; return a "
                "finite scalar, or lower the learning rate."
            )
        self.validations.append((self.num_steps, value))
        return self.stale == 0

    def progress(self, patience: int | None) -> Progress:
        """What is told to the user."""
        steps = [step for step, _ in self.validations]
        values = [value for _, value in self.validations]
        best = values.index(min(values)) if values else None
        return Progress(
            num_steps=self.num_steps,
            best_step=self.num_steps if best is None else steps[best],
            best_value=math.nan if best is None else values[best],
            stopped_early=patience is not None and self.stale >= patience,
            history={name: np.asarray(x) for name, x in self.columns.items()},
            validation=np.asarray(values, float),
            validation_steps=np.asarray(steps, int),
        )

    def lines(self, start: int) -> str:
        """JSON lines of the steps after `start`, with the validation that followed."""
        validations = dict(self.validations)
        lines = []
        for index in range(start, self.num_steps):
            row = {"step": index + 1}
            row |= {name: column[index] for name, column in self.columns.items()}
            if index + 1 in validations:
                row["validation"] = validations[index + 1]
            row = {k: x if math.isfinite(x) else None for k, x in row.items()}
            lines.append(json.dumps(row) + "\n")
        return "".join(lines)


class MetricsFile:
    """JSON lines on the disk, one object per step.

    Args:
        path: file to write; None writes nothing, nor does any process but the first.
        record: what a resumed run has found so far; the file is made to say that. None
            for a run that starts.

    Raises:
        JaxmatError: if a run that starts would replace a file, or it cannot be
            written.
    """

    def __init__(self, path: str | os.PathLike | None, record: Record | None):
        first = jax.process_index() == 0
        self._path = Path(path) if path is not None and first else None
        self._written = record.num_steps if record else 0
        if self._path is None:
            return
        if record is None and self._path.is_file() and self._path.stat().st_size:
            raise JaxmatError(
                f"`{path}` holds the metrics of another run; choose another file for "
                "`metrics`, or delete it."
            )
        with self._telling(), atomic_path(self._path) as temporary:
            temporary.write_text(record.lines(0) if record else "")

    def append(self, record: Record) -> None:
        """Write the steps that are not in the file.

        Raises:
            JaxmatError: if the disk is full.
        """
        if self._path is not None:
            with self._telling(), self._path.open("a") as file:
                file.write(record.lines(self._written))
        self._written = record.num_steps

    @contextlib.contextmanager
    def _telling(self) -> Iterator[None]:
        """Turns a failure of the disk into a sentence."""
        try:
            yield
        except OSError as error:
            raise JaxmatError(
                f"cannot write `{self._path}`: {error.strerror}; free some space and "
                "start again: a run with `checkpoint` goes on where it was."
            ) from error


def counting(title: str, total: int | None, done: int, *, shown: bool) -> Any:
    """A bar on standard error; one for all processes."""
    from tqdm import tqdm

    return tqdm(
        total=total,
        initial=done,
        desc=title,
        file=sys.stderr,
        leave=False,
        disable=not shown or jax.process_index() != 0,
    )
