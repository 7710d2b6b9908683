"""A box of atoms at a temperature: averages, their derivatives, relaxation."""

import dataclasses
import functools

import contract
import equinox as eqx
import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import pytest
from jaxtyping import Array, Float

from jaxmat import JaxmatError, atoms, cells, materials
from jaxmat.cells._canonical import Canonical, average

# A short cutoff, so that few atoms are enough.
SHORT = atoms.LennardJones(np.ones((2, 2)), [[1.0, 0.9], [0.9, 0.8]], 1.5)
UNIT = jnp.ones(())
F = jnp.eye(3) + 1e-2 * jnp.array([[1.0, 2.0, -0.5], [0.3, -1.0, 0.7], [0, 1.0, 1.5]])


def crystal():
    """32 atoms on a face-centred cubic lattice, every fifth of them small."""
    corners = np.indices((2, 2, 2)).reshape(3, -1).T
    basis = np.array([[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]])
    s = (corners[:, None] + basis).reshape(-1, 3) / 2
    species = jnp.asarray((np.arange(32) % 5 == 0).astype(int))
    return atoms.Atoms(jnp.asarray(s), 3.1 * jnp.eye(3), species)


@functools.cache
def flat(side=5.3):
    """30 atoms in two dimensions, a third of them small, at rest: four of them."""
    species = jnp.asarray((np.arange(30) % 3 == 0).astype(int))
    starts = (np.random.default_rng(seed).uniform(size=(30, 2)) for seed in range(4))
    return [
        atoms.relax(
            SHORT, atoms.Atoms(jnp.asarray(s), side * jnp.eye(2), species)
        ).value
        for s in starts
    ]


@functools.cache
def small_cell():
    return cells.thermal_cell(
        SHORT, crystal(), temperature=0.05, num_samples=4, equilibration=0.5
    )


@eqx.filter_jit
def step(cell, F, state, dt=UNIT):
    return cell.update(F, state, dt)


@eqx.filter_jit
def many(cell, F, states, dt):
    """What independent states answer to the same strain."""
    return jax.vmap(lambda state: cell.update(F, state, dt))(states)


def several(cell, count, seed=0):
    return jax.vmap(cell.init_state)(jax.random.split(jax.random.key(seed), count))


def mean_and_error(samples):
    """Mean over the first axis, and its standard error."""
    return samples.mean(0), samples.std(0, ddof=1) / np.sqrt(len(samples))


# Stress is a mean over noise, whose differences are noise; at rest there is pressure.
OWN = (
    contract.no_deformation_means_no_stress,
    contract.derivatives_are_those_of_finite_differences,
    contract.batch_is_a_loop,  # its strain of 10 % makes the box too narrow
)
LAWS = [law for law in contract.FINITE_LAWS if law not in OWN]


@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.__name__)
def test_contract(law):
    law(small_cell(), F)


class Oscillators(atoms.AbstractPotential):
    """Atoms tied to a lattice by springs that soften as the volume grows.

    The spring constant is `stiffness V^(-2 gamma)`. The free energy is
    `(3/2) N T log stiffness - 3 gamma N T log V` and a constant: Grueneisen's law of
    thermal pressure, exactly.
    """

    stiffness: Float[Array, ""]
    gamma: Float[Array, ""]

    @property
    def num_species(self):
        return 1

    @property
    def cutoff(self):
        return jnp.full((), 0.1)

    @property
    def core(self):
        return jnp.full((1, 1), 0.1)

    def energy(self, atoms, neighbours=None):
        sites = jnp.asarray(np.indices((2, 2, 2)).reshape(3, -1).T / 2)
        s = atoms.positions - sites
        u = (s - jnp.round(s)) @ atoms.box.T
        k = self.stiffness * jnp.abs(jnp.linalg.det(atoms.box)) ** (-2 * self.gamma)
        return k * jnp.sum(u**2) / 2


