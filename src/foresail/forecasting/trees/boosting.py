"""One quantile by trees of LightGBM, boosted or averaged, the same for any number of threads.

Only the quantile objective is used. Its gradients are two numbers (times a weight on a grid of 1/64), whose sums
LightGBM keeps in float64: they are exact in any order, so histograms, splits and leaf values do not depend on how rows
are dealt out to threads. Independent fits run side by side, one thread each: faster than two threads inside one fit.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np

from foresail.core.arrays import FloatArray

__all__ = ["BoostedQuantile", "BoostingSettings", "BoostingTask", "Forest"]

_WEIGHT_STEPS = 64.0
_WORKERS = 2
_ROWS_FOR_TWO = 5_000


@dataclass(frozen=True, slots=True)
class BoostingSettings:
    """How trees are grown.

    Attributes
    ----------
    trees : at most so many
    rate : learning rate
    leaves : at most, per tree
    leaf_share, leaf_rows : fewest rows in a leaf, the larger of a share of the training rows and a number
    row_share, bag_rows : share of rows drawn for each tree: what makes ``bag_rows``, between 0.25 and ``row_share``
    feature_share : share of features drawn for each tree
    patience : trees without improvement on the validation rows before it stops
    """

    trees: int = 200
    rate: float = 0.05
    leaves: int = 31
    leaf_share: float = 0.01
    leaf_rows: int = 20
    row_share: float = 0.6
    bag_rows: int = 20_000
    feature_share: float = 0.5
    patience: int = 10


@dataclass(frozen=True, slots=True, eq=False)
class BoostingTask:
    """One quantile to fit: labels of the training and validation rows."""

    level: float
    labels: FloatArray
    validation: FloatArray
    seed: int


def _threads(rows: int) -> int:
    """Return the threads of a prediction: waking a second one costs more than some thousand rows take."""
    return _WORKERS if rows >= _ROWS_FOR_TWO else 1


class BoostedQuantile:
    """A fitted booster; its only form is LightGBM's text."""

    def __init__(self, text: str) -> None:
        import lightgbm as lgb

        self.text = text
        self._booster = lgb.Booster(model_str=text)
        is_mean = "\naverage_output\n" in text.partition("\nTree=0\n")[0]
        self._divisor = max(1, self.trees) if is_mean else 1  # LightGBM adds contributions up where values are a mean

    @property
    def trees(self) -> int:
        """Number of trees."""
        return int(self._booster.current_iteration())

    def predict(self, x: FloatArray) -> FloatArray:
        """Return (R,) standardised values."""
        return np.asarray(self._booster.predict(x, num_threads=_threads(len(x))), dtype=np.float64)

    def contributions(self, x: FloatArray) -> FloatArray:
        """Return (R, F) Shapley contributions to the value, without the constant."""
        shares = self._booster.predict(x, pred_contrib=True, num_threads=_threads(len(x)))
        return np.asarray(shares, dtype=np.float64)[:, :-1] / self._divisor

    def gain(self) -> FloatArray:
        """Return (F,) gain of each feature's splits."""
        return np.asarray(self._booster.feature_importance(importance_type="gain"), dtype=np.float64)


class Forest:
    """Training and validation features, binned once, on which any number of quantiles can be fitted.

    Parameters
    ----------
    x, validation_x : (R, F) and (V, F) features, NaN = missing; with V = 0 nothing stops early
    weights : (R,)
    bins : histogram bins per feature
    """

    def __init__(self, x: FloatArray, validation_x: FloatArray, weights: FloatArray, *, bins: int = 63) -> None:
        share = np.maximum(np.round(weights / max(float(weights.max()), 1e-300) * _WEIGHT_STEPS), 1.0) / _WEIGHT_STEPS
        self._weights = None if bool(np.all(share == share[0])) else share
        self._x, self._validation_x, self._bins = x, validation_x, bins
        self._growers: dict[int, _Grower] = {}

    def fit(
        self, tasks: Sequence[BoostingTask], settings: BoostingSettings, *, averaged: bool = False
    ) -> list[BoostedQuantile]:
        """Return one booster per task, in the order of the tasks.

        Parameters
        ----------
        averaged : each tree is grown on the labels themselves, and the value is their mean (a random forest); rate and
            patience count for nothing then
        """

        def work(worker: int) -> list[tuple[int, BoostedQuantile]]:
            mine = range(worker, len(tasks), _WORKERS)
            if mine and worker not in self._growers:
                self._growers[worker] = _Grower(self._x, self._validation_x, self._weights, self._bins)
            return [(i, self._growers[worker].fit(tasks[i], settings, averaged=averaged)) for i in mine]

        with ThreadPoolExecutor(_WORKERS) as pool:
            done = [pair for part in pool.map(work, range(_WORKERS)) for pair in part]
        return [booster for _, booster in sorted(done, key=lambda pair: pair[0])]


class _Grower:
    """A binned data set that serves several labels, one after another."""

    def __init__(self, x: FloatArray, validation_x: FloatArray, weights: FloatArray | None, bins: int) -> None:
        import lightgbm as lgb

        fixed: dict[str, Any] = {
            "max_bin": bins,
            "verbosity": -1,
            "num_threads": 1,
            "force_row_wise": True,
            "deterministic": True,
            "feature_pre_filter": False,
            "bin_construct_sample_cnt": 20_000,
        }
        self._fixed, self._rows = fixed, len(x)
        self._train = lgb.Dataset(x, label=np.zeros(len(x)), weight=weights, params=fixed, free_raw_data=True)
        self._train.construct()
        self._valid = None
        if len(validation_x):
            zero = np.zeros(len(validation_x))
            self._valid = lgb.Dataset(validation_x, label=zero, reference=self._train, params=fixed)
            self._valid.construct()

    def fit(self, task: BoostingTask, s: BoostingSettings, *, averaged: bool) -> BoostedQuantile:
        """Fit one quantile."""
        import lightgbm as lgb

        bag = float(np.clip(s.bag_rows / max(self._rows, 1), 0.25, s.row_share))
        params = {
            **self._fixed,
            "objective": "quantile",
            "alpha": task.level,
            "metric": "quantile",
            "learning_rate": s.rate,
            "num_leaves": s.leaves,
            "min_data_in_leaf": max(s.leaf_rows, int(s.leaf_share * self._rows)),
            "bagging_fraction": bag,
            "bagging_freq": 1,
            "feature_fraction": s.feature_share,
            "seed": task.seed,
        }
        if averaged:
            params |= {"boosting": "rf"}
        self._train.set_label(task.labels)
        calls, sets = [], []
        if self._valid is not None and not averaged:
            self._valid.set_label(task.validation)
            sets = [self._valid]
            calls = [lgb.early_stopping(s.patience, verbose=False)]
        booster = lgb.train(params, self._train, s.trees, valid_sets=sets, callbacks=calls)
        best = booster.best_iteration if booster.best_iteration > 0 else booster.current_iteration()
        return BoostedQuantile(booster.model_to_string(num_iteration=best))
