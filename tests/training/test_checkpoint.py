"""A run that dies at any moment goes on and ends with the same bits."""

import os
import resource
import signal
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxmat import JaxmatError, training

RUN = """
import os, resource, signal, sys, threading
from collections.abc import Callable
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax

jax.config.update("jax_enable_x64", True)
from jaxmat import JaxmatError, training

folder, death, when = sys.argv[1], sys.argv[2], int(sys.argv[3])
key = jax.random.key(0)
rng = np.random.default_rng(0)
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
            resource.setrlimit(resource.RLIMIT_FSIZE, (6000, 6000))
        return super().__getitem__(step)


class Net(eqx.Module):
    inner: jax.Array
    outer: jax.Array
    activation: Callable

    def __call__(self, x):
        return self.activation(x @ self.inner) @ self.outer


def loss(model, batch, key):
    x, y = batch
    error = model(x) - y + 0.1 * jax.random.normal(key, y.shape)
    return jnp.mean(error**2), {"worst": jnp.max(jnp.abs(error))}


try:
    solution = training.fit(
        loss,
        Net(rng.normal(size=(1, 999)), rng.normal(size=(999, 1)), jnp.tanh),
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


def test_a_run_that_dies_in_every_way_ends_with_the_bits_of_one_that_does_not(
    tmp_path,
):
    for name in ("whole", "died"):
        (tmp_path / name).mkdir()
    whole, died = tmp_path / "whole", tmp_path / "died"
    done = run(whole)
    assert done.returncode == 0, done.stderr

    def unfinished():
        return [name for name in os.listdir(died / "run") if "tmp" in name]

    killed = run(died, "stepping", 10)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert not unfinished()
    killed = run(died, "saving", 15)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert unfinished()  # it was writing
    full = run(died, "full", 20)
    sentences = [x for x in full.stderr.splitlines() if x.startswith("cannot write")]
    assert len(sentences) == 1, full.stderr
    assert "checkpoint of step 24 into" in sentences[0]
    assert "File too large; that of step 18 is kept" in sentences[0]
    done = run(died)
    assert done.returncode == 0, done.stderr
    assert not unfinished()
    assert bits(died) == bits(whole)


KEY = jax.random.key(0)
X = np.random.default_rng(0).normal(size=(32, 3))
BATCHES = training.Batches((X, X.sum(axis=1)), 8, 3, KEY)


class InterruptedError(Exception):
    """What stands in for Ctrl-C."""


class Interrupted:
    """Batches that end with an exception in the middle."""

    def __len__(self):
        return len(BATCHES)

    def __iter__(self):
        return iter(BATCHES)

    def __getitem__(self, step):
        if step == 7:
            raise InterruptedError
        return BATCHES[step]


def loss(params, batch, key):
    x, y = batch
    noise = 0.1 * jax.random.normal(key, y.shape)
    return jnp.mean((x @ params["w"] + params["b"] - y + noise) ** 2)


PARAMS = {
    "w": jnp.zeros(3),
    "b": jnp.zeros((), jnp.bfloat16),
    "nothing": jnp.zeros((0, 2)),
    "count": jnp.asarray(3),
}


def fit(folder, params=PARAMS, batches=BATCHES, loss=loss, **options):
    options = {"optimiser": optax.adam(0.1), "key": KEY} | options
    options |= {"checkpoint": folder, "every": 3, "progress": False}
    return training.fit(loss, params, batches, **options)


EVERYTHING = optax.MultiSteps(
    optax.chain(
        optax.add_noise(0.1, 0.5, key=jax.random.key(7)),
        optax.masked(
            optax.inject_hyperparams(optax.adam)(optax.linear_schedule(0.1, 0.0, 12)),
            {"w": True, "b": False, "nothing": False, "count": False},
        ),
        optax.sgd(0.1),
    ),
    2,
)


def same(a, b):
    """Equal in structure, types and bits; here NaN is NaN."""
    assert jax.tree.structure(a) == jax.tree.structure(b)
    for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        assert jnp.result_type(x) == jnp.result_type(y)
        np.testing.assert_array_equal(x, y)
    return True


def test_the_state_of_every_part_of_an_optimiser_goes_on_where_it_was(tmp_path):
    options = {"optimiser": EVERYTHING, "validate": lambda p: p["w"][0] ** 2}
    whole = fit(tmp_path / "whole", **options)
    with pytest.raises(InterruptedError):
        fit(tmp_path / "run", batches=Interrupted(), **options)
    assert same(fit(tmp_path / "run", **options), whole)


def test_in_single_precision_too(tmp_path):
    with jax.enable_x64(False):
        params = {"w": jnp.zeros(3), "b": jnp.zeros(())}
        whole = fit(tmp_path / "whole", params)
        with pytest.raises(InterruptedError):
            fit(tmp_path / "run", params, Interrupted())
        resumed = fit(tmp_path / "run", params)
        assert same(resumed, whole)
    assert whole.value["w"].dtype == jnp.float32


def test_a_plain_iterable_is_read_up_to_where_the_run_was(tmp_path):
    whole = fit(tmp_path / "whole")
    with pytest.raises(InterruptedError):
        fit(tmp_path / "run", batches=(Interrupted()[k] for k in range(len(BATCHES))))
    assert same(fit(tmp_path / "run", batches=iter(BATCHES)), whole)


def never(params, batch, key):
    raise AssertionError("a step was taken")


def test_a_finished_run_returns_at_once(tmp_path):
    first = fit(tmp_path / "run", validate=lambda p: p["w"][0] ** 2)
    again = fit(tmp_path / "run", loss=never, validate=never)
    assert same(first, again)


def test_a_run_that_lost_patience_stays_ended_until_it_is_given_more(tmp_path):
    options = {"validate": lambda p: 1.0}
    ended = fit(tmp_path / "run", patience=1, **options)
    assert ended.info.num_steps == 6
    assert ended.info.stopped_early
    again = fit(tmp_path / "run", loss=never, patience=1, **options)
    assert same(again, ended)
    longer = fit(tmp_path / "run", patience=2, **options)
    assert longer.info.num_steps == 9


def test_more_epochs_go_on_from_the_end(tmp_path):
    longer = training.Batches((X, X.sum(axis=1)), 8, 6, KEY)
    fit(tmp_path / "run")
    resumed = fit(tmp_path / "run", batches=longer)
    assert same(resumed, fit(tmp_path / "whole", batches=longer))


def test_after_a_loss_that_is_not_finite_the_last_good_state_is_there(tmp_path):
    def breaks(params, batch, key):
        return loss(params, batch, key) + jnp.where(params["w"][0] > 0.65, jnp.nan, 0)

    with pytest.raises(JaxmatError, match="loss is nan at step 8"):
        fit(tmp_path / "run", loss=breaks)
    # A smaller step is the same optimiser.
    slower = fit(tmp_path / "run", loss=breaks, optimiser=optax.adam(1e-3))
    assert slower.info.num_steps == len(BATCHES)
    six = fit(tmp_path / "six", batches=[BATCHES[k] for k in range(6)])
    assert list(slower.info.history["loss"][:6]) == list(six.info.history["loss"])


def test_a_full_disk_for_metrics_is_a_sentence_too(tmp_path):
    usual = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200, usual[1]))
    try:
        with pytest.raises(JaxmatError, match="jsonl`: File too large; free some"):
            fit(None, metrics=tmp_path / "metrics.jsonl")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, usual)


def with_(**leaves):
    return PARAMS | leaves


@pytest.fixture(scope="module")
def begun(tmp_path_factory):
    """A run that was interrupted."""
    folder = tmp_path_factory.mktemp("begun")
    with pytest.raises(InterruptedError):
        fit(folder, batches=Interrupted())
    return folder


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (
            {"params": with_(w=jnp.zeros((3, 1)))},
            r"leaf `\['w'\]` of params is float64\[3\] there and float64\[3, 1\] here",
        ),
        (
            {"params": with_(w=jnp.zeros(3, jnp.float32))},
            r"leaf `\['w'\]` of params is float64\[3\] there and float32\[3\] here",
        ),
        (
            {"params": with_(more=jnp.zeros(2))},
            r"leaf `\['more'\]` of params is missing there and float64\[2\] here",
        ),
        (
            {"params": {"w": jnp.zeros(3), "b": PARAMS["b"]}},
            r"leaf `\['nothing'\]` of params is float64\[0, 2\] there and missing",
        ),
        ({"optimiser": optax.sgd(0.1)}, "leaf `.*count` of optimiser is int32"),
        ({"optimiser": optax.adamw(0.1)}, "the optimiser structure is .*EmptyState"),
        ({"given": {"rate": 0.1}}, "the rate is None there and 0.1 here"),
        ({"key": jax.random.key(1)}, r"the key is \[0, 0\] there and \[0, 1\] here"),
        (
            {"loss": lambda p, b, k: (loss(p, b, k), {"more": 0.0})},
            "the loss returns .*'more'.* before the checkpoint",
        ),
    ],
)
def test_the_checkpoint_of_another_run_is_refused_and_kept(begun, options, sentence):
    with pytest.raises(JaxmatError, match=sentence):
        fit(begun, **options)
    assert os.listdir(begun) == ["6"]


def test_a_checkpoint_that_is_damaged_is_named(tmp_path):
    fit(tmp_path / "run")
    (tmp_path / "run" / "12" / "about" / "metadata").write_text("{")
    with pytest.raises(JaxmatError, match="cannot read the checkpoint of step 12"):
        fit(tmp_path / "run")


def test_a_file_is_no_folder_for_checkpoints(tmp_path):
    (tmp_path / "run").write_text("")
    with pytest.raises(JaxmatError, match=r"cannot use `.*run` as a folder"):
        fit(tmp_path / "run")
