"""Decides which rows make up batch k: a function of the key and of k alone.

Nothing depends on what was asked for before, so a run that was killed goes on with the
batches that it would have seen. Augmentation belongs in the loss, not here: the loss
has a key for each step, is compiled, and runs on the device.
"""

import functools
import itertools
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import jax
import numpy as np
from jaxtyping import Array, Int, Key, PyTree

from jaxmat._check import JaxmatError


class Batches:
    """Rows of arrays without replacement, in a new order every epoch; random access.

    `batches[k]` is a pytree like `arrays` with `batch_size` rows. Rows that do not fill
    the last batch of an epoch are left out of it, so that every batch has one shape and
    the training step compiles once.

    Args:
        arrays: pytree of arrays with one row per sample; NumPy's stay on the host.
        batch_size: rows in a batch.
        num_epochs: how often all rows are seen.
        key: random key; epoch e is ordered by `fold_in(key, e)`.
        part: `(index, count)` gives the index-th of `count` equal parts of each batch,
            for training on several machines:
            `(jax.process_index(), jax.process_count())`.

    Attributes:
        steps_per_epoch: batches in an epoch.

    Raises:
        JaxmatError: if the arrays have different numbers of rows, or fewer than
            `batch_size`; or if `part` does not divide the batch.
    """

    def __init__(
        self,
        arrays: PyTree,
        batch_size: int,
        num_epochs: int,
        key: Key[Array, ""],
        *,
        part: tuple[int, int] = (0, 1),
    ):
        self._arrays = jax.tree.map(
            lambda x: x if isinstance(x, jax.Array) else np.asarray(x), arrays
        )
        self._num_rows = _num_rows(self._arrays)
        _check_sizes(self._num_rows, batch_size, num_epochs, part)
        self.steps_per_epoch = self._num_rows // batch_size
        self._batch_size, self._num_epochs, self._key = batch_size, num_epochs, key
        size = batch_size // part[1]
        self._part = slice(part[0] * size, (part[0] + 1) * size)
        self._order = functools.lru_cache(maxsize=1)(self._draw_order)

    def __len__(self) -> int:
        return self.steps_per_epoch * self._num_epochs

    def __getitem__(self, step: int) -> PyTree:
        if not 0 <= step < len(self):
            raise IndexError(f"batch {step} of {len(self)}")
        epoch, place = divmod(step, self.steps_per_epoch)
        start = place * self._batch_size
        rows = self._order(epoch)[start : start + self._batch_size][self._part]
        return jax.tree.map(lambda x: x[rows], self._arrays)

    def __iter__(self) -> Iterator[PyTree]:
        return (self[step] for step in range(len(self)))

    def _draw_order(self, epoch: int) -> Int[np.ndarray, " rows"]:
        key = jax.random.fold_in(self._key, epoch)
        return np.asarray(jax.random.permutation(key, self._num_rows))


def num_batches(batches: Any) -> int | None:
    """How many there are, or None if only reading them tells.

    Raises:
        JaxmatError: if they are no iterable of batches, or none at all.
    """
    if isinstance(batches, Mapping) or not isinstance(batches, Iterable):
        raise JaxmatError(
            f"`batches` is of type {type(batches).__name__}; give an iterable with one "
            "batch per step, such as training.Batches."
        )
    count = len(batches) if hasattr(batches, "__len__") else None  # pyright: ignore
    if count == 0:
        raise JaxmatError("`batches` is empty; give at least one batch.")
    return count


def batches_from(batches: Any, step: int) -> Iterator[PyTree]:
    """Batches `step`, `step + 1`, ...: jumps there, or reads and drops those before."""
    if hasattr(batches, "__len__") and hasattr(batches, "__getitem__"):
        return (batches[k] for k in range(step, len(batches)))
    return itertools.islice(iter(batches), step, None)


def _num_rows(arrays: PyTree) -> int:
    """The rows that all arrays have.

    Raises:
        JaxmatError: if they do not agree, or there are none.
    """
    leaves = jax.tree.leaves(arrays)
    sizes = sorted({x.shape[0] if x.ndim else 0 for x in leaves})
    if len(sizes) != 1 or sizes[0] == 0:
        raise JaxmatError(
            f"the arrays of training.Batches have {sizes} rows; give at least one "
            "array, and as many rows in each."
        )
    return sizes[0]


def _check_sizes(
    num_rows: int, batch_size: int, num_epochs: int, part: tuple[int, int]
) -> None:
    if not 1 <= batch_size <= num_rows:
        raise JaxmatError(
            f"`batch_size` is {batch_size} and there are {num_rows} rows; choose one "
            f"from 1 to {num_rows}."
        )
    if num_epochs < 1:
        raise JaxmatError(f"`num_epochs` is {num_epochs}; choose at least 1.")
    index, count = part
    if not 0 <= index < count or batch_size % count:
        raise JaxmatError(
            f"`part` is {part} of a batch of {batch_size} rows; choose (index, count) "
            "with index below count and a batch size that count divides."
        )
