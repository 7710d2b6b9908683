"""Moduli at a temperature: a gas, the limit of no temperature, the thermal cell's."""

import functools

import equinox as eqx
import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import pytest
from atoms_cases import glass

from jaxmat import JaxmatError, atoms, mandel
from jaxmat.cells._canonical import Canonical, average

ONE = np.ones((2, 2))
LAW = atoms.LennardJones(ONE, [[1.0, 0.9], [0.9, 0.8]], 1.6)
thermal_moduli = eqx.filter_jit(atoms.thermal_moduli)


@functools.cache
def small():
    return glass(LAW, 40, 1.1)


def stacked(a, displacements):
    """The same atoms, displaced in as many ways."""
    return jax.vmap(lambda u: atoms.shifted(a, u))(displacements)


def at_rest_and_born():
    """Moduli in Green's strain, at rest and with all atoms moved affinely."""
    a = small()
    geometric = jnp.einsum("ik,jl->ijkl", jnp.eye(3), atoms.stress(LAW, a))
    for moduli in (atoms.elastic_moduli, atoms.born_moduli):
        yield mandel.from_tensor4(eqx.filter_jit(moduli)(LAW, a) - geometric)


def test_an_ideal_gas_is_as_stiff_as_its_pressure():
    law, kT = atoms.LennardJones(0.0, 1.0, 1.2), 0.7
    u = jnp.asarray(np.random.default_rng(0).uniform(size=(4, 30, 3)))
    nowhere = atoms.Atoms(jnp.zeros((30, 3)), 3.0 * jnp.eye(3), jnp.zeros(30, int))
    C = thermal_moduli(law, stacked(nowhere, u), kT)
    pressure = 30 * kT / 27
    np.testing.assert_allclose(C, 2 * pressure * jnp.eye(6), rtol=1e-14, atol=1e-14)
    # Under a pressure the bulk modulus is (C11 + 2 C12 + p) / 3: here the pressure.
    bulk = (C[0, 0] + 2 * C[0, 1] + pressure) / 3
    np.testing.assert_allclose(bulk, pressure, rtol=1e-14)


def test_without_temperature_the_moduli_are_those_of_atoms_at_rest():
    """Of a glass, where what atoms do beside the affine move is half of the moduli.

    The samples are no run: two for each mode, so that their covariance is that of the
    harmonic solid to rounding, T over the Hessian.
    """
    a, kT = small(), 1e-9
    curvatures, modes = np.linalg.eigh(eqx.filter_jit(atoms.hessian)(LAW, a))
    curvatures, modes = curvatures[3:], modes[:, 3:]
    K = 2 * len(curvatures)
    size = np.sqrt(kT * (K - 1) / 2 / curvatures)
    u = (modes * size).T.reshape(-1, *a.positions.shape)
    C = thermal_moduli(LAW, stacked(a, jnp.asarray(np.concatenate([u, -u]))), kT)
    at_rest, born = at_rest_and_born()
    assert jnp.linalg.norm(born - at_rest) > 0.3 * jnp.linalg.norm(at_rest)
    # Anharmonic energy is left: it adds 6 T of the moduli, here and at T = 1e-8.
    scale = float(jnp.abs(at_rest).max())
    np.testing.assert_allclose(C, at_rest, rtol=0, atol=3e-8 * scale)


def test_they_are_the_derivative_of_the_canonical_stress():
    """Which the thermal cell takes by weights on the same samples, in F."""
    a, kT = small(), 0.3
    rng = np.random.default_rng(1)
    samples = stacked(a, jnp.asarray(0.03 * rng.normal(size=(6, 40, 3))))
    ensemble = Canonical(LAW, a.species, jnp.asarray(kT))

    @jax.jit
    def first_piola(F):
        return average(ensemble, F, a.box[None], samples.positions[None])

    sig = first_piola(jnp.eye(3))
    A = jax.jit(jax.jacfwd(first_piola))(jnp.eye(3))
    expected = A - jnp.einsum("ik,jl->ijkl", jnp.eye(3), sig)
    C = thermal_moduli(LAW, samples, kT)
    scale = float(jnp.abs(C).max())
    np.testing.assert_allclose(
        mandel.to_tensor4(C), expected, rtol=0, atol=1e-12 * scale
    )


@pytest.mark.slow
def test_a_cold_run_finds_the_moduli_of_atoms_at_rest():
    kT = 1e-5
    start = atoms.set_in_motion(jax.random.key(0), small(), kT)

    @eqx.filter_jit
    def run(start):
        ensemble = atoms.Langevin(0.01, kT, 0.5)
        warm, _ = atoms.simulate(LAW, ensemble, start, 2000)
        options = {"observe": lambda motion: motion.atoms, "every": 100}
        return atoms.simulate(LAW, ensemble, warm, 100_000, **options)[1]

    C = thermal_moduli(LAW, run(start), kT)
    at_rest, born = at_rest_and_born()
    # A thousand samples, most of them independent: 5 % of what atoms do by themselves.
    error = jnp.linalg.norm(C - at_rest) / jnp.linalg.norm(born - at_rest)
    assert error < 0.15


def test_one_sample_has_no_fluctuation():
    with pytest.raises(JaxmatError, match="two configurations"):
        atoms.thermal_moduli(LAW, small(), 0.1)


@pytest.mark.parametrize("temperature", [0.0, -0.1, float("nan"), jnp.ones(2)])
def test_a_temperature_that_is_none_is_refused(temperature, monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # as for a user
    two = jax.tree.map(lambda x: jnp.stack([x, x]), small())
    with pytest.raises(JaxmatError, match=r"`temperature` (holds|has shape)"):
        atoms.thermal_moduli(LAW, two, temperature)


def test_samples_of_several_boxes_are_refused():
    a = small()
    pair = (a, atoms.Atoms(a.positions, 1.01 * a.box, a.species))
    both = jax.tree.map(lambda *x: jnp.stack(x), *pair)
    with pytest.raises(JaxmatError, match="`box` is not the same in all samples"):
        atoms.thermal_moduli(LAW, both, 0.1)
