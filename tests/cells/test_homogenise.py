"""Effective stiffness against other programs, exact relations and closed forms."""

import json
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmat import cells, crystals, homogenise, mandel
from jaxmat.materials import LinearElastic, stiffness_of
from jaxmat.microstructure import Grid, Microstructure, resample, voronoi

DATA = Path(__file__).parents[1] / "data"
SCHEMES = {"fourier": "fourier", "reduced": "rotated", "full": "fe"}
solve = eqx.filter_jit(lambda cell: homogenise(cell).value)


def turned_about_x3(angles):
    half = jnp.asarray(angles) / 2
    zero = jnp.zeros_like(half)
    return jnp.stack([jnp.cos(half), zero, zero, jnp.sin(half)], -1)


# The reference solver stopped at 1e-6 of its residual. Its Fourier scheme treats the
# Nyquist wave of an even grid otherwise; ours leaves it out, which costs less than the
# 0.014 GPa by which DAMASK differs from it in 3D.
@pytest.mark.parametrize("plane", ["strain", "stress"])
@pytest.mark.parametrize("scheme", SCHEMES)
def test_silicon_film_agrees_with_other_programs(
    micro, silicon, reference, scheme, plane
):
    cell = cells.grid_cell(
        micro("voronoi2d_20g_128"), silicon, plane=plane, discretisation=scheme
    )
    stiffness = mandel.to_voigt_stiffness(solve(cell))
    known = np.array(reference[f"2d_128_p{plane}_{SCHEMES[scheme]}"]["C"])
    atol = 1e-3 if scheme == "fourier" else 1e-6
    np.testing.assert_allclose(stiffness, known, rtol=0, atol=atol)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_silicon_polycrystal_agrees_with_other_programs(
    micro, silicon, reference, scheme
):
    cell = cells.grid_cell(micro("voronoi3d_30g_32"), silicon, discretisation=scheme)
    stiffness = mandel.to_voigt_stiffness(solve(cell))
    known = np.array(reference[f"3d_32_{SCHEMES[scheme]}"]["C"])
    atol = 0.015 if scheme == "fourier" else 1e-6
    np.testing.assert_allclose(stiffness, known, rtol=0, atol=atol)


def plane_relation_errors(copper, size, scheme):
    """Relative errors of the bulk modulus and of the determinant of the shear moduli.

    Exact for any periodic columnar cubic polycrystal in plane strain: Lurie & Cherkaev
    (1984), Cherkaev, Lurie & Milton (1992).
    """
    kappa, mu1, mu2 = (168.9 + 121.8) / 2, (168.9 - 121.8) / 2, 75.8
    exact = (1 / mu1 + 1 / kappa) * (1 / mu2 + 1 / kappa)
    grains = voronoi(jax.random.key(1), Grid((size, size), (1.0, 1.0)), 40)
    angles = jax.random.uniform(jax.random.key(2), (40,)) * np.pi / 2
    grains = eqx.tree_at(lambda m: m.orientation, grains, turned_about_x3(angles))
    cell = cells.grid_cell(grains, copper, plane="strain", discretisation=scheme)
    c = solve(cell)
    half = np.sqrt(0.5)  # to (e11 + e22)/sqrt2, (e11 - e22)/sqrt2, sqrt2 e12
    frame = np.array([[half, half, 0], [half, -half, 0], [0, 0, 1]])
    deviatoric = 2 * (frame @ jnp.linalg.inv(c) @ frame.T)[1:, 1:]
    determinant = jnp.linalg.det(deviatoric + jnp.eye(2) / kappa)
    bulk = (frame @ c @ frame.T)[0, 0] / 2
    return abs(bulk / kappa - 1), abs(determinant / exact - 1)


@pytest.mark.parametrize("scheme", ["reduced", "fourier"])
def test_columnar_copper_obeys_the_exact_plane_relations(copper, scheme):
    """Far below the 1e-3 asked for: both schemes nearly keep the plane duality."""
    bulk, coarse = plane_relation_errors(copper, 64, scheme)
    _, fine = plane_relation_errors(copper, 128, scheme)
    assert bulk < 1e-12
    assert fine < 1e-5
    assert fine < coarse


def test_fully_integrated_elements_converge_to_the_plane_relations_from_above(copper):
    """They bound the energy from above, so their error is first order in the pixel.

    Copper (Zener 3.2), 40 grains: 1.1 % at 64^2, 0.6 % at 128^2, 0.3 % at 256^2.
    """
    bulk, coarse = plane_relation_errors(copper, 64, "full")
    _, fine = plane_relation_errors(copper, 128, "full")
    assert bulk < 1e-12
    assert fine < 0.6 * coarse
    assert fine < 0.01


