"""Averages of grains in closed form: what a film's mean channels say of its stiffness.

In plane stress a cubic crystal with an axis along x3 has, in the orthonormal basis
(1, 1, 0) / sqrt 2, (1, -1, 0) / sqrt 2, (0, 0, 1) of Mandel's 11, 22, 12,

    C = diag(k, D),  D = (p + q)/2 I + (p - q)/2 R,  R = [[c, s], [s, -c]]

with c = cos 4 theta, s = sin 4 theta, k = C11 + C12 - 2 C12^2 / C11, p = C11 - C12 and
q = 2 C44. All grains share k, p and q, and k belongs to the same strain in all, so that
every film has exactly k in that place, and no coupling to it, whatever its boundary:
Young's modulus along y is that along x, and three numbers are the whole stiffness.

A function f of the grains' stiffness that is isotropic is linear in R again, hence
averages of it follow from the mean of c and s: of the stiffness (Voigt), of the
compliance (Reuss), and of

    log(D^-1 + I/k)   (`dual_average`).

The last is exact in a sense. Adding I/k to the compliance changes nothing in the
stresses of a film of uniform k and makes it incompressible; rotating stress into strain
by 90 degrees then maps the problem on itself, and it follows that every periodic film,
isotropic or not, has

    det(D^-1 + I/k) = (1/p + 1/k) (1/q + 1/k),

which this average respects. Two numbers are left to a periodic film. In the limit of
large films D is isotropic, and Young's modulus 148.217 GPa.

References:
    Cherkaev, Lurie & Milton (1992), Proc. R. Soc. A 438, 519-529 (the translation).
    Milton (2002), The Theory of Composites, chapters 3 and 4 (duality).
    Avellaneda, Cherkaev, Gibiansky, Milton & Rudelson (1996), J. Mech. Phys. Solids 44,
    1179-1218 (planar polycrystals).
"""

import math

import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxmat.studies.polysilicon._apparent import SILICON

MeanChannels = Float[Array, "*blocks 2"]
PlaneStiffness = Float[Array, "*blocks 3 3"]

BIAXIAL = SILICON["C11"] + SILICON["C12"] - 2 * SILICON["C12"] ** 2 / SILICON["C11"]
"""k, GPa: stiffness of every grain and film to equal strain along x and y."""

ALONG, ACROSS = SILICON["C11"] - SILICON["C12"], 2 * SILICON["C44"]
"""p and q, GPa: stiffness of a grain to the shears along and across its cube axes."""


def voigt_average(channels: MeanChannels) -> PlaneStiffness:
    """Average of the stiffness, GPa, Mandel, of grains with these mean channels."""
    return _assemble((ALONG + ACROSS) / 2, (ALONG - ACROSS) / 2, channels)


def reuss_average(channels: MeanChannels) -> PlaneStiffness:
    """Inverse of the average of the compliance, GPa, Mandel."""
    even, odd = (1 / ALONG + 1 / ACROSS) / 2, (1 / ALONG - 1 / ACROSS) / 2
    return _assemble(*_inverse(even, odd, channels), channels)


def hill_average(channels: MeanChannels) -> PlaneStiffness:
    """Mean of the averages of Voigt and Reuss, GPa, Mandel."""
    return (voigt_average(channels) + reuss_average(channels)) / 2


def dual_average(channels: MeanChannels) -> PlaneStiffness:
    """Stiffness whose `log(D^-1 + I/k)` is the average of the grains', GPa, Mandel."""
    along, across = 1 / ALONG + 1 / BIAXIAL, 1 / ACROSS + 1 / BIAXIAL
    scale, contrast = math.sqrt(along * across), math.log(along / across) / 2
    x = contrast**2 * jnp.sum(channels**2, axis=-1)
    # cosh and sinh as polynomials in the squared radius, smooth where it is zero:
    # x < 0.018, so that what is left out is below rounding.
    cosh = 1 + x / 2 * (1 + x / 12 * (1 + x / 30 * (1 + x / 56)))
    sinh = contrast * (1 + x / 6 * (1 + x / 20 * (1 + x / 42 * (1 + x / 72))))
    even, odd = scale * cosh - 1 / BIAXIAL, scale * sinh
    return _assemble(*_inverse(even, odd, channels), channels)


AVERAGES = {
    "voigt": voigt_average,
    "reuss": reuss_average,
    "hill": hill_average,
    "dual": dual_average,
}


def _inverse(even, odd, channels: Array) -> tuple[Array, Array]:
    """Inverse of `even I + odd R` in the same form: `R R` is a multiple of `I`."""
    norm = even**2 - odd**2 * jnp.sum(channels**2, axis=-1)
    return even / norm, -odd / norm


def _assemble(even, odd, channels: Array) -> Array:
    """`diag(k, even I + odd R)` in the Mandel basis."""
    c, s = odd * channels[..., 0], odd * channels[..., 1]
    normal, cross = (BIAXIAL + even + c) / 2, (BIAXIAL - even - c) / 2
    turn, shear = s / math.sqrt(2), even - c
    rows = ((normal, cross, turn), (cross, normal, -turn), (turn, -turn, shear))
    return jnp.stack([jnp.stack(row, axis=-1) for row in rows], axis=-2)
