"""Category columns among numbers: codes for embeddings, or a column for each category for trees (NORM-03, FC-23)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from foresail.core.arrays import FloatArray
from foresail.features.transforms.base import Lesson, State, Transform

__all__ = ["CategoryColumns"]


@dataclass(frozen=True, eq=False)
class CategoryColumns(Transform):
    """Codes 1, 2, ... of the training categories in ascending order, or columns ``NAME=CATEGORY``; others pass.

    Attributes
    ----------
    one_hot : columns of 0 and 1 in place of a code
    columns : features that are categories; empty = those whose catalogue row is of this type

    Notes
    -----
    What training never saw and what is missing are Unknown: code 0, or the column ``NAME=unknown`` (FEAT-36).
    """

    kind: ClassVar[str] = "category_columns"
    one_hot: bool = False
    columns: tuple[str, ...] = ()

    def learn(self, lesson: Lesson) -> State:
        """Return the categories of each category column, ascending, under its position."""
        found = {}
        for j, name in enumerate(lesson.fields):
            if self._is_category(name):
                known = lesson.values[:, j]
                found[f"categories_{j}"] = np.unique(known[np.isfinite(known)])
        return found

    def _is_category(self, name: str) -> bool:
        from foresail.features.catalogue import spec_of_column

        if self.columns:
            return name in self.columns
        spec = spec_of_column(name)
        return spec is not None and spec.type == "category"

    def apply(self, values: NDArray[Any], state: State) -> FloatArray:
        """Return the columns in order, each category in place of its feature."""
        parts = []
        for j in range(values.shape[-1]):
            known = state.get(f"categories_{j}")
            column = values[..., j, None]
            parts.append(column if known is None else self._coded(column, known))
        return np.concatenate(parts, axis=-1)

    def _coded(self, column: FloatArray, known: FloatArray) -> FloatArray:
        places = np.minimum(np.searchsorted(known, column), max(len(known) - 1, 0))
        same = known[places] == column if len(known) else np.zeros(column.shape, dtype=np.bool_)
        codes = np.where(same, places + 1.0, 0.0)
        return (codes == np.arange(len(known) + 1)).astype(np.float64) if self.one_hot else codes

    def names(self, inputs: tuple[str, ...], state: State) -> tuple[str, ...]:
        """Return the columns that come out."""
        out: list[str] = []
        for j, name in enumerate(inputs):
            known = state.get(f"categories_{j}")
            if known is None or not self.one_hot:
                out.append(name)
            else:
                out += [f"{name}=unknown", *(f"{name}={value:g}" for value in known)]
        return tuple(out)
