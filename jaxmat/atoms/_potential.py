"""What a potential is, and what follows from its energy alone."""

import abc

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Float

from jaxmat._check import JaxmatError
from jaxmat._types import Count, Scalar, full_precision
from jaxmat.atoms._atoms import Atoms, exchanged, shifted, volume
from jaxmat.atoms._neighbours import Neighbours
from jaxmat.atoms._space import inverse, perpendicular_widths


class AbstractPotential(eqx.Module):
    """Energy of a periodic configuration. Parameters are the leaves.

    Lengths and energies are in units of the parameters: reduced, or angstrom and eV.
    """

    @property
    @abc.abstractmethod
    def num_species(self) -> int:
        """Species that it has parameters for."""

    @property
    @abc.abstractmethod
    def cutoff(self) -> Scalar:
        """Distance from which on no two atoms see each other, whatever their species.

        The box is at least twice as wide in every perpendicular direction.
        """

    @property
    @abc.abstractmethod
    def core(self) -> Float[Array, "species species"]:
        """Distance below which two atoms are a mistake: a tenth of their size."""

    @abc.abstractmethod
    def energy(self, atoms: Atoms, neighbours: Neighbours | None = None) -> Scalar:
        """Energy of the whole cell.

        Args:
            atoms: configuration.
            neighbours: list made by `find_neighbours` for this cutoff, or None for all
                pairs. NaN where the list has overflowed, or is out of date.
        """

    def exchange(
        self, atoms: Atoms, i: Count, j: Count, neighbours: Neighbours | None = None
    ) -> Scalar:
        """What it costs that atoms `i` and `j` exchange their species."""
        after = self.energy(exchanged(atoms, i, j), neighbours)
        return after - self.energy(atoms, neighbours)

    @full_precision
    def hessian(self, atoms: Atoms) -> Float[Array, "m m"]:
        """Second derivatives in the Cartesian positions, `m` = atoms times d.

        Column by column; potentials that can assemble it do.
        """
        shape = atoms.positions.shape

        def slope(u):
            return -forces(self, shifted(atoms, u.reshape(shape))).ravel()

        zero = jnp.zeros(atoms.positions.size, atoms.positions.dtype)

        def column(k):
            return jax.jvp(slope, (zero,), (zero.at[k].set(1.0),))[1]

        columns = jax.lax.map(column, jnp.arange(len(zero)), batch_size=3)
        return (columns + columns.T) / 2

    def hessian_product(
        self, atoms: Atoms, u: Float[Array, "atoms d"]
    ) -> Float[Array, "atoms d"]:
        """Second derivatives in the Cartesian positions times displacements."""
        zero = jnp.zeros_like(u)
        return jax.jvp(lambda u: -forces(self, shifted(atoms, u)), (zero,), (u,))[1]

    def mixed(self, atoms: Atoms) -> Float[Array, "atoms d d d"]:
        """Second derivatives in fractional positions, and in the box (last axes)."""

        def slope(box):
            return position_slope(self, Atoms(atoms.positions, box, atoms.species))

        return jax.jacfwd(slope)(atoms.box)

    def box_hessian(self, atoms: Atoms) -> Float[Array, "d d d d"]:
        """Second derivatives in the box at fixed fractional positions."""

        def slope(box):
            return _box_slope(self, Atoms(atoms.positions, box, atoms.species))

        return jax.jacfwd(slope)(atoms.box)


def check_covers(law: AbstractPotential, atoms: Atoms) -> None:
    """Raise unless the potential has the species and the box is wide enough for it.

    Says nothing of traced values.
    """
    if not isinstance(law, AbstractPotential):
        raise JaxmatError(
            f"the potential is of type {type(law).__name__}; give a potential such as "
            "atoms.kob_andersen() first, then the atoms."
        )
    if atoms.positions.ndim != 2:
        raise JaxmatError(
            f"`positions` has shape {atoms.positions.shape}; give one configuration, "
            "or take several with jax.vmap."
        )
    if not atoms.num_atoms:
        raise JaxmatError("there are no atoms; give at least one.")
    if not isinstance(atoms.species, Tracer):
        species = np.asarray(atoms.species)
        if species.min() < 0 or species.max() >= law.num_species:
            raise JaxmatError(
                f"species run from {species.min()} to {species.max()} but the "
                f"potential has {law.num_species}; number them from 0."
            )
    with jax.ensure_compile_time_eval():  # constants of a trace are known as well
        width = jnp.min(perpendicular_widths(atoms.box))
        wanted = 2 * law.cutoff
    if isinstance(width, Tracer) or isinstance(wanted, Tracer):
        return
    width, wanted = float(width), float(wanted)
    if not width >= wanted:
        raise JaxmatError(
            f"the box is {width:.4g} wide, less than twice the cutoff, {wanted:.4g}; "
            "repeat it, or take a shorter cutoff."
        )


