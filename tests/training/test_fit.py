"""Training against closed forms and against the plain loop that it stands for."""

import json

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxmat import JaxmatError, training

KEY = jax.random.key(0)
RNG = np.random.default_rng(1)
X = RNG.normal(size=(48, 3))
Y = X @ np.array([1.0, -2.0, 3.0]) + 0.5 + 0.1 * RNG.normal(size=48)
DESIGN = np.column_stack([X, np.ones(48)])
LEAST_SQUARES = np.linalg.lstsq(DESIGN, Y)[0]
START = {"w": jnp.zeros(3), "b": jnp.asarray(0.0)}


def residual(params, batch):
    x, y = batch
    return x @ params["w"] + params["b"] - y


def loss(params, batch, key):
    del key
    return jnp.mean(residual(params, batch) ** 2)


def noisy_loss(params, batch, key):
    noise = jax.random.normal(key, batch[1].shape)
    return jnp.mean((residual(params, batch) + noise) ** 2)


def fit(loss=loss, params=START, batches=None, **options):
    """A short run of stochastic gradient descent, without a bar."""
    if batches is None:
        batches = training.Batches((X, Y), 12, 5, KEY)
    options = {"optimiser": optax.adam(0.1), "key": KEY, "progress": False} | options
    return training.fit(loss, params, batches, **options)


def test_full_batches_lead_to_the_least_squares_solution():
    # A quadratic of four unknowns: L-BFGS needs little more than four steps.
    solution = fit(batches=[(X, Y)] * 20, optimiser=optax.lbfgs())
    found = [*solution.value["w"], solution.value["b"]]
    np.testing.assert_allclose(found, LEAST_SQUARES, rtol=1e-8)


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.float64])
def test_it_is_the_loop_that_anyone_would_write(dtype):
    optimiser = optax.chain(optax.clip_by_global_norm(1.0), optax.adamw(0.1))
    params = jax.tree.map(lambda x: x.astype(dtype), START)
    batches = training.Batches((X.astype(dtype), Y.astype(dtype)), 12, 3, KEY)
    solution = fit(noisy_loss, params, batches, optimiser=optimiser)
    state = optimiser.init(params)
    gradient = jax.jit(jax.grad(noisy_loss))
    update = jax.jit(optimiser.update)
    for step in range(len(batches)):
        key = jax.random.fold_in(KEY, step)
        slope = gradient(params, batches[step], key)
        updates, state = update(slope, state, params)
        params = optax.apply_updates(params, updates)
    for name, expected in params.items():
        assert solution.value[name].dtype == dtype
        # Twelve steps, compiled together there and one by one here.
        np.testing.assert_allclose(
            solution.value[name], expected, rtol=100 * jnp.finfo(dtype).eps
        )


def test_one_key_is_one_run_and_another_key_another():
    first, again = fit(noisy_loss), fit(noisy_loss)
    other = fit(noisy_loss, key=jax.random.key(1))
    assert eqx.tree_equal(first.value, again.value)
    assert not eqx.tree_equal(first.value, other.value)


def test_a_module_keeps_its_functions_integers_and_keys():
    class Model(eqx.Module):
        net: eqx.nn.MLP
        count: jax.Array
        key: jax.Array
        name: str = eqx.field(static=True)

        def __call__(self, x):
            return self.count * self.net(x) + jax.random.normal(self.key)

    net = eqx.nn.MLP(3, "scalar", 4, 1, activation=jnp.tanh, key=KEY)
    model = Model(net, jnp.asarray(2), jax.random.key(5), "three to one")
    before = jax.tree.map(lambda x: x, model)
    solution = fit(
        lambda model, batch, key: jnp.mean((jax.vmap(model)(batch[0]) - batch[1]) ** 2),
        model,
    )
    trained = solution.value
    assert eqx.tree_equal(model, before)  # what was given is still there
    assert jax.tree.structure(trained) == jax.tree.structure(model)
    assert trained.count == 2
    assert trained.key == model.key
    losses = solution.info.history["loss"]
    assert losses[-4:].mean() < losses[:4].mean()


