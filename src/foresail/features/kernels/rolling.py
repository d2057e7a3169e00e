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
    EVEN,
    LANES,
    MASK,
    MASK2,
    OUT,
    RING,
    RING2,
    SETTLED,
    STATE,
    WINDOW,
    A,
    B,
    bar_step,
    fetch,
    step,
)

__all__ = [
    "rolling_beta",
    "rolling_mean",
    "rolling_skew",
    "rolling_std",
    "run_length",
]

_FLAT = 1e-13  # a second moment below this share of the mean square is rounding, not variation


@step
def _period(window: int) -> int:
    """Return the bars between recomputations minus one: a power of two, at least the window."""
    period = 1
    while period < window:
        period *= 2
    return period - 1


@step
def _is_due(k: int, period: int) -> bool:
    """Return whether a window that has been full for ``k`` bars recomputes its sums now."""
    return k >= 0 and k & period == 0


@step
def _any_due(fresh: Any, count: Any, bar: Any, clock: Any, start: int, period: int) -> bool:
    """Return whether any lane recomputes its sums at this bar."""
    found = start ^ start
    for lane in range(LANES):
        k = count[bar + 1, clock, lane] - start
        found |= fresh[bar, clock, lane] if (k >= 0) & (k & period == 0) else 0
    return found != 0


@step
def _gather(ring: Any, base: Any, mask: Any, count: Any, bar: Any, clock: Any, back: Any, work: Any, out: Any) -> None:
    """Set a row to what each lane's ring held ``back`` values ago, apart from what uses it: that can be vectors."""
    for lane in range(LANES):
        work[out, bar, lane] = ring[base + ((count[bar + 1, clock, lane] - back) & mask), lane]


@step
def run_length(
    args: Any, real: Any, work: Any, fresh: Any, count: Any, state: Any, ring: Any, facts: Any, length: Any, size: Any
) -> None:
    """OUT = length of the present run of equal values of A. State: the same, kept over absent bars."""
    a, out, run, clock, base, mask = args[A], args[OUT], args[STATE], args[CLOCK], args[RING], args[MASK]
    delay = args[DELAY]
    for bar in range(length):
        even = facts[bar, clock, EVEN]
        row = base + ((even - 2) & mask)
        if (even >= 0) & (facts[bar, clock, SETTLED] - delay > 1):
            for lane in range(LANES):
                grown = state[run, lane] + 1.0
                now = grown if work[a, bar, lane] == ring[row, lane] else 1.0
                state[run, lane] = now
                work[out, bar, lane] = now
        else:
            _gather(ring, base, mask, count, bar, clock, 2, work, out)
            for lane in range(LANES):
                k = count[bar + 1, clock, lane] - delay
                before = state[run, lane]
                longer = before + 1.0
                grown = longer if (work[a, bar, lane] == work[out, bar, lane]) & (k > 1) else 1.0
                now = grown if (fresh[bar, clock, lane] == 1) & (k > 0) else before
                state[run, lane] = now
                work[out, bar, lane] = now


@step
def _sum_lanes(ring: Any, base: Any, mask: Any, n: Any, window: Any, state: Any, total: Any) -> None:
    """Set a row of states to the sum of the window before count n, the same for all lanes, oldest value first."""
    for lane in range(LANES):
        state[total, lane] = 0.0
    for j in range(window):
        row = base + ((n - window + j) & mask)
        for lane in range(LANES):
            state[total, lane] += ring[row, lane]


@step
def rolling_mean(
    args: Any, real: Any, work: Any, fresh: Any, count: Any, state: Any, ring: Any, facts: Any, length: Any, size: Any
) -> None:
    """OUT = mean of A, whose run of equal values is B. State: sum."""
    a, b, out, total, clock, base, mask = args[A], args[B], args[OUT], args[STATE], args[CLOCK], args[RING], args[MASK]
    window = args[WINDOW]
    delay = args[DELAY]
    width = float(window)
    period = _period(window)
    for bar in range(length):
        even = facts[bar, clock, EVEN]
        if (even >= 0) & (facts[bar, clock, SETTLED] - delay > window):
            old = base + ((even - 1 - window) & mask)
            for lane in range(LANES):
                state[total, lane] = state[total, lane] + work[a, bar, lane] - ring[old, lane]
            if (even - delay - window) & period == 0:
                _sum_lanes(ring, base, mask, even, window, state, total)
            for lane in range(LANES):
                shared = state[total, lane] / width
                x = work[a, bar, lane]
                work[out, bar, lane] = x if work[b, bar, lane] >= width else shared
        else:
            _masked_mean(work, fresh, count, state, ring, bar, clock, (a, b, out, total), (base, mask), window, delay)


