"""What a forecaster is fitted on: one contiguous feature matrix, row lists into it, labels that know when they end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from foresail.core.arrays import FloatArray, IntArray
from foresail.domain.panel import Panel

__all__ = ["FitReport", "ForecasterSpec", "Targets", "TrainingSet"]


@dataclass(frozen=True, slots=True, eq=False)
class Targets:
    """Labels: log return of each target price at t + h against the close at t.

    Attributes
    ----------
    values : (N, T, K, H) float64; NaN where a label does not exist
    label_end : (T, H) int64, time position at whose ``available_at`` the label is known (t + h); >= T where unknown yet
    names : K targets, "close" first
    horizons : H, bars
    """

    values: FloatArray
    label_end: IntArray
    names: tuple[str, ...]
    horizons: tuple[int, ...]


@dataclass(frozen=True, slots=True, eq=False)
class TrainingSet:
    """Everything ``Forecaster.fit`` may see. Rows are (instrument, time) positions, sorted by (time, instrument).

    Attributes
    ----------
    features : (N, T, F) panel
    targets : labels of the same axes
    scale : (N, T) float64, volatility of the one-bar log return known at t, > 0; labels are divided by
        ``scale * sqrt(h)`` so that one model serves all instruments
    train_rows, validation_rows, calibration_rows : (R, 2) int64, disjoint in time, purged of label overlap
    weights : (R,) of train_rows
    """

    features: Panel
    targets: Targets
    scale: FloatArray
    train_rows: IntArray
    validation_rows: IntArray
    calibration_rows: IntArray
    weights: FloatArray


@dataclass(frozen=True, slots=True)
class ForecasterSpec:
    """What a forecaster needs and gives."""

    name: str
    version: str
    features: tuple[str, ...]
    targets: tuple[str, ...]
    horizons: tuple[int, ...]
    levels: tuple[float, ...]
    context_length: int = 1
    minimum_rows: int = 250  # TRAIN-06


@dataclass(frozen=True, slots=True)
class FitReport:
    """What a fit did.

    Attributes
    ----------
    importance : (feature, share of total gain) descending
    notes : for example early-stopping rounds
    history : curves of the training, a number an epoch; empty where there are no epochs
    """

    model: str
    train_rows: int
    validation_rows: int
    calibration_rows: int
    importance: tuple[tuple[str, float], ...] = ()
    notes: tuple[str, ...] = ()
    history: Mapping[str, Sequence[float]] = field(default_factory=dict)
