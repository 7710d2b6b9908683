"""Decides how a data set grows on the disk, so that nothing is lost or stored twice.

While `data.h5` is made there is, beside it, the folder `data.h5.parts` with one file of
the same kind per chunk of samples. A chunk is committed when its file, complete and
flushed, gets its name: a killed process leaves whole chunks and at most one more file
that nobody looks at. When all samples are there the chunks become one file, again by a
rename, and the folder goes last. Whatever happens in between, the samples on the disk
are the union of what the file and the folder hold.
"""

import contextlib
import fcntl
import logging
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import numpy as np

from jaxmat._check import JaxmatError
from jaxmat.studies.polysilicon._files import DataSet, check_same, merge, read, write
from jaxmat.studies.polysilicon._film import Parameters

_CHUNKS = "[0-9]*.h5"  # committed: what is being written begins with a dot

_log = logging.getLogger(__name__)


class Store:
    """A data set in the making: what it holds already, and how it gets more."""

    def __init__(self, path: Path, parameters: Parameters):
        self._path, self._parts = path, _parts_of(path)
        self._files: list[Path] = []
        self.done = np.empty(0, int)
        for file in [path, *sorted(self._parts.glob(_CHUNKS))]:
            if file.exists():
                self._take_stock(file, parameters)

    def _take_stock(self, file: Path, parameters: Parameters) -> None:
        try:
            held = read(file)
        except JaxmatError as error:
            # What can be read, and is not ours, has no cause.
            if file == self._path or error.__cause__ is None:
                raise
            _log.warning("%s Its samples are computed again.", error)
            os.remove(file)
            return
        check_same(self._path, held.parameters, parameters)
        self._files.append(file)
        self.done = np.union1d(self.done, held.index)

    def commit(self, data: DataSet) -> None:
        """Add samples; when this returns they are on the disk.

        Raises:
            JaxmatError: if the disk is full; all commits before are safe.
        """
        file = self._parts / f"{data.index[0]:09d}.h5"
        write(file, data)
        self._files.append(file)
        self.done = np.union1d(self.done, data.index)

    def finish(self) -> None:
        """Make one file of all commits."""
        if self._files and self._files != [self._path]:
            merge(self._files, self._parts / self._path.name)
            os.replace(self._parts / self._path.name, self._path)
            for file in self._parts.glob(_CHUNKS):
                os.remove(file)


@contextlib.contextmanager
def opened(path: str | os.PathLike, parameters: Parameters) -> Iterator[Store]:
    """The store of a data set, for one process at a time.

    When the block ends, its folder of parts is removed unless it holds samples.

    Raises:
        JaxmatError: if another process has it open, if it holds samples of other
            parameters or of another schema, or the file is damaged.
    """
    target = Path(os.path.abspath(path))
    parts = _parts_of(target)
    try:
        parts.mkdir(exist_ok=True)
        lock = (parts / "lock").open("w")
    except OSError as error:
        raise JaxmatError(
            f"cannot create `{parts}`: {error.strerror}; choose an existing folder "
            "that you may write to."
        ) from error
    with lock:
        if not claim(lock):
            raise JaxmatError(
                f"another process is making `{path}`; wait for it, or give every "
                "process a shard and a file of its own."
            )
        try:
            yield Store(target, parameters)
        finally:
            if not any(parts.glob(_CHUNKS)):
                shutil.rmtree(parts)


def claim(lock: IO) -> bool:
    """Whether an open file is locked for this process now, and not by another.

    The system lets go of it when the file is closed or the process ends, however.
    """
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _parts_of(path: Path) -> Path:
    return path.with_name(f"{path.name}.parts")
