"""Input checks that every measure shares: a figure is never computed over a hole without saying so."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from foresail.core.arrays import FloatArray
from foresail.core.errors import DataError

__all__ = ["check_level", "finite_series", "mean_or_nan", "paired_values", "same_length"]


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


def paired_values(first: ArrayLike, second: ArrayLike) -> tuple[FloatArray, FloatArray]:
    """Return the values of both at the places where both are known, flat; NaN is missing.

    Raises
    ------
    DataError
        If the shapes differ, or a value is infinite.
    """
    a, b = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    if a.shape != b.shape:
        raise DataError(f"expected actual and forecast of one shape, received {a.shape} and {b.shape}")
    if np.isinf(a).any() or np.isinf(b).any():
        raise DataError("expected numbers or NaN, received an infinite value", hint="NaN says that a value is missing")
    known = ~(np.isnan(a) | np.isnan(b))
    return a[known], b[known]


def mean_or_nan(values: FloatArray) -> float:
    """Return the mean, or NaN of nothing."""
    return float(values.mean()) if values.size else float("nan")


def check_level(level: float) -> None:
    """Refuse a probability level that is not inside (0, 1).

    Raises
    ------
    DataError
        If it is not.
    """
    if not 0.0 < level < 1.0:
        raise DataError(f"expected a quantile level between 0 and 1, received {level}")
