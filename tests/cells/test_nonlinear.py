"""Cells of laws with a history: closed forms, symmetries, other ways to the answer."""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import optimize

from jaxmat import JaxmatError, cells, crystals, drive, homogenise, tangent
from jaxmat.materials import (
    AbstractMaterial,
    Damage,
    J2Plasticity,
    LinearElastic,
    LinearHardening,
    LoadPath,
    PlaneStrain,
    PlaneStress,
    PronySeries,
    VoceHardening,
)
from jaxmat.microstructure import Grid, Microstructure

ONE = jnp.asarray(1.0)
SCHEMES = ("full", "reduced", "fourier")


def isotropic(youngs, poisson):
    """Bulk and shear modulus."""
    return map(jnp.asarray, (youngs / (3 - 6 * poisson), youngs / (2 + 2 * poisson)))


def j2(yield_stress=0.03, modulus=0.5, youngs=3.0):
    hardening = LinearHardening(jnp.asarray(yield_stress), jnp.asarray(modulus))
    return J2Plasticity(*isotropic(youngs, 0.35), hardening)


EPOXY = J2Plasticity(
    *isotropic(3.13, 0.37),
    VoceHardening(*map(jnp.asarray, (0.0312, 0.0648, 1 / 0.003407))),
)
GLASS = LinearElastic(crystals.isotropic(*isotropic(74.0, 0.2)))


def phases(phase, lengths=None):
    """A microstructure of crystals that all lie alike."""
    phase = np.asarray(phase, np.int32)
    return Microstructure(
        Grid(phase.shape, lengths or (1.0,) * phase.ndim),
        jnp.zeros(phase.shape, jnp.int32),
        jnp.asarray(phase),
        jnp.array([[1.0, 0.0, 0.0, 0.0]]),
    )


def fibre(size, radius=0.3):
    x = (np.arange(size) + 0.5) / size - 0.5
    return phases(x[:, None] ** 2 + x**2 < radius**2)


def tight(cell, rtol=1e-11):
    return dataclasses.replace(cell, rtol=rtol)


@eqx.filter_jit
def follow(material, path, state=None):
    """Stress along a path, and the last state."""

    def step(state, eps):
        sig, state = material.update(eps, state, ONE)
        return state, sig

    start = material.init_state() if state is None else state
    state, sig = jax.lax.scan(step, start, path)
    return sig, state


def bent_path(size, steps=6):
    """A path in strain space that turns, and goes back at the end."""
    t = jnp.linspace(0, 1, steps + 1)[1:, None]
    first = jnp.array([1.0, -0.3, 0.5, 0.2, -0.4, 0.3])[:size]
    second = jnp.array([-0.2, 0.6, -0.9, 0.3, 0.2, 0.1])[:size]
    return 0.03 * (jnp.sin(2 * t) * first + t**2 * second)


PLANES = {
    "stress": (3, lambda law: PlaneStress(law)),
    "strain": (3, lambda law: PlaneStrain(law)),
    None: (6, lambda law: law),
}


@pytest.mark.parametrize(
    ("plane", "scheme"), [("stress", "full"), ("strain", "fourier"), (None, "reduced")]
)
def test_a_homogeneous_cell_is_its_law(plane, scheme):
    size, held = PLANES[plane]
    cell = cells.grid_cell(
        phases(np.zeros((3, 4))), EPOXY, plane=plane, discretisation=scheme
    )
    path = bent_path(size)
    sig, state = follow(cell, path)
    exact, exact_state = follow(held(EPOXY), path)
    np.testing.assert_allclose(sig, exact, rtol=0, atol=1e-12)
    mean = jnp.mean(state.laws[0].p)
    np.testing.assert_allclose(mean, exact_state.p, rtol=1e-10)


def two_layers(laws, path):
    """Stress of two equal layers normal to x1, by SciPy, one equation a step.

    Unknown is half the jump of (eps_11, eps_13, eps_12); the traction does not jump.
    """
    across = np.array([0, 4, 5])
    update = [eqx.filter_jit(law.update) for law in laws]
    states, jump, stresses = [law.init_state() for law in laws], np.zeros(3), []

    def answer(jump, eps):
        both = []
        for sign, law, state in zip((1, -1), update, states, strict=True):
            strain = np.array(eps)
            strain[across] += sign * jump
            both.append(law(jnp.asarray(strain), state, ONE))
        return both

    for eps in path:

        def traction(jump, eps=eps):
            (first, _), (second, _) = answer(jump, eps)
            return 100 * np.asarray(first - second)[across]

        jump = optimize.root(traction, jump, tol=1e-13).x
        (first, one), (second, two) = answer(jump, eps)
        states = [one, two]
        stresses.append((first + second) / 2)
    return np.stack(stresses)


