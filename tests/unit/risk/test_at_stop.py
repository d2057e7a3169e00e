"""What a position loses at its stop (RISK-01, RISK-05, RISK-06): held, on order and earlier in the batch together."""

from __future__ import annotations

import dataclasses
import math
from decimal import Decimal as D
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.risk.trading_world import EUR, GBP, KNOWN, A, order, world

from foresail.core.ids import InstrumentId
from foresail.domain.forecast import ForecastBlock
from foresail.domain.limits import BookLimits, PositionLimits
from foresail.domain.signals import OrderIntent, Side
from foresail.engine.backtest import run_backtest
from foresail.engine.driver import BacktestInputs
from foresail.engine.settings import MarketData, PipelineSettings
from foresail.engine.trading_settings import TradingSettings
from foresail.engine.walkforward import WalkForward
from foresail.evaluation.simulated_market import simulated_bar_set
from foresail.risk.accounts import trading_limits
from foresail.risk.gate import RiskGate
from foresail.risk.rules.currency_risk import CurrencyRisk
from foresail.risk.rules.per_trade_risk import PerTradeRisk
from foresail.testing.builders import bar_panel

ONE_PERCENT = PositionLimits(0.01, 10.0, None, 10.0, -10.0, shorting=True, stop_distance=0.02)  # 1,000 of 100,000
RULES = (PerTradeRisk(ONE_PERCENT),)
STOP_80 = {"stop_price": D(80)}  # one unit at 100 risks 20: 50 units are all


def passed(orders, seen, rules=RULES, known=KNOWN):
    return [(one.quantity, rulings) for one, rulings in RiskGate(rules, known).review(orders, seen)]


def held(units, **changes):
    return world({A: units}, cash=str(100_000 - 100 * units), **changes)


def test_what_is_held_counts_at_the_stop_that_hangs_on_it():
    seen = held(40, stops={A: 80.0}, entries={A: 100.0})
    ((quantity, (ruling,)),) = passed([order(quantity="50", **STOP_80)], seen)
    assert (quantity, ruling.rule) == (10, "RISK-01 risk per trade")
    assert "0.80% is held or on order" in ruling.text
    assert passed([order(quantity="10", **STOP_80)], seen) == [(10, ())]


def test_a_position_at_its_limit_is_not_added_to():
    ((quantity, (ruling,)),) = passed([order(quantity="1", **STOP_80)], held(50, stops={A: 80.0}))
    assert quantity == 0
    assert "at most 1.00% of equity" in ruling.text


def test_orders_on_their_way_and_earlier_ones_of_the_batch_count():
    waiting = [(order(quantity="20", number=7, **STOP_80), D(20))]
    assert passed([order(quantity="50", **STOP_80)], world(orders=waiting))[0][0] == 30
    batch = [order(quantity="20", number=n, **STOP_80) for n in range(4)]
    assert [quantity for quantity, _ in passed(batch, world())] == [20, 20, 10, 0]


def test_the_other_side_and_orders_that_only_reduce_do_not_count():
    waiting = [
        (order(quantity="40", side=Side.SELL, number=7, stop_price=D(120)), D(40)),
        (order(quantity="40", number=8, reduce_only=True), D(40)),
    ]
    assert passed([order(quantity="50", **STOP_80)], world(orders=waiting)) == [(50, ())]


def test_the_stop_of_the_order_takes_the_place_of_the_one_that_hangs():
    seen = held(40, stops={A: 80.0}, entries={A: 100.0})
    assert passed([order(quantity="60", stop_price=D(90))], seen) == [(60, ())]  # 100 units x 10
    assert passed([order(quantity="60", stop_price=D(90))], held(41, stops={A: 80.0}))[0][0] == 59


def test_of_several_stops_on_their_way_the_widest_counts_for_all():
    waiting = [(order(quantity="1", number=7, **STOP_80), D(1))]
    assert passed([order(quantity="60", stop_price=D(90))], world(orders=waiting))[0][0] == 49


def test_an_order_without_a_stop_has_the_one_that_hangs_else_the_class_stop():
    assert passed([order(quantity="900")], world())[0][0] == 500
    assert passed([order(quantity="900")], held(100))[0][0] == 400
    assert passed([order(quantity="900")], held(10, stops={A: 80.0}))[0][0] == 40
    through = held(100, stops={A: 101.0})  # it protects nothing any more
    assert passed([order(quantity="900")], through)[0][0] == 400


def test_a_gain_is_no_loss_and_what_is_lost_is_out_of_equity():
    assert passed([order(quantity="50", **STOP_80)], held(40, stops={A: 80.0}, entries={A: 85.0}))[0][0] == 40
    assert passed([order(quantity="50", **STOP_80)], held(40, stops={A: 80.0}, entries={A: 130.0}))[0][0] == 10


