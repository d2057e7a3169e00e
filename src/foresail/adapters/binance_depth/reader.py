"""Binance's messages to book events: snapshot and differences are joined by their numbers, gaps make the book invalid.

The rules are those of Binance's page "How to manage a local order book correctly":

1. differences are kept until a snapshot is there; those that end at or before it are dropped;
2. the first one used must cover the snapshot's number, and each later one must follow the one before;
3. otherwise rows were lost: the book is invalid until the next snapshot.

One reader serves a file and a live stream: feed messages as they arrive, take the events with ``take``.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from foresail.adapters.binance_depth.wire import Depth, Levels, Snapshot, Trade, parse_message
from foresail.core.arrays import IntArray
from foresail.core.errors import DataError, MalformedPayloadError
from foresail.core.ids import InstrumentId
from foresail.domain.books import ArrivalClock, BookKind, BookStream, ClockReport, to_steps

__all__ = ["BestQuotes", "BinanceBook", "BinanceReport", "DepthReader", "read_binance"]

_MOST_KEPT = 10_000  # differences that wait for a snapshot


@dataclass(frozen=True, slots=True)
class BinanceReport:
    """What the messages were.

    Attributes
    ----------
    gaps : (number expected, number received) of every break of the sequence
    dropped : differences that ended at or before a snapshot
    waiting : differences that still wait for one
    unread : messages of forms that the reader does not need
    """

    depth_messages: int
    snapshots: int
    trades: int
    quotes: int
    dropped: int
    waiting: int
    unread: int
    gaps: tuple[tuple[int, int], ...]
    clock: ClockReport


@dataclass(frozen=True, slots=True, eq=False)
class BestQuotes:
    """The venue's own best quotes: (Q,) update id, prices in ticks, sizes in lots."""

    final: IntArray
    bid: IntArray
    bid_size: IntArray
    ask: IntArray
    ask_size: IntArray


@dataclass(frozen=True, slots=True, eq=False)
class BinanceBook:
    """A recorded stream."""

    stream: BookStream
    quotes: BestQuotes
    report: BinanceReport


