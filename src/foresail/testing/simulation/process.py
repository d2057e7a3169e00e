"""One life of the application inside a run: it recovers, steps, commits, and only then lets anything out.

The link is the application's side of the wire. It says "no answer" after a while, and it takes "absent" for a proof
only where no earlier request of ours can still arrive: requests carry their validity, and the venue honours it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol

from foresail.core.ids import InstrumentId, OrderId
from foresail.domain.effects import Ask, CancelSend, Effect, ReplaceSend, Send
from foresail.domain.events import Event, Rank, VenueOutcome, VenueReport
from foresail.domain.orders import Order
from foresail.ledger.books import Books
from foresail.ledger.disk import Disk
from foresail.ledger.entries import Entry, SessionStarted
from foresail.ledger.log import EntryLog
from foresail.ledger.orders import OrderBook
from foresail.ledger.recovery import Session
from foresail.protocols import EntryWriter, VenueLink
from foresail.testing.disk import PessimisticDisk
from foresail.testing.simulation.loop import SECOND, VirtualLoop
from foresail.testing.simulation.script import ACCOUNT, ENVIRONMENT

__all__ = ["SESSION", "Core", "CoreFactory", "Link", "LiveProcess", "Process", "Wire"]

SESSION = Session(ENVIRONMENT, ACCOUNT, "build", "settings")
_PATIENCE = 2 * SECOND  # without a word for so long, nobody knows
_VALIDITY = 5 * SECOND  # of a request at the venue


class Core(Protocol):
    """What is under test."""

    @property
    def books(self) -> Books:
        """Money and positions."""
        ...

    @property
    def orders(self) -> OrderBook:
        """Orders and what became of them."""
        ...

    def recover(self, state: Mapping[str, Any] | None, entries: Iterable[Entry]) -> tuple[Any, ...]:
        """Fold a snapshot and the tail; return effects (a core may know more kinds than are carried here)."""
        ...

    def step(self, event: Event) -> tuple[Any, ...]:
        """Take in an event."""
        ...

    def to_plain(self) -> dict[str, Any]:
        """Return the state."""
        ...


CoreFactory = Callable[[EntryWriter], Core]


class Wire(Protocol):
    """What carries requests to the venue, or loses them."""

    def send(self, order: Order, valid_until: int) -> None:
        """Carry an order."""
        ...

    def cancel(self, order_id: OrderId) -> None:
        """Carry a cancel."""
        ...

    def replace(self, change: ReplaceSend) -> None:
        """Carry a change."""
        ...

    def ask(self, order_id: OrderId, answer: Callable[[], None]) -> None:
        """Carry a question; ``answer`` is called when word arrives that the venue has no such order."""
        ...


class Link:
    """A ``VenueLink`` on a wire of the simulation."""

    def __init__(self, loop: VirtualLoop, wire: Wire, wake: Callable[[], None]) -> None:
        self._loop, self._wire, self._wake = loop, wire, wake
        self._inbox: list[VenueReport] = []
        self._waiting: dict[OrderId, int] = {}
        self._names: dict[OrderId, InstrumentId] = {}
        self._fences: dict[OrderId, int] = {}
        self._first_fence = loop.now + _VALIDITY  # an earlier process may have sent just before it died
        self._requests = 0
        self.times_sent: dict[OrderId, int] = {}

    @property
    def name(self) -> str:
        """Name of the venue and environment."""
        return "fake/simulation"

    def send(self, order: Order) -> None:
        """Send an order under its own id."""
        self.times_sent[order.id] = self.times_sent.get(order.id, 0) + 1
        self._fences[order.id] = self._loop.now + _VALIDITY
        self._await(order.id, order.instrument)
        self._wire.send(order, self._loop.now + _VALIDITY)

    def cancel(self, order_id: OrderId, instrument: InstrumentId) -> None:
        """Ask for an order to be taken back."""
        self._await(order_id, instrument)
        self._wire.cancel(order_id)

    def replace(self, change: ReplaceSend) -> None:
        """Ask for an order to be changed."""
        self._await(change.order_id, change.instrument)
        self._wire.replace(change)

    def ask(self, order_id: OrderId, instrument: InstrumentId) -> None:
        """Ask what the venue knows of an order."""
        self._await(order_id, instrument)
        is_proof, sent = self.is_proof_of_absence(order_id), self.times_sent.get(order_id, 0)

        def answer() -> None:  # an answer to a question from before another sending proves nothing about that
            still = is_proof and self.times_sent.get(order_id, 0) == sent
            self._absent(order_id, instrument, is_proof=still)

        self._wire.ask(order_id, answer)

    def take_reports(self) -> Sequence[VenueReport]:
        """Return and forget what came in."""
        found, self._inbox = self._inbox, []
        return found

    def receive(self, report: VenueReport) -> None:
        """Take a report off the wire."""
        self._waiting.pop(report.order_id, None)
        self._inbox.append(report)
        self._wake()

    def is_proof_of_absence(self, order_id: OrderId) -> bool:
        """Return whether nothing that we sent under an id can still arrive at the venue."""
        return self._loop.now > self._fences.get(order_id, self._first_fence)

    def _absent(self, order_id: OrderId, instrument: InstrumentId, *, is_proof: bool) -> None:
        outcome = VenueOutcome.ABSENT if is_proof else VenueOutcome.NO_ANSWER
        self.receive(self.report(order_id, instrument, outcome, "the venue has no such order"))

    def _await(self, order_id: OrderId, instrument: InstrumentId) -> None:
        self._requests += 1
        self._names[order_id] = instrument
        if order_id not in self._waiting:
            self._waiting[order_id] = self._requests
            self._loop.plan(_PATIENCE, self.give_up, order_id, instrument, self._requests)

    def give_up(self, order_id: OrderId, instrument: InstrumentId, request: int) -> None:
        """Say that nobody knows, where no word came."""
        if self._waiting.get(order_id) == request:
            self.receive(self.report(order_id, instrument, VenueOutcome.NO_ANSWER, "no answer"))

    def cut(self) -> None:
        """Say of every request that waits that nobody knows: the connection is gone."""
        for order_id, request in list(self._waiting.items()):
            self.give_up(order_id, self._names[order_id], request)

    def refused(self, order_id: OrderId) -> None:
        """Say that nobody knows of a request that the venue turned away unread: an earlier one may still stand."""
        if order_id in self._waiting:
            self.give_up(order_id, self._names[order_id], self._waiting[order_id])

    def report(self, order_id: OrderId, instrument: InstrumentId, outcome: VenueOutcome, text: str) -> VenueReport:
        """Return the link's own word on an order."""
        now = self._loop.now
        return VenueReport(
            now, now, Rank.VENUE_FILL, "link", instrument, self._requests, order_id, outcome, text=text
        )  # fmt: skip


