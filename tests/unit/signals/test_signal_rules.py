"""Expectation, gates, exits, ranking and sentences: closed forms and the specification's own examples."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from foresail.core.errors import ConfigError
from foresail.domain.forecast import QUANTILE_LEVELS
from foresail.domain.signals import Horizon, Signal, SignalKind
from foresail.signals.decision import (
    NOT_EVALUATED,
    count_confident,
    default_top_k,
    horizon_of,
    kind_of,
    opportunities,
    ranks,
    select,
    signal_score,
    top_list,
)
from foresail.signals.reasons import Outlook, cost_sentence, feature_sentence, with_contributions
from foresail.signals.rules.exits import ExitRules, atr_fraction, class_stop, stop_distance, target_distance
from foresail.signals.rules.expectation import confidence, expected_log_return, probability_up
from foresail.signals.rules.gates import cost_gate, edge, illiquid, market_gate, missing_inputs

NORMAL = norm.ppf(QUANTILE_LEVELS)


def signal(name: str, kind: SignalKind, odds: float) -> Signal:
    nan = math.nan
    return Signal(
        name, kind, Horizon.SWING_TRADE, 5, odds, nan, nan, nan, nan, nan, ("x",), "", "s", "1", "m", "", 0, 1
    )


@pytest.mark.parametrize("centre", ["median", "centre", "mean"])
def test_expected_return_of_a_symmetric_curve_is_its_middle(centre):
    curve = (0.013 + 0.02 * NORMAL)[None, :]
    assert expected_log_return(curve, QUANTILE_LEVELS, centre=centre)[0] == pytest.approx(0.013, abs=1e-9)


def test_expected_return_refuses_unknown_names_and_missing_levels():
    with pytest.raises(ConfigError, match="centre"):
        expected_log_return(np.zeros((1, 7)), QUANTILE_LEVELS, centre="mode")
    with pytest.raises(ConfigError, match=r"0\.25"):
        expected_log_return(np.zeros((1, 3)), (0.1, 0.5, 0.9))


@pytest.mark.parametrize("mean", [-0.02, -0.005, 0.0, 0.004, 0.02])
def test_probability_of_a_rise_is_near_the_normal_one(mean):
    up = probability_up((mean + 0.02 * NORMAL)[None, :], QUANTILE_LEVELS)[0]
    assert up == pytest.approx(norm.cdf(mean / 0.02), abs=0.012)  # piecewise linear between levels


def test_probability_beyond_the_levels_and_of_flat_curves():
    curves = np.array([np.linspace(0.01, 0.07, 7), np.full(7, 0.01), np.full(7, -0.01), np.zeros(7)])
    up = probability_up(curves, QUANTILE_LEVELS)
    assert up[0] == 1.0
    assert list(up[1:]) == [1.0, 0.0, 0.5]


@given(st.lists(st.floats(-0.5, 0.5), min_size=7, max_size=7))
def test_mirrored_curve_has_the_mirrored_probability(values):
    curve = np.sort(np.round(values, 6))[None, :]
    up, down = probability_up(curve, QUANTILE_LEVELS)[0], probability_up(-curve[:, ::-1], QUANTILE_LEVELS)[0]
    assert 0.0 <= up <= 1.0
    assert up + down == pytest.approx(1.0, abs=1e-9)


def test_confidence_is_at_least_even_and_nan_stays_nan():
    skewed = np.array([[-0.001, -0.0009, -0.0008, -0.0001, 0.05, 0.06, 0.07], [math.nan] * 7])
    expected = expected_log_return(skewed, QUANTILE_LEVELS)
    odds = confidence(skewed, QUANTILE_LEVELS, expected)
    assert expected[0] > 0.0
    assert odds[0] == 0.5
    assert math.isnan(odds[1])


def test_sig_18_an_edge_of_a_tenth_is_rejected_at_three_times_the_cost():
    move, cost = np.array([0.005]), np.array([0.004])
    assert edge(move, cost)[0] == pytest.approx(0.001)  # SIG-18, COST-08
    assert not cost_gate(move, cost, multiple=3.0)[0]
    assert cost_gate(move, cost)[0]
    assert not cost_gate(np.array([math.nan, 0.004]), np.array([0.004, 0.004])).any()


def test_sig_19_market_and_liquidity():
    assert market_gate(35.0) == (True, "")
    assert market_gate(35.01)[0] is False
    assert "not evaluated" in market_gate(math.nan)[1]
    assert list(illiquid(np.array([0.51, 0.49, math.nan]), np.full(3, 100.0))) == [True, False, False]


def test_sig_21_names_what_is_missing():
    nan = math.nan
    assert missing_inputs({"close": np.array([1.0, nan]), "RSI": np.array([0.5, nan])}, 2) == [(), ("close", "RSI")]


def test_class_stops_of_risk_05():
    assert class_stop("stock.US.AAPL", 100.0) == 0.02
    assert class_stop("crypto.BINANCE.BTC-USDT.perp", 40_000.0) == 0.05
    assert class_stop("crypto.BINANCE.ETH-USDT", 2_000.0) == 0.05
    assert class_stop("crypto.BINANCE.SOL-USDT", 100.0) == 0.08
    assert class_stop("fx.EUR-USD", 1.10) == pytest.approx(0.0030 / 1.10)
    assert class_stop("fx.USD-JPY", 150.0) == pytest.approx(0.30 / 150.0)
    assert class_stop("fx.EUR-GBP", 0.85) == pytest.approx(0.0040 / 0.85)
    assert class_stop("fx.USD-TRY", 30.0) == pytest.approx(0.0060 / 30.0)


def test_exit_02_order_of_preference_and_maximum():
    nan, rules = math.nan, ExitRules()
    own = np.array([0.03, nan, nan, nan, 0.20, 0.20])
    tier = np.array([0.05, 0.05, nan, nan, nan, 0.10])
    by_class = np.array([0.02, 0.02, 0.02, nan, 0.02, 0.02])
    atr = np.array([0.02, 0.02, 0.02, 0.02, 0.03, 0.03])
    assert stop_distance(own, tier, by_class, atr, rules) == pytest.approx([0.03, 0.05, 0.02, 0.04, 0.06, 0.10])


def test_exit_04_target_is_twice_the_stop_where_the_signal_has_none():
    assert target_distance(np.array([0.03, math.nan, -0.01]), np.full(3, 0.02), ExitRules()) == pytest.approx(
        [0.03, 0.04, 0.04]
    )


def test_true_range_with_and_without_high_and_low():
    close = np.array([[100.0, 102.0, 101.0]])
    nothing = np.full_like(close, math.nan)
    assert atr_fraction(nothing, nothing, close)[0] == pytest.approx((2 / 102 + 1 / 101) / 2)
    high, low = np.array([[101.0, 104.0, 103.0]]), np.array([[99.0, 101.0, 100.0]])
    assert atr_fraction(high, low, close)[0] == pytest.approx((4 / 102 + 3 / 101) / 2)


@pytest.mark.parametrize(("count", "expected"), [(3, 3), (16, 4), (20, 4), (50, 10), (100, 20), (363, 20)])
def test_default_top_k(count, expected):
    assert default_top_k(count) == expected


@pytest.mark.parametrize(
    ("bars", "per_day", "expected"),
    [(1, 1, "day_trade"), (2, 1, "day_trade"), (5, 1, "swing_trade"), (8, 1, "position"), (24, 24, "day_trade")],
)
def test_sig_02_horizons(bars, per_day, expected):
    assert horizon_of(bars, per_day) == expected


def test_sig_16_score_and_bands():
    assert signal_score([(1, 0.75)]) == 75.0
    assert kind_of(75.0) is SignalKind.BUY  # the source shows +75 as BUY
    bands = {80: "strong_buy", 20: "buy", 19.9: "hold", -19.9: "hold", -20: "sell", -80: "strong_sell"}
    assert {score: kind_of(score).value for score in bands} == bands
    assert signal_score([(1, 0.8), (-1, 0.6)]) == pytest.approx(10.0)
    assert signal_score([]) == 0.0


def test_sig_17_top_list_filters_and_never_rescales():
    rows = [
        signal("B", SignalKind.BUY, 0.70),
        signal("A", SignalKind.STRONG_BUY, 0.85),
        signal("C", SignalKind.BUY, 0.6999),
        signal("D", SignalKind.SELL, 0.95),
        signal("E", SignalKind.HOLD, 0.99),
    ]
    assert [s.instrument for s in top_list(rows)] == ["A", "B"]
    assert count_confident(rows) == 2
    assert [s.instrument for s in opportunities(rows)] == ["D", "A", "B", "C"]
    assert len(opportunities(rows * 5)) == 10
    assert [s.confidence for s in top_list(rows)] == [0.85, 0.70]


def test_rules_on_sentiment_are_listed_as_not_evaluated():
    assert [rule[:6] for rule, _ in NOT_EVALUATED] == ["SIG-04", "SIG-05", "SIG-06", "SIG-07"]
    assert {why for _, why in NOT_EVALUATED} == {"not evaluated: no sentiment"}


def test_ranks_put_nan_last():
    assert list(ranks(np.array([math.nan, 0.1, 0.3, 0.1]))) == [4, 2, 1, 3]


def test_selection_never_exceeds_k_even_when_more_is_held():
    expected = np.array([0.05, 0.04, 0.03, 0.02])
    every, none = np.ones(4, dtype=bool), np.zeros(4, dtype=bool)
    chosen = select(expected, every, every, none, top_k=2)
    assert list(chosen.enter | chosen.keep) == [True, True, False, False]
    assert list(chosen.leave) == [False, False, True, True]


def test_cost_sentence_says_how_many_times_the_cost():
    good = cost_sentence(Outlook(5, 0.0125, -0.03, 0.05, 0.6, 0.001), 1.0)
    assert "rise 1.25% over the next 5 bars" in good
    assert "12.5 times the cost, which meets the full target of 3 times" in good
    poor = cost_sentence(Outlook(1, -0.002, -0.03, 0.05, 0.6, 0.001), 1.0)
    assert "fall 0.20% over the next bar" in poor
    assert "falls short of" in poor


def test_features_that_moved_nothing_are_not_named():
    assert feature_sentence([("a", 0.0, 1.0), ("b", math.nan, 1.0)]) == ""
    one = signal("A", SignalKind.BUY, 0.7)
    assert with_contributions(one, []) is one
    assert with_contributions(one, [("a", 0.01, 2.0)]).reasons[-1] == (
        "What moved the forecast most: a at 2 raised it by 1.00%."
    )
