"""The arrays that the book step works on: what it remembers, and the columns of a stream."""

from __future__ import annotations

from typing import Any, NamedTuple

from foresail.core.arrays import BoolArray, IntArray

__all__ = ["BookMemory", "Columns"]


class BookMemory(NamedTuple):
    """All that the step remembers. Row 0 is the bid, row 1 the ask.

    A level's key is its price, negated for asks: keys ascend and the best is the last, so that what changes most often
    moves least.
    """

    keys: IntArray  # (2, C) ticks
    sizes: IntArray  # (2, C) lots
    counts: IntArray  # (2,) levels
    top: IntArray  # (4, L) at the last close: key and size of the bid, key and size of the ask; size 0 = no level
    flow: IntArray  # (L,) lots, of the bar
    lacking: IntArray  # (L,) 1 = the flow of this bar is not whole
    numbers: IntArray  # (NUMBERS,)
    slots: IntArray  # (2, SLOTS) number of the slot, prints in it
    pending: IntArray  # (PENDING, PENDING_WIDTH)
    hits: IntArray  # (2, HIT_WIDTH)


class Columns(NamedTuple):
    """The columns of a stream that the step reads, each (R,)."""

    time: IntArray
    kind: Any
    side: Any
    price: IntArray
    size: IntArray
    order: IntArray
    closes: BoolArray
