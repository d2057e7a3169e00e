"""Time axes of simulated panels: the starts and ends of a calendar's bars, int64 nanoseconds UTC.

Stock calendars come from exchange_calendars (loaded once); "24/7" is UTC days or hours; "24/5" is the forex week from
Sunday to Friday 17:00 New York. A last hourly bar of a session may be shorter than an hour, as on the exchange.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

import numpy as np

from foresail.core.arrays import TimeArray
from foresail.core.clock import NS_PER_DAY, to_ns
from foresail.core.errors import ConfigError

__all__ = ["bars_per_year", "session_axis"]

_HOUR = 3_600_000_000_000  # ns
_NEW_YORK = ZoneInfo("America/New_York")


def bars_per_year(calendar: str, frame: str) -> float:
    """Return about how many bars a year has, for annualised settings."""
    days, hours = {"24/7": (365.25, 24.0), "24/5": (260.0, 24.0)}.get(calendar, (252.0, 7.0))
    return days if frame == "1d" else days * hours


def session_axis(calendar: str, frame: str, first_day: str, bars: int) -> tuple[TimeArray, TimeArray]:
    """Return the starts and ends of ``bars`` bars from a day on; each (T,), ns UTC.

    Raises
    ------
    ConfigError
        If the frame is neither 1d nor 1h, or the calendar is unknown or ends too early.
    """
    if frame not in ("1d", "1h"):
        raise ConfigError(f"simulated market: expected frame 1d or 1h, received {frame!r}")
    try:
        day = date.fromisoformat(first_day)
    except ValueError as e:
        raise ConfigError(f"simulated market: expected a first day such as 2000-01-03, received {first_day!r}") from e
    if calendar == "24/7":
        step = NS_PER_DAY if frame == "1d" else _HOUR
        start = to_ns(datetime.combine(day, time(), UTC)) + step * np.arange(bars, dtype=np.int64)
        return start, start + step
    opens, closes = _forex_days(day, bars) if calendar == "24/5" else _exchange_days(calendar, day, bars)
    counts = -(-(closes - opens) // _HOUR) if frame == "1h" else np.ones(len(opens), dtype=np.int64)
    if int(counts.sum()) < bars:
        raise ConfigError(
            f"calendar {calendar} has {int(counts.sum())} bars of {frame} from {first_day}, {bars} were asked for",
            hint="choose an earlier first day or fewer bars",
        )
    if frame == "1d":
        return opens, closes
    session = np.repeat(np.arange(len(opens)), counts)
    within = np.arange(len(session)) - np.repeat(np.cumsum(counts) - counts, counts)
    start = opens[session] + within * _HOUR
    end = np.minimum(start + _HOUR, closes[session])
    return start[:bars].copy(), end[:bars].copy()


def _forex_days(day: date, bars: int) -> tuple[TimeArray, TimeArray]:
    days: list[date] = []
    while len(days) < bars:
        if day.weekday() < 5:
            days.append(day)
        day += timedelta(days=1)
    five = time(17)
    close = [to_ns(datetime.combine(d, five, _NEW_YORK).astimezone(UTC)) for d in days]
    start = [to_ns(datetime.combine(d - timedelta(days=1), five, _NEW_YORK).astimezone(UTC)) for d in days]
    return np.array(start, dtype=np.int64), np.array(close, dtype=np.int64)


@lru_cache(maxsize=4)
def _sessions(calendar: str) -> tuple[TimeArray, TimeArray]:
    import exchange_calendars
    import exchange_calendars.errors

    try:
        found = exchange_calendars.get_calendar(calendar, start="1990-01-01")
    except exchange_calendars.errors.InvalidCalendarName as e:
        raise ConfigError(
            f"unknown calendar {calendar!r}", hint="use an exchange calendar such as XNYS, or 24/7, or 24/5"
        ) from e
    return np.asarray(found.opens_nanos, dtype=np.int64), np.asarray(found.closes_nanos, dtype=np.int64)


def _exchange_days(calendar: str, day: date, bars: int) -> tuple[TimeArray, TimeArray]:
    opens, closes = _sessions(calendar)
    first = int(np.searchsorted(opens, to_ns(datetime.combine(day, time(), UTC))))
    return opens[first : first + bars].copy(), closes[first : first + bars].copy()
