"""Drawing dependent series anew: how long blocks should be, and sums and rows of series made of such blocks.

1. The block length comes from the series itself (Politis and White 2004, corrected by Patton, Politis and White
   2009): long memory asks for long blocks.
2. Sums over circular blocks go through running sums, so that a draw costs one subtraction a block.
3. Stationary (geometric) blocks are offered as row numbers for any statistic, and as means of many columns at once.

What is made of the draws, intervals and tests, is elsewhere.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from foresail.core.arrays import FloatArray, IntArray
from foresail.measures._checks import finite_series

__all__ = ["circular_block_sums", "optimal_block_length", "stationary_indices", "stationary_means"]

_MOST_STARTS = 2_000_000  # block starts held at once: bounds memory on long series
_CHUNK = 500  # draws whose rows are held at once
_SHORTEST = 12  # below this many values there is nothing to estimate a block length from


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
