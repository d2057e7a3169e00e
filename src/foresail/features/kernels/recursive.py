"""Recursive steps: their memory fades but never ends, so they fold from the first stored bar.

Both averages are seeded with the simple mean of the first WINDOW values (FEAT-13).
"""

# ruff: noqa: PLR0917 one signature for all steps, so that one loop can run any of them

from __future__ import annotations

import math
from typing import Any

from foresail.features.kernels._layout import CLOCK, DELAY, LANES, OUT, STATE, WINDOW, A, step

__all__ = ["ema", "wilder"]


@step
def ema(args: Any, real: Any, work: Any, fresh: Any, count: Any, state: Any, ring: Any) -> None:
    """OUT = exponential mean of A with weight 2 / (WINDOW + 1). State: its value."""
    a = work[args[A]]
    out = work[args[OUT]]
    value = state[args[STATE]]
    on = fresh[args[CLOCK]]
    n = count[args[CLOCK]]
    window = args[WINDOW]
    delay = args[DELAY]
    width = float(window)
    weight = 2.0 / (window + 1.0)
    for lane in range(LANES):
        k = n[lane] - delay
        here = on[lane] == 1
        x = a[lane]
        before = value[lane]
        grown = (before if k > 1 else 0.0) + x
        share = grown / width
        seeded = share if k == window else grown
        slid = before + weight * (x - before)
        moved = slid if k > window else seeded
        now = moved if here & (k > 0) else before
        value[lane] = now
        out[lane] = now if here & (k >= window) else math.nan


@step
def wilder(args: Any, real: Any, work: Any, fresh: Any, count: Any, state: Any, ring: Any) -> None:
    """OUT = Wilder mean of A: (value * (WINDOW - 1) + A) / WINDOW. State: its value."""
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
        share = grown / width
        seeded = share if k == window else grown
        slid = (before * (width - 1.0) + x) / width
        moved = slid if k > window else seeded
        now = moved if here & (k > 0) else before
        value[lane] = now
        out[lane] = now if here & (k >= window) else math.nan
