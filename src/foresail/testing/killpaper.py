"""Kill the paper daemon again and again: each account must end with the books of one that nobody interrupted.

The supervisor imports everything once, gives it to no garbage collector again, and forks each life, so that a life
costs what the daemon costs and not what Python's start costs. Half of the lives die in a named place
(``failpoints``); the others are killed from outside, after the journal has grown by a random number of bytes or after a
random time, which also hits their start. An account that has come to the end of its bars is held against three books:
those of an account that nobody interrupted, those of a venue that was never killed (``venuebooks``), and the journal's
executions added up from scratch. Then the next account begins.

``python -m foresail.testing.killpaper FOLDER KILLS SEED`` makes a small market in a folder, kills, and tells.
"""

from __future__ import annotations

import gc
import json
import os
import signal
import sys
import time
import traceback
from collections import Counter
from dataclasses import asdict, dataclass
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

from foresail.core.errors import IntegrityError
from foresail.core.ids import InstrumentId
from foresail.engine.trading.simulated import SimulatedLink
from foresail.ledger.disk import RealDisk
from foresail.ledger.recovery import read_entries
from foresail.service.paper import PaperRequest, paper_status, start_paper
from foresail.service.stream import Stream, StreamRequest, open_stream
from foresail.testing.failpoints import AFTER_TORN, PointPlan, arm
from foresail.testing.killmarket import STRATEGY_FILE, write_kill_market
from foresail.testing.simulation.loop import Chance
from foresail.testing.simulation.oracle import naive_ledger
from foresail.testing.venuebooks import differing_books, venue_books

__all__ = ["PaperKills", "kill_paper", "main"]

_SAME = ("cash", "equity", "positions", "open_orders", "bar", "events", "blocked")
_AT_POINT = 0.5  # share of lives that die in a named place
_BY_TIME = 0.3  # share of the others that are killed by time
_GROWTH_BYTES = 30_000  # of the journal in one life, at most
_START_S = 0.12  # a life that is killed by time lives so long at most
_SNAPSHOT_EVERY = 16  # events, so that most starts begin at one
_LOOK_S = 0.0005
_LONGEST_S = 120.0


@dataclass(frozen=True, slots=True)
class PaperKills:
    """What a run came to.

    Attributes
    ----------
    points : deaths by named place; "grown" and "time" for kills from outside
    fills : executions of the accounts that ended
    """

    kills: int
    accounts: int
    points: dict[str, int]
    fills: int


class _Killer:
    """One market, one chance, many accounts."""

    def __init__(self, workspace: Path, request: StreamRequest, seed: int) -> None:
        self._workspace, self._request = workspace, request
        self._chance = Chance(seed, "kills")
        self._stream: Stream = open_stream(request, workspace, check_leaks=False)  # calendars: inherited by every life
        self._plan, self._last = PointPlan(self._chance), ""
        self.points: Counter[str] = Counter()
        self.fills = 0

    def begin(self, account: str, point: tuple[str, int] | None = None) -> int:
        """Fork a life of the daemon, to die in a named place where one is given; return its process id."""
        pid = os.fork()
        if pid:
            return pid
        code = 1
        try:
            if point is not None:
                arm(*point, SimulatedLink)
            start_paper(PaperRequest(account, self._request, snapshot_every=_SNAPSHOT_EVERY), progress=_quiet)
            code = 0
        finally:
            if code:
                traceback.print_exc()
                sys.stderr.flush()
            os._exit(code)

    def killed(self, account: str) -> bool:
        """Start a life and kill it; False where it came to its end before."""
        chance, journal = self._chance, self._workspace / "accounts" / account / "journal"
        if self._last in AFTER_TORN or chance.happens(_AT_POINT):
            point = self._plan.next(self._last)
            died, how = _died(self.begin(account, point)), point[0]
            if not died:
                self._plan.missed(how)
        elif chance.happens(_BY_TIME):
            died, how = _killed_at(self.begin(account), chance.unit() * _START_S), "time"
        else:
            before, growth = _size(journal), chance.between(1, _GROWTH_BYTES)
            died, how = _killed_grown(self.begin(account), journal, before + growth), "grown"
        self._last = how if died else ""
        self.points.update({how: 1} if died else {})
        return died

    def ended(self, account: str) -> dict[str, Any]:
        """Run an account to its end; return what it came to.

        Raises
        ------
        IntegrityError
            If its books are not the venue's, or not the sum of its executions.
        """
        if _died(self.begin(account)):
            raise IntegrityError(f"account {account}: the paper daemon was killed by somebody else")
        document = paper_status(account).document
        entries = tuple(read_entries(RealDisk(self._workspace / "accounts" / account / "journal")))
        cash = Decimal(document["cash"])
        held = {InstrumentId(name): Decimal(units) for name, units in document["positions"].items()}
        there = venue_books(self._stream, account, entries)
        wrong = differing_books(there, entries, cash, held)
        if wrong:
            raise IntegrityError(f"account {account} is not what its venue did: {wrong}")
        if (Fraction(cash), {name: Fraction(units) for name, units in held.items()}) != naive_ledger(entries):
            raise IntegrityError(f"account {account} holds {held} and {cash}, its executions {naive_ledger(entries)}")
        self.fills += len(there.fills)
        return {name: document[name] for name in _SAME}


