"""The 31 series of the volatility benchmark: reads the file, refuses what it is not, prepares it as the reference does.

1. Columns ``ts`` (session date), ``symbol`` (lower-case alias), ``r`` (close-to-close return, percent) and ``rv``
   (5-minute realised variance, percent squared).
2. The target is ``ln(rv / 10,000)``. A variance of 0 is missing and takes the value before it, index by index.
3. Rows after the last day of the benchmark are left out: they stay unseen.

References: [Lim2021] in docs/REFERENCES.md; ``indices.csv`` holds the symbols and regions of its published code, the
index filed under another continent and the trailing blank that makes a fourth region included.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from datetime import date
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from foresail.core.arrays import FloatArray, IntArray
from foresail.core.canonical import hash_bytes
from foresail.core.errors import DataError, UnknownNameError, UserError

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "COLUMNS",
    "FIRST_DAY",
    "LAST_DAY",
    "Index",
    "IndexSeries",
    "VolatilitySeries",
    "indices",
    "read_series",
    "series_of",
]

COLUMNS = ("ts", "symbol", "r", "rv")
LAST_DAY = date(2019, 6, 28)  # of the reference data; later rows are nobody's test
FIRST_DAY = date(2000, 1, 3)  # day 0 of the known input "days from start"
_PERCENT_SQUARED = 10_000.0
_PLAUSIBLE_VARIANCE = (0.01, 100.0)  # median, percent squared: a daily volatility of 0.1 % to 10 %
_PLAUSIBLE_RETURN = (0.1, 20.0)  # standard deviation, percent


@dataclass(frozen=True, slots=True)
class Index:
    """One stock index.

    Attributes
    ----------
    alias : name in the file
    symbol : name in the Oxford-Man library
    region : where it is traded
    reference_region : as the published code has it, quirks included; an input of the task
    """

    alias: str
    symbol: str
    region: str
    reference_region: str


@dataclass(frozen=True, slots=True, eq=False)
class IndexSeries:
    """One index, one row a session.

    Attributes
    ----------
    day : (T,) days since 1970-01-01, ascending
    log_variance : (T,) ln of the daily variance as a fraction squared, finite
    simple_return : (T,) close to close, percent
    """

    index: Index
    day: IntArray
    log_variance: FloatArray
    simple_return: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class VolatilitySeries:
    """All series, in the order of ``indices()``.

    Attributes
    ----------
    content_hash : SHA-256 of the rows to the end of 2017, by which the known data are recognised
    filled : variances of 0 that took the value before them
    left_out : rows after the last day of the benchmark
    """

    series: tuple[IndexSeries, ...]
    content_hash: str
    filled: int = 0
    left_out: int = 0

    @property
    def first(self) -> int:
        """First day, days since 1970-01-01."""
        return min(int(one.day[0]) for one in self.series)

    @property
    def last(self) -> int:
        """Last day, days since 1970-01-01."""
        return max(int(one.day[-1]) for one in self.series)


def indices() -> tuple[Index, ...]:
    """Return the 31 indices in the order of their Oxford-Man symbols."""
    text = resources.files("foresail.evaluation.volatility_task").joinpath("indices.csv").read_text(encoding="utf-8")
    rows = [Index(**row) for row in csv.DictReader(text.splitlines())]
    return tuple(sorted(rows, key=lambda one: one.symbol))


def read_series(path: Path) -> VolatilitySeries:
    """Return the series of a Parquet or CSV file.

    Raises
    ------
    UserError
        If there is no such file, or it is neither Parquet nor CSV.
    DataError
        If a column is absent, a value unusable, an index missing, or the unit is not percent squared.
    UnknownNameError
        If a symbol is none of the 31.
    """
    import pandas as pd

    if not path.is_file():
        raise UserError(f"{path}: no such file", hint="give the Parquet or CSV file with --data")
    suffix = path.suffix.lower()
    if suffix not in (".parquet", ".pq", ".csv"):
        raise UserError(f"{path}: expected a Parquet or CSV file, received {suffix or 'no ending'}")
    try:
        frame = pd.read_csv(path) if suffix == ".csv" else pd.read_parquet(path)
    except (ValueError, OSError) as e:
        raise DataError(f"{path}: cannot be read as {suffix[1:]}: {e}", file=str(path)) from e
    return series_of(frame, file=str(path))


def series_of(frame: pd.DataFrame, *, file: str = "the table") -> VolatilitySeries:
    """Return the series of a table with the columns of ``COLUMNS``; see ``read_series`` for what it refuses."""
    columns = _checked(frame, file)
    known = indices()
    code, day, returns, variance = columns
    inside = day <= _days(LAST_DAY)
    end_2017 = _days(date(2017, 12, 31))
    found: list[IndexSeries] = []
    parts: list[bytes] = []
    filled = 0
    for place, one in enumerate(known):
        rows = np.flatnonzero((code == place) & inside)
        rows = rows[np.argsort(day[rows], kind="stable")]
        twice = np.flatnonzero(np.diff(day[rows]) == 0)
        if len(twice):
            raise _error(file, int(rows[twice[0] + 1]), "ts", f"{one.alias} has two rows on one date")
        early = rows[day[rows] <= end_2017]
        parts += [one.alias.encode(), *(v[early].tobytes() for v in (day, returns, variance))]
        last_known = np.maximum.accumulate(np.where(variance[rows] > 0.0, np.arange(len(rows)), -1))
        source, rows = rows[last_known[last_known >= 0]], rows[last_known >= 0]  # zeros before the first value go
        if not len(rows):
            raise DataError(f"{file}: {one.alias} has no variance above 0", file=file, column="rv")
        filled += int(np.sum(source != rows))
        target = np.log(variance[source] / _PERCENT_SQUARED)
        found.append(IndexSeries(one, day[rows].copy(), target, returns[rows].copy()))
    return VolatilitySeries(tuple(found), hash_bytes(b"\x1f".join(parts)), filled, int(np.sum(~inside)))


def _days(day: date) -> int:
    return int(np.datetime64(day, "D").astype(np.int64))


def _error(file: str, row: int, column: str, text: str, hint: str | None = None) -> DataError:
    return DataError(f"{file}: row {row + 1}: {text}", file=file, row=row + 1, column=column, hint=hint)


def _checked(frame: pd.DataFrame, file: str) -> tuple[IntArray, IntArray, FloatArray, FloatArray]:
    """Return index code, day, return and variance of every row, or refuse the table."""
    absent = [name for name in COLUMNS if name not in frame.columns]
    if absent:
        raise DataError(
            f"{file}: column {absent[0]!r} is missing; found: {', '.join(map(str, frame.columns))}",
            file=file,
            column=absent[0],
            hint="ts = session date, symbol = alias such as sp500, r = percent, rv = percent squared",
        )
    if not len(frame):
        raise DataError(f"{file}: no rows", file=file)
    code = _codes(frame["symbol"].astype(str).to_numpy(dtype=object), file)
    day = _day_column(frame["ts"], file)
    returns, variance = _numbers(frame["r"], "r", file), _numbers(frame["rv"], "rv", file)
    bad = np.flatnonzero(variance < 0.0)
    if len(bad):
        raise _error(file, int(bad[0]), "rv", f"expected a variance of 0 or more, received {variance[bad[0]]}")
    _check_units(returns, variance, file)
    return code, day, returns, variance


def _codes(symbols: NDArray[Any], file: str) -> IntArray:
    known = indices()
    place = {one.alias: i for i, one in enumerate(known)} | {one.symbol: i for i, one in enumerate(known)}
    names, inverse = np.unique(symbols.astype(str), return_inverse=True)
    for name in names.tolist():
        if name not in place:
            raise UnknownNameError(f"index in {file}", name, [one.alias for one in known])
    codes: IntArray = np.array([place[name] for name in names.tolist()], dtype=np.int64)[inverse]
    missing = sorted({one.alias for i, one in enumerate(known) if i not in codes})
    if missing:
        raise DataError(
            f"{file}: the benchmark has 31 indices, of which these are missing: {', '.join(missing)}",
            file=file,
            column="symbol",
            hint="a part of the indices is another task, whose figures compare with nothing",
        )
    return codes


def _day_column(column: Any, file: str) -> IntArray:
    import pandas as pd

    times = pd.to_datetime(column, utc=True, errors="coerce")
    bad = np.flatnonzero(times.isna().to_numpy())
    if len(bad):
        raise _error(file, int(bad[0]), "ts", f"expected a date, received {column.iloc[bad[0]]!r}")
    days: IntArray = times.dt.tz_localize(None).to_numpy().astype("datetime64[D]").astype(np.int64)
    return days


def _numbers(column: Any, name: str, file: str) -> FloatArray:
    import pandas as pd

    values: FloatArray = pd.to_numeric(column, errors="coerce").to_numpy(dtype=np.float64)
    bad = np.flatnonzero(~np.isfinite(values))
    if len(bad):
        raise _error(file, int(bad[0]), name, f"expected a number, received {column.iloc[bad[0]]!r}")
    return values


def _check_units(returns: FloatArray, variance: FloatArray, file: str) -> None:
    middle, spread = float(np.median(variance)), float(returns.std())
    low, high = _PLAUSIBLE_VARIANCE
    if not low <= middle <= high:
        guess = "a fraction squared: multiply by 10,000" if middle < low else "not the variance of one day in percent"
        raise DataError(
            f"{file}: column rv has median {middle:.3g}, expected percent squared (about 0.6); it looks like {guess}",
            file=file,
            column="rv",
            hint="rv is the realised variance of one session in percent squared",
        )
    low, high = _PLAUSIBLE_RETURN
    if not low <= spread <= high:
        guess = "a fraction: multiply by 100" if spread < low else "not a daily return"
        raise DataError(
            f"{file}: column r deviates by {spread:.3g}, expected percent (about 1.4); it looks like {guess}",
            file=file,
            column="r",
            hint="r is the close-to-close return in percent",
        )
