"""Array aliases: the shapes that have a name in the whole library."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int
from numpy.typing import ArrayLike

Scalar = Float[Array, ""]
Count = Int[Array, ""]
Vector = Float[Array, "3"]
Matrix = Float[Array, "3 3"]
Quaternion = Float[Array, "4"]
EulerBunge = Float[Array, "3"]
Mandel = Float[Array, "6"] | Float[Array, "3"]
Stiffness = Float[Array, "6 6"] | Float[Array, "3 3"]


def constant(values: ArrayLike, *like: Array) -> Array:
    """A NumPy constant in the float type of `like`, so that float32 stays float32."""
    return jnp.asarray(values, jnp.result_type(float, *like))


full_precision = jax.default_matmul_precision("highest")
"""Decorates what multiplies matrices: float32 products of float32 factors.

By default JAX rounds the factors to ten bits on NVIDIA GPUs (TensorFloat-32) and to
seven on TPUs, which leaves three digits of a rotated stiffness. Float64 and CPUs are
not concerned.
"""