def test_derivatives_by_fluctuation_are_those_of_the_free_energy():
    """In strain, both constants of the springs, and temperature: closed forms."""
    N, T, gamma, samples = 8, 0.01, 2.0, 1000
    law = Oscillators(jnp.asarray(25.0), jnp.asarray(gamma))
    sites = jnp.asarray(np.indices((2, 2, 2)).reshape(3, -1).T / 2)
    start = atoms.Atoms(sites, jnp.diag(jnp.array([1.0, 1.1, 0.95])), jnp.zeros(8, int))
    # The splitting samples a harmonic well exactly at any step. A sample every six
    # radians of motion with as much friction is as good as an independent one.
    cell = cells.thermal_cell(
        law,
        start,
        temperature=T,
        time_step=0.12,
        friction=5.0,
        num_samples=samples,
        equilibration=100.0,
    )
    state, dt = cell.init_state(), jnp.asarray(0.12 * 20 * samples)

    @eqx.filter_jit
    def answer(cell, F):
        def stress(F, cell):
            return cell.update(F, state, dt)[0]

        tangent = jax.jacfwd(stress)(F, cell)
        seed = jnp.eye(3)
        slope = eqx.filter_grad(lambda c: jnp.sum(stress(F, c) * seed))(cell)
        return stress(F, cell), tangent, slope

    P, tangent, slope = answer(cell, F)
    G, V0 = np.linalg.inv(F).T, float(jnp.linalg.det(start.box))
    pressure = 3 * gamma * N * T / V0
    # 24 oscillators: energies scatter by sqrt(2/24), their covariances by sqrt(2), over
    # the square root of 4000 samples. Born's term is 2 gamma (2 gamma + 1) of them.
    energy, covariance = 24 * T / 2 / V0, 24 * T / 2 / V0
    error = energy * np.sqrt(2 / 24 / 4000)
    np.testing.assert_allclose(P, -pressure * G, rtol=0, atol=4 * (2 * gamma) * error)
    error = covariance * (2 * gamma) ** 2 * np.sqrt(2 / 4000)
    exact = pressure * np.einsum("il,kj->ijkl", G, G)
    np.testing.assert_allclose(tangent, exact, rtol=0, atol=4 * error)
    traced = covariance * 2 * gamma * np.trace(G) * np.sqrt(2 / 4000)
    springs = slope.law
    assert abs(float(springs.stiffness) * 25) < 4 * traced
    assert abs(float(springs.gamma) + pressure / gamma * np.trace(G)) < 4 * traced
    assert abs(float(slope.temperature) * T + pressure * np.trace(G)) < 4 * traced


def test_few_samples_have_the_covariance_without_bias():
    """Over all but one of them: their mean takes part in it."""
    T, rng = 0.3, np.random.default_rng(2)
    start = crystal()
    seen = start.positions + 0.02 * rng.normal(size=(3, *start.positions.shape))

    @jax.jit
    def stress(temperature):
        here = Canonical(SHORT, start.species, temperature)
        return average(here, jnp.eye(3), start.box[None], seen[None])

    found = jax.jacfwd(stress)(jnp.asarray(T))
    now = [atoms.Atoms(s, start.box, start.species) for s in seen]
    sig = jnp.stack([atoms.stress(SHORT, one) for one in now]).reshape(3, 9).T
    energies = jnp.stack([atoms.energy(SHORT, one) for one in now])
    covariance = np.cov(np.vstack([sig, energies]))[:9, 9].reshape(3, 3)
    momenta = -start.num_atoms / atoms.volume(start) * np.eye(3)
    np.testing.assert_allclose(found, covariance / T**2 + momenta, rtol=1e-10)


