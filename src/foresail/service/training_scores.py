"""How a trained model did on the part that it has never seen, scored once (VALID-09, EVAL-01 to 03).

Every figure stands on the same rows as the forecast that nothing changes; classes are those of FCST-07.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from foresail.core.arrays import FloatArray, IntArray
from foresail.core.canonical import hash_bytes, plain
from foresail.core.errors import DataError
from foresail.domain.forecast import ForecastBlock
from foresail.domain.training import ForecasterSpec
from foresail.evaluation.class_balance import class_balance
from foresail.evaluation.forecast_scores import class_figures
from foresail.forecasting import registry
from foresail.forecasting.confidence import class_probabilities
from foresail.forecasting.curve import finish
from foresail.forecasting.interval_shift import IntervalShift
from foresail.forecasting.rows import label_unit, scale_unit
from foresail.measures.points import directional_accuracy
from foresail.protocols import Forecaster
from foresail.service.report_scores import Score, score
from foresail.service.training_data import Ready, held_out_rows

__all__ = ["HeldOut", "class_balances", "class_reports", "forecast_held_out", "score_held_out"]

_NEUTRAL_BAND = 0.5  # k of FCST-07
_BEST_TICKER = 0.65  # share of right signs that marks a best ticker (VALID-06)
_FEWEST_OF_TICKER = 50  # forecasts below which a ticker is not judged by itself


@dataclass(frozen=True, slots=True, eq=False)
class HeldOut:
    """Forecasts of the test part, made before its labels were joined.

    Attributes
    ----------
    rows : (R, 2) instrument and time
    values : (R, K, H, Q)
    digest : SHA-256 of rows and values
    """

    rows: IntArray
    values: FloatArray
    digest: str


def forecast_held_out(forecaster: Forecaster, ready: Ready, shift: IntervalShift) -> HeldOut:
    """Return the forecasts of the test part; no label is read."""
    rows = held_out_rows(ready)
    inputs = ready.inputs
    raw = forecaster.predict(inputs.features, rows, inputs.scale)
    unit = scale_unit(inputs.scale, rows, inputs.targets.horizons)
    values = finish(shift.apply(raw, unit), inputs.targets.names)
    filled = np.where(np.isnan(values), np.nan, values + 0.0)
    return HeldOut(rows, values, hash_bytes(rows.astype("<i8").tobytes() + filled.astype("<f8").tobytes()))


def score_held_out(held: HeldOut, ready: Ready, spec: ForecasterSpec, *, model: str, seed: int) -> dict[str, Any]:
    """Return the figures of the test part, by target and horizon, as plain data.

    Parameters
    ----------
    model : version that made the forecasts
    seed : of the resampled intervals and of the yardstick
    """
    block, realised = _block(held.values, held, ready, spec, model)
    still = registry.forecaster("no_change", replace(spec, name="no_change"))
    still.fit(ready.training, seed=seed)
    other, _ = _block(
        still.predict(ready.inputs.features, held.rows, ready.inputs.scale), held, ready, spec, "no_change"
    )
    found = []
    for k in range(len(spec.targets)):
        for h in range(len(spec.horizons)):
            own, yardstick = (score(b, realised, k, h, seed=seed) for b in (block, other))
            if own.forecasts:
                found.append(_figures(own, yardstick))
    document: dict[str, Any] = plain(
        {
            "rows": len(held.rows),
            "predictions_sha256": held.digest,
            "scores": found,
            "classes": class_reports(held, ready, spec),
            "balance": class_balances(held, ready, spec),
            "best_tickers": _best_tickers(block, realised),
        }
    )
    return document


def class_balances(held: HeldOut, ready: Ready, spec: ForecasterSpec) -> list[dict[str, Any]]:
    """Return how often each class came in each part, by horizon, with a warning where they are unequal (TRAIN-04)."""
    parts = {
        "train": ready.training.train_rows,
        "validation": ready.training.validation_rows,
        "calibration": ready.training.calibration_rows,
        "test": held.rows,
    }
    found = []
    for h, horizon in enumerate(spec.horizons):
        for part, rows in parts.items():
            came, _ = _classes(ready, rows, h, horizon)
            try:
                told = class_balance({part: came}, ("down", "neutral", "up"))[0]
            except DataError as e:  # a class that never came is told; no quantile is fitted to classes
                found.append({"horizon": horizon, "part": part, "counts": [], "imbalance": None, "warning": e.text})
            else:
                own = {"counts": list(told.counts), "imbalance": told.imbalance, "warning": told.warning}
                found.append({"horizon": horizon, "part": part, **own})
    return found


def _classes(ready: Ready, rows: IntArray, step: int, horizon: int) -> tuple[IntArray, IntArray]:
    """Return what came at the rows, 0 down, 1 neutral, 2 up (FCST-07), and the positions of rows where it is known."""
    threshold = _NEUTRAL_BAND * label_unit(ready.inputs.scale, rows) * np.sqrt(horizon)
    actual = ready.inputs.targets.values[rows[:, 0], rows[:, 1], 0, step]
    known = np.flatnonzero(np.isfinite(actual) & np.isfinite(threshold))
    up, down = actual[known] > threshold[known], actual[known] < -threshold[known]
    return 1 + up.astype(np.int64) - down.astype(np.int64), known


def class_reports(held: HeldOut, ready: Ready, spec: ForecasterSpec) -> list[dict[str, Any]]:
    """Return the classification report of down, neutral and up at each horizon, with its confusion matrix (EVAL-01)."""
    found = []
    for h, horizon in enumerate(spec.horizons):
        came, known = _classes(ready, held.rows, h, horizon)
        finite = np.isfinite(held.values[known, 0, h]).all(axis=1)
        came, known = came[finite], known[finite]
        if not len(known):
            continue
        deviation = label_unit(ready.inputs.scale, held.rows[known]) * np.sqrt(horizon)
        told = class_probabilities(held.values[known, 0, h], spec.levels, deviation)
        found.append({"horizon": horizon, **class_figures(came, told)})
    return found


def _block(
    values: FloatArray, held: HeldOut, ready: Ready, spec: ForecasterSpec, model: str
) -> tuple[ForecastBlock, FloatArray]:
    """Return the forecasts as a block over the times of the test part, with what came true."""
    inputs = ready.inputs
    positions = np.unique(held.rows[:, 1])
    out = np.full((len(inputs.features.instruments), len(positions), *values.shape[1:]), np.nan)
    out[held.rows[:, 0], np.searchsorted(positions, held.rows[:, 1])] = values
    block = ForecastBlock(
        values=out,
        position=positions,
        issued_at=inputs.features.available_at[positions],
        instruments=inputs.features.instruments,
        targets=spec.targets,
        horizons=spec.horizons,
        levels=spec.levels,
        model=(model,) * len(positions),
    )
    realised: FloatArray = inputs.targets.values[:, positions]
    return block, realised


def _figures(own: Score, yardstick: Score) -> dict[str, Any]:
    return {
        "target": own.target,
        "horizon": own.horizon,
        "forecasts": own.forecasts,
        "pinball": own.pinball,
        "no_change_pinball": yardstick.pinball,
        "coverage": own.coverage,
        "width": own.width,
        "mae": own.mae,
        "no_change_mae": own.no_change_mae,
        "hit_rate": own.hit_rate,
        "base_rate": own.base_rate,
        "matthews": own.matthews,
        "rank_ic": own.rank_ic,
        "rank_days": own.rank_days,
    }


def _best_tickers(block: ForecastBlock, realised: FloatArray) -> list[str]:
    """Return the instruments of which over 65 % of the signs were right at the longest horizon (VALID-06).

    They were picked on the test part, which uses it up for them: a later period must confirm it (VALID-10).
    """
    middle = block.levels.index(0.5)
    best = []
    for i, name in enumerate(block.instruments):
        found = directional_accuracy(realised[i, :, 0, -1], block.values[i, :, 0, -1, middle])
        if found.count >= _FEWEST_OF_TICKER and found.accuracy > _BEST_TICKER:
            best.append(str(name))
    return best
