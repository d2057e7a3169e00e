"""The conformal correction that a saved model carries: how far each interval moves, from its calibration rows.

A forecaster that has calibrated itself on these rows is moved by next to nothing; one that has not gets its coverage.

References
----------
[Romano2019], [Vovk2005]
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from foresail.core.arrays import FloatArray
from foresail.domain.training import TrainingSet
from foresail.forecasting.artefacts import array_of
from foresail.forecasting.calibration import ConformalState, move_intervals, symmetric_pairs
from foresail.forecasting.rows import scale_unit

__all__ = ["IntervalShift"]


@dataclass(frozen=True, slots=True, eq=False)
class IntervalShift:
    """Standardised widening of each interval.

    Attributes
    ----------
    levels : Q
    shifts : (K, H, P) in units of ``scale * sqrt(h)``, one for each pair of mirrored levels, widest first
    times : issue times that they rest on
    """

    levels: tuple[float, ...]
    shifts: FloatArray
    times: int

    @classmethod
    def fit(cls, raw: FloatArray, data: TrainingSet, levels: tuple[float, ...]) -> IntervalShift:
        """Return the shift of a fitted model.

        Parameters
        ----------
        raw : (R, K, H, Q) its quantiles of the calibration rows of ``data``
        """
        rows = data.calibration_rows
        issued = np.unique(rows[:, 1]) if len(rows) else np.empty(0, dtype=np.int64)
        k, h = len(data.targets.names), len(data.targets.horizons)
        state = ConformalState((k, h), levels, window=max(1, len(issued)))
        if len(rows):
            labels = data.targets.values[rows[:, 0], rows[:, 1]]
            state.start(raw, labels, scale_unit(data.scale, rows, data.targets.horizons), rows[:, 1])
        return cls(levels, np.round(state.shifts(), 6), len(issued))

    def apply(self, raw: FloatArray, unit: FloatArray) -> FloatArray:
        """Return moved quantiles, (R, K, H, Q); ``unit`` is (R, 1, H, 1)."""
        return move_intervals(raw, self.shifts, unit, symmetric_pairs(self.levels))

    def content(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {"levels": list(self.levels), "shifts": self.shifts, "times": self.times}

    @classmethod
    def of(cls, content: dict[str, Any]) -> IntervalShift:
        """Return what ``content`` took apart."""
        return cls(tuple(content["levels"]), array_of(content["shifts"]), int(content["times"]))
