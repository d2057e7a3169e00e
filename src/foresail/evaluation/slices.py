"""Cuts a paired result: by year, named shocks, fold, regime, instrument or any label, with an interval for each part.

A result that rests on one part of the record rests on little (VALID-13). Parts with too few independent stretches get a
figure without an interval, and say how small an effect they could have shown.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from foresail.core.arrays import FloatArray, IntArray
from foresail.core.clock import NS_PER_DAY
from foresail.domain.runs import Interval
from foresail.evaluation.paired import FEWEST_CLUSTERS, detectable, relative_interval

__all__ = ["SHOCKS", "Slice", "Slices", "shock_labels", "slice_gain", "time_parts", "year_labels"]

# (name, first day, last day), UTC dates; VALID-13 asks for the shocks of 2020 and 2022
SHOCKS = (
    ("2020: pandemic", "2020-02-19", "2020-04-30"),
    ("2022: rates and war", "2022-01-03", "2022-10-14"),
)
_NAN = float("nan")


@dataclass(frozen=True, slots=True)
class Slice:
    """One part: improvement over the other forecast (fraction of its loss there) with its day-clustered interval.

    Attributes
    ----------
    rows, clusters : pairs, and independent stretches of issue times
    detectable : smallest improvement that this part could have shown; NaN without an interval
    """

    label: str
    rows: int
    clusters: int
    improvement: Interval
    detectable: float


@dataclass(frozen=True, slots=True)
class Slices:
    """One way of cutting; ``reason`` says why there are no parts."""

    title: str
    parts: tuple[Slice, ...]
    reason: str = ""


def year_labels(times: IntArray) -> Any:
    """Return the year of each time as text, (M,)."""
    return (times.astype("datetime64[ns]").astype("datetime64[Y]").astype(np.int64) + 1970).astype(str).astype(object)


def shock_labels(times: IntArray) -> Any:
    """Return the named shock that each time falls into, (M,) text; empty outside them."""
    days = times // NS_PER_DAY
    labels = np.full(len(times), "", dtype=object)
    for name, first, last in SHOCKS:
        low, high = (np.datetime64(day, "D").astype(np.int64) for day in (first, last))
        labels[(days >= low) & (days <= high)] = name
    return labels


def time_parts(times: IntArray, parts: int) -> Any:
    """Return which of so many stretches of equal length each issue time falls into, "1 of 5" first."""
    _, place = np.unique(times, return_inverse=True)
    step = place * parts // max(1, int(place.max(initial=0)) + 1)
    return np.array([f"{i + 1} of {parts}" for i in step.tolist()], dtype=object)


def slice_gain(
    title: str,
    losses: tuple[FloatArray, FloatArray],
    clusters: IntArray,
    labels: Any,
    *,
    order: Sequence[str] | None = None,
) -> Slices:
    """Return the improvement by label.

    Parameters
    ----------
    losses : own and other loss, (M,) each, finite
    clusters : (M,), see ``paired.clusters_of``
    labels : (M,) text; rows with an empty label are in no part
    order : of the labels; None = sorted
    """
    ours, theirs = losses
    found = sorted(set(labels.tolist()) - {""})
    names = found if order is None else [name for name in order if name in found]
    return Slices(title, tuple(_part(name, ours, theirs, clusters, np.flatnonzero(labels == name)) for name in names))


def _part(label: str, ours: FloatArray, theirs: FloatArray, clusters: IntArray, rows: IntArray) -> Slice:
    base = float(theirs[rows].mean())
    gain = theirs[rows] - ours[rows]
    count = len(np.unique(clusters[rows]))
    if base <= 0.0:
        return Slice(label, len(rows), count, Interval(_NAN, _NAN, _NAN), _NAN)
    if count < FEWEST_CLUSTERS:
        return Slice(label, len(rows), count, Interval(float(gain.mean()) / base, _NAN, _NAN), _NAN)
    interval = relative_interval(gain, clusters[rows], base)
    return Slice(label, len(rows), count, interval, detectable([interval]))
