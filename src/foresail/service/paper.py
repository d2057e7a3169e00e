"""Paper trading as a process: started, stopped, killed and started again at will on one account folder.

``accounts/NAME`` holds ``account.json`` (what is traded, fixed at the first start), ``journal/`` (the truth),
``status.json`` (a projection for screens) and ``commands/`` (those of persons, each removed once journalled).
"""

from __future__ import annotations

import gc
import os
import signal
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from foresail import __version__
from foresail.core.canonical import hash_value
from foresail.core.clock import Clock, SystemClock, to_ns
from foresail.core.errors import ConfigError, ForesailError, UserError
from foresail.domain.events import BarsClosed, Event
from foresail.domain.panel import Panel
from foresail.engine.trading.account import AccountRun, StreamRules
from foresail.ledger.disk import RealDisk
from foresail.ledger.recovery import Session, read_entries
from foresail.protocols import Progress
from foresail.service.account_risk import exception_lines, exceptions
from foresail.service.accounts import AccountFolder, check_person, is_running, whole_account
from foresail.service.bars_seen import BarsSeen
from foresail.service.commands import journalled_ids
from foresail.service.following import BarFollower, settled_events
from foresail.service.limit_versions import (
    LimitVersion,
    confirm_versions,
    read_versions,
    version_of,
    write_versions,
)
from foresail.service.links import link_commands, link_facts
from foresail.service.monitor import account_record, days_lived, last_alerts, slippage_figures, slippage_line
from foresail.service.outcome import Outcome
from foresail.service.paper_status import latency_figures, status_lines, status_of
from foresail.service.stream import Stream, StreamRequest, open_stream
from foresail.service.terms import terms_of
from foresail.service.workspace import find_workspace

__all__ = ["PaperRequest", "paper_status", "parse_speed", "start_paper", "stop_paper"]

_STATUS_EVERY_S = 1.0
_LATENCIES = 10_000  # newest decisions whose latency is kept
_NAP_S = 0.05
_PROCESS = "process"  # who tells facts of links
_GROUP = 64  # events in one commit at full speed, where nothing leaves


@dataclass(frozen=True, slots=True)
class PaperRequest:
    """What ``foresail paper start`` was asked; ``stream`` None takes up an account that exists.

    Attributes
    ----------
    speed : "max", or how many times faster than the bars' own time, for example "1x"
    snapshot_every : events between snapshots
    confirm_limits : who lets a change hold that loosens limits; None = nobody
    follow_s : seconds between looks for newly stored bars, once those that are there are done; None = end with them
    """

    account: str
    stream: StreamRequest | None = None
    speed: str = "max"
    snapshot_every: int = 1000
    confirm_limits: str | None = None
    follow_s: float | None = None


def parse_speed(text: str) -> float:
    """Return how many times faster than the bars' time, infinity for "max".

    Raises
    ------
    ConfigError
        If it is neither "max" nor a positive number with an x.
    """
    if text == "max":
        return float("inf")
    try:
        speed = float(text.removesuffix("x"))
    except ValueError:
        speed = 0.0
    if not 0.0 < speed < float("inf"):
        raise ConfigError(f"--speed: expected max or a factor such as 1x or 60x, received {text!r}")
    return speed


