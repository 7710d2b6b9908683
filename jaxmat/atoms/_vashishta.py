"""Silica: the potential of Vashishta, Kalia, Rino and Ebbsjo, bonds with angles.

The sum over the angles of an atom is that of `_stillinger_weber`, with the bonds to
atoms of other species only: no list of triples.
"""

import functools

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxmat._check import check_positive
from jaxmat._types import Scalar
from jaxmat.atoms._neighbours import only_if_current, pair_vectors
from jaxmat.atoms._pair import matrix
from jaxmat.atoms._potential import AbstractPotential
from jaxmat.atoms._silica import AbstractIons
from jaxmat.atoms._stillinger_weber import sum_of_angles


def _vector(values) -> Float[Array, " species"]:
    found = jnp.asarray(values)
    return found.astype(jnp.result_type(float, found))


class VashishtaBonds(AbstractIons):
    """`H r^-n + q q' exp(-r/a) / r - D exp(-r/b) / r^4 - W r^-6`, eV and angstrom.

    Attributes:
        charge: of each species, elementary charges.
        repulsion: `H` for each pair of species, eV angstrom^n.
        exponent: `n`.
        dipole: `D`, charges that see induced dipoles, eV angstrom^4.
        dispersion: `W`, eV angstrom^6.
        screening: `a`, angstrom.
        decay: `b`, angstrom.
        cutoff_ratio: the cutoff, angstrom, static.
        smoothing: see `AbstractPair`, static.
    """

    charge: Float[Array, " species"] = eqx.field(converter=_vector)
    repulsion: Float[Array, "species species"] = eqx.field(converter=matrix)
    exponent: Float[Array, "species species"] = eqx.field(converter=matrix)
    dipole: Float[Array, "species species"] = eqx.field(converter=matrix)
    dispersion: Float[Array, "species species"] = eqx.field(converter=matrix)
    screening: Scalar
    decay: Scalar
    cutoff_ratio: float = eqx.field(static=True, default=10.0)
    smoothing: str = eqx.field(static=True, default="force")

    def __check_init__(self):
        check_positive("screening", self.screening)
        check_positive("decay", self.decay)

    @property
    def core(self):
        """A tenth of the distance at which the repulsion `H r^-n` is one eV."""
        return 0.1 * self.repulsion ** (1 / self.exponent)

    @property
    def parameters(self):
        charges = self.coulomb
        ranges = [
            jnp.broadcast_to(x, charges.shape) for x in (self.screening, self.decay)
        ]
        own = (self.repulsion, self.exponent, self.dipole, self.dispersion)
        return (*own, charges, *ranges)

    def shape(self, x, *parameters):
        repulsion, exponent, dipole, dispersion, charges, screening, decay = parameters
        r = jnp.sqrt(x)
        steric = repulsion * x ** (-exponent / 2)
        polar = dipole * jnp.exp(-r / decay) / x**2
        return (
            steric + charges * jnp.exp(-r / screening) / r - polar - dispersion / x**3
        )


class VashishtaAngles(AbstractPotential):
    """`B (cos - c)^2 exp(g / (r - r0)) exp(g / (r' - r0))` for pairs of bonds.

    Of an atom with atoms of other species, closer than `r0`; smooth to any order there.

    Attributes:
        strength: `B` of each species at the centre, eV.
        cosine: `c`, of the preferred angle.
        gamma: `g`, angstrom.
        reach: `r0`, angstrom.
    """

    strength: Float[Array, " species"] = eqx.field(converter=_vector)
    cosine: Float[Array, " species"] = eqx.field(converter=_vector)
    gamma: Scalar
    reach: Scalar

    def __check_init__(self):
        check_positive("gamma", self.gamma)
        check_positive("reach", self.reach)

    @property
    def num_species(self):
        return len(self.strength)

    @property
    def cutoff(self):
        return self.reach

    @property
    def core(self):
        """None of their own: bonds hold atoms apart."""
        return jnp.zeros((self.num_species,) * 2, self.strength.dtype)

    def energy(self, atoms, neighbours=None):
        _, r, counts = pair_vectors(atoms, neighbours)
        here = atoms.species
        n, others = atoms.num_atoms, slice(None)
        if neighbours is not None:
            others = neighbours.indices % n
        square = sum(c * c for c in r)
        bonded = counts & (square < self.reach**2) & (here[:, None] != here[others])
        distance = jnp.sqrt(jnp.where(bonded, square, (self.reach / 2) ** 2))
        h = jnp.where(bonded, jnp.exp(self.gamma / (distance - self.reach)), 0.0)
        angles = sum_of_angles(h, [c / distance for c in r], self.cosine[here])
        total = jnp.sum(self.strength[here] * angles) / 2
        return only_if_current(total, neighbours, atoms, self.cutoff)


