"""Atoms at rest: minimisation, its derivative, moduli, quasi-static steps."""

import functools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from atoms_cases import glass, rattled_lattice

from jaxmat import JaxmatError, atoms

ONE = np.ones((2, 2))
LAW = atoms.LennardJones(ONE, [[1.0, 0.9], [0.9, 0.8]], 1.6)


@functools.cache
def small():
    return glass(LAW, 60, 1.1)


def test_a_random_start_ends_without_forces_and_not_in_a_saddle():
    a = small()
    assert float(jnp.abs(atoms.forces(LAW, a)).max()) < 1e-10
    curvatures = np.linalg.eigvalsh(eqx.filter_jit(atoms.hessian)(LAW, a))
    np.testing.assert_allclose(curvatures[:3], 0.0, atol=1e-10)  # translations
    assert curvatures[3] > 1e-2


def test_without_stress_the_box_is_the_lowest_of_all_boxes():
    found = atoms.relax_box(LAW, small()).value
    np.testing.assert_allclose(atoms.stress(LAW, found), 0.0, atol=1e-10)
    np.testing.assert_allclose(found.box, found.box.T, atol=1e-12)  # no rotation
    assert atoms.energy(LAW, found) < atoms.energy(LAW, small())


@pytest.mark.parametrize("law", [LAW, atoms.LennardJones(ONE, ONE, 2.4, "force")])
@pytest.mark.parametrize("d", [2, 3])
def test_assembled_second_derivatives_are_those_of_the_energy(law, d):
    a = rattled_lattice(d=d, per_side=5, density=1.0)
    for name in ("hessian", "mixed", "box_hessian"):
        plain = eqx.filter_jit(getattr(atoms.AbstractPotential, name))(law, a)
        assembled = eqx.filter_jit(getattr(law, name))(a)
        scale = float(jnp.abs(plain).max())
        np.testing.assert_allclose(assembled, plain, rtol=0, atol=1e-13 * scale)


def test_products_with_the_hessian_need_no_hessian():
    silicon = atoms.StillingerWeber(1.0, 0.9)
    for law, d in ((LAW, 2), (LAW, 3), (silicon, 3)):
        a = rattled_lattice(d=d, per_side=5, density=1.0)
        a = atoms.Atoms(a.positions, a.box, jnp.minimum(a.species, law.num_species - 1))
        u = jnp.asarray(np.random.default_rng(0).normal(size=a.positions.shape))
        whole = eqx.filter_jit(law.hessian)(a) @ u.ravel()
        product = eqx.filter_jit(law.hessian_product)(a, u).ravel()
        scale = float(jnp.abs(whole).max())
        np.testing.assert_allclose(product, whole, rtol=0, atol=1e-12 * scale)


def test_without_the_hessian_moduli_need_less_memory_than_the_gradient(monkeypatch):
    """Of the arrays in between, as XLA plans them."""
    monkeypatch.setattr("jaxmat.atoms._rest.DENSE", 0)
    a = rattled_lattice(per_side=6)

    def memory(function):
        lowered = jax.jit(functools.partial(function, atoms.kob_andersen())).lower(a)
        return lowered.compile().memory_analysis().temp_size_in_bytes

    assert memory(atoms.elastic_moduli) < memory(atoms.forces)


def sheared(a, h):
    return jnp.eye(3).at[0, 1].add(h) @ a.box


def test_positions_at_rest_follow_the_box_and_the_potential():
    """Against minimising again, forward and reverse, to second order."""
    a = small()
    sigma = LAW.sigma
    weights = jnp.asarray(np.random.default_rng(0).normal(size=a.positions.shape))

    @jax.jit
    def again(t):
        law = eqx.tree_at(lambda law: law.sigma, LAW, sigma * (1 + 0.3 * t))
        end = atoms.settle(law, a, sheared(a, t), tolerance=1e-12).atoms
        return jnp.sum(weights * end.positions)

    def follow(t):
        law = eqx.tree_at(lambda law: law.sigma, LAW, sigma * (1 + 0.3 * t))
        now = atoms.Atoms(a.positions, sheared(a, t), a.species)
        return jnp.sum(weights * atoms.at_rest(law, now))

    h = 2e-5
    slope = jax.jit(jax.jacfwd(follow))(0.0)
    np.testing.assert_allclose(slope, (again(h) - again(-h)) / (2 * h), rtol=1e-5)
    np.testing.assert_allclose(jax.jit(jax.grad(follow))(0.0), slope, rtol=1e-12)
    bend = jax.jit(jax.jacfwd(jax.grad(follow)))(0.0)
    h = 2e-4
    difference = (again(h) - 2 * again(0.0) + again(-h)) / h**2
    np.testing.assert_allclose(bend, difference, rtol=1e-3)