class _Daemon:
    """The loop: one event after another, commands between them, until the end, a signal or a stop."""

    def __init__(self, folder: AccountFolder, request: PaperRequest, clock: Clock, progress: Progress) -> None:
        self._folder, self._request, self._clock, self._progress = folder, request, clock, progress
        self._speed = parse_speed(request.speed)
        self._is_stopping = False
        self._is_live = False  # whether the account has followed its set, now or before
        self._journalled: set[str] | None = None  # ids of commands that were in the journal when it was opened
        self.total = 0  # events of the stream, as far as it is stored
        self._told_at = float("-inf")
        self._latencies: deque[float] = deque(maxlen=_LATENCIES)

    def stop(self, *_signal: Any) -> None:
        """Ask the loop to end after the event in hand."""
        self._is_stopping = True

    def run(self, stream: Stream) -> AccountRun:
        """Run the account to the end of the stream or until it is stopped; the run is closed on return.

        Raises
        ------
        ConfigError
            If the settings loosen limits and nobody confirmed that.
        """
        follower = None if self._request.follow_s is None else BarFollower(self._request.follow_s, self._clock)
        newer: Stream | None = stream
        while newer is not None:
            stream, newer = newer, None
            bars, events = stream.inputs.data.bars, stream.events() if follower is None else settled_events(stream)
            run = self._under_limits(stream, events)
            self._journalled = None
            try:
                self._folder.write_process()
                gc.collect()
                gc.freeze()  # libraries, bars and events stay to the end: no search for garbage looks at them again
                self._loop(run, events, bars)
                if run.is_live:
                    run.snapshot()
                self._tell(run, len(events), is_running=False)
                if follower is not None and run.is_live:
                    newer = self._newer(run, stream, follower)
            finally:
                gc.unfreeze()
                run.close()
        return run

    def _newer(self, run: AccountRun, stream: Stream, follower: BarFollower) -> Stream | None:
        """Wait for newly stored bars, obeying commands; return the stream with them, None once it is to stop."""
        self._tell(run, run.applied, is_running=True)
        try:
            while not self._is_stopping:
                self._obey(run)
                self._tell_links(run, stream.inputs.data.bars)
                newer = follower.look(stream, run.applied)
                if newer is not None:
                    return newer
                time.sleep(_NAP_S)
            return None
        finally:
            run.snapshot()
            self._tell(run, run.applied, is_running=False)

    def _under_limits(self, stream: Stream, events: tuple[Event, ...]) -> AccountRun:
        """Open the account under the limits that its journal names, or change them to those of the settings (COMP-05).

        A change happens between two events, in an account that has come to the end of its journal: it is written down,
        journalled, and the account is opened anew, so that no event is ever run under other limits than the journal's.
        """
        folder = self._folder.path
        versions = read_versions(folder)
        is_live = self._is_live = self._request.follow_s is not None or any(one.is_live for one in versions)
        stream = replace(stream, is_live=is_live)
        wanted = stream.limits_digest()
        if not versions:
            versions = [LimitVersion(wanted, stream.settings.limits, "", terms_of(stream.settings), is_live)]
            write_versions(folder, versions)
        held = versions[-1]
        while True:
            run = self._open(held.over(stream), events, is_old=not held.digest)
            in_force = "" if run.core.risk is None else run.core.risk.memory.limits_digest
            if held.digest and in_force != held.digest:  # written down, and killed before it came to hold
                run.close()
                held = version_of(versions, in_force)
                continue
            if in_force == wanted:
                if held.terms is None and held.digest == wanted:  # every term is as by default: say so from here on
                    write_versions(folder, [*versions[:-1], replace(held, terms=terms_of(stream.settings))])
                return run
            try:
                versions[-1] = replace(held, digest=in_force)
                held = self._change_limits(run, events, (held.over(stream), stream), versions)
            finally:
                run.close()

    def _change_limits(
        self, run: AccountRun, events: tuple[Event, ...], streams: tuple[Stream, Stream], versions: list[LimitVersion]
    ) -> LimitVersion:
        """Let other limits hold from here on; ``streams`` are under the limits before and after."""
        (before, after), by = streams, self._request.confirm_limits
        changes = confirm_versions(before, after, confirmed=by is not None)
        while not run.is_live and run.applied < len(events):
            run.apply(events[run.applied])
        run.snapshot()
        who = "settings" if by is None else by
        terms = terms_of(after.settings)
        version = LimitVersion(after.limits_digest(), after.settings.limits, who, terms, after.is_live)
        versions.append(version)
        write_versions(self._folder.path, versions)
        run.command(f"limits {version.digest}: {changes}" if changes else f"limits {version.digest}", version.operator)
        run.snapshot()
        return version

    def _open(self, stream: Stream, events: tuple[Event, ...], *, is_old: bool) -> AccountRun:
        """Open the account; ``is_old`` where its journal hashes limits as the first versions did."""
        parts, link = stream.parts(account=self._folder.name, environment="paper")
        session = Session("paper", self._folder.name, __version__, hash_value(stream.identity()))
        rules = StreamRules(
            snapshot_every=self._request.snapshot_every,
            commit_every=_GROUP if self._speed == float("inf") else 1,
            begin=stream.begin,
            stream=events,
        )
        parts = replace(parts, limits_digest="") if is_old else parts
        return AccountRun.open(parts, link, RealDisk(self._folder.journal), session, rules)

    def _loop(self, run: AccountRun, events: tuple[Event, ...], bars: Panel) -> None:
        seen = BarsSeen(self._folder.path / "bars.seen")
        try:
            self._feed(run, events, bars, seen)
        finally:
            seen.close()

    def _feed(self, run: AccountRun, events: tuple[Event, ...], bars: Panel, seen: BarsSeen) -> None:
        if not events:
            return
        began, first = self._clock.monotonic_s(), events[min(run.applied, len(events) - 1)].available_at
        is_told, is_fast = False, self._speed == float("inf")
        while (number := run.applied) < len(events):
            event = events[number]
            if run.is_live:
                is_told = is_told or self._tell_links(run, bars)
                self._obey(run)
                self._wait((event.available_at - first) / 1e9 / self._speed - (self._clock.monotonic_s() - began), run)
            if self._is_stopping:
                return
            if not (is_fast and run.pass_quiet(events)):
                self._apply(run, event)
            passed = [one.position for one in events[number : run.applied] if isinstance(one, BarsClosed)]
            seen.note(bars, passed, to_ns(self._clock.now()))
            if self._clock.monotonic_s() - self._told_at >= _STATUS_EVERY_S:
                self._tell(run, len(events), is_running=True)
        if run.is_live and not is_told:
            self._tell_links(run, bars)
        self._obey(run)

    def _tell_links(self, run: AccountRun, bars: Panel) -> bool:
        """Journal what this process knows of a followed account's links where it crosses a limit (RISK-31)."""
        limits = run.core.parts.limits
        if self._is_live and limits is not None:
            found = link_facts(bars, to_ns(self._clock.now()))
            for command in link_commands(run.core.notes.facts, found, limits.market):
                run.command(command, _PROCESS)
        return True

    def _apply(self, run: AccountRun, event: Event) -> None:
        """Apply an event; where orders came of it, note how long it took until they were durable and sent (EXEC-05)."""
        was_live, began = run.is_live, self._clock.monotonic_s()
        run.apply(event)
        took = self._clock.monotonic_s() - began
        if was_live and any(one.order.decided_at == event.available_at for one in run.core.orders.open()):
            self._latencies.append(took * 1e3)

    def _obey(self, run: AccountRun) -> None:
        """Journal and do the commands that wait, in order; each file goes once its command is durable.

        Only what waited when this process took the journal can be in it already: whoever had it before died in between.
        """
        queue = self._folder.commands
        if self._journalled is None:
            queue.adopt_older()
            self._journalled = journalled_ids(read_entries(RealDisk(self._folder.journal))) if queue.ids() else set()
        for one in queue.read():
            if one.id not in self._journalled:
                run.command(one.marked, one.operator)
            queue.remove(one.id)

    def _wait(self, seconds: float, run: AccountRun) -> None:
        """Wait for the time of the next event, in naps short enough to hear a signal or a command."""
        until = self._clock.monotonic_s() + seconds
        while not self._is_stopping and self._clock.monotonic_s() < until:
            time.sleep(min(_NAP_S, max(0.0, until - self._clock.monotonic_s())))
            self._obey(run)

    def _tell(self, run: AccountRun, total: int, *, is_running: bool) -> None:
        self._told_at, self.total = self._clock.monotonic_s(), total
        self._progress("paper", run.applied, total)
        status = status_of(run, total, is_running=is_running)
        self._folder.write_status({**status, "latency": latency_figures(self._latencies)})


