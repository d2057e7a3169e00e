"""Bitstamp's orders (created, changed, deleted) to book events.

The stream has no opening snapshot, so orders that rested before it are not seen until they are all gone, and it has no
prints: a fill is told twice, once for each order. So the reader

1. follows the remaining size of every order it saw born; a later row about any other order is counted and set aside;
2. takes a ``changed`` row, or a ``deleted`` row with nothing left, as a fill of the difference, any other ``deleted``
   as a cancellation of what it had tracked;
3. pairs two fills of one size on opposite sides within a second: the younger order was the aggressor, and the print is
   told when the second of them arrives, not before.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from foresail.core.clock import NS_PER_S
from foresail.core.errors import DataError
from foresail.core.ids import InstrumentId
from foresail.domain.books import ArrivalClock, BookKind, BookStream, ClockReport, to_steps

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["BitstampBook", "BitstampReport", "OrderReader", "read_bitstamp"]

_COLUMNS = ("ts", "exchange_ts", "id", "price", "volume", "action", "direction")
_TICK, _LOT = 0.01, 1e-8
_PAIR_NS = NS_PER_S


@dataclass(frozen=True, slots=True)
class BitstampReport:
    """What the rows were.

    Attributes
    ----------
    unseen : rows about orders that were born before the stream
    repeated : rows that say what an earlier row said already
    fills, prints : fills of orders, and pairs of them
    enlarged : rows that made an order larger, which the venue does not do; taken as a new size
    """

    rows: int
    created: int
    changed: int
    deleted: int
    unseen: int
    repeated: int
    fills: int
    prints: int
    enlarged: int
    clock: ClockReport


@dataclass(frozen=True, slots=True, eq=False)
class BitstampBook:
    """A recorded stream."""

    stream: BookStream
    report: BitstampReport


@dataclass(slots=True)
class _Order:
    side: int
    price: int
    left: int


class OrderReader:
    """Rows in, book events out; prices in ticks, sizes in lots.

    Parameters
    ----------
    instrument : id
    """

    def __init__(self, instrument: InstrumentId) -> None:
        self._instrument = instrument
        self._orders: dict[int, _Order] = {}
        self._begun = False
        self._gone: deque[int] = deque(maxlen=100_000)
        self._known_gone: set[int] = set()
        self._fills: dict[tuple[int, int], deque[tuple[int, int, int]]] = {}
        self._rows: list[tuple[int, int, int, int, int, int, int, bool]] = []
        self._counts = dict.fromkeys(
            ("rows", "created", "changed", "deleted", "unseen", "repeated", "fills", "prints", "enlarged"), 0
        )
        self._clock = ArrivalClock()

    def feed(self, times: tuple[int, int], order: int, action: str, what: tuple[int, int, int]) -> None:
        """Take in one row.

        Parameters
        ----------
        times : local, exchange, ns; the exchange's is when the order was born
        order : id
        action : "created", "changed" or "deleted"
        what : side (1 bid, -1 ask), price in ticks, remaining size in lots

        Raises
        ------
        DataError
            If the action is another word.
        """
        if action not in {"created", "changed", "deleted"}:
            raise DataError(
                f"action {action!r} of order {order}: expected created, changed or deleted", column="action"
            )
        born = action == "created"
        at = self._clock.arrival(times[0], times[1] if born else None)
        before = len(self._rows)
        if not self._begun:
            self._begun = True
            self._row(at, BookKind.CLEAR, (0, 0, 0), 0)
        self._counts["rows"] += 1
        self._counts[action] += 1
        if born:
            self._created(at, order, what)
        elif order not in self._orders:
            self._counts["repeated" if order in self._known_gone else "unseen"] += 1
        else:
            self._changed(at, order, action, what[2])
        if len(self._rows) > before:
            self._rows[-1] = (*self._rows[-1][:-1], True)

    def _created(self, at: int, order: int, what: tuple[int, int, int]) -> None:
        if order in self._orders or order in self._known_gone or what[2] <= 0:
            self._counts["repeated"] += 1
            return
        self._orders[order] = _Order(*what)
        self._row(at, BookKind.ADD, what, order)

    def _changed(self, at: int, order: int, action: str, left: int) -> None:
        mine = self._orders[order]
        cancelled = action == "deleted" and left > 0
        taken = mine.left if action == "deleted" else mine.left - left
        if taken < 0:
            self._counts["enlarged"] += 1
            self._row(at, BookKind.ADD, (mine.side, mine.price, -taken), order)
        elif taken == 0:
            self._counts["repeated"] += 1
        elif cancelled:
            self._row(at, BookKind.DELETE, (mine.side, mine.price, taken), order)
        else:
            self._counts["fills"] += 1
            self._row(at, BookKind.FILL, (mine.side, mine.price, taken), order)
            self._pair(at, order, mine, taken)
        mine.left -= taken
        if action == "deleted":
            del self._orders[order]
            if len(self._gone) == self._gone.maxlen:
                self._known_gone.discard(self._gone[0])
            self._gone.append(order)
            self._known_gone.add(order)

    def _pair(self, at: int, order: int, mine: _Order, taken: int) -> None:
        """Look for the other half of a print; the younger order, with the higher id, was the aggressor."""
        waiting = self._fills.get((-mine.side, taken))
        while waiting and at - waiting[0][0] > _PAIR_NS:
            waiting.popleft()
        if not waiting:
            own = self._fills.setdefault((mine.side, taken), deque(maxlen=16))
            own.append((at, order, mine.price))
            self._forget(at)
            return
        _, other, price = waiting.popleft()
        younger = order > other
        side, resting = (mine.side, price) if younger else (-mine.side, mine.price)
        self._counts["prints"] += 1
        self._row(at, BookKind.TRADE, (side, resting, taken), max(order, other))

    def _forget(self, at: int) -> None:
        """Drop halves that nothing can match any more, so that memory does not grow."""
        if len(self._fills) > 1000:
            self._fills = {k: v for k, v in self._fills.items() if v and at - v[-1][0] <= _PAIR_NS}

    def _row(self, at: int, kind: BookKind, what: tuple[int, int, int], order: int) -> None:
        self._rows.append((at, int(kind), *what, order, self._counts["rows"], False))

    def take(self) -> BookStream:
        """Return the events since the last call."""
        rows, self._rows = self._rows, []
        columns = list(zip(*rows, strict=True)) if rows else [()] * 8

        def of(i: int, kind: Any = np.int64) -> Any:
            return np.array(columns[i], dtype=kind)

        return BookStream(
            instrument=self._instrument, tick=_TICK, lot=_LOT, event_time=of(0), available_at=of(0),
            kind=of(1, np.int8), side=of(2, np.int8), price=of(3), size=of(4), order=of(5), sequence=of(6),
            closes=of(7, np.bool_),
        )  # fmt: skip

    def report(self) -> BitstampReport:
        """Return what was seen so far."""
        return BitstampReport(**self._counts, clock=self._clock.report())


def read_bitstamp(path: Path, instrument: InstrumentId) -> BitstampBook:
    """Return a recorded stream of one instrument: Parquet with the columns of the venue's order messages.

    Raises
    ------
    DataError
        If a column is lacking or holds something else.

    Notes
    -----
    Timing: the exchange's stamp has whole seconds and tells when the order was born, so the local time of arrival is
    the event time too.
    """
    import pandas as pd

    table = pd.read_parquet(path)
    lacking = [name for name in _COLUMNS if name not in table.columns]
    if lacking:
        raise DataError(f"{path.name}: no column {', '.join(lacking)}", column=lacking[0])
    strange = sorted(set(table["direction"]) - {"bid", "ask"})
    if strange:
        raise DataError(f"{path.name}: direction {strange[0]!r}, expected bid or ask", column="direction")
    local, exchange = _ns(table["ts"]), _ns(table["exchange_ts"])
    side = np.where(table["direction"] == "bid", 1, -1)
    price = to_steps(table["price"].to_numpy(dtype=np.float64), _TICK, "price")
    size = to_steps(table["volume"].to_numpy(dtype=np.float64), _LOT, "volume")
    reader = OrderReader(instrument)
    rows = zip(local, exchange, table["id"], table["action"], side, price, size, strict=True)
    for at, born, order, action, direction, ticks, lots in rows:
        reader.feed((int(at), int(born)), int(order), str(action), (int(direction), int(ticks), int(lots)))
    return BitstampBook(reader.take(), reader.report())


def _ns(column: pd.Series[Any]) -> Any:
    return column.dt.tz_convert("UTC").dt.tz_localize(None).to_numpy().astype("datetime64[ns]").astype(np.int64)
