"""What an order must be before any limit is worth comparing: exact finite numbers in a sane range, levels that fit."""

from __future__ import annotations

import math
from decimal import Decimal

from foresail.domain.instruments import Instrument
from foresail.domain.orders import Order, OrderKind
from foresail.domain.signals import Side
from foresail.risk.exposure import entry_and_stop

__all__ = ["levels_fault", "opening_fault", "quantity_fault"]

_LEVELS = ("limit_price", "stop_price", "target_price", "trigger_price", "trail")
_MOST_DIGITS = 18  # no instrument is held in 1e18 units or priced at 1e18, and no lot is finer than 1e-18
_NEEDED = {
    OrderKind.LIMIT: ("limit_price",),
    OrderKind.STOP_LIMIT: ("limit_price",),
    OrderKind.TRAILING: ("trail",),
}


def quantity_fault(order: Order) -> str:
    """Return what is wrong with quantity or side, empty where nothing is."""
    side: object = order.side
    if not isinstance(side, Side):
        return f"expected a side, received {side!r}"
    quantity: object = order.quantity
    if not (isinstance(quantity, Decimal) and quantity.is_finite() and quantity > 0):
        return f"expected a finite positive quantity, received {quantity}"
    return ""


def levels_fault(order: Order) -> str:
    """Return which price level is no price, or missing for the kind of order, empty where all fit."""
    for name in _LEVELS:
        level = getattr(order, name)
        if level is None:
            continue
        is_number = isinstance(level, Decimal) and level.is_finite()
        if not (is_number and level > 0 and abs(level.adjusted()) <= _MOST_DIGITS):
            return f"expected a finite positive {name}, received {level}"
    for name in _NEEDED.get(order.kind, ()):
        if getattr(order, name) is None:
            return f"a {order.kind.value} order needs a {name}"
    waits = order.kind in (OrderKind.STOP, OrderKind.STOP_LIMIT)
    if waits and order.trigger_price is None and order.stop_price is None:
        return f"a {order.kind.value} order needs a trigger_price"
    return ""


def opening_fault(order: Order, instrument: Instrument | None, price: float) -> str:
    """Return what makes an opening order impossible to check, empty where nothing does.

    Parameters
    ----------
    price : money per unit, account currency; levels of the order are in the same unit
    """
    if instrument is None:
        return f"instrument {order.instrument} is not known"
    if abs(order.quantity.adjusted()) > _MOST_DIGITS:
        return f"a quantity of {order.quantity} is no quantity"
    if not (instrument.multiplier.is_finite() and instrument.multiplier > 0):
        return f"{order.instrument} has a multiplier of {instrument.multiplier}"
    if not (math.isfinite(price) and price > 0.0):
        return f"no price is known for {order.instrument}, received {price}"
    entry, stop = entry_and_stop(order, price)
    if stop is not None and not (stop < entry if order.side is Side.BUY else stop > entry):
        return f"the stop {order.stop_price} is on the wrong side of the entry {entry:g} (SIZE-13)"
    return ""
