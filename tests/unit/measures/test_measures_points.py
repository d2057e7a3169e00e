import math

import numpy as np
import pytest
from scipy.stats import norm, spearmanr
from sklearn.metrics import matthews_corrcoef, mean_pinball_loss

from foresail.core.errors import DataError
from foresail.measures.points import (
    directional_accuracy,
    mean_absolute_error,
    mean_absolute_scaled_error,
    naive_absolute_error,
    price_errors,
    root_mean_square_error,
)
from foresail.measures.quantiles import (
    band_by_horizon,
    coverage,
    crps_from_quantiles,
    interval_width,
    mean_quantile_loss,
    pinball_loss,
    q_risk,
    q_risk_by_horizon,
)
from foresail.measures.ranks import rank_correlation
from foresail.measures.variances import qlike

RANDOM = np.random.default_rng(0)
ACTUAL, FORECAST = RANDOM.normal(size=300), RANDOM.normal(size=300)


@pytest.mark.parametrize("level", [0.1, 0.5, 0.9])
def test_pinball_equals_scikit_learn(level):
    assert pinball_loss(ACTUAL, FORECAST, level=level) == pytest.approx(
        mean_pinball_loss(ACTUAL, FORECAST, alpha=level)
    )


def test_q_risk_is_twice_pinball_over_size():
    expected = 2 * pinball_loss(ACTUAL, FORECAST, level=0.9) * 300 / np.abs(ACTUAL).sum()
    assert q_risk(ACTUAL, FORECAST, level=0.9) == pytest.approx(expected)
    assert q_risk(ACTUAL * 9, FORECAST * 9, level=0.9) == pytest.approx(expected)


def test_missing_rows_are_left_out_never_zero():
    assert mean_absolute_error([1.0, np.nan, 3.0], [2.0, 5.0, np.nan]) == 1.0
    assert math.isnan(mean_absolute_error([np.nan], [1.0]))


def test_crps_of_normal_quantiles_is_the_closed_form():
    levels = np.arange(1, 200) / 200
    outcome = np.random.default_rng(1).normal(size=20_000)
    quantiles = np.broadcast_to(norm.ppf(levels), (20_000, 199))
    assert crps_from_quantiles(outcome, quantiles, levels) == pytest.approx(1 / math.sqrt(math.pi), rel=0.01)


def test_crps_of_seven_quantiles_is_refused():
    levels = (0.02, 0.1, 0.25, 0.5, 0.75, 0.9, 0.98)
    with pytest.raises(DataError, match="at least 9"):
        crps_from_quantiles(np.zeros(3), np.zeros((3, 7)), levels)
    assert mean_quantile_loss(np.zeros(3), np.zeros((3, 7)), levels).shape == (7,)


def test_coverage_and_width():
    assert coverage([1.0, 2.0, 3.0, np.nan], [0.0, 2.0, 4.0, 0.0], [1.5, 2.0, 5.0, 1.0]) == pytest.approx(2 / 3)
    assert interval_width([0.0, 1.0], [1.0, 4.0]) == 2.0


def test_mase_is_scaled_by_the_same_horizon():
    train = np.cumsum(np.random.default_rng(2).normal(size=500))
    naive = np.abs(train[5:] - train[:-5]).mean()
    assert naive_absolute_error(train, horizon=5) == pytest.approx(naive)
    found = mean_absolute_scaled_error(ACTUAL, FORECAST, train=train, horizon=5)
    assert found == pytest.approx(np.abs(ACTUAL - FORECAST).mean() / naive)
    with pytest.raises(DataError, match="horizon between 1 and"):
        naive_absolute_error(train, horizon=500)


def test_no_change_forecast_shows_its_own_mape():
    last, actual = np.array([100.0, 50.0]), np.array([101.0, 49.0])
    found = price_errors(actual, last, last)
    assert found.mape == found.naive_mape == pytest.approx((1 / 101 + 1 / 49) / 2)
    assert found.rmse == 1.0
    with pytest.raises(DataError, match="prices above 0"):
        price_errors([0.0], [1.0], [1.0])


def test_rmse():
    assert root_mean_square_error([0.0, 0.0], [3.0, 4.0]) == pytest.approx(math.sqrt(12.5))


