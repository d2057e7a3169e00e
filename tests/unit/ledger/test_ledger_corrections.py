"""Busts, corrections and conversions: books as the venue's; every trial balance is zero."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foresail.core.errors import IntegrityError
from foresail.core.ids import OrderId, instrument_id
from foresail.domain.orders import Fill, FillReason
from foresail.domain.signals import Side
from foresail.ledger.books import Books
from foresail.ledger.entries import (
    Converted,
    Deposited,
    DividendPaid,
    FillBooked,
    FillBusted,
    FillCorrected,
    HoldingCharged,
    HoldingKind,
    SplitApplied,
)
from foresail.ledger.trades import trades

D = Decimal
A = instrument_id("stock.US.AAA")
ID = OrderId("a" * 32)


def fill(quantity, price, execution, side=Side.BUY, at=1, fee="0.5"):
    return Fill(ID, A, side, D(quantity), D(price), D(price), D(fee), D("0.1"), at, FillReason.ENTRY, execution)


def book(*entries, allow_short=False):
    books = Books(allow_short=allow_short)
    for k, make in enumerate(entries):
        books.apply(make(k))
    return books


def booked(*args, **settings):
    return lambda k: FillBooked(k, k, fill(*args, **{"at": k, **settings}))


def deposit(k):
    return Deposited(k, k, D(10_000))


def busted(execution):
    return lambda k: FillBusted(k, k, ID, execution)


def test_a_bust_of_the_newest_fill_leaves_no_trace():
    before = book(deposit, booked(5, 90, "x"))
    after = book(deposit, booked(5, 90, "x"), booked(10, 100, "y"), busted("y"))
    assert after.totals() == before.totals()
    assert after.positions() == before.positions()
    assert after.state().lots == before.state().lots


def test_a_bust_of_an_older_fill_leaves_the_same_money_and_units():
    entries = (deposit, booked(5, 90, "x"), booked(10, 100, "y"), booked(6, 110, "z", Side.SELL))
    after = book(*entries, busted("x"))
    wanted = book(deposit, booked(10, 100, "y"), booked(6, 110, "z", Side.SELL))
    assert (after.cash, after.quantity(A)) == (wanted.cash, wanted.quantity(A))
    assert after.totals().fees == wanted.totals().fees
    price = {A: D(120)}
    assert after.equity(price) == wanted.equity(price)


def test_a_bust_may_leave_a_short_position_because_the_venue_does():
    after = book(deposit, booked(5, 90, "x"), booked(5, 95, "y", Side.SELL), busted("x"))
    assert after.quantity(A) == -5


def test_a_correction_stands_in_the_place_of_the_first():
    after = book(deposit, booked(10, 100, "x"), lambda k: FillCorrected(k, k, "x", fill(8, 101, "x.1", at=1)))
    wanted = book(deposit, booked(8, 101, "x.1", at=1))
    assert after.cash == wanted.cash
    assert after.totals() == wanted.totals()
    assert after.state().lots == wanted.state().lots
    again = book(
        deposit, booked(10, 100, "x"),
        lambda k: FillCorrected(k, k, "x", fill(8, 101, "x.1", at=1)), busted("x.1"),
    )  # fmt: skip
    assert (again.cash, again.quantity(A)) == (10_000, 0)


def test_what_was_never_booked_cannot_be_taken_back():
    with pytest.raises(IntegrityError, match="no such fill"):
        book(deposit, busted("x"))
    with pytest.raises(IntegrityError, match="no such fill"):
        book(deposit, booked(1, 100, "x"), busted("x"), busted("x"))


def test_trades_are_read_as_if_the_venue_had_told_the_truth_at_once():
    journal = [
        make(k)
        for k, make in enumerate([booked(5, 90, "x"), booked(10, 100, "y"), busted("y"), booked(5, 95, "z", Side.SELL)])
    ]
    (trade,) = trades(journal)
    assert (trade.quantity, trade.gross_profit, trade.net_profit) == (5, D("25.2"), 24)


def test_a_conversion_moves_cash_and_costs_its_fee():
    after = book(deposit, lambda k: Converted(k, k, D(1_100), "USD", D(1_000), "EUR", D(2)))
    assert (after.cash, after.totals("EUR").cash) == (D(8_898), D(1_000))
    assert after.equity(rates={"EUR": D("1.1")}) == D(9_998)
    with pytest.raises(IntegrityError, match="two currencies"):
        book(deposit, lambda k: Converted(k, k, D(1), "USD", D(1), "USD"))


def test_a_snapshot_still_knows_what_may_be_taken_back():
    books = Books.from_plain(book(deposit, booked(10, 100, "x")).to_plain())
    books.apply(FillBusted(9, 2, ID, "x"))
    assert (books.cash, books.quantity(A)) == (10_000, 0)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 7), st.integers(1, 9), st.integers(1, 500)), max_size=40))
def test_every_trial_balance_is_zero(steps):
    books, open_fills = Books(allow_short=True), []
    for k, (kind, units, cents) in enumerate([(0, 9, 500), *steps]):
        price = D(cents) / 100 + 1
        if kind == 0:
            entry = Deposited(k, k, D(cents))
        elif kind in (1, 2):
            side = Side.BUY if kind == 1 else Side.SELL
            entry = FillBooked(k, k, fill(units, price, str(k), side, at=k, fee="0.07"))
            open_fills.append(str(k))
        elif kind == 3:
            entry = DividendPaid(k, k, A, price / 10)
        elif kind == 4:
            entry = SplitApplied(k, k, A, D(units) / 2, price)
        elif kind == 5:
            entry = HoldingCharged(k, k, D(cents) / 7 // D("0.01") * D("0.01"), HoldingKind.BORROW, A)
        elif kind == 6:
            entry = Converted(k, k, D(cents), "USD", D(units), "EUR", D("0.01"))
        elif open_fills:
            entry = FillBusted(k, k, ID, open_fills.pop(units % len(open_fills)))
        else:
            entry = Deposited(k, k, D(0))
        books.apply(entry)
        for currency in ("USD", "EUR"):
            assert sum(books.trial_balance(currency).values()) == 0
    assert Books.from_plain(books.to_plain()).state() == books.state()
