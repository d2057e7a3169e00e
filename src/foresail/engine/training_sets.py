"""What a model may see: everything is cut where it starts to serve. Walk-forward runs and training share it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from foresail.core.arrays import BoolArray, FloatArray, IntArray
from foresail.domain.panel import Panel
from foresail.domain.training import Targets, TrainingSet
from foresail.engine.folds import Fold, rows_between
from foresail.engine.row_rules import labels_whole, weights_of_rows, windows_whole

__all__ = ["ForecastInputs", "close_place", "fitting_rows", "of_windows", "training_set", "usable_rows"]


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


def close_place(names: Sequence[str]) -> int:
    """Return where the close stands among targets; 0 without it: another price is labelled where the close is."""
    return names.index("close") if "close" in names else 0


def usable_rows(features: Panel, targets: Targets, scale: FloatArray) -> BoolArray:
    """Return (N, T): a bar, a finite scale, half of the features and the longest close label, across no gap, exist."""
    enough = np.isfinite(features.values).mean(axis=2) >= 0.5
    label = np.isfinite(targets.values[:, :, close_place(targets.names), :]).all(axis=2)
    whole = labels_whole(features.present, max(targets.horizons))
    usable: BoolArray = features.present & np.isfinite(scale) & enough & label & whole
    return usable


def of_windows(inputs: ForecastInputs, context: int) -> ForecastInputs:
    """Return the inputs of a model that sees ``context`` bars: no window crosses a gap of more than five (TRAIN-03)."""
    if context <= 1:
        return inputs
    return replace(inputs, usable=inputs.usable & windows_whole(inputs.features.present, context))


def fitting_rows(inputs: ForecastInputs, fold: Fold) -> IntArray:
    """Return the (instrument, time) rows that the fold's model is fitted on, sorted by time."""
    longest = max(inputs.targets.horizons)
    return rows_between(inputs.usable[:, : fold.test_from], fold.train_from, fold.validation_from, longest)


def training_set(inputs: ForecastInputs, fold: Fold, *, row_weights: str = "none") -> TrainingSet:
    """Return what the fold's model may see: everything is cut where it starts to serve.

    Parameters
    ----------
    row_weights : of the training rows, a method of ``row_rules.WEIGHTS`` (TRAIN-07)
    """
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
        weights=weights_of_rows(train, row_weights, end=inputs.features.end, horizon=longest),
    )
