"""Orders as plain data, for the venue's snapshot: exact decimals stay exact."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from foresail.core.errors import ConfigError
from foresail.core.ids import InstrumentId, OrderId
from foresail.domain.orders import FillReason, Order, OrderKind
from foresail.domain.signals import Side

__all__ = ["order_from_plain", "order_to_plain"]

_NUMBERS = ("quantity", "limit_price", "stop_price", "target_price")


def order_to_plain(order: Order) -> dict[str, Any]:
    """Return an order as plain JSON data, decimals as text."""
    plain: dict[str, Any] = {
        "id": order.id,
        "instrument": order.instrument,
        "side": order.side.value,
        "kind": order.kind.value,
        "decided_at": order.decided_at,
        "reason": order.reason.value,
    }
    for name in _NUMBERS:
        value: Decimal | None = getattr(order, name)
        plain[name] = None if value is None else str(value)
    return plain


def order_from_plain(plain: dict[str, Any]) -> Order:
    """Return the order that ``order_to_plain`` wrote.

    Raises
    ------
    ConfigError
        If it has no quantity.
    """
    quantity, limit_price, stop_price, target_price = (
        None if plain[name] is None else Decimal(plain[name]) for name in _NUMBERS
    )
    if quantity is None:
        raise ConfigError(f"order {plain['id']} of the snapshot has no quantity")
    return Order(
        id=OrderId(plain["id"]),
        instrument=InstrumentId(plain["instrument"]),
        side=Side(plain["side"]),
        quantity=quantity,
        kind=OrderKind(plain["kind"]),
        decided_at=plain["decided_at"],
        reason=FillReason(plain["reason"]),
        limit_price=limit_price,
        stop_price=stop_price,
        target_price=target_price,
    )
