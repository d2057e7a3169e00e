"""Books that come back from a snapshot tell their numbers in the same digits: decisions are hashed as text."""

from __future__ import annotations

from decimal import Decimal

from foresail.core.ids import InstrumentId, OrderId
from foresail.domain.orders import Fill, FillReason
from foresail.domain.signals import Side
from foresail.ledger.books import Books
from foresail.ledger.entries import Deposited, FillBooked, SplitApplied

NAME = InstrumentId("crypto.X.BTC-USD")


def bought(books: Books, units: str, side: Side = Side.BUY) -> None:
    number, price = books.entries, Decimal("100.50")
    fill = Fill(
        OrderId(f"{number:032x}"), NAME, side, Decimal(units), price, price, Decimal(0), Decimal(0), number,
        FillReason.ENTRY, f"x{number}",
    )  # fmt: skip
    books.apply(FillBooked(number, number, fill))


def paid_in() -> Books:
    books = Books("t", "USD")
    books.apply(Deposited(0, 0, Decimal(1000)))
    return books


def test_the_digits_of_a_position_outlive_a_snapshot() -> None:
    books = paid_in()
    bought(books, "0.25")
    bought(books, "1")
    bought(books, "0.25", Side.SELL)  # takes the oldest lot: one of a whole unit is left
    again = Books.from_plain(books.to_plain())
    assert repr(again.positions()) == repr(books.positions())
    assert repr(again.account(at=5, prices={NAME: Decimal(90)})) == repr(
        books.account(at=5, prices={NAME: Decimal(90)})
    )


def test_the_digits_of_a_split_outlive_a_snapshot() -> None:
    books = paid_in()
    bought(books, "2")
    books.apply(SplitApplied(9, books.entries, NAME, Decimal("1.5"), Decimal("67")))
    again = Books.from_plain(books.to_plain())
    assert repr(again.positions()) == repr(books.positions())


def test_a_snapshot_of_before_is_read() -> None:
    books = paid_in()
    bought(books, "2")
    plain = books.to_plain()
    plain["holdings"] = {name: row[:3] for name, row in plain["holdings"].items()}
    assert Books.from_plain(plain).positions() == books.positions()