def test_no_derivative_reaches_the_positions_given():
    a = small()

    def of_positions(s):
        return jnp.sum(atoms.at_rest(LAW, atoms.Atoms(s, a.box, a.species)) ** 2)

    assert not jax.grad(of_positions)(a.positions).any()


def test_without_the_hessian_the_derivative_is_the_same(monkeypatch):
    a = small()
    weights = jnp.asarray(np.random.default_rng(0).normal(size=a.positions.shape))

    def follow(t):
        law = eqx.tree_at(lambda law: law.sigma, LAW, LAW.sigma * (1 + t))
        now = atoms.Atoms(a.positions, sheared(a, t), a.species)
        return jnp.sum(weights * atoms.at_rest(law, now))

    def answers():
        moduli = jax.jit(functools.partial(atoms.elastic_moduli, LAW))(a)
        return moduli, jax.jit(jax.grad(follow))(0.0)

    dense = answers()
    monkeypatch.setattr("jaxmat.atoms._rest.DENSE", 0)
    # Conjugate gradients stop at 1e-10.
    for found, expected in zip(answers(), dense, strict=True):
        scale = float(jnp.abs(expected).max())
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-8 * scale)
    moved = eqx.filter_jit(lambda a, box: atoms.settle(LAW, a, box))(
        a, sheared(a, 1e-3)
    )
    assert moved.info.converged


def test_a_step_sets_free_what_a_quadratic_energy_would():
    a = small()
    settle = eqx.filter_jit(atoms.settle)
    moved = settle(LAW, a, sheared(a, 1e-3))
    assert moved.info.converged
    assert not moved.event
    assert not moved.irregular
    assert float(jnp.abs(atoms.forces(LAW, moved.atoms)).max()) < 1e-10
    # Newton's first direction is the non-affine displacement; few steps more.
    assert int(moved.info.num_steps) < 15


def test_from_a_saddle_the_step_is_irregular_and_an_event():
    """A simple cubic lattice of central forces falls over."""
    a = rattled_lattice(per_side=4, density=1.0, tilt=0.0)
    positions = jnp.round(a.positions * 4) / 4 + 1e-6 * a.positions
    crystal = atoms.Atoms(positions, a.box, jnp.zeros_like(a.species))
    law = atoms.LennardJones(1.0, 1.0, 1.9)
    moved = eqx.filter_jit(atoms.settle)(law, crystal, sheared(crystal, 1e-3))
    assert moved.info.converged
    assert moved.event
    assert moved.irregular


def test_a_minimisation_that_stalls_says_so():
    start = rattled_lattice(per_side=4)
    stalled = atoms.relax(LAW, start, max_steps=5, throw=False)
    assert not stalled.info.converged
    assert jnp.isfinite(stalled.value.positions).all()
    with pytest.raises(JaxmatError, match="forces did not fall") as error:
        atoms.relax(LAW, start, max_steps=5)
    assert str(error.value).count(". ") == 0
    with pytest.raises(JaxmatError, match="forces did not fall"):
        atoms.relax_box(LAW, start, max_steps=5)
    with pytest.raises(eqx.EquinoxRuntimeError, match="forces did not fall"):
        eqx.filter_jit(lambda a: atoms.relax(LAW, a, max_steps=5))(start)


