"""Dated regulatory fees (COST-07): rates change by law, so each one is a record with the day from which it holds.

The records stand in ``regulatory_fees.csv`` beside this file. Before the first record the oldest rate is used, and
whoever asks can find out that this happened. A day begins at midnight UTC, which lies between two US sessions.
"""

from __future__ import annotations

import csv
from bisect import bisect_right
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache
from importlib.resources import files

from foresail.core.clock import to_ns
from foresail.core.errors import DataError, UnknownNameError
from foresail.core.numbers import parse_number

__all__ = ["DatedFee", "FeeRecord", "read_fees"]


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
        since = to_ns(datetime.fromisoformat(row["from"]).replace(tzinfo=UTC))
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


def read_fees(name: str) -> DatedFee:
    """Return the dated records of one fee: ``sec`` (fraction of a sale) or ``taf`` (per share sold).

    Raises
    ------
    UnknownNameError
        If no fee of that name is recorded.
    """
    fees = _all_fees()
    if name not in fees:
        raise UnknownNameError("fee", name, fees)
    return fees[name]
