"""Coarser bars from finer ones, exactly: first open, highest high, lowest low, last close, sum of volume (DATA-41).

A coarse bar that lacks a fine one that the calendar asks for is incomplete: it is counted and left out, so that a model
never sees it.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import pyarrow as pa

from foresail.core.arrays import FloatArray, IntArray, TimeArray
from foresail.core.clock import NS_PER_DAY
from foresail.core.errors import ConfigError
from foresail.domain.bars import BarSet, BarTable, bar_table
from foresail.domain.calendars import ALWAYS_OPEN, FOREX_WEEK, frame_ns, is_daily, sessions
from foresail.store.ordering import Columns, sorted_columns

__all__ = ["resample"]


def resample(bars: BarTable, bar_set: BarSet, frame: str) -> tuple[BarTable, BarSet, int]:
    """Return bars of a coarser frame, the set they belong to, and how many incomplete ones were left out.

    Parameters
    ----------
    bars : one print a bar, as the gate returns them; the first print counts where there are several
    frame : a multiple of the set's frame

    Raises
    ------
    ConfigError
        If the frame is no multiple of the set's frame.
    """
    fine, coarse = frame_ns(bar_set.frame), frame_ns(frame)
    if coarse % fine != 0 or coarse <= fine:
        raise ConfigError(
            f"frame {frame} is no multiple of {bar_set.frame}, the frame of set {bar_set.name}",
            hint="choose a longer frame that holds whole bars",
        )
    columns = sorted_columns(bars)
    columns = columns.take(np.flatnonzero(columns.first_of_key()))
    start, end = _buckets(columns, bar_set, frame)
    inside = end > start
    columns = columns.take(np.flatnonzero(inside))
    start, end = start[inside], end[inside]
    new = np.ones(len(end), dtype=np.bool_)
    new[1:] = (np.diff(columns.code) != 0) | (np.diff(end) != 0)
    begins = np.flatnonzero(new)
    if len(begins) == 0:
        return bar_table(_empty()), replace(bar_set, frame=frame), 0
    sizes = np.diff(np.r_[begins, len(end)])
    wanted = -((start[begins] - end[begins]) // fine)
    complete = sizes == wanted
    table = _aggregate(columns, begins, sizes, start[begins], end[begins])
    kept = BarTable(table.table.filter(pa.array(complete)))
    return kept, replace(bar_set, frame=frame), int((~complete).sum())


def _empty() -> dict[str, list[float]]:
    return {"instrument": [], "start": [], "end": [], "available_at": []}


def _buckets(columns: Columns, bar_set: BarSet, frame: str) -> tuple[TimeArray, TimeArray]:
    """Return the coarse bar of each fine one; end = start where it lies outside the sessions."""
    length = frame_ns(frame)
    if bar_set.calendar == ALWAYS_OPEN:
        start = columns.start - columns.start % length
        return start, start + length
    first = _day(int(columns.start.min())) - timedelta(days=3) if len(columns.start) else date(2000, 1, 3)
    last = _day(int(columns.end.max())) + timedelta(days=3) if len(columns.end) else date(2000, 1, 4)
    _, opens, closes = sessions(bar_set.calendar, first, last)
    place = np.clip(np.searchsorted(closes, columns.start, side="right"), 0, len(closes) - 1)
    inside = (opens[place] <= columns.start) & (columns.end <= closes[place])
    if is_daily(frame):
        start, end = opens[place], closes[place]
    elif bar_set.calendar == FOREX_WEEK:
        start = columns.start - columns.start % length  # 00, 06, 12, 18 UTC (DATA-42)
        end = start + length
    else:
        start = opens[place] + (columns.start - opens[place]) // length * length
        end = np.minimum(start + length, closes[place])
    return start, np.where(inside, end, start)


def _day(ns: int) -> date:
    day: date = np.datetime64(ns // NS_PER_DAY, "D").astype(object)
    return day


def _aggregate(columns: Columns, begins: IntArray, sizes: IntArray, start: TimeArray, end: TimeArray) -> BarTable:
    lasts = begins + sizes - 1
    volume = columns.values("volume")
    with np.errstate(divide="ignore"):
        factors = np.multiply.reduceat(columns.values("split"), begins)
    known: dict[str, FloatArray | IntArray | pa.Array] = {
        "instrument": columns.table.column("instrument").take(pa.array(begins)),
        "start": start,
        "end": end,
        "available_at": np.maximum.reduceat(columns.available, begins),
        "recorded_at": columns.table.column("recorded_at").take(pa.array(lasts)),
        "open": columns.values("open")[begins],
        "high": np.maximum.reduceat(columns.values("high"), begins),
        "low": np.minimum.reduceat(columns.values("low"), begins),
        "close": columns.values("close")[lasts],
        "volume": np.add.reduceat(volume, begins),
        "dividend": np.add.reduceat(np.nan_to_num(columns.values("dividend")), begins),
        "split": factors,
        "total_factor": columns.values("total_factor")[lasts],
        "spread": columns.values("spread")[lasts],
    }
    return bar_table(known)
