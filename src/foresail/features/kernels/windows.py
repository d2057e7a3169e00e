"""Steps from window to window of the clock: what was at the end of earlier days, and means and deviations over days.

Input B is the number of the window that a bar lies in: a day, a session, a publication. A bar below 0, or without a
number, lies in no window and changes nothing. Each window is known by its last A so far, so a value within the day is
that of the daily bar which would end here; bars of a day or longer are windows of their own.

State: begun, number of the newest window, its last A, how many windows have closed; then the last A of the newest
WINDOW of those, a ring.
"""

# ruff: noqa: PLR0917 one signature for all steps, so that one loop can run any of them

from __future__ import annotations

import math
from typing import Any

from foresail.features.kernels._layout import CLOCK, LANES, OUT, STATE, WINDOW, A, B, bar_step, step

__all__ = ["windows_before", "windows_deviation", "windows_mean"]

_RING = 4


@step
def _take(state: Any, base: int, lane: int, windows: int, value: float, number: float) -> None:
    """Take one value into its window, closing the newest window where this begins another."""
    if number >= 0.0 and number < math.inf and abs(value) < math.inf:
        if state[base, lane] > 0.0 and state[base + 1, lane] != number:
            place = int(state[base + 3, lane]) % windows
            state[base + _RING + place, lane] = state[base + 2, lane]
            state[base + 3, lane] += 1.0
        state[base, lane] = 1.0
        state[base + 1, lane] = number
        state[base + 2, lane] = value


@step
def _previous(args: Any, work: Any, bar: int, fresh: Any, state: Any) -> None:
    """OUT = last A of the window before the newest: the same with one place in the ring, without branches."""
    a = work[args[A], bar]
    window = work[args[B], bar]
    out = work[args[OUT], bar]
    base = args[STATE]
    begun = state[base]
    number = state[base + 1]
    value = state[base + 2]
    closed = state[base + 3]
    before = state[base + _RING]
    on = fresh[args[CLOCK]]
    for lane in range(LANES):
        inside = (on[lane] == 1) & (window[lane] >= 0.0) & (window[lane] < math.inf) & (abs(a[lane]) < math.inf)
        turns = inside & (begun[lane] > 0.0) & (number[lane] != window[lane])
        before[lane] = value[lane] if turns else before[lane]
        closed[lane] = 1.0 if turns else closed[lane]
        value[lane] = a[lane] if inside else value[lane]
        number[lane] = window[lane] if inside else number[lane]
        begun[lane] = 1.0 if inside else begun[lane]
        out[lane] = before[lane] if (on[lane] == 1) & (closed[lane] > 0.0) else math.nan


@bar_step
def windows_before(args: Any, real: Any, work: Any, bar: Any, fresh: Any, count: Any, state: Any, ring: Any) -> None:
    """OUT = last A of the WINDOW-th window before the newest."""
    base, windows = args[STATE], args[WINDOW]
    if windows == 1:
        _previous(args, work, bar, fresh, state)
        return
    for lane in range(LANES):
        here = fresh[args[CLOCK], lane] == 1
        if here:
            _take(state, base, lane, windows, work[args[A], bar, lane], work[args[B], bar, lane])
        closed = int(state[base + 3, lane])
        known = here and closed >= windows
        work[args[OUT], bar, lane] = state[base + _RING + closed % windows, lane] if known else math.nan


@bar_step
def windows_mean(args: Any, real: Any, work: Any, bar: Any, fresh: Any, count: Any, state: Any, ring: Any) -> None:
    """OUT = mean of the last A of the newest WINDOW windows, the one under way among them."""
    base, windows = args[STATE], args[WINDOW]
    for lane in range(LANES):
        here = fresh[args[CLOCK], lane] == 1
        if here:
            _take(state, base, lane, windows, work[args[A], bar, lane], work[args[B], bar, lane])
        closed = int(state[base + 3, lane])
        known = here and state[base, lane] > 0.0 and closed >= windows - 1
        total = state[base + 2, lane]
        for j in range(1, windows):
            total += state[base + _RING + (closed + windows - j) % windows, lane]
        work[args[OUT], bar, lane] = total / windows if known else math.nan


@bar_step
def windows_deviation(args: Any, real: Any, work: Any, bar: Any, fresh: Any, count: Any, state: Any, ring: Any) -> None:
    """OUT = sample deviation of the last A of the newest WINDOW windows, the one under way among them."""
    base, windows = args[STATE], args[WINDOW]
    for lane in range(LANES):
        here = fresh[args[CLOCK], lane] == 1
        if here:
            _take(state, base, lane, windows, work[args[A], bar, lane], work[args[B], bar, lane])
        closed = int(state[base + 3, lane])
        known = here and state[base, lane] > 0.0 and closed >= windows - 1
        total = state[base + 2, lane]
        for j in range(1, windows):
            total += state[base + _RING + (closed + windows - j) % windows, lane]
        mean = total / windows
        apart = state[base + 2, lane] - mean
        squares = apart * apart
        for j in range(1, windows):
            apart = state[base + _RING + (closed + windows - j) % windows, lane] - mean
            squares += apart * apart
        work[args[OUT], bar, lane] = math.sqrt(squares / (windows - 1)) if known else math.nan
