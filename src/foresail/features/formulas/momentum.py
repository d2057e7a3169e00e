"""Oscillators."""

from __future__ import annotations

from foresail.features.expressions import CLOSE, RANGE, Ref, node
from foresail.features.formulas.common import average, mean, minus_one, range_place, share_of_sum

__all__ = ["rsi", "stochastic", "williams"]


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
