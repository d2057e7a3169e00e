"""Newly stored bars of an account that follows its set: a live feed stores its bars, and the account goes on with them.

1. Files of the set or of the store are looked at every few seconds; unchanged ones are not read.
2. What is stored now must continue what was traded: the same instruments, and every event so far as it was. A late or
   corrected bar among them ends the account with the reason; ``foresail parity`` tells what it would have changed.
   So does a fact that is stored as known before it came; one that says when it came is taken up from there.
3. The account is then opened anew on the longer stream from its newest snapshot, as after any restart.
"""

from __future__ import annotations

from bisect import bisect_left
from pathlib import Path

import numpy as np

from foresail.core.clock import Clock, format_ns
from foresail.core.errors import ConfigError, DataError
from foresail.domain.calendars import frame_ns
from foresail.domain.events import Event, Fact
from foresail.engine.risk_facts import RISK_SOURCE
from foresail.service.loading import EMBEDDED
from foresail.service.stream import Stream

__all__ = ["BarFollower", "settled_events"]

_Stamp = tuple[tuple[str, int, int], ...]


def settled_events(stream: Stream) -> tuple[Event, ...]:
    """Return the events that no later bar can come before: those before the next bar may end."""
    bars, events = stream.inputs.data.bars, stream.events()
    span = frame_ns(bars.frame)
    if len(bars.end) > 1:
        span = min(span, int(np.diff(bars.end).min()))  # a half day, or a day of 23 hours
    next_end = int(bars.end[-1]) + span
    return events[: bisect_left(events, next_end, key=lambda event: event.available_at)]


class BarFollower:
    """Looks for bars that were stored since.

    Parameters
    ----------
    every_s : between two looks

    Raises
    ------
    ConfigError
        If the time between looks is not positive.
    """

    def __init__(self, every_s: float, clock: Clock) -> None:
        if not 0.0 < every_s < float("inf"):
            raise ConfigError(f"--follow: expected seconds above 0, received {every_s}")
        self._every_s, self._clock = every_s, clock
        self._looked_at = float("-inf")
        self._stamp: _Stamp | None = None

    def look(self, stream: Stream, applied: int) -> Stream | None:
        """Return the stream with bars that are newly stored, None where there are none or it is too early to look.

        Parameters
        ----------
        applied : events that the account has applied

        Raises
        ------
        DataError
            If what is stored does not continue what was traded.
        """
        if self._clock.monotonic_s() - self._looked_at < self._every_s:
            return None
        self._looked_at = self._clock.monotonic_s()
        stamp = _stamp_of(stream)
        if stamp == self._stamp:
            return None
        self._stamp = stamp
        newer = stream.reloaded()
        before, after = stream.inputs.data.bars, newer.inputs.data.bars
        if after.shape[1] <= before.shape[1]:
            return None
        if after.instruments != before.instruments:
            raise DataError(
                "the set has other instruments now; an account never changes what it trades",
                hint="give the changed set an account of its own",
            )
        _check_past(stream.events()[:applied], newer.events()[:applied])
        return newer


def _check_past(before: tuple[Event, ...], after: tuple[Event, ...]) -> None:
    """Refuse a stream whose past is another than what was traded."""
    if after == before:
        return
    was, now = next(pair for pair in zip(before, after, strict=False) if pair[0] != pair[1])
    fact = now if isinstance(now, Fact) else was
    if isinstance(fact, Fact) and fact.source == RISK_SOURCE:
        name = "" if fact.instrument is None else f" of {fact.instrument}"
        raise DataError(
            f"the past of the fact {fact.kind}{name} is stored otherwise now, at {format_ns(fact.available_at)}: "
            "a row came late or was changed",
            hint="give a row that came late the time at which it came as its available time, restore one that was "
            "changed, and start again: the account goes on with it from there",
        )
    raise DataError(
        "bars that were traded already are stored otherwise now: a late bar or a split came between",
        hint="foresail parity tells what it changes",
    )


def _stamp_of(stream: Stream) -> _Stamp:
    """Return name, time and size of every file that the bars may come from."""
    if stream.source == EMBEDDED:
        return ()
    path = Path(stream.source)
    folder = path if path.exists() else stream.workspace / "store"
    files = [folder] if folder.is_file() else sorted(one for one in folder.rglob("*") if one.is_file())
    told = []
    for one in files:
        try:
            found = one.stat()
        except FileNotFoundError:  # replaced at this moment: the next look sees what came
            continue
        told.append((str(one), found.st_mtime_ns, found.st_size))
    return tuple(told)
