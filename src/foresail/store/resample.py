"""Coarser bars from finer ones, exactly: first open, highest high, lowest low, last close, sum of volume (DATA-41).

A coarse bar that lacks a fine one that the calendar asks for is incomplete: it is counted and left out, so that a model
never sees it.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa

from foresail.core.arrays import FloatArray, IntArray, TimeArray
from foresail.domain.bars import BarSet, BarTable, bar_table
from foresail.domain.bins import assign_bins, check_coarser
from foresail.store.ordering import Columns, sorted_columns

__all__ = ["resample"]


def resample(bars: BarTable, bar_set: BarSet, frame: str, *, extended: bool = False) -> tuple[BarTable, BarSet, int]:
    """Return bars of a coarser frame, the set they belong to, and how many incomplete ones were left out.

    Parameters
    ----------
    bars : one print a bar, as the gate returns them; the first print counts where there are several
    frame : a multiple of the set's frame
    extended : whether stock bars cover 04:00 to 20:00 New York, which 6h bars need

    Raises
    ------
    ConfigError
        If the frame is no multiple of the set's frame, or 6h stock bars are asked for without extended hours.
    """
    check_coarser(frame, bar_set.frame)
    columns = sorted_columns(bars)
    columns = columns.take(np.flatnonzero(columns.first_of_key()))
    bins = assign_bins(columns.start, columns.end, bar_set.calendar, bar_set.frame, frame, extended=extended)
    inside = bins.end > bins.start
    columns = columns.take(np.flatnonzero(inside))
    start, end = bins.start[inside], bins.end[inside]
    new = np.ones(len(end), dtype=np.bool_)
    new[1:] = (np.diff(columns.code) != 0) | (np.diff(end) != 0)
    begins = np.flatnonzero(new)
    if len(begins) == 0:
        return bar_table(_empty()), replace(bar_set, frame=frame), 0
    sizes = np.diff(np.r_[begins, len(end)])
    complete = sizes == bins.wanted[inside][begins]
    table = _aggregate(columns, begins, sizes, start[begins], end[begins])
    kept = BarTable(table.table.filter(pa.array(complete)))
    return kept, replace(bar_set, frame=frame), int((~complete).sum())


def _empty() -> dict[str, list[float]]:
    return {"instrument": [], "start": [], "end": [], "available_at": []}


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
