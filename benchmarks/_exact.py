"""Known answers beside ours: closed forms, exact relations, programs, differences.

Each task returns one number, the worst error of its kind; `_bars.py` says what it must
not exceed.
"""

import json
import pathlib

import _micro
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from _serve import serve

from jaxmat import cells, crystals, homogenise, mandel
from jaxmat.materials import LinearElastic, stiffness_of
from jaxmat.microstructure import Grid, Microstructure, voronoi

jax.config.update("jax_enable_x64", True)
DATA = pathlib.Path(__file__).parents[1] / "tests" / "data"
COPPER = (168.9, 121.8, 75.8)


def turned_about_x3(angles):
    half, zero = angles / 2, jnp.zeros_like(angles)
    return jnp.stack([jnp.cos(half), zero, zero, jnp.sin(half)], -1)


def plane_relation(*, scheme: str, size: int = 128) -> float:
    """Determinant relation of columnar copper: worst of three microstructures."""
    kappa, mu1, mu2 = (168.9 + 121.8) / 2, (168.9 - 121.8) / 2, 75.8
    exact = (1 / mu1 + 1 / kappa) * (1 / mu2 + 1 / kappa)
    half = np.sqrt(0.5)
    frame = np.array([[half, half, 0], [half, -half, 0], [0, 0, 1]])
    law = LinearElastic(crystals.cubic(*COPPER))
    worst = 0.0
    for seed in range(3):
        grains = voronoi(jax.random.key(seed), Grid((size, size), (1.0, 1.0)), 40)
        angles = jax.random.uniform(jax.random.key(seed + 10), (40,)) * np.pi / 2
        orientation = turned_about_x3(angles)
        grains = eqx.tree_at(lambda m: m.orientation, grains, orientation)
        cell = cells.grid_cell(grains, law, plane="strain", discretisation=scheme)
        c = homogenise(cell).value
        bulk = (frame @ c @ frame.T)[0, 0] / 2
        deviatoric = 2 * (frame @ jnp.linalg.inv(c) @ frame.T)[1:, 1:]
        determinant = jnp.linalg.det(deviatoric + jnp.eye(2) / kappa)
        errors = abs(bulk / kappa - 1), abs(determinant / exact - 1)
        worst = max(worst, *map(float, errors))
    return worst


def estimates() -> float:
    """Voigt, Reuss, Hill, Hashin-Shtrikman and self-consistent moduli of r1."""
    known = json.loads((DATA / "r1_elastic_bounds.json").read_text())
    c = crystals.cubic(*COPPER)
    bounds = crystals.hashin_shtrikman(c)
    ours = {
        "Voigt": crystals.voigt(c),
        "Reuss": crystals.reuss(c),
        "Hill": crystals.hill(c),
        "SC": crystals.self_consistent(c),
        "HSlo": bounds.lower,
        "HShi": bounds.upper,
    }
    pairs = [(known["Cu"][name], value) for name, value in ours.items()]
    shear = [abs(float(value.shear) / row["G"] - 1) for row, value in pairs]
    bulk = [abs(float(value.bulk) / row["K"] - 1) for row, value in pairs]
    return max(shear + bulk)


def laminate() -> float:
    """Layers of copper along each axis, elements against the closed form."""
    law = LinearElastic(crystals.cubic(*COPPER))
    turn = jnp.array([np.cos(np.pi / 8), np.sin(np.pi / 8), 0.0, 0.0])
    orientation = jnp.stack([jnp.array([1.0, 0, 0, 0]), turn])
    turned = [crystals.rotate_stiffness(law.stiffness, q) for q in orientation]
    worst = 0.0
    for axis in range(3):
        layer = np.zeros((4, 4, 4), np.int32)
        np.moveaxis(layer, axis, 0)[2:] = 1
        grid = Grid((4, 4, 4), (1.0, 1.0, 1.0))
        phase = jnp.zeros(grid.shape, jnp.int32)
        grains = Microstructure(grid, jnp.asarray(layer), phase, orientation)
        ours = homogenise(cells.grid_cell(grains, law), rtol=1e-10).value
        exact = cells.Laminate(
            tuple(map(LinearElastic, turned)), jnp.array([0.5, 0.5]), jnp.eye(3)[axis]
        )
        error = jnp.max(jnp.abs(ours - homogenise(exact).value)) / jnp.max(ours)
        worst = max(worst, float(error))
    return worst


