"""The design matrix of linear models: standardised features with missing-value marks, fitted on training rows only.

1. Mean and standard deviation of each feature come from the training rows of the fold (TRAIN-05, NORM-02).
2. Values are clipped at eight standard deviations (NORM-04), then missing ones become the mean and a mark is set.
3. Names of one day share the day's shocks, so rows are quasi-demeaned by day (random effects, generalised least
   squares): the more the day explains, the more the comparison is one of names on the same day.
4. What enters sums of products is rounded to 1/512. Such sums are exact in float64 whatever their order, so a fit gives
   the same bytes for any number of threads.

References
----------
[Swamy1972] for the weight of the day's mean.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from foresail.core.arrays import FloatArray, IntArray

__all__ = ["BLOCKS", "GramBlocks", "Scaler", "day_shares", "demean_by_day", "gram_blocks"]

BLOCKS = 10  # contiguous pieces of training time, for cross-validation and robust errors
_CLIP = 8.0  # standard deviations, NORM-04
_LABEL_CLIP = 4.0  # standardised labels: one crash must not decide a coefficient
_STEPS = 512.0  # rounding grid of what is summed
_MARK_SHARE = 0.005  # a feature missing in fewer rows than this gets no mark


@dataclass(frozen=True, slots=True, eq=False)
class Scaler:
    """Means, deviations and marks of the training rows.

    Attributes
    ----------
    mean, deviation : (F,); deviation 0 marks a feature without variation, which is left out
    marked : positions of the features that have a missing-value mark
    """

    mean: FloatArray
    deviation: FloatArray
    marked: tuple[int, ...]

    @classmethod
    def fit(cls, x: FloatArray) -> Scaler:
        """Return the scaler of (R, F) training features, NaN = missing."""
        known = np.isfinite(x)
        n = known.sum(axis=0)
        safe = np.maximum(n, 1)
        mean = np.where(known, x, 0.0).sum(axis=0) / safe
        spread = np.sqrt((np.where(known, x - mean, 0.0) ** 2).sum(axis=0) / safe)
        tiny = 1e-12 * np.maximum(1.0, np.abs(mean))
        deviation = np.where((n >= 2) & (spread > tiny), spread, 0.0)
        missing = 1.0 - n / max(1, len(x))
        marked = tuple(int(j) for j in np.flatnonzero((missing > _MARK_SHARE) & (missing < 1 - _MARK_SHARE)))
        return cls(mean, deviation, marked)

    def columns(self, x: FloatArray) -> FloatArray:
        """Return (R, F + M): standardised features, then marks (1 = missing)."""
        out = np.zeros((len(x), x.shape[1] + len(self.marked)))
        usable = self.deviation > 0
        with np.errstate(invalid="ignore"):
            z = (x - self.mean) / np.where(usable, self.deviation, 1.0)
        out[:, : x.shape[1]] = np.where(np.isfinite(z) & usable, np.clip(z, -_CLIP, _CLIP), 0.0)
        for m, j in enumerate(self.marked):
            out[:, x.shape[1] + m] = ~np.isfinite(x[:, j])
        return out


def _days(times: IntArray) -> tuple[IntArray, IntArray]:
    """Return first row and number of rows of each run of equal times."""
    first = np.flatnonzero(np.concatenate([[True], times[1:] != times[:-1]]))
    return first, np.diff(np.concatenate([first, [len(times)]]))


def day_shares(y: FloatArray, times: IntArray) -> FloatArray:
    """Return (T',) the share of the day's mean to take out: 0 where days explain nothing, 1 where they explain all.

    ``1 - sqrt(w / (w + n u))`` with ``w`` the variance within days, ``u`` that of the days' shocks and ``n`` the names
    of the day.

    Parameters
    ----------
    y : (R, C) standardised labels, finite
    times : (R,) ascending time positions
    """
    first, count = _days(times)
    if len(first) < 2 or len(y) <= len(first):
        return np.zeros(len(first))
    clipped = np.clip(y, -_LABEL_CLIP, _LABEL_CLIP)
    means = np.add.reduceat(clipped, first, axis=0) / count[:, None]
    within = ((clipped - np.repeat(means, count, axis=0)) ** 2).sum(axis=0) / (len(y) - len(first))
    between = means.var(axis=0, ddof=1) - within * (1.0 / count).mean()
    w, u = float(within.mean()), float(max(0.0, between.mean()))
    if w <= 0:
        return np.zeros(len(first))
    return np.asarray(1.0 - np.sqrt(w / (w + count * u)), dtype=np.float64)


def demean_by_day(a: FloatArray, times: IntArray, shares: FloatArray) -> FloatArray:
    """Return ``a`` (R, C) less the given share of each day's mean."""
    first, count = _days(times)
    means = np.add.reduceat(a, first, axis=0) / count[:, None]
    return a - np.repeat(means * shares[:, None], count, axis=0)


@dataclass(frozen=True, slots=True, eq=False)
class GramBlocks:
    """Sums of products of design and labels by block of time, exact.

    Attributes
    ----------
    xx : (B, P, P)
    xy : (B, P, C)
    yy : (B, C)
    rows : (B,)
    """

    xx: FloatArray
    xy: FloatArray
    yy: FloatArray
    rows: FloatArray


def gram_blocks(scaler: Scaler, x: FloatArray, y: FloatArray, times: IntArray, weights: FloatArray) -> GramBlocks:
    """Return the sums of products over the quasi-demeaned training rows.

    Parameters
    ----------
    x : (R, F) features
    y : (R, C) standardised labels, finite
    times : (R,) ascending time positions
    weights : (R,) >= 0
    """
    shares = day_shares(y, times)
    first, _ = _days(times)
    borders = [*first[[len(first) * b // BLOCKS for b in range(BLOCKS)]].tolist(), len(times)]
    root = np.sqrt(weights / weights.max()) if float(weights.max()) > 0 else np.ones(len(weights))
    day = np.concatenate([[0], np.cumsum(times[1:] != times[:-1])])
    parts = []
    for a, b in pairwise(borders):
        if b <= a:
            continue
        local = shares[day[a] : day[b - 1] + 1]
        left = demean_by_day(scaler.columns(x[a:b]), times[a:b], local)
        right = demean_by_day(np.clip(y[a:b], -_LABEL_CLIP, _LABEL_CLIP), times[a:b], local)
        left = np.round(left * root[a:b, None] * _STEPS)
        right = np.round(right * root[a:b, None] * _STEPS)
        parts.append((left.T @ left, left.T @ right, (right * right).sum(axis=0), b - a))
    unit = _STEPS * _STEPS
    return GramBlocks(
        np.stack([p[0] for p in parts]) / unit,
        np.stack([p[1] for p in parts]) / unit,
        np.stack([p[2] for p in parts]) / unit,
        np.array([p[3] for p in parts], dtype=np.float64),
    )
