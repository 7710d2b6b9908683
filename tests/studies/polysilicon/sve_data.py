"""Data sets that cost nothing, a worker in this process, and a program to kill."""

import sys
import time
from typing import ClassVar

import numpy as np

from jaxmat.studies.polysilicon import DataSet, Parameters
from jaxmat.studies.polysilicon._files import UNITS
from jaxmat.studies.polysilicon._store import opened

SMALL = Parameters(ratio=1, pixels_per_grain=4, boundary="subc", seed=5)
NUM_SAMPLES = 120
CHUNK = 3


def made_up(index, parameters=SMALL):
    """Samples whose numbers are a function of their index, like real ones."""
    index = np.asarray(index)
    draws = [np.random.default_rng(k) for k in index]
    side, room = parameters.grid.shape[0], 7
    return DataSet(
        parameters,
        index,
        np.stack([draw.integers(room, size=(side, side)) for draw in draws]).astype(
            np.uint8
        ),
        np.array([draw.integers(1, room) for draw in draws], np.int32),
        np.stack([draw.random(room) for draw in draws]),
        np.stack([draw.random((room, 2)) for draw in draws]),
        np.stack([draw.random((3, 3)) for draw in draws]),
        made_by="a test",
    )


def assert_same(found, expected):
    """Equal parameters, and arrays equal to the last bit and type."""
    assert found.parameters == expected.parameters
    for key in UNITS:
        a, b = getattr(found, key), getattr(expected, key)
        assert a.dtype == b.dtype, key
        np.testing.assert_array_equal(a, b, err_msg=key)


class LocalWorker:
    """What `generate` asks of a worker, with samples that cost nothing."""

    asked: ClassVar[list[int]] = []

    def __init__(self, parameters):
        self.parameters = parameters

    def compute(self, index):
        self.asked.extend(int(k) for k in index)
        return made_up(index, self.parameters)

    def close(self):
        pass


def fill(path):
    """Commit what is missing of `NUM_SAMPLES`, a chunk at a time, and finish."""
    with opened(path, SMALL) as store:
        missing = np.setdiff1d(np.arange(NUM_SAMPLES), store.done)
        for start in range(0, len(missing), CHUNK):
            store.commit(made_up(missing[start : start + CHUNK]))
        store.finish()


if __name__ == "__main__":  # the program that the tests kill
    target, budget = sys.argv[1], float(sys.argv[2])
    print("ready", flush=True)
    end = time.monotonic() + budget
    while time.monotonic() < end:
        fill(target)
