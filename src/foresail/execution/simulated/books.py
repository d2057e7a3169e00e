"""The compiled venue step on order books: what a batch of book rows does to the open orders of one instrument.

The same order and position tables as on bars (``columns``), other prices: the book's. Row by row:

1. The row changes the book. A level that shrinks without a print has lost orders to cancels, and these are taken to
   stand evenly in the queue: an order's lots ahead shrink by its share of them, rounded against it.
2. A print at an order's price consumes the lots ahead of it first; what is left over fills it. A print beyond its price
   fills it, at its price. No more is filled by a print than was printed.
3. When the message is complete, what is due acts: orders that have ended expire; stops whose level was printed or is
   quoted by the other side become market orders, trailing levels follow the price at which they would trade; attached
   stops and targets leave; then orders that can trade take the other side, level by level, and others join the queue
   behind the whole level. Where the other side comes to the price of an order that waits there, it is filled there.

What our orders take is gone from the book until the source tells the level again. A book that is invalid fills nothing.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from foresail.core.arrays import IntArray
from foresail.core.clock import NS_PER_DAY
from foresail.core.errors import ConfigError
from foresail.domain.books import BookKind, BookStream
from foresail.domain.instruments import Instrument
from foresail.execution.simulated.book_levels import best_price, level_size, set_level
from foresail.execution.simulated.booking import (
    book_fill,
    cancel_row,
    change_position,
    end_exits,
    permitted_lots,
    tighten,
    write_fill,
)
from foresail.execution.simulated.columns import (
    ACTIVE,
    BEST,
    C_SESSION,
    C_START,
    DAY,
    DORMANT,
    E_OUTCOME,
    EXPIRED,
    EXPIRES,
    F_PRICE,
    FOK,
    FRESH,
    INSTRUMENT,
    IOC,
    KIND,
    LEFT,
    LIMIT,
    MARKET,
    PRICE,
    QUANTITY,
    QUEUE,
    ROW_STOP,
    ROW_TARGET,
    SEEN,
    SIGN,
    SOURCE,
    STOP_LEVEL,
    STOP_LIMIT,
    TARGET_LEVEL,
    TIF,
    TRAILING,
    TRIGGER,
    Tables,
    compiled,
    compiled_step,
)

__all__ = [
    "BATCH_WIDTH",
    "B_CLOSES",
    "B_KIND",
    "B_PRICE",
    "B_SIDE",
    "B_SIZE",
    "B_TIME",
    "batch_rows",
    "book_clock",
    "match_book",
]

# Columns of a batch row: when, what (``BookKind``), side of the book (of the aggressor for a print), ticks, lots, and
# whether its message is complete.
BATCH_WIDTH = 6
B_TIME, B_KIND, B_SIDE, B_PRICE, B_SIZE, B_CLOSES = range(BATCH_WIDTH)

_CLEAR, _LEVEL, _ADD, _REDUCE, _DELETE = (int(BookKind[name]) for name in ("CLEAR", "LEVEL", "ADD", "REDUCE", "DELETE"))
_EXECUTE, _FILL, _TRADE = (int(BookKind[name]) for name in ("EXECUTE", "FILL", "TRADE"))
_INVALID, _VALID, _VIEW = (int(BookKind[name]) for name in ("INVALID", "VALID", "VIEW"))

_Book = tuple[IntArray, IntArray]  # (2, DEPTH, 2) levels and (4,) state: bids, asks, valid, last print
_N_VALID, _N_LAST = 2, 3


@compiled
def _follow_level(orders: IntArray, i: int, level: tuple[int, int, int], kind: int) -> None:
    """Let the orders in a level's queue know its new size; where cancels shrank it, part of them stood ahead."""
    side, price, size = level
    cancels = kind in (_LEVEL, _REDUCE, _DELETE)
    for r in range(orders.shape[0]):
        order = orders[r]
        if order[INSTRUMENT] != i or order[SIGN] != side or order[PRICE] != price or order[QUEUE] < 0:
            continue
        gone = order[SEEN] - size
        if cancels and gone > 0:
            order[QUEUE] = max(0, order[QUEUE] - gone * order[QUEUE] // order[SEEN])
            order[QUEUE] = min(order[QUEUE], size)
        order[SEEN] = size


@compiled
def _forget_queues(orders: IntArray, i: int) -> None:
    for r in range(orders.shape[0]):
        if orders[r, INSTRUMENT] == i:
            orders[r, QUEUE] = -1


@compiled
def _apply_level(orders: IntArray, i: int, book: _Book, row: IntArray) -> None:
    """Apply a row that changes a level."""
    levels, state = book
    kind, side, price, size = row[B_KIND], row[B_SIDE], row[B_PRICE], row[B_SIZE]
    held = level_size(levels, state, side, price)
    if kind == _ADD:
        size = held + size
    elif kind in (_REDUCE, _DELETE, _EXECUTE, _FILL):
        size = max(0, held - size)
    set_level(levels, state, side, price, size)
    if kind not in (_EXECUTE, _FILL):  # prints shrink the queue themselves
        _follow_level(orders, i, (side, price, size), kind)


@compiled
def _read(orders: IntArray, i: int, book: _Book, row: IntArray) -> None:
    """Apply a row to the book, its validity and the queues."""
    state = book[1]
    kind = row[B_KIND]
    if kind == _CLEAR:
        state[0], state[1], state[_N_VALID], state[_N_LAST] = 0, 0, 1, 0
        _forget_queues(orders, i)
    elif kind == _INVALID:
        state[_N_VALID] = 0
    elif kind == _VALID:
        state[_N_VALID] = 1
    elif kind != _TRADE:
        _apply_level(orders, i, book, row)


@compiled
def _is_due(order: IntArray, i: int, now: int) -> bool:
    due: bool = order[INSTRUMENT] == i and order[LEFT] > order[DORMANT] and now >= order[ACTIVE]
    return due and (order[EXPIRES] == 0 or now < order[EXPIRES])


@compiled
def _fill(
    place: tuple[int, int],
    traded: tuple[int, int, int, int],
    tables: Tables,
    counts: tuple[int, int],
) -> tuple[int, int]:
    """Fill lots of an order (row, step) at (lots, price, reference, maker); return the new counts."""
    row, step = place
    lots, price, reference, maker = traded
    orders, _positions, _bars, fills, _events = tables
    n_fills, n_events = counts
    order = orders[row]
    write_fill(fills[n_fills], (step, row, order[INSTRUMENT]), (order[SIGN], lots), (reference, maker))
    fills[n_fills, F_PRICE] = price
    n_events = book_fill(tables, row, lots, price, n_events)
    for r in range(orders.shape[0]):
        orders[r, FRESH] = 0
    return n_fills + 1, n_events


@compiled
def _print(
    place: tuple[int, int, int], row: IntArray, tables: Tables, counts: tuple[int, int], clock: IntArray
) -> tuple[int, int]:
    """Let a print fill the orders that rest on the other side; place is (instrument, step, aggressor)."""
    orders, positions, _bars, _fills, events = tables
    i, step, aggressor = place
    price, size, used = row[B_PRICE], row[B_SIZE], 0
    for r in range(orders.shape[0]):
        order = orders[r]
        sign = order[SIGN]
        if order[KIND] != LIMIT or order[QUEUE] < 0 or sign == aggressor or not _is_due(order, i, row[B_TIME]):
            continue
        beyond = sign * (order[PRICE] - price)
        if beyond < 0 or (beyond == 0 and aggressor == 0):
            continue
        room = size - used
        if beyond == 0:
            room -= order[QUEUE]
            order[QUEUE] = max(0, order[QUEUE] - size)
            order[SEEN] = max(0, order[SEEN] - size)
        wanted = order[LEFT] - order[DORMANT]
        permitted = permitted_lots(order, positions[i], wanted, clock)
        lots = min(permitted, room)
        if lots > 0:
            level = order[PRICE]
            counts = _fill((r, step), (lots, level, level, 1), tables, counts)
            used += lots
        if permitted < wanted and lots == permitted and order[LEFT] > 0:
            counts = (counts[0], cancel_row(events, counts[1], orders, r))
    return counts


@compiled
def _available(book: _Book, sign: int, limit: int, wanted: int) -> int:
    """Return how many of the wanted lots the other side offers within a limit (0 = none)."""
    levels, state = book
    side = 1 if sign > 0 else 0  # a buyer takes asks
    found = 0
    for k in range(state[side]):
        price = levels[side, k, 0] * sign
        if found >= wanted or (limit > 0 and sign * (price - limit) > 0):
            break
        found += levels[side, k, 1]
    return min(found, wanted)


@compiled
def _take(
    place: tuple[int, int], book: _Book, tables: Tables, counts: tuple[int, int], clock: IntArray
) -> tuple[int, int]:
    """Let an order (row, step) take the other side, level by level, within its limit."""
    row, _step = place
    orders, positions, _bars, _fills, events = tables
    levels, state = book
    order = orders[row]
    i, sign = order[INSTRUMENT], order[SIGN]
    limit = order[PRICE] if order[KIND] == LIMIT else 0
    wanted = order[LEFT] - order[DORMANT]
    permitted = permitted_lots(order, positions[i], wanted, clock)
    lots = _available(book, sign, limit, permitted)
    if order[TIF] == FOK and lots < order[LEFT]:
        return counts
    side = 1 if sign > 0 else 0
    waited = order[QUEUE] >= 0
    reference = order[PRICE] if waited else best_price(levels, state, -sign)
    left = lots
    while left > 0 and order[LEFT] > 0:
        price, size = levels[side, 0, 0] * sign, levels[side, 0, 1]
        part = min(left, size)
        set_level(levels, state, -sign, price, size - part)
        counts = _fill(place, (part, reference if waited else price, reference, int(waited)), tables, counts)
        left -= part
    if permitted < wanted and lots == permitted and order[LEFT] > 0:
        counts = (counts[0], cancel_row(events, counts[1], orders, row))
    return counts


@compiled
def _trigger(order: IntArray, book: _Book) -> None:
    """Turn a stop that was reached into what it becomes; let a trailing level follow the market."""
    levels, state = book
    sign, kind = order[SIGN], order[KIND]
    if kind in (MARKET, LIMIT):
        return
    level = order[TRIGGER] if kind == STOP_LIMIT else order[PRICE]
    quoted, last = best_price(levels, state, -sign), state[_N_LAST]
    printed = last > 0 and sign * (last - level) >= 0
    if level > 0 and (printed or (quoted > 0 and sign * (quoted - level) >= 0)):
        order[KIND] = LIMIT if kind == STOP_LIMIT else MARKET
        order[TRIGGER] = 0
    elif kind == TRAILING and quoted > 0:
        best = order[BEST]
        if best == 0:
            order[BEST] = quoted
        else:
            order[BEST] = max(best, quoted) if sign < 0 else min(best, quoted)
        tighten(order)


@compiled
def _leave(place: tuple[int, int], book: _Book, tables: Tables, counts: tuple[int, int]) -> tuple[int, int]:
    """Leave a position (instrument, step) by its attached stop or target where the book has reached one."""
    i, step = place
    _orders, positions, _bars, fills, _events = tables
    levels, state = book
    position = positions[i]
    quantity = position[QUANTITY]
    if quantity == 0:
        return counts
    sign = -1 if quantity > 0 else 1
    side = 1 if sign > 0 else 0
    quoted, last = best_price(levels, state, -sign), state[_N_LAST]
    stop, target = position[STOP_LEVEL], position[TARGET_LEVEL]
    row, limit = 0, 0
    if stop > 0 and ((quoted > 0 and sign * (quoted - stop) >= 0) or (last > 0 and sign * (last - stop) >= 0)):
        row = ROW_STOP
    elif target > 0 and quoted > 0 and sign * (target - quoted) >= 0:
        row, limit = ROW_TARGET, target
    if row == 0:
        return counts
    left = _available(book, sign, limit, abs(quantity))
    n_fills, n_events = counts
    while left > 0:
        price, size = levels[side, 0, 0] * sign, levels[side, 0, 1]
        part = min(left, size)
        set_level(levels, state, -sign, price, size - part)
        write_fill(fills[n_fills], (step, row, i), (sign, part), (quoted, 0))
        fills[n_fills, F_PRICE] = price
        n_fills += 1
        change_position(position, sign * part, 0, 0)
        left -= part
    n_events = end_exits(tables, i, sign, n_events)
    return n_fills, n_events


@compiled
def _act(
    place: tuple[int, int], book: _Book, tables: Tables, counts: tuple[int, int], clock: IntArray
) -> tuple[int, int]:
    """Let everything act that is due once a message is complete; place is (instrument, step)."""
    i, step = place
    orders, _positions, _bars, _fills, events = tables
    levels, state = book
    now = clock[C_START]
    for r in range(orders.shape[0]):
        order = orders[r]
        if order[INSTRUMENT] == i and order[LEFT] > 0 and order[EXPIRES] > 0 and now >= order[EXPIRES]:
            counts = (counts[0], cancel_row(events, counts[1], orders, r))
            events[counts[1] - 1, E_OUTCOME] = EXPIRED
        elif _is_due(order, i, now):
            if order[TIF] == DAY and order[EXPIRES] == 0:
                order[EXPIRES] = clock[C_SESSION]
            _trigger(order, book)
    counts = _leave((i, step), book, tables, counts)
    for r in range(orders.shape[0]):
        order = orders[r]
        if not _is_due(order, i, now) or order[KIND] not in (MARKET, LIMIT):
            continue
        quoted = best_price(levels, state, -order[SIGN])
        crosses = order[KIND] == MARKET or order[SIGN] * (order[PRICE] - quoted) >= 0
        if quoted > 0 and crosses:
            counts = _take((r, step), book, tables, counts, clock)
        if order[LEFT] > order[DORMANT] and order[TIF] in (IOC, FOK):
            counts = (counts[0], cancel_row(events, counts[1], orders, r))
        if order[KIND] == LIMIT and order[LEFT] > 0 and order[QUEUE] < 0:
            order[QUEUE] = level_size(levels, state, order[SIGN], order[PRICE])
            order[SEEN] = order[QUEUE]
    return counts


def _bound(source: int) -> Callable[[int, IntArray, _Book, Tables, IntArray], tuple[int, int, int]]:
    """Return the step bound to the sources that it was compiled from."""

    @compiled_step
    def step(i: int, batch: IntArray, book: _Book, tables: Tables, clock: IntArray) -> tuple[int, int, int]:
        _ = source
        levels, state = book
        orders, fills = tables[0], tables[3]
        counts = (0, 0)
        for k in range(batch.shape[0]):
            if counts[0] + 2 * levels.shape[1] + 4 * orders.shape[0] > fills.shape[0]:
                return k, counts[0], counts[1]
            row = batch[k]
            kind = row[B_KIND]
            clock[C_START] = row[B_TIME]
            _read(orders, i, book, row)
            if kind in (_TRADE, _EXECUTE):
                aggressor = row[B_SIDE] if kind == _TRADE else -row[B_SIDE]
                state[_N_LAST] = row[B_PRICE]
                if state[_N_VALID] == 1:
                    counts = _print((i, k, aggressor), row, tables, counts, clock)
            if row[B_CLOSES] == 1 and state[_N_VALID] == 1:
                counts = _act((i, k), book, tables, counts, clock)
                state[_N_LAST] = 0
        return batch.shape[0], counts[0], counts[1]

    return step


_STEP = _bound(SOURCE)


def match_book(i: int, batch: IntArray, book: _Book, tables: Tables, clock: IntArray) -> tuple[int, int, int]:
    """Match rows of the book of one instrument against its open orders and position, in place.

    Parameters
    ----------
    i : the instrument's row among the positions
    batch : (R, BATCH_WIDTH) int64
    book : (levels, state), (2, DEPTH, 2) and (4,) int64, changed in place (``book_levels``)
    tables : as in ``matching.match_bar``, with room for more than 2 DEPTH + 4 M fills; the bars are not read
    clock : (CLOCK_WIDTH,) int64; only whether a sale may open a position is read, the start is written

    Returns
    -------
    Rows that were matched (fewer than R where the room for fills ran out), numbers of fills and of events; the step of
    a fill is its row in the batch.
    """
    return _STEP(i, batch, book, tables, clock)


def batch_rows(rows: BookStream, one: Instrument) -> IntArray:
    """Return the rows of a stream as the step reads them, (R, BATCH_WIDTH); times are those of arrival.

    Raises
    ------
    ConfigError
        If the stream has another tick or lot than the instrument.
    """
    if (rows.tick, rows.lot) != (float(one.tick), float(one.lot)):
        raise ConfigError(
            f"{one.id}: the book has tick {rows.tick} and lot {rows.lot}, the instrument {one.tick} and {one.lot}",
            hint="state the tick and lot of the venue for that day in the instrument",
        )
    columns = (rows.available_at, rows.kind, rows.side, rows.price, rows.size, rows.closes)
    return np.stack([column.astype(np.int64) for column in columns], axis=1)


def book_clock(batch: IntArray, session_end: int | None, *, allow_short: bool) -> IntArray:
    """Return what holds for a whole batch: the session's end, midnight UTC after the first row by default."""
    first = int(batch[0, B_TIME]) if len(batch) else 0
    session = (first // NS_PER_DAY + 1) * NS_PER_DAY if session_end is None else session_end
    return np.array([first, first, session, int(allow_short)], dtype=np.int64)
