"""Labels and the scale they are divided by. This is the only file of Foresail that may look ahead.

A label says when it is known (``label_end``), so purging can be exact. ``label_scale`` itself is point in time.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from foresail.core.arrays import BoolArray, FloatArray
from foresail.core.errors import ConfigError
from foresail.domain.panel import Panel
from foresail.domain.training import Targets

__all__ = [
    "SCALE_DECAY",
    "SCALE_FLOOR",
    "SCALE_WARM_UP",
    "SCALE_WINDOW",
    "compute_targets",
    "forward_adjusted",
    "label_scale",
    "usable_price",
]

SCALE_DECAY = 0.94  # RiskMetrics daily decay
SCALE_WINDOW = 60
SCALE_WARM_UP = 20  # bars before a scale is given
SCALE_FLOOR = 1e-5  # log return per bar: a tenth of a basis point, below any tradable move
_SMALLEST = 1e-60
_LARGEST = 1e60


def forward_adjusted(panel: Panel, field: str) -> FloatArray:
    """Return a price column times the total factor, (N, T); NaN where there is no bar or no usable price.

    An absent factor counts as the last known one, as it does for features.
    """
    factor = np.ones(panel.present.shape)
    if "total_factor" in panel.fields:
        given = panel.field("total_factor")
        known = np.isfinite(given) & (given > 0.0) & panel.present
        last = np.maximum.accumulate(np.where(known, np.arange(known.shape[1]), -1), axis=1)
        taken = np.take_along_axis(given, np.maximum(last, 0), axis=1)
        factor = np.where(last >= 0, taken, 1.0)
    price = panel.field(field) * factor
    return np.where(panel.present & usable_price(price), price, np.nan)


def usable_price(price: FloatArray) -> BoolArray:
    """Return which adjusted prices a return can be taken of; a missing one cannot."""
    usable: BoolArray = (price > _SMALLEST) & (price < _LARGEST)
    return usable


def compute_targets(panel: Panel, horizons: Sequence[int]) -> Targets:
    """Return labels: log of the close, highest high and lowest low of the next bars against the close at t.

    Parameters
    ----------
    panel : (N, T, F) bars
    horizons : H, bars of the panel's axis, ascending, >= 1

    Returns
    -------
    Targets with (N, T, K, H) values
        close at t + h; high = highest high of t + 1 .. t + h; low = lowest low of them, where the panel has both.
        NaN unless the instrument has a bar at t and at t + h.

    Raises
    ------
    ConfigError
        If horizons are not ascending positive numbers.

    Notes
    -----
    Timing: looks ahead by h bars; the label at t is known at ``available_at[label_end[t, h]]``.
    """
    steps = tuple(int(h) for h in horizons)
    if not steps or steps[0] < 1 or any(b <= a for a, b in pairwise(steps)):
        raise ConfigError(f"expected ascending horizons of at least one bar, received {steps}")
    n, t, _ = panel.shape
    close = forward_adjusted(panel, "close")
    names = ("close", "high", "low") if panel.has("high") and panel.has("low") else ("close",)
    values = np.full((n, t, len(names), len(steps)), np.nan)
    high = forward_adjusted(panel, "high") if len(names) == 3 else None
    low = forward_adjusted(panel, "low") if len(names) == 3 else None
    for j, h in enumerate(steps):
        if h >= t:
            continue
        both = np.isfinite(close[:, :-h]) & np.isfinite(close[:, h:])
        values[:, : t - h, 0, j] = _log_ratio(close[:, h:], close[:, :-h], both)
        if high is not None and low is not None:
            values[:, : t - h, 1, j] = _log_ratio(_extreme_ahead(high, h, np.fmax), close[:, :-h], both)
            values[:, : t - h, 2, j] = _log_ratio(_extreme_ahead(low, h, np.fmin), close[:, :-h], both)
    label_end = np.arange(t, dtype=np.int64)[:, None] + np.array(steps, dtype=np.int64)[None, :]
    return Targets(values, label_end, names, steps)


def _log_ratio(later: FloatArray, now: FloatArray, where: BoolArray) -> FloatArray:
    ratio = np.divide(later, now, out=np.full(now.shape, np.nan), where=where)
    logs: FloatArray = np.log(ratio)
    return logs


def _extreme_ahead(price: FloatArray, h: int, pick: np.ufunc) -> FloatArray:
    """Return the extreme over t + 1 .. t + h for t < T - h, absent bars left out."""
    t = price.shape[1]
    best = price[:, 1 : t - h + 1].copy()
    for k in range(2, h + 1):
        pick(best, price[:, k : t - h + k], out=best)
    return best


def label_scale(panel: Panel) -> FloatArray:
    """Return the volatility of the one-bar log return that is known at t, (N, T), > 0.

    The variance is the mean of an exponentially weighted one (decay 0.94) and the one of the last 60 returns, both
    around zero, floored. NaN during an instrument's first 20 bars and where it has no bar.

    Notes
    -----
    Timing: uses bars up to t only. A gap counts as one return, over the bars that exist.
    """
    close = forward_adjusted(panel, "close")
    scale = np.full(close.shape, np.nan)
    for i in range(close.shape[0]):
        rows = np.flatnonzero(np.isfinite(close[i]))
        if len(rows) <= SCALE_WARM_UP:
            continue
        squares = np.log(close[i, rows[1:]] / close[i, rows[:-1]]) ** 2
        variance = 0.5 * (_exponential_mean(squares) + _trailing_mean(squares, SCALE_WINDOW))
        usable = rows[SCALE_WARM_UP:]
        scale[i, usable] = np.sqrt(np.maximum(variance[SCALE_WARM_UP - 1 :], SCALE_FLOOR * SCALE_FLOOR))
    return scale


def _exponential_mean(x: FloatArray) -> FloatArray:
    """Return the recursive mean with decay 0.94, its weights normalised to one from the first value on."""
    from scipy.signal import lfilter

    total: FloatArray = np.asarray(lfilter([1.0 - SCALE_DECAY], [1.0, -SCALE_DECAY], x), dtype=np.float64)
    weight = 1.0 - SCALE_DECAY ** np.arange(1, len(x) + 1)
    return total / weight


def _trailing_mean(x: FloatArray, window: int) -> FloatArray:
    """Return the mean of the last ``window`` values, of fewer at the start; each summed afresh, so nothing drifts."""
    padded = np.concatenate([np.zeros(window - 1), x])
    totals = np.lib.stride_tricks.sliding_window_view(padded, window).sum(axis=1)
    return np.asarray(totals / np.minimum(np.arange(1, len(x) + 1), window), dtype=np.float64)
