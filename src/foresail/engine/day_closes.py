"""The days of a panel: what every UTC day closed at and traded, made once, for limits that count in days.

A day is over once a bar of a later day is known: whether more bars of it will come, nobody knows before. A daily bar is
a day of its own and over with itself.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np

from foresail.core.arrays import FloatArray, IntArray
from foresail.core.clock import NS_PER_DAY
from foresail.domain.calendars import frame_ns
from foresail.domain.panel import Panel

__all__ = ["DayCloses"]


class DayCloses:
    """The D days of a panel of bars of a day or less, by the UTC day in which a bar begins.

    Attributes
    ----------
    day : (T,) place of each bar's day
    is_daily : whether every bar is a day of its own
    """

    def __init__(self, bars: Panel) -> None:
        self._bars = bars
        self.is_daily = frame_ns(bars.frame) >= NS_PER_DAY
        t = bars.shape[1]
        number = np.arange(t) if self.is_daily else bars.start // NS_PER_DAY
        self._first: IntArray = np.flatnonzero(np.diff(number, prepend=number[:1] - 1)) if t else np.empty(0, np.int64)
        self.day: IntArray = np.repeat(np.arange(len(self._first)), np.diff(self._first, append=t))

    def over(self, position: int) -> int:
        """Return how many days are over once the bar of a position is known."""
        if position < 0:
            return 0
        return position + 1 if self.is_daily else self.day.item(position)

    @cached_property
    def known_from(self) -> IntArray:
        """(D,) position of the bar with which a day is known to be over; T where none is."""
        if self.is_daily:
            return self._first
        known: IntArray = np.append(self._first[1:], self._bars.shape[1])
        return known

    @cached_property
    def returns(self) -> FloatArray:
        """(N, D) simple return from the last close of the day before to the day's, splits undone; NaN where missing."""
        n, t, _ = self._bars.shape
        closes, splits = np.full((n, len(self._first)), np.nan), np.ones((n, len(self._first)))
        if t:
            price = np.where(self._bars.present, self._bars.field("close"), np.nan)
            seen = np.where(np.isfinite(price), np.arange(t), -1)
            place = np.maximum.reduceat(seen, self._first, axis=1)
            closes = np.where(place >= 0, np.take_along_axis(price, np.maximum(place, 0), axis=1), np.nan)
            if "split" in self._bars.fields:
                ratio = self._bars.field("split")
                splits = np.multiply.reduceat(np.where(np.isfinite(ratio), ratio, 1.0), self._first, axis=1)
        out = np.full(closes.shape, np.nan)
        out[:, 1:] = closes[:, 1:] * splits[:, 1:] / closes[:, :-1] - 1.0
        return out

    @cached_property
    def volumes(self) -> FloatArray:
        """(N, D) units traded in a day; NaN where no bar tells."""
        n, t, _ = self._bars.shape
        if not t or not self._bars.has("volume"):
            return np.full((n, len(self._first)), np.nan)
        units = np.where(self._bars.present, self._bars.field("volume"), np.nan)
        told = np.isfinite(units)
        total = np.add.reduceat(np.where(told, units, 0.0), self._first, axis=1)
        counted = np.add.reduceat(told, self._first, axis=1)
        volumes: FloatArray = np.where(counted > 0, total, np.nan)
        return volumes