def energy(
    law: AbstractPotential, atoms: Atoms, neighbours: Neighbours | None = None
) -> Scalar:
    """Energy of the whole cell, not per atom, in the unit of the potential.

    Args:
        law: any potential.
        atoms: in a box at least twice as wide as the cutoff (`check`).
        neighbours: a list to use in place of all pairs.

    Returns:
        Energy; NaN where the list has overflowed or may lack a pair.

    Raises:
        JaxmatError: if the potential lacks a species or the box is narrower than twice
            the cutoff; in a trace neither is seen.
    """
    check_covers(law, atoms)
    return law.energy(atoms, neighbours)


@full_precision
def forces(
    law: AbstractPotential, atoms: Atoms, neighbours: Neighbours | None = None
) -> Float[Array, "atoms d"]:
    """Forces on the atoms, `-dE/dr`.

    Arguments and mistakes as those of `energy`.

    Returns:
        Cartesian, energy per length of the potential; NaN where `energy` gives NaN.
    """
    check_covers(law, atoms)

    def of_positions(s):
        return law.energy(Atoms(s, atoms.box, atoms.species), neighbours)

    return -jax.grad(of_positions)(atoms.positions) @ inverse(atoms.box)


def hessian(law: AbstractPotential, atoms: Atoms) -> Float[Array, "m m"]:
    """Second derivatives of the energy in Cartesian positions; all pairs, dense.

    Mistakes as those of `energy`.

    Returns:
        Energy per squared length of the potential. `m` is atoms times d, the components
        of one atom next to each other. Its null space holds the translations.
    """
    check_covers(law, atoms)
    return law.hessian(atoms)


@full_precision
def stress(
    law: AbstractPotential, atoms: Atoms, neighbours: Neighbours | None = None
) -> Float[Array, "d d"]:
    """Cauchy stress of atoms at rest, `(1/V) dE/dF` at `F = 1`; tension positive.

    The virial without its kinetic part. Symmetric, because energy does not change when
    the body turns. Arguments and mistakes as those of `energy`.

    Returns:
        Energy per volume of the potential (per area in two dimensions); NaN where
        `energy` gives NaN.
    """
    check_covers(law, atoms)
    if neighbours is None:
        slope = box_slope(law, atoms)
    else:
        slope = _box_slope(law, atoms, neighbours)
    return slope @ atoms.box.T / volume(atoms)


def position_slope(law: AbstractPotential, atoms: Atoms) -> Float[Array, "atoms d"]:
    """Derivative of the energy in the fractional positions; all pairs."""

    def of_positions(s):
        return law.energy(Atoms(s, atoms.box, atoms.species))

    return jax.grad(of_positions)(atoms.positions)


def box_slope(law: AbstractPotential, atoms: Atoms) -> Float[Array, "d d"]:
    """Derivative of the energy in the box, atoms moving affinely; all pairs.

    Times the transposed box it is Kirchhoff's stress times the volume. Its own
    derivatives are contractions of `mixed` and `box_hessian`, formed once for however
    many directions.

    Returns:
        Energy per length of the potential, rows and columns as those of the box.
    """
    return _assembled_box_slope(law, atoms)


@eqx.filter_custom_jvp
def _assembled_box_slope(law, atoms):
    return _box_slope(law, atoms)


def _box_slope(law, atoms, neighbours=None):
    def of_box(box):
        moved = Atoms(atoms.positions, box, atoms.species)
        return law.energy(moved, neighbours)

    return jax.grad(of_box)(atoms.box)


@_assembled_box_slope.def_jvp
@full_precision
def _box_slope_jvp(primals, tangents):
    law, atoms = primals
    d_law, d_atoms = tangents
    slope = box_slope(law, atoms)
    change = jnp.zeros_like(slope)
    if d_atoms.box is not None:
        change += jnp.einsum("ikjl,jl->ik", law.box_hessian(atoms), d_atoms.box)
    if d_atoms.positions is not None:
        change += jnp.einsum("amik,am->ik", law.mixed(atoms), d_atoms.positions)
    if jax.tree.leaves(d_law):
        change += along_parameters(_box_slope, law, d_law, atoms)
    return slope, change


def along_parameters(function, law, d_law, atoms):
    """Derivative of `function(law, atoms)` in the parameters; for custom rules."""
    numbers, rest = eqx.partition(law, eqx.is_inexact_array)

    def of_numbers(numbers):
        return function(eqx.combine(numbers, rest), atoms)

    return eqx.filter_jvp(of_numbers, (numbers,), (d_law,))[1]
