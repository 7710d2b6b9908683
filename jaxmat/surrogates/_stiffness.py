"""Plane stiffnesses as free numbers: any six are a symmetric positive definite matrix.

A stiffness is written C = L exp(S) L^T with L the Cholesky factor of a reference and S
any symmetric matrix: positive definite whatever S is, the reference where S is zero,
and for small S a relative correction. The factor is Cholesky's because a symmetric root
has no derivative where the reference has equal eigenvalues, as every isotropic one has;
nor has a spectral exponential where S has, so neither is used.

S is written as six numbers, like a symmetric tensor as a Mandel vector: their norm is
the norm of S. Products are exact to the type: a GPU would round factors to ten bits,
which is more than a good surrogate's error.

References:
    Arsigny, Fillard, Pennec & Ayache (2006), Magn. Reson. Med. 56, 411-421.
"""

import functools
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jax.scipy.linalg import solve_triangular
from jaxtyping import Array, Float

from jaxmat import mandel
from jaxmat._check import JaxmatError, check_shape
from jaxmat._types import Scalar

PlaneStiffness = Float[Array, "3 3"]
Coordinates = Float[Array, "6"]

# Below rounding up to |S| = 16, where C is ten million times the reference.
_SQUARINGS = 6
_TERMS = 10
_ONE_PLANE = "one 3x3 Mandel stiffness of a plane at a time, batch with jax.vmap"

_Arguments = ParamSpec("_Arguments")
_Answer = TypeVar("_Answer")


def precise(function: Callable[_Arguments, _Answer]) -> Callable[_Arguments, _Answer]:
    """The function with matrix products that use all bits of their factors."""

    @functools.wraps(function)
    def precise(*args: _Arguments.args, **kwargs: _Arguments.kwargs) -> _Answer:
        with jax.default_matmul_precision("highest"):
            return function(*args, **kwargs)

    return precise


@precise
def apparent_modulus(stiffness: PlaneStiffness, direction: Float[Array, "2"]) -> Scalar:
    """Young's modulus of a film in plane stress, pulled along a direction in its plane.

    Args:
        stiffness: Mandel stiffness in plane stress, components 11, 22, 12, GPa.
        direction: axis of the uniaxial stress, any length but zero.

    Returns:
        Axial stress over axial strain, GPa.

    Raises:
        JaxmatError: if a shape is wrong.
    """
    check_shape("stiffness", stiffness, (3, 3), hint=_ONE_PLANE)
    check_shape("direction", direction, (2,), hint="give a direction in the plane")
    unit = direction / jnp.linalg.norm(direction)
    stress = mandel.from_tensor2(jnp.outer(unit, unit))
    return 1 / (stress @ jnp.linalg.solve(stiffness, stress))


@precise
def relative_exp(coordinates: Coordinates, reference: PlaneStiffness) -> PlaneStiffness:
    """Stiffness L exp(S) L^T, symmetric positive definite for any S, and smooth in it.

    Args:
        coordinates: the symmetric S, as a Mandel vector.
        reference: positive definite, GPa; L is its Cholesky factor.

    Returns:
        Mandel stiffness, GPa; the reference where S is zero.

    Raises:
        JaxmatError: if a shape is wrong.
    """
    check_shape("coordinates", coordinates, (6,), hint="six numbers per stiffness")
    check_shape("reference", reference, (3, 3), hint=_ONE_PLANE)
    factor = jnp.linalg.cholesky(reference)
    root = factor + factor @ _expm1(mandel.to_tensor2(coordinates) / 2)
    return root @ root.T  # positive by construction


@precise
def relative_log(stiffness: PlaneStiffness, reference: PlaneStiffness) -> Coordinates:
    """The S of `relative_exp`: what a network has to say for this stiffness.

    Args:
        stiffness: positive definite, GPa.
        reference: positive definite, GPa.

    Returns:
        S as a Mandel vector; zero where both are the same.

    Raises:
        JaxmatError: if a shape is wrong or, where values are concrete, a matrix is not
            symmetric positive definite.
    """
    check_shape("stiffness", stiffness, (3, 3), hint=_ONE_PLANE)
    check_shape("reference", reference, (3, 3), hint=_ONE_PLANE)
    check_plane_stiffness("stiffness", stiffness)
    check_plane_stiffness("reference", reference)
    factor = jnp.linalg.cholesky(reference)
    half = solve_triangular(factor, stiffness, lower=True)
    return _log(mandel.from_tensor2(solve_triangular(factor, half.T, lower=True)))


def check_plane_stiffness(name: str, stiffness: Float[Array, "*labels 3 3"]) -> None:
    """Raise unless symmetric positive definite; says nothing of traced values."""
    if isinstance(stiffness, Tracer):
        return
    values = np.asarray(stiffness, float)
    skew = np.abs(values - np.swapaxes(values, -1, -2)).max()
    # float32 products are symmetric to 1e-6; NaN fails the comparison.
    if not skew <= 1e-5 * np.abs(values).max():
        raise JaxmatError(
            f"`{name}` is not finite and symmetric (entries differ by {skew:.3g} GPa); "
            "give whole Mandel matrices."
        )
    smallest = np.linalg.eigvalsh(values).min()
    if smallest <= 0:
        raise JaxmatError(
            f"`{name}` is not positive definite: its lowest eigenvalue is "
            f"{smallest:.6g} GPa; check how the labels were made."
        )


def _expm1(s: Float[Array, "3 3"]) -> Float[Array, "3 3"]:
    """exp(s) - 1 of a symmetric matrix by scaling and squaring, without branches.

    Squaring the difference from one keeps the digits of a small one.
    """
    scaled = s / 2**_SQUARINGS
    y = scaled / _TERMS
    for n in range(_TERMS - 1, 0, -1):
        y = (scaled + scaled @ y) / n
    for _ in range(_SQUARINGS):
        y = 2 * y + y @ y
    return y


@jax.custom_jvp
def _log(ratio: Coordinates) -> Coordinates:
    """Logarithm of a positive definite matrix, both as Mandel vectors.

    By eigenvalues; its derivative is that of its inverse, inverted, which knows nothing
    of eigenvalues that are equal.
    """
    values, vectors = jnp.linalg.eigh(mandel.to_tensor2(ratio))
    return mandel.from_tensor2((vectors * jnp.log(values)) @ vectors.T)


@_log.defjvp
@precise
def _log_jvp(primals, tangents):
    (ratio,), (change,) = primals, tangents
    log = _log(ratio)

    def exp(s):
        return mandel.from_tensor2(_expm1(mandel.to_tensor2(s)))

    return log, jnp.linalg.solve(jax.jacfwd(exp)(log), change)
