"""The compiled book step: one row after the other into the book, and a row of numbers at the end of each bar.

Everything it remembers is whole numbers in ``BookMemory``, so a stream that is cut anywhere gives the same bits. All
constants stand in this file: the compiled code on disk is kept by the state of this file.
"""

# ruff: noqa: PLR0917 compiled functions take what they need one by one

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeVar, cast

from numba import njit

from foresail.core.arrays import FloatArray, IntArray
from foresail.features.books.memory import BookMemory, Columns

__all__ = [
    "BAR_END",
    "BASE",
    "CLOSES",
    "CROSSED",
    "HIT_WIDTH",
    "NUMBERS",
    "PENDING",
    "PENDING_WIDTH",
    "SLOTS",
    "SLOT_NS",
    "STRAY",
    "VALID",
    "advance",
    "levels_at",
    "run",
]

SLOT_NS = 100_000_000  # prints are counted in slots of 100 ms
SLOTS = 600  # of the last 60 s
PENDING = 256  # large orders whose fate is open
_MINUTE = SLOT_NS * SLOTS
_FEW = 100  # prints or orders before one can be called large
_TOP = 10  # levels of hidden liquidity and of layers
_SAME = 4  # levels of one size that make a layer
_REFILLS = 3

# Values of BookKind.
_CLEAR, _LEVEL, _ADD, _REDUCE, _DELETE, _EXECUTE, _FILL, _TRADE, _INVALID, _VALID, _VIEW = range(11)

# Places in ``BookMemory.numbers``.
BAR_END = 0  # ns, 0 before the first row
_FIRST = 1  # ns of the first row
VALID = 2
_READY = 3  # the top of the book at the last close is known
_FROM, _TO = 4, 25  # levels, among those that flow looks at, that changed since the last close
_TOP_SUM, _TOP_COUNT = 5, 6  # lots on those levels, both sides, and how many levels there are
_DEPTH_SUM, _DEPTH_COUNT = 7, 8  # of these over the closes of the bar
_PRINTS, _VOLUME, _SIGNED = 9, 10, 11  # of the bar
_ALL_PRINTS, _ALL_VOLUME = 12, 13  # of the stream
_WHALE, _ICEBERG = 14, 15
_ADDITIONS, _ADDED = 16, 17  # orders or level increases of the stream, and their lots
_HEAD, _OPEN = 18, 19  # of the ring of large orders
_JUDGED, _CANCELLED = 20, 21  # large orders of which the fate became known in the bar
CROSSED, CLOSES = 22, 23  # closes of the stream, and those with bid >= ask
STRAY = 24  # rows that took from a level more than it held
NUMBERS = 26

# Columns of a large order, and of what was hit last on a side.
_P_TIME, _P_ROW, _P_KEY, _P_SIZE, _P_ORDER, PENDING_WIDTH = 0, 1, 2, 3, 4, 5
_H_KEY, _H_SIZE, _H_TIME, _H_REFILLS, HIT_WIDTH = 0, 1, 2, 3, 4

# Columns of the output before imbalances, depths and flows.
_BID, _ASK, _BID_SIZE, _ASK_SIZE, _MID, _MICRO, _SPREAD, _HIDDEN, _VELOCITY = 0, 1, 2, 3, 4, 5, 6, 7, 8
_O_PRINTS, _O_VOLUME, _O_SIGNED, _O_DEPTH, _O_WHALE, _O_SPOOF, _O_LAYER, _O_ICEBERG, BASE = (
    9,
    10,
    11,
    12,
    13,
    14,
    15,
    16,
    17,
)

_Function = TypeVar("_Function", bound=Callable[..., Any])


# Without reference counts: nothing here makes an array, and counting at every look into the memory took most of the
# time.
_OPTIONS = {"nogil": True, "error_model": "numpy", "_nrt": False}


def _jitted(function: _Function) -> _Function:
    """Compile a function; no fast-math, so that results do not depend on how the compiler orders operations."""
    return cast("_Function", njit(cache=True, **_OPTIONS)(function))


def _jitted_inline(function: _Function) -> _Function:
    """Compile a function into its callers, so that the memory is not handed over array by array for each row."""
    return cast("_Function", njit(forceinline=True, **_OPTIONS)(function))


