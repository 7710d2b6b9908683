"""Ensembles as mixtures, and uncertainties held against errors."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import pytest
from flax import nnx
from jax.scipy.special import erf, ndtri

from jaxmat._check import JaxmatError
from jaxmat.surrogates import (
    Ensemble,
    Frozen,
    Gaussian,
    GaussianHead,
    ModulusHead,
    ResNet,
    Surrogate,
    calibration,
)

SMALL = {"width": 4, "depths": (1,)}


def members(head, count=3, **options):
    """Networks whose answers differ, as if trained."""
    nets = [
        Frozen(ResNet(2, head.out_features, **SMALL | options, rngs=nnx.Rngs(k)))
        for k in range(count)
    ]
    stirred = [
        jax.tree.map(lambda w, k=k: w + 0.1 * jnp.sin(k + w), net)
        for k, net in enumerate(nets)
    ]
    return [Surrogate(net, head) for net in stirred]


@jax.jit
def batched(model, images):
    return jax.vmap(model)(images)


IMAGES = jax.random.normal(jax.random.key(0), (4, 8, 8, 2))


def test_an_ensemble_is_the_mean_and_spread_of_its_members():
    models = members(ModulusHead(150.0, 4.0))
    ensemble = Ensemble(models)
    one_by_one = jnp.stack([batched(model, IMAGES) for model in models])
    found = batched(ensemble, IMAGES)
    np.testing.assert_allclose(found.mean, one_by_one.mean(0), rtol=1e-6)
    # Differences of a few GPa between numbers of 150, in single precision.
    np.testing.assert_allclose(found.std, one_by_one.std(0), atol=1e-4)
    assert found.std.min() > 0.01
    each = jax.jit(jax.vmap(ensemble.each))(IMAGES)
    np.testing.assert_allclose(each, one_by_one.T, rtol=1e-6)


class Constant(eqx.Module):
    """A member whose answer is no array."""

    value: float | jax.Array

    def __call__(self, image):
        return jnp.full(2, self.value, image.dtype)


def test_members_that_differ_in_a_plain_number_are_refused():
    with pytest.raises(JaxmatError, match="member 1 of the ensemble is not built like"):
        Ensemble([Constant(1.0), Constant(5.0)])
    one, other = (Constant(jnp.ones((), kind)) for kind in (jnp.float32, jnp.float64))
    with pytest.raises(JaxmatError, match="member 1 of the ensemble is not built like"):
        Ensemble([one, other])


def test_the_variance_of_a_mixture_is_that_of_all_its_samples():
    models = members(GaussianHead(150.0, 4.0))
    found = eqx.filter_jit(Ensemble(models))(IMAGES[0])
    # Equal parts of the probability of every member stand for samples of it.
    quantiles = ndtri((jnp.arange(20_000) + 0.5) / 20_000)
    answers = [eqx.filter_jit(model)(IMAGES[0]) for model in models]
    samples = jnp.concatenate([a.mean + a.std * quantiles for a in answers])
    np.testing.assert_allclose(found.mean, samples.mean(), rtol=1e-6)
    np.testing.assert_allclose(found.std, samples.std(), rtol=1e-3)  # cut-off tails


def exact(num):
    """Labels spread as a prediction of mean 1 and standard deviation 2 expects."""
    quantiles = ndtri((jnp.arange(num) + 0.5) / num)
    return Gaussian(jnp.ones(num), 2 * jnp.ones(num)), 1 + 2 * quantiles


def test_labels_spread_as_predicted_are_calibrated():
    result = calibration(*exact(2000))
    # One label more or less in an interval, on both sides.
    np.testing.assert_allclose(result.coverage, result.level, atol=1e-3)
    assert result.miscalibration < 1e-3
    np.testing.assert_allclose(result.z_std, 1, rtol=2e-3)  # cut-off tails


def test_overconfidence_shows_in_coverage_and_in_the_spread_of_errors():
    prediction, labels = exact(2000)
    result = calibration(prediction._replace(std=prediction.std / 2), labels)
    half = ndtri((1 + result.level) / 2) / 2  # half the interval that would be right
    np.testing.assert_allclose(result.coverage, erf(half / np.sqrt(2)), atol=1e-3)
    np.testing.assert_allclose(result.z_std, 2, rtol=2e-3)
    repaired = prediction.std / 2 * result.z_std
    assert calibration(prediction._replace(std=repaired), labels).miscalibration < 2e-3


def test_the_worst_miscalibration_is_one_half():
    certain = calibration(Gaussian(jnp.zeros(5), 1e-12 * jnp.ones(5)), jnp.ones(5))
    np.testing.assert_array_equal(certain.coverage, np.zeros(len(certain.level)))
    np.testing.assert_allclose(certain.miscalibration, 0.5, rtol=1e-12)


def test_mistakes_are_told_in_a_sentence(monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # as for a user
    head = ModulusHead(150.0, 4.0)
    models = members(head)
    mistakes = {
        "has length 1": lambda: Ensemble(models[:1]),
        "member 2 .*not built like": lambda: Ensemble(
            models[:2] + members(head, 1, width=2)
        ),
        "member 1 .*same head": lambda: Ensemble(
            [models[0], *members(ModulusHead(140.0, 4.0))]
        ),
        "`prediction.std` has shape": lambda: calibration(
            Gaussian(jnp.zeros(3), jnp.ones(())), jnp.zeros(3)
        ),
    }
    for words, mistake in mistakes.items():
        with pytest.raises(JaxmatError, match=words):
            mistake()
