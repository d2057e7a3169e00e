"""A small core by the contract of ``engine.trading``: it drives the real journal, order book and books.

It exists for two reasons. The simulation has something simple to compare the trading core with; and the order and
money folds are exercised far faster than the whole application allows. It is pure: an event in, effects out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from foresail.core.ids import InstrumentId
from foresail.domain.effects import Ask, CancelSend, Effect, ReplaceSend, Send
from foresail.domain.events import BarsClosed, Event, Operator, Timer, VenueOutcome, VenueReport
from foresail.domain.orders import OrderKind
from foresail.domain.signals import Side
from foresail.ledger.books import Books
from foresail.ledger.entries import (
    CancelIntended,
    CancelRejected,
    Decided,
    Deposited,
    Entry,
    FillBooked,
    FillBusted,
    FillCorrected,
    OperatorActed,
    OrderAccepted,
    OrderCancelled,
    OrderExpired,
    OrderIntended,
    OrderRejected,
    OrderReplaced,
    OrderUnknown,
    ReplaceIntended,
    TradingHalted,
    TradingResumed,
)
from foresail.ledger.orders import OrderBook, OrderState, OrderStatus
from foresail.protocols import EntryWriter
from foresail.testing.simulation.loop import SECOND
from foresail.testing.simulation.script import ACCOUNT, STRATEGY, Wish, WishKind, order_of, wishes

__all__ = ["Board", "CoreSettings", "ReferenceCore"]

_ENDS = {
    VenueOutcome.CANCELLED: OrderStatus.CANCELLED,
    VenueOutcome.EXPIRED: OrderStatus.EXPIRED,
}
_RESEND_WITHIN = 10 * SECOND  # an order proved absent is sent again while its decision is not older


@dataclass(frozen=True, slots=True)
class CoreSettings:
    """Limits of the core.

    Attributes
    ----------
    most : units that position and open orders together may reach, worst case
    oldest_price : ns; nothing is opened on an older price
    deposit : money at the start
    rule_fault : share of orders on which a rule of the gate fails
    """

    seed: int
    most: int = 25
    oldest_price: int = 2 * SECOND
    deposit: Decimal = Decimal(100_000)
    rule_fault: float = 0.0


class Board:
    """Closing prices that bars point to, cents by instrument."""

    def __init__(self) -> None:
        self._closes: list[Mapping[InstrumentId, int]] = []
        self._times: list[int] = []

    def add(self, closes: Mapping[InstrumentId, int], at: int) -> int:
        """Keep the closes of a bar that ends at an instant (ns); return its position."""
        self._closes.append(dict(closes))
        self._times.append(at)
        return len(self._closes) - 1

    def time(self, position: int) -> int:
        """Return when a bar ended, ns UTC."""
        return self._times[position]

    def closes(self, position: int) -> Mapping[InstrumentId, int]:
        """Return the closes of a bar."""
        return self._closes[position]


class ReferenceCore:
    """State is books, orders, the last decision and the latch; prices are forgotten in a restart."""

    def __init__(self, settings: CoreSettings, board: Board, writer: EntryWriter) -> None:
        self._settings, self._board, self._writer = settings, board, writer
        self.books = Books(ACCOUNT, "USD", allow_short=True)
        self.orders = OrderBook()
        self.decided_at = 0
        self.halted = ""
        self.at = 0
        self._prices: Mapping[InstrumentId, int] = {}
        self._priced_at = 0

    def recover(self, state: Mapping[str, Any] | None, entries: Iterable[Entry]) -> tuple[Effect, ...]:
        """Fold snapshot and tail; return the questions about every order whose end is not known."""
        if state is not None:
            self.books = Books.from_plain(state["books"])
            self.orders = OrderBook.from_plain(state["orders"])
            self.decided_at, self.halted, self.at = state["decided_at"], state["halted"], state["at"]
        for entry in entries:
            self._fold(entry)
        if not self.books.totals().deposits:
            self._write(lambda at, n: Deposited(at, n, self._settings.deposit))
        return self._questions()

    def to_plain(self) -> dict[str, Any]:
        """Return the state as plain data."""
        return {
            "books": self.books.to_plain(),
            "orders": self.orders.to_plain(),
            "decided_at": self.decided_at,
            "halted": self.halted,
            "at": self.books.at,
        }

    def step(self, event: Event) -> tuple[Effect, ...]:
        """Take in an event: write what follows from it, return what is to be done once that is durable."""
        self.at = max(self.at, event.available_at)
        if isinstance(event, VenueReport):
            return self._told(event)
        if isinstance(event, BarsClosed):
            self._prices, self._priced_at = self._board.closes(event.position), event.event_time
        elif isinstance(event, Timer):
            return self._decide(event.event_time) if event.name == "decide" else self._questions()
        elif isinstance(event, Operator):
            return self._command(event.command)
        return ()

    # -- people ------------------------------------------------------------------------------------------------------

    def _command(self, command: str) -> tuple[Effect, ...]:
        self._write(lambda at, n: OperatorActed(at, n, command, "simulation"))
        if command == "rearm":
            self._write(lambda at, n: TradingResumed(at, n, "", "simulation", "looked"))
        if not command.startswith("kill"):  # it closes nothing: a closing kill is the trading core's
            return ()
        self._write(lambda at, n: TradingHalted(at, n, "", "RISK-31", "kill switch"))
        return tuple(self._take_back(state) for state in list(self.orders.open()))

    def _take_back(self, state: OrderState) -> CancelSend:
        name = state.order.id
        self._write(lambda at, n: CancelIntended(at, n, name))
        return CancelSend(name, state.order.instrument)

    # -- decisions ---------------------------------------------------------------------------------------------------

    def _decide(self, nominal: int) -> tuple[Effect, ...]:
        if nominal <= self.decided_at:
            return ()
        wanted = wishes(self._settings.seed, nominal)
        self._write(lambda at, n: Decided(at, n, STRATEGY, nominal, len(wanted), ""))
        effects: list[Effect] = []
        for wish in wanted:
            if wish.kind is WishKind.CANCEL:
                effects.extend(self._cancel(wish.instrument))
            elif wish.kind is WishKind.REPLACE:
                effects.extend(self._replace(wish))
            else:
                effects.extend(self._open(wish, nominal))
        return tuple(effects)

    def _open(self, wish: Wish, nominal: int) -> tuple[Effect, ...]:
        cents = self._prices.get(wish.instrument)
        if cents is None or not self._may_open(nominal, wish.instrument):
            return ()
        order = order_of(wish, nominal, cents)
        if order.id in self.orders or not self._fits(order.instrument, order.side, order.quantity):
            return ()
        self._write(lambda at, n: OrderIntended(at, n, order))
        return (Send(order),)

    def _may_open(self, nominal: int, instrument: InstrumentId) -> bool:
        return self.is_fresh(nominal) and not self.halted and instrument not in self.orders.blocked()

    def is_fresh(self, nominal: int) -> bool:
        """Return whether prices are young enough to open something at an instant."""
        return nominal - self._priced_at <= self._settings.oldest_price

    def _fits(self, instrument: InstrumentId, side: Side, units: Decimal) -> bool:
        """Return whether the worst case stays within the limit: open and unknown orders count in full."""
        held, reserved, most = self.books.quantity(instrument), self.orders.reserved(instrument), self._settings.most
        if side is Side.BUY:
            return held + reserved.buy + units <= most
        return held - reserved.sell - units >= -most

    def _cancel(self, instrument: InstrumentId) -> tuple[Effect, ...]:
        for state in self.orders.open(instrument):
            if not state.is_cancelling and state.status is not OrderStatus.UNKNOWN:
                return (self._take_back(state),)
        return ()

    def _replace(self, wish: Wish) -> tuple[Effect, ...]:
        """Ask for more of the oldest limit order that is free to be changed."""
        free = [
            state.order
            for state in self.orders.open(wish.instrument)
            if state.order.kind is OrderKind.LIMIT
            and state.status is OrderStatus.WORKING
            and not (state.is_cancelling or state.replacing is not None)
        ]
        if not free or self.halted or wish.instrument in self.orders.blocked():
            return ()
        order, more = free[0], Decimal(wish.quantity)
        if not self._fits(order.instrument, order.side, more):
            return ()
        total = order.quantity + more
        self._write(lambda at, n: ReplaceIntended(at, n, order.id, total, order.limit_price))
        return (ReplaceSend(order.id, order.instrument, total, order.limit_price),)

    # -- what the venue tells ----------------------------------------------------------------------------------------

    def _questions(self) -> tuple[Effect, ...]:
        """Ask for every open order and every one that ended differently; repeat what was not answered."""
        effects: list[Effect] = []
        for state in [*self.orders.open(), *self.orders.differing()]:
            name, instrument = state.order.id, state.order.instrument
            if state.is_cancelling and state.is_open:
                effects.append(CancelSend(name, instrument))
            if state.replacing is not None and state.is_open:
                change = state.replacing
                effects.append(ReplaceSend(name, instrument, change.quantity, change.limit_price))
            effects.append(Ask(name, instrument))
        return tuple(effects)

    def _told(self, report: VenueReport) -> tuple[Effect, ...]:
        state = self.orders.get(report.order_id)
        if state is None:
            return ()
        match report.outcome:
            case VenueOutcome.FILLED | VenueOutcome.BUSTED | VenueOutcome.CORRECTED:
                return self._executed(report, state)
            case VenueOutcome.ABSENT:
                return self._absent(report, state)
            case VenueOutcome.NO_ANSWER:
                self._unanswered(report, state)
            case VenueOutcome.CANCELLED | VenueOutcome.EXPIRED:
                self._ended(report, state)
            case VenueOutcome.ACCEPTED | VenueOutcome.REJECTED:
                self._answered(report, state)
            case VenueOutcome.CANCEL_REJECTED:
                self._not_changed(report, state)
            case VenueOutcome.REPLACED:
                self._replaced(report, state)
        return ()

    def _answered(self, report: VenueReport, state: OrderState) -> None:
        is_waiting = state.status in (OrderStatus.INTENDED, OrderStatus.UNKNOWN)
        if report.outcome is VenueOutcome.REJECTED and state.status is not OrderStatus.REJECTED:
            self._write(lambda at, n: OrderRejected(at, n, report.order_id, report.text))
        elif report.outcome is VenueOutcome.ACCEPTED and (is_waiting or state.status is OrderStatus.REJECTED):
            self._write(lambda at, n: OrderAccepted(at, n, report.order_id, report.venue_order))

    def _not_changed(self, report: VenueReport, state: OrderState) -> None:
        """Note that a cancel or a change was refused; a late repeat must not free a change on its way."""
        asked = Decimal(0) if state.replacing is None else state.replacing.quantity
        if (state.is_cancelling or asked) and report.left == asked:
            self._write(lambda at, n: CancelRejected(at, n, report.order_id, report.text))

    def _executed(self, report: VenueReport, state: OrderState) -> tuple[Effect, ...]:
        name, fill = report.order_id, report.fill
        if report.outcome is VenueOutcome.FILLED and fill is not None:
            if not self.orders.has_execution(name, fill.execution):
                self._write(lambda at, n: FillBooked(at, n, fill))
            return ()
        if report.execution in state.retired:
            return ()
        if not self.orders.has_execution(name, report.execution):
            return (Ask(name, state.order.instrument),)  # of a fill we have not seen: it is told again, in its order
        if fill is None:
            self._write(lambda at, n: FillBusted(at, n, name, report.execution, report.text))
        else:
            self._write(lambda at, n: FillCorrected(at, n, report.execution, fill))
        return ()

    def _absent(self, report: VenueReport, state: OrderState) -> tuple[Effect, ...]:
        if state.status not in (OrderStatus.INTENDED, OrderStatus.UNKNOWN):
            return ()
        order = state.order
        if self.at - order.decided_at <= _RESEND_WITHIN and not self.halted and not state.is_cancelling:
            return (Send(order),)
        self._write(lambda at, n: OrderRejected(at, n, report.order_id, "the venue proved that it never had it"))
        return ()

    def _unanswered(self, report: VenueReport, state: OrderState) -> None:
        if state.is_open and state.status is not OrderStatus.UNKNOWN:
            self._write(lambda at, n: OrderUnknown(at, n, report.order_id, report.text))

    def _ended(self, report: VenueReport, state: OrderState) -> None:
        name, left, total = report.order_id, report.left, report.quantity
        if total and total != state.order.quantity:
            self._write(lambda at, n: OrderReplaced(at, n, name, total, report.limit_price))
        is_known = state.status is _ENDS[report.outcome] and state.told_left is not None
        if is_known and state.told_left in (report.left, state.left):
            return
        if report.outcome is VenueOutcome.CANCELLED:
            self._write(lambda at, n: OrderCancelled(at, n, name, left, report.text))
        else:
            self._write(lambda at, n: OrderExpired(at, n, name, left))

    def _replaced(self, report: VenueReport, state: OrderState) -> None:
        if self.is_news(report, state):
            name, total, price = report.order_id, report.left, report.limit_price
            self._write(lambda at, n: OrderReplaced(at, n, name, total, price))

    def is_news(self, report: VenueReport, state: OrderState) -> bool:
        """Return whether a change was awaited or is larger than what we know; else it is an old word, told again."""
        is_awaited = state.replacing is not None and state.replacing.quantity == report.left
        return state.is_open and (is_awaited or report.left > state.order.quantity)

    # -- the fold ----------------------------------------------------------------------------------------------------

    def _write(self, make: Callable[[int, int], Entry]) -> None:
        entry = make(self.at, self._writer.next_sequence)
        self._writer.append(entry)
        self._fold(entry)

    def _fold(self, entry: Entry) -> None:
        self.books.apply(entry)
        self.orders.apply(entry)
        self.at = max(self.at, entry.at)
        if isinstance(entry, Decided):
            self.decided_at = max(self.decided_at, entry.decided_at)
        elif isinstance(entry, TradingHalted):
            self.halted = entry.text
        elif isinstance(entry, TradingResumed):
            self.halted = ""
