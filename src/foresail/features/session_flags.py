"""Numbers that the calendar alone decides: hours, weekdays, session flags and the windows that session features use.

Each name is one function of a bar's span, so a plan computes what it uses and nothing else; all are known for future
bars too. Clocks are local with daylight saving: New York for exchanges, UTC for crypto and forex (FEAT-24, SESS-01);
names that end in ``_utc`` are the fixed hours of the source (SESS-07, TC-10). A flag is that of the bar's start.
Window names give the number of the window a bar lies in, -1 outside.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from types import MappingProxyType

import numpy as np

from foresail.core.arrays import BoolArray, FloatArray, IntArray, TimeArray
from foresail.core.clock import NS_PER_DAY
from foresail.core.errors import UnknownNameError
from foresail.domain.calendars import ALWAYS_OPEN, ASIAN_FOREX_HOURS, FOREX_WEEK, sessions

__all__ = ["INTRADAY", "NUMBERS", "OF_A_DAY", "calendar_numbers", "future_numbers"]

_HOUR = 3_600_000_000_000
_MINUTE = 60_000_000_000
_MARK = 5 * _MINUTE
_MARKS_PER_DAY = 288
_ZONES = {ALWAYS_OPEN: "UTC", FOREX_WEEK: "UTC"}
_NEW_YORK, _LONDON, _TOKYO = "America/New_York", "Europe/London", "Asia/Tokyo"
_US = ("XNYS", "XNAS")
_ASIAN_HEAD = 2 * _HOUR  # the Asian window opens at 22:00 UTC and belongs to the next day
_LONGEST_DAY = 25 * _HOUR  # where the clocks go back
_SHORTEST_DAY = 23 * _HOUR  # where the clocks go forward
_FORTNIGHT = timedelta(days=14)


@dataclass(frozen=True, slots=True, eq=False)
class _Bars:
    """Spans of T bars with the clocks that were already worked out for them."""

    start: TimeArray
    end: TimeArray
    calendar: str
    seen: dict[str, IntArray] = field(default_factory=dict)
    spans: dict[str, tuple[IntArray, TimeArray, TimeArray]] = field(default_factory=dict)

    @property
    def zone(self) -> str:
        return _ZONES.get(self.calendar, _NEW_YORK)

    def wall(self, zone: str) -> TimeArray:
        """Return the wall clock of the starts in a zone, ns."""
        return self._clock("start", self.start, zone)

    def middle(self) -> TimeArray:
        """Return the wall clock of the middle of the bars: a session belongs to the day it is named after."""
        return self._clock("middle", self.start + (self.end - self.start) // 2, self.zone)

    def _clock(self, what: str, times: TimeArray, zone: str) -> TimeArray:
        key = f"{what} {zone}"
        if key not in self.seen:
            self.seen[key] = times if zone == "UTC" else _local(times, zone)
        return self.seen[key]

    def weekday(self) -> IntArray:
        """Return 0 for Monday to 6 for Sunday."""
        return ((self.middle() // NS_PER_DAY) + 3) % 7  # 1970-01-01 was a Thursday

    def session(self, calendar: str) -> tuple[IntArray, TimeArray, TimeArray]:
        """Return label (day number), open and close of the session that each bar starts in or before."""
        if calendar not in self.spans:
            if calendar == ALWAYS_OPEN or len(self.start) == 0:
                label = self.start // NS_PER_DAY
                self.spans[calendar] = (label, label * NS_PER_DAY, (label + 1) * NS_PER_DAY)
            else:
                first, last = _day(int(self.start.min())) - _FORTNIGHT, _day(int(self.end.max())) + _FORTNIGHT
                labels, opens, closes = sessions(calendar, first, last)
                if len(opens) == 0:
                    nothing = np.full(len(self.start), -1, dtype=np.int64)
                    self.spans[calendar] = (nothing, self.end, self.end)
                else:
                    place = np.clip(np.searchsorted(closes, self.start, side="right"), 0, len(closes) - 1)
                    self.spans[calendar] = (labels.astype(np.int64)[place], opens[place], closes[place])
        return self.spans[calendar]

    def is_open(self, calendar: str) -> BoolArray:
        """Return whether the first instant of a bar lies in a session."""
        _, opens, closes = self.session(calendar)
        inside: BoolArray = (opens <= self.start) & (self.start < closes)
        return inside


_Number = Callable[[_Bars], FloatArray | IntArray | BoolArray]


def _local(times: TimeArray, zone: str) -> TimeArray:
    """Return wall-clock nanoseconds of a zone, daylight saving included."""
    import pandas as pd

    stamps = pd.DatetimeIndex(times.view("datetime64[ns]")).tz_localize("UTC").tz_convert(zone)
    wall: TimeArray = stamps.tz_localize(None).to_numpy().astype("datetime64[ns]").astype(np.int64)
    return wall


def _day(ns: int) -> date:
    day: date = np.datetime64(ns // NS_PER_DAY, "D").astype(object)
    return day


def _hour(bars: _Bars) -> FloatArray:
    hours = (bars.wall(bars.zone) % NS_PER_DAY) / _HOUR
    return np.asarray(hours, dtype=np.float64)


def _hour_angle(bars: _Bars) -> FloatArray:
    return np.asarray(2.0 * np.pi * _hour(bars) / 24.0, dtype=np.float64)


def _day_angle(bars: _Bars) -> FloatArray:
    return np.asarray(2.0 * np.pi * bars.weekday() / 7.0, dtype=np.float64)


def _between(bars: _Bars, zone: str, first: float, last: float) -> BoolArray:
    """Return whether bars start at local hours ``first <= hour < last``, through midnight where first > last."""
    hour = (bars.wall(zone) % NS_PER_DAY) / _HOUR
    inside: BoolArray = (hour >= first) & (hour < last) if first < last else (hour >= first) | (hour < last)
    return inside


def _forex(zone: str, first: float, last: float) -> _Number:
    """Return a flag of local hours while the forex week is open."""
    return lambda bars: _between(bars, zone, first, last) & bars.is_open(FOREX_WEEK)


def _exchange(bars: _Bars) -> str:
    """Return the bars' own exchange, New York for bars of another kind of calendar."""
    return "XNYS" if bars.calendar in (ALWAYS_OPEN, FOREX_WEEK) else bars.calendar


