"""What is on its way out of an account: market exits that are open, which will fill whatever else is decided.

A resting stop, target or trailing exit may never fill, and what is being taken back will not: neither counts here.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from foresail.core.ids import InstrumentId
from foresail.domain.orders import OrderKind
from foresail.engine.trading.latches import reduces

if TYPE_CHECKING:
    from foresail.engine.trading.core import TradingCore
    from foresail.ledger.orders import OrderState

__all__ = ["is_leaving", "leaving_units", "sleeps"]


def leaving_units(core: TradingCore, name: InstrumentId) -> Decimal:
    """Return the units >= 0 that market exits on their way take off what is held."""
    return sum((one.reserved for one in core.orders.open(name) if is_leaving(core, one)), Decimal(0))


def is_leaving(core: TradingCore, state: OrderState) -> bool:
    """Return whether an open order is a market exit on its way."""
    order = state.order
    if order.kind is not OrderKind.MARKET or state.is_cancelling or sleeps(core, state):
        return False
    return reduces(order, core.books.quantity(order.instrument))


def sleeps(core: TradingCore, state: OrderState) -> bool:
    """Return whether an order waits for the fill of another that is still open."""
    parent = None if state.order.parent is None else core.orders.get(state.order.parent)
    return parent is not None and parent.is_open
