"""Checks at the border, of concrete values."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from jaxmat._check import JaxmatError
from jaxmat.atoms._atoms import Atoms
from jaxmat.atoms._potential import AbstractPotential, check_covers, forces
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
    if not isinstance(atoms, Atoms):
        raise JaxmatError(
            f"the atoms are of type {type(atoms).__name__}; give the potential first, "
            "then atoms."
        )
    for name, values in (("positions", atoms.positions), ("box", atoms.box)):
        if not isinstance(values, Tracer) and not np.isfinite(np.asarray(values)).all():
            raise JaxmatError(
                f"`{name}` holds NaN or infinity; give finite numbers, such as those "
                "of the last configuration that had them."
            )


def check_at_rest(law: AbstractPotential, atoms: Atoms) -> None:
    """Raise if a force alone would move its atom by a thousandth of its size.

    Far above what `relax` leaves, far below what heat or an affine strain of a glass
    does. Says nothing of traced values.
    """
    if any(isinstance(leaf, Tracer) for leaf in jax.tree.leaves((law, atoms))):
        return
    force, stiffness = (float(x) for x in _largest_force(law, atoms))
    if not force <= 1e-2 * float(jnp.min(law.core)) * stiffness:
        raise JaxmatError(
            f"the atoms are not at rest, one of them is pushed by {force:.3g}; bring "
            "them to rest first (`relax`)."
        )


@eqx.filter_jit
def _largest_force(law, atoms):
    """And the mean stiffness of an atom, from one product with the Hessian."""
    u = jax.random.normal(jax.random.key(0), atoms.positions.shape, atoms.box.dtype)
    stiffness = jnp.sum(u * law.hessian_product(atoms, u)) / jnp.sum(u * u)
    return jnp.max(jnp.abs(forces(law, atoms))), jnp.abs(stiffness)


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
