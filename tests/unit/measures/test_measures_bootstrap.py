import math

import numpy as np
import pytest
from arch.bootstrap import optimal_block_length as oracle

from foresail.core.errors import DataError
from foresail.core.seeds import generator
from foresail.measures.bootstrap import (
    BootstrapSettings,
    day_clustered_standard_error,
    mean_interval,
    mean_intervals,
    resampled_means,
    sharpe_interval,
    statistic_interval,
)
from foresail.measures.resampling import circular_block_sums, optimal_block_length, stationary_indices, stationary_means


def _autocorrelated(seed, length, phi):
    shock = np.random.default_rng(seed).normal(size=length)
    out = np.zeros(length)
    for i in range(1, length):
        out[i] = phi * out[i - 1] + shock[i]
    return out


@pytest.mark.parametrize("phi", [0.0, 0.3, 0.7, 0.95, -0.4])
@pytest.mark.parametrize("length", [60, 251, 2500])
def test_block_length_equals_arch(phi, length):
    series = _autocorrelated(3, length, phi)
    expected = oracle(series).iloc[0]
    np.testing.assert_allclose(optimal_block_length(series), [expected.iloc[0], expected.iloc[1]], rtol=1e-9)


@pytest.mark.parametrize("series", [[1.0], [2.0] * 100, [0.1, 0.2, 0.3]])
def test_block_length_of_nothing_to_learn_from_is_one(series):
    assert optimal_block_length(series) == (1.0, 1.0)


