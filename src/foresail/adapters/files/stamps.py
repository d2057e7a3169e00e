"""Times of a file to instants: epochs, ISO text, offsets, naive times with a stated zone; mixed kinds are refused.

Mixed means: some rows with an offset and some without, offsets further apart than daylight saving explains, or epochs
whose unit changes. Each is refused with the first such row, since any repair would be a guess.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from foresail.adapters.files.description import SetDescription
from foresail.core.arrays import BoolArray, IntArray, TimeArray
from foresail.core.clock import NS_PER_DAY, NS_PER_S
from foresail.core.errors import DataError

__all__ = ["StampColumn", "read_stamps"]

_RULE = "DATA-51"
_OFFSET = r"(?:[Zz]|[+-]\d{2}:?\d{2})$"
_NUMBER = r"^\s*\d{9,20}(\.\d*)?\s*$"
_UNITS = (("s", 10**11, NS_PER_S), ("ms", 10**14, 10**6), ("us", 10**17, 10**3), ("ns", 2**63, 1))
_FACTOR = {name: factor for name, _, factor in _UNITS}


@dataclass(frozen=True, slots=True)
class StampColumn:
    """The time column of one file, as it stands there."""

    file: str
    column: str
    values: Any
    rows: IntArray

    def refuse(self, text: str, position: int, hint: str) -> DataError:
        """Return the error that names file, row, column and value."""
        row = int(self.rows[position])
        value = self.values[position].as_py()
        return DataError(
            f"{self.file}, row {row}, column {self.column!r}: {text}; received {str(value)!r}",
            file=self.file,
            row=row,
            column=self.column,
            rule=_RULE,
            hint=hint,
        )


def read_stamps(column: StampColumn, description: SetDescription) -> tuple[TimeArray, BoolArray]:
    """Return instants and which rows have one.

    Returns
    -------
    ns : (R,) ns UTC; with ``time = "session"`` midnight UTC of the date as written
    good : (R,) false where the cell is no time

    Raises
    ------
    DataError
        If zones or units are mixed, or times have no zone and none was given.
    """
    values = column.values
    kind = values.type
    by_session = description.time == "session"
    if pa.types.is_timestamp(kind):
        return _from_timestamps(column, description, by_session=by_session)
    if pa.types.is_date(kind):
        days = pc.cast(values, pa.timestamp("ns"))
        return _from_naive(column, _numpy_ns(days), description, by_session=by_session)
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        return _from_epochs(column, np.asarray(pc.cast(values, pa.float64())), description, by_session=by_session)
    text = pc.utf8_trim_whitespace(pc.cast(values, pa.string()))
    numeric = pc.match_substring_regex(text, _NUMBER)
    if description.quirks.time_format is None and len(text) and pc.mean(pc.cast(numeric, pa.float64())).as_py() > 0.5:
        numbers = pd.to_numeric(text.to_pandas(), errors="coerce").to_numpy(dtype=np.float64)
        return _from_epochs(column, numbers, description, by_session=by_session)
    return _from_text(column, text, description, by_session=by_session)


def _numpy_ns(stamps: Any) -> TimeArray:
    filled = pc.fill_null(pc.cast(pc.cast(stamps, pa.timestamp("ns")), pa.int64()), np.iinfo(np.int64).min)
    return np.asarray(filled, dtype=np.int64)


def _good(ns: TimeArray) -> BoolArray:
    good: BoolArray = ns != np.iinfo(np.int64).min
    return good


def _floor_day(ns: TimeArray) -> TimeArray:
    return ns - ns % NS_PER_DAY


def _from_timestamps(
    column: StampColumn, description: SetDescription, *, by_session: bool
) -> tuple[TimeArray, BoolArray]:
    values = column.values
    if values.type.tz is None:
        return _from_naive(column, _numpy_ns(values), description, by_session=by_session)
    ns = _numpy_ns(pc.cast(values, pa.timestamp("ns", tz=values.type.tz)))
    return _as_sessions(column, ns, description) if by_session else (ns, _good(ns))


def _as_sessions(column: StampColumn, ns: TimeArray, description: SetDescription) -> tuple[TimeArray, BoolArray]:
    """Dates of aware instants: by the stated zone, else midnight UTC must be meant."""
    good = _good(ns)
    if description.zone is not None and description.zone != "UTC":
        local = pd.DatetimeIndex(np.where(good, ns, 0)).tz_localize("UTC").tz_convert(description.zone)
        return np.where(good, _floor_day(local.tz_localize(None).as_unit("ns").asi8), ns), good
    odd = np.flatnonzero(good & (ns % NS_PER_DAY != 0))
    if len(odd) and description.zone is None:
        raise column.refuse(
            "expected midnight UTC of a session date", int(odd[0]), 'say the zone of the exchange: zone = "..."'
        )
    return np.where(good, _floor_day(ns), ns), good


def _from_naive(
    column: StampColumn, ns: TimeArray, description: SetDescription, *, by_session: bool
) -> tuple[TimeArray, BoolArray]:
    good = _good(ns)
    if by_session:
        return np.where(good, _floor_day(ns), ns), good
    if description.zone is None:
        if not good.any():
            return ns, good
        raise column.refuse(
            "times without a time zone",
            int(np.flatnonzero(good)[0]),
            'say which: --timezone America/New_York (or zone = "America/New_York" in foresail-set.toml); '
            "brokers of the MetaTrader kind mostly use EET",
        )
    local = pd.DatetimeIndex(np.where(good, ns, 0))
    utc = local.tz_localize(description.zone, ambiguous="NaT", nonexistent="NaT").tz_convert("UTC")
    instants = utc.as_unit("ns").asi8
    return np.where(good, instants, ns), good & _good(instants)


def _from_epochs(
    column: StampColumn, numbers: Any, description: SetDescription, *, by_session: bool
) -> tuple[TimeArray, BoolArray]:
    good = np.isfinite(numbers) & (numbers > 0) & (numbers < 2.0**63)
    safe = np.where(good, numbers, 0.0)
    unit = np.searchsorted([bound for _, bound, _ in _UNITS], safe, side="right")
    wanted = description.quirks.epoch
    if wanted in (None, "mixed"):
        first = int(unit[np.flatnonzero(good)[0]]) if good.any() else 0
        odd = np.flatnonzero(good & (unit != first))
        if len(odd) and wanted is None:
            raise column.refuse(
                f"the unit of time changes from {_UNITS[first][0]} to {_UNITS[int(unit[odd[0]])][0]}",
                int(odd[0]),
                'if that is so, say epoch = "mixed" under [quirks] of foresail-set.toml',
            )
        factor = np.array([factor for _, _, factor in _UNITS], dtype=np.int64)[unit]
    else:
        factor = np.full(len(safe), _FACTOR[str(wanted)], dtype=np.int64)
    whole = np.floor(safe)  # splitting keeps the product exact: float64 alone loses sub-microseconds
    ns = whole.astype(np.int64) * factor + np.rint((safe - whole) * factor).astype(np.int64)
    ns = np.where(good, ns, np.iinfo(np.int64).min)
    return _as_sessions(column, ns, description) if by_session else (ns, good)


def _from_text(
    column: StampColumn, text: Any, description: SetDescription, *, by_session: bool
) -> tuple[TimeArray, BoolArray]:
    series = text.to_pandas()
    form = description.quirks.time_format or "ISO8601"
    if by_session and description.quirks.time_format is None:
        _refuse_times_of_day(column, series)
        days = pd.to_datetime(series.str.slice(0, 10), format="ISO8601", errors="coerce")
        return _from_naive(column, _series_ns(days), description, by_session=True)
    has_offset = np.asarray(pc.fill_null(pc.match_substring_regex(text, r"\d{2}:\d{2}.*" + _OFFSET), False))  # noqa: FBT003
    if not has_offset.any():
        naive = pd.to_datetime(series, format=form, errors="coerce")
        return _from_naive(column, _series_ns(naive), description, by_session=by_session)
    instants = pd.to_datetime(series, format=form, errors="coerce", utc=True)
    ns = _series_ns(instants)
    _refuse_mixed(column, text, has_offset, _good(ns))
    return ns, _good(ns)


def _refuse_times_of_day(column: StampColumn, series: Any) -> None:
    clock = series.str.extract(r"[T ](\d{2}:\d{2})")[0].fillna("00:00").to_numpy()
    odd = np.flatnonzero(clock != clock[0])
    if len(odd):
        raise column.refuse(
            f"daily bars are dated, but the time of day changes from {clock[0]} to {clock[odd[0]]}",
            int(odd[0]),
            'these are intraday bars: say their frame, for example frame = "4h", and time = "start"',
        )


def _series_ns(stamps: Any) -> TimeArray:
    index = pd.DatetimeIndex(stamps)
    ns: TimeArray = index.as_unit("ns").asi8
    return ns


def _refuse_mixed(column: StampColumn, text: Any, has_offset: BoolArray, good: BoolArray) -> None:
    naive = np.flatnonzero(good & ~has_offset)
    if len(naive):
        raise column.refuse(
            "mixed zones: a time without an offset among times with one", int(naive[0]), "export all times in UTC"
        )
    offsets = text.to_pandas().str.extract(r"(?:([+-]\d{2}):?(\d{2}))$")
    minutes = (offsets[0].astype("float") * 60.0 + offsets[1].astype("float")).fillna(0.0).to_numpy()
    far = np.flatnonzero(good & (np.abs(minutes - minutes[np.flatnonzero(good)[0]]) > 60.0))
    if len(far):
        raise column.refuse(
            "mixed zones: offsets differ by more than daylight saving", int(far[0]), "export all times in UTC"
        )
