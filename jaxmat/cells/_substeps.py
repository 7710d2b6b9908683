"""A step of a nonlinear cell, cut into smaller ones where Newton's method fails.

The plan is made first, without derivatives: an increment that fails is halved, one that
succeeds is followed by one twice as large. Then the increments of the plan are run
again from their solutions, which costs one evaluation of the laws each, and there they
are differentiable. So the derivatives of a step are those of the increments that it was
cut into, exactly, and jump where another strain is cut otherwise.
"""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from jaxmat._types import Count, Scalar
from jaxmat.cells import _quadrature
from jaxmat.cells._discretisation import AbstractDiscretisation
from jaxmat.cells._elements import Nodal
from jaxmat.cells._media import AbstractMedium, PointField
from jaxmat.cells._nonlinear import Increment, attach, equilibrate
from jaxmat.solve import poison

SUBSTEPS = 16
"""Increments of a step at most: four halvings of all of it."""


class CellState(eqx.Module):
    """History of a nonlinear cell.

    Attributes:
        laws: states of the laws at their integration points: leading axes voxels and
            points; one entry for each phase in a cell of grains.
        fluctuation: displacement beside that of the mean strain, as the discretisation
            keeps it; where the next step starts to search.
        eps_bar: mean strain.
    """

    laws: Any
    fluctuation: Nodal
    eps_bar: Float[Array, " m"]


class Step(eqx.Module):
    """From a state to a mean strain; `cut` gives its parts.

    Attributes:
        medium: the laws.
        state: at the beginning.
        eps_bar: mean strain at the end.
        dt: duration, seconds.
        reference: stiffness that the preconditioner inverts, GPa.
        discretisation: static.
        plane: None, "strain" or "stress", static.
    """

    medium: AbstractMedium
    state: CellState
    eps_bar: Float[Array, " m"]
    dt: Scalar
    reference: Float[Array, "m m"]
    discretisation: AbstractDiscretisation = eqx.field(static=True)
    plane: str | None = eqx.field(static=True)

    def cut(self, laws: Any, begin: Count, end: Count) -> Increment:
        """The increment between two marks, of which the whole step has `SUBSTEPS`."""
        dtype = self.eps_bar.dtype
        share = (end / SUBSTEPS).astype(dtype)
        return Increment(
            self.medium,
            laws,
            (1 - share) * self.state.eps_bar + share * self.eps_bar,
            self.dt * ((end - begin) / SUBSTEPS).astype(self.dt.dtype),
            self.reference,
            self.discretisation,
            self.plane,
        )


class Plan(NamedTuple):
    """Increments that a step is cut into.

    Attributes:
        ends: mark at the end of each.
        fluctuation: there, stacked.
        num: how many there are.
        converged: whether the last one reached the end of the step.
        newton_steps: of all attempts.
        krylov_steps: of all attempts.
    """

    ends: Int[Array, " substeps"]
    fluctuation: Nodal
    num: Count
    converged: Bool[Array, ""]
    newton_steps: Count
    krylov_steps: Count


def plan(step: Step, *, rtol: Scalar, max_steps: Count) -> Plan:
    """Find increments that converge."""

    def unfinished(carry):
        _, _, mark, size, _ = carry
        return (mark < SUBSTEPS) & (size > 0)

    def attempt(carry):
        laws, u, mark, size, found = carry
        end = mark + size
        increment = step.cut(laws, mark, end)
        solution = equilibrate(increment, u, rtol=rtol, max_steps=max_steps)
        info = solution.info

        def accept(_):
            new = increment.respond(solution.value)[1]
            stored = found._replace(
                ends=found.ends.at[found.num].set(end),
                fluctuation=jax.tree.map(
                    lambda all, x: all.at[found.num].set(x),
                    found.fluctuation,
                    solution.value,
                ),
                num=found.num + 1,
                converged=end == SUBSTEPS,
            )
            return new, solution.value, end, jnp.minimum(2 * size, SUBSTEPS - end), stored

        def reject(_):
            return laws, u, mark, size // 2, found

        laws, u, mark, size, found = jax.lax.cond(info.converged, accept, reject, None)
        found = found._replace(
            newton_steps=found.newton_steps + info.num_steps,
            krylov_steps=found.krylov_steps + info.inner_steps,
        )
        return laws, u, mark, size, found

    start, zero = step.state.fluctuation, jnp.asarray(0)
    nothing = Plan(
        jnp.zeros(SUBSTEPS, zero.dtype),
        tuple(jnp.zeros((SUBSTEPS, *x.shape), x.dtype) for x in start),
        zero,
        jnp.asarray(False),
        zero,
        zero,
    )
    begin = (step.state.laws, start, zero, jnp.asarray(SUBSTEPS), nothing)
    return jax.lax.while_loop(unfinished, attempt, begin)[-1]


class End(NamedTuple):
    """What a step ends with: new states, fluctuation, stress at the points."""

    laws: Any
    fluctuation: Nodal
    sig: PointField


def take(step: Step, *, rtol: Scalar, max_steps: Count) -> tuple[End, Plan]:
    """The end of a step, differentiable; NaN if it was not reached."""
    found = plan(_held(step), rtol=rtol, max_steps=max_steps)
    slots = jnp.arange(SUBSTEPS)
    begins = jnp.where(slots > 0, jnp.roll(found.ends, 1), 0)
    path = (slots < found.num, begins, found.ends, found.fluctuation)

    # Gradients along a path would keep every slot of every step, most of them empty.
    @jax.checkpoint
    def follow(step: Step, path) -> End:
        num_points = _quadrature.num_points(len(step.discretisation.modes))
        shape = (step.discretisation.grid.size, num_points, step.eps_bar.size)
        nothing = jnp.zeros(shape, step.eps_bar.dtype)

        @jax.checkpoint
        def run(carry: End, slot) -> tuple[End, None]:
            needed, begin, end, u = slot

            def increment(carry: End) -> End:
                increment = step.cut(carry.laws, begin, end)
                u_end = attach(u, increment, rtol, max_steps)
                sig, laws = increment.respond(u_end)
                new = End(laws, u_end, sig)
                return jax.tree.map(lambda x, y: jnp.where(needed, x, y), new, carry)

            return jax.lax.cond(_anywhere(needed), increment, lambda c: c, carry), None

        start = End(step.state.laws, step.state.fluctuation, nothing)
        return jax.lax.scan(run, start, path)[0]

    return poison(follow(step, path), found.converged), found


def _held(tree: Any) -> Any:
    return jax.tree.map(
        lambda x: jax.lax.stop_gradient(x) if eqx.is_inexact_array(x) else x, tree
    )


@jax.custom_batching.custom_vmap
def _anywhere(needed: Bool[Array, ""]) -> Bool[Array, ""]:
    """Whether any of a batch needs it, so that a branch stays a branch."""
    return needed


@_anywhere.def_vmap
def _anywhere_in_batch(axis_size, in_batched, needed):
    return _anywhere(jnp.any(needed)), False
