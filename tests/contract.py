"""The laws that every material obeys; each takes a material and a strain.

A material's own test file runs them all:

    @pytest.mark.parametrize("law", contract.LAWS, ids=lambda law: law.__name__)
    def test_contract(law):
        law(material, eps)

The strain should be one at which the material is smooth, beyond yield if it yields. An
`AbstractFiniteMaterial` obeys `FINITE_LAWS`, at a deformation gradient.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.test_util import check_grads

from jaxmat import mandel, rotations
from jaxmat.materials import AbstractFiniteMaterial, Oriented, tangent

TURN = rotations.from_axis_angle(jnp.array([0.3, -0.5, 0.8]), 0.7)
TURN_IN_PLANE = rotations.from_axis_angle(jnp.array([0.0, 0.0, 1.0]), 0.7)
ONE_SECOND = np.ones(())


def respond(material, eps, dt=ONE_SECOND):
    """Stress and new state of the virgin material."""
    dt = jnp.asarray(dt, eps.dtype)
    return material.update(eps, material.init_state(), dt)


def stress(material, eps):
    return respond(material, eps)[0]


_stress = eqx.filter_jit(stress)


@eqx.filter_jit
def _tangent(material, eps):
    if isinstance(material, AbstractFiniteMaterial):
        return jax.jacfwd(lambda F: stress(material, F))(eps)
    return tangent(material, eps, material.init_state(), 1.0)


def no_strain_means_no_stress(material, eps):
    np.testing.assert_array_equal(_stress(material, jnp.zeros_like(eps)), 0.0)


def no_deformation_means_no_stress(material, F):
    np.testing.assert_array_equal(_stress(material, jnp.eye(3)), jnp.zeros((3, 3)))


def stress_and_strain_have_as_many_components_as_it_says(material, eps):
    assert eps.shape == (material.num_strains,)
    assert _stress(material, eps).shape == eps.shape


def state_keeps_its_shape_and_type(material, eps):
    """So that a step can be scanned."""
    start = material.init_state()
    end = eqx.filter_eval_shape(respond, material, eps)[1]
    assert jax.tree.structure(start) == jax.tree.structure(end)
    for before, after in zip(jax.tree.leaves(start), jax.tree.leaves(end), strict=True):
        assert (before.shape, before.dtype) == (after.shape, after.dtype)


def tangent_of_a_linear_law_is_its_symmetric_stiffness(material, eps):
    if not material.is_linear:
        return
    stiffness = _tangent(material, eps)
    # A cell solved to 1e-10 answers so exactly; all else is rounding.
    scale = np.abs(stiffness).max()
    close = {"rtol": 0, "atol": 1e-9 * scale}
    np.testing.assert_allclose(stiffness, stiffness.T, **close)
    at_rest = _tangent(material, jnp.zeros_like(eps))
    np.testing.assert_allclose(stiffness, at_rest, **close)
    close["atol"] *= np.linalg.norm(eps)
    np.testing.assert_allclose(stiffness @ eps, _stress(material, eps), **close)
    assert np.linalg.eigvalsh(stiffness).min() > 0


def tangent_is_symmetric_if_it_says_so(material, eps):
    if material.has_symmetric_tangent:
        stiffness = _tangent(material, eps)
        # A cell solved to 1e-10 answers so exactly; all else is rounding.
        atol = 1e-9 * float(np.abs(stiffness).max())
        np.testing.assert_allclose(stiffness, stiffness.T, rtol=0, atol=atol)


def turning_material_and_strain_turns_the_stress(material, eps):
    if material.num_strains == 6:
        q, turned = TURN, Oriented(material, TURN)
        matrix = mandel.rotation(rotations.to_matrix(q))
    elif hasattr(material, "law"):
        q = TURN_IN_PLANE
        turned = eqx.tree_at(lambda m: m.law, material, Oriented(material.law, q))
        matrix = mandel.rotation(rotations.to_matrix(q)[:2, :2])
    else:
        return  # a plane law with nothing inside to turn
    sig = _stress(material, eps)
    # Solvers inside stop at 1e-10 of the stress or better.
    np.testing.assert_allclose(
        _stress(turned, matrix @ eps),
        matrix @ sig,
        rtol=0,
        atol=1e-9 * float(jnp.linalg.norm(sig)),
    )


def turning_the_deformed_body_turns_the_force(material, F):
    turn = rotations.to_matrix(TURN)
    P = _stress(material, F)
    close = {"rtol": 0, "atol": 1e-9 * float(jnp.linalg.norm(P))}
    np.testing.assert_allclose(_stress(material, turn @ F), turn @ P, **close)


def moments_balance(material, F):
    """Cauchy's stress, of which `P F^T` is the multiple by the volume, is symmetric."""
    kirchhoff = _stress(material, F) @ F.T
    close = {"rtol": 0, "atol": 1e-9 * float(jnp.linalg.norm(kirchhoff))}
    np.testing.assert_allclose(kirchhoff, kirchhoff.T, **close)


