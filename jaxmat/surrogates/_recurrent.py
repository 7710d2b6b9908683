"""Recurrent networks as materials: a memory that is learned, and no physics.

References:
    Cho et al. (2014), Proc. EMNLP, 1724-1734 (GRU).
    Hochreiter & Schmidhuber (1997), Neural Comput. 9, 1735-1780 (LSTM).
    Gal & Ghahramani (2016), Adv. Neural Inf. Process. Syst. 29 (one mask for a path).
"""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Key

from jaxmat._check import JaxmatError, check_option, check_positive
from jaxmat.materials import AbstractMaterial

MEMORIES = {"gru": nnx.GRUCell, "lstm": nnx.OptimizedLSTMCell}


class RecurrentState(NamedTuple):
    """Memory along a path.

    Attributes:
        carry: of the network.
        mask: zero for what dropout leaves out along the whole path, or one over the
            share that stays.
    """

    carry: Any
    mask: Float[Array, " width"]


class Recurrent(AbstractMaterial):
    """A GRU or LSTM between strain and stress. Build with `recurrent`.

    The memory is single precision. It knows neither equilibrium at rest (no strain does
    not mean no stress) nor energy, and counts steps instead of time.

    Attributes:
        weights: nested dictionaries of arrays.
        graphdef: structure of the network, static.
        strain_scale: strain of one unit inside, not trained.
        stress_scale: stress of one unit inside, GPa, not trained.
        dropout: share of the memory that a path does without, static.
    """

    weights: dict[Any, Any]
    graphdef: nnx.GraphDef = eqx.field(static=True)
    strain_scale: float = eqx.field(static=True)
    stress_scale: float = eqx.field(static=True)
    dropout: float = eqx.field(static=True)

    @property
    def num_strains(self) -> int:
        return self.weights["out"]["bias"].shape[-1]

    @property
    def width(self) -> int:
        """Numbers in the memory."""
        return self.weights["out"]["kernel"].shape[0]

    @property
    def is_linear(self) -> bool:
        return False

    def init_state(self, key: Key[Array, ""] | None = None) -> RecurrentState:
        """An empty memory; a key draws what dropout leaves out, None nothing."""
        network = nnx.merge(self.graphdef, self.weights)
        mask = jnp.ones(self.width, jnp.float32)
        if key is not None and self.dropout > 0:
            stays = jax.random.bernoulli(key, 1 - self.dropout, mask.shape)
            mask = stays / jnp.float32(1 - self.dropout)
        return RecurrentState(network.empty(), mask)

    def update(self, eps, state, dt):
        network = nnx.merge(self.graphdef, self.weights)
        scaled = (eps / self.strain_scale).astype(jnp.float32)
        carry, sig = network(state.carry, scaled, state.mask)
        return self.stress_scale * sig.astype(eps.dtype), state._replace(carry=carry)


def recurrent(
    memory: str,
    num_strains: int,
    width: int,
    *,
    strain_scale: float,
    stress_scale: float,
    key: Key[Array, ""],
    dropout: float = 0.0,
) -> Recurrent:
    """A recurrent network with random first weights, as a material.

    Args:
        memory: "gru" or "lstm".
        num_strains: components of strain and stress.
        width: numbers in its memory.
        strain_scale: typical strain.
        stress_scale: typical stress, GPa.
        key: random key of the first weights.
        dropout: share of the memory that a path does without, where `init_state` is
            given a key: average the stresses of several.

    Returns:
        A `Recurrent`, which `drive` and `training.fit` accept.

    Raises:
        JaxmatError: if there is no such memory, a number is not positive, or dropout
            leaves nothing.
    """
    check_option("memory", memory, tuple(MEMORIES))
    if not 0 <= dropout < 1:
        raise JaxmatError(f"`dropout` is {dropout}; give a share from 0 to below 1.")
    check_positive("num_strains", num_strains)
    check_positive("width", width)
    check_positive("strain_scale", strain_scale)
    check_positive("stress_scale", stress_scale)
    rngs = nnx.Rngs(key)
    graphdef, weights = nnx.split(_Network(memory, num_strains, width, rngs))
    return Recurrent(
        nnx.to_pure_dict(weights),
        graphdef,
        strain_scale,
        stress_scale,
        dropout,
    )


class _Network(nnx.Module):
    """One recurrent layer and a linear one."""

    def __init__(self, memory: str, num_strains: int, width: int, rngs: nnx.Rngs):
        self.memory = MEMORIES[memory](num_strains, width, rngs=rngs)
        self.out = nnx.Linear(width, num_strains, rngs=rngs)
        self.num_strains = num_strains

    def empty(self):
        return self.memory.initialize_carry((self.num_strains,), nnx.Rngs(0))

    def __call__(self, carry, eps, mask):
        carry, memory = self.memory(carry, eps)
        return carry, self.out(memory * mask)
