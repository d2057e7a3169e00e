"""Dividends, splits and the forward total-return factor of each instrument, from what a file says about adjustment.

How, with c = adjusted close / close of a row:
1. Between two rows the ratio c[t] / c[t-1] is 1, but for a payment or a split that went ex at row t.
2. What rounding to four decimals or single precision can explain is no payment; what is large but not seen in the
   prices has not happened yet (vendors adjust early) and is not booked.
3. The factor is the running product of the ratios, 1 at the first bar: it looks at past and present rows only, so that
   cutting the file changes nothing before the cut.
4. Where each row carries the date at which it was known, c[t-1] is taken as known at that date: from a revision of the
   row before, if there is one (first prints carry no adjustment for the next day's ex-date).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from foresail.core.arrays import BoolArray, FloatArray, IntArray, TimeArray
from foresail.domain.instruments import PriceBasis
from foresail.measures.adjustment import action_growth

__all__ = ["ActionColumns", "Prints", "Revised", "from_adjusted_close", "from_events"]

_ROUNDING = 0.5e-4  # half a unit of the fourth decimal, quote currency
_SINGLE = 1e-6  # relative error of prices that were once single precision
_SPLIT_TOLERANCE = 5e-4
_GAP = 1.6  # a large event must be seen in the prices: the move left after it is smaller than this ratio
_SMALL = 0.15  # an event below this share may drown in a day's move
_WHOLE = (2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 15, 20, 25, 30, 40, 50, 100)
_RATIOS = np.unique([*map(float, _WHOLE), *(1.0 / n for n in _WHOLE), 1.5, 2 / 3, 1.25, 0.8, 4 / 3, 0.75, 2.5, 0.4])


@dataclass(frozen=True, slots=True, eq=False)
class Prints:
    """Rows of all instruments, sorted by (instrument, end); ``known`` is the first print's date, or None.

    Attributes
    ----------
    code : (R,) instrument number
    close, adjusted : (R,) NaN where absent
    known : (R,) ns UTC at which the row was published, None where the file does not say
    """

    code: IntArray
    close: FloatArray
    adjusted: FloatArray
    known: TimeArray | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Revised:
    """Later prints, sorted by (position, known): ``position`` is the row of ``Prints`` that each one revises."""

    position: IntArray
    known: TimeArray
    close: FloatArray
    adjusted: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class ActionColumns:
    """Per row: cash per unit, split ratio (1 = none), forward factor; ``falls`` counts adjusted closes that fell."""

    dividend: FloatArray
    split: FloatArray
    total_factor: FloatArray
    falls: int = 0


def _previous(code: IntArray, usable: BoolArray) -> IntArray:
    """Return for each usable row the usable row before it of the same instrument, else -1."""
    rows = np.flatnonzero(usable)
    before = np.full(len(code), -1, dtype=np.int64)
    if len(rows) > 1:
        same = code[rows[1:]] == code[rows[:-1]]
        before[rows[1:][same]] = rows[:-1][same]
    return before


def _running_product(code: IntArray, ratio: FloatArray) -> FloatArray:
    """Return the product of ratios within each instrument, exact in the past: no later row takes part."""
    factor = np.ones(len(ratio))
    changes = np.flatnonzero(ratio != 1.0)
    starts = np.flatnonzero(np.r_[True, code[1:] != code[:-1]]) if len(code) else np.empty(0, dtype=np.int64)
    ends = np.r_[starts[1:], len(code)] if len(code) else starts
    block = np.searchsorted(starts, changes, side="right") - 1
    for row, which in zip(changes.tolist(), block.tolist(), strict=True):
        stop = int(ends[which])
        factor[row:stop] = factor[row] * ratio[row]
    return factor


def from_adjusted_close(prints: Prints, basis: PriceBasis, revised: Revised | None = None) -> ActionColumns:
    """Return the columns that adjusted closes imply.

    Parameters
    ----------
    basis : on split_adjusted only payments exist; on raw a ratio that is a split is told from a payment
    """
    n = len(prints.code)
    usable = (prints.close > 0) & (prints.adjusted > 0)
    before = _previous(prints.code, usable)
    now = np.flatnonzero(before >= 0)
    prev = before[now]
    close_then, adjusted_then = prints.close[prev].copy(), prints.adjusted[prev].copy()
    trusted = np.ones(len(now), dtype=np.bool_)
    if prints.known is not None:
        trusted = _as_known(prints, revised, now, prev, close_then=close_then, adjusted_then=adjusted_then)
    c_now = prints.adjusted[now] / prints.close[now]
    c_then = adjusted_then / close_then
    with np.errstate(divide="ignore", invalid="ignore"):
        kept = c_then / c_now  # share of the price before that is left after the event
        noise = _SINGLE + _ROUNDING * (
            1 / prints.adjusted[now] + 1 / prints.close[now] + 1 / adjusted_then + 1 / close_then
        )
    left = prints.close[now] / close_then / kept  # the move that is left once the event is taken out
    visible = (np.abs(kept - 1.0) < _SMALL) | ((left < _GAP) & (left > 1.0 / _GAP))
    event = trusted & visible & np.isfinite(kept) & (np.abs(kept - 1.0) > noise)
    split = np.ones(len(now))
    if basis is PriceBasis.RAW:
        split = _splits(kept, event)
    payment = event & (split == 1.0) & (kept < 1.0)
    falls = int((event & (split == 1.0) & (kept > 1.0)).sum())
    ratio = np.where(payment, 1.0 / np.where(payment, kept, 1.0), split)
    columns = ActionColumns(np.zeros(n), np.ones(n), np.ones(n), falls)
    columns.dividend[now[payment]] = (close_then * (1.0 - kept))[payment]
    columns.split[now] = split
    full = np.ones(n)
    full[now] = ratio
    return ActionColumns(columns.dividend, columns.split, _running_product(prints.code, full), falls)


def _as_known(
    prints: Prints,
    revised: Revised | None,
    now: IntArray,
    prev: IntArray,
    *,
    close_then: FloatArray,
    adjusted_then: FloatArray,
) -> BoolArray:
    """Replace the row before by its newest print known with the row; return where both come from one publication."""
    known = prints.known
    if known is None:
        return np.ones(len(now), dtype=np.bool_)
    same_vintage = known[prev] == known[now]
    if revised is not None and len(revised.position):
        # Position of the last revision of row `prev` with known <= known[now]: sorted by (position, known).
        order = np.lexsort((np.r_[revised.known, known[now]], np.r_[revised.position, prev]))
        is_revision = order < len(revised.position)
        last = np.maximum.accumulate(np.where(is_revision, np.arange(len(order)), -1))
        query = np.flatnonzero(~is_revision)
        asked = order[query] - len(revised.position)
        found = np.where(last[query] >= 0, order[np.maximum(last[query], 0)], -1)
        hit = (found >= 0) & (revised.position[np.maximum(found, 0)] == prev[asked])
        close_then[asked[hit]] = revised.close[found[hit]]
        adjusted_then[asked[hit]] = revised.adjusted[found[hit]]
        same_vintage[asked[hit]] |= revised.known[found[hit]] == known[now[asked[hit]]]
    # A first print that is itself adjusted for a later event cannot be compared with an older publication.
    clean = np.abs(prints.adjusted[now] / prints.close[now] - 1.0) <= _SINGLE + _ROUNDING / prints.close[now]
    trusted: BoolArray = same_vintage | clean
    return trusted


def _splits(kept: FloatArray, event: BoolArray) -> FloatArray:
    """Return the split ratio where an event is one: near a usual ratio, or more adjusted than paid; else 1."""
    units = np.where(event, 1.0 / np.where(event, kept, 1.0), 1.0)  # units after one unit before
    index = np.clip(np.searchsorted(_RATIOS, units), 1, len(_RATIOS) - 1)
    low, high = _RATIOS[index - 1], _RATIOS[index]
    nearest = np.where(np.abs(units - low) < np.abs(units - high), low, high)
    near = event & (np.abs(units / nearest - 1.0) < _SPLIT_TOLERANCE)
    reverse = event & (kept > 1.0)  # an adjusted close above the close is a reverse split whatever its ratio
    return np.where(near, nearest, np.where(reverse, units, 1.0))


def from_events(prints: Prints, dividend: FloatArray, split: FloatArray) -> ActionColumns:
    """Return the columns that stated payments and splits imply.

    Parameters
    ----------
    dividend : (R,) cash per unit after the split of the same day; NaN or 0 = none
    split : (R,) units after one unit before; NaN or 0 = none
    """
    n = len(prints.code)
    cash = np.where(np.isfinite(dividend) & (dividend > 0), dividend, 0.0)
    units = np.where(np.isfinite(split) & (split > 0), split, 1.0)
    before = _previous(prints.code, prints.close > 0)
    close_before = np.where(before >= 0, prints.close[np.maximum(before, 0)], np.nan)
    fits = ~(cash * units >= close_before)  # cash above the whole price is booked, but cannot have been reinvested
    ratio = action_growth(close_before, np.where(fits, cash, 0.0), units)
    first = np.r_[True, prints.code[1:] != prints.code[:-1]] if n else np.empty(0, dtype=np.bool_)
    ratio[first] = 1.0  # what happened at the first bar's open lies before the history
    return ActionColumns(cash, units, _running_product(prints.code, ratio))
