"""Honesty statistics: how good a result looks by luck alone, and how long a record must be to say more.

All Sharpe ratios here are per bar unless a name says annualised; kurtosis is plain (3 for a normal series).

References: [BaileyLopezDePrado2012] (PSR, minimum track record), [BaileyLopezDePrado2014] (deflated Sharpe),
[BaileyBorweinLopezDePradoZhu2016] (PBO by CSCV) in docs/REFERENCES.md.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtr, ndtri

from foresail.core.arrays import BoolArray, FloatArray
from foresail.core.errors import DataError
from foresail.measures._checks import finite_series

__all__ = [
    "MINIMUM_VARIANTS",
    "OverfittingProbability",
    "SharpeSample",
    "deflated_sharpe_ratio",
    "expected_best_sharpe",
    "minimum_track_record",
    "probabilistic_sharpe_ratio",
    "probability_of_overfitting",
    "sharpe_sample",
]

MINIMUM_VARIANTS = 10  # PBO of fewer is a coin toss: the rank of the winner has too few places to fall to
_CHUNK = 1024  # splits handled at once: bounds memory at chunk x variants doubles


@dataclass(frozen=True, slots=True)
class SharpeSample:
    """What the Sharpe statistics need to know of a series.

    Attributes
    ----------
    sharpe : per bar; NaN when the series does not vary
    observations : T
    skew, kurtosis : third and fourth standardised moment, 0 and 3 for a normal series
    """

    sharpe: float
    observations: int
    skew: float = 0.0
    kurtosis: float = 3.0


def sharpe_sample(excess_returns: ArrayLike) -> SharpeSample:
    """Return the per-bar Sharpe ratio of a series with its length, skew and kurtosis.

    Parameters
    ----------
    excess_returns : (T,), simple excess return per bar, fraction

    Raises
    ------
    DataError
        If a value is not finite or there are fewer than two.
    """
    series = finite_series(excess_returns, name="excess returns", minimum=2)
    centre = float(series.mean())
    deviation = series - centre
    second = float(np.mean(deviation**2))
    if second <= (1e-14 * max(1e-300, float(np.abs(series).max()))) ** 2 or second == 0.0:
        return SharpeSample(float("nan"), len(series), float("nan"), float("nan"))
    scaled = deviation / math.sqrt(second)
    sharpe = centre / (math.sqrt(second * len(series) / (len(series) - 1)))
    return SharpeSample(sharpe, len(series), float(np.mean(scaled**3)), float(np.mean(scaled**4)))


def _variance_term(sample: SharpeSample) -> float:
    """Return the factor by which skew and fat tails widen the error of a Sharpe ratio.

    Notes
    -----
    ``1 - skew * SR + (kurtosis - 1) / 4 * SR^2`` is never negative for moments of a real series, since kurtosis is at
    least ``skew^2 + 1``; the floor only guards moments that were typed in.
    """
    value = 1.0 - sample.skew * sample.sharpe + (sample.kurtosis - 1.0) / 4.0 * sample.sharpe**2
    return max(value, 1e-12)


def probabilistic_sharpe_ratio(sample: SharpeSample, *, benchmark: float = 0.0) -> float:
    """Return the probability that the true Sharpe ratio exceeds a benchmark.

    Parameters
    ----------
    sample : per-bar Sharpe ratio with length and moments
    benchmark : per-bar Sharpe ratio to beat

    Returns
    -------
    in [0, 1]; NaN when the Sharpe ratio is

    Notes
    -----
    ``Phi[(SR - SR*) sqrt(T - 1) / sqrt(1 - skew SR + (kurtosis - 1) / 4 SR^2)]``.
    """
    if sample.observations < 2 or not math.isfinite(sample.sharpe):
        return float("nan")
    root = math.sqrt(sample.observations - 1)
    return float(ndtr((sample.sharpe - benchmark) * root / math.sqrt(_variance_term(sample))))


def expected_best_sharpe(trials: int, *, variance: float) -> float:
    """Return the Sharpe ratio that the best of several trials without skill shows on average.

    Parameters
    ----------
    trials : N >= 1
    variance : of the trials' Sharpe ratios, in the unit in which the answer is wanted (squared)

    Returns
    -------
    0 for one trial

    Raises
    ------
    DataError
        If there is no trial or the variance is negative.

    Notes
    -----
    ``sqrt(V) [(1 - g) Phi^-1(1 - 1/N) + g Phi^-1(1 - 1/(N e))]`` with Euler's constant g = 0.5772...
    """
    if trials < 1 or not variance >= 0.0:
        raise DataError(f"expected at least one trial and a variance >= 0, received {trials} and {variance}")
    if trials == 1:
        return 0.0
    gamma = float(np.euler_gamma)
    best = (1.0 - gamma) * ndtri(1.0 - 1.0 / trials) + gamma * ndtri(1.0 - 1.0 / (trials * math.e))
    return float(math.sqrt(variance) * best)


def deflated_sharpe_ratio(sample: SharpeSample, *, trials: int, variance: float) -> float:
    """Return the probability that the true Sharpe ratio exceeds what luck gives the best of ``trials``.

    Parameters
    ----------
    sample : per-bar Sharpe ratio of the chosen trial
    variance : of per-bar Sharpe ratios across trials

    Returns
    -------
    in [0, 1]; with one trial it is the probabilistic Sharpe ratio against 0
    """
    return probabilistic_sharpe_ratio(sample, benchmark=expected_best_sharpe(trials, variance=variance))


def minimum_track_record(sample: SharpeSample, *, benchmark: float = 0.0, level: float = 0.95) -> float:
    """Return how many bars a record of this Sharpe ratio needs before it beats the benchmark at ``level``.

    Returns
    -------
    bars; infinity when the Sharpe ratio does not exceed the benchmark

    Notes
    -----
    ``1 + [1 - skew SR + (kurtosis - 1) / 4 SR^2] (Phi^-1(level) / (SR - SR*))^2``.
    """
    if not math.isfinite(sample.sharpe):
        return float("nan")
    if sample.sharpe <= benchmark:
        return float("inf")
    return float(1.0 + _variance_term(sample) * (ndtri(level) / (sample.sharpe - benchmark)) ** 2)


@dataclass(frozen=True, slots=True, eq=False)
class OverfittingProbability:
    """The outcome of combinatorially symmetric cross-validation.

    Attributes
    ----------
    probability : share of splits in which the in-sample winner ends in the lower half out of sample
    logits : (splits,), logit of the winner's relative rank out of sample
    loss_probability : share of splits in which the winner's Sharpe ratio out of sample is below 0
    """

    probability: float
    logits: FloatArray
    loss_probability: float
    variants: int
    blocks: int


def probability_of_overfitting(returns: ArrayLike, *, blocks: int = 16) -> OverfittingProbability:
    """Return how often choosing the best variant in sample picks one that is below the median out of sample.

    Parameters
    ----------
    returns : (T, V), simple return per bar of V >= 10 variants on the same bars, finite
    blocks : even; 16 give 12,870 splits

    Raises
    ------
    DataError
        If there are fewer than ten variants, blocks are odd, bars are too few, or a value is not finite.

    Notes
    -----
    1. Cut time into blocks; keep each block's sum and sum of squares per variant.
    2. Each choice of half the blocks is in sample, the rest out of sample; both Sharpe ratios follow from the sums.
    3. The winner's rank out of sample, over V + 1, gives a logit; at or below 0 means below the median.
    """
    table = _variant_table(returns, blocks)
    length, variants = table.shape
    edges = np.linspace(0, length, blocks + 1).astype(np.int64)
    # Dividing by each variant's spread changes no Sharpe ratio and keeps the sums of squares well scaled.
    spread = table.std(axis=0)
    scaled = table / np.where(spread > 0, spread, 1.0)
    sums = np.add.reduceat(scaled, edges[:-1], axis=0)
    squares = np.add.reduceat(scaled * scaled, edges[:-1], axis=0)
    counts = np.diff(edges).astype(np.float64)
    chosen = np.array(
        [[i in half for i in range(blocks)] for half in map(set, combinations(range(blocks), blocks // 2))]
    )
    logits = np.empty(len(chosen))
    losses = 0
    for first in range(0, len(chosen), _CHUNK):
        inside = chosen[first : first + _CHUNK]
        best = _block_sharpe(inside, sums, squares, counts).argmax(axis=1)
        outside = _block_sharpe(~inside, sums, squares, counts)
        winner = np.take_along_axis(outside, best[:, None], axis=1)
        rank = (outside < winner).sum(axis=1) + 0.5 * ((outside == winner).sum(axis=1) + 1.0)
        share = rank / (variants + 1.0)
        logits[first : first + _CHUNK] = np.log(share / (1.0 - share))
        losses += int((winner < 0.0).sum())
    return OverfittingProbability(float(np.mean(logits <= 0.0)), logits, losses / len(chosen), variants, blocks)


def _variant_table(returns: ArrayLike, blocks: int) -> FloatArray:
    table = np.asarray(returns, dtype=np.float64)
    if table.ndim != 2 or table.shape[1] < MINIMUM_VARIANTS:
        raise DataError(
            f"the probability of overfitting needs at least {MINIMUM_VARIANTS} variants side by side, "
            f"received an array of shape {table.shape}",
            hint="give (bars, variants), or leave the figure undefined",
        )
    if blocks < 4 or blocks % 2 or len(table) < 4 * blocks:
        raise DataError(f"expected an even number >= 4 of blocks with 4 bars each, received {blocks} on {len(table)}")
    for variant in range(table.shape[1]):
        finite_series(table[:, variant], name=f"variant {variant + 1}")
    return table


def _block_sharpe(chosen: BoolArray, sums: FloatArray, squares: FloatArray, counts: FloatArray) -> FloatArray:
    """Return (splits, V) Sharpe ratios over the chosen blocks; 0 where a variant does not vary there."""
    weight = chosen.astype(np.float64)
    n = (weight @ counts)[:, None]
    mean = weight @ sums / n
    variance = weight @ squares / n - mean * mean
    return np.divide(mean, np.sqrt(np.maximum(variance, 0.0)), out=np.zeros_like(mean), where=variance > 1e-14)
