"""Higher moments and autocorrelations of the last WINDOW values, each made anew from the ring.

Two passes over the window (means first, then powers of the distances from them) keep the digits that running sums of
powers lose, and leave nothing behind in a state. A window whose variation is rounding only has no moments.
"""

# ruff: noqa: PLR0917 one signature for all steps, so that one loop can run any of them

from __future__ import annotations

import math
from typing import Any

from foresail.features.kernels._layout import CLOCK, DELAY, LANES, MASK, OUT, RING, WINDOW, C, bar_step

__all__ = ["autocorrelation", "rolling_moments"]

_ROUNDING = 1e-24  # a variance below this share of the mean square is rounding, not variation


@bar_step
def rolling_moments(args: Any, real: Any, work: Any, bar: Any, fresh: Any, count: Any, state: Any, ring: Any) -> None:
    """OUT, OUT + 1 = sample skewness and sample excess kurtosis of A, bias-adjusted; absent where nothing varies."""
    skewness = work[args[OUT], bar]
    kurtosis = work[args[OUT] + 1, bar]
    on = fresh[args[CLOCK]]
    n = count[args[CLOCK]]
    base = args[RING]
    mask = args[MASK]
    window = args[WINDOW]
    size = float(window)
    for lane in range(LANES):
        total = 0.0
        square = 0.0
        for j in range(window):
            x = ring[base + ((n[lane] - window + j) & mask), lane]
            total += x
            square += x * x
        mean = total / size
        two = 0.0
        three = 0.0
        four = 0.0
        for j in range(window):
            x = ring[base + ((n[lane] - window + j) & mask), lane] - mean
            two += x * x
            three += x * x * x
            four += x * x * x * x
        two /= size
        varies = two > _ROUNDING * square / size and two > 0.0
        ready = on[lane] == 1 and n[lane] - args[DELAY] >= window and varies
        skew = three / size / (two * math.sqrt(two)) * math.sqrt(size * (size - 1.0)) / (size - 2.0)
        excess = four / size / (two * two) - 3.0
        excess = ((size + 1.0) * excess + 6.0) * (size - 1.0) / ((size - 2.0) * (size - 3.0))
        skewness[lane] = skew if ready else math.nan
        kurtosis[lane] = excess if ready else math.nan


@bar_step
def autocorrelation(args: Any, real: Any, work: Any, bar: Any, fresh: Any, count: Any, state: Any, ring: Any) -> None:
    """OUT = correlation of A with itself C bars before, over the WINDOW - C pairs within the window."""
    out = work[args[OUT], bar]
    on = fresh[args[CLOCK]]
    n = count[args[CLOCK]]
    base = args[RING]
    mask = args[MASK]
    window = args[WINDOW]
    lag = args[C]
    pairs = float(window - lag)
    for lane in range(LANES):
        first = 0.0
        second = 0.0
        squares = 0.0
        for j in range(window - lag):
            x = ring[base + ((n[lane] - window + j) & mask), lane]
            y = ring[base + ((n[lane] - window + lag + j) & mask), lane]
            first += x
            second += y
            squares += x * x + y * y
        first /= pairs
        second /= pairs
        xx = 0.0
        yy = 0.0
        xy = 0.0
        for j in range(window - lag):
            x = ring[base + ((n[lane] - window + j) & mask), lane] - first
            y = ring[base + ((n[lane] - window + lag + j) & mask), lane] - second
            xx += x * x
            yy += y * y
            xy += x * y
        least = _ROUNDING * squares
        ready = on[lane] == 1 and n[lane] - args[DELAY] >= window and min(xx, yy) > least
        out[lane] = min(max(xy / (math.sqrt(xx) * math.sqrt(yy)), -1.0), 1.0) if ready else math.nan
