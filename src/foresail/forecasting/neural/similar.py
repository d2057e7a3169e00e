"""Nearest similar days: when a network was last in a state like this, and what followed (XPL-03).

Plain and exact: every past day is compared. A day counts only if it lies before the row and its outcome was known when
the row was forecast.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from foresail.core.arrays import FloatArray, IntArray
from foresail.core.canonical import plain
from foresail.core.errors import ConfigError

__all__ = ["PastDays", "SimilarDays", "similar_days"]

_DIGITS = 9  # of a distance: what differs less is a tie


@dataclass(frozen=True, slots=True, eq=False)
class PastDays:
    """Days that a row may be compared with.

    Attributes
    ----------
    rows : (M, 2) instrument and time
    states : (M, D) finite
    followed : (M,) log return that followed; NaN = not known, never found
    known_from : (M,) time position at which the outcome was known
    """

    rows: IntArray
    states: FloatArray
    followed: FloatArray
    known_from: IntArray


@dataclass(frozen=True, slots=True, eq=False)
class SimilarDays:
    """The nearest past days of R rows, the nearest first.

    Attributes
    ----------
    rows : (R, 2)
    days : (R, k, 2) instrument and time; -1 where there are fewer
    distance : (R, k) root mean square of the differences, in deviations of the past states; NaN where there are fewer
    followed : (R, k) log return that followed
    """

    rows: IntArray
    days: IntArray
    distance: FloatArray
    followed: FloatArray

    def to_json(self) -> dict[str, Any]:
        """Return plain lists; what is not there is null."""
        found: dict[str, Any] = plain(
            {name: getattr(self, name).tolist() for name in ("rows", "days", "distance", "followed")}
        )
        return found


def similar_days(rows: IntArray, states: FloatArray, past: PastDays, *, count: int = 5, apart: int = 1) -> SimilarDays:
    """Return the past days whose states are closest.

    Parameters
    ----------
    rows : (R, 2) instrument and time
    states : (R, D)
    count : k
    apart : bars between two days of one instrument at least; the horizon keeps their outcomes from overlapping

    Notes
    -----
    Equal distances: the later day comes first, then the instrument that stands first.

    Raises
    ------
    ConfigError
        If ``count`` or ``apart`` is below 1.
    """
    if count < 1 or apart < 1:
        raise ConfigError(f"expected count and apart of 1 or more, received {count} and {apart}")
    days = np.full((len(rows), count, 2), -1, dtype=np.int64)
    distance, followed = np.full((len(rows), count), np.nan), np.full((len(rows), count), np.nan)
    if len(past.rows):
        deviation = past.states.std(axis=0)
        unit = np.where(deviation > 0, deviation, 1.0)
        known = np.isfinite(past.followed)
        for r, (_, now) in enumerate(rows.tolist()):
            usable = np.flatnonzero(known & (past.known_from <= now) & (past.rows[:, 1] < now))
            apart_from = np.sqrt((((past.states[usable] - states[r]) / unit) ** 2).mean(axis=1)).round(_DIGITS)
            taken = _nearest(past.rows[usable], apart_from, count, apart)
            days[r, : len(taken)] = past.rows[usable[taken]]
            distance[r, : len(taken)] = apart_from[taken]
            followed[r, : len(taken)] = past.followed[usable[taken]]
    return SimilarDays(rows, days, distance, followed)


def _nearest(rows: IntArray, distance: FloatArray, count: int, apart: int) -> list[int]:
    """Return places of the nearest, at least ``apart`` bars from a nearer one of the same instrument."""
    taken: list[int] = []
    for place in np.lexsort((rows[:, 0], -rows[:, 1], distance)).tolist():
        instrument, time = rows[place].tolist()
        if all(rows[other, 0] != instrument or abs(int(rows[other, 1]) - time) >= apart for other in taken):
            taken.append(place)
        if len(taken) == count:
            break
    return taken
