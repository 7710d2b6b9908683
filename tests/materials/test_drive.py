"""Load paths with strain and stress prescribed, against closed forms."""

import dataclasses
import re

import equinox as eqx
import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import pytest
from jax.test_util import check_grads

from jaxmat import JaxmatError, cells, crystals, drive, homogenise, rotations
from jaxmat.materials import (
    LinearElastic,
    LoadPath,
    Oriented,
    PlaneStress,
    follow,
    tangent,
)
from jaxmat.microstructure import Grid, Microstructure

STEEL = LinearElastic(crystals.isotropic(167.0, 77.0))
SIDEWAYS_FREE = np.array([False, True, True, True, True, True])


def uniaxial(strains, num_components=6):
    """A bar pulled along x1, its sides free."""
    steps = len(strains)
    eps = jnp.zeros((steps, num_components)).at[:, 0].set(jnp.asarray(strains))
    free = np.broadcast_to(SIDEWAYS_FREE[:num_components], eps.shape)
    return LoadPath(eps, jnp.zeros_like(eps), free, jnp.ones(steps))


STRAINS = (0.0005, 0.002, 0.005, 0.01)


@pytest.fixture(scope="module")
def pulled(steel):
    return drive(steel, uniaxial(STRAINS))


def test_a_pulled_bar_of_steel_follows_the_closed_form(pulled, closed_form):
    expected = closed_form["J2 uniaxial E=200GPa sy=200 H=2GPa (linear iso)"]
    sig = 1e3 * np.asarray(pulled.value.sig[:, 0])  # MPa
    # The path stops at 1e-8; radial return is exact along a straight stress path.
    np.testing.assert_allclose(sig[0], 200e3 * STRAINS[0], rtol=1e-7)
    stresses = [expected[f"sigma(eps={strain})"] for strain in STRAINS[1:]]
    np.testing.assert_allclose(sig[1:], stresses, rtol=1e-7)
    slope = (sig[3] - sig[2]) / (STRAINS[3] - STRAINS[2])
    np.testing.assert_allclose(slope, expected["Et"], rtol=1e-5)
    assert np.abs(pulled.value.sig[:, 1:]).max() < 1e-8 * 200


def test_history_has_one_entry_per_step(pulled):
    history = pulled.value
    assert history.eps.shape == history.sig.shape == (4, 6)
    assert history.state.eps_p.shape == (4, 6)
    assert history.state.p.shape == (4,)
    assert pulled.info.converged
    np.testing.assert_array_equal(history.eps[:, 0], STRAINS)
    assert history.state.p[0] == 0 < history.state.p[1]


def test_plastic_flow_keeps_the_volume(pulled):
    plastic = np.asarray(pulled.value.state.eps_p)
    np.testing.assert_allclose(plastic[:, :3].sum(axis=1), 0, atol=1e-15)
    np.testing.assert_allclose(plastic[:, 0], pulled.value.state.p, rtol=1e-6)


def test_a_pulled_sheet_is_a_pulled_bar(steel, pulled):
    sheet = drive(PlaneStress(steel), uniaxial(STRAINS, 3))
    np.testing.assert_allclose(sheet.value.sig[:, 0], pulled.value.sig[:, 0], rtol=1e-7)
    np.testing.assert_allclose(
        sheet.value.eps[:, :2], pulled.value.eps[:, :2], rtol=1e-6
    )


def test_unloading_is_elastic_and_continues_where_the_state_says(steel, pulled):
    state = jax.tree.map(lambda x: x[-1], pulled.value.state)
    back = drive(steel, uniaxial([0.0098]), state=state).value
    drop = pulled.value.sig[-1, 0] - back.sig[0, 0]
    np.testing.assert_allclose(drop, 200 * 0.0002, rtol=1e-5)
    np.testing.assert_array_equal(back.state.p[0], state.p)


def test_prescribed_stress_finds_the_strain_of_the_closed_form(steel):
    stress = 0.21
    sig = jnp.zeros((1, 6)).at[0, 0].set(stress)
    path = LoadPath(jnp.zeros((1, 6)), sig, np.full((1, 6), True), jnp.ones(1))
    eps = drive(steel, path).value.eps
    np.testing.assert_allclose(eps[0, 0], stress / 200 + (stress - 0.2) / 2, rtol=1e-6)


