"""What a core knows besides books, orders, latches and risk: a fold over the journal like the rest.

Newest facts, up to when holding was charged, when each strategy decided last, how far each stream was applied, and what
each strategy remembers. Nothing of it is set any other way, so that the entries alone restore it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from foresail.core.canonical import plain
from foresail.core.ids import InstrumentId
from foresail.ledger.entries import (
    Decided,
    Entry,
    FactKnown,
    FillBooked,
    HoldingTimed,
    Marked,
    Remembered,
    StreamAdvanced,
)

__all__ = ["CoreNotes", "memory_text"]


def memory_text(memory: Any) -> str:
    """Return what a strategy remembers as JSON, the same text for the same content.

    Raises
    ------
    TypeError
        If it is not plain data.
    """
    return json.dumps(plain(memory), separators=(",", ":"), sort_keys=True)


class CoreNotes:
    """The fold.

    Attributes
    ----------
    facts : newest value of every fact by name
    charged_until : holding costs are charged up to this instant, ns UTC; None before the first mark or fill
    decided : newest nominal instant at which each strategy decided
    filled : instant of the newest fill of each instrument, ns UTC
    streams : position up to which each source was applied
    remembered : what each strategy remembers, as JSON
    """

    __slots__ = ("charged_until", "decided", "facts", "filled", "remembered", "streams")

    def __init__(self, facts: Mapping[str, float]) -> None:
        self.facts: dict[str, float] = dict(facts)
        self.charged_until: int | None = None
        self.decided: dict[str, int] = {}
        self.filled: dict[InstrumentId, int] = {}
        self.streams: dict[str, int] = {}
        self.remembered: dict[str, str] = {}

    def apply(self, entry: Entry) -> None:
        """Take in the next entry."""
        handler = self._HANDLERS.get(type(entry))
        if handler is not None:
            handler(self, entry)

    def to_plain(self) -> dict[str, Any]:
        """Return everything as plain data."""
        return {
            "facts": self.facts,
            "charged_until": self.charged_until,
            "decided": self.decided,
            "filled": self.filled,
            "streams": self.streams,
            "remembered": self.remembered,
        }

    @classmethod
    def from_plain(cls, state: Mapping[str, Any]) -> CoreNotes:
        """Return the notes out of the state of a core; before there were notes they stood in the state itself."""
        told = state.get("notes", state)
        notes = cls(told["facts"])
        notes.charged_until = told["charged_until"]
        notes.decided = {name: int(at) for name, at in told["decided"].items()}
        notes.filled = {InstrumentId(name): int(at) for name, at in told.get("filled", {}).items()}
        notes.streams = {name: int(place) for name, place in told["streams"].items()}
        notes.remembered = dict(told.get("remembered", {}))
        return notes

    def _decided(self, entry: Decided) -> None:
        self.decided[entry.strategy] = entry.decided_at

    def _advanced(self, entry: StreamAdvanced) -> None:
        self.streams[entry.source] = entry.position

    def _marked(self, entry: Marked) -> None:
        self.charged_until = max(self.charged_until or 0, entry.at)

    def _filled(self, entry: FillBooked) -> None:
        fill = entry.fill
        self.charged_until = max(self.charged_until or 0, fill.filled_at)
        self.filled[fill.instrument] = max(self.filled.get(fill.instrument, 0), fill.filled_at)

    def _timed(self, entry: HoldingTimed) -> None:
        self.charged_until = entry.until

    def _known(self, entry: FactKnown) -> None:
        if entry.value is None:
            self.facts.pop(entry.kind, None)
        else:
            self.facts[entry.kind] = entry.value

    def _remember(self, entry: Remembered) -> None:
        self.remembered[entry.strategy] = entry.memory

    _HANDLERS: ClassVar[dict[type[Any], Callable[[Any, Any], None]]] = {
        Decided: _decided,
        FactKnown: _known,
        FillBooked: _filled,
        HoldingTimed: _timed,
        Marked: _marked,
        Remembered: _remember,
        StreamAdvanced: _advanced,
    }
