"""Neighbour lists for boxes too large for all pairs.

A list is a matrix, one row of indices for each atom, filled up with the number of atoms
where there are no more. It is symmetric: each pair stands in two rows. It holds all
pairs up to the cutoff and a skin; as long as no pair can have come in from outside, the
energy computed with it is exact, and beyond that it is NaN. A list cannot be rebuilt
inside `vmap` without being rebuilt at every step, so it is an argument, made outside.
"""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from jaxmat._check import JaxmatError, check_positive, check_whole
from jaxmat._types import Count, Scalar, full_precision
from jaxmat.atoms._atoms import Atoms
from jaxmat.atoms._space import (
    inverse,
    minimum_image,
    perpendicular_widths,
    separations,
)

REACH = 1.1
"""Reach of a list over the cutoff, by default."""


class Neighbours(eqx.Module):
    """Who is near whom, and for how long that is true.

    Attributes:
        indices: neighbours of each atom; the number of atoms stands for none.
        longest: the most neighbours that an atom has; more than columns is an overflow.
        origin: fractional positions when the list was made.
        box: of that time.
        reach: cutoff plus skin, up to which all pairs are listed.
    """

    indices: Int[Array, "atoms neighbours"]
    longest: Count
    origin: Float[Array, "atoms d"]
    box: Float[Array, "d d"]
    reach: Scalar

    @property
    def overflowed(self) -> Bool[Array, ""]:
        """Whether there was no room for some pairs."""
        return self.longest > self.indices.shape[1]


@full_precision
def is_current(neighbours: Neighbours, atoms: Atoms, cutoff: Scalar) -> Bool[Array, ""]:
    """Whether every pair within `cutoff` is sure to be in the list.

    A pair outside was at least `reach` apart. The box has since been deformed by some
    `F`, which shrinks no vector by more than the smallest singular value of `F`, and
    each atom has moved by at most `u` beside that: the pair is still at least
    `F_min reach - 2 u` apart.

    Raises:
        JaxmatError: if the list is of another number of atoms.
    """
    check_listed(neighbours, atoms)
    F = atoms.box @ inverse(neighbours.box)
    shrink = jnp.sqrt(jnp.linalg.eigvalsh(F.T @ F)[0])
    moved = minimum_image(atoms.positions - neighbours.origin) @ atoms.box.T
    farthest = jnp.sqrt(jnp.max(jnp.sum(moved**2, axis=-1)))
    return ~neighbours.overflowed & (shrink * neighbours.reach - 2 * farthest >= cutoff)


def check_listed(neighbours: Neighbours, atoms: Atoms) -> None:
    """Raise if the list is of another number of atoms."""
    if neighbours.origin.shape != atoms.positions.shape:
        raise JaxmatError(
            f"the list was made for {len(neighbours.origin)} atoms and there are "
            f"{atoms.num_atoms}; make it for these."
        )


def only_if_current(
    energy: Scalar, neighbours: Neighbours | None, atoms: Atoms, cutoff: Scalar
) -> Scalar:
    """NaN instead of an energy computed with a list that may lack pairs."""
    if neighbours is None:
        return energy
    # A factor, and not a choice between numbers, makes derivatives NaN as well.
    current = is_current(neighbours, atoms, cutoff)
    return energy * jnp.where(current, 1.0, jnp.nan).astype(energy.dtype)


def pair_vectors(
    atoms: Atoms, neighbours: Neighbours | None
) -> tuple[list[Array], list[Array], Bool[Array, "atoms others"]]:
    """Differences `s_i - s_j` of ordered pairs, and which of them are pairs at all.

    Args:
        atoms: configuration.
        neighbours: their list, or None for all pairs.

    Returns:
        Fractional and Cartesian components, each an array (atoms, others), where others
        are all atoms or those in the list; and a mask that leaves out the atom itself
        and the empty places of the list.
    """
    n, d = atoms.positions.shape
    here = [atoms.positions[:, k, None] for k in range(d)]
    if neighbours is None:
        there = [atoms.positions[None, :, k] for k in range(d)]
        index = jnp.arange(n)
        counts = index[:, None] != index
    else:
        check_listed(neighbours, atoms)
        there = [atoms.positions[neighbours.indices % n, k] for k in range(d)]
        counts = neighbours.indices < n
    s = [minimum_image(a - b) for a, b in zip(here, there, strict=True)]
    return s, separations(s, atoms.box), counts


