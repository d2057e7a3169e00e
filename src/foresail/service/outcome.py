"""What every use case returns to the edge: one JSON document, lines for a person, an exit code."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

__all__ = ["Outcome"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """Result of a use case.

    Attributes
    ----------
    document : plain data for ``--json``
    lines : text for a terminal
    exit_code : 0 done, 3 data refused, 4 invalid or differs, 5 inputs missing
    """

    document: dict[str, Any]
    lines: list[str]
    exit_code: int = 0
