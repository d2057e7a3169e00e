"""Accounts: cash, positions and equity, exact."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from foresail.core.ids import InstrumentId

__all__ = ["Account", "Position"]


@dataclass(frozen=True, slots=True)
class Position:
    """A holding: signed units and average cost per unit."""

    instrument: InstrumentId
    quantity: Decimal
    average_price: Decimal
    opened_at: int


@dataclass(frozen=True, slots=True)
class Account:
    """State of one account at an instant (ns UTC); equity = cash + market value."""

    id: str
    currency: str
    cash: Decimal
    equity: Decimal
    positions: tuple[Position, ...]
    at: int
