"""How a trained model did on the part that it has never seen, scored once (VALID-09, EVAL-01 to 03).

Every figure stands on the same rows as the forecast that nothing changes; classes are those of FCST-07.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from foresail.core.arrays import FloatArray, IntArray
from foresail.core.canonical import hash_bytes, plain
from foresail.domain.forecast import ForecastBlock
from foresail.domain.training import ForecasterSpec
from foresail.forecasting import registry
from foresail.forecasting.class_calibration import ClassCalibration
from foresail.forecasting.curve import finish
from foresail.forecasting.interval_shift import IntervalShift
from foresail.forecasting.rows import scale_unit
from foresail.measures.points import directional_accuracy
from foresail.protocols import Forecaster
from foresail.service.report_scores import Score, score
from foresail.service.training_classes import class_balances, class_reports, rows_told
from foresail.service.training_data import Ready, held_out_rows
from foresail.service.training_variance import variance_figures

__all__ = ["HeldOut", "forecast_held_out", "score_held_out"]

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


def score_held_out(
    held: HeldOut, ready: Ready, spec: ForecasterSpec, *, classes: ClassCalibration, model: str, seed: int
) -> dict[str, Any]:
    """Return the figures of the test part, by target and horizon, as plain data.

    Parameters
    ----------
    classes : calibration of class probabilities, with the thresholds of the classes
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
                variance = None
                if registry.is_of_volatility(spec.name) and spec.targets[k] == "close":
                    told, still_told = block.values[:, :, k, h], other.values[:, :, k, h]
                    variance = variance_figures(told, still_told, realised[:, :, k, h], spec.levels)
                found.append(_figures(own, yardstick) | {"variance": variance})
    classes_told = rows_told(held.values, held.rows, ready.inputs.targets, ready.inputs.scale, spec.levels)
    document: dict[str, Any] = plain(
        {
            "rows": len(held.rows),
            "predictions_sha256": held.digest,
            "scores": found,
            "class_rule": classes.rule.content(),
            "classes": class_reports(classes_told, classes) if "close" in spec.targets else [],
            "balance": class_balances(held.rows, ready, spec, classes.rule),
            "best_tickers": _best_tickers(block, realised),
        }
    )
    return document


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
        "rmse": own.rmse,
        "no_change_rmse": own.no_change_rmse,
        "mape": own.mape,
        "no_change_mape": own.no_change_mape,
        "value_at_risk": own.value_at_risk,
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
    middle, k = block.levels.index(0.5), block.targets.index("close")
    best = []
    for i, name in enumerate(block.instruments):
        found = directional_accuracy(realised[i, :, k, -1], block.values[i, :, k, -1, middle])
        if found.count >= _FEWEST_OF_TICKER and found.accuracy > _BEST_TICKER:
            best.append(str(name))
    return best
