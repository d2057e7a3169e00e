"""The register of planted bugs: each is a mistake that cost somebody money, put into the code for the length of a run.

A harness that finds nothing proves nothing. Every bug here must be caught within a bounded number of seeds
(``tests/simulation``); a bug that is not caught means that the simulation is blind to it. Bugs are planted where every
core meets them: at the journal, the order book, the books, the link and the process; a few only fit the reference core.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any

from foresail.core.errors import JournalStoppedError
from foresail.core.ids import InstrumentId, OrderId
from foresail.domain.effects import Ask, Effect, ReplaceSend, Send
from foresail.domain.events import Event, Fact, Timer, VenueOutcome, VenueReport
from foresail.domain.orders import Order, OrderKind
from foresail.domain.signals import Side
from foresail.engine.trading import holding, reviewing
from foresail.ledger import recovery
from foresail.ledger.books import Books
from foresail.ledger.entries import Entry, FillBooked
from foresail.ledger.log import EntryLog
from foresail.ledger.orders import OrderBook, OrderState, OrderStatus, Reserved
from foresail.testing.disk import PessimisticDisk
from foresail.testing.simulation.account_bugs import ACCOUNT_BUGS
from foresail.testing.simulation.faults import FaultMix
from foresail.testing.simulation.planting import PlantedBug
from foresail.testing.simulation.process import Link, LiveProcess, Process
from foresail.testing.simulation.reference import ReferenceCore
from foresail.testing.simulation.trading_bugs import TRADING_BUGS

__all__ = ["planted_bugs"]


def planted_bugs() -> tuple[PlantedBug, ...]:
    """Return the register."""
    return (*_SENDING, *_TELLING, *_KEEPING, *_DECIDING, *_HALTING, *TRADING_BUGS, *ACCOUNT_BUGS)


# -- what leaves -----------------------------------------------------------------------------------------------------


def _new_id_per_retry(right: Callable[[Link, Order], None]) -> Callable[[Link, Order], None]:
    def send(link: Link, order: Order) -> None:
        times = link.times_sent.get(order.id, 0)
        link.times_sent[order.id] = times
        right(link, replace(order, id=OrderId(f"{times:02d}{order.id[2:]}")) if times else order)
        link.times_sent[order.id] = times + 1

    return send


def _send_before_commit(_right: Any) -> Callable[[Process, tuple[Effect, ...]], None]:
    def finish(process: Process, effects: tuple[Effect, ...]) -> None:
        for effect in effects:
            process.perform(effect)
        process.log.commit()

    return finish


def _total_taken_for_rest(right: Callable[[Process, Effect], None]) -> Callable[[Process, Effect], None]:
    def perform(process: Process, effect: Effect) -> None:
        if isinstance(effect, ReplaceSend):
            state = process.core.orders.get(effect.order_id)
            effect = replace(effect, quantity=effect.quantity + (Decimal(0) if state is None else state.filled))
        right(process, effect)

    return perform


def _resend_instead_of_ask(right: Callable[[Process, Effect], None]) -> Callable[[Process, Effect], None]:
    def perform(process: Process, effect: Effect) -> None:
        state = process.core.orders.get(effect.order_id) if isinstance(effect, Ask) else None
        if state is not None and state.status is OrderStatus.UNKNOWN:
            effect = Send(replace(state.order, id=OrderId("ff" + state.order.id[2:])))
        right(process, effect)

    return perform


def _send_after_failure(right: Callable[[Process, Event], None]) -> Callable[[Process, Event], None]:
    def handle(process: Process, event: Event) -> None:
        effects = process.core.step(event)
        try:
            process.log.commit()
        except JournalStoppedError:
            for effect in effects:
                process.perform(effect)
            raise
        for effect in effects:
            process.perform(effect)

    del right
    return handle


def _repairs_position(right: Callable[[Process, Event], None]) -> Callable[[Process, Event], None]:
    def handle(process: Process, event: Event) -> None:
        right(process, event)
        if isinstance(event, Fact) and event.kind == "position" and event.instrument is not None:
            off = Decimal(int(event.value)) - process.core.books.quantity(event.instrument)
            if off:
                side = Side.SELL if off > 0 else Side.BUY
                name = OrderId(f"{int(event.event_time):032x}")
                order = Order(name, event.instrument, side, abs(off), OrderKind.MARKET, event.event_time)
                process.perform(Send(order))

    return handle


_SENDING = (
    PlantedBug("new id per retry", "duplicate orders", Link, "send", _new_id_per_retry),
    PlantedBug("send before commit", "lost orders", LiveProcess, "finish", _send_before_commit),
    PlantedBug("sent although the journal failed", "disk full", LiveProcess, "handle", _send_after_failure),
    PlantedBug("total taken for the rest", "double fills", LiveProcess, "perform", _total_taken_for_rest),
    PlantedBug("unknown is sent again instead of asked for", "duplicate orders", LiveProcess, "perform",
               _resend_instead_of_ask),
    PlantedBug("position repaired by trading", "wrong positions", LiveProcess, "handle", _repairs_position),
)  # fmt: skip


# -- what is told ----------------------------------------------------------------------------------------------------


def _silence_is_rejection(right: Callable[..., VenueReport]) -> Callable[..., VenueReport]:
    def report(
        link: Link, order_id: OrderId, instrument: InstrumentId, outcome: VenueOutcome, text: str
    ) -> VenueReport:
        wrong = VenueOutcome.REJECTED if outcome is VenueOutcome.NO_ANSWER else outcome
        return right(link, order_id, instrument, wrong, text)

    return report


def _unknown_expires(right: Callable[[Process, Event], None]) -> Callable[[Process, Event], None]:
    def handle(process: Process, event: Event) -> None:
        right(process, event)
        if not (isinstance(event, Timer) and event.name != "decide"):
            return
        for state in list(process.core.orders.open()):
            if state.status is OrderStatus.UNKNOWN:
                order = state.order
                outcome = VenueOutcome.REJECTED
                right(process, process.link.report(order.id, order.instrument, outcome, "gave up"))

    return handle


def _receive(wrong: Callable[[VenueReport], VenueReport | None]) -> Callable[[Any], Any]:
    """Return a maker of a link that changes or drops some of what it is told."""

    def make(right: Callable[[Link, VenueReport], None]) -> Callable[[Link, VenueReport], None]:
        def receive(link: Link, report: VenueReport) -> None:
            told = wrong(report)
            if told is not None:
                right(link, told)

        return receive

    return make


def _correction_as_fill(report: VenueReport) -> VenueReport:
    return replace(report, outcome=VenueOutcome.FILLED) if report.outcome is VenueOutcome.CORRECTED else report


def _no_bust(report: VenueReport) -> VenueReport | None:
    return None if report.outcome is VenueOutcome.BUSTED else report


def _clamped(report: VenueReport) -> VenueReport:
    if report.fill is None or report.outcome is not VenueOutcome.FILLED:
        return report
    return replace(report, fill=replace(report.fill, quantity=min(report.fill.quantity, Decimal(5))))


def _late_fill_ignored(right: Callable[[Process, Event], None]) -> Callable[[Process, Event], None]:
    def handle(process: Process, event: Event) -> None:
        if isinstance(event, VenueReport) and event.outcome is VenueOutcome.FILLED:
            state = process.core.orders.get(event.order_id)
            if state is not None and not state.is_open:
                return
        right(process, event)

    return handle


_TELLING = (
    PlantedBug("silence read as rejection", "lost orders", Link, "report", _silence_is_rejection),
    PlantedBug("unknown resolved by time", "lost orders", LiveProcess, "handle", _unknown_expires),
    PlantedBug("early absence taken for proof", "lost orders", Link, "is_proof_of_absence",
               lambda _right: lambda link, order_id: True),
    PlantedBug("correction booked as another fill", "double fills", Link, "receive", _receive(_correction_as_fill)),
    PlantedBug("bust ignored", "wrong positions", Link, "receive", _receive(_no_bust)),
    PlantedBug("large fills clamped", "partial fills", Link, "receive", _receive(_clamped)),
    PlantedBug("fill after the end ignored", "missed fills", LiveProcess, "handle", _late_fill_ignored),
)  # fmt: skip


# -- what is kept ----------------------------------------------------------------------------------------------------


def _dedupe_across_orders(_right: Any) -> Callable[[OrderBook, OrderId, str], bool]:
    def has_execution(book: OrderBook, order_id: OrderId, execution: str) -> bool:
        del order_id
        return any(one.id == execution for state in book.open() for one in state.executions)

    return has_execution


def _forgets_retired(_right: Any) -> Callable[[OrderBook, OrderId, str], bool]:
    def has_execution(book: OrderBook, order_id: OrderId, execution: str) -> bool:
        state = book.get(order_id)
        return state is not None and any(one.id == execution for one in state.executions)

    return has_execution


def _reserves(wrong: Callable[[OrderState, Decimal], Decimal]) -> Callable[[Any], Any]:
    def make(right: Any) -> Any:
        return property(lambda state: wrong(state, right.fget(state)))

    return make


def _first_fill_ends(right: Callable[[OrderBook, Entry], None]) -> Callable[[OrderBook, Entry], None]:
    def apply(book: OrderBook, entry: Entry) -> None:
        right(book, entry)
        if isinstance(entry, FillBooked):
            state = book.get(entry.fill.order_id)
            if state is not None and state.is_open:
                state.order = replace(state.order, quantity=state.filled)

    return apply


def _state_without_executions(right: Callable[[OrderBook], dict[str, Any]]) -> Callable[[OrderBook], dict[str, Any]]:
    def to_plain(book: OrderBook) -> dict[str, Any]:
        plain = right(book)
        return {**plain, "orders": [{**one, "executions": []} for one in plain["orders"]]}

    return to_plain


def _restart_forgets_open(right: Any) -> Any:
    return classmethod(lambda cls, plain: right.__func__(cls, {**plain, "open": []}))


def _books_entry(wrong: Callable[[Entry], Entry]) -> Callable[[Any], Any]:
    def make(right: Callable[[Books, Entry], None]) -> Callable[[Books, Entry], None]:
        return lambda books, entry: right(books, wrong(entry))

    return make


def _without_fee(entry: Entry) -> Entry:
    return replace(entry, fill=replace(entry.fill, fee=Decimal(0))) if isinstance(entry, FillBooked) else entry


def _rounded(entry: Entry) -> Entry:
    if not isinstance(entry, FillBooked):
        return entry
    return replace(entry, fill=replace(entry.fill, price=Decimal(repr(round(float(entry.fill.price), 1)))))


def _failed_sync_ignored(_right: Any) -> Callable[[EntryLog, Callable[[], None]], None]:
    def guarded(log: EntryLog, act: Callable[[], None]) -> None:
        del log
        try:
            act()
        except OSError:
            return

    return guarded


def _failed_sync_retried(_right: Any) -> Callable[[EntryLog, Callable[[], None]], None]:
    def guarded(log: EntryLog, act: Callable[[], None]) -> None:
        del log
        try:
            act()
        except OSError:
            act()

    return guarded


def _tail_kept(_right: Any) -> Callable[..., int]:
    return lambda disk, numbers, position, end: 0


_KEEPING = (
    PlantedBug("no sync before send", "state lost on restart", PessimisticDisk, "sync",
               lambda _right: lambda disk, name: None),
    PlantedBug("failed sync ignored", "disk full", EntryLog, "_guarded", _failed_sync_ignored),
    PlantedBug("failed sync tried again", "disk full", EntryLog, "_guarded", _failed_sync_retried),
    PlantedBug("torn tail kept", "state lost on restart", recovery, "_cut_tail", _tail_kept),
    PlantedBug("no dedupe of fills", "double fills", OrderBook, "has_execution",
               lambda _right: lambda book, order_id, execution: False),
    PlantedBug("executions told apart without their order", "double fills", OrderBook, "has_execution",
               _dedupe_across_orders),
    PlantedBug("a bust forgets that the fill was told", "double fills", OrderBook, "has_execution", _forgets_retired),
    PlantedBug("unknown is not reserved", "wrong positions", OrderState, "reserved",
               _reserves(lambda state, right: Decimal(0) if state.status is OrderStatus.UNKNOWN else right)),
    PlantedBug("a cancel frees at once", "wrong positions", OrderState, "reserved",
               _reserves(lambda state, right: Decimal(0) if state.is_cancelling else right)),
    PlantedBug("unknown does not block", "wrong positions", OrderBook, "blocked", lambda _right: lambda book: {}),
    PlantedBug("the first fill ends an order", "partial fills", OrderBook, "apply", _first_fill_ends),
    PlantedBug("differing ends are not asked about", "missed fills", OrderBook, "differing",
               lambda _right: lambda book: iter(()), mix=FaultMix(silent_fill=0.6, late_fill=0.9, partial=0.9)),
    PlantedBug("snapshot without executions", "state lost on restart", OrderBook, "to_plain",
               _state_without_executions),
    PlantedBug("restart forgets open orders", "state lost on restart", OrderBook, "from_plain",
               _restart_forgets_open),
    PlantedBug("fees are not booked", "wrong positions", Books, "apply", _books_entry(_without_fee)),
    PlantedBug("prices rounded as floats", "wrong positions", Books, "apply", _books_entry(_rounded)),
)  # fmt: skip


# -- what is decided (reference core) --------------------------------------------------------------------------------


def _after_recovery(forget: Callable[[ReferenceCore], None]) -> Callable[[Any], Any]:
    def make(right: Callable[..., tuple[Effect, ...]]) -> Callable[..., tuple[Effect, ...]]:
        def recover(core: ReferenceCore, state: Any, entries: Any) -> tuple[Effect, ...]:
            effects = right(core, state, entries)
            forget(core)
            return effects

        return recover

    return make


def _forget_decision(core: ReferenceCore) -> None:
    core.decided_at = 0


def _forget_latch(core: ReferenceCore) -> None:
    core.halted = ""


def _own_clock(right: Callable[[ReferenceCore, Event], tuple[Effect, ...]]) -> Any:
    def step(core: ReferenceCore, event: Event) -> tuple[Effect, ...]:
        core.at = event.available_at
        return right(core, event)

    return step


_DECIDING = (
    PlantedBug("open orders do not count against the limit", "double fills", OrderBook, "reserved",
               lambda _right: lambda book, instrument: Reserved(), fits_all=False),
    PlantedBug("decided twice after a restart", "duplicate orders", ReferenceCore, "recover",
               _after_recovery(_forget_decision), fits_all=False),
    PlantedBug("latch lost in a restart", "state lost on restart", ReferenceCore, "recover",
               _after_recovery(_forget_latch), fits_all=False),
    PlantedBug("any price is fresh", "silent stall", ReferenceCore, "is_fresh",
               lambda _right: lambda core, nominal: True, fits_all=False),
    PlantedBug("an old word undoes a change", "double fills", ReferenceCore, "is_news",
               lambda _right: lambda core, report, state: True, fits_all=False,
               mix=FaultMix(delay=0.5, duplicate=0.6)),
    PlantedBug("time taken from the machine's clock", "clock skew", ReferenceCore, "step", _own_clock,
               fits_all=False),
)  # fmt: skip


# -- what halts (trading core) ---------------------------------------------------------------------------------------

_HALTING = (
    PlantedBug("a rule that fails halts nothing", "silent stall", reviewing, "halt_reason",
               lambda _right: lambda rulings: "", fits_reference=False, mix=FaultMix(rule_fault=0.2)),
    PlantedBug("another position at the venue is only noted", "wrong positions", holding, "compare_position",
               lambda _right: lambda core, event, name: (), fits_reference=False, mix=FaultMix(lie=0.5)),
)  # fmt: skip
