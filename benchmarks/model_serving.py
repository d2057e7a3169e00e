"""How long a batch of forecasts takes (SERVE-03: 99 % under 50 ms; trees and linear models under 5 ms on a CPU).

    python -m benchmarks.model_serving [--json] [--repeats 300] [--rounds 40] [--sizes 20,500]
        [--models ridge,quantile_trees,lstm,gru,tft]

A model is fitted on a simulated market: quantiles of close, high and low at horizons 1 and 5, moved by the stored
conformal shift, sorted and made consistent. Three tables for 20 and for up to 500 instruments; wall and processor time,
ms, median and 99th percentile of the repeats:

- forecast: the model alone, features given. Linear and tree models are asked for the newest bar, ``--repeats`` times; a
  network (extra deep) takes one new bar after the other in its live form, ``--rounds`` bars.
- round: what ``foresail forecasts`` does for one new bar: features, scale, forecasts and records of all names.
- anew: the same from the whole history, as after a correction.

Reading the store is not counted. Exit 1 if a batch of at most 20 misses: 5 ms median of a linear or tree model, or
50 ms 99th percentile of any.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from foresail.core.arrays import FloatArray
from foresail.domain.forecast import QUANTILE_LEVELS
from foresail.domain.quality import QualityReport
from foresail.domain.training import ForecasterSpec
from foresail.engine.pipeline import select_instruments
from foresail.engine.settings import MarketData
from foresail.engine.training_sets import ForecastInputs
from foresail.evaluation.self_calibration import simulated_market_data
from foresail.evaluation.simulated_market import SimulationSettings
from foresail.forecasting.class_calibration import ClassCalibration
from foresail.forecasting.class_rule import ClassRule
from foresail.forecasting.interval_shift import IntervalShift
from foresail.forecasting.options import build_forecaster
from foresail.service.feature_names import chosen_names
from foresail.service.loading import Loaded
from foresail.service.models_loading import LoadedModel
from foresail.service.models_registry import ModelEntry, ModelKey
from foresail.service.predicting import settled
from foresail.service.serving_answers import live_answers
from foresail.service.serving_live import LiveMarket
from foresail.service.training_data import available_features, forecast_inputs, plan_parts

FAST_MS, LIMIT_MS = 5.0, 50.0
SIZES = (20, 500)
NETWORKS = ("lstm", "gru", "tft")
MODELS = ("ridge", "quantile_trees", *NETWORKS)
_BARS, _ANEW = 400, 2
# Weights do not change how long a forecast takes: one epoch on few windows is enough.
_SHAPE = {"width": 64, "context_length": 60, "epochs": 1, "stride": 10, "minimum_windows": 1, "threads": 2}


@dataclass(frozen=True)
class Timed:
    """Times of one action, seconds."""

    wall: list[float]
    cpu: list[float]


def timed(actions: list[Callable[[], Any]]) -> Timed:
    """Perform actions one after the other."""
    found = Timed([], [])
    for action in actions:
        began, used = time.perf_counter(), time.process_time()
        action()
        found.wall.append(time.perf_counter() - began)
        found.cpu.append(time.process_time() - used)
    return found


def row(table: str, model: str, names: int, taken: Timed) -> dict[str, Any]:
    """Return a line of the result."""
    return {
        "table": table,
        "model": model,
        "instruments": names,
        "repeats": len(taken.wall),
        **{
            f"{kind}_ms_{word}": round(float(np.percentile(1e3 * np.array(values), q)), 3)
            for kind, values in (("cpu", taken.cpu), ("wall", taken.wall))
            for word, q in (("median", 50), ("p99", 99))
        },
    }


def fitted(name: str, inputs: ForecastInputs) -> LoadedModel:
    """Return a model as the registry would give it."""
    ready, options = plan_parts(inputs, {}), _SHAPE if name in NETWORKS else {}
    context = int(options.get("context_length", 1))
    spec = ForecasterSpec(
        name, "1", inputs.features.fields, inputs.targets.names, (1, 5), QUANTILE_LEVELS, context_length=context
    )
    forecaster = build_forecaster(name, spec, options)
    forecaster.fit(ready.training, seed=1)
    held = ready.training.calibration_rows[-200:]  # what the shift is does not change how long it takes
    raw = forecaster.predict(ready.training.features, held, ready.training.scale)
    entry = ModelEntry(f"stock_1d_{name}_v1", ModelKey("stock", "1d", name), 1, Path(), "champion", "", "")
    shift = IntervalShift.fit(raw, replace(ready.training, calibration_rows=held), spec.levels)
    classes = ClassCalibration.nothing(ClassRule(), len(spec.horizons))
    record = {
        "model_version": f"{name}@1",
        "data": {},
        "instruments": [str(one) for one in inputs.features.instruments],
        "features": {"hash": ""},
    }
    return LoadedModel(entry, record, forecaster, shift, classes, 0)


def forecast_times(model: LoadedModel, inputs: ForecastInputs, repeats: int, rounds: int) -> Timed:
    """Return how long the model alone takes for the newest bar."""
    features, scale, forecaster = inputs.features, inputs.scale, model.forecaster
    last = features.shape[1] - 1
    if model.spec.name in NETWORKS:
        first = last - rounds
        before, now = features.cut(0, first + 1), np.flatnonzero(np.isfinite(scale[:, first]))
        rows = np.column_stack([now, np.full(len(now), first)]).astype(np.int64)
        raw = np.full((len(scale), len(model.spec.targets), 2, len(QUANTILE_LEVELS)), np.nan)
        raw[now] = forecaster.predict(before, rows, scale[:, : first + 1])
        live = live_answers(forecaster, before, scale[:, first], raw)
        if isinstance(live, str):
            raise SystemExit(f"the live form does not answer: {live}")
        told = live

        def take(t: int) -> Callable[[], FloatArray]:
            bar, known = features.cut(t, t + 1), scale[:, t]
            return lambda: settled(model, told.tell(bar, known), known)

        return timed([take(t) for t in range(first + 1, last + 1)])
    chosen = np.flatnonzero(features.present[:, last] & np.isfinite(scale[:, last]))
    rows = np.column_stack([chosen, np.full(len(chosen), last)]).astype(np.int64)
    return timed([lambda: settled(model, forecaster.predict(features, rows, scale), scale[chosen, last])] * repeats)


def round_times(model: LoadedModel, data: MarketData, rounds: int) -> tuple[Timed, Timed]:
    """Return how long one new bar takes, and the whole history."""
    bars = data.bars
    first = bars.shape[1] - rounds
    quality = QualityReport(received=0, accepted=0, expected=0)
    begun = Loaded(replace(data, bars=bars.cut(0, first)), quality, {}, "", ())
    market = LiveMarket(model, begun)
    if market.refusal:
        raise SystemExit(f"{model.spec.name}: {market.refusal}")

    def take(t: int) -> Callable[[], Any]:
        bar, now = bars.cut(t, t + 1), int(bars.available_at[t])
        return lambda: (market.take(bar), market.rows(now))

    live = timed([take(t) for t in range(first, bars.shape[1])])
    whole = Loaded(data, quality, {}, "", ())
    now = int(bars.available_at[-1])
    return live, timed([lambda: LiveMarket(model, whole).rows(now)] * _ANEW)


def measured(names: list[str], sizes: list[int], repeats: int, rounds: int) -> list[dict[str, Any]]:
    """Return every line."""
    data = simulated_market_data(SimulationSettings(instruments=max(sizes), bars=_BARS), 1)
    data = MarketData(bars=data.bars, bar_set=data.bar_set, reference={}, blocked_from=data.blocked_from)
    features, _ = available_features(data, chosen_names("spine")[1])
    here = np.flatnonzero(data.bars.present[:, -1])
    found = []
    markets = [select_instruments(data, here[:size].tolist()) for size in sizes]
    for name in names:
        model = fitted(name, forecast_inputs(markets[0], features, (1, 5)))  # who was seen costs nothing in serving
        for some in markets:
            inputs = forecast_inputs(some, features, (1, 5))
            count = len(some.bars.instruments)
            found.append(row("forecast", name, count, forecast_times(model, inputs, repeats, rounds)))
            live, anew = round_times(model, some, rounds)
            found += [row("round", name, count, live), row("anew", name, count, anew)]
    return found


def missed(rows: list[dict[str, Any]]) -> list[str]:
    """Return the targets that were missed."""
    told = []
    for one in rows:
        if one["table"] != "forecast" or one["instruments"] > SIZES[0]:
            continue
        if one["model"] not in NETWORKS and one["cpu_ms_median"] >= FAST_MS:
            told.append(f"{one['model']}: median {one['cpu_ms_median']} ms, {FAST_MS:g} allowed")
        if one["cpu_ms_p99"] >= LIMIT_MS:
            told.append(f"{one['model']}: 99 % within {one['cpu_ms_p99']} ms, {LIMIT_MS:g} allowed")
    return told


def main() -> int:
    """Measure, print, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--repeats", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--sizes", default=",".join(map(str, SIZES)))
    parser.add_argument("--models", default=",".join(MODELS))
    given = parser.parse_args()
    names = [name.strip() for name in given.models.split(",")]
    if set(NETWORKS) & set(names) and importlib.util.find_spec("torch") is None:
        names = [name for name in names if name not in NETWORKS]
        sys.stderr.write('networks are left out: they need torch (pip install "foresail[deep]")\n')
    rows = measured(names, [int(one) for one in given.sizes.split(",")], given.repeats, given.rounds)
    if given.json:
        sys.stdout.write(json.dumps(rows, indent=1) + "\n")
    else:
        sys.stdout.write(
            f"{'':<10}{'model':<16}{'names':>6}{'times':>7}{'cpu ms':>10}{'p99':>10}{'wall ms':>10}{'p99':>10}\n"
        )
        for one in rows:
            keys = ("cpu_ms_median", "cpu_ms_p99", "wall_ms_median", "wall_ms_p99")
            told = "".join(f"{one[key]:>10.2f}" for key in keys)
            head = f"{one['table']:<10}{one['model']:<16}{one['instruments']:>6}{one['repeats']:>7}"
            sys.stdout.write(f"{head}{told}\n")
    wrong = missed(rows)
    sys.stderr.write("".join(f"missed: {text}\n" for text in wrong))
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
