"""Instruments: what is traded, with the facts that sizing, costs and the venue need."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from foresail.core.ids import InstrumentId

__all__ = ["AssetClass", "Instrument", "PriceBasis"]


class AssetClass(StrEnum):
    """The three classes that Foresail trades."""

    STOCK = "stock"
    CRYPTO = "crypto"
    FOREX = "forex"


class PriceBasis(StrEnum):
    """How stored prices relate to what was printed: decides how splits and dividends act, and which tiers exist."""

    RAW = "raw"
    SPLIT_ADJUSTED = "split_adjusted"
    TOTAL_RETURN = "total_return"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Instrument:
    """One tradable thing.

    Attributes
    ----------
    symbol : the ticker that the data set uses
    sector : a name of ``domain.sectors``, or the instrument's own id where unmapped (its own sector for caps)
    tick, lot : price step in quote currency, quantity step in units
    """

    id: InstrumentId
    symbol: str
    asset_class: AssetClass
    kind: str = "spot"  # spot, etf, perp
    currency: str = "USD"
    sector: str = "unknown"
    multiplier: Decimal = Decimal(1)
    tick: Decimal = Decimal("0.0001")
    lot: Decimal = Decimal(1)
