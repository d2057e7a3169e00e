"""Selection by a random forest (SEL-02, SEL-05): grown on the training rows of the fold, the same for a seed.

Gaps take the training median of their column; a column without a training value is never kept. Trees are grown on one
thread, so that neither their number of threads nor the machine's decides.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from foresail.core.arrays import FloatArray, IntArray
from foresail.core.errors import ConfigError, DataError, UnknownNameError
from foresail.features.transforms.base import Lesson, State, Transform

__all__ = ["TASKS", "ForestImportance", "ForestSettings", "RecursiveElimination", "best_of", "forest_importances"]

TASKS = ("regression", "classes")


@dataclass(frozen=True, slots=True)
class ForestSettings:
    """The forest that importances are read from.

    Attributes
    ----------
    trees : number of trees
    task : "regression", or "classes" where labels are classes
    depth : most splits above a leaf; None = until leaves are small
    leaf : fewest rows of a leaf
    """

    trees: int = 100
    task: str = "regression"
    depth: int | None = None
    leaf: int = 5
    seed: int = 0


def forest_importances(values: FloatArray, labels: FloatArray, settings: ForestSettings) -> FloatArray:
    """Return the importance of each column for the labels, (F,), with sum 1 where any column splits.

    Parameters
    ----------
    values : (R, F); NaN takes the median of its column
    labels : (R,); rows without one are left out

    Returns
    -------
    (F,) mean decrease of impurity; NaN for a column without any value

    Raises
    ------
    DataError
        If fewer than two rows have a label, or a task of classes has only one.
    """
    from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

    told = np.isfinite(labels)
    x, y = values[told], labels[told]
    if len(y) < 2 or (settings.task == "classes" and len(np.unique(y)) < 2):
        raise DataError(
            f"a forest needs rows with labels, of two classes at least where it sorts; received {len(y)}",
            hint="give labels=, finite on training rows",
        )
    importance = np.full(values.shape[1], np.nan)
    known = np.flatnonzero(np.isfinite(x).any(axis=0))
    if len(known) == 0:
        return importance
    x = x[:, known]
    x = np.where(np.isnan(x), np.nanmedian(x, axis=0), x)
    options = {
        "n_estimators": settings.trees,
        "max_depth": settings.depth,
        "min_samples_leaf": settings.leaf,
        "random_state": settings.seed,
        "n_jobs": 1,
    }
    if settings.task == "classes":
        grown = RandomForestClassifier(max_features="sqrt", **options).fit(x, y)
    else:
        # Every column stands at every split: with a part of them, the worse of two twins often wins by its luck.
        grown = RandomForestRegressor(max_features=1.0, **options).fit(x, y)
    importance[known] = grown.feature_importances_
    return importance


@dataclass(frozen=True, eq=False)
class ForestImportance(Transform):
    """The k features that a forest splits by most (SEL-02).

    Attributes
    ----------
    k : features kept
    trees, task, depth, leaf, seed : as in ``ForestSettings``
    """

    kind: ClassVar[str] = "forest_importance"
    k: int = 50
    trees: int = 100
    task: str = "regression"
    depth: int | None = None
    leaf: int = 5
    seed: int = 0

    def __post_init__(self) -> None:
        if self.task not in TASKS:
            raise UnknownNameError("task of a forest", self.task, TASKS)
        if self.k < 1 or self.trees < 1 or self.leaf < 1:
            raise ConfigError(f"expected k, trees and leaf of at least 1, received {self.k}, {self.trees}, {self.leaf}")

    def forest(self) -> ForestSettings:
        """Return the settings of the forest."""
        return ForestSettings(self.trees, self.task, self.depth, self.leaf, self.seed)

    def learn(self, lesson: Lesson) -> State:
        """Return the kept columns, ascending, and the importance of each."""
        if lesson.labels is None:
            raise DataError("a selection needs labels, received none", hint="fit(values, rows, fold, labels=...)")
        scores = forest_importances(lesson.values, lesson.labels, self.forest())
        return {"kept": best_of(scores, self.k), "scores": scores}

    def apply(self, values: NDArray[Any], state: State) -> FloatArray:
        """Return the kept columns."""
        kept: FloatArray = values[..., state["kept"]]
        return kept

    def names(self, inputs: tuple[str, ...], state: State) -> tuple[str, ...]:
        """Return the kept features."""
        return tuple(inputs[j] for j in state["kept"])


@dataclass(frozen=True, eq=False)
class RecursiveElimination(ForestImportance):
    """Grow a forest, leave out the least important features, and again, until k are left (SEL-05).

    Attributes
    ----------
    step : share of the features left that go at once, at least one
    """

    kind: ClassVar[str] = "recursive_elimination"
    step: float = 0.2

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0.0 < self.step < 1.0:
            raise ConfigError(f"expected a step between 0 and 1, received {self.step}")

    def learn(self, lesson: Lesson) -> State:
        """Return the kept columns, the round each column stayed until, and the importances of the last round."""
        if lesson.labels is None:
            raise DataError("a selection needs labels, received none", hint="fit(values, rows, fold, labels=...)")
        left = np.flatnonzero(np.isfinite(lesson.values).any(axis=0))
        rounds = np.zeros(lesson.values.shape[1], dtype=np.int64)
        scores = np.full(lesson.values.shape[1], np.nan)
        while True:
            rounds[left] += 1
            found = forest_importances(lesson.values[:, left], lesson.labels, self.forest())
            if len(left) <= self.k:
                break
            keep = max(self.k, len(left) - max(1, int(self.step * len(left))))
            left = left[best_of(found, keep)]
        scores[left] = found
        return {"kept": left.astype(np.int64), "rounds": rounds, "scores": scores}


def best_of(scores: FloatArray, k: int) -> IntArray:
    """Return the places of the k largest numbers, ascending; of equal ones the earlier, NaN never."""
    known = np.flatnonzero(np.isfinite(scores))
    order = known[np.argsort(-scores[known], kind="stable")]
    return np.sort(order[:k]).astype(np.int64)