@_jitted_inline
def _place(keys: IntArray, row: int, count: int, key: int) -> int:
    """Return the last position with a key not above ``key``, -1 if there is none; near the best first."""
    i = count - 1
    near = max(count - 17, -1)
    while i > near and keys[row, i] > key:
        i -= 1
    if i > near or i < 0:
        return i
    low, high = -1, i + 1
    while high - low > 1:
        middle = (low + high) >> 1
        if keys[row, middle] <= key:
            low = middle
        else:
            high = middle
    return low


@_jitted_inline
def _set_level(m: BookMemory, row: int, key: int, i: int, old: int, size: int) -> None:
    """Make the level ``key`` hold ``size`` lots instead of ``old``; ``i`` is what ``_place`` returned."""
    n = m.counts[row]
    depth = n - 1 - i
    levels = m.flow.shape[0]
    last = depth + 1
    if old > 0 and size > 0:
        m.sizes[row, i] = size
    elif old > 0:
        for j in range(i, n - 1):
            m.keys[row, j] = m.keys[row, j + 1]
            m.sizes[row, j] = m.sizes[row, j + 1]
        m.counts[row] = n - 1
        last = levels
    elif size > 0:
        for j in range(n, i + 1, -1):
            m.keys[row, j] = m.keys[row, j - 1]
            m.sizes[row, j] = m.sizes[row, j - 1]
        m.keys[row, i + 1] = key
        m.sizes[row, i + 1] = size
        m.counts[row] = n + 1
        last = levels
    if depth < levels:
        m.numbers[_FROM] = min(m.numbers[_FROM], depth)
        m.numbers[_TO] = max(m.numbers[_TO], last)


@_jitted_inline
def _print(m: BookMemory, t: int, side: int, size: int, whale_factor: float) -> None:
    """Count one print."""
    numbers = m.numbers
    slot = t // SLOT_NS
    place = slot % SLOTS
    if m.slots[0, place] != slot:
        m.slots[0, place] = slot
        m.slots[1, place] = 0
    m.slots[1, place] += 1
    if numbers[_ALL_PRINTS] >= _FEW and size > whale_factor * (numbers[_ALL_VOLUME] / numbers[_ALL_PRINTS]):
        numbers[_WHALE] = 1
    numbers[_PRINTS] += 1
    numbers[_VOLUME] += size
    numbers[_SIGNED] += side * size
    numbers[_ALL_PRINTS] += 1
    numbers[_ALL_VOLUME] += size


@_jitted_inline
def _hit(m: BookMemory, t: int, row: int, key: int, size: int) -> None:
    """Remember that resting orders at a price were hit: icebergs refill there; a hit order was no spoof."""
    hit = m.hits[row]
    if hit[_H_KEY] != key:
        hit[_H_KEY] = key
        hit[_H_REFILLS] = 0
        hit[_H_SIZE] = 0
    hit[_H_SIZE] += size
    hit[_H_TIME] = t
    for k in range(m.numbers[_OPEN]):
        p = m.pending[(m.numbers[_HEAD] + k) % PENDING]
        if p[_P_SIZE] > 0 and p[_P_ROW] == row and p[_P_KEY] == key and p[_P_ORDER] == 0:
            p[_P_SIZE] = 0
            m.numbers[_JUDGED] += 1


@_jitted
def _expire(m: BookMemory, t: int, cancel_ns: int) -> None:
    """Drop large orders that outlived the limit, and those that were judged before."""
    numbers = m.numbers
    while numbers[_OPEN] > 0:
        p = m.pending[numbers[_HEAD]]
        if p[_P_SIZE] > 0:
            if t - p[_P_TIME] < cancel_ns:
                break
            numbers[_JUDGED] += 1
        numbers[_HEAD] = (numbers[_HEAD] + 1) % PENDING
        numbers[_OPEN] -= 1


@_jitted_inline
def _added(m: BookMemory, t: int, row: int, key: int, size: int, order: int, large: float, cancel_ns: int) -> None:
    """Take note of an order or of the increase of a level."""
    numbers = m.numbers
    hits = m.hits
    if hits[row, _H_KEY] == key and 0 < hits[row, _H_SIZE] <= size and t - hits[row, _H_TIME] <= 10 * SLOT_NS:
        hits[row, _H_REFILLS] += 1
        hits[row, _H_SIZE] = 0
        if hits[row, _H_REFILLS] >= _REFILLS:
            numbers[_ICEBERG] = 1
    if numbers[_ADDITIONS] >= _FEW and size > large * (numbers[_ADDED] / numbers[_ADDITIONS]):
        _expire(m, t, cancel_ns)
        if numbers[_OPEN] == PENDING:  # so many at once: the oldest counts as having stayed
            if m.pending[numbers[_HEAD], _P_SIZE] > 0:
                numbers[_JUDGED] += 1
            numbers[_HEAD] = (numbers[_HEAD] + 1) % PENDING
            numbers[_OPEN] -= 1
        p = m.pending[(numbers[_HEAD] + numbers[_OPEN]) % PENDING]
        p[_P_TIME], p[_P_ROW], p[_P_KEY], p[_P_SIZE], p[_P_ORDER] = t, row, key, size, order
        numbers[_OPEN] += 1
    numbers[_ADDITIONS] += 1
    numbers[_ADDED] += size


