"""Steps that turn a stored bar into clean, forward-adjusted rows and simple one-bar quantities.

A price counts only between 1e-60 and 1e60 and a volume up to 1e60: a wild value is treated as absent, so no sum or
recursion can overflow and stay broken.
"""

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
    STATE,
    WINDOW,
    A,
    B,
    C,
    fetch,
    level,
    step,
)

__all__ = ["adjust", "flow_up_down", "join", "lag", "log_change", "push", "signed_volume", "true_range", "up_down"]

_SMALLEST = 1e-60
_LARGEST = 1e60


@step
def adjust(args: Any, real: Any, work: Any, fresh: Any, count: Any, state: Any, ring: Any) -> None:
    """Read the raw rows A.. (open, high, low, close, volume, split, total_factor, present) and set clocks 0 to 5.

    Writes open, high, low, close (forward-adjusted) and volume (in units of the first bar) to OUT... State: last
    total factor, product of splits. A split acts on volume only if the total factor carries it, that is, if prices
    are raw.
    """
    raw = args[A]
    out = args[OUT]
    s = args[STATE]
    for lane in range(LANES):
        here = work[raw + 7, lane] > 0.0
        close = work[raw + 3, lane]
        begun = count[0, lane] > 0
        last_factor = state[s, lane] if begun else 1.0
        split_product = state[s + 1, lane] if begun else 1.0
        factor = work[raw + 6, lane]
        factor = factor if _SMALLEST < factor < _LARGEST else last_factor
        split = work[raw + 5, lane]
        split = split if _SMALLEST < split < _LARGEST else 1.0
        jump = factor / last_factor
        carried = begun and jump * jump > split if split > 1.0 else begun and jump * jump < split
        split_product = split_product * split if carried else split_product
        split_product = split_product if _SMALLEST < split_product < _LARGEST else 1.0
        close = close * factor
        priced = here and _SMALLEST < close < _LARGEST
        high = work[raw + 1, lane] * factor
        low = work[raw + 2, lane] * factor
        opening = work[raw, lane] * factor
        volume = work[raw + 4, lane] / split_product
        ranged = priced and _SMALLEST < low <= high < _LARGEST
        opened = ranged and _SMALLEST < opening < _LARGEST
        counted = priced and 0.0 <= volume < _LARGEST
        work[out, lane] = opening if opened else math.nan
        work[out + 1, lane] = high if ranged else math.nan
        work[out + 2, lane] = low if ranged else math.nan
        work[out + 3, lane] = close if priced else math.nan
        work[out + 4, lane] = volume if counted else math.nan
        state[s, lane] = factor if priced else last_factor
        state[s + 1, lane] = split_product if priced else state[s + 1, lane]
        fresh[0, lane] = 1 if priced else 0
        fresh[1, lane] = 1 if ranged else 0
        fresh[2, lane] = 1 if opened else 0
        fresh[3, lane] = 1 if counted else 0
        fresh[4, lane] = 1 if counted and volume > 0.0 else 0
        fresh[5, lane] = 1 if counted and ranged else 0
    for clock in range(6):
        for lane in range(LANES):
            count[clock, lane] += fresh[clock, lane]


@step
def join(args: Any, real: Any, work: Any, fresh: Any, count: Any, state: Any, ring: Any) -> None:
    """Set clock OUT: it counts where clock CLOCK does and the rows A and B are numbers."""
    a = work[args[A]]
    b = work[args[B]]
    base = fresh[args[CLOCK]]
    mine = fresh[args[OUT]]
    n = count[args[OUT]]
    for lane in range(LANES):
        x = a[lane]
        y = b[lane]
        here = (base[lane] == 1) & (x == x) & (y == y)  # noqa: PLR0124 numbers, not NaN
        mine[lane] = 1 if here else 0
        n[lane] += 1 if here else 0


@step
def push(args: Any, real: Any, work: Any, fresh: Any, count: Any, state: Any, ring: Any) -> None:
    """Remember row A in its ring; nothing is written before the row is defined, so those slots stay zero."""
    a = work[args[A]]
    on = fresh[args[CLOCK]]
    n = count[args[CLOCK]]
    base = args[RING]
    mask = args[MASK]
    delay = args[DELAY]
    if level(n):
        row = base + ((n[0] - 1) & mask)
        for lane in range(LANES):
            old = ring[row, lane]
            x = a[lane]
            ring[row, lane] = x if (on[lane] == 1) & (n[lane] > delay) else old
    else:
        for lane in range(LANES):
            row = base + ((n[lane] - 1) & mask)
            old = ring[row, lane]
            x = a[lane]
            ring[row, lane] = x if (on[lane] == 1) & (n[lane] > delay) else old


