"""Round trips read off the journal."""

from decimal import Decimal

import pytest

from foresail.core.ids import OrderId, instrument_id
from foresail.domain.orders import Fill, FillReason
from foresail.domain.signals import Side
from foresail.ledger.entries import DividendPaid, FillBooked, HoldingCharged, HoldingKind, Marked, SplitApplied
from foresail.ledger.trades import trades

D = Decimal
A = instrument_id("stock.US.AAA")


def fill(k, side, quantity, price, fee="0", slippage="0", reason=FillReason.ENTRY, at=None):
    at = k if at is None else at
    one = Fill(OrderId(f"{k:032x}"), A, side, D(quantity), D(price), D(price), D(fee), D(slippage), at, reason)
    return FillBooked(at, k, one)


def test_trade_counts_everything_that_belongs_to_it():
    journal = [
        fill(0, Side.BUY, 10, 100, "1", "0.5"),
        fill(1, Side.BUY, 10, 110, "1", "0.5"),
        Marked(2, 2, ((A, D(84)),)),
        Marked(3, 3, ((A, D(126)),)),
        DividendPaid(4, 4, A, D("0.25")),
        HoldingCharged(5, 5, D(2), HoldingKind.BORROW, A),
        fill(6, Side.SELL, 20, 120, "3", "1", FillReason.TARGET),
    ]
    (trade,) = trades(journal, bar_ends=[2, 3, 6])
    assert (trade.side, trade.opened_at, trade.closed_at, trade.quantity) == (Side.BUY, 0, 6, D(20))
    assert (trade.entry_price, trade.exit_price, trade.exit_reason) == (D(105), D(120), "target")
    assert trade.cost == 5 + 2 + 2
    assert trade.net_profit == 300 + 5 - 5 - 2
    assert trade.gross_profit == trade.net_profit + trade.cost
    assert trade.simple_return == pytest.approx(298 / 2100)
    assert trade.hold_bars == 3
    assert trade.adverse == pytest.approx(-0.2)
    assert trade.favourable == pytest.approx(0.2)


def test_turning_around_ends_one_trade_and_begins_another():
    journal = [fill(0, Side.BUY, 10, 100), fill(1, Side.SELL, 30, 110, "3"), fill(2, Side.BUY, 20, 105)]
    long, short = trades(journal)
    assert (long.net_profit, short.net_profit) == (D(99), D(98))
    assert (short.side, short.quantity, short.opened_at) == (Side.SELL, D(20), 1)


def test_open_trade_is_told_at_the_newest_mark():
    (trade,) = trades([fill(0, Side.BUY, 10, 100, "1"), Marked(1, 1, ((A, D(90)),))])
    assert (trade.closed_at, trade.exit_reason, trade.exit_price, trade.net_profit) == (None, None, D(90), D(-101))
    assert trade.hold_bars is None


def test_split_restates_the_entry():
    journal = [fill(0, Side.BUY, 5, 100), SplitApplied(1, 1, A, D("1.5"), D(70)), fill(2, Side.SELL, 7, 80)]
    (trade,) = trades(journal)
    assert trade.entry_price == D("66.666666666667")
    assert trade.net_profit == 35 + 560 - 500
    assert trade.quantity == D("7.5")
