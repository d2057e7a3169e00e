"""Printed vectors of the literature: PSR, DSR, best of N, MinTRL, Kupiec, Christoffersen, Basel, win rates, ES, PBO.

Sources: Bailey and Lopez de Prado (2012, 2014), Kupiec (1995), Christoffersen (1998). Tolerance: half a unit in the
last printed digit.
"""

from __future__ import annotations

import sys

import numpy as np
import pytest
from scipy.stats import norm

from foresail.measures.distribution import acerbi_szekely_z2, fz0_loss, shortfall_test
from foresail.measures.exceedances import basel_zone, conditional_coverage, independence_test, kupiec_test
from foresail.measures.honesty import (
    SharpeSample,
    deflated_sharpe_ratio,
    expected_best_sharpe,
    minimum_track_record,
    probabilistic_sharpe_ratio,
    probability_of_overfitting,
)
from foresail.measures.performance import no_skill_win_rate, trade_statistics


@pytest.mark.parametrize(("skew", "kurtosis", "printed"), [(-2.448, 10.164, 0.9134), (0.0, 3.0, 0.9817)])
def test_probabilistic_sharpe_matches_print(skew, kurtosis, printed):
    value = probabilistic_sharpe_ratio(SharpeSample(0.458, 24, skew, kurtosis))
    assert value == pytest.approx(printed, abs=5e-5)


@pytest.mark.parametrize(
    ("trials", "skew", "kurtosis", "printed"),
    [(100, -3.0, 10.0, 0.9004), (46, -3.0, 10.0, 0.9505), (88, 0.0, 3.0, 0.9505)],
)
def test_deflated_sharpe_matches_print(trials, skew, kurtosis, printed):
    sample = SharpeSample(2.5 / np.sqrt(250), 1250, skew, kurtosis)
    assert deflated_sharpe_ratio(sample, trials=trials, variance=0.5 / 250) == pytest.approx(printed, abs=5e-5)


def test_deflated_hurdle_matches_print():
    assert expected_best_sharpe(100, variance=0.5 / 250) == pytest.approx(0.1132, abs=5e-5)


@pytest.mark.parametrize(("trials", "printed"), [(1, 0.0), (10, 1.57), (45, 2.24), (100, 2.53), (1000, 3.26)])
def test_best_of_many_without_skill_matches_print(trials, printed):
    assert expected_best_sharpe(trials, variance=1.0) == pytest.approx(printed, abs=5e-3)


@pytest.mark.parametrize(("sharpe", "printed"), [(0.5, 10.8), (1.0, 2.7), (1.5, 1.2), (2.0, 0.7)])
def test_minimum_track_record_matches_print(sharpe, printed):
    years = minimum_track_record(SharpeSample(sharpe / np.sqrt(252), 1000)) / 252
    assert years == pytest.approx(printed, abs=0.05)


@pytest.mark.parametrize(
    ("n", "x", "statistic", "p_value"), [(250, 5, 1.9568, 0.1619), (250, 7, 5.4970, 0.0190), (1000, 15, 2.1892, 0.1390)]
)
def test_kupiec_matches_print(n, x, statistic, p_value):
    result = kupiec_test(n, x, level=0.01)
    assert result.statistic == pytest.approx(statistic, abs=5e-5)
    assert result.p_value == pytest.approx(p_value, abs=5e-5)


def test_christoffersen_matches_print():
    hits = np.zeros(250)
    hits[100:105] = 1
    assert independence_test(hits).statistic == pytest.approx(30.98, abs=5e-3)
    total = conditional_coverage(hits, level=0.01)
    assert total.statistic == pytest.approx(1.9568 + 30.9848, abs=1e-3)


def test_basel_zones():
    assert [basel_zone(x) for x in (0, 4, 5, 9, 10)] == ["green", "green", "yellow", "yellow", "red"]


@pytest.mark.parametrize(("stop", "printed"), [(1.22, 0.55), (2.57, 0.72), (3.55, 0.78), (9.0, 0.90)])
def test_no_skill_win_rate_matches_print(stop, printed):
    assert no_skill_win_rate(stop_distance=stop, target_distance=1.0) == pytest.approx(printed, abs=5e-3)


def test_trade_figures_match_attr_03():
    figures = trade_statistics([285.0] * 35 + [-142.0] * 25)
    assert figures.profit_factor == pytest.approx(2.81, abs=5e-3)
    assert figures.payoff_ratio == pytest.approx(2.01, abs=5e-3)
    assert figures.win_rate == pytest.approx(35 / 60)


def test_no_skill_closed_form_is_exact():
    # 55, 72, 78 and 90 % are rounded: the ratios that give them exactly round to the printed stops
    for rate, printed in ((0.55, 1.22), (0.72, 2.57), (0.78, 3.55), (0.90, 9.0)):
        assert rate / (1 - rate) == pytest.approx(printed, abs=5e-3)
        assert no_skill_win_rate(stop_distance=rate, target_distance=1 - rate) == pytest.approx(rate)


@pytest.mark.parametrize(("trials", "printed"), [(10, 1.57), (45, 2.24), (100, 2.53), (1000, 3.26)])
def test_best_of_many_is_what_simulated_strategies_show(trials, printed):
    # the formula is the extreme-value approximation; true normal maxima lie within .05 of it
    best = np.random.default_rng(trials).normal(size=(4000, trials)).max(axis=1).mean()
    assert best == pytest.approx(printed, abs=0.05)


def test_normal_shortfall_and_value_at_risk_match_print():
    value_at_risk = -norm.ppf(0.025)
    shortfall = norm.pdf(value_at_risk) / 0.025
    assert f"{shortfall:.4f}" == "2.3378"
    assert f"{-norm.ppf(0.01):.4f}" == "2.3263"
    returns = np.random.default_rng(0).normal(size=400_000)
    assert acerbi_szekely_z2(returns, value_at_risk, shortfall, level=0.025) == pytest.approx(0.0, abs=0.03)
    critical = shortfall_test(
        returns[:250], value_at_risk, shortfall, level=0.025, degrees_of_freedom=None, draws=40_000
    )
    assert critical.critical_value == pytest.approx(-0.70, abs=0.02)


def test_joint_loss_ranks_the_true_law_first_among_others():
    random = np.random.default_rng(1)
    returns = random.standard_t(5, 100_000)
    losses = {}
    for name, scale in (("true", 1.0), ("low", 0.8), ("high", 1.25)):
        value_at_risk = 2.5705818 * scale  # t(5) at 2.5 %
        losses[name] = fz0_loss(returns, value_at_risk, 3.5214 * scale, level=0.025)
    assert min(losses, key=losses.__getitem__) == "true"


@pytest.mark.accuracy
@pytest.mark.parametrize(("sharpe", "low", "high"), [(0.0, 0.39, 0.73), (2.0, 0.02, 0.40)])
def test_overfitting_of_a_hundred_strategies_matches_print(sharpe, low, high):
    found = []
    for seed in range(40):
        table = np.random.default_rng([3, seed]).normal(size=(1250, 100))
        table[:, 0] += sharpe / np.sqrt(252)
        found.append(probability_of_overfitting(table, blocks=12).probability)
    assert low <= np.mean(found) <= high
    sys.stdout.write(f"\none of 100 with Sharpe ratio {sharpe}: mean PBO {np.mean(found):.3f}\n")
    if sharpe == 0.0:
        assert np.mean(found) == pytest.approx(0.5, abs=0.07)
