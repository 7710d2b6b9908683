"""Mandel algebra: the basis, Voigt's factors, rotations, invariants, derivatives."""

import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import pytest
from jax.test_util import check_grads

from jaxmat import mandel, rotations
from jaxmat._check import JaxmatError

PAIRS = {6: [(0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1)]}
PAIRS[3] = [(0, 0), (1, 1), (0, 1)]
sizes = pytest.mark.parametrize("size", [6, 3])


def dimension(size):
    return {6: 3, 3: 2}[size]


def random(*shape, seed=0):
    return jax.random.normal(jax.random.key(seed), shape)


def stiffness_tensor(size, seed=0):
    """Any fourth-order tensor with the minor and the major symmetries."""
    c = np.asarray(random(*[dimension(size)] * 4, seed=seed))
    c = c + c.transpose(1, 0, 2, 3)
    c = c + c.transpose(0, 1, 3, 2)
    return jnp.asarray(c + c.transpose(2, 3, 0, 1))


def turn(size):
    if size == 6:
        return rotations.to_matrix(rotations.random_uniform(jax.random.key(3)))
    return jnp.array([[np.cos(0.4), -np.sin(0.4)], [np.sin(0.4), np.cos(0.4)]])


@sizes
def test_components_stand_in_the_order_of_the_convention(size):
    t = random(dimension(size), dimension(size))
    t = t + t.T
    v = jax.jit(mandel.from_tensor2)(t)
    for k, (i, j) in enumerate(PAIRS[size]):
        factor = 1.0 if i == j else np.sqrt(2.0)
        np.testing.assert_allclose(v[k], factor * t[i, j], rtol=1e-15)
    np.testing.assert_allclose(jax.jit(mandel.to_tensor2)(v), t, rtol=1e-15)


@sizes
def test_only_the_symmetric_part_of_a_tensor_is_kept(size):
    t = random(dimension(size), dimension(size))
    there_and_back = jax.jit(lambda t: mandel.to_tensor2(mandel.from_tensor2(t)))
    np.testing.assert_allclose(there_and_back(t), (t + t.T) / 2, atol=1e-15)


@sizes
def test_the_inner_product_is_the_double_contraction(size):
    a, b = random(size, seed=1), random(size, seed=2)
    contraction = jnp.sum(mandel.to_tensor2(a) * mandel.to_tensor2(b))
    np.testing.assert_allclose(a @ b, contraction, rtol=1e-14)


@sizes
def test_a_stiffness_acts_as_its_tensor_does(size):
    c, eps = stiffness_tensor(size), random(size)
    matrix = jax.jit(mandel.from_tensor4)(c)
    np.testing.assert_allclose(matrix, matrix.T, rtol=1e-14)
    sig = jnp.einsum("ijkl,kl->ij", c, mandel.to_tensor2(eps))
    np.testing.assert_allclose(mandel.to_tensor2(matrix @ eps), sig, rtol=1e-13)
    np.testing.assert_allclose(jax.jit(mandel.to_tensor4)(matrix), c, rtol=1e-13)


@sizes
def test_voigts_stiffness_holds_plain_tensor_components(size):
    c = stiffness_tensor(size)
    voigt = jax.jit(mandel.to_voigt_stiffness)(mandel.from_tensor4(c))
    for m, (i, j) in enumerate(PAIRS[size]):
        for n, kl in enumerate(PAIRS[size]):
            np.testing.assert_allclose(voigt[m, n], c[(i, j, *kl)], rtol=1e-13)
    back = jax.jit(mandel.from_voigt_stiffness)(voigt)
    np.testing.assert_allclose(back, mandel.from_tensor4(c), rtol=1e-14)


@sizes
def test_voigts_law_with_engineering_shears_gives_the_same_stress(size):
    stiffness, eps = mandel.from_tensor4(stiffness_tensor(size)), random(size)
    eps_voigt = mandel.to_voigt_strain(eps)
    sig_voigt = mandel.to_voigt_stiffness(stiffness) @ eps_voigt
    sig = mandel.from_voigt_stress(sig_voigt)
    np.testing.assert_allclose(sig, stiffness @ eps, rtol=1e-13)
    energy = stiffness @ eps @ eps  # work-conjugate in both notations
    np.testing.assert_allclose(sig_voigt @ eps_voigt, energy, rtol=1e-13)
    np.testing.assert_allclose(mandel.to_voigt_stress(sig), sig_voigt, rtol=1e-15)
    np.testing.assert_allclose(mandel.from_voigt_strain(eps_voigt), eps, rtol=1e-15)


@sizes
def test_the_compliance_is_the_inverse_in_both_notations(size):
    a = random(size, size)
    stiffness = a @ a.T + jnp.eye(size)
    compliance = jnp.linalg.inv(stiffness)
    voigt = jnp.linalg.inv(mandel.to_voigt_stiffness(stiffness))
    found = jax.jit(mandel.to_voigt_compliance)(compliance)
    np.testing.assert_allclose(found, voigt, rtol=1e-10, atol=1e-14)
    back = jax.jit(mandel.from_voigt_compliance)(voigt)
    np.testing.assert_allclose(back, compliance, rtol=1e-10, atol=1e-14)


def test_copper_in_mandel_notation_has_twice_the_shear_constant():
    voigt = jnp.diag(jnp.array([168.4, 168.4, 168.4, 75.4, 75.4, 75.4]))
    found = mandel.from_voigt_stiffness(voigt.at[0, 1].set(121.4))
    np.testing.assert_allclose(jnp.diagonal(found)[3:], 150.8, rtol=1e-15)
    assert found[0, 1] == 121.4


