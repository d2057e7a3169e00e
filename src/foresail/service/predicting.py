"""``foresail predict``: a registered model and bars to forecasts (FCST-11), or the reason why there are none.

1. The model is verified and checked against these bars before anything is computed (SERVE-06).
2. Forecasts stand on the last closed bar. Where that is stale, or inputs are incomplete, the row says so and forecasts
   nothing (FCST-19): a set is stale when three bars that its calendar asks for are absent (JOB-26), an instrument when
   it has no bar where the set has its last.
3. Intervals are moved by what the calibration rows asked for, or by what has come true since ("online",
   "adaptive").
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from foresail.core.arrays import FloatArray, IntArray
from foresail.core.clock import Clock, SystemClock, format_ns, to_ns
from foresail.core.errors import ConfigError, LookAheadError, UnknownNameError
from foresail.core.ids import InstrumentId
from foresail.domain.bars import BarSet
from foresail.engine.row_rules import context_of
from foresail.engine.settings import MarketData
from foresail.engine.training_sets import ForecastInputs, of_windows
from foresail.forecasting.curve import finish
from foresail.forecasting.rows import scale_unit
from foresail.protocols import Progress
from foresail.service.feature_health import health_document
from foresail.service.loading import Loaded, load_reading, parse_until
from foresail.service.market_symbols import rows_of_symbols
from foresail.service.models_loading import LoadedModel, load_model
from foresail.service.models_registry import ModelRegistry
from foresail.service.outcome import Outcome
from foresail.service.predicting_last_good import last_good
from foresail.service.predicting_online import CALIBRATIONS, MOVED_BY_OUTCOMES, PastForecasts
from foresail.service.predicting_output import csv_lines, table_lines
from foresail.service.predicting_panel import panel_outcome, panel_weights
from foresail.service.predicting_reasons import leading_reasons, looked_into
from foresail.service.predicting_rows import ForecastRows, standing_of
from foresail.service.reading import Reading
from foresail.service.training_data import forecast_inputs
from foresail.service.workspace import find_workspace

__all__ = ["PredictRequest", "check_moment", "forecast_market", "predict_with", "settled"]


@dataclass(frozen=True, slots=True)
class PredictRequest:
    """What is to be forecast.

    Attributes
    ----------
    model : name, or class_frame_model for its champion; empty = the champion of the class and frame of the bars;
        several, separated by commas, are a panel
    weights : of the models of a panel, above 0; none = equal
    data : as for ``foresail train``
    symbols : ids or tickers; empty = all, of a model of one ticker that one
    at : "2015-12-31": stand at the end of that day, UTC; None = now
    calibration : of ``CALIBRATIONS``
    explain : tell the leading features of each forecast, and of a network similar days and weights
    as_csv : lines are CSV
    reading : frame, extended hours, series and pairs beside the bars
    """

    model: str = ""
    data: str = ""
    weights: tuple[float, ...] = ()
    symbols: tuple[str, ...] = ()
    at: str | None = None
    timezone: str | None = None
    calibration: str = "stored"
    explain: bool = False
    as_csv: bool = False
    reading: Reading = field(default_factory=Reading)


def predict_with(request: PredictRequest, *, progress: Progress, clock: Clock | None = None) -> Outcome:
    """Forecast with a registered model.

    Raises
    ------
    UserError
        If the request names something unknown.
    ModelError
        If the model is not what was registered, or does not fit these bars.
    DataError
        If the bars cannot be used, or the model has learned from the day that it is to forecast.
    """
    if not request.data:
        raise ConfigError("expected bars to forecast from", hint="--bars FILE, or the name of an imported set")
    if request.calibration not in CALIBRATIONS:
        raise UnknownNameError("calibration", request.calibration, CALIBRATIONS)
    names = [one.strip() for one in request.model.split(",") if one.strip()]
    weights = panel_weights(request.weights, names or ["champion"])
    if request.explain and len(names) > 1:
        raise ConfigError("--explain tells the reasons of one model", hint="ask each model by itself")
    watch = SystemClock() if clock is None else clock
    workspace = find_workspace()
    registry = ModelRegistry(workspace, clock=watch)
    progress("reading bars", 0, 1)
    until = parse_until(request.at)
    asked = replace(request.reading, timezone=request.timezone)
    loaded = load_reading(request.data, asked, workspace=workspace, until_ns=until, clock=watch)
    progress("reading bars", 1, 1)
    bar_set = loaded.data.bar_set
    now = to_ns(watch.now()) if until is None else until
    models = [load_model(registry.find(one)) for one in names or [f"{bar_set.asset_class.value}_{bar_set.frame}"]]
    progress("forecasting", 0, len(models))
    told = []
    for model in models:
        told.append(forecast_market(model, loaded, request, now=now))
        progress("forecasting", len(told), len(models))
    if len(models) > 1:
        return panel_outcome(models, told, weights, loaded, as_csv=request.as_csv)
    outcome = _outcome(models[0], loaded, told[0], as_csv=request.as_csv)
    outcome.document["health"] = health_document(models[0], loaded.data, now)
    return outcome


def forecast_market(model: LoadedModel, loaded: Loaded, request: PredictRequest, *, now: int) -> list[dict[str, Any]]:
    """Return a row of ``forecasting.records.RECORD_COLUMNS`` for each instrument and horizon.

    Parameters
    ----------
    now : instant at which the forecast is made, ns UTC

    Raises
    ------
    ModelError
        If class, frame, features or pairs do not fit the model.
    LookAheadError
        If the model has learned from what comes after ``now``.
    """
    data = loaded.data
    check_moment(model, data.bar_set, now)
    model.check_legs(data)
    own = tuple(model.record.get("only") or ())  # of a model of one ticker
    chosen = rows_of_symbols(data, request.symbols or own)
    inputs = forecast_inputs(data, model.spec.features, model.spec.horizons, _targets(model, data))
    inputs = of_windows(inputs, context_of(model.forecaster))
    stored = request.calibration == "stored"
    standing = standing_of(data.bars, inputs.features, inputs.scale)
    shown = ForecastRows(model, data.bar_set, standing, now, calibrated=stored)
    last, ready = data.bars.shape[1] - 1, shown.ready(chosen)
    if request.calibration in MOVED_BY_OUTCOMES and len(ready):
        past = PastForecasts.of(model, data.bars, inputs.features, inputs.scale)
        values = past.calibrated(model, ready, request.calibration)
    else:
        values = _values(model, inputs, ready, last, request.calibration)
    rows = shown.rows(chosen, ready, values)
    good = last_good(model, inputs, data.bars, [i for i in chosen if i not in set(ready.tolist())])
    for row in rows:
        row["last_good"] = good.get((InstrumentId(row["instrument"]), row["horizon"])) if row["stale"] else None
    if request.explain:
        why = leading_reasons(model, inputs, ready, last)
        inside = looked_into(model, inputs, ready, last)
        for row in rows:
            key = InstrumentId(row["instrument"]), row["horizon"]
            row["reasons"] = None if row["stale"] else why[key]
            row.update({} if row["stale"] else inside.get(key, {}))
    return rows


def check_moment(model: LoadedModel, bar_set: BarSet, now: int) -> None:
    """Refuse bars that a model is not made for, and a time before which it has seen the outcomes.

    Raises
    ------
    ModelError
        If class or frame do not fit the model.
    LookAheadError
        If the model has learned from what comes after ``now``.
    """
    model.check_market(bar_set)
    if now < model.usable_from:
        raise LookAheadError(
            f"{model.entry.name} has learned from bars up to {format_ns(model.usable_from)}, it cannot forecast as of "
            f"{format_ns(now)}",
            hint="train a model with --until that day, or choose a later --at",
        )


def _targets(model: LoadedModel, data: MarketData) -> tuple[str, ...]:
    """Return the model's targets that these bars can score; labels of others are not needed to forecast."""
    has_range = data.bars.has("high") and data.bars.has("low")
    return model.spec.targets if has_range or set(model.spec.targets) == {"close"} else ("close",)


