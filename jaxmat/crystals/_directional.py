"""Elastic moduli of one crystal along a direction, and measures of its anisotropy.

Directions are in the frame of the stiffness, of any length but zero (a zero one gives
NaN), and everything is differentiable in the stiffness and in the directions.
"""

import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxmat import mandel
from jaxmat._check import check_shape
from jaxmat._types import Scalar, Stiffness, Vector, constant, full_precision
from jaxmat.crystals._stiffness import SIX_HINT

_ONE_DIRECTION = "one direction at a time, batch with jax.vmap"
_VOLUMETRIC = [1.0, 1.0, 1.0, 0.0, 0.0, 0.0]


def compliance(stiffness: Stiffness) -> Float[Array, "6 6"]:
    """Mandel compliance, 1/GPa, of a 6x6 Mandel stiffness, GPa.

    Raises:
        JaxmatError: if `stiffness` is not 6x6.
    """
    check_shape("stiffness", stiffness, (6, 6), hint=SIX_HINT)
    return jnp.linalg.inv(stiffness)


def _unit(name: str, direction: Vector) -> Vector:
    check_shape(name, direction, (3,), hint=_ONE_DIRECTION)
    return direction / jnp.linalg.norm(direction)


def _normal_dyad(name: str, direction: Vector) -> Float[Array, "6"]:
    """Mandel vector of n (x) n for the unit vector n along `direction`."""
    n = _unit(name, direction)
    return mandel.from_tensor2(jnp.outer(n, n))


@full_precision
def youngs_modulus(stiffness: Stiffness, direction: Vector) -> Scalar:
    """Young's modulus of a crystal pulled along `direction`.

    Args:
        stiffness: 6x6 Mandel stiffness, GPa.
        direction: axis of the uniaxial stress, in the frame of the stiffness.

    Returns:
        Axial stress over axial strain, GPa.

    Raises:
        JaxmatError: if a shape is wrong.

    References:
        Nye (1985), Physical Properties of Crystals, chapter VIII.
    """
    n = _normal_dyad("direction", direction)
    return 1.0 / (n @ compliance(stiffness) @ n)


@full_precision
def shear_modulus(stiffness: Stiffness, normal: Vector, direction: Vector) -> Scalar:
    """Shear modulus of a crystal sheared on a plane in a direction.

    Args:
        stiffness: 6x6 Mandel stiffness, GPa.
        normal: normal of the plane, in the frame of the stiffness.
        direction: direction of shear; only its part in the plane counts.

    Returns:
        Shear stress over engineering shear strain, GPa; the same with `normal` and
        `direction` exchanged.

    Raises:
        JaxmatError: if a shape is wrong.
    """
    n = _unit("normal", normal)
    check_shape("direction", direction, (3,), hint=_ONE_DIRECTION)
    m = _unit("direction", direction - jnp.dot(direction, n) * n)
    shear = mandel.from_tensor2(jnp.outer(n, m))
    return 0.25 / (shear @ compliance(stiffness) @ shear)


@full_precision
def poissons_ratio(
    stiffness: Stiffness, direction: Vector, transverse: Vector
) -> Scalar:
    """Poisson's ratio of a crystal pulled along `direction`.

    Args:
        stiffness: 6x6 Mandel stiffness, GPa.
        direction: axis of the uniaxial stress, in the frame of the stiffness.
        transverse: where the contraction is measured; only its part normal to
            `direction` counts.

    Returns:
        Contraction along `transverse` over extension along `direction`. For a crystal
        it may lie outside (-1, 1/2).

    Raises:
        JaxmatError: if a shape is wrong.
    """
    axis = _unit("direction", direction)
    check_shape("transverse", transverse, (3,), hint=_ONE_DIRECTION)
    across = transverse - jnp.dot(transverse, axis) * axis
    n, t = _normal_dyad("direction", axis), _normal_dyad("transverse", across)
    strain = compliance(stiffness) @ n
    return -(t @ strain) / (n @ strain)


@full_precision
def linear_compressibility(stiffness: Stiffness, direction: Vector) -> Scalar:
    """Relative shortening along `direction` under hydrostatic pressure.

    Args:
        stiffness: 6x6 Mandel stiffness, GPa.
        direction: in the frame of the stiffness.

    Returns:
        Shortening per pressure, 1/GPa; negative where a crystal grows longer.

    Raises:
        JaxmatError: if a shape is wrong.
    """
    n = _normal_dyad("direction", direction)
    return n @ compliance(stiffness) @ constant(_VOLUMETRIC, stiffness)


@full_precision
def bulk_modulus(stiffness: Stiffness) -> Scalar:
    """Bulk modulus of a crystal under hydrostatic pressure, GPa.

    Pressure over relative loss of volume, the crystal being free to change its shape:
    the Reuss bulk modulus, which for a cubic crystal is the only one.

    Raises:
        JaxmatError: if `stiffness` is not 6x6.
    """
    pressure = constant(_VOLUMETRIC, stiffness)
    return 1.0 / (pressure @ compliance(stiffness) @ pressure)


def zener_ratio(stiffness: Stiffness) -> Scalar:
    """Zener's anisotropy of a cubic crystal.

    Args:
        stiffness: 6x6 Mandel stiffness of a cubic crystal along its cube axes. For
            other classes use `universal_anisotropy`.

    Returns:
        2 C44 / (C11 - C12); 1 if isotropic.

    Raises:
        JaxmatError: if `stiffness` is not 6x6.

    References:
        Zener (1948), Elasticity and Anelasticity of Metals.
    """
    check_shape("stiffness", stiffness, (6, 6), hint=SIX_HINT)
    return stiffness[3, 3] / (stiffness[0, 0] - stiffness[0, 1])
