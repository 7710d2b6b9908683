"""A box of atoms as a material: objectivity, tangents, plastic events, batches."""

import dataclasses
import functools
import sys
from pathlib import Path

import contract
import equinox as eqx
import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import pytest

from jaxmat import JaxmatError, atoms, cells, mandel, materials, rotations

sys.path.append(str(Path(__file__).parents[1] / "atoms"))
from atoms_cases import glass

ONE = np.ones((2, 2))
# A short cutoff, so that few atoms are enough.
SHORT = atoms.LennardJones(ONE, [[1.0, 0.9], [0.9, 0.8]], 1.6)
SECOND = jnp.ones(())
STRAIN = 1e-3 * jnp.array([[1.0, 2.0, -0.5], [0.3, -2.0, 0.7], [0.0, 1.0, 1.5]])
F = jnp.eye(3) + STRAIN


@functools.cache
def small_cell():
    """60 atoms without stress; the second start differs from the first."""
    boxes = [glass(SHORT, 60, 1.1, seed) for seed in (1, 2)]
    relaxed = [atoms.relax_box(SHORT, one).value for one in boxes]
    return cells.atomistic_cell(SHORT, relaxed)


@functools.cache
def kob_andersen_cell():
    law = atoms.kob_andersen()
    return cells.atomistic_cell(law, glass(law, 200, 1.2))


@eqx.filter_jit
def step(cell, F, state):
    return cell.update(F, state, SECOND)


# A glass is at rest to 1e-10, not exactly; its third derivatives are large.
OWN = (
    contract.no_deformation_means_no_stress,
    contract.derivatives_are_those_of_finite_differences,
)
LAWS = [law for law in contract.FINITE_LAWS if law not in OWN]


@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.__name__)
def test_contract(law):
    law(small_cell(), F)


def test_derivatives_are_those_of_finite_differences():
    contract.derivatives_are_those_of_finite_differences(small_cell(), F, step=2e-5)


def test_without_deformation_a_relaxed_box_has_no_stress():
    cell = small_cell()
    P, state = step(cell, jnp.eye(3), cell.init_state())
    # `relax_box` stops at 1e-10 of the force that a stress makes on a face.
    np.testing.assert_allclose(P, 0.0, atol=1e-10)
    assert state.events == state.irregular == 0


def test_the_tangent_of_a_glass_is_that_of_central_differences():
    """The bar of the project: 1e-6 of the modulus, minimised to 1e-10."""
    cell = kob_andersen_cell()
    start = cell.init_state()
    state = step(cell, F, start)[1]
    A = jax.jit(jax.jacfwd(lambda F: cell.update(F, state, SECOND)[0]))(F)
    scale = float(jnp.abs(A).max())
    np.testing.assert_allclose(A, A.transpose(2, 3, 0, 1), rtol=0, atol=1e-12 * scale)
    for i, j in ((0, 1), (2, 2)):
        # Richardson: what is left is h^4 of the fifth derivative, and rounding of the
        # minimum, 1e-10 over h.
        near, far = (
            (
                step(cell, F.at[i, j].add(h), state)[0]
                - step(cell, F.at[i, j].add(-h), state)[0]
            )
            / (2 * h)
            for h in (5e-5, 1e-4)
        )
        difference = (4 * near - far) / 3
        np.testing.assert_allclose(A[:, :, i, j], difference, rtol=0, atol=1e-6 * scale)


def test_at_small_strain_stress_is_the_slope_of_the_energy():
    """`SmallStrain`: (1/V0) dE/deps, and its tangent is symmetric."""
    cell = small_cell()
    law, state = materials.SmallStrain(cell), cell.init_state()
    eps = mandel.from_tensor2((STRAIN + STRAIN.T) / 2)
    direction = jnp.array([0.3, -1.0, 0.4, 0.8, 0.2, -0.6])

    @jax.jit
    def energy(eps):
        end = law.update(eps, state, SECOND)[1]
        box = (jnp.eye(3) + mandel.to_tensor2(eps)) @ state.box
        return atoms.energy(SHORT, atoms.Atoms(end.positions, box, cell.species))

    h = 1e-5
    slope = (energy(eps + h * direction) - energy(eps - h * direction)) / (2 * h)
    sig = eqx.filter_jit(law.update)(eps, state, SECOND)[0]
    work = sig @ direction * jnp.linalg.det(state.box)
    np.testing.assert_allclose(work, slope, rtol=1e-7)
    C = eqx.filter_jit(materials.tangent)(law, eps, state, 1.0)
    np.testing.assert_allclose(C, C.T, rtol=0, atol=1e-11 * float(jnp.abs(C).max()))


