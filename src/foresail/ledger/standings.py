"""How single strategies of one account stand: profit now, at the start of the day, and at its best (RISK-09).

Taken from the marks in the journal, in the account's currency, as floats: breakers compare it, nothing is booked by it.
A day is a UTC day. What a person resumes begins anew.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from foresail.core.clock import NS_PER_DAY
from foresail.core.ids import InstrumentId
from foresail.ledger.entries import Entry, Marked, TradingHalted, TradingResumed

__all__ = ["Standing", "Standings"]


@dataclass(slots=True)
class Standing:
    """One strategy.

    Attributes
    ----------
    day : UTC day of the newest mark, counted from 1970
    profit, start, best : money made since the account began: at the newest mark, at the start of that day, at most
    halted_day : day on which a breaker of its own halted it, -1 = none
    """

    day: int = -1
    profit: float = 0.0
    start: float = 0.0
    best: float = 0.0
    halted_day: int = -1


class Standings:
    """A fold; ``value_of`` gives the profit of a strategy at given prices."""

    def __init__(self, names: Iterable[str], value_of: Callable[[str, Mapping[InstrumentId, float]], float]) -> None:
        self._standings = {name: Standing() for name in sorted(names)}
        self._value_of = value_of
        self._marks: dict[InstrumentId, float] = {}

    def of(self, strategy: str) -> Standing:
        """Return how a strategy stands."""
        return self._standings[strategy]

    def apply(self, entry: Entry) -> None:
        """Take in the next entry, after the books have."""
        if isinstance(entry, Marked):
            self._marks.update((name, float(price)) for name, price in entry.prices)
            for name, one in self._standings.items():
                self._mark(name, one, entry.at // NS_PER_DAY)
        elif isinstance(entry, TradingHalted) and entry.scope in self._standings:
            self._standings[entry.scope].halted_day = self._standings[entry.scope].day
        elif isinstance(entry, TradingResumed):
            for name, one in self._standings.items():
                if entry.scope in ("", name):
                    one.halted_day, one.start, one.best = -1, one.profit, one.profit

    def _mark(self, name: str, one: Standing, day: int) -> None:
        if day != one.day:
            one.day, one.start = day, one.profit
        one.profit = self._value_of(name, self._marks)
        one.best = max(one.best, one.profit)

    def to_plain(self) -> dict[str, Any]:
        """Return everything as plain data."""
        plain: dict[str, Any] = msgspec.to_builtins({"standings": self._standings, "marks": self._marks})
        return plain

    def restore(self, plain: Mapping[str, Any]) -> None:
        """Take over a state that ``to_plain`` returned; an older one has none: it begins with the next mark."""
        told = msgspec.convert(plain.get("standings", {}), dict[str, Standing])
        self._standings.update({name: one for name, one in told.items() if name in self._standings})
        self._marks = {InstrumentId(name): float(price) for name, price in plain.get("marks", {}).items()}
