"""A kill lab: the trading core as a real process on a real disk, killed at any instant, against a venue that survives.

The supervisor is the venue (``simulation.venue``, with books of its own) behind a Unix socket; the application is a
process of its own with the journal in a folder. Time is what the venue says, so a run needs no clock; only the instant
of each kill is real. At the end three ledgers must agree to the cent: the venue's, the books, and the one that adds the
journal's executions up from scratch.

``python -m foresail.testing.killlab FOLDER SOCKET`` is the application alone, for tracing its system calls.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from foresail.core.errors import JournalStoppedError
from foresail.core.ids import InstrumentId, OrderId
from foresail.domain.effects import ReplaceSend
from foresail.domain.events import BarsClosed, Event, Rank, Timer, VenueOutcome, VenueReport
from foresail.domain.orders import Order
from foresail.ledger.disk import RealDisk
from foresail.ledger.entries import Entry, OrderIntended
from foresail.ledger.recovery import read_entries
from foresail.testing.failpoints import AFTER_TORN, PointPlan, arm
from foresail.testing.simulation.faults import FaultMix
from foresail.testing.simulation.invariants import check_decisions, check_intents, check_money, differences
from foresail.testing.simulation.loop import MS, SECOND, Chance
from foresail.testing.simulation.process import LiveProcess
from foresail.testing.simulation.reference import Board, CoreSettings
from foresail.testing.simulation.script import INSTRUMENTS
from foresail.testing.simulation.trace import Trace, ViolationError
from foresail.testing.simulation.trading import SimulatedCore, make_trading_core
from foresail.testing.simulation.venue import FakeVenue

__all__ = ["KillLab", "LabResult", "run_application"]

_START = 1_704_205_800 * SECOND
_SILENCES = 2  # reconciliations without a word, until nobody knows
_AT_POINT = 0.4  # share of lives that die in a named place
_TICKS_TO_POINT = 40  # of a life until it has died there
_STOPPED = 3  # exit code of an application whose journal stopped
_ENCODE = msgspec.json.Encoder(decimal_format="string").encode


# -- the application -------------------------------------------------------------------------------------------------


class _SocketLink:
    """A ``VenueLink`` over an ordered socket: an answer "absent" proves it, for nothing can overtake."""

    name = "lab"

    def __init__(self, wire: socket.socket) -> None:
        self._wire = wire
        self._waiting: dict[OrderId, tuple[InstrumentId, int]] = {}
        self._inbox: list[VenueReport] = []
        self.now = 0

    def send(self, order: Order) -> None:
        """Send an order."""
        self._out({"send": order}, order.id, order.instrument)

    def cancel(self, order_id: OrderId, instrument: InstrumentId) -> None:
        """Ask for an order to be taken back."""
        self._out({"cancel": order_id}, order_id, instrument)

    def replace(self, change: ReplaceSend) -> None:
        """Ask for an order to be changed."""
        self._out({"replace": change}, change.order_id, change.instrument)

    def ask(self, order_id: OrderId, instrument: InstrumentId) -> None:
        """Ask what the venue knows."""
        self._out({"ask": order_id}, order_id, instrument)

    def hear(self, report: VenueReport) -> None:
        """Take a report off the wire."""
        self._waiting.pop(report.order_id, None)
        self._inbox.append(report)

    def lose_patience(self) -> None:
        """Say of every request that was not answered for long that nobody knows."""
        for name, (instrument, rounds) in list(self._waiting.items()):
            self._waiting[name] = (instrument, rounds + 1)
            if rounds + 1 == _SILENCES:
                self._inbox.append(self._no_answer(name, instrument))

    def _no_answer(self, order_id: OrderId, instrument: InstrumentId) -> VenueReport:
        now, outcome = self.now, VenueOutcome.NO_ANSWER
        return VenueReport(now, now, Rank.VENUE_FILL, "link", instrument, 0, order_id, outcome, text="no answer")

    def take_reports(self) -> Sequence[VenueReport]:
        """Return and forget what came in."""
        found, self._inbox = self._inbox, []
        return found

    def _out(self, message: dict[str, Any], order_id: OrderId, instrument: InstrumentId) -> None:
        self._waiting.setdefault(order_id, (instrument, 0))
        self.answer(message)

    def answer(self, message: dict[str, Any]) -> None:
        """Put a line on the wire."""
        self._wire.sendall(_ENCODE(message) + b"\n")


def run_application(folder: Path, wire: socket.socket, seed: int) -> int:
    """Trade over a socket until it is closed; return the exit code (3: the journal stopped)."""
    board, link = Board(), _SocketLink(wire)
    settings = CoreSettings(seed)
    with wire.makefile("rb") as lines:
        for closes, at in msgspec.json.decode(lines.readline())["bars"]:
            board.add({InstrumentId(name): cents for name, cents in closes.items()}, at)
        try:
            process = LiveProcess(
                RealDisk(folder), lambda writer: make_trading_core(settings, board, writer), link, _START
            )
            process.begin()
            for line in lines:
                _obey(process, link, board, msgspec.json.decode(line))
        except JournalStoppedError:
            return _STOPPED
        except (BrokenPipeError, ConnectionResetError):
            return 0
    return 0


def _obey(process: LiveProcess, link: _SocketLink, board: Board, message: dict[str, Any]) -> None:
    """Do what one line of the venue leads to."""
    link.now = message.get("now", link.now)
    events: list[Event] = []
    if "report" in message:
        link.hear(msgspec.convert(message["report"], VenueReport, strict=False))
    elif "bar" in message:
        closes = {InstrumentId(name): cents for name, cents in message["bar"].items()}
        position = board.add(closes, link.now)
        events.append(BarsClosed(link.now, link.now, Rank.BASE_BAR, "bars", None, position, "tick", position))
    elif "timer" in message:
        if message["timer"] == "reconcile":
            link.lose_patience()
        events.append(Timer(link.now, link.now, Rank.DECISION, name=message["timer"]))
    for event in [*link.take_reports(), *events]:
        process.handle(event)
    if "snapshot" in message:
        process.snapshot()
    if "sync" in message:
        link.answer({"synced": message["sync"]})


# -- the supervisor --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class LabResult:
    """What a lab came to: kills, quarters of a second lived through, orders at the venue, its executions."""

    kills: int
    ticks: int
    orders: int
    executions: int


class KillLab:
    """The venue, and whoever starts and kills the application.

    Parameters
    ----------
    folder : of journal and socket
    launch : (journal folder, socket path) -> process id of a new application; by default a fork of this process
    """

    def __init__(
        self, folder: Path, seed: int, *, mix: FaultMix | None = None,
        launch: Callable[[Path, Path], int] | None = None,
    ) -> None:  # fmt: skip
        self.folder, self.seed = folder, seed
        self.journal, self.path = folder / "journal", folder / "venue.socket"
        self._launch = self._fork if launch is None else launch
        self.chance, self.trace = Chance(seed, "lab"), Trace()
        self.venue = FakeVenue(self.chance, FaultMix(partial=0.6) if mix is None else mix, self.trace, self._tell)
        self.venue.prices = {name: 10_000 + 500 * k for k, name in enumerate(INSTRUMENTS)}
        self.venue.now = _START
        self.closes: list[tuple[dict[str, int], int]] = []
        self.received: list[str] = []
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(str(self.path))
        self._listener.listen()
        self._wire: socket.socket | None = None
        self._rest = b""
        self._synced, self._ticks, self._requests = 0, 0, 0
        self.pid = 0
        self._point: tuple[str, int] | None = None
        self.points: Counter[str] = Counter()

    def close(self) -> None:
        """End what still runs and give the socket back."""
        if self.pid:
            self.hang_up()
        self._listener.close()

    def start(self, point: tuple[str, int] | None = None) -> None:
        """Start a life of the application, to die in a named place (``failpoints``) where one is given; greet it."""
        self._point = point
        self.pid = self._launch(self.journal, self.path)
        self._wire, _ = self._listener.accept()
        self._rest = b""
        self._say({"bars": self.closes})

    def hang_up(self) -> int:
        """Close the connection, at which the application ends, and return its exit status."""
        if self._wire is not None:
            self._wire.shutdown(socket.SHUT_WR)
        return self.wait()

    def kill(self) -> int:
        """Kill it, read what it had sent before, and return its exit status."""
        os.kill(self.pid, signal.SIGKILL)
        return self.wait()

    def wait(self) -> int:
        """Wait for the end of a life; what it sent before is still read."""
        _, status = os.waitpid(self.pid, 0)
        self.pid = 0
        wire = self._wire
        if wire is not None:
            wire.settimeout(None)
            self._wire = None
            while self._take(wire):
                pass
            wire.close()
        return status

    def tick(self, *, decides: bool = True, patience_s: float = 20.0) -> bool:
        """Let a quarter of a second of the venue pass; return whether the application kept up."""
        self._ticks += 1
        venue = self.venue
        venue.now += 250 * MS
        for name in INSTRUMENTS:
            venue.prices[name] = max(100, venue.prices[name] + self.chance.between(-8, 8))
        venue.tick()
        if self._ticks % 2:
            closes = {str(name): cents for name, cents in venue.prices.items()}
            self.closes.append((closes, venue.now))
            self._say({"now": venue.now, "bar": closes})
        if self._ticks % 4 == 0 and decides:
            self._say({"now": venue.now, "timer": "decide"})
        if self._ticks % 8 == 0:
            self._say({"now": venue.now, "timer": "reconcile"})
        self._say({"now": venue.now, "sync": self._ticks, **({"snapshot": 1} if self._ticks % 40 == 0 else {})})
        return self.listen(patience_s)

    def listen(self, patience_s: float) -> bool:
        """Take requests until the application has done everything that it was told, or for so long."""
        wire = self._wire
        while wire is not None and self._synced < self._ticks:
            ready, _, _ = select.select([wire], [], [], patience_s)
            if not ready or not self._take(wire):
                return False
        return True

    def run(self, kills: int, *, longest_s: float = 0.06) -> LabResult:
        """Kill so many times at random instants and in named places, let everything settle and compare the ledgers.

        Raises
        ------
        ViolationError
            If a ledger, an intent or a decision is not what it must be.
        """
        done, lived, last = 0, 0, ""
        plan = PointPlan(self.chance)
        while done < kills:
            point = plan.next(last) if last in AFTER_TORN or self.chance.happens(_AT_POINT) else None
            self.start(point)
            ticks = self.chance.between(0, 12) if point is None else _TICKS_TO_POINT
            is_alive = True
            for _ in range(ticks):
                is_alive = self.tick()
                lived += is_alive
                if not is_alive:
                    break
            if not is_alive and point is None:
                raise ViolationError(f"the application of life {done + 1} died by itself")
            if is_alive:
                self.tick(patience_s=self.chance.unit() * longest_s)
            self.kill()
            last = "" if is_alive or point is None else point[0]
            if point is not None and is_alive:
                plan.missed(point[0])
            self.points.update([last] if last else [])
            done += 1
        entries = self.settle()
        executions = sum(len(one.executions) for one in self.venue.orders.values())
        intended = sum(isinstance(one, OrderIntended) for one in entries)
        if intended < len(self.venue.orders):
            raise ViolationError(f"the venue has {len(self.venue.orders)} orders, {intended} were intended")
        return LabResult(done, lived, len(self.venue.orders), executions)

    def settle(self, ticks: int = 400) -> tuple[Entry, ...]:
        """Start once more without new decisions, wait until all is done, and check every ledger.

        Raises
        ------
        ViolationError
            If it does not come to rest, or a ledger differs.
        """
        self.start()
        for k in range(ticks):
            self.tick(decides=False)
            if k % 16 == 15 and not any(one.left for one in self.venue.working.values()):
                core, entries = self.replayed()
                if not differences(core, self.venue, CoreSettings(self.seed).deposit):
                    break
        self.kill()
        core, entries = self.replayed()
        check_decisions(entries)
        check_intents(entries, self.venue)
        check_money(entries, core)
        found = differences(core, self.venue, CoreSettings(self.seed).deposit)
        if found:
            raise ViolationError(f"not settled: {found}")
        return entries

    def replayed(self) -> tuple[SimulatedCore, tuple[Entry, ...]]:
        """Return the core and the entries that the journal on disk leads to."""
        entries = tuple(read_entries(RealDisk(self.journal)))
        board = Board()
        for closes, at in self.closes:
            board.add({InstrumentId(name): cents for name, cents in closes.items()}, at)
        core = make_trading_core(CoreSettings(self.seed), board, _Nowhere(len(entries)))
        core.recover(None, entries)
        return core, entries

    # -- the wire ----------------------------------------------------------------------------------------------------

    def _fork(self, journal: Path, path: Path) -> int:
        pid = os.fork()
        if pid:
            return pid
        code = 1
        try:
            wire = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            wire.connect(str(path))
            if self._point is not None:
                arm(*self._point, _SocketLink)
            code = run_application(journal, wire, self.seed)
        finally:
            os._exit(code)

    def _say(self, message: dict[str, Any]) -> None:
        if self._wire is None:
            return
        try:
            self._wire.sendall(_ENCODE(message) + b"\n")
        except (BrokenPipeError, ConnectionResetError):
            self._wire = None

    def _tell(self, report: VenueReport, delay: int) -> None:
        del delay
        self._say({"now": self.venue.now, "report": report})

    def _take(self, wire: socket.socket) -> bool:
        """Read what has come and do it; False at the end."""
        try:
            content = wire.recv(65536)
        except ConnectionResetError:
            return False
        *lines, self._rest = (self._rest + content).split(b"\n")
        for line in lines:
            self._requested(msgspec.json.decode(line))
        return bool(content)

    def _requested(self, message: dict[str, Any]) -> None:
        if "synced" in message:
            self._synced = message["synced"]
            return
        self._requests += 1
        if "send" in message:
            order = msgspec.convert(message["send"], Order, strict=False)
            self.received.append(order.id)
            self.venue.receive(order, self.venue.now)
        elif "cancel" in message:
            self.venue.cancel(message["cancel"])
        elif "replace" in message:
            self.venue.replace(msgspec.convert(message["replace"], ReplaceSend, strict=False), self._requests)
        elif not self.venue.ask(message["ask"]):
            now, name = self.venue.now, OrderId(message["ask"])
            self._say({"now": now, "report": VenueReport(now, now, Rank.VENUE_FILL, "venue", None, 0, name,
                                                         VenueOutcome.ABSENT)})  # fmt: skip


class _Nowhere:
    """A writer for a core that only reads: what it would write is counted and forgotten."""

    def __init__(self, next_sequence: int) -> None:
        self.next_sequence = next_sequence

    def append(self, entry: Any) -> None:
        """Forget an entry."""
        del entry
        self.next_sequence += 1


if __name__ == "__main__":
    _wire = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    _wire.connect(sys.argv[2])
    sys.exit(run_application(Path(sys.argv[1]), _wire, int(sys.argv[3])))
