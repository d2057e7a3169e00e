"""Everything that a journal can hold: frozen facts with their instant (ns UTC) and a sequence number without gaps.

New kinds are added; a kind never changes its meaning and a name is never used again. ``codec`` has them as bytes.

Kinds and fields that came after the first version; a journal that holds such a kind is not read by an older version:
``FactKnown``, ``HoldingTimed``, ``Remembered``, ``ReductionBegun``, ``ReductionEnded``, ``SharesPlanned``,
``SliceStarted`` and ``SliceStopped``; ``revision`` of a change, ``what`` of a refusal. A field that an older journal
lacks has its default.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from foresail.core.ids import InstrumentId, OrderId
from foresail.domain.orders import Fill, Order

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
    "OrderUnknown",
    "ReductionBegun",
    "ReductionEnded",
    "Remembered",
    "ReplaceIntended",
    "SessionStarted",
    "SharesPlanned",
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
class Deposited:
    """Money paid in (negative: taken out). An empty currency is the account's."""

    at: int
    sequence: int
    amount: Decimal
    currency: str = ""


@dataclass(frozen=True, slots=True)
class Converted:
    """Cash changed from one currency into another at a price that was dealt; both amounts are positive."""

    at: int
    sequence: int
    sold: Decimal
    sold_currency: str
    bought: Decimal
    bought_currency: str
    fee: Decimal = Decimal(0)


@dataclass(frozen=True, slots=True)
class FillBooked:
    """An execution; ``currency`` is the instrument's quote currency, empty for the account's."""

    at: int
    sequence: int
    fill: Fill
    multiplier: Decimal = Decimal(1)
    currency: str = ""


@dataclass(frozen=True, slots=True)
class FillBusted:
    """The venue took an execution back: it is reversed as if it had not happened."""

    at: int
    sequence: int
    order_id: OrderId
    execution: str
    text: str = ""


@dataclass(frozen=True, slots=True)
class FillCorrected:
    """The venue corrected an execution: the earlier one is reversed, ``fill`` stands in its place."""

    at: int
    sequence: int
    execution: str
    fill: Fill


@dataclass(frozen=True, slots=True)
class DividendPaid:
    """Cash per unit held at the ex-date; a short position pays it."""

    at: int
    sequence: int
    instrument: InstrumentId
    per_unit: Decimal


@dataclass(frozen=True, slots=True)
class SplitApplied:
    """Units after one unit before; fractions of a lot are paid in cash at ``price`` (after the split)."""

    at: int
    sequence: int
    instrument: InstrumentId
    ratio: Decimal
    price: Decimal
    lot: Decimal = Decimal(1)


@dataclass(frozen=True, slots=True)
class HoldingCharged:
    """Borrow fee, margin interest, funding or swap; a negative amount was received. No instrument: the account's."""

    at: int
    sequence: int
    amount: Decimal
    kind: HoldingKind
    instrument: InstrumentId | None = None
    currency: str = ""


@dataclass(frozen=True, slots=True)
class HoldingTimed:
    """Holding is charged up to ``until``; written only where the instants of marks and fills do not say so."""

    at: int
    sequence: int
    until: int


@dataclass(frozen=True, slots=True)
class ListingEnded:
    """A listing ended; what is still held is paid out at ``price``."""

    at: int
    sequence: int
    instrument: InstrumentId
    price: Decimal


@dataclass(frozen=True, slots=True)
class Marked:
    """Prices at the end of a bar; later reads of equity without prices use them."""

    at: int
    sequence: int
    prices: tuple[tuple[InstrumentId, Decimal], ...]


# -- orders: intent, then what became of it --------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class OrderIntended:
    """An order that may be sent from now on; until its outcome is known it counts as if it were at the venue."""

    at: int
    sequence: int
    order: Order


@dataclass(frozen=True, slots=True)
class OrderAccepted:
    """The venue has the order."""

    at: int
    sequence: int
    order_id: OrderId
    venue_order: str = ""


@dataclass(frozen=True, slots=True)
class OrderRejected:
    """The venue, or the gate at the last moment, refused the order for good."""

    at: int
    sequence: int
    order_id: OrderId
    text: str = ""


@dataclass(frozen=True, slots=True)
class OrderUnknown:
    """Nobody can say whether the venue has the order: its exposure stays reserved and its instrument is blocked."""

    at: int
    sequence: int
    order_id: OrderId
    text: str = ""


@dataclass(frozen=True, slots=True)
class CancelIntended:
    """The order is to be taken back; until the venue says so it can still fill."""

    at: int
    sequence: int
    order_id: OrderId


@dataclass(frozen=True, slots=True)
class CancelRejected:
    """The venue did not take the order back; it stands as it stood.

    ``what`` was refused: ``cancel``, ``change``, or empty for whatever was asked for.
    """

    at: int
    sequence: int
    order_id: OrderId
    text: str = ""
    what: str = ""


@dataclass(frozen=True, slots=True)
class ReplaceIntended:
    """Quantity (total) or prices of a working order are to be changed; None leaves a price as it is.

    ``revision`` counts the changes of an order from 1; 0 in older journals.
    """

    at: int
    sequence: int
    order_id: OrderId
    quantity: Decimal
    limit_price: Decimal | None = None
    trigger_price: Decimal | None = None
    revision: int = 0


