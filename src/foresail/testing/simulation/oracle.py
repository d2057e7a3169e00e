"""The simplest ledger that can be right: a list of executions, added up from scratch in whole cents.

It shares no code with ``ledger.books``: no lots, no running sums, no decimals in a context. Entries come straight from
the bytes of the journal.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from fractions import Fraction

from foresail.core.ids import InstrumentId, OrderId
from foresail.domain.orders import Fill
from foresail.domain.signals import Side
from foresail.ledger.entries import Deposited, Entry, FillBooked, FillBusted, FillCorrected

__all__ = ["naive_ledger"]


def naive_ledger(entries: Iterable[Entry]) -> tuple[Fraction, dict[InstrumentId, Fraction]]:
    """Return cash and signed units held that follow from a journal; names held at zero are left out."""
    fills: dict[tuple[OrderId, str], Fill] = {}
    paid_in = Fraction(0)
    for entry in entries:
        if isinstance(entry, Deposited):
            paid_in += _exact(entry.amount)
        elif isinstance(entry, FillBooked):
            fills[entry.fill.order_id, entry.fill.execution] = entry.fill
        elif isinstance(entry, FillBusted):
            del fills[entry.order_id, entry.execution]
        elif isinstance(entry, FillCorrected):
            del fills[entry.fill.order_id, entry.execution]
            fills[entry.fill.order_id, entry.fill.execution] = entry.fill
    cash, held = paid_in, dict[InstrumentId, Fraction]()
    for fill in fills.values():
        units = _exact(fill.quantity) * (1 if fill.side is Side.BUY else -1)
        cash -= units * _exact(fill.price) + _exact(fill.fee)
        held[fill.instrument] = held.get(fill.instrument, Fraction(0)) + units
    return cash, {name: units for name, units in sorted(held.items()) if units}


def _exact(number: Decimal) -> Fraction:
    return Fraction(number)
