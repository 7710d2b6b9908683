"""A flax network as a pure function: where the library's two kinds of module meet.

Flax describes networks, Equinox everything with physics in it. `Frozen` takes a network
apart into its structure, static and hashable, and its weights, leaves of an Equinox
module, so that a network stands inside a material, a solver or an ensemble like any
other parameter, and the same training loop serves both.
"""

from typing import Any, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Key

from jaxmat.surrogates._networks import Image

_Tree = TypeVar("_Tree")


class Frozen(eqx.Module):
    """A network as a pure function of an image and of its own weights.

    It computes in the type of its weights, whatever that of the image, and answers in
    single precision at least.

    Args:
        network: any flax module that is called as `network(image, key=...)`.
        held: whether derivatives with respect to the weights are zero; see `hold`.

    Attributes:
        weights: nested dictionaries of arrays, the leaves.
        graphdef: the structure, static; equal for networks built alike.
    """

    weights: dict[Any, Any]
    graphdef: nnx.GraphDef = eqx.field(static=True)
    held: bool = eqx.field(static=True)

    def __init__(self, network: nnx.Module, *, held: bool = False):
        self.graphdef, state = nnx.split(network)
        self.weights = nnx.to_pure_dict(state)
        self.held = held

    def __call__(
        self, image: Image, *, key: Key[Array, ""] | None = None
    ) -> Float[Array, " out_features"]:
        """Raw outputs for one image; `jax.vmap` over images batches the convolutions.

        Args:
            image: channel-last, axis 0 = x.
            key: decides what dropout leaves out; None, nothing.

        Returns:
            The raw outputs; a head gives them a unit.

        Raises:
            JaxmatError: for another number of channels, or sides that cannot be halved.
        """
        weights = jax.lax.stop_gradient(self.weights) if self.held else self.weights
        dtype = jnp.result_type(*jax.tree.leaves(weights))
        network = nnx.merge(self.graphdef, weights)
        raw = network(jnp.asarray(image, dtype), key=key)
        return raw.astype(jnp.promote_types(dtype, jnp.float32))


def hold(module: _Tree) -> _Tree:
    """Stop derivatives with respect to the weights of every network in a module.

    Derivatives with respect to images and coarse solvers go on. An optimiser that
    decays weights shrinks them without a derivative too; there, close over the module
    in the loss and train the other leaves only.

    Args:
        module: any pytree with `Frozen` networks in it.

    Returns:
        The same with its networks held.
    """

    def held(node):
        if not isinstance(node, Frozen):
            return node
        return Frozen(nnx.merge(node.graphdef, node.weights), held=True)

    return jax.tree.map(held, module, is_leaf=lambda node: isinstance(node, Frozen))
