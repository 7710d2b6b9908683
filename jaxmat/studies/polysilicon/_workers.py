"""Decides how samples are computed beside the process that writes them.

A worker is a process of its own with one thread: two of them make 1.5 times as many
films per second on two cores as one process that spreads every operation over both. It
gets double precision and the CPU from its environment, whatever its parent has, so that
a sample is the same to the last bit however it is asked for. It is started as a program
and not by `multiprocessing`, which would run the caller's script again.

It reads requests from its standard input and ends with it: a parent that is killed
leaves no orphans.
"""

import contextlib
import os
import pickle
import signal
import subprocess
import sys
from typing import IO, cast

import jax
import numpy as np

from jaxmat._check import JaxmatError
from jaxmat._types import Count, Stiffness
from jaxmat.studies.polysilicon._apparent import apparent_stiffness
from jaxmat.studies.polysilicon._files import DataSet, versions
from jaxmat.studies.polysilicon._film import Film, Parameters, draw_film

MAX_LOSSES = 3
"""How often in a row a worker may be lost over one chunk."""

_PROGRAM = "from jaxmat.studies.polysilicon._workers import serve; serve()"
_LOST = (EOFError, OSError, pickle.UnpicklingError)  # what a broken pipe looks like


class Worker:
    """A process that computes samples; another takes its place if it is lost."""

    def __init__(self, parameters: Parameters):
        self._parameters = parameters
        self._closed = False
        self._start()
        with contextlib.suppress(*_LOST):
            self._ask(None)  # to have it compiled; a loss is noticed in `compute`

    @property
    def pid(self) -> int:
        """Number of the process."""
        return self._process.pid

    def compute(self, index: np.ndarray) -> DataSet:
        """The samples of these numbers.

        Raises:
            JaxmatError: if a film cannot be solved, or worker after worker is lost.
        """
        for _ in range(MAX_LOSSES):
            try:
                return self._ask(index)
            except _LOST:
                if self._closed:
                    raise
                self.kill()
                self._start()
        raise JaxmatError(
            f"{MAX_LOSSES} workers were lost over film {index[0]}; the machine may "
            "lack memory, try fewer `workers`."
        )

    def close(self) -> None:
        """End the process at once, and start no other."""
        self._closed = True
        self.kill()

    def kill(self) -> None:
        """End the process at once."""
        self._process.kill()
        self._process.wait()
        for pipe in self._pipes:
            with contextlib.suppress(OSError):
                pipe.close()

    def _start(self) -> None:
        self._process = process = subprocess.Popen(
            [sys.executable, "-c", _PROGRAM],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=_environment(),
        )
        self._pipes = cast(IO, process.stdin), cast(IO, process.stdout)
        with contextlib.suppress(*_LOST):
            _send(self._pipes[0], self._parameters)

    def _ask(self, index: np.ndarray | None):
        requests, replies = self._pipes
        _send(requests, index)
        reply = pickle.load(replies)
        if isinstance(reply, JaxmatError):
            raise reply
        return reply


def serve() -> None:
    """Answer requests on standard input until it ends: what a worker runs."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides
    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # so that nothing printed mixes with them
    requests = sys.stdin.buffer
    with contextlib.suppress(EOFError, BrokenPipeError):
        parameters = pickle.load(requests)
        while True:
            index = pickle.load(requests)
            numbers = np.zeros(1, int) if index is None else index
            try:
                reply = samples(parameters, numbers)
            except JaxmatError as error:
                reply = error
            _send(replies, None if index is None else reply)


def samples(parameters: Parameters, index: np.ndarray) -> DataSet:
    """Films and labels, one after the other, with what is enabled here.

    Raises:
        JaxmatError: if a film's equilibrium was not reached.
    """
    found = [jax.device_get(_sample(parameters, k)) for k in index]
    films, stiffness = zip(*found, strict=True)
    labels = np.stack(stiffness)
    bad = np.flatnonzero(np.isnan(labels).any((1, 2)))
    if bad.size:
        raise JaxmatError(
            f"film {index[bad[0]]} of {parameters} did not reach equilibrium; leave it "
            "out, or report it."
        )
    small = np.uint8 if parameters.max_grains <= 256 else np.uint16
    return DataSet(
        parameters,
        np.asarray(index),
        np.stack([film.grain for film in films]).astype(small),
        np.stack([film.num_grains for film in films]).astype(np.int32),
        np.stack([film.theta for film in films]),
        np.stack([film.seeds for film in films]),
        labels,
        made_by=versions(),
    )


@jax.jit(static_argnums=0)
def _sample(parameters: Parameters, index: int | Count) -> tuple[Film, Stiffness]:
    film = draw_film(parameters, index)
    return film, apparent_stiffness(film)


def _send(pipe: IO, message: object) -> None:
    pickle.dump(message, pipe)
    pipe.flush()


def _environment() -> dict[str, str]:
    """That of this process, but one thread, double precision, and the CPU."""
    flags = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
    return os.environ | {
        "XLA_FLAGS": f"{os.environ.get('XLA_FLAGS', '')} {flags}".strip(),
        "JAX_ENABLE_X64": "1",
        "JAX_PLATFORMS": "cpu",
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
    }
