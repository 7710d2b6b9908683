"""Equilibrium of a linear medium on a grid, and its exact derivatives.

For a mean strain `eps_bar` the fluctuation `u` solves

    A(C) u = -force(C eps_bar),    A(C) u = force(C strain(u)).

Two derivative rules, both to any order, forward and reverse:

- `u` as a function of `C`: implicit function theorem, `lax.custom_linear_solve`.
- the effective stiffness: `eps_i . C_eff eps_j = <E_i : C : E_j>` is stationary in `u`,
  so its differential is `<E_i : dC : E_j>`, which costs one operator per load case and
  no further solve. The rule is itself written with the differentiable `u`, so that
  second derivatives are right too.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxmat._types import Count, Scalar
from jaxmat.cells._balance import Balance
from jaxmat.cells._discretisation import AbstractDiscretisation
from jaxmat.cells._elements import ModeStrain, Nodal, add
from jaxmat.cells._media import Entries, upper_triangle
from jaxmat.solve import Info, Solution, by_platform, conjugate_gradient, dot

# Up to so many voxels times load cases, a batch beats a loop on a CPU.
_SMALL = 2**13


def _matrix(entries: Entries) -> dict[tuple[int, int], Array]:
    size = int((np.sqrt(8 * len(entries) + 1) - 1) / 2)
    rows, columns = upper_triangle(size)
    out = {}
    for row, column, c in zip(rows, columns, entries, strict=True):
        out[int(row), int(column)] = out[int(column), int(row)] = c
    return out


def _stress(entries: Entries, eps: ModeStrain) -> ModeStrain:
    """Stress of every strain mode; a voxel's stiffness is constant inside it."""
    c = _matrix(entries)
    size = max(k for k, _ in c) + 1

    def row(k: int, mode: dict[int, Array]) -> Array:
        return add(c[k, m] * x for m, x in mode.items())

    return {s: {k: row(k, mode) for k in range(size)} for s, mode in eps.items()}


class LinearProblem:
    """Operator, load and solution of one discretised linear medium.

    Args:
        discretisation: static.
        entries: stiffness of every voxel and halo voxel, GPa, upper triangle.
    """

    def __init__(
        self,
        discretisation: AbstractDiscretisation,
        entries: Entries,
    ):
        self.discretisation = discretisation
        self.balance = Balance(discretisation)
        if discretisation.natural:
            inside = self.balance.inside(entries[0].dtype)
            entries = tuple(c * inside for c in entries)
        self.entries = entries
        mean = [jnp.mean(discretisation.crop(c)) for c in entries]
        size = discretisation.num_strains
        reference = jnp.zeros((size, size), mean[0].dtype)
        for k, m, c in zip(*upper_triangle(size), mean, strict=True):
            reference = reference.at[k, m].set(c).at[m, k].set(c)
        self.mean_stiffness = jax.lax.stop_gradient(reference)

    def force(self, u: Nodal, eps_bar: Float[Array, " m"] | None) -> Nodal:
        """`divergence(C (eps_bar + strain(u)))`: zero in equilibrium."""
        return self.balance.force(self._stress, u, eps_bar)

    def load(self, eps_bar: Float[Array, " m"]) -> Nodal:
        """`-divergence(C eps_bar)`: what a mean strain asks of the fluctuation."""
        uniform = {(): dict(enumerate(eps_bar))}
        return tuple(-f for f in self.balance.divergence(self._stress(uniform)))

    def mean_stress(self, u: Nodal, eps_bar: Float[Array, " m"]) -> Float[Array, " m"]:
        """Average stress, GPa."""
        return self.balance.mean(self._stress(self.balance.strain(u, eps_bar)))

    def fields(
        self, u: Nodal, eps_bar: Float[Array, " m"]
    ) -> tuple[Array, Array, Array]:
        """Total displacement, and voxel means of strain and stress, channel last."""
        method = self.discretisation
        mean = {(): self.balance.strain(u, eps_bar)[()]}
        eps, sig = (
            jnp.stack([method.crop(mode[()][k]) for k in sorted(mode[()])], -1)
            for mode in (mean, self._stress(mean))
        )
        return method.displacement(u, eps_bar), eps, sig

    def solver(self, *, rtol: Scalar, max_steps: Count) -> Callable[[Nodal], Solution]:
        """The map from `load(eps_bar)` to the fluctuation, differentiable."""
        precondition = self.discretisation.preconditioner(self.mean_stiffness)

        @jax.jit  # traced once, though the solve asks for it six times
        def operator(u: Nodal) -> Nodal:
            return self.force(u, None)

        def invert(operator: Callable, rhs: Nodal):
            # A load that every grain bears alike leaves nothing but rounding.
            rhs = self.discretisation.project(rhs)
            solution = conjugate_gradient(
                operator, rhs, precondition, rtol=rtol, max_steps=max_steps
            )
            # Linear solves admit floats only as auxiliary output.
            return solution.value, _as_floats(solution.info, rhs[0].dtype)

        def solve(load: Nodal) -> Solution:
            u, info = jax.lax.custom_linear_solve(  # pyright: ignore
                operator, load, invert, symmetric=True, has_aux=True
            )
            return Solution(u, _as_info(info))

        return solve

    def _stress(self, eps: ModeStrain) -> ModeStrain:
        return _stress(self.entries, eps)


