"""The two bounds that need no solve: uniform strain (Voigt) and uniform stress (Reuss).

References:
    Voigt (1889), Ann. Phys. 274, 573-587; Reuss (1929), Z. Angew. Math. Mech. 9, 49-58;
    Hill (1952), Proc. Phys. Soc. A 65, 349-354 (that they are bounds).
"""

from collections.abc import Callable, Sequence

import jax.numpy as jnp
from jaxtyping import Array

from jaxmat._check import check_option
from jaxmat._types import Stiffness, full_precision
from jaxmat.cells._grains import Grains
from jaxmat.cells._media import PLANES, as_laws
from jaxmat.materials import AbstractMaterial
from jaxmat.microstructure import Microstructure


def voigt_bound(
    microstructure: Microstructure,
    laws: Sequence[AbstractMaterial] | AbstractMaterial,
    *,
    plane: str | None = None,
) -> Stiffness:
    """Volume average of the stiffness: no periodic or bounded specimen is stiffer.

    Args:
        microstructure: grains, phases, orientations.
        laws: one linear law per phase, crystal frame.
        plane: None for the full 6x6, "strain" or "stress" for 3x3.

    Returns:
        Mandel stiffness, GPa.
    """
    return _mean(microstructure, laws, plane, lambda stiffness: stiffness)


def reuss_bound(
    microstructure: Microstructure,
    laws: Sequence[AbstractMaterial] | AbstractMaterial,
    *,
    plane: str | None = None,
) -> Stiffness:
    """Inverse of the volume average of the compliance: no specimen is softer.

    Args:
        microstructure: grains, phases, orientations.
        laws: one linear law per phase, crystal frame.
        plane: None for the full 6x6, "strain" or "stress" for 3x3.

    Returns:
        Mandel stiffness, GPa.
    """
    return jnp.linalg.inv(_mean(microstructure, laws, plane, jnp.linalg.inv))


@full_precision
def _mean(
    microstructure: Microstructure,
    laws: Sequence[AbstractMaterial] | AbstractMaterial,
    plane: str | None,
    of: Callable[[Array], Array],
) -> Stiffness:
    """Volume average of a function of the stiffness."""
    check_option("plane", plane, PLANES)
    medium = Grains(microstructure, as_laws(laws))
    values = of(medium.table(plane))
    return jnp.einsum("pg,pgij->ij", medium.volume_fractions(), values)
