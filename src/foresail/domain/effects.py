"""What the core wants done outside: the shell performs it after the journal is durable, and never before."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from foresail.core.ids import InstrumentId, OrderId
from foresail.domain.orders import Order

__all__ = ["Ask", "CancelSend", "Effect", "Notify", "ReplaceSend", "Send"]


@dataclass(frozen=True, slots=True)
class Send:
    """Send an order; repeated after a restart only where the venue proved that it does not have it."""

    order: Order


@dataclass(frozen=True, slots=True)
class CancelSend:
    """Ask the venue to take an order back."""

    order_id: OrderId
    instrument: InstrumentId


@dataclass(frozen=True, slots=True)
class ReplaceSend:
    """Ask the venue to change an order; ``quantity`` is the total, None leaves a price as it is.

    ``revision`` counts the changes of the order from 1; the venue's answer carries it where the venue can.
    """

    order_id: OrderId
    instrument: InstrumentId
    quantity: Decimal
    limit_price: Decimal | None = None
    trigger_price: Decimal | None = None
    revision: int = 0


@dataclass(frozen=True, slots=True)
class Ask:
    """Ask the venue what it knows of an order: everything is told again, fills included, or that it has none."""

    order_id: OrderId
    instrument: InstrumentId


@dataclass(frozen=True, slots=True)
class Notify:
    """Tell somebody (ALERT)."""

    kind: str
    severity: str
    text: str


Effect = Send | CancelSend | ReplaceSend | Ask | Notify
