"""What a leak hunt says: one record for each use of the future, and the whole."""

from __future__ import annotations

from dataclasses import dataclass

from foresail.core.clock import format_ns

__all__ = ["Leak", "LeakReport", "report_of", "source_line"]

_NOT_A_COLUMN = {
    "next return": "matches the next return",
    "train rows": "is learnt from rows outside its training part",
    "instrument order": "changes with the order of the instruments",
    "survivors": "exists for survivors only",
    "label": "belongs to a label that is known already",
    "profit": "is earned where nothing can be",
}


@dataclass(frozen=True, slots=True)
class Leak:
    """One use of the future.

    Attributes
    ----------
    line : 1-based line of the file
    column : the bar column, table, feature or label whose later values are used; "presence" = which bars exist, "rows"
        = how many bars follow, "next return" = values too good to be true, "train rows" = rows of the training part,
        "instrument order", "survivors" and "profit" = see the cause
    time : ns UTC, end of a bar whose value changes when later bars change
    cause : one sentence
    source_line : text of that line
    """

    file: str
    line: int
    column: str
    time: int
    cause: str
    source_line: str

    def __str__(self) -> str:
        consequence = _NOT_A_COLUMN.get(self.column, f"changes with later {self.column}")
        return (
            f"{self.file}, line {self.line}: `{self.source_line}`: {self.cause}; the value at {format_ns(self.time)} "
            f"{consequence}"
        )


@dataclass(frozen=True, slots=True)
class LeakReport:
    """What a hunt found; an empty ``leaks`` means that nothing changed at any checked time (ns UTC)."""

    leaks: tuple[Leak, ...]
    checked_times: tuple[int, ...]
    text: str


def report_of(leaks: tuple[Leak, ...], checked_times: tuple[int, ...], clean_text: str) -> LeakReport:
    """Return the report of a hunt; without leaks its text is ``clean_text``."""
    return LeakReport(leaks, checked_times, "\n".join(str(leak) for leak in leaks) if leaks else clean_text)


def source_line(source: str, line: int) -> str:
    """Return one line of a file's text, "" where there is none."""
    lines = source.splitlines()
    return lines[line - 1].strip() if 0 < line <= len(lines) else ""
