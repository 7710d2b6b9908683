"""Equilibrium of laws that are not linear, one increment of strain at a time.

The residual is the nodal force of the stress at the integration points. Newton's method
takes the consistent tangent there, one matrix a point, and solves the linear problem
with it by a Krylov method, preconditioned by the virgin medium's mean.

An increment is differentiated by the implicit function theorem at its end, to any
order and in both modes.

References:
    Gelebart & Mondon-Cancel (2013), Comput. Mater. Sci. 77, 430-439.
    Leute et al. (2022), J. Comput. Phys. 453, 110931.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

from jaxmat._types import Count, Scalar, full_precision
from jaxmat.cells import _quadrature
from jaxmat.cells._balance import Balance
from jaxmat.cells._discretisation import AbstractDiscretisation
from jaxmat.cells._elements import ModeStrain, Nodal, add
from jaxmat.cells._media import AbstractMedium, PointField
from jaxmat.solve import Solution, bicgstab, conjugate_gradient, inexact_newton, poison

MAX_NEWTON_STEPS = 20
ROUNDING = 64.0
"""Rounding that a residual keeps, in units of that of stress or strain."""

Tangent = list[dict[tuple[int, int], Array]]  # point -> row, column -> array


class Increment(eqx.Module):
    """All that decides the equilibrium at the end of one increment.

    Attributes:
        medium: the laws.
        states: of the laws, at its beginning.
        eps_bar: mean strain at its end.
        dt: its duration, seconds.
        reference: stiffness that the preconditioner inverts, GPa.
        discretisation: static.
        plane: None, "strain" or "stress", static.
    """

    medium: AbstractMedium
    states: Any
    eps_bar: Float[Array, " m"]
    dt: Scalar
    reference: Float[Array, "m m"]
    discretisation: AbstractDiscretisation = eqx.field(static=True)
    plane: str | None = eqx.field(static=True)

    @property
    def balance(self) -> Balance:
        return Balance(self.discretisation)

    def strain(self, u: Nodal) -> PointField:
        """Strain at the integration points of every voxel."""
        method = self.discretisation
        points = _quadrature.to_points(self.balance.strain(u, self.eps_bar))
        field = [[method.crop(eps[k]) for k in sorted(eps)] for eps in points]
        field = jnp.stack([jnp.stack(eps, -1) for eps in field], -2)
        return field.reshape(-1, *field.shape[-2:])

    def respond(self, u: Nodal) -> tuple[PointField, PyTree]:
        """Stress at the integration points, and the states at the end."""
        return self.medium.update(self.plane, self.strain(u), self.states, self.dt)

    def force(self, sig: PointField) -> Nodal:
        """Nodal force of a stress, without what no displacement can bear."""
        method = self.discretisation
        voxels = sig.reshape(*method.grid.shape, *sig.shape[1:])
        points = [
            {k: voxels[..., q, k] for k in range(sig.shape[2])}
            for q in range(sig.shape[1])
        ]
        modes = _quadrature.to_modes(points, method.modes)
        extended = {
            s: {k: method.extend(x) for k, x in mode.items()}
            for s, mode in modes.items()
        }
        return method.project(self.balance.divergence(extended))

    @eqx.filter_jit  # traced once, though a search asks for it twice
    def linearise(self, u: Nodal) -> tuple[Nodal, "Known"]:
        """Force, and the rest that is known from asking the laws once."""
        eps = self.strain(u)
        sig, laws, c = self.medium.linearise(self.plane, eps, self.states, self.dt)
        return self.force(sig), Known(laws, self.entries(c), *self.norms(eps, sig))

    def entries(self, c: Float[Array, "voxels points m m"]) -> Tangent:
        """Components of the tangent, with the halo's; half of them if symmetric."""
        method, symmetric = self.discretisation, self.medium.has_symmetric_tangent
        size, voxels = c.shape[-1], c.reshape(*method.grid.shape, *c.shape[1:])

        def entry(q: int, k: int, m: int) -> Array:
            x = voxels[..., q, k, m]
            if symmetric and k != m:
                x = (x + voxels[..., q, m, k]) / 2
            return method.extend(x)

        def lower(k: int) -> int:
            return k if symmetric else 0

        return [
            {(k, m): entry(q, k, m) for k in range(size) for m in range(lower(k), size)}
            for q in range(c.shape[1])
        ]

    @full_precision
    def norms(self, eps: PointField, sig: PointField) -> tuple[Scalar, Scalar]:
        """Roots of twice the complementary energy of a stress, the energy of a strain.

        In the reference medium. The first is what a residual has if no part of the
        stress is in balance.
        """
        bent = jnp.linalg.solve(self.reference, sig.reshape(-1, sig.shape[-1]).T).T
        stress, strain = jnp.sum(sig * bent.reshape(sig.shape)), eps @ self.reference
        strain = jnp.sum(eps * strain)
        return jnp.sqrt(stress / eps.shape[1]), jnp.sqrt(strain / eps.shape[1])

    def preconditioner(self) -> Callable[[Nodal], Nodal]:
        """Inverse of the reference medium's operator."""
        return self.discretisation.preconditioner(self.reference)

    def operator(self, tangent: Tangent) -> Callable[[Nodal], Nodal]:
        """Force of a fluctuation under a tangent."""
        balance = self.balance
        return lambda v: balance.force(lambda eps: tangent_stress(tangent, eps), v)

    def krylov(
        self, operator: Callable, load: Nodal, *, rtol: Scalar, max_steps: Count
    ) -> Solution:
        """Fluctuation that bears a load, by the method that the tangents admit."""
        method = bicgstab
        if self.medium.has_symmetric_tangent:
            method = conjugate_gradient
        return method(
            operator, load, self.preconditioner(), rtol=rtol, max_steps=max_steps
        )


