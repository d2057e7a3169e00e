"""Feature selection inside the fold (SEL-03, 04, 07): scored on training rows, never on the whole table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from foresail.core.arrays import FloatArray, IntArray
from foresail.core.errors import ConfigError, DataError, UnknownNameError
from foresail.features.transforms.base import Lesson, State, Transform
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


SCORES: dict[str, Callable[[FloatArray, FloatArray, IntArray], float]] = {
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
    score : rank_ic (mean over days across names), spearman (all rows together), f_test or mutual_information
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
    limit : absolute correlation over the training rows that hold both, above which the later one goes
    """

    kind: ClassVar[str] = "drop_correlated"
    limit: float = 0.95

    def learn(self, lesson: Lesson) -> State:
        """Return the kept columns, ascending."""
        x = lesson.values
        known = np.isfinite(x)
        kept: list[int] = []
        for j in range(x.shape[1]):
            shared = [(i, known[:, i] & known[:, j]) for i in kept]
            close = (abs(_pearson(x[w, i], x[w, j])) > self.limit for i, w in shared if w.sum() >= _FEWEST)
            if not any(close):
                kept.append(j)
        return {"kept": np.array(kept, dtype=np.int64)}

    def apply(self, values: NDArray[Any], state: State) -> FloatArray:
        """Return the kept columns."""
        kept: FloatArray = values[..., state["kept"]]
        return kept

    def names(self, inputs: tuple[str, ...], state: State) -> tuple[str, ...]:
        """Return the kept features."""
        return tuple(inputs[j] for j in state["kept"])
