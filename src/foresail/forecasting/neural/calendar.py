"""What is known ahead of every bar: its place in the week, the month, the year and the day.

Numbers of a bar depend on its own span and on the end of the bar before, so they can be told for bars to come. Bars to
come follow from the calendar's sessions. Nothing here looks at prices.
"""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np

from foresail.core.arrays import FloatArray, TimeArray
from foresail.core.clock import NS_PER_DAY
from foresail.core.errors import DataError
from foresail.domain.calendars import ALWAYS_OPEN, frame_ns, is_daily, sessions
from foresail.domain.panel import Panel

__all__ = ["KNOWN", "calendar_numbers", "coming_ends", "known_ahead"]

KNOWN = ("week_sin", "week_cos", "year_sin", "year_cos", "month_place", "gap", "day_sin", "day_cos")
_WEEK = 7 * NS_PER_DAY
_YEAR_DAYS = 365.25
_MONTH_DAYS = 31.0


def coming_ends(last: int, calendar: str, frame: str, steps: int) -> TimeArray:
    """Return the ends of the bars that follow a bar, (steps,) ns UTC.

    Parameters
    ----------
    last : end of that bar, ns UTC

    Raises
    ------
    DataError
        If the calendar does not reach that far.
    """
    length = frame_ns(frame)
    if calendar == ALWAYS_OPEN or length >= _WEEK:
        return last + length * np.arange(1, steps + 1, dtype=np.int64)
    first = _day(last) - timedelta(days=1)
    span = timedelta(days=21 + 2 * steps)
    _, opens, closes = sessions(calendar, first, first + span)
    if is_daily(frame):
        ends = closes
    else:
        each = [np.arange(a + length, b + length, length) for a, b in zip(opens, closes, strict=True)]
        ends = np.minimum(np.concatenate(each), np.repeat(closes, [len(one) for one in each])) if each else closes
    later = ends[ends > last][:steps]
    if len(later) < steps:
        raise DataError(
            f"calendar {calendar} knows {len(later)} of the {steps} bars after {_day(last)}",
            hint="install a newer release of exchange_calendars",
        )
    return np.asarray(later, dtype=np.int64)


def calendar_numbers(ends: TimeArray, frame: str) -> FloatArray:
    """Return (R, 8) numbers of bars by their ends, in the order of ``KNOWN``; daily bars have no place in the day.

    Parameters
    ----------
    ends : (R,) ns UTC, ascending; the first bar's gap is taken as one frame
    """
    inside = ends - 1  # a bar that ends at midnight belongs to the day before
    days = inside // NS_PER_DAY
    week = 2 * np.pi * ((days + 3) % 7) / 7  # 1970-01-01 was a Thursday
    dates = days.astype("datetime64[D]")
    year = 2 * np.pi * (dates - dates.astype("datetime64[Y]")).astype(np.float64) / _YEAR_DAYS
    month = (dates - dates.astype("datetime64[M]")).astype(np.float64) / _MONTH_DAYS - 0.5
    length = frame_ns(frame)
    gap = np.log(np.diff(ends, prepend=ends[:1] - length) / length)
    clock = 2 * np.pi * (inside % NS_PER_DAY) / NS_PER_DAY
    intraday = 0.0 if is_daily(frame) else 1.0
    columns = (np.sin(week), np.cos(week), np.sin(year), np.cos(year), month, gap)
    return np.stack([*columns, intraday * np.sin(clock), intraday * np.cos(clock)], axis=1)


def known_ahead(panel: Panel, steps: int) -> FloatArray:
    """Return (T + steps, 8) numbers of a panel's bars and of those that follow."""
    coming = coming_ends(int(panel.end[-1]), panel.calendar, panel.frame, steps)
    return calendar_numbers(np.concatenate([panel.end, coming]), panel.frame)


def _day(ns: int) -> date:
    found: date = np.datetime64(ns // NS_PER_DAY, "D").astype(object)
    return found