@_jitted_inline
def _cancelled(m: BookMemory, t: int, row: int, key: int, size: int, order: int, cancel_ns: int) -> None:
    """Look whether what was cancelled is a large order; by its id, or by price and size where orders have none."""
    numbers, p = m.numbers, m.pending
    for k in range(numbers[_OPEN]):
        j = (numbers[_HEAD] + k) % PENDING
        if p[j, _P_ORDER] != order or p[j, _P_SIZE] == 0:
            continue
        if order != 0 or (p[j, _P_KEY] == key and p[j, _P_ROW] == row and size >= p[j, _P_SIZE]):
            numbers[_JUDGED] += 1
            if t - p[j, _P_TIME] < cancel_ns:
                numbers[_CANCELLED] += 1
            p[j, _P_SIZE] = 0
            return


@_jitted_inline
def _begin(m: BookMemory, kind: int) -> None:
    """Begin a snapshot, or stop and resume; no flow is known across it."""
    if kind == _CLEAR:
        m.counts[:] = 0
    m.numbers[VALID] = 0 if kind == _INVALID else 1
    m.numbers[_READY] = 0
    m.numbers[_FROM], m.numbers[_TO] = 0, m.flow.shape[0]
    m.lacking[:] = 1


@_jitted_inline
def _apply(
    m: BookMemory, t: int, kind: int, side: int, price: int, size: int, order: int, factors: FloatArray, cancel_ns: int
) -> None:
    """Take in one row. ``factors``: whale, large."""
    numbers = m.numbers
    if kind == _TRADE:
        _print(m, t, side, size, factors[0])
        if side != 0:
            _hit(m, t, 1 if side > 0 else 0, -price if side > 0 else price, size)
        return
    if kind in (_CLEAR, _INVALID, _VALID):
        _begin(m, kind)
        return
    row = 0 if side > 0 else 1
    key = price if side > 0 else -price
    n = m.counts[row]
    i = _place(m.keys, row, n, key)
    old = m.sizes[row, i] if i >= 0 and m.keys[row, i] == key else 0
    new = size if kind in (_LEVEL, _VIEW) else (old + size if kind == _ADD else old - size)
    if new < 0:
        numbers[STRAY] += 1
        new = 0
    _set_level(m, row, key, i, old, new)
    if kind == _EXECUTE:
        _print(m, t, -side, size, factors[0])
        _hit(m, t, row, key, size)
    if numbers[_READY] == 0 or kind == _VIEW:  # no news
        return
    if new > old:
        _added(m, t, row, key, new - old, order, factors[1], cancel_ns)
    elif numbers[_OPEN] > 0 and (kind == _DELETE or (kind == _LEVEL and new < old)):
        _cancelled(m, t, row, key, old - new, order, cancel_ns)


@_jitted_inline
def _move(key: int, size: int, key_before: int, size_before: int) -> int:
    """Return the order flow of one level of one side; a better price has a higher key [ContKukanovStoikov2014]."""
    if key > key_before:
        return size
    if key < key_before:
        return -size_before
    return size - size_before


@_jitted_inline
def _close(m: BookMemory) -> None:
    """Add the order flow between the last close and this one, of the levels that changed."""
    numbers, top = m.numbers, m.top
    bids, asks = m.counts[0], m.counts[1]
    total, there = numbers[_TOP_SUM], numbers[_TOP_COUNT]
    for k in range(numbers[_FROM], numbers[_TO]):
        b, a = bids - 1 - k, asks - 1 - k
        bid_key, bid_size = (m.keys[0, b], m.sizes[0, b]) if b >= 0 else (0, 0)
        ask_key, ask_size = (m.keys[1, a], m.sizes[1, a]) if a >= 0 else (0, 0)
        bid_before, ask_before = top[1, k], top[3, k]
        total += bid_size + ask_size - bid_before - ask_before
        there += (bid_size > 0) + (ask_size > 0) - (bid_before > 0) - (ask_before > 0)
        if bid_size == 0 or ask_size == 0:
            m.lacking[k] = 1
        elif numbers[_READY] == 1 and bid_before > 0 and ask_before > 0:
            m.flow[k] += _move(bid_key, bid_size, top[0, k], bid_before)
            m.flow[k] -= _move(ask_key, ask_size, top[2, k], ask_before)
        top[0, k], top[1, k], top[2, k], top[3, k] = bid_key, bid_size, ask_key, ask_size
    numbers[_TOP_SUM], numbers[_TOP_COUNT] = total, there
    numbers[_READY] = 1
    numbers[_FROM], numbers[_TO] = m.flow.shape[0], 0


