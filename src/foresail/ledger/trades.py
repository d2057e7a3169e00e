"""Round trips: from flat to flat in one instrument, read off the journal.

A fill that turns a position around ends one trade and begins the next; its fee and slippage are shared by quantity.
Profit counts everything that belongs to the position: price, dividends, fees, slippage, borrow and funding.
"""

from __future__ import annotations

import decimal
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal
from functools import singledispatchmethod

from foresail.core.ids import InstrumentId
from foresail.domain.signals import Side
from foresail.ledger.entries import DividendPaid, Entry, FillBooked, HoldingCharged, ListingEnded, Marked, SplitApplied
from foresail.ledger.executions import standing_entries
from foresail.ledger.splits import split_quantity

__all__ = ["Trade", "trades"]

_ZERO = Decimal(0)
_CONTEXT = decimal.Context(prec=40, rounding=ROUND_HALF_EVEN, traps=[decimal.InvalidOperation, decimal.Overflow])
_UNIT = Decimal("1e-12")


@dataclass(frozen=True, slots=True)
class Trade:
    """One round trip.

    Attributes
    ----------
    side : of the opening fill; buy = long
    closed_at : None while it is open; exit price and profit are then those of the newest mark
    quantity : largest quantity held, units of the day, positive
    entry_price, exit_price : average of the opening and of the closing fills, after splits, to 1e-12
    gross_profit, cost, net_profit : money; net is gross less fees, slippage, borrow and funding; dividends are in both
    simple_return : net profit over the money put in, fraction
    hold_bars : bar ends lived through; None without bar ends
    exit_reason : of the last fill; None while it is open
    adverse, favourable : worst and best marked return on the entry price, fractions, <= 0 and >= 0; None unmarked
    """

    instrument: InstrumentId
    side: Side
    opened_at: int
    closed_at: int | None
    quantity: Decimal
    entry_price: Decimal
    exit_price: Decimal | None
    gross_profit: Decimal
    cost: Decimal
    net_profit: Decimal
    dividends: Decimal
    simple_return: float
    hold_bars: int | None
    exit_reason: str | None
    adverse: float | None
    favourable: float | None


class _Open:
    """A trade while it is being read."""

    def __init__(self, instrument: InstrumentId, side: Side, opened_at: int, multiplier: Decimal) -> None:
        self.instrument = instrument
        self.side = side
        self.opened_at = opened_at
        self.multiplier = multiplier
        self.closed_at: int | None = None
        self.reason: str | None = None
        self.quantity = self.largest = _ZERO
        self.flow = self.fees = self.slippage = self.holding = self.dividends = _ZERO
        self.put_in = _ZERO
        self.opened_units = self.opened_value = self.closed_units = self.closed_value = _ZERO
        self.mark: Decimal | None = None
        self.adverse: float | None = None
        self.favourable: float | None = None

    def fill(self, signed: Decimal, price: Decimal, at: int, reason: str) -> None:
        """Book signed units at a price."""
        value = abs(signed) * price
        if (signed > 0) == (self.side is Side.BUY):
            self.opened_units += abs(signed)
            self.opened_value += value
            self.put_in += value * self.multiplier
        else:
            self.closed_units += abs(signed)
            self.closed_value += value
        self.flow -= signed * price * self.multiplier
        self.quantity += signed
        self.largest = max(self.largest, abs(self.quantity))
        if self.quantity == 0:
            self.closed_at, self.reason = at, reason

    def split(self, ratio: Decimal, price: Decimal, lot: Decimal) -> None:
        """Restate units; the fraction of a lot is paid in cash."""
        whole, fraction = split_quantity(self.quantity, ratio, lot)
        self.flow += fraction * price * self.multiplier
        self.quantity = whole
        self.opened_units *= ratio
        self.closed_units *= ratio
        self.largest = max(_ZERO, (self.largest * ratio).quantize(_UNIT)).normalize() + 0

    def marked(self, price: Decimal) -> None:
        """Note how far the position stands from its entry price."""
        self.mark = price
        sign = 1 if self.side is Side.BUY else -1
        move = sign * (float(price) / float(self.opened_value / self.opened_units) - 1.0)
        self.adverse = min(0.0 if self.adverse is None else self.adverse, move)
        self.favourable = max(0.0 if self.favourable is None else self.favourable, move)

    def finish(self, last_at: int, bar_ends: Sequence[int] | None) -> Trade:
        """Return the trade."""
        exit_price = _average(self.closed_value, self.closed_units)
        flow = self.flow
        if self.closed_at is None:
            exit_price = self.mark
            flow += self.quantity * (_ZERO if self.mark is None else self.mark) * self.multiplier
        cost = self.fees + self.slippage + self.holding
        net = flow + self.dividends - self.fees - self.holding
        until = last_at if self.closed_at is None else self.closed_at
        bars = None if bar_ends is None else bisect_right(bar_ends, until) - bisect_right(bar_ends, self.opened_at)
        return Trade(
            instrument=self.instrument,
            side=self.side,
            opened_at=self.opened_at,
            closed_at=self.closed_at,
            quantity=self.largest,
            entry_price=_average(self.opened_value, self.opened_units) or _ZERO,
            exit_price=exit_price,
            gross_profit=net + cost,
            cost=cost,
            net_profit=net,
            dividends=self.dividends,
            simple_return=float(net / self.put_in),
            hold_bars=bars,
            exit_reason=self.reason,
            adverse=self.adverse,
            favourable=self.favourable,
        )


