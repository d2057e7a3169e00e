"""The purge and embargo rule, in its one home.

1. Purge: a training sample is dropped when its label span meets the label span of any test sample; ends are closed.
2. Embargo: after a block of test samples nothing is trained on until the last label of the block has ended and the
   embargo after it has passed. The embargo is at least the longest label span; it can be made longer, never shorter.
3. Both are decided by time for all instruments at once: names of one day share their market, so a sample of one
   instrument gives away what a sample of another will be.

Neither can be switched off. Work is done once per distinct (start, end), with sorted searches, so a panel of a million
samples costs no more than its time axis.

References
----------
[LopezDePrado2018] chapter 7.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from foresail.core.arrays import BoolArray, IntArray, TimeArray
from foresail.core.errors import ConfigError, DataError
from foresail.domain.spans import LabelSpans

__all__ = ["SpanGrid", "embargo_length", "known_before", "meets"]


def known_before(label_end: TimeArray, border: int) -> BoolArray:
    """Return which labels are known before a border: the purge of everything that stands before a test block."""
    before: BoolArray = label_end < border
    return before


def embargo_length(spans: LabelSpans, embargo: int | None = None, share: float = 0.0) -> int:
    """Return how long nothing is trained on after the last label end of a test block, in the unit of the spans.

    Parameters
    ----------
    embargo : None = the longest label span
    share : of the time from the first to the last sample, added on top (VALID-08 uses 0.01)

    Raises
    ------
    ConfigError
        If the embargo is shorter than the longest label span, or the share is not in [0, 1).
    """
    longest = spans.longest
    if embargo is not None and embargo < longest:
        raise ConfigError(
            f"an embargo of {embargo} is shorter than the longest label span, {longest}",
            hint="leave it out, or give a longer one; it cannot be made shorter",
        )
    if not 0.0 <= share < 1.0:
        raise ConfigError(f"expected an embargo share in [0, 1), received {share}")
    base = longest if embargo is None else embargo
    if share == 0.0 or len(spans) == 0:
        return base
    return base + int(np.ceil(share * (int(spans.start.max()) - int(spans.start.min()) + 1)))


def _union(start: TimeArray, end: TimeArray) -> tuple[TimeArray, TimeArray]:
    """Return the disjoint closed intervals that spans make together, ascending."""
    order = np.argsort(start, kind="stable")
    first, reach = start[order], np.maximum.accumulate(end[order])
    opens = np.concatenate([[True], first[1:] > reach[:-1]])
    closes = np.concatenate([opens[1:], [True]])
    return first[opens], reach[closes]


def meets(spans: LabelSpans, others: LabelSpans) -> BoolArray:
    """Return for each span whether it meets any of the others; touching at one instant counts.

    Raises
    ------
    DataError
        If their units differ.
    """
    if spans.unit != others.unit:
        raise DataError(f"spans in {spans.unit} cannot be compared with spans in {others.unit}")
    return _meets(spans.start, spans.end, others.start, others.end)


def _meets(start: TimeArray, end: TimeArray, other_start: TimeArray, other_end: TimeArray) -> BoolArray:
    if len(other_start) == 0:
        return np.zeros(len(start), dtype=np.bool_)
    low, high = _union(other_start, other_end)
    last = np.searchsorted(low, end, side="right") - 1  # the last interval that begins by the end of the span
    found: BoolArray = (last >= 0) & (high[np.maximum(last, 0)] >= start)
    return found


@dataclass(frozen=True, slots=True, eq=False)
class SpanGrid:
    """The distinct times and spans of a set of samples; splitters work on these P pairs instead of R samples.

    Attributes
    ----------
    times : (T,) distinct starts, ascending
    start, end : (P,) distinct spans, ordered by (start, end)
    slot : (P,) position of each pair's start among the times
    pair : (R,) pair of each sample
    count : (P,) samples of each pair
    """

    times: TimeArray
    start: TimeArray
    end: TimeArray
    slot: IntArray
    pair: IntArray
    count: IntArray

    @classmethod
    def of(cls, spans: LabelSpans) -> SpanGrid:
        """Return the grid of some spans.

        Raises
        ------
        DataError
            If there are no samples.
        """
        if len(spans) == 0:
            raise DataError("nothing to split: no samples were given")
        order = np.lexsort((spans.end, spans.start))
        start, end = spans.start[order], spans.end[order]
        fresh = np.concatenate([[True], (np.diff(start) != 0) | (np.diff(end) != 0)])
        pair = np.empty(len(spans), dtype=np.int64)
        pair[order] = np.cumsum(fresh) - 1
        begins = np.flatnonzero(fresh)
        count = np.diff(np.append(begins, len(start))).astype(np.int64)
        times, slot = np.unique(start[begins], return_inverse=True)
        return cls(times, start[begins], end[begins], slot.astype(np.int64), pair, count)

    def rows(self, pairs: BoolArray) -> IntArray:
        """Return the samples of some pairs, ascending."""
        return np.flatnonzero(pairs[self.pair])

    def samples(self, pairs: BoolArray) -> int:
        """Return how many samples some pairs hold."""
        return int(self.count[pairs].sum())

    def meets(self, closed: BoolArray) -> BoolArray:
        """Return (P,) which pairs meet the span of any closed pair."""
        return _meets(self.start, self.end, self.start[closed], self.end[closed])

    def embargoed(self, closed: BoolArray, embargo: int) -> BoolArray:
        """Return (P,) which pairs start after a block of closed times, until its last label end and the embargo.

        Parameters
        ----------
        closed : (P,), test or validation
        embargo : in the unit of the spans
        """
        times = np.zeros(len(self.times), dtype=np.bool_)
        times[self.slot[closed]] = True
        slots = np.flatnonzero(times)
        if len(slots) == 0:
            return np.zeros(len(self.start), dtype=np.bool_)
        end = np.full(len(self.times), np.iinfo(np.int64).min)
        np.maximum.at(end, self.slot[closed], self.end[closed])
        opens = np.concatenate([[True], np.diff(slots) > 1])
        last_end = np.maximum.reduceat(end[slots], np.flatnonzero(opens))
        begin = self.times[slots[opens]]
        return _meets(self.start, self.start, begin, last_end + embargo)
