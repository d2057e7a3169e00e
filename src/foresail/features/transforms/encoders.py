"""Categories as numbers. What the training rows did not hold has a code of its own; an empty text is missing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from foresail.core.arrays import FloatArray
from foresail.core.errors import DataError
from foresail.features.transforms.base import Lesson, State, Transform

__all__ = ["OneHotEncoder", "OrdinalEncoder"]


@dataclass(frozen=True, eq=False)
class OrdinalEncoder(Transform):
    """1, 2, ... for the training categories in alphabetical order, 0 for any other, NaN for missing."""

    kind: ClassVar[str] = "ordinal_encoder"

    def learn(self, lesson: Lesson) -> State:
        """Return the categories of each column, ascending."""
        if lesson.values.dtype.kind != "U":
            raise DataError("an encoder needs categories as text, received numbers", hint="use astype(str)")
        found = (np.unique(lesson.values[:, j]) for j in range(lesson.values.shape[1]))
        return {f"categories_{j}": known[known != ""] for j, known in enumerate(found)}

    def apply(self, values: NDArray[Any], state: State) -> FloatArray:
        """Return the codes, (..., F)."""
        return _codes(values, state)


@dataclass(frozen=True, eq=False)
class OneHotEncoder(OrdinalEncoder):
    """A column of 0 and 1 for each training category and one for unknown; all NaN where the category is missing."""

    kind: ClassVar[str] = "one_hot_encoder"

    def apply(self, values: NDArray[Any], state: State) -> FloatArray:
        """Return the columns, unknown first of each feature."""
        codes = _codes(values, state)
        parts = []
        for j in range(values.shape[-1]):
            one = codes[..., j, None]
            hot = (one == np.arange(len(state[f"categories_{j}"]) + 1)).astype(np.float64)
            parts.append(np.where(np.isnan(one), np.nan, hot))
        return np.concatenate(parts, axis=-1)

    def names(self, inputs: tuple[str, ...], state: State) -> tuple[str, ...]:
        """Return NAME=unknown and NAME=CATEGORY."""
        told = [("unknown", *map(str, state[f"categories_{j}"])) for j in range(len(inputs))]
        return tuple(f"{name}={c}" for name, known in zip(inputs, told, strict=True) for c in known)


def _codes(values: NDArray[Any], state: State) -> FloatArray:
    if values.dtype.kind != "U":
        raise DataError("an encoder needs categories as text, received numbers", hint="use astype(str)")
    codes = np.zeros(values.shape)
    for j in range(values.shape[-1]):
        known, column = state[f"categories_{j}"], values[..., j]
        if len(known):
            place = np.minimum(np.searchsorted(known, column), len(known) - 1)
            codes[..., j] = np.where(known[place] == column, place + 1.0, 0.0)
        codes[..., j][column == ""] = np.nan
    return codes
