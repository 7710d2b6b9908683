"""Processes that compute samples: all alike, and none of them indispensable."""

import functools
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import jax
import numpy as np
import pytest
from sve_data import SMALL, LocalWorker, assert_same

import jaxmat
from jaxmat import JaxmatError
from jaxmat.studies.polysilicon import (
    Parameters,
    apparent_stiffness,
    draw_film,
    generate,
    read,
)
from jaxmat.studies.polysilicon import _generate as module
from jaxmat.studies.polysilicon import _workers as workers
from jaxmat.studies.polysilicon._workers import Worker

PARAMETERS = Parameters(ratio=2, pixels_per_grain=4, seed=8)
NUM_SAMPLES = 60

PROGRAM = """
import sys
from jaxmat.studies import polysilicon
from jaxmat.studies.polysilicon import _generate
_generate.CHUNK = 2
parameters = polysilicon.Parameters(ratio=2, pixels_per_grain=4, seed=8)
polysilicon.generate(
    sys.argv[1], parameters, num_samples=60, workers=1, progress=False
)
"""


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The data set of one worker that nobody disturbs."""
    path = tmp_path_factory.mktemp("whole") / "films.h5"
    generate(path, PARAMETERS, num_samples=NUM_SAMPLES, workers=1, progress=False)
    return read(path)


def test_a_worker_computes_what_the_functions_do(whole):
    draw = jax.jit(functools.partial(draw_film, PARAMETERS))
    label = jax.jit(apparent_stiffness)
    for sample in (0, 41):
        film = draw(sample)
        np.testing.assert_array_equal(whole.grain[sample], film.grain)
        np.testing.assert_array_equal(whole.theta[sample], film.theta)
        # Threads sum in another order; the film is the same to the last bit.
        np.testing.assert_allclose(
            whole.stiffness[sample], label(film), rtol=0, atol=1e-9
        )
    assert f"jax {jax.__version__}" in whole.made_by


def test_a_worker_that_is_killed_loses_no_sample(tmp_path, monkeypatch, whole):
    killed = []

    class Mortal(Worker):
        def compute(self, index):
            if not killed:  # in the middle of its first chunk
                killed.append(self.pid)
                kill = functools.partial(os.kill, self.pid, signal.SIGKILL)
                threading.Timer(0.005, kill).start()
            return super().compute(index)

    monkeypatch.setattr(module, "Worker", Mortal)
    monkeypatch.setattr(module, "CHUNK", 13)
    path = tmp_path / "films.h5"
    generate(path, PARAMETERS, num_samples=NUM_SAMPLES, workers=2, progress=False)
    assert killed
    assert_same(read(path), whole)


def wait_until_nobody_is_left(group):
    """Return once no process of the group lives; fail after a minute."""
    for _ in range(600):
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return
        time.sleep(0.1)
    pytest.fail("a worker outlives its parent")


def test_the_whole_run_killed_goes_on_and_leaves_no_process(tmp_path, whole):
    path = tmp_path / "films.h5"
    environment = os.environ | {"PYTHONPATH": str(Path(jaxmat.__file__).parents[1])}
    program = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(path)],
        env=environment,
        start_new_session=True,
    )
    parts = tmp_path / "films.h5.parts"
    with program:
        while len(list(parts.glob("[0-9]*.h5"))) < 3:
            assert program.poll() is None, "it ended by itself"
            time.sleep(0.001)
        program.send_signal(signal.SIGKILL)
    wait_until_nobody_is_left(program.pid)
    result = generate(
        path, PARAMETERS, num_samples=NUM_SAMPLES, workers=1, progress=False
    )
    assert result.num_samples <= NUM_SAMPLES - 3 * 2
    assert_same(read(path), whole)
    assert [item.name for item in tmp_path.iterdir()] == ["films.h5"]


def test_worker_after_worker_lost_is_an_error_and_no_endless_loop(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(workers, "_PROGRAM", "raise SystemExit(3)")
    with pytest.raises(JaxmatError, match="3 workers were lost over film 0"):
        generate(
            tmp_path / "films.h5", PARAMETERS, num_samples=5, workers=1, progress=False
        )
    assert list(tmp_path.iterdir()) == []


def test_what_a_worker_cannot_do_reaches_the_caller(tmp_path, monkeypatch):
    reply = """
import os, pickle, sys
from jaxmat import JaxmatError
pickle.load(sys.stdin.buffer)
for answer in (None, JaxmatError("the film is torn.")):
    pickle.load(sys.stdin.buffer)
    sys.stdout.buffer.write(pickle.dumps(answer))
    sys.stdout.flush()
"""
    monkeypatch.setattr(workers, "_PROGRAM", reply)
    with pytest.raises(JaxmatError, match="torn"):
        generate(
            tmp_path / "films.h5", PARAMETERS, num_samples=5, workers=1, progress=False
        )


def test_a_film_without_equilibrium_is_named(monkeypatch):
    def unsolved(parameters, index):
        return draw_film(parameters, int(index)), np.full((3, 3), np.nan)

    monkeypatch.setattr(workers, "_sample", unsolved)
    with pytest.raises(JaxmatError, match="film 4 of Parameters"):
        workers.samples(PARAMETERS, np.array([4]))


def test_the_log_says_how_fast_it_was(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(module, "Worker", LocalWorker)
    with caplog.at_level("INFO"):
        generate(tmp_path / "films.h5", SMALL, num_samples=5, workers=1, progress=False)
    assert "5 SVEs made in" in caplog.text
    assert "SVEs/s with 1 workers" in caplog.text


def test_a_bar_counts_the_samples(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(module, "Worker", LocalWorker)
    generate(tmp_path / "films.h5", SMALL, num_samples=5, workers=1)
    assert "5/5" in capsys.readouterr().err
