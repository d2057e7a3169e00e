"""The core of backtest, paper and live: ``step(event) -> effects``, a fold over events, and over its own journal.

It reads no clock, disk, network or random number. Every change goes through one place: an entry is appended to the
writer and folded into books, orders, latches and risk state, in this order. The shell commits the journal and only then
performs the effects; what comes back is an event again. ``recover`` folds a snapshot and what was written after it, and
asks the venue about every order that may still be alive.

A decision happens at most once for each (strategy, nominal instant), before and after restarts.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from decimal import Decimal
from itertools import repeat
from typing import Any

from foresail.core.canonical import hash_value
from foresail.core.errors import IntegrityError
from foresail.core.ids import InstrumentId
from foresail.domain.effects import CancelSend, Effect, Notify, ReplaceSend, Send
from foresail.domain.events import BarsClosed, Event, Fact, Operator, Timer, VenueReport
from foresail.domain.orders import Order
from foresail.domain.signals import Side
from foresail.engine.trading.changes import next_changes
from foresail.engine.trading.latches import Latches, reduces
from foresail.engine.trading.notes import CoreNotes, memory_text
from foresail.engine.trading.operators import close_orders, parse_command
from foresail.engine.trading.parts import NO_DECISION, Attach, Decision, Desk, DeskCall, ReviewedOrder, TradingParts
from foresail.engine.trading.polling import Poller
from foresail.engine.trading.reports import ReportReader
from foresail.engine.trading.risk_view import CoreRiskView, in_account_currency
from foresail.ledger.books import Books
from foresail.ledger.entries import (
    AlertRaised,
    BreakerReset,
    BreakerTripped,
    CancelIntended,
    Decided,
    Deposited,
    DividendPaid,
    Entry,
    FactKnown,
    FillBooked,
    HoldingCharged,
    HoldingKind,
    HoldingTimed,
    LimitsLoaded,
    Marked,
    OperatorActed,
    OrderIntended,
    Remembered,
    ReplaceIntended,
    SessionStarted,
    SplitApplied,
    StreamAdvanced,
    TradingHalted,
    TradingResumed,
)
from foresail.ledger.orders import OrderBook
from foresail.protocols import EntryWriter
from foresail.risk.breakers import due, quiet_until
from foresail.risk.state import RiskState

__all__ = ["CoreEffect", "TradingCore"]

CoreEffect = Effect | Attach
_BARS = "bars"
_FOREVER = 2**63 - 1
_DIVIDEND_DIGITS = 8  # of a dividend per unit


class TradingCore:
    """One account.

    Parameters
    ----------
    parts : market, desks, gate
    writer : the journal, in memory or on disk

    Attributes
    ----------
    books, orders, latches, risk : folds over the journal; read only. ``risk`` is None without limits
    """

    def __init__(self, parts: TradingParts, writer: EntryWriter) -> None:
        self.parts = parts
        self._writer = writer
        self._memories: dict[str, Any] = {desk.id: desk.start() for desk in parts.desks}
        self.notes = CoreNotes(parts.facts)
        self.notes.remembered = {name: memory_text(memory) for name, memory in self._memories.items()}
        self._start_folds(Books(parts.account, parts.currency, allow_short=parts.allow_short), OrderBook(), Latches())
        self._poller = Poller(parts.poll_ns)
        self._handlers: dict[type[Event], Callable[[Any], tuple[CoreEffect, ...]]] = {
            BarsClosed: self._on_bars,
            Fact: self._on_fact,
            Timer: self._on_timer,
            VenueReport: self._on_report,
            Operator: self._on_operator,
        }

    def _start_folds(self, books: Books, orders: OrderBook, latches: Latches) -> None:
        self.books, self.orders, self.latches = books, orders, latches
        limits = self.parts.limits
        self.risk = None if limits is None else RiskState(limits, currency=self.parts.currency)
        self.reader = ReportReader(self.parts.instruments, orders, self._write, self.parts.resend_ns)

    # -- the fold -----------------------------------------------------------------------------------------------------

    def step(self, event: Event) -> tuple[CoreEffect, ...]:
        """Take in one event: append what follows from it to the journal, return what is to be done outside."""
        handler = self._handlers.get(type(event))
        return () if handler is None else handler(event)

    def recover(self, state: Mapping[str, Any] | None, entries: Iterable[Entry] = ()) -> tuple[CoreEffect, ...]:
        """Become what a snapshot and the entries after it say; return a question for every order that may be alive."""
        if state is not None:
            self.restore(state)
        for entry in entries:
            self._fold(entry)
            self._follow(entry)
        while self.books.entries < self._writer.next_sequence:  # the log wrote the start of this process itself
            at = max(self.books.at, getattr(self._writer, "last_at", 0))
            self._fold(SessionStarted(at, self.books.entries, 0, self.parts.environment, self.parts.account, "", ""))
        return self._poller.everything(self.orders, self.books.at)

    def absorb(self, entry: Entry) -> None:
        """Fold an entry that the journal holds and no event of the stream leads to: a start, a latch."""
        self._fold(entry)

    def deposit(self, at: int, amount: Decimal, currency: str = "") -> None:
        """Book money paid in."""
        self._write(Deposited, at, amount=amount, currency=currency)

    def begin(self, at: int, capital: Decimal) -> None:
        """Book the capital in the account's currency, and the limits that hold from here on (COMP-05)."""
        self.deposit(at, capital, self.parts.currency)
        limits = self.parts.limits
        if limits is not None:
            self._write(LimitsLoaded, at, profile=limits.profile, digest=hash_value(asdict(limits)))

    def stream_position(self, source: str = _BARS) -> int:
        """Return up to where a source was applied, -1 before its first event."""
        return self.notes.streams.get(source, -1)

    def decided_at(self, strategy: str) -> int | None:
        """Return the newest nominal instant at which a strategy decided, None before its first decision."""
        return self.notes.decided.get(strategy)

    def note_decisions(self, decided: Mapping[str, int]) -> None:
        """Remember instants at which strategies decided to do nothing."""
        self.notes.decided.update({name: at for name, at in decided.items() if at >= 0})

    def pending(self) -> dict[InstrumentId, Decimal]:
        """Return signed units on order by instrument."""
        pending: dict[InstrumentId, Decimal] = {}
        for state in self.orders.open():
            order = state.order
            signed = state.left if order.side is Side.BUY else -state.left
            pending[order.instrument] = pending.get(order.instrument, Decimal(0)) + signed
        return pending

    def to_plain(self) -> dict[str, Any]:
        """Return the whole state as plain data, for a snapshot."""
        return {
            "books": self.books.to_plain(),
            "orders": self.orders.to_plain(),
            "latches": self.latches.to_plain(),
            "risk": None if self.risk is None else self.risk.to_plain(),
            "exits": self.reader.to_plain(),
            "market": self.parts.market.to_plain(),
            "memories": self._memories,
            "notes": self.notes.to_plain(),
        }

    def restore(self, plain: Mapping[str, Any]) -> None:
        """Take over a state that ``to_plain`` returned."""
        books = Books.from_plain(plain["books"])
        self._start_folds(books, OrderBook.from_plain(plain["orders"]), Latches.from_plain(plain["latches"]))
        if self.risk is not None and plain["risk"] is not None:
            self.risk = RiskState.from_plain(plain["risk"], self.parts.limits, currency=self.parts.currency)
        self.reader.restore(plain["exits"])
        self.parts.market.restore(plain["market"])
        self._memories.update(plain["memories"])
        self.notes = CoreNotes.from_plain(plain["notes"])

    def _write(self, kind: Callable[..., Any], at: int, /, **content: Any) -> None:
        """Append an entry; its instant never lies before the last one's."""
        entry = kind(max(at, self.books.at), self._writer.next_sequence, **content)
        self._writer.append(entry)
        self._fold(entry)

    def _fold(self, entry: Entry) -> None:
        if isinstance(entry, FillBooked):
            self.reader.note(entry)
        self.books.apply(entry)
        self.orders.apply(entry)
        self.latches.apply(entry)
        if self.risk is not None:
            is_valued = isinstance(entry, Marked) or (isinstance(entry, Deposited) and bool(entry.currency))
            self.risk.apply(entry, self.books.equity(rates=self.parts.market.rates()) if is_valued else None)
        self.notes.apply(entry)

    def _follow(self, entry: Entry) -> None:
        """Move what is not journalled itself along with entries that are read back."""
        if isinstance(entry, StreamAdvanced):
            for position in range(self.parts.market.position + 1, entry.position + 1):
                self.parts.market.advance(position)
        elif isinstance(entry, SplitApplied):
            self.parts.market.split(entry.instrument, float(entry.ratio))
        elif isinstance(entry, Remembered):
            self._memories[entry.strategy] = json.loads(entry.memory)

    # -- the stream ---------------------------------------------------------------------------------------------------

    def _on_report(self, event: VenueReport) -> tuple[CoreEffect, ...]:
        if event.fill is not None and self.reader.is_new(event.fill):
            self._charge_to(event.fill.filled_at)
        effects = self.reader.read(event)
        return effects if event.fill is None else (*effects, *self._protect(event.event_time))

    def _on_bars(self, event: BarsClosed) -> tuple[CoreEffect, ...]:
        """Charge for holding, take in the prices, mark what is held."""
        if event.position <= self.stream_position():
            return ()
        self._charge_to(event.event_time)
        market = self.parts.market
        market.advance(event.position)
        prices = []
        for position in self.books.positions():
            price = market.price(position.instrument)
            if price is not None:
                prices.append((position.instrument, price))
        if self.parts.is_audited:
            self._write(StreamAdvanced, event.event_time, source=_BARS, position=event.position)
        else:
            self.notes.streams[_BARS] = event.position
        self._write(Marked, event.event_time, prices=tuple(prices))
        if self.notes.charged_until != event.event_time:  # a decision on an earlier bar came later than this one closed
            self._write(HoldingTimed, event.event_time, until=event.event_time)
        return tuple(self._protect(event.event_time))

    def _on_fact(self, event: Fact) -> tuple[CoreEffect, ...]:
        """Book a split or dividend on what is held; keep the value of any other fact."""
        name = event.instrument
        if name is None or event.kind not in ("split", "dividend"):
            kind = event.kind if name is None else f"{event.kind}:{name}"
            value = event.value if math.isfinite(event.value) else None
            if self.notes.facts.get(kind) != value:
                self._write(FactKnown, event.available_at, kind=kind, value=value)
        elif event.kind == "split":
            self.parts.market.split(name, event.value)
            price, ratio = self.parts.market.price(name), Decimal(repr(event.value))
            if price is not None:
                lot = self.parts.instruments[name].lot
                self._write(SplitApplied, event.available_at, instrument=name, ratio=ratio, price=price, lot=lot)
        elif self.books.quantity(name) != 0:
            per_unit = Decimal(repr(round(event.value, _DIVIDEND_DIGITS)))
            self._write(DividendPaid, event.available_at, instrument=name, per_unit=per_unit)
        return ()

    def _charge_to(self, until: int) -> None:
        """Charge what positions cost (COST-10): first to the start of the bar in progress, then inside it."""
        since = self.notes.charged_until
        if since is None or until <= since:
            return
        opened = self.parts.market.start(self.parts.market.position + 1)
        if opened is not None and since < opened < until:
            self._charge(since, opened)
            since = opened
        self._charge(since, until)

    def _charge(self, since: int, until: int) -> None:
        for position in self.books.positions():
            name = position.instrument
            price = self.parts.market.price(name)
            if price is None:
                continue
            one = self.parts.instruments[name]
            amount = self.parts.holding_cost(position, abs(position.quantity) * price, since, until)
            if amount:
                kind = HoldingKind.FUNDING if one.kind == "perp" else HoldingKind.BORROW
                self._write(HoldingCharged, until, amount=amount, kind=kind, instrument=name, currency=one.currency)

    def quiet_until(self) -> int:
        """Return up to which instant (ns UTC) marks change nothing while nothing is held; -1 = they do now.

        Whatever a breaker or the turn of a day does at an instant is left to ``step``.
        """
        books, parts = self.books, self.parts
        if books.is_invested:
            return -1
        if self.risk is None or parts.limits is None:
            return _FOREVER
        return quiet_until(self.risk, parts.limits, books.equity())

    def is_plain(self, position: int, at: int) -> bool:
        """Return whether the bar of a position is a mark and no more: nothing on order, one currency, no audit."""
        if self.parts.is_audited or self.orders.is_waiting or len(self.books.currencies) > 1:
            return False
        is_next = self.stream_position() + 1 == position
        return is_next and self.books.at <= at and (self.notes.charged_until or 0) <= at

    def take_mark(
        self, position: int, at: int, prices: tuple[tuple[InstrumentId, Decimal], ...]
    ) -> tuple[CoreEffect, ...]:
        """Take in a plain bar, of which only the prices of what is held matter; holding it costs nothing."""
        self.notes.streams[_BARS] = position
        self._write(Marked, at, prices=prices)
        return tuple(self._protect(at))

    def take_quiet(self, first: int, ends: Sequence[int]) -> None:
        """Journal the marks of consecutive bars from a position on, all within ``quiet_until``: no money moves."""
        if not ends:
            return
        sequence, last = self._writer.next_sequence, ends[-1]
        for entry in map(Marked, ends, range(sequence, sequence + len(ends)), repeat(())):
            self._writer.append(entry)
        self.books.pass_over(len(ends), last)
        if self.risk is not None:
            self.risk.pass_over(last, self.books.equity())
        self.notes.streams[_BARS] = first + len(ends) - 1
        self.notes.charged_until = max(self.notes.charged_until or 0, last)

    # -- decisions ----------------------------------------------------------------------------------------------------

    def _on_timer(self, event: Timer) -> tuple[CoreEffect, ...]:
        """Let every desk that is due decide once; "ask" and "reconnected" ask the venue about orders."""
        if event.name == "ask":
            return (*self._poller.due(self.orders, event.available_at), *self._protect(event.available_at))
        if event.name == "reconnected":
            return self._poller.everything(self.orders, event.available_at)
        effects: list[CoreEffect] = []
        for desk in self.parts.desks:
            if event.sequence % desk.every == 0 and self.notes.decided.get(desk.id, -1) < event.available_at:
                effects += self._decide(desk, event)
        return tuple(effects)

    def _decide(self, desk: Desk, event: Timer) -> list[CoreEffect]:
        at, market = event.available_at, self.parts.market
        known = market.known(event.sequence)
        rates = market.rates(known)
        held = {p.instrument: self._mark(p.instrument, known) for p in self.books.positions()}
        account = self.books.account(at=at, prices={k: v for k, v in held.items() if v is not None}, rates=rates)
        if account.equity <= 0:
            return []
        call = DeskCall(at, event.sequence, account, known, rates, self.pending(), self.notes.facts, self.orders)
        return self.conclude(desk, call, desk.decide(self._memories[desk.id], call))

    def memory_of(self, strategy: str) -> Any:
        """Return what a strategy remembers, to hand to its desk; whoever asks a desk must ``conclude``."""
        return self._memories[strategy]

    def conclude(self, desk: Desk, call: DeskCall, decision: Decision) -> list[CoreEffect]:
        """Review and journal a decision; return what is to be done outside."""
        at = call.at
        self.notes.decided[desk.id] = at
        if decision == NO_DECISION and not self.parts.is_audited:
            return []
        reviewed = self._review(decision.orders, call)
        allowed = [replace(one.order, quantity=one.allowed) for one in reviewed if one.allowed > 0]
        seen = {"account": call.account, "wanted": [one.order for one in reviewed], "allowed": allowed}
        self._write(
            Decided, at, strategy=desk.id, decided_at=at, orders=len(allowed), fingerprint=_fingerprint(seen, decision)
        )
        self._remember(desk, at)
        if self.parts.watch is not None:
            self.parts.watch(desk, at, decision, reviewed)
        effects: list[CoreEffect] = []
        for name in decision.cancels:
            effects += self._take_back(at, name)
        effects += self._change(at, decision.changes, call)
        return [*effects, *decision.levels, *self._intend(at, allowed)]

    def _remember(self, desk: Desk, at: int) -> None:
        """Journal what a strategy remembers where that changed, so that a restart knows it."""
        if not self.parts.is_audited:
            return
        text = memory_text(self._memories[desk.id])
        if text != self.notes.remembered.get(desk.id):
            self._write(Remembered, at, strategy=desk.id, memory=text)

    def _change(self, at: int, changes: Sequence[ReplaceSend], call: DeskCall) -> list[CoreEffect]:
        """Journal the changes that the gate lets pass."""
        passed = next_changes(changes, self.orders, self.parts.instruments, lambda orders: self._review(orders, call))
        for one in passed:
            self._write(
                ReplaceIntended, at, order_id=one.order_id, quantity=one.quantity, limit_price=one.limit_price,
                trigger_price=one.trigger_price, revision=one.revision,
            )  # fmt: skip
        return list(passed)

    def _mark(self, name: InstrumentId, known: Mapping[InstrumentId, float]) -> Decimal | None:
        """Return a known price on the tick grid, None where there is none."""
        grid = getattr(self.parts.market, "on_grid", None)
        return self.parts.market.price(name) if grid is None else grid(name, known.get(name, float("nan")))

    def _review(self, orders: Sequence[Order], call: DeskCall) -> tuple[ReviewedOrder, ...]:
        """Let the gate cut or refuse; limits are compared in the account's currency, levels of orders included."""
        if not orders:
            return ()
        records, prices, asked = self.parts.instruments, dict(call.prices), list(orders)
        if call.rates:
            factor = {name: call.rates.get(records[name].currency, Decimal(1)) for name in prices}
            prices = {name: price * float(factor[name]) for name, price in prices.items()}
            asked = [in_account_currency(one, factor.get(one.instrument, Decimal(1))) for one in orders]
        market = self.parts.market
        view = CoreRiskView(
            call.account,
            call.at,
            prices,
            records,
            self.orders,
            market,
            state=self.risk,
            facts_known=self.notes.facts,
            rates=call.rates,
        )
        reviewed = self.parts.gate.review(asked, view)
        out = []
        for order, (passed, rulings) in zip(orders, reviewed, strict=True):
            stopped = self.latches.ruling(order, self.books.quantity(order.instrument))
            if stopped is not None and stopped.quantity < passed.quantity:
                out.append(ReviewedOrder(order, stopped.quantity, (*rulings, stopped)))
            else:
                out.append(ReviewedOrder(order, passed.quantity, rulings))
        return tuple(out)

    def _intend(self, at: int, orders: Sequence[Order]) -> list[CoreEffect]:
        for order in orders:
            if order.id in self.orders:
                raise IntegrityError(
                    f"order {order.id} in {order.instrument} was intended before",
                    hint="give every leg of a decision its own name",
                )
            self._write(OrderIntended, at, order=order)
        return [Send(order) for order in orders]

    def _take_back(self, at: int, instrument: InstrumentId | None, *, entries_only: bool = False) -> list[CoreEffect]:
        """Journal that open orders, of one instrument or all, are to be cancelled; those that reduce may stay."""
        effects: list[CoreEffect] = []
        for state in list(self.orders.open(instrument)):
            stays = entries_only and reduces(state.order, self.books.quantity(state.order.instrument))
            if not state.is_cancelling and not stays:
                self._write(CancelIntended, at, order_id=state.order.id)
                effects.append(CancelSend(state.order.id, state.order.instrument))
        return effects

    # -- breakers -----------------------------------------------------------------------------------------------------

    def _protect(self, at: int) -> list[CoreEffect]:
        """Journal the breakers that are due (RISK-24 to 30), take entries back, close the part that they ask for."""
        if self.risk is None or self.parts.limits is None:
            return []
        action = due(self.risk, self.parts.limits, at)
        for trip in action.trips:
            self._write(BreakerTripped, at, rule=trip.rule, until=trip.until, text=trip.text)
        effects: list[CoreEffect] = []
        for alert in action.alerts:
            self._write(AlertRaised, at, kind=alert.kind, severity=alert.severity.value, text=alert.text)
            effects.append(Notify(alert.kind, alert.severity.value, alert.text))
        if action.cancels_entries:
            effects += self._take_back(at, None, entries_only=True)
        if action.close_fraction > 0:
            effects += self._intend(at, close_orders(self, at, "breaker", action.close_fraction))
        return effects

    # -- people -------------------------------------------------------------------------------------------------------

    def _on_operator(self, event: Operator) -> tuple[CoreEffect, ...]:
        """Do what a person asked: the latch is journalled before anything else happens (RISK-31)."""
        command, at = parse_command(event.command), event.available_at
        person = event.source or "unnamed"
        self._write(OperatorActed, at, command=event.command, operator=person, text=command.text)
        if command.verb == "unlatch":
            self._write(TradingResumed, at, scope="", operator=person, text=command.text)
            return ()
        if command.verb == "rearm":
            self._write(TradingResumed, at, scope="", operator=person, text=command.text)
            for rule in sorted({} if self.risk is None else self.risk.breakers_in_force(at)):
                self._write(BreakerReset, at, rule=rule, operator=person)
            return ()
        if command.verb == "resume":
            self._write(TradingResumed, at, scope=command.scope, operator=person, text=command.text)
            return ()
        self._write(TradingHalted, at, scope=command.scope, rule="RISK-31", text=f"{command.verb} by {person}")
        if command.verb == "latch":
            return ()
        effects = self._take_back(at, InstrumentId(command.scope) if command.scope else None)
        if command.closes:
            effects += self._intend(at, close_orders(self, at, "operator"))
        return tuple(effects)


def _fingerprint(seen: Mapping[str, Any], decision: Decision) -> str:
    """Return the hash of what a decision saw and wants."""
    return hash_value({**seen, "cancels": decision.cancels, "levels": decision.levels})[:16]
