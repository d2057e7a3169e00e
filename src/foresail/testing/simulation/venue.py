"""A venue with books of its own in whole numbers, which misbehaves by script.

It knows nothing of the code under test but orders and reports: prices are cents, quantities are units, and cash and
positions are kept twice as simply as anywhere else, so that it can be the judge. It honours ids: an id that it has seen
never makes a second order. It refuses requests that are older than their validity, so that "absent" can be proved. An
order that only reduces is refused or taken off where nothing is left to reduce, and never turns a position.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal

from foresail.core.ids import InstrumentId, OrderId
from foresail.domain.effects import ReplaceSend
from foresail.domain.events import Rank, VenueOutcome, VenueReport
from foresail.domain.orders import Fill, FillReason, Order, OrderKind, TimeInForce
from foresail.domain.signals import Side
from foresail.testing.simulation.faults import FaultMix
from foresail.testing.simulation.loop import MS, Chance
from foresail.testing.simulation.trace import Trace

__all__ = ["FakeVenue", "Statement", "VenueExecution", "VenueOrder"]

_CENT = Decimal("0.01")
_ENDS = frozenset({VenueOutcome.CANCELLED, VenueOutcome.EXPIRED})


@dataclass(slots=True)
class VenueExecution:
    """One execution: whole units, whole cents. ``id`` is unique within its order only, as at real venues."""

    id: str
    quantity: int
    price: int
    fee: int
    at: int
    first_id: str = ""
    first_price: int = 0
    is_live: bool = True


@dataclass(slots=True)
class VenueOrder:
    """One order as the venue has it."""

    id: OrderId
    instrument: InstrumentId
    sign: int
    quantity: int
    limit: int | None
    expires_at: int
    reduce_only: bool = False
    ended: VenueOutcome | None = None
    is_replaced: bool = False
    changed_by: int = 0  # number of the newest change that was seen
    is_mute: bool = False
    is_told: bool = False
    is_odd: bool = False  # filled for more than ordered, or after it was refused
    executions: list[VenueExecution] = field(default_factory=list)

    @property
    def filled(self) -> int:
        """Units executed, busted ones included: they do not come back to the book."""
        return sum(one.quantity for one in self.executions)

    @property
    def live(self) -> int:
        """Units executed that still count."""
        return sum(one.quantity for one in self.executions if one.is_live)

    @property
    def left(self) -> int:
        """Units that may still fill."""
        return 0 if self.ended is not None else max(0, self.quantity - self.filled)


@dataclass(frozen=True, slots=True)
class Statement:
    """What the venue's own books say, whole cents and units."""

    cash: int
    positions: tuple[tuple[InstrumentId, int], ...]


