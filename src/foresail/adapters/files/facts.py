"""Described files of facts to a ``FactTable``: ``foresail-set.toml`` with ``kind = "facts"`` or ``kind = "series"``.

One row is one vintage: which instrument, which period, when it was published, and its numbers. Facts of
``scope = "market"`` are of no instrument (policy rates, yields, the mood of a market) and stand under the empty id, as
series do that features read beside the bars (the VIX, an index, the fund of a sector). A file that does not say when
its values were published is refused unless the description states a publication lag, says that they are known at the
close of their session, or calls them a snapshot.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from foresail.adapters.files.availability import close_of_session, grace_ns, said_availability, stated_lag
from foresail.adapters.files.columns import to_numbers
from foresail.adapters.files.description import DEFAULT_PLACE, Quirks, SetDescription, described_files
from foresail.adapters.files.fact_columns import FactColumns, fact_columns, scope_of, series_columns
from foresail.adapters.files.instruments import identify
from foresail.adapters.files.raw import RawTable, read_raw
from foresail.adapters.files.stamps import StampColumn, read_stamps
from foresail.core.arrays import BoolArray, FloatArray, TimeArray
from foresail.core.clock import NS_PER_DAY
from foresail.core.errors import ConfigError, DataError, UnknownNameError
from foresail.core.ids import InstrumentId
from foresail.domain.calendars import check_calendar
from foresail.domain.facts import FactSet, FactTable, fact_table, next_session, snapshot_facts
from foresail.domain.instruments import AssetClass, PriceBasis
from foresail.domain.quality import QuarantinedRow

__all__ = ["FACT_KEYS", "SERIES_KEYS", "is_fact_description", "read_fact_files"]

_COMMON_KEYS = (
    "version", "kind", "name", "root", "root_default", "files", "calendar", "symbol", "event_time", "known_at",
    "publication_lag", "at_close", "grace_s", "snapshot", "scale", "note",
)  # fmt: skip
FACT_KEYS = (*_COMMON_KEYS, "class", "place", "scope", "of", "fields")
SERIES_KEYS = (*_COMMON_KEYS, "series", "value")
_KINDS = ("facts", "series")
_MARKET = InstrumentId("")


@dataclass(frozen=True, slots=True)
class _Plan:
    """A description, resolved.

    Attributes
    ----------
    where : its name, for error texts
    market : whether the values are of no instrument
    calendar : whose sessions dates mean
    """

    raw: Mapping[str, Any]
    where: str
    files: tuple[Path, ...]
    kind: str
    market: bool
    calendar: str
    columns: FactColumns
    lag: timedelta | None
    grace: int
    cells: SetDescription

    def key_columns(self) -> list[str]:
        """Return the columns that say what, when and since when."""
        return [str(self.raw[key]) for key in ("symbol", "event_time", "known_at") if self.raw.get(key)]


@dataclass(frozen=True, slots=True, eq=False)
class _Rows:
    """Cells of one file, parsed; times ns UTC."""

    symbol: list[str]
    event: TimeArray
    published: TimeArray | None
    values: dict[str, FloatArray]

    def take(self, keep: BoolArray) -> _Rows:
        """Return some rows."""
        kept = [symbol for symbol, wanted in zip(self.symbol, keep.tolist(), strict=True) if wanted]
        published = None if self.published is None else self.published[keep]
        return _Rows(kept, self.event[keep], published, {name: cells[keep] for name, cells in self.values.items()})


def is_fact_description(raw: Mapping[str, Any]) -> bool:
    """Return whether a description says that its files hold facts or series."""
    return raw.get("kind") in _KINDS


def read_fact_files(
    raw: Mapping[str, Any], *, folder: Path, where: str, now_ns: int
) -> tuple[FactTable, FactSet, tuple[QuarantinedRow, ...], tuple[str, ...]]:
    """Return the facts of a description, the set, the rows set aside and notes.

    Parameters
    ----------
    raw : content of ``foresail-set.toml``
    now_ns : ns UTC, when a snapshot is stored

    Raises
    ------
    ConfigError
        If a key is unknown, absent or wrong.
    LookAheadError
        If nothing says when the values were published.
    DataError
        If a file or column is absent or unreadable.
    """
    name, plan = _plan(raw, folder=folder, where=where)
    fields, parts, bad, notes = _read_all(plan)
    if not any(part.symbol for part in parts):
        raise DataError(f"{where}: no row of {len(bad)} can be used", rule="DATA-51", hint="check the named columns")
    values = {field: np.concatenate([part.values[field] for part in parts]) for field in fields}
    instruments = _instruments(plan, parts)
    if raw.get("snapshot", False):
        table = snapshot_facts(instruments, values, stored_at_ns=now_ns)
        notes.append("a snapshot: known from when it is stored, not before")
    else:
        event = np.concatenate([part.event for part in parts])
        available = _available(parts, plan, notes)
        table = fact_table(instruments, event, values, available_at=available, publication_lag=plan.lag)
    sources = ", ".join(path.name for path in plan.files)
    said = FactSet(name, fields, table.basis, sources, _ns(plan.lag), plan.kind)
    return table, said, tuple(bad), tuple(notes)


def _plan(raw: Mapping[str, Any], *, folder: Path, where: str) -> tuple[str, _Plan]:
    """Return the name of the set and its description, checked."""
    kind = str(raw.get("kind"))
    keys = SERIES_KEYS if kind == "series" else FACT_KEYS
    name, files = described_files(raw, keys, folder=folder, where=where)
    market = kind == "series" or scope_of(raw, where) == "market"
    said = said_availability(raw, where)
    if said != "snapshot" and not isinstance(raw.get("event_time"), str):
        raise ConfigError(f'{where}: expected event_time = "name of the column", received {raw.get("event_time")!r}')
    if not market:
        _check_symbol(raw, where)
    calendar = check_calendar(str(raw.get("calendar", "XNYS")))
    columns = series_columns(raw, where) if kind == "series" else fact_columns(raw, where)
    cells = _cells(raw, name, files, calendar)
    lag, grace = stated_lag(raw, where), grace_ns(raw, where)
    return name, _Plan(raw, where, files, kind, market, calendar, columns, lag, grace, cells)


def _check_symbol(raw: Mapping[str, Any], where: str) -> None:
    given = [key for key in ("symbol", "of") if isinstance(raw.get(key), str) and raw[key]]
    if len(given) != 1:
        raise ConfigError(
            f'{where}: expected symbol = "name of the column", received {raw.get("symbol")!r}'
            + ("" if raw.get("of") is None else f" and of = {raw['of']!r}"),
            hint='facts of one instrument: of = "BTC"; of none: scope = "market"',
        )


def _ns(lag: timedelta | None) -> int | None:
    return None if lag is None else round(lag.total_seconds()) * 1_000_000_000


def _cells(raw: Mapping[str, Any], name: str, files: tuple[Path, ...], calendar: str) -> SetDescription:
    """Return what the readers of cells and symbols need, in the terms of a set of bars."""
    asset_class = AssetClass(str(raw.get("class", "stock")))
    return SetDescription(
        name=name,
        files=files,
        asset_class=asset_class,
        frame="1d",
        calendar=calendar,
        time="start",
        zone="UTC",
        price_basis=PriceBasis.UNKNOWN,
        universe="unknown",
        currency="USD",
        tick=Decimal("0.0001"),
        lot=Decimal(1),
        place=str(raw.get("place", DEFAULT_PLACE[asset_class])),
        quirks=Quirks(),
    )


def _read_all(plan: _Plan) -> tuple[tuple[str, ...], list[_Rows], list[QuarantinedRow], list[str]]:
    parts: list[_Rows] = []
    bad: list[QuarantinedRow] = []
    fields: tuple[str, ...] = ()
    for path in plan.files:
        table = read_raw(path, plan.cells.quirks)
        bad.extend(table.bad)
        columns = _columns(plan, table)
        wanted = tuple(columns)
        if fields and wanted != fields:
            raise DataError(
                f"{path.name}: fields {wanted} differ from those of the files before, {fields}", file=path.name
            )
        fields = wanted
        parts.append(_FileReader(plan, table, bad).rows(columns))
    if plan.columns.symbols:
        parts = _wanted(parts, plan)
    return fields, parts, bad, []


def _columns(plan: _Plan, table: RawTable) -> Mapping[str, str]:
    """Return field -> column of a file, checked against what the file has."""
    names = list(table.table.column_names)
    keys = plan.key_columns()
    columns = plan.columns.columns or {name: name for name in _numeric(table, keys, plan.cells)}
    for name in (*keys, *columns.values()):
        if name not in names:
            raise DataError(
                f"{table.file}: {plan.where} names column {name!r}, the file has {', '.join(names)}",
                file=table.file,
                column=name,
                rule="DATA-51",
            )
    if not columns:
        raise DataError(f"{table.file}: no column of numbers", file=table.file, hint='name them: fields = ["revenues"]')
    for name in plan.columns.scale:
        if name not in columns:
            raise UnknownNameError("field in [scale]", name, tuple(columns))
    return columns


def _numeric(table: RawTable, keys: list[str], description: SetDescription) -> tuple[str, ...]:
    """Return the columns, other than the keys, whose cells are numbers or missing."""
    kinds = (pa.types.is_floating, pa.types.is_integer, pa.types.is_decimal)
    found = []
    for one in table.table.schema:
        is_number = any(kind(one.type) for kind in kinds)
        if not is_number and table.is_text:
            numbers, wrong = to_numbers(_column(table, one.name), description)
            is_number = bool(np.isfinite(numbers).any()) and not wrong.any()
        if is_number and one.name not in keys:
            found.append(one.name)
    return tuple(found)


class _FileReader:
    """Parses the cells of one file; rows that cannot be read are added to ``bad``."""

    def __init__(self, plan: _Plan, table: RawTable, bad: list[QuarantinedRow]) -> None:
        self._plan = plan
        self._table = table
        self._bad = bad
        self._good: BoolArray = np.ones(table.table.num_rows, dtype=np.bool_)
        self._reasons: dict[int, tuple[str, str]] = {}

    def rows(self, columns: Mapping[str, str]) -> _Rows:
        """Return the rows that can be read."""
        raw, count = self._plan.raw, self._table.table.num_rows
        event = self._stamps("event_time") if raw.get("event_time") else np.zeros(count, dtype=np.int64)
        published = self._stamps("known_at") if raw.get("known_at") else None
        if raw.get("at_close"):
            published = self._closes(event)
        symbols = self._symbols(count)
        cells = {column: self._numbers(column) for column in dict.fromkeys(columns.values())}
        self._set_aside()
        rows = np.flatnonzero(self._good)
        values = {}
        for field, column in columns.items():
            taken = cells[column][rows] * self._plan.columns.scale.get(field, 1.0)
            wanted = self._plan.columns.symbols.get(field)
            if wanted is not None:
                own = np.array([symbols[row] == wanted for row in rows.tolist()], dtype=np.bool_)
                taken = np.where(own, taken, np.nan)
            values[field] = taken
        known = None if published is None else published[rows]
        return _Rows([symbols[row] for row in rows.tolist()], event[rows], known, values)

    def _mark(self, fine: BoolArray, column: str, reason: str) -> None:
        for row in np.flatnonzero(self._good & ~fine).tolist():
            self._reasons[row] = (column, reason)
        np.logical_and(self._good, fine, out=self._good)

    def _stamps(self, key: str) -> TimeArray:
        name = str(self._plan.raw[key])
        column = StampColumn(self._table.file, name, _column(self._table, name), self._table.rows)
        ns, fine = read_stamps(column, self._plan.cells)
        self._mark(fine, name, f"no {key}")
        return ns

    def _closes(self, event: TimeArray) -> TimeArray:
        known, fine = np.zeros_like(event), self._good.copy()
        known[self._good], fine[self._good] = close_of_session(event[self._good], self._plan.calendar, self._plan.grace)
        reason = f"no session of {self._plan.calendar} on that date"
        self._mark(fine, str(self._plan.raw["event_time"]), reason)
        return known

    def _symbols(self, count: int) -> list[str]:
        name = self._plan.raw.get("symbol")
        if name is None:
            return [str(self._plan.raw.get("of", "")) or "the market"] * count
        text = pc.utf8_trim_whitespace(pc.cast(_column(self._table, str(name)), pa.string()))
        symbols = [str(symbol or "") for symbol in text.to_pylist()]
        self._mark(np.array([bool(symbol) for symbol in symbols], dtype=np.bool_), str(name), "no symbol")
        return symbols

    def _numbers(self, column: str) -> FloatArray:
        numbers, wrong = to_numbers(_column(self._table, column), self._plan.cells)
        self._mark(~wrong, column, "not a number")
        return numbers

    def _set_aside(self) -> None:
        for row, (column, reason) in sorted(self._reasons.items()):
            original = ",".join(str(value) for value in self._table.table.slice(row, 1).to_pylist()[0].values())
            place = int(self._table.rows[row])
            self._bad.append(QuarantinedRow(self._table.file, place, column, "DATA-51", reason, original[:500]))


def _column(table: RawTable, name: str) -> Any:
    return table.table.column(name).combine_chunks()


def _wanted(parts: list[_Rows], plan: _Plan) -> list[_Rows]:
    """Return the rows of the symbols that series name; a symbol that no file has is refused."""
    known = sorted({symbol for part in parts for symbol in part.symbol})
    wanted = set(plan.columns.symbols.values())
    for series, symbol in plan.columns.symbols.items():
        if symbol not in known:
            raise UnknownNameError("symbol", symbol, known, hint=f"mend {series} in [series] of {plan.where}")
    return [part.take(np.array([symbol in wanted for symbol in part.symbol], dtype=np.bool_)) for part in parts]


def _instruments(plan: _Plan, parts: list[_Rows]) -> list[InstrumentId]:
    """Return the id of each row."""
    symbols = [symbol for part in parts for symbol in part.symbol]
    if plan.market:
        return [_MARKET] * len(symbols)
    ids = {symbol: identify(symbol, plan.cells)[0] for symbol in sorted(set(symbols))}
    return [ids[symbol] for symbol in symbols]


def _available(parts: list[_Rows], plan: _Plan, notes: list[str]) -> TimeArray | None:
    """Return when rows were known; dates without a time mean the next session's open."""
    found = [part.published for part in parts if part.published is not None]
    if not found:
        return None
    published = np.concatenate(found)
    if plan.raw.get("known_at") and len(published) and not (published % NS_PER_DAY).any():
        notes.append(f"published by date: known a second after the next session of {plan.calendar} opens")
        return next_session(published, plan.calendar)
    return published