class LiveProcess:
    """A running application: journal, core and link.

    Parameters
    ----------
    at : what its clock says, ns UTC
    """

    def __init__(self, disk: Disk, make_core: CoreFactory, link: VenueLink, at: int) -> None:
        self.venue_link = link
        self.log = EntryLog.open(disk, SESSION, at=at)
        self.core = make_core(self.log)
        found = self.log.recovery
        begun = SessionStarted(
            self.log.last_at, self.log.next_sequence - 1, found.epoch, ENVIRONMENT, ACCOUNT, SESSION.build,
            SESSION.settings,
        )  # fmt: skip
        self._first = self.core.recover(found.state, (*found.entries, begun))

    def begin(self) -> None:
        """Perform what recovery asks for."""
        self.finish(self._first)

    def handle(self, event: Event) -> None:
        """Take in an event; everything that it leads to is durable before anything leaves."""
        self.finish(self.core.step(event))

    def snapshot(self) -> None:
        """Store the state, so that the next start reads less."""
        self.log.snapshot(self.core.to_plain())

    def finish(self, effects: tuple[Effect, ...]) -> None:
        """Make everything durable, then let the effects out."""
        self.log.commit()
        for effect in effects:
            self.perform(effect)

    def perform(self, effect: Effect) -> None:
        """Let one effect out."""
        if isinstance(effect, Send):
            self.venue_link.send(effect.order)
        elif isinstance(effect, CancelSend):
            self.venue_link.cancel(effect.order_id, effect.instrument)
        elif isinstance(effect, ReplaceSend):
            self.venue_link.replace(effect)
        elif isinstance(effect, Ask):
            self.venue_link.ask(effect.order_id, effect.instrument)


class Process(LiveProcess):
    """A running application on a link of the simulation."""

    def __init__(self, disk: PessimisticDisk, make_core: CoreFactory, link: Link, at: int) -> None:
        self.link = link
        super().__init__(disk, make_core, link, at)
