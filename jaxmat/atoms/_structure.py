"""Structure of a configuration: who stands where, and who has moved against whom.

All pairs, in blocks of atoms; distances are minimum images, so nothing is asked beyond
half the smallest perpendicular width of the box.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Float, Int

from jaxmat._check import JaxmatError, check_positive, check_shape
from jaxmat._types import Scalar, full_precision
from jaxmat.atoms._atoms import Atoms, volume
from jaxmat.atoms._space import minimum_image, perpendicular_widths
from jaxmat.atoms._validate import check_finite

BLOCK = 128
"""Atoms whose distances to all others are in memory at once."""


def radial_distribution(
    atoms: Atoms,
    edges: Float[Array, " bins_1"],
    of: int | None = None,
    around: int | None = None,
) -> Float[Array, " bins"]:
    """Radial distribution function `g(r)`: one everywhere in an ideal gas.

    Not differentiable: it counts.

    Args:
        atoms: configuration.
        edges: of the bins, increasing.
        of: species of the neighbours that are counted; all by default.
        around: species of the atoms in the middle; all by default.

    Returns:
        Mean of `g` over each bin, the shell of a sphere (of a circle in the plane).

    Raises:
        JaxmatError: if edges do not increase, the last is beyond half the smallest
            perpendicular width, or there is no atom of a species or no pair.
    """
    n, d = atoms.positions.shape
    if jnp.ndim(edges) != 1 or len(edges) < 2 or _is_false(jnp.diff(edges) > 0):
        raise JaxmatError("`edges` do not increase; give two or more in their order.")
    _check_reach(atoms, edges)

    def chosen(species):
        if species is None:
            return jnp.ones(n, bool)
        found = atoms.species == species
        if _is_false(jnp.any(found)):
            raise JaxmatError(f"there is no atom of species {species}; take another.")
        return found

    counted, middle = chosen(of), chosen(around)
    pairs = jnp.sum(middle) * jnp.sum(counted) - jnp.sum(middle & counted)
    if _is_false(pairs > 0):
        raise JaxmatError("there is one atom and no pair; give two or more.")

    def of_row(i):
        r = _distances(atoms, i)
        where = jnp.searchsorted(edges, r, side="right")
        weight = counted & (jnp.arange(n) != i) & middle[i]
        return jnp.zeros(len(edges) + 1, int).at[where].add(weight.astype(int))

    rows = jax.lax.map(of_row, jnp.arange(n), batch_size=BLOCK)
    counts = jnp.sum(rows, axis=0)[1:-1]
    shells = jnp.diff(edges**d) * (4 * jnp.pi / 3 if d == 3 else jnp.pi)
    return counts * volume(atoms) / (pairs * shells)


@full_precision
def structure_factor(
    atoms: Atoms, waves: Int[Array, "waves d"]
) -> Float[Array, " waves"]:
    """Structure factor `|sum exp(-i k . r)|^2 / N` of all atoms alike.

    Args:
        atoms: configuration.
        waves: integers `h` of the waves that fit the box, `k = 2 pi box^-T h` (see
            `wave_numbers`).

    Returns:
        `S(k)` of each wave; one on average in an ideal gas.

    Raises:
        JaxmatError: if the waves are no integers, or of another dimension.
    """
    _check_waves(atoms, waves)
    phase = 2 * jnp.pi * atoms.positions @ waves.T.astype(atoms.positions.dtype)
    real, imaginary = jnp.sum(jnp.cos(phase), 0), jnp.sum(jnp.sin(phase), 0)
    return (real**2 + imaginary**2) / atoms.num_atoms


@full_precision
def wave_numbers(atoms: Atoms, waves: Int[Array, "waves d"]) -> Float[Array, " waves"]:
    """Lengths of the wave vectors `2 pi box^-T h`; mistakes as `structure_factor`.

    Returns:
        One for each wave, 1 over the length of the box.
    """
    _check_waves(atoms, waves)
    k = jnp.linalg.solve(atoms.box.T, waves.T.astype(atoms.box.dtype))
    return 2 * jnp.pi * jnp.linalg.norm(k, axis=0)


@full_precision
def d2min(
    before: Atoms, after: Atoms, cutoff: Scalar | float
) -> Float[Array, " atoms"]:
    """Non-affine motion of each atom's neighbourhood, `D^2_min`.

    The sum over neighbours before of the squared change of their distance vectors that
    the best affine map leaves: a length squared, zero for any affine map of all atoms.

    Args:
        before: configuration that neighbours are taken from.
        after: the same atoms later; fractional positions as they stand, so that images
            may differ from those before by less than half a box only.
        cutoff: neighbours are closer than this.

    Returns:
        One number for each atom.

    Raises:
        JaxmatError: if the cutoff is not positive or beyond half the smallest
            perpendicular width, or the atoms are not the same or not finite.

    References:
        Falk & Langer (1998), Phys. Rev. E 57, 7192-7205, equations 2.11 to 2.14.
    """
    n, d = before.positions.shape
    check_shape("after.positions", after.positions, (n, d), hint="give the same atoms")
    if _is_false(before.species == after.species):
        raise JaxmatError("the species before and after differ; give the same atoms.")
    check_finite(before)
    check_finite(after)
    check_positive("cutoff", cutoff)
    _check_reach(before, jnp.asarray(cutoff))

    def of_atom(i):
        s = minimum_image(before.positions - before.positions[i])
        old = s @ before.box.T
        near = (jnp.sum(old**2, 1) < cutoff**2) & (jnp.arange(n) != i)
        # The image whose motion is shortest in units of the box.
        moved = after.positions - before.positions
        s_new = s + minimum_image(moved - moved[i])
        new = s_new @ after.box.T
        weight = near.astype(old.dtype)[:, None]
        x, y = (new * weight).T @ old, (old * weight).T @ old
        # Too few neighbours leave directions free; they are not moved.
        affine = x @ jnp.linalg.pinv(y, hermitian=True)
        left = (new - old @ affine.T) * weight
        return jnp.sum(left**2)

    return jax.lax.map(of_atom, jnp.arange(n), batch_size=BLOCK)


def participation_ratio(mode: Float[Array, "atoms d"]) -> Scalar:
    """Share of the atoms that take part in a mode: one if all alike, `1/N` if one only.

    `(sum u^2)^2 / (N sum u^4)` with the lengths `u` of the displacements.

    Returns:
        A share, without unit, whatever the unit and the size of the mode.
    """
    square = jnp.sum(mode**2, axis=1)
    return jnp.sum(square) ** 2 / (len(mode) * jnp.sum(square**2))


@full_precision
def _distances(atoms: Atoms, i: Int[Array, ""]) -> Float[Array, " atoms"]:
    r = minimum_image(atoms.positions - atoms.positions[i]) @ atoms.box.T
    return jnp.linalg.norm(r, axis=1)


def _is_false(condition: Array) -> bool:
    """Whether it fails somewhere; no where it is traced."""
    return not isinstance(condition, Tracer) and not bool(np.all(condition))


def _check_waves(atoms: Atoms, waves: Array) -> None:
    shape, d = jnp.shape(waves), atoms.dimension
    if len(shape) != 2 or shape[1] != d or not jnp.issubdtype(waves.dtype, jnp.integer):
        raise JaxmatError(
            f"`waves` has shape {shape} and holds {waves.dtype}; give integers, {d} "
            "for each wave."
        )


def _check_reach(atoms: Atoms, lengths: Array) -> None:
    check_positive("lengths", lengths, zero=True)
    if isinstance(lengths, Tracer) or isinstance(atoms.box, Tracer):
        return
    reach, width = np.max(lengths), np.min(perpendicular_widths(atoms.box))
    if reach > width / 2 * (1 + 1e-12):
        raise JaxmatError(
            f"{reach:.4g} is more than half of the box's width, {width:.4g}: farther "
            "atoms have several images; ask for less, or repeat the box."
        )
