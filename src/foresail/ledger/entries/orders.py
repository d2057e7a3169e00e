"""Entries on orders: intent, then what became of it, parents in slices, and whose they are."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from foresail.core.ids import InstrumentId, OrderId
from foresail.domain.orders import Order
from foresail.ledger.entries.base import BaseEntry

__all__ = [
    "CancelIntended",
    "CancelRejected",
    "OrderAccepted",
    "OrderCancelled",
    "OrderExpired",
    "OrderIntended",
    "OrderRejected",
    "OrderReplaced",
    "OrderUnknown",
    "ReplaceIntended",
    "SharesPlanned",
    "SliceStarted",
    "SliceStopped",
]


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

    ``trigger_price`` is what sets it off, of a plain stop too. ``revision`` is that of the change that was asked for; 0
    where the venue did it by itself (split, group).
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
