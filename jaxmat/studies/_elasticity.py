"""Decides which elastic answers the main job gives, and under which load.

Local fields are those of a uniaxial mean stress of 100 MPa along x. The sensitivity of
Young's modulus is its derivative with respect to a small turn of each grain.
"""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxmat import mandel, rotations
from jaxmat._check import JaxmatError
from jaxmat._types import Scalar, Stiffness, full_precision
from jaxmat.cells import (
    Fields,
    Grains,
    GridCell,
    grid_cell,
    homogenise,
    local_fields,
    reuss_bound,
    voigt_bound,
)
from jaxmat.solve import Info
from jaxmat.studies._specimen import Progress, Specimen

MEAN_STRESS = 0.1
"""Uniaxial mean stress along x of the local fields, GPa."""


class Results(NamedTuple):
    """What is found for a specimen. Stiffness in GPa, Mandel, 6x6 (3x3 in a plane).

    Attributes:
        stiffness: effective stiffness.
        voigt: bound of uniform strain.
        reuss: bound of uniform stress.
        youngs_modulus: for a pull along x, GPa.
        sensitivity: derivative of `youngs_modulus` with respect to a small rotation
            vector of each grain in the sample frame, GPa/radian.
        eps: strain under `MEAN_STRESS`, voxel means, all six components.
        sig: stress under `MEAN_STRESS`, GPa, likewise.
        info: how the effective stiffness was reached.
    """

    stiffness: Stiffness
    voigt: Stiffness
    reuss: Stiffness
    youngs_modulus: Scalar
    sensitivity: Float[Array, "grains 3"]
    eps: Float[Array, "*grid 6"]
    sig: Float[Array, "*grid 6"]
    info: Info

    @property
    def hill(self) -> Stiffness:
        """Hill's estimate, the mean of the two bounds."""
        return (self.voigt + self.reuss) / 2

    @property
    def von_mises(self) -> Float[Array, "*grid"]:
        """Von Mises stress under `MEAN_STRESS`, GPa."""
        stress = self.sig.reshape(-1, 6)
        value = jax.jit(jax.vmap(lambda sig: mandel.von_mises(sig)[0]))(stress)
        return value.reshape(self.sig.shape[:-1])

    @property
    def energy(self) -> Float[Array, "*grid"]:
        """Strain-energy density of the mean fields of each voxel, GPa."""
        return jnp.sum(self.sig * self.eps, axis=-1) / 2


def analyse(
    specimen: Specimen,
    *,
    plane: str | None = None,
    boundary: str = "periodic",
    rtol: float = 1e-6,
    progress: Progress = lambda _: None,
) -> Results:
    """Effective stiffness, bounds, sensitivity to orientations, and local fields.

    Args:
        specimen: from `prepare`.
        plane: None for a columnar body, "strain" or "stress".
        boundary: "periodic", "kubc" or "subc".
        rtol: relative tolerance of the equilibrium.
        progress: told what is being done.

    Returns:
        `Results`.

    Raises:
        JaxmatError: if an option does not exist or does not fit, or equilibrium is not
            reached.
    """
    laws, grains = specimen.laws, specimen.microstructure
    cell = grid_cell(grains, laws, plane=plane, boundary=boundary)
    voigt = voigt_bound(grains, laws, plane=plane)
    reuss = reuss_bound(grains, laws, plane=plane)
    progress(f"effective stiffness and its derivative, {grains.num_grains} grains")
    modulus, sensitivity, stiffness, info = _modulus_and_sensitivity(cell, rtol)
    check_converged(info, rtol)
    progress("stress and strain under 100 MPa along x")
    sig_bar = jnp.zeros(len(stiffness)).at[0].set(MEAN_STRESS)
    fields, fields_info = _fields(cell, jnp.linalg.solve(stiffness, sig_bar), rtol)
    check_converged(fields_info, rtol)
    eps, sig = _all_components(Grains(grains, laws), fields, plane)
    return Results(stiffness, voigt, reuss, modulus, sensitivity, eps, sig, info)


def check_converged(info: Info, rtol: float) -> None:
    """Turn a solve that did not converge into a sentence.

    Raises:
        JaxmatError: if it did not.
    """
    if not bool(info.converged):
        raise JaxmatError(
            f"equilibrium was not reached: after {int(info.num_steps)} iterations the "
            f"error is {float(info.residual_norm):.1e}, wanted {rtol:.1e}; give a "
            "larger tolerance (--rtol)."
        )


@eqx.filter_jit
def _modulus_and_sensitivity(cell: GridCell, rtol: float):
    """Young's modulus along x, its gradient, the stiffness it is from, and `Info`."""
    where = lambda c: c.medium.microstructure.orientation  # noqa: E731

    def modulus(turn):
        turned = jax.vmap(rotations.multiply)(
            jax.vmap(rotations.from_rotation_vector)(turn), where(cell)
        )
        solution = homogenise(eqx.tree_at(where, cell, turned), rtol=rtol, throw=False)
        compliance = jnp.linalg.inv(solution.value)
        return 1 / compliance[0, 0], (solution.value, solution.info)

    still = jnp.zeros((len(where(cell)), 3))
    (value, (stiffness, info)), slope = jax.value_and_grad(modulus, has_aux=True)(still)
    return value, slope, stiffness, info


@eqx.filter_jit
def _fields(cell: GridCell, eps_bar: Array, rtol: float) -> tuple[Fields, Info]:
    solution = local_fields(cell, eps_bar, rtol=rtol, throw=False)
    return solution.value, solution.info


@eqx.filter_jit
@full_precision
def _all_components(
    medium: Grains, fields: Fields, plane: str | None
) -> tuple[Array, Array]:
    """Strain and stress with all six components, also where the cell knows three."""
    if plane is None:
        return fields.eps, fields.sig
    grains = medium.microstructure
    stiffness = medium.table(None)[grains.phase, grains.grain]
    embed = jnp.zeros((*grains.grid.shape, 6)).at[..., mandel.PLANE]
    if plane == "strain":
        eps = embed.set(fields.eps)
        return eps, jnp.einsum("...ij,...j->...i", stiffness, eps)
    sig = embed.set(fields.sig)
    return jnp.linalg.solve(stiffness, sig[..., None])[..., 0], sig
