"""Second- and fourth-order symmetric tensors as Mandel vectors and matrices.

Convention (the only one in memory; Voigt lives in files and in published constants):

- Components are ordered 11, 22, 33, 23, 13, 12 and the shear ones carry a factor
  sqrt(2), for stress and strain alike; in a plane the order is 11, 22, 12.
- The basis is orthonormal: `a @ b` is the double contraction a : b, a rotation is an
  orthogonal matrix, and a compliance is the matrix inverse of the stiffness.

Every function acts on one tensor; batch with `jax.vmap`. Units pass through unchanged.
"""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxmat._check import JaxmatError
from jaxmat._types import Mandel, Scalar, Stiffness, constant, full_precision

_PAIRS = {
    6: np.array([(0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1)]),
    3: np.array([(0, 0), (1, 1), (0, 1)]),
}
_DIMENSION = {6: 3, 3: 2}
_SIZE = {3: 6, 2: 3}


def _basis(size: int) -> np.ndarray:
    """Orthonormal symmetric basis tensors, shape (size, d, d)."""
    pairs, dim = _PAIRS[size], _DIMENSION[size]
    basis = np.zeros((size, dim, dim))
    for k, (i, j) in enumerate(pairs):
        basis[k, i, j] += 0.5
        basis[k, j, i] += 0.5
    return basis / np.linalg.norm(basis, axis=(1, 2), keepdims=True)


BASIS = {size: _basis(size) for size in _PAIRS}
"""Basis tensors by number of components: `eps_matrix = sum_k eps[k] BASIS[6][k]`."""

WEIGHTS = {
    6: np.array([1.0, 1.0, 1.0, *[np.sqrt(2.0)] * 3]),
    3: np.array([1.0, 1.0, np.sqrt(2.0)]),
}
"""Mandel component over tensor component, by number of components."""

PLANE = np.array([0, 1, 5])
"""Where the in-plane components 11, 22, 12 stand among the six."""

OUT_OF_PLANE = np.array([2, 3, 4])
"""Where the others stand: 33, 23, 13."""


def _size(name: str, array: Array, ndim: int) -> int:
    """Number of Mandel components (3 or 6) of a vector or square matrix."""
    shape = tuple(array.shape)
    if len(shape) != ndim or len(set(shape)) != 1 or shape[0] not in _PAIRS:
        wanted = "(6,) or (3,)" if ndim == 1 else "(6, 6) or (3, 3)"
        raise JaxmatError(
            f"`{name}` has shape {shape}, expected {wanted} Mandel or Voigt "
            "components; batch with jax.vmap, convert tensors with "
            "mandel.from_tensor2 or mandel.from_tensor4."
        )
    return shape[0]


def _dim(name: str, array: Array, ndim: int) -> int:
    """Space dimension (2 or 3) of a full tensor."""
    shape = tuple(array.shape)
    if len(shape) != ndim or len(set(shape)) != 1 or shape[0] not in _SIZE:
        wanted = " or ".join(str((d,) * ndim) for d in (3, 2))
        raise JaxmatError(
            f"`{name}` has shape {shape}, expected {wanted}; batch with jax.vmap."
        )
    return shape[0]


@full_precision
def from_tensor2(t: Float[Array, "d d"]) -> Mandel:
    """Mandel vector of the symmetric part of a 3x3 (or 2x2) tensor.

    Returns:
        6 (or 3) components, in the units of `t`.

    Raises:
        JaxmatError: if `t` is neither 3x3 nor 2x2.
    """
    basis = constant(BASIS[_SIZE[_dim("t", t, 2)]], t)
    return jnp.einsum("kij,ij->k", basis, t)


@full_precision
def to_tensor2(v: Mandel) -> Float[Array, "d d"]:
    """Symmetric 3x3 (or 2x2) tensor of a Mandel vector.

    Raises:
        JaxmatError: if `v` has neither 6 nor 3 components.
    """
    basis = constant(BASIS[_size("v", v, 1)], v)
    return jnp.einsum("k,kij->ij", v, basis)


@full_precision
def from_tensor4(c: Float[Array, "d d d d"]) -> Stiffness:
    """Mandel matrix of a fourth-order tensor with minor symmetries.

    Returns:
        6x6 (or 3x3 for a plane tensor), in the units of `c`.

    Raises:
        JaxmatError: if `c` is neither 3x3x3x3 nor 2x2x2x2.
    """
    basis = constant(BASIS[_SIZE[_dim("c", c, 4)]], c)
    return jnp.einsum("kij,ijmn,lmn->kl", basis, c, basis)


@full_precision
def to_tensor4(c: Stiffness) -> Float[Array, "d d d d"]:
    """Full tensor of a Mandel matrix: 3x3x3x3, or 2x2x2x2 from 3x3.

    Raises:
        JaxmatError: if `c` is neither 6x6 nor 3x3.
    """
    basis = constant(BASIS[_size("c", c, 2)], c)
    return jnp.einsum("kij,kl,lmn->ijmn", basis, c, basis)


