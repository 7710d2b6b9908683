"""From any configuration down to one without forces, or without forces and stress."""

import equinox as eqx
import jax.numpy as jnp
from jax.core import Tracer
from jaxtyping import Array

from jaxmat._check import JaxmatError, check_positive
from jaxmat._types import Count, Scalar, full_precision
from jaxmat.atoms._atoms import Atoms, deform, shifted, volume
from jaxmat.atoms._neighbours import Neighbours
from jaxmat.atoms._potential import AbstractPotential
from jaxmat.atoms._validate import check_fits
from jaxmat.solve import Solution, lbfgs

STALLED = (
    "relax: forces did not fall to `tolerance` in `max_steps` evaluations; take a "
    "smooth potential (smoothing 'curvature'), atoms that do not lie on each other "
    "(`atoms.check`), more steps or a tolerance above rounding, or pass `throw=False` "
    "to look at where it ended."
)

MAX_STEPS = 20_000


def bounds_for(
    dtype: jnp.dtype, tolerance: Scalar | float | None, max_steps: int = MAX_STEPS
) -> tuple[Scalar, Count]:
    """Tolerance and number of evaluations, checked, as arrays."""
    if tolerance is None:
        tolerance = tolerance_for(dtype)
    check_positive("tolerance", tolerance)
    check_positive("max_steps", max_steps)
    return jnp.asarray(tolerance), jnp.asarray(max_steps)


def tolerance_for(dtype: jnp.dtype) -> float:
    """Largest force that counts as none: what rounding of positions leaves, and more.

    In double precision 1e-10, in single 2e-3, in units of the potential: positions are
    known to 1e-16 and 6e-8 of the box, and bonds are some hundreds of units stiff.
    """
    return 1e-10 if jnp.finfo(dtype).bits == 64 else 2e-3


def relax(
    law: AbstractPotential,
    atoms: Atoms,
    neighbours: Neighbours | None = None,
    *,
    tolerance: float | None = None,
    max_steps: int = MAX_STEPS,
    throw: bool = True,
) -> Solution:
    """Minimise the energy in a fixed box, with the `lbfgs` of `solve`.

    Not differentiable; `at_rest` is.

    Args:
        law: potential.
        atoms: where to start, even at random.
        neighbours: see `AbstractPotential.energy`. It must stay current all the way.
        tolerance: on the largest component of any force; by default 1e-10 in double
            and 2e-3 in single precision.
        max_steps: bound on the evaluations.
        throw: raise if it is met first; otherwise look at `Solution.info`.

    Returns:
        `Solution` with the atoms, the images of atoms kept.

    Raises:
        JaxmatError: if atoms are not finite, the potential lacks their species, the box
            is narrower than twice the cutoff, a bound is not positive, or it did not
            converge and `throw`; in a trace the last is an EquinoxRuntimeError, and the
            others are not seen.
    """
    check_fits(law, atoms)
    bounds = bounds_for(atoms.positions.dtype, tolerance, max_steps)
    return checked(_relax(law, atoms, neighbours, *bounds), throw)


@eqx.filter_jit
def _relax(law, atoms, neighbours, tolerance: Scalar, max_steps: Count) -> Solution:
    found = lbfgs(
        lambda u: law.energy(shifted(atoms, u), neighbours),
        jnp.zeros_like(atoms.positions),
        tolerance=tolerance,
        max_steps=max_steps,
        max_move=jnp.min(law.core),
    )
    return Solution(shifted(atoms, found.value), found.info)


def relax_box(
    law: AbstractPotential,
    atoms: Atoms,
    *,
    tolerance: float | None = None,
    max_steps: int = MAX_STEPS,
    throw: bool = True,
) -> Solution:
    """Minimise the energy in positions and box: no forces and no stress.

    The box is stretched without rotation, all its stretches free. All pairs.

    Args:
        law: potential.
        atoms: where to start; at rest or nearly.
        tolerance: on the largest component of any force, and of the stress times the
            volume over a length of the box.
        max_steps: bound on the evaluations.
        throw: raise if it is met first; otherwise look at `Solution.info`.

    Returns:
        `Solution` with the atoms in their new box.

    Raises:
        JaxmatError: as `relax`, also for the box where it ends if `throw`.
    """
    check_fits(law, atoms)
    bounds = bounds_for(atoms.positions.dtype, tolerance, max_steps)
    solution = checked(_relax_box(law, atoms, *bounds), throw)
    if throw:
        check_fits(law, solution.value)
    return solution


@eqx.filter_jit
@full_precision
def _relax_box(law, atoms, tolerance: Scalar, max_steps: Count) -> Solution:
    n, d = atoms.positions.shape
    length = volume(atoms) ** (1 / d)

    def moved(x: Array) -> Atoms:
        """Rows of `x`: displacements, then the stretch times a length of the box."""
        stretch = (x[n:] + x[n:].T) / (2 * length)
        F = jnp.eye(d, dtype=x.dtype) + stretch
        return deform(shifted(atoms, x[:n]), F)

    found = lbfgs(
        lambda x: law.energy(moved(x)),
        jnp.zeros((n + d, d), atoms.positions.dtype),
        tolerance=tolerance,
        max_steps=max_steps,
        max_move=jnp.min(law.core),
    )
    return Solution(moved(found.value), found.info)


def checked(solution: Solution, throw: bool) -> Solution:
    if not throw:
        return solution
    if not isinstance(solution.info.converged, Tracer):
        if solution.info.converged:
            return solution
        raise JaxmatError(STALLED)
    value = eqx.error_if(solution.value, ~solution.info.converged, STALLED)
    return Solution(value, solution.info)
