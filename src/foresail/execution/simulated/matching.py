"""The compiled venue step: what one bar does to the open orders and positions of all instruments.

Everything is int64: prices in ticks, quantities in lots (``columns``). It is a module-level function over arrays, so
that a backtest, a paper venue and a compiled sweep call the same code. A bar is walked in this order; within one step
orders go by row, and rows are kept sorted by (instrument, sequence):

0. at the open, sells: market orders, limits and stops that the open has already passed;
1. at the open, buys, likewise; then what had to fill at once (IOC, FOK) and did not is cancelled;
2. at the open, the attached stop (open at or beyond it), else the attached target (open beyond it);
3. inside the bar, resting orders that open or enlarge a position, unless the position's stop lies before them;
4. inside the bar, the attached stop;
5. inside the bar, the attached target, for what was already held at the open;
6. inside the bar, all other resting orders: stops first, then limits;
7. the attached stop once more, for what step 6 has opened.

So where a bar allows several paths, the worse one is taken: stop before target, enlarged before stopped, no target
for a position that was entered inside the bar. A stop fills at the worse of its level and the open; once triggered it
is a market order until it is filled. A limit fills only when price trades through it. A stop-limit order that is
triggered inside a bar fills in it only if its limit is beyond the trigger. A trailing level follows prices known before
the part of the bar in which it is met: the open at the open, high and low only from the next bar on.

When a stop or target closes a position for good, orders that would have reduced it and orders that are partly filled
are cancelled (one cancels other). Children of an order sleep until it fills and wake lot for lot; a child limit cannot
fill in the part of the bar that woke it, a child stop can.

A sale beyond the holding, or beyond what can be borrowed, is cut where it would open a short position; an order marked
``REDUCE`` never opens one. What is cut is cancelled; what only lacks volume, a bar or an open market waits until its
life ends.
"""

from __future__ import annotations

from collections.abc import Callable

from foresail.core.arrays import IntArray
from foresail.execution.simulated.booking import awake_lots, cancel_row, execute, leave, tighten
from foresail.execution.simulated.columns import (
    ACTIVE,
    BEST,
    C_END,
    C_SESSION,
    C_START,
    DAY,
    DORMANT,
    E_OUTCOME,
    EXPIRED,
    EXPIRES,
    FOK,
    FRESH,
    HELD,
    HIGH,
    INSTRUMENT,
    IOC,
    KIND,
    LEFT,
    LIFE,
    LIMIT,
    LOW,
    MARKET,
    OPEN,
    PRICE,
    QUANTITY,
    ROW_STOP,
    ROW_TARGET,
    SIGN,
    SOURCE,
    STOP_LEVEL,
    STOP_LIMIT,
    STOP_ORDER,
    TARGET_LEVEL,
    TIF,
    TRAILING,
    TRIGGER,
    WAIT,
    Market,
    Tables,
    compiled,
    compiled_step,
)
from foresail.execution.simulated.prices import leaving_at_open, opening_price, resting_price, stop_price

__all__ = ["match_bar"]


@compiled
def _is_due(order: IntArray, clock: IntArray) -> bool:
    """Return whether an order has reached the venue by the bar's start and still lives then."""
    due: bool = order[LEFT] > 0 and order[WAIT] == 0 and clock[C_START] >= order[ACTIVE]
    return due


@compiled
def _lives_through(order: IntArray, clock: IntArray) -> bool:
    """Return whether an order certainly lives to the end of the bar; inside the bar no other one fills."""
    lives: bool = order[EXPIRES] == 0 or clock[C_END] <= order[EXPIRES]
    return lives


@compiled
def _begin(orders: IntArray, events: IntArray, clock: IntArray) -> int:
    """Let orders expire whose end has come, and give day orders theirs; return the number of events."""
    count = 0
    for row in range(orders.shape[0]):
        order = orders[row]
        if not _is_due(order, clock):
            continue
        if order[TIF] == DAY and order[EXPIRES] == 0:
            order[EXPIRES] = clock[C_SESSION]
        if order[EXPIRES] > 0 and clock[C_START] >= order[EXPIRES]:
            count = cancel_row(events, count, orders, row)
            events[count - 1, E_OUTCOME] = EXPIRED
    return count


