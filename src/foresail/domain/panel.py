"""Panel: bars or features of one calendar and one frame, instrument-major and contiguous.

A history of one instrument is one slab, a model's window a slice. Missing is NaN, never 0. Several calendars are
several panels, joined as-of.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from foresail.core.arrays import BoolArray, FloatArray, TimeArray
from foresail.core.errors import UnknownNameError
from foresail.core.ids import InstrumentId

__all__ = ["Panel"]


@dataclass(frozen=True, slots=True, eq=False)
class Panel:
    """Values of N instruments at T times for F fields.

    Attributes
    ----------
    values : (N, T, F) float64, C-contiguous; NaN where absent
    present : (N, T) bool, true where a bar (or feature row) exists
    start, end : (T,) int64 ns UTC, half-open bar ``[start, end)``; ``end`` strictly ascending
    available_at : (T,) int64 ns UTC, when a careful trader had the row; ascending, ``>= end``
    fields : names of the F columns
    instruments : ids, ascending
    frame : "1d", "1h", ...
    calendar : "XNYS", "24/7", "24/5", ...
    """

    values: FloatArray
    present: BoolArray
    start: TimeArray
    end: TimeArray
    available_at: TimeArray
    fields: tuple[str, ...]
    instruments: tuple[InstrumentId, ...]
    frame: str
    calendar: str

    def __post_init__(self) -> None:
        n, t, f = self.values.shape
        if (n, f) != (len(self.instruments), len(self.fields)) or self.present.shape != (n, t):
            raise ValueError(f"panel shapes differ: values {self.values.shape}, present {self.present.shape}")
        if not (len(self.start) == len(self.end) == len(self.available_at) == t):
            raise ValueError("panel time axes differ in length")
        if t > 1 and not bool(np.all(np.diff(self.end) > 0)):
            raise ValueError("panel ends must ascend strictly")

    @property
    def shape(self) -> tuple[int, int, int]:
        """(N, T, F)."""
        n, t, f = self.values.shape
        return n, t, f

    def has(self, field: str) -> bool:
        """Return whether the panel has a column of that name with at least one finite value."""
        return field in self.fields and bool(np.isfinite(self.values[:, :, self.fields.index(field)]).any())

    def index(self, field: str) -> int:
        """Return the position of a field.

        Raises
        ------
        UnknownNameError
            If the panel has no such field.
        """
        if field not in self.fields:
            raise UnknownNameError("field", field, self.fields)
        return self.fields.index(field)

    def field(self, name: str) -> FloatArray:
        """Return one column as (N, T); a view, not a copy."""
        column: FloatArray = self.values[:, :, self.index(name)]
        return column

    def select(self, instruments: Sequence[InstrumentId]) -> Panel:
        """Return the panel of some instruments, in ascending order of id; the time axis is kept.

        Raises
        ------
        UnknownNameError
            If an instrument is not in the panel.
        """
        position = {name: i for i, name in enumerate(self.instruments)}
        for name in instruments:
            if name not in position:
                raise UnknownNameError("instrument", name, self.instruments)
        rows = [position[name] for name in sorted(instruments)]
        return replace(
            self,
            values=np.ascontiguousarray(self.values[rows]),
            present=np.ascontiguousarray(self.present[rows]),
            instruments=tuple(sorted(instruments)),
        )

    def cut(self, first: int, last: int) -> Panel:
        """Return the panel of time positions ``first <= t < last``, copied so that it stays contiguous."""
        return replace(
            self,
            values=np.ascontiguousarray(self.values[:, first:last]),
            present=np.ascontiguousarray(self.present[:, first:last]),
            start=self.start[first:last].copy(),
            end=self.end[first:last].copy(),
            available_at=self.available_at[first:last].copy(),
        )
