"""A pessimistic disk: what was not synced may be lost, torn, zeroed or half there after a crash.

``kill -9`` does not test durability, because the kernel keeps what was written. This disk does: it counts every
operation, can crash inside any of them, can fail any of them, and hands over the image that a machine without power
would find. With ``syncs=False`` it pretends to sync; a journal on it must lose entries, or the tests are blind.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable

from foresail.core.errors import IntegrityError
from foresail.core.seeds import generator

__all__ = ["PessimisticDisk", "PowerCutError"]

_SECTOR = 512
_KEPT = 0.5  # chance that an unsynced sector, or an unsynced new name, is found after the crash


class PowerCutError(BaseException):
    """The machine lost power inside an operation. No ordinary handler may catch it."""


class PessimisticDisk:
    """A folder in memory.

    Parameters
    ----------
    seed : decides what a crash keeps
    syncs : whether ``sync`` does anything
    crash_at : number of the operation in which power is lost, counted from 1; 0 = never
    fail_at : number of the operation that raises ``error``, 0 = never
    """

    def __init__(
        self, seed: int = 0, *, syncs: bool = True, crash_at: int = 0, fail_at: int = 0, error: int = errno.EIO
    ) -> None:
        self._random = generator(seed, "disk")
        self._syncs = syncs
        self._crash_at, self._fail_at, self._error = crash_at, fail_at, error
        self._durable: dict[str, bytes] = {}
        self._now: dict[str, bytes] = {}
        self._holes: dict[str, list[tuple[int, int]]] = {}  # written, given up by a failed sync, never on the platter
        self._locked = False
        self.operations = 0
        self.calls: list[str] = []

    def image(self) -> PessimisticDisk:
        """Return the disk as a restart after loss of power finds it."""
        found = PessimisticDisk(int(self._random.integers(1 << 30)), syncs=self._syncs)
        for name in sorted(set(self._durable) | set(self._now)):
            content = self._after_crash(name)
            if content is not None:
                found._durable[name] = found._now[name] = content
        return found

    def names(self) -> tuple[str, ...]:
        """Return the files of the folder, ascending."""
        return tuple(sorted(self._now))

    def read(self, name: str, offset: int = 0) -> bytes:
        """Return the content of a file from an offset to its end."""
        return self._now[name][offset:]

    def create(self, name: str, content: bytes) -> None:
        """Write a new file; when this returns, file and name are durable."""
        if name in self._now:
            raise FileExistsError(errno.EEXIST, "exists", name)
        self._now[name] = b""
        self._step(f"create {name}", half=lambda: self._write_part(name, b"", content))
        self._now[name] = content
        self._settle(name)

    def append(self, name: str, content: bytes) -> None:
        """Write at the end of a file; durable only after ``sync``."""
        before = self._now[name]
        self._step(f"append {name}", half=lambda: self._write_part(name, before, content))
        self._now[name] = before + content

    def sync(self, name: str) -> None:
        """Return once everything that was appended to a file is durable.

        A sync that fails gives up what was waiting: as with Linux, a second one succeeds without it.
        """
        try:
            self._step(f"sync {name}")
        except OSError:
            self._holes.setdefault(name, []).append((len(self._durable.get(name, b"")), len(self._now[name])))
            raise
        self._settle(name)

    def truncate(self, name: str, size: int) -> None:
        """Cut a file, durably."""
        self._step(f"truncate {name}")
        self._now[name] = self._now[name][:size]
        self._settle(name)

    def replace(self, name: str, content: bytes) -> None:
        """Put a whole file in the place of another: after a crash there is the old or the new one."""
        self._step(f"replace {name}")
        self._now[name] = content
        self._settle(name)

    def remove(self, name: str) -> None:
        """Delete a file."""
        self._step(f"remove {name}")
        del self._now[name]
        if self._syncs:
            self._durable.pop(name, None)

    def lock(self) -> None:
        """Become the owner of the folder."""
        if self._locked:
            raise IntegrityError("the folder is in use: a journal has one writer")
        self._locked = True

    def close(self) -> None:
        """Give up ownership."""
        self._locked = False

    def arm(self, *, crash_in: int = 0, fail_in: int = 0, error: int = errno.EIO) -> None:
        """Lose power in, or fail, the operation that is so many away from now; 0 = do not."""
        self._crash_at = self.operations + crash_in if crash_in else 0
        self._fail_at, self._error = (self.operations + fail_in if fail_in else 0), error

    def is_durable(self, text: bytes) -> bool:
        """Return whether a text would be found after any crash, newest file first."""
        return any(text in self._durable[name] for name in sorted(self._durable, reverse=True))

    def flip(self, name: str, place: int) -> None:
        """Damage one bit of a file, as a bad sector would."""
        content = bytearray(self._now[name])
        content[place] ^= 1 << (place % 8)
        self._now[name] = self._durable[name] = bytes(content)

    def _write_part(self, name: str, before: bytes, content: bytes) -> None:
        self._now[name] = before + content[: int(self._random.integers(len(content) + 1))]

    def _step(self, call: str, half: Callable[[], None] | None = None) -> None:
        """Count an operation; fail or lose power in it where that was asked for."""
        self.operations += 1
        self.calls.append(call)
        if self.operations == self._fail_at:
            raise OSError(self._error, os.strerror(self._error))
        if self.operations == self._crash_at:
            if half is not None:
                half()
            raise PowerCutError(call)

    def _settle(self, name: str) -> None:
        if self._syncs:
            content = bytearray(self._now[name])
            for start, end in self._holes.get(name, ()):
                content[start:end] = bytes(max(0, min(end, len(content)) - start))
            self._durable[name] = bytes(content)

    def _after_crash(self, name: str) -> bytes | None:
        """Return what is found of a file: its synced part, and a random selection of the rest."""
        durable, now = self._durable.get(name), self._now.get(name)
        if now is None:
            return durable if self._random.random() < _KEPT else None
        if durable is None and self._random.random() >= _KEPT:
            return None
        safe = durable if durable is not None and now.startswith(durable) else b""
        if durable is not None and not now.startswith(durable):
            return now if self._random.random() < _KEPT else durable
        rest = bytearray(now[len(safe) :])
        rest = rest[: int(self._random.integers(len(rest) + 1))] if rest else rest
        for start in range(0, len(rest), _SECTOR):
            if self._random.random() >= _KEPT:
                stop = min(start + _SECTOR, len(rest))
                rest[start:stop] = bytes(stop - start)
        return safe + bytes(rest)
