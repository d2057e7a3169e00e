"""The core of backtest, paper and live: ``step(event) -> effects``, a fold over events, and over its own journal.

It reads no clock, disk, network or random number. Every change goes through one place: an entry is appended to the
writer and folded into books, orders, latches and risk state, in this order. The shell commits the journal and only then
performs the effects; what comes back is an event again. ``recover`` folds a snapshot and what was written after it, and
asks the venue about every order that may still be alive.
A decision happens at most once for each (strategy, nominal instant), before and after restarts.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from decimal import Decimal
from itertools import repeat
from typing import Any

import msgspec

from foresail.core.canonical import hash_value
from foresail.core.errors import IntegrityError
from foresail.core.ids import InstrumentId
from foresail.domain.effects import CancelSend, Effect, Send
from foresail.domain.events import BarsClosed, Event, Fact, Operator, Timer, VenueReport
from foresail.domain.orders import Order
from foresail.domain.signals import Side
from foresail.engine.trading.concluding import conclude
from foresail.engine.trading.expiring import close_expired
from foresail.engine.trading.holding import charge_to, take_fact
from foresail.engine.trading.latches import Latches, reduces
from foresail.engine.trading.level_keeping import keep_levels, unlever
from foresail.engine.trading.notes import CoreNotes, memory_text
from foresail.engine.trading.operators import obey
from foresail.engine.trading.parts import Attach, Desk, DeskCall, TradingParts
from foresail.engine.trading.paying import foreign_worth
from foresail.engine.trading.polling import Poller
from foresail.engine.trading.protection import propose_profile, protect, reduce_sizes
from foresail.engine.trading.reductions import Reductions, facts_act
from foresail.engine.trading.release import release
from foresail.engine.trading.reports import ReportReader
from foresail.engine.trading.watching import watch_prices
from foresail.ledger.books import Books
from foresail.ledger.entries import (
    CancelIntended,
    Deposited,
    Entry,
    FillBooked,
    HoldingTimed,
    LimitsLoaded,
    Marked,
    OrderIntended,
    ReductionBegun,
    ReductionEnded,
    Remembered,
    SessionStarted,
    SliceStarted,
    SliceStopped,
    SplitApplied,
    StreamAdvanced,
    TradingHalted,
    TradingResumed,
)
from foresail.ledger.expiries import EXPIRY_ENTRIES, SignalExpiries
from foresail.ledger.levels import LEVEL_ENTRIES, PositionLevels
from foresail.ledger.orders import OrderBook
from foresail.ledger.slices import SliceBook
from foresail.ledger.strategies import StrategyBooks
from foresail.protocols import EntryWriter
from foresail.risk.breakers import quiet_until
from foresail.risk.state import RiskState

__all__ = ["CoreEffect", "TradingCore"]

CoreEffect = Effect | Attach
_BARS = "bars"
_LATCHING = frozenset({TradingHalted, TradingResumed})
_SLICING = frozenset({OrderIntended, SliceStarted, SliceStopped, SplitApplied})
_REDUCING = frozenset({ReductionBegun, ReductionEnded})
_ENCODER = msgspec.json.Encoder(decimal_format="string")
_FOREVER = 2**63 - 1


class TradingCore:
    """One account.

    Parameters
    ----------
    parts : market, desks, gate
    writer : the journal, in memory or on disk

    Attributes
    ----------
    books, orders, latches, levels, expiries, risk : folds over the journal; read only. ``risk`` is None without limits
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
            Fact: lambda event: take_fact(self, event),
            Timer: self._on_timer,
            VenueReport: self._on_report,
            Operator: lambda event: tuple(obey(self, event)),
        }

    def _start_folds(self, books: Books, orders: OrderBook, latches: Latches) -> None:
        self.books, self.orders, self.latches = books, orders, latches
        limits = self.parts.limits
        self.risk = None if limits is None else RiskState(limits, currency=self.parts.currency)
        self.slices, self.reductions, self.levels = SliceBook(), Reductions(), PositionLevels()
        self.expiries = SignalExpiries()
        own = self.parts.strategies
        self.strategies = StrategyBooks(own, self.parts.instruments, self.parts.currency) if own else None
        self.reader = ReportReader(
            self.parts.instruments, orders, self.write, self.parts.resend_ns,
            lambda name: self.levels.was_split(name),  # noqa: PLW0108 a restored core has other levels
        )  # fmt: skip

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
        self.write(Deposited, at, amount=amount, currency=currency)

    def begin(self, at: int, capital: Decimal) -> None:
        """Book the capital in the account's currency, and the limits that hold from here on (COMP-05, RISK-01)."""
        self.deposit(at, capital, self.parts.currency)
        limits = self.parts.limits
        if limits is not None:
            digest = self.parts.limits_digest or hash_value(asdict(limits))
            self.write(LimitsLoaded, at, profile=limits.profile, digest=digest)
            propose_profile(self, at, capital)

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
        for parent in self.slices.open():
            order = parent.parent
            signed = parent.left if order.side is Side.BUY else -parent.left
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
            "slices": self.slices.to_plain(),
            "reductions": self.reductions.to_plain(),
            "levels": self.levels.to_plain(),
            "expiries": self.expiries.to_plain(),
            "strategies": None if self.strategies is None else self.strategies.to_plain(),
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
        self.notes = CoreNotes.from_plain(plain)
        self.slices = SliceBook.from_plain(plain.get("slices", {"parents": []}))
        self.reductions = Reductions.from_plain(plain.get("reductions", {}))
        self.levels = PositionLevels.from_plain(plain.get("levels", {}))
        self.expiries = SignalExpiries.from_plain(plain.get("expiries", {}))
        if self.strategies is not None and plain.get("strategies") is not None:
            self.strategies.restore(plain["strategies"])

    def write(self, kind: Callable[..., Any], at: int, /, **content: Any) -> None:
        """Append an entry; its instant never lies before the last one's."""
        entry = kind(max(at, self.books.at), self._writer.next_sequence, **content)
        self._writer.append(entry)
        self._fold(entry)

    def _fold(self, entry: Entry) -> None:
        kind = type(entry)
        if isinstance(entry, FillBooked):
            self.reader.note(entry)
        self.books.apply(entry)
        self.orders.apply(entry)
        if kind in _LATCHING:
            self.latches.apply(entry)
        if self.risk is not None:
            is_mark = kind is Marked
            equity = self.books.equity(rates=self.parts.market.rates()) if is_mark else None
            self.risk.apply(entry, equity if is_mark else foreign_worth(self, entry))
        self.notes.apply(entry)
        if kind in LEVEL_ENTRIES:
            self.levels.apply(entry, self.books, self.orders)
        if kind in EXPIRY_ENTRIES:
            self.expiries.apply(entry, self.books)
        if kind in _SLICING:
            self.slices.apply(entry)
        elif kind in _REDUCING:
            self.reductions.apply(entry)
        if self.strategies is not None:
            self.strategies.apply(entry, self.parts.market.rates() if kind is Marked else None)

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
            charge_to(self, event.fill.filled_at)
        effects = self.reader.read(event)
        return effects if event.fill is None else (*effects, *protect(self, event.event_time))

    def _on_bars(self, event: BarsClosed) -> tuple[CoreEffect, ...]:
        """Charge for holding, take in the prices, mark what is held."""
        if event.position <= self.stream_position():
            return ()
        charge_to(self, event.event_time)
        market = self.parts.market
        market.advance(event.position)
        prices = []
        for position in self.books.positions():
            price = market.price(position.instrument)
            if price is not None:
                prices.append((position.instrument, price))
        if self.parts.is_audited:
            self.write(StreamAdvanced, event.event_time, source=_BARS, position=event.position)
        else:
            self.notes.streams[_BARS] = event.position
        self.write(Marked, event.event_time, prices=tuple(prices))
        if self.notes.charged_until != event.event_time:  # a decision on an earlier bar came later than this one closed
            self.write(HoldingTimed, event.event_time, until=event.event_time)
        at = event.event_time
        return (*protect(self, at), *unlever(self, at), *keep_levels(self, at), *watch_prices(self, at))

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
        return not self.parts.is_audited and self.is_still(position, at)

    def is_still(self, position: int, at: int) -> bool:
        """Return whether the bar of a position only marks what is held, and is journalled besides where audited."""
        if self.orders.is_waiting or len(self.books.currencies) > 1:
            return False
        if self.strategies is not None or self.slices.is_busy or self.reductions.active:
            return False
        if facts_act(self.notes.facts, self.parts.limits):
            return False
        return self.stream_position() + 1 == position and max(self.books.at, self.notes.charged_until or 0) <= at

    def take_mark(
        self, position: int, at: int, prices: tuple[tuple[InstrumentId, Decimal], ...]
    ) -> tuple[CoreEffect, ...]:
        """Take in a plain bar, of which only the prices of what is held matter; holding it costs nothing."""
        self.notes.streams[_BARS] = position
        self.write(Marked, at, prices=prices)
        return (*protect(self, at), *unlever(self, at))

    def take_quiet(self, first: int, ends: Sequence[int]) -> None:
        """Journal the marks of consecutive bars from a position on, all within ``quiet_until``: no money moves."""
        if not ends:
            return
        sequence, last = self._writer.next_sequence, ends[-1]
        each, append = 2 if self.parts.is_audited else 1, self._writer.append  # entries a bar
        marks = map(Marked, ends, range(sequence + each - 1, sequence + each * len(ends), each), repeat(()))
        for position, mark in enumerate(marks, first):
            if each > 1:
                append(StreamAdvanced(mark.at, mark.sequence - 1, _BARS, position))
            append(mark)
        self.books.pass_over(each * len(ends), last)
        if self.risk is not None:
            self.risk.pass_over(last, self.books.equity())
        self.notes.streams[_BARS] = first + len(ends) - 1
        self.notes.charged_until = max(self.notes.charged_until or 0, last)

    # -- decisions ----------------------------------------------------------------------------------------------------

    def _on_timer(self, event: Timer) -> tuple[CoreEffect, ...]:
        """Let every desk that is due decide once; "ask" and "reconnected" ask the venue about orders."""
        if event.name == "ask":
            return (*self._poller.due(self.orders, event.available_at), *protect(self, event.available_at))
        if event.name == "reconnected":
            return self._poller.everything(self.orders, event.available_at)
        at = event.available_at
        effects: list[CoreEffect] = [*release(self, at), *reduce_sizes(self, at)]
        for desk in self.parts.desks:
            if event.sequence % desk.every == 0 and self.notes.decided.get(desk.id, -1) < event.available_at:
                effects += self._decide(desk, event)
        if self.expiries.standing:
            effects += close_expired(self, at, event.event_time)
        return tuple(effects)

    def _decide(self, desk: Desk, event: Timer) -> list[CoreEffect]:
        call = self.call(event.available_at, event.sequence)
        if call is None:
            return []
        return conclude(self, desk, call, desk.decide(self._memories[desk.id], call))

    def call(self, at: int, position: int) -> DeskCall | None:
        """Return what a desk and the gate are shown at a position, None where the account is worth nothing."""
        known = self.parts.market.known(position)
        rates = self.parts.market.rates(known)
        held = {p.instrument: self._mark(p.instrument, known) for p in self.books.positions()}
        account = self.books.account(at=at, prices={k: v for k, v in held.items() if v is not None}, rates=rates)
        if account.equity <= 0:
            return None
        return DeskCall(
            at, position, account, known, rates, self.pending(), self.notes.facts, self.orders, self.slices,
            self.strategies, self.latches.halted, self.reductions.pair_factors(), self.parts.limits,
        )  # fmt: skip

    def memory_of(self, strategy: str) -> Any:
        """Return what a strategy remembers, to hand to its desk; whoever asks a desk must ``conclude``."""
        return self._memories[strategy]

    def _mark(self, name: InstrumentId, known: Mapping[InstrumentId, float]) -> Decimal | None:
        """Return a known price on the tick grid, None where there is none."""
        grid = getattr(self.parts.market, "on_grid", None)
        return self.parts.market.price(name) if grid is None else grid(name, known.get(name, float("nan")))

    def intend(self, at: int, orders: Sequence[Order]) -> list[CoreEffect]:
        for order in orders:
            self.refuse_repeated(order)
            self.write(OrderIntended, at, order=order)
        return [Send(order) for order in orders]

    def refuse_repeated(self, order: Order) -> None:
        """Raise where an order of this id was intended before, whole or in slices."""
        if order.id in self.orders or any(state.parent.id == order.id for state in self.slices.open()):
            raise IntegrityError(
                f"order {order.id} in {order.instrument} was intended before",
                hint="give every leg of a decision its own name",
            )

    def take_back(self, at: int, instrument: InstrumentId | None, *, entries_only: bool = False) -> list[CoreEffect]:
        """Journal that open orders, of one instrument or all, are to be cancelled; those that reduce may stay."""
        effects: list[CoreEffect] = []
        for parent in list(self.slices.open(instrument)):
            if not (entries_only and reduces(parent.parent, self.books.quantity(parent.parent.instrument))):
                self.write(SliceStopped, at, order_id=parent.parent.id, text="taken back")
        for state in list(self.orders.open(instrument)):
            stays = entries_only and reduces(state.order, self.books.quantity(state.order.instrument))
            if not state.is_cancelling and not stays:
                self.write(CancelIntended, at, order_id=state.order.id)
                effects.append(CancelSend(state.order.id, state.order.instrument))
        return effects