class _Reader:
    """Walks the journal; the newest trade of an instrument also takes charges that come after its last fill."""

    def __init__(self) -> None:
        self.found: list[_Open] = []
        self.newest: dict[InstrumentId, _Open] = {}
        self.last_at = 0

    def live(self, instrument: InstrumentId) -> _Open | None:
        """Return the open trade of an instrument."""
        trade = self.newest.get(instrument)
        return None if trade is None or trade.quantity == 0 else trade

    @singledispatchmethod
    def read(self, entry: Entry) -> None:
        """Take in one entry; deposits concern no trade."""

    @read.register
    def _(self, entry: FillBooked) -> None:
        fill = entry.fill
        signed = fill.quantity if fill.side is Side.BUY else -fill.quantity
        trade = self.live(fill.instrument)
        rest = signed
        if trade is not None and (trade.quantity > 0) != (signed > 0):
            part = signed if abs(signed) <= abs(trade.quantity) else -trade.quantity
            self._book(trade, entry, part)
            rest = signed - part
        if rest:
            trade = self.live(fill.instrument)
            if trade is None:
                trade = _Open(fill.instrument, fill.side, fill.filled_at, entry.multiplier)
                self.found.append(trade)
                self.newest[fill.instrument] = trade
            self._book(trade, entry, rest)

    @read.register
    def _(self, entry: DividendPaid) -> None:
        trade = self.live(entry.instrument)
        if trade is not None:
            trade.dividends += trade.quantity * entry.per_unit * trade.multiplier

    @read.register
    def _(self, entry: SplitApplied) -> None:
        trade = self.live(entry.instrument)
        if trade is not None:
            trade.split(entry.ratio, entry.price, entry.lot)

    @read.register
    def _(self, entry: HoldingCharged) -> None:
        if entry.instrument is not None and entry.instrument in self.newest:
            self.newest[entry.instrument].holding += entry.amount

    @read.register
    def _(self, entry: ListingEnded) -> None:
        trade = self.live(entry.instrument)
        if trade is not None:
            trade.fill(-trade.quantity, entry.price, entry.at, "delisted")

    @read.register
    def _(self, entry: Marked) -> None:
        for name, price in entry.prices:
            trade = self.live(name)
            if trade is not None:
                trade.marked(price)

    @staticmethod
    def _book(trade: _Open, entry: FillBooked, part: Decimal) -> None:
        fill = entry.fill
        whole = abs(part) == fill.quantity
        trade.fees += fill.fee if whole else _share(fill.fee, abs(part), fill.quantity)
        trade.slippage += fill.slippage if whole else _share(fill.slippage, abs(part), fill.quantity)
        trade.mark = fill.price
        trade.fill(part, fill.price, fill.filled_at, fill.reason.value)


def trades(entries: Iterable[Entry], bar_ends: Sequence[int] | None = None) -> list[Trade]:
    """Return the round trips of a journal in the order in which they were opened, the ones still open included.

    Parameters
    ----------
    entries : the journal, in order; fills that were taken back count as never made
    bar_ends : ends of the bars, ns UTC, ascending; needed to count bars held
    """
    reader = _Reader()
    with decimal.localcontext(_CONTEXT):
        for entry in standing_entries(entries):
            reader.read(entry)
            reader.last_at = entry.at
        found = sorted(reader.found, key=lambda trade: (trade.opened_at, trade.instrument))
        return [trade.finish(reader.last_at, bar_ends) for trade in found]


def _average(value: Decimal, units: Decimal) -> Decimal | None:
    return (value / units).quantize(_UNIT) if units else None


def _share(amount: Decimal, part: Decimal, whole: Decimal) -> Decimal:
    return (amount * part / whole).quantize(_UNIT)
