"""What a section of a page is made of: tiles, tables, charts, notes. Text is escaped by the template."""

from __future__ import annotations

from dataclasses import dataclass

from markupsafe import Markup

__all__ = ["Block", "Chart", "Notes", "Table", "Tiles"]


@dataclass(frozen=True, slots=True)
class Tiles:
    """Figures in boxes, (value, what it is, small print)."""

    rows: tuple[tuple[str, str, str], ...]
    title: str = ""
    kind: str = "tiles"


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of text; all columns but the first ``names`` are numbers and stand at the right. Marked rows are bold.

    A folded table shows its title only, until it is opened.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    names: int = 1
    marked: tuple[int, ...] = ()
    folded: bool = False
    kind: str = "table"


@dataclass(frozen=True, slots=True)
class Chart:
    """A drawing with its caption and legend, (style, label, "point" or "")."""

    caption: str
    markup: Markup
    legend: tuple[tuple[str, str, str], ...] = ()
    kind: str = "chart"


@dataclass(frozen=True, slots=True)
class Notes:
    """Sentences."""

    lines: tuple[str, ...]
    kind: str = "notes"


Block = Tiles | Table | Chart | Notes
