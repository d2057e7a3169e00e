"""The simplest account that can be right: cash by currency and units by name, added up from entries in fractions.

It shares no code with ``ledger.books``: no lots, no running sums by purpose, no contexts. Every rule of
``account_checks`` asks it what was held and owned at each entry.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction
from typing import Any

from foresail.core.ids import InstrumentId, OrderId
from foresail.domain.instruments import Instrument
from foresail.domain.orders import Fill
from foresail.domain.signals import Side
from foresail.ledger.entries import (
    Deposited,
    DividendPaid,
    Entry,
    FillBooked,
    FillBusted,
    FillCorrected,
    HoldingCharged,
    Marked,
    SplitApplied,
)

__all__ = ["NaiveAccount"]

_NEAR = Fraction(1, 1_000_000)


class NaiveAccount:
    """Cash and units.

    Attributes
    ----------
    cash : currency -> money
    held : instrument -> signed units, without zeros
    marks : last prices of what was held when it was marked
    """

    def __init__(self, instruments: Mapping[InstrumentId, Instrument], currency: str) -> None:
        self._instruments, self._currency = instruments, currency
        self.cash: dict[str, Fraction] = {}
        self.held: dict[InstrumentId, Fraction] = {}
        self.marks: dict[InstrumentId, Fraction] = {}
        self._fills: dict[tuple[OrderId, str], Fill] = {}

    def apply(self, entry: Entry) -> None:
        """Take in the next entry."""
        if isinstance(entry, Deposited):
            self._pay(entry.currency, Fraction(entry.amount))
        elif isinstance(entry, FillBooked):
            self._book(entry.fill, 1)
        elif isinstance(entry, FillBusted):
            self._book(self._fills[entry.order_id, entry.execution], -1)
        elif isinstance(entry, FillCorrected):
            self._book(self._fills[entry.fill.order_id, entry.execution], -1)
            self._book(entry.fill, 1)
        elif isinstance(entry, DividendPaid):
            units = self.held.get(entry.instrument, Fraction(0))
            self._pay(self._of(entry.instrument), units * Fraction(entry.per_unit))
        elif isinstance(entry, HoldingCharged):
            self._pay(entry.currency, -Fraction(entry.amount))
        elif isinstance(entry, SplitApplied):
            self._split(entry)
        elif isinstance(entry, Marked):
            self.marks.update({name: Fraction(price) for name, price in entry.prices})

    def equity(self, rates: Mapping[str, Decimal]) -> Fraction:
        """Return what all is worth at the marks, account currency."""
        rate = {self._currency: Fraction(1), **{name: Fraction(one) for name, one in rates.items()}}
        total = sum((money * rate[name] for name, money in self.cash.items()), Fraction(0))
        values = (units * self.marks[name] * rate[self._of(name)] for name, units in self.held.items())
        return total + sum(values, Fraction(0))

    def reduces(self, order: Any) -> bool:
        """Return whether an order only makes smaller what is held."""
        held, sign = self.held.get(order.instrument, Fraction(0)), 1 if order.side is Side.BUY else -1
        return held * sign < 0 and Fraction(order.quantity) <= abs(held)

    def _of(self, name: InstrumentId) -> str:
        return self._instruments[name].currency

    def _pay(self, currency: str, amount: Fraction) -> None:
        name = currency or self._currency
        self.cash[name] = self.cash.get(name, Fraction(0)) + amount

    def _book(self, fill: Fill, times: int) -> None:
        self._fills[fill.order_id, fill.execution] = fill
        units = Fraction(fill.quantity) * (1 if fill.side is Side.BUY else -1) * times
        self._pay(self._of(fill.instrument), -units * Fraction(fill.price) - Fraction(fill.fee) * times)
        self._hold(fill.instrument, self.held.get(fill.instrument, Fraction(0)) + units)
        self.marks.setdefault(fill.instrument, Fraction(fill.price))

    def _hold(self, name: InstrumentId, units: Fraction) -> None:
        self.held[name] = units
        if not units:
            del self.held[name]

    def _split(self, entry: SplitApplied) -> None:
        exact = self.held.get(entry.instrument, Fraction(0)) * Fraction(entry.ratio)
        lots = exact / Fraction(entry.lot)
        whole = Fraction(math.floor(abs(lots)) if lots >= 0 else -math.floor(abs(lots)))
        if abs(round(lots) - lots) <= _NEAR * abs(lots):
            whole = Fraction(round(lots))
        units = whole * Fraction(entry.lot)
        if units != exact and abs(round(lots) - lots) > _NEAR * abs(lots):
            self._pay(self._of(entry.instrument), (exact - units) * Fraction(entry.price))
        self._hold(entry.instrument, units)
        if entry.instrument in self.marks:
            self.marks[entry.instrument] /= Fraction(entry.ratio)
