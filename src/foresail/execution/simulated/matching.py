"""The compiled venue step: what one bar does to the open orders and positions of all instruments.

Everything is int64: prices in ticks, quantities in lots. It is a module-level function over arrays, so that a backtest,
a paper venue and a compiled sweep call the same code. A bar is walked in this order; within one step orders go by row,
and rows are kept sorted by (instrument, sequence):

0. at the open, sells: market orders, limits and stops that the open has already passed;
1. at the open, buys, likewise;
2. at the open, the attached stop (open at or beyond it), else the attached target (open beyond it);
3. inside the bar, resting orders that open or enlarge a position, unless the position's stop lies before them;
4. inside the bar, the attached stop;
5. inside the bar, the attached target, for what was already held at the open;
6. inside the bar, all other resting orders: stops first, then limits;
7. the attached stop once more, for what step 6 has opened.

So where a bar allows several paths, the worse one is taken: stop before target, enlarged before stopped, no target
for a position that was entered inside the bar. A stop fills at the worse of its level and the open. A limit fills only
when price trades through it. When a stop or target closes a position for good, orders that would have reduced it and
orders that are partly filled are cancelled (one cancels other).

A sale beyond the holding is cut where short positions are not allowed; an order marked ``REDUCE`` never opens one. What
is cut is cancelled; what only lacks volume or a bar waits until its life ends.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numpy as np
from numba import njit

from foresail.core.arrays import BoolArray, FloatArray, IntArray

__all__ = [
    "BAR_WIDTH",
    "CANCELLED",
    "CAP",
    "EVENT_WIDTH",
    "EXPIRED",
    "E_LOTS",
    "E_OUTCOME",
    "E_ROW",
    "FILLED",
    "FILL_WIDTH",
    "F_INSTRUMENT",
    "F_LOTS",
    "F_MAKER",
    "F_PRICE",
    "F_REFERENCE",
    "F_ROW",
    "F_SIGN",
    "F_STEP",
    "HELD",
    "HIGH",
    "INSTRUMENT",
    "KIND",
    "LEFT",
    "LIFE",
    "LIMIT",
    "LOW",
    "MARKET",
    "OPEN",
    "ORDER_WIDTH",
    "POSITION_WIDTH",
    "PRICE",
    "QUANTITY",
    "REDUCE",
    "ROW_STOP",
    "ROW_TARGET",
    "SEQUENCE",
    "SIGN",
    "STOP",
    "STOP_LEVEL",
    "STOP_ORDER",
    "TARGET",
    "TARGET_LEVEL",
    "compiled",
    "match_bar",
]

# Columns of an order row.
ORDER_WIDTH = 11
INSTRUMENT, SIGN, KIND, LEFT, PRICE, LIFE, SEQUENCE, STOP, TARGET, REDUCE, FILLED = range(ORDER_WIDTH)
MARKET, LIMIT, STOP_ORDER = 0, 1, 2  # values of KIND

# Columns of a position row; HELD is what was held after the open of the bar that is being matched.
POSITION_WIDTH = 4
QUANTITY, STOP_LEVEL, TARGET_LEVEL, HELD = range(POSITION_WIDTH)

# Columns of a bar row; CAP is the volume that may still be traded in this bar, lots, negative = unlimited.
BAR_WIDTH = 4
OPEN, HIGH, LOW, CAP = range(BAR_WIDTH)

# Columns of a fill: STEP is the number above, ROW the order's row or ROW_STOP / ROW_TARGET.
FILL_WIDTH = 8
F_STEP, F_INSTRUMENT, F_ROW, F_SIGN, F_LOTS, F_PRICE, F_REFERENCE, F_MAKER = range(FILL_WIDTH)
ROW_STOP, ROW_TARGET = -1, -2

# Columns of an event about an order that left the book unfilled.
EVENT_WIDTH = 3
E_ROW, E_OUTCOME, E_LOTS = range(EVENT_WIDTH)
CANCELLED, EXPIRED = 0, 1

_Tables = tuple[IntArray, IntArray, IntArray, IntArray, IntArray]  # orders, positions, bars, fills, events
_Market = tuple[BoolArray, FloatArray, FloatArray]  # ready, slip, step
_Function = TypeVar("_Function", bound=Callable[..., Any])


def compiled(function: _Function) -> _Function:
    """Compile a function; no fast-math, so that results do not depend on how the compiler orders operations."""
    return cast("_Function", njit(cache=True)(function))


@compiled
def _adverse(reference: int, sign: int, slip: float, step: float) -> int:
    """Return the price in ticks after slippage (share of price) and spread (ticks), moved against the order."""
    moved = reference + sign * int(np.rint(reference * slip + step))
    return max(moved, 1)


@compiled
def _executable(order: IntArray, position: IntArray, allow_short: bool) -> int:  # noqa: FBT001 compiled code
    """Return how many lots of an order its holding permits, before volume is considered."""
    lots: int = order[LEFT]
    if order[REDUCE] == 1:
        lots = min(lots, max(-order[SIGN] * position[QUANTITY], 0))
    elif not allow_short and order[SIGN] < 0:
        lots = min(lots, max(position[QUANTITY], 0))
    return lots


@compiled
def _book(position: IntArray, change: int, stop: int, target: int) -> None:
    """Change a position; levels of a filled order replace the old ones, a closed or turned position loses them."""
    before = position[QUANTITY]
    after = before + change
    position[QUANTITY] = after
    if after == 0 or before * after < 0:
        position[STOP_LEVEL] = 0
        position[TARGET_LEVEL] = 0
    if after != 0:
        if stop > 0:
            position[STOP_LEVEL] = stop
        if target > 0:
            position[TARGET_LEVEL] = target


@compiled
def _cancel(events: IntArray, count: int, orders: IntArray, row: int) -> int:
    """Take an order out of the book and note it."""
    events[count, E_ROW] = row
    events[count, E_OUTCOME] = CANCELLED
    events[count, E_LOTS] = orders[row, LEFT]
    orders[row, LEFT] = 0
    return count + 1


@compiled
def _write(fill: IntArray, step: int, row: int, instrument: int, sign: int) -> None:
    fill[F_STEP] = step
    fill[F_ROW] = row
    fill[F_INSTRUMENT] = instrument
    fill[F_SIGN] = sign


@compiled
def _execute(
    place: tuple[int, int],
    prices: tuple[int, int, int],
    tables: _Tables,
    counts: tuple[int, int],
    allow_short: bool,  # noqa: FBT001 compiled code
) -> tuple[int, int]:
    """Fill an order (row, step) as far as holding and volume permit, at (price, reference, maker); return counts."""
    row, step = place
    orders, positions, bars, fills, events = tables
    n_fills, n_events = counts
    order = orders[row]
    i = order[INSTRUMENT]
    permitted = _executable(order, positions[i], allow_short)
    cut = permitted < order[LEFT]
    lots = permitted if bars[i, CAP] < 0 else min(permitted, bars[i, CAP])
    if lots > 0:
        fill = fills[n_fills]
        _write(fill, step, row, i, order[SIGN])
        fill[F_LOTS] = lots
        fill[F_PRICE], fill[F_REFERENCE], fill[F_MAKER] = prices
        n_fills += 1
        if bars[i, CAP] >= 0:
            bars[i, CAP] -= lots
        _book(positions[i], order[SIGN] * lots, order[STOP], order[TARGET])
        order[LEFT] -= lots
        order[FILLED] += lots
    if cut and lots == permitted and order[LEFT] > 0:
        n_events = _cancel(events, n_events, orders, row)
    return n_fills, n_events


@compiled
def _leave(
    place: tuple[int, int, int],
    prices: tuple[int, int, int, int],
    tables: _Tables,
    counts: tuple[int, int],
) -> tuple[int, int]:
    """Close lots of a position (instrument, step, row) by its attached stop or target; return the new counts."""
    i, step, row = place
    orders, positions, bars, fills, events = tables
    n_fills, n_events = counts
    position = positions[i]
    sign = -1 if position[QUANTITY] > 0 else 1
    price, reference, maker, lots = prices
    if bars[i, CAP] >= 0:
        lots = min(lots, bars[i, CAP])
        bars[i, CAP] -= lots
    if lots <= 0:
        return n_fills, n_events
    fill = fills[n_fills]
    _write(fill, step, row, i, sign)
    fill[F_LOTS] = lots
    fill[F_PRICE], fill[F_REFERENCE], fill[F_MAKER] = price, reference, maker
    _book(position, sign * lots, 0, 0)
    if position[QUANTITY] == 0:
        for r in range(orders.shape[0]):
            order = orders[r]
            if order[INSTRUMENT] == i and order[LEFT] > 0 and (order[SIGN] == sign or order[FILLED] > 0):
                n_events = _cancel(events, n_events, orders, r)
    return n_fills + 1, n_events


@compiled
def _resting_price(order: IntArray, bar: IntArray, slip: float, step: float) -> tuple[int, int, int]:
    """Return (price, reference, maker) of a resting order inside the bar; price 0 where it is not reached."""
    sign, level = order[SIGN], order[PRICE]
    if order[KIND] == LIMIT:
        reached = bar[LOW] < level if sign > 0 else bar[HIGH] > level
        return (level, level, 1) if reached else (0, 0, 0)
    reached = bar[HIGH] >= level if sign > 0 else bar[LOW] <= level
    if not reached:
        return 0, 0, 0
    reference = max(bar[OPEN], level) if sign > 0 else min(bar[OPEN], level)
    return _adverse(reference, sign, slip, step), reference, 0


@compiled
def _opening_price(order: IntArray, bar: IntArray, slip: float, step: float) -> tuple[int, int, int]:
    """Return (price, reference, maker) of an order at the open; price 0 where the open does not trigger it."""
    sign, level, reference = order[SIGN], order[PRICE], bar[OPEN]
    price = _adverse(reference, sign, slip, step)
    if order[KIND] == LIMIT:
        if sign * (level - reference) <= 0:
            return 0, 0, 0
        price = min(price, level) if sign > 0 else max(price, level)
    elif order[KIND] == STOP_ORDER and sign * (reference - level) < 0:
        return 0, 0, 0
    return price, reference, 0


@compiled
def _stop_price(position: IntArray, bar: IntArray, slip: float, step: float) -> tuple[int, int, int, int]:
    """Return (price, reference, maker, lots) of a position's stop in the bar; price 0 where it is not reached."""
    quantity, level = position[QUANTITY], position[STOP_LEVEL]
    if quantity == 0 or level == 0:
        return 0, 0, 0, 0
    if quantity > 0:
        reached, reference, sign = bar[LOW] <= level, min(bar[OPEN], level), -1
    else:
        reached, reference, sign = bar[HIGH] >= level, max(bar[OPEN], level), 1
    if not reached:
        return 0, 0, 0, 0
    return _adverse(reference, sign, slip, step), reference, 0, abs(quantity)


