"""The only join that Foresail offers: the newest value whose ``available_at`` is not after the decision.

A row of a table is joined by when it was available, never by what it describes. Of several periods the newest one that
was published by then counts, in its newest vintage by then: a restatement of an old quarter does not take the place of
the present one, and what arrives later changes nothing that was joined before.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from foresail.core.arrays import FloatArray, IntArray, TimeArray
from foresail.core.clock import NS_PER_DAY
from foresail.core.ids import InstrumentId
from foresail.domain.facts import FactTable

__all__ = ["AsOf", "asof_join", "asof_series"]

_STALE_NS = 10 * NS_PER_DAY
_NEVER = np.iinfo(np.int64).min


@dataclass(frozen=True, slots=True, eq=False)
class AsOf:
    """What was known of one field.

    Attributes
    ----------
    values : (N, T); NaN where nothing was known
    event_time : (N, T) ns UTC, the period that the value describes; the smallest int64 where nothing was known
    available_at : (N, T) ns UTC, since when it was known; the smallest int64 where nothing was
    """

    values: FloatArray
    event_time: TimeArray
    available_at: TimeArray


def asof_join(
    facts: FactTable,
    at: TimeArray,
    *,
    field: str,
    instruments: Sequence[InstrumentId],
    recorded_by_ns: int | None = None,
    stale_after_ns: int | None = None,
) -> AsOf:
    """Return what was known of a field at each decision.

    Parameters
    ----------
    at : (T,) ns UTC, when decisions are taken
    field : of the facts
    instruments : (N,) rows of the answer; one without facts stays NaN
    recorded_by_ns : only what the store had written by then, ns UTC, for the audit of an old run
    stale_after_ns : a value says nothing any more so long after it became available; None = it holds until replaced

    Raises
    ------
    UnknownNameError
        If the facts have no such field.

    Notes
    -----
    Timing: a value with ``available_at`` equal to the decision is known. NaN in a vintage means that it does not speak
    of the field; the value before it holds.
    """
    column = facts.index(field)
    known = facts.known(np.iinfo(np.int64).max, recorded_by_ns=recorded_by_ns)
    spoken = known.take(np.isfinite(known.values[:, column]))
    place = {name: i for i, name in enumerate(spoken.instruments)}
    at = np.asarray(at, dtype=np.int64)
    shape = (len(instruments), len(at))
    found = AsOf(np.full(shape, np.nan), np.full(shape, _NEVER), np.full(shape, _NEVER))
    borders = np.searchsorted(spoken.code, np.arange(len(spoken.instruments) + 1))
    for i, name in enumerate(instruments):
        if name not in place:
            continue
        rows = np.arange(borders[place[name]], borders[place[name] + 1])
        rows = rows[_leading(spoken.event_time[rows])]
        newest = np.searchsorted(spoken.available_at[rows], at, side="right") - 1
        seen = newest >= 0
        if stale_after_ns is not None and len(rows):
            seen &= at - spoken.available_at[rows[np.maximum(newest, 0)]] <= stale_after_ns
        chosen = rows[newest[seen]]
        found.values[i, seen] = spoken.values[chosen, column]
        found.event_time[i, seen] = spoken.event_time[chosen]
        found.available_at[i, seen] = spoken.available_at[chosen]
    return found


def _leading(event_time: TimeArray) -> IntArray:
    """Return the rows, in order of availability, that describe no older period than a row before them."""
    if len(event_time) == 0:
        return np.empty(0, dtype=np.int64)
    return np.flatnonzero(event_time >= np.maximum.accumulate(event_time))


def asof_series(times: IntArray, values: FloatArray, at: IntArray, *, stale_after_ns: int | None = None) -> FloatArray:
    """Return the newest value of a plain series at each instant; NaN before the first and once stale.

    Parameters
    ----------
    times : (R,) ns UTC, ascending, when each value became available
    values : (R,)
    at : (T,) ns UTC
    stale_after_ns : a value says nothing any more so long after it became available; None = the rule below

    Notes
    -----
    A value is stale after ten days, or after three of the longest usual pauses of the series where those are longer: a
    series that has ended says nothing.
    """
    if len(times) == 0:
        return np.full(len(at), np.nan)
    pause = int(np.quantile(np.diff(times), 0.99)) if len(times) > 1 else 0
    limit = max(_STALE_NS, 3 * pause) if stale_after_ns is None else stale_after_ns
    position = np.searchsorted(times, at, side="right") - 1
    newest = np.maximum(position, 0)
    fresh = (position >= 0) & (at - times[newest] <= limit)
    joined: FloatArray = np.where(fresh, values[newest], np.nan)
    return joined
