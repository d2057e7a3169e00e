"""Orders, fills and what a gate says about them. Prices and quantities are exact decimals."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from foresail.core.ids import InstrumentId, OrderId
from foresail.domain.signals import Side

__all__ = ["Fill", "FillReason", "Order", "OrderKind", "Ruling"]


class OrderKind(StrEnum):
    """What triggers an order."""

    MARKET = "market"
    LIMIT = "limit"
    STOP = "stop"


class FillReason(StrEnum):
    """Why a fill happened."""

    ENTRY = "entry"
    REBALANCE = "rebalance"
    EXIT = "exit"
    STOP = "stop"
    TARGET = "target"
    TIME = "time"
    DELISTED = "delisted"


@dataclass(frozen=True, slots=True)
class Order:
    """One order, decided at a nominal instant (ns UTC)."""

    id: OrderId
    instrument: InstrumentId
    side: Side
    quantity: Decimal
    kind: OrderKind
    decided_at: int
    reason: FillReason = FillReason.ENTRY
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    target_price: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Fill:
    """One execution.

    Attributes
    ----------
    quantity : units, positive
    price : price paid or received, slippage and half-spread included, on the tick grid
    reference_price : price before slippage and spread (open, close or stop level)
    fee : commission and regulatory fees, quote currency, >= 0
    slippage : money lost to slippage and half-spread, >= 0 (already in ``price``)
    """

    order_id: OrderId
    instrument: InstrumentId
    side: Side
    quantity: Decimal
    price: Decimal
    reference_price: Decimal
    fee: Decimal
    slippage: Decimal
    filled_at: int
    reason: FillReason


@dataclass(frozen=True, slots=True)
class Ruling:
    """What a risk rule says: allow, shrink to a quantity, or refuse (quantity zero)."""

    rule: str
    quantity: Decimal
    text: str = ""
