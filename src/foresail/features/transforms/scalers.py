"""Scalers (NORM-02 to 05): learned on training rows, reused unchanged afterwards.

Values are clipped at 8 deviations. Features whose catalogue row says so (cyclic, flags) pass unchanged; absent stays
absent. A column in which nothing varied is centred, not divided by nothing.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from foresail.core.arrays import BoolArray, FloatArray
from foresail.core.errors import ConfigError
from foresail.features.transforms.base import Lesson, State, Transform

__all__ = ["CLIP", "RankGauss", "RobustScaler", "StandardScaler", "column_moments"]

CLIP = 8.0  # standard deviations, NORM-04
_NORMAL_QUARTILES = 1.3489795003921634  # distance between the quartiles of a standard normal
_EDGE = 1e-7  # a rank is kept this far from 0 and 1, so that no value becomes infinite


def _kept(lesson: Lesson, unchanged: tuple[str, ...]) -> BoolArray:
    from foresail.features.catalogue import CATALOGUE

    passing = [n in unchanged or (n in CATALOGUE and CATALOGUE[n].normaliser == "none") for n in lesson.fields]
    return np.array(passing, dtype=np.bool_)


@dataclass(frozen=True, eq=False)
class _ColumnScaler(Transform):
    unchanged: tuple[str, ...] = ()

    @abstractmethod
    def moments(self, values: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return centre and width of each column, (F,) each; width 1 where nothing varied."""

    def learn(self, lesson: Lesson) -> State:
        """Return centre, width and which columns are clipped."""
        centre, width = self.moments(lesson.values)
        keep = _kept(lesson, self.unchanged)
        centre[keep], width[keep] = 0.0, 1.0
        return {"centre": centre, "width": width, "clipped": (~keep).astype(np.int64)}

    def apply(self, values: NDArray[Any], state: State) -> FloatArray:
        """Return values in widths from the centre, clipped at 8; NaN stays NaN."""
        scaled = (values - state["centre"]) / state["width"]
        clipped: FloatArray = np.where(state["clipped"] == 1, np.clip(scaled, -CLIP, CLIP), scaled)
        return clipped


@dataclass(frozen=True, eq=False)
class StandardScaler(_ColumnScaler):
    """Deviations from the training mean, in training standard deviations.

    Attributes
    ----------
    unchanged : further features to pass as they are
    """

    kind: ClassVar[str] = "standard_scaler"

    def moments(self, values: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return mean and sample deviation over finite values; (0, 1) where there are none."""
        return column_moments(values)


@dataclass(frozen=True, eq=False)
class RobustScaler(_ColumnScaler):
    """Deviations from the training median, in distances of quartiles scaled to a standard deviation.

    A column whose quartiles are equal though it varies (mostly zeros) is divided by its standard deviation.

    Attributes
    ----------
    unchanged : further features to pass as they are
    """

    kind: ClassVar[str] = "robust_scaler"

    def moments(self, values: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return median and scaled distance of quartiles over finite values; (0, 1) where there are none."""
        _, width = column_moments(values)
        centre = np.zeros(values.shape[1])
        for j in range(values.shape[1]):
            known = values[np.isfinite(values[:, j]), j]
            if len(known):
                low, centre[j], high = np.quantile(known, (0.25, 0.5, 0.75))
                width[j] = (high - low) / _NORMAL_QUARTILES if high > low else width[j]
        return centre, width


def column_moments(values: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return mean and sample deviation per column over finite values; deviation 1 where too few or flat."""
    finite = np.isfinite(values)
    count = finite.sum(axis=0)
    filled = np.where(finite, values, 0.0)
    mean = filled.sum(axis=0) / np.maximum(count, 1)
    apart = np.where(finite, values - mean, 0.0)
    deviation = np.sqrt((apart * apart).sum(axis=0) / np.maximum(count - 1, 1))
    flat = (count < 2) | (deviation <= 1e-12 * np.abs(mean)) | (deviation == 0.0)
    return mean, np.where(flat, 1.0, deviation)


@dataclass(frozen=True, eq=False)
class RankGauss(Transform):
    """Normal score of the rank that a value would have had among the training values.

    Attributes
    ----------
    quantiles : points at which the training distribution is kept

    Notes
    -----
    Equal training values share the middle of their ranks. Values beyond the training range become about -5.2 or 5.2.
    A column without training values gives NaN.
    """

    kind: ClassVar[str] = "rank_gauss"
    quantiles: int = 1001

    def __post_init__(self) -> None:
        if self.quantiles < 3:
            raise ConfigError(f"expected at least 3 quantiles, received {self.quantiles}")

    def learn(self, lesson: Lesson) -> State:
        """Return the quantiles of each column, (L, F)."""
        levels = np.linspace(0.0, 1.0, self.quantiles)
        table = np.full((self.quantiles, lesson.values.shape[1]), np.nan)
        for j in range(table.shape[1]):
            known = lesson.values[np.isfinite(lesson.values[:, j]), j]
            if len(known):
                table[:, j] = np.maximum.accumulate(np.quantile(known, levels))
        return {"quantiles": table}

    def apply(self, values: NDArray[Any], state: State) -> FloatArray:
        """Return normal scores; NaN stays NaN."""
        from scipy.special import ndtri

        table = state["quantiles"]
        levels = np.linspace(0.0, 1.0, len(table))
        rank = np.full(values.shape, np.nan)
        for j in range(values.shape[-1]):
            column, known = table[:, j], np.isfinite(values[..., j])
            if np.isfinite(column[0]):
                x = values[..., j][known]
                below = np.interp(-x, -column[::-1], -levels[::-1])
                rank[..., j][known] = 0.5 * (np.interp(x, column, levels) - below)
        scores: FloatArray = np.asarray(ndtri(np.clip(rank, _EDGE, 1.0 - _EDGE)), dtype=np.float64)
        return scores
