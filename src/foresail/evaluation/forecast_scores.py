"""How good the forecasts of a table are: losses row by row, the figures of EVAL-01 to 05, and calibration.

Each kind has one loss on which everything is compared: quantiles the mean pinball loss over the levels, classes the
Brier score, points the absolute error, variances QLIKE. Shares come with intervals clustered by issue time.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from scipy.special import stdtrit

from foresail.core.arrays import BoolArray, FloatArray, IntArray
from foresail.domain.runs import Interval
from foresail.evaluation.forecast_table import OWN, ForecastTable
from foresail.measures.bootstrap import day_clustered_standard_error
from foresail.measures.classes import class_report, probability_scores
from foresail.measures.exceedances import conditional_coverage, kupiec_test
from foresail.measures.points import directional_accuracy, mean_absolute_error, price_errors, root_mean_square_error
from foresail.measures.quantiles import MINIMUM_LEVELS, crps_from_quantiles
from foresail.measures.ranks import rank_correlation
from foresail.measures.reliability import reliability_curve

__all__ = [
    "LOSS_NAMES",
    "BandRow",
    "CalibrationReport",
    "ReliabilityBin",
    "calibration_of",
    "class_figures",
    "figures_of",
    "row_losses",
    "share_interval",
]

LOSS_NAMES = {
    "quantiles": "mean pinball loss over the levels",
    "classes": "Brier score (sum over classes)",
    "point": "mean absolute error",
    "variance": "QLIKE",
}
_NAN = float("nan")
_BINS = 10
_LOWEST = 1e-15  # probability below which the log loss is cut, so that one certainty gone wrong stays finite
_VAR_LEVELS = (0.01, 0.025, 0.05)


@dataclass(frozen=True, slots=True)
class ReliabilityBin:
    """What was said and what came: ``said`` is the nominal level or mean probability, ``seen`` the share that came."""

    label: str
    said: float
    seen: Interval
    rows: int


@dataclass(frozen=True, slots=True)
class BandRow:
    """A central range: what it promises, holds, and its mean width in the unit of the outcome."""

    label: str
    nominal: float
    coverage: Interval
    width: float


@dataclass(frozen=True, slots=True)
class CalibrationReport:
    """Whether forecasts mean what they say, at one horizon.

    Attributes
    ----------
    error : quantiles: mean distance of seen from nominal share over the levels; classes: expected calibration error
    curve : by level, or by decile of the highest probability
    bands : central ranges, the widest first; empty for classes
    histogram : share of outcomes between neighbouring quantiles (the PIT without interpolation)
    """

    horizon: int
    error: float
    curve: tuple[ReliabilityBin, ...]
    bands: tuple[BandRow, ...]
    histogram: tuple[ReliabilityBin, ...]


def row_losses(table: ForecastTable, values: FloatArray) -> FloatArray:
    """Return the loss of each row, (M,); NaN where the forecast is absent.

    Parameters
    ----------
    values : (M, ·), a forecast of the table's form
    """
    actual = table.outcome
    if table.kind == "quantiles":
        levels = np.array(table.levels)
        gap = actual[:, None] - values
        loss: FloatArray = np.maximum(levels * gap, (levels - 1.0) * gap).mean(axis=1)
        return loss
    if table.kind == "classes":
        came = (actual[:, None] == np.arange(3)).astype(np.float64)
        return np.asarray(((values - came) ** 2).sum(axis=1))
    if table.kind == "variance":
        ratio = actual / values[:, 0]
        return np.asarray(ratio - np.log(ratio) - 1.0)
    return np.abs(actual - values[:, 0])


def share_interval(hits: BoolArray, clusters: IntArray) -> Interval:
    """Return the share of hits with its 95 % interval clustered by issue time, inside [0, 1]."""
    value = float(hits.mean()) if len(hits) else _NAN
    count = len(np.unique(clusters))
    if count < 2:
        return Interval(value, _NAN, _NAN)
    reach = float(stdtrit(count - 1.0, 0.975)) * day_clustered_standard_error(hits.astype(np.float64), clusters)
    return Interval(value, max(0.0, value - reach), min(1.0, value + reach))


def figures_of(table: ForecastTable, values: FloatArray) -> dict[str, Any]:
    """Return the figures of one forecast on the rows on which it exists, by name.

    Parameters
    ----------
    values : (M, ·), a forecast of the table's form
    """
    made: BoolArray = np.asarray(np.isfinite(values).all(axis=1))
    table, values = table.where(made), values[made]
    if table.kind == "classes":
        return class_figures(table.outcome.astype(np.int64), values)
    if table.kind == "variance":
        ratio = table.outcome / values[:, 0]
        return {
            "rows": len(values),
            "qlike": float(row_losses(table, values).mean()),
            "rmse": root_mean_square_error(table.outcome, values[:, 0]),
            "realised_over_forecast": float(ratio.mean()),
        }
    middle = values[:, _middle(table)] if table.kind == "quantiles" else values[:, 0]
    found = _point_figures(table, middle)
    if table.kind == "quantiles":
        found |= _quantile_figures(table, values)
    return found


def _middle(table: ForecastTable) -> int:
    return int(np.argmin(np.abs(np.array(table.levels) - 0.5)))


def _point_figures(table: ForecastTable, point: FloatArray) -> dict[str, Any]:
    base = np.zeros(len(point)) if table.last is None else table.last
    sign = directional_accuracy(table.outcome - base, point - base)
    found: dict[str, Any] = {
        "rows": len(point),
        "mae": mean_absolute_error(table.outcome, point),
        "no_change_mae": mean_absolute_error(table.outcome, base),
        "rmse": root_mean_square_error(table.outcome, point),
        "hit_rate": sign.accuracy,
        "base_rate": sign.base_rate,
        "matthews": sign.matthews,
        **_rank_figures(table, point - base),
    }
    if table.last is not None:
        told = price_errors(table.outcome, point, table.last)
        found |= {"mape": told.mape, "no_change_mape": told.naive_mape}
    spread = float(np.var(point))
    if spread > 0.0:  # Mincer and Zarnowitz: outcome = intercept + slope * forecast
        slope = float(np.mean((point - point.mean()) * (table.outcome - table.outcome.mean()))) / spread
        found |= {"slope": slope, "intercept": float(table.outcome.mean() - slope * point.mean())}
    return found


def _rank_figures(table: ForecastTable, point: FloatArray) -> dict[str, Any]:
    """Return RankIC over issue times, by horizon pooled where there are several."""
    names, row = np.unique(table.instrument.astype(str), return_inverse=True)
    if len(names) < 2:
        return {"rank_ic": _NAN, "rank_ic_days": 0, "rank_ic_days_skipped": 0}
    keys = np.stack([table.issued_at, table.horizon], axis=1)
    _, time = np.unique(keys, axis=0, return_inverse=True)
    time = time.reshape(-1)
    grids = [np.full((len(names), int(time.max()) + 1), np.nan) for _ in range(2)]
    base = 0.0 if table.last is None else table.last
    for grid, values in zip(grids, (point, table.outcome - base), strict=True):
        grid[row, time] = values
    rank = rank_correlation(grids[0], grids[1])
    return {"rank_ic": rank.mean, "rank_ic_days": rank.days, "rank_ic_days_skipped": rank.skipped}


def _quantile_figures(table: ForecastTable, values: FloatArray) -> dict[str, Any]:
    levels, actual = np.array(table.levels), table.outcome
    gap = actual[:, None] - values
    losses = np.maximum(levels * gap, (levels - 1.0) * gap).mean(axis=0)
    found: dict[str, Any] = {
        "mean_quantile_loss": float(losses.mean()),
        "pinball": {f"{level:g}": float(loss) for level, loss in zip(levels, losses, strict=True)},
        "value_at_risk": [
            _breaches(table, values[:, i], level) for i, level in enumerate(levels) if level in _VAR_LEVELS
        ],
    }
    if len(levels) >= MINIMUM_LEVELS:
        found["crps"] = crps_from_quantiles(actual, values, table.levels)
    return found


def _breaches(table: ForecastTable, quantile: FloatArray, level: float) -> dict[str, Any]:
    """Return how often outcomes fell below a low quantile, and in how many instruments the count or rhythm is wrong.

    Instruments are tested one by one and at one-bar horizons only: others are not independent.
    """
    hits = table.outcome < quantile
    found: dict[str, Any] = {"level": float(level), "breaches": int(hits.sum()), "share": float(hits.mean())}
    one_bar = table.horizon == 1
    tested = wrong_count = wrong_rhythm = 0
    for name in sorted(set(table.instrument[one_bar].tolist())):
        series = hits[one_bar & (table.instrument == name)]
        if len(series) >= 100:
            tested += 1
            wrong_count += int(kupiec_test(len(series), int(series.sum()), level=float(level)).p_value < 0.05)
            wrong_rhythm += int(conditional_coverage(series.astype(np.float64), level=float(level)).p_value < 0.05)
    return found | {"instruments_tested": tested, "kupiec_rejects": wrong_count, "christoffersen_rejects": wrong_rhythm}


def class_figures(actual: IntArray, probabilities: FloatArray) -> dict[str, Any]:
    """Return the classification report of EVAL-01.

    Parameters
    ----------
    actual : (M,) 0, 1, 2 for down, neutral, up
    probabilities : (M, 3); the class with the highest is the answer, the first of equals
    """
    if not len(actual):
        return {"rows": 0}
    found, scores = class_report(actual, probabilities.argmax(axis=1)), probability_scores(actual, probabilities)
    report = {
        name: {
            "precision": float(found.precision[i]),
            "recall": float(found.recall[i]),
            "f1": float(found.f1[i]),
            "rows": int(found.confusion[i].sum()),
        }
        for i, name in enumerate(found.names)
    }
    return {
        "rows": found.count,
        "accuracy": found.accuracy,
        "base_rate": found.base_rate,
        "always_neutral": found.always_neutral,
        "balanced_accuracy": found.balanced_accuracy,
        "matthews": found.matthews,
        "log_loss": scores.log_loss,
        "brier": scores.brier,
        "classes": report,
        "confusion": found.confusion.tolist(),
    }


def calibration_of(table: ForecastTable, clusters: IntArray) -> CalibrationReport | None:
    """Return the calibration of the tested forecast on a table of one horizon; None for points and variances.

    Parameters
    ----------
    clusters : (M,), see ``paired.clusters_of``
    """
    horizon = int(table.horizon[0])
    values = table.forecasts[OWN]
    if table.kind == "classes":
        return _class_calibration(table, values, clusters, horizon)
    if table.kind != "quantiles":
        return None
    actual, levels = table.outcome, table.levels
    curve = tuple(
        ReliabilityBin(f"P{100 * level:g}", level, share_interval(actual <= values[:, i], clusters), len(actual))
        for i, level in enumerate(levels)
    )
    bands = []
    for i, low in enumerate(levels[: len(levels) // 2]):
        upper = len(levels) - 1 - i
        if abs(low + levels[upper] - 1.0) < 1e-9:
            inside = (actual >= values[:, i]) & (actual <= values[:, upper])
            label = f"P{100 * low:g} to P{100 * levels[upper]:g}"
            width = float((values[:, upper] - values[:, i]).mean())
            bands.append(BandRow(label, levels[upper] - low, share_interval(inside, clusters), width))
    place = (actual[:, None] > values).sum(axis=1)
    edges = (0.0, *levels, 1.0)
    names = ["below " + curve[0].label, *(f"{a.label} to {b.label}" for a, b in pairwise(curve))]
    histogram = tuple(
        ReliabilityBin(name, edges[i + 1] - edges[i], share_interval(place == i, clusters), int((place == i).sum()))
        for i, name in enumerate([*names, "above " + curve[-1].label])
    )
    error = float(np.mean([abs(one.seen.value - one.said) for one in curve]))
    return CalibrationReport(horizon, error, curve, tuple(bands), histogram)


def _class_calibration(table: ForecastTable, values: FloatArray, clusters: IntArray, horizon: int) -> CalibrationReport:
    said = values.max(axis=1)
    right = values.argmax(axis=1) == table.outcome
    found = reliability_curve(said, right, bins=_BINS, binning="width")
    curve = []
    for i, count in enumerate(found.count.tolist()):
        rows = found.bins == i
        place = min(int(said[rows][0] * _BINS), _BINS - 1)
        label = f"{100 * place // _BINS} to {100 * (place + 1) // _BINS} %"
        curve.append(ReliabilityBin(label, float(found.said[i]), share_interval(right[rows], clusters[rows]), count))
    return CalibrationReport(horizon, found.expected_error, tuple(curve), (), ())
