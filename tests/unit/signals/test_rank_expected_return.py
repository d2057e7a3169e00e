"""The default strategy: who is chosen, why, and what it says."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from foresail.core.errors import ConfigError
from foresail.domain.instruments import PriceBasis
from foresail.domain.signals import Horizon, Signal, SignalKind, Weights
from foresail.signals.rules.exits import ExitRules
from foresail.signals.strategies.rank_expected_return import RankExpectedReturn, RankSettings, flat_cost

A, B, C, D, E, F = (f"stock.US.{x}" for x in "ABCDEF")
CENTRES = {A: 0.03, B: 0.02, C: 0.01, D: 0.005, E: 0.0005, F: -0.03}


def run(view, *, state=None, cost=0.001, **changes):
    strategy = RankExpectedReturn(RankSettings(**{"top_k": 2, **changes}), costs=flat_cost(cost))
    state = strategy.start() if state is None else state
    intents = strategy.step(state, view)
    signals = {s.instrument: s for s in intents if isinstance(s, Signal)}
    return signals, dict(next(i for i in intents if isinstance(i, Weights)).weights), state


def test_the_best_k_are_bought_and_everyone_gets_a_rank_and_a_reason(decision):
    signals, weights, _ = run(decision(CENTRES))
    assert [s.rank for s in signals.values()] == [1, 2, 3, 4, 5, 6]
    assert weights == {A: 0.5, B: 0.5}
    assert {n for n, s in signals.items() if s.kind in (SignalKind.BUY, SignalKind.STRONG_BUY)} == {A, B}
    assert all(s.reasons for s in signals.values())
    assert signals[C].kind is SignalKind.HOLD
    assert signals[A].horizon is Horizon.SWING_TRADE
    assert signals[A].expires_at > signals[A].decided_at


def test_no_forecast_says_nothing(decision):
    view = dataclasses.replace(decision(CENTRES), forecasts=None)
    strategy = RankExpectedReturn(costs=flat_cost(0.001))
    assert strategy.step(strategy.start(), view) == ()


def test_an_unknown_horizon_names_the_known_ones(decision):
    with pytest.raises(ConfigError, match=r"\[1, 5\]"):
        run(decision(CENTRES), horizon=7)


def test_ties_break_by_instrument_id(decision):
    signals, weights, _ = run(decision(dict.fromkeys((C, B, A), 0.02)), top_k=2)
    assert [signals[n].rank for n in (A, B, C)] == [1, 2, 3]
    assert set(weights) == {A, B}


def test_cost_gate_stops_what_does_not_pay(decision):
    signals, weights, _ = run(decision(CENTRES), cost=0.015, top_k=3)
    assert set(weights) == {A, B}
    assert signals[C].rule == "SIG-18"
    assert "not enough to trade" in signals[C].reasons[0]
    _, weights, _ = run(decision(CENTRES), cost=0.015, top_k=3, cost_gate=False)
    assert set(weights) == {A, B, C}


def test_minimum_multiple_three_asks_for_the_full_profit_target(decision):
    _, weights, _ = run(decision(CENTRES), cost=0.008, top_k=3)
    assert set(weights) == {A, B, C}
    signals, weights, _ = run(decision(CENTRES), cost=0.008, top_k=3, minimum_multiple=3.0)
    assert set(weights) == {A}
    assert "3 times the cost is asked" in signals[B].reasons[0]


def test_held_name_stays_within_the_band_and_leaves_beyond_it(decision):
    signals, weights, _ = run(decision(CENTRES, held={C: "10"}))
    assert signals[C].kind is SignalKind.HOLD
    assert set(weights) == {A, C}  # it takes one of the two places
    assert math.isfinite(signals[C].stop_price)
    signals, weights, _ = run(decision(CENTRES, held={C: "10"}), band=1.0)
    assert signals[C].kind is SignalKind.SELL
    assert set(weights) == {A, B}
    assert "fell out of the best 2" in signals[C].reasons[0]


def test_held_name_with_a_falling_forecast_is_closed(decision):
    signals, weights, _ = run(decision(CENTRES, held={F: "10"}))
    assert signals[F].kind is SignalKind.SELL
    assert math.isnan(signals[F].stop_price)
    assert F not in weights


def test_missing_rsi_lowers_to_hold_and_frees_the_place(decision):
    signals, weights, _ = run(decision(CENTRES, rsi={A: math.nan}))
    assert signals[A].kind is SignalKind.HOLD
    assert signals[A].rule == "SIG-21"
    assert "RSI is missing" in signals[A].reasons[0]
    assert set(weights) == {B, C}


def test_held_name_without_inputs_is_kept_one_horizon_then_closed(decision):
    strategy = RankExpectedReturn(RankSettings(top_k=2), costs=flat_cost(0.001))
    state = strategy.start()
    strategy.step(state, decision(CENTRES))
    blind = decision(CENTRES, held={A: "10"}, rsi={A: math.nan})
    first = {s.instrument: s for s in strategy.step(state, blind) if isinstance(s, Signal)}
    assert first[A].kind is SignalKind.HOLD
    second = {s.instrument: s for s in strategy.step(state, blind) if isinstance(s, Signal)}
    assert second[A].kind is SignalKind.SELL
    assert second[A].rule == "EXIT-07"


def test_vix_above_35_stops_entries_but_not_holdings(decision):
    signals, weights, _ = run(decision(CENTRES, held={B: "10"}, facts={"vix": 40.0}))
    assert set(weights) == {B}
    assert signals[A].rule == "SIG-19"
    assert "40.0" in signals[A].reasons[0]
    signals, weights, _ = run(decision(CENTRES, facts={"vix": 35.0}))
    assert set(weights) == {A, B}
    signals, _, _ = run(decision(CENTRES))
    assert any("VIX is not known" in text for text in signals[A].reasons)


def test_confidence_filter_is_off_for_trading_and_an_option(decision):
    _, weights, _ = run(decision({A: 0.004, B: 0.03}))
    assert set(weights) == {A, B}
    _, weights, _ = run(decision({A: 0.004, B: 0.03}), minimum_confidence=0.70)
    assert set(weights) == {B}


def test_stop_is_the_p10_within_the_maximum_and_target_the_p50(decision):
    signals, _, _ = run(decision({A: 0.01}, spread=0.01), exits=ExitRules())
    one = signals[A]
    assert one.stop_price == pytest.approx(one.entry_price * math.exp(0.01 - 1.282 * 0.01))
    assert one.target_price == pytest.approx(one.entry_price * math.exp(0.01))
    wide, _, _ = run(decision({A: 0.01}, spread=0.10), exits=ExitRules())
    distance = 1.0 - wide[A].stop_price / wide[A].entry_price
    assert distance == pytest.approx(max(0.02, 2 * _atr(decision)), rel=1e-9)
    free, _, _ = run(decision({A: 0.01}, spread=0.10), exits=ExitRules(limit_distance=False))
    assert free[A].stop_price == pytest.approx(free[A].entry_price * math.exp(0.01 - 0.1282))


def test_the_default_stop_is_at_least_four_true_ranges_away(decision):
    signals, _, _ = run(decision({A: 0.01}, spread=0.001))
    distance = 1.0 - signals[A].stop_price / signals[A].entry_price
    assert distance == pytest.approx(4 * _atr(decision), rel=1e-9)
    assert any("several horizons" in text for text in signals[A].reasons)


def _atr(decision):
    close = decision({A: 0.01}).panel.field("close")[0, -15:]
    return np.mean(np.abs(np.diff(close)) / close[1:])


def test_forecast_high_and_low_refine_stop_and_target(decision):
    plain, _, _ = run(decision({A: 0.01}, spread=0.012), exits=ExitRules())
    fine, _, _ = run(decision({A: 0.01}, spread=0.012, targets=("close", "high", "low")), exits=ExitRules())
    assert fine[A].stop_price < plain[A].stop_price
    assert fine[A].target_price == pytest.approx(plain[A].entry_price * math.exp(0.022))


def test_raw_basis_takes_the_tier_maximum(decision):
    view = decision({A: 0.01}, spread=0.2, scale={A: 0.03})
    signals, _, _ = run(view, price_basis=PriceBasis.RAW, exits=ExitRules())
    assert 1.0 - signals[A].stop_price / signals[A].entry_price == pytest.approx(0.10)  # penny


def test_short_only_where_switched_on_and_its_stop_is_p90(decision):
    off, weights, _ = run(decision(CENTRES), top_k=1)
    assert F not in weights
    assert off[F].kind is SignalKind.STRONG_SELL
    assert math.isnan(off[F].stop_price)
    on, weights, _ = run(decision(CENTRES, spread=0.04), top_k=1, shorting=True, exits=ExitRules(limit_distance=False))
    assert weights == {A: 1.0, F: -1.0}
    assert on[F].stop_price == pytest.approx(on[F].entry_price * math.exp(-0.03 + 1.282 * 0.04))
    assert on[F].target_price < on[F].entry_price


def test_trailing_stop_rises_and_a_fall_below_it_closes(decision):
    exits = ExitRules(trailing=True, trailing_multiple=1.0)
    view = decision(CENTRES, held={A: "10"}, spread=0.08)
    entry = float(view.panel.field("close")[0, -1])
    strategy = RankExpectedReturn(RankSettings(top_k=2, exits=exits), costs=flat_cost(0.001))
    state = strategy.start()
    state.highest[A] = entry * 1.005
    signal = {s.instrument: s for s in strategy.step(state, view) if isinstance(s, Signal)}[A]
    assert signal.stop_price == pytest.approx(entry * 1.005 - _atr(decision) * entry)
    state.highest[A] = entry * 1.5
    signal = {s.instrument: s for s in strategy.step(state, view) if isinstance(s, Signal)}[A]
    assert (signal.kind, signal.rule) == (SignalKind.SELL, "EXIT-05")


def test_contributions_become_a_sentence(decision):
    def explain(now, names):
        return {A: [("momentum_20", 0.004, 0.12), ("rsi_14", -0.001, 0.71), ("noise", 0.0, 1.0)]}

    strategy = RankExpectedReturn(RankSettings(top_k=2), costs=flat_cost(0.001), explain=explain)
    signals = [s for s in strategy.step(strategy.start(), decision(CENTRES)) if isinstance(s, Signal)]
    assert "momentum_20 at 0.12 raised it by 0.40% and rsi_14 at 0.71 lowered it by 0.10%" in signals[0].reasons[-1]
    assert "moved the forecast" not in " ".join(signals[1].reasons)


def test_scaling_one_history_changes_no_rank_and_no_side(decision):
    plain, weights, _ = run(decision(CENTRES, held={C: "10"}))
    scaled, scaled_weights, _ = run(decision(CENTRES, held={C: "10"}, scale={A: 64.0, C: 0.25}))
    assert weights == scaled_weights
    for name, one in plain.items():
        other = scaled[name]
        assert (one.rank, one.kind, one.confidence, one.expected_return) == (
            other.rank,
            other.kind,
            other.confidence,
            other.expected_return,
        )


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    centres=st.lists(st.one_of(st.floats(-0.1, 0.1), st.just(math.nan)), min_size=6, max_size=6),
    order=st.permutations(range(6)),
    held=st.sets(st.sampled_from([A, B, C, D, E, F])),
)
def test_order_of_instruments_changes_nothing_and_nan_is_never_wanted(decision, shuffled, centres, order, held):
    named = dict(zip((A, B, C, D, E, F), centres, strict=True))
    view = decision(named, held=dict.fromkeys(held, "10"))
    signals, weights, _ = run(view)
    other, other_weights, _ = run(shuffled(view, list(order)))
    assert repr(list(signals.values())) == repr(list(other.values()))
    assert weights == other_weights
    assert len(weights) <= 2
    for name in weights:
        assert math.isfinite(signals[name].stop_price)
        assert name in held or math.isfinite(named[name])
