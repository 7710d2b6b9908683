"""Checks at the border, of concrete values."""

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from jaxmat._check import JaxmatError
from jaxmat.atoms._atoms import Atoms
from jaxmat.atoms._potential import AbstractPotential, check_covers
from jaxmat.atoms._space import minimum_image, separations


def check(law: AbstractPotential, atoms: Atoms) -> None:
    """Raise unless the energy of these atoms would mean something.

    Raises:
        JaxmatError: if a number is not finite, a species has no parameters, the box is
            narrower than twice the cutoff, or two atoms lie on each other (a tenth of
            their `sigma` apart).
    """
    check_fits(law, atoms)
    ratio, i, j = _closest(law, atoms)
    if ratio < 1:
        raise JaxmatError(
            f"atoms {i} and {j} are closer than a tenth of their size; move them "
            "apart or take one out."
        )


def check_fits(law: AbstractPotential, atoms: Atoms) -> None:
    """As `check` but for the distances; says nothing of traced values."""
    check_finite(atoms)
    check_covers(law, atoms)


def check_finite(atoms: Atoms) -> None:
    """Raise if a number is not finite; says nothing of traced values."""
    for name, values in (("positions", atoms.positions), ("box", atoms.box)):
        if not isinstance(values, Tracer) and not np.isfinite(np.asarray(values)).all():
            raise JaxmatError(
                f"`{name}` holds NaN or infinity; give finite numbers, such as those "
                "of the last configuration that had them."
            )


def _closest(law: AbstractPotential, atoms: Atoms) -> tuple[float, int, int]:
    """Smallest distance over what it must not fall below, and whose it is."""
    core = law.core

    def of_row(i):
        s = minimum_image(atoms.positions[i] - atoms.positions)
        square = sum(x * x for x in separations([*s.T], atoms.box))
        ratio = jnp.sqrt(square) / core[atoms.species[i], atoms.species]
        ratio = ratio.at[i].set(jnp.inf)
        return jnp.min(ratio), jnp.argmin(ratio)

    nearest, whose = jax.lax.map(of_row, jnp.arange(atoms.num_atoms), batch_size=256)
    i = int(jnp.argmin(nearest))
    return float(nearest[i]), i, int(whose[i])
