"""Forecasts: calibrated quantiles of log returns against the last close, for one decision or for many at once."""

from __future__ import annotations

from dataclasses import dataclass

from foresail.core.arrays import FloatArray, TimeArray
from foresail.core.ids import InstrumentId

__all__ = ["QUANTILE_LEVELS", "Forecast", "ForecastBlock"]

QUANTILE_LEVELS: tuple[float, ...] = (0.02, 0.10, 0.25, 0.50, 0.75, 0.90, 0.98)  # FCST-05


@dataclass(frozen=True, slots=True, eq=False)
class ForecastBlock:
    """Forecasts of N instruments issued at T times.

    Attributes
    ----------
    values : (N, T, K, H, Q) log return of the target against the last close; NaN where no forecast was made;
        rounded to 1e-6, quantiles ascending, low <= close <= high level by level
    position : (T,) time index in the source panel at which each forecast stands (its last usable bar)
    issued_at : (T,) ns UTC
    targets : names of K, a subset of close, high, low ("close" first)
    horizons : H, in bars
    levels : Q
    model : model version that issued each time, (T,) strings
    """

    values: FloatArray
    position: TimeArray
    issued_at: TimeArray
    instruments: tuple[InstrumentId, ...]
    targets: tuple[str, ...]
    horizons: tuple[int, ...]
    levels: tuple[float, ...]
    model: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Forecast:
    """Forecasts of N instruments at one instant: (N, K, H, Q), see ``ForecastBlock``."""

    values: FloatArray
    issued_at: int
    instruments: tuple[InstrumentId, ...]
    targets: tuple[str, ...]
    horizons: tuple[int, ...]
    levels: tuple[float, ...]
    model: str
    features_hash: str = ""
