"""Roots of one equation, against closed forms and their derivatives."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmat.solve import bracketed_root

FALLING = {
    "square root": (lambda x, a: a - x**2, jnp.sqrt),
    "logarithm": (lambda x, a: a - jnp.exp(x), jnp.log),
    "kink": (lambda x, a: a - jnp.where(x < 1, x, 3 * x - 2), lambda a: (a + 2) / 3),
    "cubic": (lambda x, a: a - x**3 - x, None),
}


@pytest.mark.parametrize(("function", "exact"), FALLING.values(), ids=FALLING)
def test_roots_are_those_of_closed_forms(function, exact):
    for a in (1.5, 2.0, 700.0):
        root = jax.jit(
            lambda a: bracketed_root(
                lambda x: function(x, a), jnp.asarray(0.0), jnp.asarray(1000.0)
            )
        )(jnp.asarray(a))
        np.testing.assert_allclose(function(root, a), 0, atol=1e-12 * a)
        if exact is not None:
            np.testing.assert_allclose(root, exact(jnp.asarray(a)), rtol=1e-14)


def test_three_derivatives_are_exact_forward_and_reverse():
    def root(a):
        lower, upper = jnp.asarray(0.0), jnp.asarray(50.0)
        return bracketed_root(lambda x: a - x**2, lower, upper)

    a = jnp.asarray(3.0)
    found, exact = root, jnp.sqrt
    for order in range(3):
        found, exact = (jax.grad if order % 2 else jax.jacfwd)(found), jax.grad(exact)
        np.testing.assert_allclose(jax.jit(found)(a), exact(a), rtol=1e-12)


def test_a_batch_of_roots_is_a_loop_of_them():
    def root(a):
        return bracketed_root(lambda x: a - x**3, jnp.zeros_like(a), jnp.ones_like(a))

    a = jnp.linspace(0.01, 0.99, 7)
    together = jax.jit(jax.vmap(root))(a)
    np.testing.assert_allclose(together, jnp.cbrt(a), rtol=1e-14)
    np.testing.assert_allclose(together, [root(x) for x in a], rtol=1e-14)
