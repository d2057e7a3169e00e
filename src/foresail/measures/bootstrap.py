"""Resampling of dependent series: how far a mean or a Sharpe ratio could lie from what was measured.

1. Means and Sharpe ratios are resampled by circular blocks, any other statistic by stationary ones.
2. A small-sample factor widens intervals where the record holds only few blocks.
3. Tests on the largest of many means take longer blocks than intervals do.

Every draw comes from a seed and a name, so the same input gives the same interval on every machine.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtri, stdtrit

from foresail.core.arrays import FloatArray
from foresail.core.errors import DataError
from foresail.core.seeds import generator
from foresail.domain.runs import Interval
from foresail.measures._checks import finite_series
from foresail.measures.resampling import (
    circular_block_sums,
    optimal_block_length,
    stationary_indices,
    stationary_means,
)

__all__ = [
    "BootstrapSettings",
    "day_clustered_standard_error",
    "mean_interval",
    "mean_intervals",
    "resampled_means",
    "sharpe_interval",
    "statistic_interval",
]

_CHUNK = 500  # draws whose rows are held at once
_TESTING = 2.0  # block of a test over the block that estimates a variance best


@dataclass(frozen=True, slots=True)
class BootstrapSettings:
    """How to resample.

    Attributes
    ----------
    level : share of draws inside the interval
    block_length : bars; None = from the series (Politis-White)
    minimum_block : bars; the shortest block that is used, for example the holding period
    """

    draws: int = 2000
    level: float = 0.95
    block_length: float | None = None
    minimum_block: int = 1
    seed: int = 0


def resampled_means(values: FloatArray, settings: BootstrapSettings, *, name: str) -> FloatArray:
    """Return means over resampled dates for tests on the largest of many columns.

    Parameters
    ----------
    values : (T, M), finite
    settings : ``level`` plays no part
    name : of the test; it decides the draws together with the seed

    Returns
    -------
    (draws, M), around the means of the sample

    Notes
    -----
    1. Blocks are twice the median of what the columns ask for: the length that estimates a variance best is too short
       to test with, since a test suffers from bias more than from noise [SunPhillipsJin2008].
    2. Draws are widened by what the sample mean takes out of the variance, ``1 - (2 block - 1) / T`` on average, and
       as a t quantile is wider than a normal one, at the tail of the largest of M columns.
    Without all this, tests at 5 % reject in 11 % of 250-day nulls with autocorrelation .4.
    """
    length, columns = values.shape
    block = _long_block(values, settings)
    drawn = stationary_means(values, block=block, draws=settings.draws, random=generator(settings.seed, name))
    centre = values.mean(axis=0)
    width = _lost(length, block) * _small_sample_factor(length, block, 0.05 / columns)
    widened: FloatArray = centre + (drawn - centre) * width
    return widened


def mean_interval(values: ArrayLike, settings: BootstrapSettings | None = None) -> Interval:
    """Return the mean with its block-bootstrap interval.

    Parameters
    ----------
    values : (T,), finite, in time order

    Raises
    ------
    DataError
        If a value is not finite or there are fewer than two.
    """
    series = finite_series(values, name="values", minimum=2)
    return mean_intervals(series[:, None], settings)[0]


def mean_intervals(values: FloatArray, settings: BootstrapSettings | None = None) -> tuple[Interval, ...]:
    """Return the mean of each column with its interval; all columns share the same resampled rows.

    Parameters
    ----------
    values : (T, M), finite, in time order; the block length is the longest that a column asks for

    Raises
    ------
    DataError
        If a value is not finite or there are fewer than two rows.
    """
    settings = settings or BootstrapSettings()
    columns = [finite_series(column, name="values", minimum=2) for column in np.asarray(values, dtype=np.float64).T]
    block = _block(columns, settings)
    table = np.stack(columns, axis=1)
    centre = table.mean(axis=0)
    random = generator(settings.seed, "mean-interval")
    drawn = circular_block_sums(table - centre, block=block, draws=settings.draws, random=random) / len(table)
    tail = (1.0 - settings.level) / 2.0
    low, high = np.quantile(drawn, [tail, 1.0 - tail], axis=0) * _small_sample_factor(len(table), block, tail)
    return tuple(Interval(float(c), float(c + a), float(c + b)) for c, a, b in zip(centre, low, high, strict=True))


def sharpe_interval(
    excess_returns: ArrayLike, *, bars_per_year: float, settings: BootstrapSettings | None = None
) -> Interval:
    """Return the annualised Sharpe ratio with its block-bootstrap interval.

    Parameters
    ----------
    excess_returns : (T,), simple excess return per bar, fraction
    bars_per_year : annualisation factor, 252 for daily stocks

    Returns
    -------
    NaN in all three places when the series does not vary.

    Raises
    ------
    DataError
        If a value is not finite or there are fewer than three.
    """
    settings = settings or BootstrapSettings()
    series = finite_series(excess_returns, name="excess returns", minimum=3)
    spread = float(series.std(ddof=1))
    if spread <= 1e-14 * max(1.0, float(np.abs(series).max())):
        return Interval(float("nan"), float("nan"), float("nan"))
    scaled = series / spread
    block = _block([scaled, scaled * scaled], settings)
    random = generator(settings.seed, "sharpe-interval")
    table = np.stack([scaled, scaled * scaled], axis=1)
    n = len(series)
    mean, square = (circular_block_sums(table, block=block, draws=settings.draws, random=random) / n).T
    variance = (square - mean * mean) * n / (n - 1)
    drawn = np.divide(mean, np.sqrt(np.maximum(variance, 0.0)), out=np.full(len(mean), np.nan), where=variance > 1e-12)
    drawn = drawn[np.isfinite(drawn)]
    if not len(drawn):
        return Interval(float("nan"), float("nan"), float("nan"))
    annual = np.sqrt(bars_per_year)
    centre = float(scaled.mean())
    tail = (1.0 - settings.level) / 2.0
    low, high = (np.quantile(drawn, [tail, 1.0 - tail]) - centre) * _small_sample_factor(n, block, tail)
    return Interval(float(centre * annual), float((centre + low) * annual), float((centre + high) * annual))


def statistic_interval(
    values: ArrayLike, statistic: Callable[[FloatArray], FloatArray], settings: BootstrapSettings | None = None
) -> Interval:
    """Return any statistic of a series with its interval by the stationary bootstrap.

    Parameters
    ----------
    values : (T,), finite, in time order
    statistic : takes (draws, T), gives (draws,): one number for each resampled series, for example
        ``lambda s: np.median(s, axis=1)``

    Raises
    ------
    DataError
        If a value is not finite, there are fewer than two, or the statistic is not finite or of another shape.

    Notes
    -----
    Blocks and widening are those of ``resampled_means``: a short block makes an interval too narrow.
    """
    settings = settings or BootstrapSettings()
    series = finite_series(values, name="values", minimum=2)
    block = _long_block(series[:, None], settings)
    random = generator(settings.seed, "statistic-interval")
    drawn = []
    for first in range(0, settings.draws, _CHUNK):
        size = min(_CHUNK, settings.draws - first)
        drawn.append(statistic(series[stationary_indices(len(series), block=block, draws=size, random=random)]))
    centre, spread = np.asarray(statistic(series[None, :])), np.concatenate(drawn)
    if spread.shape != (settings.draws,) or not (np.isfinite(spread).all() and np.isfinite(centre).all()):
        raise DataError(
            f"expected one finite number for each of {settings.draws} resampled series, received {spread.shape}",
            hint="a statistic takes (draws, T) and gives (draws,)",
        )
    tail = (1.0 - settings.level) / 2.0
    width = _lost(len(series), block) * _small_sample_factor(len(series), block, tail)
    low, high = (np.quantile(spread, [tail, 1.0 - tail]) - centre[0]) * width
    return Interval(float(centre[0]), float(centre[0] + low), float(centre[0] + high))


def _block(columns: list[FloatArray], settings: BootstrapSettings) -> int:
    wanted = settings.block_length
    if wanted is None:
        wanted = max(optimal_block_length(column)[1] for column in columns)
    # At least two blocks must fit, or every draw would be the sample itself, turned around.
    longest = max(1, len(columns[0]) // 2)
    return int(min(max(np.ceil(wanted), settings.minimum_block, 1), longest))


def _long_block(values: FloatArray, settings: BootstrapSettings) -> float:
    """Return the mean block of the stationary bootstrap, long enough to test with; at least four fit."""
    block = settings.block_length
    if block is None:
        block = _TESTING * float(np.median([optimal_block_length(column)[0] for column in values.T]))
    return min(max(block, float(settings.minimum_block), 1.0), max(1.0, len(values) / 4.0))


def _lost(length: int, block: float) -> float:
    """Return by how much stationary draws are too narrow, since the sample mean took its part of the variance."""
    return float(1.0 / np.sqrt(1.0 - (2.0 * block - 1.0) / length))


def _small_sample_factor(length: int, block: float, tail: float) -> float:
    """Widen percentiles as a t interval is wider than a normal one: ``length / block`` blocks are that many values."""
    blocks = max(2.0, length / block)
    return float(np.sqrt(blocks / (blocks - 1.0)) * stdtrit(blocks - 1.0, 1.0 - tail) / ndtri(1.0 - tail))


def day_clustered_standard_error(values: ArrayLike, days: ArrayLike) -> float:
    """Return the standard error of a mean whose values are dependent within a day and independent between days.

    Parameters
    ----------
    values : (M,), finite
    days : (M,), day of each value, any integers

    Returns
    -------
    unit of ``values``

    Raises
    ------
    DataError
        If the lengths differ, a value is not finite or all values fall on one day.
    """
    series = finite_series(values, name="values", minimum=2)
    names, day = np.unique(np.asarray(days), return_inverse=True)
    if len(day) != len(series):
        raise DataError(f"expected a day for each of {len(series)} values, received {len(day)}")
    clusters = len(names)
    if clusters < 2:
        raise DataError("expected values of at least two days, received one day", hint="give more days")
    sums = np.bincount(day, weights=series - series.mean(), minlength=clusters)
    return float(np.sqrt(clusters / (clusters - 1.0) * np.sum(sums * sums)) / len(series))
