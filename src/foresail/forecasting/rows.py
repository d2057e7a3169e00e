"""From panels and row lists to the flat matrices that models are fitted on.

Labels are standardised by ``scale * sqrt(h)``, so one model serves instruments and times of any volatility.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from foresail.core.arrays import BoolArray, FloatArray, IntArray
from foresail.core.errors import ModelError
from foresail.domain.panel import Panel
from foresail.domain.training import ForecasterSpec, Targets, TrainingSet

__all__ = [
    "Sample",
    "available_targets",
    "check_training",
    "feature_rows",
    "label_unit",
    "labelled_rows",
    "sample",
    "scale_unit",
    "standardised_labels",
]


def feature_rows(panel: Panel, rows: IntArray, names: tuple[str, ...]) -> FloatArray:
    """Return (R, F) features of (instrument, time) rows, columns in the order of ``names``.

    Raises
    ------
    UnknownNameError
        If the panel lacks one of the features.
    """
    taken = panel.values[rows[:, 0], rows[:, 1]]
    if panel.fields != names:
        taken = taken[:, [panel.index(name) for name in names]]
    return np.ascontiguousarray(taken)


def label_unit(scale: FloatArray, rows: IntArray) -> FloatArray:
    """Return (R,) volatility of one bar at the rows; NaN where it is not a positive number."""
    s = scale[rows[:, 0], rows[:, 1]]
    return np.where(np.isfinite(s) & (s > 0), s, np.nan)


def scale_unit(scale: FloatArray, rows: IntArray, horizons: tuple[int, ...]) -> FloatArray:
    """Return (R, 1, H, 1), the log return that one standardised unit stands for: ``scale * sqrt(h)``."""
    root = np.sqrt(np.asarray(horizons, dtype=np.float64))
    unit: FloatArray = (label_unit(scale, rows)[:, None] * root)[:, None, :, None]
    return unit


def standardised_labels(targets: Targets, scale: FloatArray, rows: IntArray) -> FloatArray:
    """Return (R, K, H) labels divided by ``scale * sqrt(h)``; NaN where a label or the scale is missing."""
    y = targets.values[rows[:, 0], rows[:, 1]]
    out: FloatArray = y / scale_unit(scale, rows, targets.horizons)[..., 0]
    return out


def check_training(data: TrainingSet, spec: ForecasterSpec) -> None:
    """Refuse a training set that does not fit the spec or is too small (TRAIN-06).

    Raises
    ------
    ModelError
        With the counts and what is needed.
    """
    if data.targets.names != spec.targets or data.targets.horizons != spec.horizons:
        raise ModelError(
            f"{spec.name} expects targets {spec.targets} at horizons {spec.horizons}, "
            f"received {data.targets.names} at {data.targets.horizons}"
        )
    rows = data.train_rows
    known = (
        int(np.isfinite(standardised_labels(data.targets, data.scale, rows)[:, 0]).all(axis=1).sum())
        if len(rows)
        else 0
    )
    if known < spec.minimum_rows:
        raise ModelError(
            f"{spec.name} is not trained: {known} training rows with a label, at least {spec.minimum_rows} are needed "
            "(TRAIN-06)",
            hint="give a longer history or more instruments, or shorten the first training window",
        )


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """Rows ready to be fitted on, sorted by time; every row has a label of every target that is available.

    Attributes
    ----------
    x : (R, F) features, NaN = missing
    y : (R, K, H) standardised labels; NaN for targets that are not available
    unit : (R, 1, H) log return of one standardised unit
    times : (R,) ascending
    weights : (R,)
    """

    x: FloatArray
    y: FloatArray
    unit: FloatArray
    times: IntArray
    weights: FloatArray

    def at(self, keep: IntArray | BoolArray) -> Sample:
        """Return some of the rows."""
        return Sample(self.x[keep], self.y[keep], self.unit[keep], self.times[keep], self.weights[keep])

    def __len__(self) -> int:
        return len(self.times)


def available_targets(data: TrainingSet) -> BoolArray:
    """Return (K,) which targets exist in at least half of the training rows; the first one always counts."""
    y = data.targets.values[data.train_rows[:, 0], data.train_rows[:, 1]]
    share = np.isfinite(y).all(axis=2).mean(axis=0) if len(y) else np.zeros(len(data.targets.names))
    out: BoolArray = share >= 0.5
    out[0] = True
    return out


def sample(data: TrainingSet, spec: ForecasterSpec, rows: IntArray, weights: FloatArray | None = None) -> Sample:
    """Return the rows that have all labels of all available targets, sorted by time and then instrument."""
    weights = np.ones(len(rows)) if weights is None else weights
    picked = _labelled(data, rows)
    rows, weights = rows[picked], weights[picked]
    y = standardised_labels(data.targets, data.scale, rows)
    y[:, ~available_targets(data)] = np.nan
    return Sample(
        feature_rows(data.features, rows, spec.features),
        y,
        scale_unit(data.scale, rows, data.targets.horizons)[..., 0],
        rows[:, 1],
        weights,
    )


def labelled_rows(data: TrainingSet, rows: IntArray) -> IntArray:
    """Return the rows that ``sample`` keeps, in its order."""
    return rows[_labelled(data, rows)]


def _labelled(data: TrainingSet, rows: IntArray) -> IntArray:
    """Return the positions of rows with all labels of all available targets, by time and then instrument."""
    y = standardised_labels(data.targets, data.scale, rows)
    keep: BoolArray = np.asarray(np.isfinite(y[:, available_targets(data)]).all(axis=(1, 2)))
    order = np.lexsort((rows[:, 0], rows[:, 1]))
    picked: IntArray = order[keep[order]]
    return picked
