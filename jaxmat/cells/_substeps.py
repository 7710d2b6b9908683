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
            keeps it.
        eps_bar: mean strain.
        last_fluctuation: change of the fluctuation over the last increment, and
        last_eps: that of the mean strain: where the next step begins to search.
    """

    laws: Any
    fluctuation: Nodal
    eps_bar: Float[Array, " m"]
    last_fluctuation: Nodal
    last_eps: Float[Array, " m"]

    def guess(self, eps_bar: Float[Array, " m"]) -> Nodal:
        """Fluctuation at another mean strain, if it goes on as it did."""
        change, square = eps_bar - self.eps_bar, jnp.sum(self.last_eps**2)
        share = jnp.sum(change * self.last_eps) / jnp.where(square > 0, square, 1.0)
        share = jnp.clip(share, 0.0, 2.0)
        pairs = zip(self.fluctuation, self.last_fluctuation, strict=True)
        return tuple(u + share * du for u, du in pairs)

    def follow(self, laws: Any, u: Nodal, eps_bar: Float[Array, " m"]) -> "CellState":
        """The state after an increment."""
        pairs = zip(u, self.fluctuation, strict=True)
        change = tuple(new - old for new, old in pairs)
        return CellState(laws, u, eps_bar, change, eps_bar - self.eps_bar)


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
        residual_norm: at the end of the last attempt, over the stress.
    """

    ends: Int[Array, " substeps"]
    fluctuation: Nodal
    num: Count
    converged: Bool[Array, ""]
    newton_steps: Count
    krylov_steps: Count
    residual_norm: Scalar


def plan(step: Step, *, rtol: Scalar, max_steps: Count) -> tuple[Plan, CellState]:
    """Find increments that converge, and the state that they lead to."""

    def unfinished(carry):
        _, mark, size, _ = carry
        return (mark < SUBSTEPS) & (size > 0)

    def attempt(carry):
        state, mark, size, found = carry
        end = mark + size
        increment = step.cut(state.laws, mark, end)
        guess = state.guess(increment.eps_bar)
        solution = equilibrate(increment, guess, rtol=rtol, max_steps=max_steps)
        (u, known), info = solution.value, solution.info
        found = found._replace(
            newton_steps=found.newton_steps + info.num_steps,
            krylov_steps=found.krylov_steps + info.inner_steps,
            residual_norm=info.residual_norm / known.scale,
        )

        def accept(_):
            stored = found._replace(
                ends=found.ends.at[found.num].set(end),
                fluctuation=jax.tree.map(
                    lambda all, x: all.at[found.num].set(x), found.fluctuation, u
                ),
                num=found.num + 1,
                converged=end == SUBSTEPS,
            )
            new = state.follow(known.laws, u, increment.eps_bar)
            return new, end, jnp.minimum(2 * size, SUBSTEPS - end), stored

        def reject(_):
            return state, mark, size // 2, found

        return jax.lax.cond(info.converged, accept, reject, None)

    zero = jnp.asarray(0)
    nothing = Plan(
        jnp.zeros(SUBSTEPS, zero.dtype),
        tuple(jnp.zeros((SUBSTEPS, *x.shape), x.dtype) for x in step.state.fluctuation),
        zero,
        jnp.asarray(False),
        zero,
        zero,
        jnp.zeros_like(step.eps_bar[0]),
    )
    begin = (step.state, zero, jnp.asarray(SUBSTEPS), nothing)
    state, _, _, found = jax.lax.while_loop(unfinished, attempt, begin)
    return found, state


class End(NamedTuple):
    """What a step ends with: states of the laws, fluctuation, stress at the points."""

    laws: Any
    fluctuation: Nodal
    sig: PointField


def take(step: Step, *, rtol: Scalar, max_steps: Count) -> tuple[End, CellState, Plan]:
    """The end of a step, differentiable, and NaN if it was not reached."""
    found, state = plan(_held(step), rtol=rtol, max_steps=max_steps)
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

    end = poison(follow(step, path), found.converged)
    # The fluctuation of a state is where a search begins: it has no derivatives.
    state = eqx.tree_at(lambda s: (s.laws, s.eps_bar), state, (end.laws, step.eps_bar))
    return end, state, found


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
