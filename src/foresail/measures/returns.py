"""Returns: from prices or equity to simple and log returns, and back by compounding.

Simple returns add up across instruments, log returns across time; each function says which it takes. Missing stays
missing: a return next to an absent price is NaN.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from foresail.core.arrays import FloatArray, IntArray
from foresail.core.errors import DataError
from foresail.measures._checks import finite_series

__all__ = [
    "annualised_return",
    "compounded_equity",
    "grouped_returns",
    "log_returns",
    "log_to_simple",
    "simple_returns",
    "simple_to_log",
    "total_return",
]


def simple_returns(prices: ArrayLike) -> FloatArray:
    """Return ``p_t / p_{t-1} - 1`` along the last axis.

    Parameters
    ----------
    prices : (..., T), > 0, forward-adjusted prices or equity; NaN where absent

    Returns
    -------
    (..., T - 1), fraction per bar
    """
    values = np.asarray(prices, dtype=np.float64)
    result: FloatArray = values[..., 1:] / values[..., :-1] - 1.0
    return result


def log_returns(prices: ArrayLike) -> FloatArray:
    """Return ``ln(p_t / p_{t-1})`` along the last axis, (..., T - 1)."""
    result: FloatArray = np.diff(np.log(np.asarray(prices, dtype=np.float64)), axis=-1)
    return result


def log_to_simple(log_return: ArrayLike) -> FloatArray:
    """Return ``exp(r) - 1``, same shape."""
    result: FloatArray = np.expm1(np.asarray(log_return, dtype=np.float64))
    return result


def simple_to_log(simple_return: ArrayLike) -> FloatArray:
    """Return ``ln(1 + r)``, same shape."""
    result: FloatArray = np.log1p(np.asarray(simple_return, dtype=np.float64))
    return result


def compounded_equity(returns: ArrayLike, *, start: float = 1.0) -> FloatArray:
    """Return equity that grows by each simple return, with the starting value in front.

    Parameters
    ----------
    returns : (T,), simple return per bar, fraction
    start : equity before the first bar

    Returns
    -------
    (T + 1,)

    Raises
    ------
    DataError
        If a return is not finite.
    """
    series = finite_series(returns, name="returns", minimum=0)
    return np.concatenate([[start], start * np.cumprod(1.0 + series)])


def total_return(returns: ArrayLike) -> float:
    """Return the compounded simple return of the whole series, fraction."""
    return float(compounded_equity(returns)[-1] - 1.0)


def annualised_return(returns: ArrayLike, *, bars_per_year: float) -> float:
    """Return the constant yearly rate that compounds to the same end (CAGR).

    Parameters
    ----------
    returns : (T,), simple return per bar, fraction
    bars_per_year : 252 for daily stocks, 365 for daily crypto

    Returns
    -------
    fraction a year; -1 when everything is lost; NaN where a few bars extrapolate beyond any number
    """
    series = finite_series(returns, name="returns")
    growth = float(np.prod(1.0 + series))
    if growth <= 0.0:
        return -1.0
    with np.errstate(over="ignore"):
        rate = float(np.expm1(np.log(growth) * bars_per_year / len(series)))
    return rate if np.isfinite(rate) else float("nan")


def grouped_returns(returns: ArrayLike, groups: IntArray) -> dict[int, float]:
    """Return the compounded return of each group of bars, for example of each calendar year.

    Parameters
    ----------
    returns : (T,), simple return per bar, fraction
    groups : (T,), group of each bar

    Returns
    -------
    group -> fraction, groups ascending

    Raises
    ------
    DataError
        If the lengths differ or a return is not finite.
    """
    series = finite_series(returns, name="returns", minimum=0)
    if len(series) != len(groups):
        raise DataError(f"expected one group for each of {len(series)} returns, received {len(groups)}")
    return {int(group): float(np.prod(1.0 + series[groups == group]) - 1.0) for group in np.unique(groups)}
