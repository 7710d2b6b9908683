"""A cell is a material made of materials that knows its effective stiffness."""

import abc

import equinox as eqx
import jax.numpy as jnp

from jaxmat._types import Count, Scalar
from jaxmat.materials import AbstractMaterial
from jaxmat.solve import Solution

NOT_CONVERGED = (
    "{verb}: equilibrium not reached in `max_steps` steps. The phase contrast is too "
    "high for this tolerance (raise `rtol` or `max_steps`), or the stiffness is not "
    "positive definite (see crystals.check_stiffness). Pass `throw=False` to inspect "
    "`Solution.info` instead."
)
NO_EQUILIBRIUM = (
    "{verb}: Newton's method found no equilibrium, although the step was cut into "
    "sixteenths. Either it is too large (use more steps), or the laws soften until "
    "there is none. Pass `throw=False` to inspect `Solution.info` instead."
)

MAX_STEPS = 1000


class AbstractCell(AbstractMaterial):
    """A material made of materials, small against the specimen, large against them."""

    @abc.abstractmethod
    def effective_stiffness(self, *, rtol: Scalar, max_steps: Count) -> Solution:
        """Effective stiffness at zero strain, Mandel, GPa, and how it was reached."""


def homogenise(
    cell: AbstractCell,
    *,
    rtol: float = 1e-6,
    max_steps: int = MAX_STEPS,
    throw: bool = True,
) -> Solution:
    """Effective stiffness of a cell.

    Gradients with respect to anything inside the cell are exact to `rtol`; reverse mode
    costs a fraction of the solve, because the effective energy is stationary.

    Args:
        cell: from `cells.grid_cell`, `cells.Laminate`, ...
        rtol: bound on the relative error of the strain fluctuation, energy norm.
        max_steps: bound on the iterations of each load case.
        throw: raise if the bound is met first; otherwise look at `Solution.info`.

    Returns:
        `Solution` with the Mandel stiffness, GPa, 6x6 (3x3 in a plane), and `Info` with
        the largest iteration count over the load cases.

    Raises:
        EquinoxRuntimeError: not converged, if `throw`.
    """
    solution = _solve(cell, jnp.asarray(rtol), jnp.asarray(max_steps))
    return raise_unless_converged(solution, "homogenise") if throw else solution


@eqx.filter_jit
def _solve(cell: AbstractCell, rtol: Scalar, max_steps: Count) -> Solution:
    # Tolerances are arrays, so that another one does not compile again.
    return cell.effective_stiffness(rtol=rtol, max_steps=max_steps)


def raise_unless_converged(
    solution: Solution, verb: str, sentence: str = NOT_CONVERGED
) -> Solution:
    """The border at which non-convergence becomes a sentence."""
    value = eqx.error_if(
        solution.value, ~solution.info.converged, sentence.format(verb=verb)
    )
    return Solution(value, solution.info)