@pytest.mark.parametrize("scheme", ["full", "reduced"])
def test_layers_that_yield_obey_the_jump_conditions(scheme):
    """Elements represent the field of a laminate exactly, whatever its laws."""
    laws = j2(), j2(0.06, 0.2, 9.0)
    layer = np.zeros((4, 2), int)
    layer[2:] = 1
    cell = tight(cells.grid_cell(phases(layer), laws, discretisation=scheme))
    path = bent_path(6, 4)
    # Differences of SciPy's derivatives limit its root to about 1e-10.
    np.testing.assert_allclose(
        follow(cell, path)[0], two_layers(laws, path), rtol=0, atol=1e-9
    )


class Disguised(AbstractMaterial):
    """Hooke's law that does not say so."""

    law: LinearElastic

    @property
    def num_strains(self):
        return 6

    @property
    def is_linear(self):
        return False

    def init_state(self, key=None):
        return None

    def update(self, eps, state, dt):
        return self.law.update(eps, state, dt)


@pytest.mark.parametrize(
    ("scheme", "boundary"),
    [
        ("full", "periodic"),
        ("full", "kubc"),
        ("full", ("subc", "periodic")),
        ("reduced", "periodic"),
        ("fourier", "periodic"),
    ],
    ids=str,
)
def test_a_linear_law_in_disguise_gives_the_linear_answer(
    small, silicon, scheme, boundary
):
    """Anisotropic grains in 2.5D; in disguise a symmetric tangent is not known of."""
    options = {"boundary": boundary, "discretisation": scheme}
    plain = cells.grid_cell(small, silicon, **options)
    disguised = cells.grid_cell(small, Disguised(silicon), **options)
    eps = jnp.array([1.0, -0.2, 0.3, 0.5, -0.4, 0.6]) * 1e-3
    one, two = (
        cells.local_fields(cell, eps, rtol=1e-10).value for cell in (plain, disguised)
    )
    for name in ("displacement", "eps", "sig"):
        expected = getattr(one, name)
        np.testing.assert_allclose(
            getattr(two, name), expected, rtol=0, atol=1e-8 * float(abs(expected).max())
        )


@pytest.mark.parametrize("scheme", SCHEMES)
def test_mean_work_is_the_work_of_the_means(scheme):
    """Hill and Mandel: what fluctuates does no work in sum."""
    film = fibre(8)
    cell = cells.grid_cell(film, (EPOXY, GLASS), plane="stress", discretisation=scheme)
    path = bent_path(3)
    (_, state), start = follow(cell, path[:-1]), cell.init_state()
    end, *_ = eqx.filter_jit(lambda c, s: c._take(path[-1], s, 1.0, 1e-11, 1000))(
        cell, state
    )
    assert start.fluctuation[0].shape == end.fluctuation[0].shape
    from jaxmat.cells._substeps import Step

    step = Step(
        cell.medium,
        state,
        path[-1],
        ONE,
        jnp.eye(3),
        cell.discretisation,
        cell.plane,
    )
    eps = step.cut(state.laws, jnp.asarray(0), jnp.asarray(16)).strain(end.fluctuation)
    work = jnp.mean(jnp.sum(eps * end.sig, -1))
    assert float(jnp.std(eps[..., 0])) > 1e-3  # it does fluctuate
    mean = jnp.mean(end.sig, (0, 1))
    np.testing.assert_allclose(work, path[-1] @ mean, rtol=1e-9)


def test_unloading_is_elastic():
    """Back from beyond yield the tangent is that of the virgin cell."""
    film = fibre(8)
    cell = tight(cells.grid_cell(film, (EPOXY, GLASS), plane="stress"))
    load = jnp.linspace(0, 1, 5)[1:, None] * jnp.array([0.02, 0.0, 0.01])
    sig, state = follow(cell, load)
    back = load[-1] - jnp.array([1e-3, 0.0, 5e-4])
    slope = eqx.filter_jit(tangent)(cell, back, state, 1.0)
    elastic = homogenise(cell, rtol=1e-10).value
    np.testing.assert_allclose(slope, elastic, rtol=0, atol=1e-8)
    fall = sig[-1] - eqx.filter_jit(cell.update)(back, state, ONE)[0]
    np.testing.assert_allclose(fall, elastic @ (load[-1] - back), rtol=1e-7)
    plastic = eqx.filter_jit(tangent)(cell, load[-1] * 1.1, state, 1.0)
    assert plastic[0, 0] < 0.8 * elastic[0, 0]


