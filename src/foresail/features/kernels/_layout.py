"""Positions and sizes that all steps share.

A step is a function ``step(args, real, work, fresh, count, state, ring)`` over ``LANES`` instruments at once.

- ``args`` : int64 vector of one program line; the names below are its positions
- ``real`` : the line's one float parameter
- ``work`` : (rows, LANES) values of this bar; a step writes the row ``args[OUT]`` (and the rows after it)
- ``fresh``, ``count`` : (clocks, LANES) whether this bar counts on a clock, and how many bars have counted so far
- ``state`` : (rows, LANES) what a step remembers; it must not change where ``fresh`` is 0
- ``ring`` : (rows, LANES) the last values of a row of ``work``; a power of two of slots each, zero before use

A *clock* counts the bars that a group of features can use (a close; high and low too; volume too ...). An absent bar
does not advance it, so windows are windows of bars that exist. Warm-up is a comparison with the lane's own count,
never a branch of the program, so late listings need no care.
"""

from __future__ import annotations

from typing import Any

import numba

# ruff: noqa: PLR0917 helpers take the arrays of a step one by one, so that nothing is packed inside the loop

__all__ = [
    "ARGS",
    "CHUNK",
    "CLOCK",
    "DELAY",
    "LANES",
    "MASK",
    "MASK2",
    "OP",
    "OUT",
    "RING",
    "RING2",
    "STATE",
    "WINDOW",
    "A",
    "B",
    "C",
    "fetch",
    "level",
    "step",
]

LANES = 64
CHUNK = 16  # bars that are gathered and written together, so that memory is touched in whole cache lines

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


def step(function: Any) -> Any:
    """Return a function as a compiled step: no fast-math, NumPy division, compiled only as part of the loop.

    A step is inlined where it is called, so that its rows need no reference counts and its loops over lanes become
    vector instructions. For those, a step reads ``args`` before its loop, reads what it selects from before it selects,
    and joins conditions with ``&``.
    """
    return numba.njit(error_model="numpy", fastmath=False, nogil=True, forceinline=True)(function)


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
