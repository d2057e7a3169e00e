"""Steps that compare a row with another row, a bound or its own past: correlations, alarms, places in a history.

Sums follow the rule of ``rolling``: they slide, and are recomputed from the ring when the window first fills and every
power of two of bars after that.
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
    MASK2,
    OUT,
    RING,
    RING2,
    STATE,
    WINDOW,
    A,
    B,
    bar_step,
    step,
)

__all__ = ["above", "at_least", "exceeds", "on_bar", "rolling_correlation", "scaled", "share_below"]

_FLAT = 1e-13  # a second moment below this share of the mean square is rounding, not variation


@step
def on_bar(
    args: Any, real: Any, work: Any, fresh: Any, count: Any, state: Any, ring: Any, facts: Any, length: Any, size: Any
) -> None:
    """OUT = A where the instrument has a bar, absent elsewhere."""
    a, out, clock = args[A], args[OUT], args[CLOCK]
    for bar in range(length):
        for lane in range(LANES):
            x = work[a, bar, lane]
            work[out, bar, lane] = x if fresh[bar, clock, lane] == 1 else math.nan


@step
def scaled(
    args: Any, real: Any, work: Any, fresh: Any, count: Any, state: Any, ring: Any, facts: Any, length: Any, size: Any
) -> None:
    """OUT = ``real`` * A."""
    a, out = args[A], args[OUT]
    for bar in range(length):
        for lane in range(LANES):
            work[out, bar, lane] = real * work[a, bar, lane]


@step
def at_least(
    args: Any, real: Any, work: Any, fresh: Any, count: Any, state: Any, ring: Any, facts: Any, length: Any, size: Any
) -> None:
    """OUT = the larger of A and ``real``; absent stays absent."""
    a, out = args[A], args[OUT]
    for bar in range(length):
        for lane in range(LANES):
            x = work[a, bar, lane]
            work[out, bar, lane] = real if x < real else x


@step
def above(
    args: Any, real: Any, work: Any, fresh: Any, count: Any, state: Any, ring: Any, facts: Any, length: Any, size: Any
) -> None:
    """OUT = 1 where A > ``real``, else 0; absent stays absent."""
    a, out = args[A], args[OUT]
    for bar in range(length):
        for lane in range(LANES):
            x = work[a, bar, lane]
            flag = 1.0 if x > real else 0.0
            work[out, bar, lane] = flag if x == x else math.nan  # noqa: PLR0124 x is not NaN


@step
def exceeds(
    args: Any, real: Any, work: Any, fresh: Any, count: Any, state: Any, ring: Any, facts: Any, length: Any, size: Any
) -> None:
    """OUT = 1 where A > ``real`` * B, else 0; absent where either is."""
    a, b, out = args[A], args[B], args[OUT]
    for bar in range(length):
        for lane in range(LANES):
            apart = work[a, bar, lane] - real * work[b, bar, lane]
            flag = 1.0 if apart > 0.0 else 0.0
            work[out, bar, lane] = flag if apart == apart else math.nan  # noqa: PLR0124 not NaN


@bar_step
def share_below(args: Any, real: Any, work: Any, bar: Any, fresh: Any, count: Any, state: Any, ring: Any) -> None:
    """OUT = share of the WINDOW - 1 earlier values that are below A, equal ones counted half."""
    a = work[args[A], bar]
    out = work[args[OUT], bar]
    on = fresh[args[CLOCK]]
    n = count[args[CLOCK]]
    base = args[RING]
    mask = args[MASK]
    window = args[WINDOW]
    delay = args[DELAY]
    for lane in range(LANES):
        value = math.nan
        if on[lane] == 1 and n[lane] - delay >= window:
            total = 0.0
            for j in range(1, window):
                x = ring[base + ((n[lane] - 1 - j) & mask), lane]
                total += 1.0 if x < a[lane] else (0.5 if x == a[lane] else 0.0)
            value = total / (window - 1.0)
        out[lane] = value


@step
def _sum_again(n: int, base: int, mask: int, base_b: int, mask_b: int, window: int, lane: int, ring: Any) -> Any:
    """Return the sums of A, B, A*B, A*A, B*B over the window, oldest value first."""
    sum_a = 0.0
    sum_b = 0.0
    sum_ab = 0.0
    sum_aa = 0.0
    sum_bb = 0.0
    for j in range(window):
        x = ring[base + ((n - window + j) & mask), lane]
        y = ring[base_b + ((n - window + j) & mask_b), lane]
        sum_a += x
        sum_b += y
        sum_ab += x * y
        sum_aa += x * x
        sum_bb += y * y
    return sum_a, sum_b, sum_ab, sum_aa, sum_bb


@bar_step
def rolling_correlation(
    args: Any, real: Any, work: Any, bar: Any, fresh: Any, count: Any, state: Any, ring: Any
) -> None:
    """OUT = correlation of A and B; absent where either does not vary. State: sums of A, B, A*B, A*A, B*B."""
    a = work[args[A], bar]
    b = work[args[B], bar]
    out = work[args[OUT], bar]
    s = args[STATE]
    on = fresh[args[CLOCK]]
    n = count[args[CLOCK]]
    base = args[RING]
    mask = args[MASK]
    base_b = args[RING2]
    mask_b = args[MASK2]
    window = args[WINDOW]
    delay = args[DELAY]
    period = 1
    while period < window:
        period *= 2
    period -= 1
    for lane in range(LANES):
        due = on[lane] == 1 and n[lane] > delay
        old = ring[base + ((n[lane] - 1 - window) & mask), lane]
        old_b = ring[base_b + ((n[lane] - 1 - window) & mask_b), lane]
        state[s, lane] += a[lane] - old if due else 0.0
        state[s + 1, lane] += b[lane] - old_b if due else 0.0
        state[s + 2, lane] += a[lane] * b[lane] - old * old_b if due else 0.0
        state[s + 3, lane] += a[lane] * a[lane] - old * old if due else 0.0
        state[s + 4, lane] += b[lane] * b[lane] - old_b * old_b if due else 0.0
    for lane in range(LANES):
        k = n[lane] - delay - window
        if on[lane] == 1 and k >= 0 and k & period == 0:
            sums = _sum_again(n[lane], base, mask, base_b, mask_b, window, lane, ring)
            for j in range(5):
                state[s + j, lane] = sums[j]
    for lane in range(LANES):
        ready = on[lane] == 1 and n[lane] - delay >= window
        covariance = state[s + 2, lane] - state[s, lane] * state[s + 1, lane] / window
        var_a = state[s + 3, lane] - state[s, lane] * state[s, lane] / window
        var_b = state[s + 4, lane] - state[s + 1, lane] * state[s + 1, lane] / window
        varies = var_a > _FLAT * state[s + 3, lane] and var_b > _FLAT * state[s + 4, lane]
        value = covariance / (math.sqrt(var_a) * math.sqrt(var_b)) if varies else math.nan
        value = 1.0 if value > 1.0 else (-1.0 if value < -1.0 else value)
        out[lane] = value if ready else math.nan