@sizes
def test_a_rotation_is_orthogonal_and_turns_tensors(size):
    r, eps = turn(size), random(size)
    m = jax.jit(mandel.rotation)(r)
    np.testing.assert_allclose(m @ m.T, np.eye(size), atol=1e-14)
    turned = r @ mandel.to_tensor2(eps) @ r.T
    np.testing.assert_allclose(mandel.to_tensor2(m @ eps), turned, atol=1e-14)
    c = stiffness_tensor(size)
    turned = jnp.einsum("im,jn,kp,lq,mnpq->ijkl", r, r, r, r, c)
    found = m @ mandel.from_tensor4(c) @ m.T
    np.testing.assert_allclose(mandel.to_tensor4(found), turned, atol=1e-12)


@sizes
def test_trace_and_deviator_do_not_depend_on_the_frame(size):
    eps, m = random(size), mandel.rotation(turn(size))
    trace = jax.jit(mandel.trace)
    np.testing.assert_allclose(
        trace(eps), jnp.trace(mandel.to_tensor2(eps)), rtol=1e-14
    )
    np.testing.assert_allclose(trace(m @ eps), trace(eps), atol=1e-14)
    deviator = jax.jit(mandel.deviator)
    np.testing.assert_allclose(trace(deviator(eps)), 0, atol=1e-15)
    np.testing.assert_allclose(deviator(m @ eps), m @ deviator(eps), atol=1e-14)
    np.testing.assert_allclose(deviator(deviator(eps)), deviator(eps), atol=1e-15)


def test_the_in_plane_components_are_11_22_and_12():
    for place, pair in zip(mandel.PLANE, PAIRS[3], strict=True):
        assert PAIRS[6][place] == pair


def test_von_mises_stress_of_tension_is_the_tension_and_of_pressure_zero():
    von_mises = jax.jit(mandel.von_mises)
    value, normal = von_mises(jnp.array([0.3, 0, 0, 0, 0, 0]))
    np.testing.assert_allclose(value, 0.3, rtol=1e-15)
    np.testing.assert_allclose(normal, [1, -0.5, -0.5, 0, 0, 0], rtol=1e-15)
    pressure = jnp.array([-2.0, -2, -2, 0, 0, 0])
    np.testing.assert_allclose(von_mises(pressure)[0], 0, atol=1e-15)
    shear = jnp.zeros(6).at[5].set(0.1 * np.sqrt(2))  # sigma_12 = 0.1
    np.testing.assert_allclose(von_mises(shear)[0], 0.1 * np.sqrt(3), rtol=1e-14)


def test_the_normal_of_von_mises_is_its_gradient_and_finite_at_zero():
    sig = random(6)
    value, normal = mandel.von_mises(sig)
    gradient = jax.jit(jax.grad(lambda s: mandel.von_mises(s)[0]))
    np.testing.assert_allclose(gradient(sig), normal, rtol=1e-13)
    np.testing.assert_allclose(normal @ sig, value, rtol=1e-13)  # homogeneous
    np.testing.assert_array_equal(gradient(jnp.zeros(6)), np.zeros(6))
    curvature = jax.jit(jax.jacrev(lambda s: mandel.von_mises(s)[1]))(jnp.zeros(6))
    assert np.all(np.isfinite(curvature))


@sizes
def test_derivatives_agree_with_finite_differences(size):
    def everything(v, c, r):
        m = mandel.rotation(r)
        t = mandel.to_tensor4(m @ mandel.from_voigt_stiffness(c) @ m.T)
        law = mandel.to_voigt_compliance(mandel.from_tensor4(t))
        sig = mandel.from_voigt_stress(law @ mandel.to_voigt_strain(v))
        return mandel.from_tensor2(mandel.to_tensor2(mandel.deviator(sig)))

    args = random(size), random(size, size), turn(size)
    # polynomials of low degree: central differences are good to 1e-8
    check_grads(jax.jit(everything), args, 1, ["fwd", "rev"], rtol=1e-6, eps=1e-5)
    if size == 6:
        check_grads(jax.jit(mandel.von_mises), args[:1], 2, ["fwd", "rev"], eps=1e-5)


VECTORS = ["to_tensor2", "from_voigt_strain", "to_voigt_strain", "from_voigt_stress"]
VECTORS += ["to_voigt_stress", "trace", "deviator"]
MATRICES = ["to_tensor4", "from_voigt_stiffness", "to_voigt_stiffness"]
MATRICES += ["from_voigt_compliance", "to_voigt_compliance"]


@sizes
@pytest.mark.parametrize("name", VECTORS + MATRICES)
def test_batches_equal_loops_and_single_precision_stays_single(name, size):
    function = jax.jit(getattr(mandel, name))
    shape = (4, size) if name in VECTORS else (4, size, size)
    x = random(*shape)
    batch = jax.vmap(function)(x)
    np.testing.assert_allclose(batch, jnp.stack([function(v) for v in x]), rtol=1e-14)
    assert function(x[0].astype(jnp.float32)).dtype == jnp.float32


def test_wrong_shapes_are_answered_with_the_way_out(monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # as for a user
    wrong = {
        mandel.to_tensor2: (jnp.ones((2, 6)), r"`v` has shape \(2, 6\).*jax\.vmap"),
        mandel.from_voigt_stiffness: (jnp.ones((3, 3, 3, 3)), r"mandel\.from_tensor4"),
        mandel.from_tensor2: (jnp.ones(6), r"`t` has shape \(6,\).*\(3, 3\)"),
        mandel.from_tensor4: (jnp.ones((6, 6)), r"`c` has shape \(6, 6\)"),
        mandel.rotation: (jnp.ones(4), r"`r` has shape \(4,\)"),
        mandel.von_mises: (jnp.ones(3), r"expected \(6,\).*out-of-plane"),
    }
    for function, (array, sentence) in wrong.items():
        with pytest.raises(JaxmatError, match=sentence):
            function(array)
