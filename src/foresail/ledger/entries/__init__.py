"""Everything that a journal can hold: frozen facts with their instant (ns UTC) and a sequence number without gaps.

New kinds are added; a kind never changes its meaning and a name is never used again. ``codec`` has them as bytes.

Kinds and fields that came after the first version; a journal that holds such a kind is not read by an older version:
``FactKnown``, ``HoldingTimed``, ``LevelsSet``, ``Remembered``, ``ReductionBegun``, ``ReductionEnded``, ``Reviewed``,
``SharesPlanned``, ``SignalsRenewed``, ``SliceStarted`` and ``SliceStopped``; ``revision`` of a change, ``what`` of a
refusal. A field that an older journal lacks has its default.
"""

from __future__ import annotations

from foresail.ledger.entries.decisions import (
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
    StopsNarrowed,
    StreamAdvanced,
    TradingHalted,
    TradingResumed,
)
from foresail.ledger.entries.money import (
    Converted,
    Deposited,
    DividendPaid,
    FillBooked,
    FillBusted,
    FillCorrected,
    HoldingCharged,
    HoldingKind,
    HoldingTimed,
    ListingEnded,
    Marked,
    SplitApplied,
    flow_of,
)
from foresail.ledger.entries.orders import (
    CancelIntended,
    CancelRejected,
    OrderAccepted,
    OrderCancelled,
    OrderExpired,
    OrderIntended,
    OrderRejected,
    OrderReplaced,
    OrderUnknown,
    ReplaceIntended,
    SharesPlanned,
    SliceStarted,
    SliceStopped,
)

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
    "StopsNarrowed",
    "StreamAdvanced",
    "TradingHalted",
    "TradingResumed",
    "flow_of",
]

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
    | StopsNarrowed
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
