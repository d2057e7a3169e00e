"""Volatility and traded value of instruments from their last bars, as sizing needs them."""

from __future__ import annotations

import math

import numpy as np

from foresail.core.arrays import FloatArray

__all__ = ["MINIMUM_RETURNS", "annualised_volatility", "average_true_range", "mean_traded_value"]

MINIMUM_RETURNS = 20  # fewer say too little about a spread
_RANGE_BARS, _LEAST_RANGES = 14, 7  # behind an average true range


def annualised_volatility(close: FloatArray, total_factor: FloatArray, *, bars_per_year: float) -> FloatArray:
    """Return the standard deviation of log returns, scaled to a year.

    Parameters
    ----------
    close, total_factor : (N, T) price and forward total-return factor; a return needs two bars side by side
    bars_per_year : of the calendar

    Returns
    -------
    (N,) fraction a year; NaN with fewer than 20 returns
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        price = np.log(close * total_factor)
    steps = price[:, 1:] - price[:, :-1]
    known = np.isfinite(steps)
    count = known.sum(axis=1)
    filled = np.where(known, steps, 0.0)
    mean = filled.sum(axis=1) / np.maximum(count, 1)
    spread = np.where(known, filled - mean[:, None], 0.0)
    variance = (spread * spread).sum(axis=1) / np.maximum(count - 1, 1)
    result: FloatArray = np.where(count >= MINIMUM_RETURNS, np.sqrt(variance) * math.sqrt(bars_per_year), np.nan)
    return result


def mean_traded_value(close: FloatArray, volume: FloatArray, *, bars_per_day: float) -> FloatArray:
    """Return the average money traded a day.

    Parameters
    ----------
    close, volume : (N, T)

    Returns
    -------
    (N,) quote currency a day; NaN where no volume is known
    """
    value = close * volume
    known = np.isfinite(value)
    count = known.sum(axis=1)
    total = np.where(known, value, 0.0).sum(axis=1)
    result: FloatArray = np.where(count > 0, total / np.maximum(count, 1) * bars_per_day, np.nan)
    return result


def average_true_range(high: FloatArray, low: FloatArray, close: FloatArray) -> FloatArray:
    """Return the mean true range of the last 14 bars that have one.

    Parameters
    ----------
    high, low, close : (N, T)

    Returns
    -------
    (N,) price; NaN with fewer than 7 ranges
    """
    before = close[:, :-1]
    top, bottom = np.maximum(high[:, 1:], before), np.minimum(low[:, 1:], before)
    ranges = (top - bottom)[:, -_RANGE_BARS:]
    known = np.isfinite(ranges)
    count = known.sum(axis=1)
    total = np.where(known, ranges, 0.0).sum(axis=1)
    result: FloatArray = np.where(count >= _LEAST_RANGES, total / np.maximum(count, 1), np.nan)
    return result
