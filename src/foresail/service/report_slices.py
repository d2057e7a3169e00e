"""The result cut by year, sector and regime: a gain that rests on one of them rests on little (VALID-13).

A bar belongs to the regime that was known when it began. Parts below sixty bars get a figure without an interval.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from foresail.core.arrays import FloatArray
from foresail.domain.runs import Interval
from foresail.engine.pipeline import PipelineResult
from foresail.evaluation.assess import returns_of
from foresail.features.targets import forward_adjusted
from foresail.measures.bootstrap import BootstrapSettings, mean_interval
from foresail.reporting.model import Absent, SliceGroup, SliceRow
from foresail.service.finished import Finished
from foresail.service.report_money import profit_by_instrument

__all__ = ["slice_groups", "volatility_state"]

_NAN = float("nan")
_FEWEST = 60  # bars below which a part gets no interval
_SHORTEST_BLOCK = 5  # bars, as in the verdict
_ABOVE = "net return above 1/N of the same names at the same exposure, a year"
_VIX = ((15.0, "VIX below 15, complacent"), (20.0, "VIX 15 to 20, normal"), (30.0, "VIX 20 to 30, fear"))
_PANIC = "VIX 30 and above, panic"
_NOW, _PAST = 20, 250  # bars of current and of historical volatility (RGM-02)
_HIGH = 1.5


def slice_groups(finished: Finished) -> tuple[SliceGroup, ...] | Absent:
    """Return the slices by year, sector and regime."""
    curves = finished.comparison
    if len(curves.net) < 3:
        return Absent("There are too few judged bars to cut.")
    excess = returns_of(curves.net) - returns_of(curves.one_over_n)
    return (_by_year(finished, excess), _by_sector(finished), _by_regime(finished, excess))


def _yearly(result: PipelineResult, values: FloatArray) -> Interval:
    """Return the annualised mean of per-bar values, with its interval where there are enough."""
    per_year = result.backtest.bars_per_year
    if len(values) < _FEWEST:
        return Interval(float(values.mean()) * per_year if len(values) else _NAN, _NAN, _NAN)
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
        SliceRow(sector, _yearly(result, profit[names == sector].sum(axis=0)[1:] / equity), count)
        for sector, count in sorted(trades.items())
    ]
    rows.sort(key=lambda row: (-row.value.value, row.label))
    return SliceGroup("By sector", text, "trades", tuple(rows))


def _by_regime(finished: Finished, excess: FloatArray) -> SliceGroup:
    result, first = finished.result, finished.comparison.first
    vix = result.prepared.reference.get("vix")
    if vix is not None and np.isfinite(vix[first:-1]).any():
        return _grouped(result, "By regime: VIX (RGM-01)", excess, _vix_state(vix[first:-1]))
    state = volatility_state(result)[first:-1]
    title = "By regime: volatility of the set (RGM-02)"
    if not any(state):
        reason = f"Volatility regimes need {_PAST + 1} bars before the first one judged, and VIX is not in the set."
        return SliceGroup(title, _ABOVE, "bars", Absent(reason))
    return _grouped(result, title, excess, state)


def _grouped(result: PipelineResult, title: str, excess: FloatArray, state: Sequence[str]) -> SliceGroup:
    """Return one row a state, in the order of their labels' first mention in the rules; bars without one are left."""
    labels = np.array(state, dtype=object)
    order = [*(label for _, label in _VIX), _PANIC, "calm", "volatile"]
    rows = tuple(
        SliceRow(label, _yearly(result, excess[labels == label]), int((labels == label).sum()))
        for label in order
        if (labels == label).any()
    )
    return SliceGroup(title, _ABOVE, "bars", rows)


def _vix_state(vix: FloatArray) -> list[str]:
    """Return the regime of RGM-01 at each bar; empty where VIX is not known."""
    said = []
    for value in vix.tolist():
        label = next((name for limit, name in _VIX if value < limit), _PANIC)
        said.append("" if value != value else label)  # noqa: PLR0124 NaN
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