@step
def _masked_mean(
    work: Any,
    fresh: Any,
    count: Any,
    state: Any,
    ring: Any,
    bar: Any,
    clock: Any,
    rows: Any,
    slots: Any,
    window: Any,
    delay: Any,
) -> None:
    """Do one bar of a mean where lanes differ."""
    a, b, out, total = rows
    base, mask = slots
    width = float(window)
    _gather(ring, base, mask, count, bar, clock, 1 + window, work, out)
    for lane in range(LANES):
        before = state[total, lane]
        slid = before + work[a, bar, lane] - work[out, bar, lane]
        due = (fresh[bar, clock, lane] == 1) & (count[bar + 1, clock, lane] > delay)
        state[total, lane] = slid if due else before
    period = _period(window)
    if _any_due(fresh, count, bar, clock, delay + window, period):
        for lane in range(LANES):
            n = count[bar + 1, clock, lane]
            if fresh[bar, clock, lane] == 1 and _is_due(n - delay - window, period):
                again = 0.0
                for j in range(window):
                    again += ring[base + ((n - window + j) & mask), lane]
                state[total, lane] = again
    for lane in range(LANES):
        shared = state[total, lane] / width
        x = work[a, bar, lane]
        value = x if work[b, bar, lane] >= width else shared
        ready = (fresh[bar, clock, lane] == 1) & (count[bar + 1, clock, lane] - delay >= window)
        work[out, bar, lane] = value if ready else math.nan


@step
def _count_anew(ring: Any, base: Any, mask: Any, n: Any, lane: Any, window: Any, state: Any, mean: Any) -> None:
    """Set one lane's mean and sum of squared deviations from its full window, oldest value first."""
    again = 0.0
    for j in range(window):
        again += ring[base + ((n - window + j) & mask), lane]
    again /= window
    spread = 0.0
    for j in range(window):
        apart = ring[base + ((n - window + j) & mask), lane] - again
        spread += apart * apart
    state[mean, lane] = again
    state[mean + 1, lane] = spread


@step
def _count_lanes(ring: Any, base: Any, mask: Any, n: Any, window: Any, state: Any, mean: Any) -> None:
    """Do the same for all lanes, which have counted alike."""
    _sum_lanes(ring, base, mask, n, window, state, mean)
    for lane in range(LANES):
        state[mean, lane] /= window
        state[mean + 1, lane] = 0.0
    for j in range(window):
        row = base + ((n - window + j) & mask)
        for lane in range(LANES):
            apart = ring[row, lane] - state[mean, lane]
            state[mean + 1, lane] += apart * apart


@step
def rolling_std(
    args: Any, real: Any, work: Any, fresh: Any, count: Any, state: Any, ring: Any, facts: Any, length: Any, size: Any
) -> None:
    """OUT, OUT + 1 = mean and standard deviation of A, whose run of equal values is B.

    ``real`` = 1 for the sample, 0 for the population form. State: mean, sum of squared deviations. The pair slides by
    Welford's update, which keeps its digits where deviations are small against the level.
    """
    a, b, out, mean, clock, base, mask = args[A], args[B], args[OUT], args[STATE], args[CLOCK], args[RING], args[MASK]
    window = args[WINDOW]
    delay = args[DELAY]
    width = float(window)
    divisor = window - real
    period = _period(window)
    for bar in range(length):
        even = facts[bar, clock, EVEN]
        if (even >= 0) & (facts[bar, clock, SETTLED] - delay > window):
            row = base + ((even - 1 - window) & mask)
            for lane in range(LANES):
                x = work[a, bar, lane]
                old = ring[row, lane]
                middle = state[mean, lane]
                change = x - old
                moved = middle + change / width
                state[mean + 1, lane] += change * ((x - moved) + (old - middle))
                state[mean, lane] = moved
            if (even - delay - window) & period == 0:
                _count_lanes(ring, base, mask, even, window, state, mean)
            for lane in range(LANES):
                flat = work[b, bar, lane] >= width
                spread = state[mean + 1, lane]
                spread = 0.0 if flat | (spread < 0.0) else spread
                middle = state[mean, lane]
                x = work[a, bar, lane]
                work[out, bar, lane] = x if flat else middle
                work[out + 1, bar, lane] = math.sqrt(spread / divisor)
        else:
            _masked_std(
                work, fresh, count, state, ring, bar, clock, (a, b, out, mean), (base, mask), (window, divisor), delay
            )


