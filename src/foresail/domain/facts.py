"""Facts: values that are published later than the period they describe, with their three time stamps and all vintages.

``event_time`` says what a value describes (the end of a quarter), ``available_at`` when a careful trader had it,
``recorded_at`` when our store wrote it. A restatement is a further row with a later ``available_at``; the row before it
stays. A table whose availability nobody knows does not exist: either the source dates it, or somebody states a
publication lag, or it is a snapshot that counts from the day it was stored (DATA-70 to DATA-72).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum

import numpy as np

from foresail.core.arrays import BoolArray, FloatArray, IntArray, TimeArray
from foresail.core.clock import NS_PER_DAY, NS_PER_S, format_ns
from foresail.core.errors import DataError, LookAheadError, UnknownNameError
from foresail.core.ids import InstrumentId
from foresail.domain.calendars import next_open

__all__ = ["FactBasis", "FactSet", "FactTable", "fact_table", "next_session", "snapshot_facts"]

_UNRECORDED = 0


class FactBasis(StrEnum):
    """How availability is known."""

    PUBLISHED = "published"  # the source dates each value
    LAGGED = "lagged"  # event time plus a stated publication lag
    SNAPSHOT = "snapshot"  # the present state of a source: known from when it was stored


@dataclass(frozen=True, slots=True)
class FactSet:
    """What is known about a set of facts as a whole.

    Attributes
    ----------
    fields : names of the columns, in the order of the values
    lag_ns : publication lag that somebody stated; None where the source dates its values
    kind : "facts", or "series": prices and indices of no instrument that features read beside the bars
    """

    name: str
    fields: tuple[str, ...]
    basis: FactBasis
    source: str = ""
    lag_ns: int | None = None
    kind: str = "facts"


@dataclass(frozen=True, slots=True, eq=False)
class FactTable:
    """Facts, one row a vintage, sorted by (instrument, available_at, event_time, recorded_at).

    Attributes
    ----------
    instruments : ids, ascending; the empty id stands for facts of no instrument (macro figures)
    code : (R,) place in ``instruments``
    event_time, available_at, recorded_at : (R,) ns UTC; ``recorded_at`` is 0 where not stored yet
    fields : names of the F columns
    values : (R, F); NaN = this vintage says nothing of the field
    """

    instruments: tuple[InstrumentId, ...]
    code: IntArray
    event_time: TimeArray
    available_at: TimeArray
    recorded_at: TimeArray
    fields: tuple[str, ...]
    values: FloatArray
    basis: FactBasis = FactBasis.PUBLISHED

    def __post_init__(self) -> None:
        rows = len(self.code)
        times = (self.event_time, self.available_at, self.recorded_at)
        if any(len(column) != rows for column in times) or self.values.shape != (rows, len(self.fields)):
            raise DataError(f"fact columns differ in length: {rows} rows, values {self.values.shape}")

    def __len__(self) -> int:
        return len(self.code)

    def index(self, field: str) -> int:
        """Return the position of a field.

        Raises
        ------
        UnknownNameError
            If there is none of that name.
        """
        if field not in self.fields:
            raise UnknownNameError("fact field", field, self.fields)
        return self.fields.index(field)

    def take(self, rows: IntArray | BoolArray) -> FactTable:
        """Return some rows, in their order."""
        return replace(
            self,
            code=self.code[rows],
            event_time=self.event_time[rows],
            available_at=self.available_at[rows],
            recorded_at=self.recorded_at[rows],
            values=self.values[rows],
        )

    def known(self, at_ns: int, *, recorded_by_ns: int | None = None) -> FactTable:
        """Return the vintages that were available at an instant, and recorded by another one if that is given.

        Parameters
        ----------
        at_ns : ns UTC; ``available_at`` not after it
        recorded_by_ns : ns UTC, for the audit of an old run: what the store had written by then
        """
        kept = self.available_at <= at_ns
        if recorded_by_ns is not None:
            kept &= (self.recorded_at <= recorded_by_ns) & (self.recorded_at != _UNRECORDED)
        return self.take(kept)


def fact_table(
    instrument: Sequence[str],
    event_time: TimeArray,
    values: Mapping[str, FloatArray],
    *,
    available_at: TimeArray | None = None,
    publication_lag: timedelta | None = None,
    recorded_at: TimeArray | None = None,
) -> FactTable:
    """Return a sorted table of facts.

    Parameters
    ----------
    instrument : (R,) ids
    event_time : (R,) ns UTC
    values : field -> (R,)
    available_at : (R,) ns UTC; dates without a time go through ``next_session`` first
    publication_lag : where the source gives no date: availability is the event time plus this
    recorded_at : (R,) ns UTC, from the store

    Raises
    ------
    LookAheadError
        If neither availability nor a lag is given, both are, or a time is absent.
    DataError
        If columns differ in length.
    """
    if (available_at is None) == (publication_lag is None):
        said = "neither" if available_at is None else "both"
        raise LookAheadError(
            f"expected either available_at or a stated publication lag, received {said}",
            column="available_at",
            rule="DATA-70",
            hint="name the column with the date of publication, or state how long after the period values appear",
        )
    basis = FactBasis.PUBLISHED
    if available_at is None:
        lag = publication_lag or timedelta(0)
        if lag < timedelta(0):
            raise LookAheadError(f"a publication lag cannot be negative, received {lag}", rule="DATA-70")
        available_at, basis = event_time + round(lag.total_seconds() * NS_PER_S), FactBasis.LAGGED
    for name, column in (("event_time", event_time), ("available_at", available_at)):
        absent = np.flatnonzero(column <= np.iinfo(np.int64).min)
        if len(absent):
            raise LookAheadError(
                f"{name} is empty in row {int(absent[0]) + 1}", row=int(absent[0]) + 1, column=name, rule="DATA-70"
            )
    stamps = np.full(len(event_time), _UNRECORDED, dtype=np.int64) if recorded_at is None else recorded_at
    return _sorted(instrument, (event_time, available_at, stamps), values, basis)


def snapshot_facts(instrument: Sequence[str], values: Mapping[str, FloatArray], *, stored_at_ns: int) -> FactTable:
    """Return the present state of a source as facts that count from the instant it was stored.

    Parameters
    ----------
    instrument : (R,) ids
    values : field -> (R,)
    stored_at_ns : ns UTC, now; the store puts its own recording time in its place, so nothing can be back-filled
    """
    at = np.full(len(instrument), stored_at_ns, dtype=np.int64)
    return _sorted(instrument, (at, at, np.full_like(at, _UNRECORDED)), values, FactBasis.SNAPSHOT)


def next_session(days: TimeArray, calendar: str) -> TimeArray:
    """Return when a value dated by a day is known: a second after the opening of the next session.

    Parameters
    ----------
    days : (R,) ns UTC, midnight of the date of publication

    Raises
    ------
    DataError
        If a stamp has a time of day: then it is an instant, not a date.
    """
    timed = np.flatnonzero(days % NS_PER_DAY)
    if len(timed):
        raise DataError(
            f"expected dates, received {format_ns(int(days[timed[0]]))} in row {int(timed[0]) + 1}",
            row=int(timed[0]) + 1,
            column="available_at",
            rule="DATA-70",
            hint="an instant needs no calendar: give it as available_at",
        )
    distinct, place = np.unique(days, return_inverse=True)
    opening: TimeArray = next_open(calendar, distinct + NS_PER_DAY - 1)[place] + NS_PER_S
    return opening


def _sorted(
    instrument: Sequence[str],
    times: tuple[TimeArray, TimeArray, TimeArray],
    values: Mapping[str, FloatArray],
    basis: FactBasis,
) -> FactTable:
    names, code = np.unique(np.asarray(instrument, dtype=str), return_inverse=True)
    fields = tuple(values)
    for name in fields:
        if len(values[name]) != len(code):
            raise DataError(f"fact column {name!r} has {len(values[name])} rows, expected {len(code)}", column=name)
    if any(len(column) != len(code) for column in times):
        raise DataError(f"fact times differ in length from the {len(code)} instruments")
    event, available, recorded = (np.asarray(column, dtype=np.int64) for column in times)
    order = np.lexsort((recorded, event, available, code))
    columns = [np.asarray(values[name], dtype=np.float64)[order] for name in fields]
    return FactTable(
        instruments=tuple(InstrumentId(str(name)) for name in names),
        code=code[order].astype(np.int64),
        event_time=event[order],
        available_at=available[order],
        recorded_at=recorded[order],
        fields=fields,
        values=np.column_stack(columns) if columns else np.empty((len(code), 0)),
        basis=basis,
    )
