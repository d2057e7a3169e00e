"""A file of JSON lines that several processes append to, and that loses nothing silently.

1. Writers take a lock beside the file, append whole lines and flush them to the disk.
2. Readers go on where they stopped: what was read before is not parsed again, unless the file was replaced.
3. A last line that is not whole is a write that a crash tore: readers leave it out and say so, the next writer
   cuts it.
4. Any other line that is no record is refused with its number.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from foresail.core.canonical import plain
from foresail.core.errors import DataError

try:
    import fcntl
except ImportError:  # Windows has no flock: there, two runs that end in the same instant may both be counted
    fcntl = None  # type: ignore[assignment]

__all__ = ["Fresh", "RecordFile"]

_TAIL = 64  # bytes before the place where a reader stopped, by which it knows the file again


@dataclass(frozen=True, slots=True)
class Fresh:
    """What a reader finds new.

    Attributes
    ----------
    records : with their line numbers, from 1
    from_start : whether they are all records of the file, because it is new to the reader
    torn : bytes of a torn last line
    """

    records: tuple[tuple[int, dict[str, Any]], ...]
    from_start: bool
    torn: int = 0


class RecordFile:
    """Reads and appends JSON lines.

    Parameters
    ----------
    path : made by the first write
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._offset = 0
        self._lines = 0
        self._tail = b""
        self._stamp: tuple[int, int, int] | None = None

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the lock that every writer takes."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.with_name(self.path.name + ".lock").open("a") as stream:
            if fcntl is not None:
                fcntl.flock(stream, fcntl.LOCK_EX)
            yield

    def read(self) -> Fresh | None:
        """Return what is new since the last call, None where nothing is.

        Raises
        ------
        DataError
            If a line is no record, the last one excepted.
        """
        if not self.path.exists():
            self._offset, self._lines, self._tail, self._stamp = 0, 0, b"", None
            return Fresh((), from_start=True)
        with self.path.open("rb") as stream:
            status = os.fstat(stream.fileno())
            stamp = (status.st_ino, status.st_size, status.st_mtime_ns)
            if stamp == self._stamp:
                return None
            from_start = not self._continues(stream, status.st_size)
            if from_start:
                self._offset, self._lines, self._tail = 0, 0, b""
            stream.seek(self._offset)
            data = stream.read()
        lines, torn = _split(data)
        records = self._parse(lines)
        taken = data[: len(data) - len(torn)]
        whole = taken.endswith(b"\n") or not taken
        if whole:  # a line that still lacks its newline is read again, with whatever follows it
            self._offset += len(taken)
            self._lines += len(lines)
            self._tail = (self._tail + taken)[-_TAIL:]
            self._stamp = stamp
        else:
            self._offset, self._lines, self._tail, self._stamp = 0, 0, b"", None
        return Fresh(tuple(records), from_start=from_start, torn=len(torn))

    def _continues(self, stream: Any, size: int) -> bool:
        """Return whether the file is the one that was read, grown or not."""
        if self._stamp is None or size < self._offset:
            return False
        stream.seek(self._offset - len(self._tail))
        return bool(stream.read(len(self._tail)) == self._tail)

    def _parse(self, lines: Sequence[bytes]) -> list[tuple[int, dict[str, Any]]]:
        try:
            found = json.loads(b"[" + b",".join(lines) + b"]")  # one call is faster than one a line
        except ValueError:
            found = []
        if len(found) != len(lines) or not all(type(record) is dict for record in found):
            found = [self._one(number, line) for number, line in enumerate(lines, start=self._lines + 1)]
        return list(enumerate(found, start=self._lines + 1))

    def _one(self, number: int, line: bytes) -> dict[str, Any]:
        try:
            record = json.loads(line)
        except ValueError as e:
            raise self.error(number, line.decode(errors="replace")) from e
        if not isinstance(record, dict):
            raise self.error(number, line.decode(errors="replace"))
        return record

    def error(self, number: int, text: str) -> DataError:
        """Return the refusal of a line."""
        return DataError(
            f"{self.path}: expected a trial record in line {number}, received {text[:60]!r}",
            file=str(self.path),
            row=number,
            hint="restore the file from a copy; deleting it does not reset the count while runs exist",
        )

    def cut_torn(self) -> int:
        """Cut a torn last line, mend a missing newline, and return how many bytes were cut; hold the lock for it."""
        if not self.path.exists():
            return 0
        data = self.path.read_bytes()
        _, torn = _split(data)
        if torn:
            with self.path.open("r+b") as stream:
                stream.truncate(len(data) - len(torn))
                stream.flush()
                os.fsync(stream.fileno())
        elif data and not data.endswith(b"\n"):  # whole record, only its newline is missing
            self._write(b"\n")
        return len(torn)

    def append(self, records: Sequence[Mapping[str, Any]]) -> None:
        """Write records as whole lines and flush them to the disk; hold the lock for it."""
        lines = [json.dumps(plain(record), sort_keys=True, allow_nan=False) + "\n" for record in records]
        self._write("".join(lines).encode())

    def _write(self, data: bytes) -> None:
        handle = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            written = 0
            while written < len(data):
                written += os.write(handle, data[written:])
            os.fsync(handle)
        finally:
            os.close(handle)


def _split(data: bytes) -> tuple[list[bytes], bytes]:
    """Return the whole lines and what a crash left of the last one (empty where it is whole)."""
    lines = data.split(b"\n")
    last = lines.pop()
    if last:
        try:
            json.loads(last)
        except ValueError:
            return lines, last
        lines.append(last)
    return lines, b""
