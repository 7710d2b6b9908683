"""A periodic or bounded specimen on a regular grid, solved to equilibrium."""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxmat._check import JaxmatError, check_shape
from jaxmat._types import Count, Scalar, full_precision
from jaxmat.cells import _linear, _media, _quadrature
from jaxmat.cells._balance import Balance
from jaxmat.cells._base import (
    MAX_STEPS,
    NO_EQUILIBRIUM,
    NOT_CONVERGED,
    AbstractCell,
    raise_unless_converged,
)
from jaxmat.cells._discretisation import AbstractDiscretisation, Elements, Fourier
from jaxmat.cells._media import AbstractMedium
from jaxmat.cells._nonlinear import ROUNDING
from jaxmat.cells._substeps import CellState, Step, take
from jaxmat.solve import Info, Solution, poison


class Fields(eqx.Module):
    """Local fields of a specimen under a mean strain.

    Attributes:
        displacement: total displacement, micrometres, at the voxel corners, one more
            than voxels along each axis (at voxel centres for "fourier").
        eps: Mandel strain, voxel means.
        sig: Mandel stress, voxel means, GPa.
    """

    displacement: Float[Array, "*nodes d"]
    eps: Float[Array, "*grid m"]
    sig: Float[Array, "*grid m"]


class GridCell(AbstractCell):
    """Materials on a grid, in equilibrium: itself a material. Build with `grid_cell`.

    With linear laws it has no state. Otherwise every voxel has integration points (four
    in 2D and eight in 3D for "full", else one), and the `CellState` holds what they
    remember. A step that Newton's method does not solve is cut into increments of a
    straight path, down to a sixteenth; without success the answer is NaN. Derivatives
    are exact for the increments that were taken: those of the cut step, which jump
    where another strain is cut otherwise. Laws whose tangent is not symmetric (see
    `AbstractMaterial.has_symmetric_tangent`) take another linear solver, at twice the
    price.

    Attributes:
        medium: what fills the grid; its leaves are what gradients are taken of.
        plane: None for three displacement components, "strain" or "stress" for two.
        boundary: condition on each axis.
        scheme: "full", "reduced" or "fourier".
        rtol: relative tolerance of `update`, of the residual in the energy norm: beside
            that of the load in a linear cell, else beside the norm of the stress.
    """

    medium: AbstractMedium
    plane: str | None = eqx.field(static=True)
    boundary: tuple[str, ...] = eqx.field(static=True)
    scheme: str = eqx.field(static=True)
    rtol: float = eqx.field(static=True, default=1e-8)

    @property
    def discretisation(self) -> AbstractDiscretisation:
        """The displacement space; static."""
        grid, plane = self.medium.grid, self.plane is not None
        if self.scheme == "fourier":
            return Fourier(grid, plane)
        return Elements(grid, plane, self.scheme, self.boundary)

    @property
    def num_strains(self) -> int:
        return 6 if self.plane is None else 3

    @property
    def is_linear(self) -> bool:
        return self.medium.is_linear

    @property
    def has_symmetric_tangent(self) -> bool:
        return self.medium.has_symmetric_tangent

    def init_state(self, key=None) -> CellState | None:
        if self.is_linear:
            return None
        num_points = _quadrature.num_points(len(self.discretisation.modes))
        laws = self.medium.init_state(num_points, key)
        dtype = self.medium.dtype
        u = self.discretisation.zeros(dtype)
        eps_bar = jnp.zeros(self.num_strains, dtype)
        return CellState(laws, u, eps_bar, u, eps_bar)

    def update(self, eps, state, dt):
        if not self.is_linear:
            return self._update_nonlinear(eps, state, dt)
        problem = self._problem()
        rtol, max_steps = jnp.asarray(self.rtol), jnp.asarray(MAX_STEPS)
        solution = problem.solver(rtol=rtol, max_steps=max_steps)(problem.load(eps))
        sig = problem.mean_stress(solution.value, eps)
        return poison(sig, solution.info.converged), state

    @full_precision  # also of a user's law
    def _update_nonlinear(self, eps, state, dt):
        end, state, _ = self._take(eps, state, dt, self.rtol, MAX_STEPS)
        return jnp.mean(end.sig, (0, 1)), state

    def _take(self, eps, state, dt, rtol, max_steps):
        if state is None:
            raise JaxmatError(
                "`state` is None, but the cell has a history; begin with "
                "`cell.init_state()`."
            )
        reference = self._problem().mean_stiffness.astype(eps.dtype)
        step = Step(
            self.medium,
            state,
            eps,
            jnp.asarray(dt, eps.dtype),
            reference,
            self.discretisation,
            self.plane,
        )
        # Sums of rounded numbers are not exact to the last digit.
        rtol = jnp.maximum(rtol, ROUNDING * jnp.finfo(eps.dtype).eps).astype(eps.dtype)
        return take(step, rtol=rtol, max_steps=jnp.asarray(max_steps))

    def effective_stiffness(self, *, rtol, max_steps):
        if not self.has_symmetric_tangent:
            raise JaxmatError(
                "`homogenise` takes laws with a symmetric tangent; use "
                "`tangent(cell, eps, state, dt)`."
            )
        return _linear.effective_stiffness(
            self.discretisation,
            self._stiffness(),
            rtol=rtol,
            max_steps=max_steps,
        )

    def _problem(self) -> _linear.LinearProblem:
        return _linear.LinearProblem(self.discretisation, self._stiffness())

    def _stiffness(self) -> _media.Entries:
        return self.medium.stiffness(self.plane, self.discretisation.extend)


