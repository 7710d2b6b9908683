"""Stiffness of every crystal class from its published constants.

What this module decides:

- Arguments are Voigt constants (C44 is a shear modulus), in GPa, in numeric order;
  those that only the lower Laue group of a crystal system has come last and default
  to zero. What is returned is Mandel, in the crystal frame.
- Crystal axes: z along the four-, six- or threefold axis, x along a twofold axis where
  the class has one normal to z; orthorhombic: x, y, z along a, b, c of the setting the
  constants were published in; monoclinic: y along the twofold axis (unique axis b).
- The signs of C14 and C25 of a trigonal crystal belong to a choice of x: turning the
  axes by 180 degrees about z changes both.

A stiffness is linear in its constants; `BASIS` is the table of what stands where.
"""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, ScalarLike

from jaxmat import mandel, rotations
from jaxmat._check import check_shape
from jaxmat._types import Quaternion, Stiffness, constant, full_precision

SIX_HINT = (
    "one 6x6 Mandel stiffness at a time, batch with jax.vmap, convert a 3x3x3x3 "
    "tensor with mandel.from_tensor4"
)


def _each(places: str) -> dict[str, str]:
    """A constant of its own for each place."""
    return {f"C{place}": place for place in places.split()}


# Constant -> its places in the upper triangle of the Voigt matrix, with factors.
_HEXAGONAL = {
    "C11": "11 22 0.5*66",
    "C12": "12 -0.5*66",
    "C13": "13 23",
    "C33": "33",
    "C44": "44 55",
}
_PLACES = {
    "isotropic": {"C11": "11 22 33 0.5*44 0.5*55 0.5*66"}
    | {"C12": "12 13 23 -0.5*44 -0.5*55 -0.5*66"},
    "cubic": {"C11": "11 22 33", "C12": "12 13 23", "C44": "44 55 66"},
    "hexagonal": _HEXAGONAL,
    "trigonal": _HEXAGONAL | {"C14": "14 -1*24 56", "C25": "25 -1*15 46"},
    "tetragonal": {"C11": "11 22", "C12": "12", "C13": "13 23", "C33": "33"}
    | {"C44": "44 55", "C66": "66", "C16": "16 -1*26"},
    "orthorhombic": _each("11 12 13 22 23 33 44 55 66"),
    "monoclinic": _each("11 12 13 15 22 23 25 33 35 44 46 55 66"),
    "triclinic": _each(
        "11 12 13 14 15 16 22 23 24 25 26 33 34 35 36 44 45 46 55 56 66"
    ),
}


def _basis(places: dict[str, str]) -> np.ndarray:
    """Mandel matrix of each constant set to one, shape (constants, 6, 6)."""
    voigt = np.zeros((len(places), 6, 6))
    for matrix, terms in zip(voigt, places.values(), strict=True):
        for term in terms.split():
            factor, _, place = term.rpartition("*")
            i, j = int(place[0]) - 1, int(place[1]) - 1
            matrix[i, j] = matrix[j, i] = float(factor or 1)
    return voigt * np.outer(mandel.WEIGHTS[6], mandel.WEIGHTS[6])


BASIS = {name: _basis(places) for name, places in _PLACES.items()}
"""Mandel matrices of the constants by crystal class, in the order of `_PLACES`."""

CLASS_OF_LAUE = {
    "m-3m": "cubic",
    "m-3": "cubic",
    "6/mmm": "hexagonal",
    "6/m": "hexagonal",
    "-3m": "trigonal",
    "-3": "trigonal",
    "4/mmm": "tetragonal",
    "4/m": "tetragonal",
    "mmm": "orthorhombic",
    "2/m": "monoclinic",
    "-1": "triclinic",
}
"""The builder of each Laue group; where two share one, the higher has zeros last."""


@full_precision
def _build(name: str, **values: ScalarLike) -> Float[Array, "6 6"]:
    """Sum the basis matrices of class `name`, weighted by its constants."""
    constants = [jnp.asarray(values[key]) for key in _PLACES[name]]
    basis = constant(BASIS[name], *constants)
    return jnp.einsum("n,nij->ij", jnp.stack(constants).astype(basis.dtype), basis)


