"""Conformity scores and the finite-sample quantile on which every conformal interval rests.

References
----------
[Vovk2005] the quantile of rank ceil((n + 1) * coverage); [Romano2019] scores of an interval.
"""

from __future__ import annotations

import math

import numpy as np

from foresail.core.arrays import FloatArray, IntArray
from foresail.core.errors import DataError, LookAheadError

__all__ = ["conformal_quantile", "interval_scores", "known_scores", "relative_interval_scores", "residual_scores"]


def conformal_quantile(scores: FloatArray, coverage: float) -> float:
    """Return the score that the next one does not exceed with probability ``coverage``, at least.

    Parameters
    ----------
    scores : (n,), NaN left out
    coverage : in (0, 1); 0.9 for a 90 % interval

    Returns
    -------
    float
        The value of rank ceil((n + 1) * coverage); infinity where that rank is above n: so few scores promise nothing.

    Raises
    ------
    ValueError
        If the coverage is not inside (0, 1).
    """
    if not 0.0 < coverage < 1.0:
        raise ValueError(f"expected a coverage inside (0, 1), received {coverage}")
    known = scores[~np.isnan(scores)]
    # The product of decimals can lie a rounding error above a whole number.
    rank = math.ceil((len(known) + 1) * coverage - 1e-9)
    if rank > len(known):
        return math.inf
    return float(np.partition(known, rank - 1)[rank - 1])


def residual_scores(centre: FloatArray, outcome: FloatArray, scale: FloatArray) -> FloatArray:
    """Return (n,) distances of outcomes from point forecasts in units of a volatility known at issue."""
    return np.asarray(np.abs(outcome - centre) / _positive(scale), dtype=np.float64)


def interval_scores(low: FloatArray, high: FloatArray, outcome: FloatArray, scale: FloatArray) -> FloatArray:
    """Return (n,) how far outcomes lie outside an interval, negative inside, in units of ``scale`` (CQR)."""
    return np.asarray(np.maximum(low - outcome, outcome - high) / _positive(scale), dtype=np.float64)


def relative_interval_scores(low: FloatArray, high: FloatArray, outcome: FloatArray) -> FloatArray:
    """Return (n,) the same in units of the interval's own width (CQR-r); NaN where it has none."""
    width = high - low
    outside = np.maximum(low - outcome, outcome - high)
    relative = np.divide(outside, width, out=np.full(np.shape(width), np.nan), where=width > 0)
    return np.asarray(relative, dtype=np.float64)


def known_scores(scores: FloatArray, label_end: IntArray, known_at: int) -> FloatArray:
    """Return the scores that are numbers.

    Parameters
    ----------
    label_end : (n,) when each outcome was known
    known_at : when the interval is calibrated, same clock

    Raises
    ------
    LookAheadError
        If an outcome was known only later.
    DataError
        If no score is left.
    """
    late = np.flatnonzero(np.asarray(label_end) > known_at)
    if len(late):
        raise LookAheadError(
            f"{len(late)} calibration rows have outcomes known after {known_at}, the first is row {int(late[0])}, "
            f"known at {int(label_end[late[0]])}",
            hint="calibrate on rows whose label has ended",
        )
    known = np.asarray(scores[np.isfinite(scores)], dtype=np.float64)
    if len(known) == 0:
        raise DataError("calibration needs at least one finite score, received none")
    return known


def _positive(scale: FloatArray) -> FloatArray:
    """Return a scale with NaN where it is not above zero."""
    given = np.asarray(scale, dtype=np.float64)
    return np.asarray(np.where(given > 0, given, np.nan), dtype=np.float64)
