"""Feature selection inside the fold (SEL-03, 04, 06, 07): scored on training rows, never on the whole table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from foresail.core.arrays import FloatArray, IntArray
from foresail.core.errors import ConfigError, DataError, UnknownNameError
from foresail.features.transforms.base import Lesson, State, Transform
from foresail.features.transforms.forest import ForestSettings, forest_importances
from foresail.measures.ranks import rank_correlation

__all__ = ["SCORES", "DropCorrelated", "SelectKBest", "binned_mutual_information"]

_BINS = 10  # of equal training counts, on each side
_FEWEST = 3  # pairs below which nothing is said


def _pearson(x: FloatArray, y: FloatArray) -> float:
    a, b = x - x.mean(), y - y.mean()
    norm = float(np.sqrt((a * a).sum() * (b * b).sum()))
    return float((a * b).sum()) / norm if norm > 0.0 else float("nan")


def _correlation(x: FloatArray, y: FloatArray, rows: IntArray) -> float:
    """Return the absolute correlation: it orders features as the F-test for regression does."""
    return abs(_pearson(x, y))


def _spearman(x: FloatArray, y: FloatArray, rows: IntArray) -> float:
    from scipy.stats import rankdata

    return abs(_pearson(rankdata(x), rankdata(y)))


def _rank_ic(x: FloatArray, y: FloatArray, rows: IntArray) -> float:
    """Return the absolute mean over days of the Spearman correlation across names."""
    if rows.shape[1] != 2:
        return float("nan")
    names, i = np.unique(rows[:, 0], return_inverse=True)
    days, t = np.unique(rows[:, 1], return_inverse=True)
    grid = np.full((2, len(names), len(days)), np.nan)
    grid[0, i, t], grid[1, i, t] = x, y
    return abs(rank_correlation(grid[0], grid[1]).mean)


def binned_mutual_information(x: FloatArray, y: FloatArray, bins: int = _BINS) -> float:
    """Return the mutual information of two samples cut into bins of equal counts, nats, >= 0.

    Parameters
    ----------
    x, y : (R,), finite
    bins : on each side; equal values share a bin, so there may be fewer

    Notes
    -----
    A plug-in estimate, biased upwards by about (bins - 1)^2 / 2R: it serves to order features of the same rows.
    """
    joint = np.zeros((bins, bins))
    np.add.at(joint, (_binned(x, bins), _binned(y, bins)), 1.0)
    joint /= joint.sum()
    apart = joint.sum(axis=1, keepdims=True) * joint.sum(axis=0, keepdims=True)
    there = joint > 0.0
    return max(0.0, float((joint[there] * np.log(joint[there] / apart[there])).sum()))


def _binned(x: FloatArray, bins: int) -> IntArray:
    edges = np.quantile(x, np.arange(1, bins) / bins)
    return np.searchsorted(edges, x, side="right").astype(np.int64)


def _mutual_information(x: FloatArray, y: FloatArray, rows: IntArray) -> float:
    return binned_mutual_information(x, y) if x.max() > x.min() else float("nan")


def _anova(x: FloatArray, y: FloatArray, rows: IntArray) -> float:
    """Return the F of a one-way analysis of variance: labels are classes (SEL-03)."""
    classes, code = np.unique(y, return_inverse=True)
    k, n = len(classes), len(x)
    if k < 2 or n <= k:
        return float("nan")
    count = np.bincount(code, minlength=k)
    mean = np.bincount(code, weights=x, minlength=k) / count
    between = float((count * (mean - x.mean()) ** 2).sum()) / (k - 1)
    within = float(((x - mean[code]) ** 2).sum()) / (n - k)
    if within == 0.0:
        return float("inf") if between > 0.0 else float("nan")
    return between / within


SCORES: dict[str, Callable[[FloatArray, FloatArray, IntArray], float]] = {
    "anova": _anova,
    "f_test": _correlation,
    "mutual_information": _mutual_information,
    "rank_ic": _rank_ic,
    "spearman": _spearman,
}


@dataclass(frozen=True, eq=False)
class SelectKBest(Transform):
    """The k features that say most about the labels of the training rows.

    Attributes
    ----------
    k : features kept; fewer where fewer have a score
    score : rank_ic (mean over days across names), spearman (all rows together), f_test, mutual_information, or anova
        where labels are classes
    """

    kind: ClassVar[str] = "select_k_best"
    k: int = 50
    score: str = "rank_ic"

    def __post_init__(self) -> None:
        if self.score not in SCORES:
            raise UnknownNameError("score", self.score, SCORES)
        if self.k < 1:
            raise ConfigError(f"expected at least one feature to keep, received {self.k}")

    def learn(self, lesson: Lesson) -> State:
        """Return the kept columns, ascending, and the score of each column."""
        if lesson.labels is None:
            raise DataError("a selection needs labels, received none", hint="fit(values, rows, fold, labels=...)")
        scores = np.full(lesson.values.shape[1], np.nan)
        for j in range(len(scores)):
            known = np.isfinite(lesson.values[:, j]) & np.isfinite(lesson.labels)
            if known.sum() >= _FEWEST:
                scores[j] = SCORES[self.score](lesson.values[known, j], lesson.labels[known], lesson.rows[known])
        # Classes that a feature parts without any overlap have an infinite F: no other feature says more.
        scores[np.isposinf(scores)] = np.finfo(np.float64).max
        scored = np.flatnonzero(np.isfinite(scores))
        if len(scored) == 0:
            raise DataError(
                f"no feature has a {self.score} on the training rows",
                hint="rank_ic needs ten names a day; score='spearman' takes all rows together",
            )
        order = scored[np.argsort(-scores[scored], kind="stable")]
        return {"kept": np.sort(order[: self.k]).astype(np.int64), "scores": scores}

    def apply(self, values: NDArray[Any], state: State) -> FloatArray:
        """Return the kept columns."""
        kept: FloatArray = values[..., state["kept"]]
        return kept

    def names(self, inputs: tuple[str, ...], state: State) -> tuple[str, ...]:
        """Return the kept features."""
        return tuple(inputs[j] for j in state["kept"])


@dataclass(frozen=True, eq=False)
class DropCorrelated(Transform):
    """Leave out a feature that says nearly the same as one kept before it (SEL-04).

    Attributes
    ----------
    limit : absolute correlation over the training rows that hold both, above which one of the two goes
    keep : "first", or "important": the one that a forest finds more important for the labels stays
    trees, task, seed : of that forest
    """

    kind: ClassVar[str] = "drop_correlated"
    limit: float = 0.95
    keep: str = "first"
    trees: int = 100
    task: str = "regression"
    seed: int = 0

    def __post_init__(self) -> None:
        if self.keep not in ("first", "important"):
            raise UnknownNameError("rule of what to keep", self.keep, ("first", "important"))

    def learn(self, lesson: Lesson) -> State:
        """Return the kept columns, ascending, and for each column the one that took its place, -1 for none."""
        x = lesson.values
        known = np.isfinite(x)
        replaced = np.full(x.shape[1], -1, dtype=np.int64)
        kept: list[int] = []
        for j in self._order(lesson):
            near = self._near(x, known, kept, int(j))
            if near is None:
                kept.append(int(j))
            else:
                replaced[j] = near
        return {"kept": np.array(sorted(kept), dtype=np.int64), "replaced_by": replaced}

    def _order(self, lesson: Lesson) -> IntArray:
        """Return the columns in the order in which they may stay."""
        if self.keep == "first":
            return np.arange(lesson.values.shape[1])
        if lesson.labels is None:
            raise DataError("importance needs labels, received none", hint="fit(values, rows, fold, labels=...)")
        forest = ForestSettings(trees=self.trees, task=self.task, seed=self.seed)
        importance = forest_importances(lesson.values, lesson.labels, forest)
        return np.argsort(-np.where(np.isnan(importance), -1.0, importance), kind="stable")

    def _near(self, x: FloatArray, known: NDArray[np.bool_], kept: list[int], j: int) -> int | None:
        """Return the first kept column that says nearly the same as column j."""
        for i in kept:
            both = known[:, i] & known[:, j]
            if both.sum() >= _FEWEST and abs(_pearson(x[both, i], x[both, j])) > self.limit:
                return i
        return None

    def apply(self, values: NDArray[Any], state: State) -> FloatArray:
        """Return the kept columns."""
        kept: FloatArray = values[..., state["kept"]]
        return kept

    def names(self, inputs: tuple[str, ...], state: State) -> tuple[str, ...]:
        """Return the kept features."""
        return tuple(inputs[j] for j in state["kept"])
