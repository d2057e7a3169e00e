"""Permutation importance of a model that cannot say by itself what it rests on (XPL-02).

On the validation rows each feature in turn is given the values of other instruments and of another time, which keeps
its own course and breaks its tie to the outcome; how much the loss of the close rises is what the feature is worth.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from foresail.core.arrays import FloatArray, IntArray
from foresail.core.seeds import generator
from foresail.domain.panel import Panel
from foresail.domain.training import TrainingSet
from foresail.forecasting.rows import scale_unit
from foresail.protocols import Forecaster

__all__ = ["PermutationSettings", "permutation_importance"]

_DIGITS = 9


@dataclass(frozen=True, slots=True)
class PermutationSettings:
    """How much is tried.

    Attributes
    ----------
    rows : validation rows that are forecast, at most; of more every so many times
    seed : of the permutations
    """

    rows: int = 2000
    seed: int = 0


def permutation_importance(
    forecaster: Forecaster, data: TrainingSet, settings: PermutationSettings
) -> tuple[tuple[str, float], ...]:
    """Return (feature, share of all rises of the loss), the largest first; features that are worth nothing are left.

    Parameters
    ----------
    data : what the forecaster was fitted on; its validation rows must not have been learned from
    """
    rows = data.validation_rows
    if not len(rows) or "close" not in data.targets.names:
        return ()
    every = max(1, -(-len(rows) // settings.rows))
    times = np.unique(rows[:, 1])[::every]
    rows = rows[np.isin(rows[:, 1], times)]
    base = _loss(forecaster, data, data.features, rows)
    rises = np.zeros(len(data.features.fields))
    for j, name in enumerate(data.features.fields):
        rng = generator(settings.seed, "permutation", name)
        rises[j] = max(0.0, _loss(forecaster, data, _permuted(data.features, j, rng), rows) - base)
    total = float(rises.sum())
    if not total > 0.0:
        return ()
    order = np.lexsort((np.arange(len(rises)), -rises))
    return tuple(
        (data.features.fields[j], round(float(rises[j]) / total, _DIGITS)) for j in order.tolist() if rises[j] > 0
    )


def _permuted(features: Panel, column: int, rng: np.random.Generator) -> Panel:
    """Return the panel with one feature moved in time, and dealt out anew among the instruments."""
    n, t, _ = features.shape
    values = features.values.copy()
    moved = np.roll(values[:, :, column], int(rng.integers(t // 4, max(t // 4 + 1, 3 * t // 4))), axis=1)
    values[:, :, column] = np.where(features.present, moved[rng.permutation(n)], np.nan)
    return replace(features, values=values)


def _loss(forecaster: Forecaster, data: TrainingSet, features: Panel, rows: IntArray) -> float:
    """Return the mean pinball loss of the close over horizons and levels, in units of the label's volatility."""
    spec, k = forecaster.spec, data.targets.names.index("close")
    unit = scale_unit(data.scale, rows, data.targets.horizons)[:, 0]
    told: FloatArray = forecaster.predict(features, rows, data.scale)[:, k] / unit
    gap = data.targets.values[rows[:, 0], rows[:, 1], k][..., None] / unit - told
    levels = np.asarray(spec.levels)
    return float(np.nanmean(np.maximum(levels * gap, (levels - 1.0) * gap)))