@dataclass(frozen=True, slots=True)
class OrderReplaced:
    """The venue changed the order; its quantity (total) and prices are these now.

    ``revision`` is that of the change that was asked for; 0 where the venue did it by itself (split, group).
    """

    at: int
    sequence: int
    order_id: OrderId
    quantity: Decimal
    limit_price: Decimal | None = None
    trigger_price: Decimal | None = None
    revision: int = 0


@dataclass(frozen=True, slots=True)
class OrderCancelled:
    """The order left the venue's book with ``left`` units unfilled."""

    at: int
    sequence: int
    order_id: OrderId
    left: Decimal
    text: str = ""


@dataclass(frozen=True, slots=True)
class OrderExpired:
    """The order's life ended with ``left`` units unfilled."""

    at: int
    sequence: int
    order_id: OrderId
    left: Decimal


# -- parents and strategies ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SliceStarted:
    """A parent order leaves in parts; each is an order of its own, intended at its instant (EXEC-03).

    Attributes
    ----------
    slices : (instant in ns UTC, units) of a schedule; of participation the instants only, units 0
    share : participation in the volume traded since ``at``, 0 for a schedule
    """

    at: int
    sequence: int
    parent: Order
    method: str
    slices: tuple[tuple[int, Decimal], ...]
    share: Decimal = Decimal(0)


@dataclass(frozen=True, slots=True)
class SliceStopped:
    """Nothing more of a parent leaves; what has left lives on by itself."""

    at: int
    sequence: int
    order_id: OrderId
    text: str = ""


@dataclass(frozen=True, slots=True)
class SharesPlanned:
    """What each strategy gets of the net orders in one instrument.

    Attributes
    ----------
    crossed : (strategy, signed units) that change hands inside at ``price``, free of cost; they add up to zero
    wishes : (strategy, signed units) that come from the venue; all of one sign
    orders : the net orders that bring them
    price : last known price, quote currency per unit
    """

    at: int
    sequence: int
    instrument: InstrumentId
    crossed: tuple[tuple[str, Decimal], ...]
    wishes: tuple[tuple[str, Decimal], ...]
    orders: tuple[OrderId, ...]
    price: Decimal
    multiplier: Decimal = Decimal(1)
    currency: str = ""


# -- decisions, limits and people ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SessionStarted:
    """A process began to write: who, in which epoch, with which code and settings."""

    at: int
    sequence: int
    epoch: int
    environment: str
    account: str
    build: str
    settings: str


@dataclass(frozen=True, slots=True)
class StreamAdvanced:
    """Everything of a source up to ``position`` has been applied; after a restart it goes on behind it."""

    at: int
    sequence: int
    source: str
    position: int


@dataclass(frozen=True, slots=True)
class Decided:
    """A strategy decided at a nominal instant; ``fingerprint`` hashes what it saw and what it wants."""

    at: int
    sequence: int
    strategy: str
    decided_at: int
    orders: int
    fingerprint: str


@dataclass(frozen=True, slots=True)
class Remembered:
    """What a strategy remembers after a decision, as JSON; written where it changed."""

    at: int
    sequence: int
    strategy: str
    memory: str


@dataclass(frozen=True, slots=True)
class FactKnown:
    """The newest value of a fact; None = not known any more."""

    at: int
    sequence: int
    kind: str
    value: float | None


@dataclass(frozen=True, slots=True)
class ReductionBegun:
    """Sizes are this much smaller from here on (SIZE-10, RISK-11), until the condition ends.

    Attributes
    ----------
    rule : requirement and what it is about, for example ``RISK-11 A B``
    factors : (instrument, share that is left)
    """

    at: int
    sequence: int
    rule: str
    factors: tuple[tuple[InstrumentId, float], ...]
    text: str = ""


@dataclass(frozen=True, slots=True)
class ReductionEnded:
    """The condition of a reduction has ended."""

    at: int
    sequence: int
    rule: str


@dataclass(frozen=True, slots=True)
class LimitsLoaded:
    """From here on these limits hold; ``digest`` is the hash of all of them."""

    at: int
    sequence: int
    profile: str
    digest: str


@dataclass(frozen=True, slots=True)
class BreakerTripped:
    """A breaker stopped new positions until an instant (0: until somebody resets it)."""

    at: int
    sequence: int
    rule: str
    until: int
    text: str


@dataclass(frozen=True, slots=True)
class BreakerReset:
    """A breaker let go: by time (operator empty) or by a person."""

    at: int
    sequence: int
    rule: str
    operator: str = ""


@dataclass(frozen=True, slots=True)
class TradingHalted:
    """Nothing but reducing orders leaves; an empty scope is the whole account, otherwise an instrument."""

    at: int
    sequence: int
    scope: str
    rule: str
    text: str


@dataclass(frozen=True, slots=True)
class TradingResumed:
    """A person lifted a halt."""

    at: int
    sequence: int
    scope: str
    operator: str
    text: str


@dataclass(frozen=True, slots=True)
class OperatorActed:
    """A person's command, as given."""

    at: int
    sequence: int
    command: str
    operator: str
    text: str = ""


@dataclass(frozen=True, slots=True)
class AlertRaised:
    """Somebody was to be told (ALERT-01 to 08)."""

    at: int
    sequence: int
    kind: str
    severity: str
    text: str


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