def derivatives_are_those_of_finite_differences(material, eps, step=1e-4):
    """Forward and reverse, in the strain and in every parameter."""
    parameters, rest = eqx.partition(material, eqx.is_inexact_array)
    # So that a step is as small beside the strain as beside a parameter, and stress is
    # of order one.
    scale = float(jnp.linalg.norm(eps))
    sig = float(jnp.linalg.norm(_stress(material, eps)))

    @jax.jit
    def scaled(parameters, relative):
        return stress(eqx.combine(parameters, rest), relative * scale) / sig

    # A central difference of step 1e-4 errs by 1e-8 of the third derivative; a law in
    # which that is large asks for a smaller one.
    check_grads(
        scaled,
        (parameters, eps / scale),
        order=1,
        modes=["fwd", "rev"],
        eps=step,
        rtol=1e-5,
        atol=1e-5,
    )


def batch_is_a_loop(material, eps):
    other = -eps if eps.ndim == 1 else eps.T  # -F is turned inside out
    batch = jnp.stack([eps, 0.9 * eps, other])
    together = eqx.filter_jit(eqx.filter_vmap(stress, in_axes=(None, 0)))
    one_by_one = jnp.stack([_stress(material, eps) for eps in batch])
    # Iterations end one by one in a loop, together in a batch: as converged.
    np.testing.assert_allclose(
        together(material, batch),
        one_by_one,
        rtol=0,
        atol=1e-9 * float(jnp.linalg.norm(one_by_one)),
    )


def single_precision_stays_single(material, eps):
    def single(tree):
        return jax.tree.map(
            lambda x: x.astype(jnp.float32) if eqx.is_inexact_array(x) else x, tree
        )

    law = single(material)
    for x in jax.tree.leaves(eqx.filter_eval_shape(respond, law, single(eps))):
        assert x.dtype != jnp.float64
    assert eqx.filter_eval_shape(_tangent, law, single(eps)).dtype == jnp.float32


def rounded_products(lowered):
    """Products of which a GPU would round float32 factors to ten bits."""
    products = [x for x in lowered.as_text().splitlines() if "dot_general" in x]
    return [x for x in products if "precision = [HIGHEST, HIGHEST]" not in x]


def products_keep_their_digits_on_a_gpu(material, eps):
    assert rounded_products(_tangent.lower(material, eps)) == []


def another_duration_does_not_compile_again(material, eps):
    traces = []

    @eqx.filter_jit
    def step(material, eps, dt):
        traces.append(dt)
        return material.update(eps, material.init_state(), dt)[0]

    for dt in (1.0, 0.5):
        jax.block_until_ready(step(material, eps, jnp.asarray(dt)))
    assert len(traces) == 1


LAWS = (
    no_strain_means_no_stress,
    stress_and_strain_have_as_many_components_as_it_says,
    state_keeps_its_shape_and_type,
    tangent_of_a_linear_law_is_its_symmetric_stiffness,
    tangent_is_symmetric_if_it_says_so,
    turning_material_and_strain_turns_the_stress,
    derivatives_are_those_of_finite_differences,
    batch_is_a_loop,
    single_precision_stays_single,
    products_keep_their_digits_on_a_gpu,
    another_duration_does_not_compile_again,
)

FINITE_LAWS = (
    no_deformation_means_no_stress,
    state_keeps_its_shape_and_type,
    turning_the_deformed_body_turns_the_force,
    moments_balance,
    derivatives_are_those_of_finite_differences,
    batch_is_a_loop,
    single_precision_stays_single,
    products_keep_their_digits_on_a_gpu,
    another_duration_does_not_compile_again,
)
