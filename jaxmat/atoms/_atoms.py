"""A periodic configuration of atoms, in fractional coordinates.

Fractional coordinates keep their values when the box deforms, which makes an affine
move a change of the box alone and the minimum image the same two operations in every
triclinic box. Lengths are in the unit of the potential: its own reduced unit, or
angstrom.
"""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Float, Int

from jaxmat._check import JaxmatError, check_shape
from jaxmat._types import Count, Scalar, full_precision
from jaxmat.atoms._space import inverse


class Atoms(eqx.Module):
    """Atoms in a periodic box of any shape, in two or three dimensions.

    Attributes:
        positions: fractional, `from_cartesian` takes others; any image of an atom will
            do.
        box: its columns are the lattice vectors, `r = box @ s`.
        species: from 0.

    Raises:
        JaxmatError: if they are no arrays, the shapes do not belong together, or the
            species are not whole or the others not real numbers.
    """

    positions: Float[Array, "atoms d"]
    box: Float[Array, "d d"]
    species: Int[Array, " atoms"]

    def __check_init__(self):
        fields = (self.positions, self.box, self.species)
        held = sum(hasattr(x, "dtype") for x in fields)
        if held in (1, 2) or isinstance(self.positions, list | tuple):
            raise JaxmatError("`Atoms` takes arrays; make them with jnp.asarray.")
        if not held:
            return  # a tree of something else than numbers
        shape, d = self.positions.shape, (0, *self.positions.shape)[-1]
        if d not in (2, 3) or len(shape) < 2 or self.box.shape[-2:] != (d, d):
            raise JaxmatError(
                f"`positions` has shape {shape} and `box` {self.box.shape}; give "
                "(atoms, d) and (d, d) with d = 2 or 3."
            )
        if self.species.shape[-1] != shape[-2]:
            raise JaxmatError(
                f"there are {self.species.shape[-1]} species for {shape[-2]} atoms; "
                "give one integer for each atom."
            )
        dtypes = [x.dtype for x in fields]
        kinds = (jnp.floating, jnp.floating, jnp.integer)
        if not all(map(jnp.issubdtype, dtypes, kinds)):
            raise JaxmatError(
                f"`positions`, `box` and `species` hold {', '.join(map(str, dtypes))}; "
                "give real numbers twice, and whole ones for the species."
            )

    @property
    def num_atoms(self) -> int:
        return self.positions.shape[-2]

    @property
    def dimension(self) -> int:
        return self.positions.shape[-1]


@full_precision
def from_cartesian(
    r: Float[Array, "atoms d"], box: Float[Array, "d d"], species: Int[Array, " atoms"]
) -> Atoms:
    """Atoms at Cartesian positions.

    Args:
        r: positions, which may lie outside the box.
        box: lattice vectors in its columns.
        species: a number from 0 for each atom.

    Returns:
        `Atoms` with fractional positions, as they stand: not wrapped into the box.

    Raises:
        JaxmatError: if the box has no volume, or another dimension.
    """
    check_shape("r", r, (None, box.shape[-1]), hint="positions in the space of the box")
    if not isinstance(box, Tracer) and np.linalg.det(np.asarray(box)) == 0:
        raise JaxmatError("`box` has no volume; give lattice vectors in its columns.")
    return Atoms(jnp.linalg.solve(box, r.T).T, box, species)


@full_precision
def cartesian(atoms: Atoms) -> Float[Array, "atoms d"]:
    """Positions in space.

    Returns:
        Cartesian positions in the unit of the box, as they stand: not wrapped into it.
    """
    return atoms.positions @ atoms.box.T


def volume(atoms: Atoms) -> Scalar:
    """How large the box is.

    Returns:
        Its volume, or its area in two dimensions; positive, also if it is left-handed.
    """
    return jnp.abs(jnp.linalg.det(atoms.box))


@full_precision
def deform(atoms: Atoms, F: Float[Array, "d d"]) -> Atoms:
    """Move all atoms affinely.

    Returns:
        Atoms in the box `F @ atoms.box`, at the same fractional positions.

    Raises:
        JaxmatError: if `F` is not of the shape of the box.
    """
    check_shape("F", F, atoms.box.shape, hint="a deformation gradient")
    return Atoms(atoms.positions, F @ atoms.box, atoms.species)


@full_precision
def shifted(atoms: Atoms, u: Float[Array, "atoms d"]) -> Atoms:
    """Move every atom.

    Args:
        atoms: configuration.
        u: Cartesian displacements in the unit of the box.

    Returns:
        Atoms in the same box, not wrapped into it.
    """
    positions = atoms.positions + u @ inverse(atoms.box).T
    return Atoms(positions, atoms.box, atoms.species)


def exchanged(atoms: Atoms, i: Count, j: Count) -> Atoms:
    """Atoms of which `i` and `j` have exchanged their species."""
    pair = jnp.stack([i, j])
    species = atoms.species.at[pair].set(atoms.species[pair[::-1]])
    return Atoms(atoms.positions, atoms.box, species)