@compiled
def _follow_open(order: IntArray, opened: int) -> None:
    """Let a trailing order that the open did not trigger follow it."""
    best = order[BEST]
    if best == 0:
        order[BEST] = opened
    else:
        order[BEST] = max(best, opened) if order[SIGN] < 0 else min(best, opened)
    tighten(order)


@compiled
def _orders_at_open(
    number: int,
    tables: Tables,
    market: Market,
    counts: tuple[int, int],
) -> tuple[int, int]:
    """Steps 0 (sells) and 1 (buys)."""
    orders, _positions, bars, _fills, _events = tables
    ready, clock = market[0], market[4]
    sign = 2 * number - 1
    for row in range(orders.shape[0]):
        order = orders[row]
        i = order[INSTRUMENT]
        if order[SIGN] != sign or not ready[i] or not _is_due(order, clock) or awake_lots(order, number) <= 0:
            continue
        quote = opening_price(order, bars[i])
        if quote[0] > 0:
            counts = execute((row, number), quote, tables, market, counts)
        elif order[KIND] == TRAILING:
            _follow_open(order, bars[i, OPEN])
    return counts


@compiled
def _at_open(
    tables: Tables,
    market: Market,
    counts: tuple[int, int],
) -> tuple[int, int]:
    """Steps 0 to 2."""
    orders, positions, bars, _fills, events = tables
    ready, clock = market[0], market[4]
    counts = _orders_at_open(0, tables, market, counts)
    counts = _orders_at_open(1, tables, market, counts)
    for row in range(orders.shape[0]):
        at_once = orders[row, TIF] == IOC or orders[row, TIF] == FOK
        if at_once and _is_due(orders[row], clock) and orders[row, LEFT] > orders[row, DORMANT]:
            counts = (counts[0], cancel_row(events, counts[1], orders, row))
    for i in range(positions.shape[0]):
        if ready[i]:
            row, reference, bound, maker = leaving_at_open(positions[i], bars[i])
            if row != 0:
                lots = abs(positions[i, QUANTITY])
                counts = leave((i, 2, row), (reference, bound, maker, lots), tables, market, counts)
        positions[i, HELD] = positions[i, QUANTITY]
    for row in range(orders.shape[0]):
        orders[row, FRESH] = 0
    return counts


@compiled
def _enlarges_before_stop(order: IntArray, position: IntArray) -> bool:
    """Return whether a resting order adds to a position (or opens one) and is met before the position's stop."""
    quantity, stop, sign = position[QUANTITY], position[STOP_LEVEL], order[SIGN]
    if quantity * sign < 0:
        return False
    beyond = quantity != 0 and stop > 0 and order[KIND] == LIMIT and sign * (order[PRICE] - stop) <= 0
    return not beyond


@compiled
def _rest(
    step_kind: tuple[int, int],
    tables: Tables,
    market: Market,
    counts: tuple[int, int],
) -> tuple[int, int]:
    """Steps 3 (orders of any resting kind that enlarge) and 6 (stops of all kinds, or limits)."""
    orders, positions, bars, _fills, _events = tables
    ready, clock = market[0], market[4]
    number, kind = step_kind
    for row in range(orders.shape[0]):
        order = orders[row]
        i = order[INSTRUMENT]
        if order[KIND] == MARKET or not ready[i] or not _is_due(order, clock) or not _lives_through(order, clock):
            continue
        same = (order[KIND] == LIMIT) == (kind == LIMIT)
        chosen = _enlarges_before_stop(order, positions[i]) if number == 3 else same
        if chosen and awake_lots(order, number) > 0:
            quote = resting_price(order, bars[i])
            if quote[0] > 0:
                counts = execute((row, number), quote, tables, market, counts)
    return counts


@compiled
def _stops(number: int, tables: Tables, market: Market, counts: tuple[int, int]) -> tuple[int, int]:
    """Steps 4 and 7."""
    _orders, positions, bars, _fills, _events = tables
    for i in range(positions.shape[0]):
        if market[0][i]:
            reference, bound, maker = stop_price(positions[i], bars[i])
            if reference > 0:
                lots = abs(positions[i, QUANTITY])
                counts = leave((i, number, ROW_STOP), (reference, bound, maker, lots), tables, market, counts)
    return counts