def _stock_hours(first: float, last: float) -> _Number:
    """Return a flag of New York hours within the regular session."""
    return lambda bars: _between(bars, _NEW_YORK, first, last) & bars.is_open(_exchange(bars))


def _session_day(bars: _Bars) -> BoolArray:
    """Return whether the New York date of a bar has a session."""
    days = bars.wall(_NEW_YORK) // NS_PER_DAY
    if len(days) == 0:
        return np.zeros(0, dtype=np.bool_)
    labels, _, _ = sessions("XNYS", _day(int(days.min()) * NS_PER_DAY), _day(int(days.max()) * NS_PER_DAY))
    return np.isin(days, labels.astype(np.int64))


def _premarket(bars: _Bars) -> BoolArray:
    return _between(bars, _NEW_YORK, 4.0, 9.5) & _session_day(bars)


def _after_hours(bars: _Bars) -> BoolArray:
    """Return whether a bar starts after the close of its date (13:00 on a half day), before 20:00."""
    calendar = _exchange(bars)
    regular = bars.is_open(calendar)
    return _between(bars, _NEW_YORK, 9.5, 20.0) & _session_day(bars) & ~regular


def _first_hour(bars: _Bars) -> BoolArray:
    _, opens, _ = bars.session(_exchange(bars))
    return bars.is_open(_exchange(bars)) & (bars.start < opens + _HOUR)


def _half_day(bars: _Bars) -> BoolArray:
    _, opens, closes = bars.session(_exchange(bars))
    return bars.is_open(_exchange(bars)) & (closes - opens < 6 * _HOUR)


def _since_open(bars: _Bars, unit: str) -> FloatArray:
    """Return time since the open in minutes or as a share of the session; NaN outside sessions."""
    _, opens, closes = bars.session(bars.calendar)
    passed = (bars.start - opens) / (_MINUTE if unit == "minutes" else np.maximum(closes - opens, 1))
    return np.where(bars.is_open(bars.calendar), passed, np.nan)


def _date_part(unit: str) -> _Number:
    def part(bars: _Bars) -> IntArray:
        days = bars.middle().view("datetime64[ns]")
        months = days.astype("datetime64[M]")
        if unit == "day":
            return np.asarray((days.astype("datetime64[D]") - months.astype("datetime64[D]")).astype(np.int64) + 1)
        month: IntArray = months.astype(np.int64) % 12
        return month + 1 if unit == "month" else month // 3 + 1

    return part


def _session_number(bars: _Bars) -> IntArray:
    """Return the day number of the session that an anchored sum belongs to (FEAT-23)."""
    if bars.calendar in _US:
        return bars.wall(_NEW_YORK) // NS_PER_DAY  # extended hours belong to their own date
    return bars.session(bars.calendar)[0]


def _is_long(bars: _Bars) -> BoolArray:
    long: BoolArray = bars.end - bars.start >= _SHORTEST_DAY
    return long


