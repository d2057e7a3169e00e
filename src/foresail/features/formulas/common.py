"""What several groups of formulas share."""

from __future__ import annotations

import math

from foresail.features.expressions import CLOSE, HIGH, LOW, PRICE, RANGE, Clock, Ref, node, rolling

__all__ = [
    "average",
    "before",
    "divide",
    "extreme",
    "is_above",
    "mean",
    "mean_and_deviation",
    "minus_one",
    "range_place",
    "rolling_pair",
    "scaled",
    "share_of_sum",
    "sign",
    "subtract",
]


def mean(value: Ref, window: int, clock: Clock = PRICE) -> Ref:
    """Rolling mean."""
    return rolling("rolling_mean", value, window, clock=clock, states=1).out


def mean_and_deviation(value: Ref, window: int, *, sample: bool, clock: Clock = PRICE) -> tuple[Ref, Ref]:
    """Rolling mean and standard deviation (sample or population form)."""
    n = rolling("rolling_std", value, window, clock=clock, states=2, outputs=2, real=1.0 if sample else 0.0)
    return Ref(n, 0), Ref(n, 1)


def average(value: Ref, window: int, kind: str, clock: Clock = PRICE) -> Ref:
    """Recursive mean: kind "ema" or "wilder"."""
    return node(kind, value, clock=clock, window=window, needs=window, states=1).out


def extreme(value: Ref, window: int, sign: float, clock: Clock) -> Ref:
    """Rolling largest (sign 1) or smallest (-1)."""
    return rolling("rolling_extreme", value, window, clock=clock, states=1, real=sign).out


def rolling_pair(op: str, a: Ref, b: Ref, window: int, clock: Clock) -> Ref:
    """Return a rolling step over two inputs."""
    return node(op, a, b, clock=clock, window=window, needs=window, history=window, history_b=window, states=4).out


def divide(a: Ref, b: Ref, at_zero: float = math.nan) -> Ref:
    """A / b, ``at_zero`` where b is 0."""
    return node("divide", a, b, real=at_zero).out


def minus_one(value: Ref) -> Ref:
    """Value - 1."""
    return node("add", value, real=-1.0).out


def subtract(a: Ref, b: Ref) -> Ref:
    """A - b."""
    return node("combine", a, b, real=-1.0).out


def share_of_sum(part: Ref, rest: Ref, at_zero: float) -> Ref:
    """Part / (part + rest)."""
    return divide(part, node("combine", part, rest, real=1.0).out, at_zero)


def range_place(window: int) -> Ref:
    """Place of the close between the lowest low and the highest high, 0 to 1."""
    low, high = extreme(LOW, window, -1.0, RANGE), extreme(HIGH, window, 1.0, RANGE)
    return node("place", CLOSE, low, high, clock=RANGE, real=0.5).out


def before(value: Ref, lag: int, clock: Clock = PRICE) -> Ref:
    """Return the value some bars of the clock ago."""
    return node("lag", value, clock=clock, window=lag, needs=lag + 1, history=lag).out


def scaled(value: Ref, factor: float) -> Ref:
    """Factor * value."""
    return node("scaled", value, real=factor).out


def sign(value: Ref) -> Ref:
    """1, 0 or -1."""
    return node("sign_of", value).out


def is_above(a: Ref, b: Ref) -> Ref:
    """1 where a > b, else 0."""
    return node("exceeds", a, b, real=1.0).out
