"""Which rows a model may be fitted on, and how much each counts (TRAIN-03, TRAIN-07).

A gap is more than five bars in a row that the calendar asks for and an instrument does not have, between two that it
has. What stands before the first bar or after the last one is no gap. A window that crosses one was never learned from,
so nothing is forecast from it either.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from foresail.core.arrays import BoolArray, FloatArray, IntArray, TimeArray
from foresail.core.clock import NS_PER_DAY
from foresail.core.errors import UnknownNameError

__all__ = ["LONGEST_GAP", "WEIGHTS", "GapAges", "context_of", "labels_whole", "weights_of_rows", "windows_whole"]

LONGEST_GAP = 5  # bars that may be absent within a window or a label
WEIGHTS = ("none", "recency", "uniqueness", "recency+uniqueness")
_HALF_LIFE_NS = 365.25 * NS_PER_DAY


def _breaks(present: BoolArray) -> tuple[BoolArray, IntArray]:
    """Return (N, T) whether a bar is the first after a gap, and the position of the last bar before the newest gap."""
    n, t = present.shape
    at = np.arange(t, dtype=np.int64)
    own = np.maximum.accumulate(np.where(present, at, -1), axis=1)
    before = np.concatenate([np.full((n, 1), -1, dtype=np.int64), own[:, :-1]], axis=1)
    first = present & (before >= 0) & (at - before > LONGEST_GAP + 1)
    last = np.maximum.accumulate(np.where(first, before, -1), axis=1)
    return np.asarray(first), last


def windows_whole(present: BoolArray, context: int) -> BoolArray:
    """Return (N, T) whether the window of the last ``context`` bars holds no bar from before a gap.

    Parameters
    ----------
    present : (N, T)
    context : bars that one forecast sees, its own among them
    """
    _, last = _breaks(present)
    at = np.arange(present.shape[1], dtype=np.int64)
    whole: BoolArray = (last < 0) | (last < at - context + 1)
    return whole


def context_of(forecaster: Any) -> int:
    """Return the bars that one forecast of a forecaster sees, its own among them; 1 where it has no context."""
    settings = getattr(forecaster, "settings", None)
    return max(int(forecaster.spec.context_length), int(getattr(settings, "context_length", 1)))


@dataclass(frozen=True, slots=True, eq=False)
class GapAges:
    """What ``windows_whole`` says of the newest bar of a market, kept while bars come one by one.

    Attributes
    ----------
    since_bar : (N,) bars since each instrument's own last one, 0 = it has the newest; -1 = it never had one
    since_gap : (N,) bars since the last one before the newest gap; -1 = there was no gap
    """

    since_bar: IntArray
    since_gap: IntArray

    @classmethod
    def of(cls, present: BoolArray) -> GapAges:
        """Return them for the last of (N, T) bars, at least one."""
        t = present.shape[1]
        newest = np.where(present.any(axis=1), np.argmax(present[:, ::-1], axis=1), -1).astype(np.int64)
        last = _breaks(present)[1][:, -1]
        return cls(newest, np.where(last >= 0, t - 1 - last, -1))

    def after(self, here: BoolArray) -> GapAges:
        """Return them after one more bar, which the instruments ``here`` (N,) have."""
        bar, gap = (np.where(age >= 0, age + 1, -1) for age in (self.since_bar, self.since_gap))
        gap = np.where(here & (bar > LONGEST_GAP + 1), bar, gap)
        return GapAges(np.where(here, 0, bar), gap)

    def whole(self, context: int) -> BoolArray:
        """Return (N,) whether the window of the last ``context`` bars holds no bar from before a gap."""
        found: BoolArray = (self.since_gap < 0) | (self.since_gap >= context)
        return found


def labels_whole(present: BoolArray, horizon: int) -> BoolArray:
    """Return (N, T) whether no gap ends within the ``horizon`` bars after each bar."""
    first, _ = _breaks(present)
    n, t = present.shape
    count = np.concatenate([np.zeros((n, 1), dtype=np.int64), np.cumsum(first, axis=1)], axis=1)
    end = np.minimum(np.arange(t) + horizon + 1, t)
    whole: BoolArray = count[:, end] == count[:, 1:]
    return whole


def weights_of_rows(rows: IntArray, method: str, *, end: TimeArray, horizon: int) -> FloatArray:
    """Return how much each training row counts, mean 1.

    Parameters
    ----------
    rows : (R, 2) (instrument, time)
    method : "none", "recency" (a row of a year before the newest counts half), "uniqueness" (a row counts by the mean
        share of its label that is its own: of k labels of its instrument over the same bar each has 1/k), or
        "recency+uniqueness" (their product)
    end : (T,) ends of the bars, ns UTC
    horizon : bars that the longest label spans

    Raises
    ------
    UnknownNameError
        If there is no such method.

    References
    ----------
    [LopezDePrado2018], chapter 4, for the average uniqueness of a label.
    """
    if method not in WEIGHTS:
        raise UnknownNameError("weights of rows", method, WEIGHTS)
    weights = np.ones(len(rows))
    if method == "none" or not len(rows):
        return weights
    if "recency" in method:
        newest = int(end[rows[:, 1].max()])
        weights = weights * 0.5 ** ((newest - end[rows[:, 1]]) / _HALF_LIFE_NS)
    if "uniqueness" in method:
        weights = weights * _uniqueness(rows, horizon)
    mean: FloatArray = weights / weights.mean()
    return mean


def _uniqueness(rows: IntArray, horizon: int) -> FloatArray:
    """Return the mean over the bars of each label of one over the labels of its instrument that span the bar."""
    n, t = int(rows[:, 0].max()) + 1, int(rows[:, 1].max()) + horizon + 2
    change = np.zeros((n, t))
    np.add.at(change, (rows[:, 0], rows[:, 1] + 1), 1.0)
    np.add.at(change, (rows[:, 0], rows[:, 1] + horizon + 1), -1.0)
    spans = np.cumsum(change, axis=1)
    share = np.concatenate([np.zeros((n, 1)), np.cumsum(1.0 / np.maximum(spans, 1.0), axis=1)], axis=1)
    i, first = rows[:, 0], rows[:, 1] + 1
    mean: FloatArray = (share[i, first + horizon] - share[i, first]) / horizon
    return mean