class DepthReader:
    """Messages in, book events out.

    Parameters
    ----------
    instrument : id
    tick, lot : of the venue for that instrument and day
    """

    def __init__(self, instrument: InstrumentId, tick: float, lot: float) -> None:
        self._instrument, self._tick, self._lot = instrument, tick, lot
        self._rows: list[tuple[int, int, int, int, float, float, int, bool]] = []
        self._quotes: list[tuple[int, float, float, float, float]] = []
        self._kept: list[tuple[int, Depth]] = []
        self._final: int | None = None  # number of the last difference that is in the book
        self._fresh = False  # the next difference is the first after a snapshot
        self._counts = dict.fromkeys(("depth", "snapshot", "trade", "quote", "dropped", "unread"), 0)
        self._gaps: list[tuple[int, int]] = []
        self._clock = ArrivalClock()

    @property
    def valid(self) -> bool:
        """Whether a snapshot was taken in and nothing lost since."""
        return self._final is not None

    def feed(self, local_ns: int, message: Mapping[str, Any]) -> None:
        """Take in one message that arrived at ``local_ns`` by the local clock.

        Raises
        ------
        MalformedPayloadError
            If it cannot be read.
        """
        told = parse_message(message)
        if told is None:
            self._counts["unread"] += 1
        elif isinstance(told, Depth):
            self._counts["depth"] += 1
            self._depth(self._clock.arrival(local_ns, told.event_time), told)
        elif isinstance(told, Snapshot):
            self._counts["snapshot"] += 1
            self._snapshot(self._clock.arrival(local_ns, told.event_time), told)
        elif isinstance(told, Trade):
            self._counts["trade"] += 1
            at = self._clock.arrival(local_ns, told.event_time)
            self._row(at, told.event_time, BookKind.TRADE, (told.side, told.price, told.size), told.trade_id)
            self._seal()
        else:
            self._counts["quote"] += 1
            self._quotes.append((told.final, told.bid, told.bid_size, told.ask, told.ask_size))

    def lost(self, local_ns: int) -> None:
        """Say that the connection broke: the book is invalid until the next snapshot."""
        self._invalid(self._clock.arrival(local_ns, None), local_ns)

    def take(self) -> BookStream:
        """Return the events since the last call."""
        rows, self._rows = self._rows, []
        columns = list(zip(*rows, strict=True)) if rows else [()] * 8
        price, size = (np.array(columns[i], dtype=np.float64) for i in (4, 5))
        return BookStream(
            instrument=self._instrument,
            tick=self._tick,
            lot=self._lot,
            event_time=np.array(columns[1], dtype=np.int64),
            available_at=np.array(columns[0], dtype=np.int64),
            kind=np.array(columns[2], dtype=np.int8),
            side=np.array(columns[3], dtype=np.int8),
            price=to_steps(price, self._tick, "price"),
            size=to_steps(size, self._lot, "size"),
            order=np.zeros(len(rows), dtype=np.int64),
            sequence=np.array(columns[6], dtype=np.int64),
            closes=np.array(columns[7], dtype=np.bool_),
        )

    def quotes(self) -> BestQuotes:
        """Return all best quotes so far."""
        columns = np.array(self._quotes, dtype=np.float64).reshape(-1, 5).T
        steps = [to_steps(columns[i], self._tick if i % 2 else self._lot, "quote") for i in range(1, 5)]
        return BestQuotes(np.array([row[0] for row in self._quotes], dtype=np.int64), *steps)

    def report(self) -> BinanceReport:
        """Return what was seen so far."""
        counts = self._counts
        return BinanceReport(
            counts["depth"],
            counts["snapshot"],
            counts["trade"],
            counts["quote"],
            counts["dropped"],
            len(self._kept),
            counts["unread"],
            tuple(self._gaps),
            self._clock.report(),
        )

    def _depth(self, at: int, told: Depth) -> None:
        """Apply a difference that follows what is in the book; keep it while there is none."""
        final = self._final
        if final is None:
            self._kept.append((at, told))
            del self._kept[:-_MOST_KEPT]
            return
        if told.final <= final and self._fresh:
            self._counts["dropped"] += 1
            return
        if self._fresh:
            linked = told.first <= final + 1 or told.before == final
        else:
            linked = told.first == final + 1 if told.before is None else told.before == final
        if not linked:
            self._gaps.append((final + 1, told.first))
            self._invalid(at, told.event_time)
            self._kept = [(at, told)]
            return
        self._final, self._fresh = told.final, False
        self._levels(at, told.event_time, told.final, (told.bids, told.asks))

    def _snapshot(self, at: int, told: Snapshot) -> None:
        event = at if told.event_time is None else told.event_time
        self._row(at, event, BookKind.CLEAR, (0, 0.0, 0.0), told.final)
        self._levels(at, event, told.final, (told.bids, told.asks))
        self._final, self._fresh = told.final, True
        kept, self._kept = self._kept, []
        for _, depth in kept:  # they came before, but are of use only now
            self._depth(at, depth)

    def _levels(self, at: int, event: int, final: int, sides: tuple[Levels, Levels]) -> None:
        for side, levels in zip((1, -1), sides, strict=True):
            for price, size in levels:
                self._row(at, event, BookKind.LEVEL, (side, price, size), final)
        self._seal()

    def _invalid(self, at: int, event: int) -> None:
        if self._final is not None:
            self._row(at, event, BookKind.INVALID, (0, 0.0, 0.0), self._final)
            self._seal()
        self._final = None

    def _row(self, at: int, event: int, kind: BookKind, what: tuple[int, float, float], number: int) -> None:
        self._rows.append((at, event, int(kind), *what, number, False))

    def _seal(self) -> None:
        """Mark the last row as the end of its message."""
        if self._rows:
            self._rows[-1] = (*self._rows[-1][:-1], True)


def read_binance(path: Path, instrument: InstrumentId, *, tick: float, lot: float) -> BinanceBook:
    """Return a recorded stream: lines of local time in ns, a space, and the message as JSON.

    Parameters
    ----------
    path : plain or gzip

    Raises
    ------
    DataError
        If a line cannot be read, or a price is no multiple of the tick.
    """
    reader = DepthReader(instrument, tick, lot)
    for number, line in enumerate(_lines(path), start=1):
        stamp, _, text = line.partition(" ")
        try:
            reader.feed(int(stamp), json.loads(text))
        except (ValueError, MalformedPayloadError) as error:
            raise DataError(f"{path.name}, line {number}: {error}", row=number) from error
    return BinanceBook(reader.take(), reader.quotes(), reader.report())


def _lines(path: Path) -> Iterator[str]:
    if path.suffix == ".gz":
        with gzip.open(path, "rt", encoding="utf-8") as file:
            yield from file
    else:
        with path.open(encoding="utf-8") as file:
            yield from file