def test_mixed_control_of_a_crystal_is_a_partitioned_solve(silicon):
    rng = np.random.default_rng(1)
    turned = Oriented(silicon, rotations.random_uniform(jax.random.key(2)))
    free = np.array([[False, True, False, True, True, False]])
    eps, sig = 1e-3 * rng.normal(size=(1, 6)), 0.1 * rng.normal(size=(1, 6))
    path = LoadPath(jnp.asarray(eps), jnp.asarray(sig), free, jnp.ones(1))
    history = drive(turned, path).value

    turn = np.stack([turned.update(e, None, 1.0)[0] for e in jnp.eye(6)], axis=1)
    s, e = np.flatnonzero(free[0]), np.flatnonzero(~free[0])
    solved = eps[0].copy()
    rhs = sig[0, s] - turn[np.ix_(s, e)] @ eps[0, e]
    solved[s] = np.linalg.solve(turn[np.ix_(s, s)], rhs)
    np.testing.assert_allclose(history.eps[0], solved, rtol=1e-8)
    np.testing.assert_allclose(history.sig[0], turn @ solved, rtol=1e-8, atol=1e-9)


def test_a_polycrystal_with_free_sides_answers_with_its_youngs_modulus(silicon):
    rng = np.random.default_rng(3)
    grains = Microstructure(
        Grid((6, 5), (1.2, 1.0)),
        jnp.asarray(rng.integers(0, 3, (6, 5)), jnp.int32),
        jnp.zeros((6, 5), jnp.int32),
        jnp.asarray(rng.normal(size=(3, 4))),
    )
    film = cells.grid_cell(grains, silicon, plane="stress")
    film = dataclasses.replace(film, rtol=1e-10)
    history = drive(film, uniaxial([1e-3], 3)).value
    modulus = 1 / np.linalg.inv(homogenise(film, rtol=1e-10).value)[0, 0]
    np.testing.assert_allclose(history.sig[0, 0] / 1e-3, modulus, rtol=1e-8)


def test_the_final_stress_is_differentiated_through_the_path(steel):
    """In the law's parameters and in the prescribed strain, beyond yield."""
    path = uniaxial([0.0005, 0.005])

    @jax.jit
    def final_stress(law, end):
        moved = eqx.tree_at(lambda p: p.eps, path, path.eps.at[1, 0].set(0.005 * end))
        history = drive(law, moved, rtol=1e-12, throw=False).value
        return history.sig[-1, 0] / 0.2

    # A central difference of step 1e-5 in parameters of order 0.1 errs by about 1e-8.
    check_grads(
        final_stress,
        (steel, jnp.asarray(1.0)),
        order=1,
        modes=["fwd", "rev"],
        eps=1e-5,
        rtol=1e-5,
        atol=1e-5,
    )
    hardening = jax.grad(final_stress)(steel, jnp.asarray(1.0)).hardening
    # d/dH of (E/(E+H)) (sy + H eps), over 0.2.
    youngs, yielding, slope, end = 200.0, 0.2, 2.0, 0.005
    exact = (end * youngs - yielding) * youngs / (youngs + slope) ** 2 / 0.2
    np.testing.assert_allclose(hardening, exact, rtol=1e-7)


def test_a_batch_of_paths_is_a_loop(steel):
    paths = [uniaxial([0.0005, end]) for end in (0.0008, 0.004, 0.01)]
    batch = jax.tree.map(lambda *x: jnp.stack(x), *paths)
    solve = eqx.filter_vmap(lambda path: drive(steel, path, throw=False))
    together = solve(batch).value.sig
    for k, path in enumerate(paths):
        np.testing.assert_allclose(
            together[k], drive(steel, path).value.sig, rtol=1e-7, atol=1e-9
        )


def test_a_path_of_strain_alone_is_followed_as_driven(steel):
    eps = uniaxial(STRAINS).eps
    held = LoadPath(eps, 0 * eps, np.zeros(eps.shape, bool), jnp.ones(len(eps)))
    driven = drive(steel, held).value.sig
    np.testing.assert_allclose(follow(steel, eps), driven, rtol=1e-12, atol=1e-15)


def test_a_second_path_is_followed_without_tracing_anew(steel):
    traces = []

    class Traced(PlaneStress):
        def update(self, eps, state, dt):
            traces.append(eps)
            return super().update(eps, state, dt)

    law = Traced(steel)
    first = follow(law, uniaxial(STRAINS, 3).eps)
    count = len(traces)
    second = follow(law, 2 * uniaxial(STRAINS, 3).eps)
    assert len(traces) == count > 0
    assert not np.allclose(first, second)


def cast(tree, dtype):
    return jax.tree.map(
        lambda x: x.astype(dtype) if eqx.is_inexact_array(x) else x, tree
    )