@step
def _masked_std(
    work: Any,
    fresh: Any,
    count: Any,
    state: Any,
    ring: Any,
    bar: Any,
    clock: Any,
    rows: Any,
    slots: Any,
    widths: Any,
    delay: Any,
) -> None:
    """Do one bar of a deviation where lanes differ."""
    a, b, out, mean = rows
    base, mask = slots
    window, divisor = widths
    width = float(window)
    _gather(ring, base, mask, count, bar, clock, 1 + window, work, out)
    for lane in range(LANES):
        due = (fresh[bar, clock, lane] == 1) & (count[bar + 1, clock, lane] > delay)
        x = work[a, bar, lane]
        old = work[out, bar, lane]
        middle = state[mean, lane]
        spread = state[mean + 1, lane]
        change = x - old
        moved = middle + change / width
        more = change * ((x - moved) + (old - middle))
        state[mean + 1, lane] = spread + (more if due else 0.0)
        state[mean, lane] = moved if due else middle
    period = _period(window)
    if _any_due(fresh, count, bar, clock, delay + window, period):
        for lane in range(LANES):
            n = count[bar + 1, clock, lane]
            if fresh[bar, clock, lane] == 1 and _is_due(n - delay - window, period):
                _count_anew(ring, base, mask, n, lane, window, state, mean)
    for lane in range(LANES):
        ready = (fresh[bar, clock, lane] == 1) & (count[bar + 1, clock, lane] - delay >= window)
        flat = work[b, bar, lane] >= width
        spread = state[mean + 1, lane]
        spread = 0.0 if flat | (spread < 0.0) else spread
        middle = state[mean, lane]
        x = work[a, bar, lane]
        value = x if flat else middle
        root = math.sqrt(spread / divisor)
        work[out, bar, lane] = value if ready else math.nan
        work[out + 1, bar, lane] = root if ready else math.nan


@bar_step
def rolling_skew(args: Any, real: Any, work: Any, bar: Any, fresh: Any, count: Any, state: Any, ring: Any) -> None:
    """OUT = sample skewness of A (bias-adjusted); absent where nothing varies. State: sums of powers 1, 2, 3."""
    a = work[args[A], bar]
    out = work[args[OUT], bar]
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
    fetch(ring, base, mask, n, 1 + window, out)
    for lane in range(LANES):
        due = (on[lane] == 1) & (n[lane] > delay)
        x = a[lane]
        old = out[lane]
        step_one = x - old
        step_two = x * x - old * old
        step_three = x * x * x - old * old * old
        one[lane] += step_one if due else 0.0
        two[lane] += step_two if due else 0.0
        three[lane] += step_three if due else 0.0
    for lane in range(LANES):
        if on[lane] == 1 and _is_due(n[lane] - delay - window, period):
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
    width = float(window)
    adjustment = math.sqrt(window * (window - 1.0)) / (window - 2.0)
    for lane in range(LANES):
        ready = (on[lane] == 1) & (n[lane] - delay >= window)
        mean = one[lane] / width
        square = two[lane] / width
        variance = square - mean * mean
        third_moment = three[lane] / width - 3.0 * mean * square + 2.0 * mean * mean * mean
        varies = (variance > _FLAT * square) & (variance > 0.0)
        root = math.sqrt(variance if variance > 0.0 else 0.0)
        value = adjustment * third_moment / (variance * root)
        out[lane] = value if ready & varies else math.nan


@bar_step
def rolling_beta(args: Any, real: Any, work: Any, bar: Any, fresh: Any, count: Any, state: Any, ring: Any) -> None:
    """OUT = slope of A on B; absent where B does not vary. State: sums of A, B, A*B, B*B."""
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
    period = _period(window)
    for lane in range(LANES):
        due = (on[lane] == 1) & (n[lane] > delay)
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
