"""Bar tables as sorted NumPy columns, and back: the ground that gate, panels, hashes and the store share."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from foresail.core.arrays import BoolArray, FloatArray, IntArray, TimeArray
from foresail.core.errors import DataError
from foresail.domain.bars import BAR_COLUMNS, BarTable, bar_schema

__all__ = ["VALUE_COLUMNS", "Columns", "keep_rows", "sorted_columns"]

VALUE_COLUMNS = tuple(name for name, kind, _ in BAR_COLUMNS if kind == "double")
_TIMES = ("start", "end", "available_at")


@dataclass(frozen=True, slots=True, eq=False)
class Columns:
    """A bar table, sorted by (instrument, end, available_at, recorded_at).

    Attributes
    ----------
    table : Arrow table in that order, with the columns of ``BAR_COLUMNS`` first
    names : instrument ids, ascending
    code : (R,) place in ``names``
    start, end, available : (R,) ns UTC
    recorded : (R,) ns UTC; 0 where not recorded yet
    """

    table: pa.Table
    names: tuple[str, ...]
    code: IntArray
    start: TimeArray
    end: TimeArray
    available: TimeArray
    recorded: TimeArray

    def values(self, name: str) -> FloatArray:
        """Return a number column, NaN where null."""
        return np.asarray(pc.fill_null(self.table.column(name), float("nan")), dtype=np.float64)

    def first_of_key(self) -> BoolArray:
        """Return which rows are the first print of their (instrument, end)."""
        if len(self.code) == 0:
            return np.zeros(0, dtype=np.bool_)
        first = np.ones(len(self.code), dtype=np.bool_)
        first[1:] = (np.diff(self.code) != 0) | (np.diff(self.end) != 0)
        return first

    def take(self, index: Any) -> Columns:
        """Return rows by position (ascending, so that the order holds)."""
        return Columns(
            self.table.take(pa.array(index)),
            self.names,
            self.code[index],
            self.start[index],
            self.end[index],
            self.available[index],
            self.recorded[index],
        )


def sorted_columns(bars: BarTable) -> Columns:
    """Return the columns of a bar table in order.

    Raises
    ------
    DataError
        If a column is absent or of another type, or an instrument or time is null (DATA-51).
    """
    table = bars.table
    for field in bar_schema():
        if field.name not in table.column_names:
            raise DataError(f"bar table without column {field.name!r}", column=field.name, rule="DATA-51")
        if table.schema.field(field.name).type != field.type:
            found = table.schema.field(field.name).type
            raise DataError(
                f"bar column {field.name!r}: expected {field.type}, received {found}", column=field.name, rule="DATA-51"
            )
    for name in ("instrument", *_TIMES):
        if table.column(name).null_count:
            row = int(np.flatnonzero(np.asarray(table.column(name).is_null()))[0]) + 1
            raise DataError(f"bar column {name!r} is empty in row {row}", row=row, column=name, rule="DATA-51")
    coded = table.column("instrument").combine_chunks().dictionary_encode()
    found_names = coded.dictionary.to_pylist()
    ascending = sorted(range(len(found_names)), key=lambda i: str(found_names[i]))
    place = np.empty(len(found_names), dtype=np.int64)
    place[ascending] = np.arange(len(found_names))
    code = place[np.asarray(coded.indices)] if len(found_names) else np.empty(0, dtype=np.int64)
    start, end, available = (np.asarray(table.column(name), dtype=np.int64) for name in _TIMES)
    recorded = np.asarray(pc.fill_null(table.column("recorded_at"), 0), dtype=np.int64)
    names = tuple(str(found_names[i]) for i in ascending)
    columns = Columns(table, names, code, start, end, available, recorded)
    if _in_order(columns):
        return columns
    tail = [np.nan_to_num(columns.values(name), nan=-1.0) for name in ("close", "volume", "open")]
    return columns.take(np.lexsort((*tail, recorded, available, end, code)))


def _in_order(columns: Columns) -> bool:
    if len(columns.code) < 2:
        return True
    ascending = np.zeros(len(columns.code) - 1, dtype=np.bool_)
    tied = np.ones(len(columns.code) - 1, dtype=np.bool_)
    for key in (columns.code, columns.end, columns.available, columns.recorded):
        step = np.diff(key)
        ascending |= tied & (step > 0)
        tied &= step == 0
    return bool(np.all(ascending))  # a full tie goes the slow way, which orders by value


def keep_rows(columns: Columns, keep: BoolArray) -> Columns:
    """Return the rows of a mask; payments and splits of bars that vanish move to the instrument's next bar.

    A position is held through a bar that was set aside, so what went ex there must still reach it.
    """
    kept = columns.take(np.flatnonzero(keep))
    dividend, split = columns.values("dividend"), columns.values("split")
    eventful = (np.nan_to_num(dividend) != 0.0) | (np.nan_to_num(split, nan=1.0) != 1.0)
    lost = np.flatnonzero(~keep & eventful)
    if len(lost) == 0:
        return kept
    new_dividend, new_split = np.nan_to_num(kept.values("dividend")), np.nan_to_num(kept.values("split"), nan=1.0)
    moved: set[tuple[int, int]] = set()
    for row in lost.tolist():
        key = (int(columns.code[row]), int(columns.end[row]))
        low, high = np.searchsorted(kept.code, [key[0], key[0] + 1])
        first, after = low + np.searchsorted(kept.end[low:high], [key[1], key[1] + 1])
        if key in moved or first < after or after >= high:
            continue  # another print of the same bar stays, or there is no later bar
        moved.add(key)
        last = low + np.searchsorted(kept.end[low:high], kept.end[after], side="right")
        new_dividend[after:last] += float(np.nan_to_num(dividend[row]))
        new_split[after:last] *= float(np.nan_to_num(split[row], nan=1.0))
    table = kept.table
    for name, values in (("dividend", new_dividend), ("split", new_split)):
        table = table.set_column(table.column_names.index(name), name, pa.array(values))
    return replace(kept, table=table)
