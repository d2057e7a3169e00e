"""How long one batch of forecasts takes with a fitted linear or tree model (SERVE-03: under 5 ms on a CPU).

    python -m benchmarks.model_serving [--json] [--repeats 300]

A model is fitted on a simulated market, then asked for the newest bar of 20 and of up to 500 instruments: quantiles of
close, high and low at horizons 1 and 5, moved by the stored conformal shift, sorted and made consistent. Reading bars
and computing features is not counted (`foresail bench features` measures that). Wall and processor time, ms, median and
99th percentile of the repeats. Exit 1 if the median processor time of 20 instruments is 5 ms or more.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from typing import Any

import numpy as np

from foresail.domain.forecast import QUANTILE_LEVELS
from foresail.domain.training import ForecasterSpec
from foresail.engine.training_sets import ForecastInputs
from foresail.evaluation.self_calibration import simulated_market_data
from foresail.evaluation.simulated_market import SimulationSettings
from foresail.forecasting.curve import finish
from foresail.forecasting.interval_shift import IntervalShift
from foresail.forecasting.options import build_forecaster
from foresail.forecasting.rows import scale_unit
from foresail.service.feature_names import chosen_names
from foresail.service.training_data import available_features, forecast_inputs, plan_parts

TARGET_MS = 5.0
SIZES = (20, 500)


def _inputs() -> ForecastInputs:
    data = simulated_market_data(SimulationSettings(instruments=max(SIZES), bars=400), 1)
    names, _ = available_features(data, chosen_names("spine")[1])
    return forecast_inputs(data, names, (1, 5))


def _times(name: str, inputs: ForecastInputs, repeats: int) -> list[dict[str, Any]]:
    ready = plan_parts(inputs, {})
    spec = ForecasterSpec(name, "1", inputs.features.fields, inputs.targets.names, (1, 5), QUANTILE_LEVELS)
    forecaster = build_forecaster(name, spec, {})
    forecaster.fit(ready.training, seed=1)
    held = ready.training.calibration_rows
    raw = forecaster.predict(ready.training.features, held, ready.training.scale)
    shift = IntervalShift.fit(raw, ready.training, spec.levels)
    last = inputs.features.shape[1] - 1
    present = np.flatnonzero(inputs.features.present[:, last] & np.isfinite(inputs.scale[:, last]))
    found = []
    for size in SIZES:
        chosen = present[:size]
        rows = np.column_stack([chosen, np.full(len(chosen), last)]).astype(np.int64)
        wall, cpu = np.empty(repeats), np.empty(repeats)
        for i in range(repeats):
            began, used = time.perf_counter(), time.process_time()
            raw = forecaster.predict(inputs.features, rows, inputs.scale)
            finish(shift.apply(raw, scale_unit(inputs.scale, rows, spec.horizons)), spec.targets)
            wall[i], cpu[i] = time.perf_counter() - began, time.process_time() - used
        found.append(
            {
                "model": name,
                "instruments": len(chosen),
                **{
                    f"{kind}_ms_{word}": round(float(np.percentile(1e3 * taken, q)), 3)
                    for kind, taken in (("cpu", cpu), ("wall", wall))
                    for word, q in (("median", 50), ("p99", 99))
                },
            }
        )
    return found


def main() -> int:
    """Measure, print, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--repeats", type=int, default=300)
    given = parser.parse_args()
    inputs = _inputs()
    rows = [row for name in ("ridge", "quantile_trees") for row in _times(name, inputs, given.repeats)]
    if given.json:
        sys.stdout.write(json.dumps(rows, indent=1) + "\n")
    else:
        sys.stdout.write(f"{'model':<16}{'names':>6}{'cpu ms':>9}{'p99':>9}{'wall ms':>9}{'p99':>9}\n")
        for row in rows:
            told = "".join(f"{row[k]:>9.3f}" for k in ("cpu_ms_median", "cpu_ms_p99", "wall_ms_median", "wall_ms_p99"))
            sys.stdout.write(f"{row['model']:<16}{row['instruments']:>6}{told}\n")
    missed = [row for row in rows if row["instruments"] == SIZES[0] and row["cpu_ms_median"] >= TARGET_MS]
    return 1 if missed else 0


if __name__ == "__main__":
    raise SystemExit(main())
