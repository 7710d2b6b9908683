"""One axis of the grid: which nodes are unknown, and the waves that diagonalise it.

The three boundary conditions differ only here. Nodes sit on voxel corners; along an
axis of n voxels they are

- periodic: n unknowns, and the real Fourier transform;
- kubc (displacement zero on both faces): n - 1 unknowns, and the sine transform;
- subc (traction prescribed on both faces): n + 1 unknowns, and the cosine transform.

`extend` adds a halo so that every unknown node finds all its voxels by plain slices:
one voxel before the first for a periodic axis, none for kubc, an empty one on either
side for subc. `halo` says how many.

References:
    Risthaus & Schneider (2024), Comput. Methods Appl. Mech. Eng. 417, 116327.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

BOUNDARIES = ("periodic", "kubc", "subc")
HALO = {"periodic": (1, 0), "kubc": (0, 0), "subc": (1, 1)}


def _layer(x: Array, index: int, axis: int) -> Array:
    """One layer of nodes or voxels, kept as an axis of length one."""
    return jax.lax.slice_in_dim(
        x, index % x.shape[axis], index % x.shape[axis] + 1, axis=axis
    )


def unknowns(boundary: str, n: int) -> int:
    """Unknown nodes along an axis of n voxels."""
    return n + {"periodic": 0, "kubc": -1, "subc": 1}[boundary]


def extend_nodes(boundary: str, u: Array, axis: int) -> Array:
    """Add the nodes of the halo voxels along `axis`."""
    first, last = _layer(u, 0, axis), _layer(u, -1, axis)
    before, after = {
        "periodic": (last, first),
        "kubc": (jnp.zeros_like(first), jnp.zeros_like(first)),
        "subc": (first, last),
    }[boundary]
    return jnp.concatenate([before, u, after], axis)


def corner_nodes(boundary: str, u: Array, axis: int) -> Array:
    """Values at all n + 1 corners along `axis`, the given boundary values included."""
    if boundary == "subc":
        return u
    extended = extend_nodes(boundary, u, axis)
    return extended if boundary == "kubc" else jnp.delete(extended, 0, axis)


def extend_voxels(boundary: str, x: Array, axis: int) -> Array:
    """Add the halo voxels along `axis`: a copy if periodic, empty for subc."""
    if boundary == "periodic":
        return jnp.concatenate([_layer(x, -1, axis), x], axis)
    width = [(0, 0)] * x.ndim
    width[axis] = HALO[boundary]
    return jnp.pad(x, width)


def symbols(
    boundary: str, n: int, step: float, scheme: str, *, half: bool
) -> tuple[Float[np.ndarray, " k"], Float[np.ndarray, " k"], Float[np.ndarray, " k"]]:
    """Eigenvalues of one axis: stiffness, mass, and first derivative.

    Args:
        boundary: one of `BOUNDARIES`.
        n: voxels along the axis.
        step: voxel side.
        scheme: "full" (linear elements), "reduced" (one-point integration) or
            "fourier" (exact derivative, Nyquist left out).
        half: keep the non-negative frequencies only (last axis of a real transform).

    Returns:
        For every wave number, the element integrals of `u' u'`, `u u` and `u' u` (the
        last with its imaginary unit dropped), divided by the voxel side.
    """
    if boundary == "periodic":
        angle = 2 * np.pi * (np.fft.rfftfreq(n) if half else np.fft.fftfreq(n))
    elif boundary == "kubc":
        angle = np.pi * np.arange(1, n) / n
    else:
        angle = np.pi * np.arange(n + 1) / n
    if scheme == "fourier":
        wave = np.where(np.isclose(np.abs(angle), np.pi), 0.0, angle) / step
        return wave**2, np.ones_like(wave), wave
    mass = (2 + np.cos(angle)) / 3 if scheme == "full" else np.cos(angle / 2) ** 2
    return 4 * np.sin(angle / 2) ** 2 / step**2, mass, np.sin(angle) / step


def transform(boundary: str, x: Array, axis: int) -> Array:
    """Sine or cosine transform of the first kind of a residual along `axis`.

    Inverted, with the right weights, by `inverse_transform`.
    """
    n = x.shape[axis] + {"kubc": 1, "subc": -1}[boundary]
    if boundary == "kubc":
        zero = jnp.zeros_like(_layer(x, 0, axis))
        odd = jnp.concatenate([zero, x, zero, -jnp.flip(x, axis)], axis)
        wave = jnp.fft.rfft(odd, axis=axis).imag
        return jax.lax.slice_in_dim(wave, 1, n, axis=axis) / -2
    # Sum over all nodes of x cos: the end nodes enter the even extension only once.
    inner = jax.lax.slice_in_dim(x, 1, n, axis=axis)
    weighted = x * _end_weights(n, 1.0, 2.0, x, axis)
    even = jnp.concatenate([weighted, jnp.flip(inner, axis)], axis)
    return jnp.fft.rfft(even, axis=axis).real / 2


def inverse_transform(boundary: str, x: Array, axis: int) -> Array:
    """Nodal values of a sum of the waves that `transform` measures.

    `inverse_transform(D transform(r))`, with `D` one over the eigenvalues, inverts the
    operator that has them (mass one: the lumped mass of the axis).
    """
    n = x.shape[axis] + {"kubc": 1, "subc": -1}[boundary]
    if boundary == "kubc":
        return transform(boundary, x, axis) * (2 / n)
    # |cos|^2 sums to n/2 with end weights 1/2, but to n for the first and last wave.
    norm = _end_weights(n, 2.0 / n, 1.0 / n, x, axis)
    return transform(boundary, x * norm, axis)


def remove_affine(x: Array, axes: list[int]) -> Array:
    """Part of a nodal field orthogonal to constants and to ramps along `axes`."""
    x = x - jnp.mean(x)
    for axis in axes:
        ramp = np.arange(x.shape[axis]) - (x.shape[axis] - 1) / 2
        shape = [1] * x.ndim
        shape[axis] = ramp.size
        wave = jnp.asarray(ramp / np.linalg.norm(ramp), x.dtype).reshape(shape)
        others = x.size // ramp.size
        x = x - jnp.sum(x * wave) * wave / others
    return x


def _end_weights(n: int, inner: float, ends: float, x: Array, axis: int) -> Array:
    """Weights of n + 1 nodes along `axis`, those of the first and last apart."""
    weights = np.full(n + 1, inner)
    weights[[0, -1]] = ends
    shape = [1] * x.ndim
    shape[axis] = n + 1
    return jnp.asarray(weights, x.dtype).reshape(shape)