def test_a_dilute_gas_has_the_pressure_of_its_virial_series():
    rho, T, N = 0.1, 1.5, 16
    law = atoms.wca(1.0, 1.0)
    sites = np.indices((4, 4)).reshape(2, -1).T / 4
    box = (N / rho) ** 0.5 * jnp.eye(2)
    gas = atoms.Atoms(jnp.asarray(sites), box, jnp.zeros(N, int))
    cell = cells.thermal_cell(
        law, gas, temperature=T, equilibration=10.0, time_step=0.01, num_samples=50
    )
    P = many(cell, jnp.eye(3), several(cell, 6), jnp.asarray(40.0))[0]
    r = np.linspace(1e-3, float(law.cutoff), 20001)
    energy = 4 * (r**-12 - r**-6) + 1
    B = -np.pi * rho * np.trapezoid(r * np.expm1(-np.minimum(energy / T, 700)), r)
    # The third coefficient is that of hard disks, 0.78 of the square; here it is 1 %.
    found, error = mean_and_error(np.trace(P, axis1=1, axis2=2) / 2)
    assert error < 0.015 * rho * T
    assert abs(found + rho * T * (1 + B + 0.782 * B**2)) < 4 * error
    # Without the forces it would not be.
    assert abs(found + rho * T) > 6 * error


@pytest.mark.slow
def test_in_a_cold_glass_fluctuations_make_the_athermal_tangent():
    box = flat()[0]
    cold = cells.thermal_cell(
        SHORT, box, temperature=1e-4, num_samples=100, equilibration=10.0, replicas=2
    )
    athermal = cells.atomistic_cell(SHORT, box)
    eye = jnp.eye(3)

    @eqx.filter_jit
    def tangent(cell, state):
        def stress(F):
            return cell.update(F, state, jnp.asarray(40.0))[0]

        return jax.jacfwd(stress)(eye)

    exact = tangent(athermal, athermal.init_state())
    born = atoms.born_moduli(SHORT, box)
    states = several(cold, 6)
    each = [tangent(cold, jax.tree.map(lambda x, k=k: x[k], states)) for k in range(6)]
    found, error = mean_and_error(np.stack(each))
    for component in ((0, 0, 0, 0), (1, 1, 1, 1), (0, 1, 0, 1)):
        # What is left at this temperature is below a per cent.
        margin = 4 * error[component] + 0.01 * float(exact[component])
        assert abs(found[component] - exact[component]) < margin
        # The non-affine part is there, not Born's term alone.
        assert born[component] - found[component] > 2 * margin
    frozen = dataclasses.replace(cold, derivative="frozen")
    still = tangent(frozen, frozen.init_state())
    # Without noise: what differs is the share of the momenta, rho T = 1e-4.
    np.testing.assert_allclose(still, exact, rtol=0, atol=2e-4)


def test_the_temperature_is_what_was_asked():
    cell = small_cell()
    _, states = many(cell, F, several(cell, 16), jnp.asarray(2.0))
    T = np.sum(np.asarray(states.velocities) ** 2)
    # 64 boxes of 96 degrees of freedom.
    assert abs(T / 64 / 96 / 0.05 - 1) < 4 * np.sqrt(2 / 64 / 96)


def shear(gamma):
    return jnp.eye(3).at[0, 1].set(gamma)


def both_ways(cell, path):
    """Means of half the difference between paths of shear to opposite sides.

    With the same starts and noise, most of which cancels; the path holds shears and
    times. With standard errors over 32 boxes.
    """
    sides = [several(cell, 8)] * 2
    for gamma, dt in path:
        P = []
        for k, sign in enumerate((1, -1)):
            F = jnp.eye(3).at[0, 1].set(sign * gamma)
            answer, sides[k] = many(cell, F, sides[k], jnp.asarray(dt))
            P.append(np.asarray(answer[:, 0, 1]))
        yield mean_and_error((P[0] - P[1]) / 2)


@pytest.mark.parametrize("is_liquid", [True, False], ids=["liquid", "glass"])
def test_stress_relaxes_in_a_liquid_to_nothing_and_in_a_glass_in_part(is_liquid):
    side, temperature = (5.8, 0.5) if is_liquid else (5.3, 0.02)
    cell = cells.thermal_cell(
        SHORT, flat(side), temperature=temperature, equilibration=10.0, num_samples=5
    )
    path = [(0.05, dt) for dt in (0.2, 5.0, 10.0)]
    (begin, error), _, (end, error_at_end) = both_ways(cell, path)
    assert begin > 10 * error
    assert 4 * error_at_end < 0.6 * begin
    if is_liquid:
        assert abs(end) < 4 * error_at_end
    else:
        assert end > 10 * error_at_end
        assert 0.3 * begin < end < 0.6 * begin


