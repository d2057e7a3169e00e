"""Calendars and frames: when a market trades, and how long a bar is.

A session has a label (its date) and a half-open span [open, close) in ns UTC. Three kinds of calendar exist: a name of
exchange_calendars such as XNYS (half days included), "24/7" (crypto: a session is a UTC day), and "24/5" (forex: a
session ends at 17:00 New York and starts 24 hours of local clock earlier; Sunday 17:00 to Friday 17:00 make a week).
Everything local follows the real daylight-saving rules (SESS-01). The calendar library is imported on first use only.
"""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from functools import lru_cache
from math import ceil
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from foresail.core.arrays import BoolArray, IntArray, TimeArray
from foresail.core.clock import NS_PER_DAY, NS_PER_S, to_ns
from foresail.core.errors import ConfigError, UnknownNameError

__all__ = [
    "ALWAYS_OPEN",
    "ASIAN_FOREX_HOURS",
    "EXTENDED_FRAME",
    "FOREX_WEEK",
    "DayArray",
    "SessionWindow",
    "Sessions",
    "bars_per_session",
    "bars_per_year",
    "check_calendar",
    "frame_ns",
    "inside_sessions",
    "is_asian_forex",
    "is_daily",
    "next_open",
    "session_windows",
    "sessions",
    "window_span",
]

ALWAYS_OPEN = "24/7"
FOREX_WEEK = "24/5"
ASIAN_FOREX_HOURS = (22, 9)  # UTC, from and to (SESS-07, SESS-11); Tokyo has no daylight saving. Crypto's is SESS-04
EXTENDED_FRAME = "6h"  # a regular session of an exchange has 6.5 hours: this frame needs extended ones (DATA-42)
DayArray = NDArray[np.datetime64]  # datetime64[D] session labels
Sessions = tuple[DayArray, TimeArray, TimeArray]

_NEW_YORK = "America/New_York"
_FOREX_CLOSE = time(17)
_EXTENDED_OPEN, _EXTENDED_CLOSE = time(4), time(20)
_EXTENDED_CALENDARS = ("XNYS", "XNAS")
_EXTENDED_S = 16 * 3600
_AFTER_HALF_DAY = timedelta(hours=4)  # after-hours last four hours after an early close too
_FIRST_SESSION = "1950-01-03"  # wide start: exchange_calendars covers only 20 years unless asked
_FRAME = re.compile(r"^([1-9]\d*)(s|m|h|d|w)$")
_UNIT_S = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 7 * 86_400}
_SESSIONS_PER_YEAR = {ALWAYS_OPEN: 365.0, FOREX_WEEK: 260.0, "XNYS": 252.0, "XNAS": 252.0}
_REGULAR_S = {ALWAYS_OPEN: 86_400, FOREX_WEEK: 86_400, "XNYS": 23_400, "XNAS": 23_400}


def frame_ns(frame: str) -> int:
    """Return the nominal length of a bar, ns.

    Parameters
    ----------
    frame : number and unit: "30s", "1m", "5m", "1h", "4h", "1d", "1w"

    Raises
    ------
    ConfigError
        If the text is no frame.
    """
    match = _FRAME.match(frame)
    if match is None:
        raise ConfigError(
            f"expected a frame such as 1m, 5m, 1h, 4h or 1d, received {frame!r}", hint='write frame = "1d"'
        )
    return int(match[1]) * _UNIT_S[match[2]] * NS_PER_S


def is_asian_forex(at: int) -> bool:
    """Return whether an instant (ns UTC) lies in the Asian session of forex, 22:00 to 09:00 UTC."""
    first, last = ASIAN_FOREX_HOURS
    hour = at // (3_600 * NS_PER_S) % 24
    return hour >= first or hour < last


def is_daily(frame: str) -> bool:
    """Return whether a bar of this frame spans a whole session."""
    return frame_ns(frame) >= NS_PER_DAY


@lru_cache(maxsize=16)
def _exchange(calendar: str) -> Any:
    import exchange_calendars

    with warnings.catch_warnings():  # the library uses what a later pandas will change; nothing a user could act on
        warnings.simplefilter("ignore", DeprecationWarning)
        return exchange_calendars.get_calendar(calendar, start=_FIRST_SESSION)


@lru_cache(maxsize=1)
def _exchange_names() -> frozenset[str]:
    import exchange_calendars

    return frozenset(exchange_calendars.get_calendar_names(include_aliases=True))


def check_calendar(calendar: str) -> str:
    """Return the name if it is known.

    Raises
    ------
    UnknownNameError
        If neither "24/7", "24/5" nor exchange_calendars knows it.
    """
    if calendar in (ALWAYS_OPEN, FOREX_WEEK, "XNYS"):
        return calendar
    if calendar not in _exchange_names():
        raise UnknownNameError("calendar", calendar, {ALWAYS_OPEN, FOREX_WEEK, *_exchange_names()})
    return calendar


