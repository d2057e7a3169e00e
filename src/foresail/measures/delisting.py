"""Ends of listings in panels: told from gaps, and counted in the statistics of a universe.

A series that stops is either delisted (a listing history says so) or has a gap (it is still listed). Leaving the former
out of a mean gives the return of those who lived; holding the latter as if sold books a loss or gain that nobody had.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np

from foresail.core.arrays import BoolArray, FloatArray, IntArray, TimeArray
from foresail.core.clock import NS_PER_DAY
from foresail.core.errors import DataError
from foresail.core.ids import InstrumentId
from foresail.domain.actions import DelistingRule
from foresail.domain.universe import Universe

__all__ = ["Endings", "endings", "universe_returns", "with_delisting"]

_EPOCH = date(1970, 1, 1)


@dataclass(frozen=True, slots=True, eq=False)
class Endings:
    """What became of each instrument by the end of a panel.

    Attributes
    ----------
    last : (N,) row of the last print, -1 where there is none
    delisted : (N,) the listing has ended too
    gap : (N,) prints stop before the panel does although the instrument is listed: bars are missing, nothing ended
    """

    last: IntArray
    delisted: BoolArray
    gap: BoolArray


def endings(present: BoolArray, ends: TimeArray, instruments: Sequence[InstrumentId], universe: Universe) -> Endings:
    """Return which series have ended and which only stop.

    Parameters
    ----------
    present : (N, T), true where a bar exists
    ends : (T,) ns UTC
    instruments : (N,)
    universe : point in time; a fixed list knows no ends, so that everything that stops is a gap
    """
    rows = present.shape[1]
    some = present.any(axis=1)
    last = np.where(some, rows - 1 - np.argmax(present[:, ::-1], axis=1), -1)
    final = _EPOCH + timedelta(days=int(ends[-1] // NS_PER_DAY))
    gone = {one.instrument for one in universe.ended(final)}
    stops = some & (last < rows - 1)
    over = np.array([name in gone for name in instruments], dtype=np.bool_)
    return Endings(last.astype(np.int64), stops & over, stops & ~over)


def with_delisting(returns: FloatArray, found: Endings, rule: DelistingRule) -> FloatArray:
    """Return simple returns with the delisting return on the bar after each last print, NaN behind it.

    Parameters
    ----------
    returns : (N, T), simple return into each bar, fraction; NaN where there is none
    """
    filled = returns.copy()
    for i in np.flatnonzero(found.delisted).tolist():
        after = int(found.last[i]) + 1
        filled[i, after:] = np.nan
        filled[i, after] = rule.delisting_return
    return filled


def universe_returns(returns: FloatArray, member: BoolArray) -> tuple[FloatArray, IntArray]:
    """Return the equally weighted mean return of the members at each bar, and how many it is of.

    Parameters
    ----------
    returns : (N, T), simple, fraction; NaN where absent
    member : (N, T), who could have been held into the bar: membership at the bar before, known at the decision

    Returns
    -------
    (T,) NaN where nobody has a return; (T,)

    Raises
    ------
    DataError
        If the shapes differ.
    """
    if returns.shape != member.shape:
        raise DataError(f"expected membership of shape {returns.shape}, received {member.shape}")
    counted = member & np.isfinite(returns)
    count = counted.sum(axis=0)
    total = np.where(counted, returns, 0.0).sum(axis=0)
    mean: FloatArray = np.where(count > 0, total / np.maximum(count, 1), np.nan)
    return mean, count.astype(np.int64)
