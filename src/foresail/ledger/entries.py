"""Everything that a journal can hold: frozen facts with their instant (ns UTC) and a sequence number without gaps.

New kinds are added; a kind never changes its meaning and a name is never used again. ``codec`` has them as bytes.

Kinds and fields that came after the first version; a journal that holds such a kind is not read by an older version:
``FactKnown``, ``HoldingTimed``, ``LevelsSet``, ``Remembered``, ``ReductionBegun``, ``ReductionEnded``, ``Reviewed``,
``SharesPlanned``, ``SignalsRenewed``, ``SliceStarted`` and ``SliceStopped``; ``revision`` of a change, ``what`` of a
refusal. A field that an older journal lacks has its default.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from foresail.core.ids import InstrumentId, OrderId
from foresail.domain.orders import Fill, Order
from foresail.ledger.decisions import (
    AlertRaised,
    BreakerReset,
    BreakerTripped,
    Decided,
    FactKnown,
    LevelsSet,
    LimitsLoaded,
    OperatorActed,
    OrderReview,
    ReductionBegun,
    ReductionEnded,
    Remembered,
    Reviewed,
    SessionStarted,
    SignalSeen,
    SignalsRenewed,
    StreamAdvanced,
    TradingHalted,
    TradingResumed,
)
from foresail.ledger.entry import BaseEntry

__all__ = [
    "AlertRaised",
    "BreakerReset",
    "BreakerTripped",
    "CancelIntended",
    "CancelRejected",
    "Converted",
    "Decided",
    "Deposited",
    "DividendPaid",
    "Entry",
    "FactKnown",
    "FillBooked",
    "FillBusted",
    "FillCorrected",
    "HoldingCharged",
    "HoldingKind",
    "HoldingTimed",
    "LevelsSet",
    "LimitsLoaded",
    "ListingEnded",
    "Marked",
    "OperatorActed",
    "OrderAccepted",
    "OrderCancelled",
    "OrderExpired",
    "OrderIntended",
    "OrderRejected",
    "OrderReplaced",
    "OrderReview",
    "OrderUnknown",
    "ReductionBegun",
    "ReductionEnded",
    "Remembered",
    "ReplaceIntended",
    "Reviewed",
    "SessionStarted",
    "SharesPlanned",
    "SignalSeen",
    "SignalsRenewed",
    "SliceStarted",
    "SliceStopped",
    "SplitApplied",
    "StreamAdvanced",
    "TradingHalted",
    "TradingResumed",
]


class HoldingKind(StrEnum):
    """Why holding cost money."""

    BORROW = "borrow"
    MARGIN = "margin"
    FUNDING = "funding"
    SWAP = "swap"


# -- money and positions ---------------------------------------------------------------------------------------------


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
    """Borrow fee, margin interest, funding or swap; a negative amount was received. No instrument: the account's."""

    amount: Decimal
    kind: HoldingKind
    instrument: InstrumentId | None = None
    currency: str = ""


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


# -- orders: intent, then what became of it --------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class OrderIntended(BaseEntry):
    """An order that may be sent from now on; until its outcome is known it counts as if it were at the venue."""

    order: Order


@dataclass(frozen=True, slots=True)
class OrderAccepted(BaseEntry):
    """The venue has the order."""

    order_id: OrderId
    venue_order: str = ""


@dataclass(frozen=True, slots=True)
class OrderRejected(BaseEntry):
    """The venue, or the gate at the last moment, refused the order for good."""

    order_id: OrderId
    text: str = ""


@dataclass(frozen=True, slots=True)
class OrderUnknown(BaseEntry):
    """Nobody can say whether the venue has the order: its exposure stays reserved and its instrument is blocked."""

    order_id: OrderId
    text: str = ""


@dataclass(frozen=True, slots=True)
class CancelIntended(BaseEntry):
    """The order is to be taken back; until the venue says so it can still fill."""

    order_id: OrderId


@dataclass(frozen=True, slots=True)
class CancelRejected(BaseEntry):
    """The venue did not take the order back; it stands as it stood.

    ``what`` was refused: ``cancel``, ``change``, or empty for whatever was asked for.
    """

    order_id: OrderId
    text: str = ""
    what: str = ""


@dataclass(frozen=True, slots=True)
class ReplaceIntended(BaseEntry):
    """Quantity (total) or prices of a working order are to be changed; None leaves a price as it is.

    ``revision`` counts the changes of an order from 1; 0 in older journals.
    """

    order_id: OrderId
    quantity: Decimal
    limit_price: Decimal | None = None
    trigger_price: Decimal | None = None
    revision: int = 0


@dataclass(frozen=True, slots=True)
class OrderReplaced(BaseEntry):
    """The venue changed the order; its quantity (total) and prices are these now.

    ``revision`` is that of the change that was asked for; 0 where the venue did it by itself (split, group).
    """

    order_id: OrderId
    quantity: Decimal
    limit_price: Decimal | None = None
    trigger_price: Decimal | None = None
    revision: int = 0


@dataclass(frozen=True, slots=True)
class OrderCancelled(BaseEntry):
    """The order left the venue's book with ``left`` units unfilled."""

    order_id: OrderId
    left: Decimal
    text: str = ""


@dataclass(frozen=True, slots=True)
class OrderExpired(BaseEntry):
    """The order's life ended with ``left`` units unfilled."""

    order_id: OrderId
    left: Decimal


# -- parents and strategies ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SliceStarted(BaseEntry):
    """A parent order leaves in parts; each is an order of its own, intended at its instant (EXEC-03).

    Attributes
    ----------
    slices : (instant in ns UTC, units) of a schedule; of participation the instants only, units 0
    share : participation in the volume traded since ``at``, 0 for a schedule
    """

    parent: Order
    method: str
    slices: tuple[tuple[int, Decimal], ...]
    share: Decimal = Decimal(0)


@dataclass(frozen=True, slots=True)
class SliceStopped(BaseEntry):
    """Nothing more of a parent leaves; what has left lives on by itself."""

    order_id: OrderId
    text: str = ""


@dataclass(frozen=True, slots=True)
class SharesPlanned(BaseEntry):
    """What each strategy gets of the net orders in one instrument.

    Attributes
    ----------
    crossed : (strategy, signed units) that change hands inside at ``price``, free of cost; they add up to zero
    wishes : (strategy, signed units) that come from the venue; all of one sign
    orders : the net orders that bring them
    price : last known price, quote currency per unit
    """

    instrument: InstrumentId
    crossed: tuple[tuple[str, Decimal], ...]
    wishes: tuple[tuple[str, Decimal], ...]
    orders: tuple[OrderId, ...]
    price: Decimal
    multiplier: Decimal = Decimal(1)
    currency: str = ""


Entry = (
    Deposited
    | Converted
    | FillBooked
    | FillBusted
    | FillCorrected
    | DividendPaid
    | SplitApplied
    | HoldingCharged
    | HoldingTimed
    | ListingEnded
    | Marked
    | OrderIntended
    | OrderAccepted
    | OrderRejected
    | OrderUnknown
    | CancelIntended
    | CancelRejected
    | ReplaceIntended
    | OrderReplaced
    | OrderCancelled
    | OrderExpired
    | SliceStarted
    | SliceStopped
    | SharesPlanned
    | SessionStarted
    | StreamAdvanced
    | Decided
    | Reviewed
    | LevelsSet
    | SignalsRenewed
    | Remembered
    | FactKnown
    | ReductionBegun
    | ReductionEnded
    | LimitsLoaded
    | BreakerTripped
    | BreakerReset
    | TradingHalted
    | TradingResumed
    | OperatorActed
    | AlertRaised
)