def test_inclusions_converge_under_refinement():
    """Square inclusions, so that every grid has the same shape; stress at 2 %."""
    stresses = []
    for size in (4, 8, 16, 32):
        x = (np.arange(size) + 0.5) / size
        inside = (x[:, None] < 0.5) & (x < 0.5)
        cell = cells.grid_cell(phases(inside), (j2(), GLASS), plane="strain")
        path = jnp.linspace(0, 1, 5)[1:, None] * jnp.array([0.02, -0.02, 0.0])
        stresses.append(follow(cell, path)[0][-1, 0])
    change = -np.diff(stresses)
    assert np.all(change > 0)  # elements are too stiff
    assert np.all(change[1:] < 0.75 * change[:-1])


def test_voids_leave_a_ligament_that_yields():
    """Plane strain, a wall between slots: no stress across it."""
    void = LinearElastic(jnp.zeros((6, 6)))
    layer = np.zeros((3, 4), int)
    layer[:, 2:] = 1
    cell = cells.grid_cell(phases(layer), (j2(), void), plane="strain")
    path = jnp.linspace(0, 1, 5)[1:, None] * jnp.array([0.03, 0.0, 0.0])
    sig = follow(cell, path)[0]
    free = np.array([[False, True, True]] * 4)
    wall = drive(PlaneStrain(j2()), LoadPath(path, 0 * path, free, jnp.ones(4))).value
    np.testing.assert_allclose(sig[:, 0], wall.sig[:, 0] / 2, rtol=1e-6)


def test_uniaxial_tension_of_a_composite_follows_a_mixed_path():
    cell = cells.grid_cell(fibre(8), (EPOXY, GLASS), plane="stress")
    eps = jnp.linspace(0, 0.02, 5)[1:, None] * jnp.array([1.0, 0.0, 0.0])
    free = np.array([[False, True, True]] * 4)
    history = drive(cell, LoadPath(eps, 0 * eps, free, jnp.ones(4))).value
    assert float(abs(history.sig[:, 1:]).max()) < 1e-9
    assert np.all(np.diff(history.sig[:, 0]) > 0)
    elastic = 1 / jnp.linalg.inv(homogenise(cell).value)[0, 0]
    assert history.sig[-1, 0] < 0.7 * elastic * 0.02


def test_fields_of_a_step_average_to_its_answer():
    cell = cells.grid_cell(fibre(6), (EPOXY, GLASS), plane="stress")
    path = bent_path(3, 3)
    _, state = follow(cell, path[:2])
    sig, after = eqx.filter_jit(cell.update)(path[2], state, ONE)
    solution = cells.local_fields(cell, path[2], state=state, rtol=1e-8)
    fields = solution.value
    np.testing.assert_allclose(jnp.mean(fields.sig, (0, 1)), sig, rtol=1e-6)
    np.testing.assert_allclose(jnp.mean(fields.eps, (0, 1)), path[2], rtol=1e-9)
    assert fields.displacement.shape == (7, 7, 2)
    assert int(solution.info.num_steps) > 1
    # Without rate, a step that stays where it is changes nothing, and costs nothing.
    again = cells.local_fields(cell, path[2], state=after)
    np.testing.assert_allclose(again.value.sig, fields.sig, rtol=0, atol=1e-8)
    assert int(again.info.num_steps) == 0


