"""Long-run variance: the variance of a mean of dependent values, times their number (HAC).

1. Equal weights to lag h - 1: right for errors of forecasts h bars ahead, which overlap by h - 1 bars and no more.
2. Bartlett weights: never negative, but the normal law then rejects too often on short dependent series.
3. Cosine terms (equal-weighted): the squared projections on B slow cosines are nearly independent, so that the mean
   over its error follows Student's t with B degrees of freedom. Of the three it keeps its size best.

References: [NeweyWest1994], [LazarusLewisStockWatson2018] in docs/REFERENCES.md.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from foresail.core.errors import DataError
from foresail.measures._checks import finite_series

__all__ = ["automatic_lags", "automatic_terms", "bartlett_variance", "cosine_variance", "truncated_variance"]


def automatic_lags(length: int) -> int:
    """Return ``floor(4 (T / 100)^(2/9))``, the lags of [NeweyWest1994]."""
    return int(4.0 * (length / 100.0) ** (2.0 / 9.0))


def automatic_terms(length: int) -> int:
    """Return ``floor(0.4 T^(2/3))`` but at least 1, the cosine terms of [LazarusLewisStockWatson2018]."""
    return max(1, int(0.4 * length ** (2.0 / 3.0)))


def truncated_variance(values: ArrayLike, *, lags: int) -> float:
    """Return ``g(0) + 2 sum g(k)`` to lag ``lags`` with equal weights; it can come out negative.

    Parameters
    ----------
    values : (T,), finite, in time order
    lags : 0 <= lags < T

    Returns
    -------
    squared unit of ``values``; autocovariances are divided by T

    Raises
    ------
    DataError
        If a value is not finite or the lags do not fit.
    """
    covariance = _autocovariances(values, lags)
    return float(covariance[0] + 2.0 * covariance[1:].sum())


def bartlett_variance(values: ArrayLike, *, lags: int) -> float:
    """Return ``g(0) + 2 sum (1 - k / (lags + 1)) g(k)``, which is never negative.

    Parameters
    ----------
    values : (T,), finite, in time order
    lags : 0 <= lags < T

    Raises
    ------
    DataError
        If a value is not finite or the lags do not fit.
    """
    covariance = _autocovariances(values, lags)
    weights = 1.0 - np.arange(1, lags + 1) / (lags + 1.0)
    return float(covariance[0] + 2.0 * (weights @ covariance[1:]))


def cosine_variance(values: ArrayLike, *, terms: int) -> float:
    """Return the mean square of the projections on ``terms`` cosines; refer its t statistic to t(``terms``).

    Parameters
    ----------
    values : (T,), finite, in time order
    terms : 1 <= B < T

    Raises
    ------
    DataError
        If a value is not finite or the terms do not fit.

    Notes
    -----
    ``L_j = sqrt(2 / T) sum (y_t - mean) cos(pi j (t - 1/2) / T)``, j = 1 .. B; the result is ``mean L_j^2``.
    """
    series = finite_series(values, name="values", minimum=2)
    n = len(series)
    if not 1 <= terms < n:
        raise DataError(f"expected between 1 and {n - 1} cosine terms, received {terms}")
    angle = np.pi / n * np.arange(1, terms + 1)[:, None] * (np.arange(n) + 0.5)[None, :]
    projection = math.sqrt(2.0 / n) * (np.cos(angle) @ (series - series.mean()))
    return float(np.mean(projection**2))


def _autocovariances(values: ArrayLike, lags: int) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    series = finite_series(values, name="values", minimum=2)
    n = len(series)
    if not 0 <= lags < n:
        raise DataError(f"expected between 0 and {n - 1} lags, received {lags}")
    deviation = series - series.mean()
    return np.array([deviation[lag:] @ deviation[: n - lag] for lag in range(lags + 1)]) / n
