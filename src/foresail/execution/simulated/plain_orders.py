"""Orders as plain data, for the venue's snapshot: exact decimals stay exact."""

from __future__ import annotations

from typing import Any

import msgspec

from foresail.core.errors import ConfigError
from foresail.domain.orders import Order

__all__ = ["order_from_plain", "order_to_plain"]


def order_to_plain(order: Order) -> dict[str, Any]:
    """Return an order as plain JSON data, decimals as text."""
    plain: dict[str, Any] = msgspec.to_builtins(order)
    return plain


def order_from_plain(plain: dict[str, Any]) -> Order:
    """Return the order that ``order_to_plain`` wrote.

    Raises
    ------
    ConfigError
        If a field is missing or of another kind.
    """
    try:
        return msgspec.convert(plain, Order)
    except msgspec.ValidationError as error:
        raise ConfigError(f"order {plain.get('id')} of the snapshot cannot be read: {error}") from error
