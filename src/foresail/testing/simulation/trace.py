"""What happened in a run, as a running hash and as counters.

Two runs are the same run when their hashes are equal. The counters answer whether a fault was ever really met: a fault
that never fires proves nothing.
"""

from __future__ import annotations

import hashlib
from collections import Counter

__all__ = ["Trace", "ViolationError"]


class ViolationError(AssertionError):
    """An invariant does not hold: the text says which, where and when."""


class Trace:
    """Running hash over (time, component, event).

    Parameters
    ----------
    keeps_lines : keep the text as well, for reading a failed seed
    """

    def __init__(self, *, keeps_lines: bool = False) -> None:
        self._hash = hashlib.blake2b(digest_size=16)
        self.lines: list[str] | None = [] if keeps_lines else None
        self.events = 0
        self.counts: Counter[str] = Counter()

    def add(self, at: int, component: str, event: str) -> None:
        """Take in an event at an instant (ns of virtual time)."""
        line = f"{at} {component} {event}"
        self._hash.update(line.encode())
        self.events += 1
        if self.lines is not None:
            self.lines.append(line)

    def count(self, what: str) -> None:
        """Note that something was really met."""
        self.counts[what] += 1

    @property
    def digest(self) -> str:
        """Hash of everything so far, hexadecimal."""
        return self._hash.hexdigest()