@_jitted
def _side_sum(sizes: IntArray, count: int, depth: int) -> int:
    total = 0
    for k in range(min(depth, count)):
        total += sizes[count - 1 - k]
    return total


@_jitted
def _hidden(sizes: IntArray, count: int) -> float:
    """Return the population deviation of the sizes of the best ten levels over their mean."""
    n = min(_TOP, count)
    mean = _side_sum(sizes, count, n) / n
    square = 0.0
    for k in range(n):
        square += (sizes[count - 1 - k] - mean) ** 2
    return math.sqrt(square / n) / mean


@_jitted
def _layered(sizes: IntArray, count: int) -> bool:
    """Return whether at least four of the best ten levels hold the same size."""
    n = min(_TOP, count)
    for k in range(n):
        same = 0
        for j in range(n):
            same += sizes[count - 1 - j] == sizes[count - 1 - k]
        if same >= _SAME:
            return True
    return False


@_jitted
def _quotes(m: BookMemory, depths: IntArray, visible: int, tick: float, lot: float, out: FloatArray) -> None:
    """Write what the standing book says; nothing where a side is empty or the sides cross."""
    bids, asks = m.counts[0], m.counts[1]
    if m.numbers[VALID] == 0 or bids == 0 or asks == 0:
        return
    bid, ask = m.keys[0, bids - 1], -m.keys[1, asks - 1]
    if bid >= ask:
        return
    bid_size, ask_size = m.sizes[0, bids - 1], m.sizes[1, asks - 1]
    out[_BID], out[_ASK] = bid * tick, ask * tick
    out[_BID_SIZE], out[_ASK_SIZE] = bid_size * lot, ask_size * lot
    out[_MID] = (bid + ask) * 0.5 * tick
    out[_MICRO] = (bid + (ask - bid) * (bid_size / (bid_size + ask_size))) * tick
    out[_SPREAD] = (ask - bid) / ((bid + ask) * 0.5) * 10_000.0
    if visible == 0 or visible >= _TOP:
        out[_HIDDEN] = _hidden(m.sizes[0], bids)
        out[_O_LAYER] = 1.0 if _layered(m.sizes[0], bids) or _layered(m.sizes[1], asks) else 0.0
    for d in range(depths.shape[0]):
        if visible == 0 or depths[d] <= visible:
            b, a = _side_sum(m.sizes[0], bids, depths[d]), _side_sum(m.sizes[1], asks, depths[d])
            out[BASE + d] = (b - a) / (b + a)
            out[BASE + depths.shape[0] + d] = (b + a) * 0.5 * lot


@_jitted
def _emit(
    m: BookMemory, depths: IntArray, visible: int, tick: float, lot: float, cancel_ns: int, out: FloatArray
) -> None:
    """Write the numbers of the bar that ends, and begin the next one."""
    numbers = m.numbers
    end = numbers[BAR_END]
    out[:] = math.nan
    _quotes(m, depths, visible, tick, lot, out)
    _expire(m, end, cancel_ns)
    prints = 0
    for k in range(SLOTS):
        if m.slots[0, k] >= end // SLOT_NS - SLOTS:
            prints += m.slots[1, k]
    if end - numbers[_FIRST] >= _MINUTE:
        out[_VELOCITY] = prints / 60.0
    out[_O_PRINTS] = numbers[_PRINTS]
    out[_O_VOLUME], out[_O_SIGNED] = numbers[_VOLUME] * lot, numbers[_SIGNED] * lot
    out[_O_WHALE], out[_O_ICEBERG] = numbers[_WHALE], numbers[_ICEBERG]
    if numbers[_JUDGED] > 0:
        out[_O_SPOOF] = numbers[_CANCELLED] / numbers[_JUDGED]
    total, there = numbers[_DEPTH_SUM], numbers[_DEPTH_COUNT]
    if there == 0 and numbers[VALID] == 1:
        total, there = numbers[_TOP_SUM], numbers[_TOP_COUNT]
    if there > 0:
        out[_O_DEPTH] = total / there * lot
    base = BASE + 2 * depths.shape[0]
    for k in range(m.flow.shape[0]):
        if m.lacking[k] == 0 and (visible == 0 or k < visible):
            out[base + k] = m.flow[k] * lot
        m.flow[k] = 0
        known = numbers[VALID] == 1 and numbers[_READY] == 1 and m.top[1, k] > 0 and m.top[3, k] > 0
        m.lacking[k] = 0 if known else 1
    for place in (_DEPTH_SUM, _DEPTH_COUNT, _PRINTS, _VOLUME, _SIGNED, _WHALE, _ICEBERG, _JUDGED, _CANCELLED):
        numbers[place] = 0


