"""Pair potentials: closed forms, derivatives of the energy, symmetries."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import pytest
from atoms_cases import rattled_lattice
from jax.test_util import check_grads

from jaxmat import JaxmatError, atoms, rotations

ONE = np.ones((2, 2))
LAWS = {
    "energy": atoms.LennardJones(ONE, 0.9 * ONE, 2.5, "energy"),
    "force": atoms.kob_andersen("force"),
    "curvature": atoms.kob_andersen(),
    "wahnstrom": atoms.wahnstrom(),
    "wca": atoms.wca(ONE, ONE),
    "morse": atoms.Morse(ONE, ONE, 5 * ONE, 2.4),
}
every_law = pytest.mark.parametrize("law", LAWS.values(), ids=LAWS)
energy, forces, stress = map(eqx.filter_jit, (atoms.energy, atoms.forces, atoms.stress))


def dimer(r, d=3):
    """Two atoms of species 0 and 1 at a distance."""
    s = jnp.zeros((2, d)).at[1, 0].set(r / 6)
    return atoms.Atoms(s, 6 * jnp.eye(d), jnp.arange(2))


def test_a_dimer_has_the_energy_of_the_paper():
    """Kob & Andersen: epsilon 1.5 and sigma 0.8 between unlike atoms, cut at 2.5."""
    law, r = atoms.kob_andersen("energy"), 1.1

    def lennard_jones(x):
        return 4 * 1.5 * (x**-12 - x**-6)

    expected = lennard_jones(r / 0.8) - lennard_jones(2.5)
    np.testing.assert_allclose(law.energy(dimer(r)), expected, rtol=1e-14)
    # One ulp of rounding is left where the polynomial is taken off.
    np.testing.assert_allclose(law.energy(dimer(0.8 * 2.5 + 1e-9)), 0.0, atol=1e-15)


def test_a_morse_bond_is_as_deep_and_stiff_as_it_says():
    law = atoms.Morse(2.0, 1.1, 6.0, 20.0)  # beyond 20 sigma nothing is left
    pair = atoms.Atoms(jnp.zeros((2, 3)), 60 * jnp.eye(3), jnp.zeros(2, int))

    def of_distance(r):
        return law.energy(eqx.tree_at(lambda a: a.positions, pair, place(r)))

    def place(r):
        return jnp.zeros((2, 3)).at[1, 0].set(r / 60)

    np.testing.assert_allclose(of_distance(1.1), -2.0, rtol=1e-14)
    np.testing.assert_allclose(jax.grad(of_distance)(1.1), 0.0, atol=1e-13)
    curvature = jax.grad(jax.grad(of_distance))(1.1)
    np.testing.assert_allclose(curvature, 2 * 2.0 * (6.0 / 1.1) ** 2, rtol=1e-12)


@pytest.mark.parametrize("order", range(3), ids=atoms.SMOOTHINGS)
def test_as_many_derivatives_as_promised_vanish_at_the_cutoff(order):
    law = atoms.kob_andersen(atoms.SMOOTHINGS[order])

    def of_distance(r):
        return law.energy(dimer(r))

    derivatives = [of_distance]
    for _ in range(order + 1):
        derivatives.append(jax.grad(derivatives[-1]))
    inside = 0.8 * 2.5 - 1e-9
    # The derivative above changes by 1e-9 times itself, which is at most 10.
    for derivative in derivatives[:-1]:
        np.testing.assert_allclose(derivative(inside), 0.0, atol=2e-8)
    assert abs(derivatives[-1](inside)) > 1e-2


def test_the_repulsive_part_ends_in_the_minimum():
    law = atoms.wca(ONE, ONE)
    minimum = 2 ** (1 / 6)
    np.testing.assert_allclose(law.energy(dimer(1.0)), 1.0, rtol=1e-14)
    assert law.energy(dimer(minimum + 1e-6)) == 0.0
    force = atoms.forces(law, dimer(minimum - 1e-7))
    np.testing.assert_allclose(force, 0.0, atol=1e-5)  # 57 a length


@every_law
@pytest.mark.parametrize("d", [2, 3])
def test_forces_and_stress_are_derivatives_of_the_energy(law, d):
    a = rattled_lattice(d=d, per_side=6, density=1.0)
    rng = np.random.default_rng(1)
    u, G = rng.normal(size=a.positions.shape), rng.normal(size=(d, d))

    @jax.jit
    def moved(t):
        r = atoms.cartesian(a) + t * u
        return law.energy(atoms.from_cartesian(r, a.box, a.species))

    @jax.jit
    def deformed(t):
        return law.energy(atoms.deform(a, jnp.eye(d) + t * G))

    h = 1e-5
    work = -jnp.sum(forces(law, a) * u)
    # The difference errs by 1e-10 of the third derivative, which is large where the
    # lattice is rattled, and "energy" has kinks where a pair crosses the cutoff.
    close = {"rtol": 1e-6, "atol": 2e-3 if law.smoothing == "energy" else 1e-5}
    np.testing.assert_allclose((moved(h) - moved(-h)) / (2 * h), work, **close)
    power = atoms.volume(a) * jnp.sum(stress(law, a) * G)
    np.testing.assert_allclose((deformed(h) - deformed(-h)) / (2 * h), power, **close)


def test_every_action_has_its_reaction(rattled):
    force = forces(LAWS["curvature"], rattled)
    scale = float(jnp.abs(force).max())
    np.testing.assert_allclose(jnp.sum(force, axis=0), 0.0, atol=1e-13 * scale)


def test_the_stress_is_symmetric_and_turns_with_the_body(rattled):
    law = LAWS["curvature"]
    turn = rotations.to_matrix(jnp.array([0.5, -0.1, 0.7, 0.5]) / 1.0)
    sig = stress(law, rattled)
    turned = atoms.deform(rattled, turn)
    scale = float(jnp.abs(sig).max())
    np.testing.assert_allclose(sig, sig.T, rtol=0, atol=1e-13 * scale)
    np.testing.assert_allclose(energy(law, turned), energy(law, rattled), rtol=1e-12)
    np.testing.assert_allclose(
        stress(law, turned), turn @ sig @ turn.T, rtol=0, atol=1e-12 * scale
    )


def test_names_images_and_places_of_atoms_do_not_matter(rattled):
    law, rng = LAWS["curvature"], np.random.default_rng(2)
    order = rng.permutation(rattled.num_atoms)
    images = rng.integers(-3, 4, rattled.positions.shape)
    same = atoms.Atoms(
        (rattled.positions + images + 0.37)[order], rattled.box, rattled.species[order]
    )
    np.testing.assert_allclose(energy(law, same), energy(law, rattled), rtol=1e-12)


def test_the_choice_of_lattice_vectors_does_not_matter():
    """Columns a, b and a, b + a span the same lattice."""
    law, a = LAWS["wca"], rattled_lattice(tilt=0.1)
    shear = jnp.eye(3).at[0, 1].set(1.0)
    same = atoms.Atoms(a.positions @ jnp.linalg.inv(shear).T, a.box @ shear, a.species)
    atoms.check(law, same)
    np.testing.assert_allclose(energy(law, same), energy(law, a), rtol=1e-12)
    np.testing.assert_allclose(stress(law, same), stress(law, a), rtol=1e-9)


@every_law
def test_energy_and_stress_have_derivatives_in_the_parameters(law):
    a = rattled_lattice(density=1.0)

    @jax.jit
    def answers(law):
        return law.energy(a) / 100, atoms.stress(law, a) / 10

    # A central difference of step 1e-6; "energy" has kinks where a pair is cut off.
    if law.smoothing != "energy":
        check_grads(answers, (law,), 1, eps=1e-6, rtol=1e-5, atol=1e-5)
    slope = jax.jit(jax.grad(lambda law: answers(law)[0]))(law)
    assert all(jnp.isfinite(x).all() for x in jax.tree.leaves(slope))


def test_energy_scales_with_its_units(rattled):
    """Euler: the derivative in epsilon recovers the energy; lengths scale as sigma."""
    law = LAWS["curvature"]
    slope = eqx.filter_jit(eqx.filter_grad(atoms.energy))(law, rattled)
    total = energy(law, rattled)
    np.testing.assert_allclose(jnp.sum(slope.epsilon * law.epsilon), total, rtol=1e-12)
    virial = jnp.trace(stress(law, rattled)) * atoms.volume(rattled)
    np.testing.assert_allclose(jnp.sum(slope.sigma * law.sigma), -virial, rtol=1e-11)


def test_in_single_precision_six_digits_are_right(rattled):
    law = LAWS["curvature"]
    single = jax.tree.map(
        lambda x: x.astype(jnp.float32) if eqx.is_inexact_array(x) else x,
        (law, rattled),
    )
    force = forces(*single)
    assert force.dtype == jnp.float32
    exact = forces(law, rattled)
    # Positions are rounded by 6e-8 of the box; r^-13 makes 1e-6 to 1e-5 of it.
    scale = float(jnp.abs(exact).max())
    np.testing.assert_allclose(force, exact, rtol=0, atol=2e-5 * scale)


BAD = {
    "smoothing": lambda: atoms.kob_andersen("none"),
    "symmetric": lambda: atoms.LennardJones([[1.0, 2.0], [3.0, 1.0]], ONE),
    "sigma": lambda: atoms.LennardJones(1.0, -1.0),
    "steepness": lambda: atoms.Morse(1.0, 1.0, 0.0),
    "finite numbers": lambda: atoms.check(LAWS["wca"], dimer(jnp.nan)),
    "number them from 0": lambda: atoms.check(atoms.wca(), dimer(1.0)),
    "less than twice the cutoff": lambda: atoms.check(
        LAWS["curvature"], rattled_lattice(per_side=5, tilt=0.0)
    ),
    "atoms 0 and 1 are closer": lambda: atoms.check(LAWS["wca"], dimer(0.05)),
    "no atoms": lambda: atoms.check(
        LAWS["wca"],
        atoms.Atoms(jnp.zeros((0, 3)), jnp.eye(3), jnp.zeros(0, int)),
    ),
    "has no volume": lambda: atoms.from_cartesian(
        jnp.zeros((2, 3)), jnp.ones((3, 3)), jnp.zeros(2, int)
    ),
    r"`r` has shape \(2, 2\)": lambda: atoms.from_cartesian(
        jnp.zeros((2, 2)), jnp.eye(3), jnp.zeros(2, int)
    ),
    r"`F` has shape \(3,\), expected \(3, 3\)": lambda: atoms.deform(
        dimer(1.0), jnp.ones(3)
    ),
    "the atoms are of type LennardJones": lambda: atoms.relax(dimer(1.0), LAWS["wca"]),
    "the potential is of type Atoms": lambda: atoms.energy(dimer(1.0), LAWS["wca"]),
    "take several with jax.vmap": lambda: atoms.energy(
        LAWS["wca"], jax.tree.map(lambda x: jnp.stack([x, x]), dimer(1.0))
    ),
    "`cutoff_ratio` holds nan": lambda: atoms.StillingerWeber(cutoff_ratio=jnp.nan),
    "`gamma` holds -1": lambda: atoms.StillingerWeber(gamma=-1.0),
    "`cosine` is -2": lambda: atoms.StillingerWeber(cosine=-2.0),
    "d = 2 or 3": lambda: atoms.Atoms(jnp.zeros((3, 4)), jnp.eye(4), jnp.arange(3)),
}


@pytest.mark.parametrize("words", BAD)
def test_a_mistake_is_told_in_one_sentence(words, monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # as for a user
    with pytest.raises(JaxmatError, match=words) as error:
        BAD[words]()
    assert str(error.value).count(". ") == 0


def test_the_configuration_of_the_tests_is_allowed(rattled):
    atoms.check(LAWS["curvature"], rattled)


def test_a_batch_of_cells_feels_what_each_feels_alone():
    """On a CPU cells of a batch are taken in turn; derivatives of that are not."""
    law = atoms.kob_andersen()
    cells = [rattled_lattice(seed, per_side=6) for seed in range(3)]
    batch = jax.tree.map(lambda *x: jnp.stack(x), *cells)

    def response(a, u):
        def of(s):
            return atoms.forces(law, atoms.Atoms(s, a.box, a.species))

        return jax.jvp(of, (a.positions,), (u,))

    u = jnp.asarray(np.random.default_rng(0).normal(size=batch.positions.shape))
    together = eqx.filter_jit(jax.vmap(response))(batch, u)
    for i, one in enumerate(cells):
        alone = eqx.filter_jit(response)(one, u[i])
        for found, expected in zip(together, alone, strict=True):
            scale = float(jnp.abs(expected).max())
            np.testing.assert_allclose(found[i], expected, atol=1e-12 * scale)


def test_one_potential_for_each_cell_of_a_batch():
    one = rattled_lattice(per_side=6)
    epsilons = jnp.array([1.0, 2.0])

    def of(epsilon):
        return atoms.forces(atoms.LennardJones(epsilon * ONE, ONE), one)

    both = eqx.filter_jit(jax.vmap(of))(epsilons)
    np.testing.assert_allclose(both[1], 2 * both[0], rtol=1e-12)
    # Reverse mode through the forces of a batch: forces are linear in epsilon.
    weight = jnp.asarray(np.random.default_rng(1).normal(size=both[0].shape))
    slopes = eqx.filter_jit(jax.grad(lambda e: jnp.sum(weight * jax.vmap(of)(e))))(
        epsilons
    )
    np.testing.assert_allclose(slopes, jnp.sum(weight * both[0]), rtol=1e-10)
