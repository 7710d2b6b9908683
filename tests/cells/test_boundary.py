"""Boundary conditions: order, exactness on affine fields, transforms, iterations."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmat import JaxmatError, cells, homogenise
from jaxmat.cells import _axes
from jaxmat.materials import LinearElastic
from jaxmat.microstructure import Grid, resample, voronoi


@pytest.mark.parametrize("plane", [None, "strain"])
def test_uniform_displacement_is_stiffer_than_periodic_than_uniform_traction(
    micro, silicon, plane
):
    """The displacement spaces are nested, so the differences are semidefinite."""
    film = resample(micro("voronoi2d_20g_128"), (16, 12))
    stiffness = {
        boundary: homogenise(
            cells.grid_cell(film, silicon, plane=plane, boundary=boundary),
            rtol=1e-9,
        ).value
        for boundary in ("kubc", "periodic", "subc")
    }
    slack = 1e-7  # GPa: the tolerance of the solves
    upper = jnp.linalg.eigvalsh(stiffness["kubc"] - stiffness["periodic"])
    lower = jnp.linalg.eigvalsh(stiffness["periodic"] - stiffness["subc"])
    assert upper.min() > -slack
    assert lower.min() > -slack
    assert upper.max() > 0.01
    assert lower.max() > 0.01


def test_the_order_holds_in_three_dimensions(silicon):
    grains = voronoi(jax.random.key(4), Grid((6, 5, 7), (1.0, 1.0, 1.2)), 8)
    kubc, periodic, subc = (
        homogenise(cells.grid_cell(grains, silicon, boundary=b), rtol=1e-9).value
        for b in ("kubc", "periodic", "subc")
    )
    assert jnp.linalg.eigvalsh(kubc - periodic).min() > -1e-7
    assert jnp.linalg.eigvalsh(periodic - subc).min() > -1e-7


def test_conditions_may_differ_between_axes(micro, silicon):
    """Releasing one axis from prescribed displacement to periodic can only soften."""
    film = resample(micro("voronoi2d_20g_128"), (12, 12))
    held, mixed, loose = (
        homogenise(cells.grid_cell(film, silicon, boundary=b), rtol=1e-9).value
        for b in ("kubc", ("kubc", "periodic"), ("subc", "periodic"))
    )
    assert jnp.linalg.eigvalsh(held - mixed).min() > -1e-7
    assert jnp.linalg.eigvalsh(mixed - loose).min() > -1e-7


def test_uniform_traction_leaves_the_boundary_stress_uniform(micro, silicon):
    """The nodal forces of the solution are those of the mean stress alone."""
    film = resample(micro("voronoi2d_20g_128"), (10, 9))
    cell = cells.grid_cell(film, silicon, plane="strain", boundary="subc")
    problem = cell._problem()
    eps_bar = jnp.array([1.0, 0.2, -0.4])
    solve = problem.solver(rtol=jnp.asarray(1e-11), max_steps=jnp.asarray(500))
    u = solve(problem.load(eps_bar)).value
    method = problem.discretisation
    scale = float(jnp.max(jnp.abs(problem.mean_stress(u, eps_bar))))
    for f in problem.force(u, eps_bar):
        np.testing.assert_allclose(f, 0, atol=1e-8 * scale)
    for k, x in problem.balance.strain(u, eps_bar)[()].items():
        np.testing.assert_allclose(jnp.mean(method.crop(x)), eps_bar[k], atol=1e-12)


@pytest.mark.parametrize("boundary", ["kubc", "subc"])
@pytest.mark.parametrize("n", [4, 5, 8])
@pytest.mark.parametrize("scheme", ["full", "reduced"])
def test_waves_diagonalise_the_elements_of_one_axis(boundary, n, scheme):
    """Stiffness and mass matrices of a rod, assembled densely, against the symbols."""
    step = 0.3
    mass = (
        np.array([[2.0, 1], [1, 2]]) / 6 if scheme == "full" else np.full((2, 2), 0.25)
    )
    stiff = np.array([[1.0, -1], [-1, 1]]) / step**2
    total = {"stiff": np.zeros((n + 1, n + 1)), "mass": np.zeros((n + 1, n + 1))}
    for i in range(n):
        total["stiff"][i : i + 2, i : i + 2] += stiff
        total["mass"][i : i + 2, i : i + 2] += mass
    lam, mu, _ = _axes.symbols(boundary, n, step, scheme, half=False)
    # A shift makes the traction problem invertible.
    matrix = total["stiff"] + 2.0 * total["mass"]
    if boundary == "kubc":
        matrix = matrix[1:-1, 1:-1]
    rhs = jnp.asarray(np.random.default_rng(0).normal(size=matrix.shape[0]))
    regular = lam + 2 * mu
    x = _axes.transform(boundary, rhs, 0) / regular
    x = _axes.inverse_transform(boundary, x, 0)
    np.testing.assert_allclose(matrix @ x, rhs, atol=1e-10)


@pytest.mark.parametrize(("boundary", "factor"), [("kubc", 4), ("subc", 4)])
def test_bounded_specimens_need_under_four_times_the_periodic_iterations(
    micro, silicon, boundary, factor
):
    film = micro("voronoi2d_20g_128")
    count = eqx.filter_jit(lambda c: homogenise(c).info.num_steps)
    steps = {}
    for size in (32, 128):
        coarse = resample(film, (size, size))
        periodic = count(cells.grid_cell(coarse, silicon, plane="strain"))
        bounded = count(
            cells.grid_cell(coarse, silicon, plane="strain", boundary=boundary)
        )
        steps[size] = int(bounded)
        assert int(bounded) < factor * int(periodic)
    assert steps[128] <= steps[32] + 2  # independent of the mesh


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"plane": "stretch"}, "`plane` is 'stretch'"),
        ({"boundary": "fixed"}, "`boundary` is 'fixed'"),
        ({"boundary": ("kubc",) * 3}, "3 entries, the grid 2 axes"),
        ({"discretisation": "spectral"}, "`discretisation` is 'spectral'"),
        ({"discretisation": "fourier", "boundary": "kubc"}, "periodic by construction"),
        ({"discretisation": "reduced", "boundary": "subc"}, "mechanisms on a free"),
    ],
)
def test_an_option_that_does_not_exist_is_told_with_its_value(
    small, silicon, options, words
):
    with pytest.raises(JaxmatError, match=words):
        cells.grid_cell(small, silicon, **options)


def test_a_plane_in_three_dimensions_is_refused(silicon):
    grains = voronoi(jax.random.key(0), Grid((4, 4, 4), (1.0, 1.0, 1.0)), 3)
    with pytest.raises(JaxmatError, match="grid of 3 dimensions"):
        cells.grid_cell(grains, silicon, plane="strain")


def test_plane_strain_of_tilted_grains_is_refused(small, silicon):
    with pytest.raises(JaxmatError, match="mirror plane"):
        cells.grid_cell(small, silicon, plane="strain")


def test_a_missing_law_is_told(small, silicon):
    two = eqx.tree_at(lambda m: m.phase, small, small.phase.at[0, 0].set(1))
    with pytest.raises(JaxmatError, match="2 phases but `laws` 1"):
        cells.grid_cell(two, silicon)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda m: (m.grain + 1, m.phase), "must be 0 to .* one row of `orientation`"),
        (lambda m: (m.grain, m.phase - 1), "`phase` is -1 at index"),
        (lambda m: (m.grain, m.phase[1:]), "`phase` has shape"),
        (lambda m: (m.grain, 1.0 * m.phase), "`phase` has dtype float64"),
    ],
)
def test_maps_that_are_not_numbered_from_zero_are_refused(
    small, silicon, change, words
):
    """A gather would take the nearest number there is, and answer."""
    wrong = eqx.tree_at(lambda m: (m.grain, m.phase), small, change(small))
    with pytest.raises(JaxmatError, match=words):
        cells.grid_cell(wrong, silicon)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda c: c.at[0, 1].add(10.0), "not finite and symmetric"),
        (lambda c: c.at[0, 0].set(jnp.nan), "not finite and symmetric"),
        (lambda c: -c, "has the eigenvalue"),
    ],
)
def test_a_stiffness_that_no_crystal_has_is_refused(small, silicon, change, words):
    with pytest.raises(JaxmatError, match=words):
        cells.grid_cell(small, LinearElastic(change(silicon.stiffness)))


@pytest.mark.parametrize("value", [0.0, np.nan])
def test_an_orientation_that_is_none_is_refused_with_its_grain(small, silicon, value):
    broken = small.orientation.at[3].set(value)
    grains = eqx.tree_at(lambda m: m.orientation, small, broken)
    with pytest.raises(JaxmatError, match="orientation of grain 3"):
        cells.grid_cell(grains, silicon)


def test_an_iteration_bound_that_is_too_low_ends_in_a_sentence(small, silicon):
    cell = cells.grid_cell(small, silicon)
    with pytest.raises(eqx.EquinoxRuntimeError, match="equilibrium not reached"):
        homogenise(cell, max_steps=2)
    info = homogenise(cell, max_steps=2, throw=False).info
    assert not bool(info.converged)
    assert int(info.num_steps) == 2
    assert float(info.residual_norm) > 1e-6
