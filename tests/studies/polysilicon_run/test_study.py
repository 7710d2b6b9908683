"""A whole study of the smallest films: made, killed, resumed, read, and refused."""

import dataclasses
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import types
from contextlib import redirect_stdout
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmat import JaxmatError, cli, surrogates
from jaxmat.studies.polysilicon import _metrics, _presets, _tune, coarse_solver
from jaxmat.studies.polysilicon._evaluate import REFERENCE
from jaxmat.studies.polysilicon._images import channels, grey_image
from jaxmat.studies.polysilicon._learn import films_of, plan, predict, train
from jaxmat.studies.polysilicon._model_file import read_model
from jaxmat.studies.polysilicon._presets import Model, Preset
from jaxmat.studies.polysilicon._store import claim
from jaxmat.studies.polysilicon._study import open_study, open_with
from jaxmat.studies.polysilicon._uncertainty import uncertainty

NETWORK = Model(
    title="ResNet, originals",
    architecture="resnet",
    regime="originals",
    in_the_loop=False,
    num_films=12,
    width=4,
    depths=(1,),
    epochs=2,
    batch_size=4,
    learning_rate=1e-3,
)
TINY = Preset(
    name="tiny",
    pixels_per_grain=4,
    boundary="periodic",
    num_train=12,
    num_validation=4,
    num_test=8,
    factor=2,
    models=(
        NETWORK,
        dataclasses.replace(
            NETWORK,
            title="ResNet, wrong",
            regime="pixels only",
            encoding="grey",
            reduction=2,
        ),
        dataclasses.replace(
            NETWORK, title="in the loop", regime="exact", in_the_loop=True, num_seeds=2
        ),
    ),
)
BASELINES = {
    *("constant", "voigt", "reuss", "hill", "dual", "coarse solver, 2 x 2"),
    *("hill, calibrated", "coarse solver, 2 x 2, calibrated", "two-point ridge"),
}