def eshelby(*, size: int = 64) -> float:
    """Mean strain in a stiff sphere of radius 1/8, corrected for its fraction.

    Voxels cut by the surface are laminates; the strain inside follows from the mean
    stress. As the test of the same name.
    """
    matrix, sphere = (
        LinearElastic(crystals.isotropic(young / (3 - 6 * nu), young / (2 + 2 * nu)))
        for young, nu in ((1.0, 0.3), (10.0, 0.2))
    )
    share, normal = _sphere(size)

    @jax.jit
    @jax.vmap
    def mixture(share, normal):
        layers = cells.Laminate((matrix, sphere), jnp.stack([1 - share, share]), normal)
        return stiffness_of(layers)

    full = share[..., None, None] > 0.5
    stiffness = np.where(full, sphere.stiffness, matrix.stiffness)
    cut = (share > 0) & (share < 1)
    stiffness[cut] = mixture(jnp.asarray(share[cut]), jnp.asarray(normal[cut]))
    law = jax.vmap(jax.vmap(jax.vmap(LinearElastic)))(jnp.asarray(stiffness))
    grid = Grid((size,) * 3, (1.0,) * 3)
    effective = homogenise(cells.field_cell(grid, law, discretisation="reduced")).value
    fraction = 4 / 3 * np.pi * 0.125**3
    contrast = sphere.stiffness - matrix.stiffness
    excess = jnp.linalg.solve(contrast, effective - matrix.stiffness) / fraction
    known = json.loads((DATA / "r4_closed_form.json").read_text())
    known = known["inhomogeneity E=10,nu=.2 in E=1,nu=.3"]
    loads = {
        "vol_strain_ratio": jnp.array([1.0, 1, 1, 0, 0, 0]),
        "shear_strain_ratio": jnp.array([0.0, 0, 0, 0, 0, 1]),
    }
    worst = 0.0
    for name, load in loads.items():
        ratio = float(load @ excess @ load / (load @ load))
        dilute = known[name] / (1 + fraction * (known[name] - 1))
        worst = max(worst, abs(ratio / dilute - 1))
    return worst


def _sphere(size: int, samples: int = 8) -> tuple[np.ndarray, np.ndarray]:
    """Share of a sphere of radius 1/8 in every voxel, and its outward direction."""
    fine = (np.arange(size * samples) + 0.5) / (size * samples) - 0.5
    plane = fine[:, None, None] ** 2 + fine[None, :, None] ** 2
    share = np.zeros((size,) * 3)
    for start in range(samples):
        inside = plane + fine[start::samples] ** 2 < 0.125**2
        blocks = inside.reshape(size, samples, size, samples, size)
        share += blocks.mean((1, 3)) / samples
    centre = (np.arange(size) + 0.5) / size - 0.5
    return share, np.stack(np.meshgrid(centre, centre, centre, indexing="ij"), -1)


def other_programs(*, case: str, ndim: int, scheme: str) -> float:
    """Largest difference from the stored stiffness of another program, GPa."""
    known = json.loads((DATA / "micro" / "reference_results.json").read_text())
    size = {2: 128, 3: 32}[ndim]
    grain = _micro.grain_map(ndim, size)
    grains = Microstructure(
        Grid(grain.shape, (1.0,) * ndim),
        jnp.asarray(grain),
        jnp.zeros(grain.shape, jnp.int32),
        jnp.asarray(_micro.quaternions(ndim)),
    )
    silicon = mandel.from_voigt_stiffness(jnp.asarray(_micro.silicon_voigt()))
    plane = "strain" if ndim == 2 else None
    cell = cells.grid_cell(
        grains, LinearElastic(silicon), plane=plane, discretisation=scheme
    )
    ours = mandel.to_voigt_stiffness(homogenise(cell).value)
    return float(np.max(np.abs(ours - np.array(known[case]["C"]))))


def bounded_order() -> float:
    """Most negative eigenvalue of C_KUBC - C_periodic and C_periodic - C_SUBC, GPa."""
    grains = voronoi(jax.random.key(0), Grid((32, 32), (1.0, 1.0)), 12)
    law = LinearElastic(crystals.cubic(*COPPER))
    kubc, periodic, subc = (
        homogenise(cells.grid_cell(grains, law, boundary=b), rtol=1e-9).value
        for b in ("kubc", "periodic", "subc")
    )
    gaps = jnp.stack([kubc - periodic, periodic - subc])
    return float(jnp.linalg.eigvalsh(gaps).min())


def gradient_error(*, mode: str, boundary: str = "periodic") -> float:
    """Young's modulus by all orientations against a fourth-order difference."""
    grains = voronoi(jax.random.key(2), Grid((12, 10), (1.2, 1.0)), 7)
    law = LinearElastic(crystals.cubic(*COPPER))
    rng = np.random.default_rng(0)
    direction = jnp.asarray(rng.normal(size=grains.orientation.shape))
    direction = direction / jnp.linalg.norm(direction)

    @jax.jit
    def modulus(orientation):
        turned = eqx.tree_at(lambda m: m.orientation, grains, orientation)
        cell = cells.grid_cell(turned, law, boundary=boundary)
        return 1 / jnp.linalg.inv(homogenise(cell, rtol=1e-11).value)[0, 0]

    at, step = grains.orientation, 1e-4
    near = modulus(at + step * direction) - modulus(at - step * direction)
    far = modulus(at + 2 * step * direction) - modulus(at - 2 * step * direction)
    difference = (8 * near - far) / (12 * step)
    if mode == "forward":
        slope = jax.jit(lambda q: jax.jvp(modulus, (q,), (direction,))[1])(at)
    else:
        slope = jnp.vdot(jax.jit(jax.grad(modulus))(at), direction)
    return abs(float(slope / difference) - 1)


TASKS = (
    plane_relation,
    estimates,
    laminate,
    eshelby,
    other_programs,
    bounded_order,
    gradient_error,
)

if __name__ == "__main__":
    serve({task.__name__: task for task in TASKS})