@compiled
def _target_lots(position: IntArray, bar: IntArray) -> int:
    """Return how many lots leave at the attached target inside the bar: only what was held at the open."""
    quantity, level, held = position[QUANTITY], position[TARGET_LEVEL], position[HELD]
    if level == 0 or quantity * held <= 0:
        return 0
    through = bar[HIGH] > level if quantity > 0 else bar[LOW] < level
    return min(abs(quantity), abs(held)) if through else 0


@compiled
def _targets(tables: Tables, market: Market, counts: tuple[int, int]) -> tuple[int, int]:
    """Step 5."""
    _orders, positions, bars, _fills, _events = tables
    for i in range(positions.shape[0]):
        lots = _target_lots(positions[i], bars[i]) if market[0][i] else 0
        if lots > 0:
            level = positions[i, TARGET_LEVEL]
            counts = leave((i, 5, ROW_TARGET), (level, 0, 1, lots), tables, market, counts)
    return counts


@compiled
def _follow_bar(order: IntArray, bar: IntArray) -> None:
    """Let what the bar has shown count for the next one: trailing levels, stop-limit orders that were triggered."""
    if order[KIND] == STOP_LIMIT and order[TRIGGER] < 0:
        order[KIND] = LIMIT
        order[TRIGGER] = 0
    if order[KIND] == TRAILING and order[BEST] > 0 and order[FRESH] == 0:
        order[BEST] = max(order[BEST], bar[HIGH]) if order[SIGN] < 0 else min(order[BEST], bar[LOW])
        tighten(order)


@compiled
def _end(tables: Tables, market: Market, n_events: int) -> int:
    """Let every waiting order grow one bar older; those at the end of their life expire."""
    orders, _positions, bars, _fills, events = tables
    ready, clock = market[0], market[4]
    for row in range(orders.shape[0]):
        order = orders[row]
        if _is_due(order, clock):
            if ready[order[INSTRUMENT]] and awake_lots(order, 7) > 0:
                _follow_bar(order, bars[order[INSTRUMENT]])
            ended = order[EXPIRES] > 0 and order[EXPIRES] <= clock[C_END]
            if order[LIFE] > 0 and order[DORMANT] < order[LEFT]:
                order[LIFE] -= 1
                ended = ended or order[LIFE] == 0
            if ended:
                n_events = cancel_row(events, n_events, orders, row)
                events[n_events - 1, E_OUTCOME] = EXPIRED
        order[WAIT] = max(0, order[WAIT] - 1)
        order[FRESH] = 0
    return n_events


def _bound(source: int) -> Callable[[Tables, Market], tuple[int, int]]:
    """Return the step bound to the sources that it was compiled from."""

    @compiled_step
    def step(tables: Tables, market: Market) -> tuple[int, int]:
        _ = source
        counts = (0, _begin(tables[0], tables[4], market[4]))
        counts = _at_open(tables, market, counts)
        counts = _rest((3, 0), tables, market, counts)
        counts = _stops(4, tables, market, counts)
        counts = _targets(tables, market, counts)
        counts = _rest((6, STOP_ORDER), tables, market, counts)
        counts = _rest((6, LIMIT), tables, market, counts)
        counts = _stops(7, tables, market, counts)
        return counts[0], _end(tables, market, counts[1])

    return step


_STEP = _bound(SOURCE)


def match_bar(tables: Tables, market: Market) -> tuple[int, int]:
    """Match one bar of N instruments against M open orders and the N positions, in place.

    Parameters
    ----------
    tables : (orders, positions, bars, fills, events)
        (M, ORDER_WIDTH), (N, POSITION_WIDTH), (N, BAR_WIDTH) int64, changed in place, and room for at least M + 4 N
        fills (.., FILL_WIDTH) and M events (.., EVENT_WIDTH); orders sorted by (instrument, sequence)
    market : (ready, slip, step, impact, clock)
        (N,) whether the instrument has a bar that can be traded; (N,) share of price that an order taking liquidity
        loses; (N,) ticks that it loses besides; (N, IMPACT_WIDTH) impact by lots; (CLOCK_WIDTH,) int64, what
        holds for the whole bar

    Returns
    -------
    Numbers of fills and of events written; fills of one instrument stand in the order in which they happened.
    """
    return _STEP(tables, market)
