"""Build a grid cell: which microstructures, laws and options go together."""

from collections.abc import Sequence

import jax
import numpy as np
from jax.core import Tracer

from jaxmat import crystals
from jaxmat._check import JaxmatError, check_option
from jaxmat.cells._axes import BOUNDARIES
from jaxmat.cells._grains import Grains, grains
from jaxmat.cells._grid_cell import GridCell
from jaxmat.cells._law_field import LawField
from jaxmat.cells._media import PLANES, AbstractMedium, as_laws
from jaxmat.materials import AbstractMaterial, LinearElastic
from jaxmat.microstructure import Grid, Microstructure

DISCRETISATIONS = ("full", "reduced", "fourier")


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
        laws: one law per phase, crystal frame, six strain components; in a plane also
            laws of three, which are in it already, with grains turned about x3 only.
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
        With a law that is not linear it has a history: see `GridCell`.

    Raises:
        JaxmatError: for an option that does not exist or does not fit the grid, grains
            or phases that are not numbered from 0 in every voxel, a law missing for a
            phase or not fit for the plane, or plane strain where a grain has no mirror
            plane normal to x3.
    """
    medium = grains(microstructure, as_laws(laws))
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
        law: batched over the grid with `jax.vmap`, in the sample frame.
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
        _check_values(medium)
    if plane is None and medium.num_strains != 6:
        raise JaxmatError(
            "`law` has 3 strain components but `plane` is None; say which plane."
        )
    if plane is not None and isinstance(medium, Grains):
        _check_plane(medium, plane)


def _check_plane(medium: Grains, plane: str) -> None:
    """Raise where a law and the orientation of a grain do not fit into the plane."""
    orientation = medium.microstructure.orientation
    if medium.num_strains == 3 and not isinstance(orientation, Tracer):
        q = np.asarray(orientation)
        out = np.linalg.norm(q[:, 1:3], axis=1) > 1e-6 * np.linalg.norm(q, axis=1)
        if out.any():
            raise JaxmatError(
                f"grain {np.flatnonzero(out)[0]} is turned out of the plane, but a law "
                "has 3 strain components; give quaternions about x3, or the 6x6 law."
            )
    traced = any(isinstance(x, Tracer) for x in jax.tree.leaves(medium))
    if plane == "strain" and not traced:
        for law in medium.laws:
            if law.is_linear and law.num_strains == 6:
                with jax.ensure_compile_time_eval():
                    crystals.check_plane_strain(medium.stiffness_in_grains(law, None))


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
