"""Networks that know what they predict: alone, or as the correction of a solver."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
from jax.tree_util import Partial
from jaxtyping import Array, Key

from jaxmat._types import Scalar
from jaxmat.surrogates._frozen import Frozen
from jaxmat.surrogates._heads import (
    CorrectionHead,
    Gaussian,
    GaussianHead,
    ModulusHead,
    SPDHead,
)
from jaxmat.surrogates._networks import Image
from jaxmat.surrogates._stiffness import PlaneStiffness


class Surrogate(eqx.Module):
    """A network and its head: an image in, a modulus or a stiffness out.

    Attributes:
        network: has as many outputs as the head's `out_features`.
        head: gives them a meaning and a unit.
    """

    network: Frozen
    head: ModulusHead | GaussianHead | SPDHead

    def __call__(
        self, image: Image, *, key: Key[Array, ""] | None = None
    ) -> Scalar | Gaussian | PlaneStiffness:
        """Predict for one image; `key` switches dropout on."""
        return self.head(self.network(image, key=key))


def _as_pytree(solver: Callable) -> Any:
    """A function becomes a pytree without leaves, so that jax.jit takes the whole."""
    return solver if isinstance(solver, eqx.Module) else Partial(solver)


class PhysicsInTheLoop(eqx.Module):
    """A coarse solver, and a network that learns what it misses.

    C = L exp(S(image)) L^T with L the Cholesky factor of the coarse solver's answer:
    positive definite, with derivatives through both, and the coarse solver itself
    before any training.

    Attributes:
        coarse: stiffness of a film, 3x3 Mandel, GPa, from its image; an Equinox module,
            whose leaves are then leaves of this one, or a function.
        network: with six outputs, which standardise S.
        head: mean and standard deviation of S; `CorrectionHead()` leaves it as it is.
    """

    coarse: Callable[[Image], PlaneStiffness] = eqx.field(converter=_as_pytree)
    network: Frozen
    head: CorrectionHead = eqx.field(default_factory=CorrectionHead)

    def __call__(
        self, image: Image, *, key: Key[Array, ""] | None = None
    ) -> PlaneStiffness:
        """Predict for one image; `key` switches dropout on."""
        return self.correct(self.coarse(image), image, key=key)

    def correct(
        self,
        stiffness: PlaneStiffness,
        image: Image,
        *,
        key: Key[Array, ""] | None = None,
    ) -> PlaneStiffness:
        """Correct an answer of the coarse solver that is known already, GPa."""
        return self.head(self.network(image, key=key), stiffness)
