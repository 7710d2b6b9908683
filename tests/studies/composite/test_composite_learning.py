"""Models of every kind learn load paths; slow ones reach what is promised."""

from pathlib import Path

import jax
import numpy as np
import pytest

from jaxmat import JaxmatError
from jaxmat.studies import composite
from jaxmat.studies.composite import learning
from jaxmat.studies.composite.learning import Model

DATA = Path(__file__).parents[2] / "data" / "prnn"


@pytest.fixture(scope="module")
def paths():
    return composite.read_paths(DATA / "gpCurves.data")


def short(paths, which, steps=12):
    """The beginnings of some of the paths."""
    return composite.Paths(paths.eps[which, :steps], paths.sig[which, :steps])


@pytest.mark.parametrize(
    ("kind", "size"), [("prnn", 4), ("law", 1), ("dmn", 1), ("gru", 8), ("lstm", 8)]
)
def test_every_kind_learns(paths, kind, size):
    """A few steps halve the loss of the beginnings of two paths, or nearly."""
    few = short(paths, slice(2))
    model = Model(kind, size, learning_rate=2e-2, num_steps=40)
    solution = learning.fit_paths(
        model, few, few, key=jax.random.key(0), progress=False
    )
    loss = solution.info.history["loss"]
    assert loss[-1] < 0.6 * loss[0]
    best = learning.error_on(solution.value, few)
    np.testing.assert_allclose(best, solution.info.validation.min(), rtol=1e-12)


def test_dropout_gives_a_mean_and_a_spread(paths):
    few = short(paths, slice(2))
    model = Model("lstm", 8, num_steps=5, dropout=0.3)
    law = learning.fit_paths(
        model, few, few, key=jax.random.key(0), progress=False
    ).value
    mean, spread = learning.predict_with_dropout(law, few.eps, key=jax.random.key(1))
    assert mean.shape == spread.shape == few.eps.shape
    assert np.all(spread[:, -1] > 0)


def test_a_kind_that_is_not_there_is_refused():
    with pytest.raises(JaxmatError, match="`kind` is 'transformer'"):
        Model("transformer")


@pytest.mark.slow  # a minute of training
@pytest.mark.parametrize(("count", "bar"), [(1, 11.55), (2, 9.0), (8, 3.8), (64, 1.5)])
def test_a_network_of_points_learns_from_few_paths(paths, count, bar):
    """Bars of the benchmark, MPa, for one seed; a published GRU has 11.55 from 64."""
    solution = learning.fit_paths(
        Model(learning_rate=4e-2),
        paths.take(slice(count)),
        paths.take(slice(64, 70)),
        key=jax.random.key(0),
        progress=False,
    )
    assert learning.error_on(solution.value, paths.take(slice(70, 100))) < bar
