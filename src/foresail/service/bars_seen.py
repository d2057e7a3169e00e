"""What an account saw of each bar when it came: two short hashes a bar, so that later changes of the store show."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import BinaryIO

from foresail.core.errors import DataError
from foresail.domain.panel import Panel
from foresail.engine.trading.parity import Cause

__all__ = ["BarsSeen", "changed_bars"]

_HALF = 8


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

    def read(self) -> dict[int, tuple[int, str, str]]:
        """Return position -> (end ns, hash of presence, hash of values); a torn last line is passed over.

        Raises
        ------
        DataError
            If a line before the last is damaged.
        """
        if not self._path.is_file():
            return {}
        out = {}
        lines = self._path.read_text(encoding="ascii").split("\n")
        for row, line in enumerate(lines, start=1):
            words = line.split()
            if len(words) == 4 and len(words[3]) == 2 * _HALF:
                out[int(words[0])] = (int(words[1]), words[2], words[3])
            elif row < len(lines):
                raise DataError(f"{self._path}, line {row}: expected position, end and two hashes, received {line!r}")
        return out

    def note(self, bars: Panel, position: int) -> None:
        """Write down a bar once."""
        if position in self._seen:
            return
        here = (int(bars.end[position]), *_hashes(bars, position))
        self._seen[position] = here
        if self._stream is None:
            self._stream = self._path.open("ab", buffering=0)
        self._stream.write(f"{position} {here[0]} {here[1]} {here[2]}\n".encode("ascii"))

    def close(self) -> None:
        """Give the file back."""
        if self._stream is not None:
            self._stream.close()
            self._stream = None


def changed_bars(path: Path, bars: Panel) -> tuple[tuple[int, Cause], ...]:
    """Return (end, cause) of bars that a store holds otherwise than the account saw them, ascending."""
    out = []
    for position, (end, present, values) in sorted(BarsSeen(path).read().items()):
        if position >= bars.shape[1]:
            break
        now_present, now_values = _hashes(bars, position)
        if now_present != present:
            out.append((end, Cause.LATE_BAR))
        elif now_values != values:
            out.append((end, Cause.CORRECTION))
    return tuple(out)