def _as_floats(info: Info, dtype) -> tuple[Array, ...]:
    return tuple(
        jnp.asarray(x, dtype)
        for x in (info.converged, info.num_steps, info.residual_norm)
    )


def _as_info(floats: tuple[Array, ...]) -> Info:
    converged, num_steps, norm = (jax.lax.stop_gradient(x) for x in floats)
    return Info(converged > 0.5, jnp.round(num_steps).astype(int), norm)


def _works(cases: Nodal, force: Nodal) -> Float[Array, " cases"]:
    """Work of a force on the displacements of all load cases.

    A product for each: a batched one is differentiated into a sum over its leading
    axis, for which XLA's CPU code took ten times as long.
    """
    size = cases[0].shape[0]
    return jnp.stack([dot(tuple(x[i] for x in cases), force) for i in range(size)])


def map_load_cases(fn: Callable, cases, grid_size: int):
    """`vmap` on accelerators and for small grids; one after the other on a CPU.

    A CPU keeps the vectors of one load case in its cache: measured at 525^2, three load
    cases in a batch take 1.3 times as long as in turn.
    """
    num = jax.tree.leaves(cases)[0].shape[0]
    if num * grid_size <= _SMALL:
        return jax.vmap(fn)(cases)
    return by_platform(cases, cpu=lambda c: jax.lax.map(fn, c), default=jax.vmap(fn))


def effective_stiffness(
    discretisation: AbstractDiscretisation,
    entries: Entries,
    *,
    rtol: Scalar,
    max_steps: Count,
) -> Solution:
    """Symmetric effective stiffness `<E_i : C : E_j>`, GPa, with the worst `Info`."""
    size = discretisation.num_strains
    # Not a JAX array: a rule must not close over what belongs to an outer trace.
    cases = np.eye(size, dtype=entries[0].dtype)

    def solve_all(entries):
        """Displacement, `Info` and mean stress of every load case.

        The mean stress is `<C> E_j + <C strain(u_j)>`, and the second part is the work
        of the loads on the displacement: `E_i . <C strain(u_j)> = -load_i . u_j`.
        """
        problem = LinearProblem(discretisation, entries)
        solve = problem.solver(rtol=rtol, max_steps=max_steps)
        num_voxels = discretisation.grid.size
        loads = map_load_cases(problem.load, cases, num_voxels)

        def one(load):
            solution = solve(load)
            return solution, _works(loads, solution.value) / num_voxels

        fluctuation, work = map_load_cases(one, loads, num_voxels)
        return fluctuation, problem.mean_stiffness - work

    def energies(entries, u):
        """`<E_i : C : E_j>` for all pairs: linear in the stiffness."""
        problem = LinearProblem(discretisation, entries)

        def one(case):
            force, mean = problem.force(*case), problem.mean_stress(*case)
            # `dot` sums over the voxels; the average of the energy is wanted.
            return mean + _works(u, force) / discretisation.grid.size

        # Recompute the strains in the backward pass: they are six fields a load case.
        return map_load_cases(jax.checkpoint(one), (u, cases), discretisation.grid.size)

    @jax.custom_jvp
    def stationary(entries, u, mean):
        return (mean + mean.T) / 2

    @stationary.defjvp
    def differential(primals, tangents):
        (entries, u, mean), (dentries, *_) = primals, tangents
        change = energies(dentries, u)
        return stationary(entries, u, mean), (change + change.T) / 2

    fluctuation, mean = solve_all(entries)
    value = stationary(entries, fluctuation.value, mean)
    return Solution(value, _worst(fluctuation.info))


def _worst(info: Info) -> Info:
    return Info(
        jnp.all(info.converged), jnp.max(info.num_steps), jnp.max(info.residual_norm)
    )