def test_a_viscoelastic_cell_relaxes_to_its_slow_moduli():
    polymer = PronySeries(
        *map(jnp.asarray, (4.0, 1.0)),
        *map(jnp.array, ([0.5, 0.0], [1.4, 0.3], [0.6, 20.0])),
    )
    slow = LinearElastic(crystals.isotropic(polymer.bulk, polymer.shear))
    film = fibre(6)
    cell = cells.grid_cell(film, (polymer, GLASS), plane="strain")
    held = jnp.broadcast_to(jnp.array([1e-3, 0.0, 5e-4]), (40, 3))

    def step(state, eps):
        sig, state = cell.update(eps, state, jnp.asarray(10.0))
        return state, sig

    sig = jax.jit(lambda: jax.lax.scan(step, cell.init_state(), held)[1])()
    relaxed = cells.grid_cell(film, (slow, GLASS), plane="strain")
    expected = homogenise(relaxed, rtol=1e-9).value @ held[0]
    assert np.all(np.diff(sig[:, 0]) < 0)
    # exp(-400 s / 20 s) is 2e-9 of the branches, and slower where a fibre holds it.
    np.testing.assert_allclose(sig[-1], expected, rtol=1e-6)


def test_a_step_that_is_too_large_is_cut_and_nearly_the_same():
    """Backward Euler errs by the step; proportional at first, so little."""
    cell = cells.grid_cell(fibre(8, 0.35), (j2(0.03, 0.05), GLASS), plane="strain")
    end = jnp.array([0.3, -0.1, 0.2])
    path = jnp.linspace(0, 1, 41)[1:, None] * end
    fine = follow(cell, path)[0][-1]

    @eqx.filter_jit
    def at_once(cell):
        last, _, plan = cell._take(end, cell.init_state(), 1.0, 1e-8, 1000)
        return jnp.mean(last.sig, (0, 1)), plan.num

    coarse, num = at_once(cell)
    assert 1 <= int(num) <= 16
    np.testing.assert_allclose(coarse, fine, rtol=0, atol=0.02 * abs(fine).max())


def test_mild_softening_converges_and_is_remembered():
    ceramic = Damage(GLASS.stiffness, jnp.asarray(0.01), jnp.asarray(0.05))
    path = jnp.linspace(0, 0.8, 5)[1:, None] * jnp.array([4e-3, 0.0, 0.0])
    cell = cells.grid_cell(fibre(6), (GLASS, ceramic), plane="strain")
    sig, state = follow(cell, path)
    assert jnp.isfinite(sig).all()
    assert float(state.laws[1].max()) > 0.01


class Impossible(Disguised):
    """A law that has no stress beyond a strain."""

    def update(self, eps, state, dt):
        sig, state = self.law.update(eps, state, dt)
        return jnp.where(jnp.sum(eps**2) < 1e-4, sig, jnp.nan), state


def test_where_there_is_no_equilibrium_it_is_said():
    cell = cells.grid_cell(fibre(4), (Impossible(GLASS), GLASS), plane="strain")
    far = jnp.array([0.1, 0.0, 0.0])
    with pytest.raises(eqx.EquinoxRuntimeError, match="Newton's method found no"):
        cells.local_fields(cell, far)
    assert not bool(cells.local_fields(cell, far, throw=False).info.converged)
    assert jnp.isnan(eqx.filter_jit(cell.update)(far, cell.init_state(), ONE)[0]).all()
    path = LoadPath(far[None], 0 * far[None], np.zeros((1, 3), bool), jnp.ones(1))
    with pytest.raises(eqx.EquinoxRuntimeError, match="a step did not converge"):
        drive(cell, path)


def test_a_traced_phase_map_gives_the_same_as_a_known_one():
    film, path = fibre(6), bent_path(3, 3)
    known = follow(cells.grid_cell(film, (EPOXY, GLASS), plane="strain"), path)[0]

    @jax.jit
    def traced(phase):
        film = phases(np.zeros((6, 6)))
        film = eqx.tree_at(lambda m: m.phase, film, phase)
        return follow(cells.grid_cell(film, (EPOXY, GLASS), plane="strain"), path)[0]

    np.testing.assert_allclose(traced(film.phase), known, rtol=0, atol=1e-9)


def test_a_law_for_each_voxel_is_the_same_as_grains():
    film, path = fibre(6), bent_path(3, 3)
    hard = np.where(film.phase, 0.06, 0.03)
    laws = j2(0.03), j2(0.06)
    one = follow(cells.grid_cell(film, laws, plane="strain"), path)[0]
    field = jax.vmap(jax.vmap(lambda y: eqx.tree_at(
        lambda law: law.flow_stress.yield_stress, laws[0], y
    )))(jnp.asarray(hard))  # fmt: skip
    field = eqx.tree_at(
        lambda law: (law.bulk, law.shear, law.flow_stress.modulus),
        field,
        replace_fn=lambda x: jnp.broadcast_to(x, (6, 6)) if x.ndim == 0 else x,
    )
    two = follow(cells.field_cell(film.grid, field, plane="strain"), path)[0]
    np.testing.assert_allclose(two, one, rtol=0, atol=1e-9)


