"""Errors of point forecasts, each beside the figure of the trivial forecast on the same rows.

MAPE is only given with that of "no change" beside it, MASE is scaled by the naive error of its own horizon, and the
share of right signs comes with the base rate and the Matthews correlation. Rows in which anything is NaN are missing:
they are left out, and counted where a result has a place for it. A figure of no rows is NaN.

References: [Matthews1975], [HyndmanKoehler2006] in docs/REFERENCES.md.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from foresail.core.errors import DataError
from foresail.measures._checks import mean_or_nan, paired_values

__all__ = [
    "DirectionalAccuracy",
    "PriceErrors",
    "directional_accuracy",
    "mean_absolute_error",
    "mean_absolute_scaled_error",
    "naive_absolute_error",
    "price_errors",
    "root_mean_square_error",
]

_NAN = float("nan")


def mean_absolute_error(actual: ArrayLike, forecast: ArrayLike) -> float:
    """Return the mean absolute error, unit of ``actual``."""
    outcome, predicted = paired_values(actual, forecast)
    return mean_or_nan(np.abs(outcome - predicted))


def root_mean_square_error(actual: ArrayLike, forecast: ArrayLike) -> float:
    """Return the root of the mean squared error, unit of ``actual``."""
    outcome, predicted = paired_values(actual, forecast)
    return math.sqrt(mean_or_nan((outcome - predicted) ** 2)) if outcome.size else _NAN


def naive_absolute_error(series: ArrayLike, *, horizon: int) -> float:
    """Return the mean of ``|y[t + h] - y[t]|`` along the last axis: the error of "no change" at that horizon.

    Parameters
    ----------
    series : (..., T), training part only
    horizon : h >= 1, bars

    Raises
    ------
    DataError
        If the horizon does not fit into the series.
    """
    values = np.asarray(series, dtype=np.float64)
    if not 1 <= horizon < values.shape[-1]:
        raise DataError(f"expected a horizon between 1 and {values.shape[-1] - 1} bars, received {horizon}")
    later, earlier = paired_values(values[..., horizon:], values[..., :-horizon])
    return mean_or_nan(np.abs(later - earlier))


def mean_absolute_scaled_error(actual: ArrayLike, forecast: ArrayLike, *, train: ArrayLike, horizon: int) -> float:
    """Return the mean absolute error over the in-sample naive error *of the same horizon* (MASE); below 1 is skill.

    Parameters
    ----------
    actual, forecast : outcomes and forecasts ``horizon`` bars ahead
    train : (..., T), the series on which the naive error is measured
    horizon : bars
    """
    scale = naive_absolute_error(train, horizon=horizon)
    return mean_absolute_error(actual, forecast) / scale if scale > 0.0 else _NAN


@dataclass(frozen=True, slots=True)
class PriceErrors:
    """Point errors of price forecasts, each percentage beside that of "no change"; fractions.

    Attributes
    ----------
    count : forecasts with a known outcome
    naive_mape, naive_mae : of the forecast that repeats the last price
    """

    count: int
    mae: float
    rmse: float
    mape: float
    naive_mae: float
    naive_mape: float


def price_errors(actual: ArrayLike, forecast: ArrayLike, last: ArrayLike) -> PriceErrors:
    """Return MAE, RMSE and MAPE with the no-change figures beside them, on the same rows.

    Parameters
    ----------
    actual, forecast, last : one shape, prices > 0; ``last`` is the price known at the forecast

    Raises
    ------
    DataError
        If the shapes differ or a known price is not above 0.
    """
    a, f, p = (np.asarray(values, dtype=np.float64) for values in (actual, forecast, last))
    if not a.shape == f.shape == p.shape:
        raise DataError(f"expected actual, forecast and last of one shape, received {a.shape}, {f.shape}, {p.shape}")
    known = np.isfinite(a) & np.isfinite(f) & np.isfinite(p)
    a, f, p = a[known], f[known], p[known]
    if a.size and not a.min() > 0.0:
        raise DataError(f"expected prices above 0, received {a.min()}")
    error, naive = np.abs(a - f), np.abs(a - p)
    rmse = math.sqrt(mean_or_nan(error**2)) if a.size else _NAN
    return PriceErrors(
        int(a.size), mean_or_nan(error), rmse, mean_or_nan(error / a), mean_or_nan(naive), mean_or_nan(naive / a)
    )


@dataclass(frozen=True, slots=True)
class DirectionalAccuracy:
    """How often the sign was right, beside what a constant answer would have scored on the same rows.

    Attributes
    ----------
    count : forecasts and outcomes that both have a sign
    unsigned : left out because forecast or outcome was exactly 0
    base_rate : accuracy of the better constant answer
    always_up : accuracy of "up"
    matthews : correlation of the two signs (MCC); 0 where forecast or outcome never changes sign
    """

    count: int
    unsigned: int
    accuracy: float
    base_rate: float
    always_up: float
    matthews: float


def directional_accuracy(actual: ArrayLike, forecast: ArrayLike) -> DirectionalAccuracy:
    """Return the share of right signs with base rate and Matthews correlation.

    Parameters
    ----------
    actual, forecast : one shape, returns; NaN = missing

    Raises
    ------
    DataError
        If the shapes differ.
    """
    outcome, predicted = paired_values(actual, forecast)
    signed = (outcome != 0.0) & (predicted != 0.0)
    up, said_up = outcome[signed] > 0.0, predicted[signed] > 0.0
    count = int(signed.sum())
    if not count:
        return DirectionalAccuracy(0, int(outcome.size), _NAN, _NAN, _NAN, _NAN)
    rate, said = float(up.mean()), float(said_up.mean())
    joint = float(np.mean(up & said_up))
    spread = math.sqrt(rate * (1.0 - rate) * said * (1.0 - said))
    matthews = (joint - rate * said) / spread if spread > 0.0 else 0.0
    accuracy = float(np.mean(up == said_up))
    return DirectionalAccuracy(count, int(outcome.size) - count, accuracy, max(rate, 1.0 - rate), rate, matthews)
