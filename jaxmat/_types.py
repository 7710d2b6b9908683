"""Array aliases: the shapes that have a name in the whole library."""

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
