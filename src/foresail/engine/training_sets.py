"""What a model may see: everything is cut where it starts to serve. Walk-forward runs and training share it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from foresail.core.arrays import BoolArray, FloatArray, IntArray
from foresail.domain.panel import Panel
from foresail.domain.training import Targets, TrainingSet
from foresail.engine.folds import Fold, rows_between

__all__ = ["ForecastInputs", "fitting_rows", "training_set", "usable_rows"]


@dataclass(frozen=True, slots=True, eq=False)
class ForecastInputs:
    """Features, labels, their scale, and the rows that can be learned from.

    Attributes
    ----------
    features : (N, T, F)
    targets : labels of the same axes
    scale : (N, T) volatility of the one-bar log return, known at t
    usable : (N, T), see ``usable_rows``
    """

    features: Panel
    targets: Targets
    scale: FloatArray
    usable: BoolArray


def usable_rows(features: Panel, targets: Targets, scale: FloatArray) -> BoolArray:
    """Return (N, T): a bar, a finite scale, half of the features and the longest close label exist."""
    enough = np.isfinite(features.values).mean(axis=2) >= 0.5
    label = np.isfinite(targets.values[:, :, 0, :]).all(axis=2)
    usable: BoolArray = features.present & np.isfinite(scale) & enough & label
    return usable


def fitting_rows(inputs: ForecastInputs, fold: Fold) -> IntArray:
    """Return the (instrument, time) rows that the fold's model is fitted on, sorted by time."""
    longest = max(inputs.targets.horizons)
    return rows_between(inputs.usable[:, : fold.test_from], fold.train_from, fold.validation_from, longest)


def training_set(inputs: ForecastInputs, fold: Fold) -> TrainingSet:
    """Return what the fold's model may see: everything is cut where it starts to serve."""
    longest = max(inputs.targets.horizons)
    end = fold.test_from
    values = inputs.targets.values[:, :end].copy()
    unknown = inputs.targets.label_end[:end] >= end
    values[:, unknown.any(axis=1)] = np.nan
    targets = replace(inputs.targets, values=values, label_end=inputs.targets.label_end[:end])
    usable = inputs.usable[:, :end]
    train = fitting_rows(inputs, fold)
    return TrainingSet(
        features=inputs.features.cut(0, end),
        targets=targets,
        scale=inputs.scale[:, :end].copy(),
        train_rows=train,
        validation_rows=rows_between(usable, fold.validation_from, fold.calibration_from, longest),
        calibration_rows=rows_between(usable, fold.calibration_from, end, longest),
        weights=np.ones(len(train)),
    )