def test_the_step_compiles_once():
    traces = []

    def counted(params, batch, key):
        traces.append(batch)
        return loss(params, batch, key), {"slope": params["w"][0]}

    # Numbers without a fixed type, which a step would otherwise give one.
    optimiser = optax.inject_hyperparams(optax.adam)(learning_rate=0.1)
    fit(counted, optimiser=optimiser, validate=lambda p: p["b"], every=3)
    assert len(traces) == 1


def test_patience_ends_the_run_with_the_best_parameters_not_the_last():
    seen = []

    def validate(params):
        seen.append(jax.device_get(params))
        return [5.0, 3.0, 4.0, 3.0, 6.0, 1.0][len(seen) - 1]

    solution = fit(validate=validate, every=2, patience=3)
    info = solution.info
    assert eqx.tree_equal(jax.device_get(solution.value), seen[1])
    assert not eqx.tree_equal(seen[1], seen[4])
    assert info.stopped_early
    assert (info.num_steps, info.best_step, info.best_value) == (10, 4, 3.0)
    assert list(info.validation) == [5.0, 3.0, 4.0, 3.0, 6.0]
    assert list(info.validation_steps) == [2, 4, 6, 8, 10]


def test_the_end_of_the_run_is_validated_too():
    info = fit(validate=lambda p: jnp.sum(p["w"] ** 2), every=8).info
    assert list(info.validation_steps) == [8, 16, 20]
    assert not info.stopped_early


def test_without_validation_the_last_parameters_are_returned():
    solution = fit()
    assert solution.info.best_step == solution.info.num_steps == 20
    assert np.isnan(solution.info.best_value)


def test_a_plain_iterable_is_as_good_as_a_list():
    batches = training.Batches((X, Y), 12, 2, KEY)
    listed = fit(batches=batches)
    assert eqx.tree_equal(fit(batches=iter(batches)).value, listed.value)


def test_metrics_are_those_of_the_loss_step_by_step(tmp_path):
    def measured(params, batch, key):
        error = residual(params, batch)
        return jnp.mean(error**2), {"bias": jnp.mean(error), "rows": len(error)}

    file = tmp_path / "metrics.jsonl"
    batches = training.Batches((X, Y), 12, 2, KEY)
    info = fit(
        measured, batches=batches, metrics=file, validate=lambda p: p["b"], every=3
    ).info
    x, y = batches[0]
    assert info.history["loss"][0] == pytest.approx(np.mean(y**2))
    slope = -2 * np.column_stack([x, np.ones(12)]).T @ y / 12
    assert info.history["gradient_norm"][0] == pytest.approx(np.linalg.norm(slope))
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    assert [row["step"] for row in rows] == list(range(1, 9))
    for name in ("loss", "gradient_norm", "bias", "rows"):
        assert [row[name] for row in rows] == list(info.history[name])
    assert {r["step"]: r["validation"] for r in rows if "validation" in r} == dict(
        zip([3, 6, 8], info.validation, strict=True)
    )


def test_a_metric_that_is_not_finite_is_null_in_the_file(tmp_path):
    file = tmp_path / "metrics.jsonl"
    fit(lambda p, b, k: (loss(p, b, k), {"ratio": jnp.inf}), metrics=file)
    assert json.loads(file.read_text().splitlines()[0])["ratio"] is None


def test_bfloat16_is_computed_and_the_parameters_stay_exact():
    seen = []

    def spy(params, batch, key):
        seen.append((params["w"].dtype, batch[0].dtype, batch[2].dtype))
        return loss(params, batch[:2], key), {"rows": jnp.asarray(4)}

    rounded = training.in_precision(spy, jnp.bfloat16)
    batch = (X, Y, np.arange(48))
    (value, metrics), slope = jax.value_and_grad(rounded, has_aux=True)(
        START, batch, KEY
    )
    assert seen[0] == (jnp.bfloat16, jnp.bfloat16, batch[2].dtype)
    assert value.dtype == jnp.float32
    assert metrics["rows"].dtype == jnp.asarray(4).dtype
    assert slope["w"].dtype == START["w"].dtype
    exact = jax.grad(loss)(START, (X, Y), KEY)
    # Eight bits of mantissa.
    np.testing.assert_allclose(slope["w"], exact["w"], rtol=0.02)
    solution = fit(training.in_precision(loss, jnp.bfloat16))
    assert solution.value["w"].dtype == START["w"].dtype


