"""Spans that turn a stored bar into clean, forward-adjusted rows and simple one-bar quantities.

A price counts only between 1e-60 and 1e60 and a volume up to 1e60: a wild value is treated as absent, so no sum or
recursion can overflow and stay broken.
"""

# ruff: noqa: PLR0917 one signature for all spans, so that one loop can run any of them

from __future__ import annotations

import math
from typing import Any

from foresail.features.kernels._layout import (
    BAR_CLOCKS,
    CLOCK,
    DELAY,
    EVEN,
    LANES,
    MASK,
    OUT,
    RAW_ROWS,
    RING,
    SETTLED,
    STATE,
    WINDOW,
    A,
    B,
    C,
    settle,
    step,
)

__all__ = ["adjust", "flow_up_down", "join", "lag", "log_change", "push", "signed_volume", "true_range", "up_down"]

_SMALLEST = 1e-60
_LARGEST = 1e60
_OPEN = RAW_ROWS
_HIGH = RAW_ROWS + 1
_LOW = RAW_ROWS + 2
_CLOSE = RAW_ROWS + 3
_VOLUME = RAW_ROWS + 4
# A clock counts where its first row is a number and its second is above a bound.
_TICKS = (_CLOSE, _HIGH, _OPEN, _VOLUME, _VOLUME, _HIGH)
_WITH = (_CLOSE, _HIGH, _OPEN, _VOLUME, _VOLUME, _VOLUME)
_ABOVE = (-math.inf, -math.inf, -math.inf, -math.inf, 0.0, -math.inf)


@step
def _scale(work: Any, count: Any, state: Any, s: Any, bar: Any) -> None:
    """Set factor and product of splits of one bar, for now in the rows of the open and the volume; close; remember.

    Loops are short: beyond eight possible overlaps of arrays a loop does not become vector instructions.
    """
    for lane in range(LANES):
        held = state[s, lane]
        last = held if count[bar, 0, lane] > 0 else 1.0
        factor = work[6, bar, lane]
        work[_OPEN, bar, lane] = factor if (factor > _SMALLEST) & (factor < _LARGEST) else last
        work[_LOW, bar, lane] = last
    for lane in range(LANES):
        jump = work[_OPEN, bar, lane] / work[_LOW, bar, lane]
        work[_HIGH, bar, lane] = jump * jump
    for lane in range(LANES):
        begun = count[bar, 0, lane] > 0
        held = state[s + 1, lane]
        before = held if begun else 1.0
        split = work[5, bar, lane]
        split = split if (split > _SMALLEST) & (split < _LARGEST) else 1.0
        more = work[_HIGH, bar, lane] > split
        less = work[_HIGH, bar, lane] < split
        carried = begun & (more if split > 1.0 else less)
        grown = before * split
        product = grown if carried else before
        work[_VOLUME, bar, lane] = product if (product > _SMALLEST) & (product < _LARGEST) else 1.0
    for lane in range(LANES):
        close = work[3, bar, lane] * work[_OPEN, bar, lane]
        priced = (work[7, bar, lane] > 0.0) & (close > _SMALLEST) & (close < _LARGEST)
        work[_CLOSE, bar, lane] = close if priced else math.nan
    for lane in range(LANES):
        close = work[_CLOSE, bar, lane]
        factor = work[_OPEN, bar, lane]
        last = work[_LOW, bar, lane]
        state[s, lane] = factor if close == close else last  # noqa: PLR0124 close is not NaN
    for lane in range(LANES):
        close = work[_CLOSE, bar, lane]
        product = work[_VOLUME, bar, lane]
        held = state[s + 1, lane]
        state[s + 1, lane] = product if close == close else held  # noqa: PLR0124 close is not NaN


