"""Decides how a data set is made: who computes what, who writes, what is reported.

The process that calls `generate` is the only writer. Workers compute chunks of samples
in any order; a chunk is on the disk before it counts. After a kill the same call goes
on where the commits end, and the file is what it would have been.
"""

import logging
import os
import queue
import time
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np

from jaxmat._check import JaxmatError
from jaxmat.studies.polysilicon._files import DataSet
from jaxmat.studies.polysilicon._film import Parameters
from jaxmat.studies.polysilicon._store import opened
from jaxmat.studies.polysilicon._workers import Worker

CHUNK = 32
"""Samples that are computed, written and, at worst, lost together."""

_log = logging.getLogger(__name__)


class Throughput(NamedTuple):
    """What one call made.

    Attributes:
        num_samples: samples made, without those that were there.
        seconds: from the first request to the finished file, without the start of the
            workers and their compilation.
    """

    num_samples: int
    seconds: float

    @property
    def per_second(self) -> float:
        """Samples per second; zero if there was nothing to do."""
        return self.num_samples / self.seconds if self.num_samples else 0.0


def generate(
    path: str | os.PathLike,
    parameters: Parameters,
    *,
    num_samples: int,
    workers: int | None = None,
    shard: tuple[int, int] = (0, 1),
    progress: bool = True,
) -> Throughput:
    """Make a data set, or what is missing of one.

    Stopped in any way, even killed, and called again, it goes on where it was; with a
    larger `num_samples` it extends the file. Several machines make one data set by
    giving each a shard and a file of its own, for instance
    `shard=(jax.process_index(), jax.process_count())`, and `merge` the files.

    Args:
        path: the HDF5 file; while it is made, samples are in the folder `PATH.parts`.
        parameters: of all films.
        num_samples: the file shall hold films 0 ... num_samples - 1.
        workers: processes that compute; as many as there are cores if None.
        shard: (i, n) makes the films i, i + n, i + 2n, ... only.
        progress: show a bar.

    Returns:
        How many samples were made in what time. It is logged, too.

    Raises:
        JaxmatError: if a number is out of range; if `path` holds other parameters,
            another schema, is damaged, or another process is making it; if the disk is
            full; or if worker after worker is lost. Samples on the disk stay there.
    """
    first, step = shard
    for name, value, low in (
        ("num_samples", num_samples, 1),
        ("workers", 1 if workers is None else workers, 1),
        ("shard", step - first, 1),
        ("shard", first, 0),
    ):
        if value < low:
            raise JaxmatError(
                f"`{name}` is {shard if name == 'shard' else value}; give samples and "
                "workers of at least 1, and a shard (i, n) with 0 <= i < n."
            )
    wanted = np.arange(first, num_samples, step)
    with opened(path, parameters) as store:
        missing = np.setdiff1d(wanted, store.done)
        chunks = [missing[k : k + CHUNK] for k in range(0, len(missing), CHUNK)]
        number = min(workers or _num_cores(), len(chunks))
        with (
            _pool(parameters, number) as compute,
            _bar(wanted, missing, progress) as bar,
        ):
            start = time.perf_counter()
            for made in compute(chunks):
                store.commit(made)
                bar.update(made.num_samples)
            store.finish()
            result = Throughput(len(missing), time.perf_counter() - start)
    _log.info(
        "%s: %d SVEs made in %.1f s, %.1f SVEs/s with %d workers (%s)",
        *(path, result.num_samples, result.seconds, result.per_second, number),
        parameters,
    )
    return result


@contextmanager
def _pool(parameters: Parameters, number: int):
    """A function from chunks to their samples, in the order they are done.

    A thread waits for each worker; threads compute nothing.
    """
    idle: queue.SimpleQueue[Worker] = queue.SimpleQueue()

    def compute(index: np.ndarray) -> DataSet:
        worker = idle.get()
        try:
            return worker.compute(index)
        finally:
            idle.put(worker)

    def results(chunks: list[np.ndarray]) -> Iterator[DataSet]:
        # Few enough at a time that results do not pile up before the writer.
        waiting = list(reversed(chunks))
        running = set()
        while waiting or running:
            while waiting and len(running) < 2 * number:
                running.add(threads.submit(compute, waiting.pop()))
            done, running = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                yield future.result()

    workers: list[Worker] = []
    with ThreadPoolExecutor(max(1, number)) as threads:
        try:
            for worker in threads.map(Worker, [parameters] * number):
                workers.append(worker)
                idle.put(worker)
            yield results
        finally:
            for worker in workers:
                worker.close()
            threads.shutdown(cancel_futures=True)


def _num_cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _bar(wanted: np.ndarray, missing: np.ndarray, progress: bool):
    """A progress bar in SVEs, those that were there included."""
    from tqdm import tqdm

    there = len(wanted) - len(missing)
    return tqdm(total=len(wanted), initial=there, unit="SVE", disable=not progress)
