"""How far prices move."""

from __future__ import annotations

from foresail.features.expressions import CLOSE, HIGH, LOW, RANGE, Ref, node, rolling
from foresail.features.formulas.common import average, divide, mean, mean_and_deviation
from foresail.features.formulas.price import log_return

__all__ = ["atr_share", "bollinger_place", "downside_volatility", "max_drawdown", "volatility", "volatility_ratio"]


def bollinger_place(window: int, width: float) -> Ref:
    """%b: where the close stands between mean -/+ width population deviations; 0.5 where nothing moved."""
    middle, deviation = mean_and_deviation(CLOSE, window, sample=False)
    low = node("combine", middle, deviation, real=-width).out
    high = node("combine", middle, deviation, real=width).out
    return node("place", CLOSE, low, high, real=0.5).out


def atr_share(window: int) -> Ref:
    """Average true range (Wilder) / close."""
    true_range = node("true_range", HIGH, LOW, CLOSE, clock=RANGE, needs=2, states=1).out
    return divide(average(true_range, window, "wilder", RANGE), CLOSE)


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
