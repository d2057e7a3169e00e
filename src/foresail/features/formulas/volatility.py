"""How far prices move."""

from __future__ import annotations

import math

from foresail.features.expressions import CLOSE, HIGH, LOW, RANGE, Ref, node, rolling
from foresail.features.formulas.common import average, divide, mean, mean_and_deviation, subtract
from foresail.features.formulas.price import log_return

__all__ = [
    "atr",
    "atr_compression",
    "atr_share",
    "bollinger_band",
    "bollinger_distance",
    "bollinger_place",
    "bollinger_width",
    "deviation",
    "downside_volatility",
    "keltner",
    "max_drawdown",
    "volatility",
    "volatility_ratio",
]


def bollinger_place(window: int, width: float) -> Ref:
    """%b: where the close stands between mean -/+ width population deviations; 0.5 where nothing moved."""
    middle, deviation = mean_and_deviation(CLOSE, window, sample=False)
    low = node("combine", middle, deviation, real=-width).out
    high = node("combine", middle, deviation, real=width).out
    return node("place", CLOSE, low, high, real=0.5).out


def atr(window: int) -> Ref:
    """Average true range (Wilder), price units."""
    true_range = node("true_range", HIGH, LOW, CLOSE, clock=RANGE, needs=2, states=1).out
    return average(true_range, window, "wilder", RANGE)


def atr_share(window: int) -> Ref:
    """Average true range (Wilder) / close."""
    return divide(atr(window), CLOSE)


def atr_compression(window: int, usual: int) -> Ref:
    """Average true range over its own mean; below 0.7 is compression."""
    value = atr(window)
    return divide(value, mean(value, usual, RANGE), math.nan)


def bollinger_band(window: int, width: float) -> Ref:
    """Mean plus ``width`` population deviations, price units; a negative width is the lower band."""
    middle, apart = mean_and_deviation(CLOSE, window, sample=False)
    return node("combine", middle, apart, real=width).out


def bollinger_width(window: int, width: float) -> Ref:
    """(upper - lower) / middle."""
    middle, apart = mean_and_deviation(CLOSE, window, sample=False)
    return divide(node("scaled", apart, real=2.0 * width).out, middle)


def bollinger_distance(window: int, width: float) -> Ref:
    """(close - middle) / (upper - middle): 1 at the upper band; 0 where nothing moved."""
    middle, apart = mean_and_deviation(CLOSE, window, sample=False)
    return divide(subtract(CLOSE, middle), node("scaled", apart, real=width).out, 0.0)


def deviation(window: int) -> Ref:
    """Sample standard deviation of the close, price units."""
    return mean_and_deviation(CLOSE, window, sample=True)[1]


def keltner(window: int, reach: int, width: float) -> Ref:
    """EMA of the close plus ``width`` average true ranges, price units."""
    return node("combine", average(CLOSE, window, "ema"), atr(reach), clock=RANGE, real=width).out


def volatility(window: int) -> Ref:
    """Sample standard deviation of the one-bar log return."""
    return mean_and_deviation(log_return(1), window, sample=True)[1]


def volatility_ratio(fast: int, slow: int) -> Ref:
    """Ln of fast over slow volatility."""
    return node("log_of", volatility(fast), volatility(slow)).out


def downside_volatility(window: int) -> Ref:
    """Root of the mean squared negative log return."""
    return node("root", mean(node("fall_squared", log_return(1)).out, window)).out


def max_drawdown(window: int) -> Ref:
    """Deepest fall from a peak of closes within the window, <= 0."""
    return rolling("rolling_drawdown", CLOSE, window, states=5).out