@step
def _range(work: Any, bar: Any) -> None:
    """Set volume, high, low and open of one bar, each only where it counts."""
    for lane in range(LANES):
        close = work[_CLOSE, bar, lane]
        volume = work[4, bar, lane] / work[_VOLUME, bar, lane]
        counted = (close == close) & (volume >= 0.0) & (volume < _LARGEST)  # noqa: PLR0124 close is not NaN
        work[_VOLUME, bar, lane] = volume if counted else math.nan
    for lane in range(LANES):
        work[_HIGH, bar, lane] = work[1, bar, lane] * work[_OPEN, bar, lane]
    for lane in range(LANES):
        work[_LOW, bar, lane] = work[2, bar, lane] * work[_OPEN, bar, lane]
    for lane in range(LANES):
        close = work[_CLOSE, bar, lane]
        high = work[_HIGH, bar, lane]
        low = work[_LOW, bar, lane]
        ranged = (close == close) & (low > _SMALLEST) & (low <= high) & (high < _LARGEST)  # noqa: PLR0124
        work[_HIGH, bar, lane] = high if ranged else math.nan
        work[_LOW, bar, lane] = low if ranged else math.nan
    for lane in range(LANES):
        high = work[_HIGH, bar, lane]
        opening = work[0, bar, lane] * work[_OPEN, bar, lane]
        opened = (high == high) & (opening > _SMALLEST) & (opening < _LARGEST)  # noqa: PLR0124 high is not NaN
        work[_OPEN, bar, lane] = opening if opened else math.nan


@step
def adjust(
    args: Any, real: Any, work: Any, fresh: Any, count: Any, state: Any, ring: Any, facts: Any, length: Any, size: Any
) -> None:
    """Read the raw rows 0 to 7 (open, high, low, close, volume, split, total_factor, present); set clocks 0 to 5.

    Writes open, high, low, close (forward-adjusted) and volume (in units of the first bar) to the five rows after
    them. State: last total factor, product of splits. A split acts on volume only if the total factor carries it,
    that is, if prices are raw. WINDOW has a bit for each clock that a program uses; others stand still.
    """
    used = args[WINDOW]
    for bar in range(length):
        _scale(work, count, state, args[STATE], bar)
        _range(work, bar)
        for clock in range(BAR_CLOCKS):
            if not (used >> clock) & 1:
                continue
            first = _TICKS[clock]
            second = _WITH[clock]
            least = _ABOVE[clock]
            for lane in range(LANES):
                x = work[first, bar, lane]
                here = (x == x) & (work[second, bar, lane] > least)  # noqa: PLR0124 x is not NaN
                fresh[bar, clock, lane] = 1 if here else 0
            for lane in range(LANES):
                count[bar + 1, clock, lane] = count[bar, clock, lane] + fresh[bar, clock, lane]
            settle(fresh, count, facts, bar, clock, size)


@step
def join(
    args: Any, real: Any, work: Any, fresh: Any, count: Any, state: Any, ring: Any, facts: Any, length: Any, size: Any
) -> None:
    """Set clock OUT: it counts where clock CLOCK does and the rows A and B are numbers."""
    a, b, base, mine = args[A], args[B], args[CLOCK], args[OUT]
    for bar in range(length):
        for lane in range(LANES):
            x = work[a, bar, lane]
            y = work[b, bar, lane]
            here = (fresh[bar, base, lane] == 1) & (x == x) & (y == y)  # noqa: PLR0124 numbers, not NaN
            fresh[bar, mine, lane] = 1 if here else 0
            count[bar + 1, mine, lane] = count[bar, mine, lane] + (1 if here else 0)
        settle(fresh, count, facts, bar, mine, size)


