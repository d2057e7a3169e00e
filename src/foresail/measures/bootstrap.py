"""Resampling of dependent series: how far a mean or a Sharpe ratio could lie from what was measured.

1. The block length comes from the series itself (Politis and White 2004, corrected by Patton, Politis and White
   2009): long memory asks for long blocks.
2. Means are resampled by circular blocks through running sums, so that a draw costs one subtraction a block.
3. Stationary (geometric) blocks are offered as indices for any other statistic.
4. A small-sample factor widens intervals where the record holds only few blocks.

Every draw comes from a seed and a name, so the same input gives the same interval on every machine.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtri, stdtrit

from foresail.core.arrays import FloatArray, IntArray
from foresail.core.errors import DataError
from foresail.core.seeds import generator
from foresail.domain.runs import Interval
from foresail.measures._checks import finite_series

__all__ = [
    "BootstrapSettings",
    "circular_block_sums",
    "day_clustered_standard_error",
    "mean_interval",
    "mean_intervals",
    "optimal_block_length",
    "sharpe_interval",
    "stationary_indices",
    "stationary_means",
    "statistic_interval",
]

_MOST_STARTS = 2_000_000  # block starts held at once: bounds memory on long series
_CHUNK = 500  # draws whose rows are held at once
_SHORTEST = 12  # below this many values there is nothing to estimate a block length from


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


def optimal_block_length(values: ArrayLike) -> tuple[float, float]:
    """Return the block lengths that suit the series' memory: for the stationary and for the circular bootstrap.

    Parameters
    ----------
    values : (T,), finite

    Returns
    -------
    stationary, circular : bars, not rounded; 1 where the series is constant or shorter than 12

    Notes
    -----
    The bandwidth is twice the first lag after which five autocorrelations in a row are insignificant.

    References
    ----------
    [PolitisWhite2004], [PattonPolitisWhite2009] in docs/REFERENCES.md.
    """
    series = finite_series(values, name="values")
    n = len(series)
    deviation = series - series.mean()
    if n < _SHORTEST or not np.any(np.abs(deviation) > 1e-14 * max(1.0, float(np.abs(series).max()))):
        return 1.0, 1.0
    run = max(5, int(np.log10(n)))
    last = min(int(np.ceil(np.sqrt(n))) + run, n - 2)
    threshold = 2.0 * np.sqrt(np.log10(n) / n)
    covariance, correlation = _autocovariances(deviation, last)
    insignificant = correlation < threshold
    first = next((i - run for i in range(run, last + 1) if insignificant[i - run : i].all()), None)
    bandwidth = min(2 * max(first, 1) if first is not None else last, last)
    lags = np.arange(1, bandwidth + 1)
    taper = np.where(lags / bandwidth <= 0.5, 1.0, 2.0 * (1.0 - lags / bandwidth))
    slope = 2.0 * float(np.sum(taper * lags * covariance[1 : bandwidth + 1]))
    long_run = float(covariance[0] + 2.0 * np.sum(taper * covariance[1 : bandwidth + 1]))
    longest = float(np.ceil(min(3.0 * np.sqrt(n), n / 3.0)))
    if long_run == 0.0:
        return longest, longest
    base = (slope * slope / (long_run * long_run) * n) ** (1.0 / 3.0)
    return min(base, longest), min(base * 1.5 ** (1.0 / 3.0), longest)


def _autocovariances(deviation: FloatArray, last: int) -> tuple[FloatArray, FloatArray]:
    """Return autocovariances 0..last and absolute autocorrelations, each normed by the two stretches it compares."""
    n = len(deviation)
    products = np.array([deviation[lag:] @ deviation[: n - lag] for lag in range(last + 1)])
    squares = np.concatenate([[0.0], np.cumsum(deviation * deviation)])
    lags = np.arange(last + 1)
    front, back = squares[n] - squares[lags + 1], squares[n - lags - 1]
    norm = np.sqrt(np.maximum(front * back, 0.0))
    correlation = np.divide(np.abs(products), norm, out=np.full(last + 1, np.inf), where=norm > 0)
    return products / n, correlation


def circular_block_sums(values: FloatArray, *, block: int, draws: int, random: np.random.Generator) -> FloatArray:
    """Return sums over resampled series made of circular blocks, the same blocks for every column.

    Parameters
    ----------
    values : (T, M), finite
    block : bars in a block; the last block is cut so that each draw has T rows

    Returns
    -------
    (draws, M)
    """
    length = len(values)
    block = max(1, min(block, length))
    count = -(-length // block)
    rest = length - (count - 1) * block
    wrapped = np.concatenate([values, values[:block]])
    running = np.concatenate([np.zeros((1, values.shape[1])), np.cumsum(wrapped, axis=0)])
    whole = running[block : block + length] - running[:length]
    part = running[rest : rest + length] - running[:length]
    result = np.empty((draws, values.shape[1]))
    step = max(1, _MOST_STARTS // count)
    for first in range(0, draws, step):
        rows = slice(first, min(first + step, draws))
        starts = random.integers(0, length, size=(rows.stop - rows.start, count))
        for column in range(values.shape[1]):
            result[rows, column] = whole[:, column][starts[:, :-1]].sum(axis=1) + part[:, column][starts[:, -1]]
    return result


def stationary_indices(length: int, *, block: float, draws: int, random: np.random.Generator) -> IntArray:
    """Return row numbers of the stationary bootstrap: blocks of geometric length with mean ``block``, wrapped around.

    Returns
    -------
    (draws, length) int64
    """
    fresh = random.random((draws, length)) < 1.0 / max(1.0, block)
    fresh[:, 0] = True
    position = np.arange(length)
    begun = np.maximum.accumulate(np.where(fresh, position, 0), axis=1)
    starts = random.integers(0, length, size=(draws, length))
    rows: IntArray = (np.take_along_axis(starts, begun, axis=1) + position - begun) % length
    return rows


def stationary_means(values: FloatArray, *, block: float, draws: int, random: np.random.Generator) -> FloatArray:
    """Return means over resampled dates, the same dates for every column.

    Parameters
    ----------
    values : (T, M), finite
    block : mean length of the geometric blocks, bars

    Returns
    -------
    (draws, M)

    Notes
    -----
    A draw is a vector of row counts, so that the means of all columns come from one matrix product.
    """
    length = len(values)
    result = np.empty((draws, values.shape[1]))
    for first in range(0, draws, _CHUNK):
        size = min(_CHUNK, draws - first)
        rows = stationary_indices(length, block=block, draws=size, random=random)
        flat = (rows + np.arange(size)[:, None] * length).ravel()
        counts = np.bincount(flat, minlength=size * length).reshape(size, length).astype(np.float64)
        result[first : first + size] = counts @ values / length
    return result


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
    The percentiles are those of the draws around the statistic of the sample, widened for short records.
    """
    settings = settings or BootstrapSettings()
    series = finite_series(values, name="values", minimum=2)
    block = settings.block_length
    block = max(optimal_block_length(series)[0] if block is None else block, float(settings.minimum_block))
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
    width = _small_sample_factor(len(series), int(np.ceil(block)), tail)
    low, high = (np.quantile(spread, [tail, 1.0 - tail]) - centre[0]) * width
    return Interval(float(centre[0]), float(centre[0] + low), float(centre[0] + high))


def _block(columns: list[FloatArray], settings: BootstrapSettings) -> int:
    wanted = settings.block_length
    if wanted is None:
        wanted = max(optimal_block_length(column)[1] for column in columns)
    # At least two blocks must fit, or every draw would be the sample itself, turned around.
    longest = max(1, len(columns[0]) // 2)
    return int(min(max(np.ceil(wanted), settings.minimum_block, 1), longest))


def _small_sample_factor(length: int, block: int, tail: float) -> float:
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