@compiled
def _leave_at_open(position: IntArray, bar: IntArray, slip: float, step: float) -> tuple[int, int, int, int, int]:
    """Return (row, price, reference, maker, lots) of the stop or target that the open has passed; row 0 for none."""
    quantity, opened = position[QUANTITY], bar[OPEN]
    if quantity == 0:
        return 0, 0, 0, 0, 0
    sign = -1 if quantity > 0 else 1
    price = _adverse(opened, sign, slip, step)
    stop, target = position[STOP_LEVEL], position[TARGET_LEVEL]
    if stop > 0 and sign * (opened - stop) >= 0:
        return ROW_STOP, price, opened, 0, abs(quantity)
    if target > 0 and sign * (target - opened) > 0:
        limited = max(price, target) if sign < 0 else min(price, target)
        return ROW_TARGET, limited, opened, 0, abs(quantity)
    return 0, 0, 0, 0, 0


@compiled
def _target_lots(position: IntArray, bar: IntArray) -> int:
    """Return how many lots leave at the attached target inside the bar: only what was held at the open."""
    quantity, level, held = position[QUANTITY], position[TARGET_LEVEL], position[HELD]
    if level == 0 or quantity * held <= 0:
        return 0
    through = bar[HIGH] > level if quantity > 0 else bar[LOW] < level
    return min(abs(quantity), abs(held)) if through else 0


