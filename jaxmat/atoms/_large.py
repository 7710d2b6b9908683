"""Boxes too large for all pairs: lists of neighbours, and Hessians that are sparse.

On concrete values: lists are made anew whenever they are out of date, and the Hessian
is factorised by SuperLU. In two dimensions that takes a hundredth of the time of a
dense factor, and a search preconditioned with it a hundredth of the evaluations.
"""

import functools
import math
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import scipy.sparse
import scipy.sparse.linalg
from jaxtyping import Array, Float

from jaxmat._types import Scalar, full_precision
from jaxmat.atoms._atoms import Atoms, cartesian, deform, shifted, volume
from jaxmat.atoms._neighbours import Neighbours, find_neighbours
from jaxmat.atoms._pair import AbstractPair
from jaxmat.atoms._pair_sum import listed_bonds
from jaxmat.atoms._potential import AbstractPotential
from jaxmat.atoms._relax import MAX_STEPS, bounds_for, checked
from jaxmat.atoms._rest import EVENT, ROUND, Settled
from jaxmat.atoms._validate import check_fits
from jaxmat.solve import Info, Solution, lbfgs

ALL_PAIRS = 600
"""Atoms up to which a list of neighbours takes longer than all pairs."""

SKIN = 0.12
"""Skin of the lists over the cutoff."""

_REGULAR = 1e-9
"""Added to the Hessian over its mean diagonal, since translations cost nothing."""


def list_neighbours(law: AbstractPotential, atoms: Atoms) -> Neighbours | None:
    """A list with room to spare, so that nothing is compiled again. On concrete values.

    Returns:
        The list; None up to `ALL_PAIRS` atoms.

    Raises:
        JaxmatError: if the box is narrower than twice the cutoff and the skin.
    """
    if atoms.num_atoms <= ALL_PAIRS:
        return None
    skin = SKIN * float(law.cutoff)
    reach = float(law.cutoff) + skin
    density = atoms.num_atoms / float(volume(atoms))
    ball = {2: math.pi, 3: 4 * math.pi / 3}[atoms.dimension] * reach**atoms.dimension
    capacity = min(math.ceil(1.5 * density * ball) + 8, atoms.num_atoms - 1)
    found = find_neighbours(atoms, law.cutoff, skin=skin, capacity=capacity)
    if bool(found.overflowed):
        found = find_neighbours(atoms, law.cutoff, skin=skin)
    return found


class SparseFactor:
    """The factorised Hessian of many atoms with a pair potential.

    It lies on the host; a compiled function that has one as a static argument calls
    back, and is compiled once for all that this object factorises.
    """

    _factor: scipy.sparse.linalg.SuperLU

    def factorise(
        self, law: AbstractPair, atoms: Atoms, neighbours: Neighbours | None
    ) -> tuple[float, float]:
        """Replace the factor.

        As `_rest.factorise` does: with shifts from a thousandth of the size of the
        diagonal in tenfold steps. Where there are no bonds the size is one.

        Returns:
            The shift that made the Hessian positive definite, zero in a minimum, and
            the size of its diagonal.
        """
        matrix = _sparse_hessian(law, atoms, neighbours)
        size = abs(float(matrix.diagonal().mean())) or 1.0
        eye = scipy.sparse.eye(matrix.shape[0], format="csc")
        shift = 0.0
        while True:
            self._factor = scipy.sparse.linalg.splu(
                matrix + (shift + _REGULAR * size) * eye,
                permc_spec="MMD_AT_PLUS_A",
                diag_pivot_thresh=0.0,
                options={"SymmetricMode": True},
            )
            # Without pivoting the signs of the pivots are those of the eigenvalues.
            if (self._factor.U.diagonal() > 0).all() or shift > 100 * size:
                return shift, size
            shift = max(10 * shift, 1e-3 * size)

    def solve(self, force: Float[Array, "atoms d"]) -> Float[Array, "atoms d"]:
        """Displacements that bring about a force."""
        like = jax.ShapeDtypeStruct(force.shape, force.dtype)
        return jax.pure_callback(self._solve_on_host, like, force)

    def _solve_on_host(self, force):
        force = np.asarray(force)
        found = self._factor.solve(force.ravel().astype(float))
        return found.reshape(force.shape).astype(force.dtype)


@eqx.filter_jit
def _blocks(law, atoms, neighbours):
    """Second derivatives of the energy of every ordered pair, (atoms, others, d, d)."""
    r, along, across = listed_bonds(law, atoms, neighbours)
    r = jnp.stack(r, axis=-1)
    eye = jnp.eye(r.shape[-1], dtype=r.dtype)
    outer = r[..., :, None] * r[..., None, :]
    return along[..., None, None] * outer + across[..., None, None] * eye


def _sparse_hessian(law, atoms, neighbours):
    blocks = np.asarray(_blocks(law, atoms, neighbours), float)
    n, others, d = blocks.shape[:3]
    if neighbours is None:
        columns = np.broadcast_to(np.arange(n), (n, n))
    else:
        columns = np.asarray(neighbours.indices)
    rows = np.broadcast_to(np.arange(n)[:, None], (n, others))
    listed = (columns < n) & np.any(blocks != 0, axis=(-1, -2))
    entries = scipy.sparse.bsr_array
    i, j, b = rows[listed], columns[listed], blocks[listed]
    start = np.concatenate([[0], np.cumsum(np.bincount(i, minlength=n))])
    between = entries((-b, j, start), shape=(n * d, n * d))
    own = entries((blocks.sum(1), np.arange(n), np.arange(n + 1)))
    return (own + between).tocsc()