@step
def push(
    args: Any, real: Any, work: Any, fresh: Any, count: Any, state: Any, ring: Any, facts: Any, length: Any, size: Any
) -> None:
    """Remember row A in its ring; nothing is written before the row is defined, so those slots stay zero."""
    a, clock, base, mask, delay = args[A], args[CLOCK], args[RING], args[MASK], args[DELAY]
    for bar in range(length):
        even = facts[bar, clock, EVEN]
        row = base + ((even - 1) & mask)
        if (even >= 0) & (facts[bar, clock, SETTLED] > delay):
            for lane in range(LANES):
                ring[row, lane] = work[a, bar, lane]
        elif even >= 0:
            for lane in range(LANES):
                old = ring[row, lane]
                x = work[a, bar, lane]
                due = (fresh[bar, clock, lane] == 1) & (count[bar + 1, clock, lane] > delay)
                ring[row, lane] = x if due else old
        else:
            for lane in range(LANES):
                n = count[bar + 1, clock, lane]
                if (fresh[bar, clock, lane] == 1) & (n > delay):
                    ring[base + ((n - 1) & mask), lane] = work[a, bar, lane]


@step
def log_change(
    args: Any, real: Any, work: Any, fresh: Any, count: Any, state: Any, ring: Any, facts: Any, length: Any, size: Any
) -> None:
    """OUT = ln(A / A[WINDOW bars ago]), or, with C >= 0, ln(A[C bars ago] / A[WINDOW bars ago])."""
    a, out, clock, base, mask = args[A], args[OUT], args[CLOCK], args[RING], args[MASK]
    lag = args[WINDOW]
    skip = args[C]
    delay = args[DELAY]
    for bar in range(length):
        even = facts[bar, clock, EVEN]
        old = base + ((even - 1 - lag) & mask)
        new = base + ((even - 1 - skip) & mask)
        if (even >= 0) & (facts[bar, clock, SETTLED] - delay > lag) & (skip < 0):
            for lane in range(LANES):
                work[out, bar, lane] = work[a, bar, lane] / ring[old, lane]
        elif (even >= 0) & (facts[bar, clock, SETTLED] - delay > lag):
            for lane in range(LANES):
                work[out, bar, lane] = ring[new, lane] / ring[old, lane]
        else:
            for lane in range(LANES):
                n = count[bar + 1, clock, lane]
                before = ring[base + ((n - 1 - lag) & mask), lane]
                newer = ring[base + ((n - 1 - skip) & mask), lane] if skip >= 0 else work[a, bar, lane]
                ready = (fresh[bar, clock, lane] == 1) & (n - delay > lag)
                work[out, bar, lane] = newer / before if ready else math.nan
        for lane in range(LANES):
            work[out, bar, lane] = math.log(work[out, bar, lane])


@step
def lag(
    args: Any, real: Any, work: Any, fresh: Any, count: Any, state: Any, ring: Any, facts: Any, length: Any, size: Any
) -> None:
    """OUT = A WINDOW bars ago."""
    out, clock, base, mask = args[OUT], args[CLOCK], args[RING], args[MASK]
    window = args[WINDOW]
    delay = args[DELAY]
    for bar in range(length):
        even = facts[bar, clock, EVEN]
        row = base + ((even - 1 - window) & mask)
        if (even >= 0) & (facts[bar, clock, SETTLED] - delay > window):
            for lane in range(LANES):
                work[out, bar, lane] = ring[row, lane]
        else:
            for lane in range(LANES):
                work[out, bar, lane] = ring[base + ((count[bar + 1, clock, lane] - 1 - window) & mask), lane]
            for lane in range(LANES):
                x = work[out, bar, lane]
                ready = (fresh[bar, clock, lane] == 1) & (count[bar + 1, clock, lane] - delay > window)
                work[out, bar, lane] = x if ready else math.nan


