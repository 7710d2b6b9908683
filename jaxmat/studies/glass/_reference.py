"""The solid in full, taken along paths of strain athermally and quasi-statically."""

from collections.abc import Callable
from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from jaxmat import atoms, mandel
from jaxmat._check import JaxmatError
from jaxmat.atoms import Atoms, LennardJones

SUBSTEP = 2e-3
"""Largest change of the strain, in norm, between two searches for a minimum."""

TOLERANCE = 1e-8

_LISTED = 48  # neighbours of an atom at most: the dense melt has 34


class Response(NamedTuple):
    """What a solid answers along a path.

    Attributes:
        eps: Mandel strain in the plane.
        sig: Mandel stress conjugate to it, per undeformed area.
        events: searches that ended in another minimum.
        evaluations: gradients of the energy.
    """

    eps: Float[np.ndarray, "steps 3"]
    sig: Float[np.ndarray, "steps 3"]
    events: int
    evaluations: int


def load_solid(
    law: LennardJones,
    solid: Atoms,
    eps: Float[np.ndarray, "steps 3"],
    *,
    progress: Callable[[int, int], None] | None = None,
) -> Response:
    """Take atoms of any number along a path, `F = 1 + eps`.

    Args:
        law: potential.
        solid: at rest, in the plane.
        eps: Mandel strain at the end of every step.
        progress: called with the steps done and those to do.

    Returns:
        A `Response`.

    Raises:
        JaxmatError: if the path is empty or not finite, or the atoms do not come to
            rest on the way.
    """
    if np.ndim(eps) != 2 or np.shape(eps)[1] != 3 or not len(eps):
        raise JaxmatError(
            f"`eps` has shape {np.shape(eps)}; give three components in every step."
        )
    lost = np.flatnonzero(~np.isfinite(np.asarray(eps)).all(1))
    if lost.size:
        raise JaxmatError(
            f"`eps` is not finite in step {lost[0]}; give finite strains all along."
        )
    now, before, sig = solid, np.zeros(3), []
    events = evaluations = 0
    for k, target in enumerate(np.asarray(eps)):
        parts = max(1, int(np.ceil(np.linalg.norm(target - before) / SUBSTEP - 1e-6)))
        for part in range(1, parts + 1):
            F = _stretch(before + (target - before) * part / parts)
            settled = atoms.settle_large(law, now, F @ solid.box, tolerance=TOLERANCE)
            if not bool(settled.info.converged):
                raise JaxmatError(
                    f"the solid does not come to rest in step {k} at a strain of "
                    f"{np.linalg.norm(target):.3g}; take smaller steps."
                )
            now = settled.atoms
            events += int(settled.event)
            evaluations += int(settled.info.num_steps)
        sig.append(np.asarray(_conjugate_stress(law, now, target)))
        before = target
        if progress is not None:
            progress(k + 1, len(eps))
    return Response(np.asarray(eps), np.stack(sig), events, evaluations)


def _stretch(eps: Float[np.ndarray, " 3"]):
    return jnp.eye(2) + mandel.to_tensor2(jnp.asarray(eps))


_cauchy = eqx.filter_jit(atoms.stress)


def _conjugate_stress(law, now, eps):
    """`sym(P)` with `P = det(F) cauchy F^-T`, as `materials.SmallStrain` answers."""
    neighbours = atoms.find_neighbours(now, law.cutoff, skin=0.1, capacity=_LISTED)
    if bool(neighbours.overflowed):
        neighbours = atoms.find_neighbours(now, law.cutoff, skin=0.1)
    F = _stretch(eps)
    cauchy = _cauchy(law, now, neighbours)
    P = jnp.linalg.det(F) * cauchy @ jnp.linalg.inv(F)  # F is symmetric
    return np.asarray(mandel.from_tensor2(P))
