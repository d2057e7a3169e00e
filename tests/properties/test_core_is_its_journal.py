"""The state of a core is the fold of its journal, byte for byte: facts, charges and memories included.

Random desks trade two names, one of them short and charged for it, while splits, dividends and facts arrive, bars come
late and reports are told twice. The journal goes through its bytes before it is folded.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foresail.core.canonical import canonical_bytes
from foresail.core.ids import InstrumentId, order_id
from foresail.domain.accounts import Position
from foresail.domain.effects import ReplaceSend
from foresail.domain.events import BarsClosed, Event, Fact, Rank, Timer, event_key
from foresail.domain.instruments import AssetClass, Instrument
from foresail.domain.orders import Order, OrderKind, Ruling
from foresail.domain.signals import Side
from foresail.engine.trading import concluding
from foresail.engine.trading.core import TradingCore
from foresail.engine.trading.market import PanelMarket
from foresail.engine.trading.parts import Attach, Decision, DeskCall, TradingParts
from foresail.engine.trading.shell import Shell
from foresail.engine.trading.simulated import SimulatedLink, VenueRules
from foresail.execution.costs import CostModel, CostSettings
from foresail.execution.simulated.settings import VenueSettings
from foresail.execution.simulated.venue import SimulatedVenue
from foresail.ledger.codec import decode_entry, encode_entry
from foresail.ledger.entries import (
    FactKnown,
    HoldingCharged,
    HoldingTimed,
    LevelsSet,
    OrderReplaced,
    Remembered,
    Reviewed,
)
from foresail.ledger.journal import Journal
from foresail.testing.builders import bar_panel
from foresail.testing.simulation.invariants import check_levels
from foresail.testing.simulation.trace import ViolationError

BARS = 24
MINUTE = 60 * 10**9
LATE = 2 * 10**9  # a bar is known so long after its end


class RandomDesk:
    """Buys, sells and shorts as its seed says, changes what waits, and remembers how often it was asked."""

    id, every = "test/random@1", 1

    def __init__(self, seed: int, names: Sequence[InstrumentId]) -> None:
        self._seed, self._names = seed, names

    def start(self) -> dict[str, Any]:
        return {"n": 0, "seen": []}

    def decide(self, memory: dict[str, Any], call: DeskCall) -> Decision:
        draw = random.Random(f"{self._seed} {call.at}")
        memory["n"] += 1
        if draw.random() < 0.5:
            memory["seen"].append(call.facts.get("vix"))
        if draw.random() < 0.3:
            return Decision()
        orders, changes = [], []
        for name in self._names:
            if draw.random() < 0.4:
                continue
            kind = OrderKind.LIMIT if draw.random() < 0.5 else OrderKind.MARKET
            side = draw.choice((Side.BUY, Side.SELL))
            level = Decimal(draw.randint(90, 110))
            identity = order_id(
                environment="test", account="t", strategy="random", version="1", decided_at_ns=call.at, leg=name
            )
            orders.append(
                Order(
                    identity, name, side, Decimal(draw.randint(1, 9)), kind, call.at,
                    limit_price=level if kind is OrderKind.LIMIT else None, **_levels(draw, side),
                )
            )  # fmt: skip
        for state in () if call.orders is None else call.orders.open():
            if state.order.kind is OrderKind.LIMIT and draw.random() < 0.5:
                total = state.order.quantity + draw.randint(-1, 3)
                changes.append(ReplaceSend(state.order.id, state.order.instrument, max(Decimal(1), total)))
        cancels = (self._names[0],) if draw.random() < 0.15 else ()
        hung = []
        for position in call.account.positions:
            if draw.random() < 0.3:
                levels = _levels(draw, Side.BUY if position.quantity > 0 else Side.SELL)
                both = [None if levels[key] is None else float(levels[key]) for key in ("stop_price", "target_price")]
                hung.append(Attach(position.instrument, *both))
        return Decision(tuple(orders), cancels, tuple(hung), changes=tuple(changes))


def _levels(draw: random.Random, side: Side) -> dict[str, Any]:
    """A stop and a target around 100, each of them in half of the cases."""
    low, high = (Decimal(draw.randint(*reach)) if draw.random() < 0.5 else None for reach in ((92, 97), (103, 108)))
    stop, target = (low, high) if side is Side.BUY else (high, low)
    return {"stop_price": stop, "target_price": target}


class Open:
    """A gate that lets everything pass."""

    def review(self, orders: Sequence[Order], view: Any) -> list[tuple[Order, tuple[Ruling, ...]]]:
        return [(order, ()) for order in orders]


def cost_of_holding(position: Position, notional: Decimal, since: int, until: int) -> Decimal:
    """A short pays by the minute."""
    if position.quantity >= 0:
        return Decimal(0)
    return Decimal(int(notional) * ((until - since) // MINUTE)).scaleb(-6)


class World:
    """One stream and everything that reads it, made afresh for every start."""

    def __init__(self, seed: int, grace: int) -> None:
        draw = np.random.default_rng(seed)
        closes = {name: 100 + draw.integers(-8, 9, BARS) for name in ("stock.US.AAA", "stock.US.BBB")}
        panel = bar_panel(closes)
        self.panel = replace(panel, available_at=panel.end + grace)
        self.records = {
            name: Instrument(name, name, AssetClass.STOCK, tick=Decimal("0.01")) for name in self.panel.instruments
        }
        self.seed = seed

    def parts(self) -> TradingParts:
        market = PanelMarket(self.panel, self.records, "USD")
        desk = RandomDesk(self.seed, self.panel.instruments)
        return TradingParts(
            "test", "t", "USD", self.records, market, (desk,), Open(), allow_short=True,
            holding_cost=cost_of_holding, facts={"vix": 12.0},
        )  # fmt: skip

    def events(self) -> list[Event]:
        panel, draw = self.panel, random.Random(self.seed)
        events: list[Event] = []
        for now in range(BARS):
            end = int(panel.end[now])
            events.append(BarsClosed(end + LATE, end, Rank.VENUE_FILL, sequence=now, frame="1d", position=now))
            events.append(Timer(int(panel.available_at[now]) + LATE, end, Rank.DECISION, sequence=now, name="decision"))
            if draw.random() < 0.4:
                value = float("nan") if draw.random() < 0.3 else draw.uniform(10, 40)
                kind, name = draw.choice((("vix", None), ("beta", panel.instruments[0])))
                heard = end + LATE // 2  # before the bar that closed earlier is known
                events.append(Fact(heard, end, Rank.CORPORATE_ACTION, "facts", name, kind=kind, value=value))
            if now and draw.random() < 0.2:
                kind, value = draw.choice((("split", 2.0), ("split", 0.5), ("dividend", 0.25)))
                start, name = int(panel.start[now]), draw.choice(panel.instruments)
                events.append(Fact(start, start, Rank.CORPORATE_ACTION, "bars", name, kind=kind, value=value))
        return sorted(events, key=event_key)

    def run(self) -> TradingCore:
        """Run to the end, every third report of the link told twice."""
        return self.run_with_link()[0]

    def run_with_link(self) -> tuple[TradingCore, SimulatedLink]:
        """The same, with the link that it ended with."""
        parts = self.parts()
        venue = SimulatedVenue(
            tuple(self.records.values()), CostModel(CostSettings(AssetClass.STOCK)), VenueSettings(allow_short=True)
        )
        market: Any = parts.market
        link = SimulatedLink(venue, market, VenueRules(AssetClass.STOCK, np.full(2, BARS, dtype=np.int64)))
        core = TradingCore(parts, Journal())
        core.begin(int(self.panel.start[0]), Decimal(100_000))
        told: list[Any] = []
        shell = Shell(core, link, heard=told.append)
        for event in self.events():
            before = len(told)
            shell.apply(event)
            for report in told[before::3]:
                shell.settle(core.step(report))
        return core, link


def folded(world: World, core: TradingCore) -> TradingCore:
    """Another core that reads the journal from its bytes."""
    entries = [decode_entry(encode_entry(one)) for one in core._writer]  # type: ignore[attr-defined]
    other = TradingCore(world.parts(), Journal(entries))
    other.recover(None, entries)
    return other


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([0, 2 * 10**9, 30 * 3600 * 10**9]))
def test_folding_every_entry_gives_the_live_state_byte_for_byte(seed: int, grace: int) -> None:
    world = World(seed, grace)
    core = world.run()
    assert canonical_bytes(folded(world, core).to_plain()) == canonical_bytes(core.to_plain())


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6), st.integers(0, 10**6))
def test_a_snapshot_and_its_tail_give_the_same(seed: int, cut: int) -> None:
    world = World(seed, 30 * 3600 * 10**9)
    core = world.run()
    entries = list(core._writer)  # type: ignore[call-overload]
    place = cut % (len(entries) + 1)
    first = TradingCore(world.parts(), Journal(entries[:place]))
    first.recover(None, entries[:place])
    second = TradingCore(world.parts(), Journal(entries))
    second.recover(first.to_plain(), entries[place:])
    assert canonical_bytes(second.to_plain()) == canonical_bytes(core.to_plain())


@pytest.mark.parametrize(
    "kind", [FactKnown, HoldingCharged, HoldingTimed, LevelsSet, OrderReplaced, Remembered, Reviewed]
)
def test_the_worlds_visit_what_the_property_is_about(kind: type) -> None:
    worlds = (World(seed, 30 * 3600 * 10**9) for seed in range(12))
    found = [one for world in worlds for one in world.run()._writer if isinstance(one, kind)]  # type: ignore[attr-defined]
    assert len(found) > 3


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6))
def test_the_levels_of_the_journal_are_those_that_hang_at_the_venue(seed: int) -> None:
    core, link = World(seed, 0).run_with_link()
    there = {name: link.levels(name) for name in link.market.names}
    for name, both in there.items():
        here = core.levels.standing.get(name, (None, None))
        for ours, theirs in zip(here, both, strict=True):
            assert (ours is None) == (theirs is None), (name, here, both)
            assert ours is None or ours == pytest.approx(float(theirs or 0), abs=0.021)  # a split rounds to ticks
    check_levels(tuple(core._writer))  # type: ignore[call-overload]


def test_levels_that_leave_without_an_entry_break_the_invariant(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(concluding, "_set_levels", lambda core, levels, at, wide: None)
    broken = 0
    for seed in range(30):
        core = World(seed, 0).run()
        try:
            check_levels(tuple(core._writer))  # type: ignore[call-overload]
        except ViolationError:
            broken += 1
    assert broken > 0