def test_unloading_from_flow_leaves_stress_of_the_other_sign():
    cell = cells.thermal_cell(
        SHORT, flat(), temperature=0.02, equilibration=2.0, num_samples=5
    )
    path = [(gamma, 1.0) for gamma in (0.05, 0.1, 0.15, 0.2, 0.15, 0.1, 0.05, 0.0)]
    stresses = list(both_ways(cell, path))
    (top, error), (end, error_at_end) = stresses[3], stresses[-1]
    assert top > 4 * error
    assert end < -4 * error_at_end


def test_a_batch_is_a_loop():
    cell = small_cell()
    states, strains = several(cell, 2), jnp.stack([F, jnp.eye(3)])
    together = eqx.filter_jit(jax.vmap(lambda F, s: cell.update(F, s, UNIT)[0]))
    found = together(strains, states)
    for k in range(2):
        state = jax.tree.map(lambda x, k=k: x[k], states)
        alone = step(cell, strains[k], state)[0]
        # Paths diverge from rounding, by a few orders in a unit of time.
        np.testing.assert_allclose(found[k], alone, rtol=0, atol=1e-9)


def test_the_key_decides_the_noise_and_nothing_else_does():
    cell = small_cell()
    one, same, other = (cell.init_state(jax.random.key(k)) for k in (3, 3, 4))
    P = [np.asarray(step(cell, F, state)[0]) for state in (one, same, other)]
    np.testing.assert_array_equal(P[0], P[1])
    assert np.abs(P[0] - P[2]).max() > 1e-3
    again = step(cell, F, step(cell, F, one)[1])[0]
    assert np.abs(P[0] - again).max() > 1e-3


@pytest.mark.parametrize("derivative", ["fluctuation", "frozen"])
def test_reverse_mode_is_the_transpose_of_forward_mode(derivative):
    cell = dataclasses.replace(small_cell(), derivative=derivative)
    numbers, rest = eqx.partition(cell, eqx.is_inexact_array)
    state = cell.init_state()
    push = (jax.tree.map(lambda x: 0.3 * x + 0.1, numbers), F)
    seed = jnp.asarray(np.random.default_rng(0).normal(size=(3, 3)))

    @jax.jit
    def both(numbers, F):
        def stress(numbers, F):
            return eqx.combine(numbers, rest).update(F, state, UNIT)[0]

        _, forward = jax.jvp(stress, (numbers, F), push)
        return forward, jax.vjp(stress, numbers, F)[1](seed)

    forward, back = both(numbers, F)
    products = jax.tree.map(lambda a, b: jnp.sum(a * b), back, push)
    total = sum(jax.tree.leaves(products))
    assert abs(float(total)) > 1
    np.testing.assert_allclose(jnp.sum(forward * seed), total, rtol=1e-10)


def test_nothing_is_derived_through_the_path():
    """The cotangent of the old state is zero, and that is said."""
    cell = small_cell()
    state = cell.init_state()

    def stress(positions):
        before = eqx.tree_at(lambda s: s.positions, state, positions)
        return cell.update(F, before, UNIT)[0][0, 0]

    assert not np.asarray(jax.jit(jax.grad(stress))(state.positions)).any()


def test_steps_count_their_evaluations():
    cell = small_cell()
    state = step(cell, F, cell.init_state(), jnp.asarray(0.9))[1]
    # 180 time steps of 0.005 are three segments of ten for each of 2 x 4 samples, each
    # with one evaluation more, in four replicas.
    assert state.evaluations == 4 * 8 * 3 * 11


