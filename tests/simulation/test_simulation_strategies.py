"""The books of several strategies under simulated faults: after every step they add up to the account's, exactly.

Orders are lost, doubled, filled early, late, in part and too far, taken back and corrected; the process is killed and
started again from its journal. Each order belongs to one of two strategies, or to nobody.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any

from foresail.core.canonical import canonical_bytes
from foresail.core.ids import InstrumentId
from foresail.domain.events import Event
from foresail.engine.trading.core import CoreEffect
from foresail.engine.trading.parts import Decision, DeskCall
from foresail.ledger.entries import Entry
from foresail.ledger.strategies import HOUSE
from foresail.protocols import EntryWriter
from foresail.testing.simulation.reference import Board, CoreSettings
from foresail.testing.simulation.settings import WorldSettings
from foresail.testing.simulation.trading import SimulatedCore
from foresail.testing.simulation.world import run_seed

SEEDS = 60
OWNERS = ("one@1", "two@1", "nobody")
seen = {"units": 0, "house": 0}


class Owned:
    """A desk whose orders belong to strategies by turns."""

    def __init__(self, desk: Any) -> None:
        self._desk, self.id, self.every = desk, desk.id, desk.every

    def start(self) -> Any:
        return self._desk.start()

    def decide(self, memory: Any, call: DeskCall) -> Decision:
        found: Decision = self._desk.decide(memory, call)
        orders = tuple(replace(one, strategy=OWNERS[int(one.id[:4], 16) % 3]) for one in found.orders)
        return replace(found, orders=orders)


class SharedCore(SimulatedCore):
    """The trading core with books of strategies, checked after every step and against its own journal at a start."""

    def __init__(self, settings: CoreSettings, board: Board, writer: EntryWriter) -> None:
        super().__init__(settings, board, writer)
        desks = tuple(Owned(one) for one in self.parts.desks)
        self.parts = replace(self.parts, desks=desks, strategies=OWNERS[:2])
        self._start_folds(self.books, self.orders, self.latches)

    def recover(self, state: Mapping[str, Any] | None, entries: Iterable[Entry] = ()) -> tuple[CoreEffect, ...]:
        effects = super().recover(state, entries)
        self.check()
        return effects

    def step(self, event: Event) -> tuple[CoreEffect, ...]:
        effects = super().step(event)
        self.check()
        return effects

    def check(self) -> None:
        books = self.strategies
        assert books is not None
        held: dict[InstrumentId, Decimal] = {}
        for (name, one), units in books.holdings().items():
            held[one] = held.get(one, Decimal(0)) + units
            seen["house" if name == HOUSE else "units"] += 1
        assert {k: v for k, v in held.items() if v} == {p.instrument: p.quantity for p in self.books.positions()}
        for sums in ("cash", "fees"):
            whole = getattr(self.books.totals(), sums)
            assert sum((getattr(books.money(name), sums) for name in books.names()), Decimal(0)) == whole
        plain = books.to_plain()
        again = type(books)(OWNERS[:2], self.parts.instruments, "USD")
        again.restore(plain)
        assert canonical_bytes(again.to_plain()) == canonical_bytes(plain)


def make(settings: CoreSettings, board: Board, writer: EntryWriter) -> SharedCore:
    return SharedCore(settings, board, writer)


def test_the_books_of_strategies_add_up_whatever_the_venue_does() -> None:
    world = WorldSettings(make_core=make)
    for seed in range(int(os.environ.get("FORESAIL_STRATEGY_SEEDS", SEEDS))):
        outcome = run_seed(seed, world)
        assert not outcome.violation, f"seed {seed}: {outcome.violation}"
    assert seen["units"] > 500
    assert seen["house"] > 50
