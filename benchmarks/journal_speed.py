"""Speed of the journal on disk: single durable commits, what an intent waits, grouped entries, and a start.

    python -m benchmarks.journal_speed [--json] [--commits 3000] [--entries 1000000] [--folder DIR]

- ``commits_per_s``: one order intent appended and committed (written and fdatasync returned), one after the other.
- ``intent_added_p99_ms``: what making an intent durable adds to the way of an order, 99 of 100 within. It is that of
  the disk: ``disk_p99_ms`` is the same number of bytes written and synced with nothing of ours around it, in turns.
- ``grouped_entries_per_s``: intents in groups of 64, one frame and one sync a group.
- ``ready_s``: an account is opened whose newest snapshot stands behind so many entries, and with a short tail after it:
  lock, recovery, state restored, first entry of the new epoch durable. ``verify_s`` walks the whole chain.

The clock is the wall's, because the disk is what is measured; run it on the disk that will hold the journal. Exit 1 if
a target is missed: 2,000 commits a second, 2 ms added, ready within 2 s.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np

from foresail.core.ids import InstrumentId, OrderId
from foresail.domain.orders import Fill, FillReason, Order, OrderKind
from foresail.domain.signals import Side
from foresail.ledger.books import Books
from foresail.ledger.codec import encode_entry
from foresail.ledger.disk import RealDisk
from foresail.ledger.entries import (
    Deposited,
    Entry,
    FillBooked,
    Marked,
    OrderAccepted,
    OrderIntended,
    SessionStarted,
    StreamAdvanced,
)
from foresail.ledger.log import EntryLog
from foresail.ledger.orders import OrderBook
from foresail.ledger.recovery import Session, verify_log

COMMITS_TARGET, ADDED_TARGET_MS, READY_TARGET_S = 2_000, 2.0, 2.0
_SESSION = Session("paper", "bench", "bench", "bench")
_NAME = InstrumentId("stock.US.AAPL")
_GROUP = 64
_TAIL = 1_000  # entries after the snapshot
_MINUTE_NS = 60 * 10**9


def intent(sequence: int, at: int) -> OrderIntended:
    """Return the intent of a limit order."""
    order = Order(
        OrderId(f"{sequence:032x}"), _NAME, Side.BUY, Decimal(10), OrderKind.LIMIT, at, limit_price=Decimal("181.25"),
        stop_price=Decimal("176.10"), strategy="bench/momentum@1",
    )  # fmt: skip
    return OrderIntended(at, sequence, order)


def quantile_ms(seconds: list[float], share: float) -> float:
    """Return a quantile of some durations in milliseconds."""
    return round(float(np.quantile(np.array(seconds), share)) * 1e3, 3)


def measure_commits(folder: Path, commits: int) -> dict[str, Any]:
    """Return single durable commits, and the same bytes written bare, in turns."""
    log = EntryLog.open(RealDisk(folder), _SESSION, at=0)
    bare = os.open(folder / "bare", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    payload = b"x" * (len(encode_entry(intent(1, 1))) + 28)
    ours, disk = [], []
    for k in range(commits):
        begun = time.perf_counter()
        log.append(intent(log.next_sequence, k))
        log.commit()
        ours.append(time.perf_counter() - begun)
        begun = time.perf_counter()
        os.write(bare, payload)
        os.fdatasync(bare)
        disk.append(time.perf_counter() - begun)
    os.close(bare)
    log.close()
    return {
        "commits_per_s": round(commits / sum(ours)),
        "intent_added_p50_ms": quantile_ms(ours, 0.5),
        "intent_added_p99_ms": quantile_ms(ours, 0.99),
        "disk_p50_ms": quantile_ms(disk, 0.5),
        "disk_p99_ms": quantile_ms(disk, 0.99),
    }


def measure_groups(folder: Path, entries: int) -> int:
    """Return entries a second in groups of 64."""
    log = EntryLog.open(RealDisk(folder), _SESSION, at=0)
    begun = time.perf_counter()
    for k in range(entries):
        log.append(intent(log.next_sequence, k))
        if k % _GROUP == _GROUP - 1:
            log.commit()
    log.commit()
    taken = time.perf_counter() - begun
    log.close()
    return round(entries / taken)


def lived(book: OrderBook, books: Books, log: EntryLog, entries: int, first: int) -> None:
    """Append the life of an account, a minute an entry: marks, intents, answers, now and then a fill."""

    def write(entry: Entry) -> None:
        log.append(entry)
        books.apply(entry)
        book.apply(entry)

    write(Deposited(first, log.next_sequence, Decimal(100_000)))
    at, order = first, intent(0, 0).order
    for k in range(entries - 1):
        at += _MINUTE_NS
        sequence, place = log.next_sequence, k % 10
        if place == 0:
            write(intent(sequence, at))
            order = intent(sequence, at).order
        elif place == 1:
            write(OrderAccepted(at, sequence, order.id))
        elif place == 2:
            side = Side.BUY if books.quantity(_NAME) == 0 else Side.SELL
            cost = Decimal("0.35")
            fill = Fill(
                order.id, _NAME, side, order.quantity, Decimal(181), Decimal(181), cost, Decimal(0), at,
                FillReason.ENTRY, f"e{k}",
            )  # fmt: skip
            write(FillBooked(at, sequence, fill))
        elif place % 2:
            write(StreamAdvanced(at, sequence, "bars", k))
        else:
            write(Marked(at, sequence, ((_NAME, Decimal(180 + k % 7)),) if books.is_invested else ()))
        if k % _GROUP == 0:
            log.commit()


def measure_start(folder: Path, entries: int) -> dict[str, Any]:
    """Return seconds of a start with so many entries behind a snapshot and a tail after it, and of verifying all."""
    log = EntryLog.open(RealDisk(folder), _SESSION, at=0)
    book, books = OrderBook(), Books("bench", "USD")
    books.apply(SessionStarted(0, 0, 1, "paper", "bench", "bench", "bench"))
    lived(book, books, log, entries, 1_600_000_000 * 10**9)
    log.snapshot({"books": books.to_plain(), "orders": book.to_plain()})
    lived(book, books, log, _TAIL, log.last_at)
    log.commit()
    log.close()
    os.sync()
    begun = time.perf_counter()
    again = EntryLog.open(RealDisk(folder), _SESSION, at=0)
    state = again.recovery.state or {}
    restored, orders = Books.from_plain(state["books"]), OrderBook.from_plain(state["orders"])
    for entry in again.recovery.entries:
        restored.apply(entry)
        orders.apply(entry)
    ready = time.perf_counter() - begun
    again.close()
    if restored.state() != books.state() or orders.to_plain() != book.to_plain():
        raise SystemExit("the start did not restore the books")
    begun = time.perf_counter()
    verified, _chain, behind = verify_log(RealDisk(folder))
    return {
        "entries_behind_snapshot": entries,
        "entries_after_it": len(again.recovery.entries),
        "ready_s": round(ready, 3),
        "verified_entries": verified,
        "bytes_behind": behind,
        "verify_s": round(time.perf_counter() - begun, 1),
    }


def main() -> int:
    """Run the benchmark; exit 1 if a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--commits", type=int, default=3_000)
    parser.add_argument("--entries", type=int, default=1_000_000)
    parser.add_argument("--folder", type=Path, default=None)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as made:
        root = Path(made)
        figures: dict[str, Any] = {"cores": os.cpu_count(), "folder": str(options.folder or tempfile.gettempdir())}
        figures |= measure_commits(root / "single", options.commits)
        figures["grouped_entries_per_s"] = measure_groups(root / "grouped", options.commits * 10)
        figures |= measure_start(root / "start", options.entries)
    print(json.dumps(figures, indent=1) if options.json else "\n".join(f"{k}: {v}" for k, v in figures.items()))
    missed = figures["commits_per_s"] < COMMITS_TARGET or figures["intent_added_p99_ms"] > ADDED_TARGET_MS
    return int(missed or figures["ready_s"] > READY_TARGET_S)


if __name__ == "__main__":
    sys.exit(main())
