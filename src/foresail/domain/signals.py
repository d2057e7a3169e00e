"""Signals and intents: what a strategy hands over. The spec's 0-100 scales live on screens only; here are fractions."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from foresail.core.ids import InstrumentId

__all__ = [
    "Cancel",
    "Horizon",
    "Intent",
    "OrderIntent",
    "Side",
    "Signal",
    "SignalKind",
    "TargetWeights",
    "TimerIntent",
    "Weights",
]


class SignalKind(StrEnum):
    """SIG-01."""

    STRONG_BUY = "strong_buy"
    BUY = "buy"
    HOLD = "hold"
    SELL = "sell"
    STRONG_SELL = "strong_sell"


class Horizon(StrEnum):
    """SIG-02."""

    DAY_TRADE = "day_trade"
    SWING_TRADE = "swing_trade"
    POSITION = "position"


class Side(StrEnum):
    """Direction of an order."""

    BUY = "buy"
    SELL = "sell"


@dataclass(frozen=True, slots=True)
class Signal:
    """A ranked, explained opinion on one instrument (SIG-03).

    Attributes
    ----------
    confidence : probability that the move has the predicted sign, calibrated, in [0.5, 1]; NaN without a forecast
    expected_return : log return over ``horizon_bars``, before cost
    cost : round-trip cost, fraction of value
    entry_price, target_price, stop_price : price levels of the set's basis at the decision; NaN where unknown
    reasons : plain sentences, the first being the decisive one
    rule : id of the requirement that decided, for example SIG-15
    """

    instrument: InstrumentId
    kind: SignalKind
    horizon: Horizon
    horizon_bars: int
    confidence: float
    expected_return: float
    cost: float
    entry_price: float
    target_price: float
    stop_price: float
    reasons: tuple[str, ...]
    rule: str
    strategy: str
    version: str
    model: str
    features_hash: str
    decided_at: int
    expires_at: int
    rank: int = 0


@dataclass(frozen=True, slots=True)
class Weights:
    """Intent: hold these fractions of equity (signed); instruments not named are to be closed."""

    weights: tuple[tuple[InstrumentId, float], ...]


@dataclass(frozen=True, slots=True)
class OrderIntent:
    """Intent: one order, possibly with stop and target attached (bracket)."""

    instrument: InstrumentId
    side: Side
    quantity: Decimal
    kind: str = "market"  # market, limit, stop, stop_limit
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    target_price: Decimal | None = None
    leg: str = "entry"


@dataclass(frozen=True, slots=True)
class Cancel:
    """Intent: take back what is open for an instrument."""

    instrument: InstrumentId


@dataclass(frozen=True, slots=True)
class TimerIntent:
    """Intent: wake the strategy at an instant, ns UTC."""

    at: int
    name: str


Intent = Signal | Weights | OrderIntent | Cancel | TimerIntent


@dataclass(frozen=True, slots=True)
class TargetWeights:
    """What the allocator decided, after caps: fraction of equity per instrument, with stop and target levels.

    Attributes
    ----------
    weights : signed fraction of equity
    stops, targets : price levels; NaN = none
    notes : (instrument, text) for every cap or refusal
    """

    instruments: tuple[InstrumentId, ...]
    weights: tuple[float, ...]
    stops: tuple[float, ...]
    targets: tuple[float, ...]
    notes: tuple[tuple[InstrumentId, str], ...] = ()