@compiled
def _enlarges_before_stop(order: IntArray, position: IntArray) -> bool:
    """Return whether a resting order adds to a position (or opens one) and is met before the position's stop."""
    quantity, stop, sign = position[QUANTITY], position[STOP_LEVEL], order[SIGN]
    if quantity * sign < 0:
        return False
    beyond = quantity != 0 and stop > 0 and order[KIND] == LIMIT and sign * (order[PRICE] - stop) <= 0
    return not beyond


@compiled
def _at_open(tables: _Tables, market: _Market, allow_short: bool) -> tuple[int, int]:  # noqa: FBT001 compiled code
    """Steps 0 to 2."""
    orders, positions, bars, _fills, _events = tables
    ready, slip, step = market
    counts = (0, 0)
    for number in range(2):
        sign = 2 * number - 1
        for row in range(orders.shape[0]):
            i = orders[row, INSTRUMENT]
            if orders[row, SIGN] == sign and orders[row, LEFT] > 0 and ready[i]:
                prices = _opening_price(orders[row], bars[i], slip[i], step[i])
                if prices[0] > 0:
                    counts = _execute((row, number), prices, tables, counts, allow_short)
    for i in range(positions.shape[0]):
        if ready[i]:
            row, price, reference, maker, lots = _leave_at_open(positions[i], bars[i], slip[i], step[i])
            if row != 0:
                counts = _leave((i, 2, row), (price, reference, maker, lots), tables, counts)
        positions[i, HELD] = positions[i, QUANTITY]
    return counts


