"""One account on disk: opened, run, killed at any instant, opened again; the books end as if nothing had happened.

Core, simulated venue and stream are deterministic, so a start needs no second way to rebuild anything: it takes the
newest snapshot and runs the events after it once more. Every entry that this leads to is compared with the one in the
journal; where the journal ends, new entries are written. A difference stops the start: the journal is the truth, and
something that is not the same (code, strategy, bars) must not go on writing it.

What no event of the stream leads to is taken from the journal at its place: starts, latches, people's commands.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Any, Protocol, cast

from foresail.core.clock import format_ns
from foresail.core.errors import IntegrityError
from foresail.domain.effects import Notify
from foresail.domain.events import BarsClosed, Event, Operator, Rank, event_key
from foresail.engine.trading.core import TradingCore
from foresail.engine.trading.parts import TradingParts
from foresail.engine.trading.quiet_account import QuietAccount
from foresail.engine.trading.shell import MarketLink, Shell
from foresail.engine.trading.simulated import SimulatedLink
from foresail.ledger.disk import Disk
from foresail.ledger.entries import Entry, OperatorActed, SessionStarted, TradingHalted, TradingResumed
from foresail.ledger.log import EntryLog
from foresail.ledger.recovery import Session

__all__ = ["AccountRun", "RestorableLink", "StreamRules"]

_FOLDED_COMMANDS = ("latch", "unlatch")  # change latches only, so they fold wherever they stand


class RestorableLink(MarketLink, Protocol):
    """A link whose whole state goes into a snapshot."""

    def to_plain(self) -> dict[str, Any]:
        """Return the state as plain data."""
        ...

    def restore(self, plain: Mapping[str, Any]) -> None:
        """Take over a state that ``to_plain`` returned."""
        ...

    def stand_at(self, at: int) -> None:
        """Date what is asked for next by an instant of the journal, ns UTC."""
        ...


@dataclass(frozen=True, slots=True)
class StreamRules:
    """How an account is kept.

    Attributes
    ----------
    snapshot_every : events between snapshots
    commit_every : events between commits where nothing leaves; what leaves is always committed first
    begin : what to do before the first event ever (pay in the capital)
    stream : the events that will be fed; the one that a snapshot stands after must be among them; empty = unchecked
    """

    snapshot_every: int = 1000
    commit_every: int = 1
    begin: Callable[[TradingCore], None] | None = None
    stream: Sequence[Event] = ()


class _Replay:
    """The journal as the core writes it: first the entries that are there already, then the log itself."""

    def __init__(self, log: EntryLog, tail: deque[Entry]) -> None:
        self._log, self._tail = log, tail
        self._is_latching = False
        self.absorb: Callable[[Entry], None] = lambda _entry: None

    @property
    def is_live(self) -> bool:
        """Whether everything that was in the journal has been gone through."""
        return not self._tail

    @property
    def next_sequence(self) -> int:
        """The sequence number that the next entry must carry; entries that fold wherever they stand are folded."""
        self.fold_through()
        return self._tail[0].sequence if self._tail else self._log.next_sequence

    def fold_through(self) -> None:
        """Take in what stands next in the journal without an event."""
        while self._tail and self._folds(self._tail[0]):
            self.absorb(self._tail.popleft())

    def command(self) -> OperatorActed | None:
        """Return the command that stands next in the journal, None where there is none."""
        first = self._tail[0] if self._tail else None
        return first if isinstance(first, OperatorActed) else None

    def append(self, entry: Entry) -> None:
        """Add an entry, or find it in the journal.

        Raises
        ------
        IntegrityError
            If the journal holds another entry at this place.
        """
        if not self._tail:
            self._log.append(entry)
            return
        found = self._tail.popleft()
        if found != entry:
            raise IntegrityError(
                f"entry {found.sequence} of the journal is {found}; running the stream again gives {entry}",
                hint="start with the code, strategy and bars that wrote the journal; change them after a clean stop",
            )

    def _folds(self, entry: Entry) -> bool:
        if isinstance(entry, OperatorActed):
            verb = entry.command.split(":")[0].split()[0]
            self._is_latching = verb in _FOLDED_COMMANDS
            return self._is_latching
        if isinstance(entry, TradingHalted | TradingResumed) and self._is_latching:
            self._is_latching = False  # a halt after it is the core's own: running the stream again leads to it
            return True
        return isinstance(entry, SessionStarted)


class AccountRun:
    """An account that runs over a stream; made by ``open``.

    Attributes
    ----------
    core, link : as they stand
    applied : events of the stream applied so far; the next one to feed has this number
    """

    def __init__(
        self, parts: TradingParts, link: RestorableLink, log: EntryLog, rules: StreamRules, session: Session
    ) -> None:
        found = log.recovery
        started = SessionStarted(
            log.last_at, log.next_sequence - 1, found.epoch, session.environment, session.account,
            session.build, session.settings,
        )  # fmt: skip
        self._log, self._rules = log, rules
        self._writer = _Replay(log, deque((*found.entries, started)))
        self.link = link
        self.core = TradingCore(parts, self._writer)
        self._writer.absorb = self.core.absorb
        self.notices: list[Notify] = []
        self._quiet = QuietAccount(self.core, link) if isinstance(link, SimulatedLink) else None
        self._shell = Shell(self.core, link, commit=log.commit, is_lazy=True, notify=self.notices.append)
        self.applied = 0
        self._newest: list[Any] | None = None  # the event applied last, by its key
        self._since_snapshot = 0
        if found.state is not None:
            self.core.restore(found.state["core"])
            link.restore(found.state["link"])
            self.applied = int(found.state["applied"])
            self._newest = found.state.get("newest")
            _check_place(rules.stream, self.applied, self._newest)
        elif rules.begin is not None:
            rules.begin(self.core)
            log.commit()
        self._catch_up()

    @classmethod
    def open(
        cls, parts: TradingParts, link: RestorableLink, disk: Disk, session: Session, rules: StreamRules, *, at: int = 0
    ) -> AccountRun:
        """Lock the account's journal and take up where it stands; feed the stream from event ``applied`` on.

        Parameters
        ----------
        at : instant of the start, ns UTC; 0 on a replayed stream, whose time is the stream's

        Raises
        ------
        IntegrityError
            If another process runs the account, its journal is damaged, or the stream is not the one it stands in.
        """
        log = EntryLog.open(disk, session, at=at)
        try:
            return cls(parts, link, log, rules, session)
        except BaseException:
            log.close()
            raise

    @property
    def is_live(self) -> bool:
        """Whether everything that the journal held has been gone through: from here on entries are new."""
        return self._writer.is_live

    def apply(self, event: Event) -> None:
        """Apply the next event of the stream."""
        self._shell.apply(event)
        self.applied += 1
        self._newest = list(event_key(event))
        self._since_snapshot += 1
        self._catch_up()
        self._settle()

    def pass_quiet(self, events: Sequence[Event]) -> int:
        """Apply the next events as far as they are bars on which nothing is open, held or decided; return how many.

        Journal, groups of a commit and snapshots are those of ``apply`` event by event.

        Parameters
        ----------
        events : of the whole stream
        """
        first, rules = self.applied, self._rules
        if self._quiet is None or self.core.books.is_invested or not self.is_live:
            return 0
        last = first + rules.commit_every - first % rules.commit_every
        last = min(last, first + max(1, rules.snapshot_every - self._since_snapshot), len(events))
        bars = list(takewhile(lambda event: isinstance(event, BarsClosed), events[first:last]))
        if not bars:
            return 0
        start = cast("BarsClosed", bars[0]).position
        done = self._quiet.pass_through(start, start + len(bars))
        if done:
            self.applied += done
            self._newest = list(event_key(bars[done - 1]))
            self._since_snapshot += done
            self._settle()
        return done

    def _settle(self) -> None:
        """Store a snapshot or commit, where one is due after an event."""
        if self._since_snapshot >= self._rules.snapshot_every and self.is_live:
            self.snapshot()
        elif self.applied % self._rules.commit_every == 0:
            self._log.commit()

    def command(self, command: str, operator: str) -> None:
        """Do what a person asks, at the instant of the newest entry.

        Raises
        ------
        ConfigError
            If there is no such command.
        """
        self._operate(command, operator, self.core.books.at)

    def snapshot(self) -> None:
        """Store the whole state, so that the next start begins here."""
        plain = {"core": self.core.to_plain(), "link": self.link.to_plain()}
        self._log.snapshot({**plain, "applied": self.applied, "newest": self._newest})
        self._since_snapshot = 0

    def close(self) -> None:
        """Give the account back; what was not committed is led to again by the next start."""
        self._log.close()

    def _catch_up(self) -> None:
        """Repeat the commands that stand here in the journal."""
        self._writer.fold_through()
        while (acted := self._writer.command()) is not None:
            self._operate(acted.command, acted.operator, acted.at)
            self._writer.fold_through()

    def _operate(self, command: str, operator: str, at: int) -> None:
        event = Operator(at, at, Rank.DECISION, source=operator, command=command)
        self.link.stand_at(at)  # events that no entry tells of may come before or after it when the stream is run again
        self._shell.settle(self.core.step(event))
        self._log.commit()


def _check_place(stream: Sequence[Event], applied: int, newest: Sequence[Any] | None) -> None:
    """Refuse a stream that has another event where a snapshot stands; older snapshots do not know theirs.

    An event that came in between earlier ones moves all others on: a bar that was traded would be traded again.
    """
    if newest is None or not 0 < applied <= len(stream) or list(event_key(stream[applied - 1])) == list(newest):
        return
    was, now = (
        f"{format_ns(int(one[0]))} {one[2]} {one[3]}".rstrip() for one in (newest, event_key(stream[applied - 1]))
    )
    raise IntegrityError(
        f"the account stands after event {applied} of its stream, that of {was}; now that one is of {now}",
        hint="bars or facts before it are stored otherwise now: give a row that came late the time at which it came as "
        "its available time, restore what was changed, and start again",
    )
