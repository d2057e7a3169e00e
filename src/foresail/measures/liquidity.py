"""Filters of a universe by price and dollar volume, each decided with what was known at the bar."""

from __future__ import annotations

import numpy as np

from foresail.core.arrays import BoolArray
from foresail.core.errors import ConfigError
from foresail.domain.panel import Panel

__all__ = ["tradable_members"]


def tradable_members(
    bars: Panel,
    member: BoolArray,
    *,
    minimum_price: float = 0.0,
    minimum_dollar_volume: float = 0.0,
    window: int = 20,
) -> BoolArray:
    """Return the members that were dear and liquid enough at each bar.

    Parameters
    ----------
    bars : with close and volume, raw prices
    member : (N, T), from ``Universe.mask``
    minimum_price : close at the bar, quote currency
    minimum_dollar_volume : median of close times volume over the last ``window`` bars that exist, quote currency
    window : bars, the present one included; fewer that exist than half of them say no

    Returns
    -------
    (N, T); row t uses bars up to t only

    Raises
    ------
    ConfigError
        If the window is shorter than one bar.
    """
    if window < 1:
        raise ConfigError(f"expected a window of at least one bar, received {window}")
    close = bars.field("close")
    kept: BoolArray = member & bars.present
    if minimum_price > 0.0:
        kept &= np.nan_to_num(close) >= minimum_price
    if minimum_dollar_volume > 0.0:
        money = close * bars.field("volume")
        padded = np.concatenate([np.full((len(money), window - 1), np.nan), money], axis=1)
        recent = np.lib.stride_tricks.sliding_window_view(padded, window, axis=1)
        enough = 2 * np.isfinite(recent).sum(axis=2) >= window
        median = np.full(close.shape, np.nan)
        median[enough] = np.nanmedian(recent[enough], axis=1)
        kept &= np.nan_to_num(median) >= minimum_dollar_volume
    return kept
