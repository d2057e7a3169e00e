"""Steps of single indicators: directional movement, sums without end or over a day, mean deviation, slopes, signs."""

# ruff: noqa: PLR0917 one signature for all steps, so that one loop can run any of them

from __future__ import annotations

import math
from typing import Any

from foresail.features.kernels._layout import (
    CLOCK,
    DELAY,
    LANES,
    MASK,
    OUT,
    RING,
    SETTLED,
    STATE,
    WINDOW,
    A,
    B,
    C,
    bar_step,
    step,
)

__all__ = ["day_sum", "directional_move", "mean_deviation", "running_sum", "sign_of", "slope", "wilder_sum"]

_HOURS = 24


@step
def directional_move(
    args: Any, real: Any, work: Any, fresh: Any, count: Any, state: Any, ring: Any, facts: Any, length: Any, size: Any
) -> None:
    """OUT = how far the high A rose, OUT + 1 = how far the low B fell, the smaller of both as 0. State: high, low."""
    high, low, up, clock = args[A], args[B], args[OUT], args[CLOCK]
    last = args[STATE]
    down = up + 1
    delay = args[DELAY]
    for bar in range(length):
        for lane in range(LANES):
            rise = work[high, bar, lane] - state[last, lane]
            fall = state[last + 1, lane] - work[low, bar, lane]
            work[up, bar, lane] = rise if (rise > 0.0) & (rise > fall) else 0.0
            work[down, bar, lane] = fall if (fall > 0.0) & (fall > rise) else 0.0
        for lane in range(LANES):
            here = fresh[bar, clock, lane] == 1
            ready = here & (count[bar + 1, clock, lane] - delay >= 2)
            risen = work[up, bar, lane]
            fallen = work[down, bar, lane]
            work[up, bar, lane] = risen if ready else math.nan
            work[down, bar, lane] = fallen if ready else math.nan
        for lane in range(LANES):
            here = fresh[bar, clock, lane] == 1
            h = work[high, bar, lane]
            b = work[low, bar, lane]
            before_h = state[last, lane]
            before_b = state[last + 1, lane]
            state[last, lane] = h if here else before_h
            state[last + 1, lane] = b if here else before_b


@step
def wilder_sum(
    args: Any, real: Any, work: Any, fresh: Any, count: Any, state: Any, ring: Any, facts: Any, length: Any, size: Any
) -> None:
    """OUT = Wilder sum of A: the sum so far less a WINDOW-th of it, plus A. State: its value.

    It begins as the plain sum of the first WINDOW - 1 values, as directional movement defines it.
    """
    a, out, value, clock = args[A], args[OUT], args[STATE], args[CLOCK]
    window = args[WINDOW]
    delay = args[DELAY]
    width = float(window)
    for bar in range(length):
        if facts[bar, clock, SETTLED] - delay >= window:
            for lane in range(LANES):
                before = state[value, lane]
                now = before - before / width + work[a, bar, lane]
                state[value, lane] = now
                work[out, bar, lane] = now
        else:
            for lane in range(LANES):
                k = count[bar + 1, clock, lane] - delay
                here = fresh[bar, clock, lane] == 1
                x = work[a, bar, lane]
                before = state[value, lane]
                grown = (before if k > 1 else 0.0) + x
                slid = before - before / width + x
                moved = slid if k >= window else grown
                now = moved if here & (k > 0) else before
                state[value, lane] = now
                work[out, bar, lane] = now if here & (k >= window) else math.nan


@step
def running_sum(
    args: Any, real: Any, work: Any, fresh: Any, count: Any, state: Any, ring: Any, facts: Any, length: Any, size: Any
) -> None:
    """OUT = sum of A over all bars so far. State: its value."""
    a, out, value, clock = args[A], args[OUT], args[STATE], args[CLOCK]
    delay = args[DELAY]
    for bar in range(length):
        for lane in range(LANES):
            here = (fresh[bar, clock, lane] == 1) & (count[bar + 1, clock, lane] > delay)
            before = state[value, lane]
            after = before + work[a, bar, lane]
            now = after if here else before
            state[value, lane] = now
            work[out, bar, lane] = now if here else math.nan


@bar_step
def day_sum(args: Any, real: Any, work: Any, bar: Any, fresh: Any, count: Any, state: Any, ring: Any) -> None:
    """OUT = sum of A over the 24 hours before hour C, where B is the hour in which the bar starts.

    The hours are the unit: the present one so far and the 23 before it; a bar always counts itself. State: begun,
    first hour; then for each hour of the day the number of the hour it stands for and its sum.
    """
    a = work[args[A], bar]
    begins = work[args[B], bar]
    ends = work[args[C], bar]
    out = work[args[OUT], bar]
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


@bar_step
def mean_deviation(args: Any, real: Any, work: Any, bar: Any, fresh: Any, count: Any, state: Any, ring: Any) -> None:
    """OUT = mean of A over the window, OUT + 1 = mean distance from it; both made anew at each bar."""
    middle = work[args[OUT], bar]
    apart = work[args[OUT] + 1, bar]
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


@bar_step
def slope(args: Any, real: Any, work: Any, bar: Any, fresh: Any, count: Any, state: Any, ring: Any) -> None:
    """OUT = least-squares slope of A over the window, per bar."""
    out = work[args[OUT], bar]
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
def sign_of(
    args: Any, real: Any, work: Any, fresh: Any, count: Any, state: Any, ring: Any, facts: Any, length: Any, size: Any
) -> None:
    """OUT = 1, 0 or -1 as A is above, at or below zero; absent stays absent."""
    a, out = args[A], args[OUT]
    for bar in range(length):
        for lane in range(LANES):
            x = work[a, bar, lane]
            up = 1.0 if x > 0.0 else 0.0
            down = 1.0 if x < 0.0 else 0.0
            work[out, bar, lane] = up - down if x == x else math.nan  # noqa: PLR0124 x is not NaN