@step
def log_change(args: Any, real: Any, work: Any, fresh: Any, count: Any, state: Any, ring: Any) -> None:
    """OUT = ln(A / A[WINDOW bars ago]), or, with C >= 0, ln(A[C bars ago] / A[WINDOW bars ago])."""
    a = work[args[A]]
    out = work[args[OUT]]
    on = fresh[args[CLOCK]]
    n = count[args[CLOCK]]
    base = args[RING]
    mask = args[MASK]
    lag = args[WINDOW]
    skip = args[C]
    delay = args[DELAY]
    fetch(ring, base, mask, n, 1 + lag, out)
    if skip >= 0:
        for lane in range(LANES):
            newer = ring[base + ((n[lane] - 1 - skip) & mask), lane]
            out[lane] = newer / out[lane]
    else:
        for lane in range(LANES):
            out[lane] = a[lane] / out[lane]
    for lane in range(LANES):
        out[lane] = math.log(out[lane]) if on[lane] == 1 and n[lane] - delay > lag else math.nan


@step
def lag(args: Any, real: Any, work: Any, fresh: Any, count: Any, state: Any, ring: Any) -> None:
    """OUT = A WINDOW bars ago."""
    out = work[args[OUT]]
    on = fresh[args[CLOCK]]
    n = count[args[CLOCK]]
    delay = args[DELAY]
    window = args[WINDOW]
    fetch(ring, args[RING], args[MASK], n, 1 + window, out)
    for lane in range(LANES):
        x = out[lane]
        out[lane] = x if (on[lane] == 1) & (n[lane] - delay > window) else math.nan


@step
def true_range(args: Any, real: Any, work: Any, fresh: Any, count: Any, state: Any, ring: Any) -> None:
    """OUT = true range of high A, low B, close C; defined from the second bar. State: previous close."""
    high = work[args[A]]
    low = work[args[B]]
    close = work[args[C]]
    out = work[args[OUT]]
    before = state[args[STATE]]
    on = fresh[args[CLOCK]]
    n = count[args[CLOCK]]
    for lane in range(LANES):
        here = on[lane] == 1
        top = high[lane]
        bottom = low[lane]
        last = close[lane]
        was = before[lane]
        span = top - bottom
        up = abs(top - was)
        down = abs(bottom - was)
        widest = up if up > span else span
        widest = down if down > widest else widest
        out[lane] = widest if here & (n[lane] > 1) else math.nan
        before[lane] = last if here else was


@step
def up_down(args: Any, real: Any, work: Any, fresh: Any, count: Any, state: Any, ring: Any) -> None:
    """OUT, OUT + 1 = rise and fall of A since the bar before, both >= 0. State: previous value."""
    a = work[args[A]]
    up = work[args[OUT]]
    down = work[args[OUT] + 1]
    before = state[args[STATE]]
    on = fresh[args[CLOCK]]
    n = count[args[CLOCK]]
    for lane in range(LANES):
        here = on[lane] == 1
        x = a[lane]
        was = before[lane]
        move = x - was
        ready = here & (n[lane] > 1)
        rise = move if move > 0.0 else 0.0
        fall = -move if move < 0.0 else 0.0
        up[lane] = rise if ready else math.nan
        down[lane] = fall if ready else math.nan
        before[lane] = x if here else was


@step
def flow_up_down(args: Any, real: Any, work: Any, fresh: Any, count: Any, state: Any, ring: Any) -> None:
    """OUT, OUT + 1 = A * B on bars where A rose, and where it fell (money flow). State: previous A."""
    a = work[args[A]]
    b = work[args[B]]
    up = work[args[OUT]]
    down = work[args[OUT] + 1]
    before = state[args[STATE]]
    on = fresh[args[CLOCK]]
    n = count[args[CLOCK]]
    for lane in range(LANES):
        here = on[lane] == 1
        x = a[lane]
        was = before[lane]
        flow = x * b[lane]
        ready = here & (n[lane] > 1)
        rise = flow if x > was else 0.0
        fall = flow if x < was else 0.0
        up[lane] = rise if ready else math.nan
        down[lane] = fall if ready else math.nan
        before[lane] = x if here else was


@step
def signed_volume(args: Any, real: Any, work: Any, fresh: Any, count: Any, state: Any, ring: Any) -> None:
    """OUT = volume B with the sign of the change of A since the bar before. State: previous A."""
    a = work[args[A]]
    b = work[args[B]]
    out = work[args[OUT]]
    before = state[args[STATE]]
    on = fresh[args[CLOCK]]
    n = count[args[CLOCK]]
    for lane in range(LANES):
        here = on[lane] == 1
        x = a[lane]
        y = b[lane]
        was = before[lane]
        opposite = -y if x < was else 0.0
        signed = y if x > was else opposite
        out[lane] = signed if here & (n[lane] > 1) else math.nan
        before[lane] = x if here else was
