"""Load paths, fibres, and the composite solved in full."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmat import JaxmatError, tangent
from jaxmat.materials import PlaneStress
from jaxmat.studies import composite

SQUARE = np.array([1, 1, 2**0.5])  # Mandel to engineering shear


def test_canonical_paths_are_straight_and_all_different():
    eps = composite.canonical_paths(6) * SQUARE
    assert eps.shape == (18, 6, 3)
    np.testing.assert_allclose(np.diff(eps, 2, axis=1), 0, atol=1e-18)
    assert set(np.unique(eps[:, -1].round(12))) == {-0.003, 0.0, 0.003}
    assert len({tuple(x) for x in eps[:, -1].round(12)}) == 18


def test_proportional_paths_unload_to_zero_and_come_back():
    eps = composite.proportional_paths(0, 4, 30) * SQUARE
    length = np.linalg.norm(eps, axis=2)
    np.testing.assert_allclose(length[:, 9], 10 * 5e-4)
    np.testing.assert_allclose(length[:, 19], 0, atol=1e-18)
    np.testing.assert_allclose(eps[:, 29], eps[:, 9], atol=1e-18)


def test_random_paths_are_smooth_and_as_large_as_asked():
    eps = composite.gaussian_process_paths(1, 4000, 20, size=0.015) * SQUARE
    # Conditioned on zero at the beginning: variance 1 - exp(-t^2 / 0.25^2).
    t = np.arange(1, 21) / 20
    wanted = 0.015 * np.sqrt(1 - np.exp(-(t**2) / 0.25**2))
    # 12000 samples: 0.6 % of a standard deviation, four times that.
    np.testing.assert_allclose(eps.std((0, 2)), wanted, rtol=0.026)
    # Second differences are sqrt 3 steps over the length of the process times first.
    first, second = (np.abs(np.diff(eps, n, axis=1)).mean() for n in (1, 2))
    np.testing.assert_allclose(second / first, 3**0.5 / 20 / 0.25, rtol=0.1)


def test_fibres_fill_their_share_and_do_not_touch():
    cell = composite.composite_cell(3, pixels=128)
    phase = np.asarray(cell.medium.microstructure.phase)
    # Pixels on the edges of nine circles: a random error of some 0.3 %.
    np.testing.assert_allclose(phase.mean(), 0.61, atol=0.005)
    with pytest.raises(JaxmatError, match="no place in the unit square"):
        composite.composite_cell(0, fraction=0.9)


def test_a_fibre_is_at_least_three_pixels_thick():
    """Of diameter 2 sqrt(0.61 / 9 pi) = 0.29: 10.2 pixels of them."""
    with pytest.raises(JaxmatError, match=r"`pixels` is 10; .* of at least 11"):
        composite.composite_cell(0, pixels=10)
    assert composite.composite_cell(0, pixels=11).medium.grid.shape == (11, 11)


def test_paths_that_are_none_are_refused():
    with pytest.raises(JaxmatError, match="0 paths of 60 steps"):
        composite.gaussian_process_paths(0, 0)
    with pytest.raises(JaxmatError, match="1 paths of 2 steps"):
        composite.proportional_paths(0, 1, 2)


@pytest.mark.slow  # half a minute of compiling
def test_the_full_cell_begins_between_its_bounds_then_yields_and_remembers():
    cell = composite.composite_cell(0, pixels=12)
    eps = composite.proportional_paths(5, 1, 30)
    eps = 4 * eps
    paths = composite.solve_paths(cell, eps, progress=False)
    stiff, soft = (
        eqx.filter_jit(tangent)(law, jnp.zeros(3), law.init_state(), 1.0)
        for law in map(PlaneStress, (composite.fibre(), composite.matrix()))
    )
    share = float(np.mean(cell.medium.microstructure.phase))
    voigt = share * stiff + (1 - share) * soft
    reuss = jnp.linalg.inv(
        share * jnp.linalg.inv(stiff) + (1 - share) * jnp.linalg.inv(soft)
    )
    first = eps[0, 0] / 100  # elastic everywhere
    work = composite.solve_paths(cell, first[None, None], progress=False).sig[0, 0]
    assert first @ reuss @ first < first @ work < first @ voigt @ first
    # Back at no strain, what flowed presses on what did not.
    assert np.linalg.norm(paths.sig[0, 19]) > 0.005
