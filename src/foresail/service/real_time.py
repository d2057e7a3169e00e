"""Which days of an account were traded in real time (PAPER-01): a replay of stored bars is no paper trading.

A bar was seen in real time where the process of the account had it after its end and within its own length, and not
before a bar that was seen earlier. A day counts where nearly all bars that the calendar expects of it were; days on
which it expects none (weekends, holidays) count between two days that do.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import date, timedelta

import numpy as np

from foresail.core.clock import NS_PER_DAY, from_ns
from foresail.domain.calendars import EXTENDED_FRAME, frame_ns, sessions
from foresail.service.bars_seen import SeenBar

__all__ = ["real_time_days"]

_SHARE = 0.9  # of a day's bars
_DAY = timedelta(days=1)


def real_time_days(seen: Iterable[SeenBar], calendar: str, frame: str) -> frozenset[date]:
    """Return the UTC days that were traded in real time.

    Parameters
    ----------
    seen : bars as the account saw them, in the order in which it did
    calendar, frame : of the bars
    """
    in_time = _in_time(seen, frame_ns(frame))
    if not in_time:
        return frozenset()
    first, last = min(in_time), max(in_time)
    due = _due(calendar, frame, first, last) if frame_ns(frame) <= NS_PER_DAY else Counter(in_time)
    longest = frame_ns(frame) // NS_PER_DAY  # between two bars that are longer than a day
    days: set[date] = set()
    rest: list[date] = []
    is_after = False
    for day in (first + n * _DAY for n in range((last - first).days + 1)):
        if due[day] == 0:
            rest.append(day)
            continue
        counts = in_time[day] >= _SHARE * due[day]
        if counts:
            days.add(day)
        if counts and is_after and (longest <= 1 or len(rest) < longest):
            days.update(rest)
        is_after, rest = counts, []
    return frozenset(days)


def _in_time(seen: Iterable[SeenBar], span: int) -> Counter[date]:
    """Return how many bars that end on a UTC day were seen in time."""
    found: Counter[date] = Counter()
    newest = 0
    for one in seen:
        if one.seen_at is None:
            continue
        if one.seen_at >= newest and 0 <= one.seen_at - one.end <= span:
            found[from_ns(one.end).date()] += 1
        newest = max(newest, one.seen_at)
    return found


def _due(calendar: str, frame: str, first: date, last: date) -> Counter[date]:
    """Return how many bars the calendar expects to end on each UTC day."""
    span, due = frame_ns(frame), Counter[date]()
    _, opens, closes = sessions(calendar, first - _DAY, last + _DAY, extended=frame == EXTENDED_FRAME)
    for begin, end in zip(opens.tolist(), closes.tolist(), strict=True):
        ends = np.minimum(np.arange(begin + span, end + span, span), end)
        for day, count in zip(*np.unique(ends // NS_PER_DAY, return_counts=True), strict=True):
            due[from_ns(int(day) * NS_PER_DAY).date()] += int(count)
    return due
