"""Fold-fitted scaling (NORM-02 to 05): learned on training rows, reused unchanged afterwards.

A scaler is bound to its fold when it is made: asked to learn from a row outside it, it refuses. Values are clipped at
8 deviations. Features whose catalogue row says so (cyclic, flags) pass unchanged; absent stays absent.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from foresail.core.arrays import BoolArray, FloatArray, IntArray
from foresail.core.errors import DataError, LookAheadError
from foresail.domain.panel import Panel
from foresail.features.catalogue import CATALOGUE

__all__ = ["CLIP", "Fold", "StandardScaler", "clipped_standard"]

CLIP = 8.0  # standard deviations, NORM-04


@dataclass(frozen=True, slots=True)
class Fold:
    """The time positions a fold may learn from, ``first <= t < last``."""

    first: int
    last: int


@dataclass(frozen=True, slots=True, eq=False)
class StandardScaler:
    """Mean and deviation per feature, learned on one fold.

    Attributes
    ----------
    mean, deviation : (F,); (0, 1) for features that pass unchanged, deviation 1 where nothing varied
    clipped : (F,) bool
    """

    fields: tuple[str, ...]
    fold: Fold
    mean: FloatArray
    deviation: FloatArray
    clipped: BoolArray

    @classmethod
    def fit(cls, features: Panel, rows: IntArray, fold: Fold, unchanged: Sequence[str] = ()) -> StandardScaler:
        """Learn from training rows.

        Parameters
        ----------
        rows : (R, 2) int64 (instrument, time)
        fold : the times that may be learned from
        unchanged : further features to pass as they are

        Raises
        ------
        LookAheadError
            If a row stands outside the fold.
        DataError
            If there are no rows.
        """
        if len(rows) == 0:
            raise DataError("a scaler needs at least one training row, received none")
        outside = rows[(rows[:, 1] < fold.first) | (rows[:, 1] >= fold.last)]
        if len(outside):
            raise LookAheadError(
                f"a scaler of times {fold.first} to {fold.last - 1} was asked to learn from time {int(outside[0, 1])} "
                f"({len(outside)} rows outside its fold)",
                hint="fit on the training rows of the fold only",
            )
        values = features.values[rows[:, 0], rows[:, 1]]
        mean, deviation = _moments(values)
        keep = np.array([_passes(name, unchanged) for name in features.fields], dtype=np.bool_)
        mean[keep], deviation[keep] = 0.0, 1.0
        return cls(features.fields, fold, mean, deviation, ~keep)

    def transform(self, values: FloatArray) -> FloatArray:
        """Return (..., F) values in deviations from the training mean, clipped at 8; NaN stays NaN.

        Raises
        ------
        DataError
            If the last axis is not that of the fit.
        """
        if values.shape[-1] != len(self.fields):
            raise DataError(f"a scaler of {len(self.fields)} features received {values.shape[-1]}")
        scaled = (values - self.mean) / self.deviation
        return np.where(self.clipped, np.clip(scaled, -CLIP, CLIP), scaled)


def _passes(name: str, unchanged: Sequence[str]) -> bool:
    spec = CATALOGUE.get(name)
    return name in unchanged or (spec is not None and spec.normaliser == "none")


def _moments(values: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return mean and sample deviation per column over finite values; (0, 1) where there are too few to vary."""
    finite = np.isfinite(values)
    count = finite.sum(axis=0)
    filled = np.where(finite, values, 0.0)
    mean = filled.sum(axis=0) / np.maximum(count, 1)
    apart = np.where(finite, values - mean, 0.0)
    deviation = np.sqrt((apart * apart).sum(axis=0) / np.maximum(count - 1, 1))
    flat = (count < 2) | (deviation <= 1e-12 * np.abs(mean)) | (deviation == 0.0)
    return mean, np.where(flat, 1.0, deviation)


def clipped_standard(features: Panel, rows: IntArray, fold: Fold) -> tuple[FloatArray, StandardScaler]:
    """Return all values of a panel scaled by what its training rows teach, and the scaler."""
    scaler = StandardScaler.fit(features, rows, fold)
    return scaler.transform(features.values), scaler