def isotropic(bulk: ScalarLike, shear: ScalarLike) -> Float[Array, "6 6"]:
    """Stiffness of an isotropic solid from its bulk and shear modulus, GPa.

    Returns:
        6x6 Mandel stiffness, GPa: 3K on the volumetric part, 2G on the deviatoric one.
    """
    bulk, shear = jnp.asarray(bulk), jnp.asarray(shear)
    return _build("isotropic", C11=bulk + 4 * shear / 3, C12=bulk - 2 * shear / 3)


def cubic(C11: ScalarLike, C12: ScalarLike, C44: ScalarLike) -> Float[Array, "6 6"]:
    """Stiffness of a cubic crystal (Laue groups m-3m, m-3) along its cube axes.

    Args:
        C11: Voigt constant, GPa.
        C12: Voigt constant, GPa.
        C44: Voigt constant, GPa.

    Returns:
        6x6 Mandel stiffness, crystal frame, GPa.

    References:
        Nye (1985), Physical Properties of Crystals, table 9 (every class here).
    """
    return _build("cubic", C11=C11, C12=C12, C44=C44)


def hexagonal(
    C11: ScalarLike, C12: ScalarLike, C13: ScalarLike, C33: ScalarLike, C44: ScalarLike
) -> Float[Array, "6 6"]:
    """Stiffness of a hexagonal crystal (6/mmm, 6/m), z along the c axis.

    Isotropic about c, so x may be any direction in the basal plane;
    C66 = (C11 - C12) / 2 follows. Also any other transversely isotropic solid.

    Args:
        C11: Voigt constant, GPa, like the others.
        C12: in the basal plane.
        C13: couples the basal plane to c.
        C33: along c.
        C44: shear on the basal plane.

    Returns:
        6x6 Mandel stiffness, crystal frame, GPa.
    """
    return _build("hexagonal", C11=C11, C12=C12, C13=C13, C33=C33, C44=C44)


def trigonal(
    C11: ScalarLike,
    C12: ScalarLike,
    C13: ScalarLike,
    C14: ScalarLike,
    C33: ScalarLike,
    C44: ScalarLike,
    C25: ScalarLike = 0.0,
) -> Float[Array, "6 6"]:
    """Stiffness of a trigonal crystal (-3m; with C25 also -3), z along the c axis.

    C24 = -C14, C56 = C14, C15 = -C25, C46 = C25 and C66 = (C11 - C12) / 2 follow.

    Args:
        C11: Voigt constant, GPa, like the others.
        C12: in the basal plane.
        C13: couples the basal plane to c.
        C14: for -3m, x must lie along a twofold axis (an a axis). Its sign says which
            end: turning the axes by 180 degrees about z changes it. Quartz has
            C14 < 0 in the axes of the IRE standard of 1949 and C14 > 0 in those of
            IEEE 176-1978.
        C33: along c.
        C44: shear on the basal plane.
        C25: zero for -3m; the class -3 has it, and a turn about z can make it zero.

    Returns:
        6x6 Mandel stiffness, crystal frame, GPa.
    """
    return _build(
        "trigonal", C11=C11, C12=C12, C13=C13, C14=C14, C33=C33, C44=C44, C25=C25
    )


def tetragonal(
    C11: ScalarLike,
    C12: ScalarLike,
    C13: ScalarLike,
    C33: ScalarLike,
    C44: ScalarLike,
    C66: ScalarLike,
    C16: ScalarLike = 0.0,
) -> Float[Array, "6 6"]:
    """Stiffness of a tetragonal crystal (4/mmm; with C16 also 4/m).

    z is along c and x along a; C26 = -C16 follows.

    Args:
        C11: Voigt constant, GPa, like the others.
        C12: in the basal plane.
        C13: couples the basal plane to c.
        C33: along c.
        C44: shear on the basal plane.
        C66: shear in the basal plane.
        C16: zero for 4/mmm; the class 4/m has it.

    Returns:
        6x6 Mandel stiffness, crystal frame, GPa.
    """
    return _build(
        "tetragonal", C11=C11, C12=C12, C13=C13, C33=C33, C44=C44, C66=C66, C16=C16
    )


