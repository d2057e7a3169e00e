"""Facts that limits read: out of series, stored facts and bars, when they were known, and what they do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from foresail.core.ids import InstrumentId
from foresail.domain.facts import fact_table
from foresail.domain.forecast import ForecastBlock
from foresail.domain.instruments import AssetClass
from foresail.domain.panel import Panel
from foresail.domain.signals import Intent, Weights
from foresail.engine.backtest import Backtest, pass_history, run_backtest
from foresail.engine.driver import BacktestInputs, Driver
from foresail.engine.history import history_events, history_pieces
from foresail.engine.parts import build_parts
from foresail.engine.risk_facts import risk_facts
from foresail.engine.settings import MarketData, PipelineSettings
from foresail.engine.walkforward import WalkForward
from foresail.evaluation.simulated_market import simulated_bar_set
from foresail.ledger.entries import FactKnown, ReductionBegun
from foresail.protocols import MarketView
from foresail.risk.accounts import trading_limits
from foresail.testing.builders import bar_panel

DAY = 86_400 * 10**9
NAMES = tuple(InstrumentId(f"sim.S0{i}.N{i}") for i in range(1, 5))


@dataclass
class Split:
    """Wants 3 % in each name at every decision."""

    every: int = 1
    names: int = 4

    @property
    def spec(self) -> Any:
        return SimpleNamespace(id="test/split@1", every=self.every, critical_inputs=())

    def start(self) -> dict[str, int]:
        return {}

    def step(self, state: dict[str, int], view: MarketView) -> Sequence[Intent]:
        return [Weights(tuple((name, 0.03) for name in view.instruments[: self.names]))]


def panel(bars: int = 150, slope: float = 1.0, **kind: Any) -> Panel:
    draw = np.random.default_rng(5)
    market = draw.normal(0, 0.01, bars)
    own = draw.normal(0, 0.002, (len(NAMES), bars))
    moves = own + np.array([slope, 1.0, 1.0, 1.0])[:, None] * market
    closes = {name: 100 * np.exp(np.cumsum(moves[i])) for i, name in enumerate(NAMES)}
    volumes = {name: [5e6] * bars for name in NAMES}  # as much as the price tiers of RISK-04 ask for
    return bar_panel(closes, fields={"volume": volumes}, **kind)


def data_of(bars: Panel, **more: Any) -> MarketData:
    return MarketData(
        bars, simulated_bar_set(bars), more.pop("reference", {}), np.full(len(bars.instruments), bars.shape[1]), **more
    )


def inputs_of(data: MarketData, profile: str = "institutional") -> BacktestInputs:
    none, n = np.empty(0, dtype=np.int64), len(data.bars.instruments)
    block = ForecastBlock(np.empty((n, 0, 1, 1, 1)), none, none, data.bars.instruments, ("close",), (1,), (0.5,), ())
    settings = PipelineSettings(
        capital=Decimal(100_000), horizons=(1,), decision_horizon=1, targets=("close",), profile=profile
    )
    return BacktestInputs(data, settings, data.bars, {}, WalkForward(block, ()), 252.0)


def backtest(data: MarketData, profile: str = "institutional", every: int = 1) -> Backtest:
    return run_backtest(inputs_of(data, profile), strategy=Split(every), first=0, limits=trading_limits(profile))


def told(data: MarketData, kind: str, first: int = 0) -> list[tuple[int, str | None, float]]:
    facts = risk_facts(data, trading_limits("institutional"), first)
    return [(one.available_at, one.instrument, one.value) for one in facts if one.kind == kind]


def test_the_institutional_profile_trades_once_betas_are_known() -> None:
    bars = panel()
    book = backtest(data_of(bars))
    assert len(book.fills) >= len(NAMES)
    first = min(one.filled_at for one in book.fills)
    betas = [one for one in book.journal if isinstance(one, FactKnown) and one.kind.startswith("beta:")]
    assert {one.kind for one in betas[:4]} == {f"beta:{name}" for name in NAMES}
    assert int(bars.end[59]) <= betas[0].at < first
    refused = [ruling.text for one in book.orders for ruling in one.rulings if one.order.decided_at < betas[0].at]
    assert any("60 days of bars" in text for text in refused)


def test_a_research_run_and_limits_without_a_profile_are_told_nothing() -> None:
    data = data_of(panel())
    assert risk_facts(data, None, 0) == ()
    assert risk_facts(data, replace(trading_limits("nasdaq"), profile=""), 0) == ()


def test_beta_is_what_a_regression_gives_and_knows_no_later_bar() -> None:
    bars = panel(slope=2.0)
    values = told(data_of(bars), "beta")
    own = [(at, value) for at, name, value in values if name == NAMES[0]]
    close = bars.field("close")
    for at, value in own:
        last = int(np.searchsorted(bars.available_at, at, side="right"))
        returns = close[:, 1:last] / close[:, : last - 1] - 1.0
        line = np.polyfit(returns.mean(axis=0), returns[0], 1)
        assert value == pytest.approx(line[0], abs=1e-6)
    changed = bars.values.copy()
    changed[:, 100:] *= 1.5
    again = told(data_of(replace(bars, values=changed)), "beta")
    before = int(bars.available_at[99])
    assert [one for one in values if one[0] <= before] == [one for one in again if one[0] <= before]


def test_beta_against_the_given_index_and_stored_betas_go_first() -> None:
    bars = panel(slope=2.0)
    level = 10 * bars.field("close")[1]
    data = data_of(bars, reference={"sp500": (bars.available_at, level)})
    of_index = [value for _at, name, value in told(data, "beta") if name == NAMES[1]]
    assert of_index == pytest.approx([1.0] * len(of_index), abs=1e-6)
    table = fact_table(
        [NAMES[1]] * 2, bars.end[[0, 40]], {"beta": np.array([0.5, 0.7])}, available_at=bars.end[[9, 50]]
    )
    given = [(at, value) for at, name, value in told(replace(data, facts={"b": table}), "beta") if name == NAMES[1]]
    assert given == [(int(bars.end[9]), 0.5), (int(bars.end[50]), 0.7)]


def test_vix_is_told_as_it_changes_and_is_not_known_after_a_silence() -> None:
    bars = panel(30)
    times, values = bars.end[[2, 3, 4, 5, 20]], np.array([20.0, 20.0, 30.0, 31.0, 18.0])
    data = data_of(bars, reference={"vix": (times, values)})
    found = told(data, "vix")
    nan = float("nan")
    assert [value for _at, _name, value in found] == pytest.approx([20.0, 30.0, 31.0, nan, 18.0, nan], nan_ok=True)
    assert found[0][0] == bars.end[2]
    assert bars.end[5] + 4 * DAY < found[3][0] < bars.end[20]
    assert told(data, "vix", first=6)[0] == (int(bars.start[6]), None, 31.0)


def test_fear_cuts_positions_of_a_backtest() -> None:
    bars = panel(80)
    fear = np.where(np.arange(80) < 40, 20.0, 28.0)
    book = backtest(data_of(bars, reference={"vix": (bars.available_at, fear)}), profile="multi-asset")
    (cut,) = [one for one in book.journal if isinstance(one, ReductionBegun)]
    assert (cut.rule, cut.at) == ("SIZE-10 VIX", int(bars.available_at[40]))
    assert book.exposure[45] == pytest.approx(0.7 * book.exposure[38], rel=0.05)


@pytest.mark.parametrize("frame", ["1d", "1h"])
def test_the_volatility_of_bitcoin_is_known_with_the_day_that_ends(frame: str) -> None:
    per_day = 24 if frame == "1h" else 1
    draw = np.random.default_rng(2)
    name = InstrumentId("crypto.BINANCE.BTC-USDT")
    closes = 100 * np.exp(np.cumsum(draw.normal(0, 0.01, 40 * per_day)))
    bars = bar_panel({name: closes}, frame=frame, calendar="24/7", first_day="2024-01-01")
    like = simulated_bar_set(panel(3))
    one = replace(like.instruments[0], id=name, asset_class=AssetClass.CRYPTO)
    kind = replace(like, asset_class=AssetClass.CRYPTO, instruments=(one,))
    found = told(MarketData(bars, kind, {}, np.full(1, bars.shape[1])), "btc_volatility_30d")
    days = closes[per_day - 1 :: per_day]
    at, _name, value = found[-1]
    last = int(np.searchsorted(bars.available_at, at, side="right")) - 1
    over = (last + 1) // per_day if frame == "1d" else last // per_day
    moves = np.diff(np.log(days[:over]))[-30:]
    assert value == pytest.approx(np.std(moves, ddof=1) * np.sqrt(365), abs=1e-6)
    assert len(moves) == 30


@pytest.mark.parametrize("names", [0, 1, 4])
@pytest.mark.parametrize("every", [1, 5])
def test_facts_pass_in_stretches_as_one_by_one(every: int, names: int) -> None:
    bars = panel(120, frame="1h", calendar="24/7", first_day="2024-01-01")
    fear = np.where((np.arange(120) > 60) & (np.arange(120) < 90), 28.0, 20.0)
    data = data_of(bars, reference={"vix": (bars.available_at + 60 * 10**9, fear)})
    limits = trading_limits("multi-asset")
    facts = risk_facts(data, limits, 0)
    assert facts
    pieces: list[Any] = list(history_pieces(bars, 0, every, facts))
    assert any(isinstance(one, range) and len(one) > 20 for one in pieces)
    journals = []
    for together in (True, False):
        parts = build_parts(bars, data.bar_set, inputs_of(data).settings, strategy=Split(every, names), explain=None)
        driver = Driver(inputs_of(data, "multi-asset"), parts, limits)
        driver.deposit(int(bars.start[0]))
        if together:
            pass_history(driver, bars, 0, every, facts=facts)
        else:
            for event in history_events(bars, 0, every, facts):
                driver.apply(event)
        journals.append(driver.journal.entries)
    assert journals[0] == journals[1]
    assert any(isinstance(one, ReductionBegun) for one in journals[0])


@pytest.mark.parametrize("own", [True, False])
def test_pairs_are_closed_before_major_news_and_not_opened_again_until_it_passed(own: bool) -> None:
    pairs = [InstrumentId("fx.EUR-USD"), InstrumentId("fx.GBP-USD")]
    flat = {name: [1.1] * 60 for name in pairs}
    bars = bar_panel(flat, frame="1h", calendar="24/7", first_day="2024-01-02")
    ends = bars.start[0] + np.arange(1, 61) * 900 * 10**9
    bars = replace(bars, frame="15m", start=ends - 900 * 10**9, end=ends, available_at=ends)
    like = simulated_bar_set(panel(3))
    records = tuple(
        replace(like.instruments[0], id=name, asset_class=AssetClass.FOREX, tick=Decimal("0.00001")) for name in pairs
    )
    kind = replace(like, asset_class=AssetClass.FOREX, instruments=records)
    when = bars.end[[40]]
    calendar = fact_table([pairs[0] if own else ""], when, {"news": np.array([3.0])}, available_at=bars.end[[1]])
    data = MarketData(bars, kind, {}, np.full(2, 60), facts={"calendar": calendar})
    facts = risk_facts(data, trading_limits("multi-asset"), 0)
    assert [(one.available_at, one.value) for one in facts] == [(int(bars.end[38]), float(when[0]) / 1e9)]
    strategy = Split(names=2)
    inputs = replace(inputs_of(data, "multi-asset"), settings=replace(inputs_of(data).settings, profile="multi-asset"))
    book = run_backtest(inputs, strategy=strategy, first=0, limits=trading_limits("multi-asset"))
    held = {name: np.zeros(60) for name in pairs}
    for one in book.fills:
        bar = int(np.searchsorted(bars.end, one.filled_at, side="right"))
        held[one.instrument][bar:] += float(one.quantity) * (1 if one.side.value == "buy" else -1)
    assert (held[pairs[0]][30] > 0, held[pairs[0]][39:41].tolist(), held[pairs[0]][45] > 0) == (True, [0.0, 0.0], True)
    assert (held[pairs[1]][39] > 0) == own
    assert any("major news" in ruling.text for one in book.orders for ruling in one.rulings)
