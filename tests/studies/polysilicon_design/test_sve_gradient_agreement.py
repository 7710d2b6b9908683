"""The cosine between gradients: what it sees, and what it does not."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmat import JaxmatError
from jaxmat.studies import polysilicon

PARAMETERS = polysilicon.Parameters(ratio=2, pixels_per_grain=8)


@pytest.fixture(scope="module")
def images():
    films = jax.vmap(lambda k: polysilicon.draw_film(PARAMETERS, k))(jnp.arange(3, 6))
    return jax.vmap(lambda f: polysilicon.channels(f.theta)[f.grain])(films)


def grains_alone(image):
    return polysilicon.youngs_modulus(polysilicon.dual_average(jnp.mean(image, (0, 1))))


def test_a_model_agrees_with_itself_whatever_its_scale(images):
    def reverse(image):
        return 100 - 3 * grains_alone(image)

    for model, cosine in ((grains_alone, 1.0), (reverse, -1.0)):
        for found in polysilicon.gradient_agreement(model, grains_alone, images[0]):
            np.testing.assert_allclose(found, cosine, rtol=1e-12)


def test_theta_does_not_see_what_leads_away_from_crystals(images):
    def outward(image):
        return grains_alone(image) + 100 * jnp.mean(image**2)  # constant on crystals

    agreement = polysilicon.gradient_agreement(outward, grains_alone, images[0])
    assert agreement.image < 0.99
    np.testing.assert_allclose(agreement.theta, 1, rtol=1e-12)


def test_the_average_of_the_grains_and_a_solver_agree_in_most(images):
    """Stiffness or modulus, in a batch or one film after the other."""

    def agreement(image):
        return polysilicon.gradient_agreement(
            grains_alone, polysilicon.coarse_solver(1), image
        )

    batch = jax.jit(jax.vmap(agreement))(images)
    one = jax.jit(agreement)(images[1])
    np.testing.assert_allclose(batch.theta[1], one.theta, rtol=1e-9)
    np.testing.assert_allclose(batch.image[1], one.image, rtol=1e-9)
    assert (batch.theta > 0.8).all()
    assert (batch.theta < 0.9999).all()


def test_a_model_that_says_nothing_about_stiffness_is_refused(images):
    with pytest.raises(JaxmatError, match=r"shape \(2,\)"):
        polysilicon.gradient_agreement(
            lambda image: jnp.mean(image, (0, 1)), grains_alone, images[0]
        )