@contextmanager
def _signals(daemon: _Daemon) -> Iterator[None]:
    """End cleanly on SIGTERM and SIGINT; put the handlers back afterwards."""
    before = {one: signal.signal(one, daemon.stop) for one in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)


def start_paper(request: PaperRequest, *, progress: Progress, clock: Clock | None = None) -> Outcome:
    """Run an account in this process until its stream ends or it is told to stop.

    Raises
    ------
    ConfigError
        If the account exists and trades something else, or a change of limits is confirmed by nobody.
    IntegrityError
        If another process runs the account.
    """
    if request.confirm_limits is not None:
        check_person(request.confirm_limits, "--confirm-limits")
    watch = SystemClock() if clock is None else clock
    workspace = find_workspace()
    folder = AccountFolder(workspace, request.account)
    wanted, is_new = folder.settle_request(request.stream)
    if request.follow_s is not None:
        wanted = replace(wanted, until=None)
        if wanted.books:
            raise ConfigError(
                f"account {request.account} fills on recorded order books, which do not grow with the bars",
                hint="start it without --follow, or follow the set with an account that fills on bars",
            )
    stream = open_stream(wanted, workspace, check_leaks=is_new)
    if stream.shares and not wanted.sleeves:
        wanted = replace(wanted, sleeves=whole_account(wanted.strategy))
    if stream.settings.strategies and not stream.shares:
        raise ConfigError(
            f"account {request.account} was made without limits for its strategy, so it keeps no book for them",
            hint="take its table out of [strategies], or give the strategy an account of its own",
        )
    folder.keep_identity(wanted, stream.identity())
    daemon = _Daemon(folder, request, watch, progress)
    with _signals(daemon):
        run = daemon.run(stream)
    document = {**status_of(run, daemon.total, is_running=False), "warnings": stream.warnings()}
    return Outcome(document, [*status_lines(document), *(f"warning: {text}" for text in document["warnings"])])