def find_neighbours(
    atoms: Atoms,
    cutoff: Scalar | float,
    *,
    skin: float | None = None,
    capacity: int | None = None,
) -> Neighbours:
    """List all pairs closer than the cutoff and a skin. On concrete values.

    Args:
        atoms: configuration.
        cutoff: of the potential, `law.cutoff`.
        skin: added to the cutoff, so that the list stays right while atoms move by half
            of it; a tenth of the cutoff by default.
        capacity: columns of the list. By default a fifth more than needed now. With a
            given capacity lists have the same shape and nothing is compiled again, but
            a list may overflow: `overflowed` says so, and energies are NaN.

    Returns:
        The list.

    Raises:
        JaxmatError: if the box is narrower than twice the reach, so that an atom could
            be a neighbour twice; if a position is not finite, there are several
            configurations, or the cutoff, the skin or the capacity make no sense.
    """
    if atoms.positions.ndim != 2 or not np.isfinite(atoms.positions).all():
        raise JaxmatError(
            f"`positions` has shape {atoms.positions.shape}, or NaN; give the finite "
            "positions of one configuration."
        )
    check_positive("cutoff", cutoff)
    check_positive("skin", 0.0 if skin is None else skin, zero=True)
    check_whole("capacity", 1 if capacity is None else capacity, 1)
    cutoff = float(cutoff)
    reach = cutoff * REACH if skin is None else cutoff + skin
    widths = np.asarray(perpendicular_widths(atoms.box))
    if not widths.min() >= 2 * reach:
        raise JaxmatError(
            f"the box is {widths.min():.4g} wide, less than twice cutoff and skin, "
            f"{2 * reach:.4g}; take a larger box or a thinner skin, or all pairs."
        )
    # Cells at least as wide as the reach, or fewer of them than 27 to look through.
    cells = tuple(int(n) for n in np.floor(widths / reach))
    cells = cells if min(cells) >= 3 else (1,) * len(cells)
    fill = _fill(atoms.positions, cells)
    reach = jnp.asarray(reach, atoms.box.dtype)
    if capacity is None:
        longest = int(_search(atoms, reach, cells, fill, 1).longest)
        capacity = min(math.ceil(1.2 * longest) + 1, max(atoms.num_atoms - 1, 1))
    return _search(atoms, reach, cells, fill, capacity)


def list_pairs(atoms: Atoms, cutoff: Scalar, capacity: int) -> Neighbours:
    """The same with the default skin inside a trace, by looking through all pairs.

    Takes as long as some ten energies with the list: once for many, not at every step.

    Args:
        atoms: configuration; the box is at least twice the reach wide.
        cutoff: of the potential, `law.cutoff`.
        capacity: columns of the list.

    Returns:
        The list, `overflowed` where the capacity did not suffice.
    """
    n, d = atoms.positions.shape
    reach = jnp.asarray(REACH * cutoff, atoms.box.dtype)
    return _search(atoms, reach, (1,) * d, n, capacity)


def _cell_of(positions: Array, cells: tuple[int, ...]) -> Array:
    """Number of the cell that each atom is in."""
    counts = jnp.asarray(cells)
    place = jnp.floor((positions - jnp.floor(positions)) * counts).astype(int)
    place = jnp.minimum(place, counts - 1)  # 1 - 1e-17 rounds to 1
    return jnp.ravel_multi_index(tuple(place.T), cells, mode="clip")


def _fill(positions: Array, cells: tuple[int, ...]) -> int:
    """Atoms in the fullest cell, rounded up so that few sizes are ever compiled."""
    most = int(np.bincount(np.asarray(_cell_of(positions, cells))).max())
    return min(4 * math.ceil(most / 4), len(positions))


@eqx.filter_jit
def _search(
    atoms: Atoms, reach: Scalar, cells: tuple[int, ...], fill: int, capacity: int
) -> Neighbours:
    """Look through the cell of each atom and those around it."""
    n, d = atoms.positions.shape
    cell = _cell_of(atoms.positions, cells)
    order = jnp.argsort(cell)
    rank = jnp.arange(n) - jnp.searchsorted(cell[order], cell[order])
    members = jnp.full((math.prod(cells), fill), n).at[cell[order], rank].set(order)
    offsets = np.indices((3,) * d).reshape(d, -1).T - 1 if min(cells) > 1 else [[0] * d]

    def around(i):
        place = jnp.stack(jnp.unravel_index(cell[i], cells))
        near = (place + jnp.asarray(offsets)) % jnp.asarray(cells)
        others = members[jnp.ravel_multi_index(tuple(near.T), cells, mode="clip")]
        others = others.ravel()
        s = minimum_image(atoms.positions[i] - atoms.positions[others % n])
        square = sum(x * x for x in separations([*s.T], atoms.box))
        listed = (square < reach**2) & (others < n) & (others != i)
        (found,) = jnp.nonzero(listed, size=capacity, fill_value=len(others))
        return jnp.append(others, n)[found], jnp.sum(listed)

    indices, counts = jax.lax.map(around, jnp.arange(n), batch_size=256)
    return Neighbours(indices, jnp.max(counts), atoms.positions, atoms.box, reach)
