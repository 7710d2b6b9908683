"""A flax network as a pure function and as a pytree of its weights."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx
from jax.test_util import check_grads

from jaxmat.surrogates import DenseNet, Frozen, PlainCNN, ResNet, hold

SMALL = {"width": 4, "depths": (1, 1)}
NETWORKS = [PlainCNN, ResNet, DenseNet]


def films(*shape):
    return jax.random.normal(jax.random.key(0), shape)


def network(seed=0, kind=ResNet, **options):
    return kind(2, 3, **SMALL, **options, rngs=nnx.Rngs(seed))


def without_zeros(net):
    """The last layers start at zero; here they shall not."""
    return jax.tree.map(lambda w: w + 0.1, net)


def primitives(program, name):
    """Equations of one kind, at any depth of a program."""
    found = [e for e in program.eqns if e.primitive.name == name]
    for equation in program.eqns:
        for value in jax.tree.leaves(
            equation.params, is_leaf=lambda x: hasattr(x, "eqns")
        ):
            if hasattr(value, "eqns"):
                found += primitives(value, name)
    return found


@pytest.mark.parametrize("kind", NETWORKS)
def test_it_answers_like_the_network_compiled_and_batched(kind):
    model = network(kind=kind)
    nnx.update(model, jax.tree.map(lambda w: w + 0.1, nnx.state(model)))
    net, images = Frozen(model), films(5, 8, 8, 2).astype(jnp.float32)
    # Single precision, sums of some hundred terms.
    close = {"rtol": 1e-5, "atol": 1e-6}
    batch = jax.jit(lambda net, images: jax.vmap(net)(images))(net, images)
    np.testing.assert_allclose(batch[2], model(images[2]), **close)


def test_a_batch_of_images_is_one_batch_for_every_convolution():
    net = Frozen(network())
    one = primitives(jax.make_jaxpr(net)(films(8, 8, 2)).jaxpr, "conv_general_dilated")
    program = jax.make_jaxpr(jax.vmap(net))(films(5, 8, 8, 2))
    batched = primitives(program.jaxpr, "conv_general_dilated")
    assert len(batched) == len(one) > 3
    for convolution in batched:
        assert convolution.invars[0].aval.shape[0] == 5
        assert convolution.params["feature_group_count"] == 1


def test_other_weights_do_not_compile_again():
    nets = [Frozen(network(seed)) for seed in range(2)]
    assert nets[0].graphdef == nets[1].graphdef
    assert hash(nets[0].graphdef) == hash(nets[1].graphdef)
    traces = []

    @jax.jit
    def answer(net, image):
        traces.append(None)
        return net(image)

    answers = [answer(without_zeros(net), films(8, 8, 2)) for net in nets]
    assert len(traces) == 1
    assert not np.array_equal(*answers)


def test_derivatives_are_those_of_differences(stir):
    net = stir(network())
    check_grads(
        jax.jit(lambda net, image: net(image)),
        (net, films(8, 8, 2)),
        order=1,
        modes=["fwd", "rev"],
        eps=1e-5,
    )


def test_weights_are_leaves_that_can_be_edited_and_partitioned():
    net = Frozen(network())
    leaves, rest = eqx.partition(net, eqx.is_inexact_array)
    assert len(jax.tree.leaves(leaves)) == len(jax.tree.leaves(net))
    moved = eqx.tree_at(lambda n: n.weights["last"]["bias"], net, jnp.arange(3.0))
    answer = jax.jit(lambda net: net(films(8, 8, 2)))
    np.testing.assert_array_equal(answer(moved), np.arange(3.0))
    np.testing.assert_array_equal(answer(eqx.combine(leaves, rest)), np.zeros(3))


def test_it_learns_the_mean_of_a_film():
    net, images = Frozen(network()), films(16, 8, 8, 2)
    targets = jnp.mean(images, axis=(1, 2))[:, :1] * jnp.ones(3)
    optimiser = optax.adam(1e-2)

    def loss(net):
        return jnp.mean((jax.vmap(net)(images) - targets) ** 2) / jnp.mean(targets**2)

    @jax.jit
    def step(carry, _):
        net, state = carry
        value, gradient = jax.value_and_grad(loss)(net)
        updates, state = optimiser.update(gradient, state)
        return (optax.apply_updates(net, updates), state), value

    _, losses = jax.lax.scan(step, (net, optimiser.init(net)), length=60)
    np.testing.assert_allclose(losses[0], 1, rtol=1e-6)  # it starts at zero
    assert losses[-1] < 0.05


def test_held_networks_pass_derivatives_on_but_take_none():
    net = without_zeros(Frozen(network()))
    both = {"net": net, "scale": jnp.ones(())}

    def answer(both, image):
        return jnp.sum(both["scale"] * both["net"](image))

    image = films(8, 8, 2)
    slopes = jax.jit(jax.value_and_grad(answer, argnums=(0, 1)))
    value, (free, through) = slopes(both, image)
    same, (held, still_through) = slopes(hold(both), image)
    np.testing.assert_array_equal(still_through, through)
    assert held["scale"] == free["scale"] != 0
    assert all(jnp.all(leaf == 0) for leaf in jax.tree.leaves(held["net"]))
    assert all(jnp.any(leaf != 0) for leaf in jax.tree.leaves(free["net"]))
    assert same == value


@pytest.mark.parametrize("image_type", ["float32", "float64", "bfloat16"])
def test_it_computes_in_the_type_of_its_weights(image_type):
    net, image = Frozen(network()), films(8, 8, 2).astype(image_type)
    answer = jax.make_jaxpr(net)(image)
    types = {
        e.outvars[0].aval.dtype
        for e in primitives(answer.jaxpr, "conv_general_dilated")
    }
    assert types == {jnp.dtype("float32")}
    half = jax.tree.map(lambda w: w.astype(jnp.bfloat16), net)
    for weights in (net, half):
        assert jax.eval_shape(weights, image).dtype == jnp.float32
