"""The parity report of an account: its period once more through history, and the cause of every difference.

Money that came or went, limits that changed, and what the process knew of its links are repeated where they stood, so
that they hide nothing; what a person halted, killed or re-armed is a cause.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, cast

import msgspec

from foresail.core.clock import format_ns
from foresail.core.errors import DataError
from foresail.domain.events import Event, Operator, Rank, Timer
from foresail.engine.trading.core import TradingCore
from foresail.engine.trading.operators import parse_command
from foresail.engine.trading.parity import Cause, Difference, ParityContext, compare_journals
from foresail.engine.trading.shell import Shell
from foresail.engine.trading.simulated import SimulatedLink
from foresail.ledger.disk import RealDisk
from foresail.ledger.entries import Decided, Entry, OperatorActed, SessionStarted, StreamAdvanced
from foresail.ledger.journal import Journal
from foresail.ledger.recovery import read_entries
from foresail.protocols import Progress
from foresail.service.accounts import AccountFolder
from foresail.service.bars_seen import changed_bars
from foresail.service.limit_versions import LimitVersion, first_limits, read_versions, version_of
from foresail.service.outcome import Outcome
from foresail.service.stream import Stream, open_stream
from foresail.service.workspace import find_workspace

__all__ = ["history_entries", "parity_report"]

_SHOWN = 20
_REPEATED = ("deposit", "withdraw", "limits", "fact")
_STORED = msgspec.json.Encoder(decimal_format="string")


def parity_report(account: str, *, progress: Progress) -> Outcome:
    """Compare an account's journal with the history driver on the bars as they are stored now.

    The exit code is 4 where a difference has no cause that can be shown.
    """
    workspace = find_workspace()
    folder = AccountFolder(workspace, account).existing()
    request, _is_new = folder.settle_request(None)
    paper = [one for one in read_entries(RealDisk(folder.journal)) if not isinstance(one, SessionStarted)]
    if not paper:
        raise DataError(f"the journal of account {account} is empty", hint="foresail paper start fills it")
    stream = first_limits(open_stream(replace(request, until=None), workspace, check_leaks=False), folder.path)
    kept = folder.identity()
    context = ParityContext(
        changed_bars=changed_bars(folder.path / "bars.seen", stream.inputs.data.bars),
        strategy_changed=kept.get("strategy_sha256") != stream.identity()["strategy_sha256"],
    )
    history = history_entries(stream, account, paper, progress, versions=read_versions(folder.path))
    found = compare_journals([one for one in paper if not _is_repeated(one)], history, context)
    counts = Counter(one.cause.value for one in found)
    document = {
        "account": account,
        "entries": len(paper),
        "until": format_ns(paper[-1].at),
        "differences": len(found),
        "causes": dict(sorted(counts.items())),
        "list": [_plain(one) for one in found],
    }
    return Outcome(document, _lines(document, found), 4 if counts[Cause.UNEXPLAINED.value] else 0)


def history_entries(
    stream: Stream, account: str, paper: Sequence[Entry], progress: Progress, *, versions: Sequence[LimitVersion] = ()
) -> tuple[Entry, ...]:
    """Return what the history driver journals for the period that an account covers.

    Parameters
    ----------
    stream : under the limits that the account began with
    versions : every set of limits that it has had
    """
    parts, link = stream.parts(account=account, environment="paper")
    journal = Journal()
    core = TradingCore(parts, journal)
    stream.begin(core)
    shell = Shell(core, link)
    repeated = deque(_repeated(paper))
    decided = {one.decided_at for one in paper if isinstance(one, Decided)}
    events, last = stream.events(), paper[-1].at
    for number, event in enumerate(events):
        if _is_past(event, last, decided):
            break
        while repeated and repeated[0][0] == _place(shell.core):
            shell = _repeat(repeated.popleft()[1], shell, journal, stream, versions)
        shell.apply(event)
        if number % 1000 == 0:
            progress("replaying", number, len(events))
    progress("replaying", len(events), len(events))
    return journal.entries


def _is_repeated(entry: Entry) -> bool:
    return isinstance(entry, OperatorActed) and entry.command.split()[0] in _REPEATED


def _repeated(paper: Sequence[Entry]) -> list[tuple[tuple[int, int], OperatorActed]]:
    """Return the commands to be repeated, each with the newest bar and decision before it."""
    position, decided, out = -1, -1, []
    for one in paper:
        if isinstance(one, StreamAdvanced):
            position = one.position
        elif isinstance(one, Decided):
            decided = one.decided_at
        elif isinstance(one, OperatorActed) and _is_repeated(one):
            out.append(((position, decided), one))
    return out


def _place(core: TradingCore) -> tuple[int, int]:
    return core.stream_position(), max(core.notes.decided.values(), default=-1)


def _repeat(
    acted: OperatorActed, shell: Shell, journal: Journal, stream: Stream, versions: Sequence[LimitVersion]
) -> Shell:
    """Do what a person did then; under other limits core and venue are made anew from their state, as on disk."""
    core = shell.core
    command = Operator(acted.at, acted.at, Rank.DECISION, source=acted.operator, command=acted.command)
    shell.settle(core.step(command))
    read = parse_command(acted.command)
    if read.verb != "limits":
        return shell
    changed = version_of(list(versions), read.scope).over(stream)
    parts, link = changed.parts(account=core.parts.account, environment="paper")
    after = TradingCore(parts, journal)
    after.restore(_as_stored(core.to_plain()))
    link.restore(_as_stored(cast("SimulatedLink", shell.link).to_plain()))
    return Shell(after, link)


def _as_stored(plain: Any) -> Any:
    """Return a state as a snapshot gives it back."""
    return msgspec.json.decode(_STORED.encode(plain))


def _is_past(event: Event, last: int, decided: set[int]) -> bool:
    """Return whether the account never came to an event: it stopped before it."""
    if event.available_at != last:
        return event.available_at > last
    return isinstance(event, Timer) and event.available_at not in decided


def _plain(one: Difference) -> dict[str, Any]:
    return {
        "at": format_ns(one.at),
        "what": one.what,
        "name": one.name,
        "paper": one.paper,
        "history": one.history,
        "cause": one.cause.value,
        "follows": one.follows,
    }


def _lines(document: dict[str, Any], found: tuple[Difference, ...]) -> list[str]:
    head = f"parity of account {document['account']} to {document['until']}: {document['differences']} differences"
    lines = [head, *(f"  {count:>6} {cause}" for cause, count in document["causes"].items())]
    for one in found[:_SHOWN]:
        lines.append(f"  {format_ns(one.at)} {one.what}: paper {one.paper or '-'} | history {one.history or '-'}")
        lines.append(f"      {'follows from ' if one.follows else ''}{one.cause.value}")
    if len(found) > _SHOWN:
        lines.append(f"  ... and {len(found) - _SHOWN} more (--json lists all)")
    return lines
