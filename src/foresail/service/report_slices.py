"""The result cut by year, sector and regime: a gain that rests on one of them rests on little (VALID-13).

A bar belongs to the regime that was known before it. Parts below sixty bars get a figure without an interval.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from foresail.core.arrays import FloatArray
from foresail.core.clock import NS_PER_DAY
from foresail.domain.runs import Interval
from foresail.engine.pipeline import PipelineResult
from foresail.features.targets import forward_adjusted
from foresail.measures.bootstrap import BootstrapSettings, mean_interval
from foresail.measures.returns import simple_returns
from foresail.reporting.model import Absent, SliceGroup, SliceRow
from foresail.service.finished import Finished
from foresail.service.report_money import profit_by_instrument

__all__ = ["slice_groups", "vix_state", "volatility_state"]

_NAN = float("nan")
_FEWEST, _FEWEST_TOLD = 60, 20  # bars below which a part gets no interval, and no figure at all
_SHORTEST_BLOCK = 5  # bars, as in the verdict
_ABOVE = "net return above 1/N of the same names at the same exposure, a year"
_VIX = ((15.0, "< 15, complacent"), (20.0, "15 to 20, normal"), (30.0, "20 to 30, fear"))
_PANIC = "30 or more, panic"
_STALE = 10 * NS_PER_DAY  # a reference series is carried forward; older values are no regime of today
_NOW, _PAST = 20, 250  # bars of current and of historical volatility (RGM-02)
_HIGH = 1.5


def slice_groups(finished: Finished) -> tuple[SliceGroup, ...] | Absent:
    """Return the slices by year, sector and regime."""
    curves = finished.comparison
    if len(curves.net) < 3:
        return Absent("There are too few judged bars to cut.")
    excess = simple_returns(curves.net) - simple_returns(curves.one_over_n)
    return (
        _by_year(finished, excess),
        _by_sector(finished),
        *_by_vix(finished, excess),
        _by_volatility(finished, excess),
    )


def _yearly(result: PipelineResult, values: FloatArray) -> Interval:
    """Return the annualised mean of per-bar values, with its interval where there are enough.

    A year made of a few bars would be a wild number: below twenty there is none.
    """
    per_year = result.backtest.bars_per_year
    if len(values) < _FEWEST:
        return Interval(float(values.mean()) * per_year if len(values) >= _FEWEST_TOLD else _NAN, _NAN, _NAN)
    found = mean_interval(values, BootstrapSettings(minimum_block=_SHORTEST_BLOCK, seed=result.settings.seed))
    return Interval(found.value * per_year, found.low * per_year, found.high * per_year)


def _by_year(finished: Finished, excess: FloatArray) -> SliceGroup:
    result = finished.result
    ends = result.data.bars.end[finished.comparison.first + 1 :]
    years = ends.astype("datetime64[ns]").astype("datetime64[Y]").astype(np.int64) + 1970
    rows = tuple(
        SliceRow(str(year), _yearly(result, excess[years == year]), int((years == year).sum()))
        for year in np.unique(years).tolist()
    )
    return SliceGroup("By year", _ABOVE, "bars", rows)


def _by_sector(finished: Finished) -> SliceGroup:
    result = finished.result
    text = "contribution to the net return, a year; the parts add up to the whole"
    sectors = {one.id: one.sector for one in result.data.bar_set.instruments}
    profit = profit_by_instrument(result)
    equity = finished.comparison.net[:-1]
    trades: dict[str, int] = {}
    for trade in result.backtest.trades:
        sector = sectors[trade.instrument]
        trades[sector] = trades.get(sector, 0) + 1
    if not trades:
        return SliceGroup("By sector", text, "trades", Absent("Nothing was traded."))
    names = np.array([sectors[name] for name in result.data.bars.instruments], dtype=object)
    rows = [
        SliceRow(sector.replace("_", " "), _yearly(result, profit[names == sector].sum(axis=0)[1:] / equity), count)
        for sector, count in sorted(trades.items())
    ]
    rows.sort(key=lambda row: (-row.value.value, row.label))
    return SliceGroup("By sector", text, "trades", tuple(rows))


def _by_vix(finished: Finished, excess: FloatArray) -> tuple[SliceGroup, ...]:
    """Return the slices by RGM-01, over the bars before which VIX was known; nothing where the set has no VIX."""
    result, first = finished.result, finished.comparison.first
    state = vix_state(result)[first:-1]
    known = sum(bool(label) for label in state)
    if known < _FEWEST:
        return ()
    span = "" if known == len(state) else f"; VIX is known for {known:,} of {len(state):,} bars"
    return (_grouped(result, "By regime: VIX (RGM-01)", _ABOVE + span, excess, state),)


def _by_volatility(finished: Finished, excess: FloatArray) -> SliceGroup:
    title = "By regime: volatility of the set (RGM-02)"
    state = volatility_state(finished.result)[finished.comparison.first : -1]
    if not any(state):
        reason = f"Volatility regimes need {_PAST + 1} bars before the first one judged."
        return SliceGroup(title, _ABOVE, "bars", Absent(reason))
    text = f"{_ABOVE}; volatile = the last {_NOW} bars vary {_HIGH} times as much as the last {_PAST}"
    return _grouped(finished.result, title, text, excess, state)


def _grouped(result: PipelineResult, title: str, text: str, excess: FloatArray, state: Sequence[str]) -> SliceGroup:
    """Return one row a state, in the order of the rules; bars without a state are in none."""
    labels = np.array(state, dtype=object)
    order = [*(label for _, label in _VIX), _PANIC, "calm", "volatile"]
    rows = tuple(
        SliceRow(label, _yearly(result, excess[labels == label]), int((labels == label).sum()))
        for label in order
        if (labels == label).any()
    )
    return SliceGroup(title, text, "bars", rows)


def vix_state(result: PipelineResult) -> list[str]:
    """Return the regime of RGM-01 known at each bar, (T,); empty where VIX is absent or its newest value is old."""
    bars = result.data.bars
    if "vix" not in result.data.reference:
        return [""] * bars.shape[1]
    times, values = result.data.reference["vix"]
    at = np.searchsorted(times, bars.available_at, side="right") - 1
    fresh = (at >= 0) & (bars.available_at - times[np.maximum(at, 0)] <= _STALE)
    said = []
    for value, is_fresh in zip(values[np.maximum(at, 0)].tolist(), fresh.tolist(), strict=True):
        label = next((name for limit, name in _VIX if value < limit), _PANIC)
        said.append(label if is_fresh and math.isfinite(value) else "")
    return said


def volatility_state(result: PipelineResult) -> list[str]:
    """Return the regime of RGM-02 known at each bar, (T,), empty while there are too few bars before it.

    Volatile = the mean return of the set varied over the last 20 bars more than 1.5 times as much as over 250.
    """
    close = np.log(forward_adjusted(result.data.bars, "close"))
    move = np.diff(close, axis=1, prepend=np.nan)
    known = np.isfinite(move)
    market = np.where(known.any(axis=0), np.where(known, move, 0.0).sum(axis=0) / np.maximum(known.sum(axis=0), 1), 0.0)
    said = [""] * len(market)
    for now in range(_PAST, len(market)):
        current = float(market[now + 1 - _NOW : now + 1].std())
        past = float(market[now + 1 - _PAST : now + 1].std())
        said[now] = "volatile" if current > _HIGH * past else "calm"
    return said
