"""Networks of material points: what they owe to their points, whatever the weights."""

import contract
import equinox as eqx
import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import optax
import pytest

from jaxmat import JaxmatError, cells, crystals, tangent, training
from jaxmat.materials import (
    FiniteStrain,
    J2Plasticity,
    LinearElastic,
    LinearHardening,
    LoadPath,
    PlaneStress,
    PronySeries,
    SaintVenantKirchhoff,
    SmallStrain,
    drive,
    follow,
)
from jaxmat.microstructure import Grid, Microstructure

STEEL = J2Plasticity(
    jnp.asarray(160.0),
    jnp.asarray(80.0),
    LinearHardening(jnp.asarray(0.2), jnp.asarray(2.0)),
)
SILICON = LinearElastic(crystals.cubic(165.64, 63.94, 79.51))
CRYSTAL = SaintVenantKirchhoff(SILICON.stiffness)
DIRECTION = np.array([1.0, -0.3, 0.2, 0.5, -0.7, 0.4])
DECODERS = ("positive", "normalised", "tied")


def network(decoder="tied", laws=(STEEL, SILICON), counts=(2, 1), **options):
    key = jax.random.key(1)
    return cells.prnn(laws, counts, key=key, decoder=decoder, **options)


@pytest.mark.parametrize("rule", contract.LAWS, ids=lambda rule: rule.__name__)
def test_networks_in_plane_stress_obey(rule):
    laws = (PlaneStress(STEEL), PlaneStress(SILICON))
    material = network("normalised", laws, learn_laws=True)
    rule(material, jnp.asarray(1e-2 * DIRECTION[:3]))


@pytest.mark.parametrize("rule", contract.FINITE_LAWS, ids=lambda rule: rule.__name__)
def test_networks_at_finite_strain_obey(rule):
    """Objective because its points see stretches only, conjugate because it is tied."""
    material = FiniteStrain(
        network(laws=(STEEL, SmallStrain(CRYSTAL)), learn_laws=True)
    )
    F = jnp.array([[1.1, 0.2, -0.1], [-0.15, 0.9, 0.1], [0.05, -0.2, 1.2]])
    rule(material, F)


@pytest.mark.parametrize("decoder", DECODERS)
def test_one_point_that_sees_the_strain_itself_is_its_law(decoder):
    one = network(decoder, STEEL, 1, scatter=0.0)
    if decoder == "positive":  # softplus comes close to the identity only
        far = jnp.where(jnp.eye(6) > 0, jnp.log(jnp.expm1(1.0)), -50.0)
        one = eqx.tree_at(lambda m: m.weights, one, far[None])
    rng = np.random.default_rng(0)
    eps = jnp.asarray(np.cumsum(2e-3 * rng.normal(size=(8, 6)), axis=0))
    path = LoadPath(eps, jnp.zeros_like(eps), np.zeros(eps.shape, bool), jnp.ones(8))
    np.testing.assert_allclose(
        drive(one, path).value.sig, drive(STEEL, path).value.sig, rtol=1e-9, atol=1e-12
    )


def test_a_positive_decoder_sums_what_its_matrices_make_of_the_stresses():
    both = network("positive", SILICON, 2, scatter=0.2)
    weights = 1 + np.arange(72.0).reshape(2, 6, 6) / 36  # none of them symmetric
    both = eqx.tree_at(lambda m: m.weights, both, jnp.log(jnp.expm1(weights)))
    points = [SILICON.stiffness @ A @ DIRECTION for A in np.asarray(both.encoder)]
    by_hand = weights[0] @ points[0] + weights[1] @ points[1]
    np.testing.assert_allclose(contract.stress(both, DIRECTION), by_hand, rtol=1e-12)


def test_first_weights_give_the_average_of_the_points():
    for decoder in ("normalised", "tied"):
        material = network(decoder, counts=(3, 1), scatter=0.0)
        eps = jnp.asarray(1e-4 * DIRECTION)  # all points elastic
        parts = [contract.stress(law, eps) for law in (STEEL, SILICON)]
        mean = 0.75 * parts[0] + 0.25 * parts[1]
        np.testing.assert_allclose(contract.stress(material, eps), mean, rtol=1e-12)


def test_tied_points_do_the_work_of_the_whole_and_have_a_symmetric_tangent():
    material = network("tied")
    eps = jnp.asarray(1e-2 * DIRECTION)
    stiffness = eqx.filter_jit(tangent)(material, eps, material.init_state(), 1.0)
    np.testing.assert_allclose(stiffness, stiffness.T, rtol=0, atol=1e-10)
    local = material.encoder @ eps
    work = [
        jnp.vdot(contract.stress(law, x), x)
        for law, x in zip((STEEL, STEEL, SILICON), local, strict=True)
    ]
    whole = jnp.vdot(contract.stress(material, eps), eps)
    np.testing.assert_allclose(whole, np.mean(work), rtol=1e-12)
    untied = network("normalised")
    stiffness = eqx.filter_jit(tangent)(untied, eps, untied.init_state(), 1.0)
    assert np.abs(stiffness - stiffness.T).max() > 1


