"""Described files to bars: the one place where vendors' rows become ``BarTable`` rows.

Steps: read raw columns; find roles; parse times and numbers (a cell that cannot be read sets its row aside); map
symbols to instruments; turn times into ``[start, end)``; say when each bar was known; derive payments, splits and the
forward factor. Nothing is judged here: the quality gate of the store does that.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from foresail.adapters.files.assemble import FileRows, assemble
from foresail.adapters.files.columns import find_columns, to_numbers
from foresail.adapters.files.description import SetDescription
from foresail.adapters.files.raw import RawTable, read_raw
from foresail.adapters.files.stamps import StampColumn, read_stamps
from foresail.core.arrays import BoolArray, FloatArray, TimeArray
from foresail.core.errors import DataError, UnknownNameError
from foresail.domain.bars import BarSet, BarTable
from foresail.domain.quality import QuarantinedRow

__all__ = ["ReadResult", "read_bars"]

_NUMBERS = ("open", "high", "low", "close", "volume", "adj_close", "dividend", "split", "spread")
_PRICES = ("open", "high", "low", "close", "adj_close", "dividend", "spread")
_REFUSE_SHARE = 0.5  # a column whose cells are mostly unreadable is the wrong column, not a bad row
_QUIET = ("open_interest",)

ReadResult = tuple[BarTable, BarSet, tuple[QuarantinedRow, ...], tuple[str, ...]]


def read_bars(description: SetDescription) -> ReadResult:
    """Return the bars of a described set, sorted by (instrument, end, available_at).

    Returns
    -------
    bars : with the extra columns ``file`` and ``row``
    bar_set : the description, resolved
    quarantined : rows that could not be read, with file, row, column, rule and the original text
    notes : what was assumed or left out

    Raises
    ------
    DataError
        If a file as a whole cannot be used; the error names file, row, column and rule where known.
    """
    notes = list(description.guesses)
    quarantined: list[QuarantinedRow] = []
    files = [path.name for path in description.files]
    parts = [_read_file(path, n, description, quarantined, notes) for n, path in enumerate(description.files)]
    later = None
    if description.revisions is not None:
        files.append(description.revisions.name)
        later = _read_file(description.revisions, len(files) - 1, description, quarantined, notes)
    rows = _join(parts)
    rows = _only_symbols(rows, description)
    table, bar_set = assemble(rows, later, description, files=files, quarantined=quarantined, notes=notes)
    return table, bar_set, tuple(quarantined), tuple(notes)


def _read_file(
    path: Path, number: int, description: SetDescription, quarantined: list[QuarantinedRow], notes: list[str]
) -> FileRows:
    raw = read_raw(path, description.quirks)
    names = list(raw.table.column_names)
    roles = find_columns(names, description, raw.file)
    by_column = description.known_at is not None and description.known_at != "date"
    if by_column and description.known_at not in names:
        raise DataError(
            f"{raw.file}: known_at names column {description.known_at!r}, which the file does not have; it has: "
            f"{', '.join(names)}",
            file=raw.file,
            column=description.known_at,
            rule="DATA-70",
        )
    unused = sorted(set(names) - set(roles.values()) - {description.known_at or ""} - set(_QUIET))
    if unused:
        notes.append(f"{raw.file}: columns not used: {', '.join(unused)}")
    quarantined.extend(raw.bad)
    reader = _FileReader(raw, roles, description)
    rows, bad = reader.rows(number)
    quarantined.extend(reader.set_aside)
    return rows.take(np.flatnonzero(~bad)) if bad.any() else rows


class _FileReader:
    """Parses the cells of one file; unreadable rows are collected in ``set_aside``."""

    def __init__(self, raw: RawTable, roles: dict[str, str], description: SetDescription) -> None:
        self._raw = raw
        self._roles = roles
        self._description = description
        self._bad: BoolArray = np.zeros(raw.table.num_rows, dtype=np.bool_)
        self.set_aside: list[QuarantinedRow] = []

    def rows(self, number: int) -> tuple[FileRows, BoolArray]:
        """Return all rows and which of them are bad."""
        time = self._time("time", self._roles["time"])
        numbers = {role: self._numbers(role) for role in _NUMBERS if role in self._roles}
        known = None
        column = self._description.known_at
        if column is not None and column != "date":
            known = self._known(column)
        count = self._raw.table.num_rows
        rows = FileRows(
            self._symbols(count), time, known, np.full(count, number, dtype=np.int64), self._raw.rows, numbers
        )
        return rows, self._bad

    def _mark(self, bad: BoolArray, column: str, reason: str) -> None:
        fresh = np.flatnonzero(bad & ~self._bad)
        if bad.sum() > _REFUSE_SHARE * len(bad):
            first = int(np.flatnonzero(bad)[0])
            value = self._raw.table.column(column)[first].as_py()
            raise DataError(
                f"{self._raw.file}, row {int(self._raw.rows[first])}, column {column!r}: {reason}, as in "
                f"{int(bad.sum())} of {len(bad)} rows; received {str(value)!r}",
                file=self._raw.file,
                row=int(self._raw.rows[first]),
                column=column,
                rule="DATA-51",
                hint="is this the right column? see foresail import --describe",
            )
        for position in fresh.tolist():
            original = ",".join(str(value) for value in self._raw.table.slice(position, 1).to_pylist()[0].values())
            self.set_aside.append(
                QuarantinedRow(self._raw.file, int(self._raw.rows[position]), column, "DATA-51", reason, original[:500])
            )
        self._bad |= bad

    def _stamp_column(self, column: str) -> StampColumn:
        values = self._raw.table.column(column).combine_chunks()
        return StampColumn(self._raw.file, column, values, self._raw.rows)

    def _time(self, role: str, column: str) -> TimeArray:
        ns, good = read_stamps(self._stamp_column(column), self._description)
        self._mark(~good, column, f"no {role}")
        first = self._description.quirks.first
        if first is not None:
            self._bad |= good & (ns < int(np.datetime64(first, "ns").astype(np.int64)))
        return ns

    def _known(self, column: str) -> TimeArray:
        by_date = replace(self._description, time="start", zone=self._description.zone or "UTC")
        ns, good = read_stamps(self._stamp_column(column), by_date)
        self._mark(~good, column, "no date of knowledge")
        return ns

    def _numbers(self, role: str) -> FloatArray:
        column = self._roles[role]
        numbers, bad = to_numbers(self._raw.table.column(column).combine_chunks(), self._description)
        self._mark(bad, column, "not a number")
        if role == "close" and not np.isfinite(numbers[~self._bad]).any():
            raise DataError(
                f"{self._raw.file}, column {column!r}: no number in any of {len(numbers)} rows",
                file=self._raw.file,
                column=column,
                rule="DATA-51",
                hint="export the prices again, or name another column as close",
            )
        if role in _PRICES and self._description.quirks.price_scale != 1.0:
            numbers = np.round(numbers / self._description.quirks.price_scale, 10)
        if role == "volume":
            numbers = np.where(numbers == -1.0, np.nan, numbers)
        return numbers

    def _symbols(self, count: int) -> Any:
        if self._description.symbol is not None and "symbol" not in self._roles:
            return pa.DictionaryArray.from_arrays(
                pa.array(np.zeros(count, dtype=np.int32)), pa.array([self._description.symbol])
            )
        column = self._roles["symbol"]
        text = pc.utf8_trim_whitespace(pc.cast(self._raw.table.column(column).combine_chunks(), pa.string()))
        empty = np.asarray(pc.fill_null(pc.equal(text, ""), True))  # noqa: FBT003 a null symbol is an empty one
        self._mark(empty, column, "no symbol")
        return pc.dictionary_encode(pc.fill_null(text, ""))


def _join(parts: list[FileRows]) -> FileRows:
    if len(parts) == 1:
        return parts[0]
    names = sorted({name for part in parts for name in part.numbers})
    numbers = {
        name: np.concatenate([part.numbers.get(name, np.full(len(part.time), np.nan)) for part in parts])
        for name in names
    }
    symbols = pa.chunked_array([pc.cast(part.symbol, pa.string()) for part in parts])
    known = [part.known for part in parts if part.known is not None]
    return FileRows(
        pc.dictionary_encode(symbols.combine_chunks()),
        np.concatenate([part.time for part in parts]),
        np.concatenate(known) if known else None,
        np.concatenate([part.file for part in parts]),
        np.concatenate([part.row for part in parts]),
        numbers,
    )


def _only_symbols(rows: FileRows, description: SetDescription) -> FileRows:
    if not description.symbols:
        return rows
    known = rows.symbol.dictionary.to_pylist()
    for symbol in description.symbols:
        if symbol not in known:
            raise UnknownNameError("symbol", symbol, known, hint="take one that the files have")
    keep = np.asarray(pc.is_in(pc.cast(rows.symbol, pa.string()), value_set=pa.array(description.symbols)))
    return rows.take(np.flatnonzero(keep))
