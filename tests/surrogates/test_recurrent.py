"""Recurrent networks as materials, against flax and against themselves."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from jax.test_util import check_grads

from jaxmat import JaxmatError
from jaxmat.materials import LoadPath, drive, follow
from jaxmat.surrogates import recurrent

STRAINS = jnp.asarray(0.01 * np.cumsum(np.random.default_rng(0).normal(size=(6, 3)), 0))


def network(memory="gru", **options):
    scales = {"strain_scale": 0.02, "stress_scale": 0.05}
    return recurrent(memory, 3, 8, key=jax.random.key(0), **(scales | options))


@pytest.mark.parametrize("memory", ["gru", "lstm"])
def test_a_path_is_the_sequence_that_flax_runs(memory):
    law = network(memory)
    flax = nnx.merge(law.graphdef, law.weights)
    scaled = (STRAINS / 0.02).astype(jnp.float32)
    wanted = 0.05 * flax.out(nnx.RNN(flax.memory)(scaled[None])[0])
    found = eqx.filter_jit(follow)(law, STRAINS)
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-8)  # single precision


def test_it_remembers():
    back_and_forth = jnp.stack([STRAINS[0], STRAINS[1], STRAINS[0]])
    sig = follow(network(), back_and_forth)
    assert np.abs(sig[2] - sig[0]).max() > 1e-4


def test_dropout_leaves_the_same_out_along_a_path_and_keeps_the_mean():
    law = network(dropout=0.5)
    keys = jax.random.split(jax.random.key(1), 2000)
    masks = jax.vmap(law.init_state)(keys).mask
    assert set(np.unique(masks)) == {0.0, 2.0}
    # 16000 fair coins: a mean of 1 with standard deviation 0.008.
    np.testing.assert_allclose(masks.mean(), 1.0, atol=0.04)
    state = law.init_state(keys[0])
    _, after = law.update(STRAINS[0], state, jnp.asarray(1.0))
    np.testing.assert_array_equal(after.mask, state.mask)
    np.testing.assert_array_equal(law.init_state().mask, 1.0)
    np.testing.assert_array_equal(network().init_state(keys[0]).mask, 1.0)


def test_drive_and_derivatives_go_through_it():
    law = network("lstm")
    free = np.zeros(STRAINS.shape, bool)
    path = LoadPath(STRAINS, 0 * STRAINS, free, jnp.ones(len(STRAINS)))
    np.testing.assert_array_equal(drive(law, path).value.sig, follow(law, STRAINS))

    def end(kernel):
        return follow(
            eqx.tree_at(lambda m: m.weights["out"]["kernel"], law, kernel), STRAINS
        )[-1]

    kernel = law.weights["out"]["kernel"]
    # Linear in the last layer: single precision over a step of 0.1.
    check_grads(jax.jit(end), (kernel,), 1, eps=0.1, rtol=1e-4, atol=1e-5)


def test_networks_that_cannot_be_are_refused():
    with pytest.raises(JaxmatError, match="choose one of 'gru', 'lstm'"):
        network("elman")
    with pytest.raises(JaxmatError, match="`stress_scale` holds nan"):
        network(stress_scale=float("nan"))
    with pytest.raises(JaxmatError, match="`num_strains` holds 0"):
        recurrent(
            "gru", 0, 4, strain_scale=1.0, stress_scale=1.0, key=jax.random.key(0)
        )
    with pytest.raises(JaxmatError, match=r"`dropout` is 1.0"):
        network(dropout=1.0)
