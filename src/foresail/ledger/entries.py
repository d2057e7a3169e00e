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


@dataclass(frozen=True, slots=True)
class _Entry:
    """What every entry has: its instant (ns UTC) and its sequence number."""

    at: int
    sequence: int


# -- money and positions ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Deposited(_Entry):
    """Money paid in (negative: taken out). An empty currency is the account's."""

    amount: Decimal
    currency: str = ""


@dataclass(frozen=True, slots=True)
class Converted(_Entry):
    """Cash changed from one currency into another at a price that was dealt; both amounts are positive."""

    sold: Decimal
    sold_currency: str
    bought: Decimal
    bought_currency: str
    fee: Decimal = Decimal(0)


@dataclass(frozen=True, slots=True)
class FillBooked(_Entry):
    """An execution; ``currency`` is the instrument's quote currency, empty for the account's."""

    fill: Fill
    multiplier: Decimal = Decimal(1)
    currency: str = ""


@dataclass(frozen=True, slots=True)
class FillBusted(_Entry):
    """The venue took an execution back: it is reversed as if it had not happened."""

    order_id: OrderId
    execution: str
    text: str = ""


@dataclass(frozen=True, slots=True)
class FillCorrected(_Entry):
    """The venue corrected an execution: the earlier one is reversed, ``fill`` stands in its place."""

    execution: str
    fill: Fill


@dataclass(frozen=True, slots=True)
class DividendPaid(_Entry):
    """Cash per unit held at the ex-date; a short position pays it."""

    instrument: InstrumentId
    per_unit: Decimal


@dataclass(frozen=True, slots=True)
class SplitApplied(_Entry):
    """Units after one unit before; fractions of a lot are paid in cash at ``price`` (after the split)."""

    instrument: InstrumentId
    ratio: Decimal
    price: Decimal
    lot: Decimal = Decimal(1)


@dataclass(frozen=True, slots=True)
class HoldingCharged(_Entry):
    """Borrow fee, margin interest, funding or swap; a negative amount was received. No instrument: the account's."""

    amount: Decimal
    kind: HoldingKind
    instrument: InstrumentId | None = None
    currency: str = ""


@dataclass(frozen=True, slots=True)
class HoldingTimed(_Entry):
    """Holding is charged up to ``until``; written only where the instants of marks and fills do not say so."""

    until: int


@dataclass(frozen=True, slots=True)
class ListingEnded(_Entry):
    """A listing ended; what is still held is paid out at ``price``."""

    instrument: InstrumentId
    price: Decimal


@dataclass(frozen=True, slots=True)
class Marked(_Entry):
    """Prices at the end of a bar; later reads of equity without prices use them."""

    prices: tuple[tuple[InstrumentId, Decimal], ...]


# -- orders: intent, then what became of it --------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class OrderIntended(_Entry):
    """An order that may be sent from now on; until its outcome is known it counts as if it were at the venue."""

    order: Order


@dataclass(frozen=True, slots=True)
class OrderAccepted(_Entry):
    """The venue has the order."""

    order_id: OrderId
    venue_order: str = ""


@dataclass(frozen=True, slots=True)
class OrderRejected(_Entry):
    """The venue, or the gate at the last moment, refused the order for good."""

    order_id: OrderId
    text: str = ""


@dataclass(frozen=True, slots=True)
class OrderUnknown(_Entry):
    """Nobody can say whether the venue has the order: its exposure stays reserved and its instrument is blocked."""

    order_id: OrderId
    text: str = ""


@dataclass(frozen=True, slots=True)
class CancelIntended(_Entry):
    """The order is to be taken back; until the venue says so it can still fill."""

    order_id: OrderId


@dataclass(frozen=True, slots=True)
class CancelRejected(_Entry):
    """The venue did not take the order back; it stands as it stood.

    ``what`` was refused: ``cancel``, ``change``, or empty for whatever was asked for.
    """

    order_id: OrderId
    text: str = ""
    what: str = ""


