"""Codes, confirmed pivots, tests of levels, candles and the opening range.

A pivot is known only when the bars after it are: the step writes a level at the bar that confirms it, never before.
"""

# ruff: noqa: PLR0917 one signature for all steps, so that one loop can run any of them

from __future__ import annotations

import math
from typing import Any

from foresail.features.kernels._layout import (
    CLOCK,
    LANES,
    MASK,
    OUT,
    RING,
    STATE,
    WINDOW,
    A,
    B,
    C,
    bar_step,
)

__all__ = [
    "candle",
    "exponential",
    "first_of",
    "larger",
    "level_tests",
    "opening_range",
    "pivot",
    "reaches",
    "trend_state",
]

_FIRST = 1e30  # distance of the first pivot from the one before, which there is not


@bar_step
def reaches(args: Any, real: Any, work: Any, bar: Any, fresh: Any, count: Any, state: Any, ring: Any) -> None:
    """OUT = 1 where A >= ``real``, else 0."""
    for lane in range(LANES):
        a = work[args[A], bar, lane]
        work[args[OUT], bar, lane] = (1.0 if a >= real else 0.0) if a == a else math.nan  # noqa: PLR0124 not NaN


@bar_step
def exponential(args: Any, real: Any, work: Any, bar: Any, fresh: Any, count: Any, state: Any, ring: Any) -> None:
    """OUT = A * exp(B)."""
    for lane in range(LANES):
        work[args[OUT], bar, lane] = work[args[A], bar, lane] * math.exp(work[args[B], bar, lane])


@bar_step
def larger(args: Any, real: Any, work: Any, bar: Any, fresh: Any, count: Any, state: Any, ring: Any) -> None:
    """OUT = the larger of A and B; where one is absent, the other."""
    for lane in range(LANES):
        a = work[args[A], bar, lane]
        b = work[args[B], bar, lane]
        work[args[OUT], bar, lane] = a if a >= b or b != b else b  # noqa: PLR0124 b is NaN


@bar_step
def first_of(args: Any, real: Any, work: Any, bar: Any, fresh: Any, count: Any, state: Any, ring: Any) -> None:
    """OUT = A unless it is 0, else B."""
    for lane in range(LANES):
        a = work[args[A], bar, lane]
        work[args[OUT], bar, lane] = work[args[B], bar, lane] if a == 0.0 else a


@bar_step
def trend_state(args: Any, real: Any, work: Any, bar: Any, fresh: Any, count: Any, state: Any, ring: Any) -> None:
    """OUT = 2, 1, 0, -1, -2 for close A, its mean B and that mean some bars ago, C (RGM-03)."""
    for lane in range(LANES):
        a = work[args[A], bar, lane]
        b = work[args[B], bar, lane]
        c = work[args[C], bar, lane]
        up = (1.0 if a > b else 0.0) + (1.0 if a > b > c else 0.0)
        down = (1.0 if a < b else 0.0) + (1.0 if a < b < c else 0.0)
        known = a == a and b == b and c == c  # noqa: PLR0124 none is NaN
        work[args[OUT], bar, lane] = up - down if known else math.nan


@bar_step
def pivot(args: Any, real: Any, work: Any, bar: Any, fresh: Any, count: Any, state: Any, ring: Any) -> None:
    """OUT = last confirmed swing high (``real`` = 1, A = high) or low (-1, low) with WINDOW bars on each side.

    OUT + 1 = distance from the swing before on the bar that confirms one, else 0. Of equal extremes the first
    counts. State: the level, 0 before the first.
    """
    level = work[args[OUT], bar]
    moved = work[args[OUT] + 1, bar]
    held = state[args[STATE]]
    on = fresh[args[CLOCK]]
    n = count[args[CLOCK]]
    base = args[RING]
    mask = args[MASK]
    side = args[WINDOW]
    for lane in range(LANES):
        middle = ring[base + ((n[lane] - 1 - side) & mask), lane]
        swing = on[lane] == 1 and n[lane] > 2 * side
        for j in range(1, side + 1):
            after = ring[base + ((n[lane] - 1 - side + j) & mask), lane]
            before = ring[base + ((n[lane] - 1 - side - j) & mask), lane]
            swing = swing and real * middle >= real * after and real * middle > real * before
        distance = abs(middle - held[lane]) if held[lane] > 0.0 else _FIRST
        held[lane] = middle if swing else held[lane]
        known = on[lane] == 1 and held[lane] > 0.0
        level[lane] = held[lane] if known else math.nan
        moved[lane] = (distance if swing else 0.0) if known else math.nan


