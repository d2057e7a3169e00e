"""Named places in which a process dies, for kills that no clock would ever hit (H5).

A point is armed in a process that was forked for it: ``arm`` replaces functions of the running process and never puts
them back. At its n-th passing the process kills itself with SIGKILL, so that nothing of Python's own end runs: no
handler, no flush, no ``finally``. What a file holds then is what the system calls before that place left.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from foresail.ledger.disk import RealDisk
from foresail.ledger.log import EntryLog
from foresail.testing.simulation.loop import Chance

__all__ = ["AFTER_TORN", "FAILPOINTS", "PointPlan", "arm"]

_REQUESTS = ("send", "cancel", "replace", "attach", "ask")  # of a venue link, those it has

_RARELY = ("segment", "rename")  # passed a few times in a life, the others at every decision
_RARE, _OFTEN = 3, 25  # passings of a place up to the death, at most

_Install = Callable[["_Count", type], None]


class _Count:
    """Counts the passings of a place and dies at the n-th."""

    def __init__(self, nth: int) -> None:
        self._left = nth

    def is_last(self) -> bool:
        """Return whether this passing is the one to die in."""
        self._left -= 1
        return self._left == 0

    def passing(self) -> None:
        """Die if this passing is the one."""
        if self.is_last():
            _die()


class PointPlan:
    """Which place the next life is to die in: all of them in turns, each at a random passing."""

    def __init__(self, chance: Chance) -> None:
        self._chance = chance
        self._turn = 0
        self._torn = 0
        self._missed = ""

    def next(self, last: str) -> tuple[str, int]:
        """Return a place and at which passing to die, by what the last life died of (empty: of nothing named)."""
        after = AFTER_TORN.get(last, ())
        if after:
            self._torn += 1
            return after[self._torn // 2 % len(after)], 1
        if self._missed:
            name, self._missed = self._missed, ""
            return name, 1
        name = _FREE[self._turn % len(_FREE)]
        self._turn += 1
        return name, self._chance.between(1, _RARE if name.startswith(_RARELY) else _OFTEN)

    def missed(self, name: str) -> None:
        """Note that a life came to its end before it passed a place so often: the next one dies at the first."""
        self._missed = name if name in _FREE else ""


def _die() -> NoReturn:
    """End this process as the kernel would."""
    os.kill(os.getpid(), signal.SIGKILL)
    raise SystemExit  # not reached: the signal cannot be caught


def arm(point: str, nth: int, link: type) -> None:
    """Let this process die in the n-th passing of a named place.

    Parameters
    ----------
    nth : from 1
    link : class of the venue link in use, for the places on the way to the venue

    Raises
    ------
    KeyError
        If no place has that name.
    """
    FAILPOINTS[point](_Count(nth), link)


def _before(owner: type, name: str) -> _Install:
    return lambda count, _link: _wrap(owner, name, count.passing, None)


def _after(owner: type, name: str) -> _Install:
    return lambda count, _link: _wrap(owner, name, None, count.passing)


def _wrap(
    owner: type, name: str, before: Callable[[], None] | None, after: Callable[[], None] | None
) -> None:  # fmt: skip
    right = owner.__dict__[name]

    def passed(*arguments: Any, **named: Any) -> Any:
        if before is not None:
            before()
        found = right(*arguments, **named)
        if after is not None:
            after()
        return found

    setattr(owner, name, passed)


def _torn(name: str) -> _Install:
    """Return what lets a write leave the first half of its bytes."""

    def install(count: _Count, _link: type) -> None:
        right = RealDisk.__dict__[name]

        def half(disk: RealDisk, file: str, content: bytes) -> None:
            if count.is_last():
                right(disk, file, content[: len(content) // 2])
                _die()
            right(disk, file, content)

        setattr(RealDisk, name, half)

    return install


def _on_link(*, is_after: bool) -> _Install:
    def install(count: _Count, link: type) -> None:
        before, after = (None, count.passing) if is_after else (count.passing, None)
        _wrap(link, "send", before, after)

    return install


def _between_effects(count: _Count, link: type) -> None:
    """Die between two requests that one commit let out."""
    since = [0]

    def forget() -> None:
        since[0] = 0

    def request() -> None:
        since[0] += 1
        if since[0] > 1:
            count.passing()

    _wrap(EntryLog, "commit", None, forget)
    for name in _REQUESTS:
        if name in link.__dict__:
            _wrap(link, name, request, None)


FAILPOINTS: dict[str, _Install] = {
    "write: nothing of it": _before(RealDisk, "append"),
    "write: half of it": _torn("append"),
    "fdatasync: written, not synced": _before(RealDisk, "sync"),
    "fdatasync: synced, nothing sent": _after(RealDisk, "sync"),
    "segment: half of its header": _torn("create"),
    "segment: begun, no snapshot yet": _after(RealDisk, "create"),
    "rename: the new file waits": _before(Path, "replace"),
    "rename: done": _after(Path, "replace"),
    "truncate: a torn tail is found": _before(RealDisk, "truncate"),
    "truncate: a torn tail is cut": _after(RealDisk, "truncate"),
    "remove: an unfinished segment is found": _before(RealDisk, "remove"),
    "remove: an unfinished segment is gone": _after(RealDisk, "remove"),
    "send: about to": _on_link(is_after=False),
    "send: done": _on_link(is_after=True),
    "between two effects": _between_effects,
}
# What only a start passes that finds what such a death has left, by the death.
AFTER_TORN = {
    "write: half of it": ("truncate: a torn tail is found", "truncate: a torn tail is cut"),
    "segment: half of its header": ("remove: an unfinished segment is found", "remove: an unfinished segment is gone"),
}
_FREE = tuple(name for name in FAILPOINTS if not any(name in after for after in AFTER_TORN.values()))
