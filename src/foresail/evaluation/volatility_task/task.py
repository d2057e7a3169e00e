"""The volatility task: splits, origins and windows, so built that no forecaster can see what it is asked for.

1. Rows of all indices lie in one table, index by index. A window is 252 rows that end at an origin; the five rows after
   it are the labels.
2. Reference origins of a split have their whole window inside it; other origins may look back into earlier splits.
3. To learn, an entrant gets a table that ends where its split ends. To forecast, it gets copies of windows, a batch
   at a time, and of later rows their calendar only.

The mean over indices is delayed by a day: markets that close later on a date are not known yet at an origin.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import date

import numpy as np

from foresail.core.arrays import BoolArray, FloatArray, IntArray
from foresail.core.errors import DataError, UnknownNameError
from foresail.evaluation.volatility_task.series import FIRST_DAY, LAST_DAY, VolatilitySeries
from foresail.forecasting.econometric.har import cross_terms

__all__ = [
    "CALENDAR",
    "ENCODER",
    "HORIZON",
    "LEVELS",
    "PAST",
    "SPLITS",
    "LabelledWindows",
    "Origins",
    "Scaling",
    "VolatilityTask",
    "Windows",
]

ENCODER, HORIZON = 252, 5  # rows
LEVELS = (0.1, 0.5, 0.9)
PAST = ("log_variance", "return", "cross_mean", "cross_mean_5")
CALENDAR = ("days_from_start", "day_of_week", "day_of_month", "week_of_year", "month")
SPLITS: dict[str, tuple[date, date]] = {  # first and last day
    "train": (date.min, date(2015, 12, 31)),
    "validation": (date(2016, 1, 1), date(2017, 12, 31)),
    "test": (date(2018, 1, 1), LAST_DAY),
}
_BATCH = 2048  # windows held at once


@dataclass(frozen=True, slots=True, eq=False)
class Origins:
    """Where forecasts are made: the last known row of each window.

    Attributes
    ----------
    index : (O,) place in ``indices()``
    row : (O,) row of that index's series
    day : (O,) days since 1970-01-01
    inside : (O,) whether the whole window lies inside the split, as in the reference
    """

    index: IntArray
    row: IntArray
    day: IntArray
    inside: BoolArray

    def __len__(self) -> int:
        return len(self.day)

    def where(self, chosen: BoolArray | IntArray) -> Origins:
        """Return some of the origins."""
        return Origins(self.index[chosen], self.row[chosen], self.day[chosen], self.inside[chosen])


@dataclass(frozen=True, slots=True, eq=False)
class Windows:
    """What is known at some origins.

    Attributes
    ----------
    past : (O, 252, 4) values of ``PAST``; the last row is the origin's. NaN: no earlier day had a mean over indices
    calendar : (O, 257, 5) of ``CALENDAR``, for the past and for the five rows to come
    region : (O,) code of the reference's region, 0 to 3
    index : (O,) which index; no input of the reference, for models of a single index
    """

    past: FloatArray
    calendar: IntArray
    region: IntArray
    index: IntArray

    def __len__(self) -> int:
        return len(self.index)


@dataclass(frozen=True, slots=True, eq=False)
class Scaling:
    """One z-score for all indices, fitted on the training rows, as the reference has it.

    Attributes
    ----------
    mean, deviation : (3,) of log variance, return and days from start
    """

    mean: FloatArray
    deviation: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class _Table:
    """Rows of all indices, index by index; index i begins at ``begin[i]``."""

    begin: IntArray
    day: IntArray
    past: FloatArray
    calendar: IntArray
    region: IntArray

    def until(self, last: int) -> _Table:
        """Return a copy without the rows after a day."""
        keep = self.day <= last
        kept = np.add.reduceat(keep.astype(np.int64), self.begin)
        begin: IntArray = np.r_[0, np.cumsum(kept)[:-1]]
        return replace(self, begin=begin, day=self.day[keep], past=self.past[keep], calendar=self.calendar[keep])

    def windows(self, origins: Origins) -> Windows:
        last = self.begin[origins.index] + origins.row
        back = last[:, None] + np.arange(1 - ENCODER, 1)
        whole = last[:, None] + np.arange(1 - ENCODER, 1 + HORIZON)
        return Windows(self.past[back], self.calendar[whole], self.region[origins.index], origins.index.copy())

    def labels(self, origins: Origins) -> FloatArray:
        last = self.begin[origins.index] + origins.row
        found: FloatArray = self.past[last[:, None] + np.arange(1, 1 + HORIZON), 0]
        return found


@dataclass(frozen=True, slots=True, eq=False)
class LabelledWindows:
    """Windows with their outcomes, to learn from: ``batch`` gives a few, ``reduced`` something of all.

    Attributes
    ----------
    origins : O origins of one split
    labels : (O, 5) log variance of the five rows after each origin
    """

    origins: Origins
    labels: FloatArray
    _table: _Table
    _cache: dict[str, FloatArray] = field(default_factory=dict)

    def batch(self, rows: IntArray) -> Windows:
        """Return the windows of some origins."""
        return self._table.windows(self.origins.where(rows))

    def reduced(self, function: Callable[[Windows], FloatArray]) -> FloatArray:
        """Return (O, F) of a function of windows that gives (o, F); computed once for all who ask."""
        key = f"{function.__module__}.{function.__qualname__}"
        if key not in self._cache:
            parts = [function(self.batch(rows)) for rows in _batches(len(self.origins))]
            self._cache[key] = np.concatenate(parts)
        return self._cache[key]


def _batches(count: int) -> Iterator[IntArray]:
    for first in range(0, count, _BATCH):
        yield np.arange(first, min(first + _BATCH, count))


class VolatilityTask:
    """The benchmark on given series.

    Parameters
    ----------
    series : of all indices
    """

    def __init__(self, series: VolatilitySeries) -> None:
        self.series = series
        self._table = _table(series)
        self.scaling = _scaling(self._table)

    @property
    def has_test(self) -> bool:
        """Whether the file reaches far enough into the test years for one origin."""
        return len(self.origins("test")) > 0

    def origins(self, split: str, *, inside: bool = False) -> Origins:
        """Return the origins of a split whose five labels lie in it too, index by index.

        Parameters
        ----------
        split : "train", "validation" or "test"
        inside : only those with all 252 rows of context inside the split, as in the reference

        Raises
        ------
        UnknownNameError
            If there is no such split.
        """
        first, last = _span(split)
        found: list[tuple[IntArray, IntArray, BoolArray]] = []
        ends = np.r_[self._table.begin[1:], len(self._table.day)]
        for place, (start, stop) in enumerate(zip(self._table.begin.tolist(), ends.tolist(), strict=True)):
            day = self._table.day[start:stop]
            low, high = int(np.searchsorted(day, first)), int(np.searchsorted(day, last, side="right"))
            rows = np.arange(max(low, ENCODER - 1), max(high - HORIZON, low, ENCODER - 1))
            found.append((np.full(len(rows), place), rows, rows >= low + ENCODER - 1))
        index, row, whole = (np.concatenate(part) for part in zip(*found, strict=True))
        origins = Origins(index, row, self._table.day[self._table.begin[index] + row], whole)
        return origins.where(origins.inside) if inside else origins

    def learning(self, split: str) -> LabelledWindows:
        """Return the reference windows of a split with their labels, over a table that ends with the split."""
        if split == "test":
            raise DataError("the test years are never learnt from", hint="learn from train, stop early on validation")
        table, origins = self._table.until(_span(split)[1]), self.origins(split, inside=True)
        return LabelledWindows(origins, table.labels(origins), table)

    def windows(self, origins: Origins) -> Iterator[Windows]:
        """Yield copies of the windows of some origins, in batches and in order; labels are not in them."""
        for rows in _batches(len(origins)):
            yield self._table.windows(origins.where(rows))

    def labels(self, origins: Origins) -> FloatArray:
        """Return (O, 5) outcomes: for whoever scores, after the forecasts have been written."""
        return self._table.labels(origins)


def _span(split: str) -> tuple[int, int]:
    if split not in SPLITS:
        raise UnknownNameError("split", split, SPLITS)
    first, last = SPLITS[split]
    return _days(max(first, date(1970, 1, 1))), _days(last)


def _days(day: date) -> int:
    return int(np.datetime64(day, "D").astype(np.int64))


def _table(series: VolatilitySeries) -> _Table:
    """Return the rows of all indices with every input."""
    import pandas as pd

    sizes = [len(one.day) for one in series.series]
    begin: IntArray = np.r_[0, np.cumsum(sizes)[:-1]]
    day = np.concatenate([one.day for one in series.series])
    dates = np.unique(day)
    union = np.full((len(sizes), len(dates)), np.nan)
    for place, one in enumerate(series.series):
        union[place, np.searchsorted(dates, one.day)] = one.log_variance
    mean, smooth = (term[0] for term in cross_terms(union))
    where = np.searchsorted(dates, day)
    past = np.stack(
        [
            np.concatenate([one.log_variance for one in series.series]),
            np.concatenate([one.simple_return for one in series.series]),
            mean[where],
            smooth[where],
        ],
        axis=1,
    )
    stamp = pd.DatetimeIndex(day.astype("datetime64[D]").astype("datetime64[ns]"))
    week = stamp.isocalendar().week.to_numpy(dtype=np.int64)
    calendar = np.stack([day - _days(FIRST_DAY), stamp.day_of_week, stamp.day, week, stamp.month], axis=1)
    regions = sorted({one.index.reference_region for one in series.series})
    region = np.array([regions.index(one.index.reference_region) for one in series.series], dtype=np.int64)
    return _Table(begin, day, past, calendar.astype(np.int64), region)


def _scaling(table: _Table) -> Scaling:
    train = table.day <= _span("train")[1]
    if not train.any():
        raise DataError(
            "the file holds no row before 2016, from which everything is learnt", hint="give the whole file"
        )
    columns = np.column_stack([table.past[train, :2], table.calendar[train, 0]])
    return Scaling(columns.mean(axis=0), columns.std(axis=0))