@pytest.mark.parametrize("scheme", ["full", "reduced"])
@pytest.mark.parametrize("normal", [0, 1, 2])
def test_layers_of_copper_are_solved_exactly(copper, normal, scheme):
    """Elements represent the piecewise linear field of a laminate exactly."""
    turn = np.array([np.cos(np.pi / 8), np.sin(np.pi / 8), 0.0, 0.0])
    orientation = jnp.asarray(np.stack([[1.0, 0, 0, 0], turn]))
    shape = [2, 2, 2]
    shape[normal] = 4
    layer = np.zeros(shape, np.int32)
    np.moveaxis(layer, normal, 0)[2:] = 1
    grains = Microstructure(
        Grid(shape, (1.0, 1.3, 0.7)),
        jnp.asarray(layer),
        jnp.zeros(shape, jnp.int32),
        orientation,
    )
    cell = cells.grid_cell(grains, copper, discretisation=scheme)
    laws = tuple(
        LinearElastic(crystals.rotate_stiffness(copper.stiffness, q))
        for q in orientation
    )
    exact = cells.Laminate(laws, jnp.array([0.5, 0.5]), jnp.eye(3)[normal])
    value = homogenise(cell, rtol=1e-10).value
    np.testing.assert_allclose(value, homogenise(exact).value, rtol=0, atol=1e-7)


def test_a_columnar_body_is_a_solid_that_does_not_vary_along_x3(small, silicon):
    """2.5D with three displacement components equals 3D with two layers of voxels."""
    grain = jnp.repeat(small.grain[..., None], 2, axis=2)
    grid = Grid((*small.grid.shape, 2), (*small.grid.lengths, 0.5))
    solid = Microstructure(grid, grain, jnp.zeros_like(grain), small.orientation)
    flat = homogenise(cells.grid_cell(small, silicon), rtol=1e-9).value
    deep = homogenise(cells.grid_cell(solid, silicon), rtol=1e-9).value
    np.testing.assert_allclose(flat, deep, rtol=0, atol=1e-6)