@_jitted
def advance(
    m: BookMemory, until: int, bar_ns: int, depths: IntArray, visible: int, scale: FloatArray, cancel_ns: int,
    ends: IntArray, out: FloatArray, written: int,
) -> int:  # fmt: skip
    """End every bar that is over at ``until``, ns; return how many rows are written then. ``scale``: tick, lot."""
    numbers = m.numbers
    while numbers[BAR_END] <= until:
        _emit(m, depths, visible, scale[0], scale[1], cancel_ns, out[written])
        ends[written] = numbers[BAR_END]
        numbers[BAR_END] += bar_ns
        written += 1
    return written


@_jitted
def run(
    m: BookMemory, rows: Columns, first: int, bar_ns: int, depths: IntArray, visible: int, factors: FloatArray,
    cancel_ns: int, ends: IntArray, out: FloatArray, written: int,
) -> tuple[int, int]:  # fmt: skip
    """Take in rows from ``first`` on; stop before one for which a side of the book has no room.

    ``factors``: whale, large, tick, lot. A bar is half open: a row at its end belongs to the next.

    Returns
    -------
    the next row, how many bars are written
    """
    numbers = m.numbers
    capacity = m.keys.shape[1]
    for i in range(first, rows.time.shape[0]):
        t = rows.time[i]
        if m.counts[0] == capacity or m.counts[1] == capacity:
            return i, written
        if numbers[BAR_END] == 0:
            numbers[BAR_END] = (t // bar_ns + 1) * bar_ns
            numbers[_FIRST] = t
        if t >= numbers[BAR_END]:
            written = advance(m, t, bar_ns, depths, visible, factors[2:], cancel_ns, ends, out, written)
        _apply(m, t, rows.kind[i], rows.side[i], rows.price[i], rows.size[i], rows.order[i], factors, cancel_ns)
        if rows.closes[i] and numbers[VALID] == 1 and (rows.kind[i] != _TRADE or numbers[_FROM] < numbers[_TO]):
            if numbers[_FROM] < numbers[_TO] or numbers[_READY] == 0:
                _close(m)
            numbers[_DEPTH_SUM] += numbers[_TOP_SUM]
            numbers[_DEPTH_COUNT] += numbers[_TOP_COUNT]
            numbers[CLOSES] += 1
            if m.top[1, 0] > 0 and m.top[3, 0] > 0 and m.top[0, 0] >= -m.top[2, 0]:
                numbers[CROSSED] += 1
    return rows.time.shape[0], written


@_jitted
def levels_at(
    m: BookMemory, rows: Columns, first: int, factors: FloatArray, price: IntArray, size: IntArray, written: int
) -> tuple[int, int]:
    """Take in rows from ``first`` on and write the best levels at each close, (R, 2, D); size 0 = no level.

    Returns
    -------
    the next row, how many closes are written
    """
    capacity = m.keys.shape[1]
    for i in range(first, rows.time.shape[0]):
        if m.counts[0] == capacity or m.counts[1] == capacity:
            return i, written
        _apply(m, rows.time[i], rows.kind[i], rows.side[i], rows.price[i], rows.size[i], rows.order[i], factors, 0)
        if rows.closes[i]:
            for s in range(2):
                n = m.counts[s]
                for k in range(min(price.shape[2], n)):
                    price[written, s, k] = m.keys[s, n - 1 - k] if s == 0 else -m.keys[s, n - 1 - k]
                    size[written, s, k] = m.sizes[s, n - 1 - k]
            written += 1
    return rows.time.shape[0], written
