"""An account on disk: power cuts at any operation, starts at any event, people's commands; the books end the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from foresail.core.errors import IntegrityError, JournalStoppedError
from foresail.domain.events import Event, Fact, Rank, event_key
from foresail.domain.forecast import ForecastBlock
from foresail.domain.panel import Panel
from foresail.domain.signals import Intent, OrderIntent, Side, Weights
from foresail.engine.driver import BacktestInputs, Driver, history_parts
from foresail.engine.history import history_events
from foresail.engine.parts import build_parts
from foresail.engine.settings import MarketData, PipelineSettings
from foresail.engine.trading.account import AccountRun, StreamRules
from foresail.engine.walkforward import WalkForward
from foresail.evaluation.simulated_market import simulated_bar_set
from foresail.ledger.disk import Disk
from foresail.ledger.entries import OperatorActed, OrderCancelled, OrderIntended, SessionStarted, TradingHalted
from foresail.ledger.recovery import Session, read_entries
from foresail.protocols import MarketView
from foresail.testing.builders import small_panel
from foresail.testing.disk import PessimisticDisk, PowerCutError

SESSION = Session("paper", "t", "1", "s")


@dataclass
class Rotator:
    """Holds two names in turn, places a far limit order now and then, and counts in its memory."""

    id: str = "test/rotator@1"
    every: int = 2

    @property
    def spec(self) -> Any:
        return SimpleNamespace(id=self.id, every=self.every, critical_inputs=())

    def start(self) -> dict[str, int]:
        return {"n": 0}

    def step(self, state: dict[str, int], view: MarketView) -> Sequence[Intent]:
        state["n"] += 1
        names = view.instruments
        first = state["n"] // 3 % len(names)
        weights = Weights(((names[first], 0.1), (names[(first + 1) % len(names)], 0.05)))
        if state["n"] % 4 == 1:
            return [weights, OrderIntent(names[-1], Side.BUY, Decimal(5), "limit", Decimal("1.00"), leg="far")]
        return [weights]


@dataclass(frozen=True)
class World:
    """One stream; every start gets fresh parts, as a new process would."""

    bars: Panel
    lies: tuple[int, ...] = ()  # bars at whose end the venue says that it holds something else

    def inputs(self) -> BacktestInputs:
        bars = self.bars
        none = np.empty(0, dtype=np.int64)
        block = ForecastBlock(
            np.empty((bars.shape[0], 0, 1, 1, 1)), none, none, bars.instruments, ("close",), (1,), (0.5,), ()
        )
        data = MarketData(bars, simulated_bar_set(bars), {}, np.full(bars.shape[0], bars.shape[1]), None)
        settings = PipelineSettings(capital=Decimal(100_000), horizons=(1,), decision_horizon=1, targets=("close",))
        return BacktestInputs(data, settings, bars, {}, WalkForward(block, ()), 252.0)

    def events(self) -> tuple[Event, ...]:
        said = [
            Fact(end, end, Rank.FEATURES, "venue", name, kind="position", value=12_345.0)
            for end in (int(self.bars.end[bar]) for bar in self.lies)
            for name in self.bars.instruments
        ]
        return tuple(sorted((*history_events(self.bars, 0, 2), *said), key=event_key))

    def open(self, disk: Disk, *, snapshot_every: int = 1000, stream: tuple[Event, ...] = ()) -> AccountRun:
        inputs = self.inputs()
        built = build_parts(inputs.data.bars, inputs.data.bar_set, inputs.settings, strategy=Rotator(), explain=None)
        parts, link = history_parts(inputs, built, account="t", environment="paper")
        rules = StreamRules(
            snapshot_every=snapshot_every,
            commit_every=3,
            begin=lambda core: core.deposit(int(self.bars.start[0]), Decimal(100_000), "USD"),
            stream=stream,
        )
        return AccountRun.open(parts, link, disk, SESSION, rules)

    def to_end(self, disk: Disk, *, stop: int | None = None, snapshot_every: int = 1000) -> AccountRun:
        run = self.open(disk, snapshot_every=snapshot_every)
        events = self.events()
        for event in events[run.applied : len(events) if stop is None else stop]:
            run.apply(event)
        return run


@pytest.fixture(scope="module")
def world() -> World:
    return World(small_panel(4, 60, seed=3))


def told(run: AccountRun) -> tuple[Any, ...]:
    """What must be equal however often the process died; sequence numbers count the starts, so they are left out."""
    books, orders = run.core.books.state(), run.core.orders.to_plain()
    return replace(books, entries=0), orders, run.core.reader.to_plain(), run.link.to_plain()


def test_an_account_ends_with_the_books_of_the_backtest(world: World) -> None:
    run = world.to_end(PessimisticDisk())
    inputs = world.inputs()
    driver = Driver(
        inputs, build_parts(inputs.data.bars, inputs.data.bar_set, inputs.settings, strategy=Rotator(), explain=None)
    )
    driver.deposit(int(world.bars.start[0]))
    for event in world.events():
        driver.apply(event)
    assert len(driver.fills) > 20
    assert run.core.books.totals() == driver.core.books.totals()
    assert run.core.books.positions() == driver.core.books.positions()


@pytest.mark.parametrize("snapshot_every", [7, 1000])
def test_power_cuts_at_any_operation_change_nothing(world: World, snapshot_every: int) -> None:
    whole = told(world.to_end(PessimisticDisk(), snapshot_every=snapshot_every))
    cuts = 0
    for seed in range(12):
        disk = PessimisticDisk(seed=seed)
        budget = 3 + 11 * seed
        while True:
            disk.arm(crash_in=budget)
            try:
                run = world.to_end(disk, snapshot_every=snapshot_every)
                break
            except (PowerCutError, JournalStoppedError):
                cuts += 1
                disk = disk.image()
                budget += 9
        assert told(run) == whole
    assert cuts > 20


def test_a_start_goes_on_where_the_stream_stood(world: World) -> None:
    whole = told(world.to_end(PessimisticDisk()))
    disk = PessimisticDisk()
    for stop in (10, 11, 40, 41):
        run = world.to_end(disk, stop=stop)
        run.snapshot() if stop % 2 else run.command("resume sim.S01.A", "me")
        run.close()
    run = world.to_end(disk)
    assert told(run) == whole
    assert sum(isinstance(one, SessionStarted) for one in read_entries(disk)) == 5


def test_a_kill_is_journalled_before_its_cancels_and_stays_until_rearmed(world: World) -> None:
    disk = PessimisticDisk()
    run = world.to_end(disk, stop=31)
    held = {p.instrument for p in run.core.books.positions()}
    assert held
    run.command("kill close", "ada")
    run.close()
    run = world.to_end(disk, stop=60)
    assert run.core.books.positions() == ()
    assert list(run.core.orders.open()) == []
    entries = list(read_entries(disk))
    acted = next(i for i, one in enumerate(entries) if isinstance(one, OperatorActed))
    assert isinstance(entries[acted + 1], TradingHalted)
    assert next(i for i, one in enumerate(entries) if isinstance(one, OrderCancelled)) > acted
    after = sum(isinstance(one, OrderIntended) for one in entries)
    run.command("rearm", "ada")
    for event in world.events()[run.applied :]:
        run.apply(event)
    assert sum(isinstance(one, OrderIntended) for one in read_entries(disk)) > after


def test_a_halt_of_the_core_after_a_latch_is_led_to_again_by_the_stream(world: World) -> None:
    lying, disk = replace(world, lies=(45,)), PessimisticDisk()
    run = lying.to_end(disk, stop=31)
    run.command("latch", "ada")
    run.command("unlatch", "ada")
    run.close()
    run = lying.to_end(disk)
    halted = dict(run.core.latches.halted)
    assert {why[0] for why in halted.values()} == {"EXEC-06 drift"}
    run.close()
    again = lying.to_end(disk)
    assert again.is_live
    assert dict(again.core.latches.halted) == halted


def test_another_stream_is_refused_instead_of_written_over(world: World) -> None:
    disk = PessimisticDisk()
    world.to_end(disk, stop=30).close()
    values = world.bars.values.copy()
    values[:, 12:14] *= 1.01
    with pytest.raises(IntegrityError, match="running the stream again gives"):
        World(replace(world.bars, values=values)).to_end(disk)


def test_a_stream_that_an_event_came_into_is_refused(world: World) -> None:
    disk, events = PessimisticDisk(), world.events()
    run = world.to_end(disk, stop=50)
    run.snapshot()
    run.close()
    longer = World(world.bars, lies=(3,)).events()
    with pytest.raises(IntegrityError, match="after event 50 of its stream"):
        world.open(disk, stream=longer)
    for one in (events, events[:20], ()):
        again = world.open(disk, stream=one)
        assert again.applied == 50
        again.close()


def test_a_snapshot_that_does_not_know_its_event_is_opened(world: World) -> None:
    disk = PessimisticDisk()
    run = world.to_end(disk, stop=50)
    run._newest = None  # as older versions stored it
    run.snapshot()
    run.close()
    again = world.open(disk, stream=World(world.bars, lies=(3,)).events())
    assert again.applied == 50
    again.close()
