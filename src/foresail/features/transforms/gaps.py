"""What to do where a value is missing (FEAT-35 to 38). Back-filling is not among it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from foresail.core.arrays import FloatArray
from foresail.core.errors import ConfigError, UnknownNameError
from foresail.features.transforms.base import Lesson, State, Transform

__all__ = ["DropSparse", "ForwardFill", "MedianImputer"]


@dataclass(frozen=True, eq=False)
class MedianImputer(Transform):
    """The training median in place of a missing value (FEAT-36).

    Attributes
    ----------
    marks : whether a column ``missing:NAME`` of 0 and 1 is added for each feature

    Notes
    -----
    A column without any training value has no median: it stays missing.
    """

    kind: ClassVar[str] = "median_imputer"
    marks: bool = False

    def learn(self, lesson: Lesson) -> State:
        """Return the median of each column, NaN where it has no value."""
        columns = [lesson.values[np.isfinite(lesson.values[:, j]), j] for j in range(lesson.values.shape[1])]
        return {"median": np.array([np.median(c) if len(c) else np.nan for c in columns], dtype=np.float64)}

    def apply(self, values: NDArray[Any], state: State) -> FloatArray:
        """Return the values without holes, and the marks."""
        missing = np.isnan(values)
        filled = np.where(missing, state["median"], values)
        return np.concatenate([filled, missing.astype(np.float64)], axis=-1) if self.marks else filled

    def names(self, inputs: tuple[str, ...], state: State) -> tuple[str, ...]:
        """Return the features, and the marks after them."""
        return (*inputs, *(f"missing:{name}" for name in inputs)) if self.marks else inputs


@dataclass(frozen=True, eq=False)
class ForwardFill(Transform):
    """The last value before a hole, for slow series only and not for long (FEAT-37).

    Attributes
    ----------
    limits : (feature, bars that its last value may stand in); others are left as they are

    Notes
    -----
    Timing: uses earlier values of the same instrument only. Time is the last axis but one.
    """

    kind: ClassVar[str] = "forward_fill"
    limits: tuple[tuple[str, int], ...] = ()

    def __post_init__(self) -> None:
        for name, bars in self.limits:
            if bars < 1:
                raise ConfigError(f"{name}: expected at least one bar, received {bars}", hint="leave the name out")

    def learn(self, lesson: Lesson) -> State:
        """Return the limit of each column; nothing is learned from values."""
        for name, _ in self.limits:
            if name not in lesson.fields:
                raise UnknownNameError("feature", name, lesson.fields)
        given = dict(self.limits)
        return {"limit": np.array([given.get(name, 0) for name in lesson.fields], dtype=np.int64)}

    def apply(self, values: NDArray[Any], state: State) -> FloatArray:
        """Return the values with short holes filled."""
        at = np.arange(values.shape[-2], dtype=np.int64)[:, None]
        last = np.maximum.accumulate(np.where(np.isnan(values), -1, at), axis=-2)
        fresh = (last >= 0) & (at - last <= state["limit"])
        taken = np.take_along_axis(values, np.maximum(last, 0), axis=-2)
        return np.where(fresh, taken, np.nan)


@dataclass(frozen=True, eq=False)
class DropSparse(Transform):
    """Leave out features that are missing in too many training rows (FEAT-38).

    Attributes
    ----------
    share : of the training rows that may be missing
    """

    kind: ClassVar[str] = "drop_sparse"
    share: float = 0.2

    def learn(self, lesson: Lesson) -> State:
        """Return the kept columns and the missing share of each."""
        missing = np.isnan(lesson.values).mean(axis=0)
        return {"kept": np.flatnonzero(missing <= self.share), "missing": missing}

    def apply(self, values: NDArray[Any], state: State) -> FloatArray:
        """Return the kept columns."""
        kept: FloatArray = values[..., state["kept"]]
        return kept

    def names(self, inputs: tuple[str, ...], state: State) -> tuple[str, ...]:
        """Return the kept features."""
        return tuple(inputs[j] for j in state["kept"])
