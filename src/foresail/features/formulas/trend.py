"""Averages of the price and what stands above or below them."""

from __future__ import annotations

from functools import reduce
from itertools import pairwise

from foresail.features.expressions import CLOSE, HIGH, LOW, PRICE, RANGE, Ref, node
from foresail.features.formulas.common import (
    average,
    before,
    divide,
    extreme,
    is_above,
    mean,
    minus_one,
    subtract,
)

__all__ = [
    "adx",
    "directional_indicator",
    "ema",
    "ema_ratio",
    "ema_stack",
    "high_distance",
    "macd",
    "macd_difference",
    "macd_histogram",
    "macd_line",
    "macd_momentum",
    "macd_signal",
    "price_to_sma",
    "sma",
]


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


def sma(window: int) -> Ref:
    """Simple mean of the close, price units."""
    return mean(CLOSE, window)


def ema(window: int) -> Ref:
    """Exponential mean of the close, price units."""
    return average(CLOSE, window, "ema")


def macd_signal(fast: int, slow: int, signal: int) -> Ref:
    """EMA(signal) of the MACD line, price units."""
    return average(macd_line(fast, slow), signal, "ema")


def macd_difference(fast: int, slow: int, signal: int) -> Ref:
    """MACD line less its signal, price units."""
    return subtract(macd_line(fast, slow), macd_signal(fast, slow, signal))


def macd_momentum(fast: int, slow: int) -> Ref:
    """MACD line less that of the bar before, price units."""
    line = macd_line(fast, slow)
    return subtract(line, before(line, 1))


def directional_indicator(window: int, side: int) -> Ref:
    """+DI (side 0) or -DI (side 1), 0 to 1: directional movement over true range, Wilder sums."""
    moves = node("directional_move", HIGH, LOW, clock=RANGE, needs=2, states=2, outputs=2)
    true_range = node("true_range", HIGH, LOW, CLOSE, clock=RANGE, needs=2, states=1).out
    moved, all_of_it = (
        node("wilder_sum", value, clock=RANGE, window=window, needs=window, states=1).out
        for value in (Ref(moves, side), true_range)
    )
    return divide(moved, all_of_it, 0.0)


def adx(window: int) -> Ref:
    """Wilder mean of |+DI - -DI| / (+DI + -DI), 0 to 1."""
    plus, minus = directional_indicator(window, 0), directional_indicator(window, 1)
    apart = node("magnitude", subtract(plus, minus)).out
    return average(divide(apart, node("combine", plus, minus, real=1.0).out, 0.0), window, "wilder", RANGE)


def ema_stack(fast: int, middle: int, slow: int) -> Ref:
    """1 where close > EMA(fast) > EMA(middle) > EMA(slow), -1 in the opposite order, else 0."""
    row = [CLOSE, *(ema(w) for w in (fast, middle, slow))]
    pairs = list(pairwise(row))
    up, down = ([is_above(*pair) for pair in pairs], [is_above(b, a) for a, b in pairs])
    return subtract(_all_of(up), _all_of(down))


def _all_of(flags: list[Ref]) -> Ref:
    return reduce(lambda a, b: node("multiply", a, b).out, flags)
