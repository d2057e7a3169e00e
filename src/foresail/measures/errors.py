"""Forecast errors, each defined once: quantile scores, coverage, point errors beside no-change, direction, ranks.

A point error alone says little of a price: every function that could flatter carries the figure of the trivial
forecast with it (no change for MAPE and MASE, the best constant for accuracy). Rows in which anything is NaN are
missing; they are left out and counted where a result has a place for it.

References: [Matthews1975], [HyndmanKoehler2006], [GneitingRaftery2007] in docs/REFERENCES.md.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from foresail.core.arrays import FloatArray
from foresail.core.errors import DataError

__all__ = [
    "MINIMUM_LEVELS",
    "MINIMUM_NAMES",
    "DirectionalAccuracy",
    "PriceErrors",
    "RankCorrelation",
    "coverage",
    "crps_from_quantiles",
    "directional_accuracy",
    "interval_width",
    "mean_absolute_error",
    "mean_absolute_scaled_error",
    "mean_quantile_loss",
    "naive_absolute_error",
    "pinball_loss",
    "price_errors",
    "q_risk",
    "qlike",
    "rank_correlation",
    "root_mean_square_error",
]

MINIMUM_NAMES = 10  # a day with fewer names has no rank correlation worth averaging
MINIMUM_LEVELS = 9  # fewer quantiles leave too much of the distribution unseen to call the score CRPS
_NAN = float("nan")


def _paired(first: ArrayLike, second: ArrayLike) -> tuple[FloatArray, FloatArray]:
    """Return the values of both at the places where both are finite, flat."""
    a, b = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    if a.shape != b.shape:
        raise DataError(f"expected actual and forecast of one shape, received {a.shape} and {b.shape}")
    known = np.isfinite(a) & np.isfinite(b)
    return a[known], b[known]


def _mean(values: FloatArray) -> float:
    return float(values.mean()) if values.size else _NAN


def _check_level(level: float) -> None:
    if not 0.0 < level < 1.0:
        raise DataError(f"expected a quantile level between 0 and 1, received {level}")


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
    _check_level(level)
    outcome, predicted = _paired(actual, forecast)
    error = outcome - predicted
    return _mean(np.maximum(level * error, (level - 1.0) * error))


def q_risk(actual: ArrayLike, forecast: ArrayLike, *, level: float) -> float:
    """Return ``2 * sum(pinball) / sum(|actual|)`` over all windows and horizons, the normalised quantile loss."""
    _check_level(level)
    outcome, predicted = _paired(actual, forecast)
    error = outcome - predicted
    scale = float(np.abs(outcome).sum())
    loss = float(np.maximum(level * error, (level - 1.0) * error).sum())
    return 2.0 * loss / scale if scale > 0.0 else _NAN


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
    lower, upper = _paired(low, high)
    return _mean(upper - lower)


def mean_absolute_error(actual: ArrayLike, forecast: ArrayLike) -> float:
    """Return the mean absolute error, unit of ``actual``."""
    outcome, predicted = _paired(actual, forecast)
    return _mean(np.abs(outcome - predicted))


def root_mean_square_error(actual: ArrayLike, forecast: ArrayLike) -> float:
    """Return the root of the mean squared error, unit of ``actual``."""
    outcome, predicted = _paired(actual, forecast)
    return math.sqrt(_mean((outcome - predicted) ** 2)) if outcome.size else _NAN


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
    later, earlier = _paired(values[..., horizon:], values[..., :-horizon])
    return _mean(np.abs(later - earlier))


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


def qlike(variance: ArrayLike, forecast: ArrayLike) -> float:
    """Return the mean of ``v / f - ln(v / f) - 1``, which ranks variance forecasts right even on a noisy proxy.

    Parameters
    ----------
    variance : realised, > 0
    forecast : > 0, same shape and unit

    Raises
    ------
    DataError
        If a value is not above 0.
    """
    outcome, predicted = _paired(variance, forecast)
    if outcome.size and not (outcome.min() > 0.0 and predicted.min() > 0.0):
        raise DataError("QLIKE needs variances above 0", hint="leave out bars on which nothing traded")
    ratio = outcome / predicted
    return _mean(ratio - np.log(ratio) - 1.0)


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
    rmse = math.sqrt(_mean(error**2)) if a.size else _NAN
    return PriceErrors(int(a.size), _mean(error), rmse, _mean(error / a), _mean(naive), _mean(naive / a))


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
    outcome, predicted = _paired(actual, forecast)
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


@dataclass(frozen=True, slots=True, eq=False)
class RankCorrelation:
    """RankIC over days.

    Attributes
    ----------
    mean : of the daily Spearman correlations across names
    icir : mean over standard deviation of the daily values, not annualised
    days, skipped : days that entered, and days left out for fewer than ten names or a constant side
    daily : (T,), NaN on skipped days
    """

    mean: float
    standard_deviation: float
    icir: float
    days: int
    skipped: int
    daily: FloatArray


def rank_correlation(forecast: ArrayLike, outcome: ArrayLike, *, minimum_names: int = MINIMUM_NAMES) -> RankCorrelation:
    """Return the mean over days of the Spearman correlation between forecast and outcome across names.

    Parameters
    ----------
    forecast, outcome : (N, T), NaN = missing
    minimum_names : days with fewer are skipped and counted

    Raises
    ------
    DataError
        If the shapes differ or are not (N, T).

    Notes
    -----
    Ties share their average rank. A day on which no name has both values is no day: it is neither in ``days`` nor in
    ``skipped``.
    """
    first, second = np.asarray(forecast, dtype=np.float64), np.asarray(outcome, dtype=np.float64)
    if first.shape != second.shape or first.ndim != 2:
        raise DataError(f"expected two (names, days) arrays of one shape, received {first.shape} and {second.shape}")
    known = np.isfinite(first) & np.isfinite(second)
    names = known.sum(axis=0)
    daily = np.full(first.shape[1], np.nan)
    for day in np.flatnonzero(names >= max(2, minimum_names)):
        rows = known[:, day]
        daily[day] = _correlation(_average_ranks(first[rows, day]), _average_ranks(second[rows, day]))
    used = daily[np.isfinite(daily)]
    spread = float(used.std(ddof=1)) if len(used) > 1 else _NAN
    icir = float(used.mean()) / spread if spread > 0.0 else _NAN
    return RankCorrelation(_mean(used), spread, icir, len(used), int((names > 0).sum()) - len(used), daily)


def _average_ranks(values: FloatArray) -> FloatArray:
    """Return ranks from 1, equal values sharing their mean rank."""
    _, group, count = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(count)
    ranks: FloatArray = (last - (count - 1) / 2.0)[group]
    return ranks


def _correlation(first: FloatArray, second: FloatArray) -> float:
    a, b = first - first.mean(), second - second.mean()
    norm = math.sqrt(float(a @ a) * float(b @ b))
    return float(a @ b) / norm if norm > 0.0 else _NAN
