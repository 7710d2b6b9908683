"""Heads with their units, and a network that corrects a solver."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import pytest
from flax import nnx

from jaxmat import cells, crystals
from jaxmat._check import JaxmatError
from jaxmat.materials import LinearElastic
from jaxmat.microstructure import Grid, Microstructure
from jaxmat.surrogates import (
    CorrectionHead,
    Frozen,
    Gaussian,
    GaussianHead,
    ModulusHead,
    PhysicsInTheLoop,
    ResNet,
    SPDHead,
    Surrogate,
    gaussian_nll,
)

SMALL = {"width": 4, "depths": (1,)}


class CoarseCell(eqx.Module):
    """Silicon on 8 x 8 pixels: the mean of the image's channels over 2 x 2 is kept."""

    law: LinearElastic

    def __call__(self, image):
        channels = image.reshape(8, 2, 8, 2, 2).mean((1, 3))
        half = jnp.arctan2(channels[..., 1], channels[..., 0]).ravel() / 8
        zero = jnp.zeros_like(half)
        turns = jnp.stack([jnp.cos(half), zero, zero, jnp.sin(half)], axis=-1)
        grain = jnp.arange(64).reshape(8, 8)
        grains = Microstructure(Grid((8, 8), (1.0, 1.0)), grain, 0 * grain, turns)
        cell = cells.grid_cell(grains, self.law, plane="stress")
        return cells.homogenise(cell, rtol=1e-9, throw=False).value


@pytest.fixture(scope="module")
def silicon():
    return LinearElastic(crystals.cubic(165.64, 63.94, 79.51))


@pytest.fixture(scope="module")
def labels():
    noise = np.random.default_rng(0).normal(size=(20, 3, 3))
    mean = np.array([[150.0, 30.0, 0.0], [30.0, 150.0, 0.0], [0.0, 0.0, 130.0]])
    return jnp.asarray(mean + noise + np.swapaxes(noise, 1, 2))


def test_a_modulus_head_standardises_its_labels():
    moduli = jnp.array([140.0, 150.0, 151.0])
    head = ModulusHead.of(moduli)
    targets = jax.jit(jax.vmap(head.target))(moduli)
    np.testing.assert_allclose(targets.mean(), 0, atol=1e-13)
    np.testing.assert_allclose(targets.std(), 1, rtol=1e-13)
    np.testing.assert_allclose(jax.jit(jax.vmap(head))(targets), moduli, rtol=1e-13)
    assert jax.tree.leaves(head) == []  # nothing that an optimiser could move


def test_a_stiffness_head_standardises_its_labels(labels):
    head = SPDHead.of(labels)
    targets = jax.jit(jax.vmap(head.target))(labels)
    np.testing.assert_allclose(targets.mean(0), np.zeros(6), atol=1e-11)
    np.testing.assert_allclose(targets.std(0), np.ones(6), rtol=1e-11)
    np.testing.assert_allclose(
        jax.jit(jax.vmap(head))(targets), labels, rtol=0, atol=1e-10
    )
    assert jax.tree.leaves(head) == []


def test_a_correction_head_standardises_what_the_coarse_solver_misses(labels):
    coarse = 1.01 * labels + jnp.diag(jnp.array([1.0, 2.0, 3.0]))
    head = CorrectionHead.of(labels, coarse)
    targets = jax.jit(jax.vmap(head.target))(labels, coarse)
    np.testing.assert_allclose(targets.std(0), np.ones(6), rtol=1e-9)
    found = jax.jit(jax.vmap(head))(targets, coarse)
    np.testing.assert_allclose(found, labels, rtol=0, atol=1e-10)
    as_is = CorrectionHead()(jnp.zeros(6), coarse[0])
    np.testing.assert_allclose(as_is, coarse[0], rtol=1e-14)


def test_an_untrained_surrogate_answers_the_mean_label(labels, rngs):
    image = jnp.ones((8, 8, 2))
    head = SPDHead.of(labels)
    model = Surrogate(Frozen(ResNet(2, head.out_features, **SMALL, rngs=rngs)), head)
    # The mean in the logarithm: below the arithmetic one by the variance, 1e-4.
    np.testing.assert_allclose(
        eqx.filter_jit(model)(image), labels.mean(0), rtol=0, atol=0.1
    )
    gaussian = GaussianHead.of(labels[:, 0, 0])
    net = Frozen(ResNet(2, gaussian.out_features, **SMALL, rngs=rngs))
    answer = eqx.filter_jit(Surrogate(net, gaussian))(image)
    np.testing.assert_allclose(answer.mean, labels[:, 0, 0].mean(), rtol=1e-6)
    np.testing.assert_allclose(answer.std, labels[:, 0, 0].std(), rtol=1e-6)


def test_the_likelihood_is_greatest_at_the_mean_and_spread_of_the_labels():
    samples = jnp.array([1.0, 2.0, 4.0, 9.0])

    def loss(mean, std):
        return jnp.mean(gaussian_nll(Gaussian(mean, std), samples))

    at = (jnp.mean(samples), jnp.std(samples))
    slopes = jax.jit(jax.grad(loss, (0, 1)))(*at)
    np.testing.assert_allclose(slopes, (0, 0), atol=1e-14)
    curvature = jax.jit(jax.hessian(lambda p: loss(*p)))(jnp.stack(at))
    assert np.linalg.eigvalsh(curvature)[0] > 0