def test_a_short_position_counts_the_other_way_round():
    stop = {"side": Side.SELL, "stop_price": D(120)}
    seen = world({A: -40}, cash="104000", stops={A: 120.0}, entries={A: 100.0})
    assert passed([order(quantity="50", **stop)], seen)[0][0] == 10


def test_contract_multipliers_count_once():
    known = {**KNOWN, A: dataclasses.replace(KNOWN[A], multiplier=D(10))}
    seen = held(0, stops={A: 80.0}, entries={A: 100.0})
    seen.account = dataclasses.replace(world({A: 4}).account, equity=D(100_000), cash=D(96_000))
    waiting = [(order(quantity="1", number=7, **STOP_80), D(1))]
    seen.orders = waiting
    assert passed([order(quantity="5"), order(quantity="5", number=1)], seen, known=known)[0][0] == 0
    seen.account = dataclasses.replace(seen.account, positions=())
    assert [q for q, _ in passed([order(quantity="3", **STOP_80), order(quantity="5", number=1, **STOP_80)], seen,
                                 known=known)] == [3, 1]  # fmt: skip


def test_a_currency_counts_the_stops_that_hang_on_its_pairs():
    rules = (CurrencyRisk(BookLimits()),)  # 5,000
    wide = world({EUR: 1000}, cash="0", stops={EUR: 98.0}, entries={EUR: 100.0})
    (cut,) = passed([order(GBP, "9000", stop_price=D(99))], wide, rules)
    assert (cut[0], cut[1][0].rule) == (3000, "RISK-06 currency exposure")  # 1,000 units risk 2 each
    none = world({EUR: 1000}, cash="0")
    assert passed([order(GBP, "9000", stop_price=D(99))], none, rules)[0][0] == 4400  # the class stop: 0.6 each


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 80), st.integers(50, 99)), min_size=1, max_size=6),
    st.integers(0, 60),
    st.integers(50, 99),
)
def test_no_series_of_orders_risks_more_than_the_limit(asks, units, hung):
    """However orders and stops follow one another, the widest stop over all units stays within the limit."""
    start = min(units, 1000 // (100 - hung))
    seen = held(start, stops={A: float(hung)}, entries={A: 100.0})
    orders = [order(quantity=str(q), number=n, stop_price=D(s)) for n, (q, s) in enumerate(asks)]
    results = passed(orders, seen)
    took = [(q, s) for (q, _), (_, s) in zip(results, asks, strict=True) if q > 0]
    for last in range(len(took)):
        total = start + sum(q for q, _ in took[: last + 1])
        stop = took[last][1]  # fills in the order given: the last one's stop hangs on all
        assert total * (100 - stop) <= 1000 * (1 + 1e-6)


class _ThreeTimes:
    """Buys 5 % of equity with a stop 20 % below, on three bars."""

    spec = SimpleNamespace(id="test/three@1", every=1, critical_inputs=())

    def start(self):
        return {"n": 0}

    def step(self, state, view):
        state["n"] += 1
        name = InstrumentId("sim.S01.A")
        return [OrderIntent(name, Side.BUY, D(50), stop_price=D(80))] if state["n"] <= 3 else ()


@pytest.mark.parametrize("limits", [None, trading_limits("multi-asset")], ids=["research", "account"])
def test_three_orders_on_three_bars_hold_one_percent_at_risk(limits):
    name = InstrumentId("sim.S01.A")
    bars = bar_panel({name: [100.0] * 8}, fields={"volume": {name: [5e6] * 8}})
    none = np.empty(0, dtype=np.int64)
    block = ForecastBlock(np.empty((1, 0, 1, 1, 1)), none, none, bars.instruments, ("close",), (1,), (0.5,), ())
    data = MarketData(bars, simulated_bar_set(bars), {}, np.full(1, 8), None)
    asked = PipelineSettings(
        capital=D(100_000), horizons=(1,), decision_horizon=1, targets=("close",), trading=TradingSettings("none")
    )
    inputs = BacktestInputs(data, asked, bars, {}, WalkForward(block, ()), 252.0)
    book = run_backtest(inputs, strategy=_ThreeTimes(), first=0, limits=limits)
    bought = sum((fill.quantity for fill in book.fills), D(0))
    assert D(49) <= bought <= D(50)  # 15 % was held, at a risk of 3 %
    refused = [one for one in book.orders if one.allowed == 0]
    assert len(refused) == 2
    assert {ruling.rule for one in refused for ruling in one.rulings} == {"RISK-01 risk per trade"}
    assert math.isfinite(float(book.net[-1]))
