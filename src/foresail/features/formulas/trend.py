"""Averages of the price and what stands above or below them."""

from __future__ import annotations

from foresail.features.expressions import CLOSE, PRICE, Ref, node
from foresail.features.formulas.common import average, divide, extreme, mean, minus_one, subtract

__all__ = ["ema_ratio", "high_distance", "macd", "macd_histogram", "macd_line", "price_to_sma"]


def price_to_sma(window: int) -> Ref:
    """Close / SMA - 1."""
    return minus_one(divide(CLOSE, mean(CLOSE, window)))


def ema_ratio(fast: int, slow: int) -> Ref:
    """EMA(fast) / EMA(slow) - 1."""
    return minus_one(divide(average(CLOSE, fast, "ema"), average(CLOSE, slow, "ema")))


def macd_line(fast: int, slow: int) -> Ref:
    """EMA(fast) - EMA(slow), price units: a step on the way, no feature."""
    return subtract(average(CLOSE, fast, "ema"), average(CLOSE, slow, "ema"))


def macd(fast: int, slow: int) -> Ref:
    """(EMA(fast) - EMA(slow)) / close."""
    return divide(macd_line(fast, slow), CLOSE)


def macd_histogram(fast: int, slow: int, signal: int) -> Ref:
    """(MACD - EMA(signal) of MACD) / close."""
    line = macd_line(fast, slow)
    return divide(subtract(line, average(line, signal, "ema")), CLOSE)


def high_distance(window: int) -> Ref:
    """ln(close / highest close of the window), <= 0."""
    return node("log_of", CLOSE, extreme(CLOSE, window, 1.0, PRICE)).out
