"""What a stiffness must be before any solver sees it: one check, at the border.

Shapes are checked always; values only where they are concrete, so that the same call
may stand in code that somebody jits.
"""

import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jax.typing import ArrayLike

from jaxmat import mandel
from jaxmat._check import JaxmatError, check_option, check_shape
from jaxmat.crystals._stiffness import BASIS, CLASS_OF_LAUE, SIX_HINT

_ROUNDING = 1e-5  # of the largest entry: float32 products stay below it
_CLASS_TOLERANCE = 1e-2  # of the largest entry: published constants are rounded


def check_stiffness(stiffness: ArrayLike, laue: str | None = None) -> None:
    """Raise unless `stiffness` is a possible 6x6 Mandel stiffness.

    Finite, symmetric, positive definite and, with `laue`, of the form that Laue group
    demands in its crystal frame. Form is also what tells Voigt from Mandel: a
    hexagonal, trigonal or isotropic stiffness has C66 = C11 - C12 in Mandel and half of
    that in Voigt. For the other classes nothing in the numbers tells them apart.

    Args:
        stiffness: 6x6 Mandel stiffness, GPa. Under a trace only its shape is checked.
        laue: Laue group ("m-3m", "6/mmm", ...) or "isotropic"; None skips that check.

    Raises:
        JaxmatError: says what is wrong, the value, and what to do.
    """
    check_shape("stiffness", jnp.asarray(stiffness), (6, 6), hint=SIX_HINT)
    if laue is not None:
        check_option("laue", laue, [*CLASS_OF_LAUE, "isotropic"])
    if isinstance(stiffness, Tracer):
        return
    values = np.asarray(stiffness, float)
    _check_finite(values)
    scale = np.abs(values).max()
    _check_symmetric(values, _ROUNDING * scale)
    if laue is not None:
        _check_class(values, laue, _CLASS_TOLERANCE * scale)
    _check_positive(values)


def check_plane_strain(stiffness: ArrayLike) -> None:
    """Raise unless x3 is normal to a mirror plane, as plane strain needs.

    Otherwise in-plane strain goes with out-of-plane shear stress, and a body that
    varies in the plane deforms out of it.

    Args:
        stiffness: 6x6 Mandel stiffness, GPa, sample frame; one for each entry of any
            leading axes. Under a trace only the shape is checked.

    Raises:
        JaxmatError: naming the largest coupling found.
    """
    array = jnp.asarray(stiffness)
    check_shape("stiffness", array, (*array.shape[:-2], 6, 6), hint=SIX_HINT)
    if isinstance(stiffness, Tracer):
        return
    values = np.asarray(stiffness)
    coupling = np.abs(values[..., mandel.PLANE[:, None], [3, 4]])
    if coupling.max() > _ROUNDING * np.abs(values).max():
        raise JaxmatError(
            "plane strain needs x3 normal to a mirror plane of every grain, but a "
            f"stiffness couples in-plane strain to out-of-plane shear by "
            f"{coupling.max():.3g} GPa; leave plane strain out, so that all three "
            "displacement components are solved for."
        )


def _check_finite(values: np.ndarray) -> None:
    if not np.isfinite(values).all():
        i, j = np.argwhere(~np.isfinite(values))[0]
        raise JaxmatError(
            f"`stiffness[{i}, {j}]` is {values[i, j]}; every entry must be finite."
        )


def _check_symmetric(values: np.ndarray, tolerance: float) -> None:
    skew = np.abs(values - values.T)
    if skew.max() > tolerance:
        i, j = np.unravel_index(skew.argmax(), skew.shape)
        raise JaxmatError(
            f"`stiffness` is not symmetric: [{i}, {j}] is {values[i, j]:.6g} and "
            f"[{j}, {i}] is {values[j, i]:.6g}; give both triangles."
        )


def _check_positive(values: np.ndarray) -> None:
    lowest = np.linalg.eigvalsh(values)[0]
    if lowest <= 0:
        raise JaxmatError(
            f"`stiffness` is not positive definite: its lowest eigenvalue is "
            f"{lowest:.6g}; check the signs and the order of the constants."
        )


def _misfit(values: np.ndarray, name: str) -> float:
    """Largest entry of `values` that constants of class `name` cannot produce."""
    basis = BASIS[name].reshape(len(BASIS[name]), 36)
    coefficients = np.linalg.lstsq(basis.T, values.ravel(), rcond=None)[0]
    return np.abs(values.ravel() - coefficients @ basis).max()


def _check_class(values: np.ndarray, laue: str, tolerance: float) -> None:
    name = CLASS_OF_LAUE.get(laue, laue)
    misfit = _misfit(values, name)
    if misfit <= tolerance:
        return
    weights = np.outer(mandel.WEIGHTS[6], mandel.WEIGHTS[6])
    if _misfit(values * weights, name) <= tolerance:
        raise JaxmatError(
            f"`stiffness` looks like Voigt, not Mandel: [5, 5] is {values[5, 5]:.6g} "
            f"where {laue} demands {values[0, 0] - values[0, 1]:.6g} in Mandel; "
            "convert it with mandel.from_voigt_stiffness."
        )
    raise JaxmatError(
        f"`stiffness` does not have the form of {laue} in the crystal frame: an entry "
        f"is off by {misfit:.6g}; check the constants, the Laue group, and that it has "
        "not been rotated."
    )
