"""Isotropic moduli of a polycrystal of one phase with uniformly random orientations.

What this module decides: averages over all orientations are taken in closed form, as
the isotropic part of a 6x6 matrix, and all that goes beyond Voigt and Reuss is

    C*(H) = < (C + H)^-1 >^-1 - H,

where H is Hill's constraint tensor of a sphere in an isotropic medium (K0, G0): the
stiffness with which the medium resists a change of the sphere. A medium softer than the
crystal in every strain gives a lower bound, a stiffer one an upper bound (Hashin and
Shtrikman), the polycrystal itself the self-consistent estimate. This holds for any
crystal class; for cubic crystals it becomes the published closed forms.

Stiffness in GPa, Mandel. All functions take one crystal; batch with `jax.vmap`.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optimistix as optx
from jaxtyping import Array, Bool, Float

from jaxmat._check import check_shape
from jaxmat._types import Scalar, Stiffness, constant, full_precision
from jaxmat.crystals._directional import compliance
from jaxmat.crystals._eigen import coincidence, eigh
from jaxmat.crystals._stiffness import SIX_HINT, isotropic
from jaxmat.solve import poison

# Orthonormal: the volumetric direction of Mandel space, and five deviatoric ones.
_VOLUMETRIC = np.array([1.0, 1.0, 1.0, 0.0, 0.0, 0.0]) / np.sqrt(3.0)
_DEVIATORIC = np.linalg.svd(_VOLUMETRIC[None])[2][1:].T

_ZOOM_POINTS, _ZOOM_STEPS = 17, 12  # each step narrows the interval eightfold


class Isotropic(NamedTuple):
    """An isotropic solid.

    Attributes:
        bulk: bulk modulus, GPa.
        shear: shear modulus, GPa.
    """

    bulk: Scalar
    shear: Scalar

    @property
    def youngs_modulus(self) -> Scalar:
        """9 K G / (3 K + G), GPa."""
        return 9 * self.bulk * self.shear / (3 * self.bulk + self.shear)

    @property
    def poissons_ratio(self) -> Scalar:
        """(3 K - 2 G) / (6 K + 2 G)."""
        return (3 * self.bulk - 2 * self.shear) / (6 * self.bulk + 2 * self.shear)

    @property
    def stiffness(self) -> Float[Array, "6 6"]:
        """6x6 Mandel stiffness, GPa."""
        return isotropic(self.bulk, self.shear)


class Bounds(NamedTuple):
    """What encloses the moduli of every polycrystal without texture."""

    lower: Isotropic
    upper: Isotropic


@full_precision
def _isotropic_part(matrix: Float[Array, "6 6"]) -> tuple[Scalar, Scalar]:
    """Volumetric and deviatoric eigenvalue (3K and 2G) of the orientation average."""
    j = constant(_VOLUMETRIC, matrix)
    volumetric = j @ matrix @ j
    return volumetric, (jnp.trace(matrix) - volumetric) / 5


def voigt(stiffness: Stiffness) -> Isotropic:
    """Voigt's average, of the stiffness: uniform strain, an upper bound.

    Args:
        stiffness: 6x6 Mandel stiffness of the crystal in any frame, GPa.

    Returns:
        Isotropic moduli, GPa.

    Raises:
        JaxmatError: if `stiffness` is not 6x6.

    References:
        Hill (1952), Proc. Phys. Soc. A 65, 349-354 (Voigt, Reuss and their mean).
    """
    check_shape("stiffness", stiffness, (6, 6), hint=SIX_HINT)
    three_k, two_g = _isotropic_part(stiffness)
    return Isotropic(three_k / 3, two_g / 2)


def reuss(stiffness: Stiffness) -> Isotropic:
    """Reuss's average, of the compliance: uniform stress, a lower bound.

    Arguments, result, errors and reference as in `voigt`.
    """
    volumetric, deviatoric = _isotropic_part(compliance(stiffness))
    return Isotropic(1 / (3 * volumetric), 1 / (2 * deviatoric))


def hill(stiffness: Stiffness) -> Isotropic:
    """Hill's estimate: bulk and shear modulus halfway between Voigt's and Reuss's.

    Arguments, result, errors and reference as in `voigt`.
    """
    upper, lower = voigt(stiffness), reuss(stiffness)
    return Isotropic((upper.bulk + lower.bulk) / 2, (upper.shear + lower.shear) / 2)


def universal_anisotropy(stiffness: Stiffness) -> Scalar:
    """Universal anisotropy index, from Voigt's and Reuss's moduli.

    Args:
        stiffness: 6x6 Mandel stiffness of a crystal of any class, in any frame.

    Returns:
        5 G_V/G_R + K_V/K_R - 6; zero if isotropic.

    Raises:
        JaxmatError: if `stiffness` is not 6x6.

    References:
        Ranganathan & Ostoja-Starzewski (2008), Phys. Rev. Lett. 101, 055504.
    """
    upper, lower = voigt(stiffness), reuss(stiffness)
    return 5 * upper.shear / lower.shear + upper.bulk / lower.bulk - 6


def _is_stable(stiffness: Float[Array, "6 6"]) -> Bool[Array, ""]:
    """Whether the crystal is positive definite; if not, no estimate means anything."""
    return jnp.linalg.eigvalsh(jax.lax.stop_gradient(stiffness))[0] > 0


@full_precision
def _sphere_in(stiffness: Float[Array, "6 6"], medium: Isotropic) -> Isotropic:
    """C*(H): moduli of the polycrystal when `medium` surrounds every grain."""
    k, g = medium
    h_volumetric = 4 * g
    h_deviatoric = g * (9 * k + 8 * g) / (3 * (k + 2 * g))
    j, q = constant(_VOLUMETRIC, stiffness), constant(_DEVIATORIC, stiffness)
    h = h_volumetric * jnp.outer(j, j) + h_deviatoric * (q @ q.T)
    volumetric, deviatoric = _isotropic_part(jnp.linalg.inv(stiffness + h))
    return Isotropic(
        (1 / volumetric - h_volumetric) / 3, (1 / deviatoric - h_deviatoric) / 2
    )


@full_precision
def _comparison_medium(
    stiffness: Float[Array, "6 6"], t: Scalar, *, softer: bool
) -> Isotropic:
    """The isotropic media that just stay softer (or stiffer) than the crystal.

    They form a curve, t in (0, 1]. At t = 1 twice the shear modulus reaches the lowest
    (highest) eigenvalue of the deviatoric block. For each shear modulus the bulk
    modulus is the largest (smallest) that keeps C - C0 positive (negative)
    semidefinite: a Schur complement, written in the eigenbasis of that block.
    """
    j, q = constant(_VOLUMETRIC, stiffness), constant(_DEVIATORIC, stiffness)
    moduli, vectors = eigh(q.T @ stiffness @ q)
    coupling = vectors.T @ (q.T @ (stiffness @ j))
    # The mean over coinciding eigenvalues has a gradient with the crystal's symmetry.
    extreme = moduli[0 if softer else -1]
    group = jnp.abs(moduli - extreme) <= coincidence(moduli)
    extreme = jnp.sum(jnp.where(group, moduli, 0)) / jnp.sum(group)
    two_g = extreme * t if softer else extreme / t
    coupled = jnp.abs(coupling) > coincidence(moduli)
    gap = jnp.where(coupled, moduli - two_g, 1.0)
    relief = jnp.sum(jnp.where(coupled, coupling**2 / gap, 0.0))
    return Isotropic((j @ stiffness @ j - relief) / 3, two_g / 2)


def _maximise(objective: Callable[[Scalar], Scalar], like: Array) -> Scalar:
    """Where a function with one maximum on (0, 1] has it; no derivative."""

    def zoom(_, interval):
        first, last = interval
        t = jnp.linspace(first, last, _ZOOM_POINTS)
        best = jnp.argmax(jax.vmap(objective)(t))
        return t[jnp.maximum(best - 1, 0)], t[jnp.minimum(best + 1, _ZOOM_POINTS - 1)]

    start = constant(0.01, like), constant(1.0, like)
    first, last = jax.lax.fori_loop(0, _ZOOM_STEPS, zoom, start)
    # A maximum at the end of the curve stays exactly there.
    return jnp.where(last == 1.0, last, (first + last) / 2)


def _best_bound(stiffness: Float[Array, "6 6"], field: str, *, softer: bool) -> Scalar:
    """Tightest bound on modulus `field` over all admissible isotropic media."""

    def bound(crystal, t):
        medium = _comparison_medium(crystal, t, softer=softer)
        return medium.bulk, getattr(_sphere_in(crystal, medium), field)

    fixed = jax.lax.stop_gradient(stiffness)

    def merit(t):
        bulk, value = bound(fixed, t)
        admissible = jnp.isfinite(bulk) & (bulk > 0)
        return jnp.where(admissible, value if softer else -value, -jnp.inf)

    # At the best t the derivative with respect to t is zero, or t is held at 1.
    return bound(stiffness, _maximise(merit, stiffness))[1]


def hashin_shtrikman(stiffness: Stiffness) -> Bounds:
    """Hashin-Shtrikman bounds of a polycrystal without texture, for any crystal class.

    Each of the four numbers is the tightest over all isotropic comparison media, found
    by a line search. Where the best medium sits at a corner, as for cubic crystals, the
    gradient is that of changes which keep the crystal's symmetry.

    Args:
        stiffness: 6x6 Mandel stiffness of the crystal in any frame, GPa.

    Returns:
        Lower and upper isotropic moduli, GPa; NaN unless the crystal is positive
        definite.

    Raises:
        JaxmatError: if `stiffness` is not 6x6.

    References:
        Hashin & Shtrikman (1962), J. Mech. Phys. Solids 10, 343-352 (cubic).
        Watt & Peselnick (1980), J. Appl. Phys. 51, 1525-1531 (lower symmetry).
        Willis (1977), J. Mech. Phys. Solids 25, 185-202 (the general formula).
    """
    check_shape("stiffness", stiffness, (6, 6), hint=SIX_HINT)
    lower, upper = (
        Isotropic(
            *(_best_bound(stiffness, f, softer=softer) for f in Isotropic._fields)
        )
        for softer in (True, False)
    )
    return poison(Bounds(lower, upper), _is_stable(stiffness))


def self_consistent(stiffness: Stiffness) -> Isotropic:
    """Self-consistent moduli: each grain a sphere in the polycrystal it belongs to.

    Newton's method in the logarithms of the moduli, started at Hill's estimate;
    differentiated by the implicit function theorem.

    Args:
        stiffness: 6x6 Mandel stiffness of the crystal in any frame, GPa.

    Returns:
        Isotropic moduli, GPa, between the Hashin-Shtrikman bounds; NaN if Newton's
        method does not converge or the crystal is not positive definite.

    Raises:
        JaxmatError: if `stiffness` is not 6x6.

    References:
        Hershey (1954), J. Appl. Mech. 21, 236-240.
        Kröner (1958), Z. Phys. 151, 504-518.
        Berryman (2005), J. Mech. Phys. Solids 53, 2141-2173 (lower symmetry).
    """
    check_shape("stiffness", stiffness, (6, 6), hint=SIX_HINT)
    start = hill(stiffness)

    def medium(x):
        return Isotropic(start.bulk * jnp.exp(x[0]), start.shear * jnp.exp(x[1]))

    def residual(x, crystal):
        inside = _sphere_in(crystal, medium(x))
        return jnp.log(jnp.stack(inside)) - jnp.log(jnp.stack(medium(x)))

    # Newton converges quadratically: a last step this small leaves rounding error.
    tolerance = float(jnp.finfo(stiffness.dtype).eps) ** 0.6
    solution = optx.root_find(
        residual,
        optx.Newton(rtol=tolerance, atol=tolerance),
        jnp.zeros(2, stiffness.dtype),
        args=stiffness,
        max_steps=50,
        throw=False,
    )
    converged = solution.result == optx.RESULTS.successful
    return poison(medium(solution.value), converged & _is_stable(stiffness))
