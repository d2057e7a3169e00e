"""The journal in memory: what happened to one account, in order. The books follow from it and from nothing else.

``entries`` has the kinds; ``log`` the same journal on disk, durable before anything is sent.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from foresail.core.canonical import write_atomic
from foresail.core.errors import DataError, IntegrityError
from foresail.ledger.codec import decode_entry, encode_entry
from foresail.ledger.entries import Entry

__all__ = ["Journal", "read_journal", "write_journal"]


class Journal:
    """Entries in memory, appended only, sequence without gaps, time never going back."""

    def __init__(self, entries: Iterable[Entry] = ()) -> None:
        self._entries: list[Entry] = []
        for entry in entries:
            self.append(entry)

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[Entry]:
        return iter(self._entries)

    @property
    def next_sequence(self) -> int:
        """The sequence number that the next entry must carry."""
        return len(self._entries)

    @property
    def entries(self) -> tuple[Entry, ...]:
        """All entries so far."""
        return tuple(self._entries)

    def append(self, entry: Entry) -> None:
        """Add an entry.

        Raises
        ------
        IntegrityError
            If its sequence number is not the next one, or its time lies before the last entry's.
        """
        if entry.sequence != len(self._entries):
            raise IntegrityError(f"journal: expected entry {len(self._entries)}, received {entry.sequence}")
        if self._entries and entry.at < self._entries[-1].at:
            raise IntegrityError(
                f"journal: entry {entry.sequence} is dated {entry.at}, before its predecessor {self._entries[-1].at}"
            )
        self._entries.append(entry)


def write_journal(path: Path, entries: Iterable[Entry]) -> None:
    """Write entries as text, one a line: its kind and its content as JSON; the file is replaced as a whole."""
    write_atomic(path, b"".join(encode_entry(entry) + b"\n" for entry in entries))


def read_journal(path: Path) -> tuple[Entry, ...]:
    """Return the entries of a journal file, equal to those that were written.

    Raises
    ------
    DataError
        If a line is no entry; file and row are named.
    """
    journal = Journal()
    with path.open("rb") as stream:
        for row, line in enumerate(stream, start=1):
            try:
                journal.append(decode_entry(line.rstrip(b"\n")))
            except (DataError, IntegrityError) as e:
                raise DataError(
                    f"{path}, line {row}: {e}",
                    file=str(path),
                    row=row,
                    hint="restore the journal from its copy; a damaged journal is never repaired in place",
                ) from e
    return journal.entries
