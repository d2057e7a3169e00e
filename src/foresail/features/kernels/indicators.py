"""Steps of single indicators: directional movement, sums without end or over a day, mean deviation, slopes, signs."""

# ruff: noqa: PLR0917 one signature for all steps, so that one loop can run any of them

from __future__ import annotations

import math
from typing import Any

from foresail.features.kernels._layout import CLOCK, DELAY, LANES, MASK, OUT, RING, STATE, WINDOW, A, B, C, step

__all__ = ["day_sum", "directional_move", "mean_deviation", "running_sum", "sign_of", "slope", "wilder_sum"]

_HOURS = 24


@step
def directional_move(args: Any, real: Any, work: Any, fresh: Any, count: Any, state: Any, ring: Any) -> None:
    """OUT = how far the high A rose, OUT + 1 = how far the low B fell, the smaller of both as 0. State: high, low."""
    high = work[args[A]]
    low = work[args[B]]
    up = work[args[OUT]]
    down = work[args[OUT] + 1]
    last_high = state[args[STATE]]
    last_low = state[args[STATE] + 1]
    on = fresh[args[CLOCK]]
    n = count[args[CLOCK]]
    delay = args[DELAY]
    for lane in range(LANES):
        here = on[lane] == 1
        h = high[lane]
        b = low[lane]
        before_h = last_high[lane]
        before_b = last_low[lane]
        rise = h - before_h
        fall = before_b - b
        ready = here & (n[lane] - delay >= 2)
        risen = rise if (rise > 0.0) & (rise > fall) else 0.0
        fallen = fall if (fall > 0.0) & (fall > rise) else 0.0
        up[lane] = risen if ready else math.nan
        down[lane] = fallen if ready else math.nan
        last_high[lane] = h if here else before_h
        last_low[lane] = b if here else before_b


@step
def wilder_sum(args: Any, real: Any, work: Any, fresh: Any, count: Any, state: Any, ring: Any) -> None:
    """OUT = Wilder sum of A: the sum so far less a WINDOW-th of it, plus A. State: its value.

    It begins as the plain sum of the first WINDOW - 1 values, as directional movement defines it.
    """
    a = work[args[A]]
    out = work[args[OUT]]
    value = state[args[STATE]]
    on = fresh[args[CLOCK]]
    n = count[args[CLOCK]]
    window = args[WINDOW]
    delay = args[DELAY]
    width = float(window)
    for lane in range(LANES):
        k = n[lane] - delay
        here = on[lane] == 1
        x = a[lane]
        before = value[lane]
        grown = (before if k > 1 else 0.0) + x
        slid = before - before / width + x
        moved = slid if k >= window else grown
        now = moved if here & (k > 0) else before
        value[lane] = now
        out[lane] = now if here & (k >= window) else math.nan


@step
def running_sum(args: Any, real: Any, work: Any, fresh: Any, count: Any, state: Any, ring: Any) -> None:
    """OUT = sum of A over all bars so far. State: its value."""
    a = work[args[A]]
    out = work[args[OUT]]
    value = state[args[STATE]]
    on = fresh[args[CLOCK]]
    n = count[args[CLOCK]]
    delay = args[DELAY]
    for lane in range(LANES):
        here = (on[lane] == 1) & (n[lane] > delay)
        before = value[lane]
        now = before + a[lane] if here else before
        value[lane] = now
        out[lane] = now if here else math.nan


@step
def day_sum(args: Any, real: Any, work: Any, fresh: Any, count: Any, state: Any, ring: Any) -> None:
    """OUT = sum of A over the 24 hours before hour C, where B is the hour in which the bar starts.

    The hours are the unit: the present one so far and the 23 before it; a bar always counts itself. State: begun,
    first hour; then for each hour of the day the number of the hour it stands for and its sum.
    """
    a = work[args[A]]
    begins = work[args[B]]
    ends = work[args[C]]
    out = work[args[OUT]]
    base = args[STATE]
    on = fresh[args[CLOCK]]
    numbers = base + 2
    sums = numbers + _HOURS
    for lane in range(LANES):
        value = math.nan
        if on[lane] == 1 and abs(begins[lane]) < math.inf and abs(ends[lane]) < math.inf:
            hour = begins[lane]
            slot = int(hour) % _HOURS
            state[base + 1, lane] = state[base + 1, lane] if state[base, lane] > 0.0 else hour
            state[base, lane] = 1.0
            so_far = state[sums + slot, lane] if state[numbers + slot, lane] == hour else 0.0
            state[numbers + slot, lane] = hour
            state[sums + slot, lane] = so_far + a[lane]
            oldest = ends[lane] - _HOURS
            total = 0.0
            for j in range(_HOURS):
                within = state[numbers + j, lane] >= oldest or j == slot
                total += state[sums + j, lane] if within else 0.0
            value = total if state[base + 1, lane] <= oldest else math.nan
        out[lane] = value


@step
def mean_deviation(args: Any, real: Any, work: Any, fresh: Any, count: Any, state: Any, ring: Any) -> None:
    """OUT = mean of A over the window, OUT + 1 = mean distance from it; both made anew at each bar."""
    middle = work[args[OUT]]
    apart = work[args[OUT] + 1]
    on = fresh[args[CLOCK]]
    n = count[args[CLOCK]]
    base = args[RING]
    mask = args[MASK]
    window = args[WINDOW]
    delay = args[DELAY]
    width = float(window)
    for lane in range(LANES):
        mean = math.nan
        spread = math.nan
        if (on[lane] == 1) & (n[lane] - delay >= window):
            mean = 0.0
            for j in range(window):
                mean += ring[base + ((n[lane] - window + j) & mask), lane]
            mean /= width
            spread = 0.0
            for j in range(window):
                spread += abs(ring[base + ((n[lane] - window + j) & mask), lane] - mean)
            spread /= width
        middle[lane] = mean
        apart[lane] = spread


@step
def slope(args: Any, real: Any, work: Any, fresh: Any, count: Any, state: Any, ring: Any) -> None:
    """OUT = least-squares slope of A over the window, per bar."""
    out = work[args[OUT]]
    on = fresh[args[CLOCK]]
    n = count[args[CLOCK]]
    base = args[RING]
    mask = args[MASK]
    window = args[WINDOW]
    delay = args[DELAY]
    centre = (window - 1) / 2.0
    scale = window * (window * window - 1.0) / 12.0
    for lane in range(LANES):
        value = math.nan
        if (on[lane] == 1) & (n[lane] - delay >= window):
            first = ring[base + ((n[lane] - window) & mask), lane]
            total = 0.0
            for j in range(window):
                total += (j - centre) * (ring[base + ((n[lane] - window + j) & mask), lane] - first)
            value = total / scale
        out[lane] = value


@step
def sign_of(args: Any, real: Any, work: Any, fresh: Any, count: Any, state: Any, ring: Any) -> None:
    """OUT = 1, 0 or -1 as A is above, at or below zero; absent stays absent."""
    a = work[args[A]]
    out = work[args[OUT]]
    for lane in range(LANES):
        x = a[lane]
        up = 1.0 if x > 0.0 else 0.0
        down = 1.0 if x < 0.0 else 0.0
        out[lane] = up - down if x == x else math.nan  # noqa: PLR0124 x is not NaN
