"""Where a trading day begins and ends (RISK-30): UTC, New York midnight, or 17:00 New York; weeks begin on Monday.

A day that begins at 17:00 New York belongs to the date that follows, as forex counts it.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from foresail.core.errors import UnknownNameError
from foresail.domain.instruments import AssetClass

__all__ = ["BOUNDARIES", "BOUNDARY_OF_CLASS", "day_span", "week_start"]

BOUNDARIES = {
    "utc": ("UTC", time(0)),
    "new_york": ("America/New_York", time(0)),
    "forex": ("America/New_York", time(17)),
}
BOUNDARY_OF_CLASS = {AssetClass.STOCK: "new_york", AssetClass.CRYPTO: "utc", AssetClass.FOREX: "forex"}
_SECOND = 10**9
_NEWEST: dict[str, tuple[date, int, int]] = {}  # the span asked for last: most questions are about the same day


@lru_cache(maxsize=4096)
def _span_of_second(second: int, boundary: str) -> tuple[date, int, int]:
    if boundary not in BOUNDARIES:
        raise UnknownNameError("day boundary", boundary, BOUNDARIES)
    zone_name, starts = BOUNDARIES[boundary]
    zone = ZoneInfo(zone_name)
    local = datetime.fromtimestamp(second, UTC).astimezone(zone)
    first = local.date() if local.time() >= starts else local.date() - timedelta(days=1)
    label = first + timedelta(days=1) if starts > time(0) else first
    edges = [int(datetime.combine(first + timedelta(days=k), starts, zone).timestamp()) * _SECOND for k in (0, 1)]
    return label, edges[0], edges[1]


def day_span(at: int, boundary: str) -> tuple[date, int, int]:
    """Return the trading day of an instant: its date, its first instant and the first of the next, ns UTC.

    Raises
    ------
    UnknownNameError
        If there is no such boundary.
    """
    span = _NEWEST.get(boundary)
    if span is None or not span[1] <= at < span[2]:
        span = _NEWEST[boundary] = _span_of_second(at // _SECOND, boundary)
    return span


def week_start(day: date) -> date:
    """Return the Monday of a day's week."""
    return day - timedelta(days=day.weekday())
