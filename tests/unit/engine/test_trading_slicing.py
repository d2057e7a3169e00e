"""Large orders leave in slices, in a backtest and on disk alike; no parent is outgrown, and a restart goes on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from foresail.core.canonical import canonical_bytes
from foresail.core.errors import ConfigError, IntegrityError
from foresail.core.ids import InstrumentId, OrderId
from foresail.domain.events import BarsClosed, Fact, Operator, Rank
from foresail.domain.forecast import ForecastBlock
from foresail.domain.orders import Order, OrderKind
from foresail.domain.panel import Panel
from foresail.domain.signals import Cancel, Intent, OrderIntent, Side
from foresail.engine.driver import BacktestInputs, history_parts
from foresail.engine.history import history_events
from foresail.engine.parts import build_parts
from foresail.engine.settings import MarketData, PipelineSettings
from foresail.engine.trading.account import AccountRun, StreamRules
from foresail.engine.trading.core import TradingCore
from foresail.engine.trading.netted import Sleeve, with_sleeves
from foresail.engine.trading.parts import TradingParts
from foresail.engine.trading.shell import Shell
from foresail.engine.trading.simulated import SimulatedLink
from foresail.engine.trading.slicing import Slicer, SliceSettings
from foresail.engine.trading.volumes import PanelVolumes
from foresail.engine.walkforward import WalkForward
from foresail.evaluation.simulated_market import simulated_bar_set
from foresail.execution.slicing import SliceMethod
from foresail.ledger.entries import AlertRaised, OrderIntended, SliceStarted, SliceStopped
from foresail.ledger.journal import Journal
from foresail.ledger.recovery import Session
from foresail.ledger.slices import SliceBook, slice_id
from foresail.protocols import MarketView
from foresail.testing.builders import bar_panel
from foresail.testing.disk import PessimisticDisk

D = Decimal
NAME = InstrumentId("sim.S01.AAA")
DAY = 86_400 * 10**9
BARS = 30


@dataclass
class Once:
    """Asks for one large order at its third decision, and may take it back later."""

    quantity: int = 600
    cancel_at: int = 0
    side: Side = Side.BUY
    id: str = "test/once@1"
    every: int = 1

    @property
    def spec(self) -> Any:
        return SimpleNamespace(id=self.id, every=self.every, critical_inputs=())

    def start(self) -> dict[str, int]:
        return {"n": 0}

    def step(self, state: dict[str, int], view: MarketView) -> Sequence[Intent]:

        state["n"] += 1
        if state["n"] == 3:
            return [OrderIntent(NAME, self.side, D(self.quantity))]
        return [Cancel(NAME)] if state["n"] == self.cancel_at else []


def panel(volume: float = 10_000.0) -> Panel:
    closes = {"sim.S01.AAA": np.full(BARS, 50.0), "sim.S02.BBB": np.full(BARS, 20.0)}
    volumes = {"volume": {name: np.full(BARS, volume) for name in closes}}
    return bar_panel(closes, fields=volumes)


def make(
    bars: Panel, settings: SliceSettings | None, strategy: Once, environment: str = "backtest"
) -> tuple[TradingParts, SimulatedLink]:
    none = np.empty(0, dtype=np.int64)
    block = ForecastBlock(np.empty((2, 0, 1, 1, 1)), none, none, bars.instruments, ("close",), (1,), (0.5,), ())
    data = MarketData(bars, simulated_bar_set(bars), {}, np.full(2, BARS), None)
    wide = PipelineSettings(
        capital=D(1_000_000), horizons=(1,), decision_horizon=1, targets=("close",), profile="low-latency"
    )
    inputs = BacktestInputs(data, wide, bars, {}, WalkForward(block, ()), 252.0)
    built = build_parts(bars, data.bar_set, wide, strategy=strategy, explain=None)
    parts, link = history_parts(inputs, built, account="t", environment=environment)
    slicer = None if settings is None else Slicer(settings, PanelVolumes(bars), parts.instruments)
    return replace(parts, slicer=slicer), link


TWAP = SliceSettings(SliceMethod.TWAP, count=4, interval_ns=2 * DAY)


def run(settings: SliceSettings | None, strategy: Once | None = None, bars: Panel | None = None) -> TradingCore:
    shown = panel() if bars is None else bars
    parts, link = make(shown, settings, Once() if strategy is None else strategy)
    core = TradingCore(parts, Journal())
    core.begin(int(shown.start[0]), D(1_000_000))
    shell = Shell(core, link)
    for event in history_events(shown, 0, 1):
        shell.apply(event)
    return core


def children(core: TradingCore) -> list[Order]:
    return [one.order for one in core._writer if isinstance(one, OrderIntended)]  # type: ignore[attr-defined]


def test_a_large_order_leaves_in_equal_parts_at_its_instants() -> None:
    core = run(TWAP)
    orders = children(core)
    (started,) = [one for one in core._writer if isinstance(one, SliceStarted)]  # type: ignore[attr-defined]
    assert [one.quantity for one in orders] == [D(150)] * 4
    assert [one.id for one in orders] == [slice_id(started.parent, "twap", number) for number in range(4)]
    assert all(order.decided_at >= at for order, (at, _units) in zip(orders, started.slices, strict=True))
    assert core.books.quantity(NAME) == 600
    assert not core.slices.is_busy


def test_without_a_slicer_or_below_the_share_an_order_leaves_at_once() -> None:
    for core in (run(None), run(TWAP, Once(quantity=100)), run(TWAP, bars=panel(float("nan")))):
        assert len(children(core)) == 1
        assert not any(isinstance(one, SliceStarted) for one in core._writer)  # type: ignore[attr-defined]


def test_participation_follows_the_volume_that_was_traded() -> None:
    core = run(SliceSettings(SliceMethod.POV, count=6, interval_ns=2 * DAY, participation=D("0.01")))
    sent, total = children(core), D(0)
    (started,) = [one for one in core._writer if isinstance(one, SliceStarted)]  # type: ignore[attr-defined]
    volumes = PanelVolumes(panel())
    for order in sent:
        total += order.quantity
        assert total <= volumes.traded(NAME, started.at, order.decided_at) * D("0.01")
    assert 0 < total <= 600
    assert len(sent) > 2


def test_a_profile_weights_the_parts_of_a_day() -> None:
    hours = 24 * 12
    at = np.arange(hours)  # the axis of a day and night calendar begins at midnight
    closes = {"crypto.X.BTC-USD": np.full(hours, 50.0)}
    shape = {"volume": {"crypto.X.BTC-USD": np.where(at % 24 < 12, 3000.0, 1000.0)}}
    bars = bar_panel(closes, frame="1h", calendar="24/7", fields=shape)
    volumes, name = PanelVolumes(bars), bars.instruments[0]
    now = int(bars.end[24 * 8 - 1])
    instants = [now + k * 6 * 3600 * 10**9 for k in range(4)]
    midnight = int(bars.start[0])
    expected = tuple(
        D("3000.0") if (one - midnight) // (12 * 3600 * 10**9) % 2 == 0 else D("1000.0") for one in instants
    )
    assert volumes.profile(name, instants, now) == expected
    slicer = Slicer(
        SliceSettings(SliceMethod.VWAP, count=4, interval_ns=6 * 3600 * 10**9), volumes,
        {name: SimpleNamespace(lot=D(1))},  # type: ignore[dict-item]
    )  # fmt: skip
    order = Order(OrderId("1" * 32), name, Side.BUY, D(8000), OrderKind.MARKET, now)
    content = slicer.started(order, now)
    assert content is not None
    assert [units for _at, units in content["slices"]] == [one * D(8000) / sum(expected) for one in expected]


def test_a_cancel_or_a_kill_stops_what_has_not_left() -> None:
    for strategy, command in ((Once(cancel_at=6), ""), (Once(), "kill")):
        bars = panel()
        parts, link = make(bars, TWAP, strategy)
        core = TradingCore(parts, Journal())
        core.begin(int(bars.start[0]), D(1_000_000))
        shell = Shell(core, link)
        for event in history_events(bars, 0, 1):
            shell.apply(event)
            if command and isinstance(event, BarsClosed) and event.position == 5:
                at = core.books.at
                shell.settle(core.step(Operator(at, at, Rank.DECISION, source="ada", command=command)))
        assert core.books.quantity(NAME) == 300
        assert any(isinstance(one, SliceStopped) for one in core._writer)  # type: ignore[attr-defined]
        assert not core.slices.is_busy


def test_a_split_stops_what_has_not_left() -> None:
    """Units and levels of the parent are of before; what is held is restated, and the strategy decides anew."""
    bars = panel()
    parts, link = make(bars, TWAP, Once())
    core = TradingCore(parts, Journal())
    core.begin(int(bars.start[0]), D(1_000_000))
    shell = Shell(core, link)
    for event in history_events(bars, 0, 1):
        shell.apply(event)
        if isinstance(event, BarsClosed) and event.position == 5:
            at = core.books.at
            shell.apply(Fact(at, at, Rank.CORPORATE_ACTION, "bars", NAME, kind="split", value=2.0))
            (stopped,) = [one for one in core._writer if isinstance(one, SliceStopped)]  # type: ignore[attr-defined]
            assert stopped.text == "the instrument was split"
            told = [one.text for one in core._writer if isinstance(one, AlertRaised)]  # type: ignore[attr-defined]
            assert any("was split: 300 of 600 units" in text for text in told)
    assert core.books.quantity(NAME) == 600  # 300 had left
    assert len(children(core)) == 2
    assert not core.slices.is_busy


def test_the_rest_of_an_exit_leaves_after_a_split_too() -> None:
    bars = panel()
    parts, link = make(bars, TWAP, Leave())
    core = TradingCore(parts, Journal())
    core.begin(int(bars.start[0]), D(1_000_000))
    shell, split_at = Shell(core, link), 17
    for event in history_events(bars, 0, 1):
        shell.apply(event)
        if isinstance(event, BarsClosed) and event.position == split_at:
            (state,) = core.slices.open()
            left = state.left
            assert left == 300
            at = core.books.at
            shell.apply(Fact(at, at, Rank.CORPORATE_ACTION, "bars", NAME, kind="split", value=1.5))
            (state,) = core.slices.open()
            assert state.left == left * D("1.5")
            kept = SliceBook.from_plain(core.slices.to_plain())
            assert [one.slices for one in kept.open()] == [state.slices]
    assert core.books.quantity(NAME) == 0
    assert not core.slices.is_busy


@dataclass
class Leave(Once):
    """Buys, and later sells all of it, once."""

    def step(self, state: dict[str, int], view: MarketView) -> Sequence[Intent]:
        state["n"] += 1
        wanted = {3: Side.BUY, 16: Side.SELL}.get(state["n"])
        return [] if wanted is None else [OrderIntent(NAME, wanted, D(self.quantity))]


def test_what_is_still_to_leave_counts_as_on_order() -> None:
    bars = panel()
    parts, link = make(bars, TWAP, Once())
    core = TradingCore(parts, Journal())
    core.begin(int(bars.start[0]), D(1_000_000))
    shell = Shell(core, link)
    for event in history_events(bars, 0, 1)[:14]:
        shell.apply(event)
    held = core.books.quantity(NAME)
    assert 0 < held < 600
    assert core.pending()[NAME] + held == 600


def test_an_exit_never_waits() -> None:
    parts, _link = make(panel(), TWAP, Once())
    assert parts.slicer is not None
    order = Order(OrderId("2" * 32), NAME, Side.SELL, D(5000), OrderKind.MARKET, 0, reduce_only=True)
    assert parts.slicer.started(order, int(panel().end[10])) is None


@pytest.mark.parametrize("method", list(SliceMethod))
def test_a_restart_at_any_event_goes_on_with_the_next_slice(method: SliceMethod) -> None:
    bars, session = panel(), Session("paper", "t", "1", "s")
    settings = SliceSettings(method, count=4, interval_ns=2 * DAY, participation=D("0.01"))
    rules = StreamRules(
        snapshot_every=5, commit_every=1, begin=lambda core: core.begin(int(bars.start[0]), D(1_000_000))
    )
    events = history_events(bars, 0, 1)

    def to_end(disk: PessimisticDisk, stops: Sequence[int]) -> dict[str, Any]:
        for stop in (*stops, len(events)):
            live = AccountRun.open(*make(bars, settings, Once(), "paper"), disk, session, rules)
            for event in events[live.applied : stop]:
                live.apply(event)
            plain = live.core.to_plain()
            live.close()
        return {name: plain[name] for name in ("orders", "slices")}

    whole = to_end(PessimisticDisk(), ())
    assert len(whole["orders"]["orders"]) > 2
    for first in range(4, 22, 3):
        assert canonical_bytes(to_end(PessimisticDisk(), (first, first + 1))) == canonical_bytes(whole)


def test_a_backtest_and_a_paper_account_send_the_same_children() -> None:
    bars, session = panel(), Session("paper", "t", "1", "s")
    rules = StreamRules(begin=lambda core: core.begin(int(bars.start[0]), D(1_000_000)))
    live = AccountRun.open(*make(bars, TWAP, Once()), PessimisticDisk(), session, rules)
    for event in history_events(bars, 0, 1):
        live.apply(event)
    told = [state.order for state in map(live.core.orders.get, [one.id for one in children(run(TWAP))]) if state]
    assert told == children(run(TWAP))


def test_children_that_outgrow_their_parent_stop_the_core() -> None:
    parent = Order(OrderId("3" * 32), NAME, Side.BUY, D(10), OrderKind.MARKET, 5)
    book = SliceBook()
    book.apply(SliceStarted(5, 0, parent, "twap", ((5, D(5)), (9, D(5)))))
    for number, units in ((0, 5), (1, 6)):
        child = replace(parent, id=slice_id(parent, "twap", number), quantity=D(units))
        entry = OrderIntended(9, 1 + number, child)
        if number:
            with pytest.raises(IntegrityError, match="11 units of 10"):
                book.apply(entry)
        else:
            book.apply(entry)
            assert SliceBook.from_plain(book.to_plain()).to_plain() == book.to_plain()


def test_slices_of_a_net_order_belong_to_those_who_wished_for_it() -> None:
    bars = panel()
    parts, link = make(bars, TWAP, Once())
    own = [Sleeve(Once(id="test/a@1"), D("0.5")), Sleeve(Once(quantity=40, id="test/b@1"), D("0.5"))]
    core = TradingCore(with_sleeves(parts, own), Journal())
    core.begin(int(bars.start[0]), D(1_000_000))
    shell = Shell(core, link)
    for event in history_events(bars, 0, 1):
        shell.apply(event)
    assert core.strategies is not None
    assert core.strategies.holdings() == {("test/a@1", NAME): D(600), ("test/b@1", NAME): D(40)}


def test_wrong_settings_are_refused() -> None:
    for content in ({"count": 0}, {"participation": D(0)}, {"interval_ns": 0}, {"share": D(-1)}):
        with pytest.raises(ConfigError, match="slices need"):
            SliceSettings(**content)  # type: ignore[arg-type]
