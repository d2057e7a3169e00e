"""The quality report of a batch of bars: what came in, what was kept, what was set aside and why (DATA-64, 65)."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["QualityFlag", "QualityReport", "QuarantinedRow"]


@dataclass(frozen=True, slots=True)
class QuarantinedRow:
    """One row that was set aside; the original is kept as text.

    Attributes
    ----------
    row : 1-based row in the file, header not counted
    rule : requirement id, for example DATA-52
    """

    file: str
    row: int
    column: str
    rule: str
    reason: str
    original: str


@dataclass(frozen=True, slots=True)
class QualityFlag:
    """Something that was noticed and kept: a jump, a frozen feed, a gap. Times ns UTC, bar end."""

    instrument: str
    end: int
    rule: str
    text: str


@dataclass(frozen=True, slots=True)
class QualityReport:
    """Counts and lists of one batch.

    Attributes
    ----------
    expected : bars that the calendar asks for between each instrument's first and last bar
    collapsed : equal duplicates that were dropped
    blocked : instruments in which an unexplained jump stops trading, with the bar end from which it holds
    """

    received: int
    accepted: int
    expected: int
    quarantined: tuple[QuarantinedRow, ...] = ()
    collapsed: int = 0
    gaps: int = 0
    flags: tuple[QualityFlag, ...] = ()
    blocked: tuple[tuple[str, int], ...] = ()
    notes: tuple[str, ...] = ()
