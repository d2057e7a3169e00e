"""Orders as rows of ticks and lots: everything that can be wrong with an order is found here, before it rests."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

import numpy as np

from foresail.core.arrays import IntArray
from foresail.core.errors import OrderRejectedError
from foresail.core.numbers import round_quantity, round_tick
from foresail.domain.instruments import Instrument
from foresail.domain.orders import FillReason, Order, OrderKind, TimeInForce
from foresail.domain.signals import Side
from foresail.execution.simulated import columns as c
from foresail.execution.simulated.settings import VenueSettings

__all__ = ["RowPlace", "RowStore", "level_ticks", "order_lots", "order_row", "rejected", "row_order"]

_NAME = "simulated"
_KINDS = {
    OrderKind.MARKET: c.MARKET,
    OrderKind.LIMIT: c.LIMIT,
    OrderKind.STOP: c.STOP_ORDER,
    OrderKind.STOP_LIMIT: c.STOP_LIMIT,
    OrderKind.TRAILING: c.TRAILING,
}
_LIVES = {
    TimeInForce.GTC: c.WAITING,
    TimeInForce.GTD: c.WAITING,
    TimeInForce.DAY: c.DAY,
    TimeInForce.IOC: c.IOC,
    TimeInForce.FOK: c.FOK,
}
_AT_ONCE = frozenset({TimeInForce.IOC, TimeInForce.FOK})
_REDUCING = frozenset({FillReason.EXIT, FillReason.STOP, FillReason.TARGET, FillReason.TIME, FillReason.DELISTED})


@dataclass(frozen=True, slots=True)
class RowPlace:
    """Where a row goes: instrument, sequence, its own number, its parent's, lots that the parent has filled, group."""

    instrument: int
    sequence: int
    key: int
    parent: int = 0
    parent_filled: int = 0
    parent_is_open: bool = False
    group: int = 0


class RowStore:
    """The order rows: as lists for single changes, or as the table that the compiled step left."""

    def __init__(self) -> None:
        self._listed: list[list[int]] | None = []
        self._table: IntArray = np.zeros((0, c.ORDER_WIDTH), dtype=np.int64)

    @property
    def rows(self) -> list[list[int]]:
        """The rows as lists, which may be changed in place."""
        if self._listed is None:
            self._listed = self._table.tolist()
        return self._listed

    @rows.setter
    def rows(self, rows: list[list[int]]) -> None:
        self._listed = rows

    def table(self) -> IntArray:
        """Return the rows as the compiled step takes them; it changes them in place."""
        if self._listed is not None:
            self._table = np.array(self._listed, dtype=np.int64).reshape(-1, c.ORDER_WIDTH)
        return self._table

    def take(self, table: IntArray) -> None:
        """Take over the table that the step has changed."""
        self._table, self._listed = table, None


def row_order(row: list[int]) -> tuple[int, int]:
    """Return what rows are sorted by: instrument, sequence."""
    return row[c.INSTRUMENT], row[c.SEQUENCE]


def rejected(order: Order, why: str, hint: str | None = None) -> OrderRejectedError:
    """Return the error that names the order, what is wrong with it, and what to do."""
    return OrderRejectedError(f"order {order.id} in {order.instrument} was rejected: {why}", venue=_NAME, hint=hint)


def level_ticks(order: Order, name: str, level: Decimal | None, tick: Decimal) -> int:
    """Return a price level in ticks, 0 for none.

    Raises
    ------
    OrderRejectedError
        If it is not finite and positive.
    """
    if level is None:
        return 0
    if not level.is_finite() or level <= 0:
        raise rejected(order, f"expected a {name} > 0, received {level}")
    return max(1, int(round_tick(level, tick) / tick))


def order_lots(order: Order, quantity: Decimal, lot: Decimal) -> int:
    """Return a quantity in whole lots.

    Raises
    ------
    OrderRejectedError
        If it is not finite, not positive or below one lot.
    """
    if not quantity.is_finite() or quantity <= 0:
        raise rejected(order, f"expected a quantity > 0, received {quantity}")
    lots = int(round_quantity(quantity, lot) / lot)
    if lots == 0:
        raise rejected(order, f"its quantity {quantity} is below one lot of {lot}")
    return lots


