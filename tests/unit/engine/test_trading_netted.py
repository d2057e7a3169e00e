"""Several strategies on one account: the books of all add up to the account's at all times, in backtest and on disk."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foresail.core.canonical import canonical_bytes
from foresail.core.errors import ConfigError
from foresail.domain.events import Operator, Rank
from foresail.domain.forecast import ForecastBlock
from foresail.domain.panel import Panel
from foresail.domain.signals import Intent, OrderIntent, Side, Weights
from foresail.engine.driver import BacktestInputs, history_parts
from foresail.engine.history import history_events
from foresail.engine.parts import build_parts
from foresail.engine.settings import MarketData, PipelineSettings
from foresail.engine.strategy_choices import StrategyLimits
from foresail.engine.trading.account import AccountRun, StreamRules
from foresail.engine.trading.core import TradingCore
from foresail.engine.trading.netted import Sleeve, with_sleeves
from foresail.engine.trading.parts import TradingParts
from foresail.engine.trading.shell import Shell
from foresail.engine.trading.simulated import SimulatedLink
from foresail.engine.trading_settings import TradingSettings, VenueChoice
from foresail.engine.walkforward import WalkForward
from foresail.evaluation.simulated_market import simulated_bar_set
from foresail.ledger.entries import SharesPlanned
from foresail.ledger.journal import Journal
from foresail.ledger.recovery import Session
from foresail.protocols import MarketView
from foresail.testing.builders import small_panel
from foresail.testing.disk import PessimisticDisk

D = Decimal


@dataclass
class Wheel:
    """Wants a name by turns, shorts where it may, and asks for an order of its own now and then."""

    id: str
    turn: int
    every: int = 1
    weight: float = 0.3

    @property
    def spec(self) -> Any:
        return SimpleNamespace(id=self.id, every=self.every, critical_inputs=())

    def start(self) -> dict[str, int]:
        return {"n": 0}

    def step(self, state: dict[str, int], view: MarketView) -> Sequence[Intent]:
        state["n"] += 1
        n, names = state["n"], view.instruments
        if n % 4 == 3:
            return []
        first, second = names[n * self.turn % len(names)], names[(n + self.turn) % len(names)]
        out: list[Intent] = [Weights(((first, self.weight), (second, self.weight / 2))[: 1 + (first != second)])]
        if n % 5 == self.turn % 5:
            side = Side.BUY if n % 2 else Side.SELL
            out.append(OrderIntent(names[n % len(names)], side, D(1 + n % 7), "market", leg="own"))
        return out


def inputs_of(bars: Panel) -> BacktestInputs:
    none = np.empty(0, dtype=np.int64)
    n = bars.shape[0]
    block = ForecastBlock(np.empty((n, 0, 1, 1, 1)), none, none, bars.instruments, ("close",), (1,), (0.5,), ())
    data = MarketData(bars, simulated_bar_set(bars), {}, np.full(n, bars.shape[1]), None)
    wide = PipelineSettings(
        capital=D(100_000), horizons=(1,), decision_horizon=1, targets=("close",), profile="low-latency"
    )
    return BacktestInputs(data, wide, bars, {}, WalkForward(block, ()), 252.0)


def sleeves() -> list[Sleeve]:
    return [
        Sleeve(Wheel("test/a@1", 1), D("0.5")),
        Sleeve(Wheel("test/b@1", 2, every=2), D("0.3")),
        Sleeve(Wheel("test/c@2", 3), D("0.2"), StrategyLimits(max_position=0.004, max_gross=0.005)),
    ]


def make(
    bars: Panel, environment: str = "backtest", own: list[Sleeve] | None = None, latency: int = 0
) -> tuple[TradingParts, SimulatedLink]:
    inputs = inputs_of(bars)
    inputs = replace(
        inputs, settings=replace(inputs.settings, trading=TradingSettings(venue=VenueChoice(latency_bars=latency)))
    )
    built = build_parts(bars, inputs.data.bar_set, inputs.settings, strategy=Wheel("x@1", 1), explain=None)
    parts, link = history_parts(inputs, built, account="t", environment=environment)
    return with_sleeves(parts, sleeves() if own is None else own), link


def check(core: TradingCore) -> None:
    """Strategies, the house included, add up to the account: units and cash."""
    books = core.strategies
    assert books is not None
    held: dict[Any, Decimal] = {}
    for (_name, one), units in books.holdings().items():
        held[one] = held.get(one, D(0)) + units
    assert {k: v for k, v in held.items() if v} == {p.instrument: p.quantity for p in core.books.positions()}
    own = [books.money(name) for name in books.names()]
    assert sum((one.cash for one in own), D(0)) == core.books.totals().cash
    assert sum((one.fees for one in own), D(0)) == core.books.totals().fees


def run(bars: Panel, *, until: int | None = None, own: list[Sleeve] | None = None) -> TradingCore:
    parts, link = make(bars, own=own)
    core = TradingCore(parts, Journal())
    core.begin(int(bars.start[0]), D(100_000))
    shell = Shell(core, link)
    for event in history_events(bars, 0, 1)[:until]:
        shell.apply(event)
        check(core)
    return core


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 10**6))
def test_the_books_of_all_strategies_add_up_after_every_event(seed: int) -> None:
    core = run(small_panel(4, 40, seed=seed))
    entries = list(core._writer)  # type: ignore[call-overload]
    planned = [one for one in entries if isinstance(one, SharesPlanned)]
    assert any(one.crossed for one in planned)
    assert sum(len(one.wishes) > 1 for one in planned) > 0
    assert all(any(key[0] == name for key in core.strategies.holdings()) for name in ("test/a@1", "test/b@1"))  # type: ignore[union-attr]


def test_a_restart_from_the_journal_or_from_disk_knows_every_book() -> None:
    bars = small_panel(4, 50, seed=5)
    disk, session = PessimisticDisk(), Session("paper", "t", "1", "s")
    rules = StreamRules(
        snapshot_every=13, commit_every=2, begin=lambda core: core.begin(int(bars.start[0]), D(100_000))
    )
    events, told = history_events(bars, 0, 1), []
    for stop in (17, 18, 60, len(events)):
        live = AccountRun.open(*make(bars, "paper"), disk, session, rules)
        for event in events[live.applied : stop]:
            live.apply(event)
            check(live.core)
        told.append(live.core.to_plain())
        live.close()
    whole = AccountRun.open(*make(bars, "paper"), PessimisticDisk(), session, rules)
    for event in events:
        whole.apply(event)
    strategies = whole.core.to_plain()["strategies"]
    assert canonical_bytes(told[-1]["strategies"]) == canonical_bytes(strategies)


def test_folding_the_journal_gives_the_same_books() -> None:
    bars = small_panel(4, 40, seed=9)
    parts, link = make(bars)
    core = TradingCore(parts, Journal())
    core.begin(int(bars.start[0]), D(100_000))
    shell = Shell(core, link)
    for event in history_events(bars, 0, 1):
        shell.apply(event)
    other = TradingCore(make(bars)[0], Journal(core._writer))  # type: ignore[call-overload]
    other.recover(None, core._writer)  # type: ignore[arg-type]
    assert canonical_bytes(other.to_plain()) == canonical_bytes(core.to_plain())


def test_a_strategy_stays_within_its_own_caps() -> None:
    bars = small_panel(4, 40, seed=2)
    parts, link = make(bars)
    core = TradingCore(parts, Journal())
    core.begin(int(bars.start[0]), D(100_000))
    shell = Shell(core, link)
    largest = 0.0
    for event in history_events(bars, 0, 1):
        shell.apply(event)
        books, equity = core.strategies, float(core.books.equity())
        assert books is not None
        values = [float(p.quantity * (core.books.marks[p.instrument])) for p in books.positions("test/c@2")]
        largest = max([largest, *(abs(one) / equity for one in values)])
        assert sum(abs(one) for one in values) <= 0.0065 * equity
    assert 0.002 < largest <= 0.005


def test_a_halted_strategy_only_makes_its_own_positions_smaller() -> None:
    bars = small_panel(4, 40, seed=4)
    parts, link = make(bars)
    core = TradingCore(parts, Journal())
    core.begin(int(bars.start[0]), D(100_000))
    shell = Shell(core, link)
    events = history_events(bars, 0, 1)
    for event in events[:30]:
        shell.apply(event)
    at, books = core.books.at, core.strategies
    assert books is not None
    assert books.positions("test/a@1")
    shell.settle(core.step(Operator(at, at, Rank.DECISION, source="ada", command="halt test/a@1")))
    others = 0
    for event in events[30:]:
        before = {p.instrument: p.quantity for p in books.positions("test/a@1")}
        open_own = {one.order.id for one in core.orders.open()}
        shell.apply(event)
        check(core)
        after = {p.instrument: p.quantity for p in books.positions("test/a@1")}
        if not open_own:
            assert all(abs(units) <= abs(before.get(name, D(0))) for name, units in after.items())
        others += len(books.positions("test/b@1"))
    assert others > 0
    assert not books.positions("test/a@1")


def test_sleeves_that_do_not_fit_together_are_refused() -> None:
    bars = small_panel(3, 10, seed=1)
    one = Sleeve(Wheel("test/a@1", 1), D("0.6"))
    with pytest.raises(ConfigError, match="ids of their own"):
        make(bars, own=[one, one])
    with pytest.raises(ConfigError, match=r"add up to 1\.2"):
        make(bars, own=[one, Sleeve(Wheel("test/b@1", 1), D("0.6"))])
    with pytest.raises(ConfigError, match="one strategy desk"):
        with_sleeves(make(bars)[0], [one])
    with pytest.raises(ConfigError, match="max_gross"):
        replace(StrategyLimits(), max_gross=-1.0)