class Known(NamedTuple):
    """What the laws say at the end of an increment, beside the force.

    Attributes:
        laws: new states.
        tangent: at every integration point.
        stress: norm of the stress.
        strain: norm of the strain, as a stress.
    """

    laws: Any
    tangent: Tangent
    stress: Scalar
    strain: Scalar

    @property
    def scale(self) -> Scalar:
        """Of the residual; not zero."""
        return jnp.where(self.stress > 0, self.stress, 1.0)


def tangent_stress(tangent: Tangent, eps: ModeStrain) -> ModeStrain:
    """Modal stress of modal strain with a tangent at every integration point."""
    size = 1 + max(k for k, _ in tangent[0])
    symmetric = (size - 1, 0) not in tangent[0]

    def stress(c: dict[tuple[int, int], Array], eps: _quadrature.Point):
        def entry(k: int, m: int) -> Array:
            return c[min(k, m), max(k, m)] if symmetric else c[k, m]

        return {k: add(entry(k, m) * x for m, x in eps.items()) for k in range(size)}

    points = _quadrature.to_points(eps)
    sig = [stress(c, point) for c, point in zip(tangent, points, strict=True)]
    return _quadrature.to_modes(sig, list(eps))


def equilibrate(
    increment: Increment, guess: Nodal, *, rtol: Scalar, max_steps: Count
) -> Solution:
    """Fluctuation and `Known` at the end of an increment, with a `NewtonInfo`.

    The residual falls below `rtol` of the norm of the stress, or to the rounding of the
    strain, which is larger where plastic strain is large. Without derivatives.
    """

    def solve(known: Known, rhs: Nodal, forcing: Scalar) -> Solution:
        operator = increment.operator(known.tangent)
        return increment.krylov(operator, rhs, rtol=forcing, max_steps=max_steps)

    def tolerance(known: Known) -> Scalar:
        exact = jnp.finfo(known.strain.dtype).eps * ROUNDING
        return jnp.maximum(rtol * known.stress, exact * known.strain)

    return inexact_newton(
        increment.linearise,
        solve,
        increment.preconditioner(),
        guess,
        tolerance=tolerance,
        max_steps=MAX_NEWTON_STEPS,
    )


@eqx.filter_custom_jvp
def attach(u: Nodal, increment: Increment, rtol: Scalar, max_steps: Count) -> Nodal:
    """`u`, which is in equilibrium, with its derivatives in the increment."""
    return u


@attach.def_jvp
def _attach_jvp(primals, tangents):
    u, increment, rtol, max_steps = primals
    _, change, *_ = tangents
    if not jax.tree.leaves(change):
        return u, tuple(None for _ in u)
    u = attach(u, increment, rtol, max_steps)

    def force(increment: Increment) -> Nodal:
        return increment.force(increment.respond(u)[0])

    def invert(operator: Callable, load: Nodal) -> Nodal:
        load = increment.discretisation.project(load)
        solution = increment.krylov(operator, load, rtol=rtol, max_steps=max_steps)
        return poison(solution.value, solution.info.converged)

    _, load = eqx.filter_jvp(force, (increment,), (change,))
    if all(f is None for f in load):  # what changes does not reach the forces
        return u, load
    symmetric = increment.medium.has_symmetric_tangent
    return u, jax.lax.custom_linear_solve(
        jax.jit(increment.operator(increment.linearise(u)[1].tangent)),
        tuple(-f for f in load),
        invert,
        transpose_solve=None if symmetric else invert,
        symmetric=symmetric,
    )
