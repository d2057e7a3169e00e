"""Entries that move money or positions."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from foresail.core.ids import InstrumentId, OrderId
from foresail.domain.orders import Fill
from foresail.ledger.entries.base import BaseEntry

__all__ = [
    "Converted",
    "Deposited",
    "DividendPaid",
    "FillBooked",
    "FillBusted",
    "FillCorrected",
    "HoldingCharged",
    "HoldingKind",
    "HoldingTimed",
    "ListingEnded",
    "Marked",
    "SplitApplied",
    "flow_of",
]


class HoldingKind(StrEnum):
    """Why holding cost money, or why moving it did."""

    BORROW = "borrow"
    MARGIN = "margin"
    FUNDING = "funding"
    SWAP = "swap"
    TRANSFER = "transfer"


@dataclass(frozen=True, slots=True)
class Deposited(BaseEntry):
    """Money paid in (negative: taken out). An empty currency is the account's."""

    amount: Decimal
    currency: str = ""


@dataclass(frozen=True, slots=True)
class Converted(BaseEntry):
    """Cash changed from one currency into another at a price that was dealt; both amounts are positive."""

    sold: Decimal
    sold_currency: str
    bought: Decimal
    bought_currency: str
    fee: Decimal = Decimal(0)


@dataclass(frozen=True, slots=True)
class FillBooked(BaseEntry):
    """An execution; ``currency`` is the instrument's quote currency, empty for the account's."""

    fill: Fill
    multiplier: Decimal = Decimal(1)
    currency: str = ""


@dataclass(frozen=True, slots=True)
class FillBusted(BaseEntry):
    """The venue took an execution back: it is reversed as if it had not happened."""

    order_id: OrderId
    execution: str
    text: str = ""


@dataclass(frozen=True, slots=True)
class FillCorrected(BaseEntry):
    """The venue corrected an execution: the earlier one is reversed, ``fill`` stands in its place."""

    execution: str
    fill: Fill


@dataclass(frozen=True, slots=True)
class DividendPaid(BaseEntry):
    """Cash per unit held at the ex-date; a short position pays it."""

    instrument: InstrumentId
    per_unit: Decimal


@dataclass(frozen=True, slots=True)
class SplitApplied(BaseEntry):
    """Units after one unit before; fractions of a lot are paid in cash at ``price`` (after the split)."""

    instrument: InstrumentId
    ratio: Decimal
    price: Decimal
    lot: Decimal = Decimal(1)


@dataclass(frozen=True, slots=True)
class HoldingCharged(BaseEntry):
    """Borrow fee, margin interest, funding, swap, or the network's fee of money that left (no holding, but a cost too).

    A negative amount was received. No instrument: the account's.
    """

    amount: Decimal
    kind: HoldingKind
    instrument: InstrumentId | None = None
    currency: str = ""


def flow_of(entry: BaseEntry) -> tuple[Decimal, str] | None:
    """Return (money, currency) that a person paid in, below 0 where it was taken out; None of all other entries.

    The network's fee of money that left is part of it: it cost something, but no trading lost it.
    """
    if isinstance(entry, Deposited):
        return entry.amount, entry.currency
    if isinstance(entry, HoldingCharged) and entry.kind is HoldingKind.TRANSFER:
        return -entry.amount, entry.currency
    return None


@dataclass(frozen=True, slots=True)
class HoldingTimed(BaseEntry):
    """Holding is charged up to ``until``; written only where the instants of marks and fills do not say so."""

    until: int


@dataclass(frozen=True, slots=True)
class ListingEnded(BaseEntry):
    """A listing ended; what is still held is paid out at ``price``."""

    instrument: InstrumentId
    price: Decimal


@dataclass(frozen=True, slots=True)
class Marked(BaseEntry):
    """Prices at the end of a bar; later reads of equity without prices use them."""

    prices: tuple[tuple[InstrumentId, Decimal], ...]
