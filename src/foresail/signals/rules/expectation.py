"""What a quantile curve says: the expected move and the probability of its sign (FCST-12).

The curve is read as piecewise linear between its levels. Nothing here is rescaled to pass a gate.
"""

from __future__ import annotations

import numpy as np

from foresail.core.arrays import FloatArray
from foresail.core.errors import ConfigError

__all__ = ["CENTRES", "confidence", "expected_log_return", "probability_up"]

# name -> levels between which the curve is averaged
CENTRES: dict[str, tuple[float, float]] = {"median": (0.50, 0.50), "centre": (0.25, 0.75), "mean": (0.10, 0.90)}


def expected_log_return(quantiles: FloatArray, levels: tuple[float, ...], *, centre: str = "centre") -> FloatArray:
    """Return the expected log return of each curve.

    Parameters
    ----------
    quantiles : (N, Q) log returns, ascending along Q
    levels : (Q,) ascending
    centre : "median" is P50; "centre" the mean of the curve from P25 to P75 (steadier than one quantile, blind to
        tails that a model knows least about); "mean" the mean from P10 to P90

    Returns
    -------
    (N,) log return, rounded to 1e-9 so that equal curves tie; NaN where the curve has a gap

    Raises
    ------
    ConfigError
        If the name is unknown or the levels do not hold it.
    """
    if centre not in CENTRES:
        raise ConfigError(f"unknown expectation {centre!r}; expected one of {', '.join(CENTRES)}")
    low, high = CENTRES[centre]
    if low not in levels or high not in levels:
        raise ConfigError(f"expectation {centre!r} needs levels {low} and {high}, the forecast has {list(levels)}")
    first, last = levels.index(low), levels.index(high)
    if first == last:
        middle: FloatArray = np.round(quantiles[:, first], 9)
        return middle
    inside = quantiles[:, first : last + 1]
    step = np.diff(np.asarray(levels[first : last + 1]))
    area = ((inside[:, 1:] + inside[:, :-1]) * 0.5 * step).sum(axis=1)
    result: FloatArray = np.round(area / (high - low), 9)
    return result


def probability_up(quantiles: FloatArray, levels: tuple[float, ...]) -> FloatArray:
    """Return the probability that the move is above zero.

    Parameters
    ----------
    quantiles : (N, Q) log returns, ascending along Q
    levels : (Q,) ascending, at least two

    Returns
    -------
    (N,) in [0, 1]; NaN where the curve has a gap

    Notes
    -----
    Beyond the outermost levels the last segment is continued. An atom at zero counts half to each side, so that
    mirroring a curve mirrors the probability.
    """
    below = _share_below(quantiles, levels)
    above = _share_below(-quantiles[:, ::-1], tuple(1.0 - level for level in reversed(levels)))
    result: FloatArray = 0.5 * ((1.0 - below) + above)
    return result


def _share_below(quantiles: FloatArray, levels: tuple[float, ...]) -> FloatArray:
    """Return the level at which each curve first reaches zero, (N,)."""
    grid = np.asarray(levels)
    n, q = quantiles.shape
    right = np.clip((quantiles < 0.0).sum(axis=1), 1, q - 1)  # end of the segment that crosses or is continued
    rows = np.arange(n)
    lower, upper = quantiles[rows, right - 1], quantiles[rows, right]
    width = upper - lower
    flat = width <= 0.0
    level = grid[right - 1] - lower * (grid[right] - grid[right - 1]) / np.where(flat, 1.0, width)
    # a flat outer segment has no slope to continue: all of it lies on one side
    level = np.where(flat, np.where(lower < 0.0, 1.0, np.where(lower > 0.0, 0.0, grid[right - 1])), level)
    share: FloatArray = np.clip(level, 0.0, 1.0)
    share[~np.isfinite(quantiles).all(axis=1)] = np.nan
    return share


def confidence(quantiles: FloatArray, levels: tuple[float, ...], expected: FloatArray) -> FloatArray:
    """Return the probability that the move has the sign of ``expected`` (FCST-12).

    Parameters
    ----------
    quantiles : (N, Q) log returns
    levels : (Q,)
    expected : (N,) log return; its sign is the predicted one

    Returns
    -------
    (N,) in [0.5, 1]: where the curve's own odds are below even (a skewed curve), 0.5 is reported
    """
    up = probability_up(quantiles, levels)
    odds = np.where(expected >= 0.0, up, 1.0 - up)
    result: FloatArray = np.maximum(odds, 0.5)
    return result
