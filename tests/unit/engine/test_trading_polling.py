"""What the venue is asked about: doubtful orders always, all open ones after a reconnection and at intervals."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from foresail.core.ids import InstrumentId, OrderId
from foresail.domain.effects import Ask, CancelSend, Effect, ReplaceSend
from foresail.domain.orders import Order, OrderKind
from foresail.domain.signals import Side
from foresail.engine.trading.polling import Poller
from foresail.ledger.entries import CancelIntended, OrderAccepted, OrderIntended, OrderUnknown, ReplaceIntended
from foresail.ledger.orders import OrderBook

NAME = InstrumentId("stock.US.AAA")
MINUTE = 60 * 10**9


def orders(*kinds: str) -> OrderBook:
    """Working orders, and what is on its way for each."""
    book, sequence = OrderBook(), 0

    def write(kind: Any, **content: Any) -> None:
        nonlocal sequence
        book.apply(kind(0, sequence, **content))
        sequence += 1

    for number, kind in enumerate(kinds):
        name = OrderId(f"{number:032x}")
        write(OrderIntended, order=Order(name, NAME, Side.BUY, Decimal(5), OrderKind.LIMIT, 0, limit_price=Decimal(9)))
        if kind == "intended":
            continue
        write(OrderAccepted, order_id=name)
        if kind == "unknown":
            write(OrderUnknown, order_id=name)
        elif kind == "cancelling":
            write(CancelIntended, order_id=name)
        elif kind == "changing":
            write(ReplaceIntended, order_id=name, quantity=Decimal(8), limit_price=Decimal(10), revision=3)
    return book


def told(effects: tuple[Effect, ...]) -> list[tuple[str, str]]:
    names = {Ask: "ask", CancelSend: "cancel", ReplaceSend: "change"}
    return [(names[type(one)], one.order_id[-1]) for one in effects if isinstance(one, tuple(names))]


def test_working_orders_are_asked_about_once_an_interval() -> None:
    poller, book = Poller(MINUTE), orders("working", "working")
    assert poller.due(book, 0) == ()
    assert poller.due(book, MINUTE - 1) == ()
    assert told(poller.due(book, MINUTE)) == [("ask", "0"), ("ask", "1")]
    assert poller.due(book, 2 * MINUTE - 1) == ()
    assert told(poller.due(book, 2 * MINUTE)) == [("ask", "0"), ("ask", "1")]


def test_a_reconnection_asks_about_everything_at_once() -> None:
    poller, book = Poller(MINUTE), orders("working", "unknown")
    assert told(poller.everything(book, 10)) == [("ask", "0"), ("ask", "1")]
    assert told(poller.due(book, MINUTE)) == [("ask", "1")]


def test_what_is_doubtful_is_asked_about_and_sent_again_every_time() -> None:
    poller, book = Poller(MINUTE), orders("intended", "unknown", "cancelling", "changing", "working")
    wanted = [("ask", "0"), ("ask", "1"), ("cancel", "2"), ("ask", "2"), ("change", "3"), ("ask", "3")]
    for at in (0, 1, 2):
        effects = poller.due(book, at)
        assert told(effects) == wanted
    assert effects[4] == ReplaceSend(OrderId(f"{3:032x}"), NAME, Decimal(8), Decimal(10), None, 3)
