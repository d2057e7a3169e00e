"""The calibration of class probabilities and confidence that a saved model carries (EVAL-06, FCST-12).

1. Probabilities of down, neutral and up, and of the sign, are read off the quantiles of the calibration rows.
2. For each horizon nothing, temperature and isotonic scaling are tried: each is fitted on one half of the issue times
   and judged by its log loss on the other, both ways round. Rows whose label reaches into the other half are left out.
3. The best of the three is fitted on all calibration rows. Nothing is the answer unless another is better by more than
   the standard error of the difference: scaling what is honest would only add noise.

References
----------
[Guo2017], [Zadrozny2002]; see ``probabilities``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from foresail.core.arrays import BoolArray, FloatArray, IntArray
from foresail.forecasting.class_rule import ClassRule
from foresail.forecasting.confidence import class_probabilities, confidence, expected_return, probability_up
from foresail.forecasting.probabilities import Scaling, fit_scaling, scaling_content, scaling_of
from foresail.measures.bootstrap import day_clustered_standard_error

__all__ = ["CalibrationRows", "ClassCalibration"]

_FEWEST = 100  # rows in a half below which nothing is fitted
_FEWEST_CLUSTERS = 10  # stretches of one horizon below which no error can be told
_LOWEST = 1e-12  # as in ``probabilities``: a probability of 0 would make one surprise infinitely costly
_METHODS = ("temperature", "isotonic")


@dataclass(frozen=True, slots=True, eq=False)
class CalibrationRows:
    """Forecasts of the close with what came true.

    Attributes
    ----------
    values : (R, H, Q) finished quantiles
    actual : (R, H) log return; NaN = unknown
    deviation : (R, H) standard deviation of the log return over the horizon
    times : (R,) issue times, bar positions
    horizons : H, bars
    levels : Q
    """

    values: FloatArray
    actual: FloatArray
    deviation: FloatArray
    times: IntArray
    horizons: tuple[int, ...]
    levels: tuple[float, ...]

    def known(self, step: int) -> BoolArray:
        """Return (R,) the rows that can be scored at a horizon."""
        whole = np.isfinite(self.values[:, step]).all(axis=1)
        return np.asarray(whole & np.isfinite(self.actual[:, step]) & np.isfinite(self.deviation[:, step]))


@dataclass(frozen=True, slots=True, eq=False)
class ClassCalibration:
    """What is done to class probabilities and confidence, by horizon.

    Attributes
    ----------
    rule : thresholds of the classes
    classes, sign : H scalings of (down, neutral, up) and of (down, up); None leaves them
    rows : H, calibration rows with a known outcome
    """

    rule: ClassRule
    classes: tuple[Scaling | None, ...]
    sign: tuple[Scaling | None, ...]
    rows: tuple[int, ...]

    @classmethod
    def nothing(cls, rule: ClassRule, horizons: int) -> ClassCalibration:
        """Return one that leaves every probability as it is."""
        return cls(rule, (None,) * horizons, (None,) * horizons, (0,) * horizons)

    @classmethod
    def fit(cls, rule: ClassRule, told: CalibrationRows) -> ClassCalibration:
        """Return the calibration of a model from its calibration rows; see the module."""
        classes, sign, rows = [], [], []
        for step, horizon in enumerate(told.horizons):
            known = np.flatnonzero(told.known(step))
            values, actual = told.values[known, step], told.actual[known, step]
            deviation, times = told.deviation[known, step], told.times[known]
            three = class_probabilities(values, told.levels, deviation, rule)
            classes.append(_best(three, rule.classes(actual, deviation), times, horizon))
            moved = actual != 0.0  # no sign came true
            two = _both(probability_up(values[moved], told.levels))
            sign.append(_best(two, (actual[moved] > 0.0).astype(np.int64), times[moved], horizon))
            rows.append(len(known))
        return cls(rule, tuple(classes), tuple(sign), tuple(rows))

    def class_probabilities(
        self, values: FloatArray, levels: Sequence[float], deviation: FloatArray, step: int
    ) -> FloatArray:
        """Return (R, 3) calibrated probabilities of down, neutral, up.

        Parameters
        ----------
        values : (R, Q)
        deviation : (R,)
        step : position of the horizon
        """
        raw, scaling = class_probabilities(values, levels, deviation, self.rule), self.classes[step]
        return raw if scaling is None or not len(raw) else scaling.apply(raw)

    def confidence(self, values: FloatArray, levels: Sequence[float], step: int) -> FloatArray:
        """Return (R,) the calibrated probability of the predicted sign, in [0.5, 1]; arguments as above."""
        scaling = self.sign[step]
        if scaling is None or not len(values):
            return confidence(values, levels)
        up = scaling.apply(_both(probability_up(values, levels)))[:, 1]
        return np.maximum(np.where(expected_return(values, levels) >= 0, up, 1.0 - up), 0.5)

    def methods(self) -> list[dict[str, str]]:
        """Return what was chosen for each horizon, by name."""
        return [
            {"classes": _name(three), "confidence": _name(two)}
            for three, two in zip(self.classes, self.sign, strict=True)
        ]

    def content(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {
            "rule": self.rule.content(),
            "classes": [scaling_content(one) for one in self.classes],
            "confidence": [scaling_content(one) for one in self.sign],
            "rows": list(self.rows),
        }

    @classmethod
    def of(cls, content: dict[str, Any] | None, horizons: int) -> ClassCalibration:
        """Return what ``content`` took apart; None, of models without one, leaves probabilities as they are."""
        if content is None:
            return cls.nothing(ClassRule(), horizons)
        return cls(
            ClassRule.of(content["rule"]),
            tuple(scaling_of(one) for one in content["classes"]),
            tuple(scaling_of(one) for one in content["confidence"]),
            tuple(int(count) for count in content["rows"]),
        )


def _both(up: FloatArray) -> FloatArray:
    return np.stack([1.0 - up, up], axis=-1)


def _name(scaling: Scaling | None) -> str:
    return "none" if scaling is None else str(scaling_content(scaling)["method"])


def _best(told: FloatArray, came: IntArray, times: IntArray, horizon: int) -> Scaling | None:
    """Return the scaling that lowers the log loss most on rows that it was not fitted on; None where none does.

    A gain that is no larger than its standard error, clustered by issue times that share bars, counts as none.
    """
    halves = _halves(times, horizon)
    width = told.shape[1]
    if any(len(half) < _FEWEST or len(np.unique(came[half])) < width for half in halves):
        return None
    judged = np.concatenate(halves[::-1])
    _, place = np.unique(times[judged], return_inverse=True)
    clusters = place // max(1, horizon)
    if clusters.max() + 1 < _FEWEST_CLUSTERS:
        return None
    base = _losses(told[judged], came[judged])
    best, most = "", 0.0
    for method in _METHODS:
        scaled = [
            fit_scaling(method, told[fitted_on], came[fitted_on]).apply(told[judged_on])
            for fitted_on, judged_on in (halves, halves[::-1])
        ]
        gain = base - _losses(np.concatenate(scaled), came[judged])
        if gain.mean() > max(most, day_clustered_standard_error(gain, clusters)):
            best, most = method, float(gain.mean())
    return fit_scaling(best, told, came) if best else None


def _halves(times: IntArray, horizon: int) -> tuple[IntArray, IntArray]:
    """Return the rows of the older and of the newer half of the issue times, purged at the border."""
    if not len(times):
        return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)
    issued = np.unique(times)
    border = issued[len(issued) // 2]
    return np.flatnonzero(times + horizon < border), np.flatnonzero(times >= border)


def _losses(told: FloatArray, came: IntArray) -> FloatArray:
    return np.asarray(-np.log(np.maximum(told[np.arange(len(came)), came], _LOWEST)), dtype=np.float64)
