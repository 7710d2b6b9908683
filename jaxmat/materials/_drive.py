"""Take a material along a load path, any mix of strain and stress prescribed.

Strain, stress and durations are taken in the precision of the material.
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optimistix as optx
from jax.core import Tracer
from jaxtyping import Array, Bool, Float, PyTree

from jaxmat._check import JaxmatError, check_positive, check_shape
from jaxmat._types import Scalar, full_precision
from jaxmat.materials._base import (
    AbstractMaterial,
    check_small_strain,
    in_precision_of,
    tangent,
)
from jaxmat.solve import Info, Solution


class LoadPath(eqx.Module):
    """Targets at the end of every step.

    Attributes:
        eps: Mandel strain, used where the component is strain-controlled.
        sig: Mandel stress, GPa, used where it is stress-controlled.
        stress_controlled: which of the two.
        dt: duration of every step, seconds.

    Raises:
        JaxmatError: if the shapes differ or hold no step, a target is not finite, or a
            duration is not, or negative.
    """

    eps: Float[Array, "steps n"] = eqx.field(converter=jnp.asarray)
    sig: Float[Array, "steps n"] = eqx.field(converter=jnp.asarray)
    stress_controlled: Bool[Array, "steps n"] = eqx.field(converter=jnp.asarray)
    dt: Float[Array, " steps"] = eqx.field(converter=jnp.asarray)

    def __check_init__(self):
        shapes = {x.shape for x in (self.eps, self.sig, self.stress_controlled)}
        fit = len(shapes) == 1 and self.dt.shape == self.eps.shape[:1]
        if not fit or self.eps.ndim != 2 or not self.eps.size:
            raise JaxmatError(
                f"LoadPath has eps {self.eps.shape}, sig {self.sig.shape}, "
                f"stress_controlled {self.stress_controlled.shape} and dt "
                f"{self.dt.shape}; give (steps, n) three times and (steps,), one "
                "step at least."
            )
        targets = (self.eps, self.sig, self.stress_controlled)
        if not any(isinstance(x, Tracer) for x in targets):
            eps, sig, of_stress = map(np.asarray, targets)
            _check_steps("the path", np.where(of_stress, sig, eps))
        check_positive("dt", self.dt, zero=True)


class History(eqx.Module):
    """What happened along a path, one entry per step.

    Attributes:
        eps: Mandel strain.
        sig: Mandel stress, GPa.
        state: state of the material, leaves stacked along the first axis.
    """

    eps: Float[Array, "steps n"]
    sig: Float[Array, "steps n"]
    state: Any


def follow(
    material: AbstractMaterial,
    eps: Float[Array, "steps n"],
    dt: Float[Array, " steps"] | None = None,
    *,
    state: PyTree = None,
) -> Float[Array, "steps n"]:
    """Stress along a path of strain: nothing to solve for, unlike `drive`.

    Args:
        material: any material.
        eps: Mandel strain at the end of every step, taken in the material's precision.
        dt: duration of every step, seconds; one if None.
        state: where to start; the virgin state if None.

    Returns:
        Mandel stress at the end of every step, GPa. `jax.vmap` takes many paths.

    Raises:
        JaxmatError: if the material is none of small strain, strain or durations have
            another shape, a strain is not finite, or a duration is not, or negative.
    """
    check_small_strain(material)
    (eps,) = in_precision_of(material, eps)
    check_shape("eps", eps, (None, material.num_strains), hint="strain of every step")
    _check_steps("`eps`", eps)
    durations = jnp.asarray(np.ones(len(eps)) if dt is None else dt, eps.dtype)
    check_shape("dt", durations, (len(eps),), hint="duration of every step")
    check_positive("dt", durations, zero=True)
    start = material.init_state() if state is None else state
    return _stresses(material, eps, durations, start)


def drive(
    material: AbstractMaterial,
    path: LoadPath,
    *,
    state: PyTree = None,
    rtol: float = 1e-8,
    throw: bool = True,
) -> Solution:
    """Follow a load path.

    Each step solves for the strain components whose stress is prescribed, by Newton's
    method with the consistent tangent, and is differentiated implicitly.

    Args:
        material: any material, a cell included.
        path: targets per step, six components or as many as the material has, taken in
            its precision.
        state: where to start; the virgin state if None.
        rtol: tolerance on strain and on stress over stiffness, relative and absolute.
        throw: raise if a step does not converge.

    Returns:
        `Solution` with a `History`; `Info.num_steps` is the largest Newton count.

    Raises:
        JaxmatError: if the material is none of small strain, or the path has another
            number of components.
        EquinoxRuntimeError: not converged, if `throw`.
    """
    check_small_strain(material)
    if path.eps.shape[1] != material.num_strains:
        raise JaxmatError(
            f"the path has {path.eps.shape[1]} components, the material "
            f"{material.num_strains}; give as many."
        )
    start = material.init_state() if state is None else state
    targets = in_precision_of(material, path.eps, path.sig, path.dt)
    path = eqx.tree_at(lambda p: (p.eps, p.sig, p.dt), path, targets)
    solution = _solve(material, path, start, jnp.asarray(rtol))
    if not throw:
        return solution
    history = eqx.error_if(
        solution.value,
        ~solution.info.converged,
        "drive: a step did not converge in 50 Newton iterations. Either it is too "
        "large (use more steps), or no strain gives the prescribed stress. Pass "
        "`throw=False` to inspect `Solution.info` instead.",
    )
    return Solution(history, solution.info)


def _check_steps(
    name: str, targets: Float[Array, "steps n"] | Float[np.ndarray, "steps n"]
) -> None:
    """Raise if one is not finite; says nothing of traced values."""
    if isinstance(targets, Tracer):
        return
    finite = np.isfinite(np.asarray(targets)).all(axis=1)
    if not finite.all():
        raise JaxmatError(
            f"{name} holds NaN or infinity at step {np.argmin(finite)}; give finite "
            "numbers."
        )


@eqx.filter_jit
@full_precision  # also of a user's law
def _stresses(material, eps, durations, start):
    def step(state, target):
        eps, dt = target
        sig, state = material.update(eps, state, dt)
        return state, sig

    return jax.lax.scan(step, start, (eps, durations))[1]


@eqx.filter_jit
@full_precision  # also of a user's law
def _solve(
    material: AbstractMaterial, path: LoadPath, start: PyTree, rtol: Scalar
) -> Solution:
    zero = jnp.zeros_like(path.eps[0])
    modulus = jnp.max(jnp.abs(tangent(material, zero, start, path.dt[0])))
    modulus = jax.lax.stop_gradient(modulus)
    # Tolerances may be traced, so that another one does not compile again.
    solver = optx.Newton(rtol=rtol, atol=rtol * 1e-3)  # pyright: ignore

    def step(carry, target):
        eps, state = carry

        def residual(eps, _):
            sig, _ = material.update(eps, state, target.dt)
            return jnp.where(
                target.stress_controlled, (sig - target.sig) / modulus, eps - target.eps
            )

        guess = jnp.where(target.stress_controlled, eps, target.eps)
        root = optx.root_find(residual, solver, guess, max_steps=50, throw=False)
        sig, new_state = material.update(root.value, state, target.dt)
        # A cell that finds no equilibrium says so with NaN.
        ok = (root.result == optx.RESULTS.successful) & jnp.all(jnp.isfinite(sig))
        norm = jnp.max(jnp.abs(residual(root.value, None)))
        info = (ok, jnp.asarray(root.stats["num_steps"]), norm)
        return (root.value, new_state), ((root.value, sig, new_state), info)

    _, (history, (ok, steps, norms)) = jax.lax.scan(step, (zero, start), path)
    info = Info(jnp.all(ok), jnp.max(steps), jnp.max(norms))
    return Solution(History(*history), info)