def order_row(
    order: Order, one: Instrument, place: RowPlace, settings: VenueSettings, life: int | None = None
) -> list[int]:
    """Return an order in ticks and lots.

    Raises
    ------
    OrderRejectedError
        If a number is not finite and positive, a level is missing or on the wrong side, or parts do not go together.
    """
    lots = order_lots(order, order.quantity, one.lot)
    sign = 1 if order.side is Side.BUY else -1
    price, trigger, stop, target = _levels(order, sign, one.tick)
    row = [0] * c.ORDER_WIDTH
    row[c.INSTRUMENT], row[c.SIGN], row[c.KIND] = place.instrument, sign, _KINDS[order.kind]
    row[c.LEFT], row[c.PRICE], row[c.TRIGGER] = lots, price, trigger
    row[c.SEQUENCE], row[c.KEY], row[c.GROUP] = place.sequence, place.key, place.group
    row[c.STOP], row[c.TARGET] = stop, target
    row[c.REDUCE] = int(order.reduce_only or order.reason in _REDUCING)
    row[c.TRAIL] = _trail(order, one.tick)
    row[c.LIFE] = _life(order, settings) if life is None else life
    row[c.TIF], row[c.EXPIRES] = _LIVES[order.time_in_force], _expiry(order)
    row[c.ACTIVE], row[c.WAIT] = order.decided_at + settings.latency_ns, settings.latency_bars
    row[c.QUEUE] = -1
    if place.parent:
        _put_to_sleep(order, row, place)
    return row


def _put_to_sleep(order: Order, row: list[int], place: RowPlace) -> None:
    """Let a child sleep for what its parent has not filled yet."""
    if not place.parent_is_open:
        row[c.LEFT] = min(row[c.LEFT], place.parent_filled)
    if row[c.LEFT] == 0:
        raise rejected(order, f"its parent {order.parent} ended without a fill")
    row[c.PARENT] = place.parent
    row[c.DORMANT] = max(0, row[c.LEFT] - place.parent_filled)


def _levels(order: Order, sign: int, tick: Decimal) -> tuple[int, int, int, int]:
    """Return (price, trigger, attached stop, attached target) in ticks, checked."""
    plain_stop = order.kind is OrderKind.STOP and order.trigger_price is None
    trigger = level_ticks(order, "trigger", order.stop_price if plain_stop else order.trigger_price, tick)
    limit = level_ticks(order, "price", order.limit_price, tick)
    stop = 0 if plain_stop else level_ticks(order, "stop", order.stop_price, tick)
    target = level_ticks(order, "target", order.target_price, tick)
    kind = order.kind
    price = limit if kind in (OrderKind.LIMIT, OrderKind.STOP_LIMIT) else trigger
    if kind is OrderKind.MARKET:
        price = 0
    elif price == 0 and kind is not OrderKind.TRAILING:
        raise rejected(order, f"a {kind.value} order needs its price")
    if kind is OrderKind.STOP_LIMIT and trigger == 0:
        raise rejected(order, "a stop_limit order needs its trigger_price")
    near = [level for level in (stop, price, target) if level]
    if near != sorted(near, reverse=sign < 0) or len(set(near)) != len(near):
        raise rejected(order, "expected stop, price and target in this order", "the stop stands on the losing side")
    return price, trigger if kind is OrderKind.STOP_LIMIT else 0, stop, target


def _trail(order: Order, tick: Decimal) -> int:
    if order.kind is not OrderKind.TRAILING:
        return 0
    if order.trail is None:
        raise rejected(order, "a trailing order needs its trail")
    return level_ticks(order, "trail", order.trail, tick)


def _life(order: Order, settings: VenueSettings) -> int:
    """Return the bars that an order may wait: only good-till-cancelled ones without a parent are bounded so."""
    bounded = order.time_in_force is TimeInForce.GTC and order.parent is None
    return settings.good_for_bars if bounded else 0


def _expiry(order: Order) -> int:
    """Return the instant at which an order ends, 0 for none."""
    if order.time_in_force is TimeInForce.GTD and order.expires_at <= order.decided_at:
        raise rejected(order, f"expected expires_at after the decision at {order.decided_at}, got {order.expires_at}")
    if order.time_in_force in _AT_ONCE and order.kind not in (OrderKind.MARKET, OrderKind.LIMIT):
        raise rejected(order, f"a {order.kind.value} order waits and cannot be {order.time_in_force.value}")
    return order.expires_at if order.time_in_force in (TimeInForce.GTD, TimeInForce.DAY) else 0