@pytest.mark.parametrize("precisions", [("float32", "float64"), ("float64", "float32")])
@pytest.mark.parametrize("plane", [False, True], ids=["solid", "plane"])
def test_the_material_decides_the_precision_of_a_path(steel, plane, precisions):
    """Whichever is finer; single precision keeps some 1e-6 of a stress."""
    of_material, of_path = precisions
    law, size = (PlaneStress(steel), 3) if plane else (steel, 6)
    path = uniaxial(STRAINS, size)
    expected = follow(law, path.eps), drive(law, path, rtol=1e-5).value.sig
    law, path = cast(law, of_material), cast(path, of_path)
    found = follow(law, path.eps, path.dt), drive(law, path, rtol=1e-5).value.sig
    for sig, exact in zip(found, expected, strict=True):
        assert sig.dtype == of_material
        np.testing.assert_allclose(sig, exact, rtol=0, atol=1e-5 * np.abs(exact).max())


def beyond_yield():
    sig = jnp.zeros((1, 6)).at[0, 0].set(0.3)
    return LoadPath(jnp.zeros((1, 6)), sig, np.full((1, 6), True), jnp.ones(1))


def test_a_stress_no_strain_gives_raises_a_sentence(perfect):
    with pytest.raises(eqx.EquinoxRuntimeError, match="drive: a step did not converge"):
        drive(perfect, beyond_yield())


def test_a_stress_no_strain_gives_can_be_inspected(perfect):
    assert not drive(perfect, beyond_yield(), throw=False).info.converged


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (
            lambda: drive(LinearElastic(jnp.eye(6)), uniaxial([0.1], 3)),
            "the path has 3 components, the material 6; give as many.",
        ),
        (
            lambda: LoadPath(
                jnp.zeros((2, 6)),
                jnp.zeros((2, 6)),
                np.zeros((2, 6), bool),
                jnp.ones(3),
            ),
            "dt (3,); give (steps, n) three times and (steps,), one step at least.",
        ),
        (
            lambda: LoadPath(
                jnp.zeros((2, 6)),
                jnp.zeros((1, 6)),
                np.zeros((2, 6), bool),
                jnp.ones(2),
            ),
            "LoadPath has eps (2, 6), sig (1, 6)",
        ),
        (
            lambda: uniaxial([]),
            "LoadPath has eps (0, 6), sig (0, 6)",
        ),
        (
            lambda: LoadPath(*jnp.zeros((4, 6))),
            "LoadPath has eps (6,), sig (6,)",
        ),
        (
            lambda: uniaxial([0.0, 0.001, np.nan]),
            "the path holds NaN or infinity at step 2; give finite numbers.",
        ),
        (
            lambda: LoadPath([[0.0] * 6], [[0.0] * 6], [[False] * 6], [-1.0]),
            "`dt` holds -1; give finite numbers, and no negative ones.",
        ),
        (
            lambda: follow(STEEL, jnp.full((2, 6), jnp.nan)),
            "`eps` holds NaN or infinity at step 0; give finite numbers.",
        ),
        (
            lambda: follow(STEEL, jnp.zeros((2, 6)), jnp.array([1.0, jnp.nan])),
            "`dt` holds nan; give finite numbers, and no negative ones.",
        ),
        (
            lambda: tangent(STEEL, jnp.zeros(3), None, 1.0),
            "`eps` has shape (3,), expected (6); Mandel strain of one step.",
        ),
    ],
    ids=[
        "components",
        "durations",
        "steps",
        "no step",
        "one step without its axis",
        "nan",
        "negative duration",
        "nan followed",
        "nan duration",
        "tangent",
    ],
)
def test_a_path_that_does_not_fit_is_refused_in_one_sentence(
    make, sentence, monkeypatch
):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # as for a user
    with pytest.raises(JaxmatError, match=re.escape(sentence)):
        make()


def test_a_target_that_is_not_used_may_be_anything(steel):
    path = uniaxial(STRAINS)
    unused = jnp.where(path.stress_controlled, path.sig, jnp.nan)
    odd = LoadPath(path.eps, unused, path.stress_controlled, path.dt)
    np.testing.assert_array_equal(
        drive(steel, odd).value.sig, drive(steel, path).value.sig
    )


def test_a_path_may_be_made_of_lists(steel):
    path = uniaxial(STRAINS)
    lists = LoadPath(*(np.asarray(x).tolist() for x in jax.tree.leaves(path)))
    np.testing.assert_array_equal(
        drive(steel, lists).value.sig, drive(steel, path).value.sig
    )
