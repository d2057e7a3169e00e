"""Entries on decisions, limits, halts and people: what was decided, on what, by whom; they move no money."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from foresail.core.ids import InstrumentId, OrderId
from foresail.domain.orders import Ruling
from foresail.ledger.entries.base import BaseEntry

__all__ = [
    "AlertRaised",
    "BreakerReset",
    "BreakerTripped",
    "Decided",
    "FactKnown",
    "LevelsSet",
    "LimitsLoaded",
    "OperatorActed",
    "OrderReview",
    "ReductionBegun",
    "ReductionEnded",
    "Remembered",
    "Reviewed",
    "SessionStarted",
    "SignalSeen",
    "SignalsRenewed",
    "StopsNarrowed",
    "StreamAdvanced",
    "TradingHalted",
    "TradingResumed",
]


@dataclass(frozen=True, slots=True)
class SessionStarted(BaseEntry):
    """A process began to write: who, in which epoch, with which code and settings."""

    epoch: int
    environment: str
    account: str
    build: str
    settings: str


@dataclass(frozen=True, slots=True)
class StreamAdvanced(BaseEntry):
    """Everything of a source up to ``position`` has been applied; after a restart it goes on behind it."""

    source: str
    position: int


@dataclass(frozen=True, slots=True)
class Decided(BaseEntry):
    """A strategy decided at a nominal instant; ``fingerprint`` hashes what it saw and what it wants."""

    strategy: str
    decided_at: int
    orders: int
    fingerprint: str


@dataclass(frozen=True, slots=True)
class SignalSeen:
    """What of a signal stands behind an order (COMP-01).

    Attributes
    ----------
    rule : id of the requirement that decided, for example SIG-15
    confidence : None where it has none
    expires_at : ns UTC, 0 where it does not expire
    """

    strategy: str
    rule: str
    model: str
    features_hash: str
    confidence: float | None
    expires_at: int = 0


@dataclass(frozen=True, slots=True)
class OrderReview:
    """What was wanted of one order, what the gate let pass, and why.

    Attributes
    ----------
    wanted, allowed : units, of a change of an open order those that it adds (one lot where it only moves a price);
        0 allowed = refused
    rulings : of the rules that cut it, the strictest first
    signals : in this instrument at this decision
    """

    order_id: OrderId
    instrument: InstrumentId
    wanted: Decimal
    allowed: Decimal
    rulings: tuple[Ruling, ...] = ()
    signals: tuple[SignalSeen, ...] = ()


@dataclass(frozen=True, slots=True)
class Reviewed(BaseEntry):
    """The orders of one decision as the gate saw them, refused ones as well (COMP-01, COMP-05).

    Attributes
    ----------
    strategy : who decided; of a person's orders ``operator``
    orders : those that a rule cut or a signal stands behind
    user : the person who asked, empty where a strategy did
    whole : the others, which passed whole: their intent or parent says all of them
    """

    strategy: str
    orders: tuple[OrderReview, ...]
    user: str = ""
    whole: tuple[OrderId, ...] = ()


@dataclass(frozen=True, slots=True)
class LevelsSet(BaseEntry):
    """Stop and target of a position are to be these from here on (EXIT-10); None = none. Prices in quote currency.

    Attributes
    ----------
    wide : the stop at its full distance, where a weekend has brought it nearer (EXIT-08); None = it stands there
    """

    instrument: InstrumentId
    stop: float | None
    target: float | None
    wide: float | None = None


@dataclass(frozen=True, slots=True)
class StopsNarrowed(BaseEntry):
    """Orders that carry a stop nearer than its full distance because of a weekend (EXIT-08): (order, full distance)."""

    stops: tuple[tuple[OrderId, float], ...]


@dataclass(frozen=True, slots=True)
class SignalsRenewed(BaseEntry):
    """Until when the signals behind what is held or ordered speak (EXIT-07): (instrument, ns UTC); 0 = not any more."""

    expires: tuple[tuple[InstrumentId, int], ...]


@dataclass(frozen=True, slots=True)
class Remembered(BaseEntry):
    """What a strategy remembers after a decision, as JSON; written where it changed."""

    strategy: str
    memory: str


@dataclass(frozen=True, slots=True)
class FactKnown(BaseEntry):
    """The newest value of a fact; None = not known any more."""

    kind: str
    value: float | None


@dataclass(frozen=True, slots=True)
class ReductionBegun(BaseEntry):
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
class ReductionEnded(BaseEntry):
    """The condition of a reduction has ended."""

    rule: str


@dataclass(frozen=True, slots=True)
class LimitsLoaded(BaseEntry):
    """From here on these limits hold; ``digest`` is the hash of all of them."""

    profile: str
    digest: str


@dataclass(frozen=True, slots=True)
class BreakerTripped(BaseEntry):
    """A breaker stopped new positions until an instant (0: until somebody resets it)."""

    rule: str
    until: int
    text: str


@dataclass(frozen=True, slots=True)
class BreakerReset(BaseEntry):
    """A breaker let go: by time (operator empty) or by a person."""

    rule: str
    operator: str = ""


@dataclass(frozen=True, slots=True)
class TradingHalted(BaseEntry):
    """Nothing but reducing orders leaves; an empty scope is the whole account, otherwise an instrument."""

    scope: str
    rule: str
    text: str


@dataclass(frozen=True, slots=True)
class TradingResumed(BaseEntry):
    """A person lifted a halt."""

    scope: str
    operator: str
    text: str


@dataclass(frozen=True, slots=True)
class OperatorActed(BaseEntry):
    """A person's command, as given."""

    command: str
    operator: str
    text: str = ""


@dataclass(frozen=True, slots=True)
class AlertRaised(BaseEntry):
    """Somebody was to be told (ALERT-01 to 08)."""

    kind: str
    severity: str
    text: str