def sessions(calendar: str, first_day: date, last_day: date, *, extended: bool = False) -> Sessions:
    """Return the sessions whose label lies in ``first_day`` .. ``last_day``, both included.

    Parameters
    ----------
    extended : sessions of a US exchange from 04:00 to 20:00 New York, to four hours after an early close

    Returns
    -------
    labels : (S,) datetime64[D]
    open_ns, close_ns : (S,) ns UTC, half open

    Notes
    -----
    An exchange calendar ends about a year after its library was released; sessions beyond are not known and not
    returned.
    """
    if calendar == ALWAYS_OPEN:
        labels = np.arange(np.datetime64(first_day, "D"), np.datetime64(last_day, "D") + 1)
        open_ns = labels.astype("datetime64[ns]").astype(np.int64)
        return labels, open_ns, open_ns + NS_PER_DAY
    if calendar == FOREX_WEEK:
        days = np.arange(np.datetime64(first_day, "D"), np.datetime64(last_day, "D") + 1)
        labels = days[np.is_busday(days)]
        close_ns = _local_ns(labels, _FOREX_CLOSE, _NEW_YORK)
        open_ns = _local_ns(labels - 1, _FOREX_CLOSE, _NEW_YORK)
        return labels, open_ns, close_ns
    check_calendar(calendar)
    labels, open_ns, close_ns = _exchange_sessions(calendar)
    low, high = np.searchsorted(labels, [np.datetime64(first_day, "D"), np.datetime64(last_day, "D") + 1])
    labels, open_ns, close_ns = labels[low:high], open_ns[low:high], close_ns[low:high]
    if extended and calendar in _EXTENDED_CALENDARS:
        late = close_ns + int(_AFTER_HALF_DAY.total_seconds()) * NS_PER_S
        open_ns = _local_ns(labels, _EXTENDED_OPEN, _NEW_YORK)
        close_ns = np.minimum(_local_ns(labels, _EXTENDED_CLOSE, _NEW_YORK), late)
    return labels, open_ns, close_ns


@lru_cache(maxsize=16)
def _exchange_sessions(calendar: str) -> Sessions:
    schedule = _exchange(calendar)
    labels = schedule.sessions.values.astype("datetime64[D]")
    opens = schedule.opens.to_numpy(dtype="datetime64[ns]").astype(np.int64)
    closes = schedule.closes.to_numpy(dtype="datetime64[ns]").astype(np.int64)
    return labels, opens, closes


def _local_ns(days: DayArray, at: time, zone: str) -> TimeArray:
    info = ZoneInfo(zone)
    stamps = [to_ns(datetime.combine(day, at, tzinfo=info)) for day in days.astype(object)]
    return np.asarray(stamps, dtype=np.int64)