@pytest.fixture(scope="module", autouse=True)
def _settings():
    """The tiny preset by name; no compilation cache outside of the tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cli, "configure_jax", lambda: None)
        patch.setitem(_presets.PRESETS, "tiny", TINY)
        patch.setattr(_metrics, "RESAMPLES", 50)
        yield


def run(*words) -> tuple[int, str]:
    """Exit code and standard output of `jaxmat polysilicon`."""
    with redirect_stdout(io.StringIO()) as out:
        code = cli.main(["polysilicon", *map(str, words)])
    return code, out.getvalue()


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """A whole study by the command line."""
    folder = tmp_path_factory.mktemp("study") / "out"
    words = ("--preset", "tiny", "--workers", 1, "--json")
    code, out = run("run", "--output", folder, *words)
    assert code == 0
    return folder, json.loads(out)


def test_the_table_has_every_predictor_at_every_size(study):
    _, results = study
    titles = {model.title for model in TINY.models}
    for ratio in ("4", "6", "10"):
        table = results["tables"][ratio]
        assert titles | BASELINES <= set(table)
        for row in table.values():
            for scores in row.values():
                low, high = scores["scatter_error_interval"]
                assert low <= high
                assert np.isfinite(scores["r2"])


def test_the_worst_of_several_seeds_is_the_one_in_the_table(study):
    scores = study[1]["tables"]["4"]["in the loop"]["stiffness"]
    assert len(scores["r2_seeds"]) == 2
    assert scores["r2"] == min(scores["r2_seeds"])
    assert scores["mean_error"] == max(scores["mean_error_seeds"])


def test_every_file_that_the_results_list_is_there_and_is_what_it_says(study):
    folder, results = study
    for name in results["files"]:
        content = (folder / name).read_bytes()
        if name.endswith(".png"):
            assert content.startswith(b"\x89PNG")
    page = (folder / "report.html").read_text()
    assert page.count("data:image/png;base64,") == page.count("<img")
    assert 'src="http' not in page
    for name in REFERENCE:
        assert name in page
        assert name in (folder / "model_card.md").read_text()


def test_run_again_returns_the_same_numbers(study):
    folder, results = study
    before = {file: file.stat().st_mtime_ns for file in (folder / "data").iterdir()}
    code, out = run("run", "--output", folder, "--json")
    assert code == 0
    assert json.loads(out)["tables"] == results["tables"]
    assert {file: file.stat().st_mtime_ns for file in before} == before


def test_a_training_that_was_cut_short_ends_with_the_same_weights(study, tmp_path):
    """Its model is gone and its checkpoint is there: nothing is trained again."""
    folder, _ = study
    copy = shutil.copytree(folder, tmp_path / "copy")
    name = TINY.models[0].names[0]
    lost = copy / "models" / name / "model.eqx"
    before = lost.read_bytes()
    lost.unlink()
    assert run("train", "--output", copy)[0] == 0
    assert lost.read_bytes() == before


def test_a_model_that_another_process_trains_is_left_to_it(study, tmp_path):
    copy = shutil.copytree(study[0], tmp_path / "copy")
    taken = copy / "models" / TINY.models[0].names[0]
    (taken / "model.eqx").unlink()
    with (taken / "lock").open("w") as lock:
        assert claim(lock)
        assert run("train", "--output", copy)[0] == 0
        assert not (taken / "model.eqx").exists()
    assert run("train", "--output", copy)[0] == 0
    assert (taken / "model.eqx").exists()


def test_overwriting_the_models_keeps_the_films_and_gives_the_same_models(
    study, tmp_path
):
    folder, _ = study
    copy = shutil.copytree(folder, tmp_path / "copy")
    assert run("train", "--output", copy, "--overwrite")[0] == 0
    for name, *_ in TINY.runs():
        model = Path("models") / name / "model.eqx"
        assert (copy / model).read_bytes() == (folder / model).read_bytes()
    assert (copy / "data" / "films_4.h5").exists()


def test_no_film_is_in_two_sets(study):
    data = open_study(study[0]).data
    angles = [one.theta[:, 0] for one in data.values()]
    assert [len(a) for a in angles] == [8, 4, 12, 8, 8]
    together = np.concatenate(angles)
    assert len(np.unique(together)) == len(together)


def test_a_stored_model_predicts_from_channels_alone(study):
    folder, _ = study
    test = open_study(folder).data["test_6"]
    for model in TINY.models:
        _, trained = read_model(folder / "models" / model.names[0] / "model.eqx")
        image = channels(jnp.asarray(test.theta[0]))[test.grain[0]]
        if model.encoding == "grey":
            image = jnp.round(255 * grey_image(test.film(0)))[..., None] / 255
        answer = np.asarray(trained(image))
        predicted = predict(trained, test, encoding=model.encoding)[0]
        # Networks compute in single precision.
        np.testing.assert_allclose(answer, predicted, rtol=1e-4)


def test_turned_films_have_turned_coarse_answers(study):
    """What the training step assumes when it turns a cached answer."""
    test = open_study(study[0]).data["test_4"]
    image = channels(jnp.asarray(test.theta[0]))[test.grain[0]]
    solve = jax.jit(coarse_solver(TINY.factor, rtol=1e-10))
    answer = solve(image)
    for element in range(surrogates.NUM_SYMMETRIES):
        turned = surrogates.transform_image(image, element, "fourfold")
        shifted = jnp.roll(turned, (TINY.factor, 3 * TINY.factor), (0, 1))
        expected = surrogates.transform_stiffness(answer, element)
        np.testing.assert_allclose(solve(shifted), expected, rtol=0, atol=1e-6)


def test_all_six_targets_vary_though_films_have_three_numbers(study):
    data = open_study(study[0]).data["train"]
    for model in (TINY.models[0], TINY.models[2]):
        coarse = predict_coarse(data) if model.in_the_loop else None
        blueprint = plan(model, films_of(data, coarse), data, TINY.factor)
        assert min(blueprint.std) > 1e-3 * max(blueprint.std)


def predict_coarse(data):
    solve = jax.jit(coarse_solver(TINY.factor))
    films = zip(data.grain, data.theta, strict=True)
    return np.stack([solve(channels(jnp.asarray(t))[g]) for g, t in films])


@pytest.mark.slow
def test_a_study_that_was_killed_goes_on(tmp_path):
    """Killed as soon as it has data, then completed; the films are all there."""
    folder = tmp_path / "out"
    program = (
        "import sys; sys.path.insert(0, sys.argv[1]); import test_study as t;"
        "from pathlib import Path; "
        "t.open_with(Path(sys.argv[2]), t.TINY).generate(progress=False)"
    )
    here = str(Path(__file__).parent)
    process = subprocess.Popen([sys.executable, "-c", program, here, str(folder)])
    deadline = time.monotonic() + 240
    while not (folder / "data" / "films_4.h5").exists():
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    study = open_with(folder, TINY)
    study.generate(progress=False)
    assert {one.num_samples for one in study.data.values()} == {4, 8, 12}


def test_a_search_finds_the_best_options_and_goes_on(study, tmp_path, monkeypatch):
    """Trainings are played: the validation is the distance to the best options."""
    pytest.importorskip("optuna")
    tried = []

    def play(model, seed, data, films, validation, **options):
        assert model.num_films * model.epochs >= 12 * 2  # as many films seen
        assert len(films.grain) == 12
        tried.append(model)
        value = abs(np.log(model.learning_rate / 1e-3)) + (model.optimiser != "sgd")
        return types.SimpleNamespace(best_value=float(value))

    monkeypatch.setattr(_tune, "train", play)
    folder = shutil.copytree(study[0], tmp_path / "copy")
    for trials in (8, 12):
        code, out = run("search", "--output", folder, "--trials", trials, "--json")
        assert code == 0
        assert len(tried) == trials
    best = json.loads(out)
    assert best["validation"] == pytest.approx(
        min(abs(np.log(m.learning_rate / 1e-3)) + (m.optimiser != "sgd") for m in tried)
    )
    assert json.loads((folder / "search.json").read_text())["trials"] == 12
    assert "best of 12 trials" in run("search", "--output", folder, "--trials", 12)[1]


def test_every_option_of_a_model_is_trained_with(study, tmp_path):
    """Dropout, an L1 term and another optimiser; dropout is gone from the model."""
    opened = open_study(study[0])
    model = dataclasses.replace(
        NETWORK, epochs=1, optimiser="sgd", l1=1e-3, dropout=0.5, weight_decay=1e-2
    )
    given = [opened.given(n, False, "fourfold") for n in ("train", "validation")]
    train(model, 0, opened.data["train"], *given, folder=tmp_path, factor=2)
    _, trained = read_model(tmp_path / "model.eqx")
    answers = predict(trained, opened.data["test_4"])
    np.testing.assert_array_equal(answers, predict(trained, opened.data["test_4"]))
    wrong = dataclasses.replace(model, optimiser="newton")
    with pytest.raises(JaxmatError, match="choose one of 'adamw', 'lion', 'sgd'"):
        train(wrong, 0, opened.data["train"], *given, folder=tmp_path, factor=2)


def test_a_spread_is_scaled_until_it_fits_the_errors():
    rng = np.random.default_rng(0)
    truth, shared = rng.normal(size=(2, 4000))
    members = truth + 3 * shared + rng.normal(size=(5, 4000))
    found = uncertainty((members, truth), {4: (members, truth)})
    # The error of the mean is 3 shared and a fifth of the variance of the members;
    # Student's t of four degrees of freedom has twice the variance of a Gaussian.
    assert found.raw[4].z_std == pytest.approx(np.sqrt(2 * (9 + 1 / 5)), rel=0.1)
    assert found.scale == pytest.approx(float(found.raw[4].z_std))
    assert found.scaled[4].z_std == pytest.approx(1)
    assert found.scaled[4].miscalibration < found.raw[4].miscalibration


def test_seeds_that_agree_exactly_are_too_sure_and_no_reason_to_fail():
    truth = np.linspace(140.0, 150.0, 20)
    members = np.full((5, 20), 145.0)
    found = uncertainty((members, truth), {4: (members, truth)})
    assert np.isfinite(found.scale)
    json.dumps(found.summary(), allow_nan=False)


def test_stages_that_lack_what_they_need_say_what_to_run(tmp_path, capsys):
    folder = tmp_path / "out"
    for stage, needed in (("train", "generate"), ("report", "train")):
        assert run(stage, "--preset", "tiny", "--output", folder)[0] == 1
        assert f"jaxmat polysilicon {needed}" in capsys.readouterr().err
    assert [file.name for file in folder.iterdir()] == ["study.json"]


def test_a_folder_belongs_to_one_preset(study, tmp_path, capsys):
    assert run("run", "--preset", "quick", "--output", study[0])[0] == 1
    assert "preset 'tiny'" in capsys.readouterr().err
    changed = dataclasses.replace(TINY, num_test=9)
    with pytest.raises(JaxmatError, match="another version of the preset"):
        open_with(study[0], changed)
    (tmp_path / "mine.txt").touch()
    with pytest.raises(JaxmatError, match="something else than a study"):
        open_study(tmp_path, "tiny")
    with pytest.raises(JaxmatError, match="choose one of 'quick', 'full'"):
        open_study(tmp_path / "new", "slow")
    with pytest.raises(JaxmatError, match="cannot create"):
        open_study(tmp_path / "no" / "such", "tiny")
    (tmp_path / "study.json").write_text("{}")
    with pytest.raises(JaxmatError, match="damaged"):
        open_study(tmp_path)


def test_a_model_that_cannot_be_read_says_so(study, tmp_path):
    file = study[0] / "models" / TINY.models[0].names[0] / "model.eqx"
    head, weights = file.read_bytes().split(b"\n", 1)
    description = json.loads(head)
    broken = tmp_path / "model.eqx"
    for content, sentence in (
        (head + b"\n" + weights[:100], "damaged"),
        (b"no json\n", "no model"),
        (edited(description, schema=0) + weights, "schema 0"),
        (edited(description, width=8) + weights, "damaged"),
        (edited(description, architecture="mlp") + weights, "architecture"),
    ):
        broken.write_bytes(content)
        with pytest.raises(JaxmatError, match=sentence):
            read_model(broken)
    with pytest.raises(JaxmatError, match="there is no model"):
        read_model(tmp_path / "none.eqx")


def edited(description, **changes) -> bytes:
    return json.dumps(description | changes).encode() + b"\n"


def test_presets_have_films_enough_for_their_models():
    for preset in _presets.PRESETS.values():
        names = [name for name, *_ in preset.runs()]
        assert len(set(names)) == len(names)
        for model in preset.models:
            assert model.num_films <= preset.num_train
            assert model.regime in _presets.REGIMES
        for _, parameters, _ in preset.files():
            side, _ = parameters.grid.shape
            for model in preset.models:
                assert side % (model.reduction * 2 ** len(model.depths)) == 0
            assert side % preset.factor == 0


@pytest.mark.slow
def test_the_quick_study_shows_what_it_is_to_show(tmp_path):
    """The solver in the loop is ahead of networks, and they of a constant."""
    code, out = run("run", "--output", tmp_path / "out", "--json")
    assert code == 0
    for table in json.loads(out)["tables"].values():
        r2 = {name: row["youngs_modulus"]["r2"] for name, row in table.items()}
        assert r2["ResNet, originals"] > 0.5
        assert r2["physics in the loop"] > r2["hill, calibrated"] > r2["reuss"]