@dataclass(frozen=True, slots=True)
class ReplaceIntended(_Entry):
    """Quantity (total) or prices of a working order are to be changed; None leaves a price as it is.

    ``revision`` counts the changes of an order from 1; 0 in older journals.
    """

    order_id: OrderId
    quantity: Decimal
    limit_price: Decimal | None = None
    trigger_price: Decimal | None = None
    revision: int = 0


@dataclass(frozen=True, slots=True)
class OrderReplaced(_Entry):
    """The venue changed the order; its quantity (total) and prices are these now.

    ``revision`` is that of the change that was asked for; 0 where the venue did it by itself (split, group).
    """

    order_id: OrderId
    quantity: Decimal
    limit_price: Decimal | None = None
    trigger_price: Decimal | None = None
    revision: int = 0


@dataclass(frozen=True, slots=True)
class OrderCancelled(_Entry):
    """The order left the venue's book with ``left`` units unfilled."""

    order_id: OrderId
    left: Decimal
    text: str = ""


@dataclass(frozen=True, slots=True)
class OrderExpired(_Entry):
    """The order's life ended with ``left`` units unfilled."""

    order_id: OrderId
    left: Decimal


# -- parents and strategies ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SliceStarted(_Entry):
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
class SliceStopped(_Entry):
    """Nothing more of a parent leaves; what has left lives on by itself."""

    order_id: OrderId
    text: str = ""


@dataclass(frozen=True, slots=True)
class SharesPlanned(_Entry):
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


# -- decisions, limits and people ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SessionStarted(_Entry):
    """A process began to write: who, in which epoch, with which code and settings."""

    epoch: int
    environment: str
    account: str
    build: str
    settings: str


@dataclass(frozen=True, slots=True)
class StreamAdvanced(_Entry):
    """Everything of a source up to ``position`` has been applied; after a restart it goes on behind it."""

    source: str
    position: int


@dataclass(frozen=True, slots=True)
class Decided(_Entry):
    """A strategy decided at a nominal instant; ``fingerprint`` hashes what it saw and what it wants."""

    strategy: str
    decided_at: int
    orders: int
    fingerprint: str


@dataclass(frozen=True, slots=True)
class Remembered(_Entry):
    """What a strategy remembers after a decision, as JSON; written where it changed."""

    strategy: str
    memory: str


@dataclass(frozen=True, slots=True)
class FactKnown(_Entry):
    """The newest value of a fact; None = not known any more."""

    kind: str
    value: float | None


@dataclass(frozen=True, slots=True)
class ReductionBegun(_Entry):
    """Sizes are this much smaller from here on (SIZE-10, RISK-11), until the condition ends.

    Attributes
    ----------
    rule : requirement and what it is about, for example ``RISK-11 A B``
    factors : (instrument, share that is left)
    """

    rule: str
    factors: tuple[tuple[InstrumentId, float], ...]
    text: str = ""


@dataclass(frozen=True, slots=True)
class ReductionEnded(_Entry):
    """The condition of a reduction has ended."""

    rule: str


@dataclass(frozen=True, slots=True)
class LimitsLoaded(_Entry):
    """From here on these limits hold; ``digest`` is the hash of all of them."""

    profile: str
    digest: str


@dataclass(frozen=True, slots=True)
class BreakerTripped(_Entry):
    """A breaker stopped new positions until an instant (0: until somebody resets it)."""

    rule: str
    until: int
    text: str


@dataclass(frozen=True, slots=True)
class BreakerReset(_Entry):
    """A breaker let go: by time (operator empty) or by a person."""

    rule: str
    operator: str = ""


@dataclass(frozen=True, slots=True)
class TradingHalted(_Entry):
    """Nothing but reducing orders leaves; an empty scope is the whole account, otherwise an instrument."""

    scope: str
    rule: str
    text: str


@dataclass(frozen=True, slots=True)
class TradingResumed(_Entry):
    """A person lifted a halt."""

    scope: str
    operator: str
    text: str


@dataclass(frozen=True, slots=True)
class OperatorActed(_Entry):
    """A person's command, as given."""

    command: str
    operator: str
    text: str = ""


@dataclass(frozen=True, slots=True)
class AlertRaised(_Entry):
    """Somebody was to be told (ALERT-01 to 08)."""

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
