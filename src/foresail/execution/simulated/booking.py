"""What a fill does to the tables: lots permitted, position, children woken, groups cancelled, families ended."""

from __future__ import annotations

from foresail.core.arrays import IntArray
from foresail.execution.simulated.columns import (
    BEST,
    BORROW,
    C_SHORT,
    CANCELLED,
    CAP,
    DORMANT,
    E_LOTS,
    E_OUTCOME,
    E_ROW,
    F_INSTRUMENT,
    F_LOTS,
    F_MAKER,
    F_PRICE,
    F_REFERENCE,
    F_ROW,
    F_SIGN,
    F_STEP,
    FILLED,
    FOK,
    FRESH,
    GROUP,
    INSTRUMENT,
    KEY,
    KIND,
    LEAVING,
    LEFT,
    LIMIT,
    MARKET,
    PARENT,
    PRICE,
    QUANTITY,
    REDUCE,
    ROW_STOP,
    SIGN,
    STOP,
    STOP_LEVEL,
    STOP_ORDER,
    TARGET,
    TARGET_LEVEL,
    TIF,
    TRAIL,
    TRAILING,
    Market,
    Tables,
    compiled,
)
from foresail.execution.simulated.prices import impact_fraction, is_open_to, paid_price

__all__ = [
    "awake_lots",
    "book_fill",
    "cancel_row",
    "change_position",
    "end_exits",
    "execute",
    "leave",
    "permitted_lots",
    "tighten",
    "write_fill",
]


@compiled
def awake_lots(order: IntArray, step: int) -> int:
    """Return the lots of an order that may act in a step: limits and the open leave out what was only just woken."""
    lots: int = order[LEFT] - order[DORMANT]
    if step < 2 or order[KIND] == LIMIT:
        lots -= order[FRESH]
    return lots


@compiled
def permitted_lots(order: IntArray, position: IntArray, lots: int, clock: IntArray) -> int:
    """Return how many of some lots the holding permits, before volume is considered."""
    if order[REDUCE] == 1:
        lots = min(lots, max(-order[SIGN] * position[QUANTITY], 0))
    elif order[SIGN] < 0:
        if clock[C_SHORT] == 0:
            lots = min(lots, max(position[QUANTITY], 0))
        elif position[BORROW] >= 0:
            lots = min(lots, max(position[QUANTITY] + position[BORROW], 0))
    return lots


@compiled
def change_position(position: IntArray, change: int, stop: int, target: int) -> None:
    """Change a position; levels of a filled order replace the old ones, a closed or turned position loses them."""
    before = position[QUANTITY]
    after = before + change
    position[QUANTITY] = after
    if after == 0 or before * after < 0:
        position[STOP_LEVEL] = 0
        position[TARGET_LEVEL] = 0
        position[LEAVING] = 0
    if after != 0:
        if stop > 0:
            position[STOP_LEVEL] = stop
            position[LEAVING] = 0
        if target > 0:
            position[TARGET_LEVEL] = target


@compiled
def cancel_row(events: IntArray, count: int, orders: IntArray, row: int) -> int:
    """Take an order out of the book and note it."""
    events[count, E_ROW] = row
    events[count, E_OUTCOME] = CANCELLED
    events[count, E_LOTS] = orders[row, LEFT]
    orders[row, LEFT] = 0
    orders[row, DORMANT] = 0
    orders[row, FRESH] = 0
    return count + 1


@compiled
def write_fill(fill: IntArray, place: tuple[int, int, int], traded: tuple[int, int], quote: tuple[int, int]) -> None:
    """Write a fill: (step, row, instrument), (sign, lots) at a price and with (reference, maker)."""
    fill[F_STEP], fill[F_ROW], fill[F_INSTRUMENT] = place
    fill[F_SIGN], fill[F_LOTS] = traded
    fill[F_REFERENCE], fill[F_MAKER] = quote


@compiled
def tighten(order: IntArray) -> None:
    """Move the level of a trailing order to its distance from the best price, never away from the market."""
    level = max(1, order[BEST] + order[SIGN] * order[TRAIL])
    own = order[PRICE]
    if own == 0:
        order[PRICE] = level
    else:
        order[PRICE] = max(own, level) if order[SIGN] < 0 else min(own, level)


@compiled
def _wake(orders: IntArray, parent: IntArray, lots: int, price: int) -> None:
    """Bring children to life for lots of their parent that were filled at a price."""
    for r in range(orders.shape[0]):
        child = orders[r]
        if child[PARENT] == parent[KEY] and child[LEFT] > 0 and child[DORMANT] > 0:
            woken = min(lots, child[DORMANT])
            child[DORMANT] -= woken
            child[FRESH] += woken
            if child[KIND] == TRAILING and child[BEST] == 0:
                child[BEST] = price
                tighten(child)


@compiled
def _cancel_group(tables: Tables, row: int, lots: int, n_events: int) -> int:
    """Shrink the reducing orders of a group to what one of them has left to close; take out its other orders whole.

    What there is to close is the largest of the reducing orders, the stop of a bracket, less the lots just filled.
    """
    orders, _positions, _bars, _fills, events = tables
    group = orders[row, GROUP]
    closes = orders[row, REDUCE] == 1
    to_close = orders[row, LEFT] + lots
    for r in range(orders.shape[0]):
        if orders[r, GROUP] == group and orders[r, REDUCE] == 1:
            to_close = max(to_close, orders[r, LEFT])
    to_close -= lots
    for r in range(orders.shape[0]):
        other = orders[r]
        if r == row or other[GROUP] != group or other[LEFT] == 0:
            continue
        if not closes or other[REDUCE] == 0 or to_close <= 0:
            n_events = cancel_row(events, n_events, orders, r)
        elif to_close < other[LEFT]:
            other[LEFT] = to_close
            other[DORMANT] = min(other[DORMANT], other[LEFT])
            other[FRESH] = min(other[FRESH], other[LEFT] - other[DORMANT])
    return n_events


