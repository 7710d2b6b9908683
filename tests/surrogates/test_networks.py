"""Networks of films: the size is free, the frame is periodic, the start is zero."""

from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import pytest
from flax import nnx

from jaxmat._check import JaxmatError
from jaxmat.surrogates import DenseNet, Frozen, PlainCNN, ResNet, cost

NETWORKS = [PlainCNN, ResNet, DenseNet]
SMALL = {"width": 4, "depths": (1, 2)}

every_network = pytest.mark.parametrize("network", NETWORKS)


def film(*shape):
    return jax.random.normal(jax.random.key(0), shape)


@every_network
def test_a_periodic_film_repeated_is_answered_like_the_film(network, stir, rngs):
    net = stir(network(2, 3, **SMALL, rngs=rngs))
    image = film(8, 12, 2)
    answer = eqx.filter_jit(net)(image)
    assert jnp.ptp(answer) > 1e-3
    repeated = eqx.filter_jit(net)(jnp.tile(image, (2, 3, 1)))
    np.testing.assert_allclose(repeated, answer, rtol=1e-12)


@every_network
def test_a_film_shifted_by_the_coarsest_pixel_is_answered_alike(network, stir, rngs):
    net = eqx.filter_jit(stir(network(2, 1, **SMALL, rngs=rngs)))
    image = film(16, 16, 2)
    shifted = net(jnp.roll(image, (4, -8), axis=(0, 1)))  # halved twice
    np.testing.assert_allclose(shifted, net(image), rtol=1e-12)
    corner = net(image.at[:4, :4].set(0))
    assert abs(corner - net(image)) > 1e-6


@every_network
def test_reflecting_at_the_border_is_not_going_on_at_the_other_side(network, stir):
    def answer(padding, image):
        net = network(1, 1, **SMALL, padding=padding, rngs=nnx.Rngs(0))
        return eqx.filter_jit(stir(net))(image)

    ramp = jnp.broadcast_to(jnp.arange(8.0)[:, None, None], (8, 8, 1)) / 8
    assert abs(answer("circular", ramp) - answer("reflect", ramp)) > 1e-4
    even = jnp.ones((8, 8, 1))
    np.testing.assert_allclose(
        answer("circular", even), answer("reflect", even), rtol=1e-12
    )


@every_network
def test_an_untrained_network_answers_zero(network, rngs):
    net = Frozen(network(2, 6, **SMALL, rngs=rngs))
    answer = eqx.filter_jit(net)(film(8, 8, 2))
    np.testing.assert_array_equal(answer, np.zeros(6))


@every_network
def test_dropout_needs_a_key(network, stir, rngs):
    image = film(8, 8, 2)
    net = stir(network(2, 1, **SMALL, dropout=0.5, rngs=rngs))
    keys = jax.random.split(jax.random.key(1), 4)
    dropped = jax.jit(jax.vmap(lambda key: net(image, key=key)))
    assert len(np.unique(dropped(keys))) > 1
    np.testing.assert_array_equal(dropped(keys), dropped(keys))
    kept = stir(network(2, 1, **SMALL, rngs=nnx.Rngs(0)))
    whole = eqx.filter_jit(kept)
    np.testing.assert_array_equal(whole(image, key=keys[0]), whole(image))
    np.testing.assert_array_equal(eqx.filter_jit(net)(image), whole(image))


def test_cost_is_what_one_counts_by_hand(rngs):
    net = Frozen(PlainCNN(2, 3, width=4, depths=(1, 1), rngs=rngs))
    stem, halved, quartered = 9 * 2 * 4, 9 * 4 * 4, 9 * 4 * 8
    dense = 8 * 8 + 8 * 3
    found = cost(net, (16, 8, 2))
    assert found.parameters == stem + halved + quartered + dense + 4 + 4 + 8 + 8 + 3
    per_pixel = stem + halved / 4 + quartered / 16 + dense / (16 * 8)
    np.testing.assert_allclose(found.multiply_adds_per_pixel, per_pixel, rtol=1e-12)


def test_a_network_that_reduces_sees_the_means_of_blocks():
    fine, coarse = (
        ResNet(2, 3, width=4, depths=(1,), reduction=n, rngs=nnx.Rngs(0))
        for n in (3, 1)
    )
    for net in (fine, coarse):
        net.last.kernel[...] = jnp.ones_like(net.last.kernel[...])
    image = film(12, 24, 2)
    means = image.reshape(4, 3, 8, 3, 2).mean((1, 3))
    np.testing.assert_allclose(fine(image), coarse(means), rtol=1e-6)
    assert fine(image)[0] != 0


def test_default_networks_train_on_a_laptop():
    # Three times as many in training, at some 20 a nanosecond: 5 ms for 64 x 64 pixels.
    for network in NETWORKS:
        shapes = jax.eval_shape(lambda n=network: Frozen(n(2, 1, rngs=nnx.Rngs(0))))
        found = cost(shapes, (64, 64, 2))
        assert found.multiply_adds_per_pixel < 8000
        assert found.parameters < 250_000


def test_mistakes_are_told_in_a_sentence(monkeypatch, rngs):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # as for a user
    net = ResNet(2, 1, width=2, depths=(1, 1), rngs=rngs)
    build = partial(ResNet, 2, 1, rngs=rngs)
    mistakes = {
        r"has shape \(8, 8, 3\), expected \(height, width, 2\)": lambda: net(
            film(8, 8, 3)
        ),
        r"has shape \(8, 8\).*channels last": lambda: net(film(8, 8)),
        r"has shape \(5, 8, 8, 2\).*jax.vmap": lambda: net(film(5, 8, 8, 2)),
        "10 x 8 pixels.*multiples of 4, at least 8": lambda: net(film(10, 8, 2)),
        "8 x 4 pixels.*multiples of 4, at least 8": lambda: net(film(8, 4, 2)),
        "choose one of 'circular', 'reflect'": lambda: build(padding="zero"),
        "`dropout` is 1.0": lambda: build(dropout=1.0),
        "`width` is 0": lambda: build(width=0),
        r"`depths\[1\]` is 0": lambda: build(depths=(1, 0)),
        "`reduction` is 0": lambda: build(reduction=0),
        "`depths` is empty": lambda: build(depths=()),
    }
    for words, mistake in mistakes.items():
        with pytest.raises(JaxmatError, match=words):
            mistake()