def test_direction_comes_with_base_rate_and_matthews():
    found = directional_accuracy(ACTUAL, FORECAST)
    assert found.matthews == pytest.approx(matthews_corrcoef(ACTUAL > 0, FORECAST > 0))
    assert found.base_rate == max((ACTUAL > 0).mean(), (ACTUAL < 0).mean())
    always = directional_accuracy(ACTUAL, np.ones(300))
    assert (always.matthews, always.accuracy) == (0.0, always.always_up)


def test_flat_outcomes_are_counted_apart():
    found = directional_accuracy([0.0, 1.0, -1.0], [1.0, 1.0, 0.0])
    assert (found.count, found.unsigned, found.accuracy) == (1, 2, 1.0)
    assert math.isnan(directional_accuracy([0.0], [1.0]).accuracy)


def test_rank_correlation_equals_scipy_with_ties_and_holes():
    random = np.random.default_rng(3)
    forecast = random.integers(0, 6, size=(30, 8)).astype(float)
    outcome = random.normal(size=(30, 8))
    outcome[random.random((30, 8)) < 0.2] = np.nan
    found = rank_correlation(forecast, outcome)
    expected = [
        spearmanr(forecast[np.isfinite(outcome[:, d]), d], outcome[np.isfinite(outcome[:, d]), d])[0] for d in range(8)
    ]
    np.testing.assert_allclose(found.daily, expected, rtol=1e-12)
    assert found.mean == pytest.approx(np.mean(expected))
    assert found.icir == pytest.approx(np.mean(expected) / np.std(expected, ddof=1))


def test_thin_days_are_skipped_and_counted():
    forecast = np.random.default_rng(4).normal(size=(12, 5))
    outcome = forecast.copy()
    outcome[:3, 1] = np.nan  # nine names left
    outcome[:, 2] = np.nan  # no day at all
    forecast[:, 3] = 1.0  # a constant forecast ranks nothing
    found = rank_correlation(forecast, outcome)
    assert (found.days, found.skipped) == (2, 2)
    assert found.mean == pytest.approx(1.0)


def test_ranks_do_not_depend_on_monotone_scale_or_order_of_names():
    random = np.random.default_rng(5)
    forecast, outcome = random.normal(size=(2, 20, 6))
    plain = rank_correlation(forecast, outcome).mean
    order = random.permutation(20)
    assert rank_correlation(np.exp(forecast)[order], outcome[order]).mean == pytest.approx(plain)


def test_qlike_is_zero_only_when_right():
    variance = np.array([0.5, 2.0])
    assert qlike(variance, variance) == 0.0
    assert qlike(variance, variance * 2) == pytest.approx(0.5 - math.log(0.5) - 1)
    with pytest.raises(DataError, match="above 0"):
        qlike([0.0], [1.0])


def test_infinite_forecasts_are_refused_not_dropped():
    with pytest.raises(DataError, match="infinite"):
        mean_absolute_error([1.0, 2.0], [1.0, np.inf])


def test_q_risk_by_horizon_differs_from_the_pooled_form():
    actual = np.array([[1.0, 100.0], [2.0, 300.0]])
    forecast = actual * [0.5, 0.9]
    by_horizon = q_risk_by_horizon(actual, forecast, level=0.5)
    np.testing.assert_allclose(by_horizon, [0.5, 0.1])
    assert by_horizon.mean() == pytest.approx(0.3)
    assert q_risk(actual, forecast, level=0.5) == pytest.approx((1.5 + 40.0) / 403.0)
    with pytest.raises(DataError, match="horizons"):
        q_risk_by_horizon(actual, forecast[:1], level=0.5)
    assert np.isnan(q_risk_by_horizon(actual * np.nan, forecast, level=0.5)).all()


def test_range_is_told_by_horizon():
    actual = np.array([[0.0, 5.0], [2.0, np.nan], [9.0, 1.0]])
    found = band_by_horizon(actual, np.zeros((3, 2)), np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]))
    assert found.count.tolist() == [3, 2]
    np.testing.assert_allclose(found.coverage, [2 / 3, 0.5])
    np.testing.assert_allclose(found.width, [3.0, 4.0])
    assert np.isnan(band_by_horizon(actual * np.nan, actual, actual).coverage).all()
    with pytest.raises(DataError, match="crossed"):
        band_by_horizon([[1.0]], [[2.0]], [[1.0]])
