"""The journal: what happened to one account, in order. The books follow from it and from nothing else.

Entries are frozen, carry their instant (ns UTC) and a sequence number without gaps, and are written as JSON Lines with
exact decimals, so that reading a journal gives equal entries. New kinds of entry are added; a kind never changes its
meaning.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from types import UnionType
from typing import Any, Union, cast, get_args, get_origin, get_type_hints

from foresail.core.canonical import write_atomic
from foresail.core.errors import DataError, IntegrityError
from foresail.core.ids import InstrumentId
from foresail.domain.orders import Fill

__all__ = [
    "Deposited",
    "DividendPaid",
    "Entry",
    "FillBooked",
    "HoldingCharged",
    "HoldingKind",
    "Journal",
    "ListingEnded",
    "Marked",
    "SplitApplied",
    "read_journal",
    "write_journal",
]


class HoldingKind(StrEnum):
    """Why holding cost money."""

    BORROW = "borrow"
    MARGIN = "margin"
    FUNDING = "funding"
    SWAP = "swap"


@dataclass(frozen=True, slots=True)
class Deposited:
    """Money paid in (negative: taken out). An empty currency is the account's."""

    at: int
    sequence: int
    amount: Decimal
    currency: str = ""


@dataclass(frozen=True, slots=True)
class FillBooked:
    """An execution; ``currency`` is the instrument's quote currency, empty for the account's."""

    at: int
    sequence: int
    fill: Fill
    multiplier: Decimal = Decimal(1)
    currency: str = ""


@dataclass(frozen=True, slots=True)
class DividendPaid:
    """Cash per unit held at the ex-date; a short position pays it."""

    at: int
    sequence: int
    instrument: InstrumentId
    per_unit: Decimal


@dataclass(frozen=True, slots=True)
class SplitApplied:
    """Units after one unit before; fractions of a lot are paid in cash at ``price`` (after the split)."""

    at: int
    sequence: int
    instrument: InstrumentId
    ratio: Decimal
    price: Decimal
    lot: Decimal = Decimal(1)


@dataclass(frozen=True, slots=True)
class HoldingCharged:
    """Borrow fee, margin interest, funding or swap; a negative amount was received. No instrument: the account's."""

    at: int
    sequence: int
    amount: Decimal
    kind: HoldingKind
    instrument: InstrumentId | None = None
    currency: str = ""


@dataclass(frozen=True, slots=True)
class ListingEnded:
    """A listing ended; what is still held is paid out at ``price``."""

    at: int
    sequence: int
    instrument: InstrumentId
    price: Decimal


@dataclass(frozen=True, slots=True)
class Marked:
    """Prices at the end of a bar; later reads of equity without prices use them."""

    at: int
    sequence: int
    prices: tuple[tuple[InstrumentId, Decimal], ...]


Entry = Deposited | FillBooked | DividendPaid | SplitApplied | HoldingCharged | ListingEnded | Marked

_KINDS: dict[str, type[Any]] = {kind.__name__: kind for kind in get_args(Entry)}


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
    """Write entries as JSON Lines, one object an entry, decimals as text; the file is replaced as a whole."""
    lines = [json.dumps({"entry": type(entry).__name__, **_plain(entry)}, ensure_ascii=False) for entry in entries]
    write_atomic(path, "".join(f"{line}\n" for line in lines).encode())


def read_journal(path: Path) -> tuple[Entry, ...]:
    """Return the entries of a journal file, equal to those that were written.

    Raises
    ------
    DataError
        If a line is no entry; file and row are named.
    """
    journal = Journal()
    with path.open(encoding="utf-8") as stream:
        for row, line in enumerate(stream, start=1):
            try:
                content = json.loads(line)
                journal.append(_entry(content))
            except (ValueError, ArithmeticError, KeyError, TypeError, IntegrityError) as e:
                raise DataError(
                    f"{path}, line {row}: expected a journal entry, received {line.strip()[:120]!r} ({e})",
                    file=str(path),
                    row=row,
                    hint="restore the journal from its copy; a damaged journal is never repaired in place",
                ) from e
    return journal.entries


def _entry(content: Any) -> Entry:
    """Return the entry of one line's JSON object; what is none raises."""
    if not isinstance(content, dict) or content.get("entry") not in _KINDS:
        raise ValueError(f"expected an object whose entry is one of {', '.join(sorted(_KINDS))}")
    kind = _KINDS[content["entry"]]
    return cast("Entry", _build(kind, {name: value for name, value in content.items() if name != "entry"}))


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        return {f.name: _plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, tuple):
        return [_plain(one) for one in value]
    return value.value if isinstance(value, StrEnum) else value


def _build(kind: Any, content: Any) -> Any:
    """Return a value of a declared type from plain JSON data; what does not fit raises."""
    if get_origin(kind) in (UnionType, Union):
        return None if content is None else _build(next(a for a in get_args(kind) if a is not type(None)), content)
    if get_origin(kind) is tuple:
        return _build_tuple(get_args(kind), content)
    if dataclasses.is_dataclass(kind):
        hints = get_type_hints(kind)
        if set(content) != set(hints):
            raise ValueError(f"expected the fields {sorted(hints)}")
        return kind(**{name: _build(hints[name], content[name]) for name in hints})  # type: ignore[operator]
    plain = getattr(kind, "__supertype__", kind)
    if plain is int and (isinstance(content, bool) or not isinstance(content, int)):
        raise ValueError(f"expected a whole number, received {content!r}")
    if plain is not int and not isinstance(content, str):
        raise ValueError(f"expected text, received {content!r}")
    value = plain(content)
    if plain is Decimal and not value.is_finite():
        raise ValueError(f"expected a finite number, received {content!r}")
    return value


def _build_tuple(items: tuple[Any, ...], content: Any) -> tuple[Any, ...]:
    if not isinstance(content, list):
        raise TypeError(f"expected a list, received {content!r}")
    if items[-1] is Ellipsis:
        return tuple(_build(items[0], one) for one in content)
    if len(items) != len(content):
        raise ValueError(f"expected {len(items)} values, received {len(content)}")
    return tuple(_build(kind, one) for kind, one in zip(items, content, strict=True))
