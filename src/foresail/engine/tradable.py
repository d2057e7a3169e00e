"""Which bars can be traded on: a print that no one could have dealt at is no fill.

Vendors' bars hold opens and lows that stand far away from everything around them (0.02 for a stock that trades at 77).
The gate keeps and flags them, since a squeeze looks alike at first; but an order filled there would make or lose a
fortune that never existed. Such a bar keeps its close for marking; orders, stops and targets pass it by. A real gap
does not count: there the open agrees with the close of its own bar.
"""

from __future__ import annotations

import numpy as np

from foresail.core.arrays import BoolArray, FloatArray
from foresail.domain.instruments import AssetClass
from foresail.domain.panel import Panel

__all__ = ["absurd_bars"]

# Factor by which a price must stand away from the bar's own close and from the last one. Coins do fall by four fifths
# within a day and come back; stocks and currencies have halts and bands long before these.
_FACTOR = {AssetClass.STOCK: 2.0, AssetClass.CRYPTO: 10.0, AssetClass.FOREX: 1.5}


def absurd_bars(bars: Panel, asset_class: AssetClass) -> BoolArray:
    """Return (N, T), true where open, high or low stands absurdly far from the closes around it.

    Notes
    -----
    Timing: decides on fills only, within the bar that fills; it looks at that bar and the last close.
    """
    close = bars.field("close")
    last = _last_known(close)
    limit = np.log(_FACTOR[asset_class])
    absurd = np.zeros(close.shape, dtype=np.bool_)
    with np.errstate(invalid="ignore", divide="ignore"):
        for name in ("open", "high", "low"):
            if name in bars.fields:
                price = np.log(bars.field(name))
                far = np.abs(price - np.log(close)) > limit
                absurd |= far & ~(np.abs(price - np.log(last)) <= limit)
    return absurd


def _last_known(close: FloatArray) -> FloatArray:
    """Return (N, T), the newest close before each bar, NaN where there is none."""
    n, t = close.shape
    seen = np.where(np.isfinite(close), np.arange(t), -1)
    newest = np.maximum.accumulate(seen, axis=1)
    before = np.concatenate([np.full((n, 1), -1), newest[:, :-1]], axis=1)
    known: FloatArray = np.where(before >= 0, np.take_along_axis(close, np.maximum(before, 0), axis=1), np.nan)
    return known