def test_atoms_at_nan_are_not_sent_searching():
    start = small()
    lost = atoms.Atoms(start.positions.at[1, 2].set(jnp.nan), start.box, start.species)
    for relax in (atoms.relax, atoms.relax_box):
        with pytest.raises(JaxmatError, match="finite numbers"):
            relax(LAW, lost)


def narrow():
    """A simple cubic crystal, wide enough until it is without stress."""
    s = np.stack(np.meshgrid(*[np.arange(5)] * 3), axis=-1).reshape(-1, 3) / 5
    noise = 1e-3 * np.random.default_rng(0).normal(size=s.shape)
    return atoms.Atoms(
        jnp.asarray(s + noise), 6.5 * jnp.eye(3), jnp.zeros(len(s), jnp.int32)
    )


@pytest.mark.parametrize("relax", [atoms.relax, atoms.relax_box, atoms.relax_large])
def test_no_search_begins_where_an_energy_means_nothing(relax):
    law, start = atoms.LennardJones(1.0, 1.0), narrow()
    small = atoms.Atoms(start.positions, 0.7 * start.box, start.species)
    with pytest.raises(JaxmatError, match="less than twice the cutoff"):
        relax(law, small)
    with pytest.raises(JaxmatError, match="species run from 0 to 1"):
        relax(law, atoms.Atoms(start.positions, start.box, start.species.at[0].set(1)))


@pytest.mark.parametrize(
    "function",
    [
        atoms.energy,
        atoms.forces,
        atoms.stress,
        atoms.hessian,
        atoms.elastic_moduli,
        atoms.born_moduli,
        lambda law, a: atoms.settle(law, a, a.box),
        lambda law, a: atoms.swap_species(law, jax.random.key(0), a, 1.0, 2),
        lambda law, a: atoms.simulate(
            law,
            atoms.ConstantEnergy(0.01),
            atoms.set_in_motion(jax.random.key(0), a, 1.0),
            1,
        ),
    ],
)
@pytest.mark.parametrize(
    "law", [atoms.LennardJones(1.0, 1.0), atoms.StillingerWeber(sigma=1.4)]
)
def test_nothing_is_answered_where_an_energy_means_nothing(law, function):
    """Pairs would be missed, or species that the potential lacks taken for others."""
    a = narrow()
    with pytest.raises(JaxmatError, match="less than twice the cutoff"):
        function(law, atoms.Atoms(a.positions, 0.7 * a.box, a.species))
    with pytest.raises(JaxmatError, match="species run from 0 to 1"):
        function(law, atoms.Atoms(a.positions, a.box, a.species.at[0].set(1)))


def test_moduli_are_those_of_atoms_at_rest_only():
    """Rounding of single precision is rest; displacements of 1 % of a size are not."""
    a = small()
    rounded = jnp.asarray(a.positions, jnp.float32).astype(a.positions.dtype)
    atoms.elastic_moduli(LAW, atoms.Atoms(rounded, a.box, a.species))
    u = 0.01 * jax.random.normal(jax.random.key(1), a.positions.shape)
    stirred = atoms.Atoms(a.positions + u @ jnp.linalg.inv(a.box).T, a.box, a.species)
    with pytest.raises(JaxmatError, match="not at rest, one of them is pushed by"):
        atoms.elastic_moduli(LAW, stirred)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"tolerance": -1.0}, "`tolerance` holds -1"),
        ({"tolerance": float("nan")}, "`tolerance` holds nan"),
        ({"max_steps": 0}, "`max_steps` holds 0"),
    ],
)
def test_bounds_that_nothing_can_keep_are_refused(options, words):
    for relax in (atoms.relax, atoms.relax_box, atoms.relax_large):
        with pytest.raises(JaxmatError, match=words):
            relax(LAW, small(), **options)


@pytest.mark.parametrize(
    "relax",
    [atoms.relax_box, functools.partial(atoms.relax_large, free_box=True)],
)
def test_a_box_that_shrinks_below_twice_the_cutoff_is_no_answer(relax):
    law, start = atoms.LennardJones(1.0, 1.0), narrow()
    atoms.check(law, start)
    with pytest.raises(JaxmatError, match="less than twice the cutoff"):
        relax(law, start, tolerance=1e-3)
