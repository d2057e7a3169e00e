"""What an account saw of each bar when it came, and when: so that later changes of the store show, and replays do.

Accounts made before there was an instant have lines without it: nobody can tell when those bars were seen.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from foresail.core.errors import DataError
from foresail.domain.panel import Panel
from foresail.engine.trading.parity import Cause

__all__ = ["BarsSeen", "SeenBar", "changed_bars"]

_HALF = 8
_WITHOUT_INSTANT, _WITH_INSTANT = 4, 5  # words of a line


@dataclass(frozen=True, slots=True)
class SeenBar:
    """A bar as it was seen first.

    Attributes
    ----------
    end : of the bar, ns UTC
    present, values : hashes of which instruments have a bar, and of the values
    seen_at : of the machine's clock, ns UTC; None = not known
    """

    end: int
    present: str
    values: str
    seen_at: int | None = None


def _hashes(bars: Panel, position: int) -> tuple[str, str]:
    """Return hashes of which instruments have a bar, and of the values."""
    present = bars.present[:, position].tobytes()
    values = bars.values[:, position].tobytes()
    first, second = (hashlib.blake2b(data, digest_size=_HALF).hexdigest() for data in (present, values))
    return first, second


class BarsSeen:
    """``bars.seen`` of an account: one line a position, appended as bars are applied."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen = self.read()
        self._stream: BinaryIO | None = None  # opened with the first note, without a buffer: a kill loses no line

    def read(self) -> dict[int, SeenBar]:
        """Return position -> bar; a torn last line is passed over.

        Raises
        ------
        DataError
            If a line that has its end is damaged.
        """
        if not self._path.is_file():
            return {}
        out = {}
        lines = self._path.read_text(encoding="ascii").split("\n")[:-1]  # what has no end may be cut short
        for row, line in enumerate(lines, start=1):
            words = line.split()
            if len(words) == _WITHOUT_INSTANT and len(words[3]) == 2 * _HALF:
                out[int(words[0])] = SeenBar(int(words[1]), words[2], words[3])
            elif len(words) == _WITH_INSTANT and words[4].isdigit():
                out[int(words[0])] = SeenBar(int(words[1]), words[2], words[3], int(words[4]))
            else:
                raise DataError(
                    f"{self._path}, line {row}: expected position, end, two hashes and an instant, received {line!r}"
                )
        return out

    def note(self, bars: Panel, positions: Iterable[int], at: int) -> None:
        """Write down bars once, and when they were seen, ns UTC."""
        lines = []
        for position in positions:
            if position not in self._seen:
                here = self._seen[position] = SeenBar(int(bars.end[position]), *_hashes(bars, position), at)
                lines.append(f"{position} {here.end} {here.present} {here.values} {at}\n")
        if lines and self._stream is None:
            self._drop_torn()
            self._stream = self._path.open("ab", buffering=0)
        if lines and self._stream is not None:
            self._stream.write("".join(lines).encode("ascii"))

    def _drop_torn(self) -> None:
        """Cut off a last line without an end, so that what is appended begins a line of its own."""
        if self._path.is_file():
            content = self._path.read_bytes()
            whole = content.rfind(b"\n") + 1
            if whole < len(content):
                os.truncate(self._path, whole)

    def close(self) -> None:
        """Give the file back."""
        if self._stream is not None:
            self._stream.close()
            self._stream = None


def changed_bars(path: Path, bars: Panel) -> tuple[tuple[int, Cause], ...]:
    """Return (end, cause) of bars that a store holds otherwise than the account saw them, ascending."""
    out = []
    for position, seen in sorted(BarsSeen(path).read().items()):
        if position >= bars.shape[1]:
            break
        now_present, now_values = _hashes(bars, position)
        if now_present != seen.present:
            out.append((seen.end, Cause.LATE_BAR))
        elif now_values != seen.values:
            out.append((seen.end, Cause.CORRECTION))
    return tuple(out)