def kill_paper(workspace: Path, bars: Path, strategy: Path, *, kills: int, seed: int) -> PaperKills:
    """Kill so many lives in a workspace; compare every account that ends, the last one included.

    Raises
    ------
    IntegrityError
        If an account ends otherwise than one that was not killed, its books are not the venue's, or a daemon fails by
        itself.
    """
    os.chdir(workspace)
    killer = _Killer(workspace, StreamRequest(str(bars), strategy), seed)
    gc.collect()
    gc.freeze()  # a life would look at every object that it has inherited, and thereby copy all of them
    whole = killer.ended("whole")
    done, accounts = 0, 0
    while done < kills:
        name = f"killed{accounts}"
        while done < kills and killer.killed(name):
            done += 1
        accounts += 1
        ended = killer.ended(name)
        if ended != whole:
            raise IntegrityError(f"account {name} ended as {ended}, uninterrupted it is {whole}")
    return PaperKills(done, accounts, dict(sorted(killer.points.items())), killer.fills)


def _killed_at(pid: int, seconds: float) -> bool:
    """Kill a life after a time; False where it came to its end before."""
    time.sleep(seconds)
    return _kill(pid)


def _killed_grown(pid: int, journal: Path, size: int) -> bool:
    """Kill a life as soon as its journal has a size; False where it came to its end before."""
    waited = 0.0
    while waited < _LONGEST_S and _size(journal) < size:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            return _is_killed(status)
        time.sleep(_LOOK_S)
        waited += _LOOK_S
    return _kill(pid)


def _kill(pid: int) -> bool:
    os.kill(pid, signal.SIGKILL)
    return _died(pid)


def _died(pid: int) -> bool:
    """Wait for the end of a life; return whether it was killed."""
    return _is_killed(os.waitpid(pid, 0)[1])


def _is_killed(status: int) -> bool:
    code = os.waitstatus_to_exitcode(status)
    if code not in (0, -signal.SIGKILL):
        raise IntegrityError(f"the paper daemon ended with {code} by itself")
    return code != 0


def _size(journal: Path) -> int:
    try:
        return sum(one.stat().st_size for one in journal.glob("journal-*"))
    except FileNotFoundError:  # a start removed what was never finished while we looked
        return 0


def _quiet(stage: str, done: int, total: int) -> None:
    del stage, done, total


def main(folder: Path, kills: int, seed: int) -> None:
    """Make a market in a folder, kill so many lives there, and print what came of it as one line of JSON."""
    market, workspace = folder / "market", folder / "workspace"
    write_kill_market(market)
    workspace.mkdir()
    done = kill_paper(workspace, market, market / STRATEGY_FILE, kills=kills, seed=seed)
    sys.stdout.write(json.dumps(asdict(done)) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve(), int(sys.argv[2]), int(sys.argv[3]))