def local_fields(
    cell: GridCell,
    eps_bar: Float[Array, " m"],
    *,
    state: CellState | None = None,
    dt: float = 1.0,
    rtol: float = 1e-6,
    max_steps: int = MAX_STEPS,
    throw: bool = True,
) -> Solution:
    """Displacement, strain and stress in a specimen under a mean strain.

    Of a cell with a history these are the fields at the end of a step. To see a moment
    of a path again, give the state before it with the mean strain after it.

    Args:
        cell: from `grid_cell`.
        eps_bar: mean Mandel strain, 6 components (3 in a plane).
        state: of a cell with a history, at the beginning of the step; virgin if None.
        dt: duration of the step, seconds.
        rtol: relative tolerance of the equilibrium.
        max_steps: bound on the iterations of a linear solve.
        throw: raise if not converged.

    Returns:
        `Solution` with `Fields`; derivatives by the implicit function theorem. The
        iterations of `Info` are those of all linear solves.

    Raises:
        JaxmatError: if `eps_bar` has the wrong number of components.
        EquinoxRuntimeError: not converged, if `throw`.
    """
    check_shape("eps_bar", eps_bar, (cell.num_strains,), hint="Mandel components")
    numbers = (jnp.asarray(x) for x in (dt, rtol, max_steps))
    if cell.is_linear:
        result, sentence = _fields(cell, eps_bar, *numbers), NOT_CONVERGED
    else:
        result = _fields_after(cell, eps_bar, state, *numbers)
        sentence = NO_EQUILIBRIUM
    if not throw:
        return result
    return raise_unless_converged(result, "local_fields", sentence)


@eqx.filter_jit
def _fields(cell: GridCell, eps_bar: Array, _, rtol: Scalar, max_steps: Count):
    problem = cell._problem()
    solve = problem.solver(rtol=rtol, max_steps=max_steps)
    solution = solve(problem.load(eps_bar))
    fields = problem.fields(solution.value, eps_bar)
    return Solution(Fields(*fields), solution.info)


@eqx.filter_jit
@full_precision  # also of a user's law
def _fields_after(
    cell: GridCell,
    eps_bar: Array,
    state: CellState | None,
    dt: Scalar,
    rtol: Scalar,
    max_steps: Count,
) -> Solution:
    start = cell.init_state() if state is None else state
    end, _, plan = cell._take(eps_bar, start, dt, rtol, max_steps)
    method = cell.discretisation
    eps = Balance(method).strain(end.fluctuation, eps_bar)[()]
    fields = Fields(
        method.displacement(end.fluctuation, eps_bar),
        jnp.stack([method.crop(eps[k]) for k in sorted(eps)], -1),
        jnp.mean(end.sig, 1).reshape(*method.grid.shape, -1),
    )
    return Solution(fields, Info(plan.converged, plan.krylov_steps, plan.residual_norm))
