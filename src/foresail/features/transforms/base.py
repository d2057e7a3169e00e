"""FoldBound: what every fitted transform inherits. The guard stands here, once, and cannot be left out.

1. ``fit(values, rows, fold)`` refuses rows outside the fold and returns a fitted copy; the settings stay as they were.
2. An author writes ``learn``, which is handed the training rows and nothing else, and ``apply``.
3. What was learned is arrays by name. A record of it is plain JSON, and reads back to the same bits.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, ClassVar, Self, final

import numpy as np
from numpy.typing import NDArray

from foresail.core.arrays import FloatArray, IntArray
from foresail.core.errors import DataError, NotFittedError
from foresail.domain.panel import Panel
from foresail.features.transforms.fold import Fold, FoldMark, guarded_rows

__all__ = ["Fitted", "FoldBound", "Lesson", "State", "Transform"]

State = Mapping[str, NDArray[Any]]


@dataclass(frozen=True, slots=True, eq=False)
class Lesson:
    """All that a transform may learn from.

    Attributes
    ----------
    values : (R, F) of the training rows
    rows : (R, D) their places, time last, ordered by time
    labels : (R,), or None where none were given
    fields : F names
    """

    values: NDArray[Any]
    rows: IntArray
    labels: FloatArray | None
    fields: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Fitted:
    """What a transform learned, on which rows, and the names of what goes in and comes out."""

    fields: tuple[str, ...]
    outputs: tuple[str, ...]
    mark: FoldMark
    state: State


@dataclass(frozen=True, eq=False)
class FoldBound(ABC):
    """A transform that is bound to its fold when it is fitted."""

    kind: ClassVar[str]
    fitted: Fitted | None = field(default=None, kw_only=True, repr=False)

    @final
    def fit(
        self, values: Panel | NDArray[Any], rows: IntArray, fold: Fold, *, labels: FloatArray | None = None
    ) -> Self:
        """Return a copy that has learned from the training rows.

        Parameters
        ----------
        values : panel, or (..., F) array; NaN is missing
        rows : (R, D) places on all axes but the last, time last; (R,) for a table
        fold : what may be learned from
        labels : (...) aligned with the values, for transforms that need them

        Raises
        ------
        LookAheadError
            If a row stands outside the fold.
        DataError
            If there are no rows, a value is infinite, or labels are needed and absent.
        """
        table, names = _table(values)
        places, mark = guarded_rows(table.shape, rows, fold, self.kind.replace("_", " "))
        if labels is not None and np.shape(labels) != table.shape[:-1]:
            raise DataError(f"values of shape {table.shape} need labels of {table.shape[:-1]}, not {np.shape(labels)}")
        picked = table[tuple(places.T)]
        if picked.dtype.kind == "f" and np.isinf(picked).any():
            raise DataError(
                f"a {self.kind.replace('_', ' ')} was given an infinite value to learn from", hint="NaN is missing"
            )
        return self._bind(table, names, places, fold, mark=mark, labels=labels)

    @abstractmethod
    def _bind(
        self,
        table: NDArray[Any],
        names: tuple[str, ...],
        places: IntArray,
        fold: Fold,
        *,
        mark: FoldMark,
        labels: FloatArray | None,
    ) -> Self: ...

    @abstractmethod
    def _run(self, table: NDArray[Any], fitted: Fitted) -> FloatArray: ...

    @final
    def transform(self, values: Panel | NDArray[Any]) -> FloatArray:
        """Return (..., G) transformed values; the names of the G columns are ``outputs``.

        Raises
        ------
        NotFittedError
            If nothing was learned yet.
        DataError
            If the columns are not those of the fit.
        """
        fitted = self._learned()
        table, names = _table(values)
        what = self.kind.replace("_", " ")
        if table.shape[-1] != len(fitted.fields):
            raise DataError(f"a {what} of {len(fitted.fields)} features received {table.shape[-1]}")
        if isinstance(values, Panel) and names != fitted.fields:
            strange = next(a for a, b in zip(names, fitted.fields, strict=True) if a != b)
            raise DataError(f"a {what} was fitted on other features: {strange!r} stands in another place")
        return self._run(table, fitted)

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of the columns that come out.

        Raises
        ------
        NotFittedError
            If nothing was learned yet.
        """
        return self._learned().outputs

    def settings(self) -> dict[str, Any]:
        """Return the settings by name; for the record."""
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name != "fitted"}

    def _learned(self) -> Fitted:
        if self.fitted is None:
            raise NotFittedError(
                f"a {self.kind.replace('_', ' ')} was used before it was fitted", hint="call fit first"
            )
        return self.fitted


@dataclass(frozen=True, eq=False)
class Transform(FoldBound):
    """A transform with one lesson: write ``kind``, ``learn`` and ``apply``; ``names`` where columns change."""

    @abstractmethod
    def learn(self, lesson: Lesson) -> State:
        """Return what the training rows teach, as arrays of float64, int64 or text; no infinite value."""

    @abstractmethod
    def apply(self, values: NDArray[Any], state: State) -> FloatArray:
        """Return (..., G) from (..., F); a value at a time may depend on that time and earlier ones only."""

    def names(self, inputs: tuple[str, ...], state: State) -> tuple[str, ...]:
        """Return the names of the columns that come out."""
        return inputs

    def _bind(
        self,
        table: NDArray[Any],
        names: tuple[str, ...],
        places: IntArray,
        fold: Fold,
        *,
        mark: FoldMark,
        labels: FloatArray | None,
    ) -> Self:
        where = tuple(places.T)
        told = None if labels is None else np.asarray(labels, dtype=np.float64)[where]
        state = dict(self.learn(Lesson(np.ascontiguousarray(table[where]), places, told, names)))
        return replace(self, fitted=Fitted(names, self.names(names, state), mark, state))

    def _run(self, table: NDArray[Any], fitted: Fitted) -> FloatArray:
        return self.apply(table, fitted.state)


def _table(values: Panel | NDArray[Any]) -> tuple[NDArray[Any], tuple[str, ...]]:
    """Return (..., F) values and F names."""
    if isinstance(values, Panel):
        return values.values, values.fields
    table = np.asarray(values)
    if table.dtype.kind in "biu":
        table = table.astype(np.float64)
    if table.ndim < 2 or table.dtype.kind not in "fU":
        raise DataError(
            f"expected (..., F) numbers or text, received {table.dtype} of shape {table.shape}",
            hint="turn objects into text with astype(str), missing into an empty text",
        )
    return table, tuple(f"f{j}" for j in range(table.shape[-1]))
