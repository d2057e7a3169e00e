"""What a fold may learn from, and the guard that refuses everything else."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from foresail.core.arrays import IntArray
from foresail.core.canonical import hash_bytes
from foresail.core.errors import DataError, LookAheadError

__all__ = ["Fold", "FoldMark", "guarded_rows"]


@dataclass(frozen=True, slots=True, eq=False)
class Fold:
    """The rows that a fold may learn from: times ``first <= t < last`` and, where given, of those only some rows.

    Attributes
    ----------
    rows : (A, D) int64 places, time last; None = every row of these times. Purged splits need it: their training rows
        are no single stretch of time
    """

    first: int
    last: int
    rows: IntArray | None = None

    @classmethod
    def of_rows(cls, rows: IntArray) -> Fold:
        """Return the fold of exactly these rows, (A, D) or (A,), for example ``rows[split.train]``.

        Raises
        ------
        DataError
            If there are none.
        """
        places = np.asarray(rows, dtype=np.int64)
        if len(places) == 0:
            raise DataError("a fold needs at least one row, received none")
        places = places.reshape(len(places), -1)
        return cls(int(places[:, -1].min()), int(places[:, -1].max()) + 1, places)


@dataclass(frozen=True, slots=True)
class FoldMark:
    """What a fitted transform was bound to: times, how many rows it learned from, and their hash."""

    first: int
    last: int
    rows: int
    digest: str


def guarded_rows(shape: tuple[int, ...], rows: IntArray, fold: Fold, what: str) -> tuple[IntArray, FoldMark]:
    """Return the rows to learn from, (R, D) ordered by time, and their mark.

    Parameters
    ----------
    shape : of the values; rows are places on all its axes but the last
    rows : (R, D), or (R,) where D is 1
    what : name of the learner, for the text of the error

    Raises
    ------
    LookAheadError
        If a row stands outside the fold.
    DataError
        If there are no rows, or one does not exist.
    """
    places = np.asarray(rows, dtype=np.int64)
    if len(places) == 0:
        raise DataError(f"a {what} needs at least one training row, received none")
    places = places.reshape(len(places), -1)
    axes = shape[:-1]
    if places.shape[1] != len(axes):
        raise DataError(f"values of shape {shape} have rows of {len(axes)} places, received {places.shape[1]}")
    outside = places[(places[:, -1] < fold.first) | (places[:, -1] >= fold.last)]
    if len(outside):
        raise LookAheadError(
            f"a {what} of times {fold.first} to {fold.last - 1} was asked to learn from time {int(outside[0, -1])} "
            f"({len(outside)} rows outside its fold)",
            hint="fit on the training rows of the fold only",
        )
    if (places < 0).any() or (places >= np.array(axes)).any():
        raise DataError(f"a {what} was given a row that values of shape {shape} do not have")
    if fold.rows is not None:
        allowed = fold.rows[(fold.rows < np.array(axes)).all(axis=1)]
        keys, known = (np.ravel_multi_index(tuple(p.T), axes) for p in (places, allowed))
        strange = places[~np.isin(keys, known)]
        if len(strange):
            raise LookAheadError(
                f"a {what} was asked to learn from row {tuple(int(x) for x in strange[0])}, which its fold purged or "
                f"tests ({len(strange)} rows outside its fold)",
                hint="fit on the training rows of the fold only",
            )
    places = places[np.lexsort(tuple(places.T))]
    return places, FoldMark(fold.first, fold.last, len(places), hash_bytes(np.ascontiguousarray(places).tobytes()))
