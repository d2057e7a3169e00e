"""What the process of a followed account knows of its links (RISK-31): a feed that is silent, a clock that is off.

1. Data: after the end of the newest stored bar the calendar says when the next one ends. From then on, and so much
   later as the set says that its bars are there, the link is silent, until newer bars are stored.
2. Clock: a stored bar that ends in the future of the machine's clock shows that the clock is behind, by so much at
   least. A clock that is ahead does not show.
3. Broker: the venue is simulated in the same process and never silent.

A fact is told where it crosses its limit, as a command that the journal keeps at its place, so that a restart and
``foresail parity`` find what was known then.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import timedelta

import numpy as np

from foresail.core.clock import NS_PER_DAY, NS_PER_S, from_ns
from foresail.core.errors import ConfigError
from foresail.domain.calendars import EXTENDED_FRAME, frame_ns, sessions
from foresail.domain.limits import MarketLimits
from foresail.domain.panel import Panel

__all__ = ["LINK_FACTS", "expected_end", "link_commands", "link_facts"]

_DATA, _BROKER, _CLOCK = "data_link_silence_s", "broker_link_silence_s", "clock_offset_ms"
LINK_FACTS = (_BROKER, _CLOCK, _DATA)
_NS_PER_MS = 1_000_000
_SEARCHED = timedelta(days=15)


def expected_end(calendar: str, frame: str, end: int) -> int | None:
    """Return when the bar after one that ended at ``end`` (ns UTC) ends by the calendar, None where it cannot say."""
    span = frame_ns(frame)
    if span > NS_PER_DAY:
        return end + span
    day = from_ns(end).date()
    try:
        _, opens, closes = sessions(
            calendar, day - timedelta(days=1), day + _SEARCHED, extended=frame == EXTENDED_FRAME
        )
    except ConfigError:
        return None
    place = int(np.searchsorted(closes, end, side="right"))
    return None if place >= len(closes) else min(max(int(opens[place]), end) + span, int(closes[place]))


def link_facts(bars: Panel, now: int) -> dict[str, float]:
    """Return the facts of the links at an instant, ns UTC."""
    newest = int(bars.end[-1])
    due, delay = expected_end(bars.calendar, bars.frame, newest), int(bars.available_at[-1]) - newest
    return {
        _BROKER: 0.0,
        _CLOCK: float(max(0, newest - now) // _NS_PER_MS),
        _DATA: 0.0 if due is None else float(max(0, now - due - delay) // NS_PER_S),
    }


def link_commands(known: Mapping[str, float | None], found: Mapping[str, float], limits: MarketLimits) -> list[str]:
    """Return the commands that tell what crossed its limit, or was never told.

    Parameters
    ----------
    known : facts as told before; links of which nothing was told yet are told to be well, since what an account
        catches up with first is history
    """
    most = {_BROKER: limits.max_link_silence_s, _CLOCK: limits.max_clock_offset_ms, _DATA: limits.max_link_silence_s}
    out = []
    for name, value in sorted(found.items()):
        before, limit = known.get(name), math.inf if most[name] is None else float(most[name] or 0.0)
        if before is None:
            out.append(f"fact {name} 0")
        elif (value > limit) != (before > limit):
            out.append(f"fact {name} {value if value > limit else 0.0:g}")
    return out
