"""One run: a seed, a mix of faults, the application, the venue, the wire between them and the machine below.

Phase one is unsafe: everything in the mix goes wrong. Phase two heals it all and demands progress: within a bounded
time nothing is unknown, nothing is open, and three ledgers agree to the cent.
"""

from __future__ import annotations

import errno
from collections.abc import Callable

from foresail.core.errors import IntegrityError, JournalStoppedError
from foresail.core.ids import OrderId
from foresail.domain.effects import ReplaceSend
from foresail.domain.events import BarsClosed, Event, Fact, Operator, Rank, Timer, VenueReport
from foresail.domain.orders import Order
from foresail.ledger.recovery import read_entries
from foresail.protocols import EntryWriter
from foresail.testing.disk import PessimisticDisk, PowerCutError
from foresail.testing.simulation import invariants
from foresail.testing.simulation.faults import CALM, FaultMix, draw_mix
from foresail.testing.simulation.loop import MS, SECOND, Chance, VirtualLoop
from foresail.testing.simulation.process import Core, Link, Process
from foresail.testing.simulation.reference import Board, CoreSettings
from foresail.testing.simulation.script import INSTRUMENTS
from foresail.testing.simulation.settings import Outcome, WorldSettings
from foresail.testing.simulation.trace import Trace, ViolationError
from foresail.testing.simulation.venue import FakeVenue, VenueExecution, VenueOrder

__all__ = ["World", "run_seed"]

_START = 1_704_205_800 * SECOND  # Tuesday 2024-01-02, 14:30 UTC
_LONGER = 100 * MS  # of a ban, for each request that comes meanwhile
_MOST_EVENTS = 3_000  # a run has about 100; one that never comes to rest is cut short


def run_seed(seed: int, settings: WorldSettings | None = None, mix: FaultMix | None = None) -> Outcome:
    """Run one seed with its own mix of faults, or with a given one."""
    world = World(seed, WorldSettings() if settings is None else settings, mix)
    violation = ""
    try:
        world.run()
    except ViolationError as error:
        violation = str(error)
    except (IntegrityError, OSError, ArithmeticError, LookupError, ValueError, TypeError) as error:
        violation = f"0: {type(error).__name__}: {error}"
    trace = world.trace
    return Outcome(seed, trace.digest, trace.events, dict(sorted(trace.counts.items())), violation,
                   tuple(trace.lines or ()))  # fmt: skip


