"""The solver at low resolution, as a differentiable function of a film's image.

A block of pixels gets the average of its own grains. Which average and which elements
was measured on 300 periodic films of 64 x 64 pixels at L/s = 4, blocks of 4 x 4 (mean
of the error of Young's modulus against the solution on the pixels with "full" elements,
which is itself 0.047 GPa above the exact determinant of `_averages`, and scatter of the
error; GPa):

    average of                 stiffness  compliance  Hill   log stiffness  dual
    "reduced" elements, mean   0.428      -0.243      0.095  0.091          -0.048
                     scatter   0.086       0.049      0.027  0.027           0.020
    "full" elements,    mean   0.510      -0.162      0.176  0.172           0.034
                     scatter   0.101       0.038      0.041  0.041           0.024

So: the dual average, and "reduced" elements where they can be used. Blocks of 2, 4 and
8 pixels have the same mean then, that of the exact answer.
"""

import functools
from collections.abc import Callable

import jax
from jaxtyping import Array, Float

from jaxmat._check import JaxmatError, check_option, check_shape
from jaxmat.cells import BOUNDARIES, field_cell, homogenise
from jaxmat.materials import LinearElastic
from jaxmat.microstructure import Grid
from jaxmat.solve import poison
from jaxmat.studies.polysilicon._apparent import RTOL
from jaxmat.studies.polysilicon._averages import dual_average

Channels = Float[Array, "x y 2"]


@functools.cache  # one function for the same options: JAX compiles by identity
def coarse_solver(
    factor: int, *, boundary: str = "periodic", rtol: float = RTOL
) -> Callable[[Channels], Float[Array, "3 3"]]:
    """A solver on blocks of pixels: from the channels of a film to its stiffness.

    Args:
        factor: pixels along a block; 1 solves on the pixels themselves.
        boundary: "periodic", "kubc" or "subc".
        rtol: tolerance of the equilibrium.

    Returns:
        A function of channels (see `channels`), of any film size that the factor
        divides. Its answer is the Mandel stiffness in plane stress, GPa, or NaN if
        equilibrium was not reached. It is pure, goes through `jit`, `vmap` and `grad`,
        and raises `JaxmatError` for a shape that does not fit, never for values.

    Raises:
        JaxmatError: if `factor` is not positive or there is no such boundary.
    """
    check_option("boundary", boundary, BOUNDARIES)
    if factor < 1:
        raise JaxmatError(f"`factor` is {factor}; give 1 or more pixels per block.")
    # One-point elements have mechanisms on a free boundary.
    discretisation = "full" if boundary == "subc" else "reduced"

    def solve(channels: Float[Array, "*image"]) -> Float[Array, "3 3"]:
        blocks = _blocks(channels, factor)
        return image_stiffness(blocks, boundary, discretisation, rtol)

    return solve


def image_stiffness(
    channels: Channels, boundary: str, discretisation: str, rtol: float
) -> Float[Array, "3 3"]:
    """Stiffness of an image whose pixels may be mixtures of grains.

    Args:
        channels: of every pixel; of a mixture, those of its dual average.
        boundary: "periodic", "kubc" or "subc".
        discretisation: elements of the grid cell.
        rtol: tolerance of the equilibrium.

    Returns:
        Mandel stiffness in plane stress, GPa, or NaN if equilibrium was not reached.
    """
    shape = channels.shape[:2]
    cell = field_cell(
        Grid(shape, tuple(map(float, shape))),
        jax.vmap(jax.vmap(LinearElastic))(dual_average(channels)),
        plane="stress",
        boundary=boundary,
        discretisation=discretisation,
    )
    solution = homogenise(cell, rtol=rtol, throw=False)
    return poison(solution.value, solution.info.converged)


def _blocks(channels: Float[Array, "*image"], factor: int) -> Channels:
    """Channels averaged over blocks of pixels."""
    check_shape("channels", channels, (None, None, 2), hint="give those of one film")
    x, y, _ = channels.shape
    if x % factor or y % factor or min(x, y) < 2 * factor:
        raise JaxmatError(
            f"an image of {x} x {y} pixels cannot be cut into blocks of {factor}; give "
            "a factor that divides both sides and leaves two blocks or more along each."
        )
    return channels.reshape(x // factor, factor, y // factor, factor, 2).mean((1, 3))
