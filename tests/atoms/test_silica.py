"""Silica: the Coulomb sum against Madelung's, the formula, derivatives."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from atoms_cases import rattled_lattice
from jax.test_util import check_grads

from jaxmat import atoms
from jaxmat.atoms import BKS

E2 = 14.3996454


def test_charges_alone_have_the_energy_of_madelung():
    """Rock salt: 1.747565 over the distance of neighbours, per pair of ions."""
    none, one = jnp.zeros((2, 2)), jnp.ones((2, 2))
    charge = jnp.array([1.0, -1.0])
    law = BKS(charge, none, one, none, none, jnp.asarray(0.3), 13.0)
    sites = np.indices((10,) * 3).reshape(3, -1).T
    species = jnp.asarray(sites.sum(1) % 2)
    salt = atoms.Atoms(jnp.asarray(sites / 10), 28.0 * jnp.eye(3), species)
    energy = eqx.filter_jit(law.energy)(salt) / 500
    # What Wolf leaves out is exp(-G^2 / 4 alpha^2) with G = 2 pi sqrt(3) / 5.6: 3e-5.
    np.testing.assert_allclose(energy, -1.747565 * E2 / 2.8, rtol=1e-4)


def test_a_bond_is_as_strong_as_the_formula_says():
    """The force between silicon and oxygen, less that of the cutoff's parabola."""
    law = atoms.bks_silica()

    def formula(r):
        bond = 18003.7572 * jnp.exp(-4.87318 * r) - 133.5381 / r**6
        return bond - 2.4 * 1.2 * E2 * jax.lax.erfc(0.2 * r) / r

    def of_square(x):
        return formula(jnp.sqrt(x))

    first = jax.grad(of_square)
    second = jax.grad(first)

    def smoothed(r):
        excess = r**2 - 100.0
        return formula(r) - first(100.0) * excess - second(100.0) * excess**2 / 2

    def pair(r):
        s = jnp.zeros((2, 3)).at[1, 0].set(r / 30)
        return law.energy(atoms.Atoms(s, 30 * jnp.eye(3), jnp.arange(2)))

    for r in (1.3, 1.6, 3.0):
        np.testing.assert_allclose(jax.grad(pair)(r), jax.grad(smoothed)(r), rtol=1e-10)
    # Inside the barrier there is a wall and no well.
    assert pair(0.9) > pair(1.0) > pair(1.19)


def test_stress_forces_and_slopes_in_the_parameters_are_right():
    start = rattled_lattice(per_side=5, density=0.07, tilt=0.2)
    law = atoms.bks_silica(cutoff=5.0)
    atoms.check(law, start)

    @jax.jit
    def energy(law, F, u):
        return law.energy(atoms.shifted(atoms.deform(start, F), u)) / 100

    u = jnp.zeros_like(start.positions)
    check_grads(energy, (law, jnp.eye(3), u), 1, eps=1e-6, rtol=1e-5, atol=1e-5)
    total = jnp.sum(eqx.filter_jit(atoms.forces)(law, start), axis=0)
    np.testing.assert_allclose(total, 0.0, atol=1e-10)
