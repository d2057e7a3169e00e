"""Reads results that were made elsewhere: return or equity files, variants side by side, trade lists of three tools.

1. Read the table (CSV with comma, semicolon or tab; freqtrade's JSON too) as text.
2. Recognise the form by its columns; what fits none is refused together with the known forms.
3. Parse value by value; the first bad one is named by file, row and column.
4. Trade lists become one return a day: equal stake in each trade, booked on the day it was closed.
"""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from foresail.core.arrays import BoolArray, FloatArray, IntArray
from foresail.core.errors import DataError, UnknownNameError
from foresail.measures.performance import TradeStatistics, trade_statistics

__all__ = ["KINDS", "ForeignResult", "read_foreign"]

_DATE_NAMES = ("date", "datetime", "time", "timestamp", "")  # "" = the unnamed index that pandas writes, last resort
_IGNORED = ("drawdownpct", "drawdownduration")  # the rest of backtesting.py's equity curve
KINDS: dict[str, str] = {
    "returns": "date, return [, benchmark] [, cost]: fractions per bar",
    "variants": "date, return_NAME for each variant (any name when asked for) [, return] [, benchmark] [, cost]",
    "equity": "date, equity [, benchmark] [, cost]: account value per bar, benchmark as a level too",
    "backtesting": "backtesting.py trades: Size, EntryPrice, PnL, ReturnPct, EntryTime, ExitTime [, Commission]",
    "vectorbt": "vectorbt trades.records_readable: Size, Avg Entry Price, PnL, Return, Entry and Exit Timestamp",
    "freqtrade": "freqtrade trades (CSV or backtest JSON): profit_ratio, open_date, close_date [, fee_open, fee_close]",
}
_VARIANT = "return_"
_TRADE_COLUMNS: dict[str, tuple[str, ...]] = {
    "backtesting": ("ReturnPct", "EntryTime", "ExitTime"),
    "vectorbt": ("Return", "Entry Timestamp", "Exit Timestamp"),
    "freqtrade": ("profit_ratio", "open_date", "close_date"),
}


@dataclass(frozen=True, slots=True, eq=False)
class ForeignResult:
    """Returns made elsewhere, in one form.

    Attributes
    ----------
    kind : a key of ``KINDS``
    rows : data rows of the file
    times : (T,) aware, ascending
    returns : (T,), net simple return per bar
    benchmark, cost : (T,), or None where the file has none; cost is a fraction of equity, already deducted
    notes : plain sentences on what was assumed
    variants : (name, (T,) returns) of every variant of the file, the judged one included; empty for one series
    """

    kind: str
    rows: int
    times: tuple[datetime, ...]
    returns: FloatArray
    benchmark: FloatArray | None
    cost: FloatArray | None
    trades: TradeStatistics | None
    notes: tuple[str, ...]
    variants: tuple[tuple[str, FloatArray], ...] = ()


@dataclass(frozen=True, slots=True)
class _Table:
    """A file as text, column by column."""

    file: str
    columns: dict[str, list[str]]
    rows: int

    def error(self, text: str, *, row: int, column: str, hint: str | None = None) -> DataError:
        """Return an error that names file, row and column."""
        where = f"{self.file}, row {row}, column {column!r}: "
        return DataError(where + text, file=self.file, row=row, column=column, hint=hint)

    def numbers(self, column: str) -> FloatArray:
        """Return a column of finite numbers."""
        result = np.empty(self.rows)
        for row, text in enumerate(self.columns[column], start=1):
            try:
                value = float(text)
            except ValueError:
                value = math.nan
            if not math.isfinite(value):
                raise self.error(f"expected a number, received {text!r}", row=row, column=column)
            result[row - 1] = value
        return result

    def times(self, column: str) -> list[datetime]:
        """Return a column of instants; all with a zone or all without (then read as UTC)."""
        result = []
        zoned: bool | None = None
        for row, text in enumerate(self.columns[column], start=1):
            try:
                instant = datetime.fromisoformat(text.strip())
            except ValueError as e:
                raise self.error(
                    f"expected a date such as 2020-01-31, received {text!r}", row=row, column=column
                ) from e
            if zoned is not None and zoned != (instant.tzinfo is not None):
                raise self.error("expected times all with a zone or all without", row=row, column=column)
            zoned = instant.tzinfo is not None
            result.append(instant.astimezone(UTC) if zoned else instant.replace(tzinfo=UTC))
        return result


