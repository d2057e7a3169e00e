"""The venue of ``[venue]``, what bars tell it, and what limits learn of volume, spread and days."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from foresail.core.errors import ConfigError, UnknownNameError
from foresail.core.ids import InstrumentId
from foresail.domain.events import Fact, Rank
from foresail.domain.forecast import ForecastBlock
from foresail.domain.instruments import AssetClass
from foresail.domain.limits import TradingLimits
from foresail.domain.panel import Panel
from foresail.domain.signals import Intent, OrderIntent, Side
from foresail.engine.backtest import Backtest, pass_history, run_backtest
from foresail.engine.driver import BacktestInputs, Driver
from foresail.engine.parts import build_parts
from foresail.engine.settings import MarketData, PipelineSettings
from foresail.engine.trading.market import PanelMarket
from foresail.engine.trading_settings import TradingSettings, VenueChoice
from foresail.engine.walkforward import WalkForward
from foresail.evaluation.simulated_market import simulated_bar_set
from foresail.protocols import MarketView
from foresail.risk.accounts import trading_limits
from foresail.testing.builders import bar_panel

D = Decimal
A = InstrumentId("sim.S01.A")
B = InstrumentId("sim.S01.B")


@dataclass
class Buyer:
    """Buys once, at a bar."""

    units: int
    bar: int = 0
    side: Side = Side.BUY

    @property
    def spec(self) -> Any:
        return SimpleNamespace(id="test/buyer@1", every=1, critical_inputs=())

    def start(self) -> dict[str, int]:
        return {"n": -1}

    def step(self, state: dict[str, int], view: MarketView) -> Sequence[Intent]:
        state["n"] += 1
        return [OrderIntent(A, self.side, D(self.units))] if state["n"] == self.bar else ()


def inputs_on(bars: Panel, venue: VenueChoice, **kind: Any) -> BacktestInputs:
    none, n = np.empty(0, dtype=np.int64), len(bars.instruments)
    block = ForecastBlock(np.empty((n, 0, 1, 1, 1)), none, none, bars.instruments, ("close",), (1,), (0.5,), ())
    bar_set = replace(simulated_bar_set(bars), **kind)
    data = MarketData(bars, bar_set, {}, np.full(n, bars.shape[1]), None)
    settings = PipelineSettings(
        capital=D(1_000_000),
        horizons=(1,),
        decision_horizon=1,
        targets=("close",),
        trading=TradingSettings("none", venue=venue),
    )
    return BacktestInputs(data, settings, bars, {}, WalkForward(block, ()), 252.0)


def panel(bars: int = 60, **fields: Mapping[str, Sequence[float]]) -> Panel:
    draw = np.random.default_rng(1)
    return bar_panel({A: 100 * np.exp(np.cumsum(draw.normal(0, 0.01, bars)))}, fields=fields)


def run(bars: Panel, buyer: Buyer, venue: VenueChoice | None = None, limits: TradingLimits | None = None) -> Backtest:
    inputs = inputs_on(bars, VenueChoice() if venue is None else venue)
    return run_backtest(inputs, strategy=buyer, first=0, limits=limits)


def positions(book: Backtest, bars: Panel) -> list[tuple[int, int]]:
    return [(int(np.searchsorted(bars.end, f.filled_at, side="right")), int(f.quantity)) for f in book.fills]


def test_the_share_of_volume_and_latency_are_the_venues() -> None:
    bars = panel(12, volume={A: [1000.0] * 12})
    assert positions(run(bars, Buyer(30)), bars) == [(1, 30)]
    assert positions(run(bars, Buyer(25), VenueChoice(volume_share=0.01)), bars) == [(1, 10), (2, 10), (3, 5)]
    assert positions(run(bars, Buyer(30), VenueChoice(latency_bars=2)), bars) == [(3, 30)]
    assert positions(run(bars, Buyer(30), VenueChoice(latency_ms=86_400_000)), bars)[0][0] > 1


def test_impact_is_known_from_the_days_before() -> None:
    bars = panel(60)
    plain, moved = (run(bars, Buyer(500, bar=40), VenueChoice(impact=one)).fills[0] for one in ("none", "square_root"))
    close = bars.field("close")[0]
    days = close[20:41]
    returns = days[1:] / days[:-1] - 1.0
    expected = np.std(returns, ddof=1) * math.sqrt(500 / 1e6) * close[40]
    assert float(moved.price - plain.price) == pytest.approx(expected, abs=0.006)


def test_a_halt_that_the_bars_carry_fills_nothing() -> None:
    halted = [0.0] * 12
    halted[1] = halted[2] = 1.0
    bars = panel(12)
    values = np.concatenate((bars.values, np.array(halted)[None, :, None]), axis=2)
    bars = replace(bars, values=np.ascontiguousarray(values), fields=(*bars.fields, "halted"))
    assert positions(run(bars, Buyer(30)), bars) == [(3, 30)]


def test_what_can_be_borrowed_bounds_a_short_position() -> None:
    bars = panel(12)
    inputs = inputs_on(bars, VenueChoice())
    built = build_parts(bars, inputs.data.bar_set, inputs.settings, strategy=Buyer(20, side=Side.SELL), explain=None)
    for units in (7, 30):
        driver = Driver(inputs, built)
        start = int(bars.start[0])
        driver.deposit(start)
        driver.apply(Fact(start, start, Rank.FEATURES, "risk", A, kind="borrowable", value=float(units)))
        pass_history(driver, bars, 0, 1)
        assert sum(one.quantity for one in driver.fills) == min(20, units)
        built = build_parts(bars, inputs.data.bar_set, inputs.settings, strategy=built.strategy, explain=None)


@pytest.mark.parametrize("wrong", [{"volume_share": 1.5}, {"latency_ms": -1.0}, {"latency_bars": -1}])
def test_what_no_venue_can_do_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        VenueChoice(**wrong)
    with pytest.raises(UnknownNameError, match="almgren"):
        VenueChoice(impact="linear")


def refusals(book: Backtest) -> list[tuple[int, str]]:
    return [(int(one.allowed), ruling.text) for one in book.orders for ruling in one.rulings]


def test_an_order_is_cut_to_its_share_of_the_average_volume() -> None:
    bars = panel(60, volume={A: [4e6] * 30 + [30_000.0] * 30})
    limits = replace(trading_limits("multi-asset"), profile="")
    ((allowed, text),) = refusals(run(bars, Buyer(400, bar=55), limits=limits))
    assert (allowed, text) == (300, "at most 1.0% of the average daily volume: order cut")
    assert refusals(run(bars, Buyer(400, bar=25), limits=limits)) == []


def test_a_stock_must_trade_the_least_volume_of_its_tier() -> None:
    bars = panel(60, volume={A: [900_000.0] * 60})
    ((allowed, text),) = refusals(run(bars, Buyer(10, bar=40), limits=trading_limits("multi-asset")))
    assert allowed == 0
    assert text.startswith("900,000 units are traded a day")


def test_a_wide_spread_is_refused() -> None:
    wide = [0.1] * 40 + [1.0] * 20
    bars = panel(60, spread={A: wide}, volume={A: [5e6] * 60})
    assert refusals(run(bars, Buyer(10, bar=30), limits=trading_limits("multi-asset"))) == []
    ((allowed, text),) = refusals(run(bars, Buyer(10, bar=45), limits=trading_limits("multi-asset")))
    assert (allowed, text[:10]) == (0, "the spread")


def hourly(days: int) -> Panel:
    draw = np.random.default_rng(4)
    closes = 100 * np.exp(np.cumsum(draw.normal(0, 0.002, days * 24)))
    return bar_panel({A: closes}, frame="1h", calendar="24/7", first_day="2024-01-01")


def test_days_of_hourly_bars_count_once_they_are_over() -> None:
    bars = hourly(40)
    record = simulated_bar_set(bars).instruments[0]
    market = PanelMarket(bars, {A: record}, "USD")
    closes = bars.field("close")[0]
    for position in (30, 24 * 30 + 10, 24 * 31 - 1, 24 * 31):
        market.advance_through(position)
        over = position // 24
        ends = closes[23::24][:over]
        found = market.daily_returns([A])
        expected = ends[1:] / ends[:-1] - 1.0
        if over < 2:
            assert found is None
            continue
        assert found is not None
        np.testing.assert_allclose(found[0], expected)
        largest = market.largest_moves([A], over - 1)
        assert largest is not None
        assert largest[0] == np.abs(found).max()
        assert market.largest_moves([A], over) is None
        assert market.average_volume(A) == pytest.approx(24e6)
        np.testing.assert_allclose(market.daily_volatility(position)[0], np.std(expected[-20:], ddof=1))
    pair = replace(record, asset_class=AssetClass.FOREX)
    forex = PanelMarket(bars, {A: pair}, "USD")
    forex.advance_through(24 * 31)
    assert math.isnan(forex.average_volume(A))


def test_the_largest_moves_are_those_of_the_last_year_of_daily_returns() -> None:
    draw = np.random.default_rng(6)
    closes = {name: 100 * np.exp(np.cumsum(draw.standard_t(3, 700) * 0.02)) for name in (A, B)}
    closes[A][40:50] = np.nan  # not traded
    bars = bar_panel(closes)
    market = PanelMarket(bars, {one.id: one for one in simulated_bar_set(bars).instruments}, "USD")
    for position in range(700):
        market.advance_through(position)
        found = market.daily_returns([B, A])
        largest = market.largest_moves([B, A], 20)
        if position < 20:
            assert largest is None
            continue
        assert found is not None
        assert largest is not None
        np.testing.assert_array_equal(largest, np.nanmax(np.abs(found), axis=1))
