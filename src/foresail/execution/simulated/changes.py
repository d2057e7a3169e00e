"""What replacing and corporate actions do to an open order: its row and the order that it stands for."""

from __future__ import annotations

from dataclasses import replace
from decimal import ROUND_CEILING, Decimal

from foresail.core.errors import ConfigError, OrderRejectedError
from foresail.domain.effects import ReplaceSend
from foresail.domain.instruments import Instrument
from foresail.domain.orders import Order, OrderKind
from foresail.execution.simulated import columns as c
from foresail.execution.simulated.rows import RowPlace, level_ticks, order_lots, order_row, rejected
from foresail.execution.simulated.settings import VenueSettings
from foresail.ledger.splits import split_quantity

__all__ = [
    "change_row",
    "changed_order",
    "order_after_split",
    "restate_for_dividend",
    "restate_for_split",
    "restated_order",
]

_PRICES = (c.PRICE, c.TRIGGER, c.STOP, c.TARGET, c.TRAIL, c.BEST)
_LOTS = (c.LEFT, c.FILLED, c.DORMANT)
_STOPS = (c.STOP_ORDER, c.STOP_LIMIT, c.TRAILING)


def change_row(row: list[int], order: Order, change: ReplaceSend, one: Instrument) -> tuple[Order, bool]:
    """Write a change into a row; return the order as it is then, and whether it loses its place.

    Raises
    ------
    OrderRejectedError
        If a number is not finite and positive, or the order has no such price.
    """
    lots = order_lots(order, change.quantity, one.lot)
    limit = level_ticks(order, "price", change.limit_price, one.tick)
    trigger = level_ticks(order, "trigger", change.trigger_price, one.tick)
    if limit and order.kind not in (OrderKind.LIMIT, OrderKind.STOP_LIMIT):
        raise rejected(order, f"a {order.kind.value} order has no limit")
    if trigger and row[c.KIND] not in _STOPS:
        raise rejected(order, "it has no trigger, or was triggered already")
    total = row[c.LEFT] + row[c.FILLED]
    row[c.LEFT] = max(0, lots - row[c.FILLED])
    row[c.DORMANT] = max(0, min(row[c.LEFT], row[c.DORMANT] + lots - total))
    changed = replace(order, quantity=lots * one.lot)
    if limit:
        row[c.PRICE] = limit
        changed = replace(changed, limit_price=limit * one.tick)
    if trigger:
        row[c.TRIGGER if order.kind is OrderKind.STOP_LIMIT else c.PRICE] = trigger
        changed = changed.with_trigger(trigger * one.tick)
    return changed, lots > total or bool(limit) or bool(trigger)


def changed_order(order: Order, change: ReplaceSend, one: Instrument) -> Order:
    """Return an order that no venue has in its book yet, as a change makes it.

    Raises
    ------
    OrderRejectedError
        If the order or the change cannot be.
    """
    row = order_row(order, one, RowPlace(0, 0, 0), VenueSettings(allow_short=True), None)
    return change_row(row, order, change, one)[0]


def restated_order(row: list[int], order: Order, one: Instrument) -> Order:
    """Return an order with the numbers of its row."""
    numbers: dict[str, Decimal] = {"quantity": (row[c.LEFT] + row[c.FILLED]) * one.lot}
    trigger = c.TRIGGER if order.kind is OrderKind.STOP_LIMIT else c.PRICE
    for name, column in (
        ("limit_price", c.PRICE),
        ("trigger_price", trigger),
        ("stop_price", c.PRICE if order.is_plain_stop else c.STOP),
        ("target_price", c.TARGET),
        ("trail", c.TRAIL),
    ):
        if getattr(order, name) is not None and row[column] > 0:
            numbers[name] = row[column] * one.tick
    return replace(order, **numbers)  # type: ignore[arg-type]


def restate_for_split(row: list[int], ratio: Decimal, lot: Decimal) -> None:
    """Restate lots and levels of an order, in place; a fraction of a lot is lost.

    Parameters
    ----------
    ratio : units after one unit before
    """
    for column in _LOTS:
        lots, _rest = split_quantity(row[column] * lot, ratio, lot)
        row[column] = int(lots / lot)
    for column in _PRICES:
        row[column] = max(1, round(row[column] / float(ratio))) if row[column] > 0 else row[column]
    row[c.QUEUE] = -1


def order_after_split(order: Order, ratio: Decimal, one: Instrument) -> Order | None:
    """Return an order that no venue has in its book yet as a split makes it, None where it is less than a lot.

    An order that cannot be stays as it is: the venue says so when it comes.
    """
    try:
        row = order_row(order, one, RowPlace(0, 0, 0), VenueSettings(allow_short=True), None)
    except OrderRejectedError:
        return order
    restate_for_split(row, ratio, one.lot)
    return restated_order(row, order, one) if row[c.LEFT] > 0 else None


def restate_for_dividend(row: list[int], amount: Decimal, tick: Decimal) -> bool:
    """Lower a buy limit or a sell stop by a cash dividend, rounded up to whole ticks; return whether it was one.

    Raises
    ------
    ConfigError
        If the amount is not a positive finite number.
    """
    if not amount.is_finite() or amount <= 0:
        raise ConfigError(f"expected a dividend > 0, received {amount}")
    falls = row[c.KIND] == c.LIMIT if row[c.SIGN] > 0 else row[c.KIND] in _STOPS
    if not falls:
        return False
    ticks = int((amount / tick).to_integral_value(rounding=ROUND_CEILING))
    for column in (c.PRICE, c.TRIGGER, c.BEST):
        if row[column] > 0:
            row[column] = max(1, row[column] - ticks)
    row[c.QUEUE] = -1
    return True
