"""Described files of facts to a ``FactTable``: ``foresail-set.toml`` with ``kind = "facts"``.

One row is one vintage: which instrument, which period, when it was published, and its numbers. A file that does not say
when its values were published is refused unless the description states a publication lag, or calls it a snapshot.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from foresail.adapters.files.columns import to_numbers
from foresail.adapters.files.description import Quirks, SetDescription, described_files
from foresail.adapters.files.instruments import identify
from foresail.adapters.files.raw import RawTable, read_raw
from foresail.adapters.files.stamps import StampColumn, read_stamps
from foresail.core.arrays import BoolArray, FloatArray, TimeArray
from foresail.core.clock import NS_PER_DAY
from foresail.core.errors import ConfigError, DataError, LookAheadError
from foresail.domain.calendars import check_calendar, frame_ns
from foresail.domain.facts import FactSet, FactTable, fact_table, next_session, snapshot_facts
from foresail.domain.instruments import AssetClass, PriceBasis
from foresail.domain.quality import QuarantinedRow

__all__ = ["FACT_KEYS", "is_fact_description", "read_fact_files"]

FACT_KEYS = (
    "version", "kind", "name", "root", "root_default", "files", "class", "place", "calendar", "symbol", "event_time",
    "known_at", "publication_lag", "snapshot", "fields", "note",
)  # fmt: skip
_REQUIRED = ("symbol", "event_time")


@dataclass(frozen=True, slots=True, eq=False)
class _Rows:
    """Cells of one file, parsed; times ns UTC."""

    symbol: list[str]
    event: TimeArray
    published: TimeArray | None
    values: dict[str, FloatArray]


def is_fact_description(raw: Mapping[str, Any]) -> bool:
    """Return whether a description says that its files hold facts."""
    return raw.get("kind") == "facts"


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
    name, files = described_files(raw, FACT_KEYS, folder=folder, where=where)
    lag = _availability(raw, where)
    calendar = check_calendar(str(raw.get("calendar", "XNYS")))
    description = _description(raw, name, files, calendar)
    fields, parts, bad, notes = _read_all(raw, description, where)
    symbols = [symbol for part in parts for symbol in part.symbol]
    ids = {symbol: identify(symbol, description)[0] for symbol in sorted(set(symbols))}
    if not symbols:
        raise DataError(f"{where}: no row of {len(bad)} can be used", rule="DATA-51", hint="check the named columns")
    values = {field: np.concatenate([part.values[field] for part in parts]) for field in fields}
    instruments = [ids[symbol] for symbol in symbols]
    if raw.get("snapshot", False):
        table = snapshot_facts(instruments, values, stored_at_ns=now_ns)
        notes.append("a snapshot: known from when it is stored, not before")
    else:
        event = np.concatenate([part.event for part in parts])
        available = _available(parts, calendar, notes)
        table = fact_table(instruments, event, values, available_at=available, publication_lag=lag)
    said = FactSet(name, fields, table.basis, ", ".join(path.name for path in files), _ns(lag))
    return table, said, tuple(bad), tuple(notes)


def _availability(raw: Mapping[str, Any], where: str) -> timedelta | None:
    """Return the stated lag, None where a column or the moment of storing decides."""
    said = [key for key in ("known_at", "publication_lag", "snapshot") if raw.get(key)]
    if len(said) != 1:
        raise LookAheadError(
            f"{where}: expected one of known_at, publication_lag or snapshot, received {', '.join(said) or 'none'}",
            column="known_at",
            rule="DATA-70",
            hint='known_at = "column with the date of publication"; publication_lag = "45d"; or snapshot = true',
        )
    for key in _REQUIRED:
        if not isinstance(raw.get(key), str) and not (key == "event_time" and said == ["snapshot"]):
            raise ConfigError(f'{where}: expected {key} = "name of the column", received {raw.get(key)!r}')
    if said != ["publication_lag"]:
        return None
    text = str(raw["publication_lag"])
    if re.fullmatch(r"0d|[1-9]\d*[smhdw]", text) is None:
        raise ConfigError(f'{where}: expected publication_lag such as "45d" or "24h", received {text!r}')
    return timedelta(0) if text == "0d" else timedelta(seconds=frame_ns(text) // 1_000_000_000)


def _ns(lag: timedelta | None) -> int | None:
    return None if lag is None else round(lag.total_seconds()) * 1_000_000_000


def _description(raw: Mapping[str, Any], name: str, files: tuple[Path, ...], calendar: str) -> SetDescription:
    """Return what the readers of cells and symbols need, in the terms of a set of bars."""
    return SetDescription(
        name=name,
        files=files,
        asset_class=AssetClass(str(raw.get("class", "stock"))),
        frame="1d",
        calendar=calendar,
        time="start",
        zone="UTC",
        price_basis=PriceBasis.UNKNOWN,
        universe="unknown",
        currency="USD",
        tick=Decimal("0.0001"),
        lot=Decimal(1),
        place=str(raw.get("place", "US")),
        quirks=Quirks(),
    )


def _read_all(
    raw: Mapping[str, Any], description: SetDescription, where: str
) -> tuple[tuple[str, ...], list[_Rows], list[QuarantinedRow], list[str]]:
    parts: list[_Rows] = []
    bad: list[QuarantinedRow] = []
    notes: list[str] = []
    fields: tuple[str, ...] = ()
    for path in description.files:
        table = read_raw(path, description.quirks)
        bad.extend(table.bad)
        wanted = _fields(raw, table, description, where)
        if fields and wanted != fields:
            raise DataError(
                f"{path.name}: fields {wanted} differ from those of the files before, {fields}", file=path.name
            )
        fields = wanted
        parts.append(_read_file(raw, table, fields, description, bad))
    return fields, parts, bad, notes


def _fields(raw: Mapping[str, Any], table: RawTable, description: SetDescription, where: str) -> tuple[str, ...]:
    names = list(table.table.column_names)
    keys = [str(raw[key]) for key in ("symbol", "event_time", "known_at") if raw.get(key)]
    given = raw.get("fields")
    fields = tuple(str(name) for name in given) if given else _numeric(table, keys, description)
    for name in (*keys, *fields):
        if name not in names:
            raise DataError(
                f"{table.file}: {where} names column {name!r}, the file has {', '.join(names)}",
                file=table.file,
                column=name,
                rule="DATA-51",
            )
    if not fields:
        raise DataError(f"{table.file}: no column of numbers", file=table.file, hint='name them: fields = ["revenues"]')
    return fields


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


def _read_file(
    raw: Mapping[str, Any],
    table: RawTable,
    fields: tuple[str, ...],
    description: SetDescription,
    bad: list[QuarantinedRow],
) -> _Rows:
    good: BoolArray = np.ones(table.table.num_rows, dtype=np.bool_)
    reasons: dict[int, tuple[str, str]] = {}

    def mark(fine: BoolArray, column: str, reason: str) -> None:
        for row in np.flatnonzero(good & ~fine).tolist():
            reasons[row] = (column, reason)
        np.logical_and(good, fine, out=good)

    def stamps(key: str) -> TimeArray:
        column = StampColumn(table.file, str(raw[key]), _column(table, str(raw[key])), table.rows)
        ns, fine = read_stamps(column, description)
        mark(fine, str(raw[key]), f"no {key}")
        return ns

    event = stamps("event_time") if raw.get("event_time") else np.zeros(table.table.num_rows, dtype=np.int64)
    published = stamps("known_at") if raw.get("known_at") else None
    text = pc.utf8_trim_whitespace(pc.cast(_column(table, str(raw["symbol"])), pa.string()))
    symbols = [str(symbol or "") for symbol in text.to_pylist()]
    mark(np.array([bool(symbol) for symbol in symbols], dtype=np.bool_), str(raw["symbol"]), "no symbol")
    values = {}
    for name in fields:
        numbers, wrong = to_numbers(_column(table, name), description)
        mark(~wrong, name, "not a number")
        values[name] = numbers
    for row, (column, reason) in sorted(reasons.items()):
        original = ",".join(str(value) for value in table.table.slice(row, 1).to_pylist()[0].values())
        bad.append(QuarantinedRow(table.file, int(table.rows[row]), column, "DATA-51", reason, original[:500]))
    rows = np.flatnonzero(good)
    kept = [symbols[row] for row in rows.tolist()]
    known = None if published is None else published[rows]
    return _Rows(kept, event[rows], known, {name: column[rows] for name, column in values.items()})


def _column(table: RawTable, name: str) -> Any:
    return table.table.column(name).combine_chunks()


def _available(parts: list[_Rows], calendar: str, notes: list[str]) -> TimeArray | None:
    """Return when rows were known; dates without a time mean the next session's open."""
    found = [part.published for part in parts if part.published is not None]
    if not found:
        return None
    published = np.concatenate(found)
    if len(published) and not (published % NS_PER_DAY).any():
        notes.append(f"published by date: known a second after the next session of {calendar} opens")
        return next_session(published, calendar)
    return published