def test_before_training_the_solver_answers_alone(labels, rngs):
    net = Frozen(ResNet(1, 6, **SMALL, rngs=rngs))
    model = PhysicsInTheLoop(lambda image: image[0, 0, 0] * labels[0], net)
    answer = eqx.filter_jit(model)(2 * jnp.ones((4, 4, 1)))
    np.testing.assert_allclose(answer, 2 * labels[0], rtol=1e-13)


def test_derivatives_reach_the_network_the_solver_and_the_image(
    theta, encode, silicon, stir, rngs
):
    net = stir(ResNet(2, 6, **SMALL, rngs=rngs))
    model = PhysicsInTheLoop(CoarseCell(silicon), net)

    def answer(net, constants, image):
        law = LinearElastic(crystals.cubic(*constants))
        edited = eqx.tree_at(lambda m: (m.network, m.coarse.law), model, (net, law))
        return jnp.sum(edited(image) * jnp.arange(9.0).reshape(3, 3))

    slopes_of = jax.jit(jax.value_and_grad(answer, (0, 1, 2)))
    constants = jnp.array([165.64, 63.94, 79.51])
    image = encode(theta, "fourfold")
    where = (net, constants, image)
    _, slopes = slopes_of(*where)
    for k in range(3):  # each of them alone
        flat, unravel = jax.flatten_util.ravel_pytree(where[k])
        direction = jnp.asarray(np.random.default_rng(k).normal(size=flat.shape))

        def value(step, k=k, flat=flat, unravel=unravel, direction=direction):
            moved = [*where]
            moved[k] = unravel(flat + step * direction)
            return slopes_of(*moved)[0]

        difference = (value(1e-5) - value(-1e-5)) / 2e-5
        slope = jax.flatten_util.ravel_pytree(slopes[k])[0] @ direction
        # The step squared times curvatures of some hundred, and 1e3 GPa of rounding.
        np.testing.assert_allclose(slope, difference, rtol=1e-6)
        assert abs(slope) > 1e-2


def test_it_is_the_same_batched_and_with_the_solver_done_before(
    theta, encode, silicon, stir, rngs
):
    net = stir(ResNet(2, 6, **SMALL, rngs=rngs))
    coarse = CoarseCell(silicon)
    model = PhysicsInTheLoop(coarse, net)
    images = jnp.stack([encode(theta, "fourfold"), encode(theta.T, "fourfold")])
    batch = jax.jit(lambda model, x: jax.vmap(model)(x))(model, images)
    for answer, image in zip(batch, images, strict=True):
        before = eqx.filter_jit(coarse)(image)
        known = eqx.filter_jit(model.correct)(before, image)
        # Solved to 1e-9 of the fluctuation, squared, and of 150 GPa.
        np.testing.assert_allclose(known, answer, rtol=0, atol=1e-10)
        assert np.linalg.eigvalsh(answer)[0] > 0
        assert jnp.abs(answer - before).max() > 0.1


def test_a_function_serves_as_solver_in_a_pytree_that_jit_takes(stir, rngs):
    net = stir(ResNet(1, 6, **SMALL, rngs=rngs))
    model = PhysicsInTheLoop(lambda image: (2 + jnp.mean(image)) * jnp.eye(3), net)
    image = jnp.ones((4, 4, 1))
    compiled = jax.jit(lambda m, x: m(x))(model, image)
    np.testing.assert_allclose(compiled, eqx.filter_jit(model)(image), rtol=1e-12)
    leaves = jax.tree.leaves(model)
    assert len(leaves) == len(jax.tree.leaves(net))


def test_mistakes_are_told_in_a_sentence(monkeypatch, labels):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # as for a user
    net = Frozen(ResNet(2, 2, **SMALL, rngs=nnx.Rngs(0)))
    image = jnp.ones((8, 8, 2))
    wrong = labels.at[3, 0, 0].set(-150.0)
    mistakes = {
        "out_features=1": lambda: Surrogate(net, ModulusHead(150.0, 4.0))(image),
        "out_features=6": lambda: Surrogate(net, SPDHead.of(labels))(image),
        "out_features=2": lambda: GaussianHead(150.0, 4.0)(jnp.ones(6)),
        "at least two different": lambda: ModulusHead.of(jnp.ones(3)),
        "deviation .*nan": lambda: ModulusHead.of(jnp.array([1.0, jnp.nan])),
        "`stiffnesses` is not positive definite": lambda: SPDHead.of(wrong),
        "`references` is not positive": lambda: CorrectionHead.of(labels, wrong),
        "`reference` has shape": lambda: CorrectionHead()(jnp.zeros(6), jnp.eye(6)),
    }
    for words, mistake in mistakes.items():
        with pytest.raises(JaxmatError, match=words):
            mistake()
