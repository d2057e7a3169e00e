"""Which features each fold's model is given (SEL-07): chosen on the training rows of that fold, and how stable that is.

A fold sees a sample of its training rows: forests of a few thousand rows rank features as those of all do, in a
fraction of the time. The label is the close ahead in standard deviations, the mean over the horizons, so that one
selection serves all of them; it is cut where one crash would decide.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from foresail.core.arrays import FloatArray, IntArray
from foresail.core.seeds import generator
from foresail.domain.panel import Panel
from foresail.engine.training_sets import ForecastInputs, close_place
from foresail.features.selection import SelectionPlan, Stability, select_over_folds, selector
from foresail.features.transforms.fold import Fold

__all__ = ["Choice", "choose_features", "with_fields"]

_ROWS = 2_000  # training rows that a selection looks at
_FEWEST = 250  # rows below which nothing is chosen; nothing is trained on them either (TRAIN-06)
_CUT = 4.0  # standard deviations of a label


@dataclass(frozen=True, slots=True, eq=False)
class Choice:
    """The features of each fold.

    Attributes
    ----------
    fields : for each fold its features, in the order of the columns; None where it has too few rows to choose by
    stability : of those that chose; None where none did
    """

    fields: tuple[tuple[str, ...] | None, ...]
    stability: Stability | None


def choose_features(inputs: ForecastInputs, parts: Sequence[IntArray], plan: SelectionPlan) -> Choice:
    """Return the features of each fold.

    Parameters
    ----------
    parts : (R, 2) training rows of each fold, (instrument, time)
    plan : what is selected from what
    """
    chain = selector(plan.settings)
    judged = [i for i, rows in enumerate(parts) if len(rows) >= _FEWEST]
    if chain is None or not judged:
        return Choice((None,) * len(parts), None)
    seen = [_sample(parts[i], plan.settings.seed) for i in judged]
    table = with_fields(inputs.features, plan.free)
    folds = [(rows, Fold.of_rows(rows)) for rows in seen]
    fitted, stability = select_over_folds(table, _labels(inputs), folds, chain)
    free = set(plan.free)
    chosen: list[tuple[str, ...] | None] = [None] * len(parts)
    for i, one in zip(judged, fitted, strict=True):
        kept = set(one.outputs)
        chosen[i] = tuple(name for name in inputs.features.fields if name in kept or name not in free)
    return Choice(tuple(chosen), stability)


def with_fields(panel: Panel, names: Sequence[str]) -> Panel:
    """Return some columns of a panel, in this order."""
    columns = [panel.index(name) for name in names]
    return replace(panel, values=np.ascontiguousarray(panel.values[:, :, columns]), fields=tuple(names))


def _labels(inputs: ForecastInputs) -> FloatArray:
    """Return (N, T) what is to be explained; NaN where a label or the scale is missing."""
    unit = inputs.scale[:, :, None] * np.sqrt(np.asarray(inputs.targets.horizons, dtype=np.float64))
    close = inputs.targets.values[:, :, close_place(inputs.targets.names), :]
    labels = close / np.where(unit > 0.0, unit, np.nan)
    mean: FloatArray = np.clip(labels, -_CUT, _CUT).mean(axis=2)
    return mean


def _sample(rows: IntArray, seed: int) -> IntArray:
    """Return at most so many rows, drawn without regard to names or times, in their order."""
    if len(rows) <= _ROWS:
        return rows
    drawn = generator(seed, "rows of a selection").choice(len(rows), _ROWS, replace=False)
    return rows[np.sort(drawn)]