def stop_paper(account: str, *, wait_s: float = 10.0, clock: Clock | None = None) -> Outcome:
    """Ask the process of an account to end after the event in hand, and wait for it.

    Raises
    ------
    UserError
        If none runs, or it does not end in time.
    """
    watch = SystemClock() if clock is None else clock
    folder = AccountFolder(find_workspace(), account).existing()
    process = folder.read_process()
    if process is None or not is_running(folder.journal):
        raise UserError(f"account {account} is not running", hint=f"foresail paper status --account {account}")
    os.kill(process, signal.SIGTERM)
    until = watch.monotonic_s() + wait_s
    while watch.monotonic_s() < until:
        if not is_running(folder.journal):
            return Outcome({"account": account, "stopped": True}, [f"account {account} has stopped"])
        time.sleep(_NAP_S)
    raise UserError(f"account {account} did not stop within {wait_s:.0f} s", hint="its journal stays whole if killed")


def paper_status(account: str, *, is_measured: bool = False) -> Outcome:
    """Return the last status that the process of an account told, and whether it runs.

    Parameters
    ----------
    is_measured : read the journal and the bars as well, for the newest alerts and for slippage
    """
    workspace = find_workspace()
    folder = AccountFolder(workspace, account).existing()
    status = folder.read_status()
    document = {**status, "account": account, "running": is_running(folder.journal)}
    lines = status_lines(document)
    if is_measured:
        entries = list(read_entries(RealDisk(folder.journal)))
        document["alerts"] = last_alerts(entries)
        try:
            request = replace(folder.settle_request(None)[0], until=None)
            stream = open_stream(request, workspace, check_leaks=False)
            record = account_record(stream, account, entries, read_versions(folder.path))
            document["slippage"] = slippage_figures(record)
            document["real_time_days"] = lived = len(days_lived(folder, stream.inputs.data.bars))
            lines.append(f"{lived} days were traded as their bars came; foresail paper gate asks for 30 (PAPER-01)")
            document["value_at_risk_exceptions"] = exceptions(stream, account, entries, record.returns)
            lines += [slippage_line(document["slippage"]), *exception_lines(document["value_at_risk_exceptions"])]
        except ForesailError as error:  # a moved file of bars or strategy must not hide how the account stands
            document["slippage"] = None
            lines.append(f"slippage: not available: {error}")
        lines += [f"{one['severity']} {one['at']} {one['kind']}: {one['text']}" for one in document["alerts"]]
    return Outcome(document, lines)
