"""Scalers with numbers of their own for each instrument (NORM-01, 02, 04, 07), learned on training rows only.

The first axis of the values is the instrument. One that training hardly knew takes the numbers of all together, so a
new listing has a scale on its first day. Scaled instruments can be pooled in one model.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from foresail.core.arrays import BoolArray, FloatArray
from foresail.core.errors import ConfigError, UnknownNameError
from foresail.features.transforms.base import Lesson, State, Transform
from foresail.features.transforms.scalers import CLIP, column_moments

__all__ = ["MARK", "METHODS", "InstrumentScaler"]

METHODS = ("standard", "min_max")
MARK = "missing:"  # columns of 0 and 1 that say what was missing


@dataclass(frozen=True, eq=False)
class InstrumentScaler(Transform):
    """Each feature of each instrument in its own deviations from its own mean, or between 0 and 1.

    Attributes
    ----------
    method : "standard" or "min_max"
    pooled : features scaled over all instruments together (indices, macro figures)
    unchanged : features that pass, besides those whose catalogue row says so and the marks of missing values
    fewest : training values below which an instrument takes the numbers of all together
    clip : values are cut off here, deviations (NORM-04); min_max is cut at 0 and 1

    Notes
    -----
    Values of two axes are those of one instrument. More instruments than training had take the numbers of all.
    """

    kind: ClassVar[str] = "instrument_scaler"
    method: str = "standard"
    pooled: tuple[str, ...] = ()
    unchanged: tuple[str, ...] = ()
    fewest: int = 30
    clip: float = CLIP

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise UnknownNameError("method of scaling", self.method, METHODS)
        if self.fewest < 2 or not self.clip > 0.0:
            raise ConfigError(f"expected fewest >= 2 and clip > 0, received {self.fewest} and {self.clip}")

    def learn(self, lesson: Lesson) -> State:
        """Return centre and width, (N + 1, F) each, the last row over all instruments, and what is clipped."""
        x = lesson.values
        code = lesson.rows[:, 0] if lesson.rows.shape[1] > 1 else np.zeros(len(x), dtype=np.int64)
        instruments = int(code.max()) + 1
        everyone = self._moments(x)
        centre, width = (np.tile(one, (instruments + 1, 1)) for one in everyone)
        alone = ~np.isin(lesson.fields, self.pooled)
        order = np.argsort(code, kind="stable")
        borders = np.searchsorted(code[order], np.arange(instruments + 1))
        for i in range(instruments):
            mine = x[order[borders[i] : borders[i + 1]]]
            known = alone & (np.isfinite(mine).sum(axis=0) >= self.fewest)
            own = self._moments(mine)
            centre[i, known], width[i, known] = own[0][known], own[1][known]
        passing = self._passing(lesson.fields)
        centre[:, passing], width[:, passing] = 0.0, 1.0
        return {"centre": centre, "width": width, "clipped": (~passing).astype(np.int64)}

    def _passing(self, fields: tuple[str, ...]) -> BoolArray:
        from foresail.features.catalogue import CATALOGUE

        return np.array(
            [
                name in self.unchanged
                or name.startswith(MARK)
                or (name in CATALOGUE and CATALOGUE[name].normaliser == "none")
                for name in fields
            ],
            dtype=np.bool_,
        )

    def _moments(self, values: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return centre and width per column, (F,) each; width 1 where nothing varied."""
        if self.method == "standard":
            return column_moments(values)
        finite = np.isfinite(values)
        some = finite.any(axis=0)
        low = np.where(some, np.min(np.where(finite, values, np.inf), axis=0, initial=np.inf), 0.0)
        high = np.where(some, np.max(np.where(finite, values, -np.inf), axis=0, initial=-np.inf), 0.0)
        return low, np.where(high > low, high - low, 1.0)

    def apply(self, values: NDArray[Any], state: State) -> FloatArray:
        """Return scaled values, clipped; NaN stays NaN."""
        scaled = (values - _of(state["centre"], values)) / _of(state["width"], values)
        low, high = (0.0, 1.0) if self.method == "min_max" else (-self.clip, self.clip)
        clipped: FloatArray = np.where(state["clipped"] == 1, np.clip(scaled, low, high), scaled)
        return clipped


def _of(table: FloatArray, values: NDArray[Any]) -> FloatArray:
    """Return the row of each instrument, shaped to the values; the last row for those that training did not have."""
    if values.ndim < 3:
        return np.asarray(table[0])
    n = np.minimum(np.arange(values.shape[0]), len(table) - 1)
    return np.asarray(table[n].reshape(len(n), *(1,) * (values.ndim - 2), table.shape[1]))
