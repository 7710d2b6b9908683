"""Balance of forces under a mean strain, for any law."""

import dataclasses
from collections.abc import Callable

import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxmat.cells._discretisation import AbstractDiscretisation
from jaxmat.cells._elements import ModeStrain, Nodal

Law = Callable[[ModeStrain], ModeStrain]


@dataclasses.dataclass(frozen=True)
class Balance:
    """From a displacement fluctuation to forces and averages; static, without arrays.

    Where a boundary is free its displacement takes part in the mean strain, and the
    mean stress is what its tractions balance: both are taken out here.
    """

    discretisation: AbstractDiscretisation

    def strain(self, u: Nodal, eps_bar: Float[Array, " m"]) -> ModeStrain:
        """Strain modes, with `eps_bar` as the average of the mean mode."""
        return self._total(self.discretisation.strain(u), eps_bar)

    def force(
        self, law: Law, u: Nodal, eps_bar: Float[Array, " m"] | None = None
    ) -> Nodal:
        """`divergence(law(eps_bar + strain(u)))`: zero in equilibrium."""

        def balanced(eps: ModeStrain) -> ModeStrain:
            return self._balanced(law(self._total(eps, eps_bar)))

        return self.discretisation.force(balanced, u)

    def divergence(self, sig: ModeStrain) -> Nodal:
        """Nodal forces of a stress."""
        return self.discretisation.divergence(self._balanced(sig))

    def mean(self, modes: ModeStrain) -> Float[Array, " m"]:
        """Average over the voxels."""
        crop = self.discretisation.crop
        return jnp.stack([jnp.mean(crop(x)) for _, x in sorted(modes[()].items())])

    def inside(self, dtype) -> Array:
        """One on the voxels, zero on an empty halo."""
        method = self.discretisation
        return method.extend(jnp.ones(method.grid.shape, dtype))

    def _balanced(self, sig: ModeStrain) -> ModeStrain:
        """Without the uniform stress that free boundaries balance by themselves."""
        if not self.discretisation.natural:
            return sig
        mean = self.mean(sig)
        inside = self.inside(mean.dtype)
        balanced = {k: x - mean[k] * inside for k, x in sig[()].items()}
        return {**sig, (): balanced}

    def _total(self, eps: ModeStrain, eps_bar: Float[Array, " m"] | None) -> ModeStrain:
        method, mean = self.discretisation, dict(eps[()])
        if method.natural:
            mean = {k: x - jnp.mean(method.crop(x)) for k, x in mean.items()}
        if eps_bar is not None:
            nothing = jnp.zeros_like(next(iter(mean.values())))
            mean = {
                k: mean.get(k, nothing) + eps_bar[k] for k in range(method.num_strains)
            }
        return {**eps, (): mean}
