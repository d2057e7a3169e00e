"""Oscillators."""

from __future__ import annotations

from foresail.features.expressions import CLOSE, HIGH, LOW, PRICE, RANGE, Ref, node, rolling
from foresail.features.formulas.common import (
    average,
    divide,
    extreme,
    is_above,
    mean,
    minus_one,
    range_place,
    share_of_sum,
    subtract,
)

__all__ = ["cci", "rsi", "rsi_divergence", "rsi_mean", "stochastic", "stochastic_signal", "williams"]


def rsi(window: int) -> Ref:
    """Relative strength index, 0 to 1; 0.5 where the price never moved."""
    moves = node("up_down", CLOSE, needs=2, states=1, outputs=2)
    return share_of_sum(average(Ref(moves, 0), window, "wilder"), average(Ref(moves, 1), window, "wilder"), at_zero=0.5)


def stochastic(window: int, smooth: int) -> Ref:
    """Slow %K: mean of the place of the close in its range, 0 to 1."""
    return mean(range_place(window), smooth, RANGE)


def williams(window: int) -> Ref:
    """Williams %R, -1 to 0."""
    return minus_one(range_place(window))


def rsi_mean(window: int, smooth: int) -> Ref:
    """Exponential mean of the relative strength index, 0 to 1."""
    return average(rsi(window), smooth, "ema")


def stochastic_signal(window: int, smooth: int, signal: int) -> Ref:
    """Slow %D: mean of slow %K, 0 to 1."""
    return mean(stochastic(window, smooth), signal, RANGE)


def cci(window: int) -> Ref:
    """Commodity channel index: (typical price - its mean) / (0.015 mean deviation); 0 where nothing moved."""
    sides = node("combine", HIGH, LOW, clock=RANGE, real=1.0).out
    three = node("combine", sides, CLOSE, clock=RANGE, real=1.0).out  # three times the typical price: the 3 cancels
    both = rolling("mean_deviation", three, window, clock=RANGE, outputs=2)
    apart = node("scaled", Ref(both, 1), real=0.015).out
    return divide(subtract(three, Ref(both, 0)), apart, 0.0)


def rsi_divergence(window: int, reach: int) -> Ref:
    """-1 where the close is the highest of ``reach`` bars and the index is not, 1 at a low likewise, else 0."""
    index = rsi(window)
    high = _unshared(CLOSE, extreme(CLOSE, reach, 1.0, PRICE), index, extreme(index, reach, 1.0, PRICE))
    low_close, low_index = extreme(CLOSE, reach, -1.0, PRICE), extreme(index, reach, -1.0, PRICE)
    return subtract(_unshared(low_close, CLOSE, low_index, index), high)


def _unshared(inner: Ref, edge: Ref, index: Ref, index_edge: Ref) -> Ref:
    """1 where the price is at its edge and the index is not at its own."""
    at_edge = node("add", node("scaled", is_above(edge, inner), real=-1.0).out, real=1.0).out
    return node("multiply", at_edge, is_above(index_edge, index)).out
