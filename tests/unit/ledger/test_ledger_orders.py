"""Order states: every legal order of events ends alike, what is not legal blocks, unknown stays unknown."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from itertools import permutations

import pytest

from foresail.core.errors import IntegrityError
from foresail.core.ids import OrderId, instrument_id
from foresail.domain.orders import Fill, FillReason, Order, OrderKind
from foresail.domain.signals import Side
from foresail.ledger.entries import (
    CancelIntended,
    CancelRejected,
    FillBooked,
    FillBusted,
    FillCorrected,
    OrderAccepted,
    OrderCancelled,
    OrderExpired,
    OrderIntended,
    OrderRejected,
    OrderReplaced,
    OrderUnknown,
    ReplaceIntended,
    TradingResumed,
)
from foresail.ledger.orders import OrderBook, OrderStatus, Reserved

D = Decimal
A = instrument_id("stock.US.AAA")
ID = OrderId("a" * 32)


def order(quantity=10, name=ID, side=Side.BUY):
    return Order(name, A, side, D(quantity), OrderKind.LIMIT, 0, limit_price=D(100))


def fill(quantity, execution, name=ID):
    return Fill(name, A, Side.BUY, D(quantity), D(100), D(100), D(0), D(0), 0, FillReason.ENTRY, execution)


def told(*events, quantity=10):
    """Return a book after an intent and events, each a function of the running number."""
    book = OrderBook()
    book.apply(OrderIntended(0, 0, order(quantity)))
    for k, event in enumerate(events, start=1):
        book.apply(event(k))
    return book


def ack(k):
    return OrderAccepted(k, k, ID, "v1")


def ask_cancel(k):
    return CancelIntended(k, k, ID)


def filled(quantity, execution):
    return lambda k: FillBooked(k, k, fill(quantity, execution))


def cancel(left):
    return lambda k: OrderCancelled(k, k, ID, D(left))


@pytest.mark.parametrize("events", list(permutations([ack, filled(4, "x"), filled(6, "y")])))
def test_fills_and_acknowledgement_in_any_order_end_filled(events):
    book = told(*events)
    state = book.get(ID)
    assert (state.status, state.filled, state.venue_order) == (OrderStatus.FILLED, 10, "v1")
    assert not book.blocked()
    assert book.reserved(A) == Reserved()


@pytest.mark.parametrize("events", list(permutations([ack, filled(4, "x"), cancel(6), ask_cancel])))
def test_a_cancel_that_races_a_fill_ends_cancelled_with_the_fill(events):
    book = told(*events)
    state = book.get(ID)
    assert (state.status, state.filled, state.left) == (OrderStatus.CANCELLED, 4, 6)
    assert not book.blocked()


@pytest.mark.parametrize("events", list(permutations([ack, filled(4, "x"), filled(6, "y"), cancel(0)])))
def test_a_cancel_that_crosses_the_last_fill_ends_without_block(events):
    book = told(*events)
    assert book.get(ID).filled == 10
    assert not book.get(ID).is_open
    assert not book.blocked()


def test_a_cancel_that_knows_of_fills_we_never_saw_blocks_until_they_come():
    book = told(ack, cancel(6))
    assert "the fills booked leave 10" in book.blocked()[A]
    book.apply(FillBooked(9, 9, fill(4, "late")))
    assert not book.blocked()


def test_unknown_reserves_everything_and_blocks_until_proof():
    book = told(lambda k: OrderUnknown(k, k, ID, "no answer"))
    assert book.reserved(A) == Reserved(buy=D(10))
    assert "no answer" in book.blocked()[A]
    assert book.get(ID).is_open
    book.apply(OrderAccepted(5, 5, ID))
    assert not book.blocked()
    assert book.get(ID).status is OrderStatus.WORKING


@pytest.mark.parametrize(
    ("events", "said"),
    [
        ([ack, filled(6, "x"), filled(6, "y")], "filled for 12 of 10"),
        ([lambda k: OrderRejected(k, k, ID, "no"), filled(1, "x")], "filled after it had been rejected"),
        ([filled(1, "x"), lambda k: OrderRejected(k, k, ID, "no")], "rejected after it had been filled"),
        ([lambda k: OrderRejected(k, k, ID, "no"), ack], "accepted after it had been rejected"),
        ([ack, lambda k: FillBusted(k, k, ID, "z")], "never booked"),
        ([ack, lambda k: FillCorrected(k, k, "z", fill(3, "z1"))], "never booked"),
    ],
)
def test_what_cannot_have_happened_blocks_until_a_person_has_looked(events, said):
    book = told(*events)
    assert said in book.blocked()[A]
    book.apply(TradingResumed(9, 9, A, "me", "looked"))
    assert not book.blocked()


def test_a_bust_and_a_correction_change_what_counts():
    book = told(ack, filled(4, "x"), filled(6, "y"), lambda k: FillBusted(k, k, ID, "y"))
    assert (book.get(ID).filled, book.get(ID).status) == (4, OrderStatus.CANCELLED)
    book = told(ack, filled(4, "x"), lambda k: FillCorrected(k, k, "x", fill(5, "x.1")))
    assert (book.get(ID).filled, book.get(ID).left) == (5, 5)
    assert book.has_execution(ID, "x.1")
    assert book.has_execution(ID, "x")  # told again by a late repeat it must not be booked again


def test_a_replace_on_its_way_reserves_the_larger_quantity():
    book = told(ack, filled(4, "x"), lambda k: ReplaceIntended(k, k, ID, D(20)))
    assert book.reserved(A) == Reserved(buy=D(16))
    book.apply(FillBooked(8, 8, fill(6, "y")))  # fills the old quantity while the replace is on its way
    book.apply(OrderReplaced(9, 9, ID, D(20), limit_price=D(101)))
    state = book.get(ID)
    assert (state.order.quantity, state.order.limit_price, state.filled) == (20, 101, 10)


def test_a_trigger_that_moved_stays_where_the_order_keeps_it():
    plain = Order(ID, A, Side.SELL, D(10), OrderKind.STOP, 0, stop_price=D(90))
    for stop in (plain, replace(plain, trigger_price=D(90), stop_price=D(95))):
        book = OrderBook()
        book.apply(OrderIntended(0, 0, stop))
        book.apply(OrderReplaced(1, 1, ID, D(10), trigger_price=D(60)))
        now = book.get(ID).order
        assert (now.is_plain_stop, now.trigger) == (stop.is_plain_stop, D(60))


def test_a_replace_below_what_was_filled_ends_the_order():
    book = told(ack, filled(4, "x"), lambda k: OrderReplaced(k, k, ID, D(4)))
    assert book.get(ID).status is OrderStatus.FILLED


def test_a_refused_cancel_leaves_the_order_as_it_stood():
    book = told(ack, lambda k: CancelIntended(k, k, ID), lambda k: CancelRejected(k, k, ID, "too late"))
    assert book.get(ID).is_open
    assert not book.get(ID).is_cancelling


def test_ids_are_used_once_and_strangers_are_refused():
    book = told(ack)
    with pytest.raises(IntegrityError, match="intended twice"):
        book.apply(OrderIntended(2, 2, order()))
    with pytest.raises(IntegrityError, match="never intended"):
        book.apply(OrderAccepted(2, 2, OrderId("b" * 32)))


def test_a_snapshot_gives_the_same_book_back():
    book = told(ack, filled(4, "x"), lambda k: ReplaceIntended(k, k, ID, D(20)))
    other = OrderId("b" * 32)
    book.apply(OrderIntended(5, 5, order(3, other, Side.SELL)))
    book.apply(OrderUnknown(6, 6, other, "?"))
    again = OrderBook.from_plain(book.to_plain())
    assert again.to_plain() == book.to_plain()
    assert again.reserved(A) == book.reserved(A) == Reserved(D(16), D(3))
    assert [s.order.id for s in again.open()] == [ID, other]


def test_finished_orders_are_forgotten_after_a_week():
    day = 86_400_000_000_000
    book = told(ack, filled(10, "x"))
    assert book.prune(6 * day) == 0
    assert book.prune(8 * day) == 1
    assert ID not in book


def test_an_expired_order_frees_what_it_reserved():
    book = told(ack, lambda k: OrderExpired(k, k, ID, D(10)))
    assert book.reserved(A) == Reserved()
    assert book.get(ID).status is OrderStatus.EXPIRED


def test_an_order_that_ended_with_other_fills_than_told_is_listed():
    book = told(ack, lambda k: OrderCancelled(k, k, ID, D(1)))
    assert [one.order.id for one in book.differing()] == [ID]
    assert not list(told(ack, lambda k: OrderCancelled(k, k, ID, D(10))).differing())


def test_units_whose_fills_have_not_come_stay_reserved_whoever_rearms():
    """The venue says that 6 of 10 were filled; 4 fills came: two units are held that no book knows of (invariant 3)."""
    book = told(ack, filled(4, "x"), lambda k: OrderCancelled(k, k, ID, D(4)))
    assert book.get(ID).missing == 2
    assert book.reserved(A) == Reserved(buy=D(2))
    book.apply(TradingResumed(9, 9, "", "ada", ""))
    assert book.blocked() == {}
    assert book.reserved(A) == Reserved(buy=D(2))
    book.apply(filled(2, "y")(10))
    assert book.reserved(A) == Reserved()
    more = told(ack, filled(7, "x"), lambda k: OrderCancelled(k, k, ID, D(4)))  # more came than the venue says
    assert (more.get(ID).missing, more.reserved(A)) == (0, Reserved())


def test_a_fill_of_the_old_quantity_does_not_end_an_order_whose_change_may_have_been_there_before():
    change = lambda k: ReplaceIntended(k, k, ID, D(20))  # noqa: E731
    book = told(ack, change, filled(10, "x"))
    assert (book.get(ID).is_open, book.reserved(A)) == (True, Reserved(D(10)))
    book.apply(CancelRejected(9, 9, ID, "it was filled"))
    assert (book.get(ID).status, book.reserved(A)) == (OrderStatus.FILLED, Reserved())


def test_a_person_unblocks_but_fills_that_are_missing_are_asked_about_until_they_came():
    book = told(ack, lambda k: OrderCancelled(k, k, ID, D(6)), lambda k: TradingResumed(k, k, "", "me", "looked"))
    book = OrderBook.from_plain(book.to_plain())
    assert not book.blocked()
    assert [one.order.id for one in book.differing()] == [ID]
    book.apply(filled(4, "x")(9))
    assert not list(book.differing())
