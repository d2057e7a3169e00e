"""Steps over windows of the clock: since a session began, within the Asian hours, the same hour of earlier sessions.

Input B is the number of the window that a bar lies in, -1 (or absent) outside every window; a new number starts afresh.
Outside a window the last result is held. Window numbers come from the calendar and are the same for all lanes, but a
lane takes part only with the bars it has.
"""

# ruff: noqa: PLR0917 one signature for all steps, so that one loop can run any of them

from __future__ import annotations

import math
from typing import Any

from foresail.features.kernels._layout import CLOCK, LANES, OUT, STATE, WINDOW, A, B, C, bar_step, step

__all__ = ["hour_mean", "mark_mean", "window_edge", "window_extreme", "window_std", "window_sum"]

_HOURS = 24
_MARKS = 288  # five-minute marks of a day


@bar_step
def window_sum(args: Any, real: Any, work: Any, bar: Any, fresh: Any, count: Any, state: Any, ring: Any) -> None:
    """OUT = sum of A over the bars of the present window. State: begun, window, sum."""
    a = work[args[A], bar]
    window = work[args[B], bar]
    out = work[args[OUT], bar]
    begun = state[args[STATE]]
    number = state[args[STATE] + 1]
    total = state[args[STATE] + 2]
    on = fresh[args[CLOCK]]
    for lane in range(LANES):
        inside = on[lane] == 1 and window[lane] >= 0.0 and abs(a[lane]) < math.inf
        same = begun[lane] > 0.0 and number[lane] == window[lane]
        grown = total[lane] + a[lane] if same else a[lane]
        total[lane] = grown if inside else total[lane]
        number[lane] = window[lane] if inside else number[lane]
        begun[lane] = 1.0 if inside else begun[lane]
        out[lane] = total[lane] if on[lane] == 1 and begun[lane] > 0.0 else math.nan


@bar_step
def window_std(args: Any, real: Any, work: Any, bar: Any, fresh: Any, count: Any, state: Any, ring: Any) -> None:
    """OUT = sample deviation of A over the bars of the present window. State: length, window, mean, squares."""
    a = work[args[A], bar]
    window = work[args[B], bar]
    out = work[args[OUT], bar]
    length = state[args[STATE]]
    number = state[args[STATE] + 1]
    mean = state[args[STATE] + 2]
    squares = state[args[STATE] + 3]
    on = fresh[args[CLOCK]]
    for lane in range(LANES):
        inside = on[lane] == 1 and window[lane] >= 0.0 and abs(a[lane]) < math.inf
        same = length[lane] > 0.0 and number[lane] == window[lane]
        k = length[lane] + 1.0 if same else 1.0
        before = mean[lane] if same else a[lane]
        moved = before + (a[lane] - before) / k
        grown = (squares[lane] if same else 0.0) + (a[lane] - before) * (a[lane] - moved)
        length[lane] = k if inside else length[lane]
        number[lane] = window[lane] if inside else number[lane]
        mean[lane] = moved if inside else mean[lane]
        squares[lane] = grown if inside else squares[lane]
        value = math.sqrt(squares[lane] / (length[lane] - 1.0)) if length[lane] > 1.0 else math.nan
        out[lane] = value if on[lane] == 1 else math.nan


@bar_step
def window_extreme(args: Any, real: Any, work: Any, bar: Any, fresh: Any, count: Any, state: Any, ring: Any) -> None:
    """OUT = largest (``real`` 1) or smallest (-1) A of the newest window, then held. State: begun, window, value."""
    a = work[args[A], bar]
    window = work[args[B], bar]
    out = work[args[OUT], bar]
    begun = state[args[STATE]]
    number = state[args[STATE] + 1]
    value = state[args[STATE] + 2]
    on = fresh[args[CLOCK]]
    for lane in range(LANES):
        inside = on[lane] == 1 and window[lane] >= 0.0 and abs(a[lane]) < math.inf
        same = begun[lane] > 0.0 and number[lane] == window[lane]
        better = not same or real * a[lane] > real * value[lane]
        value[lane] = a[lane] if inside and better else value[lane]
        number[lane] = window[lane] if inside else number[lane]
        begun[lane] = 1.0 if inside else begun[lane]
        out[lane] = value[lane] if on[lane] == 1 and begun[lane] > 0.0 else math.nan


