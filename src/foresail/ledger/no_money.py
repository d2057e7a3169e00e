"""Entries that move no money: books pass them over, and refuse every kind that is neither here nor known to them."""

from __future__ import annotations

from typing import Any

from foresail.ledger.entries import (
    AlertRaised,
    BreakerReset,
    BreakerTripped,
    CancelIntended,
    CancelRejected,
    Decided,
    FactKnown,
    HoldingTimed,
    LevelsSet,
    LimitsLoaded,
    OperatorActed,
    OrderAccepted,
    OrderCancelled,
    OrderExpired,
    OrderIntended,
    OrderRejected,
    OrderReplaced,
    OrderUnknown,
    ReductionBegun,
    ReductionEnded,
    Remembered,
    ReplaceIntended,
    Reviewed,
    SessionStarted,
    SharesPlanned,
    SignalsRenewed,
    SliceStarted,
    SliceStopped,
    StopsNarrowed,
    StreamAdvanced,
    TradingHalted,
    TradingResumed,
)

__all__ = ["NO_MONEY"]

NO_MONEY: frozenset[type[Any]] = frozenset(
    {
        AlertRaised,
        BreakerReset,
        BreakerTripped,
        CancelIntended,
        CancelRejected,
        Decided,
        FactKnown,
        HoldingTimed,
        LevelsSet,
        LimitsLoaded,
        OperatorActed,
        OrderAccepted,
        OrderCancelled,
        OrderExpired,
        OrderIntended,
        OrderRejected,
        OrderReplaced,
        OrderUnknown,
        ReductionBegun,
        ReductionEnded,
        Remembered,
        ReplaceIntended,
        Reviewed,
        SessionStarted,
        SharesPlanned,
        SignalsRenewed,
        SliceStarted,
        SliceStopped,
        StopsNarrowed,
        StreamAdvanced,
        TradingHalted,
        TradingResumed,
    }
)
