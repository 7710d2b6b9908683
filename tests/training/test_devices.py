"""Two devices, or two processes with one each, train as one device does."""

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

TRAIN = """
import sys

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import Mesh

jax.config.update("jax_enable_x64", True)
from jaxmat import JaxmatError, training

folder, *process = sys.argv[1:]
if process:
    address, number = process[0], int(process[1])
    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    jax.distributed.initialize(address, num_processes=2, process_id=number)
key = jax.random.key(0)
rng = np.random.default_rng(0)
data = (rng.normal(size=(48, 3)), rng.normal(size=48))
params = {"w": jnp.zeros(3), "noise": jax.random.key(3)}


def loss(params, batch, key):
    x, y = batch
    noise = jax.random.normal(key, y.shape) + jax.random.normal(params["noise"])
    return jnp.mean((x @ params["w"] - y + noise) ** 2), {"rows": len(y)}


def fit(mesh, checkpoint=None, data=data, part=(0, 1), num_epochs=4, params=params):
    return training.fit(
        loss,
        params,
        training.Batches(data, 12, num_epochs, key, part=part),
        optimiser=optax.adam(0.1),
        key=key,
        mesh=mesh,
        checkpoint=checkpoint,
        validate=jax.jit(lambda params: loss(params, data, key)[0]),
        every=5,
        patience=2,
        progress=False,
    )


def refused(sentence, *args, **options):
    try:
        fit(*args, **options)
    except JaxmatError as error:
        assert sentence in str(error), error
    else:
        raise AssertionError(f"accepted, expected: {sentence}")


def same(a, b):
    assert (a.info.num_steps, a.info.best_step) == (b.info.num_steps, b.info.best_step)
    # Sums over the rows in another order.
    np.testing.assert_allclose(a.value["w"], b.value["w"], rtol=1e-12)
    for name, values in a.info.history.items():
        np.testing.assert_allclose(values, b.info.history[name], rtol=1e-12)
"""

TWO_DEVICES = """
mesh = Mesh(np.array(jax.devices()), ("batch",))
alone = fit(None)
assert mesh.size == 2
same(fit(mesh), alone)
# A mesh as jax.make_mesh makes it, which asks authors to say how arrays are split.
same(fit(jax.make_mesh((2,), ("batch",))), alone)
# Begun on one device, ended on two.
fit(None, folder, num_epochs=2)
same(fit(mesh, folder), alone)
refused("`mesh` has the axes ('rows',)", Mesh(np.array(jax.devices()), ("rows",)))
refused("an array of shape (3, 3), to be split over 2", mesh, part=(0, 4))
"""

TWO_PROCESSES = """
mesh = Mesh(np.array(jax.devices()), ("batch",))
assert mesh.size == 2 and len(mesh.local_devices) == 1
alone = fit(None)
# Begun, and gone on with, by both; the rows of a batch are divided between them.
fit(mesh, folder, part=(number, 2), num_epochs=2)
together = fit(mesh, folder, part=(number, 2))
same(together, alone)
assert together.value["w"].is_fully_addressable
unequal = params | {"w": jnp.full(3, float(number))}
refused("is not the same on every process", mesh, part=(number, 2), params=unequal)
"""


def launch(command, **environment):
    return subprocess.Popen(
        [sys.executable, *map(str, command)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"JAX_PLATFORMS": "cpu"} | environment,
    )


def start(script, *arguments, **environment):
    return launch(["-c", TRAIN + script, *arguments], **environment)


def finish(process):
    try:
        _, errors = process.communicate(timeout=300)
    finally:
        process.kill()
    assert process.returncode == 0, errors


def test_two_devices_train_as_one_does(tmp_path):
    flags = os.environ.get("XLA_FLAGS", "")
    two = f"{flags} --xla_force_host_platform_device_count=2"
    finish(start(TWO_DEVICES, tmp_path / "run", XLA_FLAGS=two))


@pytest.mark.slow
def test_two_processes_train_as_one_does(tmp_path):
    with socket.socket() as free:
        free.bind(("localhost", 0))
        address = f"localhost:{free.getsockname()[1]}"
    processes = [
        start(TWO_PROCESSES, tmp_path / "run", address, number) for number in (0, 1)
    ]
    for process in processes:
        finish(process)


@pytest.mark.slow
def test_the_slurm_example_finds_its_processes_and_goes_on_after_it_is_killed(tmp_path):
    script = Path(__file__).parents[2] / "benchmarks" / "slurm" / "train.py"

    def job():
        """What srun starts on two nodes, were both this one."""
        slurm = {"SLURM_JOB_ID": str(os.getpid()), "SLURM_STEP_NODELIST": "localhost"}
        slurm |= {"SLURM_NTASKS": "2", "SLURM_STEP_NUM_NODES": "2"}
        slurm |= {"SLURM_LOCALID": "0"}
        return [
            launch([script, tmp_path], **slurm, SLURM_PROCID=str(number))
            for number in (0, 1)
        ]

    processes = job()
    while not (tmp_path / "run" / "100").exists():
        time.sleep(0.1)
        assert processes[0].poll() is None, processes[0].communicate()
    for process in processes:
        process.kill()
        process.communicate()
    for process in job():
        finish(process)
    lines = (tmp_path / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == list(range(1, 201))