def infinite_loss(params, batch, key):
    return jnp.sum(params["w"] ** 2) + 1 / (16 - batch)


def infinite_slope(params, batch, key):
    return jnp.sqrt(jnp.sum(params["w"] ** 2) * (16 - batch) ** 2)


@pytest.mark.parametrize(
    ("breaks", "name"), [(infinite_loss, "loss"), (infinite_slope, "gradient_norm")]
)
def test_what_is_not_finite_is_reported_with_its_step(tmp_path, breaks, name):
    file = tmp_path / "metrics.jsonl"
    batches = [jnp.asarray(float(k)) for k in range(30)]
    with pytest.raises(JaxmatError, match=f"{name} is .* at step 17; lower the"):
        fit(breaks, {"w": jnp.ones(3)}, batches, metrics=file)
    # What led there can be read.
    assert len(file.read_text().splitlines()) == 16


def test_the_file_of_another_run_is_not_overwritten(tmp_path):
    file = tmp_path / "metrics.jsonl"
    file.write_text("important")
    with pytest.raises(JaxmatError, match="holds the metrics of another run"):
        fit(metrics=file, checkpoint=tmp_path / "run")
    with pytest.raises(JaxmatError, match="holds the metrics of another run"):
        fit(metrics=file, checkpoint=tmp_path / "run")
    assert file.read_text() == "important"


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"batches": []}, "`batches` is empty"),
        ({"batches": {"x": X}}, "`batches` is of type dict"),
        ({"batches": 3}, "`batches` is of type int"),
        ({"params": {"w": jnp.arange(3)}}, "no array of floating-point numbers"),
        ({"params": {"w": 1.0}}, "no array of floating-point numbers"),
        ({"params": {"w": jnp.ones(3) * 1j}}, "holds complex numbers"),
        ({"optimiser": optax.adam}, "`optimiser` is of type function"),
        ({"key": 0}, "`key` is 0; give one key"),
        ({"key": jax.random.split(KEY)}, "give one key"),
        ({"every": 0}, "`every` is 0"),
        ({"patience": 0, "validate": lambda p: 0.0}, "`patience` is 0"),
        ({"patience": 3}, "`patience` is 3; .* give `validate`"),
        ({"validate": lambda p: p["w"]}, "`validate` returned shape \\(3,\\)"),
        ({"validate": lambda p: jnp.nan}, "`validate` returned nan after step 20"),
        ({"loss": lambda p, b, k: p["w"]}, "'loss' of shape \\(3,\\)"),
        ({"loss": lambda p, b, k: jnp.asarray(1)}, "returned an array of int64"),
        ({"loss": lambda p, b, k: None}, "returned type NoneType"),
        ({"loss": lambda p, b, k: (p["b"], p["b"])}, "returned type tuple"),
        (
            {"loss": lambda p, b, k: (p["b"], {"w": p["w"]})},
            "'w' of shape \\(3,\\)",
        ),
        ({"loss": lambda p, b, k: (p["b"], {"step": 1.0})}, "a metric 'step'"),
        ({"metrics": "/nowhere/at/all.jsonl"}, "cannot write"),
    ],
)
def test_what_cannot_be_trained_is_refused(options, sentence):
    with pytest.raises(JaxmatError, match=sentence):
        fit(**options)


def test_only_floating_point_types_are_precisions():
    with pytest.raises(JaxmatError, match="`dtype` is int8"):
        training.in_precision(loss, jnp.int8)
