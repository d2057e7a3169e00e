"""Order-book events of one instrument, in the one form that every venue's reader gives (BOOK-01, BOOK-02).

Prices are whole ticks and sizes whole lots, so that a book is exact: a level is empty at 0 and never at 1e-17, and sums
do not depend on the order of events. Rows stand in the order in which they were received. One message of a venue may
change many levels; ``closes`` marks its last row, and only there does the book mean anything.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foresail.core.arrays import BoolArray, FloatArray, IntArray, TimeArray
from foresail.core.clock import format_ns
from foresail.core.errors import DataError
from foresail.core.ids import InstrumentId

__all__ = ["ASK", "BID", "ArrivalClock", "BookKind", "BookStream", "ClockReport", "join_streams", "to_steps"]

BID, ASK = 1, -1
_MOST_STEPS = 1e14  # leaves room for sums of many rows in 63 bits
_COLUMNS = ("event_time", "available_at", "kind", "side", "price", "size", "order", "sequence", "closes")


class BookKind(IntEnum):
    """What one row tells.

    Side is that of the book (bid 1, ask -1), for TRADE that of the aggressor (buyer 1, seller -1).
    """

    CLEAR = 0  # a snapshot begins: the book is empty, and valid again
    LEVEL = 1  # the level has this total size now, 0 = gone
    ADD = 2  # an order of this size joined
    REDUCE = 3  # an order was cancelled in part, by this size
    DELETE = 4  # an order of this remaining size was cancelled
    EXECUTE = 5  # a resting order was hit for this size: a print, the aggressor is the other side
    FILL = 6  # an order was filled by this size; the print is told on a row of its own
    TRADE = 7  # a print that does not touch the book
    INVALID = 8  # rows were lost, or trading halted: the book says nothing until CLEAR or VALID
    VALID = 9  # trading resumed with the book as it was
    VIEW = 10  # as LEVEL, but nothing happened: the level came into view of the source, or left it


@dataclass(frozen=True, slots=True, eq=False)
class BookStream:
    """R rows of one instrument; what an event ``BookBatch`` points into.

    Attributes
    ----------
    tick, lot : price of a tick and size of a lot, in quote currency and units of the instrument
    event_time : (R,) ns UTC, by the venue's clock
    available_at : (R,) ns UTC, when it was received, never descending
    kind : (R,) int8, ``BookKind``
    side : (R,) int8, ``BID`` or ``ASK``; 0 where the kind has none or nobody knows it
    price : (R,) ticks
    size : (R,) lots
    order : (R,) id of the order, 0 where the source has none
    sequence : (R,) the venue's number of the message
    closes : (R,) last row of its message
    levels : how many levels a side the source shows; None = all
    """

    instrument: InstrumentId
    tick: float
    lot: float
    event_time: TimeArray
    available_at: TimeArray
    kind: NDArray[np.int8]
    side: NDArray[np.int8]
    price: IntArray
    size: IntArray
    order: IntArray
    sequence: IntArray
    closes: BoolArray
    levels: int | None = None

    def __post_init__(self) -> None:
        rows = len(self.event_time)
        for name in _COLUMNS:
            if getattr(self, name).shape != (rows,):
                raise DataError(f"book column {name} has shape {getattr(self, name).shape}, expected ({rows},)")
        if not (self.tick > 0.0 and self.lot > 0.0):
            raise DataError(f"expected a positive tick and lot, received {self.tick} and {self.lot}")
        back = np.flatnonzero(np.diff(self.available_at) < 0)
        if len(back):
            i = int(back[0]) + 1
            raise DataError(
                f"{self.instrument}: row {i + 1} was received at {format_ns(int(self.available_at[i]))}, before "
                "the row above it",
                row=i + 1,
                column="available_at",
                hint="rows stand in the order of their arrival; sort them, or mend the clock",
            )

    def __len__(self) -> int:
        return len(self.event_time)

    def rows(self, first: int, last: int) -> BookStream:
        """Return the rows ``first <= row < last``."""
        return replace(self, **{name: getattr(self, name)[first:last] for name in _COLUMNS})

    def trades(self) -> BookStream:
        """Return the prints only, as ``TRADE`` rows with the side of the aggressor."""
        hit = self.kind == BookKind.EXECUTE
        side = np.where(hit, -self.side, self.side).astype(np.int8)
        kind = np.full(len(self), BookKind.TRADE, dtype=np.int8)
        kept = hit | (self.kind == BookKind.TRADE)
        columns = {name: getattr(self, name)[kept] for name in _COLUMNS}
        return replace(self, **{**columns, "side": side[kept], "kind": kind[kept]})


@dataclass(frozen=True, slots=True)
class ClockReport:
    """The local clock against the venue's.

    Attributes
    ----------
    least_ms, median_ms, most_ms : local time minus the venue's, ms, negative = received before it happened; the median
        is that of the newest 1,000 messages; NaN where no message had a time
    behind : the local clock is behind the venue's: it told of an arrival before the event
    shift_ms : what was added at the end, so that nothing is available before it happened
    """

    least_ms: float
    median_ms: float
    most_ms: float
    behind: bool
    shift_ms: float


class ArrivalClock:
    """When messages were available, by a local clock that may be wrong.

    Notes
    -----
    Timing: the local clock is put forward by the largest lead of the venue seen *so far*, so that no message is
    available before it happened, the order of arrival stays, and nothing later is used.
    """

    def __init__(self) -> None:
        self._lead = 0
        self._newest = np.iinfo(np.int64).min
        self._least, self._most = float("inf"), float("-inf")
        self._apart: deque[float] = deque(maxlen=1000)

    def arrival(self, local_ns: int, event_ns: int | None) -> int:
        """Return when a message was available, ns UTC.

        Parameters
        ----------
        local_ns : by the local clock; where it steps back, time stands still
        event_ns : by the venue's clock; None = the message has no time
        """
        if event_ns is not None:
            self._lead = max(self._lead, event_ns - local_ns)
            apart = (local_ns - event_ns) / 1e6
            self._least, self._most = min(self._least, apart), max(self._most, apart)
            self._apart.append(apart)
        self._newest = max(self._newest, local_ns + self._lead)
        return self._newest

    def report(self) -> ClockReport:
        """Return how the clocks stand to one another so far."""
        if not self._apart:
            return ClockReport(float("nan"), float("nan"), float("nan"), behind=False, shift_ms=0.0)
        middle = float(np.median(np.array(self._apart)))
        return ClockReport(self._least, middle, self._most, behind=self._least < 0.0, shift_ms=self._lead / 1e6)


def join_streams(streams: Sequence[BookStream]) -> BookStream:
    """Return the rows of consecutive streams of one instrument as one.

    Raises
    ------
    DataError
        If there are none, or they differ in instrument, tick, lot or levels.
    """
    kinds = {(s.instrument, s.tick, s.lot, s.levels) for s in streams}
    if len(kinds) != 1:
        raise DataError(f"expected streams of one instrument, tick, lot and depth, received {len(kinds)} kinds")
    columns: dict[str, Any] = {name: np.concatenate([getattr(s, name) for s in streams]) for name in _COLUMNS}
    return replace(streams[0], **columns)


def to_steps(values: FloatArray, step: float, what: str) -> IntArray:
    """Return numbers as whole multiples of a step (ticks of a price, lots of a size).

    Raises
    ------
    DataError
        If a number is no multiple of the step, or so many steps that sums could not be exact.
    """
    steps = np.rint(values / step)
    huge = np.flatnonzero(np.abs(steps) > _MOST_STEPS)
    if len(huge):
        i = int(huge[0])
        raise DataError(
            f"{what} {values[i]!r} in row {i + 1} is {steps[i]:.3g} steps of {step}: at most {_MOST_STEPS:.0e} fit",
            row=i + 1,
            column=what,
            hint="state a coarser step, for example the lot of the venue instead of its last decimal",
        )
    wrong = np.flatnonzero(~(np.abs(values / step - steps) <= 1e-6 * np.maximum(1.0, np.abs(steps) * 1e-6)))
    if len(wrong):
        i = int(wrong[0])
        raise DataError(
            f"{what} {values[i]!r} in row {i + 1} is no multiple of {step}",
            row=i + 1,
            column=what,
            hint="state the venue's tick and lot for that day",
        )
    return steps.astype(np.int64)
