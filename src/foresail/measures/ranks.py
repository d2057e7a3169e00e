"""RankIC and ICIR: how well forecasts order the names of one day, averaged over days.

Days count, not names: names of one day move together, so the daily correlations are the observations. Days with
fewer than ten names have none worth averaging; they are skipped and counted.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from foresail.core.arrays import FloatArray
from foresail.core.errors import DataError
from foresail.measures._checks import mean_or_nan

__all__ = ["MINIMUM_NAMES", "RankCorrelation", "rank_correlation"]

MINIMUM_NAMES = 10  # a day with fewer names has no rank correlation worth averaging
_NAN = float("nan")


@dataclass(frozen=True, slots=True, eq=False)
class RankCorrelation:
    """RankIC over days.

    Attributes
    ----------
    mean : of the daily Spearman correlations across names
    icir : mean over standard deviation of the daily values, not annualised
    days, skipped : days that entered, and days left out for fewer than ten names or a constant side
    daily : (T,), NaN on skipped days
    """

    mean: float
    standard_deviation: float
    icir: float
    days: int
    skipped: int
    daily: FloatArray


def rank_correlation(forecast: ArrayLike, outcome: ArrayLike, *, minimum_names: int = MINIMUM_NAMES) -> RankCorrelation:
    """Return the mean over days of the Spearman correlation between forecast and outcome across names.

    Parameters
    ----------
    forecast, outcome : (N, T), NaN = missing
    minimum_names : days with fewer are skipped and counted

    Raises
    ------
    DataError
        If the shapes differ or are not (N, T).

    Notes
    -----
    Ties share their average rank. A day on which no name has both values is no day: it is neither in ``days`` nor in
    ``skipped``.
    """
    first, second = np.asarray(forecast, dtype=np.float64), np.asarray(outcome, dtype=np.float64)
    if first.shape != second.shape or first.ndim != 2:
        raise DataError(f"expected two (names, days) arrays of one shape, received {first.shape} and {second.shape}")
    known = np.isfinite(first) & np.isfinite(second)
    names = known.sum(axis=0)
    daily = np.full(first.shape[1], np.nan)
    for day in np.flatnonzero(names >= max(2, minimum_names)):
        rows = known[:, day]
        daily[day] = _correlation(_average_ranks(first[rows, day]), _average_ranks(second[rows, day]))
    used = daily[np.isfinite(daily)]
    spread = float(used.std(ddof=1)) if len(used) > 1 else _NAN
    icir = float(used.mean()) / spread if spread > 0.0 else _NAN
    return RankCorrelation(mean_or_nan(used), spread, icir, len(used), int((names > 0).sum()) - len(used), daily)


def _average_ranks(values: FloatArray) -> FloatArray:
    """Return ranks from 1, equal values sharing their mean rank."""
    _, group, count = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(count)
    ranks: FloatArray = (last - (count - 1) / 2.0)[group]
    return ranks


def _correlation(first: FloatArray, second: FloatArray) -> float:
    a, b = first - first.mean(), second - second.mean()
    norm = math.sqrt(float(a @ a) * float(b @ b))
    return float(a @ b) / norm if norm > 0.0 else _NAN
