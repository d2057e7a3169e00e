"""At what price an order or an attached level would fill in a bar: references before slippage, and the price after it.

Each function answers (reference, bound, maker): the price in ticks that triggers the fill, 0 where the bar does not
reach it; the limit that the fill may not pass, 0 for none; 1 where the order rested and gave liquidity. Only the lots
are then missing, because impact depends on them: ``paid_price``.
"""

from __future__ import annotations

import numpy as np

from foresail.core.arrays import FloatArray, IntArray
from foresail.execution.simulated.columns import (
    DOWN,
    HIGH,
    KIND,
    LEAVING,
    LIMIT,
    LOW,
    MARKET,
    OPEN,
    PRICE,
    QUANTITY,
    ROW_STOP,
    ROW_TARGET,
    SIGN,
    STOP_LEVEL,
    STOP_LIMIT,
    TARGET_LEVEL,
    TRIGGER,
    UP,
    compiled,
)

__all__ = [
    "adverse_price",
    "impact_fraction",
    "is_open_to",
    "leaving_at_open",
    "limit_at_open",
    "opening_price",
    "paid_price",
    "resting_price",
    "stop_price",
]


@compiled
def adverse_price(reference: int, sign: int, slip: float, step: float) -> int:
    """Return the price in ticks after slippage (share of price) and spread (ticks), moved against the order."""
    moved = reference + sign * int(np.rint(reference * slip + step))
    return max(moved, 1)


@compiled
def impact_fraction(impact: FloatArray, lots: int) -> float:
    """Return the share of price that trading so many lots costs: sum of factor * (lots / daily lots) ** exponent."""
    if impact[4] <= 0.0:
        return float(impact[0])  # nothing known of the volume: the factor stands as a flat share
    share = lots / impact[4]
    moved: float = 0.0
    if impact[0] > 0.0:
        moved += impact[0] * (np.sqrt(share) if impact[1] == 0.5 else share ** impact[1])
    if impact[2] > 0.0:
        moved += impact[2] * (share if impact[3] == 1.0 else share ** impact[3])
    return float(moved)


@compiled
def is_open_to(bar: IntArray, sign: int, reference: int) -> bool:
    """Return whether a side can trade at a price: at the upper price limit nobody sells, at the lower nobody buys."""
    if sign > 0:
        free: bool = bar[UP] == 0 or reference < bar[UP]
    else:
        free = bar[DOWN] == 0 or reference > bar[DOWN]
    return free


@compiled
def paid_price(quote: tuple[int, int, int], sign: int, bar: IntArray, slip: float, step: float) -> int:
    """Return what is paid for a quote (reference, bound, maker): moved against the order, within bound and limits."""
    reference, bound, maker = quote
    if maker == 1:
        return reference
    price = adverse_price(reference, sign, slip, step)
    if bound > 0:
        price = min(price, bound) if sign > 0 else max(price, bound)
    if sign > 0 and bar[UP] > 0:
        price = min(price, bar[UP])
    if sign < 0 and bar[DOWN] > 0:
        price = max(price, bar[DOWN])
    return price


@compiled
def limit_at_open(level: int, sign: int, opened: int) -> tuple[int, int, int]:
    """Return the quote of a limit at a price known beforehand: it must be strictly better than the limit."""
    return (opened, level, 0) if sign * (level - opened) > 0 else (0, 0, 0)


@compiled
def opening_price(order: IntArray, bar: IntArray) -> tuple[int, int, int]:
    """Return the quote of an order at the open; a stop-limit order that the open triggers is a limit from now on."""
    sign, level, opened, kind = order[SIGN], order[PRICE], bar[OPEN], order[KIND]
    quote = (opened, 0, 0)
    if kind == LIMIT:
        quote = limit_at_open(level, sign, opened)
    elif kind == STOP_LIMIT:
        if order[TRIGGER] > 0 and sign * (opened - order[TRIGGER]) >= 0:
            order[KIND] = LIMIT
            order[TRIGGER] = 0
            quote = limit_at_open(level, sign, opened)
        else:
            quote = (0, 0, 0)
    elif kind != MARKET and (level == 0 or sign * (opened - level) < 0):
        quote = (0, 0, 0)
    return quote


@compiled
def resting_price(order: IntArray, bar: IntArray) -> tuple[int, int, int]:
    """Return the quote of a resting order inside the bar; a stop-limit order notes that it was triggered."""
    sign, level, kind = order[SIGN], order[PRICE], order[KIND]
    if kind == LIMIT:
        through = bar[LOW] < level if sign > 0 else bar[HIGH] > level
        return (level, level, 1) if through else (0, 0, 0)
    trigger = order[TRIGGER] if kind == STOP_LIMIT else level
    if trigger <= 0:
        return 0, 0, 0
    reached = bar[HIGH] >= trigger if sign > 0 else bar[LOW] <= trigger
    if not reached:
        return 0, 0, 0
    reference = max(bar[OPEN], trigger) if sign > 0 else min(bar[OPEN], trigger)
    if kind == STOP_LIMIT:
        order[TRIGGER] = -1
        return limit_at_open(level, sign, reference)
    return reference, 0, 0


@compiled
def stop_price(position: IntArray, bar: IntArray) -> tuple[int, int, int]:
    """Return the quote of a position's stop inside the bar."""
    quantity, level = position[QUANTITY], position[STOP_LEVEL]
    if quantity == 0 or level == 0:
        return 0, 0, 0
    if quantity > 0:
        reached, reference = bar[LOW] <= level, min(bar[OPEN], level)
    else:
        reached, reference = bar[HIGH] >= level, max(bar[OPEN], level)
    return (reference, 0, 0) if reached else (0, 0, 0)


@compiled
def leaving_at_open(position: IntArray, bar: IntArray) -> tuple[int, int, int, int]:
    """Return (row, reference, bound, maker) of the stop or target that the open has passed; row 0 for none."""
    quantity, opened = position[QUANTITY], bar[OPEN]
    if quantity == 0:
        return 0, 0, 0, 0
    sign = -1 if quantity > 0 else 1
    stop, target = position[STOP_LEVEL], position[TARGET_LEVEL]
    if position[LEAVING] == 1 or (stop > 0 and sign * (opened - stop) >= 0):
        return ROW_STOP, opened, 0, 0
    if target > 0 and sign * (target - opened) > 0:
        return ROW_TARGET, opened, target, 0
    return 0, 0, 0, 0
