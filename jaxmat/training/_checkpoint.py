"""Decides what a checkpoint holds, and which runs may go on from it.

A folder holds the last state of one run: the arrays of the parameters, of the optimiser
and of the best parameters, the history, and a description in JSON. orbax writes it
beside the one before and renames it, so that a process that dies at any moment leaves
one of the two. Arrays are stored by number, without the classes around them: the
description says where each belongs, and is compared before anything is read.
"""

import contextlib
import logging
import os
import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PyTree

from jaxmat._check import JaxmatError
from jaxmat.io import make_folder
from jaxmat.training._layout import is_key
from jaxmat.training._record import Record
from jaxmat.training._step import State

SCHEMA = 1


class Snapshot(NamedTuple):
    """What a run goes on from; arrays that were read are on the host.

    Attributes:
        state: after the last step of the record.
        best: trained leaves with the best validation so far; None before the first.
        record: metrics and validations up to there.
    """

    state: State
    best: PyTree
    record: Record


class Checkpoints:
    """The last snapshot of a run in a folder; a context, because orbax keeps threads.

    Args:
        folder: created if it does not exist; every process of a run sees the same.
            None keeps nothing.
        first: the state that the run would start from, which says what it trains.
        key: the key of the run.
        given: what else must be the same, in JSON.

    Raises:
        JaxmatError: if the folder cannot be created.
    """

    def __init__(
        self,
        folder: str | os.PathLike | None,
        first: State,
        key: Any,
        given: Mapping[str, Any],
    ):
        self._folder = folder
        self._step: int | None = None
        if folder is None:
            return
        import orbax.checkpoint as ocp

        self._kinds = ocp.args
        self._identity = _identity(first, key) | {"given": dict(given)}
        self._manager = ocp.CheckpointManager(
            make_folder(folder).absolute(),
            options=ocp.CheckpointManagerOptions(
                max_to_keep=1,
                enable_async_checkpointing=False,
                cleanup_tmp_directories=True,
            ),
        )

    def save(self, snapshot: Snapshot) -> None:
        """Write a snapshot, then remove the one before.

        Raises:
            JaxmatError: if the disk is full; the one before is still there.
        """
        if self._folder is None:
            return
        record = snapshot.record
        arrays = _arrays(snapshot)
        about = {
            "identity": self._identity,
            "arrays": list(arrays),
            "metrics": list(record.columns),
            "validations": record.validations,
        }
        try:
            with _silent("absl"):
                self._manager.save(
                    record.num_steps,
                    args=self._kinds.Composite(
                        arrays=self._kinds.PyTreeSave(arrays),
                        about=self._kinds.JsonSave(about),
                    ),
                )
        except (OSError, ValueError) as error:
            kept = "" if self._step is None else f"that of step {self._step} is kept; "
            raise JaxmatError(
                f"cannot write the checkpoint of step {record.num_steps} into "
                f"`{self._folder}`: {_reason(error)}; {kept}free some space and start "
                "again."
            ) from error
        self._step = record.num_steps

    def restore(self, like: State) -> Snapshot | None:
        """The snapshot in the folder, in trees like `like`, or None if there is none.

        Raises:
            JaxmatError: if it is of another run, or cannot be read.
        """
        if self._folder is not None:
            self._step = self._manager.latest_step()
        if self._step is None:
            return None
        about = self._read("about", self._kinds.JsonRestore())
        difference = _difference(about.get("identity", {}), self._identity)
        if difference:
            raise JaxmatError(
                f"the checkpoint in `{self._folder}` is of another run: {difference}; "
                "give what it was made with, or another folder to `checkpoint`."
            )
        import orbax.checkpoint as ocp

        as_numpy = ocp.RestoreArgs(restore_type=np.ndarray)
        arrays = self._read(
            "arrays",
            self._kinds.PyTreeRestore(
                restore_args=dict.fromkeys(about["arrays"], as_numpy)
            ),
        )
        return _snapshot(like, arrays, about)

    def __enter__(self) -> "Checkpoints":
        return self

    def __exit__(self, *error: Any) -> None:
        if self._folder is not None:
            self._manager.close()

    def _read(self, item: str, how: Any) -> Any:
        try:
            with _silent("absl"):
                found = self._manager.restore(
                    self._step, args=self._kinds.Composite(**{item: how})
                )
            return found[item]
        except Exception as error:
            raise JaxmatError(
                f"cannot read the checkpoint of step {self._step} in "
                f"`{self._folder}`: {_reason(error)}; delete the folder to start from "
                "the beginning."
            ) from error


