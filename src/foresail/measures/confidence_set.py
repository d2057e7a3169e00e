"""Model confidence set: the models that cannot be told from the best, wrong about the best with a stated probability.

1. Dates are resampled by the stationary bootstrap, the same dates for every model.
2. The worst model of the set is dropped, again and again. "range" drops the one that loses most clearly to some other
   (T_R), "maximum" the one that loses most clearly to the mean of the set (T_max).
3. A step's p-value is the share of draws in which luck alone makes a difference as large; a model's p-value is the
   largest one up to its own step, and the last model's is 1.
4. The order of dropping needs no draws. The draws are therefore met in reverse, one model joining at a time, so that
   the largest range of a set follows from that of the smaller one: 200 models take as long as 20 do elsewhere.

Models with equal losses on every date are one model and share its p-value.

References: [HansenLundeNason2011] in docs/REFERENCES.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from foresail.core.arrays import BoolArray, FloatArray, IntArray
from foresail.core.errors import DataError, UnknownNameError
from foresail.measures._checks import finite_series
from foresail.measures.bootstrap import BootstrapSettings, resampled_means

__all__ = ["MINIMUM_DATES", "ConfidenceSet", "model_confidence_set"]

MINIMUM_DATES = 12  # fewer leave nothing to estimate dependence from
_SAME = 1e-13  # variance of a difference, over those of its parts, that is rounding


@dataclass(frozen=True, slots=True, eq=False)
class ConfidenceSet:
    """The models that stay.

    Attributes
    ----------
    included : (M,) bool, p-value above ``size``
    p_values : (M,), the smallest size at which a model is dropped; 1 for the last one
    order : models from the first dropped to the last one left; equal models stand side by side
    size : probability that the best model is missing, at most, in long records
    """

    included: BoolArray
    p_values: FloatArray
    order: tuple[int, ...]
    size: float


def model_confidence_set(
    losses: ArrayLike,
    *,
    size: float = 0.10,
    statistic: Literal["range", "maximum"] = "range",
    settings: BootstrapSettings | None = None,
) -> ConfidenceSet:
    """Return the models whose expected loss is not told from the smallest.

    Parameters
    ----------
    losses : (T, M), finite, one row a date; never names of one date as if they were dates
    size : probability with which the best model may be missing
    statistic : "range" compares pairs, "maximum" compares with the mean of the set
    settings : draws, block and seed; ``level`` plays no part

    Raises
    ------
    DataError
        If there are fewer than twelve dates or two models, a value is not finite, or the size is out of range.
    UnknownNameError
        If ``statistic`` is neither.
    """
    settings = settings or BootstrapSettings()
    table = _table(losses, size)
    if statistic not in ("range", "maximum"):
        raise UnknownNameError("statistic", statistic, ("range", "maximum"))
    _, kept, group = np.unique(table, axis=1, return_index=True, return_inverse=True)
    # np.unique sorts by values; the order of the models is restored, so that ties fall to the first of them.
    rank = np.argsort(np.argsort(kept))
    distinct, group = table[:, np.sort(kept)], rank[group.ravel()]
    if distinct.shape[1] == 1:
        order, p_values = np.zeros(1, dtype=np.int64), np.ones(1)
    else:
        mean = distinct.mean(axis=0)
        drawn = _drawn(distinct, settings)
        order, p_values = (_by_range if statistic == "range" else _by_maximum)(mean, drawn)
    members = tuple(int(model) for one in order for model in np.flatnonzero(group == one))
    result = p_values[group]
    return ConfidenceSet(result > size, result, members, size)


def _table(losses: ArrayLike, size: float) -> FloatArray:
    table = np.asarray(losses, dtype=np.float64)
    if table.ndim != 2 or table.shape[1] < 2:
        raise DataError(f"expected losses of shape (dates, models) of two models or more, received {table.shape}")
    for model in range(table.shape[1]):
        finite_series(table[:, model], name=f"loss of model {model + 1}", minimum=MINIMUM_DATES)
    if not 0.0 < size < 1.0:
        raise DataError(f"expected a size between 0 and 1, received {size}")
    return table


def _drawn(table: FloatArray, settings: BootstrapSettings) -> FloatArray:
    """Return (draws, M) deviations of resampled means, of each model's loss less that of all on the same date."""
    centred = table - table.mean(axis=1, keepdims=True)
    drawn = resampled_means(centred, settings, name="model-confidence-set")
    deviation: FloatArray = drawn - centred.mean(axis=0)
    return deviation


def _by_range(mean: FloatArray, drawn: FloatArray) -> tuple[IntArray, FloatArray]:
    moment = drawn.T @ drawn / len(drawn)
    parts = np.diag(moment)[:, None] + np.diag(moment)[None, :]
    variance = parts - 2.0 * moment
    sure = variance <= _SAME * parts  # the two differ by a constant: no draw can change which is better
    gap = mean[:, None] - mean[None, :]
    inverse = np.divide(1.0, np.sqrt(np.maximum(variance, 0.0)), out=np.zeros_like(variance), where=~sure)
    scores = np.where(sure, np.where(gap > 0.0, np.inf, np.where(gap < 0.0, -np.inf, 0.0)), gap * inverse)
    models, largest = list(range(len(mean))), []
    order = []
    while len(models) > 1:
        worst = scores[np.ix_(models, models)].max(axis=1)
        place = int(worst.argmax())
        largest.append(float(worst[place]))
        order.append(models.pop(place))
    order += models
    luck = np.zeros(len(drawn))
    steps = np.empty(len(mean))
    steps[-1] = 1.0
    for step in range(len(mean) - 2, -1, -1):
        joining, others = order[step], order[step + 1 :]
        apart = np.abs(drawn[:, [joining]] - drawn[:, others]) * inverse[joining, others]
        luck = np.maximum(luck, apart.max(axis=1))
        steps[step] = float(np.mean(luck >= largest[step]))
    return _spread_out(order, steps)


def _by_maximum(mean: FloatArray, drawn: FloatArray) -> tuple[IntArray, FloatArray]:
    models, order, steps = list(range(len(mean))), [], []
    while len(models) > 1:
        within = drawn[:, models] - drawn[:, models].mean(axis=1, keepdims=True)
        spread = np.sqrt(np.mean(within**2, axis=0))
        gap = mean[models] - mean[models].mean()
        sure = spread <= np.sqrt(_SAME) * np.abs(drawn[:, models]).max()
        inverse = np.divide(1.0, spread, out=np.zeros_like(spread), where=~sure)
        scores = np.where(sure, np.where(gap > 0.0, np.inf, np.where(gap < 0.0, -np.inf, 0.0)), gap * inverse)
        place = int(scores.argmax())
        steps.append(float(np.mean((within * inverse).max(axis=1) >= scores[place])))
        order.append(models.pop(place))
    return _spread_out(order + models, np.array([*steps, 1.0]))


def _spread_out(order: list[int], steps: FloatArray) -> tuple[IntArray, FloatArray]:
    """Return the order, and each model's p-value: the largest of the steps up to its own."""
    p_values = np.empty(len(order))
    p_values[order] = np.maximum.accumulate(steps)
    return np.array(order, dtype=np.int64), p_values