class World:
    """Everything of one run; also the wire (``process.Wire``)."""

    def __init__(self, seed: int, settings: WorldSettings, mix: FaultMix | None = None) -> None:
        self.seed, self.settings = seed, settings
        self.chance = Chance(seed, "world")
        self.mix = draw_mix(self.chance) if mix is None else mix
        self.trace = Trace(keeps_lines=settings.keeps_lines)
        self.loop = VirtualLoop(_START, self.trace)
        self.board = Board()
        self.core_settings = CoreSettings(seed, rule_fault=self.mix.rule_fault)
        self.venue = FakeVenue(self.chance, self.mix, self.trace, self._tell)
        self.venue.doubt = self._plan_doubt
        self.venue.prices = {name: 10_000 + 500 * k for k, name in enumerate(INSTRUMENTS)}
        self.disk = PessimisticDisk(seed, syncs=settings.syncs)
        self.process: Process | None = None
        self.sent: dict[OrderId, Order] = {}
        self.lives = 0
        self._requests = 0
        self._connection = 0
        self._banned_until = 0
        self._clock_back = 0
        self._frozen_until = 0
        self._priced_at = 0
        self._is_latched = False
        self._is_deciding = True
        self._last_decision: Timer | None = None
        self._bars = 0

    # -- phases ------------------------------------------------------------------------------------------------------

    def run(self) -> None:
        """Run both phases.

        Raises
        ------
        ViolationError
            At the first invariant that does not hold.
        """
        self._start()
        self.loop.plan(0, self._tick)
        self.loop.plan(700 * MS, self._decision)
        self.loop.plan(1900 * MS, self._reconcile)
        self.loop.plan(SECOND, self._misfortune)
        self.loop.run_until(_START + self.settings.unsafe)
        self._heal()
        self.loop.run_until(self.loop.now + self.settings.calm)
        self._is_deciding = False
        self._settle()
        if hasattr(self._alive().core, "latches"):
            self._close_all()

    def _heal(self) -> None:
        self.mix = self.venue.mix = CALM
        self._clock_back, self._frozen_until, self._banned_until = 0, 0, 0
        self.disk.arm()
        for one in self.venue.orders.values():
            one.is_mute = False
        if self.process is None:
            self._start()
        self._log_on()
        self.trace.add(self.loop.now, "world", "healed")
        self.loop.plan(SECOND, self._operator, "rearm")

    def _settle(self) -> None:
        """Wait until everything agrees; then check the whole run."""
        last = self.loop.now + self.settings.patience
        while True:
            self.loop.run_until(self.loop.now + SECOND)
            process = self._alive()
            found = invariants.differences(process.core, self.venue, self.core_settings.deposit)
            if not found:
                break
            if "blocked: " in found:
                self._operator("rearm")
            if self.loop.now >= last:
                raise ViolationError(f"liveness: not settled after healing: {found}")
        self._check_all()
        self.trace.add(self.loop.now, "world", f"settled {self.venue.statement()}")

    def _close_all(self) -> None:
        """Press the kill switch at the end of all: nothing is held or open afterwards, and nothing opens again."""
        self._operator("kill close")
        self._settle()
        process = self._alive()
        if process.core.books.positions() or self.venue.statement().positions:
            raise ViolationError(f"7: a closing kill left {process.core.books.positions()} open")
        self._is_deciding = True
        self.loop.run_until(self.loop.now + 2 * SECOND)
        self._is_deciding = False
        self._check_all()
        if self.venue.statement().positions:
            raise ViolationError("7: something was opened behind a closing kill")

    # -- the machine -------------------------------------------------------------------------------------------------

    def _start(self) -> None:
        """Begin a life on the disk as it is now."""
        self.lives += 1
        link = Link(self.loop, self, self._drain)
        try:
            self.process = Process(self.disk, self._make_core, link, self._clock())
            self.process.begin()
        except (PowerCutError, OSError, JournalStoppedError) as error:
            self._die(error)
            return
        self.trace.add(self.loop.now, "process", f"life {self.lives} at entry {self.process.log.next_sequence}")
        if self.lives > 1:
            self.trace.count("recovery")
            self._log_on()
            self._check_all()
            if self._last_decision is not None:
                self._give(self._last_decision)  # a stream that is read again asks again

    def _make_core(self, writer: EntryWriter) -> Core:
        return self.settings.make_core(self.core_settings, self.board, writer)

    def _log_on(self) -> None:
        """Let the venue tell busts and corrections again, as venues do when a session is opened."""
        for one in self.venue.orders.values():
            self.venue.tell_changes(one)

    def _die(self, error: BaseException | None) -> None:
        """End this life: by loss of power, by a disk that failed, or by a kill (no error)."""
        self.process = None
        if isinstance(error, PowerCutError):
            self.trace.count("power_cut")
            self.disk = self.disk.image()
        elif isinstance(error, OSError | JournalStoppedError):
            self.trace.count("disk_error")
            self.disk = self.disk.image()
        else:
            self.trace.count("kill")
            self.disk.close()
        self.disk.arm()
        self.trace.add(self.loop.now, "process", f"dies {type(error).__name__}")
        self.loop.plan(self.chance.between(100, 2500) * MS, self._restart, self.lives)

    def _restart(self, life: int) -> None:
        if self.process is None and life == self.lives:
            self._start()

    def _alive(self) -> Process:
        if self.process is None:
            raise ViolationError("liveness: the application does not run after the healing")
        return self.process

    def _clock(self) -> int:
        return self.loop.now - self._clock_back

    def _misfortune(self) -> None:
        """Draw, once a second, what befalls the machine and its people."""
        self.loop.plan(SECOND, self._misfortune)
        if self.mix is CALM:
            return
        self._break_machine()
        self._mislead()
        self._break_connection()
        if self.loop.now % (4 * SECOND) < SECOND:
            self._guard(lambda process: process.snapshot())

    def _break_machine(self) -> None:
        mix, chance = self.mix, self.chance
        if chance.happens(mix.power_cut):
            self.disk.arm(crash_in=chance.between(1, 12))
        elif chance.happens(mix.disk_error):
            self.disk.arm(fail_in=chance.between(1, 12), error=errno.EIO if chance.unit() < 0.5 else errno.ENOSPC)
        elif chance.happens(mix.kill) and self.process is not None:
            self._die(None)
        if chance.happens(mix.clock_back):
            self.trace.count("clock_back")
            self._clock_back += chance.between(1, 5000) * MS

    def _break_connection(self) -> None:
        mix, chance = self.mix, self.chance
        if chance.happens(mix.reset):
            self.trace.count("reset")
            self._connection += 1
            if self.process is not None:
                self.process.link.cut()
                self.loop.plan(chance.between(100, 900) * MS, self._reconnected, self.lives)
        if chance.happens(mix.ban):
            self.trace.count("ban")
            self._banned_until = self.loop.now + chance.between(500, 3000) * MS

    def _reconnected(self, life: int) -> None:
        if self._is_same(life):
            self._log_on()
            self._give(Timer(self._clock(), self.loop.now, Rank.DECISION, name="reconcile"))

    def _mislead(self) -> None:
        mix, chance = self.mix, self.chance
        if chance.happens(mix.freeze):
            self.trace.count("freeze")
            self._frozen_until = self.loop.now + chance.between(1000, 6000) * MS
        if chance.happens(mix.lie):
            self.trace.count("lie")
            now, held = self._clock(), float(chance.below(99))
            self._give(Fact(now, now, Rank.FEATURES, "venue", INSTRUMENTS[0], kind="position", value=held))
            self.loop.plan(2 * SECOND, self._operator, f"resume {INSTRUMENTS[0]}")
        if chance.happens(mix.operator_kill):
            self.trace.count("operator_kill")
            self._operator("kill")
            if chance.happens(0.5):
                self.loop.plan(2 * SECOND, self._operator, "rearm")
        if chance.happens(mix.kill_close):
            self.trace.count("kill_close")
            self._operator("kill close")
            self.loop.plan(3 * SECOND, self._operator, "rearm")

    # -- events to the application -----------------------------------------------------------------------------------

    def _tick(self) -> None:
        self.loop.plan(250 * MS, self._tick)
        venue = self.venue
        venue.now = self.loop.now
        for name in INSTRUMENTS:
            venue.prices[name] = max(100, venue.prices[name] + self.chance.between(-8, 8))
        venue.tick()
        self._check_touched()
        self._bars += 1
        if self._bars % 2 and self.loop.now >= self._frozen_until:
            at = self._clock()
            position = self.board.add(venue.prices, self.loop.now)
            if self.process is not None:
                self._priced_at = self.loop.now
            self._give(BarsClosed(at, self.loop.now, Rank.BASE_BAR, "bars", None, position, "tick", position))

    def _decision(self) -> None:
        self.loop.plan(SECOND, self._decision)
        if self._is_deciding:
            self._last_decision = Timer(self.loop.now, self.loop.now, Rank.DECISION, name="decide")
            self._give(self._last_decision)

    def _reconcile(self) -> None:
        self.loop.plan(2 * SECOND, self._reconcile)
        self._give(Timer(self._clock(), self.loop.now, Rank.DECISION, name="reconcile"))

    def _operator(self, command: str) -> None:
        now = self._clock()
        before = self.lives if self.process is not None else 0
        self._is_latched = self._is_latched and command != "rearm"
        self._give(Operator(now, now, Rank.DECISION, "operator", None, 0, command))
        if command.startswith("kill") and self.process is not None and before == self.lives:
            self._is_latched = True

    def _drain(self) -> None:
        if self.process is not None:
            for report in self.process.link.take_reports():
                self._give(report)

    def _give(self, event: Event) -> None:
        if self.trace.events > _MOST_EVENTS:
            raise ViolationError(f"liveness: more than {_MOST_EVENTS} events in one run")
        self._guard(lambda process: process.handle(event))
        self._check_touched()
        if isinstance(event, VenueReport):
            self.trace.add(self.loop.now, "app", f"{event.outcome} {event.order_id[:8]} {event.left} {event.execution}")
            if self.process is not None and event.order_id in self.venue.orders:
                invariants.check_order(event.order_id, self.process.core, self.venue)
        else:
            self.trace.add(self.loop.now, "app", f"{type(event).__name__}")

    def _guard(self, act: Callable[[Process], None]) -> None:
        if self.process is None:
            return
        try:
            act(self.process)
        except (PowerCutError, JournalStoppedError) as error:
            self._die(error)

    # -- the wire ----------------------------------------------------------------------------------------------------

    def send(self, order: Order, valid_until: int) -> None:
        """Carry an order; what leaves is checked here."""
        process = self._sender()
        invariants.check_send(order, process.core, self.sent)
        invariants.check_age(order, self.loop.now)
        if self.settings.looks_at_disk:
            invariants.check_durable(order, self.disk)
        if order.id in self.sent:
            self.trace.count("resend")
        else:
            age, oldest = order.decided_at - self._priced_at, self.core_settings.oldest_price
            invariants.check_opening(order, process.core, age=age, oldest=oldest, is_latched=self._is_latched)
        self.sent[order.id] = order
        self.trace.add(self.loop.now, "wire", f"send {order.id} {order.side} {order.quantity} {order.limit_price}")
        self._carry(order.id, lambda: self.venue.receive(order, valid_until))

    def cancel(self, order_id: OrderId) -> None:
        """Carry a cancel."""
        self._sender()
        self.trace.add(self.loop.now, "wire", f"cancel {order_id[:8]}")
        self._carry(order_id, lambda: self.venue.cancel(order_id))

    def replace(self, change: ReplaceSend) -> None:
        """Carry a change."""
        self._sender()
        self._requests += 1
        number = self._requests
        self.trace.add(self.loop.now, "wire", f"replace {change.order_id[:8]} {change.quantity}")
        self._carry(change.order_id, lambda: self.venue.replace(change, number))

    def ask(self, order_id: OrderId, answer: Callable[[], None]) -> None:
        """Carry a question."""
        self._sender()
        life = self.lives

        def arrive() -> None:
            if not self.venue.ask(order_id):
                self._back(lambda: answer() if self._is_same(life) else None)

        self._carry(order_id, arrive)

    def _sender(self) -> Process:
        process = self.process
        if process is None or process.log.stopped:
            raise ViolationError("1: something left although the journal had stopped")
        return process

    def _carry(self, order_id: OrderId, arrive: Callable[[], None]) -> None:
        """Bring a request to the venue, or not, or twice."""
        connection = self._connection
        if self.chance.happens(self.mix.drop_request):
            self.trace.count("drop_request")
            return

        def act() -> None:
            if connection != self._connection:
                self.trace.count("lost in a reset")
            elif self.loop.now < self._banned_until:
                self.trace.count("request while banned")
                self._banned_until += _LONGER
                self._refuse(order_id, connection)
            else:
                self.venue.now = self.loop.now
                arrive()
                self._check_touched()

        self.loop.plan(self._latency(), act)
        if self.chance.happens(self.mix.duplicate):
            self.trace.count("duplicate_request")
            self.loop.plan(self._latency(), act)

    def _tell(self, report: VenueReport, delay: int) -> None:
        """Bring a report to the application that runs now; one that dies before it arrives never sees it."""
        life = self.lives
        self._back(lambda: self._deliver(report, life), delay)

    def _back(self, arrive: Callable[[], None], delay: int = 0) -> None:
        if self.chance.happens(self.mix.drop_response):
            self.trace.count("drop_response")
            return
        connection = self._connection

        def act() -> None:
            if connection == self._connection:
                arrive()

        self.loop.plan(delay + self._latency(), act)
        if self.chance.happens(self.mix.duplicate):
            self.trace.count("duplicate_report")
            self.loop.plan(delay + self._latency(), act)

    def _refuse(self, order_id: OrderId, connection: int) -> None:
        """Turn a request away without a look at it."""
        life = self.lives

        def arrive() -> None:
            if self._is_same(life) and connection == self._connection and self.process is not None:
                self.process.link.refused(order_id)

        self.loop.plan(self._latency(), arrive)

    def _deliver(self, report: VenueReport, life: int) -> None:
        if self._is_same(life) and self.process is not None:
            self.process.link.receive(report)

    def _is_same(self, life: int) -> bool:
        return self.process is not None and life == self.lives

    def _latency(self) -> int:
        if self.chance.happens(self.mix.delay):
            self.trace.count("delay")
            return self.chance.between(500, 8000) * MS
        return self.chance.between(2, 40) * MS

    def _plan_doubt(self, one: VenueOrder, execution: VenueExecution) -> None:
        self.loop.plan(self.chance.between(100, 6000) * MS, self._doubt, one, execution)

    def _doubt(self, one: VenueOrder, execution: VenueExecution) -> None:
        if self.mix is not CALM:
            self.venue.now = self.loop.now
            self.venue.second_thoughts(one, execution)
            self._check_touched()

    # -- checks ------------------------------------------------------------------------------------------------------

    def _check_touched(self) -> None:
        """Check what the venue did since the last look."""
        venue, touched = self.venue, self.venue.touched
        if not touched:
            return
        if self.process is not None:
            for order_id in touched:
                invariants.check_order(order_id, self.process.core, venue)
            invariants.check_limit(venue, self.core_settings.most)
        touched.clear()

    def _check_all(self) -> None:
        """Check the whole journal from its bytes, the folds over it, and every order at the venue."""
        process = self._alive()
        entries = tuple(read_entries(self.disk))
        invariants.check_decisions(entries)
        invariants.check_intents(entries, self.venue)
        invariants.check_levels(entries)
        invariants.check_changes(entries)
        invariants.check_filled(entries, process.core)
        if hasattr(process.core, "latches"):  # the reference core compares nothing and has no rules
            invariants.check_halts(entries)
        invariants.check_money(entries, process.core)
        invariants.check_replay(entries, process.core, self._make_core(process.log))
        for order_id in self.venue.orders:
            invariants.check_order(order_id, process.core, self.venue)
