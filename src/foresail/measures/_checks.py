"""Input checks that every measure shares: a figure is never computed over a hole without saying so."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from foresail.core.arrays import FloatArray
from foresail.core.errors import DataError

__all__ = ["finite_series", "same_length"]


def finite_series(values: ArrayLike, *, name: str, minimum: int = 1) -> FloatArray:
    """Return the values as a float64 vector.

    Raises
    ------
    DataError
        If there are fewer than ``minimum`` values, more than one axis, or a value that is not finite.
    """
    series = np.asarray(values, dtype=np.float64)
    if series.ndim != 1:
        raise DataError(f"{name}: expected one series, received an array of shape {series.shape}")
    if len(series) < minimum:
        raise DataError(
            f"{name}: expected at least {minimum} values, received {len(series)}",
            hint="give a longer record",
        )
    bad = np.flatnonzero(~np.isfinite(series))
    if len(bad):
        raise DataError(
            f"{name}: expected finite numbers, received {series[bad[0]]} at position {bad[0] + 1} "
            f"({len(bad)} of {len(series)} values are not finite)",
            row=int(bad[0]) + 1,
            hint="leave rows without a value out, or fill them where they came from",
        )
    return series


def same_length(first: FloatArray, second: FloatArray, *, names: tuple[str, str]) -> None:
    """Refuse two series that are not aligned.

    Raises
    ------
    DataError
        If the shapes differ.
    """
    if first.shape != second.shape:
        raise DataError(f"expected {names[0]} and {names[1]} of one shape, received {first.shape} and {second.shape}")
