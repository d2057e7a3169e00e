"""The single checks of the quality gate, vectorised over a whole batch; each looks at past and present rows only."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, timedelta

import numpy as np
import pandas as pd

from foresail.core.arrays import BoolArray, FloatArray, IntArray
from foresail.core.clock import NS_PER_DAY, format_ns
from foresail.domain.bars import BarSet
from foresail.domain.calendars import ALWAYS_OPEN, EXTENDED_FRAME, bars_per_session, frame_ns, inside_sessions
from foresail.domain.instruments import AssetClass
from foresail.domain.quality import QualityFlag
from foresail.store.ordering import Columns

__all__ = ["Gaps", "Jumps", "count_gaps", "find_frozen", "find_jumps", "find_wide_quotes", "impossible"]

_DUST = 1e-9  # relative: binary fractions of decimal prices
_ROBUST_BARS = 100
_ROBUST_LIMIT = 10.0
_MAD_TO_STD = 1.4826
_LEAST_SCALE = 1e-5  # a feed that stands still has no volatility to compare with
_JUMP = {AssetClass.STOCK: 0.20, AssetClass.CRYPTO: 0.50, AssetClass.FOREX: 0.05}
_SPLIT_RATIOS = np.array([1.5, 2.0, 3.0, 4.0, 5.0, 10.0, 20.0])
_SPLIT_NEAR = 0.03
_BLOCK_RATIO = 1.4  # an overnight move beyond it, up or down, may hide a corporate action
_FROZEN_BARS = 10
_QUOTE_BARS = 500
_WIDE_QUOTE = 10.0


def impossible(columns: Columns) -> list[tuple[str, str, BoolArray]]:
    """Return (column, reason, rows) of bars that cannot be (DATA-52).

    Open, high and low are only judged where they exist; a missing close is impossible.
    """
    open_, high, low, close = (columns.values(name) for name in ("open", "high", "low", "close"))
    with np.errstate(invalid="ignore"):
        found = [
            (name, "a price that is not positive", values <= 0.0)
            for name, values in (("open", open_), ("high", high), ("low", low), ("close", close))
        ]
        top, bottom = np.fmax(open_, close), np.fmin(open_, close)
        found.append(("close", "no close", np.isnan(close)))
        found.append(("high", "high below low", high < low * (1.0 - _DUST)))
        found.append(("high", "high below open or close", high < top * (1.0 - _DUST)))
        found.append(("low", "low above open or close", low > bottom * (1.0 + _DUST)))
        found.append(("volume", "negative volume", columns.values("volume") < 0.0))
    return found


@dataclass(frozen=True, slots=True, eq=False)
class Jumps:
    """Moves of each row, adjusted by the forward factor; first prints only, NaN and false elsewhere.

    Attributes
    ----------
    simple_return : (R,) close against the close before, fraction
    overnight : (R,) open (close where absent) over the close before
    reach : (R,) distance of high or low from the close, fraction
    beyond : DATA-55; ``spike`` is the part of it that only high or low shows
    split_like : DATA-56
    unexplained : an overnight move that may be an unrecorded corporate action
    """

    simple_return: FloatArray
    overnight: FloatArray
    reach: FloatArray
    beyond: BoolArray
    spike: BoolArray
    split_like: BoolArray
    unexplained: BoolArray

    def take(self, index: IntArray, unexplained: BoolArray) -> Jumps:
        """Return some rows, with another mask of unexplained ones."""
        return replace(
            self,
            simple_return=self.simple_return[index],
            overnight=self.overnight[index],
            reach=self.reach[index],
            beyond=self.beyond[index],
            spike=self.spike[index],
            split_like=self.split_like[index],
            unexplained=unexplained,
        )


def find_jumps(columns: Columns, bar_set: BarSet) -> Jumps:
    """Return the moves that DATA-55 and DATA-56 speak of."""
    n = len(columns.code)
    first = np.flatnonzero(columns.first_of_key())
    close, factor = columns.values("close")[first], columns.values("total_factor")[first]
    code = columns.code[first]
    begins = np.ones(len(first), dtype=np.bool_)
    if len(first):
        begins[1:] = np.diff(code) != 0
    adjusted = close * factor
    before = np.r_[np.nan, adjusted[:-1]] if len(first) else adjusted
    before = np.where(begins, np.nan, before)
    open_ = columns.values("open")[first]
    opening = np.where(np.isfinite(open_), open_, close) * factor
    with np.errstate(invalid="ignore", divide="ignore"):
        simple = adjusted / before - 1.0
        overnight = opening / before
        high, low = columns.values("high")[first], columns.values("low")[first]
        reach = np.fmax(high / close - 1.0, close / low - 1.0)
        limit = _JUMP[bar_set.asset_class]
        beyond = (np.abs(simple) > limit) | (np.abs(simple) > _ROBUST_LIMIT * _past_scale(simple, begins))
        spike = np.nan_to_num(reach) > max(limit, 0.5)
        apart = np.where(overnight > 1.0, overnight, 1.0 / overnight)
        near = np.abs(apart[:, None] / _SPLIT_RATIOS[None, :] - 1.0).min(axis=1) < _SPLIT_NEAR
        stays = np.abs(simple) > limit  # an open alone may be a bad print; a split moves the close as well
        split_like = near & stays & (bar_set.asset_class == AssetClass.STOCK)
        unexplained = split_like | ((apart > _BLOCK_RATIO) & stays)
    return Jumps(
        simple_return=_spread_out(simple, first, n),
        overnight=_spread_out(overnight, first, n),
        reach=_spread_out(reach, first, n),
        beyond=_spread_mask(beyond | spike, first, n),
        spike=_spread_mask(spike & ~beyond, first, n),
        split_like=_spread_mask(split_like, first, n),
        unexplained=_spread_mask(unexplained, first, n),
    )


def _spread_out(values: FloatArray, rows: IntArray, n: int) -> FloatArray:
    full = np.full(n, np.nan)
    full[rows] = values
    return full


def _spread_mask(mask: BoolArray, rows: IntArray, n: int) -> BoolArray:
    full = np.zeros(n, dtype=np.bool_)
    full[rows] = np.nan_to_num(mask)
    return full


def _past_scale(simple: FloatArray, begins: BoolArray) -> FloatArray:
    """Return the robust std of the 100 returns before each row: 1.4826 x median of |return|; NaN in the warm-up."""
    size = pd.Series(np.abs(simple))
    median = size.rolling(_ROBUST_BARS, min_periods=_ROBUST_BARS).median().shift(1).to_numpy()
    start = np.maximum.accumulate(np.where(begins, np.arange(len(simple)), 0))
    warm = np.arange(len(simple)) - start > _ROBUST_BARS
    return np.where(warm & (median > _LEAST_SCALE), _MAD_TO_STD * median, np.inf)


def find_frozen(columns: Columns) -> IntArray:
    """Return the rows at which ten equal closes with zero volume are complete (DATA-57), once a run."""
    close, volume = columns.values("close"), columns.values("volume")
    if len(close) < _FROZEN_BARS:
        return np.empty(0, dtype=np.int64)
    still = np.r_[False, (np.diff(close) == 0) & (np.diff(columns.code) == 0)] & (volume == 0.0)
    position = np.arange(len(still))
    last_break = np.maximum.accumulate(np.where(still, -1, position))
    return np.flatnonzero(position - last_break == _FROZEN_BARS - 1)


def find_wide_quotes(columns: Columns) -> BoolArray:
    """Return which spreads are negative or beyond ten times the median of the 500 before (DATA-60)."""
    spread = columns.values("spread")
    if not np.isfinite(spread).any():
        return np.zeros(len(spread), dtype=np.bool_)
    median = np.full(len(spread), np.nan)
    for code in np.unique(columns.code):
        rows = np.flatnonzero(columns.code == code)
        past = pd.Series(spread[rows]).rolling(_QUOTE_BARS, min_periods=20).median().shift(1)
        median[rows] = past.to_numpy()
    with np.errstate(invalid="ignore"):
        wide: BoolArray = (spread < 0.0) | (spread > _WIDE_QUOTE * median)
    return wide


@dataclass(frozen=True, slots=True)
class Gaps:
    """Bars expected by the calendar, those absent, and a flag per instrument that lacks some."""

    expected: int
    missing: int
    flags: tuple[QualityFlag, ...]
    notes: tuple[str, ...]


def count_gaps(columns: Columns, bar_set: BarSet) -> Gaps:
    """Count bars against the calendar between each instrument's first and last bar (DATA-54)."""
    rows = np.flatnonzero(columns.first_of_key())
    if len(rows) == 0:
        return Gaps(0, 0, (), ())
    code, end = columns.code[rows], columns.end[rows]
    inside = inside_sessions(bar_set.calendar, end, extended=bar_set.frame == EXTENDED_FRAME)
    notes = []
    if not inside.all():
        notes.append(f"{int((~inside).sum())} bars lie outside the sessions of calendar {bar_set.calendar}")
    code, end = code[inside], end[inside]
    if len(code) == 0:
        return Gaps(0, 0, (), tuple(notes))
    place = _ordinal(bar_set, end)
    begins = np.flatnonzero(np.r_[True, np.diff(code) != 0])
    last = np.r_[begins[1:], len(code)] - 1
    expected = place[last] - place[begins] + 1
    absent = expected - (last - begins + 1)
    step = np.r_[0, np.diff(place)]
    flags = []
    for which in np.flatnonzero(absent > 0).tolist():
        a, b = int(begins[which]), int(last[which])
        hole = a + 1 + int(np.argmax(step[a + 1 : b + 1] > 1))
        text = f"{int(absent[which])} bars absent; the first before {format_ns(int(end[hole]))}"
        flags.append(QualityFlag(columns.names[int(code[a])], int(end[hole]), "DATA-54", text))
    return Gaps(int(expected.sum()), int(np.maximum(absent, 0).sum()), tuple(flags), tuple(notes))


def _ordinal(bar_set: BarSet, end: IntArray) -> IntArray:
    """Return the running number of each bar end among all that the calendar asks for."""
    length = frame_ns(bar_set.frame)
    if bar_set.calendar == ALWAYS_OPEN:
        return end // length
    first = _day(int(end.min())) - timedelta(days=3)
    last = _day(int(end.max())) + timedelta(days=3)
    (_, opens, closes), counts = bars_per_session(bar_set.calendar, bar_set.frame, first, last)
    session = np.searchsorted(closes, end, side="left")
    before = np.r_[0, np.cumsum(counts)][session]
    ordinal: IntArray = before + np.minimum(-((opens[session] - end) // length), counts[session])
    return ordinal


def _day(ns: int) -> date:
    day: date = np.datetime64(ns // NS_PER_DAY, "D").astype(object)
    return day
