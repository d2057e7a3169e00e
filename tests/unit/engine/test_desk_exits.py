"""Stops where a strategy names none (EXIT-01 to 04, 08): in an account under a profile, and nowhere else."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from foresail.core.clock import to_ns
from foresail.core.errors import UnknownNameError
from foresail.core.ids import InstrumentId, OrderId
from foresail.domain.accounts import Account, Position
from foresail.domain.forecast import ForecastBlock
from foresail.domain.instruments import AssetClass, Instrument, PriceBasis
from foresail.domain.limits import TradingLimits
from foresail.domain.orders import FillReason, Order, OrderKind
from foresail.domain.signals import Horizon, Intent, OrderIntent, Side, Signal, SignalKind, TargetWeights, Weights
from foresail.engine.backtest import Backtest, run_backtest
from foresail.engine.driver import BacktestInputs
from foresail.engine.settings import MarketData, PipelineSettings
from foresail.engine.trading.desk_exits import DeskExits
from foresail.engine.trading.parts import DeskCall
from foresail.engine.trading_settings import CostChoice, ExitChoice, TradingSettings
from foresail.engine.walkforward import WalkForward
from foresail.evaluation.simulated_market import simulated_bar_set
from foresail.protocols import MarketView
from foresail.risk.accounts import edited, trading_limits
from foresail.testing.builders import bar_panel

D = Decimal
A = InstrumentId("sim.S01.A")
BTC, SOL = InstrumentId("crypto.X.BTC-USDT"), InstrumentId("crypto.X.SOL-USDT")
EUR = InstrumentId("fx.EUR-USD")


@dataclass
class Once:
    """Asks for the same at the first decisions."""

    intents: Sequence[Intent]
    times: int = 1
    flags: dict[str, bool] = field(default_factory=dict)

    @property
    def spec(self) -> Any:
        return SimpleNamespace(id="test/once@1", every=1, critical_inputs=(), **self.flags)

    def start(self) -> dict[str, int]:
        return {"n": 0}

    def step(self, state: dict[str, int], view: MarketView) -> Sequence[Intent]:
        state["n"] += 1
        return self.intents if state["n"] <= self.times else ()


class Late(Once):
    """Asks once, at a decision after the first ones."""

    def step(self, state: dict[str, int], view: MarketView) -> Sequence[Intent]:
        state["n"] += 1
        return self.intents if state["n"] == self.times else ()


def run(
    closes: Sequence[float],
    strategy: Once,
    limits: TradingLimits | None,
    stops: str = "class",
    exits: ExitChoice | None = None,
    costs: CostChoice | None = None,
) -> Backtest:
    bars = bar_panel({A: closes}, fields={"volume": {A: [5e6] * len(closes)}})
    none = np.empty(0, dtype=np.int64)
    block = ForecastBlock(np.empty((1, 0, 1, 1, 1)), none, none, bars.instruments, ("close",), (1,), (0.5,), ())
    data = MarketData(bars, simulated_bar_set(bars), {}, np.full(1, len(closes)), None)
    trading = TradingSettings(stops, exits=exits or ExitChoice(), costs=costs or CostChoice())
    settings = PipelineSettings(
        capital=D(20_000), horizons=(1,), decision_horizon=1, targets=("close",), trading=trading
    )
    inputs = BacktestInputs(data, settings, bars, {}, WalkForward(block, ()), 252.0)
    return run_backtest(inputs, strategy=strategy, first=0, limits=limits)


HOLD = Once([Weights(((A, 0.1),))], times=99)
UP_AND_DOWN = [100.0, 100, 103, 106, 104, 101, 97.5, 97.5]


def stopped(book: Backtest) -> list[float]:
    return [float(one.reference_price) for one in book.fills if one.reason is FillReason.STOP]


def test_a_weight_has_the_stop_of_its_class_where_it_was_bought() -> None:
    book = run(UP_AND_DOWN, HOLD, trading_limits("multi-asset"))
    paid = float(book.fills[0].price)
    assert stopped(book) == [pytest.approx(0.98 * paid, abs=0.01)]  # it does not follow the price up


def test_research_and_the_choice_of_none_hold_without() -> None:
    assert stopped(run(UP_AND_DOWN, HOLD, None)) == []
    assert stopped(run(UP_AND_DOWN, HOLD, replace(trading_limits("multi-asset"), profile=""))) == []
    assert stopped(run(UP_AND_DOWN, HOLD, trading_limits("multi-asset"), "none")) == []
    with pytest.raises(UnknownNameError, match="class_and_target"):
        TradingSettings("tight")


def test_a_target_comes_with_it_where_it_is_asked_for() -> None:
    book = run(
        [100, 100, 103, 106, 106], Once([Weights(((A, 0.1),))], 2), trading_limits("multi-asset"), "class_and_target"
    )
    paid = float(book.fills[0].price)
    (target,) = [float(one.reference_price) for one in book.fills if one.reason is FillReason.TARGET]
    assert target == pytest.approx(1.04 * paid, abs=0.02)


def test_an_order_of_its_own_gets_one_and_keeps_its_own() -> None:
    bare = Once([OrderIntent(A, Side.BUY, D(10))])
    assert stopped(run([*UP_AND_DOWN, 96, 96], bare, trading_limits("multi-asset"))) == [97.0]  # tier mid: 3 %
    own = Once([OrderIntent(A, Side.BUY, D(10), stop_price=D(99))])
    assert stopped(run([100, 100, 101, 98, 98], own, trading_limits("multi-asset"))) == [99.0]


def record(name: InstrumentId, kind: AssetClass, currency: str = "USD", tick: str = "0.01") -> Instrument:
    return Instrument(name, name, kind, currency=currency, tick=D(tick), lot=D("0.001"), sector=name)


RECORDS = {
    BTC: record(BTC, AssetClass.CRYPTO),
    SOL: record(SOL, AssetClass.CRYPTO),
    EUR: record(EUR, AssetClass.FOREX, tick="0.00001"),
    A: record(A, AssetClass.STOCK),
}
WEDNESDAY, SATURDAY = (to_ns(datetime(2024, 1, day, 12, tzinfo=UTC)) for day in (3, 6))


def call(at: int, held: Sequence[Position] = ()) -> DeskCall:
    prices = {BTC: 40_000.0, SOL: 100.0, EUR: 1.1, A: 10.0}
    return DeskCall(at, 0, Account("a", "USD", D(1000), D(1000), tuple(held), at), prices, {}, {})


def filled(
    name: InstrumentId,
    weight: float,
    at: int,
    *,
    stop: float = math.nan,
    held: Sequence[Position] = (),
    **how: Any,
) -> float:
    exits = DeskExits(RECORDS, PriceBasis.RAW, **how)
    found = exits.targets(TargetWeights((name,), (weight,), (stop,), (math.nan,)), call(at, held))
    assert math.isnan(found.targets[0])
    return found.stops[0]


def test_every_class_has_its_distance() -> None:
    assert filled(BTC, 0.1, WEDNESDAY) == pytest.approx(38_000)
    assert filled(SOL, 0.1, WEDNESDAY) == pytest.approx(92)
    assert filled(SOL, -0.1, WEDNESDAY) == pytest.approx(108)
    assert filled(EUR, 0.1, WEDNESDAY) == pytest.approx(1.0970)
    assert filled(A, 0.1, WEDNESDAY) == pytest.approx(9.5)  # tier low: 5 %, raw prices
    assert math.isnan(filled(A, 0.0, WEDNESDAY))
    assert filled(A, 0.1, WEDNESDAY, stop=9.9) == 9.9


def test_what_is_held_counts_from_what_was_paid() -> None:
    paid = [Position(SOL, D(1), D(90), 0)]
    assert filled(SOL, 0.1, SATURDAY, held=paid) == pytest.approx(82.8)  # full distance: ``level_keeping`` narrows it
    assert filled(SOL, 0.1, SATURDAY, stop=95.0, held=paid) == 95.0  # above the entry: it protects a gain


def test_a_stop_of_its_own_is_cut_to_the_widest_allowed() -> None:
    assert filled(SOL, 0.1, WEDNESDAY, stop=80.0) == pytest.approx(92)  # 8 %
    assert filled(SOL, -0.1, WEDNESDAY, stop=130.0) == pytest.approx(108)
    assert filled(SOL, 0.1, WEDNESDAY, stop=95.0) == 95.0
    assert filled(SOL, 0.1, WEDNESDAY, stop=80.0, may_exceed=True) == 80.0
    assert filled(EUR, 0.1, WEDNESDAY, stop=1.05) == pytest.approx(1.0970)  # 30 pips
    assert filled(A, 0.1, WEDNESDAY, stop=8.0) == pytest.approx(9.5)
    assert filled(A, 0.1, WEDNESDAY, stop=8.0, ranges=lambda _name, _at: 0.4) == pytest.approx(9.2)  # 2 ATR are wider
    assert filled(A, 0.1, WEDNESDAY, ranges=lambda _name, _at: 0.4) == pytest.approx(9.5)  # its own only


def test_in_a_backtest_too_unless_strategy_or_settings_allow_more() -> None:
    fall, asked = [100.0, 100, 100, 96, 93, 90, 87, 84, 81, 78, 75], [OrderIntent(A, Side.BUY, D(10), stop_price=D(80))]
    limits = trading_limits("multi-asset")
    assert stopped(run(fall, Once(asked), limits)) == [97.0]  # tier mid, 3 %
    assert stopped(run(fall, Once(asked, flags={"stops_may_exceed": True}), limits)) == [80.0]
    assert stopped(run(fall, Once(asked), limits, exits=ExitChoice(may_exceed=True))) == [80.0]
    guard = OrderIntent(A, Side.SELL, D(10), "stop", leg="guard", trigger_price=D(80), reduce_only=True, parent="entry")
    guarded = [OrderIntent(A, Side.BUY, D(10)), guard]
    assert stopped(run(fall, Once(guarded), limits)) == [97.0]
    assert stopped(run(fall, Once(guarded, flags={"stops_may_exceed": True}), limits)) == [80.0]


def opinion(target: float) -> Signal:
    return Signal(
        A, SignalKind.BUY, Horizon.SWING_TRADE, 5, 0.6, 0.05, 0.001, 100.0, target, 98.0, ("up",), "test", "once", "1",
        "", "", 0, 10**19,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("target", "choice", "level"),
    [(103.0, "", 103.0), (math.nan, "", 104.0), (99.0, "", 104.0), (103.0, "ratio", 104.0), (103.0, "none", None)],
)
def test_a_signal_keeps_its_own_target(target: float, choice: str, level: float | None) -> None:
    closes = [100.0, 101, 99] * 8 + [100.0, 100.0, 101, 102, 103.5, 104.5, 105]
    late = Late([opinion(target)], 25)
    book = run(closes, late, trading_limits("multi-asset"), exits=ExitChoice(choice))
    assert [float(one.reference_price) for one in book.fills if one.reason is FillReason.TARGET] == (
        [] if level is None else [level]
    )
    with pytest.raises(UnknownNameError, match="signal"):
        ExitChoice("p50")


def test_a_backtest_pays_what_the_settings_say() -> None:
    bought = [OrderIntent(A, Side.BUY, D(10))]
    (fill,) = run([100.0, 100, 100], Once(bought), None, costs=CostChoice(commission=0.01, slippage=0.0)).fills
    assert (fill.fee, fill.price) == (D("10.00"), D("100.00"))
    (flat,) = run([100.0, 100, 100], Once(bought), None, costs=CostChoice("flat", 0.01)).fills
    assert (flat.fee, flat.price) == (D(0), D("100.50"))


def test_a_signal_must_expect_so_many_times_its_cost() -> None:
    closes = [100.0, 101, 99] * 8 + [100.0, 100.0, 101, 102]
    cost = 0.0010278 + 0.000166 / 100  # COST-05, a share of 100 dollars
    for multiple, entries in ((None, 1), (0.99 * math.expm1(0.05) / cost, 1), (1.01 * math.expm1(0.05) / cost, 0)):
        book = run(closes, Late([opinion(110.0)], 25), None, costs=CostChoice(multiple=multiple))
        assert len(book.fills) == entries
        assert any("COST-08" in text for _at, _name, text in book.notes) is (entries == 0)


def test_exits_and_guarded_entries_are_left_alone() -> None:
    exits = DeskExits(RECORDS, PriceBasis.RAW)
    entry = Order(OrderId("e"), SOL, Side.BUY, D(2), OrderKind.MARKET, 0)
    guard = Order(
        OrderId("g"), SOL, Side.SELL, D(2), OrderKind.TRAILING, 0, trail=D(5), reduce_only=True, parent=OrderId("e")
    )
    assert exits.orders([entry, guard], call(WEDNESDAY)) == [entry, guard]
    sale = replace(entry, side=Side.SELL, quantity=D(1))
    assert exits.orders([sale], call(WEDNESDAY, [Position(SOL, D(1), D(90), 0)])) == [sale]
    turn = exits.orders([replace(sale, quantity=D(3))], call(WEDNESDAY, [Position(SOL, D(1), D(90), 0)]))
    assert [one.stop_price for one in turn] == [D(108)]
    breakout = replace(entry, kind=OrderKind.STOP, stop_price=D(110))
    assert [(one.trigger_price, one.stop_price) for one in exits.orders([breakout], call(WEDNESDAY))] == [
        (D(110), D("101.2"))
    ]


CRYPTO = (BTC, SOL)


def crypto_run(weights: Sequence[tuple[InstrumentId, float]], hour: int, profile: str | None, **edits: Any) -> Backtest:
    """Hold weights from a decision at an hour of the third day on, hourly bars."""
    flat = [100.0] * 72
    bars = bar_panel(dict.fromkeys(CRYPTO, flat), frame="1h", calendar="24/7", first_day="2024-01-02")
    like = simulated_bar_set(bar_panel({A: [1.0]}))
    records = tuple(record(name, AssetClass.CRYPTO, "USD") for name in CRYPTO)
    bar_set = replace(like, asset_class=AssetClass.CRYPTO, instruments=records, frame="1h", calendar="24/7")
    none = np.empty(0, dtype=np.int64)
    block = ForecastBlock(np.empty((2, 0, 1, 1, 1)), none, none, bars.instruments, ("close",), (1,), (0.5,), ())
    data = MarketData(bars, bar_set, {}, np.full(2, 72), None)
    settings = PipelineSettings(capital=D(20_000), horizons=(1,), decision_horizon=1, targets=("close",))
    inputs = BacktestInputs(data, settings, bars, {}, WalkForward(block, ()), 8760.0)
    limits = None if profile is None else edited(trading_limits(profile), edits)
    return run_backtest(inputs, strategy=Once([Weights(tuple(weights))], 1), first=48 + hour - 1, limits=limits)


@pytest.mark.parametrize(("hour", "kind"), [(3, OrderKind.LIMIT), (7, OrderKind.MARKET)])
def test_weights_become_limit_orders_in_thin_crypto_hours(hour: int, kind: OrderKind) -> None:
    book = crypto_run([(BTC, 0.05)], hour, "multi-asset")
    (one,) = book.orders
    assert (one.order.kind, one.rulings) == (kind, ())
    assert len(book.fills) == 1
    assert crypto_run([(BTC, 0.05)], hour, None).orders[0].order.kind is OrderKind.MARKET


@pytest.mark.parametrize(("hour", "kind"), [(3, OrderKind.LIMIT), (7, OrderKind.LIMIT), (9, OrderKind.MARKET)])
def test_the_planner_has_the_thin_hours_of_the_limits(hour: int, kind: OrderKind) -> None:
    book = crypto_run([(BTC, 0.05)], hour, "multi-asset", **{"market.thin_hours": (0, 8)})
    (one,) = book.orders
    assert (one.order.kind, one.rulings) == (kind, ())


def test_a_strategy_may_want_less_than_nothing_where_the_profile_allows_it() -> None:
    (fill,) = crypto_run([(BTC, -0.05)], 10, None).fills
    assert fill.side is Side.SELL
    short = crypto_run([(BTC, -0.05)], 10, "multi-asset")
    assert [one.order.stop_price for one in short.orders] == [D("105.00")]
    assert [one.side for one in short.fills] == [Side.SELL]