@compiled
def _rest(
    step_kind: tuple[int, int],
    tables: _Tables,
    market: _Market,
    counts: tuple[int, int],
    allow_short: bool,  # noqa: FBT001 compiled code
) -> tuple[int, int]:
    """Steps 3 (orders of any resting kind that enlarge) and 6 (orders of one kind)."""
    orders, positions, bars, _fills, _events = tables
    ready, slip, step = market
    number, kind = step_kind
    for row in range(orders.shape[0]):
        i = orders[row, INSTRUMENT]
        if orders[row, LEFT] == 0 or orders[row, KIND] == MARKET or not ready[i]:
            continue
        chosen = _enlarges_before_stop(orders[row], positions[i]) if number == 3 else orders[row, KIND] == kind
        if chosen:
            prices = _resting_price(orders[row], bars[i], slip[i], step[i])
            if prices[0] > 0:
                counts = _execute((row, number), prices, tables, counts, allow_short)
    return counts


@compiled
def _stops(number: int, tables: _Tables, market: _Market, counts: tuple[int, int]) -> tuple[int, int]:
    """Steps 4 and 7."""
    _orders, positions, bars, _fills, _events = tables
    ready, slip, step = market
    for i in range(positions.shape[0]):
        if ready[i]:
            prices = _stop_price(positions[i], bars[i], slip[i], step[i])
            if prices[0] > 0:
                counts = _leave((i, number, ROW_STOP), prices, tables, counts)
    return counts


@compiled
def _targets(tables: _Tables, ready: BoolArray, counts: tuple[int, int]) -> tuple[int, int]:
    """Step 5."""
    _orders, positions, bars, _fills, _events = tables
    for i in range(positions.shape[0]):
        lots = _target_lots(positions[i], bars[i]) if ready[i] else 0
        if lots > 0:
            level = positions[i, TARGET_LEVEL]
            counts = _leave((i, 5, ROW_TARGET), (level, level, 1, lots), tables, counts)
    return counts


@compiled
def _age(orders: IntArray, events: IntArray, n_events: int) -> int:
    """Let every waiting order grow one bar older; those at the end of their life expire."""
    for row in range(orders.shape[0]):
        if orders[row, LEFT] > 0 and orders[row, LIFE] > 0:
            orders[row, LIFE] -= 1
            if orders[row, LIFE] == 0:
                n_events = _cancel(events, n_events, orders, row)
                events[n_events - 1, E_OUTCOME] = EXPIRED
    return n_events


@compiled
def match_bar(tables: _Tables, market: _Market, allow_short: bool) -> tuple[int, int]:  # noqa: FBT001 compiled code
    """Match one bar of N instruments against M open orders and the N positions, in place.

    Parameters
    ----------
    tables : (orders, positions, bars, fills, events)
        (M, ORDER_WIDTH), (N, POSITION_WIDTH), (N, BAR_WIDTH) int64, changed in place, and room for at least M + 4 N
        fills (.., FILL_WIDTH) and M events (.., EVENT_WIDTH); orders sorted by (instrument, sequence)
    market : (ready, slip, step)
        (N,) whether the instrument has a bar that can be traded; (N,) share of price that an order taking liquidity
        loses; (N,) ticks that it loses besides
    allow_short : whether a sale may open a position

    Returns
    -------
    Numbers of fills and of events written; fills of one instrument stand in the order in which they happened.
    """
    orders, _positions, _bars, _fills, events = tables
    counts = _at_open(tables, market, allow_short)
    counts = _rest((3, 0), tables, market, counts, allow_short)
    counts = _stops(4, tables, market, counts)
    counts = _targets(tables, market[0], counts)
    counts = _rest((6, STOP_ORDER), tables, market, counts, allow_short)
    counts = _rest((6, LIMIT), tables, market, counts, allow_short)
    counts = _stops(7, tables, market, counts)
    return counts[0], _age(orders, events, counts[1])
