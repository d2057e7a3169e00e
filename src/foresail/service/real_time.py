"""Which days of an account were traded in real time (PAPER-01): a replay of stored bars is no paper trading.

A bar was seen in real time where the process of the account had it after its end and within its own length. A day
counts where nearly all of its bars were; nights, weekends and holidays between two days that count do too.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import date, timedelta

from foresail.core.clock import NS_PER_DAY, from_ns
from foresail.service.bars_seen import SeenBar

__all__ = ["real_time_days"]

_SHARE = 0.9  # of a day's bars
_LONGEST_REST_DAYS = 4  # a weekend with holidays; a longer silence is a feed that was down


def real_time_days(seen: Iterable[SeenBar], span_ns: int) -> frozenset[date]:
    """Return the UTC days that were traded in real time.

    Parameters
    ----------
    seen : bars as the account saw them
    span_ns : length of a bar, ns
    """
    in_time: dict[date, list[bool]] = defaultdict(list)
    for one in seen:
        in_time[from_ns(one.end).date()].append(one.seen_at is not None and 0 <= one.seen_at - one.end <= span_ns)
    rest = max(_LONGEST_REST_DAYS, span_ns // NS_PER_DAY)
    days: set[date] = set()
    before: date | None = None
    for day, bars in sorted(in_time.items()):
        if sum(bars) < _SHARE * len(bars):
            before = None
            continue
        apart = 1 if before is None else (day - before).days
        days.update(day - timedelta(days=back) for back in range(apart if apart <= rest else 1))
        before = day
    return frozenset(days)
