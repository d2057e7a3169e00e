"""Conformal calibration through time: intervals widen or narrow by what earlier forecasts have turned out to be worth.

1. The score of an interval (P10 to P90, say) is how far the outcome lies outside it (negative inside), in units of
   ``scale * sqrt(h)`` (conformalised quantile regression).
2. Scores are counted in a fixed grid per target, horizon and pair of levels; counting is exact and takes no memory of
   single rows, so an issue time can be dropped again when it leaves the window.
3. A forecast issued at position t is corrected with scores whose labels were known at t, never with later ones.
4. Both ends move by the same amount: the interval gets its coverage, the mean of the curve and so every ranking stays.

Three methods: "online" as above; "adaptive" also steers the level of each interval by what the last issue times missed;
"none" leaves the model's own quantiles.

References
----------
[Romano2019] conformalised quantile regression; [Vovk2005] the finite-sample quantile; [Gibbs2021] the adaptive level.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from foresail.core.arrays import FloatArray, IntArray
from foresail.core.errors import UnknownNameError
from foresail.domain.forecast import QUANTILE_LEVELS
from foresail.domain.training import Targets
from foresail.forecasting.curve import check_levels, finish

__all__ = ["METHODS", "ConformalState", "calibrate_block", "move_intervals", "symmetric_pairs"]

METHODS = ("online", "adaptive", "none")
_SPEED = 0.01  # of the adaptive level, per issue time: about a hundred of them undo a wrong level

_GRID_LOW, _GRID_HIGH, _GRID_BINS = -4.0, 12.0, 4096  # standardised units; a bin is 0.0039 wide
_FULL_TRUST = 40  # issue times with outcomes after which the measured correction counts in full


def symmetric_pairs(levels: Sequence[float]) -> tuple[tuple[int, int], ...]:
    """Return the (lower, upper) positions of levels that mirror one another, widest pair first."""
    p = check_levels(levels)
    q = len(p)
    pairs = [(i, j) for i in range(q) for j in range(q - 1, i, -1) if abs(p[i] + p[j] - 1.0) < 1e-9]
    return tuple(pairs)


def move_intervals(
    values: FloatArray, shifts: FloatArray, unit: FloatArray, pairs: Sequence[tuple[int, int]]
) -> FloatArray:
    """Return quantiles with the ends of each interval moved out (or in) by the same amount.

    Parameters
    ----------
    values : (R, K, H, Q)
    shifts : (K, H, P) standardised
    unit : (R, 1, H, 1) log return of one standardised unit
    pairs : P (lower, upper) positions of levels
    """
    out = values.copy()
    for p, (low, high) in enumerate(pairs):
        move = shifts[None, :, :, p] * unit[..., 0]
        # An interval never turns inside out: both ends stop at its middle.
        move = np.maximum(move, (out[..., low] - out[..., high]) / 2)
        out[..., low] -= move
        out[..., high] += move
    return out


class ConformalState:
    """Counts of scores over a rolling window of issue times, one histogram per target, horizon and interval.

    Parameters
    ----------
    shape : (K, H)
    levels : Q
    window : issue times kept
    """

    def __init__(self, shape: tuple[int, int], levels: Sequence[float] = QUANTILE_LEVELS, *, window: int = 250) -> None:
        p = check_levels(levels)
        self.levels = tuple(float(x) for x in p)
        self.window = window
        self.pairs = symmetric_pairs(self.levels)
        self._nominal = np.array([p[j] - p[i] for i, j in self.pairs])
        self._level = np.broadcast_to(self._nominal, (*shape, len(self.pairs))).copy()
        self._shape = (*shape, len(self.pairs))
        self._counts = np.zeros((*self._shape, _GRID_BINS), dtype=np.int64)
        self._kept: list[list[deque[NDArray[np.int16]]]] = [[deque() for _ in range(shape[1])] for _ in range(shape[0])]

    def start(self, values: FloatArray, labels: FloatArray, unit: FloatArray, times: IntArray) -> None:
        """Take in the scores of calibration rows, oldest issue time first.

        Parameters
        ----------
        values : (R, K, H, Q) raw quantiles
        labels : (R, K, H) log returns, all known at the first forecast that will be adjusted
        unit : (R, 1, H, 1) ``scale * sqrt(h)``
        times : (R,) issue position of each row
        """
        for t in np.unique(times):
            at = times == t
            for h in range(self._shape[1]):
                self.update(values[at], labels[at], unit[at], h)

    def update(self, values: FloatArray, labels: FloatArray, unit: FloatArray, h: int) -> None:
        """Take in one issue time of one horizon, now that its labels are known; the oldest one beyond the window goes.

        Parameters
        ----------
        values : (R, K, H, Q) raw quantiles issued then
        labels : (R, K, H) what became of them, log return; NaN where there is none
        unit : (R, 1, H, 1)
        h : position of the horizon
        """
        for k in range(self._shape[0]):
            bins = self._score_bins(values[:, k, h], labels[:, k, h], unit[:, 0, h, 0])
            if bins.shape[1] == 0:
                continue
            queue = self._kept[k][h]
            queue.append(bins)
            self._count(k, h, bins, 1)
            if len(queue) > self.window:
                self._count(k, h, queue.popleft(), -1)

    def shifts(self) -> FloatArray:
        """Return (K, H, P) standardised widening of each interval's ends; 0 while nothing has resolved."""
        below = np.cumsum(self._counts, axis=-1)
        n = below[..., -1]
        need = np.clip(np.ceil((n + 1) * self._level), 1, np.maximum(n, 1))
        position = (below < need[..., None]).sum(axis=-1)
        width = (_GRID_HIGH - _GRID_LOW) / _GRID_BINS
        shift = _GRID_LOW + (position + 0.5) * width
        trust = np.array([[min(1.0, len(q) / _FULL_TRUST) for q in row] for row in self._kept])
        return np.asarray(np.where(n > 0, shift, 0.0) * trust[..., None], dtype=np.float64)

    def steer(self, values: FloatArray, labels: FloatArray, h: int) -> None:
        """Move the level of each interval by what one issue time has missed.

        Parameters
        ----------
        values : (R, K, H, Q) adjusted quantiles issued then
        labels : (R, K, H) what became of them
        h : position of the horizon
        """
        for k in range(self._shape[0]):
            outcome = labels[:, k, h]
            for p, (low, high) in enumerate(self.pairs):
                inside = (outcome >= values[:, k, h, low]) & (outcome <= values[:, k, h, high])
                known = np.isfinite(outcome) & np.isfinite(values[:, k, h, low]) & np.isfinite(values[:, k, h, high])
                if known.any():
                    held = float(inside[known].mean())
                    self._level[k, h, p] += _SPEED * (self._nominal[p] - held)

    def adjust(self, values: FloatArray, unit: FloatArray) -> FloatArray:
        """Return (R, K, H, Q) raw quantiles with every interval moved out (or in) by what the window says."""
        return move_intervals(values, self.shifts(), unit, self.pairs)

    def _score_bins(self, values: FloatArray, labels: FloatArray, unit: FloatArray) -> NDArray[np.int16]:
        """Return (P, R') grid bins of the scores of rows that have forecast, label and unit."""
        known = np.isfinite(values).all(axis=1) & np.isfinite(labels) & np.isfinite(unit) & (unit > 0)
        v, y, u = values[known], labels[known], unit[known]
        bins = np.empty((len(self.pairs), len(y)), dtype=np.int16)
        for p, (low, high) in enumerate(self.pairs):
            score = np.maximum(v[:, low] - y, y - v[:, high]) / u
            place = np.floor((score - _GRID_LOW) * (_GRID_BINS / (_GRID_HIGH - _GRID_LOW)))
            bins[p] = np.clip(place, 0, _GRID_BINS - 1)
        return bins

    def _count(self, k: int, h: int, bins: NDArray[np.int16], sign: int) -> None:
        for p in range(len(self.pairs)):
            self._counts[k, h, p] += sign * np.bincount(bins[p], minlength=_GRID_BINS)


