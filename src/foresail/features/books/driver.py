"""Book features in bars: one driver for history and live.

History is a driver that is given everything at once; live is the same driver, given what has arrived. A stream that is
cut anywhere, with a restart from a snapshot in between, gives the same bits.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from foresail.core.arrays import FloatArray, IntArray, TimeArray
from foresail.core.errors import DataError, IntegrityError, UnknownNameError
from foresail.core.ids import InstrumentId
from foresail.domain.books import BookStream
from foresail.features.books.kernel import BAR_END, CLOSES, CROSSED, STRAY, VALID, advance, run
from foresail.features.books.kernel import levels_at as _levels_at
from foresail.features.books.layout import BookSettings, columns_of, grown, new_memory
from foresail.features.books.memory import BookMemory, Columns

__all__ = ["BookBars", "BookDriver", "BookHealth", "best_levels", "book_bars", "warm_books"]

_MOST_BARS = 50_000_000
_CAPACITY = 1024


@dataclass(frozen=True, slots=True, eq=False)
class BookBars:
    """Numbers of a book at the ends of B bars.

    Attributes
    ----------
    start, end : (B,) ns UTC by the time of arrival, half open; a row is known at its end
    names : of the F columns, ``columns_of``, then what is derived of these
    values : (B, F); NaN where the book was invalid, crossed or too shallow, or the flow of a bar is not whole
    """

    instrument: InstrumentId
    start: TimeArray
    end: TimeArray
    names: tuple[str, ...]
    values: FloatArray

    def __len__(self) -> int:
        return len(self.end)

    def column(self, name: str) -> FloatArray:
        """Return one column, (B,).

        Raises
        ------
        UnknownNameError
            If there is none of that name.
        """
        if name not in self.names:
            raise UnknownNameError("book column", name, self.names)
        return self.values[:, self.names.index(name)]

    def with_column(self, name: str, values: FloatArray) -> BookBars:
        """Return the bars with a further column, (B,).

        Raises
        ------
        DataError
            If the name is taken, or the length differs.
        """
        if name in self.names or values.shape != self.end.shape:
            raise DataError(
                f"column {name!r} of {values.shape} rows: taken, or not one value for each of {len(self)} bars"
            )
        return replace(self, names=(*self.names, name), values=np.column_stack([self.values, values]))


@dataclass(frozen=True, slots=True)
class BookHealth:
    """The state of a driver.

    Attributes
    ----------
    valid : a snapshot was taken and no gap followed
    closes : messages taken in while valid
    crossed : of these, how many left the best bid at or above the best ask
    stray : rows that took from a level more than it held
    levels : (bids, asks) of the standing book
    """

    valid: bool
    closes: int
    crossed: int
    stray: int
    levels: tuple[int, int]


class BookDriver:
    """A book and its features.

    Parameters
    ----------
    like : any stream of the instrument, for tick, lot and visible levels; its rows are not taken in
    """

    def __init__(self, like: BookStream, settings: BookSettings | None = None) -> None:
        self.settings = BookSettings() if settings is None else settings
        self._like = like.rows(0, 0)
        self._memory = new_memory(self.settings, _CAPACITY)
        self._depths = np.array(self.settings.depths, dtype=np.int64)
        self._visible = like.levels or 0
        s = self.settings
        self._factors = np.array([s.whale_factor, s.large_factor, like.tick, like.lot])
        self._last = np.iinfo(np.int64).min
        self.names = (*columns_of(s), *_derived(s))

    def feed(self, stream: BookStream) -> BookBars:
        """Take in rows, and return the bars that ended before the last of them.

        Raises
        ------
        DataError
            If the stream is of another instrument, or begins before what was taken in already.
        """
        self._check(stream)
        if len(stream) == 0:
            return self._bars(np.empty(0, dtype=np.int64), np.empty((0, len(columns_of(self.settings)))))
        rows = _columns(stream)
        ends, out = self._room(int(rows.time[0]), int(rows.time[-1]))
        at = written = 0
        s = self.settings
        while at < len(stream):
            at, written = run(
                self._memory, rows, at, s.bar_ns, self._depths, self._visible, self._factors, s.cancel_ns,
                ends, out, written,
            )  # fmt: skip
            if at < len(stream):
                self._memory = grown(self._memory)
        self._last = int(rows.time[-1])
        return self._bars(ends[:written], out[:written])

    def advance(self, until_ns: int) -> BookBars:
        """Return the bars that are over at an instant although no row has come since.

        Raises
        ------
        DataError
            If rows after that instant were taken in already.
        """
        if until_ns < self._last:
            raise DataError(f"cannot go back to {until_ns}: a row of {self._last} was taken in")
        if self._memory.numbers[BAR_END] == 0:
            return self._bars(np.empty(0, dtype=np.int64), np.empty((0, len(columns_of(self.settings)))))
        ends, out = self._room(until_ns, until_ns)
        s = self.settings
        written = advance(
            self._memory, until_ns, s.bar_ns, self._depths, self._visible, self._factors[2:], s.cancel_ns, ends, out, 0
        )
        self._last = until_ns
        return self._bars(ends[:written], out[:written])

    def health(self) -> BookHealth:
        """Return whether the book is valid, and what was odd so far."""
        numbers, counts = self._memory.numbers, self._memory.counts
        return BookHealth(
            valid=bool(numbers[VALID]),
            closes=int(numbers[CLOSES]),
            crossed=int(numbers[CROSSED]),
            stray=int(numbers[STRAY]),
            levels=(int(counts[0]), int(counts[1])),
        )

    def levels(self, depth: int) -> tuple[FloatArray, FloatArray]:
        """Return prices and sizes of the standing book, (2, depth) each, bids first, best first; NaN = no level."""
        price, size = np.full((2, depth), np.nan), np.full((2, depth), np.nan)
        for row, sign in ((0, 1), (1, -1)):
            n = int(self._memory.counts[row])
            k = min(depth, n)
            price[row, :k] = sign * self._memory.keys[row, n - k : n][::-1] * self._like.tick
            size[row, :k] = self._memory.sizes[row, n - k : n][::-1] * self._like.lot
        return price, size

    def snapshot(self) -> dict[str, IntArray]:
        """Return all that the driver remembers, as arrays of whole numbers."""
        return {
            **{name: array.copy() for name, array in self._memory._asdict().items()},
            "last": np.array([self._last], dtype=np.int64),
            "settings": self._fingerprint(),
        }

    def _fingerprint(self) -> IntArray:
        """Return the settings and units as whole numbers, floats by their bits."""
        s = self.settings
        return np.concatenate([[s.bar_ns, s.cancel_ns, self._visible], self._depths, self._factors.view(np.int64)])

    def restore(self, snapshot: Mapping[str, IntArray]) -> None:
        """Go on from a snapshot of a driver with these settings.

        Raises
        ------
        IntegrityError
            If it is of other settings or incomplete.
        """
        fresh = new_memory(self.settings)
        parts = {}
        for name, array in fresh._asdict().items():
            given = snapshot.get(name)
            free = name in {"keys", "sizes"}  # these grow with the book
            if given is None or given.dtype != np.int64 or (not free and given.shape != array.shape):
                raise IntegrityError(
                    f"the snapshot's part {name!r} does not belong to these settings",
                    hint="make the driver with the settings of the snapshot, or feed the stream from its start",
                )
            parts[name] = np.ascontiguousarray(given).copy()
        same = np.array_equal(snapshot.get("settings", np.empty(0)), self._fingerprint())
        if not same or "last" not in snapshot or parts["keys"].shape != parts["sizes"].shape:
            raise IntegrityError(
                "the snapshot is incomplete, or does not belong to these settings, tick, lot and visible levels",
                hint="make the driver with the settings of the snapshot, or feed the stream from its start",
            )
        self._memory = BookMemory(**parts)
        self._last = int(snapshot["last"][0])

    def _check(self, stream: BookStream) -> None:
        mine, other = self._like, stream
        if (mine.instrument, mine.tick, mine.lot, mine.levels) != (
            other.instrument,
            other.tick,
            other.lot,
            other.levels,
        ):
            raise DataError(
                f"expected rows of {mine.instrument} in ticks of {mine.tick} and lots of {mine.lot}, received "
                f"{other.instrument}, {other.tick}, {other.lot}",
                hint="one driver takes in one instrument of one source",
            )
        if len(stream) and int(stream.available_at[0]) < self._last:
            raise DataError(f"a row of {int(stream.available_at[0])} arrives after one of {self._last}", row=1)

    def _room(self, first: int, last: int) -> tuple[IntArray, FloatArray]:
        end = int(self._memory.numbers[BAR_END]) or first
        bars = max(0, last - end) // self.settings.bar_ns + 2
        if bars > _MOST_BARS:
            raise DataError(
                f"{bars:,} bars of {self.settings.bar_ns} ns between two rows",
                hint="check the times of the stream, or take longer bars",
            )
        return np.empty(bars, dtype=np.int64), np.empty((bars, len(columns_of(self.settings))))

    def _bars(self, ends: IntArray, values: FloatArray) -> BookBars:
        names = columns_of(self.settings)
        first = names.index("flow_1")
        flow = values[:, first : first + self.settings.flow_levels]
        gap = values[:, names.index("microprice")] / values[:, names.index("mid")] - 1.0
        depth = values[:, names.index("average_depth"), None]
        derived = np.column_stack([gap, flow[:, 0], flow / np.where(depth > 0.0, depth, np.nan)])
        ends = ends.copy()
        return BookBars(
            self._like.instrument, ends - self.settings.bar_ns, ends, self.names, np.column_stack([values, derived])
        )


def _derived(settings: BookSettings) -> tuple[str, ...]:
    """Return the names of what follows from the other columns: flows are over one average depth for all levels."""
    levels = range(1, settings.flow_levels + 1)
    return ("microprice_gap", "order_flow_imbalance", *(f"multi_level_flow_{level}" for level in levels))


def _columns(stream: BookStream) -> Columns:
    def whole(name: str) -> IntArray:
        return np.ascontiguousarray(getattr(stream, name), dtype=np.int64)

    return Columns(
        whole("available_at"),
        np.ascontiguousarray(stream.kind, dtype=np.int8),
        np.ascontiguousarray(stream.side, dtype=np.int8),
        whole("price"),
        whole("size"),
        whole("order"),
        np.ascontiguousarray(stream.closes, dtype=np.bool_),
    )


def book_bars(stream: BookStream, settings: BookSettings | None = None) -> BookBars:
    """Return the features of a whole stream, up to the last bar that its rows complete.

    Notes
    -----
    Timing: bars are cut by ``available_at``, so that a row holds what had been received at its end.
    """
    return BookDriver(stream, settings).feed(stream)


def best_levels(stream: BookStream, depth: int) -> tuple[IntArray, IntArray]:
    """Return the best levels after each message, (closes, 2, depth) prices in ticks and sizes in lots, bids first.

    A level that does not exist has size 0 and price 0.
    """
    rows = _columns(stream)
    closes = int(rows.closes.sum())
    price = np.zeros((closes, 2, depth), dtype=np.int64)
    size = np.zeros((closes, 2, depth), dtype=np.int64)
    memory = new_memory(BookSettings(), _CAPACITY)
    factors = np.array([np.inf, np.inf, stream.tick, stream.lot])
    at = written = 0
    while at < len(stream):
        at, written = _levels_at(memory, rows, at, factors, price, size, written)
        if at < len(stream):
            memory = grown(memory)
    return price, size


def warm_books() -> None:
    """Compile the book step, or load it where that was done before, so that nothing compiles inside a request."""
    one = np.ones(1, dtype=np.int64)
    small = one.astype(np.int8)
    row = BookStream(
        InstrumentId("crypto.NONE"), 1.0, 1.0, one, one, small, small, one, one, one, one, one.astype(np.bool_)
    )
    driver = BookDriver(row)
    driver.feed(row)
    driver.advance(1)
    best_levels(row, 1)
