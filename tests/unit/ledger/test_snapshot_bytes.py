"""Snapshots are checked by their bytes; what the book of orders forgets follows from the entries."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest

from foresail.core.canonical import canonical_bytes, hash_bytes
from foresail.core.ids import OrderId, instrument_id
from foresail.domain.orders import Order, OrderKind
from foresail.domain.signals import Side
from foresail.ledger.entries import Deposited, OrderIntended, OrderRejected
from foresail.ledger.log import EntryLog
from foresail.ledger.orders import OrderBook
from foresail.ledger.recovery import Session
from foresail.testing.disk import PessimisticDisk

SESSION = Session("paper", "t", "build", "settings")
STATE = {"text": 'a "b"\n ü', "deep": [1, 2.5, None, True, {"z": "1.10", "a": []}], "big": 2**62}
DAY = 86_400 * 10**9


def kept() -> PessimisticDisk:
    disk = PessimisticDisk()
    log = EntryLog.open(disk, SESSION, at=0)
    for k in range(3):
        log.append(Deposited(k, log.next_sequence, Decimal(k)))
        log.commit()
    log.snapshot(STATE)
    log.append(Deposited(9, log.next_sequence, Decimal(9)))
    log.commit()
    log.close()
    return disk


def snapshot_of(disk: PessimisticDisk) -> str:
    return next(name for name in disk.names() if name.startswith("snapshot-"))


def test_a_snapshot_comes_back_as_it_was():
    found = EntryLog.open(kept(), SESSION, at=0).recovery
    assert found.state == STATE
    assert [entry.at for entry in found.entries] == [9]


@pytest.mark.parametrize("byte", [0, 20, 70, 120])
def test_a_damaged_snapshot_is_passed_over_for_the_longer_tail(byte):
    disk = kept()
    disk.flip(snapshot_of(disk), byte)
    found = EntryLog.open(disk, SESSION, at=0).recovery
    assert found.state is None
    assert len(found.entries) == 5


def test_snapshots_of_the_first_versions_are_read():
    disk = kept()
    name = snapshot_of(disk)
    line = disk.read(name).split(b"\n")[1]
    body = json.loads(line)
    disk.replace(name, canonical_bytes({"hash": hash_bytes(canonical_bytes(body)), "body": body}))
    assert EntryLog.open(disk, SESSION, at=0).recovery.state == STATE


def intended(number, at):
    order = Order(OrderId(f"{number}"), instrument_id("stock.US.A"), Side.BUY, Decimal(1), OrderKind.MARKET, at)
    return OrderIntended(at, number, order)


def test_orders_done_seven_days_ago_are_forgotten_by_the_next_day_with_an_intent():
    book = OrderBook()
    book.apply(intended(1, 0))
    book.apply(OrderRejected(1, 2, OrderId("1")))
    book.apply(intended(3, DAY))  # stays open: never forgotten
    book.apply(intended(4, 7 * DAY))
    assert OrderId("1") in book
    again = OrderBook.from_plain(book.to_plain())
    for one in (book, again):
        one.apply(intended(5, 8 * DAY + 2))
        assert OrderId("1") not in one
        assert OrderId("3") in one
    assert again.to_plain() == book.to_plain()
