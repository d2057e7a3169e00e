"""The walk-forward plan: who is trained on what, and which bars each model serves.

1. Folds are anchored at the first bar: later data move no border.
2. A model that serves positions ``[test_from, test_to)`` is fitted on labels known before ``test_from``.
3. The training window is cut in time into train, validation (early stopping) and calibration (conformal scores); rows
   whose label reaches into the next part are purged by the rule of ``measures.splits.purge`` (VALID-08). Nothing lies
   after a test block, so no embargo is due.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from foresail.core.arrays import BoolArray, IntArray
from foresail.engine.settings import WalkForwardSettings
from foresail.measures.splits.purge import known_before

__all__ = ["Fold", "plan_folds", "rows_between"]


@dataclass(frozen=True, slots=True)
class Fold:
    """One refit; all borders are time positions, half open."""

    index: int
    train_from: int
    validation_from: int
    calibration_from: int
    test_from: int
    test_to: int


def plan_folds(length: int, settings: WalkForwardSettings) -> tuple[Fold, ...]:
    """Return the folds of a panel with ``length`` bars, oldest first; empty if the history is too short."""
    folds: list[Fold] = []
    test_from = settings.minimum_train_bars
    while test_from < length:
        train_from = max(0, test_from - settings.train_bars)
        window = test_from - train_from
        calibration_from = test_from - int(window * settings.calibration_share)
        validation_from = calibration_from - int(window * settings.validation_share)
        test_to = min(length, test_from + settings.refit_bars)
        folds.append(Fold(len(folds), train_from, validation_from, calibration_from, test_from, test_to))
        test_from = test_to
    return tuple(folds)


def rows_between(usable: BoolArray, first: int, last: int, horizon: int) -> IntArray:
    """Return the (instrument, time) rows with ``first <= time`` whose label ends before ``last``, sorted by time.

    Parameters
    ----------
    usable : (N, T), true where features and label exist
    horizon : longest label span, bars
    """
    stop = max(first, min(last, usable.shape[1]))
    known = known_before(np.arange(first, stop, dtype=np.int64) + horizon, last)
    time, instrument = np.nonzero((usable[:, first:stop] & known[None, :]).T)
    return np.column_stack([instrument, time + first]).astype(np.int64)