def from_voigt_stiffness(c: Stiffness) -> Stiffness:
    """Mandel stiffness from Voigt's (engineering shear strains), 6x6 or 3x3.

    Raises:
        JaxmatError: if `c` is neither 6x6 nor 3x3.
    """
    w = constant(WEIGHTS[_size("c", c, 2)], c)
    return c * (w[:, None] * w)


def to_voigt_stiffness(c: Stiffness) -> Stiffness:
    """Voigt stiffness (engineering shear strains) from Mandel's, 6x6 or 3x3.

    Raises:
        JaxmatError: if `c` is neither 6x6 nor 3x3.
    """
    w = constant(WEIGHTS[_size("c", c, 2)], c)
    return c / (w[:, None] * w)


def from_voigt_compliance(s: Stiffness) -> Stiffness:
    """Mandel compliance from Voigt's (S44 = 4 S_2323), 6x6 or 3x3.

    Raises:
        JaxmatError: if `s` is neither 6x6 nor 3x3.
    """
    return to_voigt_stiffness(s)


def to_voigt_compliance(s: Stiffness) -> Stiffness:
    """Voigt compliance (S44 = 4 S_2323) from Mandel's, 6x6 or 3x3.

    Raises:
        JaxmatError: if `s` is neither 6x6 nor 3x3.
    """
    return from_voigt_stiffness(s)


def from_voigt_strain(eps: Mandel) -> Mandel:
    """Mandel strain from Voigt's, whose shears are engineering (2 eps_ij).

    Raises:
        JaxmatError: if `eps` has neither 6 nor 3 components.
    """
    return eps / constant(WEIGHTS[_size("eps", eps, 1)], eps)


def to_voigt_strain(eps: Mandel) -> Mandel:
    """Voigt strain with engineering shears (2 eps_ij) from Mandel's.

    Raises:
        JaxmatError: if `eps` has neither 6 nor 3 components.
    """
    return eps * constant(WEIGHTS[_size("eps", eps, 1)], eps)


def from_voigt_stress(sig: Mandel) -> Mandel:
    """Mandel stress from Voigt's (plain tensor components).

    Also for strains given as plain tensor components.

    Raises:
        JaxmatError: if `sig` has neither 6 nor 3 components.
    """
    return sig * constant(WEIGHTS[_size("sig", sig, 1)], sig)


def to_voigt_stress(sig: Mandel) -> Mandel:
    """Voigt stress (plain tensor components) from Mandel's.

    Raises:
        JaxmatError: if `sig` has neither 6 nor 3 components.
    """
    return sig / constant(WEIGHTS[_size("sig", sig, 1)], sig)


@full_precision
def rotation(r: Float[Array, "d d"]) -> Stiffness:
    """Orthogonal Mandel matrix `M` of a rotation matrix: `M v` is `R t R^T`.

    Args:
        r: 3x3 (or 2x2) rotation matrix.

    Returns:
        6x6 (or 3x3); a stiffness turns as `M C M^T`.

    Raises:
        JaxmatError: if `r` is neither 3x3 nor 2x2.

    References:
        Mehrabadi & Cowin (1990), Q. J. Mech. Appl. Math. 43, 15-41.
    """
    basis = constant(BASIS[_SIZE[_dim("r", r, 2)]], r)
    return jnp.einsum("kij,im,jn,lmn->kl", basis, r, r, basis)


def trace(v: Mandel) -> Scalar:
    """Trace of a Mandel vector: of 6 components the first three, of 3 the first two."""
    return jnp.sum(v[: _DIMENSION[_size("v", v, 1)]])


def deviator(v: Mandel) -> Mandel:
    """Deviatoric part of a 6-component Mandel vector (of a plane one: 2D deviator)."""
    dim = _DIMENSION[_size("v", v, 1)]
    return v.at[:dim].add(-trace(v) / dim)


@full_precision
def von_mises(sig: Mandel) -> tuple[Scalar, Mandel]:
    """Von Mises equivalent stress and its gradient, finite also at zero stress.

    Args:
        sig: 6-component Mandel stress, any unit.

    Returns:
        The equivalent stress sqrt(3/2 s:s), and `d(von Mises)/d(sig)`, which is zero
        where the deviator s vanishes.

    Raises:
        JaxmatError: if `sig` has not 6 components (a plane stress state has a third
            principal stress; give all six).
    """
    if _size("sig", sig, 1) != 6:
        raise JaxmatError(
            f"`sig` has shape {tuple(sig.shape)}, expected (6,); von Mises needs the "
            "out-of-plane stress too."
        )
    s = deviator(sig)
    square = 1.5 * jnp.vdot(s, s)
    positive = square > 0
    value = jnp.where(positive, jnp.sqrt(jnp.where(positive, square, 1.0)), 0.0)
    normal = jnp.where(positive, 1.5 * s / jnp.where(positive, value, 1.0), 0.0)
    return value, normal
