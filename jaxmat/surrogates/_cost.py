"""What a network costs, counted in its program and not on a clock."""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.extend.core import ClosedJaxpr, Jaxpr, JaxprEqn

from jaxmat.surrogates._frozen import Frozen


class Cost(NamedTuple):
    """Size and work of a network.

    Attributes:
        parameters: numbers to train.
        multiply_adds_per_pixel: of one answer; training takes about three times that.
    """

    parameters: int
    multiply_adds_per_pixel: float


def cost(network: Frozen, shape: tuple[int, int, int]) -> Cost:
    """Parameters of a network, and multiplications of its convolutions per pixel.

    Args:
        network: the network; the shapes of its weights suffice (`jax.eval_shape`).
        shape: height, width and channels of an image; the work per pixel hardly
            depends on the size.

    Returns:
        Counts from the traced program; nothing is computed.

    Raises:
        JaxmatError: if the network does not take such an image.
    """
    image = jax.ShapeDtypeStruct(shape, jnp.float32)
    program = jax.make_jaxpr(lambda network, image: network(image))(network, image)
    return Cost(
        parameters=sum(leaf.size for leaf in jax.tree.leaves(network.weights)),
        multiply_adds_per_pixel=_multiply_adds(program) / (shape[0] * shape[1]),
    )


def _multiply_adds(program: Jaxpr | ClosedJaxpr) -> int:
    """Multiplications in all convolutions and matrix products of a program."""
    total = 0
    for equation in program.eqns:
        total += _own_multiply_adds(equation)
        inner = jax.tree.leaves(equation.params, is_leaf=_is_program)
        total += sum(_multiply_adds(x) for x in inner if _is_program(x))
    return total


def _is_program(x: object) -> bool:
    return isinstance(x, Jaxpr | ClosedJaxpr)


def _own_multiply_adds(equation: JaxprEqn) -> int:
    """Size of the result times the length of the sum behind each of its entries."""
    size = math.prod(_shape(equation.outvars[0]))
    if equation.primitive.name == "conv_general_dilated":
        kernel = _shape(equation.invars[1])
        features = kernel[equation.params["dimension_numbers"].rhs_spec[0]]
        return size * math.prod(kernel) // features
    if equation.primitive.name == "dot_general":
        (contracted, _), _ = equation.params["dimension_numbers"]
        left = _shape(equation.invars[0])
        return size * math.prod(left[axis] for axis in contracted)
    return 0


def _shape(variable: Any) -> tuple[int, ...]:
    return variable.aval.shape
