"""Daily variance from open, high, low and close: estimators that say far more about a day than its squared return.

All take logarithms of prices. The range estimators measure the session only; ``with_overnight`` adds the square of the
jump from the last close to the open, so that the sum stands for the whole day.

References
----------
[GarmanKlass1980], [Parkinson1980], [RogersSatchell1991] in docs/REFERENCES.md.
"""

from __future__ import annotations

import numpy as np

from foresail.core.arrays import FloatArray

__all__ = ["floored", "garman_klass", "parkinson", "rogers_satchell", "with_overnight"]

_LOG4 = 4 * np.log(2.0)
_OPEN_WEIGHT = 2 * np.log(2.0) - 1


def garman_klass(spread: FloatArray, session: FloatArray) -> FloatArray:
    """Return ``0.5 spread^2 - (2 ln 2 - 1) session^2`` for log(high / low) and log(close / open), any shape."""
    return np.asarray(0.5 * spread**2 - _OPEN_WEIGHT * session**2, dtype=np.float64)


def parkinson(spread: FloatArray) -> FloatArray:
    """Return ``spread^2 / (4 ln 2)`` for log(high / low), any shape."""
    return np.asarray(spread**2 / _LOG4, dtype=np.float64)


def rogers_satchell(open_: FloatArray, high: FloatArray, low: FloatArray, close: FloatArray) -> FloatArray:
    """Return ``(H-C)(H-O) + (L-C)(L-O)`` of log prices, any shape; unlike the others right under a drift."""
    return np.asarray((high - close) * (high - open_) + (low - close) * (low - open_), dtype=np.float64)


def with_overnight(session_variance: FloatArray, overnight: FloatArray) -> FloatArray:
    """Return the session's variance plus the square of log(open / last close)."""
    return np.asarray(session_variance + overnight**2, dtype=np.float64)


def floored(variance: FloatArray, long_mean: FloatArray, *, share: float = 0.01) -> FloatArray:
    """Return variances not below a share of their long trailing mean, so that a quiet bar has a logarithm.

    A variance that is missing stays missing; one whose long mean is 0 (nothing ever moved) becomes missing.
    """
    lowest = share * long_mean
    return np.where(np.isfinite(variance) & (lowest > 0), np.maximum(variance, lowest), np.nan)