@compiled
def _end_family(tables: Tables, row: int, n_events: int) -> int:
    """Take out the awake reducing children of a position that an order closed, and what is left of its family."""
    orders, _positions, _bars, _fills, events = tables
    closing = orders[row]
    for r in range(orders.shape[0]):
        other = orders[r]
        if r == row or other[LEFT] == 0 or other[INSTRUMENT] != closing[INSTRUMENT]:
            continue
        family = closing[PARENT] > 0 and (other[KEY] == closing[PARENT] or other[PARENT] == closing[PARENT])
        stale = other[PARENT] > 0 and other[REDUCE] == 1 and other[LEFT] > other[DORMANT]
        if family or stale:
            n_events = cancel_row(events, n_events, orders, r)
    return n_events


@compiled
def book_fill(tables: Tables, row: int, lots: int, price: int, n_events: int) -> int:
    """Book lots of an order that were filled at a price: position, children, group, family; return the event count."""
    orders, positions, _bars, _fills, _events = tables
    order = orders[row]
    position = positions[order[INSTRUMENT]]
    before = position[QUANTITY]
    change_position(position, order[SIGN] * lots, order[STOP], order[TARGET])
    order[LEFT] -= lots
    order[FILLED] += lots
    order[FRESH] = min(order[FRESH], order[LEFT] - order[DORMANT])
    _wake(orders, order, lots, price)
    if order[GROUP] > 0:
        n_events = _cancel_group(tables, row, lots, n_events)
    if before != 0 and before * position[QUANTITY] <= 0:
        n_events = _end_family(tables, row, n_events)
    return n_events


@compiled
def _lots_to_trade(
    order: IntArray, position: IntArray, bar: IntArray, clock: IntArray, step: int
) -> tuple[int, int, int]:
    """Return (lots that may act, of these permitted, of these within the volume)."""
    wanted = awake_lots(order, step)
    permitted = permitted_lots(order, position, wanted, clock)
    lots = permitted if bar[CAP] < 0 else min(permitted, bar[CAP])
    if order[TIF] == FOK and lots < order[LEFT]:
        lots = 0
    return wanted, permitted, lots


@compiled
def execute(
    place: tuple[int, int],
    quote: tuple[int, int, int],
    tables: Tables,
    market: Market,
    counts: tuple[int, int],
) -> tuple[int, int]:
    """Fill an order (row, step) as far as holding and volume permit at a quote; return the new counts."""
    row, step = place
    orders, positions, bars, fills, events = tables
    n_fills, n_events = counts
    order = orders[row]
    i, sign = order[INSTRUMENT], order[SIGN]
    if order[KIND] == STOP_ORDER or order[KIND] == TRAILING:
        order[KIND] = MARKET  # triggered once is triggered for good
    if quote[2] == 0 and not is_open_to(bars[i], sign, quote[0]):
        return counts
    wanted, permitted, lots = _lots_to_trade(order, positions[i], bars[i], market[4], step)
    if lots > 0:
        slip = market[1][i] + impact_fraction(market[3][i], lots)
        price = paid_price(quote, sign, bars[i], slip, market[2][i])
        write_fill(fills[n_fills], (step, row, i), (sign, lots), (quote[0], quote[2]))
        fills[n_fills, F_PRICE] = price
        n_fills += 1
        if bars[i, CAP] >= 0:
            bars[i, CAP] -= lots
        n_events = book_fill(tables, row, lots, price, n_events)
    if permitted < wanted and lots == permitted and order[LEFT] > 0 and order[TIF] != FOK:
        n_events = cancel_row(events, n_events, orders, row)
    return n_fills, n_events


@compiled
def leave(
    place: tuple[int, int, int],
    quote: tuple[int, int, int, int],
    tables: Tables,
    market: Market,
    counts: tuple[int, int],
) -> tuple[int, int]:
    """Close lots of a position (instrument, step, row) by its attached stop or target; return the new counts."""
    i, step, row = place
    _orders, positions, bars, fills, _events = tables
    n_fills, n_events = counts
    position = positions[i]
    sign = -1 if position[QUANTITY] > 0 else 1
    reference, bound, maker, lots = quote
    if row == ROW_STOP:
        position[LEAVING] = 1
    if maker == 0 and not is_open_to(bars[i], sign, reference):
        return counts
    if bars[i, CAP] >= 0:
        lots = min(lots, bars[i, CAP])
        bars[i, CAP] -= lots
    if lots <= 0:
        return n_fills, n_events
    slip = market[1][i] + impact_fraction(market[3][i], lots)
    write_fill(fills[n_fills], (step, row, i), (sign, lots), (reference, maker))
    fills[n_fills, F_PRICE] = paid_price((reference, bound, maker), sign, bars[i], slip, market[2][i])
    change_position(position, sign * lots, 0, 0)
    n_events = end_exits(tables, i, sign, n_events)
    return n_fills + 1, n_events


@compiled
def end_exits(tables: Tables, i: int, sign: int, n_events: int) -> int:
    """Once an attached exit has closed a position: cancel what would have reduced it and what is partly filled."""
    orders, positions, _bars, _fills, events = tables
    if positions[i, QUANTITY] == 0:
        for r in range(orders.shape[0]):
            order = orders[r]
            ends = order[SIGN] == sign or order[FILLED] > 0
            asleep = order[PARENT] > 0 and order[DORMANT] == order[LEFT]
            if order[INSTRUMENT] == i and order[LEFT] > 0 and ends and not asleep:
                n_events = cancel_row(events, n_events, orders, r)
    return n_events