class Vashishta(AbstractPotential):
    """Bonds and angles between ions; made by `vashishta_silica`.

    The denominator `1 + C (cos - c)^2` that later potentials of this family give the
    angles is left out: `C` is zero in silica.

    Attributes:
        bonds: forces between pairs.
        angles: the energy of angles.

    References:
        Vashishta, Kalia, Rino & Ebbsjo (1990), Phys. Rev. B 41, 12197-12209.
    """

    bonds: VashishtaBonds
    angles: VashishtaAngles

    @property
    def num_species(self):
        return self.bonds.num_species

    @property
    def cutoff(self):
        return jnp.maximum(self.bonds.cutoff, self.angles.cutoff)

    @property
    def core(self):
        return self.bonds.core

    def energy(self, atoms, neighbours=None):
        angles = self.angles.energy(atoms, neighbours)
        return self.bonds.energy(atoms, neighbours) + angles

    def exchange(self, atoms, i, j, neighbours=None):
        angles = self.angles.exchange(atoms, i, j, neighbours)
        return self.bonds.exchange(atoms, i, j) + angles

    def hessian(self, atoms):
        return self.bonds.hessian(atoms) + self.angles.hessian(atoms)

    def hessian_product(self, atoms, u):
        angles = self.angles.hessian_product(atoms, u)
        return self.bonds.hessian_product(atoms, u) + angles

    def mixed(self, atoms):
        return self.bonds.mixed(atoms) + self.angles.mixed(atoms)

    def box_hessian(self, atoms):
        return self.bonds.box_hessian(atoms) + self.angles.box_hessian(atoms)


def vashishta_silica(cutoff: float = 10.0, smoothing: str = "force") -> Vashishta:
    """Silica, SiO2: species 0 is silicon, 1 oxygen.

    Charges are those of the paper, screened over 999 angstrom, which is not at all;
    beyond the cutoff they see nothing of each other. The numbers that the paper does
    not give are those that follow from its curve of energy over volume of quartz.

    Args:
        cutoff: of the bonds, angstrom; the box is at least twice as wide.
        smoothing: see `AbstractPair`; moduli need "curvature".

    Returns:
        The potential, in eV and angstrom.
    """
    number = functools.partial(jnp.asarray, dtype=float)
    bonds = VashishtaBonds(  # pyright: ignore[reportCallIssue]  (epsilon, sigma: properties)
        charge=[1.6, -0.8],
        repulsion=[[0.82023, 163.859], [163.859, 743.848]],
        exponent=[[11.0, 9.0], [9.0, 7.0]],
        dipole=[[0.0, 44.2357], [44.2357, 22.1179]],
        dispersion=jnp.zeros((2, 2)),
        screening=number(999.0),
        decay=number(4.43),
        cutoff_ratio=cutoff,
        smoothing=smoothing,
    )
    angles = VashishtaAngles(
        strength=[5.0365, 20.146],
        cosine=[-1 / 3, -0.77714596],
        gamma=number(1.0),
        reach=number(2.6),
    )
    return Vashishta(bonds, angles)
