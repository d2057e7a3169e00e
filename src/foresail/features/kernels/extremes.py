"""Largest, smallest and deepest fall of the last WINDOW bars of a clock, all memory finite."""

# ruff: noqa: PLR0917 one signature for all steps, so that one loop can run any of them

from __future__ import annotations

import math
from typing import Any

import numpy as np

from foresail.features.kernels._layout import (
    CLOCK,
    DELAY,
    EVEN,
    LANES,
    MASK,
    OUT,
    RING,
    RING2,
    SETTLED,
    STATE,
    WINDOW,
    A,
    bar_step,
    step,
)

__all__ = ["rolling_drawdown", "rolling_extreme"]


@step
def rolling_extreme(
    args: Any, real: Any, work: Any, fresh: Any, count: Any, state: Any, ring: Any, facts: Any, length: Any, size: Any
) -> None:
    """OUT = largest (``real`` = 1) or smallest (-1) A. State: the best since the present block began.

    The values are cut into blocks of WINDOW (van Herk 1992; Gil and Werman 1993): a window is the end of one block and
    the beginning of the next. RING2 holds, for each place in the last full block, the best from there to its end.
    """
    a, out, best, clock, base, mask = args[A], args[OUT], args[STATE], args[CLOCK], args[RING], args[MASK]
    tail = args[RING2]
    window = args[WINDOW]
    delay = args[DELAY]
    for bar in range(length):
        even = facts[bar, clock, EVEN]
        if (even >= 0) & (facts[bar, clock, SETTLED] - delay >= window):
            place = (even - delay - 1) % window
            if place == 0:
                for lane in range(LANES):
                    state[best, lane] = work[a, bar, lane]
            else:
                for lane in range(LANES):
                    x = work[a, bar, lane]
                    held = state[best, lane]
                    state[best, lane] = x if x * real > held * real else held
            if place == window - 1:
                for lane in range(LANES):
                    work[out, bar, lane] = state[best, lane]
                _tails(ring, base, mask, even, window, tail, real)
            else:
                for lane in range(LANES):
                    x = state[best, lane]
                    held = ring[tail + place + 1, lane]
                    work[out, bar, lane] = x if x * real > held * real else held
        else:
            _masked_extreme(
                work, fresh, count, state, ring, bar, clock, (a, out, best), (base, mask, tail), real, (window, delay)
            )


@step
def _tails(ring: Any, base: Any, mask: Any, n: Any, window: Any, tail: Any, real: Any) -> None:
    """Set the tails of the block that ends at count n, the same for all lanes."""
    last = base + ((n - 1) & mask)
    for lane in range(LANES):
        ring[tail + window - 1, lane] = ring[last, lane]
    for j in range(window - 2, -1, -1):
        row = base + ((n - window + j) & mask)
        for lane in range(LANES):
            x = ring[row, lane]
            held = ring[tail + j + 1, lane]
            ring[tail + j, lane] = x if x * real > held * real else held


@step
def _masked_extreme(
    work: Any,
    fresh: Any,
    count: Any,
    state: Any,
    ring: Any,
    bar: Any,
    clock: Any,
    rows: Any,
    slots: Any,
    real: Any,
    lengths: Any,
) -> None:
    """Do one bar of an extreme where lanes differ, each at its own place in its block."""
    a, out, best = rows
    base, mask, tail = slots
    window, delay = lengths
    width = float(window)
    ended = window ^ window
    for lane in range(LANES):
        k = count[bar + 1, clock, lane] - delay
        before = float(k - 1)
        place = before - width * np.floor(before / width)
        due = (fresh[bar, clock, lane] == 1) & (k > 0)
        x = work[a, bar, lane]
        held = state[best, lane]
        now = x if (place == 0.0) | (x * real > held * real) else held
        state[best, lane] = now if due else held
        work[out, bar, lane] = place
        ended |= 1 if due & (place == width - 1.0) else 0
    for lane in range(LANES):
        place = int(work[out, bar, lane]) + 1
        work[out, bar, lane] = ring[tail + place, lane] if place < window else state[best, lane]
    for lane in range(LANES):
        ready = (fresh[bar, clock, lane] == 1) & (count[bar + 1, clock, lane] - delay >= window)
        now = state[best, lane]
        after = work[out, bar, lane]
        either = now if now * real > after * real else after
        work[out, bar, lane] = either if ready else math.nan
    if ended != 0:
        for lane in range(LANES):
            n = count[bar + 1, clock, lane]
            if fresh[bar, clock, lane] == 1 and n > delay and (n - delay) % window == 0:
                held = ring[base + ((n - 1) & mask), lane]
                ring[tail + window - 1, lane] = held
                for j in range(window - 2, -1, -1):
                    x = ring[base + ((n - window + j) & mask), lane]
                    held = x if x * real > held * real else held
                    ring[tail + j, lane] = held


