"""The few things that a journal asks of a disk, and the real one.

The interface is small so that a pessimistic disk can stand in its place: one that loses, tears and reorders whatever
was not synced (``foresail.testing.disk``).
"""

from __future__ import annotations

import errno
import fcntl
import os
from pathlib import Path
from typing import Protocol

from foresail.core.errors import IntegrityError

__all__ = ["Disk", "RealDisk"]


class Disk(Protocol):
    """A folder with one owner. All methods raise OSError where the machine does."""

    def names(self) -> tuple[str, ...]:
        """Return the files of the folder, ascending."""
        ...

    def read(self, name: str, offset: int = 0) -> bytes:
        """Return the content of a file from an offset to its end."""
        ...

    def create(self, name: str, content: bytes) -> None:
        """Write a new file; when this returns, file and name are durable."""
        ...

    def append(self, name: str, content: bytes) -> None:
        """Write at the end of a file; durable only after ``sync``."""
        ...

    def sync(self, name: str) -> None:
        """Return once everything that was appended to a file is durable."""
        ...

    def truncate(self, name: str, size: int) -> None:
        """Cut a file, durably."""
        ...

    def replace(self, name: str, content: bytes) -> None:
        """Put a whole file in the place of another: after a crash there is the old or the new one."""
        ...

    def remove(self, name: str) -> None:
        """Delete a file."""
        ...

    def lock(self) -> None:
        """Become the owner of the folder, or raise IntegrityError where it has one."""
        ...

    def close(self) -> None:
        """Give up ownership and open files."""
        ...


class RealDisk:
    """A folder of this machine.

    Parameters
    ----------
    folder : made where it does not exist
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._open: dict[str, int] = {}
        self._lock = -1
        folder.mkdir(parents=True, exist_ok=True)

    def names(self) -> tuple[str, ...]:
        """Return the files of the folder, ascending."""
        return tuple(sorted(one.name for one in self.folder.iterdir() if one.is_file()))

    def read(self, name: str, offset: int = 0) -> bytes:
        """Return the content of a file from an offset to its end."""
        with (self.folder / name).open("rb") as stream:
            stream.seek(offset)
            return stream.read()

    def create(self, name: str, content: bytes) -> None:
        """Write a new file; when this returns, file and name are durable."""
        descriptor = os.open(self.folder / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
        self._open[name] = descriptor
        _write(descriptor, content)
        os.fsync(descriptor)
        self._sync_folder()

    def append(self, name: str, content: bytes) -> None:
        """Write at the end of a file; durable only after ``sync``."""
        _write(self._descriptor(name), content)

    def sync(self, name: str) -> None:
        """Return once everything that was appended to a file is durable."""
        os.fdatasync(self._descriptor(name))

    def truncate(self, name: str, size: int) -> None:
        """Cut a file, durably."""
        descriptor = self._descriptor(name)
        os.ftruncate(descriptor, size)
        os.fsync(descriptor)

    def replace(self, name: str, content: bytes) -> None:
        """Put a whole file in the place of another: after a crash there is the old or the new one."""
        waiting = self.folder / f".{name}.tmp"
        descriptor = os.open(waiting, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            _write(descriptor, content)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        waiting.replace(self.folder / name)
        self._sync_folder()

    def remove(self, name: str) -> None:
        """Delete a file."""
        descriptor = self._open.pop(name, None)
        if descriptor is not None:
            os.close(descriptor)
        (self.folder / name).unlink()

    def lock(self) -> None:
        """Become the owner of the folder.

        Raises
        ------
        IntegrityError
            If another process owns it.
        """
        descriptor = os.open(self.folder / ".lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(descriptor)
            if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
                raise
            raise IntegrityError(
                f"{self.folder} is in use by another process: a journal has one writer",
                hint="stop the other process; after a crash the lock is free by itself",
            ) from error
        self._lock = descriptor

    def close(self) -> None:
        """Give up ownership and open files."""
        for descriptor in (*self._open.values(), *([self._lock] if self._lock >= 0 else [])):
            os.close(descriptor)
        self._open.clear()
        self._lock = -1

    def _descriptor(self, name: str) -> int:
        descriptor = self._open.get(name)
        if descriptor is None:
            descriptor = self._open[name] = os.open(self.folder / name, os.O_RDWR | os.O_APPEND)
        return descriptor

    def _sync_folder(self) -> None:
        descriptor = os.open(self.folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _write(descriptor: int, content: bytes) -> None:
    left = memoryview(content)
    while left:
        left = left[os.write(descriptor, left) :]
