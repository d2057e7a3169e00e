"""Events, the only thing that moves time, and their one total order (architecture, section 3).

Order: (available_at, rank, source, instrument, sequence). Decisions happen on Timers. A late bar is a Correction.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import IntEnum, StrEnum

from foresail.core.ids import InstrumentId, OrderId
from foresail.domain.orders import Fill

__all__ = [
    "BarsClosed",
    "BookBatch",
    "Correction",
    "Event",
    "Fact",
    "ModelReplaced",
    "Operator",
    "OrderEvent",
    "Rank",
    "Timer",
    "VenueOutcome",
    "VenueReport",
    "event_key",
]

_NO_ORDER = OrderId("")


class Rank(IntEnum):
    """Place of an event among those of one instant."""

    CORPORATE_ACTION = 0
    VENUE_FILL = 1
    BASE_BAR = 2
    HIGHER_FRAME = 3
    FEATURES = 4
    FORECASTS = 5
    DECISION = 6


@dataclass(frozen=True, slots=True)
class Event:
    """Common part of all events. Times are ns UTC."""

    available_at: int
    event_time: int
    rank: Rank
    source: str = ""
    instrument: InstrumentId | None = None
    sequence: int = 0


@dataclass(frozen=True, slots=True)
class BarsClosed(Event):
    """All bars of one frame with one end; ``position`` is the time index in the panel that the driver reads."""

    frame: str = ""
    position: int = -1


@dataclass(frozen=True, slots=True)
class BookBatch(Event):
    """Order-book changes of one instrument; ``position`` points into the driver's block."""

    position: int = -1


@dataclass(frozen=True, slots=True)
class Fact(Event):
    """A funding payment, corporate action, macro figure or document; ``kind`` names it, ``value`` is its number."""

    kind: str = ""
    value: float = float("nan")


@dataclass(frozen=True, slots=True)
class Correction(Event):
    """A bar that arrived late or was revised: replay from the last snapshot; decisions already taken stay."""

    frame: str = ""
    corrected_end: int = 0


@dataclass(frozen=True, slots=True)
class ModelReplaced(Event):
    """From here on forecasts come from another fitted model."""

    model: str = ""


@dataclass(frozen=True, slots=True)
class OrderEvent(Event):
    """What a venue said about an order: accepted, rejected, unknown, filled, cancelled, expired."""

    order_id: OrderId | None = None
    outcome: str = ""
    quantity_lots: int = 0
    price_ticks: int = 0


class VenueOutcome(StrEnum):
    """What a venue can tell about an order."""

    ACCEPTED = "accepted"
    REJECTED = "rejected"
    FILLED = "filled"  # a part or all of it: ``fill`` says how much
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    CANCEL_REJECTED = "cancel_rejected"
    REPLACED = "replaced"
    BUSTED = "busted"  # ``execution`` was taken back
    CORRECTED = "corrected"  # ``execution`` is replaced by ``fill``
    ABSENT = "absent"  # proof that the venue never had it
    NO_ANSWER = "no_answer"  # the link cannot say what happened: never a rejection


@dataclass(frozen=True, slots=True)
class VenueReport(Event):
    """A venue's word on one order, as money: what a core turns into entries of the journal.

    Attributes
    ----------
    left : units unfilled where an order ended, total units where it was replaced or a change was refused
    execution : of a bust or correction, the execution that it is about
    trigger_price : what sets the order off; of a plain stop, which keeps it in ``stop_price``, too
    revision : of the change that was made or refused; 0 where the venue does not say, or did it by itself
    quantity : total units of an order that ended: ``left`` of how many, should a change have been on its way; 0 where
        the venue does not say
    """

    order_id: OrderId = _NO_ORDER
    outcome: VenueOutcome = VenueOutcome.NO_ANSWER
    fill: Fill | None = None
    left: Decimal = Decimal(0)
    limit_price: Decimal | None = None
    trigger_price: Decimal | None = None
    venue_order: str = ""
    execution: str = ""
    text: str = ""
    revision: int = 0
    quantity: Decimal = Decimal(0)


@dataclass(frozen=True, slots=True)
class Timer(Event):
    """A nominal instant at which something is decided."""

    name: str = ""


@dataclass(frozen=True, slots=True)
class Operator(Event):
    """A person's command."""

    command: str = ""


def event_key(event: Event) -> tuple[int, int, str, str, int]:
    """Return the sorting key of the one total order."""
    return (event.available_at, int(event.rank), event.source, event.instrument or "", event.sequence)