@step
def _search_drawdown(
    ring: Any,
    base: Any,
    mask: Any,
    n: Any,
    lane: Any,
    window: Any,
    low: Any,
    peak: Any,
    peak_age: Any,
    top: Any,
    top_age: Any,
) -> None:
    """Set the state of one lane's drawdown from its full window, oldest value first."""
    deepest = 1.0
    fell_from = 1.0
    age = -math.inf
    summit = 0.0
    summit_age = 0.0
    for j in range(window):
        x = ring[base + ((n - window + j) & mask), lane]
        if x > summit:
            summit = x
            summit_age = window - 1.0 - j
        if x * fell_from < deepest * summit:
            deepest = x
            fell_from = summit
            age = summit_age
    low[lane] = deepest
    peak[lane] = fell_from
    peak_age[lane] = age
    top[lane] = summit
    top_age[lane] = summit_age


@bar_step
def rolling_drawdown(args: Any, real: Any, work: Any, bar: Any, fresh: Any, count: Any, state: Any, ring: Any) -> None:
    """OUT = deepest fall from a peak within the window, a fraction <= 0. A is positive.

    State: low and peak of the deepest fall, age of that peak, highest value, its age. The deepest fall stays while its
    peak is in the window, so only the fall to the newest value is compared; once the peak leaves, all is searched.
    """
    a = work[args[A], bar]
    out = work[args[OUT], bar]
    low = state[args[STATE]]
    peak = state[args[STATE] + 1]
    peak_age = state[args[STATE] + 2]
    top = state[args[STATE] + 3]
    top_age = state[args[STATE] + 4]
    on = fresh[args[CLOCK]]
    n = count[args[CLOCK]]
    base = args[RING]
    mask = args[MASK]
    window = args[WINDOW]
    delay = args[DELAY]
    width = float(window)
    outlived = n[0] ^ n[0]
    for lane in range(LANES):
        due = (on[lane] == 1) & (n[lane] > delay)
        first = n[lane] - delay == 1
        x = a[lane]
        deepest = 1.0 if first else low[lane]
        fell_from = 1.0 if first else peak[lane]
        age = -math.inf if first else peak_age[lane] + 1.0  # no fall yet: nothing to outlive
        higher = first | (x > top[lane])
        summit = x if higher else top[lane]
        summit_age = 0.0 if higher else top_age[lane] + 1.0
        deeper = x * fell_from < deepest * summit  # x / summit < deepest / fell_from without a division
        age = summit_age if deeper else age
        low[lane] = (x if deeper else deepest) if due else low[lane]
        peak[lane] = (summit if deeper else fell_from) if due else peak[lane]
        peak_age[lane] = age if due else peak_age[lane]
        top[lane] = summit if due else top[lane]
        top_age[lane] = summit_age if due else top_age[lane]
        outlived |= 1 if due & ((age >= width) | (summit_age >= width)) else 0
    if outlived != 0:
        for lane in range(LANES):
            if on[lane] == 1 and n[lane] > delay and (peak_age[lane] >= width or top_age[lane] >= width):
                _search_drawdown(ring, base, mask, n[lane], lane, window, low, peak, peak_age, top, top_age)
    for lane in range(LANES):
        fall = low[lane] / peak[lane] - 1.0
        out[lane] = fall if (on[lane] == 1) & (n[lane] - delay >= window) else math.nan
