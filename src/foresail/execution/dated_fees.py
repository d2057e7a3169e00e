"""Dated regulatory fees (COST-07): rates change by law, so each one is a record with the day from which it holds.

The records stand in ``regulatory_fees.csv`` beside this file; the settings may add newer ones or replace the rate of a
day. Before the first record the oldest rate is used, and whoever asks can find out that this happened. A day begins at
midnight UTC, which lies between two US sessions.
"""

from __future__ import annotations

import csv
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import cache
from importlib.resources import files
from typing import Any

from foresail.core.clock import to_ns
from foresail.core.errors import ConfigError, DataError, UnknownNameError
from foresail.core.numbers import parse_number

__all__ = ["DatedFee", "FeeRecord", "FeeRow", "parse_fees", "read_fees"]

FeeRow = tuple[str, str, str, str]  # fee, first day (ISO date), rate, cap (empty = none)
_KEYS = ("fee", "from", "rate", "cap")


@dataclass(frozen=True, slots=True)
class FeeRecord:
    """One rate and the instant (ns UTC) from which it holds; ``cap`` is the most that one trade pays, None = no cap."""

    since: int
    day: str
    rate: Decimal
    cap: Decimal | None


@dataclass(frozen=True, slots=True)
class DatedFee:
    """All records of one fee, ascending in time."""

    name: str
    records: tuple[FeeRecord, ...]

    def at(self, at_ns: int) -> FeeRecord:
        """Return the record that holds at an instant; the oldest one where none holds yet."""
        place = bisect_right(self.records, at_ns, key=lambda r: r.since) - 1
        return self.records[max(place, 0)]

    def precedes(self, at_ns: int) -> bool:
        """Return whether an instant lies before the first record, so that the oldest rate is only assumed."""
        return at_ns < self.records[0].since


@cache
def _all_fees() -> dict[str, DatedFee]:
    text = files("foresail.execution").joinpath("regulatory_fees.csv").read_text(encoding="utf-8")
    found: dict[str, list[FeeRecord]] = {}
    for row in csv.DictReader(text.splitlines()):
        since = _midnight(row["from"])
        cap = parse_number(row["cap"]) if row["cap"] else None
        found.setdefault(row["fee"], []).append(FeeRecord(since, row["from"], parse_number(row["rate"]), cap))
    for name, records in found.items():
        if [r.since for r in records] != sorted({r.since for r in records}):
            raise DataError(
                f"fee {name!r}: expected records in ascending order of day, each day once",
                file="regulatory_fees.csv",
                rule="COST-07",
            )
    return {name: DatedFee(name, tuple(records)) for name, records in found.items()}


def read_fees(name: str, own: Sequence[FeeRow] = ()) -> DatedFee:
    """Return the dated records of one fee: ``sec`` (fraction of a sale) or ``taf`` (per share sold).

    Parameters
    ----------
    own : rows of the settings; a row of a day that is recorded replaces it

    Raises
    ------
    UnknownNameError
        If no fee of that name is recorded.
    """
    fees = _all_fees()
    if name not in fees:
        raise UnknownNameError("fee", name, fees)
    mine = [row for row in own if row[0] == name]
    if not mine:
        return fees[name]
    records = {one.day: one for one in fees[name].records}
    for _name, day, rate, cap in mine:
        records[day] = FeeRecord(_midnight(day), day, parse_number(rate), parse_number(cap) if cap else None)
    return DatedFee(name, tuple(records[day] for day in sorted(records)))


def parse_fees(table: Any) -> tuple[FeeRow, ...]:
    """Return the rows of ``[[fees]]`` of a settings file, sorted.

    Parameters
    ----------
    table : list of tables with ``fee``, ``from`` (a date), ``rate`` and perhaps ``cap``, numbers as text or numbers

    Raises
    ------
    ConfigError
        If a row has other keys, no date, or a rate or cap that is no number of at least 0.
    UnknownNameError
        If there is no such fee.
    """
    rows = []
    for number, row in enumerate(table if isinstance(table, list) else [table], start=1):
        if not isinstance(row, Mapping) or not {"fee", "from", "rate"} <= set(row) <= set(_KEYS):
            raise ConfigError(
                f"[[fees]] row {number}: expected fee, from, rate and perhaps cap, received {row!r}",
                hint='fee = "sec", from = 2026-04-04, rate = "0.0000206"',
            )
        if row["fee"] not in _all_fees():
            raise UnknownNameError("fee", str(row["fee"]), _all_fees())
        try:
            day = date.fromisoformat(str(row["from"])).isoformat()
        except ValueError as error:
            raise ConfigError(f"[[fees]] row {number}: expected from as a date, received {row['from']!r}") from error
        numbers = [str(parse_number(str(row[key]))) if key in row else "" for key in ("rate", "cap")]
        if any(one and not Decimal(one) >= 0 for one in numbers):
            raise ConfigError(f"[[fees]] row {number}: expected a rate and a cap of at least 0, received {row!r}")
        rows.append((str(row["fee"]), day, numbers[0], numbers[1]))
    if len({(one[0], one[1]) for one in rows}) < len(rows):
        raise ConfigError("[[fees]]: expected each fee once for a day")
    return tuple(sorted(rows))


def _midnight(day: str) -> int:
    return to_ns(datetime.fromisoformat(day).replace(tzinfo=UTC))