def test_at_rest_the_tangent_is_the_stiffness():
    cell = small_cell()
    state, law = cell.init_state(), materials.SmallStrain(cell)
    C = eqx.filter_jit(materials.tangent)(law, jnp.zeros(6), state, 1.0)
    box = atoms.Atoms(state.positions, state.box, cell.species)
    moduli = mandel.from_tensor4(eqx.filter_jit(atoms.elastic_moduli)(SHORT, box))
    # The reference has a stress of 1e-10, which breaks the symmetries by as much.
    np.testing.assert_allclose(C, moduli, rtol=0, atol=1e-8)
    born = mandel.from_tensor4(eqx.filter_jit(atoms.born_moduli)(SHORT, box))
    assert np.linalg.eigvalsh(born - moduli).min() > 0
    assert np.linalg.eigvalsh(moduli).min() > 0


def test_the_path_does_not_see_a_rotation_of_the_body():
    """A turn by 40 degrees in one step is one sub-step, not a path through strain."""
    cell = small_cell()
    turn = rotations.to_matrix(contract.TURN)
    still, moved = (step(cell, Q @ F, cell.init_state()) for Q in (jnp.eye(3), turn))
    assert still[1].evaluations == moved[1].evaluations
    np.testing.assert_allclose(moved[0], turn @ still[0], rtol=0, atol=1e-12)


def shear(gamma):
    return jnp.eye(3).at[0, 1].set(gamma)


def test_elastic_steps_are_reversible_and_plastic_ones_counted():
    cell = kob_andersen_cell()
    start = cell.init_state()
    P0, start = step(cell, jnp.eye(3), start)
    state, stresses, events = start, [], []
    for gamma in np.arange(1, 9) * 5e-3:
        P, state = step(cell, shear(gamma), state)
        stresses.append(float(P[0, 1]))
        events.append(int(state.events))
    assert events[0] == 0
    assert events[-1] > 0
    # Where an event is flagged stress falls, or rises less than in any step without.
    rises, new = np.diff(stresses), np.diff(events)
    assert rises[new > 0].max() < rises[new == 0].min()
    # Back from before the first event the way is the same; after it, it is not.
    back = step(cell, jnp.eye(3), step(cell, shear(5e-3), start)[1])
    np.testing.assert_allclose(back[0], P0, rtol=0, atol=1e-8)
    assert back[1].events == 0
    there_and_back = step(cell, jnp.eye(3), state)[0]
    assert float(jnp.abs(there_and_back - P0).max()) > 1e-2


def test_substeps_are_small_whatever_the_step():
    cell = small_cell()
    large = step(cell, shear(8e-3), cell.init_state())
    state = cell.init_state()
    for gamma in np.arange(1, 5) * 2e-3:
        P, state = step(cell, shear(gamma), state)
    np.testing.assert_allclose(large[0], P, rtol=0, atol=1e-8)


def test_a_large_cell_takes_a_list_of_neighbours_and_answers_alike(monkeypatch):
    dense = small_cell()
    box = dense.init_state()
    start = atoms.Atoms(box.positions, box.box, dense.species)
    monkeypatch.setattr("jaxmat.atoms.DENSE", 10)
    listed = cells.atomistic_cell(SHORT, start)
    assert listed.capacity < 59
    states = [cell.init_state() for cell in (dense, listed)]
    for gamma in (5e-3, 0.15):
        P = []
        for k, cell in enumerate((dense, listed)):
            with monkeypatch.context() as patch:
                if cell is listed:
                    patch.setattr("jaxmat.atoms._rest.DENSE", 10)
                answer, states[k] = step(cell, shear(gamma), states[k])
                P.append(answer)
        if gamma < 1e-2:
            # Both are at rest to 1e-10 in the same minimum.
            np.testing.assert_allclose(*P, rtol=0, atol=1e-8)
            assert states[0].events == states[1].events == 0
    # Which minimum an event ends in is up to the search, that there is one is not.
    assert states[0].events > 0
    assert states[1].events > 0


def test_a_list_without_room_gives_no_number(monkeypatch):
    cell = dataclasses.replace(small_cell(), capacity=5)
    monkeypatch.setattr("jaxmat.atoms._rest.DENSE", 10)
    assert jnp.isnan(step(cell, shear(5e-3), cell.init_state())[0]).all()


def test_the_key_chooses_the_start_and_no_start_is_trained():
    cell = small_cell()
    keys = jax.random.split(jax.random.key(0), 8)
    states = jax.vmap(cell.init_state)(keys)
    assert len({float(x) for x in states.positions[:, 0, 0]}) == 2
    leaves = jax.tree.leaves(eqx.filter(cell, eqx.is_inexact_array))
    assert {x.shape for x in leaves} == {(2, 2)}  # epsilon and sigma


def test_a_network_of_boxes_is_a_material():
    law = materials.SmallStrain(small_cell())
    network = cells.prnn(law, 2, key=jax.random.key(0), learn_laws=True)
    state = network.init_state(jax.random.key(1))

    @eqx.filter_jit
    def slope(network):
        def stress(network):
            eps = jnp.full(6, 1e-3)
            return network.update(eps, state, SECOND)[0][0]

        return eqx.filter_value_and_grad(stress)(network)

    value, gradient = slope(network)
    found = gradient.laws[0].law.law.epsilon

    def moved(t):
        return slope(
            eqx.tree_at(lambda n: n.laws[0].law.law.epsilon, network, ONE + t)
        )[0]

    h = 1e-4
    difference = (moved(h) - moved(-h)) / (2 * h)
    assert abs(float(value)) > 1e-3
    np.testing.assert_allclose(jnp.sum(found), difference, rtol=1e-6)


