import numpy as np
import pytest
from scipy.stats import ttest_1samp
from statsmodels.regression.linear_model import OLS

from foresail.core.errors import DataError, UnknownNameError
from foresail.measures.clustered import clustered_mean, cross_section_means, mean_over_days
from foresail.measures.long_run import automatic_lags, bartlett_variance, cosine_variance, truncated_variance

DAILY = np.random.default_rng(0).normal(0.02, 0.1, 250)


def test_mean_over_independent_days_is_the_t_interval():
    found = mean_over_days(DAILY)
    expected = ttest_1samp(DAILY, 0.0).confidence_interval(0.95)
    assert (found.interval.low, found.interval.high) == pytest.approx((expected.low, expected.high))
    assert (found.days, found.skipped, found.degrees_of_freedom) == (250, 0, 249.0)


def test_bartlett_error_equals_statsmodels():
    oracle = OLS(DAILY, np.ones(250)).fit(cov_type="HAC", cov_kwds={"maxlags": automatic_lags(250)})
    found = mean_over_days(DAILY, dependence="bartlett")
    assert found.standard_error == pytest.approx(oracle.bse[0] * np.sqrt(250 / 249))


def test_clustered_error_equals_statsmodels():
    days = np.repeat(np.arange(50), 5)
    oracle = OLS(DAILY, np.ones(250)).fit(cov_type="cluster", cov_kwds={"groups": days, "use_correction": False})
    assert clustered_mean(DAILY, days).standard_error == pytest.approx(oracle.bse[0] * np.sqrt(50 / 49))


def test_missing_days_are_skipped_and_counted():
    holes = DAILY.copy()
    holes[::10] = np.nan
    found = mean_over_days(holes)
    assert (found.days, found.skipped) == (225, 25)
    assert found.interval.value == pytest.approx(np.nanmean(holes))


def test_cross_section_skips_thin_days_and_never_fills():
    table = np.array([[1.0, np.nan, np.nan], [3.0, 5.0, np.nan]])
    found = cross_section_means(table, minimum_names=2)
    np.testing.assert_array_equal(found.daily, [2.0, np.nan, np.nan])
    assert (found.days, found.skipped) == (1, 1)


def test_interval_clustered_by_day_is_wider_where_names_move_together():
    random = np.random.default_rng(1)
    table = random.normal(size=(100, 1)) + random.normal(size=(100, 20))
    found = clustered_mean(table.ravel(), np.repeat(np.arange(100), 20))
    naive = table.std() / np.sqrt(table.size)
    assert found.standard_error > 2.5 * naive
    assert found.standard_error == pytest.approx(mean_over_days(table.mean(axis=1)).standard_error)


def test_dependence_widens_by_the_long_run_variance():
    random = np.random.default_rng(2)
    noise = random.normal(size=20_001)
    series = noise[1:] + noise[:-1]  # variance 2, long-run variance 4
    assert truncated_variance(series, lags=1) == pytest.approx(4.0, rel=0.05)
    assert bartlett_variance(series, lags=40) == pytest.approx(4.0, rel=0.1)
    assert cosine_variance(series, terms=300) == pytest.approx(4.0, rel=0.2)
    assert bartlett_variance(series, lags=0) == pytest.approx(series.var())


def test_short_and_wrong_records_are_refused():
    with pytest.raises(DataError, match="at least 10 values, received 9"):
        mean_over_days(DAILY[:9])
    with pytest.raises(DataError, match="at least 10 days, received 2"):
        clustered_mean(DAILY[:20], np.repeat([0, 1], 10))
    with pytest.raises(UnknownNameError, match="cosine"):
        mean_over_days(DAILY, dependence="none")
    with pytest.raises(DataError, match="infinite"):
        cross_section_means([[np.inf]])
    with pytest.raises(DataError, match="finite"):
        mean_over_days([*DAILY, np.inf])
    with pytest.raises(DataError, match="lags"):
        bartlett_variance(DAILY, lags=250)
    with pytest.raises(DataError, match="cosine terms"):
        cosine_variance(DAILY, terms=0)


def test_cosine_terms_are_projections_of_length_one():
    wave = np.sqrt(2 / 40) * np.cos(np.pi * 2 / 40 * (np.arange(40) + 0.5))
    assert cosine_variance(wave, terms=1) == pytest.approx(0.0, abs=1e-12)
    assert cosine_variance(wave + 7.0, terms=2) == pytest.approx(0.5)
    assert cosine_variance(wave, terms=4) == pytest.approx(0.25)
