"""The simulated venue as a venue link: the same class for backtest and paper (implements ``protocols.VenueLink``).

Orders wait here until the first bar that does not start before their decision. Bars and corporate actions come in
through ``take_in``; what they did to orders leaves through ``take_reports``. Everything it holds is a function of the
events and orders it was given, and goes into ``to_plain``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

import msgspec
import numpy as np

from foresail.core.arrays import IntArray
from foresail.core.clock import from_ns
from foresail.core.errors import OrderRejectedError
from foresail.core.ids import InstrumentId, OrderId
from foresail.core.numbers import round_tick
from foresail.domain.actions import DelistingRule
from foresail.domain.books import BookStream
from foresail.domain.effects import ReplaceSend
from foresail.domain.events import BarsClosed, Event, Fact, OrderEvent, Rank, VenueOutcome, VenueReport
from foresail.domain.orders import Fill, FillReason, Order
from foresail.domain.signals import Side
from foresail.domain.universe import Universe
from foresail.engine.risk_facts import BORROWABLE
from foresail.engine.tradable import absurd_bars
from foresail.engine.trading.market import PanelMarket
from foresail.engine.trading.parts import Attach
from foresail.execution.simulated.changes import changed_order, order_after_split
from foresail.execution.simulated.settings import VenueBar
from foresail.execution.simulated.venue import SimulatedVenue
from foresail.ledger.splits import split_quantity

__all__ = ["SimulatedLink", "VenueRules"]

_ENDED_AFTER_BARS = 10  # a held name without a print for so long has ended
_PRICES = ("open", "high", "low", "close", "volume", "spread")
_STATES = ("halted", "limit_up", "limit_down")  # which a set may carry
_ENDINGS = frozenset({VenueOutcome.CANCELLED, VenueOutcome.EXPIRED})


@dataclass(frozen=True, slots=True, eq=False)
class VenueRules:
    """What ends trading in a name.

    Attributes
    ----------
    blocked_from : (N,) time position from which a name may not be traded; T where never
    universe : who was listed when; None = not known, ten silent bars end a listing
    delisting : what a holder gets then
    books : order books of names, by which alone their orders are filled; their bars only mark what is held
    """

    asset_class: Any
    blocked_from: IntArray
    universe: Universe | None = None
    delisting: DelistingRule = field(default_factory=lambda: DelistingRule(0.0))
    books: Mapping[InstrumentId, BookStream] = field(default_factory=dict)


class SimulatedLink:
    """A simulated venue that reads a panel.

    Attributes
    ----------
    ended : (instrument, position, value at the last print) of listings that ended while held
    left : (instrument, position, money) of names closed before an unexplained jump, with what the jump would have made
    events : what happened to orders besides fills, in the venue's own words
    """

    name = "simulated"

    def __init__(self, venue: SimulatedVenue, market: PanelMarket, rules: VenueRules) -> None:
        self._venue, self._market, self._rules = venue, market, rules
        bars = market.bars
        self._column = {name: bars.index(name) for name in (*_PRICES, *(one for one in _STATES if bars.has(one)))}
        self._has_impact = venue.has_impact
        self._tradable = bars.present & ~absurd_bars(bars, rules.asset_class)
        self._tradable[[market.row[name] for name in rules.books]] = False
        self._fed = dict.fromkeys(rules.books, 0)  # rows of each book that were taken in
        self._waiting: list[Order] = []
        self._known: dict[OrderId, tuple[Decimal, Decimal]] = {}  # open orders: units in all, units filled
        self._sent: dict[OrderId, None] = {}
        self._changed: dict[OrderId, int] = {}  # newest revision seen of orders that were changed
        self._records = {one.id: one for one in venue.instruments}
        self._reports: list[VenueReport] = []
        self._counted = 0
        self._at = 0  # instant of the newest event, ns UTC
        self.ended: list[tuple[InstrumentId, int, float]] = []
        self.left: list[tuple[InstrumentId, int, float]] = []
        self.events: list[OrderEvent] = []

    # -- orders in ----------------------------------------------------------------------------------------------------

    def send(self, order: Order) -> None:
        """Take an order; an id that is known already makes no second order."""
        if order.id in self._sent:
            return
        self._sent[order.id] = None
        self._waiting.append(order)
        self._known[order.id] = (order.quantity, Decimal(0))
        self._tell(order.id, VenueOutcome.ACCEPTED, order.decided_at)

    def attach(self, levels: Attach) -> None:
        """Hang a stop and a target on a position."""
        self._venue.attach(levels.instrument, levels.stop, levels.target)

    def cancel(self, order_id: OrderId, instrument: InstrumentId) -> None:
        """Take an order back, waiting or in the book."""
        at = self._at
        for order in self._waiting:
            if order.id == order_id:
                self._waiting = [one for one in self._waiting if one.id != order_id]
                self._end(order_id, VenueOutcome.CANCELLED, at)
                return
        del instrument
        self._venue.cancel_order(order_id, at_ns=at)
        self._read_reports()

    def replace(self, change: ReplaceSend) -> None:
        """Change an order, waiting or in the book; a revision that was seen before is not done again."""
        last = self._changed.get(change.order_id, 0)
        if change.revision and change.revision <= last:
            return
        self._changed[change.order_id] = max(last, change.revision)
        for place, order in enumerate(self._waiting):
            if order.id == change.order_id:
                self._change_waiting(place, order, change)
                return
        self._venue.replace(change, at_ns=self._at)
        self._read_reports(change)

    def _change_waiting(self, place: int, order: Order, change: ReplaceSend) -> None:
        """Change an order that no bar has reached yet."""
        about = {"left": change.quantity, "revision": change.revision}
        try:
            changed = changed_order(order, change, self._records[order.instrument])
        except OrderRejectedError as error:
            self._tell(order.id, VenueOutcome.CANCEL_REJECTED, self._at, text=str(error), **about)
            return
        self._waiting[place] = changed
        self._known[order.id] = (changed.quantity, Decimal(0))
        self._tell(order.id, VenueOutcome.REPLACED, self._at, **{**about, "left": changed.quantity}, **_prices(changed))

    def ask(self, order_id: OrderId, instrument: InstrumentId) -> None:
        """Say that an order is open, or that there never was one; the end of an order was told when it came."""
        del instrument
        if order_id in self._known:
            self._tell(order_id, VenueOutcome.ACCEPTED, self._at)
        elif order_id not in self._sent:
            self._tell(order_id, VenueOutcome.ABSENT, self._at)

    def take_reports(self) -> tuple[VenueReport, ...]:
        """Return and forget what happened since the last call."""
        reports, self._reports = tuple(self._reports), []
        return reports

    @property
    def market(self) -> PanelMarket:
        """The market that the venue reads."""
        return self._market

    @property
    def is_waiting(self) -> bool:
        """Whether a bar may not be passed over: an order waits here, a report was not taken yet, or books are read."""
        return bool(self._rules.books or self._waiting or self._known or self._reports or self._venue.open_orders)

    def levels(self, instrument: InstrumentId) -> tuple[Decimal | None, Decimal | None]:
        """Return the stop and target that hang on a position."""
        return self._venue.levels(instrument)

    def blocked_from(self, instrument: InstrumentId) -> int:
        """Return from which time position on an instrument may not be traded."""
        return int(self._rules.blocked_from[self._market.row[instrument]])

    def pass_over(self, at: int) -> None:
        """Take in bars up to an instant (ns UTC) through which nothing waited or hung on what was held."""
        self._at = max(self._at, at)

    def stand_at(self, at: int) -> None:
        """Date what is asked for next by an instant of the journal (ns UTC), until the next event."""
        self._at = at

    # -- the market's events in ---------------------------------------------------------------------------------------

    def take_in(self, event: Event) -> None:
        """Apply an event to the book, before the core sees it: bars and corporate actions change it."""
        self._at = max(self._at, event.available_at)
        if isinstance(event, BarsClosed):
            self._on_bar(event.position)
        elif isinstance(event, Fact) and event.kind == "split" and event.instrument is not None:
            self._split(event.instrument, Decimal(repr(event.value)), event.available_at)
        elif isinstance(event, Fact) and event.kind == BORROWABLE and event.instrument in self._records:
            self._venue.lend(event.instrument, Decimal(repr(event.value)) if event.value >= 0.0 else None)

    def _split(self, name: InstrumentId, ratio: Decimal, at: int) -> None:
        """Restate orders, those that wait for their first bar included; one that is not even a lot any more is gone."""
        lot = self._records[name].lot
        before = [order.id for order in self._venue.open_orders if order.instrument == name]
        self._venue.apply_split(name, ratio)
        still = {order.id: order for order in self._venue.open_orders}
        for order in [one for one in self._waiting if one.instrument == name]:
            before.append(order.id)
            changed = order_after_split(order, ratio, self._records[name])
            if changed is not None:
                still[order.id] = changed
        self._waiting = [still.get(one.id, one) for one in self._waiting if one.id in still or one.instrument != name]
        for identity in before:
            filled, now = self._known[identity][1], still.get(identity)
            total = filled if now is None else filled + now.quantity - split_quantity(filled, ratio, lot)[0]
            self._known[identity] = (total, filled)
            self._tell(identity, VenueOutcome.REPLACED, at, left=total, **({} if now is None else _prices(now)))
            if now is None:
                self._end(identity, VenueOutcome.CANCELLED, at)

    def _on_bar(self, now: int) -> None:
        bars = self._market.bars
        start, end = int(bars.start[now]), int(bars.end[now])
        self._release(start, end)
        for i in np.flatnonzero(self._rules.blocked_from == now):
            self._leave_blocked(int(i), now, start)
        row = bars.values[:, now]
        columns: dict[str, Any] = {name: np.ascontiguousarray(row[:, f]) for name, f in self._column.items()}
        if "halted" in columns:
            columns["halted"] = columns["halted"] > 0.0
        if self._has_impact:  # of the days that were over before this bar
            columns["average_volume"] = self._market.average_volumes(now - 1)
            columns["volatility"] = self._market.daily_volatility(now - 1)
        self._read_books(now, end)
        present = self._tradable[:, now] & (now < self._rules.blocked_from)
        for fill in self._venue.step(VenueBar(now, end, present=present, start=start, **columns)):
            self._filled(fill, now)
        self._read_reports()
        self._end_listings(now, end)

    def _read_books(self, now: int, end: int) -> None:
        """Match the rows of every book that arrived by the end of a bar (ns UTC) and were not read yet."""
        for name in sorted(self._rules.books):
            book, first = self._rules.books[name], self._fed[name]
            last = int(np.searchsorted(book.available_at, end, side="right"))
            if last > first:
                self._fed[name] = last
                for fill in self._venue.step_book(book.rows(first, last)):
                    self._filled(fill, now)

    def _release(self, start: int, end: int) -> None:
        """Hand over the orders whose decision is not after the start of this bar.

        Those that fill on an order book may come later: the venue lets them act from the first message after it.
        """
        books = self._rules.books
        due = [one for one in self._waiting if one.decided_at <= (end if one.instrument in books else start)]
        if not due:
            return
        known = {order.id for order in due}
        self._waiting = [order for order in self._waiting if order.id not in known]
        for order in due:
            try:
                self._venue.submit(order)
            except OrderRejectedError as error:
                del self._known[order.id]
                self._tell(order.id, VenueOutcome.REJECTED, start, text=str(error))

    def _leave_blocked(self, i: int, now: int, start: int) -> None:
        """Close what is held of a name that may not be traded from this bar on, at the last print before it."""
        name, before = self._market.names[i], self._market.last[i]
        fill = self._close_out(name, FillReason.EXIT, start, now)
        after = float(self._market.bars.field("close")[i, now])
        if fill is not None and math.isfinite(after):
            units = float(fill.quantity) * (1.0 if fill.side is Side.SELL else -1.0)
            self.left.append((name, now, units * (after - float(before))))

    def _end_listings(self, now: int, end: int) -> None:
        """Close what is held of names that have been silent for ten bars and are not listed any more, by the rule."""
        for i in np.flatnonzero(self._market.silent_after(now) >= _ENDED_AFTER_BARS).tolist():
            name = self._market.names[i]
            held = self._venue.position(name)
            last = self._market.price(name) if held else None
            if last is None or self._is_listed(name, end):
                continue  # bars are missing, nothing has ended
            fill = self._close_out(name, FillReason.DELISTED, end, now, price=self._ended_price(i, held, last))
            if fill is not None:
                self.ended.append((name, now, float(fill.quantity * last)))

    def _is_listed(self, name: InstrumentId, at: int) -> bool:
        universe = self._rules.universe
        return universe is not None and name in frozenset(universe(from_ns(at).date()))

    def _ended_price(self, i: int, held: Decimal, last: Decimal) -> Decimal:
        """Return what a unit pays: a long position by the rule, a short one pays the last print and gains nothing."""
        if held < 0:
            return last
        tick = self._market.ticks[i]
        return max(tick, round_tick(Decimal(repr(self._rules.delisting.price(float(last)))), tick))

    def _close_out(
        self, name: InstrumentId, reason: FillReason, at: int, now: int, *, price: Decimal | None = None
    ) -> Fill | None:
        """Close a position at a price, by default at the last print; None where nothing is held."""
        level = self._market.price(name) if price is None else price
        if self._venue.position(name) == 0 or level is None:
            return None
        fill = self._venue.close_out(name, level, reason, at_ns=at)
        self._read_reports()
        if fill is not None:
            self._filled(fill, now)
        return fill

    # -- reports out --------------------------------------------------------------------------------------------------

    def _filled(self, fill: Fill, now: int) -> None:
        """Tell a fill under an execution id of the venue: place in the stream and count."""
        self._counted += 1
        told = fill if fill.execution else replace(fill, execution=f"{now}-{self._counted}")
        if fill.order_id in self._known:
            quantity, filled = self._known[fill.order_id]
            self._known[fill.order_id] = (quantity, filled + fill.quantity)
            if filled + fill.quantity >= quantity:
                del self._known[fill.order_id]
        self._tell(fill.order_id, VenueOutcome.FILLED, fill.filled_at, fill=told)

    def _read_reports(self, change: ReplaceSend | None = None) -> None:
        """Tell what the venue noted besides fills: ends, changes, refusals; ``change`` is the one just asked for."""
        for report in self._venue.take_reports():
            name = report.order_id
            if report.outcome in _ENDINGS:
                self._note_ending(report)
                if name in self._known:
                    self._end(name, report.outcome, report.event_time)
            elif report.outcome is VenueOutcome.CANCEL_REJECTED:
                about = {} if change is None else {"left": change.quantity, "revision": change.revision}
                self._tell(name, report.outcome, report.event_time, text=report.text, **about)
            elif report.outcome is VenueOutcome.REPLACED and name in self._known:
                self._known[name] = (report.left, self._known[name][1])
                asked = change is not None and change.order_id == name
                self._tell(
                    name, report.outcome, report.event_time, left=report.left, limit_price=report.limit_price,
                    trigger_price=report.trigger_price, revision=change.revision if change and asked else 0,
                )  # fmt: skip

    def _note_ending(self, report: VenueReport) -> None:
        name = report.instrument
        lots = 0 if name is None else int(report.left / self._records[name].lot)
        self.events.append(
            OrderEvent(
                report.available_at, report.event_time, report.rank, report.source, name, len(self.events),
                report.order_id, report.outcome.value, lots,
            )
        )  # fmt: skip

    def _end(self, identity: OrderId, outcome: VenueOutcome, at: int) -> None:
        quantity, filled = self._known.pop(identity)
        self._tell(identity, outcome, at, left=quantity - filled)

    def _tell(self, identity: OrderId, outcome: VenueOutcome, at: int, **content: Any) -> None:
        self._reports.append(
            VenueReport(at, at, Rank.VENUE_FILL, self.name, None, len(self._reports), identity, outcome, **content)
        )

    def to_plain(self) -> dict[str, Any]:
        """Return everything that decides what comes next, as plain data."""
        return {
            "venue": self._venue.snapshot(),
            "waiting": msgspec.to_builtins(self._waiting),
            "known": {name: [str(all_), str(filled)] for name, (all_, filled) in self._known.items()},
            "sent": list(self._sent),
            "changed": {str(name): revision for name, revision in self._changed.items()},
            "counted": self._counted,
            **({"books": {str(name): rows for name, rows in self._fed.items()}} if self._fed else {}),
            "at": self._at,
        }

    def restore(self, plain: Mapping[str, Any]) -> None:
        """Take over a state that ``to_plain`` returned."""
        self._venue.restore(dict(plain["venue"]))
        self._waiting = msgspec.convert(plain["waiting"], list[Order])
        known = plain["known"].items()
        self._known = {OrderId(name): (Decimal(all_), Decimal(filled)) for name, (all_, filled) in known}
        self._sent = dict.fromkeys(OrderId(name) for name in plain["sent"])
        self._changed = {OrderId(name): int(revision) for name, revision in plain.get("changed", {}).items()}
        self._fed.update({InstrumentId(name): int(rows) for name, rows in plain.get("books", {}).items()})
        self._counted, self._at = int(plain["counted"]), int(plain["at"])
        self._reports = []


def _prices(order: Order) -> dict[str, Decimal | None]:
    """Return what a report tells of an order's prices; what sets off a plain stop is told as its trigger."""
    return {"limit_price": order.limit_price, "trigger_price": order.trigger}
