"""What the strategy is held against: 1/N of the same names, an index, a volatility-scaled trend.

Comparators are simulated with fractional units and costs as a fraction of value (a screening path: no lots, no fixed
fees), on the same decision times, fill prices and dividends as the strategy. Fractional units favour the comparator,
never the strategy.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from foresail.core.arrays import BoolArray, FloatArray, IntArray
from foresail.domain.panel import Panel

__all__ = ["SweepSettings", "equal_weights", "fill_position", "index_curve", "sweep", "trend_weights"]

_TREND_TARGET_VOLATILITY = 0.15  # a year, SIZE-07
_ENDED_AFTER_BARS = 10  # a held name without a print for so long has ended


@dataclass(frozen=True, slots=True)
class SweepSettings:
    """Costs as fractions of traded value, and how orders are filled."""

    buy_cost: float
    sell_cost: float
    capital: float
    at_open: bool


def fill_position(bars: Panel, position: int) -> int:
    """Return the first bar that an order decided on the row at ``position`` can be filled on; T where none exists."""
    return int(np.searchsorted(bars.start, bars.available_at[position], side="left"))


def equal_weights(tradable: BoolArray, exposure: float) -> FloatArray:
    """Return (P, N) weights of 1/N over the names tradable at each decision.

    Parameters
    ----------
    tradable : (P, N)
    exposure : gross share of equity that is invested
    """
    count = tradable.sum(axis=1, keepdims=True)
    weights: FloatArray = np.where(tradable, exposure / np.maximum(count, 1), 0.0)
    return weights


def trend_weights(trend: FloatArray, volatility: FloatArray, exposure: float) -> FloatArray:
    """Return (P, N) weights of a volatility-scaled trend: rising names, scaled to 15 % a year, never above 1/N.

    Parameters
    ----------
    trend : (P, N) log return over the look-back, known at the decision
    volatility : (P, N) annualised volatility, known at the decision
    """
    known = np.isfinite(trend) & np.isfinite(volatility) & (volatility > 0)
    count = np.maximum(known.sum(axis=1, keepdims=True), 1)
    with np.errstate(invalid="ignore", divide="ignore"):
        scale = np.minimum(1.0, _TREND_TARGET_VOLATILITY / volatility)
    weights: FloatArray = np.where(known & (trend > 0), scale * exposure / count, 0.0)
    return weights


def sweep(
    bars: Panel,
    weights: FloatArray,
    positions: IntArray,
    settings: SweepSettings,
    *,
    tradable: BoolArray | None = None,
    blocked_from: IntArray | None = None,
) -> FloatArray:
    """Return the equity of holding target weights, marked at every close.

    Parameters
    ----------
    weights : (P, N) fractions of equity decided at ``positions``
    positions : (P,) ascending time positions
    tradable : (N, T) whether anything can be filled on a bar; None = wherever there is a price
    blocked_from : (N,) position from which a name is out of the market; it is closed at its last price before

    Returns
    -------
    (T,) account currency; the capital before the first fill
    """
    n, t, _ = bars.shape
    close = bars.field("close")
    fill_price = bars.field("open") if settings.at_open else close
    can_fill = np.isfinite(fill_price) if tradable is None else np.isfinite(fill_price) & tradable
    out_from = np.full(n, t) if blocked_from is None else blocked_from
    dividend = np.nan_to_num(bars.field("dividend"), nan=0.0) if "dividend" in bars.fields else np.zeros((n, t))
    split = (
        np.where(np.isfinite(bars.field("split")), bars.field("split"), 1.0)
        if "split" in bars.fields
        else np.ones((n, t))
    )
    due = {fill_position(bars, int(p)): i for i, p in enumerate(positions)}
    units, mark, silent = np.zeros(n), np.full(n, np.nan), np.zeros(n, dtype=np.int64)
    cash, equity = settings.capital, np.empty(t)
    for now in range(t):
        units = units * split[:, now]
        mark = mark / split[:, now]
        cash += float(units @ dividend[:, now])  # per unit after the split of the same bar
        leaving = (out_from == now) & (units != 0)
        if leaving.any():
            cash += float(np.nansum(units[leaving] * mark[leaving]) * (1 - settings.sell_cost))
            units = np.where(leaving, 0.0, units)
        if now in due:
            price = fill_price[:, now]
            can = can_fill[:, now] & (now < out_from)
            value = cash + float(np.nansum(units * np.where(can, price, mark)))
            target = np.where(can, weights[due[now]] * value / np.where(can, price, 1.0), units)
            change = target - units
            traded = np.abs(change) * np.where(can, price, 0.0)
            cost = np.where(change > 0, settings.buy_cost, settings.sell_cost) * traded
            cash -= float(np.sum(change * np.where(can, price, 0.0))) + float(cost.sum())
            units = target
        seen = np.isfinite(close[:, now])
        mark = np.where(seen, close[:, now], mark)
        silent = np.where(seen, 0, silent + 1)
        ended = (silent == _ENDED_AFTER_BARS) & (units != 0)
        if ended.any():
            cash += float(np.nansum(units[ended] * mark[ended]) * (1 - settings.sell_cost))
            units = np.where(ended, 0.0, units)
        equity[now] = cash + float(np.nansum(units * mark))
    return equity


def index_curve(bars: Panel, times: IntArray, values: FloatArray, first: int, capital: float) -> FloatArray:
    """Return (T,) equity of holding an index from position ``first``, at its newest known value; NaN before."""
    at = np.searchsorted(times, bars.available_at, side="right") - 1
    level = np.where(at >= 0, values[np.maximum(at, 0)], np.nan)
    curve: FloatArray = capital * level / level[first]
    curve[:first] = np.nan
    return curve
