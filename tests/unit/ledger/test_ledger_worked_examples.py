"""Profits of the specification's sample panels (PORT-08), read off a journal."""

from __future__ import annotations

from decimal import Decimal

import pytest

from foresail.core.ids import OrderId, instrument_id
from foresail.domain.orders import Fill, FillReason
from foresail.domain.signals import Side
from foresail.ledger.entries import FillBooked, Marked
from foresail.ledger.trades import trades

NAME = instrument_id("stock.US.AAA")


@pytest.mark.parametrize(
    ("units", "entry", "last", "profit"),
    [
        ("150", "420.50", "458.20", "5655"),
        ("200", "178.20", "182.50", "860"),
        ("50", "170.50", "175.32", "241"),
        ("0.5", "41200", "43250", "1025"),
        ("-50000", "1.0870", "1.0845", "125"),
    ],
)
@pytest.mark.parametrize("is_closed", [True, False])
def test_profit_is_the_panels(units: str, entry: str, last: str, profit: str, is_closed: bool) -> None:
    signed = Decimal(units)
    journal = [_fill(0, signed, entry, FillReason.ENTRY)]
    journal.append(_fill(1, -signed, last, FillReason.EXIT) if is_closed else Marked(1, 1, ((NAME, Decimal(last)),)))
    (trade,) = trades(journal)
    assert trade.net_profit == trade.gross_profit == Decimal(profit)
    assert trade.quantity == abs(signed)
    assert (trade.closed_at is not None) == is_closed


def _fill(place: int, signed: Decimal, price: str, reason: FillReason) -> FillBooked:
    side = Side.BUY if signed > 0 else Side.SELL
    money, zero = Decimal(price), Decimal(0)
    fill = Fill(OrderId(f"{place:032x}"), NAME, side, abs(signed), money, money, zero, zero, place, reason)
    return FillBooked(place, place, fill)