@functools.cache
def _factor_for(shape: tuple[int, ...]) -> SparseFactor:
    """One for each shape, since each means another compilation."""
    return SparseFactor()


class _Round(NamedTuple):
    """What one search came to.

    Attributes:
        atoms: where it ended.
        info: of the minimisation.
        freed: energy set free.
        noise: in that energy.
        expected: what a quadratic energy would have set free.
        shift: what the Hessian at the start needed to be positive definite.
    """

    atoms: Atoms
    info: Info
    freed: Scalar
    noise: Scalar
    expected: Scalar
    shift: float = 0.0


@eqx.filter_jit
@full_precision
def _descend(law, atoms, neighbours, factor, free_box, stiffness, tolerance, steps):
    """A search for so many evaluations, no farther than the list is good for.

    Rows of `x` are displacements, then the stretch of a free box times its length.
    """
    (n, d), length = atoms.positions.shape, volume(atoms) ** (1 / atoms.dimension)

    def moved(x):
        if not free_box:
            return shifted(atoms, x)
        F = jnp.eye(d, dtype=x.dtype) + (x[n:] + x[n:].T) / (2 * length)
        return deform(shifted(atoms, x[:n]), F)

    def function(x):
        return law.energy(moved(x), neighbours)

    def precondition(q):
        return jnp.concatenate([factor.solve(q[:n]), q[n:] / stiffness])

    zero = jnp.zeros((n + d if free_box else n, d), atoms.positions.dtype)
    found = lbfgs(
        function,
        zero,
        tolerance=tolerance,
        max_steps=steps,
        max_move=jnp.min(law.core),
        precondition=None if factor is None else precondition,
    )
    before, expected = function(zero), jnp.asarray(jnp.inf)
    freed = before - function(found.value)
    noise = 100 * jnp.finfo(before.dtype).eps * jnp.abs(before)
    if factor is not None:
        slope = jax.grad(function)(zero)
        expected = jnp.sum(slope * precondition(slope)) / 2
    return _Round(moved(found.value), found.info, freed, noise, expected)


def _search(law, atoms, free_box, tolerance, max_steps) -> Settled:
    """Rounds, each with a new list and a new factor, until two stand still."""
    check_fits(law, atoms)
    tolerance, _ = bounds_for(atoms.positions.dtype, tolerance, max_steps)
    first = now = _round(law, atoms, free_box, tolerance, max_steps)
    taken, freed, still = int(now.info.num_steps), now.freed, 0
    while not bool(now.info.converged) and taken < max_steps and still < 2:
        before = now.atoms
        now = _round(law, before, free_box, tolerance, max_steps - taken)
        moved = np.asarray(cartesian(now.atoms) - cartesian(before))
        still = 0 if np.abs(moved).max() > 0 else still + 1
        taken += int(now.info.num_steps)
        freed += now.freed
    info = Info(now.info.converged, jnp.asarray(taken), now.info.residual_norm)
    event = freed > EVENT * first.expected + first.noise
    return Settled(now.atoms, info, event, jnp.asarray(first.shift > 0))


def _round(law, atoms, free_box, tolerance, max_steps) -> _Round:
    neighbours, factor, shift, stiffness = list_neighbours(law, atoms), None, 0.0, 1.0
    if isinstance(law, AbstractPair):
        factor = _factor_for(atoms.positions.shape)
        shift, stiffness = factor.factorise(law, atoms, neighbours)
        max_steps = min(ROUND, max_steps)
    numbers = [jnp.asarray(x) for x in (stiffness, tolerance, max_steps)]
    now = _descend(law, atoms, neighbours, factor, free_box, *numbers)
    return now._replace(shift=shift)


def relax_large(
    law: AbstractPotential,
    atoms: Atoms,
    *,
    free_box: bool = False,
    tolerance: float | None = None,
    max_steps: int = MAX_STEPS,
    throw: bool = True,
) -> Solution:
    """`relax` or `relax_box` for boxes of any size. On concrete values.

    Energies of a list that is out of date are NaN, which no search accepts: it ends
    where its list does, and goes on from there with a new one.

    Args:
        law: potential; searches are preconditioned where it is one of pairs.
        atoms: where to start.
        free_box: let the box stretch as well, until there is no stress.
        tolerance: see `relax` and `relax_box`.
        max_steps: bound on the evaluations.
        throw: raise if it is met first; otherwise look at `Solution.info`.

    Returns:
        `Solution` with the atoms, the images of atoms kept.

    Raises:
        JaxmatError: as `relax_box`; a box with lists has to be wider by the skin.
    """
    settled = _search(law, atoms, free_box, tolerance, max_steps)
    solution = checked(Solution(settled.atoms, settled.info), throw)
    if throw:
        check_fits(law, solution.value)
    return solution


def settle_large(
    law: AbstractPair,
    atoms: Atoms,
    box: Float[Array, "d d"],
    *,
    tolerance: float | None = None,
) -> Settled:
    """`settle` for boxes of any size, with lists of neighbours. On concrete values.

    Args:
        law: potential of pairs.
        atoms: at rest.
        box: the new box, strained by about 1e-3 or less.
        tolerance: on the largest component of any force; see `relax`.

    Returns:
        `Settled`; `irregular` tells of the Hessian after the affine move.

    Raises:
        JaxmatError: if atoms are not finite, the potential lacks their species, or the
            box is narrower than twice the cutoff (with lists: and the skin).
    """
    moved = Atoms(atoms.positions, box, atoms.species)
    return _search(law, moved, False, tolerance, MAX_STEPS)
