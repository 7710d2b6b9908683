"""Misorientation across the grain boundaries of a microstructure.

Each boundary counts with its length (area in three dimensions) as the voxels show it,
staircase included; a pair of grains counts once however often it meets.
"""

from typing import NamedTuple

import numpy as np

from jaxmat._check import JaxmatError
from jaxmat.microstructure._grid import Microstructure
from jaxmat.microstructure._pairs import disorientation_angles, neighbour_pairs


class Boundaries(NamedTuple):
    """Neighbouring grains of one phase.

    Attributes:
        grains: the two grain indices, the smaller first, `(boundaries, 2)`.
        angle: disorientation angle, radians.
        area: boundary length in two dimensions (micrometres), area in three.
    """

    grains: np.ndarray
    angle: np.ndarray
    area: np.ndarray


def boundaries(
    microstructure: Microstructure,
    laue: str | tuple[str, ...],
    *,
    periodic: bool = True,
) -> Boundaries:
    """Every pair of neighbouring grains of one phase, with angle and boundary area.

    Args:
        microstructure: the grains.
        laue: Laue group of the one phase, or one per phase.
        periodic: whether grains meet across opposite faces of the box.

    Returns:
        `Boundaries`, one entry per pair.

    Raises:
        JaxmatError: if a phase has no Laue group, or it is unknown.
    """
    grid = microstructure.grid
    groups = (laue,) if isinstance(laue, str) else laue
    phase = np.asarray(microstructure.phase).ravel()
    if phase.max() >= len(groups):
        raise JaxmatError(
            f"`laue` is {laue!r} but the microstructure has {phase.max() + 1} phases; "
            "give one Laue group per phase."
        )
    grain = np.asarray(microstructure.grain).ravel()
    faces, areas = [], []
    for axis, pairs in enumerate(neighbour_pairs(grid, periodic=periodic)):
        meet = grain[pairs[:, 0]] != grain[pairs[:, 1]]
        meet &= phase[pairs[:, 0]] == phase[pairs[:, 1]]
        faces.append(pairs[meet])
        area = np.prod(np.delete(grid.spacing, axis))
        areas.append(np.full(len(faces[-1]), area))
    face = np.concatenate(faces)
    pair = np.sort(grain[face], axis=1)
    grains, first, inverse = np.unique(
        pair, axis=0, return_index=True, return_inverse=True
    )
    area = np.bincount(
        inverse.ravel(), weights=np.concatenate(areas), minlength=len(grains)
    )
    orientation = np.asarray(microstructure.orientation)
    phase_of = phase[face[first, 0]]
    angle = np.empty(len(grains), orientation.dtype)
    for k, group in enumerate(groups):
        chosen = phase_of == k
        if chosen.any():
            q_a, q_b = (orientation[side] for side in grains[chosen].T)
            angle[chosen] = disorientation_angles(q_a, q_b, group)
    return Boundaries(grains, angle, area)


def misorientation_distribution(
    microstructure: Microstructure,
    laue: str | tuple[str, ...],
    edges: np.ndarray,
    *,
    periodic: bool = True,
) -> np.ndarray:
    """Density of the disorientation angle over the boundary length or area.

    Args:
        microstructure: the grains.
        laue: Laue group of the one phase, or one per phase.
        edges: edges of the bins, radians, increasing.
        periodic: whether grains meet across opposite faces of the box.

    Returns:
        One density per bin, 1/radian; it integrates to 1. Grains drawn without texture
        give Mackenzie's distribution.

    Raises:
        JaxmatError: if no two grains of a phase meet, or a Laue group is missing.

    References:
        Mackenzie (1958), Biometrika 45, 229-240.
    """
    found = boundaries(microstructure, laue, periodic=periodic)
    weights, _ = np.histogram(found.angle, bins=edges, weights=found.area)
    if not weights.sum() > 0:
        raise JaxmatError(
            f"none of the {len(found.angle)} boundaries has an angle within `edges`; "
            "give edges in radians, and a microstructure of at least two grains."
        )
    return weights / (weights.sum() * np.diff(edges))