@bar_step
def window_edge(args: Any, real: Any, work: Any, bar: Any, fresh: Any, count: Any, state: Any, ring: Any) -> None:
    """OUT = first (``real`` 1) or last (0) A of the newest window, then held. State: begun, window, value."""
    a = work[args[A], bar]
    window = work[args[B], bar]
    out = work[args[OUT], bar]
    begun = state[args[STATE]]
    number = state[args[STATE] + 1]
    value = state[args[STATE] + 2]
    on = fresh[args[CLOCK]]
    for lane in range(LANES):
        inside = on[lane] == 1 and window[lane] >= 0.0 and abs(a[lane]) < math.inf
        same = begun[lane] > 0.0 and number[lane] == window[lane]
        value[lane] = a[lane] if inside and not (same and real > 0.0) else value[lane]
        number[lane] = window[lane] if inside else number[lane]
        begun[lane] = 1.0 if inside else begun[lane]
        out[lane] = value[lane] if on[lane] == 1 and begun[lane] > 0.0 else math.nan


@step
def _slot_mean(
    args: Any,
    slots: int,
    work: Any,
    bar: int,
    fresh: Any,
    state: Any,
) -> None:
    """OUT = mean over the last WINDOW sessions before C of what A was in slot B; held where B is no slot.

    A session's value is the mean of A over the slot's bars; at a five-minute mark there is one bar. State: begun,
    slot, session, sum, bars of the slot under way, result; then per slot how many sessions, and WINDOW values.
    """
    a = work[args[A], bar]
    slot = work[args[B], bar]
    session = work[args[C], bar]
    out = work[args[OUT], bar]
    base = args[STATE]
    on = fresh[args[CLOCK]]
    sessions = args[WINDOW]
    counts = base + 6
    values = counts + slots
    for lane in range(LANES):
        if on[lane] == 1 and 0.0 <= slot[lane] < slots and abs(a[lane]) < math.inf and abs(session[lane]) < math.inf:
            old = int(state[base + 1, lane])
            now = int(slot[lane])
            changed = state[base, lane] == 0.0 or old != now or state[base + 2, lane] != session[lane]
            if changed and state[base, lane] > 0.0:
                place = int(state[counts + old, lane]) % sessions
                state[values + old * sessions + place, lane] = state[base + 3, lane] / state[base + 4, lane]
                state[counts + old, lane] += 1.0
            if changed:
                total = 0.0
                for j in range(sessions):
                    total += state[values + now * sessions + j, lane]
                known = state[counts + now, lane] >= sessions
                state[base + 5, lane] = total / sessions if known else math.nan
                state[base, lane] = 1.0
                state[base + 1, lane] = float(now)
                state[base + 2, lane] = session[lane]
            keep = not changed and slots == _HOURS
            state[base + 3, lane] = state[base + 3, lane] + a[lane] if keep else a[lane]
            state[base + 4, lane] = state[base + 4, lane] + 1.0 if keep else 1.0
        out[lane] = state[base + 5, lane] if on[lane] == 1 and state[base, lane] > 0.0 else math.nan


@bar_step
def hour_mean(args: Any, real: Any, work: Any, bar: Any, fresh: Any, count: Any, state: Any, ring: Any) -> None:
    """OUT = mean of A in hour B (0 to 23) over the last WINDOW sessions before session C."""
    _slot_mean(args, _HOURS, work, bar, fresh, state)


@bar_step
def mark_mean(args: Any, real: Any, work: Any, bar: Any, fresh: Any, count: Any, state: Any, ring: Any) -> None:
    """OUT = mean of A at five-minute mark B of the session over the last WINDOW sessions before session C."""
    _slot_mean(args, _MARKS, work, bar, fresh, state)
