"""Heterogeneous autoregressions as pure functions: trailing means of several spans, least squares, nothing else.

The same functions serve log variances (log-HAR), variances (HAR) and panels of instruments that share coefficients
(pooled HAR). A design row ``t`` is made of rows ``<= t`` only; what it shall forecast is named separately, by
``ahead`` or ``mean_ahead``, so that no lead can hide in a design.

References
----------
[Corsi2009] in docs/REFERENCES.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from foresail.core.arrays import FloatArray
from foresail.core.errors import DataError

__all__ = [
    "HAR_LAGS",
    "HarFit",
    "ahead",
    "cross_terms",
    "fit_ols",
    "har_design",
    "leverage_terms",
    "mean_ahead",
    "trailing_mean",
]

HAR_LAGS = (1, 5, 22)  # rows: a day, a week, a month


def trailing_mean(values: FloatArray, span: int, *, least: int | None = None) -> FloatArray:
    """Return the mean of the last ``span`` rows, the row itself included.

    Parameters
    ----------
    values : (N, T), any unit
        NaN is missing and never counted.
    span : rows
    least : known values a window needs, ``span`` if None

    Returns
    -------
    (N, T), NaN where fewer than ``least`` values are known

    Notes
    -----
    Timing: row t uses rows <= t only, summed afresh for each row, so that a row does not depend on where the
    array begins.
    """
    need = span if least is None else least
    total, count = np.zeros_like(values), np.zeros(values.shape, dtype=np.int64)
    for back in range(min(span, values.shape[1])):
        shifted = values[:, : values.shape[1] - back]
        known = np.isfinite(shifted)
        total[:, back:] += np.where(known, shifted, 0.0)
        count[:, back:] += known
    return np.where(count >= max(need, 1), total / np.maximum(count, 1), np.nan)


def har_design(
    log_variance: FloatArray,
    lags: Sequence[int] = HAR_LAGS,
    extras: Sequence[FloatArray] = (),
    *,
    least: int | None = None,
) -> FloatArray:
    """Return the inputs of a heterogeneous autoregression; no constant, ``fit_ols`` adds it.

    Parameters
    ----------
    log_variance : (N, T), log of the variance of each row (or the variance itself, for the plain HAR)
    lags : spans of the trailing means, rows
    extras : (N, T) each, further inputs known at their row, as ``leverage_terms`` and ``cross_terms`` give them
    least : known values each trailing mean needs; the whole span if None

    Returns
    -------
    (N, T, F), F = len(lags) + len(extras); NaN where a window is incomplete

    Notes
    -----
    Timing: row t uses rows <= t only.
    """
    means = [trailing_mean(log_variance, span, least=None if least is None else min(least, span)) for span in lags]
    return np.stack([*means, *extras], axis=-1)


def leverage_terms(returns: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return ``min(r, 0)`` and ``|r|`` of log returns (N, T); a missing return stays missing."""
    return np.minimum(returns, 0.0), np.abs(returns)


def cross_terms(log_variance: FloatArray, *, span: int = 5, delay: int = 1) -> tuple[FloatArray, FloatArray]:
    """Return the mean over instruments of an earlier row, and its trailing mean, each repeated for every instrument.

    Parameters
    ----------
    log_variance : (N, T)
    span : rows of the trailing mean
    delay : rows; 1 because markets that close later on the same date are not known yet at a row's decision

    Returns
    -------
    two (N, T); NaN before the first known value
    """
    known = np.isfinite(log_variance)
    count = known.sum(axis=0)
    mean = np.where(count > 0, np.where(known, log_variance, 0.0).sum(axis=0) / np.maximum(count, 1), np.nan)
    late = np.full(mean.shape, np.nan)
    late[delay:] = mean[: len(mean) - delay]
    smooth = trailing_mean(late[None], span)[0]
    shape = log_variance.shape
    return np.broadcast_to(late, shape).copy(), np.broadcast_to(smooth, shape).copy()


def ahead(values: FloatArray, horizon: int) -> FloatArray:
    """Return (N, T) of the value ``horizon`` rows later, NaN where there is no such row: a target, never an input."""
    out = np.full(values.shape, np.nan)
    out[:, : max(values.shape[1] - horizon, 0)] = values[:, horizon:]
    return out


def mean_ahead(values: FloatArray, horizon: int) -> FloatArray:
    """Return (N, T) of the mean of the next ``horizon`` rows, NaN where one is missing: a target, never an input."""
    total = np.zeros(values.shape)
    for step in range(1, horizon + 1):
        total += ahead(values, step)
    return total / horizon


@dataclass(frozen=True, slots=True, eq=False)
class HarFit:
    """A fitted linear equation.

    Attributes
    ----------
    intercept : in units of the target
    beta : (F,)
    residual_variance : of the training rows, divided by rows - coefficients
    residuals : (R,) of the training rows, instrument by instrument, for quantiles
    """

    intercept: float
    beta: FloatArray
    residual_variance: float
    residuals: FloatArray

    def predict(self, design: FloatArray) -> FloatArray:
        """Return (...) fitted values of a design (..., F); NaN where an input is missing."""
        out = np.full(design.shape[:-1], self.intercept)
        for p, b in enumerate(self.beta):  # in fixed order, so that a row does not depend on the others
            out += design[..., p] * b
        return out


def fit_ols(
    design: FloatArray,
    target_h: FloatArray,
    *,
    rows: NDArray[np.bool_] | None = None,
    ridge: float = 0.0,
) -> HarFit:
    """Return the least-squares equation with a constant, pooled over instruments.

    Parameters
    ----------
    design : (N, T, F)
    target_h : (N, T), what row t shall forecast, from ``ahead`` or ``mean_ahead``
    rows : (N, T) that may be used; all with known inputs and target if None
        Give the rows whose target lies inside the training window: a row's target is ``horizon`` rows later.
    ridge : strength on standardised inputs, per row; 0 is plain least squares

    Raises
    ------
    DataError
        If fewer complete rows than twice the coefficients are left.
    """
    use = np.isfinite(design).all(axis=-1) & np.isfinite(target_h)
    if rows is not None:
        use &= rows
    x, y = design[use], target_h[use]
    n, f = x.shape
    if n < 2 * (f + 1):
        raise DataError(
            f"expected at least {2 * (f + 1)} complete rows for {f} inputs and a constant, received {n}",
            hint="give a longer history or fewer lags",
        )
    centre, width = x.mean(axis=0), x.std(axis=0)
    width = np.where(width > 0, width, 1.0)
    z, level = (x - centre) / width, float(y.mean())
    if ridge > 0:
        found = np.linalg.solve(z.T @ z + ridge * n * np.eye(f), z.T @ (y - level))
    else:
        found = np.linalg.lstsq(z, y - level, rcond=None)[0]
    beta = found / width
    intercept = level - float(centre @ beta)
    residuals = y - (x @ beta + intercept)
    return HarFit(intercept, beta, float(residuals @ residuals) / (n - f - 1), residuals)
