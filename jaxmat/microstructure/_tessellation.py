"""Grains as the cells of a tessellation, kept as generators until a grid is wanted.

Voronoi cells are Laguerre cells of equal weight, so there is one structure and one
rasteriser: a voxel belongs to the generator with the least power distance
`|x - seed|^2 - weight`. Lifting every seed by `sqrt(max(weight) - weight)` along an
extra axis makes that the nearest neighbour of a k-d tree, periodic images included.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key
from scipy.optimize import minimize
from scipy.spatial import KDTree

from jaxmat._check import JaxmatError
from jaxmat.microstructure._grid import Grid, Microstructure
from jaxmat.microstructure._seeds import random_seeds
from jaxmat.microstructure._texture import Texture, fibre_texture, uniform_texture

_FIT_POINTS = {2: 192, 3: 48}  # per side: cell volumes to about 1e-3 of the box


class Tessellation(eqx.Module):
    """Generators of a Laguerre (power) tessellation of a box.

    Attributes:
        seeds: generator positions, micrometres.
        weights: square micrometres; equal weights make Voronoi cells.
        lengths: side lengths of the box, micrometres, static.
        periodic: whether cells continue through opposite faces, static.
    """

    seeds: Float[Array, "grains dim"]
    weights: Float[Array, " grains"]
    lengths: tuple[float, ...] = eqx.field(static=True)
    periodic: bool = eqx.field(static=True)


def rasterise(tessellation: Tessellation, grid: Grid) -> Int[Array, "*grid"]:
    """Index of the cell that holds each voxel centre.

    The resolution is free: the same generators give the same cells on any grid over
    the same box. A cell smaller than a voxel may own none.

    Args:
        tessellation: the generators.
        grid: any grid with the tessellation's `lengths`.

    Returns:
        Grain index `0 ... grains - 1` per voxel.

    Raises:
        JaxmatError: if the grid covers another box, or a seed or weight is not finite.
    """
    if grid.lengths != tessellation.lengths:
        raise JaxmatError(
            f"`grid` has lengths {grid.lengths} but the tessellation fills "
            f"{tessellation.lengths}; give both the same box."
        )
    seeds = np.asarray(tessellation.seeds, float)
    weights = np.asarray(tessellation.weights, float)
    if not (np.isfinite(seeds).all() and np.isfinite(weights).all()):
        raise JaxmatError(
            "the tessellation has a seed or weight that is not finite; look for NaN in "
            "`seeds` and `weights`."
        )
    centres = np.stack(np.meshgrid(*grid.centres(), indexing="ij"), axis=-1)
    _, owner = _nearest(seeds, weights, centres, tessellation)
    return jnp.asarray(owner.astype(np.int32))


def voronoi(
    key: Key[Array, ""],
    grid: Grid,
    num_grains: int,
    *,
    periodic: bool = True,
    min_distance: float = 0.0,
    texture: Texture = uniform_texture,
) -> Microstructure:
    """A polycrystal of Voronoi cells around random points.

    The same key gives the same polycrystal at every resolution of the grid.

    Args:
        key: random key.
        grid: the grid to rasterise on, in two or three dimensions.
        num_grains: number of cells; `num_grains_for` finds it from a mean size.
        periodic: whether cells continue through opposite faces of the box.
        min_distance: smallest distance between generators, micrometres; the larger,
            the more even the grains.
        texture: draws the orientations; uniform unless given.

    Returns:
        One phase (index 0), one orientation per cell.

    Raises:
        JaxmatError: if `num_grains` is not positive or the generators do not fit.
    """
    seeds_key, texture_key = jax.random.split(key)
    seeds = random_seeds(
        seeds_key,
        grid.lengths,
        num_grains,
        min_distance=min_distance,
        periodic=periodic,
    )
    cells = Tessellation(seeds, jnp.zeros(len(seeds)), grid.lengths, periodic)
    return _fill(cells, grid, texture(texture_key, num_grains))


def columnar(
    key: Key[Array, ""],
    grid: Grid,
    num_grains: int,
    *,
    periodic: bool = True,
    min_distance: float = 0.0,
) -> Microstructure:
    """A film of columnar grains, a cube axis along x3 and a uniform angle in the plane.

    On a three-dimensional grid the columns run through the thickness along axis 2.

    Args:
        key: random key.
        grid: the film's plane, or the plane and its thickness.
        num_grains: number of columns.
        periodic: whether cells continue through opposite faces in the plane.
        min_distance: smallest distance between generators, micrometres.

    Returns:
        One phase (index 0), one orientation per column.

    Raises:
        JaxmatError: if `num_grains` is not positive or the generators do not fit.
    """
    film = voronoi(
        key,
        Grid(grid.shape[:2], grid.lengths[:2]),
        num_grains,
        periodic=periodic,
        min_distance=min_distance,
        texture=fibre_texture,
    )
    shape = (*film.grain.shape, *[1] * (grid.ndim - 2))
    grain = jnp.broadcast_to(film.grain.reshape(shape), grid.shape)
    return Microstructure(grid, grain, jnp.zeros_like(grain), film.orientation)


def laguerre(
    key: Key[Array, ""],
    grid: Grid,
    volumes: Float[Array, " grains"],
    *,
    periodic: bool = True,
    relaxations: int = 5,
    texture: Texture = uniform_texture,
) -> Microstructure:
    """A polycrystal of Laguerre cells whose volumes are prescribed.

    Generators are random; their weights are fitted until every cell has its volume
    (`fit_weights`), so any grain-size distribution can be had. Moving each generator to
    the centroid of its cell and fitting again makes the cells compact.

    Args:
        key: random key.
        grid: the grid to rasterise on, in two or three dimensions.
        volumes: relative volume (area in two dimensions) per grain, positive; see
            `lognormal_volumes`.
        periodic: whether cells continue through opposite faces of the box.
        relaxations: how many times the generators move to the centroids; with 0 large
            cells between close generators are far from round.
        texture: draws the orientations; uniform unless given.

    Returns:
        One phase (index 0), one orientation per cell.

    Raises:
        JaxmatError: if a volume is not positive or the fit fails.

    References:
        Bourne, Kok, Roper & Spanjer (2020), Philos. Mag. 100, 2677-2707.
    """
    seeds_key, texture_key = jax.random.split(key)
    seeds = random_seeds(seeds_key, grid.lengths, len(volumes), periodic=periodic)
    cells = Tessellation(seeds, jnp.zeros(len(seeds)), grid.lengths, periodic)
    for _ in range(relaxations):
        cells = _centred(fit_weights(cells, volumes, accuracy=0.1))
    cells = fit_weights(cells, volumes)
    return _fill(cells, grid, texture(texture_key, len(volumes)))


def fit_weights(
    tessellation: Tessellation,
    volumes: Float[Array, " grains"],
    *,
    accuracy: float = 0.01,
) -> Tessellation:
    """The tessellation with the same seeds whose cells have given volumes.

    The weights maximise a concave function whose gradient is the volume error (the
    dual of an optimal-transport problem), so the answer is unique up to a constant.
    Volumes are counted on a fixed set of points, 192 per side in two dimensions and 48
    in three, whatever the grid the cells are rasterised on later.

    Args:
        tessellation: seeds, and weights to start from.
        volumes: relative volume (area in two dimensions) per cell, positive.
        accuracy: error allowed in a volume, relative to the mean volume; never less
            than one of the points.

    Returns:
        The tessellation with new weights, their mean zero.

    Raises:
        JaxmatError: if there is not one positive volume per seed, or the fit fails.

    References:
        Bourne, Kok, Roper & Spanjer (2020), Philos. Mag. 100, 2677-2707.
    """
    target = np.asarray(volumes, float)
    seeds = np.asarray(tessellation.seeds, float)
    if target.shape != (len(seeds),) or not (target > 0).all():
        raise JaxmatError(
            f"`volumes` has shape {target.shape} and smallest value "
            f"{target.min(initial=np.inf):.3g}; give one positive volume for each of "
            f"the {len(seeds)} seeds."
        )
    target = target / target.sum()
    lengths = tessellation.lengths
    points = _fit_points(lengths)
    scale = float(np.prod(lengths) / len(seeds)) ** (2 / len(lengths))

    def negative_dual(scaled):
        weights = scaled * scale
        distance, owner = _nearest(seeds, weights, points, tessellation)
        fraction = np.bincount(owner, minlength=len(seeds)) / len(points)
        power = np.mean(distance**2) - weights.max()
        return -(target @ weights + power) / scale, fraction - target

    tolerance = max(accuracy / len(seeds), 1 / len(points))
    fit = minimize(
        negative_dual,
        np.asarray(tessellation.weights, float) / scale,
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": 300, "ftol": 0.0, "gtol": tolerance},
    )
    error = np.abs(fit.jac).max()
    if error > 5 * tolerance:
        raise JaxmatError(
            f"the cells miss their volumes by up to {error:.2g} of the box; give less "
            "extreme `volumes`, or a larger `min_distance` between the generators."
        )
    weights = jnp.asarray((fit.x - fit.x.mean()) * scale)
    return Tessellation(tessellation.seeds, weights, lengths, tessellation.periodic)


def _fit_points(lengths: tuple[float, ...]) -> np.ndarray:
    """The points on which cell volumes are counted, `(points, dim)`."""
    grid = Grid([_FIT_POINTS[len(lengths)]] * len(lengths), lengths)
    mesh = np.meshgrid(*grid.centres(), indexing="ij")
    return np.stack(mesh, axis=-1).reshape(-1, grid.ndim)


def _centred(cells: Tessellation) -> Tessellation:
    """The tessellation with every seed moved to the centroid of its cell."""
    box = np.asarray(cells.lengths)
    points, seeds = _fit_points(cells.lengths), np.asarray(cells.seeds, float)
    _, owner = _nearest(seeds, np.asarray(cells.weights, float), points, cells)
    offset = points - seeds[owner]
    if cells.periodic:
        offset -= box * np.round(offset / box)
    count = np.maximum(np.bincount(owner, minlength=len(seeds)), 1)
    shift = [np.bincount(owner, x, len(seeds)) / count for x in offset.T]
    moved = seeds + np.stack(shift, axis=1)
    if cells.periodic:
        moved = np.mod(moved, box)
    return Tessellation(
        jnp.asarray(moved), cells.weights, cells.lengths, cells.periodic
    )


def _fill(
    tessellation: Tessellation, grid: Grid, orientation: Float[Array, "grains 4"]
) -> Microstructure:
    """One phase, and the given orientation in every cell."""
    grain = rasterise(tessellation, grid)
    return Microstructure(grid, grain, jnp.zeros_like(grain), orientation)


def _nearest(
    seeds: np.ndarray, weights: np.ndarray, points: np.ndarray, cells: Tessellation
) -> tuple[np.ndarray, np.ndarray]:
    """Distance in the lifted space, and index, of the generator of each point."""
    box = np.asarray(cells.lengths)
    lift = np.sqrt(weights.max() - weights)
    if cells.periodic:
        seeds = np.mod(seeds, box)
        seeds[seeds >= box] = 0.0  # the remainder of -1e-17 rounds up to the length
    period = box if cells.periodic else None
    if lift.any():
        seeds = np.column_stack([seeds, lift])
        points = np.concatenate([points, np.zeros((*points.shape[:-1], 1))], axis=-1)
        period = np.append(box, 0.0) if cells.periodic else None  # 0: not periodic
    distance, owner = KDTree(seeds, boxsize=period).query(points, workers=-1)
    return np.asarray(distance), np.asarray(owner)
