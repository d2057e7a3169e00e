"""Adjusted prices: the mathematics of splits and dividends on raw prices.

Two directions exist, and they differ in what they know:

1. Forward, anchored at the first bar: ``price[t] * factor[t]`` with ``factor[0] = 1``. A later action changes nothing
   that stands before it, bit for bit. Features and returns use this one.
2. Backward, anchored at the newest bar: the usual chart, on which the newest price is the one traded. Every new action
   rewrites the whole past, so the level of a price ten years ago knows every split since. It is for display only and
   asks for the row at which its reader stands.

Growth of one unit over an ex-date, the split ``u`` first, then the dividend ``d`` per unit after it, reinvested at the
close before less what left it, ``c / u - d``:  ``u * (1 + d / (c / u - d)) = u / (1 - d * u / c)``.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from foresail.core.arrays import FloatArray
from foresail.core.errors import DataError

__all__ = ["action_growth", "back_adjusted", "forward_adjusted", "forward_factor", "reference_factors"]


def action_growth(close_before: ArrayLike, dividend: ArrayLike, split: ArrayLike) -> FloatArray:
    """Return the units that one unit becomes over each ex-date, dividends reinvested.

    Parameters
    ----------
    close_before : (...), raw close of the last bar before, quote currency; NaN where there is none
    dividend : (...), cash per unit after the split; 0 or NaN = none
    split : (...), units after one unit before; 1 or NaN = none

    Returns
    -------
    (...), 1 where nothing happened; the split alone where the close before is missing

    Raises
    ------
    DataError
        If a split is not positive, a dividend is negative, or a dividend takes the whole price.
    """
    units = np.asarray(split, dtype=np.float64)
    units = np.where(np.isnan(units), 1.0, units)
    cash = np.nan_to_num(np.asarray(dividend, dtype=np.float64))
    close = np.asarray(close_before, dtype=np.float64)
    units, cash, close = np.broadcast_arrays(units, cash, close)
    if not (units > 0).all() or (cash < 0).any() or not np.isfinite(units).all():
        raise DataError("expected splits > 0 and dividends >= 0", rule="DATA-56", hint="1 means no split")
    with np.errstate(divide="ignore", invalid="ignore"):
        left = np.where((cash > 0) & (close > 0), 1.0 - cash * units / close, 1.0)
    if not (left > 0).all():
        worst = int(np.argmin(left))
        raise DataError(
            f"a dividend of {cash.flat[worst]} per unit takes the whole close before, {close.flat[worst]}",
            row=worst + 1,
            column="dividend",
            rule="DATA-56",
            hint="is it in the currency of the prices, and per unit after the split of that day?",
        )
    growth: FloatArray = units / left
    return growth


def forward_factor(close: ArrayLike, dividend: ArrayLike, split: ArrayLike) -> FloatArray:
    """Return the forward total-return factor of one instrument, 1 at its first bar.

    Parameters
    ----------
    close : (T,), raw, quote currency; NaN where absent
    dividend, split : (T,), as in ``action_growth``; what goes ex at the first bar lies before the history

    Returns
    -------
    (T,), units held at each bar of one unit bought at the first, dividends reinvested

    Notes
    -----
    Timing: the factor at t uses closes before t and actions up to t. A dividend after missing bars counts against the
    last close that exists.
    """
    prices = np.asarray(close, dtype=np.float64)
    if len(prices) == 0:
        return prices
    seen = np.maximum.accumulate(np.where(np.isfinite(prices), np.arange(len(prices)), -1))
    before = np.r_[-1, seen[:-1]]
    close_before = np.where(before >= 0, prices[np.maximum(before, 0)], np.nan)
    growth = action_growth(close_before, dividend, split)
    growth[before < 0] = 1.0
    factor: FloatArray = np.cumprod(growth, dtype=np.float64)
    return factor


def forward_adjusted(close: ArrayLike, dividend: ArrayLike, split: ArrayLike) -> FloatArray:
    """Return ``close * forward_factor``, (T,): the total-return series that starts at the first raw close."""
    adjusted: FloatArray = np.asarray(close, dtype=np.float64) * forward_factor(close, dividend, split)
    return adjusted


def back_adjusted(close: ArrayLike, dividend: ArrayLike, split: ArrayLike, *, as_of: int) -> FloatArray:
    """Return prices as a chart drawn at one bar shows them. Display only: levels know later actions.

    Parameters
    ----------
    close, dividend, split : (T,), as in ``forward_factor``
    as_of : row at which the reader stands; nothing after it is used

    Returns
    -------
    (T,), equal to the raw close at ``as_of``, NaN after it

    Raises
    ------
    DataError
        If the row is not one of the series.
    """
    prices = np.asarray(close, dtype=np.float64)
    if not 0 <= as_of < len(prices):
        raise DataError(
            f"expected a row from 0 to {len(prices) - 1} to stand at, received {as_of}",
            column="as_of",
            hint="give the row of the newest bar that the reader knows",
        )
    stop = as_of + 1
    factor = forward_factor(prices[:stop], np.asarray(dividend)[:stop], np.asarray(split)[:stop])
    shown: FloatArray = np.full(len(prices), np.nan)
    shown[:stop] = prices[:stop] * (factor / factor[-1])
    return shown


def reference_factors(growth: ArrayLike, split: ArrayLike) -> tuple[FloatArray, FloatArray]:
    """Return the backward (price factor, split factor) before each action, as vendors print them.

    Parameters
    ----------
    growth, split : (A,), of one instrument's actions in order of ex-date

    Returns
    -------
    two (A,): a raw price before action ``a`` times both is the price on the basis of after the last action; the price
    factor holds the dividends, the split factor the splits
    """
    units = np.asarray(split, dtype=np.float64)
    paid = units / np.asarray(growth, dtype=np.float64)
    prices: FloatArray = np.cumprod(paid[::-1], dtype=np.float64)[::-1]
    splits: FloatArray = np.cumprod(1.0 / units[::-1], dtype=np.float64)[::-1]
    return prices, splits