def test_a_strain_that_is_no_number_gives_no_number():
    cell = small_cell()
    P, state = step(cell, F.at[0, 0].set(jnp.nan), cell.init_state())
    assert jnp.isnan(P).all()
    assert jnp.isfinite(state.positions).all()


def test_a_box_too_narrow_for_the_cutoff_gives_no_number():
    """The nearest image would no longer be the only one that counts."""
    cell = small_cell()
    state = cell.init_state()
    width = float(atoms.perpendicular_widths(state.box)[0])
    just, too = (jnp.diag(jnp.array([x, 1.0, 1.0])) for x in (3.21, 3.19))
    narrowed = [
        step(cell, F.at[0, 0].set(F[0, 0] / width), state)[0] for F in (just, too)
    ]
    assert jnp.isfinite(narrowed[0]).all()
    assert jnp.isnan(narrowed[1]).all()


def test_two_dimensions_answer_in_their_plane():
    law = atoms.LennardJones(1.0, 1.0, 1.6)
    rows = np.indices((8, 8)).reshape(2, -1).T / 8
    box = 8 * 1.1 * jnp.array([[1.0, 0.5], [0.0, np.sqrt(3) / 2]])
    flat = atoms.Atoms(jnp.asarray(rows), box, jnp.zeros(64, int))
    flat = atoms.relax_box(law, flat).value
    cell = cells.atomistic_cell(law, flat, stress_unit=2.0)
    A = jax.jit(jax.jacfwd(lambda F: step(cell, F, cell.init_state())[0]))(jnp.eye(3))
    assert not np.asarray(A)[2].any()
    # A triangular lattice is isotropic in its plane: C11 - C12 = 2 C66.
    C11, C12, C66 = A[0, 0, 0, 0], A[0, 0, 1, 1], A[0, 1, 0, 1]
    np.testing.assert_allclose(C11 - C12, 2 * C66, rtol=1e-8)
    np.testing.assert_allclose(C12, C66, rtol=1e-8)  # Cauchy: central forces
    assert C66 > 10


def test_a_box_of_single_precision_is_followed_along_a_path_of_double():
    one = glass(SHORT, 60, 1.1, 1)
    single = jax.tree.map(
        lambda x: x.astype(jnp.float32) if x.dtype == float else x, (SHORT, one)
    )
    path = 1e-3 * jnp.outer(jnp.arange(3.0), jnp.eye(6)[5])
    coarse, fine = (
        materials.follow(materials.SmallStrain(cells.atomistic_cell(*x)), path)
        for x in (single, (SHORT, one))
    )
    assert coarse.dtype == jnp.float32
    # Forces of single precision vanish to some 1e-5, of the stress by the modulus 1e-4.
    np.testing.assert_allclose(coarse, fine, rtol=0, atol=1e-3 * np.abs(fine).max())


def test_bad_boxes_are_refused(monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # as for a user
    good = small_cell()
    state = good.init_state()
    one = atoms.Atoms(state.positions, state.box, good.species)
    other = atoms.Atoms(state.positions, state.box, 1 - good.species)
    with pytest.raises(JaxmatError, match="differ in their species"):
        cells.atomistic_cell(SHORT, [one, other])
    with pytest.raises(JaxmatError, match="less than twice the cutoff"):
        cells.atomistic_cell(atoms.kob_andersen(), one)
    with pytest.raises(JaxmatError, match="of type LennardJones; give the potential"):
        cells.atomistic_cell(one, SHORT)
    with pytest.raises(JaxmatError, match="no configurations"):
        cells.atomistic_cell(SHORT, [])
    single = jax.tree.map(
        lambda x: x.astype(jnp.float32) if x.dtype == float else x, one
    )
    with pytest.raises(JaxmatError, match="float32, float32, float64; give all in one"):
        cells.atomistic_cell(SHORT, single)
    with pytest.raises(JaxmatError, match="stress_unit"):
        cells.atomistic_cell(SHORT, one, stress_unit=0.0)
    kinked = atoms.wca(ONE, 1.2 * ONE)
    with pytest.raises(JaxmatError, match="relax"):
        atoms.relax(kinked, one, max_steps=3)


def test_a_body_turned_inside_out_has_no_stress():
    """Its stretch is that of the body as it was, and so would be the answer."""
    cell = small_cell()
    mirror = jnp.diag(jnp.array([-1.0, 1.0, 1.0]))
    P, _ = cell.update(mirror, cell.init_state(), SECOND)
    assert jnp.isnan(P).all()
