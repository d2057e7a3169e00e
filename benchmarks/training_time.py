"""How long the CPU defaults of the TFT train, and what is lost against training on and on.

Run ``python -m benchmarks.training_time --data FILE --out FOLDER``. 50 instruments x 10 years of daily bars: the most
liquid names of the file, as in ``daily_cross_section``. First the defaults (width 32, stride 5, at most 20 epochs,
early stopping), then 50 epochs without early stopping. Target: within 1 % of the best validation loss of the latter,
in at most five minutes on two cores.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks import daily_cross_section as common
from foresail.domain.forecast import QUANTILE_LEVELS
from foresail.domain.training import ForecasterSpec
from foresail.forecasting.neural.settings import NetworkSettings
from foresail.forecasting.neural.tft.forecaster import TftForecaster
from foresail.service.feature_names import chosen_names
from foresail.service.features import FeatureRequest, load_market
from foresail.service.training_data import Ready, available_features, forecast_inputs, plan_parts

LIMIT_S, LIMIT_LOSS = 300.0, 0.01
LONG = 50  # epochs of the reference


def trained(ready: Ready, settings: NetworkSettings, folder: Path) -> dict[str, Any]:
    """Return time and losses of one training, from the folder where it was made before."""
    path = folder / f"epochs_{settings.epochs}.json"
    if path.is_file():
        held: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return held
    inputs = ready.inputs
    spec = ForecasterSpec("tft", "1", inputs.features.fields, inputs.targets.names, common.HORIZONS, QUANTILE_LEVELS)
    model = TftForecaster(spec, settings)
    model.checkpoint = folder / f"checkpoint_{settings.epochs}"
    model.progress = lambda _, done, total: print(f"  epoch {done}/{total}", file=sys.stderr)
    wall, cpu = time.perf_counter(), time.process_time()
    report = model.fit(ready.training, seed=0)
    found = {
        "seconds": round(time.perf_counter() - wall, 1),
        "processor_seconds": round(time.process_time() - cpu, 1),
        "validation_loss": model.history["validation_loss"],
        "notes": list(report.notes),
    }
    path.write_text(json.dumps(found, indent=1), encoding="utf-8")
    return found


def main() -> None:
    """Train twice and compare."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, help="file of daily bars")
    parser.add_argument("--out", type=Path, required=True, help="folder for checkpoints and results")
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    _, data = load_market(FeatureRequest(bars=given.data))
    data = common.most_liquid(data, 50)
    names, absent = available_features(data, chosen_names("spine", data.bar_set.asset_class)[1])
    ready = plan_parts(forecast_inputs(data, names, common.HORIZONS, ("close",)), absent)
    defaults = NetworkSettings()
    short = trained(ready, defaults, given.out)
    long = trained(ready, replace(defaults, epochs=LONG, patience=LONG), given.out)
    loss, reference = min(short["validation_loss"]), min(long["validation_loss"])
    lost = loss / reference - 1
    print(f"defaults: {short['seconds']:.0f} s, {len(short['validation_loss'])} epochs, validation loss {loss:.5f}")
    print(f"{LONG} epochs: {long['seconds']:.0f} s, validation loss {reference:.5f}; the defaults lose {lost:+.2%}")
    print("met" if lost <= LIMIT_LOSS and short["seconds"] <= LIMIT_S else "not met", "(1 %, 300 s)")


if __name__ == "__main__":
    main()