@pytest.mark.slow  # six programs to compile
@pytest.mark.parametrize("decoder", ["tied", "positive"])
def test_a_network_of_points_is_the_law_of_a_voxel(decoder):
    """As in two scales; a network with an unsymmetric tangent too."""
    laws = PlaneStrain(EPOXY), PlaneStrain(GLASS)
    network = cells.prnn(laws, (2, 1), key=jax.random.key(0), decoder=decoder)
    film, path = fibre(4), bent_path(3, 3)
    cell = cells.grid_cell(film, (network, GLASS), plane="strain")
    assert cell.has_symmetric_tangent == (decoder == "tied")
    sig, state = follow(cell, path)
    assert jnp.isfinite(sig).all()
    alone = cells.grid_cell(phases(np.zeros((3, 3))), network, plane="strain")
    exact = follow(network, path)[0]
    np.testing.assert_allclose(follow(alone, path)[0], exact, rtol=0, atol=1e-10)
    point = eqx.filter_jit(tangent)(tight(cell), 1.1 * path[-1], state, 1.0)
    step = 1e-6 * jnp.eye(3)
    update = eqx.filter_jit(tight(cell).update)
    row = jax.jit(jax.grad(lambda eps: tight(cell).update(eps, state, ONE)[0][0]))
    atol = 1e-8 * float(abs(point).max())
    np.testing.assert_allclose(row(1.1 * path[-1]), point[0], rtol=0, atol=atol)
    difference = [
        (
            update(1.1 * path[-1] + d, state, ONE)[0]
            - update(1.1 * path[-1] - d, state, ONE)[0]
        )
        / 2e-6
        for d in step
    ]
    np.testing.assert_allclose(
        point, jnp.stack(difference, -1), rtol=0, atol=1e-6 * float(abs(point).max())
    )


@pytest.mark.slow  # two nested loops of Newton to compile
def test_a_network_of_cells_remembers():
    cell = cells.grid_cell(fibre(4), (EPOXY, GLASS), plane="strain")
    network = cells.prnn(cell, 2, key=jax.random.key(1))
    path = bent_path(3, 3)
    sig, state = follow(network, path)
    assert jnp.isfinite(sig).all()
    assert float(state[0].laws[0].p.max()) > 0


def test_grains_of_one_law_turn_with_it(small):
    """All grains alike are one crystal in that orientation."""
    crystal = Damage(
        crystals.cubic(165.64, 63.94, 79.51), jnp.asarray(0.01), jnp.asarray(0.01)
    )
    from jaxmat.materials import Oriented

    same = jnp.tile(small.orientation[0], (5, 1))
    one = eqx.tree_at(lambda m: m.orientation, small, same)
    path = bent_path(6, 3) / 10
    cell = follow(cells.grid_cell(one, crystal), path)[0]
    exact = follow(Oriented(crystal, small.orientation[0]), path)[0]
    np.testing.assert_allclose(cell, exact, rtol=0, atol=1e-10)


@pytest.mark.parametrize(
    ("words", "mistake"),
    {
        "say which plane": lambda: cells.grid_cell(
            fibre(4), (PlaneStress(EPOXY), GLASS)
        ),
        "turned out of the plane": lambda: cells.grid_cell(
            eqx.tree_at(
                lambda m: m.orientation, fibre(4), jnp.array([[1.0, 0.2, 0.0, 0.0]])
            ),
            (PlaneStress(EPOXY), GLASS),
            plane="stress",
        ),
        "2 phases but `laws` 1": lambda: cells.grid_cell(fibre(4), EPOXY),
        "has a history": lambda: cells.grid_cell(fibre(4), (EPOXY, GLASS)).update(
            jnp.zeros(6), None, ONE
        ),
        "symmetric tangent": lambda: homogenise(
            cells.grid_cell(fibre(4), (Disguised(GLASS), EPOXY))
        ),
        "expected .6.; Mandel": lambda: cells.local_fields(
            cells.grid_cell(fibre(4), (EPOXY, GLASS)), jnp.zeros(3)
        ),
    }.items(),
)
def test_what_does_not_go_together_is_told(words, mistake):
    with pytest.raises(JaxmatError, match=words):
        mistake()
