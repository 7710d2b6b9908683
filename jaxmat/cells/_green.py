"""The discrete Green's operator: inverse of the stiffness of a homogeneous medium.

For a reference stiffness `C0` the nodal stiffness of the same elements is diagonal in
waves. With the symbols `lambda` (stiffness), `mu` (mass) and `gamma` (derivative) of
`_axes.symbols`,

    K_ij = sum_d C0_idjd lambda_d prod_{e != d} mu_e
         + sum_{d != d'} C0_idjd' gamma_d gamma_d' prod_{e != d, d'} mu_e .

Fourier waves carry all of it. Sine and cosine waves exchange under the second sum, so
where an axis is not periodic it is left out, which keeps the preconditioner spectrally
equivalent (Korn) at the price of more iterations.

References:
    Leute et al. (2022), J. Comput. Phys. 453, 110931.
    Ladecky et al. (2023), Appl. Math. Comput. 446, 127835.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxmat.cells._elements import add, mandel_slot

Symbols = list[tuple[np.ndarray, np.ndarray, np.ndarray]]
Entries = dict[tuple[int, int], Array]  # upper triangle of a small symmetric matrix

# A preconditioner need not be exact: its transforms, half the cost of a step, are
# in single precision whatever the residual's. The residual itself never is.
PRECISION = jnp.float32


def _product(factors: list[Array]) -> Array:
    """Outer product of one vector per axis."""
    ndim = len(factors)
    out = jnp.ones((1,) * ndim, factors[0].dtype)
    for axis, factor in enumerate(factors):
        shape = [1] * ndim
        shape[axis] = factor.size
        out = out * factor.reshape(shape)
    return out


def nodal_stiffness(
    reference: Float[Array, "m m"], symbols: Symbols, *, coupled: bool
) -> Entries:
    """Upper triangle of `K_ij` for every wave.

    Args:
        reference: Mandel stiffness `C0`, 6x6 (three displacements) or 3x3 (two).
        symbols: stiffness, mass and derivative symbol of each axis.
        coupled: keep the terms with `d != d'`; False unless every axis is periodic.
    """
    ndim, plane = len(symbols), reference.shape[0] == 3
    num = 2 if plane else 3
    # The barrier keeps XLA from folding outer products of constants while compiling.
    waves = jax.lax.optimization_barrier(
        [tuple(jnp.asarray(x, reference.dtype) for x in axis) for axis in symbols]
    )

    def modulus(i, d, j, e):
        (k, a), (m, b) = mandel_slot(i, d, plane), mandel_slot(j, e, plane)
        return reference[k, m] * (a * b)

    def geometric(d, e):
        kinds = [1] * ndim  # mass everywhere but along the two derivatives
        for axis in (d, e):
            kinds[axis] = 0 if d == e else 2
        return _product([waves[axis][kind] for axis, kind in enumerate(kinds)])

    pairs = [(d, e) for d in range(ndim) for e in range(ndim) if coupled or d == e]
    factor = {pair: geometric(*pair) for pair in pairs if pair[0] <= pair[1]}
    return {
        (i, j): add(
            modulus(i, d, j, e) * factor[min(d, e), max(d, e)] for d, e in pairs
        )
        for i in range(num)
        for j in range(i, num)
        if coupled or i == j
    }


def strained(symbols: Symbols, dtype) -> Array:
    """One for the waves that have a strain, zero for the others; every axis periodic.

    The others are the constants and, for one-point elements, the hourglass waves.
    """
    waves = [tuple(jnp.asarray(x, dtype) for x in axis) for axis in symbols]
    axes = range(len(waves))
    energy = add(_product([waves[e][0 if e == d else 1] for e in axes]) for d in axes)
    # The lowest wave has about (2 pi / n)^2 of the highest.
    return (energy > 1e-12 * jnp.max(energy)).astype(dtype)


def inverse(k: Entries) -> Entries:
    """Inverse of the symmetric matrices in `PRECISION`; zero where one is singular.

    Computed once and kept, not with every application.
    """
    single = {key: x.astype(PRECISION) for key, x in _inverse(k).items()}
    return jax.lax.optimization_barrier(single)


def _inverse(k: Entries) -> Entries:
    """Closed form for two or three components, or a diagonal."""
    num = max(j for _, j in k) + 1
    if len(k) == num:  # diagonal
        return {key: _reciprocal(x, jnp.max(jnp.abs(x))) for key, x in k.items()}
    scale = jnp.max(add(k[i, i] for i in range(num)))
    if num == 2:
        det = k[0, 0] * k[1, 1] - k[0, 1] ** 2
        over = _reciprocal(det, scale**2)
        return {
            (0, 0): k[1, 1] * over,
            (0, 1): -k[0, 1] * over,
            (1, 1): k[0, 0] * over,
        }
    a, b, c = k[0, 0], k[0, 1], k[0, 2]
    d, e, f = k[1, 1], k[1, 2], k[2, 2]
    aa, bb, cc = d * f - e * e, c * e - b * f, b * e - c * d
    det = a * aa + b * bb + c * cc
    over = _reciprocal(det, scale**3)
    return {
        (0, 0): aa * over,
        (0, 1): bb * over,
        (0, 2): cc * over,
        (1, 1): (a * f - c * c) * over,
        (1, 2): (b * c - a * e) * over,
        (2, 2): (a * d - b * b) * over,
    }


def _reciprocal(x: Array, scale: Array) -> Array:
    """`1 / x`, or zero where `x` is lost in rounding against `scale`."""
    # det of the lowest wave is about (2 pi / n)^6 of the highest: far above this.
    regular = x > 1e-3 * jnp.finfo(x.dtype).tiny + scale * jnp.finfo(x.dtype).eps ** 3
    return jnp.where(regular, 1 / jnp.where(regular, x, 1.0), 0.0)


def apply(inverse: Entries, residual: list[Array]) -> list[Array]:
    """Multiply the transformed residual by the inverse, wave by wave."""
    if len(inverse) == len(residual):
        return [inverse[i, i] * r for i, r in enumerate(residual)]
    return [
        add(inverse[min(i, j), max(i, j)] * r for j, r in enumerate(residual))
        for i in range(len(residual))
    ]
