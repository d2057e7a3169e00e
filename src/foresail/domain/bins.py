"""Which coarse bar a fine one belongs to: one answer for stored tables, panels and live bars (DATA-41, DATA-42).

1. "24/7": bins of UTC clock time; a day is a UTC day, a week starts on Monday.
2. "24/5": bins of UTC clock time (6h: 00, 06, 12, 18), short where the week opens or closes; a day is a session ending
   at 17:00 New York.
3. An exchange: bins count from the session's own opening (09:30 in New York), the last one of a session is short; a day
   is a session, half days included; a week holds its sessions.
4. 6h of an exchange needs extended hours: 04-10, 10-16 and 16-20 New York, since a session has 6.5 hours only.

Every bin says how many fine bars the calendar asks for, so an incomplete one is recognised.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np

from foresail.core.arrays import IntArray, TimeArray
from foresail.core.clock import NS_PER_DAY
from foresail.core.errors import ConfigError
from foresail.domain.calendars import (
    ALWAYS_OPEN,
    EXTENDED_FRAME,
    FOREX_WEEK,
    DayArray,
    frame_ns,
    is_daily,
    sessions,
)

__all__ = ["FRAMES", "Bins", "assign_bins", "check_coarser", "frame_absence"]

FRAMES = ("1m", "5m", "15m", "30m", "1h", "4h", "6h", "1d", "1w")
_WEEK_NS = 7 * NS_PER_DAY
_MONDAY_NS = 4 * NS_PER_DAY  # 1970-01-05, the first Monday of the epoch


@dataclass(frozen=True, slots=True, eq=False)
class Bins:
    """The coarse bar of each of R fine bars.

    Attributes
    ----------
    start, end : (R,) int64 ns UTC; end = start where the fine bar lies outside the sessions
    wanted : (R,) fine bars that the calendar asks for in the coarse one
    """

    start: TimeArray
    end: TimeArray
    wanted: IntArray


def check_coarser(frame: str, fine: str) -> None:
    """Refuse a frame that does not hold whole bars of another.

    Raises
    ------
    ConfigError
        If ``frame`` is no longer than ``fine`` or no multiple of it.
    """
    short, long = frame_ns(fine), frame_ns(frame)
    if long % short != 0 or long <= short:
        raise ConfigError(
            f"frame {frame} is no multiple of {fine}, the frame of the bars",
            hint="choose a longer frame that holds whole bars",
        )


def frame_absence(frame: str, calendar: str, *, extended: bool) -> str | None:
    """Return why a calendar has no bars of a frame, None where it has (DATA-42, SCAN-13)."""
    if frame != EXTENDED_FRAME or calendar in (ALWAYS_OPEN, FOREX_WEEK) or extended:
        return None
    return f"frame 6h of calendar {calendar} needs bars with extended hours: a regular session has 6.5 hours only"


def assign_bins(
    start: TimeArray, end: TimeArray, calendar: str, fine: str, frame: str, *, extended: bool = False
) -> Bins:
    """Return the coarse bar of each fine one.

    Parameters
    ----------
    start, end : (R,) int64 ns UTC, in any order
    fine, frame : frames of the bars given and of the bars wanted
    extended : whether the bars cover the extended hours of a stock day, 04:00 to 20:00 New York

    Raises
    ------
    ConfigError
        If the frame is no multiple, or 6h of an exchange is asked for without extended hours (DATA-42).
    """
    check_coarser(frame, fine)
    if len(start) == 0:
        return Bins(start, end, np.zeros(0, dtype=np.int64))
    if calendar == ALWAYS_OPEN:
        return _clock_bins(start, frame_ns(fine), frame_ns(frame))
    first, last = _day(int(start.min())) - timedelta(days=10), _day(int(end.max())) + timedelta(days=10)
    absence = frame_absence(frame, calendar, extended=extended)
    if absence is not None:
        raise ConfigError(absence, hint="ask for 4h or 1d, or keep bars from 04:00 to 20:00 New York with --extended")
    labels, opens, closes = sessions(calendar, first, last, extended=extended)
    if len(closes) == 0:
        return Bins(start, start.copy(), np.zeros(len(start), dtype=np.int64))
    place = np.clip(np.searchsorted(closes, start, side="right"), 0, len(closes) - 1)
    inside = (opens[place] <= start) & (end <= closes[place])
    if is_daily(frame):
        bins = _session_bins((labels, opens, closes), place, fine, frame)
    elif calendar == FOREX_WEEK:
        bins = _forex_bins(start, (opens, closes), (frame_ns(fine), frame_ns(frame)))
    else:
        length = frame_ns(frame)
        begin = opens[place] + (start - opens[place]) // length * length
        stop = np.minimum(begin + length, closes[place])
        bins = Bins(begin, stop, -((begin - stop) // frame_ns(fine)))
    return Bins(bins.start, np.where(inside, bins.end, bins.start), bins.wanted)


def _clock_bins(start: TimeArray, fine: int, length: int) -> Bins:
    """Return bins of UTC clock time; weeks start on Monday."""
    origin = _MONDAY_NS if length % _WEEK_NS == 0 else 0
    begin = start - (start - origin) % length
    return Bins(begin, begin + length, np.full(len(start), length // fine, dtype=np.int64))


def _session_bins(span: tuple[DayArray, TimeArray, TimeArray], place: IntArray, fine: str, frame: str) -> Bins:
    """Return bins of whole sessions: one a day, or all of a calendar week."""
    labels, opens, closes = span
    counts = np.ones(len(labels), dtype=np.int64)
    if not is_daily(fine):
        counts = -((opens - closes) // frame_ns(fine))
    if frame_ns(frame) < _WEEK_NS:
        return Bins(opens[place], closes[place], counts[place])
    week = (labels.astype(np.int64) + 3) // (frame_ns(frame) // NS_PER_DAY)  # day 0 was a Thursday: weeks from Monday
    begins = np.flatnonzero(np.r_[True, np.diff(week) != 0])
    which = np.searchsorted(begins, place, side="right") - 1
    lasts = np.r_[begins[1:], len(labels)] - 1
    totals = np.add.reduceat(counts, begins)
    return Bins(opens[begins][which], closes[lasts][which], totals[which])


def _forex_bins(start: TimeArray, span: tuple[TimeArray, TimeArray], lengths: tuple[int, int]) -> Bins:
    """Return bins that start at UTC marks and end with the week at the latest; the first asks for fewer bars."""
    opens, closes = span
    fine, length = lengths
    gap = np.flatnonzero(np.r_[True, opens[1:] > closes[:-1]])
    week_open, week_close = opens[gap], closes[np.r_[gap[1:], len(closes)] - 1]
    week = np.clip(np.searchsorted(week_close, start, side="right"), 0, len(week_close) - 1)
    begin = start - start % length
    stop = np.minimum(begin + length, week_close[week])
    return Bins(begin, stop, -((np.maximum(begin, week_open[week]) - stop) // fine))


def _day(ns: int) -> date:
    day: date = np.datetime64(ns // NS_PER_DAY, "D").astype(object)
    return day