@pytest.mark.parametrize("block", [1, 3, 7, 10])
def test_circular_sums_equal_the_plain_loop(block):
    values = np.random.default_rng(0).normal(size=(10, 2))
    found = circular_block_sums(values, block=block, draws=5, random=np.random.default_rng(9))
    count = -(-10 // block)
    starts = np.random.default_rng(9).integers(0, 10, size=(5, count))
    for draw in range(5):
        rows = np.concatenate([(s + np.arange(block)) % 10 for s in starts[draw]])[:10]
        np.testing.assert_allclose(found[draw], values[rows].sum(axis=0))


def test_stationary_blocks_have_the_mean_length_asked():
    rows = stationary_indices(5000, block=8.0, draws=20, random=np.random.default_rng(0))
    continued = ((rows[:, 1:] - rows[:, :-1]) % 5000 == 1).mean()
    assert continued == pytest.approx(1 - 1 / 8, abs=0.005)
    assert rows.min() >= 0
    assert rows.max() < 5000


def test_interval_of_independent_values_is_the_normal_one():
    series = np.random.default_rng(5).normal(0.3, 1.0, 2000)
    found = mean_interval(series)
    half = 1.96 * series.std() / math.sqrt(2000)
    assert found.value == pytest.approx(series.mean())
    assert found.low == pytest.approx(found.value - half, abs=0.15 * half)
    assert found.high == pytest.approx(found.value + half, abs=0.15 * half)


def test_memory_widens_the_interval():
    series = _autocorrelated(1, 2000, 0.7)
    wide, narrow = mean_interval(series), mean_interval(series, BootstrapSettings(block_length=1))
    # long-run deviation is 1 / (1 - 0.7) against 1 / sqrt(1 - 0.49)
    assert (wide.high - wide.low) > 1.7 * (narrow.high - narrow.low)


def test_interval_scales_and_repeats():
    series = np.random.default_rng(2).standard_t(4, 500)
    first = mean_interval(series)
    assert mean_interval(series) == first
    scaled = mean_interval(series * 4.0)
    assert (scaled.low, scaled.high) == pytest.approx((4 * first.low, 4 * first.high))
    assert mean_interval(series, BootstrapSettings(seed=1)) != first


def test_columns_share_their_draws():
    series = np.random.default_rng(2).normal(size=400)
    pair = mean_intervals(np.stack([series, series - 0.5], axis=1))
    assert pair[1].low == pytest.approx(pair[0].low - 0.5)


def test_constant_series_has_an_interval_without_width():
    found = mean_interval([0.25] * 30)
    assert (found.low, found.value, found.high) == (0.25, 0.25, 0.25)
    assert math.isnan(sharpe_interval([0.25] * 30, bars_per_year=252).value)


def test_sharpe_interval_has_its_asymptotic_width():
    series = np.random.default_rng(8).normal(0.05, 1.0, 2500)
    found = sharpe_interval(series, bars_per_year=252)
    half = 1.96 * math.sqrt(252 / 2500)
    assert found.value == pytest.approx(series.mean() / series.std(ddof=1) * math.sqrt(252))
    assert (found.high - found.low) / 2 == pytest.approx(half, rel=0.12)


def test_day_clusters_of_copies_count_as_one_value_each():
    days = np.random.default_rng(0).normal(size=50)
    copied = np.repeat(days, 20)
    error = day_clustered_standard_error(copied, np.repeat(np.arange(50), 20))
    assert error == pytest.approx(days.std(ddof=1) / math.sqrt(50))
    singles = day_clustered_standard_error(days, np.arange(50))
    assert singles == pytest.approx(error)


def test_one_day_has_no_standard_error():
    with pytest.raises(DataError, match="at least two days"):
        day_clustered_standard_error([1.0, 2.0], [7, 7])


@pytest.mark.parametrize("series", [[0.1], [0.1, np.nan, 0.2], [0.1, np.inf]])
def test_bad_series_is_refused_with_a_sentence(series):
    with pytest.raises(DataError, match="expected"):
        mean_interval(series)


@pytest.mark.parametrize("phi", [0.0, 0.5])
def test_interval_covers_the_true_mean(phi):
    covered = 0
    for seed in range(200):
        found = mean_interval(_autocorrelated(seed, 400, phi))
        covered += found.low <= 0.0 <= found.high
    assert 0.89 <= covered / 200 <= 0.99  # nominal .95, binomial error .015


def test_stationary_means_equal_the_means_of_the_rows_drawn():
    values = np.random.default_rng(0).normal(size=(30, 2))
    found = stationary_means(values, block=4.0, draws=7, random=np.random.default_rng(1))
    rows = stationary_indices(30, block=4.0, draws=7, random=np.random.default_rng(1))
    np.testing.assert_allclose(found, values[rows].mean(axis=1), rtol=1e-12)


def test_interval_of_any_statistic():
    series = _autocorrelated(4, 500, 0.5)
    settings = BootstrapSettings(draws=1000)
    found = statistic_interval(series, lambda drawn: drawn.mean(axis=1), settings)
    plain = mean_interval(series, settings)
    assert found.value == pytest.approx(plain.value)
    assert 1.0 < (found.high - found.low) / (plain.high - plain.low) < 1.4  # longer blocks: less bias, more width
    middle = statistic_interval(series, lambda drawn: np.median(drawn, axis=1), settings)
    assert middle.low < np.median(series) < middle.high
    with pytest.raises(DataError, match="takes"):
        statistic_interval(series, lambda drawn: drawn, settings)


def test_draws_for_tests_are_widened_by_lost_variance_and_few_blocks():
    values = np.random.default_rng(2).normal(size=(100, 1))
    found = resampled_means(values, BootstrapSettings(draws=200, block_length=10.0), name="x")
    plain = stationary_means(values, block=10.0, draws=200, random=generator(0, "x"))
    lost, factor = 1 / math.sqrt(1 - 19 / 100), math.sqrt(10 / 9) * 1.8331 / 1.6449  # t(9) over normal at 5 %
    assert found.std() / plain.std() == pytest.approx(lost * factor, rel=1e-4)
    np.testing.assert_allclose(found.mean() - values.mean(), (plain.mean() - values.mean()) * lost * factor, rtol=1e-3)
