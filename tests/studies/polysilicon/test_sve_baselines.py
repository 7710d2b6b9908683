"""How predictions are judged, and the predictors that need no network."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmat import JaxmatError
from jaxmat.microstructure import two_point_correlation
from jaxmat.studies.polysilicon import (
    Parameters,
    bootstrap,
    channels,
    fit_baselines,
    mean_error,
    r2,
    scatter_error,
    score,
)
from jaxmat.studies.polysilicon._baselines import LAG, estimates, two_point_features
from jaxmat.studies.polysilicon._regression import PENALTIES, fit_line, fit_ridge
from jaxmat.studies.polysilicon._workers import samples

RNG = np.random.default_rng(0)
TRUE = RNG.normal(148.0, 4.0, 400)


@pytest.fixture(scope="module")
def films():
    """Eighty small films with their labels: sixty to train on, twenty to test."""
    data = samples(Parameters(ratio=4, pixels_per_grain=4), np.arange(80))
    return data.select(slice(0, 60)), data.select(slice(60, 80))


@pytest.fixture(scope="module")
def fitted(films):
    return fit_baselines(films[0], factor=2)


@pytest.fixture(scope="module")
def said(fitted, films):
    return fitted.predict(films[1])


def test_a_perfect_prediction_has_perfect_scores():
    assert r2(TRUE, TRUE) == 1
    assert mean_error(TRUE, TRUE) == 0
    assert scatter_error(TRUE, TRUE) == 0
    assert bootstrap(r2, TRUE, TRUE) == (1, 1)


def test_a_constant_explains_nothing_and_has_no_scatter():
    constant = np.full_like(TRUE, TRUE.mean())
    assert r2(constant, TRUE) == pytest.approx(0, abs=1e-12)
    assert scatter_error(constant, TRUE) == 1


def test_noise_can_fake_the_scatter_and_r2_tells():
    shuffled = RNG.permutation(TRUE)
    assert scatter_error(shuffled, TRUE) < 1e-12
    assert r2(shuffled, TRUE) < -0.5


def test_scores_are_those_of_their_formulas():
    guess = 0.9 * TRUE + 3
    assert scatter_error(guess, TRUE) == pytest.approx(0.1)
    assert mean_error(guess, TRUE) == pytest.approx(np.abs(guess - TRUE).mean())
    assert r2(guess, TRUE) == pytest.approx(
        1 - np.mean((guess - TRUE) ** 2) / TRUE.var()
    )


def test_scores_of_a_stiffness_do_not_depend_on_the_axes():
    true, guess = RNG.normal(size=(2, 30, 3, 3))
    turn, _ = np.linalg.qr(RNG.normal(size=(3, 3)))
    for metric in (r2, mean_error, scatter_error):
        turned = metric(turn @ guess @ turn.T, turn @ true @ turn.T)
        assert turned == pytest.approx(metric(guess, true), rel=1e-12)


def test_the_interval_of_a_mean_is_the_one_of_the_central_limit():
    guess = TRUE + RNG.normal(0, 1, len(TRUE))
    apart = np.abs(guess - TRUE)
    low, high = bootstrap(mean_error, guess, TRUE)
    half = 1.96 * apart.std() / np.sqrt(len(TRUE))
    # Percentiles of 2000 resamples scatter by a twentieth of the width.
    assert low == pytest.approx(apart.mean() - half, abs=half / 8)
    assert high == pytest.approx(apart.mean() + half, abs=half / 8)


def test_resampling_in_pairs_does_not_count_the_scatter_that_both_share():
    _, high = bootstrap(scatter_error, TRUE + 1e-3 * RNG.normal(size=400), TRUE)
    assert high < 1e-3  # one over the root of 2 n would be 0.035


def test_few_films_have_intervals_too():
    """Half of the resamples of two films hold one of them only: no scatter."""
    truth, guess = np.array([1.0, 2.0]), np.array([1.1, 2.1])
    assert bootstrap(r2, guess, truth) == pytest.approx((0.96, 0.96))
    assert bootstrap(scatter_error, guess, truth) == pytest.approx((0, 0), abs=1e-12)


def test_a_seed_gives_the_interval_again_and_json_takes_the_scores():
    guess = TRUE + RNG.normal(size=400)
    assert bootstrap(r2, guess, TRUE, seed=1) == bootstrap(r2, guess, TRUE, seed=1)
    assert bootstrap(r2, guess, TRUE, seed=1) != bootstrap(r2, guess, TRUE, seed=2)
    assert set(json.loads(json.dumps(score(guess, TRUE)))) == {
        f"{name}{ending}"
        for name in ("r2", "mean_error", "scatter_error")
        for ending in ("", "_interval")
    }


def test_scores_of_different_sets_are_refused():
    with pytest.raises(JaxmatError, match="give one for each film"):
        r2(TRUE[:10], TRUE)
    with pytest.raises(JaxmatError, match="1 films have no scatter"):
        r2(TRUE[:1], TRUE[:1])


def test_a_line_is_found_and_a_column_that_does_not_vary_gets_its_mean():
    x = np.column_stack([TRUE, np.full(400, 63.9)])
    true = np.column_stack([0.8 * TRUE + 5, TRUE])
    line = fit_line(x, true)
    np.testing.assert_allclose(line(x)[:, 0], true[:, 0], rtol=1e-12)
    np.testing.assert_allclose(line(x)[:, 1], TRUE.mean(), rtol=1e-12)


def test_ridge_leaves_each_film_out_as_fitting_again_would():
    features, targets = RNG.normal(size=(25, 8)), RNG.normal(size=(25, 2))
    targets[:, 0] += 2 * features[:, 0]
    centre, scale = features.mean(0), features.std(0)
    z, y = (features - centre) / scale, targets - targets.mean(0)

    def left_out(penalty):
        total = 0.0
        for k in range(len(z)):
            keep = np.delete(np.arange(len(z)), k)
            a = np.column_stack([np.ones(len(keep)), z[keep]])
            size = penalty * np.diag([0.0] + [1.0] * z.shape[1])
            w = np.linalg.solve(a.T @ a + size, a.T @ y[keep])
            total += np.sum((y[k] - np.append(1.0, z[k]) @ w) ** 2)
        return total

    best = min(PENALTIES, key=left_out)
    w = np.linalg.solve(z.T @ z + best * np.eye(8), z.T @ y)
    found = fit_ridge(features, targets)
    np.testing.assert_allclose(found(features), z @ w + targets.mean(0), rtol=1e-9)


def test_ridge_does_not_mind_features_that_do_not_vary():
    features = np.column_stack([TRUE, np.ones(400)])
    found = fit_ridge(features, TRUE[:, None])
    np.testing.assert_allclose(found(features)[:, 0], TRUE, rtol=1e-6)


def test_two_point_features_are_the_correlations_of_the_channels(films):
    data = films[0].select(slice(0, 2))
    features = two_point_features(data)
    image = np.asarray(channels(data.film(1).image))
    np.testing.assert_allclose(features[1, :2], image.mean((0, 1)), atol=1e-12)
    step = round(LAG * 4)
    exact = np.asarray(two_point_correlation(jnp.asarray(image[..., 0])))
    # Lags start at (0, 0), (0, 1), ...; four products each, cos cos first.
    for k in range(3):
        assert features[1, 2 + 4 * k] == pytest.approx(exact[0, k * step], abs=1e-12)


def test_two_point_features_of_a_periodic_film_do_not_see_where_it_begins(films):
    data = films[0].select(slice(0, 1))
    moved = data._replace(grain=np.roll(data.grain, (3, 5), (1, 2)))
    np.testing.assert_allclose(
        two_point_features(moved), two_point_features(data), atol=1e-12
    )


def test_windows_have_as_many_features_and_do_not_wrap(films):
    periodic = films[0].select(slice(0, 1))
    half = np.zeros_like(periodic.grain)
    half[:, 8:] = 1
    angles = np.zeros_like(periodic.theta)
    angles[:, 1] = np.pi / 4  # c is 1 in one half, -1 in the other
    film = periodic._replace(grain=half, theta=angles)
    window = film._replace(parameters=Parameters(4, 4, "kubc"))
    wrapped, cut = two_point_features(film), two_point_features(window)
    assert wrapped.shape == cut.shape
    # The lag of two grain sizes along x, half of the film, comes last of all.
    assert wrapped[0, -4] == pytest.approx(-1)
    assert cut[0, -4] == pytest.approx(-1)
    # One grain size: two of sixteen rows in four wrap; a window has no such pairs.
    along_x = np.flatnonzero(np.isclose(cut[0], (8 - 4) / 12))
    assert len(along_x) > 0
    assert np.isclose(wrapped[0], 0).any()


def test_voigt_is_above_every_label_and_reuss_below(films):
    _, test = films
    raw = estimates(test, 2)
    assert (raw["voigt"].youngs_modulus > test.youngs_modulus).all()
    assert (raw["reuss"].youngs_modulus < test.youngs_modulus).all()
    mean = (raw["voigt"].youngs_modulus + raw["reuss"].youngs_modulus) / 2
    np.testing.assert_allclose(raw["hill"].youngs_modulus, mean)


def test_every_baseline_speaks_of_modulus_and_stiffness(said, films):
    assert set(said) == {
        *("constant", "two-point ridge"),
        *(
            name + ending
            for name in ("voigt", "reuss", "hill", "dual", "coarse solver, 2 x 2")
            for ending in ("", ", calibrated")
        ),
    }
    for prediction in said.values():
        assert prediction.youngs_modulus.shape == (20,)
        assert prediction.stiffness.shape == (20, 3, 3)
        transposed = np.swapaxes(prediction.stiffness, 1, 2)
        np.testing.assert_allclose(prediction.stiffness, transposed, rtol=1e-12)


def test_the_order_of_the_baselines_is_that_of_what_they_know(said, films):
    true = films[1].youngs_modulus
    quality = {name: r2(p.youngs_modulus, true) for name, p in said.items()}
    assert quality["constant"] <= 0
    assert quality["voigt"] < quality["hill"] < quality["hill, calibrated"]
    assert quality["hill, calibrated"] < quality["coarse solver, 2 x 2, calibrated"]
    assert quality["dual"] > quality["hill"]
    assert quality["coarse solver, 2 x 2, calibrated"] > 0.999
    assert quality["two-point ridge"] > 0.98


def test_calibrated_training_films_have_the_right_mean(fitted, films):
    train, _ = films
    calibrated = fitted.predict(train)["voigt, calibrated"]
    np.testing.assert_allclose(
        calibrated.youngs_modulus.mean(), train.youngs_modulus.mean(), rtol=1e-12
    )
    np.testing.assert_allclose(
        calibrated.stiffness.mean(0), train.stiffness.mean(0), rtol=1e-10, atol=1e-10
    )


def test_a_film_is_predicted_alike_in_any_company(fitted, said, films):
    some = fitted.predict(films[1].select(slice(5, 9)))
    for name, prediction in some.items():
        np.testing.assert_allclose(
            prediction.youngs_modulus, said[name].youngs_modulus[5:9], rtol=1e-9
        )


def test_the_table_is_ready_for_json(fitted, films):
    table = json.loads(json.dumps(fitted.table(films[1])))
    assert table["hill"]["stiffness"]["r2"] < 1
    assert jax.tree.leaves(table)
