"""Value at risk and expected shortfall of simple returns: from history, and by simulation (RISK-14 to RISK-16).

Positive numbers are losses. These are sample figures of returns that happened; a forecast's own quantiles are judged in
``exceedances`` and ``distribution``.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from foresail.core.arrays import FloatArray
from foresail.core.errors import DataError
from foresail.core.seeds import generator

__all__ = ["expected_shortfall", "simulated_value_at_risk", "sorted_value_at_risk", "value_at_risk"]


def value_at_risk(returns: ArrayLike, *, level: float = 0.95) -> float:
    """Return the loss that a share ``level`` of the returns does not exceed, by linear interpolation.

    Parameters
    ----------
    returns : (T,), simple returns, fraction, finite
    level : in (0, 1)

    Raises
    ------
    DataError
        If there is no return or one is not finite.

    Examples
    --------
    >>> round(value_at_risk(np.arange(-50, 50) / 1000.0), 5)
    0.04505
    """
    # a plain sort is several times faster than np.quantile when short
    return sorted_value_at_risk(np.sort(_finite(returns), axis=None), level=level)


def sorted_value_at_risk(values: FloatArray, *, level: float = 0.95) -> float:
    """Return ``value_at_risk`` of (T,) float64 returns that the caller has sorted and checked: finite, at least one."""
    place = (1.0 - level) * (len(values) - 1)
    below = int(place)
    low = float(values[below])
    high = float(values[min(below + 1, len(values) - 1)])
    return -(low + (place - below) * (high - low))


def expected_shortfall(returns: ArrayLike, *, level: float = 0.95) -> float:
    """Return the mean loss of the returns at or beyond the value at risk.

    Parameters
    ----------
    returns : (T,), simple returns, fraction, finite

    Raises
    ------
    DataError
        If there is no return or one is not finite.

    Examples
    --------
    >>> round(expected_shortfall(np.arange(-50, 50) / 1000.0), 5)
    0.048
    """
    values = _finite(returns)
    return -float(values[values <= np.quantile(values, 1.0 - level)].mean())


def simulated_value_at_risk(
    returns: ArrayLike,
    weights: ArrayLike,
    *,
    seed: int,
    level: float = 0.95,
    days: int = 10,
    draws: int = 10_000,
) -> float:
    """Return the loss over several days from a multivariate normal with the sample's mean and covariance (RISK-15).

    Parameters
    ----------
    returns : (N, T), daily simple returns, finite
    weights : (N,), value over equity, signed
    days : horizon; days are independent
    """
    values, held = _finite(returns), _finite(weights)
    if values.ndim != 2 or held.shape != (values.shape[0],) or values.shape[1] < 2:
        raise DataError(f"expected returns (N, T >= 2) and weights (N,), received {values.shape} and {held.shape}")
    portfolio = held @ values  # a weighted sum of joint normals is normal: no need to draw each name
    mean, deviation = float(portfolio.mean()), float(portfolio.std(ddof=1))
    drawn: FloatArray = generator(seed, "value at risk").standard_normal((draws, days))
    compounded = np.prod(1.0 + mean + deviation * drawn, axis=1) - 1.0
    return value_at_risk(compounded, level=level)


def _finite(values: ArrayLike) -> FloatArray:
    array: FloatArray = np.asarray(values, dtype=np.float64)
    if array.size == 0 or not np.isfinite(array).all():
        raise DataError(f"expected finite numbers, received {array.size} of which not all are finite")
    return array
