"""The threshold from which a probability becomes a decision, chosen on training or validation rows only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from foresail.core.arrays import FloatArray
from foresail.core.errors import DataError, UnknownNameError
from foresail.features.transforms.base import Lesson, State, Transform

__all__ = ["METRICS", "ThresholdChoice"]

METRICS = ("accuracy", "balanced_accuracy", "f1", "matthews")


@dataclass(frozen=True, eq=False)
class ThresholdChoice(Transform):
    """1 where a probability reaches the threshold that served the fold best, else 0; NaN stays NaN.

    Attributes
    ----------
    metric : accuracy, balanced_accuracy, f1 or matthews

    Notes
    -----
    Candidates lie halfway between neighbouring probabilities, and at 0.5. Of equal ones the nearest to 0.5 is taken.
    """

    kind: ClassVar[str] = "threshold_choice"
    metric: str = "balanced_accuracy"

    def __post_init__(self) -> None:
        if self.metric not in METRICS:
            raise UnknownNameError("metric", self.metric, METRICS)

    def learn(self, lesson: Lesson) -> State:
        """Return the threshold and the score it had on the fold."""
        if lesson.labels is None or lesson.values.shape[1] != 1:
            raise DataError("a threshold is chosen from one column of probabilities and their labels of 0 and 1")
        known = np.isfinite(lesson.values[:, 0]) & np.isfinite(lesson.labels)
        p, y = lesson.values[known, 0], lesson.labels[known]
        if not np.isin(y, (0.0, 1.0)).all() or len(np.unique(y)) < 2:
            raise DataError("a threshold needs labels of both 0 and 1 among the rows of the fold")
        distinct = np.unique(p)
        candidates = np.unique(np.append((distinct[1:] + distinct[:-1]) / 2.0, 0.5))
        scores = _scores(self.metric, p, y, candidates)
        best = np.flatnonzero(scores >= scores.max() - 1e-12)
        chosen = best[np.abs(candidates[best] - 0.5).argmin()]
        return {"threshold": candidates[chosen : chosen + 1], "score": scores[chosen : chosen + 1]}

    def apply(self, values: NDArray[Any], state: State) -> FloatArray:
        """Return the decisions, (..., 1)."""
        return np.where(np.isnan(values), np.nan, (values >= state["threshold"][0]).astype(np.float64))


def _scores(metric: str, p: FloatArray, y: FloatArray, candidates: FloatArray) -> FloatArray:
    """Return the score of each candidate, (C,)."""
    order = np.argsort(p, kind="stable")
    below = np.searchsorted(p[order], candidates, side="left")
    ones = np.append(0.0, np.cumsum(y[order]))
    positives, n = ones[-1], float(len(p))
    missed = ones[below]
    hit, false_alarm = positives - missed, (n - below) - (positives - missed)
    passed = below - missed
    if metric == "accuracy":
        return np.asarray((hit + passed) / n)
    if metric == "balanced_accuracy":
        return np.asarray(0.5 * (hit / positives + passed / (n - positives)))
    if metric == "f1":
        return np.asarray(2.0 * hit / (2.0 * hit + missed + false_alarm))
    spread = np.sqrt((hit + false_alarm) * positives * (n - positives) * (passed + missed))
    score: FloatArray = np.zeros(len(candidates))
    np.divide(hit * passed - false_alarm * missed, spread, out=score, where=spread > 0.0)
    return score
