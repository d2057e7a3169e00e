"""Walk a variance model forward: refit every so many rows on what is past, filter with fixed parameters in between."""

from __future__ import annotations

import numpy as np

from foresail.core.arrays import FloatArray
from foresail.forecasting.econometric.variance import History, VarianceModel

__all__ = ["walk_variance"]


def walk_variance(
    model: VarianceModel, history: History, *, first: int, every: int, horizons: tuple[int, ...] = (1,)
) -> tuple[FloatArray, tuple[str, ...]]:
    """Return forecasts of the rows from ``first`` on, each made at the row before it.

    Parameters
    ----------
    model : refitted on all rows before each block; a model that can starts from its last parameters
    first : row of the first forecast
    every : rows between two fits

    Returns
    -------
    (N, T, H), at row t the mean variance of rows t ... t + h - 1, known at row t - 1; NaN before ``first``
    notes : of all fits, with the row of each

    Notes
    -----
    Timing: the fit that serves the rows [b, b + every) has seen rows < b only.
    """
    n, t = history.returns.shape
    out = np.full((n, t, len(horizons)), np.nan)
    notes: list[str] = []
    for begin in range(first, t, every):
        end = min(begin + every, t)
        notes += [f"row {begin}: {note}" for note in model.fit(history.until(begin), horizons)]
        out[:, begin:end] = model.forecast(history.until(end - 1))[:, begin - 1 : end - 1]
    return out, tuple(notes)
