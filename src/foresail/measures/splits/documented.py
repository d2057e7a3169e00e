"""The splits that the requirements name, each with purge: 60/20/20, 80/20 walk-forward, five folds, 30/7 days, years.

Shares count distinct times. Days, weeks, months and years are calendar time in a zone and need spans in ns.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

import numpy as np

from foresail.core.clock import from_ns, to_ns
from foresail.core.errors import ConfigError, DataError
from foresail.domain.spans import LabelSpans
from foresail.measures.splits.combinatorial import PurgedKFold
from foresail.measures.splits.product import Split, Zones, make_split
from foresail.measures.splits.purge import SpanGrid, embargo_length
from foresail.measures.splits.walkforward import between

__all__ = ["Chronological", "NamedYears", "RollingDays", "SharedWalkForward", "TimeSeriesFolds", "time_blocks"]

_DUST = 1e-9  # a share of a whole number of times is that number, whatever the last bit of the product says


def _border(length: int, share: float) -> int:
    return int(length * share + _DUST)


@dataclass(frozen=True, slots=True)
class Chronological:
    """Oldest part trains, the next validates, the newest tests; 60/20/20 by default (VALID-01).

    Attributes
    ----------
    train, validation : shares of the distinct times; the rest tests
    """

    train: float = 0.6
    validation: float = 0.2

    def __post_init__(self) -> None:
        if not (self.train > 0.0 and self.validation >= 0.0 and self.train + self.validation < 1.0):
            raise ConfigError(
                f"expected shares that leave some times to test, received {self.train}, {self.validation}"
            )

    def split(self, spans: LabelSpans) -> Iterator[Split]:
        """Yield the one split."""
        grid = SpanGrid.of(spans)
        n = len(grid.times)
        first, second = _border(n, self.train), _border(n, self.train + self.validation)
        validation = between(n, first, second) if self.validation > 0.0 else None
        zones = Zones(between(n, 0, first), between(n, second, n), validation)
        yield make_split(grid, zones, embargo=embargo_length(spans), name="chronological")


@dataclass(frozen=True, slots=True)
class SharedWalkForward:
    """Rolling windows of 80 % training and 20 % test inside the first 80 % of the times (VALID-03).

    The newest part stays sealed: it is in no split, and a sample whose label reaches into it is dropped.

    Attributes
    ----------
    inside : share of the times that is walked through
    train : share of a window that trains
    folds : windows; their test parts follow one another to the end of the walked part
    """

    inside: float = 0.8
    train: float = 0.8
    folds: int = 5

    def __post_init__(self) -> None:
        if not (0.0 < self.inside <= 1.0 and 0.0 < self.train < 1.0 and self.folds >= 1):
            raise ConfigError(f"expected shares in (0, 1) and at least one fold, received {self}")

    def split(self, spans: LabelSpans) -> Iterator[Split]:
        """Yield the splits, oldest first.

        Raises
        ------
        DataError
            If the walked part is too short for the folds.
        """
        grid, embargo = SpanGrid.of(spans), embargo_length(spans)
        n = len(grid.times)
        walked = _border(n, self.inside)
        window = walked / (self.train + self.folds * (1.0 - self.train))
        test = int(window * (1.0 - self.train) + _DUST)
        first = walked - self.folds * test
        length = int(window * self.train + _DUST)
        if test < 1 or first < 1 or length < 1:
            raise DataError(
                f"{walked} distinct times are too few for {self.folds} windows of {self.train:.0%} training"
            )
        sealed = between(n, walked, n)
        for fold in range(self.folds):
            begin = first + fold * test
            zones = Zones(between(n, max(0, begin - length), begin), between(n, begin, begin + test), None, sealed)
            yield make_split(grid, zones, embargo=embargo, name=f"fold {fold + 1}")


@dataclass(frozen=True, slots=True)
class TimeSeriesFolds:
    """k test blocks of equal length at the end of the history, trained on all before them (VALID-02)."""

    folds: int = 5

    def __post_init__(self) -> None:
        if self.folds < 1:
            raise ConfigError(f"expected at least one fold, received {self.folds}")

    def split(self, spans: LabelSpans) -> Iterator[Split]:
        """Yield the splits, oldest first.

        Raises
        ------
        DataError
            If there are too few times.
        """
        grid, embargo = SpanGrid.of(spans), embargo_length(spans)
        n = len(grid.times)
        test = n // (self.folds + 1)
        if test < 1:
            raise DataError(f"{n} distinct times are too few for {self.folds} folds")
        for fold in range(self.folds):
            begin = n - (self.folds - fold) * test
            zones = Zones(between(n, 0, begin), between(n, begin, begin + test))
            yield make_split(grid, zones, embargo=embargo, name=f"fold {fold + 1}")


def time_blocks(folds: int = 5) -> PurgedKFold:
    """Return the five time-blocked, purged folds of the decision model, embargo one percent longer (VALID-04, 08)."""
    return PurgedKFold(folds, embargo_share=0.01)


def _instants(spans: LabelSpans, what: str) -> None:
    if spans.unit != "ns":
        raise ConfigError(
            f"{what} need spans in ns UTC, received positions",
            hint="give available_at to spans_of_targets, or timestamps to LabelSpans.of",
        )


@dataclass(frozen=True, slots=True)
class RollingDays:
    """Train on so many calendar days, test what follows, roll (VALID-05: 30 and 7).

    Attributes
    ----------
    train : calendar days
    test : calendar days, or "week" (Monday to Sunday) or "month" for retraining by the calendar (JOB-19)
    zone : whose midnight divides the days

    Notes
    -----
    A window without samples, or whose training part is purged empty, is left out: markets close for days.
    """

    train: int = 30
    test: int | Literal["week", "month"] = 7
    zone: str = "UTC"

    def __post_init__(self) -> None:
        if self.train < 1 or (isinstance(self.test, int) and self.test < 1):
            raise ConfigError(f"expected at least one day each, received train {self.train}, test {self.test}")
        if isinstance(self.test, str) and self.test not in ("week", "month"):
            raise ConfigError(f"expected days, 'week' or 'month' to test, received {self.test!r}")

    def split(self, spans: LabelSpans) -> Iterator[Split]:
        """Yield the splits, oldest first; a border is a local midnight, whatever the clock change.

        Raises
        ------
        ConfigError
            If the spans are positions.
        DataError
            If no window holds samples on both sides.
        """
        _instants(spans, "calendar days")
        grid, embargo = SpanGrid.of(spans), embargo_length(spans)
        zone = ZoneInfo(self.zone)
        day = _midnight(from_ns(int(grid.times[0])).astimezone(zone))
        border = self._first_border(day + timedelta(days=self.train))
        last, found = int(grid.times[-1]), False
        while to_ns(border) <= last:
            after = self._next(border)
            begin, end, oldest = (to_ns(x) for x in (border, after, border - timedelta(days=self.train)))
            zones = Zones((grid.times >= oldest) & (grid.times < begin), (grid.times >= begin) & (grid.times < end))
            known = grid.end[zones.train[grid.slot]] < begin
            if zones.test.any() and known.any():
                found = True
                yield make_split(grid, zones, embargo=embargo, name=f"{border.date()} to {after.date()}")
            border = after
        if not found:
            raise DataError(
                f"no window of {self.train} days of training and test {self.test} holds samples on both sides"
            )

    def _first_border(self, day: datetime) -> datetime:
        if isinstance(self.test, int) or (self.test == "week" and day.weekday() == 0):
            return day
        return day if self.test == "month" and day.day == 1 else self._next(day)

    def _next(self, day: datetime) -> datetime:
        if isinstance(self.test, int):
            return day + timedelta(days=self.test)
        if self.test == "week":
            return day + timedelta(days=7 - day.weekday())
        return (day.replace(day=1) + timedelta(days=32)).replace(day=1)


def _midnight(instant: datetime) -> datetime:
    return instant.replace(hour=0, minute=0, second=0, microsecond=0)


@dataclass(frozen=True, slots=True)
class NamedYears:
    """One split for each out-of-sample year, trained on the years before it (VALID-07).

    Attributes
    ----------
    out_of_sample : years, each tested on its own
    train : years; empty = all that come before the tested one
    validation : years kept apart for choices
    zone : whose new year divides the years
    """

    out_of_sample: tuple[int, ...] = (2024,)
    train: tuple[int, ...] = ()
    validation: tuple[int, ...] = ()
    zone: str = "UTC"

    def __post_init__(self) -> None:
        named = (*self.train, *self.validation, *self.out_of_sample)
        if not self.out_of_sample or len(set(named)) != len(named):
            raise ConfigError(f"expected at least one out-of-sample year and no year twice, received {named}")
        late = [y for y in (*self.train, *self.validation) if y >= min(self.out_of_sample)]
        if late:
            raise ConfigError(
                f"{late[0]} comes after the out-of-sample year {min(self.out_of_sample)}: a model that has seen later "
                f"years is not out of sample",
                hint="use PurgedKFold where later years may train",
            )

    def split(self, spans: LabelSpans) -> Iterator[Split]:
        """Yield one split for each out-of-sample year, in order.

        Raises
        ------
        ConfigError
            If the spans are positions.
        DataError
            If a year holds no samples.
        """
        _instants(spans, "named years")
        grid, embargo = SpanGrid.of(spans), embargo_length(spans)
        zone = ZoneInfo(self.zone)
        first, last = (from_ns(int(x)).astimezone(zone).year for x in (grid.times[0], grid.times[-1]))
        years = range(first, last + 2)
        borders = np.array([to_ns(datetime(y, 1, 1, tzinfo=zone)) for y in years], dtype=np.int64)
        year = first + np.searchsorted(borders, grid.times, side="right") - 1
        for y in (*self.train, *self.validation, *self.out_of_sample):
            if not (year == y).any():
                raise DataError(f"no sample in {y}; the samples run from {first} to {last}")
        for tested in sorted(self.out_of_sample):
            train = np.isin(year, self.train) if self.train else (year < tested) & ~np.isin(year, self.validation)
            validation = np.isin(year, self.validation) if self.validation else None
            yield make_split(grid, Zones(train, year == tested, validation), embargo=embargo, name=str(tested))
