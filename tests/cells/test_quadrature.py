"""Integration points against the exact integral over a voxel."""

import jax.numpy as jnp
import numpy as np
import pytest

from jaxmat.cells import _elements, _quadrature


@pytest.mark.parametrize(("ndim", "scheme"), [(2, "full"), (3, "full"), (2, "reduced")])
def test_a_linear_law_at_the_points_gives_the_exact_modal_stress(ndim, scheme):
    rng = np.random.default_rng(0)
    modes = _elements.subsets(ndim, scheme)
    stiffness = jnp.asarray(rng.normal(size=(6, 6)))
    # As `strain` has it: a mode lacks what its gradients do not touch.
    eps = {
        s: {k: jnp.asarray(rng.normal(size=(3, 2))) for k in range(6) if s or k}
        for s in modes
    }
    points = _quadrature.to_points(eps)
    assert len(points) == _quadrature.num_points(len(modes))
    assert len(points) == (2**ndim if scheme == "full" else 1)
    stress = [
        {k: sum(stiffness[k, m] * x for m, x in point.items()) for k in range(6)}
        for point in points
    ]
    for s, sig in _quadrature.to_modes(stress, modes).items():
        for k, x in sig.items():
            exact = sum(stiffness[k, m] * e for m, e in eps[s].items())
            np.testing.assert_allclose(x, exact, atol=1e-13)


@pytest.mark.parametrize("ndim", [2, 3])
def test_points_see_the_polynomial_at_gauss_coordinates(ndim):
    modes = _elements.subsets(ndim, "full")
    rng = np.random.default_rng(1)
    coefficient = {s: rng.normal() for s in modes}
    eps = {s: {0: jnp.asarray([c])} for s, c in coefficient.items()}
    gauss, _ = np.polynomial.legendre.leggauss(2)
    axes = np.meshgrid(*[gauss / 2] * ndim, indexing="ij")
    exact = sum(
        c * np.prod([axes[d] for d in s], axis=0) for s, c in coefficient.items()
    )
    found = [float(point[0][0]) for point in _quadrature.to_points(eps)]
    np.testing.assert_allclose(found, exact.ravel(), atol=1e-14)