def to_host(tree: PyTree) -> PyTree:
    """Its arrays in the host's memory; keys as their bits."""
    return jax.tree.map(
        lambda x: np.asarray(jax.random.key_data(x) if is_key(x) else x), tree
    )


def _arrays(snapshot: Snapshot) -> dict[str, np.ndarray]:
    """By name; empty arrays, which orbax refuses, are left out."""
    arrays = {}
    for part in ("state", "best"):
        for index, leaf in enumerate(jax.tree.leaves(to_host(getattr(snapshot, part)))):
            arrays[f"{part}_{index}"] = leaf
    arrays["history"] = np.asarray([*snapshot.record.columns.values()], np.float64)
    return {name: array for name, array in arrays.items() if array.size}


def _snapshot(
    like: State, arrays: dict[str, np.ndarray], about: dict[str, Any]
) -> Snapshot:
    """What `_arrays` and the description were made of."""
    record, names = Record(), about["metrics"]
    record.validations = [(step, value) for step, value in about["validations"]]
    history = arrays.get("history", np.zeros((len(names), 0)))
    record.columns = {
        name: column.tolist() for name, column in zip(names, history, strict=True)
    }
    best = _fill("best", like.trained, arrays) if record.validations else None
    return Snapshot(_fill("state", like, arrays), best, record)


def _fill(part: str, like: PyTree, arrays: dict[str, np.ndarray]) -> PyTree:
    """A tree like `like` with the arrays of `_arrays`."""
    leaves, structure = jax.tree.flatten(like)
    found = [
        _as_key(arrays[name], leaf) if is_key(leaf) else arrays.get(name, leaf)
        for name, leaf in ((f"{part}_{i}", leaf) for i, leaf in enumerate(leaves))
    ]
    return jax.tree.unflatten(structure, found)


def _as_key(bits: np.ndarray, like: Any) -> Any:
    return jax.random.wrap_key_data(jnp.asarray(bits), impl=jax.random.key_impl(like))


def _identity(like: State, key: Any) -> dict[str, Any]:
    """What must be the same for a run to go on, in JSON.

    Names of classes that only wrap arrays, and what they hold that is no array, are
    left out: they change with versions of libraries, and hold addresses in memory.
    """
    trained = jax.tree.structure(like.trained)
    structure = jax.tree.structure(
        like.optimiser,
        is_leaf=lambda x: isinstance(x, eqx.Module) or jax.tree.structure(x) == trained,
    )
    return {
        "schema": SCHEMA,
        "params": _describe(like.trained),
        "optimiser": _describe(like.optimiser),
        "optimiser structure": re.sub(r" at 0x[0-9a-f]+", "", str(structure)),
        "key": np.asarray(jax.random.key_data(key)).tolist(),
    }


def _describe(tree: PyTree) -> dict[str, str]:
    """Type and shape of each leaf by its path, as `{"['w']": "float32[3, 4]"}`."""
    return {
        jax.tree_util.keystr(path): f"{leaf.dtype}{list(leaf.shape)}"
        for path, leaf in jax.tree_util.tree_leaves_with_path(tree)
    }


def _difference(there: dict[str, Any], here: dict[str, Any]) -> str:
    """The first thing that differs, or "" if nothing does."""
    if there.get("schema") != here["schema"]:
        return f"its schema is {there.get('schema')} and this jaxmat's {SCHEMA}"
    for part in ("params", "optimiser"):
        for path in here[part] | there[part]:
            old, new = (x[part].get(path, "missing") for x in (there, here))
            if old != new:
                return f"leaf `{path}` of {part} is {old} there and {new} here"
    for part in ("optimiser structure", "key"):
        if there[part] != here[part]:
            return f"the {part} is {there[part]} there and {here[part]} here"
    old, new = there.get("given", {}), here["given"]
    for name in new | old:
        if old.get(name) != new.get(name):
            return f"the {name} is {old.get(name)} there and {new.get(name)} here"
    return ""


def _reason(error: Exception) -> str:
    """Why the disk refused; tensorstore hides the number of the error in its text."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    number = re.search(r"os_error_code='(\d+)'", str(error))
    return os.strerror(int(number[1])) if number else str(error).partition("\n")[0]


@contextlib.contextmanager
def _silent(name: str) -> Iterator[None]:
    """Without the log that orbax writes of an error before it raises it."""
    logger = logging.getLogger(name)
    disabled, logger.disabled = logger.disabled, True
    try:
        yield
    finally:
        logger.disabled = disabled
