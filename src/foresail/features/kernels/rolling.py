"""Steps over the last WINDOW bars of a clock, all memory finite.

Running sums slide, and are recomputed from the ring, oldest value first, when the window first fills and then every
power of two of bars not below the window, so rounding cannot drift. A window of equal values is recognised by
counting them, so its deviation is exactly zero.
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
    step,
)

__all__ = ["rolling_beta", "rolling_drawdown", "rolling_extreme", "rolling_mean", "rolling_skew", "rolling_std"]

_FLAT = 1e-13  # a second moment below this share of the mean square is rounding, not variation


@step
def _period(window: int) -> int:
    """Return the bars between recomputations minus one: a power of two, at least the window."""
    period = 1
    while period < window:
        period *= 2
    return period - 1


@step
def rolling_mean(args: Any, real: Any, work: Any, fresh: Any, count: Any, state: Any, ring: Any) -> None:
    """OUT = mean of A. State: sum, length of the present run of equal values."""
    a = work[args[A]]
    out = work[args[OUT]]
    total = state[args[STATE]]
    run = state[args[STATE] + 1]
    on = fresh[args[CLOCK]]
    n = count[args[CLOCK]]
    base = args[RING]
    mask = args[MASK]
    window = args[WINDOW]
    delay = args[DELAY]
    period = _period(window)
    for lane in range(LANES):
        k = n[lane] - delay
        due = on[lane] == 1 and k > 0
        old = ring[base + ((n[lane] - 1 - window) & mask), lane]
        before = ring[base + ((n[lane] - 2) & mask), lane]
        total[lane] = total[lane] + a[lane] - old if due else total[lane]
        run[lane] = (run[lane] + 1.0 if a[lane] == before and k > 1 else 1.0) if due else run[lane]
    for lane in range(LANES):
        k = n[lane] - delay - window
        if on[lane] == 1 and k >= 0 and k & period == 0:
            again = 0.0
            for j in range(window):
                again += ring[base + ((n[lane] - window + j) & mask), lane]
            total[lane] = again
    for lane in range(LANES):
        value = a[lane] if run[lane] >= window else total[lane] / window
        out[lane] = value if on[lane] == 1 and n[lane] - delay >= window else math.nan


@step
def rolling_std(args: Any, real: Any, work: Any, fresh: Any, count: Any, state: Any, ring: Any) -> None:
    """OUT, OUT + 1 = mean and standard deviation of A; ``real`` = 1 for the sample, 0 for the population form.

    State: mean, sum of squared deviations, run of equal values. The pair slides by Welford's update, which keeps its
    digits where deviations are small against the level.
    """
    a = work[args[A]]
    out = work[args[OUT]]
    deviation = work[args[OUT] + 1]
    mean = state[args[STATE]]
    squares = state[args[STATE] + 1]
    run = state[args[STATE] + 2]
    on = fresh[args[CLOCK]]
    n = count[args[CLOCK]]
    base = args[RING]
    mask = args[MASK]
    window = args[WINDOW]
    delay = args[DELAY]
    period = _period(window)
    for lane in range(LANES):
        k = n[lane] - delay
        due = on[lane] == 1 and k > 0
        old = ring[base + ((n[lane] - 1 - window) & mask), lane]
        before = ring[base + ((n[lane] - 2) & mask), lane]
        change = a[lane] - old
        moved = mean[lane] + change / window
        squares[lane] += change * ((a[lane] - moved) + (old - mean[lane])) if due else 0.0
        mean[lane] = moved if due else mean[lane]
        run[lane] = (run[lane] + 1.0 if a[lane] == before and k > 1 else 1.0) if due else run[lane]
    for lane in range(LANES):
        k = n[lane] - delay - window
        if on[lane] == 1 and k >= 0 and k & period == 0:
            again = 0.0
            for j in range(window):
                again += ring[base + ((n[lane] - window + j) & mask), lane]
            again /= window
            spread = 0.0
            for j in range(window):
                apart = ring[base + ((n[lane] - window + j) & mask), lane] - again
                spread += apart * apart
            mean[lane] = again
            squares[lane] = spread
    for lane in range(LANES):
        ready = on[lane] == 1 and n[lane] - delay >= window
        flat = run[lane] >= window
        spread = 0.0 if flat or squares[lane] < 0.0 else squares[lane]
        value = a[lane] if flat else mean[lane]
        out[lane] = value if ready else math.nan
        deviation[lane] = math.sqrt(spread / (window - real)) if ready else math.nan


@step
def rolling_skew(args: Any, real: Any, work: Any, fresh: Any, count: Any, state: Any, ring: Any) -> None:
    """OUT = sample skewness of A (bias-adjusted); absent where nothing varies. State: sums of powers 1, 2, 3."""
    a = work[args[A]]
    out = work[args[OUT]]
    one = state[args[STATE]]
    two = state[args[STATE] + 1]
    three = state[args[STATE] + 2]
    on = fresh[args[CLOCK]]
    n = count[args[CLOCK]]
    base = args[RING]
    mask = args[MASK]
    window = args[WINDOW]
    delay = args[DELAY]
    period = _period(window)
    for lane in range(LANES):
        due = on[lane] == 1 and n[lane] > delay
        old = ring[base + ((n[lane] - 1 - window) & mask), lane]
        x = a[lane]
        one[lane] += x - old if due else 0.0
        two[lane] += x * x - old * old if due else 0.0
        three[lane] += x * x * x - old * old * old if due else 0.0
    for lane in range(LANES):
        k = n[lane] - delay - window
        if on[lane] == 1 and k >= 0 and k & period == 0:
            first = 0.0
            second = 0.0
            third = 0.0
            for j in range(window):
                x = ring[base + ((n[lane] - window + j) & mask), lane]
                first += x
                second += x * x
                third += x * x * x
            one[lane] = first
            two[lane] = second
            three[lane] = third
    adjustment = math.sqrt(window * (window - 1.0)) / (window - 2.0)
    for lane in range(LANES):
        ready = on[lane] == 1 and n[lane] - delay >= window
        mean = one[lane] / window
        square = two[lane] / window
        variance = square - mean * mean
        third_moment = three[lane] / window - 3.0 * mean * square + 2.0 * mean * mean * mean
        varies = variance > _FLAT * square and variance > 0.0
        out[lane] = adjustment * third_moment / (variance * math.sqrt(variance)) if ready and varies else math.nan


@step
def rolling_extreme(args: Any, real: Any, work: Any, fresh: Any, count: Any, state: Any, ring: Any) -> None:
    """OUT = largest (``real`` = 1) or smallest (-1) A. State: best, its age; an outlived best is searched anew."""
    a = work[args[A]]
    out = work[args[OUT]]
    best = state[args[STATE]]
    age = state[args[STATE] + 1]
    on = fresh[args[CLOCK]]
    n = count[args[CLOCK]]
    base = args[RING]
    mask = args[MASK]
    window = args[WINDOW]
    delay = args[DELAY]
    for lane in range(LANES):
        k = n[lane] - delay
        if on[lane] == 1 and k > 0:
            if k == 1 or a[lane] * real >= best[lane] * real:
                best[lane] = a[lane]
                age[lane] = 0.0
            else:
                age[lane] += 1.0
                if age[lane] >= window:
                    best[lane] = a[lane]
                    age[lane] = 0.0
                    for j in range(1, window):
                        x = ring[base + ((n[lane] - 1 - j) & mask), lane]
                        if x * real > best[lane] * real:
                            best[lane] = x
                            age[lane] = j
        out[lane] = best[lane] if on[lane] == 1 and k >= window else math.nan


@step
def rolling_drawdown(args: Any, real: Any, work: Any, fresh: Any, count: Any, state: Any, ring: Any) -> None:
    """OUT = deepest fall from a peak within the window, a fraction <= 0. A is positive. OUT + 1 .. 3 are work space."""
    out = work[args[OUT]]
    peak = work[args[OUT] + 1]
    worst = work[args[OUT] + 2]
    worst_peak = work[args[OUT] + 3]
    on = fresh[args[CLOCK]]
    n = count[args[CLOCK]]
    base = args[RING]
    mask = args[MASK]
    window = args[WINDOW]
    delay = args[DELAY]
    peak[:] = 0.0
    worst[:] = 1.0
    worst_peak[:] = 1.0
    for j in range(window):
        for lane in range(LANES):
            x = ring[base + ((n[lane] - window + j) & mask), lane]
            top = x if x > peak[lane] else peak[lane]
            deeper = x * worst_peak[lane] < worst[lane] * top  # x / top < worst / worst_peak without a division
            worst[lane] = x if deeper else worst[lane]
            worst_peak[lane] = top if deeper else worst_peak[lane]
            peak[lane] = top
    for lane in range(LANES):
        ready = on[lane] == 1 and n[lane] - delay >= window
        out[lane] = worst[lane] / worst_peak[lane] - 1.0 if ready else math.nan


@step
def rolling_beta(args: Any, real: Any, work: Any, fresh: Any, count: Any, state: Any, ring: Any) -> None:
    """OUT = slope of A on B; absent where B does not vary. State: sums of A, B, A*B, B*B."""
    a = work[args[A]]
    b = work[args[B]]
    out = work[args[OUT]]
    s = args[STATE]
    on = fresh[args[CLOCK]]
    n = count[args[CLOCK]]
    base = args[RING]
    mask = args[MASK]
    base_b = args[RING2]
    mask_b = args[MASK2]
    window = args[WINDOW]
    delay = args[DELAY]
    period = _period(window)
    for lane in range(LANES):
        due = on[lane] == 1 and n[lane] > delay
        old = ring[base + ((n[lane] - 1 - window) & mask), lane]
        old_b = ring[base_b + ((n[lane] - 1 - window) & mask_b), lane]
        state[s, lane] += a[lane] - old if due else 0.0
        state[s + 1, lane] += b[lane] - old_b if due else 0.0
        state[s + 2, lane] += a[lane] * b[lane] - old * old_b if due else 0.0
        state[s + 3, lane] += b[lane] * b[lane] - old_b * old_b if due else 0.0
    for lane in range(LANES):
        k = n[lane] - delay - window
        if on[lane] == 1 and k >= 0 and k & period == 0:
            sum_a = 0.0
            sum_b = 0.0
            sum_ab = 0.0
            sum_bb = 0.0
            for j in range(window):
                x = ring[base + ((n[lane] - window + j) & mask), lane]
                y = ring[base_b + ((n[lane] - window + j) & mask_b), lane]
                sum_a += x
                sum_b += y
                sum_ab += x * y
                sum_bb += y * y
            state[s, lane] = sum_a
            state[s + 1, lane] = sum_b
            state[s + 2, lane] = sum_ab
            state[s + 3, lane] = sum_bb
    for lane in range(LANES):
        ready = on[lane] == 1 and n[lane] - delay >= window
        covariance = state[s + 2, lane] - state[s, lane] * state[s + 1, lane] / window
        variance = state[s + 3, lane] - state[s + 1, lane] * state[s + 1, lane] / window
        varies = variance > _FLAT * state[s + 3, lane] and variance > 0.0
        out[lane] = covariance / variance if ready and varies else math.nan
