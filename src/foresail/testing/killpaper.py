"""Kill the paper daemon again and again: each account must end with the books of one that nobody interrupted.

The supervisor imports everything once and forks each life, so that a life costs what the daemon costs and not what
Python's start costs. A life is killed (SIGKILL) after the journal has grown by a random number of bytes, or after a
random time, which also hits its start. An account that has come to the end of its bars is compared and the next begins.
"""

from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from foresail.core.errors import IntegrityError
from foresail.service.paper import PaperRequest, paper_status, start_paper
from foresail.service.stream import StreamRequest, open_stream
from foresail.testing.simulation.loop import Chance

__all__ = ["PaperKills", "kill_paper"]

_SAME = ("cash", "equity", "positions", "open_orders", "bar", "events", "blocked")
_GROWTH_BYTES = 6_000  # of the journal in one life, at most
_START_S = 0.3  # a life that is killed by time lives so long at most
_BY_TIME = 0.2  # share of lives that are killed by time
_LOOK_S = 0.001
_LONGEST_S = 120.0


@dataclass(frozen=True, slots=True)
class PaperKills:
    """What a run came to."""

    kills: int
    accounts: int


def kill_paper(workspace: Path, bars: Path, strategy: Path, *, kills: int, seed: int) -> PaperKills:
    """Kill so many lives in a workspace; compare every account that ends, the last one included.

    Raises
    ------
    IntegrityError
        If an account ends otherwise than one that was not killed, or a daemon fails by itself.
    """
    os.chdir(workspace)
    request = StreamRequest(str(bars), strategy)
    open_stream(request, workspace, check_leaks=False)  # calendars are made once, here, and inherited by every life
    whole = _ended("whole", request)
    chance, done, accounts = Chance(seed, "kills"), 0, 0
    while True:
        name = f"killed{accounts}"
        while done < kills:
            if not _killed(_begin(name, request), workspace / "accounts" / name / "journal", chance):
                break
            done += 1
        accounts += 1
        if _ended(name, request) != whole:
            raise IntegrityError(f"account {name} ended as {_ended(name, request)}, uninterrupted it is {whole}")
        if done >= kills:
            return PaperKills(done, accounts)


def _begin(account: str, request: StreamRequest) -> int:
    """Fork a life of the daemon; return its process id."""
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        start_paper(PaperRequest(account, request, snapshot_every=100), progress=_quiet)
        code = 0
    finally:
        os._exit(code)


def _killed(pid: int, journal: Path, chance: Chance) -> bool:
    """Kill a life at a random place; False where it came to its end before."""
    by_time = chance.happens(_BY_TIME)
    limit = chance.unit() * _START_S if by_time else _LONGEST_S
    growth, before, waited = chance.between(1, _GROWTH_BYTES), _size(journal), 0.0
    while waited < limit and (by_time or _size(journal) < before + growth):
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            _demand(status)
            return False
        time.sleep(_LOOK_S)
        waited += _LOOK_S
    os.kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    return os.WIFSIGNALED(status)


def _ended(account: str, request: StreamRequest) -> dict[str, Any]:
    """Run an account to its end; return what it came to."""
    _, status = os.waitpid(_begin(account, request), 0)
    _demand(status)
    document = paper_status(account).document
    return {name: document[name] for name in _SAME}


def _demand(status: int) -> None:
    if os.waitstatus_to_exitcode(status) != 0:
        raise IntegrityError(f"the paper daemon ended with {os.waitstatus_to_exitcode(status)} by itself")


def _size(journal: Path) -> int:
    return sum(one.stat().st_size for one in journal.glob("journal-*")) if journal.is_dir() else 0


def _quiet(stage: str, done: int, total: int) -> None:
    del stage, done, total
