"""Atoms at rest: how they follow a slow change of their box or their potential.

At rest the derivative of the energy in the fractional positions `s` vanishes, so

    E_ss ds + E_s,box d box + E_s,law d law = 0,

which is all that derivatives of anything at rest need: no iteration is differentiated.
For up to `DENSE` coordinates `E_ss` is formed and factorised once, and all directions
share the factors; beyond, conjugate gradients on products with it, which need no more
memory than the gradient of the energy.
"""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from jaxmat._types import Count, Scalar, full_precision
from jaxmat.atoms._atoms import Atoms, deform, shifted, volume
from jaxmat.atoms._neighbours import list_pairs
from jaxmat.atoms._potential import (
    AbstractPotential,
    along_parameters,
    box_slope,
    check_covers,
    position_slope,
)
from jaxmat.atoms._relax import bounds_for
from jaxmat.atoms._space import inverse
from jaxmat.atoms._validate import check_at_rest, check_fits
from jaxmat.solve import Info, conjugate_gradient, in_turn, lbfgs

DENSE = 1800
"""Coordinates up to which the Hessian is formed: 600 atoms in three dimensions."""

ROUND = 40
"""Evaluations of the gradient after which the Hessian is formed anew."""

MAX_ROUNDS = 50

LONG_ROUND = 1000
"""The same without a Hessian; a list of neighbours is then made anew."""

EVENT = 3.0
"""Energy set free over what a quadratic energy would set free, beyond which atoms have
gone over to another minimum."""


class Factor(eqx.Module):
    """Factorised Hessian, made positive definite.

    Attributes:
        lower: Cholesky factor of the Hessian plus `shift`, translations made stiff.
        shift: what had to be added to its diagonal; zero in a minimum.
    """

    lower: Float[Array, "m m"]
    shift: Scalar

    def solve(self, force: Float[Array, "atoms d"]) -> Float[Array, "atoms d"]:
        """Displacements that bring about a force."""
        return _substitute(self.lower, force.ravel()).reshape(force.shape)


@in_turn
@full_precision
def _substitute(lower, force):
    return jax.scipy.linalg.cho_solve((lower, True), force)


@full_precision
def factorise(law: AbstractPotential, atoms: Atoms) -> Factor:
    """Factorise the Hessian; where it is not positive definite, with a shift.

    The shift grows tenfold from a thousandth of the mean diagonal until it is enough.
    """
    lower, shift = _cholesky(_without_translations(law.hessian(atoms), atoms))
    return Factor(lower, shift)


def _without_translations(matrix: Array, atoms: Atoms) -> Float[Array, "m m"]:
    """Moving all atoms alike costs nothing; here it costs as much as anything else."""
    n, d = atoms.positions.shape
    size = jnp.trace(matrix) / (n * d)
    alike = jnp.eye(d, dtype=matrix.dtype)[None, :, None, :]
    return (matrix.reshape(n, d, n, d) + size / n * alike).reshape(matrix.shape)


@in_turn
@full_precision
def _cholesky(matrix):
    on, size = jnp.arange(len(matrix)), jnp.mean(jnp.diag(matrix))

    def attempt(shift):
        shifted = matrix.at[on, on].add(shift)
        return jnp.linalg.cholesky(shifted, symmetrize_input=False)

    def failed(state):
        return ~jnp.isfinite(state[0][-1, -1]) & (state[1] < 100 * jnp.abs(size))

    def shift_more(state):
        shift = jnp.maximum(10 * state[1], 1e-3 * jnp.abs(size))
        return attempt(shift), shift

    zero = jnp.zeros_like(size)
    return jax.lax.while_loop(failed, shift_more, (attempt(zero), zero))


def at_rest(law: AbstractPotential, atoms: Atoms) -> Float[Array, "atoms d"]:
    """Fractional positions of atoms at rest, as a function of box and potential.

    They are the positions given. What it adds is their derivative: positions follow the
    box and the parameters so that forces stay zero, exactly, forward and reverse and to
    any order. The derivative in the positions given is zero: the minimum does not
    depend on where in its basin the search for it began.

    Where the Hessian is not positive definite the atoms are not in a minimum and there
    is no derivative; the Hessian is then shifted until it is (see `factorise`).

    Args:
        law: potential.
        atoms: at rest, see `relax`.

    Returns:
        `atoms.positions`.
    """
    return _at_rest(law, atoms)


