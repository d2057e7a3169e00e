"""How good the forecasts were: each figure by target, horizon and fold, on outcomes that are known.

Forecasts of one issue time are not independent of one another, and those of overlapping horizons neither: intervals
count stretches of one horizon, never single names.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from foresail.core.arrays import BoolArray, FloatArray
from foresail.domain.forecast import ForecastBlock
from foresail.domain.runs import Interval
from foresail.engine.pipeline import PipelineResult
from foresail.engine.walkforward import FoldResult
from foresail.measures.bootstrap import BootstrapSettings, day_clustered_standard_error, mean_interval
from foresail.measures.points import directional_accuracy, mean_absolute_error, root_mean_square_error
from foresail.measures.quantiles import coverage, interval_width, mean_quantile_loss
from foresail.measures.ranks import rank_correlation
from foresail.service.report_exceedances import Exceedances, exceedances

__all__ = ["NO_INTERVAL", "FoldScore", "Score", "fold_scores", "outcomes", "overlap", "score", "score_all"]

_NAN = float("nan")
NO_INTERVAL = Interval(_NAN, _NAN, _NAN)
_NORMAL_95 = 1.959963984540054
_FEWEST_DAYS = 20  # issue times below which a rank correlation gets no interval


@dataclass(frozen=True, slots=True)
class Score:
    """Accuracy of one target at one horizon (EVAL-02, EVAL-03); log returns unless said otherwise.

    Attributes
    ----------
    forecasts : with a known outcome; everything below rests on these rows
    coverage : share of outcomes within P10 and P90, with an interval clustered by time
    width : mean distance from P10 to P90
    losses : pinball loss of each quantile level; ``pinball`` is their mean
    mae, no_change_mae : of the median, and of the forecast that nothing changes
    rmse, no_change_rmse : root mean squared error of the same two
    mape, no_change_mape : mean distance from the price that came, as a share of it, of the same two; it flatters
    value_at_risk : outcomes below the 5 % quantile; None for other targets than the close and for single folds
    hit_rate, base_rate : share of right signs of the median, and of the better constant answer
    matthews : correlation of the two signs
    rank_ic : mean over issue times of the rank correlation across names
    rank_error : its standard error, clustered by time
    rank_days, rank_skipped : issue times that entered, and those with too few names
    """

    target: str
    horizon: int
    forecasts: int
    coverage: Interval
    width: float
    losses: tuple[float, ...]
    mae: float
    no_change_mae: float
    rmse: float
    no_change_rmse: float
    mape: float
    no_change_mape: float
    hit_rate: float
    base_rate: float
    matthews: float
    rank_ic: Interval
    rank_error: float
    rank_days: int
    rank_skipped: int
    value_at_risk: Exceedances | None

    @property
    def pinball(self) -> float:
        """Mean pinball loss over the levels (mean quantile loss)."""
        return float(np.mean(self.losses)) if self.losses else _NAN


@dataclass(frozen=True, slots=True)
class FoldScore:
    """Accuracy of one target and horizon over the test block of one fold."""

    fold: FoldResult
    score: Score


def outcomes(result: PipelineResult) -> FloatArray:
    """Return what came true for every forecast of the block, (N, P, K, H) log return; NaN while unknown."""
    realised: FloatArray = result.prepared.targets.values[:, result.walk.block.position]
    return realised


def overlap(block: ForecastBlock, horizon: int) -> int:
    """Return how many issue times in a row share bars of their outcome."""
    if len(block.position) < 2:
        return 1
    return max(1, math.ceil(horizon / int(np.median(np.diff(block.position)))))


def score(
    block: ForecastBlock,
    realised: FloatArray,
    target: int,
    step: int,
    *,
    times: slice | None = None,
    seed: int = 0,
) -> Score:
    """Return the accuracy of one target and horizon over some issue times.

    Parameters
    ----------
    realised : (N, P, K, H), see ``outcomes``
    target, step : positions of target and horizon in the block
    times : issue times of the block; None = all, and only then the rank correlation has a resampled interval
    seed : of the resampling
    """
    chosen = slice(None) if times is None else times
    quantiles = block.values[:, chosen, target, step]
    actual = realised[:, chosen, target, step]
    known: BoolArray = np.asarray(np.isfinite(actual) & np.isfinite(quantiles).all(axis=-1))
    actual = np.where(known, actual, np.nan)
    low, middle, high = (quantiles[..., block.levels.index(level)] for level in (0.10, 0.50, 0.90))
    shared = overlap(block, block.horizons[step])
    direction = directional_accuracy(actual, middle)
    rank = rank_correlation(np.where(known, middle, np.nan), actual)
    found = rank.daily[np.isfinite(rank.daily)]
    return Score(
        target=block.targets[target],
        horizon=block.horizons[step],
        forecasts=int(known.sum()),
        coverage=_coverage(actual, low, high, known, shared),
        width=interval_width(np.where(known, low, np.nan), high),
        losses=tuple(mean_quantile_loss(actual, quantiles, block.levels).tolist()) if known.any() else (),
        mae=mean_absolute_error(actual, middle),
        no_change_mae=mean_absolute_error(actual, np.zeros_like(actual)),
        rmse=root_mean_square_error(actual, middle),
        no_change_rmse=root_mean_square_error(actual, np.zeros_like(actual)),
        mape=_price_error(actual, middle),
        no_change_mape=_price_error(actual, np.zeros_like(actual)),
        hit_rate=direction.accuracy,
        base_rate=direction.base_rate,
        matthews=direction.matthews,
        rank_ic=_rank_interval(found, shared, seed if times is None else None),
        rank_error=float(found.std(ddof=1) / math.sqrt(len(found) / shared)) if len(found) > 1 else _NAN,
        rank_days=rank.days,
        rank_skipped=rank.skipped,
        value_at_risk=(
            exceedances(block, actual, known, (target, step))
            if times is None and block.targets[target] == "close"
            else None
        ),
    )


def _price_error(actual: FloatArray, told: FloatArray) -> float:
    """Return the mean of |forecast price - price| / price of two log returns from the same price; NaN = missing."""
    apart = np.abs(np.expm1(told - actual))
    return float(np.nanmean(apart)) if np.isfinite(apart).any() else _NAN


def _coverage(actual: FloatArray, low: FloatArray, high: FloatArray, known: BoolArray, shared: int) -> Interval:
    """Return the share inside with its interval; issue times whose outcomes share bars are one cluster."""
    value = coverage(actual, low, high)
    rows = np.nonzero(known)
    clusters = rows[1] // shared
    if not len(clusters) or clusters.min() == clusters.max():
        return Interval(value, _NAN, _NAN)
    inside = ((actual >= low) & (actual <= high))[rows].astype(np.float64)
    reach = _NORMAL_95 * day_clustered_standard_error(inside, clusters)
    return Interval(value, max(0.0, value - reach), min(1.0, value + reach))


def _rank_interval(daily: FloatArray, shared: int, seed: int | None) -> Interval:
    if seed is None or len(daily) < _FEWEST_DAYS:
        return Interval(float(daily.mean()) if len(daily) else _NAN, _NAN, _NAN)
    return mean_interval(daily, BootstrapSettings(minimum_block=shared, seed=seed))


def score_all(
    block: ForecastBlock, realised: FloatArray, *, targets: Sequence[str] | None = None, seed: int = 0
) -> tuple[Score, ...]:
    """Return the accuracy of every target (or of those named) and horizon over the whole record."""
    names = block.targets if targets is None else targets
    return tuple(
        score(block, realised, k, h, seed=seed)
        for k, name in enumerate(block.targets)
        if name in names
        for h in range(len(block.horizons))
    )


def fold_scores(result: PipelineResult, realised: FloatArray) -> tuple[FoldScore, ...]:
    """Return the accuracy of every target and horizon over the test block of each fold, in that order of nesting."""
    block = result.walk.block
    found = []
    for fold in result.walk.folds:
        first, last = np.searchsorted(block.position, [fold.fold.test_from, fold.fold.test_to])
        times = slice(int(first), int(last))
        for k in range(len(block.targets)):
            for h in range(len(block.horizons)):
                told = score(block, realised, k, h, times=times)
                found.append(FoldScore(fold, told))
    return tuple(found)