def read_foreign(path: Path, *, kind: str = "auto") -> ForeignResult:
    """Return the result that a file holds.

    Parameters
    ----------
    kind : a key of ``KINDS``, or "auto" to recognise it by its columns

    Raises
    ------
    DataError
        If the file cannot be read, fits no known form, or holds a bad value (file, row and column are named).
    UnknownNameError
        If ``kind`` is not known.
    """
    if kind != "auto" and kind not in KINDS:
        raise UnknownNameError("kind of result", kind, ("auto", *KINDS))
    table = _read_table(path)
    found = _recognise(table, kind)
    if found is None or kind not in ("auto", found):
        wanted = "a known form" if kind == "auto" else f"the form {kind!r}"
        forms = "".join(f"\n  {name}: {form}" for name, form in KINDS.items())
        received = ", ".join(repr(c) for c in table.columns)
        raise DataError(
            f"{table.file}: expected {wanted}, received columns {received}. Known forms:{forms}",
            file=table.file,
            column=_stranger(table),
            hint="rename the columns, or write a CSV with the columns date and return",
        )
    if found == "variants":
        return _read_variants(table)
    return _read_series(table, found) if found in ("returns", "equity") else _read_trades(table, found)


def _read_table(path: Path) -> _Table:
    name = str(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as e:
        reason = e.strerror if isinstance(e, OSError) else "it is no UTF-8 text"
        raise DataError(f"{name}: expected a readable CSV or JSON file: {reason}", file=name) from e
    if not text.strip():
        raise DataError(f"{name}: expected a header and rows, received an empty file", file=name)
    if text.lstrip()[0] in "{[":
        return _json_table(name, text)
    header = text.lstrip().splitlines()[0]
    delimiter = max(",;\t", key=header.count)
    try:
        lines = [row for row in csv.reader(text.splitlines(), delimiter=delimiter) if any(cell.strip() for cell in row)]
    except csv.Error as e:
        raise DataError(f"{name}: expected CSV, received text that is cut or damaged: {e}", file=name) from e
    names, body = [cell.strip() for cell in lines[0]], lines[1:]
    if len(set(names)) < len(names):
        raise DataError(f"{name}: expected each column once, received {', '.join(names)}", file=name)
    if not body:
        raise DataError(f"{name}: expected rows below the header, received none", file=name)
    for row, cells in enumerate(body, start=1):
        if len(cells) != len(names):
            raise DataError(
                f"{name}, row {row}: expected {len(names)} values, received {len(cells)}", file=name, row=row
            )
    return _Table(name, {c: [cells[i].strip() for cells in body] for i, c in enumerate(names)}, len(body))


def _json_table(name: str, text: str) -> _Table:
    """Return the trades of a freqtrade backtest result, or of a bare list of trades."""
    try:
        data = json.loads(text)
    except ValueError as e:
        raise DataError(f"{name}: expected JSON, received text that is cut or damaged: {e}", file=name) from e
    if isinstance(data, dict) and isinstance(data.get("strategy"), dict) and len(data["strategy"]) == 1:
        data = next(iter(data["strategy"].values()))
    trades = data.get("trades") if isinstance(data, dict) else data
    if not isinstance(trades, list) or not trades or not all(isinstance(trade, Mapping) for trade in trades):
        raise DataError(
            f"{name}: expected the trades of one freqtrade strategy",
            file=name,
            hint="give the backtest result of one strategy, or export the trades as CSV",
        )
    names = [c for c in trades[0] if all(c in trade for trade in trades)]
    return _Table(name, {c: [_cell(trade[c]) for trade in trades] for c in names}, len(trades))


def _cell(value: Any) -> str:
    return "" if value is None else str(value)


def _recognise(table: _Table, asked: str) -> str | None:
    if len(_variant_columns(table, asked)) > 1:
        return "variants"
    for kind, needed in _TRADE_COLUMNS.items():
        if all(column in table.columns for column in needed):
            return kind
    lower = [column.lower() for column in table.columns]
    for kind, main in (("returns", "return"), ("equity", "equity")):
        known = {*_DATE_NAMES, main, "benchmark", "cost", *(_IGNORED if kind == "equity" else ())}
        dates = max(1 if "" in lower else 0, sum(column in _DATE_NAMES[:-1] for column in lower))
        if main in lower and dates == 1 and set(lower) <= known:
            return kind
    return None


def _variant_columns(table: _Table, asked: str) -> list[str]:
    """Return the columns that hold one variant each; any name will do where variants were asked for."""
    lower = {column.lower(): column for column in table.columns}
    if asked == "variants":
        others = {*_DATE_NAMES, "benchmark", "cost"}
        return [column for name, column in lower.items() if name not in others]
    named = [column for name, column in lower.items() if name.startswith(_VARIANT)]
    known = {*_DATE_NAMES, "return", "benchmark", "cost", *(name.lower() for name in named)}
    if asked != "auto" or not named or not set(lower) <= known:
        return []
    return [*([lower["return"]] if "return" in lower else []), *named]


def _read_variants(table: _Table) -> ForeignResult:
    """Return variants side by side: ``return`` is the judged one, else the one with the highest Sharpe ratio."""
    by_name = {column.lower(): column for column in table.columns}
    date_column = next((by_name[name] for name in _DATE_NAMES if name in by_name), None)
    if date_column is None:
        raise DataError(f"{table.file}: expected a column date beside the variants", file=table.file, column="date")
    notes: list[str] = []
    times, order = _ordered(table, date_column, notes)
    names = _variant_columns(table, "auto") or _variant_columns(table, "variants")
    columns = {name: _as_returns(table, name, "returns")[order] for name in names}
    chosen = by_name.get("return")
    if chosen is None:
        spread = {name: float(values.std()) for name, values in columns.items()}
        chosen = max(names, key=lambda name: float(columns[name].mean()) / spread[name] if spread[name] > 0 else -1e9)
        notes.append(f"{chosen} has the highest Sharpe ratio of the file and is judged, as one would have chosen it")
    return ForeignResult(
        kind="variants",
        rows=table.rows,
        times=tuple(times[i] for i in order),
        returns=columns[chosen],
        benchmark=_as_returns(table, by_name["benchmark"], "returns")[order] if "benchmark" in by_name else None,
        cost=_costs(table, by_name["cost"])[order] if "cost" in by_name else None,
        trades=None,
        notes=tuple(notes),
        variants=tuple((name, columns[name]) for name in names),
    )


def _ordered(table: _Table, date_column: str, notes: list[str]) -> tuple[list[datetime], IntArray]:
    """Return the times of the rows, and the rows in order of time; a time that stands twice is refused."""
    times = table.times(date_column)
    order = np.array(sorted(range(table.rows), key=times.__getitem__))
    if not np.array_equal(order, np.arange(table.rows)):
        notes.append("the rows were not in order of time and were sorted")
    for earlier, later in pairwise(order):
        if times[earlier] == times[later]:
            raise table.error("this time stands in the file twice", row=int(later) + 1, column=date_column)
    return times, order


def _stranger(table: _Table) -> str | None:
    """Return the first column that no plain form knows."""
    known = {*_DATE_NAMES, *_IGNORED, "return", "equity", "benchmark", "cost"}
    return next((column for column in table.columns if column.lower() not in known), None)


def _read_series(table: _Table, kind: str) -> ForeignResult:
    by_name = {column.lower(): column for column in table.columns}
    main = "return" if kind == "returns" else "equity"
    date_column = next(by_name[name] for name in _DATE_NAMES if name in by_name)
    notes: list[str] = []
    times, order = _ordered(table, date_column, notes)
    columns = {
        name: _as_returns(table, by_name[name], kind)[order]
        if kind == "returns"
        else _levels(table, by_name[name])[order]
        for name in (main, "benchmark")
        if name in by_name
    }
    cost = _costs(table, by_name["cost"])[order] if "cost" in by_name else None
    first = 0
    if kind == "equity":  # the first level has no return
        first = 1
        columns = {name: levels[1:] / levels[:-1] - 1.0 for name, levels in columns.items()}
    return ForeignResult(
        kind=kind,
        rows=table.rows,
        times=tuple(times[i] for i in order[first:]),
        returns=columns[main],
        benchmark=columns.get("benchmark"),
        cost=None if cost is None else cost[first:],
        trades=None,
        notes=tuple(notes),
    )


def _refuse(table: _Table, column: str, bad: BoolArray, text: Callable[[int], str], hint: str) -> None:
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        raise table.error(text(row), row=row + 1, column=column, hint=hint)


def _as_returns(table: _Table, column: str, kind: str) -> FloatArray:
    values = table.numbers(column)
    hint = "write fractions, 0.01 for one percent" if kind == "returns" else "check the export"
    _refuse(table, column, values <= -1.0, lambda row: f"a return of {values[row]:g} loses everything or more", hint)
    return values


def _levels(table: _Table, column: str) -> FloatArray:
    values = table.numbers(column)
    _refuse(table, column, values <= 0.0, lambda row: f"expected a level above 0, received {values[row]:g}", "")
    return values


def _costs(table: _Table, column: str) -> FloatArray:
    values = table.numbers(column)
    hint = "write what was deducted as a positive fraction of equity"
    _refuse(table, column, values < 0.0, lambda row: f"expected a cost of 0 or more, received {values[row]:g}", hint)
    return values


def _read_trades(table: _Table, kind: str) -> ForeignResult:
    profit_column, entry_column, exit_column = _TRADE_COLUMNS[kind]
    notes = ["a trade is booked on the day it was closed, with the same stake as every other"]
    kept, dropped = _closed_rows(table, exit_column)
    if dropped:
        notes.append(f"{dropped} of {table.rows} trades had not been closed and were left out")
    table = kept
    profits = table.numbers(profit_column)
    entries, exits = table.times(entry_column), table.times(exit_column)
    for row, (entry, leave) in enumerate(zip(entries, exits, strict=True), start=1):
        if leave < entry:
            raise table.error("the trade was closed before it was opened", row=row, column=exit_column)
    if "Open" in table.columns.get("Status", []):
        notes.append("trades still open are valued at the last price of the file")
    cost = _trade_cost(table, kind)
    stake = 1.0 / _most_open(entries, exits)
    days = _days(entries, exits)
    position = {day: i for i, day in enumerate(days)}
    booked = np.array([position[leave.date()] for leave in exits])
    returns = _booked(booked, profits * stake, len(days))
    costs = None if cost is None else _booked(booked, cost * stake, len(days))
    holding = np.array([(leave - entry) / timedelta(days=1) for entry, leave in zip(entries, exits, strict=True)])
    return ForeignResult(
        kind=kind,
        rows=table.rows + dropped,
        times=tuple(datetime(day.year, day.month, day.day, tzinfo=UTC) for day in days),
        returns=returns,
        benchmark=None,
        cost=costs,
        trades=trade_statistics(profits, holding=holding),
        notes=tuple(notes),
    )


def _booked(day: IntArray, values: FloatArray, days: int) -> FloatArray:
    """Return the sum of the values of each day, (days,)."""
    result = np.zeros(days)
    np.add.at(result, day, values)
    return result


def _closed_rows(table: _Table, exit_column: str) -> tuple[_Table, int]:
    """Return the table without trades that have no closing time, and how many those are."""
    closed = [i for i, text in enumerate(table.columns[exit_column]) if text not in ("", "NaT", "None")]
    if not closed:
        raise DataError(f"{table.file}: expected closed trades, received none", file=table.file, column=exit_column)
    columns = {name: [cells[i] for i in closed] for name, cells in table.columns.items()}
    return _Table(table.file, columns, len(closed)), table.rows - len(closed)


def _trade_cost(table: _Table, kind: str) -> FloatArray | None:
    """Return what each trade paid, as a fraction of its stake; None where the export does not say."""
    if kind == "freqtrade" and {"fee_open", "fee_close"} <= set(table.columns):
        return table.numbers("fee_open") + table.numbers("fee_close")
    if kind == "backtesting" and {"Commission", "Size", "EntryPrice"} <= set(table.columns):
        return table.numbers("Commission") / _stakes(table, "EntryPrice")
    price = "Avg Entry Price" if "Avg Entry Price" in table.columns else "Entry Price"
    if kind == "vectorbt" and {"Entry Fees", "Exit Fees", "Size", price} <= set(table.columns):
        return (table.numbers("Entry Fees") + table.numbers("Exit Fees")) / _stakes(table, price)
    return None


def _stakes(table: _Table, price: str) -> FloatArray:
    stake = np.abs(table.numbers("Size") * table.numbers(price))
    _refuse(table, "Size", stake <= 0.0, lambda _: "expected size and price other than 0", "check the export")
    return stake


def _most_open(entries: Sequence[datetime], exits: Sequence[datetime]) -> int:
    """Return the largest number of trades open at once; one that closes makes room for one that opens."""
    moves = sorted([(instant, 1) for instant in entries] + [(instant, -1) for instant in exits])
    running = np.cumsum([step for _, step in moves])
    return max(1, int(running.max()))


def _days(entries: Sequence[datetime], exits: Sequence[datetime]) -> list[date]:
    """Return the days from first entry to last exit: weekdays, or every day where any trade moved on a weekend."""
    first, last = min(entries).date(), max(exits).date()
    every = any(instant.weekday() >= 5 for instant in (*entries, *exits))
    count = (last - first).days + 1
    days = [first + timedelta(days=i) for i in range(count)]
    return [day for day in days if every or day.weekday() < 5]
