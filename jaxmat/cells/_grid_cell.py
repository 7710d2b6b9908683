"""A periodic or bounded specimen on a regular grid, solved to equilibrium."""

from collections.abc import Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Float

from jaxmat import crystals
from jaxmat._check import JaxmatError, check_option, check_shape
from jaxmat._types import Count, Scalar, full_precision
from jaxmat.cells import _linear, _media, _quadrature
from jaxmat.cells._axes import BOUNDARIES
from jaxmat.cells._base import MAX_STEPS, AbstractCell, raise_unless_converged
from jaxmat.cells._discretisation import AbstractDiscretisation, Elements, Fourier
from jaxmat.cells._media import PLANES, AbstractMedium, Grains, LawField
from jaxmat.cells._substeps import CellState, Step, take
from jaxmat.materials import AbstractMaterial, LinearElastic
from jaxmat.microstructure import Grid, Microstructure
from jaxmat.solve import Solution, poison

DISCRETISATIONS = ("full", "reduced", "fourier")


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

    Attributes:
        medium: what fills the grid; its leaves are what gradients are taken of.
        plane: None for three displacement components, "strain" or "stress" for two.
        boundary: condition on each axis.
        scheme: "full", "reduced" or "fourier".
        rtol: relative tolerance of `update`.
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
        u, eps_bar = self.discretisation.zeros(dtype), jnp.zeros(self.num_strains, dtype)
        return CellState(laws, u, eps_bar)

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
        end, _ = self._take(eps, state, dt, self.rtol, MAX_STEPS)
        u = jax.lax.stop_gradient(end.fluctuation)
        return jnp.mean(end.sig, (0, 1)), CellState(end.laws, u, eps)

    def _take(self, eps, state, dt, rtol, max_steps):
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
        rtol, max_steps = jnp.asarray(rtol, eps.dtype), jnp.asarray(max_steps)
        return take(step, rtol=rtol, max_steps=max_steps)

    def effective_stiffness(self, *, rtol, max_steps):
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


def grid_cell(
    microstructure: Microstructure,
    laws: Sequence[AbstractMaterial] | AbstractMaterial,
    *,
    plane: str | None = None,
    boundary: str | Sequence[str] = "periodic",
    discretisation: str = "full",
) -> GridCell:
    """A polycrystal on a grid, as a material.

    Args:
        microstructure: grains and phases on a grid of two or three dimensions.
        laws: one linear law per phase, crystal frame, six strain components.
        plane: None in 3D and for 2.5D (a columnar body: fields do not vary along x3,
            but all three displacement components and six strains are there); "strain"
            or "stress" for two components in 2D.
        boundary: "periodic"; "kubc", linear displacement prescribed on the boundary;
            "subc", uniform traction; or one of them for each axis.
        discretisation: "full" (linear elements, exact integration), "reduced" (one
            integration point, hourglass modes left free; not with "subc"), or
            "fourier" (periodic only).

    Returns:
        A `GridCell`, which `homogenise`, `local_fields`, `tangent` and `drive` accept.

    Raises:
        JaxmatError: for an option that does not exist or does not fit the grid, a law
            missing for a phase, a law that is not linear, or plane strain where a grain
            has no mirror plane normal to x3.
    """
    medium = _media.grains(microstructure, _media.one_per_phase(laws))
    return _build(medium, plane, boundary, discretisation)


def field_cell(
    grid: Grid,
    law: AbstractMaterial,
    *,
    plane: str | None = None,
    boundary: str | Sequence[str] = "periodic",
    discretisation: str = "full",
) -> GridCell:
    """A cell with a law of its own in every voxel, such as a graded mixture.

    Args:
        grid: the grid.
        law: linear, batched over the grid with `jax.vmap`, in the sample frame.
        plane: as in `grid_cell`.
        boundary: as in `grid_cell`.
        discretisation: as in `grid_cell`.

    Returns:
        A `GridCell`; gradients reach the leaves of `law`.

    Raises:
        JaxmatError: as in `grid_cell`, or if the law is not batched over the grid.
    """
    return _build(LawField(grid, law), plane, boundary, discretisation)


