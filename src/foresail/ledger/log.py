"""The journal on disk: one writer, durable before effect, hash-chained, recovered by reading it.

1. ``append`` puts entries into the open group; ``commit`` writes the group as one frame and syncs. Only what was
   committed may have effects outside.
2. Starting is recovering: a torn tail is cut, damage before it is refused, the newest snapshot and what was written
   after it are handed over.
3. The first write or sync that fails stops the log for good. A second sync could succeed without the first data.
4. Each process that opens the log is an epoch, told by its ``SessionStarted`` entry.

Segments are ``journal-N.log``; a new one begins with each snapshot and where one has grown large. Each begins with a
frame that names its first entry and the chain before it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from foresail.core.canonical import canonical_bytes
from foresail.core.errors import IntegrityError, JournalStoppedError
from foresail.ledger.codec import encode_entry
from foresail.ledger.disk import Disk
from foresail.ledger.entries import Entry, SessionStarted
from foresail.ledger.frames import make_frame
from foresail.ledger.recovery import FORMAT, Position, Recovery, Session, recover, segment_name, snapshot_bytes

__all__ = ["EntryLog"]

_SEGMENT_BYTES = 64 << 20


class EntryLog:
    """A journal that one process writes; made by ``open``.

    Attributes
    ----------
    recovery : what was found at the start
    """

    def __init__(self, disk: Disk, position: Position, recovery: Recovery, size: int) -> None:
        self._disk, self._position, self._size = disk, position, size
        self._waiting: list[bytes] = []
        self._stopped = ""
        self.recovery = recovery

    @classmethod
    def open(cls, disk: Disk, session: Session, *, at: int) -> EntryLog:
        """Lock the folder, recover, and begin an epoch.

        Parameters
        ----------
        at : now, ns UTC; the epoch's first entry never lies before the last one written

        Raises
        ------
        IntegrityError
            If another process writes here, another account or environment did, or durable data are damaged.
        """
        disk.lock()
        try:
            position, recovery, size = recover(disk, session)
            position.epoch = recovery.epoch
            log = cls(disk, position, recovery, size)
            if size == 0:
                log._begin_segment()
            first = SessionStarted(
                max(at, position.at), log.next_sequence, recovery.epoch, session.environment, session.account,
                session.build, session.settings,
            )  # fmt: skip
            log.append(first)
            log.commit()
        except OSError as error:
            disk.close()
            raise JournalStoppedError(
                f"the journal cannot be opened: {error.strerror or error} (errno {error.errno})",
                hint="free or replace the disk, then start again",
            ) from error
        except BaseException:
            disk.close()
            raise
        return log

    @property
    def next_sequence(self) -> int:
        """The sequence number that the next entry must carry."""
        return self._position.sequence

    @property
    def last_at(self) -> int:
        """Instant of the last entry, ns UTC."""
        return self._position.at

    @property
    def stopped(self) -> str:
        """Why nothing can be written any more, empty while all is well."""
        return self._stopped

    def append(self, entry: Entry) -> None:
        """Add an entry to the open group; it is durable after ``commit`` and not before.

        Raises
        ------
        JournalStoppedError
            If an earlier write failed.
        IntegrityError
            If its sequence number is not the next one, or its time lies before the last entry's.
        """
        self._refuse_if_stopped()
        place = self._position
        if entry.sequence != place.sequence:
            raise IntegrityError(f"journal: expected entry {place.sequence}, received {entry.sequence}")
        if entry.at < place.at:
            raise IntegrityError(
                f"journal: entry {entry.sequence} is dated {entry.at}, before its predecessor {place.at}"
            )
        self._waiting.append(encode_entry(entry))
        place.sequence, place.at = entry.sequence + 1, entry.at

    def commit(self) -> None:
        """Make everything appended durable; it may have effects from here on.

        Raises
        ------
        JournalStoppedError
            If the disk failed, now or earlier: send nothing, keep what is held, tell somebody.
        """
        self._refuse_if_stopped()
        if not self._waiting:
            return
        frame, chain = make_frame(self._position.chain, b"\n".join(self._waiting))
        name = segment_name(self._position.segment)
        self._guarded(lambda: self._disk.append(name, frame))
        self._guarded(lambda: self._disk.sync(name))
        self._waiting.clear()
        self._position.chain = chain
        self._size += len(frame)
        if self._size > _SEGMENT_BYTES:
            self._begin_segment()

    def snapshot(self, state: Mapping[str, Any]) -> None:
        """Store the state that all committed entries have led to; the next start reads it and what comes after.

        Parameters
        ----------
        state : plain data
        """
        self.commit()
        self._begin_segment()
        place = self._position
        body = {
            "format": FORMAT,
            "segment": place.segment,
            "sequence": place.sequence,
            "at": place.at,
            "epoch": place.epoch,
            "state": state,
        }
        content = snapshot_bytes(body)
        self._guarded(lambda: self._disk.replace(f"snapshot-{place.segment:08d}.json", content))

    def close(self) -> None:
        """Give the folder back. Not needed for correctness: a kill at any instant loses nothing committed."""
        self._disk.close()

    def _begin_segment(self) -> None:
        place = self._position
        place.segment += 1
        header = {"format": FORMAT, "first": place.sequence, "at": place.at, "epoch": place.epoch}
        frame, chain = make_frame(place.chain, b"#" + canonical_bytes({**header, "before": place.chain.hex()}))
        self._guarded(lambda: self._disk.create(segment_name(place.segment), frame))
        place.chain, self._size = chain, len(frame)

    def _guarded(self, act: Callable[[], None]) -> None:
        try:
            act()
        except OSError as error:
            self._stopped = f"{error.strerror or error} (errno {error.errno})"
            raise JournalStoppedError(
                f"the journal could not be made durable: {self._stopped}; nothing is sent any more",
                hint="free or replace the disk, then start again: the start recovers what was durable",
            ) from error

    def _refuse_if_stopped(self) -> None:
        if self._stopped:
            raise JournalStoppedError(
                f"the journal stopped earlier: {self._stopped}", hint="start again once the disk is sound"
            )