def _day(ns: int) -> date:
    moment: date = np.datetime64(int(ns) // NS_PER_DAY, "D").astype(object)
    return moment


def next_open(calendar: str, instants: TimeArray) -> TimeArray:
    """Return the opening of the first session that opens strictly after each instant.

    Parameters
    ----------
    instants : (R,) ns UTC

    Returns
    -------
    (R,) ns UTC
    """
    if len(instants) == 0:
        return instants.astype(np.int64)
    first = _day(int(instants.min())) - timedelta(days=1)
    last = _day(int(instants.max())) + timedelta(days=15)
    _, open_ns, _ = sessions(calendar, first, last)
    position = np.searchsorted(open_ns, instants, side="right")
    if len(open_ns) == 0 or int(position.max()) >= len(open_ns):
        raise ConfigError(f"calendar {calendar} knows no session after {_day(int(instants.max()))}")
    following: TimeArray = open_ns[position]
    return following


def inside_sessions(calendar: str, ends: TimeArray, *, extended: bool = False) -> BoolArray:
    """Return whether each bar end lies in a session: open < end <= close.

    Parameters
    ----------
    ends : (R,) ns UTC
    extended : as for ``sessions``
    """
    if calendar == ALWAYS_OPEN or len(ends) == 0:
        return np.ones(len(ends), dtype=np.bool_)
    first = _day(int(ends.min())) - timedelta(days=2)
    last = _day(int(ends.max())) + timedelta(days=2)
    _, open_ns, close_ns = sessions(calendar, first, last, extended=extended)
    position = np.searchsorted(close_ns, ends, side="left")
    clipped = np.minimum(position, max(len(close_ns) - 1, 0))
    if len(close_ns) == 0:
        return np.zeros(len(ends), dtype=np.bool_)
    inside: BoolArray = (position < len(close_ns)) & (open_ns[clipped] < ends)
    return inside


def bars_per_session(calendar: str, frame: str, first_day: date, last_day: date) -> tuple[Sessions, IntArray]:
    """Return the sessions of a span and how many bars of a frame each holds; a short last bar counts.

    Returns
    -------
    sessions : labels, open_ns, close_ns
    counts : (S,) bars; 1 for daily frames
    """
    span = sessions(calendar, first_day, last_day, extended=frame == EXTENDED_FRAME)
    if is_daily(frame):
        return span, np.ones(len(span[0]), dtype=np.int64)
    counts: IntArray = -((span[1] - span[2]) // frame_ns(frame))
    return span, counts


def bars_per_year(calendar: str, frame: str) -> float:
    """Return how many bars of a frame a usual year has: the factor of annualisation.

    Examples
    --------
    >>> bars_per_year("XNYS", "1d"), bars_per_year("24/7", "1h"), bars_per_year("XNYS", "1h")
    (252.0, 8760.0, 1764.0)
    """
    length_s = frame_ns(frame) // NS_PER_S
    if calendar in _SESSIONS_PER_YEAR:
        per_year, session_s = _SESSIONS_PER_YEAR[calendar], _REGULAR_S[calendar]
    else:  # ten whole years of the exchange itself, so that the figure does not drift with the date of the call
        _, open_ns, close_ns = sessions(calendar, date(2010, 1, 1), date(2019, 12, 31))
        per_year, session_s = round(len(open_ns) / 10.0), int(np.median(close_ns - open_ns)) // NS_PER_S
    if frame == EXTENDED_FRAME and calendar in _EXTENDED_CALENDARS:
        session_s = _EXTENDED_S  # 04 to 10, 10 to 16, 16 to 20
    if length_s >= 86_400:
        return per_year * 86_400 / length_s
    return float(per_year * ceil(session_s / length_s))


@dataclass(frozen=True, slots=True)
class SessionWindow:
    """A part of a trading day in local time (SESS-01 to 03): half open, of one time zone."""

    name: str
    zone: str
    start: time
    end: time


_US_WINDOWS = (
    SessionWindow("pre_market", _NEW_YORK, time(4), time(9, 30)),
    SessionWindow("regular", _NEW_YORK, time(9, 30), time(16)),
    SessionWindow("after_hours", _NEW_YORK, time(16), time(20)),
    SessionWindow("best_liquidity", _NEW_YORK, time(9, 30), time(11)),
    SessionWindow("lunch_lull", _NEW_YORK, time(11), time(14)),
    SessionWindow("power_hour", _NEW_YORK, time(15), time(16)),
    SessionWindow("first_minutes", _NEW_YORK, time(9, 30), time(9, 45)),
    SessionWindow("last_minutes", _NEW_YORK, time(15, 45), time(16)),
)
_OTHER_WINDOWS = {  # SESS-03; half days and changed hours come from the calendar itself
    "XTKS": SessionWindow("regular", "Asia/Tokyo", time(9), time(15, 30)),
    "XLON": SessionWindow("regular", "Europe/London", time(8), time(16, 30)),
    "XHKG": SessionWindow("regular", "Asia/Hong_Kong", time(9, 30), time(16)),
    "XFRA": SessionWindow("regular", "Europe/Berlin", time(9), time(17, 30)),
    "XETR": SessionWindow("regular", "Europe/Berlin", time(9), time(17, 30)),
}


def session_windows(calendar: str) -> tuple[SessionWindow, ...]:
    """Return the named windows of a calendar's day; none where a market has no such parts."""
    if calendar in ("XNYS", "XNAS"):
        return _US_WINDOWS
    return (_OTHER_WINDOWS[calendar],) if calendar in _OTHER_WINDOWS else ()


def window_span(calendar: str, window: str, day: date) -> tuple[int, int] | None:
    """Return [start, end) of a window on a session date, ns UTC, or None where that date has no such window.

    A window inside the regular session ends at the session's close on a half day, and after-hours begin there.

    Raises
    ------
    UnknownNameError
        If the calendar has no window of that name.
    """
    known = {w.name: w for w in session_windows(calendar)}
    if window not in known:
        raise UnknownNameError("session window", window, known)
    _, open_ns, close_ns = sessions(calendar, day, day)
    if len(open_ns) == 0:
        return None
    chosen = known[window]
    zone = ZoneInfo(chosen.zone)
    start = to_ns(datetime.combine(day, chosen.start, tzinfo=zone))
    end = to_ns(datetime.combine(day, chosen.end, tzinfo=zone))
    if window == "regular":
        return int(open_ns[0]), int(close_ns[0])
    if window == "after_hours":
        return int(close_ns[0]), end
    if window != "pre_market":
        end = min(end, int(close_ns[0]))
    return (start, end) if start < end else None
