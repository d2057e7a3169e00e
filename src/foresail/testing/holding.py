"""Buy and hold through the ledger: one unit bought at the first close, every dividend reinvested on its ex-date.

The price of reinvestment is the close before, after the split, less the dividend: the convention of a total-return
series. Lots are 1e-18 of a unit, so rounding stays far below what is asserted; cash too small to buy one stays cash.
"""

from __future__ import annotations

import decimal
from collections.abc import Iterable, Mapping
from decimal import ROUND_DOWN, Decimal

import numpy as np

from foresail.core.arrays import FloatArray
from foresail.core.ids import InstrumentId, OrderId
from foresail.domain.actions import CorporateAction
from foresail.domain.orders import Fill, FillReason
from foresail.domain.signals import Side
from foresail.ledger.books import Books
from foresail.ledger.entries import Deposited, DividendPaid, Entry, FillBooked, Marked, SplitApplied

__all__ = ["hold_through_books"]

_LOT = Decimal("1e-18")
_PRICE_STEP, _CASH_DECIMALS = Decimal("1e-12"), 10
_WIDE = decimal.Context(prec=60)


def hold_through_books(
    name: InstrumentId, close: FloatArray, actions: Mapping[int, Iterable[CorporateAction]], *, side: Side = Side.BUY
) -> tuple[FloatArray, Books]:
    """Return equity per unit at every close, and the books; ``actions`` are keyed by the bar at whose open they act.

    A short position pays the dividend and sells more for it, so that its equity falls as the long one's rises.
    """
    books = Books("hold", "USD", allow_short=side is Side.SELL)

    def book(kind: type[Entry], at: int, *content: object) -> None:
        books.apply(kind(at, books.entries, *content))  # type: ignore[arg-type]

    def trade(at: int, quantity: Decimal, price: Decimal) -> None:
        fill = Fill(OrderId("0" * 32), name, side, quantity, price, price, Decimal(0), Decimal(0), at, FillReason.ENTRY)
        book(FillBooked, at, fill)

    first = Decimal(repr(float(close[0])))
    book(Deposited, 0, first if side is Side.BUY else Decimal(0))
    trade(0, Decimal(1), first)
    equity = [books.equity()]
    for t in range(1, len(close)):
        for action in actions.get(t, ()):
            before = Decimal(repr(float(action.close_before)))
            ratio = Decimal(repr(float(action.split)))
            cash = Decimal(repr(round(float(action.dividend), _CASH_DECIMALS)))
            after = _WIDE.divide(before, ratio).quantize(_PRICE_STEP, context=_WIDE)
            if ratio != 1:
                book(SplitApplied, t, name, ratio, after, _LOT)
            if cash:
                paid_before = books.cash
                book(DividendPaid, t, name, cash)
                received = abs(books.cash - paid_before)
                price = after - cash
                trade(t, _WIDE.divide(received, price).quantize(_LOT, rounding=ROUND_DOWN, context=_WIDE), price)
        book(Marked, t, ((name, Decimal(repr(float(close[t])))),))
        equity.append(books.equity())
    return np.array([float(value) for value in equity]), books
