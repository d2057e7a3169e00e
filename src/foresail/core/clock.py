"""Time: the only source of "now", and conversions between aware datetimes and int64 nanoseconds UTC.

Nothing else in Foresail reads the machine's clock; the core gets time with its events.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Protocol

__all__ = ["NS_PER_DAY", "NS_PER_S", "Clock", "SimulatedClock", "SystemClock", "format_ns", "from_ns", "to_ns"]

NS_PER_S = 1_000_000_000
NS_PER_DAY = 86_400 * NS_PER_S
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Clock(Protocol):
    """A source of aware UTC time and of monotonic seconds for durations."""

    def now(self) -> datetime:
        """Return the present instant, aware, UTC."""
        ...

    def monotonic_s(self) -> float:
        """Return seconds on a clock that never goes back; only differences mean something."""
        ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """Return the present instant, aware, UTC."""
        return datetime.now(UTC)  # noqa: TID251 the one place that may read the machine's clock

    def monotonic_s(self) -> float:
        """Return monotonic seconds."""
        return time.monotonic()


class SimulatedClock:
    """A clock that stands where it was put."""

    def __init__(self, instant: datetime) -> None:
        self._instant = instant

    def now(self) -> datetime:
        """Return the instant that was set last."""
        return self._instant

    def monotonic_s(self) -> float:
        """Return seconds since 1970 of the simulated instant."""
        return (self._instant - _EPOCH).total_seconds()

    def advance_to(self, instant: datetime) -> None:
        """Move forward to ``instant``; going back is an error.

        Raises
        ------
        ValueError
            If ``instant`` lies before the present one.
        """
        if instant < self._instant:
            raise ValueError(f"simulated time cannot go back from {self._instant} to {instant}")
        self._instant = instant


def to_ns(instant: datetime) -> int:
    """Return nanoseconds since 1970-01-01 UTC of an aware datetime.

    Raises
    ------
    ValueError
        If ``instant`` carries no time zone.
    """
    if instant.tzinfo is None:
        raise ValueError(f"a time without a zone was given: {instant!r}")
    delta = instant - _EPOCH
    return (delta.days * 86_400 + delta.seconds) * NS_PER_S + delta.microseconds * 1_000


def from_ns(ns: int) -> datetime:
    """Return the aware UTC datetime of nanoseconds since 1970 (microsecond resolution)."""
    return _EPOCH + timedelta(microseconds=int(ns) // 1_000)


def format_ns(ns: int) -> str:
    """Return nanoseconds as ISO text: the date alone at midnight, else to the second, with Z."""
    instant = from_ns(ns)
    return instant.strftime("%Y-%m-%d") if int(ns) % NS_PER_DAY == 0 else instant.strftime("%Y-%m-%dT%H:%M:%SZ")
