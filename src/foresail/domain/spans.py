"""LabelSpans: from when to when the outcome of each sample unfolds. Splitters ask for these and for nothing else.

A sample is decided on at ``start`` and its label is known at ``end``; both are closed ends. A sample that is only known
by its place in a table cannot be split honestly, because nobody can say which other samples share its outcome.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from foresail.core.arrays import BoolArray, IntArray, TimeArray
from foresail.core.errors import DataError
from foresail.domain.training import Targets

__all__ = ["LabelSpans", "SpanUnit", "spans_of_targets"]

SpanUnit = Literal["position", "ns"]


@dataclass(frozen=True, slots=True, eq=False)
class LabelSpans:
    """Spans of R samples, in any order.

    Attributes
    ----------
    start : (R,) int64, when each sample is decided on
    end : (R,) int64, when its label is known, ``>= start``
    instrument : (R,) int64, place of its instrument; None where the samples have none
    unit : "position" on one panel's time axis, or "ns" UTC (several calendars, irregular times)
    """

    start: TimeArray
    end: TimeArray
    instrument: IntArray | None = None
    unit: SpanUnit = "position"

    def __post_init__(self) -> None:
        if self.start.ndim != 1 or self.start.shape != self.end.shape:
            raise DataError(
                f"expected one start and one end a sample, received {self.start.shape} and {self.end.shape}"
            )
        if self.instrument is not None and self.instrument.shape != self.start.shape:
            raise DataError(f"{len(self.start)} samples have {len(self.instrument)} instruments")
        if self.start.dtype != np.int64 or self.end.dtype != np.int64:
            raise DataError(f"expected int64 times, received {self.start.dtype} and {self.end.dtype}")
        late = np.flatnonzero(self.end < self.start)
        if len(late):
            i = int(late[0])
            raise DataError(
                f"sample {i + 1}: the label ends at {self.end[i]}, before it starts at {self.start[i]}", row=i + 1
            )

    def __len__(self) -> int:
        return len(self.start)

    @property
    def longest(self) -> int:
        """The longest label span, in the unit of the spans; 0 of no samples."""
        return int((self.end - self.start).max()) if len(self.start) else 0

    @classmethod
    def of(
        cls, start: ArrayLike, end: ArrayLike, instrument: ArrayLike | None = None, *, unit: SpanUnit | None = None
    ) -> LabelSpans:
        """Return the spans of plain arrays: whole numbers, or timestamps without a zone taken as UTC.

        Parameters
        ----------
        start, end : (R,) integers, or datetime64 of any resolution
        instrument : (R,) numbers or names; names are numbered in ascending order
        unit : None = "ns" for timestamps, "position" for integers

        Raises
        ------
        DataError
            If a time is missing or no whole number, or a label ends before it starts.
        """
        first, timed = _times(start, "start")
        last, timed_too = _times(end, "end")
        if timed != timed_too:
            raise DataError("start and end must both be timestamps or both be whole numbers")
        names = (
            None if instrument is None else np.unique(np.asarray(instrument), return_inverse=True)[1].astype(np.int64)
        )
        return cls(first, last, names, unit if unit is not None else ("ns" if timed else "position"))

    def take(self, rows: IntArray | BoolArray) -> LabelSpans:
        """Return the spans of some samples."""
        chosen = None if self.instrument is None else self.instrument[rows]
        return LabelSpans(self.start[rows], self.end[rows], chosen, self.unit)

    @staticmethod
    def join(parts: Sequence[LabelSpans]) -> LabelSpans:
        """Return the samples of several panels, one after the other; their calendars may differ.

        Raises
        ------
        DataError
            If one is in positions of its own axis: only instants can be compared across panels.
        """
        if not parts or any(p.unit != "ns" for p in parts):
            raise DataError(
                "spans of several panels can be joined in ns only, positions of two axes mean different times",
                hint="give available_at to spans_of_targets",
            )
        names, shift = [], 0
        for p in parts:
            own = np.zeros(len(p), dtype=np.int64) if p.instrument is None else p.instrument
            names.append(own + shift)
            shift += int(own.max()) + 1 if len(own) else 0
        return LabelSpans(
            np.concatenate([p.start for p in parts]),
            np.concatenate([p.end for p in parts]),
            np.concatenate(names),
            "ns",
        )


def _times(values: ArrayLike, name: str) -> tuple[TimeArray, bool]:
    """Return int64 and whether they were timestamps."""
    given = np.asarray(values)
    if given.dtype.kind == "M":
        absent = np.flatnonzero(np.isnat(given))
        if len(absent):
            raise DataError(f"{name}: sample {absent[0] + 1} has no time", row=int(absent[0]) + 1, column=name)
        return given.astype("datetime64[ns]").astype(np.int64), True
    if given.dtype.kind not in "iu":
        raise DataError(
            f"{name}: expected whole numbers or timestamps, received {given.dtype}",
            column=name,
            hint="give positions, int64 ns UTC or datetime64 without a zone (UTC)",
        )
    return given.astype(np.int64), False


def spans_of_targets(
    targets: Targets, usable: BoolArray | None = None, *, available_at: TimeArray | None = None
) -> tuple[LabelSpans, IntArray]:
    """Return the spans of all samples whose labels exist, and which cells they are.

    Parameters
    ----------
    usable : (N, T), further condition, for example that features exist; None = every label of every horizon
    available_at : (T,) ns UTC of the panel; None = spans in positions

    Returns
    -------
    spans : R samples; a sample with several horizons ends with its longest
    rows : (R, 2) int64 (instrument, time), sorted by (time, instrument)
    """
    length = len(targets.label_end)
    last = targets.label_end.max(axis=1)
    exists = np.isfinite(targets.values[:, :, 0, :]).all(axis=2) & (last < length)[None, :]
    if usable is not None:
        exists = exists & usable
    time, instrument = np.nonzero(exists.T)
    axis = np.arange(length, dtype=np.int64) if available_at is None else available_at
    spans = LabelSpans(
        axis[time], axis[last[time]], instrument.astype(np.int64), "position" if available_at is None else "ns"
    )
    return spans, np.column_stack([instrument, time]).astype(np.int64)