def test_at_small_strain_it_is_a_material_of_networks():
    law = materials.SmallStrain(small_cell())
    network = cells.prnn(law, 2, key=jax.random.key(0))
    states = network.init_state(jax.random.key(1))
    sig, _ = eqx.filter_jit(network.update)(jnp.full(6, 1e-3), states, UNIT)
    assert jnp.isfinite(sig).all()


def test_what_makes_no_sense_is_no_number_and_leaves_the_state():
    cell = small_cell()
    state = cell.init_state()
    nan = F.at[0, 0].set(jnp.nan)
    width = float(atoms.perpendicular_widths(state.boxes[0])[0])
    narrow = jnp.diag(jnp.array([2.99 / width, 1.0, 1.0]))
    for bad, dt in ((nan, 1.0), (narrow, 1.0), (F, -1.0), (F, jnp.nan), (F, 1e9)):
        P, after = step(cell, bad, state, jnp.asarray(dt))
        assert jnp.isnan(P).all()
        np.testing.assert_array_equal(after.positions, state.positions)
        np.testing.assert_array_equal(after.stretch, state.stretch)
        assert after.evaluations == 0


def test_atoms_that_blow_up_give_no_number():
    cell = dataclasses.replace(small_cell(), time_step=0.5)
    P, after = step(cell, F, cell.init_state(), jnp.asarray(40.0))
    assert jnp.isnan(P).all()
    assert jnp.isnan(step(cell, F, after)[0]).all()


def test_two_dimensions_answer_in_their_plane():
    law = atoms.LennardJones(1.0, 1.0, 1.6)
    rows = np.indices((6, 6)).reshape(2, -1).T / 6
    box = 6 * 1.1 * jnp.array([[1.0, 0.5], [0.0, np.sqrt(3) / 2]])
    flat = atoms.Atoms(jnp.asarray(rows), box, jnp.zeros(36, int))
    cell = cells.thermal_cell(
        law, flat, temperature=0.1, num_samples=5, stress_unit=2.0, equilibration=1.0
    )
    P, _ = step(cell, jnp.eye(3), cell.init_state())
    assert np.asarray(P)[:2, :2].all()
    assert not np.asarray(P)[2].any()
    assert not np.asarray(P)[:, 2].any()
    once = dataclasses.replace(cell, stress_unit=1.0)
    np.testing.assert_allclose(P, 2 * step(once, jnp.eye(3), cell.init_state())[0])


def test_mistakes_are_told(monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # as for a user
    one = crystal()
    bad = {
        "temperature": 0.0,
        "time_step": -0.005,
        "friction": 0.0,
        "stress_unit": jnp.nan,
        "equilibration": -1.0,
    }
    for name, value in bad.items():
        options = {"temperature": 0.1, name: value}
        with pytest.raises(JaxmatError, match=name):
            cells.thermal_cell(SHORT, one, **options)
    for name, value in {"num_samples": 1, "replicas": 2.0}.items():
        words = f"`{name}` is {value}; give a whole number of at least"
        with pytest.raises(JaxmatError, match=words):
            cells.thermal_cell(SHORT, one, temperature=0.1, **{name: value})
    with pytest.raises(JaxmatError, match="'fluctuation', 'frozen'"):
        cells.thermal_cell(SHORT, one, temperature=0.1, derivative="unrolled")
    with pytest.raises(JaxmatError, match=r"`masses` has shape \(1,\), .*\(2\)"):
        cells.thermal_cell(SHORT, one, temperature=0.1, masses=[1.0])
    with pytest.raises(JaxmatError, match=r"`equilibration` is 1e\+08, 2e\+10 steps"):
        cells.thermal_cell(SHORT, one, temperature=0.1, equilibration=1e8)
    too_long = {"time_step": 0.5, "equilibration": 400.0}
    with pytest.raises(JaxmatError, match="blew up at `time_step`"):
        cells.thermal_cell(SHORT, one, temperature=0.1, **too_long)
    with pytest.raises(JaxmatError, match="less than twice the cutoff"):
        cells.thermal_cell(atoms.kob_andersen(), one, temperature=0.1)
