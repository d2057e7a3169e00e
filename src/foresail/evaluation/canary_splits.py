"""Two canaries that take more fits than a run can spare: what a random split would have claimed, and skill by delay.

- A split that mixes rows of the same days lets a model recognise the day and copy its outcome from other names. The
  gap between a random and a date split, both with the same model, says how much of a claimed accuracy that is.
- Skill must fall as features grow older. A signal that nearly vanishes with one bar of delay was made of the bar that
  it is traded at.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from foresail.core.arrays import FloatArray, IntArray
from foresail.core.errors import DataError
from foresail.core.seeds import generator
from foresail.domain.panel import Panel
from foresail.engine.pipeline import Prepared
from foresail.engine.settings import PipelineSettings
from foresail.engine.walkforward import walk_forward
from foresail.evaluation.canaries import mean_skill

__all__ = ["DELAYS", "LagProfile", "SplitGap", "lag_profile", "split_gap"]

DELAYS = (0, 1, 2, 5)  # bars
_JUMP = 0.5  # share of the skill that may vanish with the first bar of delay
_LEAST_ROWS = 200


@dataclass(frozen=True, slots=True)
class SplitGap:
    """Accuracy of one model on two splits of the same rows; the gap is their difference."""

    date_split: float
    random_split: float
    date_error: float  # standard error of the date split's accuracy, clustered by day
    rows: int

    @property
    def gap(self) -> float:
        """Random split minus date split, fraction."""
        return self.random_split - self.date_split


@dataclass(frozen=True, slots=True)
class LagProfile:
    """Mean rank correlation of forecast and label, with features delayed by so many bars."""

    delays: tuple[int, ...]
    skill: tuple[float, ...]
    error: tuple[float, ...]

    @property
    def jumps_at_once(self) -> bool:
        """Whether more than half of a clear skill vanishes with the first bar of delay: the same-bar leak."""
        first, second = self.skill[:2]
        fall = first - second
        return first > 3 * self.error[0] and fall > _JUMP * first and fall > 3 * max(self.error[:2])

    @property
    def falls(self) -> bool:
        """Whether skill never rises with delay by more than two standard errors."""
        pairs = zip(self.skill[:-1], self.skill[1:], self.error[1:], strict=True)
        return all(later <= earlier + 2 * error for earlier, later, error in pairs)


def split_gap(
    fit: Callable[[FloatArray, IntArray], Callable[[FloatArray], FloatArray]],
    rows: tuple[FloatArray, IntArray, IntArray, IntArray],
    *,
    test_share: float = 0.2,
    seed: int = 0,
) -> SplitGap:
    """Return what a model scores on the newest days and on random rows.

    Parameters
    ----------
    fit : (x, y) -> function of x that gives the probability of class 1
    rows : x (R, F), y (R,) of 0 and 1, day (R,) and label_end (R,), in any unit of time
    test_share : of the rows

    Raises
    ------
    DataError
        If there are too few rows.
    """
    x, y, day, label_end = rows
    if len(x) < _LEAST_ROWS:
        raise DataError(f"a split gap needs at least {_LEAST_ROWS} rows, received {len(x)}")
    border = np.quantile(day, 1.0 - test_share, method="lower")
    test = day > border
    train = label_end <= day[test].min()
    hit = (fit(x[train], y[train])(x[test]) > 0.5) == (y[test] == 1)
    days = np.unique(day[test])
    part = np.array([(hit[day[test] == d] - hit.mean()).sum() for d in days])
    chosen = np.zeros(len(x), dtype=np.bool_)
    chosen[generator(seed, "random split").permutation(len(x))[: int(test.sum())]] = True
    mixed = (fit(x[~chosen], y[~chosen])(x[chosen]) > 0.5) == (y[chosen] == 1)
    error = float(np.sqrt((part**2).sum()) / len(hit))
    return SplitGap(float(hit.mean()), float(mixed.mean()), error, len(x))


def lag_profile(prepared: Prepared, settings: PipelineSettings, *, delays: Sequence[int] = DELAYS) -> LagProfile:
    """Return the skill of the pipeline's forecasts with features delayed by each number of bars; one walk for each."""
    skill, error = [], []
    for delay in delays:
        walk = walk_forward(_delayed(prepared.features, delay), prepared.targets, prepared.scale, settings)
        mean, spread = mean_skill(walk.block, prepared.targets.values)
        skill.append(mean)
        error.append(spread)
    return LagProfile(tuple(delays), tuple(skill), tuple(error))


def _delayed(features: Panel, bars: int) -> Panel:
    if bars == 0:
        return features
    values = np.full_like(features.values, np.nan)
    values[:, bars:] = features.values[:, :-bars]
    return replace(features, values=values)
