"""Stored bars to a ``Panel``: the only way by which features and the venue get prices.

The grid is the union of the set's bar ends, restricted to the calendar's sessions where the calendar knows them. A cell
holds the bar as it was first published. A row of the panel is known when half of its bars are; a bar published later
than that was not there when the decision was due, and stays absent at that time (it is a correction, not a fact of the
past).
"""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import numpy as np

from foresail.core.arrays import BoolArray, FloatArray, IntArray, TimeArray
from foresail.core.clock import NS_PER_DAY, from_ns
from foresail.core.errors import DataError
from foresail.core.ids import InstrumentId
from foresail.domain.bars import BarSet, BarTable
from foresail.domain.calendars import EXTENDED_FRAME, inside_sessions
from foresail.domain.panel import Panel
from foresail.store.ordering import Columns, keep_rows, sorted_columns

__all__ = ["PANEL_FIELDS", "cut_known", "end_of_day_ns", "late_bars", "to_panel"]

PANEL_FIELDS = ("open", "high", "low", "close", "volume", "dividend", "split", "total_factor", "spread")


def cut_known(bars: BarTable, known_at_ns: int) -> BarTable:
    """Return the prints that were available at an instant (``available_at`` not after it, ns UTC)."""
    columns = sorted_columns(bars)
    return BarTable(columns.take(np.flatnonzero(columns.available <= known_at_ns)).table)


def end_of_day_ns(day: date) -> int:
    """Return the last nanosecond of a day in UTC: what ``--until DAY`` allows."""
    return int(np.datetime64(day, "ns").astype(np.int64)) + NS_PER_DAY - 1


def _first_prints(columns: Columns) -> IntArray:
    """Return the row of each (instrument, end) with the earliest ``available_at``, in its newest recording."""
    n = len(columns.code)
    last_of_print = np.ones(n, dtype=np.bool_)
    last_of_print[:-1] = _new_key(columns) | (np.diff(columns.available) != 0)
    candidates = np.flatnonzero(last_of_print)
    fresh = np.ones(len(candidates), dtype=np.bool_)
    fresh[1:] = (np.diff(columns.code[candidates]) != 0) | (np.diff(columns.end[candidates]) != 0)
    return candidates[fresh]


def _new_key(columns: Columns) -> BoolArray:
    changed: BoolArray = (np.diff(columns.code) != 0) | (np.diff(columns.end) != 0)
    return changed


def _newest_prints(shown: Columns, every: Columns, known_at_ns: int | None) -> Columns:
    """Return for each bar shown its newest print known by an instant; a bar appears when its first print does."""
    if known_at_ns is not None:
        every = every.take(np.flatnonzero(every.available <= known_at_ns))
    last = np.ones(len(every.code), dtype=np.bool_)
    last[:-1] = _new_key(every)
    newest = every.take(np.flatnonzero(last))
    ends = np.unique(newest.end)
    keys, wanted = (one.code * len(ends) + np.searchsorted(ends, one.end) for one in (newest, shown))
    newest = newest.take(np.searchsorted(keys, wanted))
    table = newest.table
    for name in ("dividend", "split", "total_factor"):  # as shown: what went ex on a bar left out stands on the next
        place = table.column_names.index(name)
        table = table.set_column(place, table.schema.field(place), shown.table.column(name))
    return replace(newest, table=table)


def _row_known(position: IntArray, available: TimeArray, count: int) -> TimeArray:
    """Return for each panel time the instant by which half of its bars were published, never going back."""
    order = np.lexsort((available, position))
    sizes = np.bincount(position, minlength=count)
    begins = np.r_[0, np.cumsum(sizes)[:-1]]
    middle = begins + (sizes + 1) // 2 - 1
    return np.maximum.accumulate(available[order][middle])


def late_bars(position: IntArray, available: TimeArray, row_known: TimeArray) -> BoolArray:
    """Return which bars were published after their panel row was due."""
    return available > row_known[position]


def to_panel(
    bars: BarTable, bar_set: BarSet, *, known_at_ns: int | None = None, latest: bool = False, extended: bool = False
) -> Panel:
    """Return the panel of a set.

    Parameters
    ----------
    known_at_ns : leave out what was not available by then, ns UTC; None = everything
    latest : show the newest print of each bar instead of the first; never for a backtest, which would see revisions
        before they were made
    extended : keep bars of a US exchange from 04:00 to 20:00 New York, as bars of 6h always are

    Returns
    -------
    Panel with the fields of ``PANEL_FIELDS``; NaN where absent, ``present`` where a close exists

    Raises
    ------
    DataError
        If no bar is left; the text says when the first one is known.
    """
    columns = sorted_columns(bars)
    if len(columns.code) == 0:
        raise DataError(f"set {bar_set.name}: no bar", rule="DATA-51", hint="import a set that has bars")
    every, columns = columns, columns.take(_first_prints(columns))
    inside = inside_sessions(bar_set.calendar, columns.end, extended=extended or bar_set.frame == EXTENDED_FRAME)
    if not inside.all():
        columns = keep_rows(columns, inside)
    grid, position = np.unique(columns.end, return_inverse=True)
    row_known = _row_known(position, columns.available, len(grid)) if len(grid) else grid
    kept_times = row_known <= (np.iinfo(np.int64).max if known_at_ns is None else known_at_ns)
    keep = kept_times[position] & ~late_bars(position, columns.available, row_known)
    if not keep.any():
        raise _no_data(bar_set, columns, known_at_ns)
    columns, position = keep_rows(columns, keep), position[keep]
    if latest:
        columns = _newest_prints(columns, every, known_at_ns)
    return _fill(columns, bar_set, grid, row_known, position)


def _no_data(bar_set: BarSet, columns: Columns, known_at_ns: int | None) -> DataError:
    if len(columns.code) == 0 or known_at_ns is None:
        text = f"set {bar_set.name}: no bar ends in a session of calendar {bar_set.calendar}"
        return DataError(text, rule="DATA-54", hint="check calendar, zone and the meaning of time in the description")
    first = from_ns(int(columns.available.min())).isoformat()
    return DataError(
        f"set {bar_set.name}: no data in range: nothing was known by {from_ns(known_at_ns).isoformat()}, the first bar "
        f"is known at {first}",
        rule="DATA-70",
        hint=f"choose a date from {first[:10]} on",
    )


def _fill(columns: Columns, bar_set: BarSet, grid: TimeArray, row_known: TimeArray, position: IntArray) -> Panel:
    times = np.unique(position)
    where = np.searchsorted(times, position)
    start = np.full(len(times), np.iinfo(np.int64).max)
    np.minimum.at(start, where, columns.start)
    values: FloatArray = np.full((len(columns.names), len(times), len(PANEL_FIELDS)), np.nan)
    for field, name in enumerate(PANEL_FIELDS):
        values[columns.code, where, field] = columns.values(name)
    present: BoolArray = np.isfinite(values[:, :, PANEL_FIELDS.index("close")])
    seen: BoolArray = np.asarray(present.any(axis=1))
    return Panel(
        values=np.ascontiguousarray(values[seen]) if not seen.all() else values,
        present=np.ascontiguousarray(present[seen]),
        start=start,
        end=grid[times],
        available_at=np.maximum(row_known[times], grid[times]),
        fields=PANEL_FIELDS,
        instruments=tuple(InstrumentId(name) for name, kept in zip(columns.names, seen.tolist(), strict=True) if kept),
        frame=bar_set.frame,
        calendar=bar_set.calendar,
    )