def _build(medium, plane, boundary, discretisation) -> GridCell:
    grid = medium.grid
    check_option("plane", plane, PLANES)
    check_option("discretisation", discretisation, DISCRETISATIONS)
    if plane is not None and grid.ndim != 2:
        raise JaxmatError(
            f"`plane` is {plane!r} on a grid of {grid.ndim} dimensions; give a 2D "
            "grid, or leave `plane` out."
        )
    axes = (boundary,) * grid.ndim if isinstance(boundary, str) else tuple(boundary)
    if len(axes) != grid.ndim:
        raise JaxmatError(
            f"`boundary` has {len(axes)} entries, the grid {grid.ndim} axes; give one "
            "condition, or one for each axis."
        )
    for condition in axes:
        check_option("boundary", condition, BOUNDARIES)
    if discretisation == "fourier" and set(axes) != {"periodic"}:
        raise JaxmatError(
            f'`boundary` is {boundary!r}, but "fourier" is periodic by construction; '
            'use "full" or "reduced".'
        )
    if discretisation == "reduced" and "subc" in axes:
        raise JaxmatError(
            f"`boundary` is {boundary!r}, but one-point elements have mechanisms on a "
            'free boundary; use `discretisation="full"`.'
        )
    _check_laws(medium, plane)
    return GridCell(medium, plane, axes, discretisation)


def _check_laws(medium: AbstractMedium, plane: str | None) -> None:
    if isinstance(medium, Grains):
        num = len(medium.laws)
        phase = medium.microstructure.phase
        largest = 0 if isinstance(phase, Tracer) else int(np.asarray(phase).max())
        if largest >= num:
            raise JaxmatError(
                f"the microstructure has {largest + 1} phases but `laws` {num}; give "
                "one law per phase."
            )
        _check_values(medium)
    if plane is None and medium.num_strains != 6:
        raise JaxmatError(
            "`law` has 3 strain components but `plane` is None; say which plane."
        )
    traced = any(isinstance(x, Tracer) for x in jax.tree.leaves(medium))
    if plane == "strain" and isinstance(medium, Grains) and not traced:
        with jax.ensure_compile_time_eval():
            crystals.check_plane_strain(medium.table(None))


def _check_values(medium: Grains) -> None:
    """Raise for orientations and stiffnesses that no crystal has; voids are allowed."""
    orientation = medium.microstructure.orientation
    if not isinstance(orientation, Tracer):
        norm = np.linalg.norm(np.asarray(orientation), axis=-1)
        bad = np.flatnonzero(~(np.isfinite(norm) & (norm > 0)))
        if bad.size:
            raise JaxmatError(
                f"the orientation of grain {bad[0]} is "
                f"{np.asarray(orientation)[bad[0]].tolist()}; give a finite quaternion "
                "that is not zero."
            )
    for law in medium.laws:
        if not isinstance(law, LinearElastic) or isinstance(law.stiffness, Tracer):
            continue
        values = np.asarray(law.stiffness)
        scale = np.abs(values).max()
        # float32 constants are symmetric, and voids semidefinite, to rounding only.
        if not np.isfinite(scale) or np.abs(values - values.T).max() > 1e-5 * scale:
            raise JaxmatError(
                "the stiffness of a law is not finite and symmetric; give "
                "a symmetric Mandel matrix (see crystals.check_stiffness)."
            )
        smallest = float(np.linalg.eigvalsh(values)[0])
        if smallest < -1e-5 * scale:
            raise JaxmatError(
                f"the stiffness of a law has the eigenvalue {smallest:.3g} GPa; a "
                "stable crystal has none below zero (see crystals.check_stiffness)."
            )


def local_fields(
    cell: GridCell,
    eps_bar: Float[Array, " m"],
    *,
    rtol: float = 1e-6,
    max_steps: int = MAX_STEPS,
    throw: bool = True,
) -> Solution:
    """Displacement, strain and stress in a specimen under a mean strain.

    Args:
        cell: from `grid_cell`.
        eps_bar: mean Mandel strain, 6 components (3 in a plane).
        rtol: relative tolerance of the equilibrium.
        max_steps: bound on the iterations.
        throw: raise if not converged.

    Returns:
        `Solution` with `Fields`; derivatives by the implicit function theorem.

    Raises:
        JaxmatError: if `eps_bar` has the wrong number of components.
        EquinoxRuntimeError: not converged, if `throw`.
    """
    check_shape("eps_bar", eps_bar, (cell.num_strains,), hint="Mandel components")
    result = _fields(cell, eps_bar, jnp.asarray(rtol), jnp.asarray(max_steps))
    return raise_unless_converged(result, "local_fields") if throw else result


@eqx.filter_jit
def _fields(cell: GridCell, eps_bar: Array, rtol: Scalar, max_steps: Count) -> Solution:
    problem = cell._problem()
    solve = problem.solver(rtol=rtol, max_steps=max_steps)
    solution = solve(problem.load(eps_bar))
    fields = problem.fields(solution.value, eps_bar)
    return Solution(Fields(*fields), solution.info)
