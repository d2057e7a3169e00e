"""What became of every order: a fold over the journal that accepts all legal orders of events.

A venue may tell a fill before it acknowledges the order, after it acknowledged a cancel, or twice. All of that is legal
and leads to the same state. What is not legal (more filled than ordered, a fill of a rejected order, a cancel that
knows of fills we never saw) is booked as told, because the venue's executions are the truth, and blocks the instrument
until a person has looked.

An order whose outcome nobody knows is ``UNKNOWN``: it counts as open in full and blocks its instrument. No time-out
turns it into anything else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from enum import StrEnum
from typing import Any, ClassVar

import msgspec

from foresail.core.errors import IntegrityError
from foresail.core.ids import InstrumentId, OrderId
from foresail.domain.orders import Order
from foresail.domain.signals import Side
from foresail.ledger.entries import (
    CancelIntended,
    CancelRejected,
    Entry,
    FillBooked,
    FillBusted,
    FillCorrected,
    OrderAccepted,
    OrderCancelled,
    OrderExpired,
    OrderIntended,
    OrderRejected,
    OrderReplaced,
    OrderUnknown,
    ReplaceIntended,
    TradingResumed,
)

__all__ = ["Execution", "OrderBook", "OrderState", "OrderStatus", "Reserved"]

_ZERO = Decimal(0)
_DAY_NS = 86_400_000_000_000
_KEPT_NS = 7 * _DAY_NS  # finished orders are kept so long, for what a venue tells late


class OrderStatus(StrEnum):
    """Where an order stands."""

    INTENDED = "intended"  # durable, may have been sent
    WORKING = "working"
    UNKNOWN = "unknown"
    FILLED = "filled"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    REJECTED = "rejected"


_OPEN = frozenset({OrderStatus.INTENDED, OrderStatus.WORKING, OrderStatus.UNKNOWN})


@dataclass(frozen=True, slots=True)
class Execution:
    """A fill that counts."""

    id: str
    quantity: Decimal
    price: Decimal


@dataclass(frozen=True, slots=True)
class Reserved:
    """Units that open orders may still trade, worst case; both >= 0."""

    buy: Decimal = _ZERO
    sell: Decimal = _ZERO


@dataclass(slots=True)
class OrderState:
    """One order and what became of it.

    Attributes
    ----------
    order : as it stands at the venue: a replace changes it
    largest : largest quantity that a replace on its way may give it
    asked : revision of the newest change that was asked for
    told_left : units that the venue said were left when the order ended; None while it has not said
    at : instant of the newest entry about it, ns UTC
    retired : ids of executions that were taken back or corrected; told again they are not booked again
    """

    order: Order
    status: OrderStatus
    at: int
    filled: Decimal = _ZERO
    largest: Decimal = _ZERO
    told_left: Decimal | None = None
    venue_order: str = ""
    is_cancelling: bool = False
    replacing: ReplaceIntended | None = None
    executions: list[Execution] = field(default_factory=list)
    retired: list[str] = field(default_factory=list)
    text: str = ""
    asked: int = 0

    @property
    def is_open(self) -> bool:
        """Whether it may still fill as far as we know."""
        return self.status in _OPEN

    @property
    def left(self) -> Decimal:
        """Units not filled yet, >= 0."""
        return max(_ZERO, self.order.quantity - self.filled)

    @property
    def reserved(self) -> Decimal:
        """Units that may still trade, worst case; 0 once it is done."""
        return max(_ZERO, max(self.order.quantity, self.largest) - self.filled) if self.is_open else _ZERO

    @property
    def missing(self) -> Decimal:
        """Units that the venue says were filled before it ended, of which no fill has come yet."""
        return _ZERO if self.told_left is None or self.is_open else max(_ZERO, self.left - self.told_left)


class OrderBook:
    """All orders of one account, changed by ``apply`` only."""

    def __init__(self) -> None:
        self._orders: dict[OrderId, OrderState] = {}
        self._day = 0  # UTC day of the newest intent, counted from 1970
        self._open: dict[OrderId, None] = {}  # in the order of their intents
        self._faults: dict[InstrumentId, str] = {}
        self._differing: dict[OrderId, None] = {}  # ended with other fills than the venue says
        self._excused: dict[
            OrderId, None
        ] = {}  # of these, a person has looked: they block no more, but are asked about

    def __contains__(self, order_id: object) -> bool:
        return order_id in self._orders

    def __len__(self) -> int:
        return len(self._orders)

    @property
    def is_waiting(self) -> bool:
        """Whether an order may still fill, as far as we know."""
        return bool(self._open)

    def get(self, order_id: OrderId) -> OrderState | None:
        """Return an order's state, None where nothing is known of it."""
        return self._orders.get(order_id)

    def open(self, instrument: InstrumentId | None = None) -> Iterator[OrderState]:
        """Yield open orders, of one instrument or all, oldest intent first."""
        for name in self._open:
            state = self._orders[name]
            if instrument is None or state.order.instrument == instrument:
                yield state

    def reserved(self, instrument: InstrumentId) -> Reserved:
        """Return what open and unknown orders of an instrument may still trade, and what traded without our fills."""
        buy = sell = _ZERO
        missing = [one for one in self.differing() if one.order.instrument == instrument]
        for state in (*self.open(instrument), *missing):
            units = state.reserved + state.missing
            if state.order.side is Side.BUY:
                buy += units
            else:
                sell += units
        return Reserved(buy, sell)

    def has_execution(self, order_id: OrderId, execution: str) -> bool:
        """Return whether a fill was booked already, if only to be taken back; a repeated one is never booked again."""
        state = self._orders.get(order_id)
        if state is None:
            return False
        return execution in state.retired or any(one.id == execution for one in state.executions)

    def differing(self) -> Iterator[OrderState]:
        """Yield orders that ended with other fills than the venue says: ask for them, the rest may be on its way."""
        for name in self._differing:
            yield self._orders[name]

    def blocked(self) -> Mapping[InstrumentId, str]:
        """Return why instruments may not be traded: an unknown order, or something that cannot have happened."""
        reasons = dict(self._faults)
        for name in self._differing:
            if name in self._excused:
                continue
            state = self._orders[name]
            reasons.setdefault(
                state.order.instrument,
                f"order {name} ended with {state.told_left} left, the fills booked leave {state.left}",
            )
        for state in self.open():
            if state.status is OrderStatus.UNKNOWN:
                reasons.setdefault(state.order.instrument, f"order {state.order.id} is unknown: {state.text}")
        return reasons

    def apply(self, entry: Entry) -> None:
        """Take in the next entry; entries that are not about orders change nothing.

        Raises
        ------
        IntegrityError
            If an intent repeats an id, or an entry is about an order that was never intended.
        """
        handler = self._HANDLERS.get(type(entry))
        if handler is not None:
            handler(self, entry)

    def prune(self, now: int) -> int:
        """Forget orders that were done seven days before an instant; return how many.

        The book does it by itself at the first intent of a UTC day, so that what it holds follows from the entries.
        """
        old = [
            k for k, s in self._orders.items() if not s.is_open and s.at < now - _KEPT_NS and k not in self._differing
        ]
        for name in old:
            del self._orders[name]
        return len(old)

    def to_plain(self) -> dict[str, Any]:
        """Return everything as plain data."""
        plain: dict[str, Any] = msgspec.to_builtins(
            {
                "orders": list(self._orders.values()),
                "open": list(self._open),
                "faults": self._faults,
                "differing": list(self._differing),
                "excused": list(self._excused),
                "day": self._day,
            }
        )
        return plain

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> OrderBook:
        """Return the book that ``to_plain`` told."""
        book = cls()
        for state in msgspec.convert(plain["orders"], list[OrderState]):
            book._orders[state.order.id] = state
        book._open = dict.fromkeys(OrderId(name) for name in plain["open"])
        book._faults = {InstrumentId(name): text for name, text in plain["faults"].items()}
        book._differing = dict.fromkeys(OrderId(name) for name in plain["differing"])
        book._day = int(plain.get("day", 0))
        book._excused = dict.fromkeys(OrderId(name) for name in plain.get("excused", ()))
        return book

    # -- one kind of entry each ---------------------------------------------------------------------------------------

    def _intended(self, entry: OrderIntended) -> None:
        if entry.order.id in self._orders:
            raise IntegrityError(f"order {entry.order.id} was intended twice", hint="a new decision needs a new id")
        if entry.at // _DAY_NS != self._day:
            self._day = entry.at // _DAY_NS
            self.prune(entry.at)
        self._orders[entry.order.id] = OrderState(entry.order, OrderStatus.INTENDED, entry.at)
        self._open[entry.order.id] = None

    def _accepted(self, entry: OrderAccepted) -> None:
        state = self._known(entry.order_id, entry.at)
        state.venue_order = entry.venue_order or state.venue_order
        if state.status in (OrderStatus.INTENDED, OrderStatus.UNKNOWN):
            state.status, state.text = OrderStatus.WORKING, ""
        elif state.status is OrderStatus.REJECTED:
            self._fault(state, "was accepted after it had been rejected")

    def _rejected(self, entry: OrderRejected) -> None:
        state = self._known(entry.order_id, entry.at)
        if state.filled > 0 or state.status in (OrderStatus.FILLED, OrderStatus.CANCELLED, OrderStatus.EXPIRED):
            self._fault(state, "was rejected after it had been filled or ended")
            if not state.is_open:
                return
        self._end(state, OrderStatus.REJECTED, entry.text)

    def _unknown(self, entry: OrderUnknown) -> None:
        state = self._known(entry.order_id, entry.at)
        if state.is_open:
            state.status, state.text = OrderStatus.UNKNOWN, entry.text

    def _cancel_intended(self, entry: CancelIntended) -> None:
        self._known(entry.order_id, entry.at).is_cancelling = True

    def _cancel_rejected(self, entry: CancelRejected) -> None:
        state = self._known(entry.order_id, entry.at)
        if entry.what != "change":
            state.is_cancelling = False
        if entry.what != "cancel":
            state.replacing, state.largest = None, _ZERO
        self._count(state)

    def _replace_intended(self, entry: ReplaceIntended) -> None:
        state = self._known(entry.order_id, entry.at)
        state.replacing, state.largest = entry, max(state.largest, entry.quantity)
        state.asked = max(state.asked, entry.revision)

    def _replaced(self, entry: OrderReplaced) -> None:
        state = self._known(entry.order_id, entry.at)
        state.order = replace(
            state.order,
            quantity=entry.quantity,
            limit_price=entry.limit_price if entry.limit_price is not None else state.order.limit_price,
            revision=max(state.order.revision, entry.revision),
        )
        if entry.trigger_price is not None:
            state.order = state.order.with_trigger(entry.trigger_price)
        if state.replacing is None or entry.revision >= state.replacing.revision:
            state.replacing, state.largest = None, _ZERO
        self._count(state)

    def _cancelled(self, entry: OrderCancelled) -> None:
        self._ended(entry.order_id, entry.at, OrderStatus.CANCELLED, entry.left, entry.text)

    def _expired(self, entry: OrderExpired) -> None:
        self._ended(entry.order_id, entry.at, OrderStatus.EXPIRED, entry.left, "")

    def _filled(self, entry: FillBooked) -> None:
        fill = entry.fill
        state = self._orders.get(fill.order_id)
        if state is None:
            return  # an exit that hangs on a position, or a close-out: the venue's own, never intended here
        state.at = entry.at
        state.executions.append(Execution(fill.execution, fill.quantity, fill.price))
        if state.status is OrderStatus.REJECTED:
            self._fault(state, "was filled after it had been rejected")
        if state.status in (OrderStatus.INTENDED, OrderStatus.UNKNOWN):
            state.status, state.text = OrderStatus.WORKING, ""
        self._count(state)

    def _busted(self, entry: FillBusted) -> None:
        state = self._known(entry.order_id, entry.at)
        if not any(one.id == entry.execution for one in state.executions):
            self._fault(state, f"lost execution {entry.execution}, which was never booked")
        state.executions = [one for one in state.executions if one.id != entry.execution]
        state.retired.append(entry.execution)
        self._count(state)

    def _corrected(self, entry: FillCorrected) -> None:
        state = self._known(entry.fill.order_id, entry.at)
        kept = [one for one in state.executions if one.id != entry.execution]
        if len(kept) == len(state.executions):
            self._fault(state, f"has a correction of execution {entry.execution}, which was never booked")
        state.executions = [*kept, Execution(entry.fill.execution, entry.fill.quantity, entry.fill.price)]
        state.retired.append(entry.execution)
        self._count(state)

    def _resumed(self, entry: TradingResumed) -> None:
        self._faults = {k: v for k, v in self._faults.items() if entry.scope not in ("", k)}
        for name in self._differing:
            if entry.scope in ("", self._orders[name].order.instrument):
                self._excused[name] = None

    # -- shared -------------------------------------------------------------------------------------------------------

    def _known(self, order_id: OrderId, at: int) -> OrderState:
        state = self._orders.get(order_id)
        if state is None:
            raise IntegrityError(
                f"journal: an entry is about order {order_id}, which was never intended",
                hint="foresail ledger verify tells whether the journal is whole",
            )
        state.at = at
        return state

    def _count(self, state: OrderState) -> None:
        """Bring filled units and status in line with the executions that count."""
        state.filled = sum((one.quantity for one in state.executions), _ZERO)
        wanted = max(state.order.quantity, state.largest)  # a replace on its way may have been there before this fill
        if state.filled > wanted:
            self._fault(state, f"was filled for {state.filled} of {wanted}")
        if state.filled >= wanted and state.status is not OrderStatus.REJECTED:
            self._end(state, OrderStatus.FILLED, "")
        elif state.status is OrderStatus.FILLED:
            state.status, state.text = OrderStatus.CANCELLED, "an execution was taken back"
        self._compare(state)

    def _ended(self, order_id: OrderId, at: int, status: OrderStatus, left: Decimal, text: str) -> None:
        state = self._known(order_id, at)
        if state.status not in (OrderStatus.FILLED, OrderStatus.REJECTED):  # else: a cancel that crossed the last fill
            self._end(state, status, text)
        state.told_left = left
        self._compare(state)

    def _compare(self, state: OrderState) -> None:
        """Keep in mind an order that ended with other fills than the venue says; a fill that comes late settles it."""
        if state.told_left is None or state.told_left == state.left:
            self._differing.pop(state.order.id, None)
            self._excused.pop(state.order.id, None)
        else:
            self._differing[state.order.id] = None

    def _end(self, state: OrderState, status: OrderStatus, text: str) -> None:
        state.status, state.text = status, text
        state.is_cancelling, state.replacing, state.largest = False, None, _ZERO
        self._open.pop(state.order.id, None)

    def _fault(self, state: OrderState, what: str) -> None:
        self._faults.setdefault(state.order.instrument, f"order {state.order.id} {what}")

    # A table, because a dispatching decorator costs several microseconds an entry.
    _HANDLERS: ClassVar[dict[type[Any], Callable[[Any, Any], None]]] = {
        OrderIntended: _intended,
        OrderAccepted: _accepted,
        OrderRejected: _rejected,
        OrderUnknown: _unknown,
        CancelIntended: _cancel_intended,
        CancelRejected: _cancel_rejected,
        ReplaceIntended: _replace_intended,
        OrderReplaced: _replaced,
        OrderCancelled: _cancelled,
        OrderExpired: _expired,
        FillBooked: _filled,
        FillBusted: _busted,
        FillCorrected: _corrected,
        TradingResumed: _resumed,
    }
