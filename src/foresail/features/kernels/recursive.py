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
    weight = 2.0 / (window + 1.0)
    for lane in range(LANES):
        k = n[lane] - delay
        grown = (value[lane] if k > 1 else 0.0) + a[lane]
        seeded = grown / window if k == window else grown
        moved = value[lane] + weight * (a[lane] - value[lane]) if k > window else seeded
        value[lane] = moved if on[lane] == 1 and k > 0 else value[lane]
        out[lane] = value[lane] if on[lane] == 1 and k >= window else math.nan


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
    for lane in range(LANES):
        k = n[lane] - delay
        grown = (value[lane] if k > 1 else 0.0) + a[lane]
        seeded = grown / window if k == window else grown
        moved = (value[lane] * (window - 1.0) + a[lane]) / window if k > window else seeded
        value[lane] = moved if on[lane] == 1 and k > 0 else value[lane]
        out[lane] = value[lane] if on[lane] == 1 and k >= window else math.nan