def orthorhombic(
    C11: ScalarLike,
    C12: ScalarLike,
    C13: ScalarLike,
    C22: ScalarLike,
    C23: ScalarLike,
    C33: ScalarLike,
    C44: ScalarLike,
    C55: ScalarLike,
    C66: ScalarLike,
) -> Float[Array, "6 6"]:
    """Stiffness of an orthorhombic crystal (mmm) or orthotropic solid.

    The arguments are the nine Voigt constants, GPa, in axes x, y, z along a, b, c of
    the setting they were published in (olivine: Pbnm, not Pnma).

    Returns:
        6x6 Mandel stiffness, crystal frame, GPa.
    """
    return _build(
        "orthorhombic",
        **{"C11": C11, "C12": C12, "C13": C13, "C22": C22, "C23": C23},
        **{"C33": C33, "C44": C44, "C55": C55, "C66": C66},
    )


def monoclinic(
    C11: ScalarLike,
    C12: ScalarLike,
    C13: ScalarLike,
    C15: ScalarLike,
    C22: ScalarLike,
    C23: ScalarLike,
    C25: ScalarLike,
    C33: ScalarLike,
    C35: ScalarLike,
    C44: ScalarLike,
    C46: ScalarLike,
    C55: ScalarLike,
    C66: ScalarLike,
) -> Float[Array, "6 6"]:
    """Stiffness of a monoclinic crystal (2/m) with the twofold axis along y.

    The arguments are the thirteen Voigt constants, GPa. y is the unique axis b; x and
    z lie in the mirror plane as the source of the constants says. Constants published
    for unique axis c (C16, C26, C36, C45) need `rotate_stiffness`.

    Returns:
        6x6 Mandel stiffness, crystal frame, GPa.
    """
    return _build(
        "monoclinic",
        **{"C11": C11, "C12": C12, "C13": C13, "C15": C15, "C22": C22, "C23": C23},
        **{"C25": C25, "C33": C33, "C35": C35, "C44": C44, "C46": C46},
        **{"C55": C55, "C66": C66},
    )


def triclinic(
    C11: ScalarLike,
    C12: ScalarLike,
    C13: ScalarLike,
    C14: ScalarLike,
    C15: ScalarLike,
    C16: ScalarLike,
    C22: ScalarLike,
    C23: ScalarLike,
    C24: ScalarLike,
    C25: ScalarLike,
    C26: ScalarLike,
    C33: ScalarLike,
    C34: ScalarLike,
    C35: ScalarLike,
    C36: ScalarLike,
    C44: ScalarLike,
    C45: ScalarLike,
    C46: ScalarLike,
    C55: ScalarLike,
    C56: ScalarLike,
    C66: ScalarLike,
) -> Float[Array, "6 6"]:
    """Stiffness of a triclinic crystal (-1), or of any linear elastic solid.

    The arguments are the twenty-one Voigt constants, GPa, the upper triangle by rows.

    Returns:
        6x6 Mandel stiffness, in the Cartesian frame of the constants, GPa.
    """
    return _build(
        "triclinic",
        **{"C11": C11, "C12": C12, "C13": C13, "C14": C14, "C15": C15, "C16": C16},
        **{"C22": C22, "C23": C23, "C24": C24, "C25": C25, "C26": C26},
        **{"C33": C33, "C34": C34, "C35": C35, "C36": C36},
        **{"C44": C44, "C45": C45, "C46": C46, "C55": C55, "C56": C56, "C66": C66},
    )


@full_precision
def rotate_stiffness(
    stiffness: Stiffness, quaternion: Quaternion
) -> Float[Array, "6 6"]:
    """Express a crystal's stiffness in the sample frame.

    In the Mandel basis a rotation is an orthogonal 6x6 matrix `M`, so this is
    `M C M^T`, and the eigenvalues (Kelvin moduli) stay as they are.

    Args:
        stiffness: 6x6 Mandel stiffness in the crystal frame, GPa.
        quaternion: crystal-to-sample rotation, of any length but zero.

    Returns:
        6x6 Mandel stiffness in the sample frame, GPa.

    Raises:
        JaxmatError: if `stiffness` is not 6x6 or `quaternion` has not 4 components.

    References:
        Mehrabadi & Cowin (1990), Q. J. Mech. Appl. Math. 43, 15-41.
    """
    check_shape("stiffness", stiffness, (6, 6), hint=SIX_HINT)
    m = mandel.rotation(rotations.to_matrix(quaternion))
    return m @ stiffness @ m.T
