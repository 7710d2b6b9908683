"""Files of load paths, what is wrong with them, and the error over them."""

from pathlib import Path

import numpy as np
import pytest

from jaxmat import JaxmatError
from jaxmat.studies.composite import Paths, error_in_mpa, read_paths, write_paths

DATA = Path(__file__).parents[2] / "data" / "prnn"


def test_a_file_is_read_in_mandel_components_and_gpa():
    paths = read_paths(DATA / "gpCurves.data")
    assert paths.eps.shape == paths.sig.shape == (100, 60, 3)
    words = (DATA / "gpCurves.data").read_text().split()
    exx, eyy, gxy, sxx, syy, txy = map(float, words[:6])
    # tensor shear is half the engineering shear; Mandel is sqrt 2 times the tensor.
    np.testing.assert_allclose(paths.eps[0, 0], [exx, eyy, gxy / 2 * 2**0.5])
    np.testing.assert_allclose(
        1000 * paths.sig[0, 0], [sxx, syy, txy * 2**0.5], rtol=1e-12
    )


def test_what_is_written_is_read_back(tmp_path):
    paths = read_paths(DATA / "canonical.data").take(slice(3))
    write_paths(tmp_path / "some.data", paths)
    back = read_paths(tmp_path / "some.data")
    np.testing.assert_allclose(back.eps, paths.eps, rtol=1e-11)
    np.testing.assert_allclose(back.sig, paths.sig, rtol=1e-11)


def test_the_error_is_that_of_the_components_in_mpa():
    sig = np.zeros((1, 2, 3))
    predicted = sig + np.array([0.003, -0.006, 0.009 * 2**0.5])
    np.testing.assert_allclose(error_in_mpa(predicted, sig), 6.0, rtol=1e-12)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("0 0 0 1 2 nan\n", "line 1 of .* six finite numbers"),
        ("0 0 0 1 2 3\n0 0 0\n", "line 2 of .* is '0 0 0'"),
        ("0 0 0 1 2 three\n", "line 1"),
        ("0 0 0 1 2 3\n\n0 0 0 1 2 3\n0 0 0 1 2 3\n", r"paths of \[1, 2\] steps"),
        ("\n", "paths of no steps"),
    ],
)
def test_files_that_hold_something_else_are_refused(tmp_path, text, words):
    (tmp_path / "wrong.data").write_text(text)
    with pytest.raises(JaxmatError, match=words):
        read_paths(tmp_path / "wrong.data")


def test_paths_are_written_whole_or_not_at_all(tmp_path):
    paths = Paths(np.zeros((1, 2, 3)), np.full((1, 2, 3), np.nan))
    with pytest.raises(JaxmatError, match="`sig` of the given paths is not finite"):
        write_paths(tmp_path / "some.data", paths)
    assert not list(tmp_path.iterdir())


def test_paths_keep_strain_and_stress_together():
    paths = Paths(np.arange(12.0).reshape(2, 2, 3), np.zeros((2, 2, 3)))
    np.testing.assert_array_equal(paths.take([1]).eps, paths.eps[1:])
