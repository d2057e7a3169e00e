"""Moments and standard scores."""

from __future__ import annotations

from foresail.features.expressions import CLOSE, Ref, rolling
from foresail.features.formulas.common import divide, mean_and_deviation, subtract
from foresail.features.formulas.price import log_return

__all__ = ["skew", "zscore"]


def zscore(window: int) -> Ref:
    """(close - mean) / sample deviation; 0 where nothing moved."""
    middle, deviation = mean_and_deviation(CLOSE, window, sample=True)
    return divide(subtract(CLOSE, middle), deviation, 0.0)


def skew(window: int) -> Ref:
    """Sample skewness of the one-bar log return."""
    return rolling("rolling_skew", log_return(1), window, states=3).out
