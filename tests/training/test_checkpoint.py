"""A run that dies at any moment goes on and ends with the same bits."""

import json
import os
import signal
import subprocess
import sys

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxmat import JaxmatError, training

RUN = """
import os, resource, signal, sys, threading
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax

jax.config.update("jax_enable_x64", True)
from jaxmat import JaxmatError, training

folder, death, when = sys.argv[1], sys.argv[2], int(sys.argv[3])
key = jax.random.key(0)
x = np.linspace(-1, 1, 40)[:, None]
data = (x, np.sin(3 * x))


def kill():
    os.kill(os.getpid(), signal.SIGKILL)


def kill_while_saving():
    while not any("tmp" in name for name in os.listdir(folder + "/run")):
        pass
    kill()


class Dying(training.Batches):
    def __getitem__(self, step):
        if step == when and death == "stepping":
            kill()
        if step == when and death == "saving":
            threading.Thread(target=kill_while_saving).start()
        if step == when and death == "full":
            # Files cannot grow: what a full disk does, without filling one.
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
        return super().__getitem__(step)


def loss(model, batch, key):
    x, y = batch
    error = jax.vmap(model)(x) - y + 0.1 * jax.random.normal(key, y.shape)
    return jnp.mean(error**2), {"worst": jnp.max(jnp.abs(error))}


try:
    solution = training.fit(
        loss,
        eqx.nn.MLP(1, 1, 16, 2, key=key),
        Dying(data, 8, 8, key),
        optimiser=optax.adamw(optax.cosine_decay_schedule(0.01, 40)),
        key=key,
        checkpoint=folder + "/run",
        validate=eqx.filter_jit(lambda model: loss(model, data, key)[0]),
        every=6,
        metrics=folder + "/metrics.jsonl",
        progress=False,
    )
except JaxmatError as error:
    sys.exit(str(error))
arrays = [a for a in jax.tree.leaves(solution.value) if eqx.is_array(a)]
arrays += [*solution.info.history.values(), solution.info.validation]
np.savez(folder + "/result.npz", *arrays)
"""


def run(folder, death="none", when=0):
    return subprocess.run(
        [sys.executable, "-c", RUN, folder, death, str(when)],
        capture_output=True,
        text=True,
        timeout=300,
        env=os.environ | {"PYTHONWARNINGS": "error"},
    )


def bits(folder):
    with np.load(folder / "result.npz") as found:
        arrays = [(a.dtype, a.tobytes()) for a in found.values()]
    return arrays, (folder / "metrics.jsonl").read_text()


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("uninterrupted")
    done = run(folder)
    assert done.returncode == 0, done.stderr
    return bits(folder)


def unfinished(folder):
    return [name for name in os.listdir(folder / "run") if "tmp" in name]


@pytest.mark.parametrize(
    "deaths",
    [
        [("stepping", 27)],
        [("saving", 17), ("stepping", 17)],
        pytest.param(
            [("stepping", 5), ("saving", 5), ("saving", 35)], marks=pytest.mark.slow
        ),
    ],
    ids=["between checkpoints", "writing a checkpoint", "again and again"],
)
def test_a_killed_run_ends_with_the_bits_of_one_that_was_not(
    tmp_path, uninterrupted, deaths
):
    for death, when in deaths:
        killed = run(tmp_path, death, when)
        assert killed.returncode == -signal.SIGKILL, killed.stderr
        assert bool(unfinished(tmp_path)) == (death == "saving")
    done = run(tmp_path)
    assert done.returncode == 0, done.stderr
    assert bits(tmp_path) == uninterrupted
    assert not unfinished(tmp_path)


def test_a_full_disk_is_one_sentence_and_loses_nothing(tmp_path, uninterrupted):
    full = run(tmp_path, "full", 20)
    assert full.returncode == 1
    assert full.stderr.count("\n") == 1, full.stderr
    assert "File too large" in full.stderr
    done = run(tmp_path)
    assert done.returncode == 0, done.stderr
    assert bits(tmp_path) == uninterrupted
