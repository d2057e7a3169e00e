import math

import numpy as np
import pytest

from foresail.core.errors import DataError
from foresail.measures.performance import (
    adjusted_sharpe_ratio,
    calmar_ratio,
    drawdown_series,
    hit_rate,
    max_drawdown,
    no_skill_win_rate,
    performance_figures,
    sharpe_ratio,
    sortino_ratio,
    trade_statistics,
)

NOISE = np.random.default_rng(1).normal(0.0005, 0.01, 2000)


def test_sharpe_is_mean_over_sample_deviation_annualised():
    series = np.array([0.01, 0.03, -0.01, 0.02])
    expected = series.mean() / series.std(ddof=1) * math.sqrt(252)
    assert sharpe_ratio(series, bars_per_year=252) == pytest.approx(expected, rel=1e-12)


def test_sharpe_does_not_depend_on_scale_or_order():
    plain = sharpe_ratio(NOISE, bars_per_year=252)
    assert sharpe_ratio(NOISE * 7.0, bars_per_year=252) == pytest.approx(plain)
    assert sharpe_ratio(np.random.default_rng(2).permutation(NOISE), bars_per_year=252) == pytest.approx(plain)


@pytest.mark.parametrize("series", [[0.01] * 50, [0.0] * 50, [0.1]])
def test_sharpe_of_a_series_that_does_not_vary_is_undefined(series):
    assert math.isnan(sharpe_ratio(series, bars_per_year=252))
    assert math.isnan(adjusted_sharpe_ratio(series, bars_per_year=252))


def test_adjusted_sharpe_is_lower_where_returns_trend_and_equal_where_they_do_not():
    smoothed = np.convolve(NOISE, [0.5, 0.5])
    plain, adjusted = (f(smoothed, bars_per_year=252) for f in (sharpe_ratio, adjusted_sharpe_ratio))
    assert adjusted < 0.85 * plain  # moving average of two: long-run variance is twice the plain one
    assert adjusted_sharpe_ratio(NOISE, bars_per_year=252, lags=0) == pytest.approx(
        sharpe_ratio(NOISE, bars_per_year=252)
    )


def test_sortino_counts_losses_over_all_bars():
    series = np.array([0.02, -0.01, 0.03, -0.02])
    downside = math.sqrt((0.01**2 + 0.02**2) / 4)
    assert sortino_ratio(series, bars_per_year=252) == pytest.approx(series.mean() / downside * math.sqrt(252))
    assert math.isnan(sortino_ratio([0.01, 0.02], bars_per_year=252))


def test_drawdown_is_on_compounded_equity_with_dates():
    returns = [0.10, -0.20, -0.10, 0.50, 0.10]
    end = np.array([10, 20, 30, 40, 50])
    found = max_drawdown(returns, end=end)
    assert found.depth == pytest.approx(1 - 0.8 * 0.9)  # summed returns would say 0.30
    assert (found.peak_at, found.trough_at, found.recovered_at) == (10, 30, 40)
    np.testing.assert_allclose(drawdown_series(returns)[:3], [0.0, 0.2, 0.28])


def test_drawdown_from_the_first_bar_and_never_recovered():
    found = max_drawdown([-0.5, 0.1])
    assert (found.depth, found.peak_at, found.trough_at, found.recovered_at) == (0.5, 0, 1, None)


def test_no_drawdown_has_no_calmar():
    assert max_drawdown([0.1, 0.1]).depth == 0.0
    assert math.isnan(calmar_ratio([0.1, 0.1], bars_per_year=252))


def test_hit_rate_leaves_flat_bars_out():
    assert hit_rate([0.1, 0.0, -0.1, 0.2]) == pytest.approx(2 / 3)
    assert math.isnan(hit_rate([0.0]))


def test_risk_free_lowers_the_sharpe_ratio_only():
    rich = performance_figures(NOISE, bars_per_year=252)
    poor = performance_figures(NOISE, bars_per_year=252, risk_free=np.full(2000, 1e-4))
    assert poor.sharpe_ratio < rich.sharpe_ratio
    assert poor.total_return == rich.total_return


def test_trades_without_losers_have_no_profit_factor():
    figures = trade_statistics([1.0, 2.0, 0.0], holding=[1.0, 2.0, 6.0])
    assert math.isnan(figures.profit_factor)
    assert (figures.winners, figures.losers, figures.average_holding) == (2, 0, 3.0)
    assert math.isnan(trade_statistics([]).win_rate)


@pytest.mark.parametrize("stop", [0.0, -1.0, float("nan")])
def test_barrier_distances_must_be_positive(stop):
    with pytest.raises(DataError, match="distances above 0"):
        no_skill_win_rate(stop_distance=stop, target_distance=1.0)


def test_nan_is_refused():
    with pytest.raises(DataError, match="finite"):
        performance_figures([0.1, np.nan], bars_per_year=252)


def test_adjusted_sharpe_of_autoregressive_returns_is_the_closed_form():
    # Lo (2002): the ratio falls by sqrt((1 - phi) / (1 + phi)) when aggregated over many bars
    random = np.random.default_rng(6)
    series = random.normal(size=60_000)
    for t in range(1, len(series)):
        series[t] += 0.3 * series[t - 1]
    series += 0.05
    ratio = adjusted_sharpe_ratio(series, bars_per_year=252, lags=60) / sharpe_ratio(series, bars_per_year=252)
    assert ratio == pytest.approx(math.sqrt(0.7 / 1.3), rel=0.03)


@pytest.mark.parametrize("stop", [1.22, 2.57, 3.55, 9.0])
def test_no_skill_win_rate_is_that_of_a_driftless_walk(stop):
    random = np.random.default_rng([7, int(100 * stop)])
    step, trades = 0.05, 4000  # the walk oversteps a barrier by 0.58 steps on average: distances grow by that
    place, alive, wins = np.zeros(trades), np.ones(trades, dtype=bool), 0
    while alive.any():
        place[alive] += step * random.normal(size=int(alive.sum()))
        won, lost = alive & (place >= 1.0), alive & (place <= -stop)
        wins += int(won.sum())
        alive &= ~(won | lost)
    past = 0.5826 * step
    expected = no_skill_win_rate(stop_distance=stop + past, target_distance=1.0 + past)
    assert wins / trades == pytest.approx(expected, abs=0.025)  # binomial error .008
    assert expected == pytest.approx(no_skill_win_rate(stop_distance=stop, target_distance=1.0), abs=0.01)
