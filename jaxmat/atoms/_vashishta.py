"""Vashishta's silica: ions, their polarisation, and angles of covalent bonds.

Angles are summed as in `_stillinger_weber`, without a list of triples: only bonds
between silicon and oxygen have one.
"""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxmat._check import check_positive
from jaxmat._types import Scalar
from jaxmat.atoms._neighbours import only_if_current, pair_vectors
from jaxmat.atoms._pair import matrix
from jaxmat.atoms._potential import AbstractPotential
from jaxmat.atoms._silica import COULOMB
from jaxmat.atoms._stillinger_weber import angles

_CORE = 0.16
"""Angstrom: a tenth of a bond."""


class Vashishta(AbstractPotential):
    """Two kinds of ions, eV and angstrom. Made by `vashishta_silica`.

    Pairs: `H / r^eta + q q' / r exp(-r / l1) - D / r^4 exp(-r / l4)`, less value and
    slope at the cutoff (a line in r). For two bonds of an atom to atoms of the other
    kind: `B (cos - c)^2 exp(g / (r - r0)) exp(g / (r' - r0))`, smooth to any order at
    `r0`. The second derivative jumps at the cutoff.

    Attributes:
        charge: of each species, elementary charges.
        repulsion: `H` for each pair of species, eV angstrom^eta.
        exponent: `eta`.
        polarisation: `D`, eV angstrom^4.
        coulomb_screening: `l1`, angstrom.
        polarisation_screening: `l4`, angstrom.
        stiffness: `B` of the species in the middle, eV.
        cosine: of its preferred angle, `c`.
        gamma: `g`, angstrom.
        reach: `r0`, angstrom.
        pair_cutoff: angstrom, larger than `reach`; the box is at least twice as wide.

    References:
        Vashishta, Kalia, Rino & Ebbsjo (1990), Phys. Rev. B 41, 12197-12209.
    """

    charge: Float[Array, " species"]
    repulsion: Float[Array, "species species"] = eqx.field(converter=matrix)
    exponent: Float[Array, "species species"] = eqx.field(converter=matrix)
    polarisation: Float[Array, "species species"] = eqx.field(converter=matrix)
    coulomb_screening: Scalar
    polarisation_screening: Scalar
    stiffness: Float[Array, " species"]
    cosine: Float[Array, " species"]
    gamma: Scalar
    reach: Scalar
    pair_cutoff: Scalar

    def __check_init__(self):
        for name in ("coulomb_screening", "polarisation_screening", "pair_cutoff"):
            check_positive(name, getattr(self, name))
        check_positive("pair_cutoff - reach", self.pair_cutoff - self.reach)

    @property
    def num_species(self):
        return self.charge.shape[0]

    @property
    def cutoff(self):
        return self.pair_cutoff

    @property
    def core(self):
        return jnp.full_like(self.repulsion, _CORE)

    def energy(self, atoms, neighbours=None):
        _, r, counts = pair_vectors(atoms, neighbours)
        square = sum(c * c for c in r)
        inside = counts & (square < self.cutoff**2)
        # Where there is no pair, one of some length, so that nothing divides by zero.
        distance = jnp.sqrt(jnp.where(inside, square, 1.0))
        here = atoms.species[:, None]
        there = atoms.species[None, :]
        if neighbours is not None:
            there = atoms.species[neighbours.indices % atoms.num_atoms]
        ions = jnp.where(inside, self._pairs(distance, here, there), 0.0)
        bonded = inside & (here != there) & (distance < self.reach)
        near = jnp.where(bonded, distance, self.reach - 1.0)
        h = jnp.where(bonded, jnp.exp(self.gamma / (near - self.reach)), 0.0)
        bent = angles(h, [c / distance for c in r], self.cosine[atoms.species])
        total = jnp.sum(ions) + jnp.sum(self.stiffness[atoms.species] * bent)
        return only_if_current(total / 2, neighbours, atoms, self.cutoff)

    def _pairs(self, r, a, b):
        """Energy of pairs, shifted so that value and slope end at the cutoff."""
        H, eta, D = (
            table[a, b] for table in (self.repulsion, self.exponent, self.polarisation)
        )
        charges = COULOMB * self.charge[a] * self.charge[b]
        l1, l4, end = (
            self.coulomb_screening,
            self.polarisation_screening,
            self.cutoff,
        )

        def terms(r):
            return (
                H * r**-eta,
                charges / r * jnp.exp(-r / l1),
                -D / r**4 * jnp.exp(-r / l4),
            )

        steric, coulomb, induced = terms(end)
        slope = (
            -eta * steric / end
            - coulomb * (1 / end + 1 / l1)
            - induced * (4 / end + 1 / l4)
        )
        return sum(terms(r)) - (steric + coulomb + induced) - (r - end) * slope


def vashishta_silica(cutoff: float = 10.0) -> Vashishta:
    """Silica, SiO2: species 0 is silicon, 1 oxygen.

    The stiffness of angles is the one that gives quartz the energy and the volume that
    the paper shows, one part in a hundred above the one that it prints.

    Args:
        cutoff: of the pairs, angstrom.

    Returns:
        The potential, in eV and angstrom.
    """
    return Vashishta(
        charge=jnp.array([1.6, -0.8]),
        repulsion=jnp.array([[0.82023, 163.859], [163.859, 743.848]]),
        exponent=jnp.array([[11.0, 9.0], [9.0, 7.0]]),
        polarisation=jnp.array([[0.0, 44.2357], [44.2357, 22.1179]]),
        coulomb_screening=jnp.asarray(999.0),
        polarisation_screening=jnp.asarray(4.43),
        stiffness=jnp.array([5.0365, 20.146]),
        cosine=jnp.array([-1 / 3, -0.77714596]),
        gamma=jnp.asarray(1.0),
        reach=jnp.asarray(2.60),
        pair_cutoff=jnp.asarray(cutoff, float),
    )
