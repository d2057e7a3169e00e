"""Coarser bars of a panel, for features of higher frames: the same aggregation for history and for live bars.

1. ``domain.bins`` says which coarse bar each row belongs to and how many rows the calendar asks for.
2. A coarse bar exists at the row that ends it, for the instruments that have every row of it; others are absent, so an
   unfinished or holed bar is never seen (DATA-41).
3. Sums go row by row through a bar, so one bar alone gives the bits that a whole history gives.

Within a bar that spans a split, earlier raw prices and volumes are put in the units of its last row.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from foresail.core.arrays import BoolArray, FloatArray, IntArray
from foresail.domain.bins import assign_bins
from foresail.domain.panel import Panel

__all__ = ["CoarsePanel", "coarsen"]


@dataclass(frozen=True, slots=True, eq=False)
class CoarsePanel:
    """Coarse bars and where they end.

    Attributes
    ----------
    panel : (N, B, F) complete coarse bars, absent where a row was missing
    last_row : (B,) position in the fine panel of the row that closes each
    incomplete : (N, B) bool, true where rows were there but not all of them
    """

    panel: Panel
    last_row: IntArray
    incomplete: BoolArray


def coarsen(panel: Panel, frame: str, *, extended: bool = False) -> CoarsePanel:
    """Return the coarse bars that the rows of a panel close.

    Parameters
    ----------
    panel : (N, T, F) bars
    frame : a multiple of the panel's frame
    extended : whether stock rows cover 04:00 to 20:00 New York

    Raises
    ------
    ConfigError
        If the frame is no multiple, or 6h stock bars are asked for without extended hours.
    """
    bins = assign_bins(panel.start, panel.end, panel.calendar, panel.frame, frame, extended=extended)
    rows = np.flatnonzero(bins.end > bins.start)
    stop = bins.end[rows]
    begins = np.flatnonzero(np.r_[True, np.diff(stop) != 0]) if len(rows) else np.empty(0, dtype=np.int64)
    lasts = np.r_[begins[1:], len(rows)] - 1 if len(rows) else begins
    closed = panel.end[rows[lasts]] == stop[lasts]
    begins, lasts = begins[closed], lasts[closed]
    wanted = bins.wanted[rows[lasts]]
    first, last = rows[begins], rows[lasts]
    groups = [rows[begins[lasts - begins >= j] + j] for j in range(int((lasts - begins).max(initial=-1)) + 1)]
    seats = [np.flatnonzero(lasts - begins >= j) for j in range(len(groups))]
    values, counts = _aggregate(panel, (first, last), groups, seats)
    present = counts == wanted[None, :]
    values[~present] = np.nan
    coarse = replace(
        panel,
        values=np.ascontiguousarray(values),
        present=np.ascontiguousarray(present),
        start=bins.start[last],
        end=bins.end[last],
        available_at=panel.available_at[last],
        frame=frame,
    )
    return CoarsePanel(coarse, last.astype(np.int64), (counts > 0) & ~present)


def _aggregate(
    panel: Panel, edges: tuple[IntArray, IntArray], groups: list[IntArray], seats: list[IntArray]
) -> tuple[FloatArray, IntArray]:
    """Return (N, B, F) aggregates and the (N, B) rows present; ``groups[j]`` holds the j-th row of each bar."""
    first, last = edges
    out = panel.values[:, last, :].copy()
    counts = np.zeros((panel.shape[0], len(last)), dtype=np.int64)
    ratio = _Ratio(panel, groups, seats)
    for name, start in (("open", None), ("split", ratio.total), ("volume", 0.0), ("dividend", 0.0)):
        if name in panel.fields and len(last):
            i = panel.fields.index(name)
            out[:, :, i] = panel.values[:, first, i] / ratio.after(0) if start is None else start
    folds = [(i, _FOLDS[name]) for i, name in enumerate(panel.fields) if name in _FOLDS]
    for j, (rows, seat) in enumerate(zip(groups, seats, strict=True)):
        counts[:, seat] += panel.present[:, rows]
        scale = ratio.after(j)[:, seat]
        for i, fold in folds:
            before = out[:, seat, i] if j or fold in _SUMS else np.full(scale.shape, np.nan)
            out[:, seat, i] = fold(before, panel.values[:, rows, i], scale, j == 0)
    return out, counts


def _highest(before: FloatArray, x: FloatArray, scale: FloatArray, is_first: bool) -> FloatArray:  # noqa: FBT001
    return x / scale if is_first else np.maximum(before, x / scale)


def _lowest(before: FloatArray, x: FloatArray, scale: FloatArray, is_first: bool) -> FloatArray:  # noqa: FBT001
    return x / scale if is_first else np.minimum(before, x / scale)


def _volume(before: FloatArray, x: FloatArray, scale: FloatArray, is_first: bool) -> FloatArray:  # noqa: FBT001
    return before + x * scale


def _dividend(before: FloatArray, x: FloatArray, scale: FloatArray, is_first: bool) -> FloatArray:  # noqa: FBT001
    return before + np.where(np.isfinite(x), x, 0.0)


_FOLDS = {"high": _highest, "low": _lowest, "volume": _volume, "dividend": _dividend}
_SUMS = (_volume, _dividend)


class _Ratio:
    """How many new units one unit of a row became by the end of its bar: 1 unless a split follows on raw prices."""

    def __init__(self, panel: Panel, groups: list[IntArray], seats: list[IntArray]) -> None:
        n, bars = panel.shape[0], len(seats[0]) if seats else 0
        self._whole = np.ones((n, bars))
        self.total = self._whole
        self._products: list[FloatArray] = []
        if "split" not in panel.fields:
            return
        split = panel.field("split")
        running = np.ones((n, bars))
        for rows, seat in zip(groups, seats, strict=True):
            step = split[:, rows]
            running = running.copy()
            running[:, seat] *= np.where(np.isfinite(step) & (step > 0.0), step, 1.0)
            self._products.append(running)
        self.total = running
        if "total_factor" not in panel.fields or not self._products:
            self._products = []
            return
        self._carried(panel.field("total_factor"), groups, seats)

    def _carried(self, factor: FloatArray, groups: list[IntArray], seats: list[IntArray]) -> None:
        """Keep a split only where the total factor carries it, that is, where prices are raw."""
        last = np.full(self.total.shape, np.nan)
        for rows, seat in zip(groups, seats, strict=True):
            last[:, seat] = factor[:, rows]
        ratios = []
        for product, rows, seat in zip(self._products, groups, seats, strict=True):
            ratio = self.total / product
            jump = np.ones_like(ratio)
            jump[:, seat] = last[:, seat] / factor[:, rows]
            squared = jump * jump
            raw = np.where(ratio > 1.0, squared > ratio, (ratio < 1.0) & (squared < ratio))
            ratios.append(np.where(raw, ratio, 1.0))
        self._products = ratios

    def after(self, j: int) -> FloatArray:
        """Return the (N, B) ratio of the j-th row of each bar."""
        return self._products[j] if self._products else self._whole