def test_constants_of_the_points_are_learned_on_request_only():
    for learn in (False, True):
        material = network(learn_laws=learn)

        def norm(material):
            return jnp.sum(
                contract.stress(material, jnp.asarray(1e-2 * DIRECTION)) ** 2
            )

        gradient = eqx.filter_jit(eqx.filter_grad(norm))(material)
        sizes = [float(jnp.abs(x).max()) for x in jax.tree.leaves(gradient.laws)]
        assert (min(sizes) > 0) == learn
        assert (max(sizes) > 0) == learn
        assert float(jnp.abs(gradient.encoder).max()) > 0


def test_a_plain_function_may_be_the_hardening_of_a_point():
    plain = J2Plasticity(STEEL.bulk, STEEL.shear, lambda p: 0.2 + 2.0 * p)
    eps = jnp.asarray(1e-2 * DIRECTION)
    for learn in (False, True):
        pair = (
            network(laws=(law, SILICON), learn_laws=learn) for law in (plain, STEEL)
        )
        found, wanted = (contract._stress(material, eps) for material in pair)
        np.testing.assert_allclose(found, wanted, rtol=1e-12)


def test_a_network_of_networks_is_a_material_with_memory_and_rate():
    epoxy = PronySeries(
        *map(jnp.asarray, (4.0, 1.0)), *map(jnp.array, ([0.5], [0.4], [0.6]))
    )
    outer = network("tied", (network("tied"), epoxy), (2, 1))
    hold = jnp.tile(jnp.asarray(1e-2 * DIRECTION), (4, 1))
    path = LoadPath(hold, 0 * hold, np.zeros(hold.shape, bool), jnp.full(4, 0.5))
    history = drive(outer, path).value
    assert np.all(np.diff(jnp.linalg.norm(history.sig, axis=1)) < 0)  # relaxation
    back = drive(
        outer,
        LoadPath(0 * hold, 0 * hold, np.zeros(hold.shape, bool), jnp.full(4, 1e9)),
        state=jax.tree.map(lambda x: x[-1], history.state),
    ).value
    assert jnp.linalg.norm(back.sig[-1]) > 1e-2  # plastic strain stays


def test_a_network_learns_its_twin_from_two_paths():
    """From stresses of a network with other weights, to a hundredth of the error."""
    rng = np.random.default_rng(0)
    eps = jnp.asarray(np.cumsum(1.5e-3 * rng.normal(size=(2, 12, 6)), axis=1))

    twin = cells.prnn((STEEL, SILICON), (2, 1), key=jax.random.key(7))
    sig = jax.vmap(follow, (None, 0))(twin, eps)

    def loss(material, batch, key):
        eps, sig = batch
        return jnp.mean((jax.vmap(follow, (None, 0))(material, eps) - sig) ** 2)

    solution = training.fit(
        loss,
        network(),
        [(eps, sig)] * 150,
        optimiser=optax.adam(1e-2),
        key=jax.random.key(0),
        progress=False,
    )
    first, last = (solution.info.history["loss"][i] for i in (0, -1))
    assert last < 1e-2 * first


def test_networks_that_cannot_be_are_refused(monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # as for a user
    mistakes = {
        "choose one of 'positive', 'normalised', 'tied'": lambda: network("dense"),
        r"`counts` is \(2,\) for 2 laws": lambda: network(counts=(2,)),
        r"`counts` is \(2, 0\)": lambda: network(counts=(2, 0)),
        "a law is the class J2Plasticity; make one of it": lambda: network(
            laws=(STEEL, J2Plasticity)
        ),
        r"\[3, 6\] strain components": lambda: network(
            laws=(STEEL, PlaneStress(SILICON))
        ),
    }
    for words, mistake in mistakes.items():
        with pytest.raises(JaxmatError, match=words):
            mistake()


def test_in_a_grid_constants_that_are_held_have_a_derivative_of_zero():
    grid = Grid((2, 2), (1.0, 1.0))
    none = jnp.zeros((2, 2), int)
    whole = Microstructure(grid, none, none, jnp.array([[1.0, 0.0, 0.0, 0.0]]))
    laws = (PlaneStress(STEEL), PlaneStress(SILICON))
    eps = jnp.asarray(1e-2 * DIRECTION[None, :3])

    def stress_of(shear, learn_laws):
        material = network(laws=laws, learn_laws=learn_laws)
        material = eqx.tree_at(lambda n: n.laws[0].law.shear, material, shear)
        cell = cells.grid_cell(whole, material, plane="stress")
        return follow(cell, eps)[-1, 0]

    slopes = [
        float(jax.jit(jax.grad(stress_of), static_argnums=1)(STEEL.shear, learn))
        for learn in (False, True)
    ]
    assert slopes[0] == 0.0
    assert slopes[1] > 1e-6
