"""The composite in full: fibres and matrix on a grid, in equilibrium at every step."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int
from tqdm import tqdm

from jaxmat import cells
from jaxmat._check import JaxmatError, check_positive, check_whole
from jaxmat.cells import GridCell
from jaxmat.materials import PlaneStress, follow
from jaxmat.microstructure import Grid, Microstructure
from jaxmat.studies.composite._data import Paths
from jaxmat.studies.composite._loads import Strains
from jaxmat.studies.composite._phases import fibre, matrix

_PUSHES = 2000
_GAP = 1.1  # centres at least so many diameters apart
_ACROSS = 3  # pixels; with fewer the fraction printed is off by a tenth and more


def composite_cell(
    seed: int,
    *,
    pixels: int = 40,
    fibres: int = 9,
    fraction: float = 0.61,
    discretisation: str = "full",
) -> GridCell:
    """A periodic square of parallel glass fibres in epoxy, in plane stress.

    Args:
        seed: of the places of the fibres, which do not overlap.
        pixels: along a side; at least three across a fibre.
        fibres: in the square.
        fraction: of the area that they fill, up to 0.68 for nine.
        discretisation: as in `cells.grid_cell`.

    Returns:
        A material of three strain components, with the history of every pixel.

    Raises:
        JaxmatError: if the fibres find no place, a number is not positive, or there are
            too few pixels to show the fibres.
    """
    check_whole("fibres", fibres, 1)
    check_positive("fraction", fraction)
    radius = np.sqrt(fraction / (fibres * np.pi))
    check_whole("pixels", pixels, int(np.ceil(_ACROSS / (2 * radius))))
    centres = _places(seed, fibres, radius)
    phase = jnp.asarray(_inside(centres, radius, pixels), jnp.int32)
    grid = Grid((pixels, pixels), (1.0, 1.0))
    upright = jnp.array([[1.0, 0.0, 0.0, 0.0]])
    microstructure = Microstructure(grid, jnp.zeros_like(phase), phase, upright)
    return cells.grid_cell(
        microstructure,
        (PlaneStress(matrix()), PlaneStress(fibre())),
        plane="stress",
        discretisation=discretisation,
    )


def solve_paths(cell: GridCell, eps: Strains, *, progress: bool = True) -> Paths:
    """Mean stress of a cell along paths of strain, one path after the other.

    Args:
        cell: any; of `composite_cell`, say.
        eps: Mandel strain at the end of every step.
        progress: a bar on standard error.

    Returns:
        Strain and stress, GPa.

    Raises:
        JaxmatError: if there is no path or one is not finite, or the cell finds no
            equilibrium on a path.
    """
    if not np.size(eps) or not np.isfinite(eps).all():
        raise JaxmatError(
            f"`eps` of shape {np.shape(eps)} is empty or not finite; give the strains "
            "of at least one path."
        )
    sig = []
    for k, path in enumerate(tqdm(eps, "full solutions", disable=not progress)):
        sig.append(np.asarray(follow(cell, jnp.asarray(path))))
        if not np.all(np.isfinite(sig[-1])):
            raise JaxmatError(
                f"the cell finds no equilibrium on path {k}; take smaller steps, or a "
                "law that does not soften."
            )
    return Paths(np.asarray(eps), np.stack(sig))


def _places(seed: int, fibres: int, radius: float) -> Float[np.ndarray, "fibres 2"]:
    """Centres of discs that push each other away until none overlap."""
    rng = np.random.default_rng(seed)
    centres = rng.random((fibres, 2))
    wanted = 2 * radius * _GAP
    for _ in range(_PUSHES):
        apart = centres[:, None] - centres
        apart -= np.round(apart)
        distance = np.linalg.norm(apart, axis=-1) + 9.0 * np.eye(fibres)
        overlap = np.maximum(wanted - distance, 0)
        if overlap.max() < 0.01 * radius:
            return centres % 1
        centres = centres + 0.3 * np.sum(
            (overlap / distance)[..., None] * apart, axis=1
        )
    raise JaxmatError(
        f"{fibres} fibres of radius {radius:.3g} find no place in the unit square; "
        "give a smaller fraction or another seed."
    )


def _inside(
    centres: Float[np.ndarray, "fibres 2"], radius: float, pixels: int
) -> Int[np.ndarray, "x y"]:
    """One in the pixels whose middle lies in a fibre, zero elsewhere."""
    middle = (np.arange(pixels) + 0.5) / pixels
    points = np.stack(np.meshgrid(middle, middle, indexing="ij"), -1)
    apart = points[:, :, None] - centres
    apart -= np.round(apart)
    return (np.linalg.norm(apart, axis=-1) < radius).any(-1).astype(int)
