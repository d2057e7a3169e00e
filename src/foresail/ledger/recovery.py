"""Reading a journal: at the start of a process, to rebuild what follows from it, and to check all of it.

A torn tail of the newest segment was never acknowledged and is cut. Any other damage is refused with its place: what
was durable is not given up silently.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from foresail.core.canonical import canonical_bytes, hash_bytes
from foresail.core.errors import DataError, IntegrityError
from foresail.ledger.codec import decode_entry
from foresail.ledger.disk import Disk
from foresail.ledger.entries import Entry, SessionStarted
from foresail.ledger.frames import CHAIN_START, Frame, first_frame, scan_frames

__all__ = [
    "FORMAT",
    "Position",
    "Recovery",
    "Session",
    "read_entries",
    "recover",
    "segment_name",
    "snapshot_bytes",
    "verify_log",
]

FORMAT = 1
_SNAPSHOT = msgspec.json.Encoder(decimal_format="string", order="deterministic")
_COPY = "restore the journal from its copy; a damaged journal is never repaired in place"


@dataclass(frozen=True, slots=True)
class Session:
    """Who writes: named in the first entry of each epoch."""

    environment: str
    account: str
    build: str
    settings: str


@dataclass(frozen=True, slots=True)
class Recovery:
    """What opening a log found.

    Attributes
    ----------
    state : of the newest snapshot, None where there is none
    entries : what was written after that snapshot, oldest first
    cut : bytes of a torn tail that were cut off
    epoch : of this process
    """

    state: Mapping[str, Any] | None
    entries: tuple[Entry, ...]
    cut: int
    epoch: int


@dataclass(slots=True)
class Position:
    """Where the next frame goes, and what it follows on."""

    segment: int = 0
    chain: bytes = CHAIN_START
    sequence: int = 0
    at: int = 0
    epoch: int = 0


@dataclass(frozen=True, slots=True)
class _Segment:
    """A segment as read: its header, its frames behind the header, where the last whole one ends, its length."""

    number: int
    header: Mapping[str, Any]
    frames: tuple[Frame, ...]
    chain: bytes
    end: int
    length: int


def snapshot_bytes(body: Mapping[str, Any]) -> bytes:
    """Return the content of a snapshot file: the hash of the second line, then that line, the body as JSON.

    A start checks the bytes as they are, so that even a large state is read within the time it takes to parse it.
    """
    line = _SNAPSHOT.encode(body) + b"\n"
    return hash_bytes(line).encode() + b"\n" + line


def _snapshot_body(content: bytes) -> dict[str, Any] | None:
    """Return the body of a snapshot file, None where it is not whole; the first versions wrote one indented record."""
    if content.startswith(b"{"):
        record = json.loads(content)
        body: dict[str, Any] = record["body"]
        return body if record["hash"] == hash_bytes(canonical_bytes(body)) else None
    told, _, line = content.partition(b"\n")
    return msgspec.json.decode(line, type=dict[str, Any]) if told == hash_bytes(line).encode() else None


def segment_name(number: int) -> str:
    """Return the file name of a segment."""
    return f"journal-{number:08d}.log"


def read_entries(disk: Disk) -> Iterator[Entry]:
    """Yield all entries ever committed, oldest first, without locking; a torn tail is left out.

    Raises
    ------
    IntegrityError
        If durable data are damaged, with segment and offset.
    """
    expected = 0
    for segment in _segments(disk, _numbers(disk), 1):
        for entry in _entries(segment.frames):
            if entry.sequence != expected:
                raise IntegrityError(f"journal: expected entry {expected}, found {entry.sequence}", hint=_COPY)
            expected += 1
            yield entry


def verify_log(disk: Disk) -> tuple[int, str, int]:
    """Check every frame, chain and sequence number; return (entries, chain of the last frame as hex, bytes behind it).

    Bytes behind the last whole frame are a write that a crash cut short, or damage of the very last commit: from the
    file alone nobody can tell which, so they are told and not passed over.

    Raises
    ------
    IntegrityError
        At the first damage, with segment and offset.
    """
    count = sum(1 for _ in read_entries(disk))
    chain, behind, numbers = CHAIN_START, 0, _numbers(disk)
    last = 0
    for segment in _segments(disk, numbers, 1):
        chain, behind, last = segment.chain, segment.length - segment.end, segment.number
    if numbers and last != numbers[-1]:
        behind += len(disk.read(segment_name(numbers[-1])))
    return count, chain.hex(), behind


def recover(disk: Disk, session: Session) -> tuple[Position, Recovery, int]:
    """Return the position behind the last whole frame, what was found, and the size of the last segment.

    Raises
    ------
    IntegrityError
        If durable data are damaged, or the journal belongs to another account or environment.
    """
    numbers = _numbers(disk)
    if not numbers:
        return Position(), Recovery(None, (), 0, 1), 0
    body = _newest_snapshot(disk, numbers)
    start = 1 if body is None else int(body["segment"])
    position, size = Position(), 0
    entries: list[Entry] = []
    for segment in _segments(disk, numbers, start):
        if segment.number == start:
            header = segment.header
            position.sequence, position.at, position.epoch = header["first"], header["at"], header["epoch"]
        position.segment, position.chain, size = segment.number, segment.chain, segment.end
        entries.extend(_entries(segment.frames))
    if body is not None and body["sequence"] != position.sequence:
        raise IntegrityError("the newest snapshot does not belong to this journal", hint="remove the snapshot")
    _follow(position, entries, session)
    cut = _cut_tail(disk, numbers, position, size)
    if numbers[-1] != position.segment:
        size = 0  # the newest segment was never finished: the next one takes its number
    return position, Recovery(None if body is None else body["state"], tuple(entries), cut, position.epoch + 1), size


def _follow(position: Position, entries: list[Entry], session: Session) -> None:
    """Move a position over entries, checking their order and whose they are."""
    for entry in entries:
        if entry.sequence != position.sequence or entry.at < position.at:
            raise IntegrityError(
                f"journal: expected entry {position.sequence}, found {entry.sequence} at {entry.at}", hint=_COPY
            )
        position.sequence, position.at = entry.sequence + 1, entry.at
        if isinstance(entry, SessionStarted):
            position.epoch = entry.epoch
            _refuse_others(entry, session)


def _refuse_others(entry: SessionStarted, session: Session) -> None:
    if (entry.environment, entry.account) != (session.environment, session.account):
        raise IntegrityError(
            f"the journal belongs to {entry.environment} account {entry.account}, this process is "
            f"{session.environment} account {session.account}",
            hint="give each account and environment its own folder",
        )


def _cut_tail(disk: Disk, numbers: list[int], position: Position, end: int) -> int:
    """Remove what no commit acknowledged; return how many bytes."""
    if numbers[-1] != position.segment:
        name = segment_name(numbers[-1])
        length = len(disk.read(name))
        disk.remove(name)
        return length
    name = segment_name(position.segment)
    length = len(disk.read(name))
    if length > end:
        disk.truncate(name, end)
    return length - end


def _numbers(disk: Disk) -> list[int]:
    names = [n for n in disk.names() if n.startswith("journal-") and n.endswith(".log")]
    numbers = sorted(int(n[8:-4]) for n in names)
    if numbers != list(range(1, len(numbers) + 1)):
        raise IntegrityError(
            f"the journal lacks segments: found {len(numbers)}, the newest is {numbers[-1]}", hint=_COPY
        )
    return numbers


def _segments(disk: Disk, numbers: list[int], start: int) -> Iterator[_Segment]:
    """Yield segments from a number on, each checked against the one before; an unfinished newest one is left out."""
    before: bytes | None = CHAIN_START if start == 1 else None
    for number in (n for n in numbers if n >= start):
        segment = _read_segment(disk, number, before, is_last=number == numbers[-1])
        if segment is None:
            if number == start and number > 1:
                raise IntegrityError(f"{segment_name(number)} has lost its header", hint=_COPY)
            return
        yield segment
        before = segment.chain


def _read_segment(disk: Disk, number: int, before: bytes | None, *, is_last: bool) -> _Segment | None:
    """Return a segment, None where a crash cut short its making."""
    name, content = segment_name(number), disk.read(segment_name(number))
    first = first_frame(content)
    header = None if first is None or not first.payload.startswith(b"#") else json.loads(first.payload[1:])
    if header is not None and header["format"] != FORMAT:
        raise DataError(f"{name} has format {header['format']}, this version reads {FORMAT}")
    chain = before if before is not None else bytes.fromhex(header["before"]) if header is not None else CHAIN_START
    scan = scan_frames(content, chain)
    if scan.broken_at >= 0 or (scan.end < len(content) and not is_last) or (not scan.frames and not is_last):
        raise IntegrityError(f"{name} is damaged at byte {scan.end}: durable entries would be lost", hint=_COPY)
    if not scan.frames or header is None:
        return None
    return _Segment(number, header, scan.frames[1:], scan.frames[-1].chain, scan.end, len(content))


def _entries(frames: tuple[Frame, ...]) -> Iterator[Entry]:
    for frame in frames:
        for line in frame.payload.split(b"\n"):
            yield decode_entry(line)


def _newest_snapshot(disk: Disk, numbers: list[int]) -> dict[str, Any] | None:
    """Return the body of the newest snapshot that is whole and whose segment exists."""
    for name in reversed([n for n in disk.names() if n.startswith("snapshot-") and n.endswith(".json")]):
        try:
            body = _snapshot_body(disk.read(name))
            if body is not None and body["segment"] in numbers:
                return body
        except (ValueError, KeyError, TypeError, msgspec.MsgspecError):
            continue  # an older snapshot and a longer tail give the same state
    return None