def calibrate_block(
    raw: FloatArray,
    targets: Targets,
    scale: FloatArray,
    positions: IntArray,
    window: int = 250,
    *,
    method: str = "online",
) -> FloatArray:
    """Return raw walk-forward quantiles with their intervals calibrated by outcomes known at each issue time.

    Parameters
    ----------
    raw : (N, P, K, H, Q) raw log-return quantiles issued at ``positions``; NaN where no forecast was made. One fold or
        several, with the calibration part of the first in front if wanted: a position only learns from earlier ones.
    targets : labels over the whole panel (T times)
    scale : (N, T) volatility of the one-bar log return
    positions : (P,) ascending time positions
    window : issue times that count
    method : one of ``METHODS``

    Returns
    -------
    (N, P, K, H, Q), rounded to 1e-6, sorted, low <= close <= high

    Raises
    ------
    UnknownNameError
        If the method is not known.
    """
    if method not in METHODS:
        raise UnknownNameError("calibration", method, METHODS)
    if method == "none":
        return finish(raw.copy(), targets.names)
    k, h = raw.shape[2], raw.shape[3]
    state = ConformalState((k, h), window=window)
    root = np.sqrt(np.asarray(targets.horizons, dtype=np.float64))
    unit = scale[:, positions, None] * root  # (N, P, H)
    labels = targets.values[:, positions]
    out = np.empty_like(raw)
    waiting = [0] * h  # per horizon: next issue time whose labels have not been used
    for i, t in enumerate(positions):
        for j in range(h):
            while waiting[j] < i and targets.label_end[positions[waiting[j]], j] <= t:
                u = waiting[j]
                state.update(raw[:, u], labels[:, u], unit[:, u, None, :, None], j)
                if method == "adaptive":
                    state.steer(out[:, u], labels[:, u], j)
                waiting[j] += 1
        out[:, i] = state.adjust(raw[:, i], unit[:, i, None, :, None])
    return finish(out, targets.names)
