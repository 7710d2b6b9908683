"""`jaxmat prnn`, in process: what it prints, writes, refuses and goes on with."""

import json
from pathlib import Path

import numpy as np
import pytest

from jaxmat import cli
from jaxmat.studies import composite
from jaxmat.studies.composite import _command

DATA = Path(__file__).parents[2] / "data" / "prnn"


@pytest.fixture(scope="module", autouse=True)
def _no_settings():
    """Double precision is on in tests; no compilation cache outside of them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cli, "configure_jax", lambda: None)
        yield


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """The beginnings of five paths."""
    paths = composite.read_paths(DATA / "gpCurves.data").take(slice(5))
    path = tmp_path_factory.mktemp("data") / "some.data"
    composite.write_paths(path, composite.Paths(paths.eps[:, :8], paths.sig[:, :8]))
    return path


@pytest.fixture(scope="module")
def trained(data, tmp_path_factory):
    """A folder with a law of one point, after a few steps."""
    folder = tmp_path_factory.mktemp("trained") / "out"
    words = ["train", data, "--output", folder, "--kind", "law", "--num-steps", 5]
    assert run(*words, "--paths", 2, "--validation", 1, "--json") == 0
    return folder


def run(*words) -> int:
    return cli.main(["prnn", *map(str, words)])


def test_evaluate_tells_the_error_on_the_paths_that_are_left(trained, data, capsys):
    assert run("evaluate", data, "--output", trained, "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["paths"] == 2
    by_component = found["mae_mpa_by_component"]
    np.testing.assert_allclose(np.mean(list(by_component.values())), found["mae_mpa"])
    assert (trained / "stress.png").stat().st_size > 10_000
    assert json.loads((trained / "evaluation.json").read_text()) == found
    assert run("evaluate", data, "--output", trained, "--all") == 0
    assert "paths: 5" in capsys.readouterr().out


def test_training_again_finds_the_model_and_another_one_is_refused(
    trained, data, capsys
):
    words = ["train", data, "--output", trained, "--kind", "law", "--num-steps", 5]
    before = (trained / "model.eqx").read_bytes()
    assert run(*words, "--paths", 2, "--validation", 1) == 0
    assert (trained / "model.eqx").read_bytes() == before
    assert run(*words, "--paths", 3, "--validation", 1) == 1
    assert "holds a model of other options" in capsys.readouterr().err


def test_a_model_is_not_taken_for_one_of_other_paths(trained, data, tmp_path, capsys):
    """Neither by a training nor by an evaluation, which would test what was learned."""
    paths, other = composite.read_paths(data), tmp_path / "other.data"
    composite.write_paths(other, paths.take([1, 0, 2, 3, 4]))
    words = ["--kind", "law", "--num-steps", 5, "--paths", 2, "--validation", 1]
    assert run("train", other, "--output", trained, *words) == 1
    assert "other options or other paths" in capsys.readouterr().err
    assert run("evaluate", other, "--output", trained) == 1
    assert "does not begin with the paths that" in capsys.readouterr().err
    assert run("evaluate", other, "--output", trained, "--all") == 0


def test_output_that_cannot_be_written_is_refused_before_the_work(
    tmp_path, capsys, monkeypatch
):
    monkeypatch.setattr(_command, "composite_cell", None)  # nothing is begun
    assert run("generate", tmp_path / "missing" / "paths.data") == 1
    assert "choose an existing folder" in capsys.readouterr().err


def test_mistakes_get_one_sentence(trained, data, tmp_path, capsys):
    cut = tmp_path / "cut"
    cut.mkdir()
    (cut / "model.eqx").write_bytes((trained / "model.eqx").read_bytes()[:-40])
    few, deep = ("--paths", 2, "--validation", 1), ("--kind", "dmn", "--size", 40)
    mistakes = {
        "leave none of the 5 in the file": ("train", data, "--output", cut),
        "holds no model; train one": ("evaluate", data, "--output", tmp_path / "no"),
        "is no model of this version": ("evaluate", data, "--output", cut),
        "exists already; give another name": ("generate", data),
        "No such file": ("evaluate", tmp_path / "no", "--output", trained),
        "Is a directory": ("evaluate", tmp_path, "--output", trained),
        "is no text": ("evaluate", trained / "stress.png", "--output", trained),
        "File exists": ("train", data, "--output", data, *few),
        "`size` is 1; give a whole number of at least 2": (
            "train",
            data,
            "--output",
            cut / "x",
            "--size",
            1,
            *few,
        ),
        "2^40 leaves": (*("train", data, "--output", cut / "y"), *deep, *few),
    }
    for words, mistake in mistakes.items():
        assert run(*mistake) == 1
        error = capsys.readouterr().err
        assert error.count("\n") == 1
        assert words in error


@pytest.mark.parametrize("wrong", ["0", "-1", "2.5", "many"])
def test_numbers_that_are_none_are_refused_by_the_parser(data, wrong, capsys):
    with pytest.raises(SystemExit) as error:
        run("train", data, "--paths", wrong)
    assert error.value.code == 2
    assert "whole number from 1 on" in capsys.readouterr().err
