"""How single strategies of one account stand: profit now, at the start of the day, and at its best (RISK-09).

Taken from the marks in the journal, in the account's currency, as floats: breakers compare it, nothing is booked by it.
What is held in another currency counts at the rate of the mark; where that is not known, the profit stays what it was.
A day is a UTC day. What a person resumes begins anew.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import msgspec

from foresail.core.clock import NS_PER_DAY
from foresail.core.ids import InstrumentId
from foresail.ledger.entries import Entry, Marked, TradingHalted, TradingResumed

__all__ = ["Standing", "Standings", "in_currency"]

_ValueOf = Callable[[str, Mapping[InstrumentId, float], Mapping[str, Decimal]], float]


def in_currency(amounts: Iterable[tuple[str, float]], currency: str, rates: Mapping[str, Decimal]) -> float:
    """Return the sum of amounts of several currencies in one, NaN where a rate is missing that is needed.

    It is rounded once, so that the order of the amounts, which a restart may change, does not matter.

    Parameters
    ----------
    amounts : (currency, amount)
    rates : units of ``currency`` per unit of another
    """
    known = [
        amount if own == currency else amount * float(rates[own]) if own in rates else math.nan
        for own, amount in amounts
        if amount != 0.0
    ]
    return math.fsum(known)


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
    """A fold; ``value_of`` gives the profit of a strategy at given prices and rates, NaN where a rate is missing."""

    def __init__(self, names: Iterable[str], value_of: _ValueOf) -> None:
        self._standings = {name: Standing() for name in sorted(names)}
        self._value_of = value_of
        self._marks: dict[InstrumentId, float] = {}

    def of(self, strategy: str) -> Standing:
        """Return how a strategy stands."""
        return self._standings[strategy]

    def apply(self, entry: Entry, rates: Mapping[str, Decimal]) -> None:
        """Take in the next entry, after the books have; ``rates`` are of a mark, account currency per unit."""
        if isinstance(entry, Marked):
            self._marks.update((name, float(price)) for name, price in entry.prices)
            for name, one in self._standings.items():
                self._mark(name, one, entry.at // NS_PER_DAY, rates)
        elif isinstance(entry, TradingHalted) and entry.scope in self._standings:
            self._standings[entry.scope].halted_day = self._standings[entry.scope].day
        elif isinstance(entry, TradingResumed):
            for name, one in self._standings.items():
                if entry.scope in ("", name):
                    one.halted_day, one.start, one.best = -1, one.profit, one.profit

    def _mark(self, name: str, one: Standing, day: int, rates: Mapping[str, Decimal]) -> None:
        if day != one.day:
            one.day, one.start = day, one.profit
        profit = self._value_of(name, self._marks, rates)
        one.profit = one.profit if math.isnan(profit) else profit
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
