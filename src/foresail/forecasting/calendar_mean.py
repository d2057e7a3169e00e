"""A forecast that knows the date and nothing else: what seasonality alone would have given.

It stands in the table of every run. A model that does not beat it has learned the calendar at best.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from foresail.core.arrays import FloatArray, IntArray
from foresail.core.clock import NS_PER_DAY
from foresail.domain.panel import Panel
from foresail.domain.training import ForecasterSpec, TrainingSet
from foresail.forecasting.artefacts import array_of
from foresail.forecasting.location import Location
from foresail.forecasting.residual import ResidualForecaster
from foresail.forecasting.rows import Sample

__all__ = ["CalendarMean"]

_NS_PER_HOUR = 3_600_000_000_000
_SLOTS = 7 * 24  # weekday and hour, UTC; a daily bar fills seven of them at most


class CalendarMean(ResidualForecaster):
    """The mean return of the training rows on the same weekday and at the same hour (UTC) goes on."""

    kind = "calendar"

    def __init__(self, spec: ForecasterSpec) -> None:
        super().__init__(spec)
        self._mean: FloatArray = np.empty(0)

    def learn(self, data: TrainingSet, train: Sample, rows: IntArray, seed: int) -> tuple[str, ...]:
        """Take the mean standardised label of the close in each slot; 0 where a slot never came."""
        del seed
        k = self._spec.targets.index("close") if "close" in self._spec.targets else 0
        slot = _slots(data.features, rows)
        count = np.maximum(np.bincount(slot, minlength=_SLOTS), 1)
        sums = [np.bincount(slot, weights=train.y[:, k, h], minlength=_SLOTS) for h in range(train.y.shape[2])]
        self._mean = np.round(np.column_stack(sums) / count[:, None], 9)
        return ()

    def centre(self, location: Location, features: Panel, rows: IntArray, unit: FloatArray) -> FloatArray:
        """Return (R, K, H): the slot's mean for the close, the usual level for other targets."""
        out = np.broadcast_to(location.level, (len(unit), *location.level.shape)).astype(np.float64)
        for k, is_close in enumerate(location.is_close):
            if is_close:
                out[:, k] = self._mean[_slots(features, rows)]
        return out

    def extra(self) -> dict[str, Any]:
        """Return the means, (168, H)."""
        return {"mean": self._mean}

    def restore(self, extra: dict[str, Any]) -> None:
        """Take back the means."""
        self._mean = array_of(extra["mean"])


def _slots(features: Panel, rows: IntArray) -> IntArray:
    """Return (R,) weekday * 24 + hour of the bars; the middle of a bar decides, which a session's date names."""
    middle = (features.start + (features.end - features.start) // 2)[rows[:, 1]]
    weekday = (middle // NS_PER_DAY + 3) % 7  # 1970-01-01 was a Thursday, Monday is 0
    hour = (middle % NS_PER_DAY) // _NS_PER_HOUR
    daily = (features.end - features.start)[
        rows[:, 1]
    ] >= NS_PER_DAY // 6  # the hour of a session moves with the clocks
    return np.asarray(weekday * 24 + np.where(daily, 0, hour), dtype=np.int64)