class FakeVenue:
    """The venue.

    Parameters
    ----------
    tell : called with every report and the delay (ns) that the venue adds to it
    """

    def __init__(self, chance: Chance, mix: FaultMix, trace: Trace, tell: Callable[[VenueReport, int], None]) -> None:
        self._chance, self.mix, self._trace, self._tell = chance, mix, trace, tell
        self.now = 0
        self.orders: dict[OrderId, VenueOrder] = {}
        self.working: dict[OrderId, VenueOrder] = {}
        self.prices: dict[InstrumentId, int] = {}
        self.cash = 0
        self.positions: dict[InstrumentId, int] = {}
        self.touched: list[OrderId] = []
        self._told = 0

    def statement(self) -> Statement:
        """Return cash flow since the start and what is held."""
        return Statement(self.cash, tuple(sorted((k, v) for k, v in self.positions.items() if v)))

    # -- requests ----------------------------------------------------------------------------------------------------

    def receive(self, order: Order, valid_until: int) -> None:
        """Take an order, once per id."""
        known = self.orders.get(order.id)
        if known is not None:
            self._trace.count("order id repeated")
            self.tell_all(known)
            return
        if self.now > valid_until:
            self._trace.count("request too old")
            return
        one = self._made(order)
        self.orders[one.id] = one
        self.touched.append(one.id)
        if self._chance.happens(self.mix.reject) or not self._may_trade(one, one.left):
            self._reject(one)
            return
        if self._chance.happens(self.mix.late_reject):
            one.is_odd = True
            self._trace.count("late_reject")
            self._report(one, VenueOutcome.REJECTED)
            self._execute(one, one.quantity)
            return
        self.working[one.id] = one
        if self._chance.happens(self.mix.never_answer):
            one.is_mute = True
            self._trace.count("never_answer")
        early = self._chance.happens(self.mix.early_fill)
        if early and self._is_marketable(one):
            self._trace.count("early_fill")
            self._execute(one, self._part(one))
        self._report(one, VenueOutcome.ACCEPTED, delay=200 * MS if early else 0)

    def cancel(self, order_id: OrderId) -> None:
        """Take an order back where it still stands."""
        one = self.orders.get(order_id)
        if one is None:
            return
        if one.ended is not None or one.left == 0:
            self._report(one, VenueOutcome.CANCEL_REJECTED)
            return
        if self._chance.happens(self.mix.late_fill):
            self._trace.count("late_fill")
            self._execute(one, self._part(one), delay=700 * MS)
        if one.left > 0:
            self._end(one, VenueOutcome.CANCELLED)

    def replace(self, change: ReplaceSend, number: int) -> None:
        """Change an order where that is still possible; a request older than one already seen is dropped."""
        one = self.orders.get(change.order_id)
        if one is None or number < one.changed_by:
            return
        one.changed_by = number
        total = int(change.quantity)
        if one.is_replaced and total == one.quantity:
            self._report(one, VenueOutcome.REPLACED)  # the same request again: the same answer again
            return
        if one.left == 0 or total <= one.filled:
            self._report(one, VenueOutcome.CANCEL_REJECTED, asked=total)
            return
        one.quantity, one.is_replaced = total, True
        if change.limit_price is not None:
            one.limit = _cents(change.limit_price)
        self.touched.append(one.id)
        self._trace.count("replaced")
        self._report(one, VenueOutcome.REPLACED)

    def ask(self, order_id: OrderId) -> bool:
        """Tell everything about an order again; return False where the venue has none."""
        one = self.orders.get(order_id)
        if one is None:
            return False
        self.tell_all(one)
        return True

    def tell_all(self, one: VenueOrder) -> None:
        """Tell the whole story of an order in its order."""
        if one.ended is VenueOutcome.REJECTED:
            self._report(one, VenueOutcome.REJECTED)
            return
        self._report(one, VenueOutcome.ACCEPTED)
        if one.is_replaced:
            self._report(one, VenueOutcome.REPLACED)
        for execution in one.executions:
            self._report(one, VenueOutcome.FILLED, execution, is_first=True)
        self.tell_changes(one)
        if one.ended is not None:
            self._report(one, one.ended)

    def tell_changes(self, one: VenueOrder) -> None:
        """Tell busts, corrections and what broke its word again, as a venue does at each log-on."""
        for execution in one.executions:
            if one.is_odd:
                self._report(one, VenueOutcome.FILLED, execution, is_first=True)
            if execution.first_id != execution.id:
                self._report(one, VenueOutcome.CORRECTED, execution)
            if not execution.is_live:
                self._report(one, VenueOutcome.BUSTED, execution)

    # -- the market --------------------------------------------------------------------------------------------------

    def tick(self) -> None:
        """Fill, expire, bust and correct as chance has it."""
        for one in list(self.working.values()):
            if one.left == 0 and one.live < one.quantity:
                self._end(one, VenueOutcome.CANCELLED)
            elif one.left == 0:
                del self.working[one.id]
            elif one.expires_at and self.now >= one.expires_at:
                self._trace.count("expired")
                self._end(one, VenueOutcome.EXPIRED)
            elif not self._may_trade(one, one.left):
                self._trace.count("nothing to reduce")
                self._end(one, VenueOutcome.CANCELLED)
            elif self._is_marketable(one) and self._chance.happens(0.6):
                if self._chance.happens(self.mix.overfill) and not one.reduce_only:
                    self._trace.count("overfill")
                    one.is_odd = True
                    self._execute(one, one.left + 1)
                else:
                    self._execute(one, self._part(one))

    def second_thoughts(self, one: VenueOrder, execution: VenueExecution) -> None:
        """Take an execution back or correct its price; planned a while after it."""
        if not execution.is_live:
            return
        if self._chance.happens(0.5 if self.mix.bust and self.mix.correct else float(self.mix.bust > 0.0)):
            self._trace.count("bust")
            self._book(one, execution, -1)
            execution.is_live = False
            self._report(one, VenueOutcome.BUSTED, execution)
            if one.left == 0 and one.ended is None:
                self._end(one, VenueOutcome.CANCELLED)  # what was taken back does not come to the book again
        elif self.mix.correct:
            self._trace.count("correct")
            self._book(one, execution, -1)
            execution.price = max(1, execution.price + self._chance.between(-5, 5))
            execution.id = f"{execution.id}.1"
            self._book(one, execution, 1)
            self._report(one, VenueOutcome.CORRECTED, execution)
        self.touched.append(one.id)

    doubt: Callable[[VenueOrder, VenueExecution], None] | None = None  # plans second thoughts

    def _made(self, order: Order) -> VenueOrder:
        limit = _cents(order.limit_price) if order.kind is OrderKind.LIMIT and order.limit_price is not None else None
        expires = order.expires_at if order.time_in_force is TimeInForce.GTD else 0
        sign = 1 if order.side is Side.BUY else -1
        return VenueOrder(
            order.id, order.instrument, sign, int(order.quantity), limit, expires, order.reduce_only
        )  # fmt: skip

    def _may_trade(self, one: VenueOrder, units: int) -> int:
        """Return how many of some units an order may trade now: one that only reduces never opens anything."""
        if not one.reduce_only:
            return units
        return max(0, min(units, -one.sign * self.positions.get(one.instrument, 0)))

    def _is_marketable(self, one: VenueOrder) -> bool:
        price = self.prices.get(one.instrument)
        return price is not None and (one.limit is None or one.sign * (one.limit - price) >= 0)

    def _part(self, one: VenueOrder) -> int:
        units = self._may_trade(one, one.left)
        if units > 1 and self._chance.happens(self.mix.partial):
            self._trace.count("partial")
            return self._chance.between(1, units - 1)
        return units

    def _execute(self, one: VenueOrder, quantity: int, delay: int = 0) -> None:
        if quantity == 0:
            return  # nothing is left that it could reduce
        name = f"x{len(one.executions) + 1}"
        price = self.prices[one.instrument] if self._is_marketable(one) else one.limit or self.prices[one.instrument]
        execution = VenueExecution(name, quantity, price, quantity, self.now, name)
        execution.first_price = execution.price
        one.executions.append(execution)
        self._book(one, execution, 1)
        self.touched.append(one.id)
        self._trace.count("fill")
        if self._chance.happens(self.mix.silent_fill):
            self._trace.count("silent_fill")
        else:
            self._report(one, VenueOutcome.FILLED, execution, delay=delay)
        if self.doubt is not None and self._chance.happens(self.mix.bust + self.mix.correct):
            self.doubt(one, execution)

    def _book(self, one: VenueOrder, execution: VenueExecution, times: int) -> None:
        units = one.sign * execution.quantity * times
        self.positions[one.instrument] = self.positions.get(one.instrument, 0) + units
        self.cash -= units * execution.price + execution.fee * times

    def _reject(self, one: VenueOrder) -> None:
        one.ended = VenueOutcome.REJECTED
        self._trace.count("reject")
        self._report(one, VenueOutcome.REJECTED)

    def _end(self, one: VenueOrder, outcome: VenueOutcome) -> None:
        one.ended = outcome
        self.working.pop(one.id, None)
        self.touched.append(one.id)
        self._report(one, outcome)

    def _report(
        self,
        one: VenueOrder,
        outcome: VenueOutcome,
        execution: VenueExecution | None = None,
        *,
        delay: int = 0,
        is_first: bool = False,
        asked: int = 0,
    ) -> None:
        if one.is_mute:
            return
        one.is_told = True
        self._told += 1
        text = f"{outcome.value} by script" if outcome is VenueOutcome.REJECTED else ""
        fill, name, left = None, "", one.quantity - one.live
        if execution is not None and outcome is not VenueOutcome.BUSTED:
            fill = _fill(one, execution, is_first=is_first)
        if outcome is VenueOutcome.CORRECTED and execution is not None:
            name = execution.first_id
        elif outcome is VenueOutcome.BUSTED and execution is not None:
            name = execution.id
        elif outcome is VenueOutcome.REPLACED:
            left = one.quantity
        elif outcome is VenueOutcome.CANCEL_REJECTED:
            left = asked  # names the request: 0 for a cancel
        report = VenueReport(
            self.now, self.now, Rank.VENUE_FILL, "venue", one.instrument, self._told, one.id, outcome, fill,
            Decimal(left), None if one.limit is None else one.limit * _CENT, None, "v" + one.id[:8], name, text,
            quantity=Decimal(one.quantity if outcome in _ENDS else 0),
        )  # fmt: skip
        self._tell(report, delay)


def _fill(one: VenueOrder, execution: VenueExecution, *, is_first: bool) -> Fill:
    price = (execution.first_price if is_first else execution.price) * _CENT
    return Fill(
        one.id, one.instrument, Side.BUY if one.sign > 0 else Side.SELL, Decimal(execution.quantity), price, price,
        execution.fee * _CENT, Decimal(0), execution.at, FillReason.ENTRY,
        execution.first_id if is_first else execution.id,
    )  # fmt: skip


def _cents(price: Decimal) -> int:
    cents = price / _CENT
    whole = int(cents)
    if whole != cents:
        raise ValueError(f"expected a price in whole cents, received {price}")
    return whole