def _day_number(bars: _Bars) -> FloatArray:
    """Return the number of the day that a bar belongs to; absent for bars longer than one."""
    days = np.where(_is_long(bars), bars.start // NS_PER_DAY, _session_number(bars))
    return np.where(bars.end - bars.start <= _LONGEST_DAY, days, np.nan)


def _opening_window(bars: _Bars) -> IntArray:
    """Return the number of what begins with an open that can gap (FEAT-25): a regular session, a week of forex.

    Bars of a day or longer are numbered by themselves, of forex by their week.
    """
    if bars.calendar == FOREX_WEEK:
        # From 17:00 on Sunday in New York; a long bar belongs to the week in which it ends.
        inside = np.where(_is_long(bars), _local(bars.end - 1, _NEW_YORK), bars.wall(_NEW_YORK))
        week = ((inside + 7 * _HOUR) // NS_PER_DAY + 3) // 7
        return np.where(bars.is_open(FOREX_WEEK) | _is_long(bars), week, -1)
    return np.where(_is_long(bars), bars.start // NS_PER_DAY, _regular_window(bars))


def _before_open(bars: _Bars) -> BoolArray:
    """Return whether a bar trades before the open of its date."""
    has_premarket = bars.calendar in (ALWAYS_OPEN, *_US)
    return _premarket(bars) & ~_is_long(bars) if has_premarket else np.zeros(len(bars.start), dtype=np.bool_)


def _gap_window(bars: _Bars) -> IntArray:
    """Return the opening window of a bar, and of one before the open that of the session to come."""
    days = bars.wall(_NEW_YORK) // NS_PER_DAY
    return np.where(_before_open(bars), days, _opening_window(bars))


def _five_minute_mark(bars: _Bars) -> IntArray:
    """Return the number of the five-minute mark of the session at which a bar ends, from 0; -1 off the marks."""
    _, opens, _ = bars.session(bars.calendar)
    passed = bars.end - opens
    mark = passed // _MARK - 1
    on = (passed % _MARK == 0) & (mark >= 0) & (mark < _MARKS_PER_DAY) & bars.is_open(bars.calendar)
    return np.where(on, mark, -1)


def _asian_window(bars: _Bars) -> IntArray:
    """Return the UTC day that the Asian window from 22:00 UTC to the London open belongs to."""
    late = _between(bars, "UTC", 22.0, 24.0)
    early = _between(bars, "UTC", 0.0, 12.0) & _between(bars, _LONDON, 0.0, 8.0)
    return np.where(late | early, (bars.start + _ASIAN_HEAD) // NS_PER_DAY, -1)


def _london_window(bars: _Bars) -> IntArray:
    return np.where(_between(bars, _LONDON, 8.0, 17.0), bars.wall(_LONDON) // NS_PER_DAY, -1)


def _weekend_window(bars: _Bars) -> IntArray:
    day = bars.start // NS_PER_DAY
    return np.where((day + 3) % 7 >= 5, (day + 3) // 7, -1)


def _regular_window(bars: _Bars) -> IntArray:
    calendar = _exchange(bars)
    return np.where(bars.is_open(calendar), bars.session(calendar)[0], -1)


def _weekend(bars: _Bars) -> BoolArray:
    late: BoolArray = bars.weekday() >= 5
    return late


_LONDON_OPEN = _forex(_LONDON, 8.0, 17.0)
_NEW_YORK_OPEN = _forex(_NEW_YORK, 8.0, 17.0)
_ASIA_OPEN = _forex(_TOKYO, 7.0, 18.0)  # 22:00 to 09:00 UTC; Tokyo has no daylight saving


def _fixed(first: float, last: float) -> _Number:
    return _forex("UTC", first, last)


def _band_width(bars: _Bars) -> FloatArray:
    """Return the Bollinger width of forex in deviations: 1.8 in Asia before London, else 2.2 (IND-04).

    Bars of a day or longer hold all sessions and take the usual 2.
    """
    within = np.where(np.asarray(_ASIA_OPEN(bars)) > np.asarray(_LONDON_OPEN(bars)), 1.8, 2.2)
    return np.where(_is_long(bars), 2.0, within)


def _whole_hour(bars: _Bars, hours: IntArray) -> FloatArray:
    """Return hours since 1970, absent for bars longer than a day (25 hours where the clocks go back)."""
    return np.where(bars.end - bars.start <= _LONGEST_DAY, hours, np.nan)


NUMBERS: Mapping[str, _Number] = MappingProxyType(
    {
        "day_sin": lambda b: np.sin(_day_angle(b)),
        "day_cos": lambda b: np.cos(_day_angle(b)),
        "hour_sin": lambda b: np.sin(_hour_angle(b)),
        "hour_cos": lambda b: np.cos(_hour_angle(b)),
        "hour": lambda b: (b.wall(b.zone) % NS_PER_DAY) // _HOUR,
        "day_of_week": lambda b: b.weekday(),
        "day_of_month": _date_part("day"),
        "month": _date_part("month"),
        "quarter": _date_part("quarter"),
        "is_monday": lambda b: b.weekday() == 0,
        "is_friday": lambda b: b.weekday() == 4,
        "time_of_day": lambda b: _since_open(b, "share"),
        "minutes_from_open": lambda b: _since_open(b, "minutes"),
        "is_asian": _ASIA_OPEN,
        "is_london": _LONDON_OPEN,
        "is_newyork": _NEW_YORK_OPEN,
        "is_london_ny_overlap": lambda b: np.asarray(_LONDON_OPEN(b)) & np.asarray(_NEW_YORK_OPEN(b)),
        "is_asian_london_overlap": lambda b: np.asarray(_ASIA_OPEN(b)) & np.asarray(_LONDON_OPEN(b)),
        "is_asian_utc": _fixed(*map(float, ASIAN_FOREX_HOURS)),
        "is_london_utc": _fixed(7.0, 16.0),
        "is_newyork_utc": _fixed(12.0, 21.0),
        "is_london_ny_overlap_utc": _fixed(12.0, 16.0),
        "is_asian_london_overlap_utc": _fixed(7.0, 9.0),
        "is_premarket": _premarket,
        "is_regular_hours": lambda b: b.is_open(_exchange(b)),
        "is_afterhours": _after_hours,
        "is_market_open_first_hour": _first_hour,
        "is_power_hour": _stock_hours(15.0, 16.0),
        "is_best_liquidity": _stock_hours(9.5, 11.0),
        "is_lunch_lull": _stock_hours(11.0, 14.0),
        "is_market_closed": lambda b: ~b.is_open(_exchange(b)),
        "is_half_day": _half_day,
        "is_us_trading_hours": lambda b: _between(b, "UTC", 13.0, 21.0),
        "is_asian_hours": lambda b: _between(b, "UTC", 0.0, 8.0),
        "is_european_hours": lambda b: _between(b, "UTC", 8.0, 16.0),
        "is_weekend": _weekend,
        "us_market_closed": lambda b: ~b.is_open("XNYS"),
        "session_number": _session_number,
        "day_number": _day_number,
        "five_minute_mark": _five_minute_mark,
        "asian_window": _asian_window,
        "london_window": _london_window,
        "weekend_window": _weekend_window,
        "regular_window": _regular_window,
        "opening_window": _opening_window,
        "before_open": _before_open,
        "gap_window": _gap_window,
        "forex_band_width": _band_width,
        "root_days_per_year": lambda b: np.full(b.start.shape, 365.0 if b.calendar == ALWAYS_OPEN else 252.0) ** 0.5,
        "first_hour": lambda b: _whole_hour(b, b.start // _HOUR),
        "last_hour": lambda b: _whole_hour(b, -(-b.end // _HOUR)),
    }
)
_DATES = {"day_sin", "day_cos", "day_of_week", "day_of_month", "month", "quarter", "is_monday", "is_friday",
          "is_weekend", "weekend_window", "is_half_day", "root_days_per_year", "first_hour", "last_hour",
          "day_number", "opening_window", "before_open", "gap_window", "forex_band_width"}  # fmt: skip
OF_A_DAY = frozenset({"day_number"})  # say nothing on bars longer than a day
INTRADAY = frozenset(NUMBERS) - _DATES  # say nothing on bars of a day or longer


def calendar_numbers(start: TimeArray, end: TimeArray, calendar: str, names: Sequence[str]) -> FloatArray:
    """Return numbers of the calendar for some bars.

    Parameters
    ----------
    start, end : (T,) int64 ns UTC
    names : of ``NUMBERS``

    Returns
    -------
    (C, T) float64 in the order of the names; NaN where a number has no meaning (minutes from the open at night)

    Raises
    ------
    UnknownNameError
        If a name is not in ``NUMBERS``.
    """
    bars = _Bars(np.asarray(start, dtype=np.int64), np.asarray(end, dtype=np.int64), calendar)
    out = np.empty((len(names), len(start)))
    for i, name in enumerate(names):
        if name not in NUMBERS:
            raise UnknownNameError("calendar number", name, NUMBERS)
        out[i] = NUMBERS[name](bars)
    return out


def future_numbers(starts: TimeArray, ends: TimeArray, calendar: str, names: Sequence[str]) -> FloatArray:
    """Return numbers of the calendar for the H bars after an origin, with ``relative_time_idx`` counting 1 to H.

    Parameters
    ----------
    starts, ends : (H,) int64 ns UTC of the bars to come, from the calendar

    Returns
    -------
    (C, H) float64 in the order of the names; ``relative_time_idx`` is the position after the forecast start (FEAT-225)
    """
    plain = [name for name in names if name != "relative_time_idx"]
    known = dict(zip(plain, calendar_numbers(starts, ends, calendar, plain), strict=True))
    known["relative_time_idx"] = np.arange(1.0, len(starts) + 1.0)
    return np.stack([known[name] for name in names]) if names else np.empty((0, len(starts)))
