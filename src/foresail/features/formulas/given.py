"""Formulas on numbers that come from outside: changes, means, places in their own history, alarms.

Windows count the bars of the instrument at which the number was known.
"""

from __future__ import annotations

from foresail.features.expressions import PRICE, Clock, Ref, clock_where, given, node
from foresail.features.formulas.common import average, divide, mean, mean_and_deviation, minus_one, subtract

__all__ = [
    "change",
    "difference",
    "growth",
    "history_place",
    "known",
    "mean_of",
    "ratio_to_mean",
    "share_of",
    "smoothed",
    "zscore_of",
]


def known(name: str) -> Ref:
    """A number as it was known at the bar, absent where there is no bar."""
    return node("on_bar", given(name)).out


def _clock(value: Ref) -> Clock:
    return clock_where(PRICE, value)


def _before(value: Ref, lag: int) -> Ref:
    return node("lag", value, clock=_clock(value), window=lag, needs=lag + 1, history=lag).out


def change(value: Ref, lag: int) -> Ref:
    """Value minus the value ``lag`` bars ago."""
    return subtract(value, _before(value, lag))


def growth(value: Ref, lag: int) -> Ref:
    """Value over the value ``lag`` bars ago, minus 1; absent where that was 0."""
    return minus_one(divide(value, _before(value, lag)))


def mean_of(value: Ref, window: int) -> Ref:
    """Mean over a window."""
    return mean(value, window, _clock(value))


def smoothed(value: Ref, window: int) -> Ref:
    """Exponential mean."""
    return average(value, window, "ema", _clock(value))


def ratio_to_mean(value: Ref, window: int) -> Ref:
    """Value over its mean of a window, minus 1: what a model sees of a level that only grows."""
    return minus_one(divide(value, mean_of(value, window)))


def zscore_of(value: Ref, window: int) -> Ref:
    """Deviations from the mean of a window (sample form); 0 where nothing moved (FEAT-39)."""
    middle, deviation = mean_and_deviation(value, window, sample=True, clock=_clock(value))
    return divide(subtract(value, middle), deviation, 0.0)


def history_place(value: Ref, window: int) -> Ref:
    """Share of the earlier values of a window that are below, equal ones counted half."""
    return node("share_below", value, clock=_clock(value), window=window, needs=window, history=window).out


def difference(first: str, second: str) -> Ref:
    """One given number minus another."""
    return subtract(known(first), known(second))


def share_of(first: str, second: str) -> Ref:
    """One given number over another; absent where that is 0."""
    return divide(known(first), known(second))
