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
    "Replace",
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
    missing : critical inputs without a value (SIG-21)
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
    missing: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Weights:
    """Intent: hold these fractions of equity (signed); instruments not named are to be closed."""

    weights: tuple[tuple[InstrumentId, float], ...]


@dataclass(frozen=True, slots=True)
class OrderIntent:
    """Intent: one order, possibly with stop and target attached (EXEC-02).

    Attributes
    ----------
    kind : market, limit, stop, stop_limit or trailing
    limit_price : of a limit and of a stop-limit order
    stop_price : of a stop order without ``trigger_price`` its trigger; else the stop that hangs on what it opens
    target_price : the target that hangs on what it opens
    leg : the strategy's own word for this order; two orders of one decision and instrument need two
    trigger_price : at which a stop or stop-limit order is released; of a trailing order its first level
    trail : of a trailing order, the distance that it keeps from the best price, money
    time_in_force : gtc, day, gtd (until ``expires_at``), ioc or fok
    expires_at : ns UTC
    reduce_only : never opens or turns a position
    parent : leg of this decision whose fill brings the order to life
    group : orders of one decision with the same word cancel one another; reducing ones shrink together
    joins : leg of an order of an earlier decision that is still open, whose group this one joins
    ladder : whether a third of what it buys leaves at +10 %, a third at +20 %, and the rest trails (EXIT-06, crypto)
    """

    instrument: InstrumentId
    side: Side
    quantity: Decimal
    kind: str = "market"
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    target_price: Decimal | None = None
    leg: str = "entry"
    trigger_price: Decimal | None = None
    trail: Decimal | None = None
    time_in_force: str = "gtc"
    expires_at: int = 0
    reduce_only: bool = False
    parent: str = ""
    group: str = ""
    joins: str = ""
    ladder: bool = False


@dataclass(frozen=True, slots=True)
class Replace:
    """Intent: change the newest open order of a leg; None leaves a number as it is, ``quantity`` is the total."""

    instrument: InstrumentId
    leg: str = "entry"
    quantity: Decimal | None = None
    limit_price: Decimal | None = None
    trigger_price: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Cancel:
    """Intent: take back what is open for an instrument, or the newest open order of one leg."""

    instrument: InstrumentId
    leg: str = ""


@dataclass(frozen=True, slots=True)
class TimerIntent:
    """Intent: wake the strategy at an instant, ns UTC."""

    at: int
    name: str


Intent = Signal | Weights | OrderIntent | Replace | Cancel | TimerIntent


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
