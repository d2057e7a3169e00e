"""Recursive spans: their memory fades but never ends, so they fold from the first stored bar.

Both averages are seeded with the simple mean of the first WINDOW values (FEAT-13).
"""

# ruff: noqa: PLR0917 one signature for all spans, so that one loop can run any of them

from __future__ import annotations

import math
from typing import Any

from foresail.features.kernels._layout import CLOCK, DELAY, LANES, OUT, SETTLED, STATE, WINDOW, A, step

__all__ = ["ema", "wilder"]


@step
def ema(
    args: Any, real: Any, work: Any, fresh: Any, count: Any, state: Any, ring: Any, facts: Any, length: Any, size: Any
) -> None:
    """OUT = exponential mean of A with weight 2 / (WINDOW + 1). State: its value."""
    a, out, value, clock = args[A], args[OUT], args[STATE], args[CLOCK]
    window = args[WINDOW]
    delay = args[DELAY]
    width = float(window)
    weight = 2.0 / (window + 1.0)
    for bar in range(length):
        if facts[bar, clock, SETTLED] - delay > window:
            for lane in range(LANES):
                before = state[value, lane]
                now = before + weight * (work[a, bar, lane] - before)
                state[value, lane] = now
                work[out, bar, lane] = now
        else:
            for lane in range(LANES):
                k = count[bar + 1, clock, lane] - delay
                here = fresh[bar, clock, lane] == 1
                x = work[a, bar, lane]
                before = state[value, lane]
                grown = (before if k > 1 else 0.0) + x
                share = grown / width
                seeded = share if k == window else grown
                slid = before + weight * (x - before)
                moved = slid if k > window else seeded
                now = moved if here & (k > 0) else before
                state[value, lane] = now
                work[out, bar, lane] = now if here & (k >= window) else math.nan


@step
def wilder(
    args: Any, real: Any, work: Any, fresh: Any, count: Any, state: Any, ring: Any, facts: Any, length: Any, size: Any
) -> None:
    """OUT = Wilder mean of A: (value * (WINDOW - 1) + A) / WINDOW. State: its value."""
    a, out, value, clock = args[A], args[OUT], args[STATE], args[CLOCK]
    window = args[WINDOW]
    delay = args[DELAY]
    width = float(window)
    for bar in range(length):
        if facts[bar, clock, SETTLED] - delay > window:
            for lane in range(LANES):
                now = (state[value, lane] * (width - 1.0) + work[a, bar, lane]) / width
                state[value, lane] = now
                work[out, bar, lane] = now
        else:
            for lane in range(LANES):
                k = count[bar + 1, clock, lane] - delay
                here = fresh[bar, clock, lane] == 1
                x = work[a, bar, lane]
                before = state[value, lane]
                grown = (before if k > 1 else 0.0) + x
                share = grown / width
                seeded = share if k == window else grown
                slid = (before * (width - 1.0) + x) / width
                moved = slid if k > window else seeded
                now = moved if here & (k > 0) else before
                state[value, lane] = now
                work[out, bar, lane] = now if here & (k >= window) else math.nan