@step
def true_range(
    args: Any, real: Any, work: Any, fresh: Any, count: Any, state: Any, ring: Any, facts: Any, length: Any, size: Any
) -> None:
    """OUT = true range of high A, low B, close C; defined from the second bar. State: previous close."""
    high, low, close, out, before, clock = args[A], args[B], args[C], args[OUT], args[STATE], args[CLOCK]
    for bar in range(length):
        for lane in range(LANES):
            top = work[high, bar, lane]
            bottom = work[low, bar, lane]
            was = state[before, lane]
            span = top - bottom
            up = abs(top - was)
            down = abs(bottom - was)
            widest = up if up > span else span
            work[out, bar, lane] = down if down > widest else widest
        if facts[bar, clock, SETTLED] > 1:
            for lane in range(LANES):
                state[before, lane] = work[close, bar, lane]
        else:
            for lane in range(LANES):
                here = fresh[bar, clock, lane] == 1
                last = work[close, bar, lane]
                was = state[before, lane]
                widest = work[out, bar, lane]
                work[out, bar, lane] = widest if here & (count[bar + 1, clock, lane] > 1) else math.nan
                state[before, lane] = last if here else was


@step
def up_down(
    args: Any, real: Any, work: Any, fresh: Any, count: Any, state: Any, ring: Any, facts: Any, length: Any, size: Any
) -> None:
    """OUT, OUT + 1 = rise and fall of A since the bar before, both >= 0. State: previous value."""
    a, up, before, clock = args[A], args[OUT], args[STATE], args[CLOCK]
    down = up + 1
    for bar in range(length):
        if facts[bar, clock, SETTLED] > 1:
            for lane in range(LANES):
                x = work[a, bar, lane]
                move = x - state[before, lane]
                work[up, bar, lane] = move if move > 0.0 else 0.0
                work[down, bar, lane] = -move if move < 0.0 else 0.0
                state[before, lane] = x
        else:
            for lane in range(LANES):
                here = fresh[bar, clock, lane] == 1
                x = work[a, bar, lane]
                was = state[before, lane]
                move = x - was
                ready = here & (count[bar + 1, clock, lane] > 1)
                rise = move if move > 0.0 else 0.0
                fall = -move if move < 0.0 else 0.0
                work[up, bar, lane] = rise if ready else math.nan
                work[down, bar, lane] = fall if ready else math.nan
                state[before, lane] = x if here else was


@step
def flow_up_down(
    args: Any, real: Any, work: Any, fresh: Any, count: Any, state: Any, ring: Any, facts: Any, length: Any, size: Any
) -> None:
    """OUT, OUT + 1 = A * B on bars where A rose, and where it fell (money flow). State: previous A."""
    a, b, up, before, clock = args[A], args[B], args[OUT], args[STATE], args[CLOCK]
    down = up + 1
    for bar in range(length):
        settled = facts[bar, clock, SETTLED] > 1
        for lane in range(LANES):
            x = work[a, bar, lane]
            was = state[before, lane]
            flow = x * work[b, bar, lane]
            work[up, bar, lane] = flow if x > was else 0.0
            work[down, bar, lane] = flow if x < was else 0.0
        if settled:
            for lane in range(LANES):
                state[before, lane] = work[a, bar, lane]
        else:
            for lane in range(LANES):
                here = fresh[bar, clock, lane] == 1
                ready = here & (count[bar + 1, clock, lane] > 1)
                rise = work[up, bar, lane]
                fall = work[down, bar, lane]
                x = work[a, bar, lane]
                was = state[before, lane]
                work[up, bar, lane] = rise if ready else math.nan
                work[down, bar, lane] = fall if ready else math.nan
                state[before, lane] = x if here else was


@step
def signed_volume(
    args: Any, real: Any, work: Any, fresh: Any, count: Any, state: Any, ring: Any, facts: Any, length: Any, size: Any
) -> None:
    """OUT = volume B with the sign of the change of A since the bar before. State: previous A."""
    a, b, out, before, clock = args[A], args[B], args[OUT], args[STATE], args[CLOCK]
    for bar in range(length):
        for lane in range(LANES):
            here = fresh[bar, clock, lane] == 1
            x = work[a, bar, lane]
            was = state[before, lane]
            y = work[b, bar, lane]
            opposite = -y if x < was else 0.0
            signed = y if x > was else opposite
            work[out, bar, lane] = signed if here & (count[bar + 1, clock, lane] > 1) else math.nan
            state[before, lane] = x if here else was