def test_plane_strain_is_the_in_plane_block_of_the_columnar_body(micro, silicon):
    film = resample(micro("voronoi2d_20g_128"), (32, 32))
    plane = homogenise(cells.grid_cell(film, silicon, plane="strain")).value
    columnar = homogenise(cells.grid_cell(film, silicon)).value
    block = columnar[mandel.PLANE[:, None], mandel.PLANE]
    np.testing.assert_allclose(plane, block, rtol=0, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize(("size", "tolerance"), [(32, 0.01), (64, 0.01)])
def test_a_stiff_sphere_strains_as_eshelby_says(size, tolerance):
    """Mean strain inside a sphere of radius 1/8, corrected for its finite fraction.

    Voxels that the surface cuts are laminates of what they hold, normal to the surface:
    with a jagged sphere the error is 1.8 % (reduced) to 6 % (full) at 64^3. The strain
    inside follows from `<sig> = C_m <eps> + f (C_i - C_m) <eps>_i`, exactly. Far from
    the sphere the matrix strains by `eps_0`, with
    `eps_bar = eps_0 (1 + f (A - 1))` to first order in the interaction of the periodic
    images (Mori & Tanaka 1973).
    """
    matrix, sphere = (
        LinearElastic(crystals.isotropic(young / (3 - 6 * nu), young / (2 + 2 * nu)))
        for young, nu in ((1.0, 0.3), (10.0, 0.2))
    )
    samples = 8
    fine = (np.arange(size * samples) + 0.5) / (size * samples) - 0.5
    share = np.zeros((size,) * 3)
    for start in range(samples):
        square = (
            fine[:, None, None] ** 2
            + fine[None, :, None] ** 2
            + fine[None, None, start::samples] ** 2
        )
        inside = (square < 0.125**2).reshape(size, samples, size, samples, size)
        share += inside.mean((1, 3)) / samples
    centre = (np.arange(size) + 0.5) / size - 0.5
    normal = np.stack(np.meshgrid(centre, centre, centre, indexing="ij"), -1)

    @jax.jit
    @jax.vmap
    def mixture(share, normal):
        layers = cells.Laminate((matrix, sphere), jnp.stack([1 - share, share]), normal)
        return stiffness_of(layers)

    stiffness = np.where(
        share[..., None, None] > 0.5, sphere.stiffness, matrix.stiffness
    )
    cut = (share > 0) & (share < 1)
    stiffness[cut] = mixture(jnp.asarray(share[cut]), jnp.asarray(normal[cut]))
    law = jax.vmap(jax.vmap(jax.vmap(LinearElastic)))(jnp.asarray(stiffness))
    grid = Grid((size,) * 3, (1.0,) * 3)
    effective = homogenise(cells.field_cell(grid, law, discretisation="reduced")).value
    fraction = 4 / 3 * np.pi * 0.125**3
    excess = jnp.linalg.solve(
        sphere.stiffness - matrix.stiffness, effective - matrix.stiffness
    )
    known = json.loads((DATA / "r4_closed_form.json").read_text())
    known = known["inhomogeneity E=10,nu=.2 in E=1,nu=.3"]
    loads = {
        "vol_strain_ratio": jnp.array([1.0, 1, 1, 0, 0, 0]),
        "shear_strain_ratio": jnp.array([0.0, 0, 0, 0, 0, 1]),
    }
    for name, load in loads.items():
        measured = load @ excess @ load / (load @ load) / fraction
        expected = known[name] / (1 + fraction * (known[name] - 1))
        np.testing.assert_allclose(measured, expected, rtol=tolerance)


def test_voids_and_hard_contrast_converge(micro, silicon):
    """Elements with contrast 1e4 and with voids: fewer than 70 iterations."""
    film = micro("voronoi2d_20g_128")
    soft = (film.grain < 3).astype(jnp.int32)
    film = eqx.tree_at(lambda m: m.phase, film, soft)
    for contrast in (1e-4, 0.0):
        laws = [silicon, LinearElastic(contrast * silicon.stiffness)]
        cell = cells.grid_cell(film, laws, plane="strain")
        info = eqx.filter_jit(lambda c: homogenise(c, throw=False).info)(cell)
        assert bool(info.converged)
        assert int(info.num_steps) < 70


def test_iterations_do_not_grow_with_the_mesh(micro, silicon):
    film = micro("voronoi2d_20g_512")
    steps = []
    for size in (64, 256):
        cell = cells.grid_cell(resample(film, (size, size)), silicon, plane="strain")
        info = eqx.filter_jit(lambda c: homogenise(c).info)(cell)
        steps.append(int(info.num_steps))
    assert steps[1] <= steps[0] + 1


def test_a_homogeneous_cell_gives_its_law_back_in_no_iteration(small, silicon):
    same = jnp.tile(small.orientation[0], (5, 1))
    one = eqx.tree_at(lambda m: m.orientation, small, same)
    solution = homogenise(cells.grid_cell(one, silicon))
    exact = crystals.rotate_stiffness(silicon.stiffness, small.orientation[0])
    np.testing.assert_allclose(solution.value, exact, rtol=0, atol=1e-10)


def test_bounds_enclose_the_effective_stiffness(small, silicon):
    effective = homogenise(cells.grid_cell(small, silicon)).value
    upper = cells.voigt_bound(small, silicon) - effective
    lower = effective - cells.reuss_bound(small, silicon)
    # The bulk modulus of a cubic crystal is the same in every grain: there the bounds
    # meet, and the smallest eigenvalue is zero.
    for gap in (upper, lower):
        eigenvalues = jnp.linalg.eigvalsh(gap)
        assert abs(eigenvalues[0]) < 1e-10
        assert eigenvalues[1] > 0.1


def test_float32_agrees_with_float64_to_its_precision(small, silicon):
    cell = cells.grid_cell(small, silicon)
    single = jax.tree.map(
        lambda x: x.astype(jnp.float32) if eqx.is_inexact_array(x) else x, cell
    )
    value = solve(single)
    assert value.dtype == jnp.float32
    # 7 digits, and a condition number of about ten
    np.testing.assert_allclose(value, solve(cell), rtol=0, atol=2e-6 * 200)


def test_local_stress_averages_to_the_macroscopic_stress(small, silicon):
    cell = cells.grid_cell(small, silicon)
    eps_bar = 1e-3 * jnp.array([1.0, -0.2, 0.3, 0.5, -0.4, 0.6])
    fields = cells.local_fields(cell, eps_bar, rtol=1e-10).value
    stiffness = homogenise(cell, rtol=1e-10).value
    axes = (0, 1)
    np.testing.assert_allclose(fields.eps.mean(axes), eps_bar, atol=1e-15)
    np.testing.assert_allclose(fields.sig.mean(axes), stiffness @ eps_bar, atol=1e-10)


def test_displacement_differences_give_the_mean_strain(small, silicon):
    """Opposite faces of a periodic cell differ by the affine displacement."""
    cell = cells.grid_cell(small, silicon)
    eps_bar = 1e-3 * jnp.array([1.0, -0.2, 0.3, 0.5, -0.4, 0.6])
    u = cells.local_fields(cell, eps_bar).value.displacement
    gradient = mandel.to_tensor2(eps_bar)
    jump = (u[-1] - u[0]) / small.grid.lengths[0]
    np.testing.assert_allclose(jump, jnp.tile(gradient[0], (9, 1)), atol=1e-15)


def test_a_batch_of_microstructures_is_solved_under_vmap(micro, silicon):
    """Sixteen stochastic volume elements, vmap against one by one."""
    grid = Grid((16, 16), (1.0, 1.0))
    keys = jax.random.split(jax.random.key(0), 3)
    films = [voronoi(k, grid, 6) for k in keys]
    batch = jax.tree.map(lambda *x: jnp.stack(x), *films)

    def effective(film):
        return homogenise(cells.grid_cell(film, silicon)).value

    together = jax.jit(jax.vmap(effective))(batch)
    alone = jnp.stack([jax.jit(effective)(film) for film in films])
    np.testing.assert_allclose(together, alone, rtol=1e-8)
