"""Down, neutral and up of a training: their thresholds, how often each came, how good and how honest their shares are.

1. The threshold is that of FCST-07: half a standard deviation of the horizon unless another is asked for, and never
   below the cost of a round trip.
2. Class probabilities and confidence are calibrated on the calibration rows, which the model has not learned from.
3. On the test part they are scored as calibrated, and the calibration error is told before and after (EVAL-06).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from foresail.core.arrays import BoolArray, FloatArray, IntArray
from foresail.core.canonical import plain
from foresail.core.errors import ConfigError, DataError
from foresail.domain.training import ForecasterSpec, Targets, TrainingSet
from foresail.engine.settings import MarketData
from foresail.evaluation.class_balance import class_balance
from foresail.evaluation.forecast_scores import class_figures, share_interval
from foresail.evaluation.paired import clusters_of
from foresail.execution.costs import CostModel
from foresail.forecasting.class_calibration import CalibrationRows, ClassCalibration
from foresail.forecasting.class_rule import NEUTRAL_BAND, ClassRule
from foresail.forecasting.confidence import expected_return
from foresail.forecasting.curve import finish
from foresail.forecasting.interval_shift import IntervalShift
from foresail.forecasting.rows import label_unit, scale_unit
from foresail.measures.reliability import reliability_curve
from foresail.service.training_data import Ready
from foresail.service.training_request import TrainRequest

__all__ = ["class_balances", "class_reports", "fit_classes", "rows_told", "rule_of"]

_BINS = 10


def rule_of(request: TrainRequest, data: MarketData, ready: Ready) -> ClassRule:
    """Return the thresholds that a training asks for, the default cost of a round trip under them.

    Raises
    ------
    ConfigError
        If a number is out of range, or both a band and a fixed threshold are given.
    """
    if request.neutral_band is not None and request.fixed_threshold is not None:
        raise ConfigError(
            "--neutral-band scales the threshold by volatility, --fixed-threshold does not",
            hint="give one of the two",
        )
    band = NEUTRAL_BAND if request.neutral_band is None else request.neutral_band
    cost = _round_trip(data, ready.fold.test_from) if request.round_trip_cost is None else request.round_trip_cost
    return ClassRule(band, request.fixed_threshold, cost)


def _round_trip(data: MarketData, before: int) -> float:
    """Return the median cost of a round trip over the instruments at their last bar before a position, fraction."""
    costs = CostModel.of_class(data.bar_set.asset_class, data.bar_set.price_basis)
    known = {one.id: one for one in data.bar_set.instruments}
    close = data.bars.field("close")[:, :before]
    found = []
    for i, name in enumerate(data.bars.instruments):
        seen = np.flatnonzero(np.isfinite(close[i]))
        if len(seen):
            price, at = float(close[i, seen[-1]]), int(data.bars.end[seen[-1]])
            found.append(costs.round_trip_fraction(price, at, known[name]))
    usable = [one for one in found if np.isfinite(one)]
    return round(float(np.median(usable)), 6) if usable else 0.0


def rows_told(
    values: FloatArray, rows: IntArray, targets: Targets, scale: FloatArray, levels: tuple[float, ...]
) -> CalibrationRows:
    """Return forecasts of the close with what came true.

    Parameters
    ----------
    values : (R, K, H, Q) finished quantiles
    rows : (R, 2) instrument and time
    scale : (N, T) volatility of the one-bar log return
    """
    root = np.sqrt(np.asarray(targets.horizons, dtype=np.float64))
    k = targets.names.index("close")
    return CalibrationRows(
        values=values[:, k],
        actual=targets.values[rows[:, 0], rows[:, 1], k],
        deviation=label_unit(scale, rows)[:, None] * root,
        times=rows[:, 1],
        horizons=targets.horizons,
        levels=levels,
    )


def fit_classes(
    raw: FloatArray, data: TrainingSet, levels: tuple[float, ...], *, shift: IntervalShift, rule: ClassRule
) -> ClassCalibration:
    """Return the calibration of classes and confidence on the calibration rows.

    Parameters
    ----------
    raw : (R, K, H, Q), the model's quantiles of these rows; they are moved by ``shift`` first, as in a forecast
    """
    if "close" not in data.targets.names:
        return ClassCalibration.nothing(rule, len(data.targets.horizons))
    rows = data.calibration_rows
    unit = scale_unit(data.scale, rows, data.targets.horizons)
    values = finish(shift.apply(raw, unit), data.targets.names)
    return ClassCalibration.fit(rule, rows_told(values, rows, data.targets, data.scale, levels))


def class_balances(rows: IntArray, ready: Ready, spec: ForecasterSpec, rule: ClassRule) -> list[dict[str, Any]]:
    """Return how often each class came in each part, by horizon, with a warning where they are unequal (TRAIN-04).

    Parameters
    ----------
    rows : (R, 2) of the test part
    """
    parts = {
        "train": ready.training.train_rows,
        "validation": ready.training.validation_rows,
        "calibration": ready.training.calibration_rows,
        "test": rows,
    }
    found = []
    for h, horizon in enumerate(spec.horizons):
        for part, chosen in parts.items():
            came = _came(ready, chosen, h, rule)
            try:
                told = class_balance({part: came}, ("down", "neutral", "up"))[0]
            except DataError as e:  # a class that never came is told; no quantile is fitted to classes
                found.append({"horizon": horizon, "part": part, "counts": [], "imbalance": None, "warning": e.text})
            else:
                own = {"counts": list(told.counts), "imbalance": told.imbalance, "warning": told.warning}
                found.append({"horizon": horizon, "part": part, **own})
    return found


def _came(ready: Ready, rows: IntArray, step: int, rule: ClassRule) -> IntArray:
    """Return the classes that came at the rows where they are known."""
    deviation = label_unit(ready.inputs.scale, rows) * np.sqrt(ready.inputs.targets.horizons[step])
    targets = ready.inputs.targets
    actual = targets.values[rows[:, 0], rows[:, 1], targets.names.index("close"), step]
    known = np.isfinite(actual) & np.isfinite(deviation)
    return rule.classes(actual[known], deviation[known])


def class_reports(told: CalibrationRows, calibration: ClassCalibration) -> list[dict[str, Any]]:
    """Return the classification report of down, neutral and up at each horizon (EVAL-01), and its honesty (EVAL-06).

    ``calibration`` in it holds the expected calibration error of the most probable class and of the confidence, each
    before and after, with the curve after.
    """
    found = []
    plain_one = ClassCalibration.nothing(calibration.rule, len(told.horizons))
    for step, horizon in enumerate(told.horizons):
        known = np.flatnonzero(told.known(step))
        if not len(known):
            continue
        values, actual, deviation = told.values[known, step], told.actual[known, step], told.deviation[known, step]
        came = calibration.rule.classes(actual, deviation)
        clusters = clusters_of(told.times[known], overlap=horizon)
        three = [one.class_probabilities(values, told.levels, deviation, step) for one in (plain_one, calibration)]
        sure = [one.confidence(values, told.levels, step) for one in (plain_one, calibration)]
        right = (expected_return(values, told.levels) >= 0) == (actual > 0)
        moved = actual != 0.0
        methods = calibration.methods()[step]
        found.append({
            "horizon": horizon,
            **class_figures(came, three[1]),
            "calibration": {
                "rows": calibration.rows[step],
                "classes": {"method": methods["classes"]}
                | _honesty([p.max(axis=1) for p in three], [p.argmax(axis=1) == came for p in three], clusters),
                "confidence": {"method": methods["confidence"]}
                | _honesty([s[moved] for s in sure], [right[moved]] * 2, clusters[moved]),
            },
        })  # fmt: skip
    return found


def _honesty(said: list[FloatArray], right: list[BoolArray], clusters: IntArray) -> dict[str, Any]:
    """Return the expected calibration error before and after, with the reliability curve after."""
    if not len(clusters):
        return {"error_before": None, "error": None, "curve": []}
    before, after = (reliability_curve(p, r, bins=_BINS, binning="width") for p, r in zip(said, right, strict=True))
    curve = []
    for i, count in enumerate(after.count.tolist()):
        rows = after.bins == i
        seen = plain(share_interval(right[1][rows], clusters[rows]))
        curve.append({"said": float(after.said[i]), "seen": seen, "rows": count})
    return {"error_before": before.expected_error, "error": after.expected_error, "curve": curve}
