"""The two bounds that need no solve: uniform strain (Voigt) and uniform stress (Reuss).

References:
    Voigt (1889), Ann. Phys. 274, 573-587; Reuss (1929), Z. Angew. Math. Mech. 9, 49-58;
    Hill (1952), Proc. Phys. Soc. A 65, 349-354 (that they are bounds).
"""

from collections.abc import Sequence

import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxmat._check import check_option
from jaxmat._types import Stiffness
from jaxmat.cells._media import PLANES, Grains, one_per_phase
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
    fractions, table = _grains(microstructure, laws, plane)
    return jnp.einsum("pg,pgij->ij", fractions, table)


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
    fractions, table = _grains(microstructure, laws, plane)
    return jnp.linalg.inv(jnp.einsum("pg,pgij->ij", fractions, jnp.linalg.inv(table)))


def _grains(
    microstructure, laws, plane
) -> tuple[Float[Array, "phases grains"], Float[Array, "phases grains m m"]]:
    check_option("plane", plane, PLANES)
    medium = Grains(microstructure, one_per_phase(laws))
    return medium.volume_fractions(), medium.table(plane)
