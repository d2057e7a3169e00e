"""Scores of quantile forecasts: pinball loss, q-risk, CRPS, and what ranges between quantiles hold.

Rows in which anything is NaN are missing and left out. A figure of no rows is NaN.

References: [GneitingRaftery2007] (CRPS), [Lim2021] (q-risk) in docs/REFERENCES.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from foresail.core.arrays import FloatArray, IntArray
from foresail.core.errors import DataError
from foresail.measures._checks import check_level, mean_or_nan, paired_values

__all__ = [
    "MINIMUM_LEVELS",
    "BandFigures",
    "band_by_horizon",
    "coverage",
    "crps_from_quantiles",
    "interval_width",
    "mean_quantile_loss",
    "pinball_loss",
    "q_risk",
    "q_risk_by_horizon",
]

MINIMUM_LEVELS = 9  # fewer quantiles leave too much of the distribution unseen to call the score CRPS
_NAN = float("nan")


def pinball_loss(actual: ArrayLike, forecast: ArrayLike, *, level: float) -> float:
    """Return the mean of ``max(level * e, (level - 1) * e)`` with ``e = actual - forecast``.

    Parameters
    ----------
    actual, forecast : any one shape, same unit; NaN = missing
    level : in (0, 1)

    Returns
    -------
    unit of ``actual``; NaN where nothing is known

    Raises
    ------
    DataError
        If the shapes differ or the level is not inside (0, 1).
    """
    check_level(level)
    outcome, predicted = paired_values(actual, forecast)
    error = outcome - predicted
    return mean_or_nan(np.maximum(level * error, (level - 1.0) * error))


def q_risk(actual: ArrayLike, forecast: ArrayLike, *, level: float) -> float:
    """Return ``2 * sum(pinball) / sum(|actual|)``, the normalised quantile loss pooled over windows and horizons.

    Parameters
    ----------
    actual, forecast : any one shape, same unit; NaN = missing
    level : in (0, 1)

    Returns
    -------
    a pure number; NaN where nothing is known or every outcome is 0

    Raises
    ------
    DataError
        If the shapes differ or the level is not inside (0, 1).

    Notes
    -----
    The pooled form is the one printed in [Lim2021]; their code averages ``q_risk_by_horizon`` instead.
    """
    check_level(level)
    outcome, predicted = paired_values(actual, forecast)
    error = outcome - predicted
    scale = float(np.abs(outcome).sum())
    loss = float(np.maximum(level * error, (level - 1.0) * error).sum())
    return 2.0 * loss / scale if scale > 0.0 else _NAN


def q_risk_by_horizon(actual: ArrayLike, forecast: ArrayLike, *, level: float) -> FloatArray:
    """Return the normalised quantile loss of each horizon by itself; its mean is what reference code reports.

    Parameters
    ----------
    actual, forecast : (..., H), same unit; NaN = missing
    level : in (0, 1)

    Returns
    -------
    (H,); NaN for a horizon of which nothing is known or every outcome is 0

    Raises
    ------
    DataError
        If the shapes differ, there is no horizon, or the level is not inside (0, 1).
    """
    outcome, predicted = np.asarray(actual, dtype=np.float64), np.asarray(forecast, dtype=np.float64)
    if outcome.shape != predicted.shape or not outcome.ndim or not outcome.shape[-1]:
        raise DataError(f"expected two (windows, horizons) arrays, received {outcome.shape} and {predicted.shape}")
    return np.array([q_risk(outcome[..., h], predicted[..., h], level=level) for h in range(outcome.shape[-1])])


def mean_quantile_loss(actual: ArrayLike, quantiles: ArrayLike, levels: Sequence[float]) -> FloatArray:
    """Return the pinball loss of each level.

    Parameters
    ----------
    actual : (...,)
    quantiles : (..., Q)
    levels : Q, in (0, 1)

    Returns
    -------
    (Q,)

    Raises
    ------
    DataError
        If the shapes or the levels do not fit.
    """
    table = np.asarray(quantiles, dtype=np.float64)
    if table.shape[-1] != len(levels):
        raise DataError(f"expected {len(levels)} quantiles in the last axis, received {table.shape[-1]}")
    return np.array([pinball_loss(actual, table[..., i], level=level) for i, level in enumerate(levels)])


def crps_from_quantiles(actual: ArrayLike, quantiles: ArrayLike, levels: Sequence[float]) -> float:
    """Return the continuous ranked probability score, integrated from quantile losses.

    Parameters
    ----------
    actual : (...,)
    quantiles : (..., Q)
    levels : Q >= 9, ascending, in (0, 1)

    Returns
    -------
    unit of ``actual``

    Raises
    ------
    DataError
        If there are fewer than nine levels, or they do not ascend.

    Notes
    -----
    ``2 * integral of pinball over the level``. Each level stands for the cell up to the midpoints to its neighbours,
    the outer two up to 0 and 1, so that the weights sum to 1.
    """
    tau = np.asarray(levels, dtype=np.float64)
    if len(tau) < MINIMUM_LEVELS:
        raise DataError(
            f"CRPS needs at least {MINIMUM_LEVELS} quantile levels, received {len(tau)}",
            hint="report the mean quantile loss instead, under its own name",
        )
    if not np.all(np.diff(tau) > 0):
        raise DataError(f"expected ascending quantile levels, received {list(levels)}")
    edges = np.concatenate([[0.0], (tau[1:] + tau[:-1]) / 2.0, [1.0]])
    return float(2.0 * np.sum(np.diff(edges) * mean_quantile_loss(actual, quantiles, levels)))


def coverage(actual: ArrayLike, low: ArrayLike, high: ArrayLike) -> float:
    """Return the share of outcomes with ``low <= actual <= high`` among those where all three are known."""
    a, b, c = (np.asarray(values, dtype=np.float64) for values in (actual, low, high))
    if not a.shape == b.shape == c.shape:
        raise DataError(f"expected actual, low and high of one shape, received {a.shape}, {b.shape}, {c.shape}")
    known = np.isfinite(a) & np.isfinite(b) & np.isfinite(c)
    inside = (a[known] >= b[known]) & (a[known] <= c[known])
    return float(inside.mean()) if inside.size else _NAN


def interval_width(low: ArrayLike, high: ArrayLike) -> float:
    """Return the mean of ``high - low``, unit of the forecast."""
    lower, upper = paired_values(low, high)
    return mean_or_nan(upper - lower)


@dataclass(frozen=True, slots=True, eq=False)
class BandFigures:
    """What a range between two quantiles held (EVAL-03), by horizon.

    Attributes
    ----------
    count : (H,), rows on which outcome and both ends are known
    coverage : (H,), share of outcomes inside, ends included; NaN without rows
    width : (H,), mean distance of the ends, unit of the forecast; NaN without rows
    """

    count: IntArray
    coverage: FloatArray
    width: FloatArray


def band_by_horizon(actual: ArrayLike, low: ArrayLike, high: ArrayLike) -> BandFigures:
    """Return coverage and width of a range at each horizon, on the same rows.

    Parameters
    ----------
    actual, low, high : (..., H), same unit; NaN = missing

    Raises
    ------
    DataError
        If the shapes differ, or a known lower end lies above the upper one.
    """
    a, b, c = (np.asarray(values, dtype=np.float64) for values in (actual, low, high))
    if not a.shape == b.shape == c.shape or not a.ndim:
        raise DataError(f"expected three (windows, horizons) arrays, received {a.shape}, {b.shape} and {c.shape}")
    known = np.isfinite(a) & np.isfinite(b) & np.isfinite(c)
    if bool(np.any(known & (b > c))):
        raise DataError("expected low <= high, received a range whose ends are crossed", hint="sort the quantiles")
    rows, inside = known.reshape(-1, a.shape[-1]), ((a >= b) & (a <= c) & known).reshape(-1, a.shape[-1])
    width = np.where(known, c - b, 0.0).reshape(rows.shape)
    count = rows.sum(axis=0)
    held, wide = inside.sum(axis=0).astype(np.float64), width.sum(axis=0)
    empty = np.full(len(count), np.nan)
    return BandFigures(
        count.astype(np.int64),
        np.divide(held, count, out=empty.copy(), where=count > 0),
        np.divide(wide, count, out=empty, where=count > 0),
    )