@bar_step
def level_tests(args: Any, real: Any, work: Any, bar: Any, fresh: Any, count: Any, state: Any, ring: Any) -> None:
    """OUT = touches of a level without a break, from reach A, close B beyond it and its shift C, in true ranges.

    A touch reaches within ``real`` of the level; bars in a row are one touch. A close more than ``real`` beyond
    breaks it: 0 until the next pivot. A pivot further than ``real`` from the last one is a new level with one touch,
    itself. State: touches, whether the last bar touched, whether it is broken.
    """
    out = work[args[OUT], bar]
    touches = state[args[STATE]]
    touching = state[args[STATE] + 1]
    broken = state[args[STATE] + 2]
    on = fresh[args[CLOCK]]
    for lane in range(LANES):
        reach = work[args[A], bar, lane]
        beyond = work[args[B], bar, lane]
        shift = work[args[C], bar, lane]
        apart = reach - beyond - shift  # NaN where one of them is
        known = on[lane] == 1 and apart == apart  # noqa: PLR0124 not NaN
        anew = shift > real or (shift > 0.0 and broken[lane] > 0.0)
        if known:
            touches[lane] = 1.0 if anew else touches[lane]
            broken[lane] = 0.0 if anew else broken[lane]
            breaks = beyond > real
            near = reach >= -real and not breaks
            fresh_touch = near and touching[lane] == 0.0 and broken[lane] == 0.0 and touches[lane] > 0.0
            touches[lane] = touches[lane] + 1.0 if fresh_touch else touches[lane]
            touching[lane] = 1.0 if near else 0.0
            broken[lane] = 1.0 if breaks else broken[lane]
            touches[lane] = 0.0 if breaks else touches[lane]
        out[lane] = touches[lane] if known else math.nan


@bar_step
def candle(args: Any, real: Any, work: Any, bar: Any, fresh: Any, count: Any, state: Any, ring: Any) -> None:
    """OUT, OUT + 1 = pin bar and engulfing, +1 bullish, -1 bearish, from the rows open, high, low, close at A.

    A pin bar has one shadow of at least ``real`` bodies, longer than the other. An engulfing body covers the
    opposite body of the bar before and is larger; a bar without a body counts as white. State: open and close before.
    """
    pin = work[args[OUT], bar]
    engulfing = work[args[OUT] + 1, bar]
    open_before = state[args[STATE]]
    close_before = state[args[STATE] + 1]
    on = fresh[args[CLOCK]]
    n = count[args[CLOCK]]
    for lane in range(LANES):
        start = work[args[A], bar, lane]
        end = work[args[A] + 3, bar, lane]
        body = abs(end - start)
        upper = work[args[A] + 1, bar, lane] - max(start, end)
        lower = min(start, end) - work[args[A] + 2, bar, lane]
        bull = lower > upper and lower >= real * body
        bear = upper > lower and upper >= real * body
        here = on[lane] == 1 and n[lane] > 1
        pin[lane] = (1.0 if bull else (-1.0 if bear else 0.0)) if here else math.nan
        first = open_before[lane]
        last = close_before[lane]
        covers = max(start, end) >= max(first, last) and min(start, end) <= min(first, last)
        covers = covers and body > abs(last - first)
        up = covers and end > start and last < first
        down = covers and end < start and last >= first
        engulfing[lane] = (1.0 if up else (-1.0 if down else 0.0)) if here else math.nan
        open_before[lane] = start if on[lane] == 1 else first
        close_before[lane] = end if on[lane] == 1 else last


@bar_step
def opening_range(args: Any, real: Any, work: Any, bar: Any, fresh: Any, count: Any, state: Any, ring: Any) -> None:
    """OUT, OUT + 1 = highest high and lowest low of the session's first ``real`` minutes, once they are over.

    A = high, with low in the next row; B = minutes from the open to the bar's start, C = day of the month, which
    tells sessions apart. Absent in the opening itself, outside sessions and where its bars are missing. State: high,
    low (0 = none), last minutes, day.
    """
    highest = work[args[OUT], bar]
    lowest = work[args[OUT] + 1, bar]
    s = args[STATE]
    on = fresh[args[CLOCK]]
    for lane in range(LANES):
        high = work[args[A], bar, lane]
        low = work[args[A] + 1, bar, lane]
        minutes = work[args[B], bar, lane]
        day = work[args[C], bar, lane]
        known = on[lane] == 1 and minutes >= 0.0 and day == day  # noqa: PLR0124 not NaN
        if known:
            if day != state[s + 3, lane] or minutes <= state[s + 2, lane]:
                state[s, lane] = 0.0
                state[s + 1, lane] = 0.0
            if minutes < real:
                state[s, lane] = max(high, state[s, lane])
                state[s + 1, lane] = min(low, state[s + 1, lane]) if state[s + 1, lane] > 0.0 else low
            state[s + 2, lane] = minutes
            state[s + 3, lane] = day
        over = known and minutes >= real and state[s, lane] > 0.0
        highest[lane] = state[s, lane] if over else math.nan
        lowest[lane] = state[s + 1, lane] if over else math.nan
