"""Until when the signals behind what is held speak (EXIT-07): a fold over the journal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from foresail.core.ids import InstrumentId
from foresail.ledger.books import Books
from foresail.ledger.entries import Entry, FillBooked, SignalsRenewed

__all__ = ["EXPIRY_ENTRIES", "SignalExpiries"]

EXPIRY_ENTRIES: frozenset[type[Any]] = frozenset({FillBooked, SignalsRenewed})


class SignalExpiries:
    """The fold.

    Attributes
    ----------
    standing : instrument -> ns UTC from which on nothing speaks for it any more; a name without is kept for ever
    """

    def __init__(self) -> None:
        self.standing: dict[InstrumentId, int] = {}

    def apply(self, entry: Entry, books: Books) -> None:
        """Take in the next entry, after the books did; of several signals in one name the last to end counts."""
        if isinstance(entry, SignalsRenewed):
            for name, at in entry.expires:
                if at:
                    self.standing[name] = max(at, self.standing.get(name, at))
                else:
                    self.standing.pop(name, None)
        elif isinstance(entry, FillBooked) and self.standing and books.quantity(entry.fill.instrument) == 0:
            self.standing.pop(entry.fill.instrument, None)

    def to_plain(self) -> dict[str, int]:
        """Return everything as plain data."""
        return {str(name): at for name, at in self.standing.items()}

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> SignalExpiries:
        """Return the expiries that ``to_plain`` told; none in a state of before there were any."""
        told = cls()
        told.standing = {InstrumentId(name): int(at) for name, at in plain.items()}
        return told
