"""Commands of persons on their way to the process of an account: each a file of its own in ``commands/``.

No command takes another's place: a file has a name that nothing else ever has, is obeyed in the order of names, and is
removed under that name once the journal holds the command with its id as a remark. A process that dies between the two
leaves the file, and the next one finds the id in the journal and drops it, so that no money is booked twice. File and
folder are synced before whoever gave the command has its id, so that a power cut takes none away.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from threading import get_ident

from foresail.core.canonical import canonical_bytes, write_atomic
from foresail.core.clock import Clock, SystemClock, to_ns
from foresail.core.errors import DataError, UserError
from foresail.ledger.disk import RealDisk
from foresail.ledger.entries import Entry, OperatorActed
from foresail.ledger.recovery import read_entries
from foresail.service.durable import make_folder, sync_folder

__all__ = ["CommandQueue", "WaitingCommand", "journalled_ids", "wait_until_journalled"]

_NAP_S = 0.05
_REMARK = "id "


@dataclass(frozen=True, slots=True)
class WaitingCommand:
    """A command that waits.

    Attributes
    ----------
    id : of this command and no other, ever
    command, operator : what is to be done, and who says so
    """

    id: str
    command: str
    operator: str

    @property
    def marked(self) -> str:
        """The command with its id as a remark, as it is journalled."""
        return f"{self.command}: {_REMARK}{self.id}"


class CommandQueue:
    """The commands of one account, oldest first.

    Parameters
    ----------
    account : its folder; a ``control.json`` of the first versions is taken in as a command
    """

    def __init__(self, account: Path) -> None:
        self._path, self._older = account / "commands", account / "control.json"

    def add(self, command: str, operator: str) -> str:
        """Leave a command behind all that wait; return its id."""
        make_folder(self._path)
        written = self._path / f".{os.getpid()}-{get_ident()}.new"
        write_atomic(written, canonical_bytes({"command": command, "operator": operator}))
        try:
            newest = max((int(one.partition("-")[0]) for one in self.ids()), default=0)
            for number in count(max(to_ns(SystemClock().now()), newest + 1)):
                identity = f"{number:020d}-{os.getpid()}"
                try:
                    os.link(written, self._file(identity))
                except FileExistsError:
                    continue
                sync_folder(self._path)
                return identity
            raise AssertionError("unreachable")
        finally:
            written.unlink(missing_ok=True)

    def ids(self) -> list[str]:
        """Return the ids of all that wait, oldest first."""
        try:
            return sorted(one.stem for one in self._path.iterdir() if one.suffix == ".json")
        except FileNotFoundError:
            return []

    def read(self) -> list[WaitingCommand]:
        """Return all that wait, oldest first; what a person takes away meanwhile does not.

        Raises
        ------
        DataError
            If a file is no command.
        """
        found = (self._read(identity) for identity in self.ids())
        return [one for one in found if one is not None]

    def remove(self, identity: str) -> None:
        """Remove a command, and no other: it is in the journal."""
        self._file(identity).unlink(missing_ok=True)

    def adopt_older(self) -> None:
        """Take in the one command that the first versions kept beside the journal, ahead of all that came later."""
        try:
            stamp = self._older.stat().st_mtime_ns
            make_folder(self._path)
            self._older.rename(self._file(f"{stamp:020d}-0"))
            sync_folder(self._path)
        except FileNotFoundError:
            return

    def _file(self, identity: str) -> Path:
        return self._path / f"{identity}.json"

    def _read(self, identity: str) -> WaitingCommand | None:
        path = self._file(identity)
        try:
            content = json.loads(path.read_bytes())
            return WaitingCommand(identity, str(content["command"]), str(content["operator"]))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DataError(f"{path}: is no command: {error}", file=str(path), hint="remove it") from error


def journalled_ids(entries: Iterable[Entry]) -> set[str]:
    """Return the ids of all commands that a journal holds."""
    return {
        one.text.removeprefix(_REMARK)
        for one in entries
        if isinstance(one, OperatorActed) and one.text.startswith(_REMARK)
    }


def wait_until_journalled(
    queue: CommandQueue, identity: str, journal: Path, wait_s: float, clock: Clock
) -> tuple[Entry, ...]:
    """Wait until the process of an account has done a command; return its entry and all that follow in the journal.

    Raises
    ------
    UserError
        If it does not in time, or the command is gone and the journal does not hold it.
    """
    until = clock.monotonic_s() + wait_s
    while clock.monotonic_s() < until:
        if identity not in queue.ids():
            return _entries_from(identity, journal)
        time.sleep(_NAP_S)
    raise UserError(
        f"the process of the account did not take the command within {wait_s:.0f} s",
        hint="end the process; the command waits in the folder and is obeyed in its turn at the next start",
    )


def _entries_from(identity: str, journal: Path) -> tuple[Entry, ...]:
    entries = tuple(read_entries(RealDisk(journal)))
    for number, one in enumerate(entries):
        if isinstance(one, OperatorActed) and one.text == f"{_REMARK}{identity}":
            return entries[number:]
    raise UserError(
        f"command {identity} is gone from the folder and is not in the journal",
        hint="somebody removed it; give it again",
    )
