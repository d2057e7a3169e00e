"""Business days of US stocks: when the exchange trades, and when money settles (SMALL-03, SMALL-05).

The holidays follow from rules, so nothing has to be loaded and a day far ahead has an answer; closures that nobody
could foresee are listed. On Columbus Day and Veterans Day the exchange trades but banks are closed: a sale of the day
before settles a day later. ``tests/unit/risk/test_settlement_days.py`` holds the rules against the exchange's own
calendar.
"""

from __future__ import annotations

from datetime import date, timedelta
from functools import lru_cache

__all__ = ["is_settlement_day", "is_trading_day", "next_settlement_day", "previous_trading_day"]

_MONDAY, _THURSDAY, _FRIDAY, _SATURDAY, _SUNDAY = 0, 3, 4, 5, 6
_UNFORESEEN = frozenset(
    date.fromisoformat(day)
    for day in (
        "1994-04-27", "2001-09-11", "2001-09-12", "2001-09-13", "2001-09-14", "2004-06-11", "2007-01-02", "2012-10-29",
        "2012-10-30", "2018-12-05", "2025-01-09",
    )
)  # fmt: skip
_FIRST_KING, _FIRST_JUNETEENTH = 1998, 2022


def is_trading_day(day: date) -> bool:
    """Return whether the New York exchange trades on a day, half days included."""
    return day.weekday() < _SATURDAY and day not in _holidays(day.year) and day not in _UNFORESEEN


def is_settlement_day(day: date) -> bool:
    """Return whether trades of US stocks settle on a day."""
    is_bank_holiday = day == _nth(day.year, 10, _MONDAY, 2) or day == _sunday_to_monday(date(day.year, 11, 11))
    return is_trading_day(day) and not is_bank_holiday


@lru_cache(maxsize=512)
def next_settlement_day(day: date, count: int = 1) -> date:
    """Return the day on which a trade settles so many settlement days after it."""
    for _ in range(count):
        day += timedelta(days=1)
        while not is_settlement_day(day):
            day += timedelta(days=1)
    return day


@lru_cache(maxsize=512)
def previous_trading_day(day: date, count: int = 1) -> date:
    """Return the trading day so many trading days before a day."""
    for _ in range(count):
        day -= timedelta(days=1)
        while not is_trading_day(day):
            day -= timedelta(days=1)
    return day


@lru_cache(maxsize=512)
def _holidays(year: int) -> frozenset[date]:
    """Return the days on which the exchange is closed by rule."""
    days = [
        _sunday_to_monday(date(year, 1, 1)),  # on a Saturday it is not made up for: the year ends on the day before
        _nth(year, 2, _MONDAY, 3),
        _easter(year) - timedelta(days=2),
        _last_monday_of_may(year),
        _nearest_weekday(date(year, 7, 4)),
        _nth(year, 9, _MONDAY, 1),
        _nth(year, 11, _THURSDAY, 4),
        _nearest_weekday(date(year, 12, 25)),
    ]
    if year >= _FIRST_KING:
        days.append(_nth(year, 1, _MONDAY, 3))
    if year >= _FIRST_JUNETEENTH:
        days.append(_nearest_weekday(date(year, 6, 19)))
    return frozenset(days)


def _nth(year: int, month: int, weekday: int, count: int) -> date:
    first = date(year, month, 1)
    return first + timedelta(days=(weekday - first.weekday()) % 7 + 7 * (count - 1))


def _last_monday_of_may(year: int) -> date:
    last = date(year, 5, 31)
    return last - timedelta(days=last.weekday())


def _sunday_to_monday(day: date) -> date:
    return day + timedelta(days=1) if day.weekday() == _SUNDAY else day


def _nearest_weekday(day: date) -> date:
    return day - timedelta(days=1) if day.weekday() == _SATURDAY else _sunday_to_monday(day)


def _easter(year: int) -> date:
    """Return Easter Sunday of the Gregorian calendar (Meeus, Astronomical Algorithms, chapter 8)."""
    a, (b, c) = year % 19, divmod(year, 100)
    d, e = divmod(b, 4)
    g = (b - (b + 8) // 25 + 1) // 3
    h = (19 * a + b - d - g + 15) % 30
    i, k = divmod(c, 4)
    m = (32 + 2 * e + 2 * i - h - k) % 7
    n = (a + 11 * h + 22 * m) // 451
    month, day = divmod(h + m - 7 * n + 114, 31)
    return date(year, month, day + 1)