def _values(model: LoadedModel, inputs: ForecastInputs, ready: IntArray, last: int, calibration: str) -> FloatArray:
    """Return (M, K, H, Q) finished quantiles of the instruments ``ready`` at their last bar."""
    spec = model.spec
    if len(ready) == 0:
        return np.empty((0, len(spec.targets), len(spec.horizons), len(spec.levels)))
    rows = np.column_stack([ready, np.full(len(ready), last)]).astype(np.int64)
    raw = model.forecaster.predict(inputs.features, rows, inputs.scale)
    return settled(model, raw, inputs.scale[ready, last]) if calibration == "stored" else finish(raw, spec.targets)


def settled(model: LoadedModel, raw: FloatArray, scale: FloatArray) -> FloatArray:
    """Return quantiles moved by what the calibration rows of the training asked for, sorted and made consistent.

    Parameters
    ----------
    raw : (R, K, H, Q) what the forecaster says
    scale : (R,) volatility of the one-bar log return
    """
    every = np.column_stack([np.arange(len(raw)), np.zeros(len(raw))]).astype(np.int64)
    unit = scale_unit(scale[:, None], every, model.spec.horizons)
    return finish(model.shift.apply(raw, unit), model.spec.targets)


def _outcome(model: LoadedModel, loaded: Loaded, rows: list[dict[str, Any]], *, as_csv: bool) -> Outcome:
    stale = sum(1 for one in rows if one["stale"])
    seen = set(model.record["instruments"])
    fresh = sorted({one["instrument"] for one in rows} - seen)
    notes = [*loaded.notes, *model.notes_on(loaded)]
    if fresh:
        notes.append(
            f"not among the instruments it was trained on: {', '.join(fresh[:5])}" + (" ..." if fresh[5:] else "")
        )
    gone = sorted(seen - {str(name) for name in loaded.data.bars.instruments})
    if gone:
        notes.append(
            f"{len(gone)} of {len(seen)} instruments it was trained on are not in these bars ({', '.join(gone[:3])}"
            f"{' ...' if gone[3:] else ''}): features that compare instruments see others here"
        )
    if stale:
        notes.append(f"{stale} of {len(rows)} rows forecast nothing; a past day is asked for with --at YYYY-MM-DD")
    document = {
        "model": model.entry.name,
        "stage": model.entry.stage,
        "model_version": model.version,
        "feature_set_hash": model.record["features"]["hash"],
        "data": loaded.inputs,
        "forecasts": rows,
        "stale": stale,
        "notes": notes,
    }
    lines = csv_lines(rows) if as_csv else table_lines(model.entry.name, model.entry.stage, rows, notes)
    return Outcome(document, lines)
