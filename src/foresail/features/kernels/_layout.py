"""Positions and sizes that all steps share.

A step works on ``LANES`` instruments at once. There are two kinds.

A *span*, ``step(args, real, work, fresh, count, state, ring, facts, length, size)``, takes all bars of a chunk:

- ``args`` : int64 vector of one program line; the names below are its positions
- ``real`` : the line's one float parameter
- ``work`` : (rows, bars, LANES) values of the chunk; a step writes the row ``args[OUT]`` (and the rows after it)
- ``fresh`` : (bars, clocks, LANES) whether a bar counts on a clock
- ``count`` : (bars + 1, clocks, LANES) how many bars have counted: before the chunk, then with each of its bars
- ``state`` : (rows, LANES) what a step remembers; it must not change where ``fresh`` is 0
- ``ring`` : (rows, LANES) the last values of a row of ``work``; a power of two of slots each, zero before use
- ``facts`` : (bars, clocks, 2) what is true of all lanes in use, see ``SETTLED`` and ``EVEN``
- ``length``, ``size`` : bars of this chunk, lanes in use

A *bar step*, ``step(args, real, work, bar, fresh, count, state, ring)``, takes one bar, with its part of ``fresh`` and
``count``.

A *clock* counts the bars that a group of features can use (a close; high and low too; volume too ...). An absent bar
does not advance it, so windows are windows of bars that exist. Warm-up is a comparison with the lane's own count,
never a branch of the program, so late listings need no care.

Where all lanes in use have a bar and are past their warm-up, a span takes a loop without masks. It computes the same
expressions in the same order, so the bits do not depend on which loop ran. Lanes not in use hold anything.
"""

from __future__ import annotations

from typing import Any

import numba

# ruff: noqa: PLR0917 helpers take the arrays of a step one by one, so that nothing is packed inside the loop

__all__ = [
    "ARGS",
    "BAR_CLOCKS",
    "CHUNK",
    "CLOCK",
    "DELAY",
    "EVEN",
    "LANES",
    "MASK",
    "MASK2",
    "OP",
    "OUT",
    "RAW_ROWS",
    "RING",
    "RING2",
    "SETTLED",
    "STATE",
    "WINDOW",
    "A",
    "B",
    "C",
    "bar_step",
    "fetch",
    "level",
    "settle",
    "step",
]

LANES = 64
CHUNK = 16  # most bars that are gathered, computed and written together; a ring is that much longer than its look-back
RAW_ROWS = 8  # the stored bar; its adjusted rows follow
BAR_CLOCKS = 6  # close; high and low; open too; volume; volume above 0; volume with high and low

OP = 0
CLOCK = 1
OUT = 2
A = 3  # first input row of ``work``
B = 4
C = 5
STATE = 6
RING = 7  # first ring row of input A
MASK = 8  # ring length - 1
RING2 = 9
MASK2 = 10
WINDOW = 11
DELAY = 12  # bars of the clock during which input A is not yet defined
ARGS = 13

SETTLED = 0  # of ``facts``: the least count of all lanes where each has a bar, else 0
EVEN = 1  # of ``facts``: the count that all lanes share, else -1


_SETTINGS = {
    "error_model": "numpy",
    "fastmath": False,
    "nogil": True,
    "no_cpython_wrapper": True,  # called by compiled code only
    "no_cfunc_wrapper": True,
}


def step(function: Any) -> Any:
    """Return a function as a compiled span or part of one: no fast-math, NumPy division, inlined where it is called.

    So its rows need no reference counts and its loops over lanes become vector instructions. For those, a span reads
    ``args`` before its loop, reads what it selects from before it selects, joins conditions with ``&``, and touches
    few arrays in one loop.
    """
    return numba.njit(forceinline=True, **_SETTINGS)(function)


def bar_step(function: Any) -> Any:
    """Return a function as a compiled bar step, which is called: it costs more than a call, and compiles faster so."""
    return numba.njit(**_SETTINGS)(function)


@step
def level(n: Any) -> bool:
    """Return whether all lanes have counted the same number of bars: then a slot of a ring is one row."""
    first = n[0]
    apart = first ^ first
    for lane in range(LANES):
        apart |= n[lane] ^ first
    return bool(apart == 0)


@step
def fetch(ring: Any, base: Any, mask: Any, n: Any, back: Any, into: Any) -> None:
    """Set ``into`` to what each lane's ring held at count n - back (1 = the newest pushed)."""
    if level(n):
        row = base + ((n[0] - back) & mask)
        for lane in range(LANES):
            into[lane] = ring[row, lane]
    else:
        for lane in range(LANES):
            into[lane] = ring[base + ((n[lane] - back) & mask), lane]


@step
def settle(fresh: Any, count: Any, facts: Any, bar: Any, clock: Any, size: Any) -> None:
    """Note what holds of all lanes in use at one bar of a clock."""
    first = count[bar + 1, clock, 0]
    least = first
    apart = first ^ first
    here = apart
    for lane in range(size):
        n = count[bar + 1, clock, lane]
        least = min(least, n)
        apart |= n ^ first
        here += fresh[bar, clock, lane]
    facts[bar, clock, SETTLED] = least if here == size else 0
    facts[bar, clock, EVEN] = first if apart == 0 else -1
