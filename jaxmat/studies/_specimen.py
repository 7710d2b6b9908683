"""Decides how a map is made ready for the solver, or made up where there is none."""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Key

from jaxmat import crystals
from jaxmat._check import JaxmatError
from jaxmat.materials import LinearElastic
from jaxmat.microstructure import (
    Grid,
    Microstructure,
    OrientationMap,
    Phase,
    clean,
    fibre_texture,
    resample,
    segment,
    uniform_texture,
    voronoi,
)

THRESHOLD = math.radians(5)
"""Disorientation, radians, between two grains."""

RESOLUTION = 512
"""Pixels along the longer side that a measured map is resampled to, at most."""

MATERIAL, NUM_GRAINS, PIXELS, SIDE = "Ni", 40, 128, 100.0
"""What is generated where no map is given; the side of the square in micrometres."""

Progress = Callable[[str], None]


class Specimen(NamedTuple):
    """A map made ready for the solver.

    Attributes:
        microstructure: grains, each of which owns a pixel, and phases that occur.
        phases: name and Laue group in the map, by phase.
        materials: the name looked up in the library, by phase.
        map_shape: pixels of the map before resampling.
    """

    microstructure: Microstructure
    phases: tuple[Phase, ...]
    materials: tuple[str, ...]
    map_shape: tuple[int, ...]

    @property
    def constants(self) -> tuple[crystals.Constants, ...]:
        """Crystal constants by phase."""
        return tuple(crystals.constants(name) for name in self.materials)

    @property
    def laws(self) -> tuple[LinearElastic, ...]:
        """Linear elastic law by phase, crystal frame."""
        return tuple(LinearElastic(c.stiffness) for c in self.constants)


def generate(
    key: Key[Array, ""],
    *,
    material: str = MATERIAL,
    num_grains: int = NUM_GRAINS,
    resolution: int = PIXELS,
    plane: str | None = None,
) -> OrientationMap:
    """The map of a periodic columnar polycrystal without texture.

    In plane strain the grains share a crystal z axis along x3, which is normal to a
    mirror plane then (not in trigonal and some other crystals).

    Args:
        key: random key.
        material: name in `crystals.constants`.
        num_grains: number of Voronoi cells in the periodic square.
        resolution: pixels along each side.
        plane: None, "strain" or "stress".

    Returns:
        A map 100 micrometres wide.

    Raises:
        JaxmatError: if the material is unknown or a number is out of range.
    """
    laue = material_for(Phase(material, ""), material).laue
    grid = Grid((resolution, resolution), (SIDE,) * 2)
    cells = voronoi(
        key,
        grid,
        num_grains,
        min_distance=0.6 * SIDE / math.sqrt(num_grains),
        texture=fibre_texture if plane == "strain" else uniform_texture,
    )
    return OrientationMap(
        grid,
        cells.orientation[cells.grain],
        jnp.zeros(grid.shape, jnp.int32),
        (Phase(material, laue),),
        jnp.ones(grid.shape),
    )


def prepare(
    orientation_map: OrientationMap,
    *,
    material: Sequence[str] = (),
    threshold: float = THRESHOLD,
    resolution: int = RESOLUTION,
    progress: Progress = lambda _: None,
) -> Specimen:
    """Clean a map, find its grains, thin it out, and look its crystals up.

    Args:
        orientation_map: as measured.
        material: name in `crystals.constants` for every phase, or one for each phase
            that occurs, in the order of the file; the phases' own names if empty.
        threshold: disorientation, radians, between two grains.
        resolution: pixels along the longer side, at most.
        progress: told what is being done.

    Returns:
        A `Specimen`.

    Raises:
        JaxmatError: if no point is indexed, a phase is not in the library, or a
            material has another crystal class than its phase.
    """
    if resolution < 2:
        raise JaxmatError(f"`resolution` is {resolution}; give 2 pixels or more.")
    present = np.unique(np.asarray(orientation_map.phase))
    phases = tuple(orientation_map.phases[k] for k in present if k >= 0)
    materials = tuple(material) or tuple(phase.name for phase in phases)
    if len(materials) == 1:
        materials *= len(phases)
    if phases and len(materials) != len(phases):
        raise JaxmatError(
            f"{len(materials)} materials are given for the {len(phases)} phases "
            f"{', '.join(repr(phase.name) for phase in phases)}; give one, or one each."
        )
    for phase, name in zip(phases, materials, strict=bool(phases)):
        material_for(phase, name)
    progress("cleaning the map, finding grains")
    grains = segment(clean(orientation_map, threshold=threshold), threshold)
    old = grains.grid.shape
    if max(old) > resolution:
        shape = tuple(max(2, round(n * resolution / max(old))) for n in old)
        progress(f"resampling {old[0]} x {old[1]} to {shape[0]} x {shape[1]} pixels")
        grains = resample(grains, shape)
    return Specimen(_compact(grains, present[present >= 0]), phases, materials, old)


def material_for(phase: Phase, name: str) -> crystals.Constants:
    """Constants of the crystal `name`, which must have the phase's crystal class.

    Raises:
        JaxmatError: if it is not in the library, or of another class.
    """
    try:
        found = crystals.constants(name)
    except JaxmatError as error:
        what = f"phase {name!r}" if name == phase.name else f"material {name!r}"
        raise JaxmatError(
            f"{what} is not in the library of constants; give a material (--material), "
            f"one of {', '.join(crystals.names())}."
        ) from error
    wanted, has = (
        crystals.CLASS_OF_LAUE.get(phase.laue),
        crystals.CLASS_OF_LAUE[found.laue],
    )
    if wanted not in (None, has):
        raise JaxmatError(
            f"material {name!r} is {has} ({found.laue}) but phase {phase.name!r} of "
            f"the map is {wanted} ({phase.laue}); give a {wanted} material."
        )
    return found


def _compact(grains: Microstructure, present: np.ndarray) -> Microstructure:
    """Number anew: only grains that own a pixel, only phases that occur."""
    kept, grain = np.unique(np.asarray(grains.grain), return_inverse=True)
    phase = np.searchsorted(present, np.asarray(grains.phase))
    return Microstructure(
        grains.grid,
        jnp.asarray(grain.reshape(grains.grid.shape).astype(np.int32)),
        jnp.asarray(phase.astype(np.int32)),
        grains.orientation[kept],
    )
