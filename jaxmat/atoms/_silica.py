"""Silica: van Beest, Kramer and van Santen's potential with a Coulomb sum cut by Wolf.

Charges see each other through `erfc(alpha r) / r`, smoothed at the cutoff like any pair
potential. What is taken off there is the field of a neutralising charge on the cutoff
sphere, and each charge also pays for its own: the self-energy, without which the sum
has no limit. No sum in reciprocal space.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxmat._check import check_positive
from jaxmat._types import Scalar
from jaxmat.atoms._pair import AbstractPair, matrix
from jaxmat.atoms._pair_sum import SMOOTHINGS

COULOMB = 14.3996454
"""Squared elementary charge over 4 pi epsilon_0, eV angstrom."""

CORE_STIFFNESS = 100.0
"""eV per squared angstrom, of the wall inside the barrier."""


class AbstractIons(AbstractPair):
    """Charges, in eV and angstrom.

    Attributes:
        charge: of each species, elementary charges.
        repulsion: of the cores, for each pair of species.
    """

    charge: eqx.AbstractVar[Float[Array, " species"]]
    repulsion: eqx.AbstractVar[Float[Array, "species species"]]

    @property
    def epsilon(self):
        """The energies are in the parameters themselves."""
        return jnp.ones_like(self.repulsion)

    @property
    def sigma(self):
        """Lengths are in angstrom."""
        return jnp.ones_like(self.repulsion)

    @property
    def coulomb(self) -> Float[Array, "species species"]:
        """Energy of two charges times their distance, eV angstrom."""
        return COULOMB * jnp.outer(self.charge, self.charge)


class BKS(AbstractIons):
    """`q q' / r + A exp(-b r) - C / r^6`, eV and angstrom. Made by `bks_silica`.

    At short distance the formula has a barrier and then falls without bound. Inside the
    barrier it stays at its height and a parabolic wall is added, so that a hot liquid
    does not collapse.

    Attributes:
        charge: of each species, elementary charges.
        repulsion: `A` for each pair of species, eV.
        hardness: `b`, per angstrom.
        dispersion: `C`, eV angstrom^6.
        barrier: distance of the barrier, angstrom; 0 where there is none.
        damping: `alpha`, per angstrom.
        cutoff_ratio: the cutoff, angstrom, static.
        smoothing: see `AbstractPair`, static.

    References:
        van Beest, Kramer & van Santen (1990), Phys. Rev. Lett. 64, 1955-1958.
        Wolf, Keblinski, Phillpot & Eggebrecht (1999), J. Chem. Phys. 110, 8254-8282.
        Carre, Berthier, Horbach, Ispas & Kob (2007), J. Chem. Phys. 127, 114512 (that
        10 angstrom are enough for silica).
    """

    charge: Float[Array, " species"]
    repulsion: Float[Array, "species species"] = eqx.field(converter=matrix)
    hardness: Float[Array, "species species"] = eqx.field(converter=matrix)
    dispersion: Float[Array, "species species"] = eqx.field(converter=matrix)
    barrier: Float[Array, "species species"] = eqx.field(converter=matrix)
    damping: Scalar
    cutoff_ratio: float = eqx.field(static=True, default=10.0)
    smoothing: str = eqx.field(static=True, default="curvature")

    def __check_init__(self):
        check_positive("damping", self.damping)
        check_positive("hardness", self.hardness)

    @property
    def parameters(self):
        charges = self.coulomb
        damping = jnp.broadcast_to(self.damping, charges.shape)
        own = (self.repulsion, self.hardness, self.dispersion, self.barrier)
        return (*own, charges, damping)

    def shape(self, x, *parameters):
        repulsion, hardness, dispersion, barrier, charges, damping = parameters
        distance = jnp.sqrt(x)
        r = jnp.maximum(distance, barrier)
        bond = repulsion * jnp.exp(-hardness * r) - dispersion / r**6
        wall = CORE_STIFFNESS / 2 * (r - distance) ** 2
        return bond + wall + charges * jax.lax.erfc(damping * r) / r

    def energy(self, atoms, neighbours=None):
        own = self._self_energy()[atoms.species]
        return super().energy(atoms, neighbours) + jnp.sum(own)

    def _self_energy(self) -> Float[Array, " species"]:
        """Half of what a charge feels at its own place: less than nothing."""

        def screened(x):
            return jax.lax.erfc(self.damping * jnp.sqrt(x)) / jnp.sqrt(x)

        order = SMOOTHINGS.index(self.smoothing)
        linear = self.smoothing == "force"
        end = jnp.asarray(self.cutoff_ratio, self.damping.dtype)
        end = end if linear else end**2
        term, taken, factor = (lambda y: screened(y * y if linear else y)), 0.0, 1.0
        for k in range(order + 1):
            taken += factor * term(end)
            term, factor = jax.grad(term), factor * -end / (k + 1)
        ghost = -2 * self.damping / jnp.sqrt(jnp.pi).astype(end.dtype) - taken
        return COULOMB * self.charge**2 * ghost / 2


def bks_silica(cutoff: float = 10.0, damping: float = 0.2) -> BKS:
    """Silica, SiO2: species 0 is silicon, 1 oxygen.

    Args:
        cutoff: of all terms, angstrom; the box is at least twice as wide.
        damping: `alpha` of Wolf's sum, per angstrom. Larger values need less cutoff and
            neglect more of the sum in reciprocal space.

    Returns:
        The potential, in eV and angstrom.
    """
    return BKS(  # pyright: ignore[reportCallIssue]  (epsilon, sigma: properties)
        charge=jnp.array([2.4, -1.2]),
        repulsion=jnp.array([[0.0, 18003.7572], [18003.7572, 1388.7730]]),
        hardness=jnp.array([[1.0, 4.87318], [4.87318, 2.76]]),
        dispersion=jnp.array([[0.0, 133.5381], [133.5381, 175.0]]),
        barrier=jnp.array([[0.0, 1.1936], [1.1936, 1.4387]]),
        damping=jnp.asarray(damping, float),
        cutoff_ratio=cutoff,
    )
