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
    fetch,
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
def _is_due(k: int, period: int) -> bool:
    """Return whether a window that has been full for ``k`` bars recomputes its sums now."""
    return k >= 0 and k & period == 0


@step
def _any_due(on: Any, n: Any, start: int, period: int) -> bool:
    """Return whether any lane recomputes its sums at this bar."""
    found = start ^ start
    for lane in range(LANES):
        k = n[lane] - start
        found |= on[lane] if (k >= 0) & (k & period == 0) else 0
    return found != 0


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
    width = float(window)
    fetch(ring, base, mask, n, 2, out)
    for lane in range(LANES):
        k = n[lane] - delay
        x = a[lane]
        length = run[lane]
        grown = length + 1.0 if (x == out[lane]) & (k > 1) else 1.0
        run[lane] = grown if (on[lane] == 1) & (k > 0) else length
    fetch(ring, base, mask, n, 1 + window, out)
    for lane in range(LANES):
        before = total[lane]
        slid = before + a[lane] - out[lane]
        total[lane] = slid if (on[lane] == 1) & (n[lane] > delay) else before
    period = _period(window)
    if _any_due(on, n, delay + window, period):
        for lane in range(LANES):
            if on[lane] == 1 and _is_due(n[lane] - delay - window, period):
                again = 0.0
                for j in range(window):
                    again += ring[base + ((n[lane] - window + j) & mask), lane]
                total[lane] = again
    for lane in range(LANES):
        shared = total[lane] / width
        value = a[lane] if run[lane] >= width else shared
        out[lane] = value if (on[lane] == 1) & (n[lane] - delay >= window) else math.nan


@step
def _count_anew(ring: Any, base: Any, mask: Any, n: Any, lane: Any, window: Any, mean: Any, squares: Any) -> None:
    """Set one lane's mean and sum of squared deviations from its full window, oldest value first."""
    again = 0.0
    for j in range(window):
        again += ring[base + ((n - window + j) & mask), lane]
    again /= window
    spread = 0.0
    for j in range(window):
        apart = ring[base + ((n - window + j) & mask), lane] - again
        spread += apart * apart
    mean[lane] = again
    squares[lane] = spread


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
    width = float(window)
    divisor = window - real
    fetch(ring, base, mask, n, 2, out)
    for lane in range(LANES):
        k = n[lane] - delay
        x = a[lane]
        length = run[lane]
        grown = length + 1.0 if (x == out[lane]) & (k > 1) else 1.0
        run[lane] = grown if (on[lane] == 1) & (k > 0) else length
    fetch(ring, base, mask, n, 1 + window, out)
    for lane in range(LANES):
        due = (on[lane] == 1) & (n[lane] > delay)
        x = a[lane]
        old = out[lane]
        middle = mean[lane]
        change = x - old
        moved = middle + change / width
        more = change * ((x - moved) + (old - middle))
        squares[lane] += more if due else 0.0
        mean[lane] = moved if due else middle
    period = _period(window)
    if _any_due(on, n, delay + window, period):
        for lane in range(LANES):
            if on[lane] == 1 and _is_due(n[lane] - delay - window, period):
                _count_anew(ring, base, mask, n[lane], lane, window, mean, squares)
    for lane in range(LANES):
        ready = (on[lane] == 1) & (n[lane] - delay >= window)
        flat = run[lane] >= width
        spread = squares[lane]
        spread = 0.0 if flat | (spread < 0.0) else spread
        middle = mean[lane]
        value = a[lane] if flat else middle
        root = math.sqrt(spread / divisor)
        out[lane] = value if ready else math.nan
        deviation[lane] = root if ready else math.nan


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
    if _any_due(on, n, delay + window, period):
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
    width = float(window)
    outlived = n[0] ^ n[0]
    for lane in range(LANES):
        k = n[lane] - delay
        due = (on[lane] == 1) & (k > 0)
        x = a[lane]
        held = best[lane]
        years = age[lane]
        better = (k == 1) | (x * real >= held * real)
        older = 0.0 if better else years + 1.0
        best[lane] = x if due & better else held
        age[lane] = older if due else years
        outlived |= 1 if due & (older >= width) else 0
    if outlived != 0:
        for lane in range(LANES):
            if on[lane] == 1 and n[lane] > delay and age[lane] >= width:
                top = a[lane]
                when = 0.0
                for j in range(1, window):
                    x = ring[base + ((n[lane] - 1 - j) & mask), lane]
                    if x * real > top * real:
                        top = x
                        when = float(j)
                best[lane] = top
                age[lane] = when
    for lane in range(LANES):
        held = best[lane]
        out[lane] = held if (on[lane] == 1) & (n[lane] - delay >= window) else math.nan


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


@step
def rolling_drawdown(args: Any, real: Any, work: Any, fresh: Any, count: Any, state: Any, ring: Any) -> None:
    """OUT = deepest fall from a peak within the window, a fraction <= 0. A is positive.

    State: low and peak of the deepest fall, age of that peak, highest value, its age. The deepest fall stays while its
    peak is in the window, so only the fall to the newest value is compared; once the peak leaves, all is searched.
    """
    a = work[args[A]]
    out = work[args[OUT]]
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
