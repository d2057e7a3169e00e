"""What the simulated venue owes an account: it is given the orders of a journal over the whole stream, uninterrupted.

The venue of a paper account lives and dies with the daemon, so it cannot be asked what really happened. This one is
never killed: it takes every intent, cancel, change and level of the journal at its instant, and its executions are
added up in whole cents, without lots, by nothing that the books share.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Any

from foresail.core.ids import InstrumentId, OrderId
from foresail.domain.effects import ReplaceSend
from foresail.domain.events import BarsClosed
from foresail.domain.orders import Fill
from foresail.domain.signals import Side
from foresail.engine.trading.parts import Attach
from foresail.engine.trading.simulated import SimulatedLink
from foresail.ledger.entries import (
    CancelIntended,
    Deposited,
    Entry,
    FillBooked,
    LevelsSet,
    OrderIntended,
    ReplaceIntended,
)
from foresail.service.stream import Stream

__all__ = ["VenueBooks", "differing_books", "venue_books"]

_REQUESTS = (OrderIntended, CancelIntended, ReplaceIntended, LevelsSet)


@dataclass(frozen=True, slots=True)
class VenueBooks:
    """What a venue did.

    Attributes
    ----------
    fills : by (order, execution)
    cash : money moved, fees included, account currency
    held : signed units; names at zero are left out
    """

    fills: dict[tuple[OrderId, str], Fill]
    cash: Fraction
    held: dict[InstrumentId, Fraction]


def venue_books(stream: Stream, account: str, entries: Iterable[Entry]) -> VenueBooks:
    """Return what a venue that was never killed does with the requests of a journal."""
    _parts, link = stream.parts(account=account, environment="paper")
    waiting = deque(one for one in entries if isinstance(one, _REQUESTS))
    instruments: dict[OrderId, InstrumentId] = {}
    fills: dict[tuple[OrderId, str], Fill] = {}
    for event in stream.events():
        link.take_in(event)
        if isinstance(event, BarsClosed):
            link.market.advance(event.position)
        while waiting and waiting[0].at <= event.available_at:
            _request(link, waiting.popleft(), instruments)
        for report in link.take_reports():
            if report.fill is not None:
                fills[report.fill.order_id, report.fill.execution] = report.fill
    cash, held = Fraction(0), dict[InstrumentId, Fraction]()
    for fill in fills.values():
        units = Fraction(fill.quantity) * (1 if fill.side is Side.BUY else -1)
        cash -= units * Fraction(fill.price) + Fraction(fill.fee)
        held[fill.instrument] = held.get(fill.instrument, Fraction(0)) + units
    return VenueBooks(fills, cash, {name: units for name, units in sorted(held.items()) if units})


def _request(link: SimulatedLink, entry: Entry, instruments: dict[OrderId, InstrumentId]) -> None:
    """Give the venue what an entry of the journal says was asked of it."""
    if isinstance(entry, OrderIntended):
        instruments[entry.order.id] = entry.order.instrument
        link.send(entry.order)
    elif isinstance(entry, CancelIntended):
        link.cancel(entry.order_id, instruments[entry.order_id])
    elif isinstance(entry, ReplaceIntended):
        name = entry.order_id
        link.replace(
            ReplaceSend(
                name, instruments[name], entry.quantity, entry.limit_price, entry.trigger_price, entry.revision
            )
        )  # fmt: skip
    elif isinstance(entry, LevelsSet):
        link.attach(Attach(entry.instrument, entry.stop, entry.target))


def differing_books(
    there: VenueBooks, entries: tuple[Entry, ...], cash: Decimal, positions: Mapping[InstrumentId, Decimal]
) -> str:
    """Return in what an account and the venue's own books differ to the cent, empty where in nothing.

    Parameters
    ----------
    entries : of the account's journal
    cash, positions : what the account's books say
    """
    booked = {(one.fill.order_id, one.fill.execution): one.fill for one in entries if isinstance(one, FillBooked)}
    paid_in = sum((Fraction(one.amount) for one in entries if isinstance(one, Deposited)), Fraction(0))
    found: dict[str, list[Any]] = {
        "never booked": sorted(there.fills.keys() - booked.keys()),
        "never filled": sorted(booked.keys() - there.fills.keys()),
        "booked otherwise": sorted(name for name, fill in booked.items() if there.fills.get(name, fill) != fill),
        "cash": [] if Fraction(cash) == paid_in + there.cash else [str(cash), str(float(paid_in + there.cash))],
        "positions": [] if dict(positions) == there.held else [str(positions), str(there.held)],
    }
    return "; ".join(f"{what}: {names[:3]} of {len(names)}" for what, names in found.items() if names)