@eqx.filter_custom_jvp
def _at_rest(law, atoms):
    return atoms.positions


@_at_rest.def_jvp
@full_precision
def _at_rest_jvp(primals, tangents):
    law, atoms = primals
    d_law, d_atoms = tangents
    positions = _at_rest(law, atoms)
    atoms = Atoms(positions, atoms.box, atoms.species)
    if d_atoms.box is None and not jax.tree.leaves(d_law):
        return positions, None
    push = jnp.zeros_like(positions)
    if d_atoms.box is not None:
        push += jnp.einsum("amik,ik->am", law.mixed(atoms), d_atoms.box)
    if jax.tree.leaves(d_law):
        push += along_parameters(position_slope, law, d_law, atoms)
    return positions, -_compliance(law, atoms)(push)


def _compliance(law: AbstractPotential, atoms: Atoms) -> Callable[[Array], Array]:
    """The inverse of the second derivative in fractional positions, as a function.

    Its factors are held, and the equations that it solves are not: derivatives of
    higher order are those of the equations.
    """
    if atoms.positions.size > DENSE:
        return _matrix_free(law, atoms)
    matrix = _without_translations(law.hessian(atoms), atoms)
    held = jax.lax.stop_gradient(matrix)
    factor = Factor(*_cholesky(held))
    to_fractional = inverse(atoms.box)

    @full_precision
    def product(u):
        return matrix @ u + factor.shift * u

    def follow(push):
        u = jax.lax.custom_linear_solve(
            product,
            (push @ to_fractional).ravel(),
            lambda _, force: _substitute(factor.lower, force),
            symmetric=True,
        )
        return u.reshape(push.shape) @ to_fractional.T

    return follow


def _matrix_free(law: AbstractPotential, atoms: Atoms) -> Callable[[Array], Array]:
    to_fractional = inverse(atoms.box)

    def product(u):
        return law.hessian_product(atoms, u)

    def solve(_, force):
        balanced = force - jnp.mean(force, axis=0)
        found = conjugate_gradient(
            product, balanced, lambda r: r, rtol=1e-10, max_steps=2 * force.size
        )
        # Without a minimum there is no answer, and none is made up.
        return jnp.where(found.info.converged, found.value, jnp.nan)

    @full_precision
    def follow(push):
        force = push @ to_fractional
        u = jax.lax.custom_linear_solve(product, force, solve, symmetric=True)
        return u @ to_fractional.T

    return follow


class Settled(eqx.Module):
    """Atoms at rest in a new box, and how they got there.

    Attributes:
        atoms: at rest.
        info: of the minimisation; its steps are gradient evaluations.
        event: whether atoms went over to another minimum.
        irregular: whether the Hessian at the start was not positive definite.
    """

    atoms: Atoms
    info: Info
    event: Bool[Array, ""]
    irregular: Bool[Array, ""]


class _Round(eqx.Module):
    displacement: Float[Array, "atoms d"]
    frame: Atoms  # where the Hessian is taken
    info: Info
    expected: Scalar  # energy that a quadratic energy would set free
    irregular: Bool[Array, ""]
    rounds: Count


