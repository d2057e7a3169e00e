"""Columns of the venue's tables: orders, positions, bars, fills and events as int64 rows that compiled code reads.

Prices are ticks, quantities lots, instants ns UTC. 0 stands for "none" in levels, keys, groups and instants.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

from numba import njit

from foresail.core.arrays import BoolArray, FloatArray, IntArray

__all__ = [
    "ACTIVE",
    "BAR_WIDTH",
    "BEST",
    "BORROW",
    "CANCELLED",
    "CAP",
    "CLOCK_WIDTH",
    "C_END",
    "C_SESSION",
    "C_SHORT",
    "C_START",
    "DAY",
    "DORMANT",
    "DOWN",
    "EVENT_WIDTH",
    "EXPIRED",
    "EXPIRES",
    "E_LOTS",
    "E_OUTCOME",
    "E_ROW",
    "FILLED",
    "FILL_WIDTH",
    "FOK",
    "FRESH",
    "F_INSTRUMENT",
    "F_LOTS",
    "F_MAKER",
    "F_PRICE",
    "F_REFERENCE",
    "F_ROW",
    "F_SIGN",
    "F_STEP",
    "GROUP",
    "HELD",
    "HIGH",
    "IMPACT_WIDTH",
    "INSTRUMENT",
    "IOC",
    "KEY",
    "KIND",
    "LEAVING",
    "LEFT",
    "LIFE",
    "LIMIT",
    "LOW",
    "MARKET",
    "OPEN",
    "ORDER_WIDTH",
    "PARENT",
    "POSITION_WIDTH",
    "PRICE",
    "QUANTITY",
    "QUEUE",
    "REDUCE",
    "ROW_STOP",
    "ROW_TARGET",
    "SEEN",
    "SEQUENCE",
    "SIGN",
    "SOURCE",
    "STOP",
    "STOP_LEVEL",
    "STOP_LIMIT",
    "STOP_ORDER",
    "TARGET",
    "TARGET_LEVEL",
    "TIF",
    "TRAIL",
    "TRAILING",
    "TRIGGER",
    "UP",
    "WAIT",
    "WAITING",
    "Market",
    "Tables",
    "compiled",
    "compiled_step",
]

# Columns of an order row.
#   LEFT, FILLED   lots unfilled (asleep ones included) and filled
#   PRICE          limit of a limit order, level of a stop or trailing order
#   LIFE           bars that it may still wait, 0 = no such bound
#   STOP, TARGET   levels that hang on the position once it fills
#   TRIGGER        of a stop-limit order; -1 once met inside the bar that is being matched
#   TRAIL, BEST    of a trailing order: distance, and best price known since it has been active
#   TIF, EXPIRES   how long it lives
#   ACTIVE, WAIT   instant before which it does not act, bars that it lets pass
#   KEY, PARENT    its number, and that of the order whose fills wake it
#   DORMANT, FRESH lots still asleep, and lots woken in the part of the bar that is being matched
#   GROUP          orders of one group cancel or shrink one another
#   QUEUE, SEEN    on books: lots ahead of it at its price (-1 = not in the queue), and the level's size when last seen
ORDER_WIDTH = 25
INSTRUMENT, SIGN, KIND, LEFT, PRICE, LIFE, SEQUENCE, STOP, TARGET, REDUCE, FILLED = range(11)
TRIGGER, TRAIL, BEST, TIF, EXPIRES, ACTIVE, WAIT, KEY, PARENT, DORMANT, FRESH, GROUP, QUEUE, SEEN = range(11, 25)
MARKET, LIMIT, STOP_ORDER, STOP_LIMIT, TRAILING = 0, 1, 2, 3, 4  # values of KIND
WAITING, IOC, FOK, DAY = 0, 1, 2, 3  # values of TIF

# Columns of a position row. HELD is what was held after the open of the bar that is being matched, LEAVING whether the
# attached stop was hit and lacked volume, BORROW how many lots may be short at most, negative = no bound.
POSITION_WIDTH = 6
QUANTITY, STOP_LEVEL, TARGET_LEVEL, HELD, LEAVING, BORROW = range(POSITION_WIDTH)

# Columns of a bar row. CAP is the volume that may still be traded in this bar, lots, negative = unlimited; UP and DOWN
# are the price limits of the day.
BAR_WIDTH = 6
OPEN, HIGH, LOW, CAP, UP, DOWN = range(BAR_WIDTH)

# What holds for the whole bar: its start and end, the end of its session, and whether a sale may open a position.
CLOCK_WIDTH = 4
C_START, C_END, C_SESSION, C_SHORT = range(CLOCK_WIDTH)

# Columns of impact, float64: first factor and exponent, second factor and exponent, average daily lots.
IMPACT_WIDTH = 5

# Columns of a fill: STEP is the step of ``matching``, ROW the order's row or ROW_STOP / ROW_TARGET.
FILL_WIDTH = 8
F_STEP, F_INSTRUMENT, F_ROW, F_SIGN, F_LOTS, F_PRICE, F_REFERENCE, F_MAKER = range(FILL_WIDTH)
ROW_STOP, ROW_TARGET = -1, -2

# Columns of an event about an order that left the book unfilled.
EVENT_WIDTH = 3
E_ROW, E_OUTCOME, E_LOTS = range(EVENT_WIDTH)
CANCELLED, EXPIRED = 0, 1

Tables = tuple[IntArray, IntArray, IntArray, IntArray, IntArray]  # orders, positions, bars, fills, events
Market = tuple[BoolArray, FloatArray, FloatArray, FloatArray, IntArray]  # ready, slip, step, impact, clock
_Function = TypeVar("_Function", bound=Callable[..., Any])


def compiled(function: _Function) -> _Function:
    """Compile a part of a step; no fast-math, so that results do not depend on how the compiler orders operations."""
    return cast("_Function", njit(function))


def compiled_step(function: _Function) -> _Function:
    """Compile a whole step and keep the machine code on disk.

    The compiler looks at the file of the step alone to see whether kept code is stale, not at the files that it calls.
    So a step is a closure over ``SOURCE``, which is part of the key.
    """
    return cast("_Function", njit(cache=True)(function))


def _source_number() -> int:
    """Return a number that changes with any source file of this folder."""
    folder = Path(__file__).parent
    texts = b"".join(path.read_bytes() for path in sorted(folder.glob("*.py")))
    return int.from_bytes(hashlib.sha256(texts).digest()[:6], "big")


SOURCE = _source_number()
