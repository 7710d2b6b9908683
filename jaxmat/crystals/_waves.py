"""Plane elastic waves in a crystal: Christoffel's equation.

The three speeds come slowest first. Where two of them meet (an acoustic axis) the
polarisations of the pair are arbitrary in their plane and the speeds are not
differentiable one by one; the derivative given there is finite, and right for any
symmetric function of the pair, such as their mean.
"""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float, ScalarLike

from jaxmat import mandel
from jaxmat._check import check_shape
from jaxmat._types import Matrix, Stiffness, Vector, full_precision
from jaxmat.crystals._eigen import eigh
from jaxmat.crystals._stiffness import SIX_HINT

_SI = 1e9**0.5  # sqrt(GPa / (kg/m^3)) in m/s


class Waves(NamedTuple):
    """The three plane waves of one direction, slowest first.

    Attributes:
        speed: phase speeds, m/s.
        polarisation: unit displacement vectors, one per row; their sign is arbitrary.
    """

    speed: Float[Array, "3"]
    polarisation: Matrix


@full_precision
def wave_speeds(stiffness: Stiffness, density: ScalarLike, direction: Vector) -> Waves:
    """Phase speeds and polarisations of plane waves along `direction`.

    Args:
        stiffness: 6x6 Mandel stiffness, GPa.
        density: kg/m^3.
        direction: normal of the wave front, in the frame of the stiffness.

    Returns:
        Speeds in m/s, ascending, and the displacement vectors.

    Raises:
        JaxmatError: if a shape is wrong.

    References:
        Auld (1990), Acoustic Fields and Waves in Solids I, chapter 7.
    """
    check_shape("stiffness", stiffness, (6, 6), hint=SIX_HINT)
    check_shape("direction", direction, (3,), hint="batch with jax.vmap")
    n = direction / jnp.linalg.norm(direction)
    christoffel = jnp.einsum("ijkl,j,l->ik", mandel.to_tensor4(stiffness), n, n)
    moduli, vectors = eigh(christoffel)
    return Waves(_SI * jnp.sqrt(jnp.divide(moduli, density)), vectors.T)
