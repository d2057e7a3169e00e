"""Vendors' times to half-open bars ``[start, end)`` and to the instant at which each bar was known.

The one place at the edge where "timestamp" is turned into start and end (architecture, section 3).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np

from foresail.adapters.files.description import SetDescription
from foresail.core.arrays import BoolArray, TimeArray
from foresail.core.clock import NS_PER_DAY, NS_PER_S
from foresail.domain.calendars import ALWAYS_OPEN, FOREX_WEEK, frame_ns, sessions

__all__ = ["Known", "Spans", "known_at", "spans"]

_MARGIN = timedelta(days=15)  # to the next session over the longest closure of an exchange
_LONG_AFTER = np.iinfo(np.int64).max // 2


@dataclass(frozen=True, slots=True, eq=False)
class Spans:
    """Bars of rows: (R,) ns UTC; ``good`` is false where the calendar has no session of that date."""

    start: TimeArray
    end: TimeArray
    good: BoolArray


@dataclass(frozen=True, slots=True, eq=False)
class Known:
    """When each row was known, ns UTC; ``published`` is the date or instant that the file names."""

    available: TimeArray
    published: TimeArray
    by_date: bool


def _days(ns: TimeArray) -> tuple[date, date]:
    first = np.datetime64(int(ns.min()) // NS_PER_DAY, "D").astype(object)
    last = np.datetime64(int(ns.max()) // NS_PER_DAY, "D").astype(object)
    return first, last


def spans(time: TimeArray, description: SetDescription) -> Spans:
    """Return the bars that times stand for.

    Parameters
    ----------
    time : (R,) ns UTC, or midnight UTC of the session date where ``time = "session"``
    """
    if len(time) == 0:
        return Spans(time, time, np.zeros(0, dtype=np.bool_))
    first, last = _days(time)
    if description.time == "session":
        labels, opens, closes = sessions(description.calendar, first, last)
        wanted = (time // NS_PER_DAY).astype("datetime64[D]")
        place = np.clip(np.searchsorted(labels, wanted), 0, max(len(labels) - 1, 0))
        if len(labels) == 0:
            return Spans(time, time, np.zeros(len(time), dtype=np.bool_))
        return Spans(opens[place], closes[place], labels[place] == wanted)
    length = frame_ns(description.frame)
    start = time if description.time == "start" else time - length
    end = time + length if description.time == "start" else time
    if description.calendar not in (ALWAYS_OPEN, FOREX_WEEK):
        _, opens, closes = sessions(description.calendar, first - _MARGIN, last + _MARGIN)
        place = np.clip(np.searchsorted(closes, start, side="right"), 0, len(closes) - 1)
        inside = (opens[place] <= start) & (start < closes[place])
        end = np.where(inside, np.minimum(end, closes[place]), end)  # a session's last bar may be short
    return Spans(start, end, np.ones(len(time), dtype=np.bool_))


def known_at(published: TimeArray | None, bars: Spans, description: SetDescription) -> Known | None:
    """Return when rows were known, or None where the description does not say (end plus grace holds then).

    A date without a time means: known a second after the next session's open.
    """
    grace = round(description.grace_s * NS_PER_S)
    if description.known_at == "date":
        published = bars.end - bars.end % NS_PER_DAY
    if published is None or len(published) == 0:
        return None
    by_date = bool(np.all(published % NS_PER_DAY == 0))
    if not by_date:
        return Known(np.maximum(published, bars.end + grace), published, by_date=False)
    first, last = _days(published)
    labels, opens, _ = sessions(description.calendar, first, last + _MARGIN)
    place = np.searchsorted(labels, (published // NS_PER_DAY).astype("datetime64[D]"), side="right")
    after = np.r_[opens, _LONG_AFTER][place] + NS_PER_S
    return Known(np.maximum(after, bars.end + grace), published, by_date=True)