@full_precision
def settle(
    law: AbstractPotential,
    atoms: Atoms,
    box: Float[Array, "d d"],
    *,
    tolerance: float | None = None,
    capacity: int | None = None,
) -> Settled:
    """Let atoms at rest follow a small change of their box: one athermal step.

    They move affinely, then down: by L-BFGS preconditioned with the factorised Hessian
    from before the step, whose first direction is the non-affine displacement to first
    order. All pairs. Not differentiable; `at_rest` is. Beyond `DENSE` coordinates
    without the Hessian, and then irregular steps are not told.

    Args:
        law: potential.
        atoms: at rest.
        box: the new box, strained by about 1e-3 or less.
        tolerance: on the largest component of any force; see `relax`.
        capacity: columns of a list of neighbours, beyond `DENSE`. It is made where the
            atoms are, and again when they have left it: under `vmap` too, since no
            step of the search asks whether. All pairs without.

    Returns:
        `Settled`. An event is flagged if the energy set free by the non-affine
        displacement is over three times that of a quadratic energy, which it equals
        for a small step within a minimum. Beyond `DENSE` that energy is half the work
        of the first forces along the whole displacement.

    Raises:
        JaxmatError: as `relax`, of the new box.
    """
    moved = Atoms(atoms.positions, box, atoms.species)
    check_fits(law, moved)
    largest_force, _ = bounds_for(atoms.positions.dtype, tolerance)
    dense = atoms.positions.size <= DENSE

    def energy_near(u):
        """The energy as a function, exact while atoms stay near some displacement."""
        listed = None
        if capacity is not None and not dense:
            listed = list_pairs(shifted(moved, u), law.cutoff, capacity)
        return lambda u: law.energy(shifted(moved, u), listed)

    def descend(now: _Round) -> _Round:
        factor = factorise(law, now.frame) if dense else None
        function = energy_near(now.displacement)
        found = lbfgs(
            function,
            now.displacement,
            tolerance=largest_force,
            max_steps=ROUND if dense else LONG_ROUND,
            max_move=jnp.min(law.core),
            precondition=None if factor is None else factor.solve,
        )
        first = now.rounds == 0
        irregular, expected = now.irregular, now.expected
        if factor is not None:
            force = jax.grad(function)(now.displacement)
            work = jnp.sum(force * factor.solve(force)) / 2
            expected = jnp.where(first, work, expected)
            irregular = jnp.where(first, factor.shift > 0, irregular)
        return _Round(
            found.value,
            shifted(moved, found.value),
            Info(
                found.info.converged,
                now.info.num_steps + found.info.num_steps,
                found.info.residual_norm,
            ),
            expected,
            irregular,
            now.rounds + 1,
        )

    def running(now: _Round) -> Bool[Array, ""]:
        return ~now.info.converged & (now.rounds < MAX_ROUNDS)

    zero = jnp.zeros_like(atoms.positions)
    none, no = jnp.asarray(0), jnp.asarray(False)
    infinite = jnp.asarray(jnp.inf, zero.dtype)
    start = _Round(zero, atoms, Info(no, none, infinite), infinite, no, none)
    end = jax.lax.while_loop(running, descend, start)
    before, slope = jax.value_and_grad(energy_near(zero))(zero)
    after = energy_near(end.displacement)(end.displacement)
    expected = end.expected if dense else jnp.abs(jnp.sum(slope * end.displacement)) / 2
    noise = 100 * jnp.finfo(before.dtype).eps * jnp.abs(before)
    event = before - after > EVENT * expected + noise
    return Settled(end.frame, end.info, event, end.irregular)


def elastic_moduli(law: AbstractPotential, atoms: Atoms) -> Float[Array, "d d d d"]:
    """Derivative of the first Piola-Kirchhoff stress in `F` at `F = 1`, at T = 0.

    `A_iJkL = (E_FF - E_Fs E_ss^-1 E_sF) / V`: the atoms stay at rest while the box
    deforms. This is the derivative of forces on the undeformed faces. It contains the
    stress of the reference and has the symmetry `A_ijkl = A_klij` only; in a reference
    without stress it has all symmetries, and `mandel.from_tensor4` makes the stiffness
    of it.

    Args:
        law: potential, smooth to second order at the cutoff.
        atoms: at rest, see `relax`.

    Returns:
        Moduli in the potential's energy per volume.

    Raises:
        JaxmatError: as `energy`, or if a force would move an atom by a thousandth of
            its size; in a trace neither is seen.

    References:
        Lutsko (1989), J. Appl. Phys. 65, 2991-2997.
    """
    check_covers(law, atoms)
    check_at_rest(law, atoms)
    return _moduli(law, atoms, at_rest)


def born_moduli(law: AbstractPotential, atoms: Atoms) -> Float[Array, "d d d d"]:
    """The same with all atoms moved affinely, `E_FF / V`: an upper bound.

    Args:
        law: potential, smooth to second order at the cutoff.
        atoms: any configuration.

    Returns:
        Moduli in the potential's energy per volume.

    Raises:
        JaxmatError: as `energy`.

    References:
        Born & Huang (1954), Dynamical Theory of Crystal Lattices.
    """
    check_covers(law, atoms)
    return _moduli(law, atoms, lambda _, atoms: atoms.positions)


@full_precision
def _moduli(law, atoms, follow):
    eye, V = jnp.eye(atoms.dimension, dtype=atoms.box.dtype), volume(atoms)

    def first_piola(F):
        now = deform(atoms, F)
        now = Atoms(follow(law, now), now.box, now.species)
        return box_slope(law, now) @ atoms.box.T / V

    return jax.jacfwd(first_piola)(eye)
