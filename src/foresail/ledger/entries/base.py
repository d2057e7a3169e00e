"""What all entries of a journal have in common."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["BaseEntry"]


@dataclass(frozen=True, slots=True)
class BaseEntry:
    """What every entry has: its instant (ns UTC) and its sequence number."""

    at: int
    sequence: int
