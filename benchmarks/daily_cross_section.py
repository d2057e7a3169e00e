"""Daily cross-section of the most liquid US names: linear, boosted trees, LSTM, GRU and TFT on the same inputs.

Run ``python -m benchmarks.daily_cross_section --data FILE --out FOLDER``. One purged split in time, 60 % training (its
newest sixth stops early), 20 % validation (half of it calibrates), 20 % test. Names are the most liquid ones of the
training part by median dollar volume. Every forecaster reads the same features; networks see 60 bars of them, with a
stride of 5, at most 10 epochs, width 32. Each (forecaster, seed) is kept, so an interrupted run goes on. ``--names 363
--device cuda`` trains on all names of the file with a GPU.

Printed: RankIC of the 5-bar expected return on the test days with an interval over days (cosine variance, as labels
overlap), coverage of P10 to P90, and what the best fifth of the names made from week to week after costs less 1/N of
the same names (screening path: fractional units, costs as a fraction of value), and processor seconds of all fits.
Networks may lose; the table says so.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from foresail.core.arrays import FloatArray, IntArray
from foresail.core.canonical import hash_value
from foresail.domain.forecast import QUANTILE_LEVELS
from foresail.domain.training import ForecasterSpec
from foresail.engine import comparators
from foresail.engine.pipeline import select_instruments
from foresail.engine.settings import MarketData
from foresail.forecasting.confidence import expected_return
from foresail.forecasting.neural.precision import device_of
from foresail.forecasting.neural.settings import NetworkSettings
from foresail.forecasting.registry import forecaster_class
from foresail.measures.clustered import DayMean, mean_over_days
from foresail.measures.ranks import rank_correlation
from foresail.service.feature_names import chosen_names
from foresail.service.features import FeatureRequest, load_market
from foresail.service.training_data import Ready, available_features, forecast_inputs, held_out_rows, plan_parts

FORECASTERS = ("ridge", "quantile_trees", "lstm", "gru", "tft")
SEEDED = ("lstm", "gru", "tft")
HORIZONS = (1, 5)
COST = 0.0005  # of value a side: half a spread of 5 bp, slippage and fees of a liquid large stock
BEST = 0.2  # share of the names that is held
WEEK = 5


@dataclass(frozen=True)
class Protocol:
    """What is compared on what."""

    names: int = 50
    features: str = "spine"
    width: int = 32
    epochs: int = 10
    stride: int = 5
    seeds: int = 3
    device: str = "cpu"


def most_liquid(data: MarketData, count: int) -> MarketData:
    """Return the names with the highest median dollar volume of the first 60 % of the bars."""
    known = int(0.6 * data.bars.shape[1])
    traded = (data.bars.field("close") * data.bars.field("volume"))[:, :known]
    level = np.array([np.median(row[np.isfinite(row)]) if np.isfinite(row).sum() > 252 else 0.0 for row in traded])
    return select_instruments(data, np.argsort(-level, kind="stable")[:count].tolist())


def made(name: str, ready: Ready, protocol: Protocol) -> Any:
    """Return a forecaster of the protocol."""
    inputs = ready.inputs
    spec = ForecasterSpec(name, "1", inputs.features.fields, inputs.targets.names, HORIZONS, QUANTILE_LEVELS)
    kind = forecaster_class(name)
    if name not in SEEDED:
        return kind(spec)
    chosen = {
        "width": protocol.width,
        "epochs": protocol.epochs,
        "stride": protocol.stride,
        "device": protocol.device,
    }
    settings_type: type[NetworkSettings] = kind.settings_type
    return kind(spec, settings_type(**chosen))


def forecast(name: str, seed: int, ready: Ready, protocol: Protocol, out: Path) -> tuple[FloatArray, float]:
    """Return the (R, K, H, Q) test quantiles of a forecaster and the processor seconds of its fit, kept or made."""
    model = made(name, ready, protocol)
    settings = asdict(model.settings) if name in SEEDED else {}
    told = {field: value for field, value in asdict(protocol).items() if field != "device"}  # settings have it
    key = hash_value([name, seed, told, settings, ready.training.features.values.shape])[:16]
    path = out / f"{name}_{seed}_{key}.npz"
    if path.is_file():
        held = np.load(path, allow_pickle=False)
        return held["quantiles"], float(held["seconds"])
    if name in SEEDED:
        model.checkpoint = out / f"checkpoint_{key}"
        model.progress = lambda _, done, total: print(f"  {name} seed {seed}: epoch {done}/{total}", file=sys.stderr)
    begin = time.process_time()
    report = model.fit(ready.training, seed=seed)
    spent = time.process_time() - begin
    print(f"  {name} seed {seed}: {spent:.0f} s; {'; '.join(report.notes)}", file=sys.stderr)
    quantiles = model.predict(ready.inputs.features, held_out_rows(ready), ready.inputs.scale)
    np.savez(path, quantiles=quantiles, seconds=spent)
    return quantiles, spent


def weekly_net(score: FloatArray, data: MarketData, first: int) -> tuple[FloatArray, FloatArray]:
    """Return the weekly log returns of the best fifth and of 1/N after costs, rebalanced every five bars."""
    bars = data.bars
    settings = comparators.SweepSettings(COST, COST, 100_000.0, at_open=bars.has("open"))
    positions = np.arange(first, bars.shape[1] - WEEK - 1, WEEK)
    known = np.isfinite(score[:, positions]).T
    order = np.argsort(np.argsort(np.where(known, -score[:, positions].T, np.inf), axis=1, kind="stable"), axis=1)
    held = known & (order < np.maximum(1, np.round(known.sum(axis=1, keepdims=True) * BEST)))
    curves = []
    for chosen in (held, known):
        weights = comparators.equal_weights(chosen, 1.0)
        curves.append(comparators.sweep(bars, weights, positions, settings)[positions[0] :: WEEK])
    best, all_names = (np.diff(np.log(curve)) for curve in curves)
    return best, all_names


def judged(quantiles: FloatArray, rows: IntArray, ready: Ready, data: MarketData) -> dict[str, Any]:
    """Return the figures of one forecaster on the test rows."""
    inputs, h = ready.inputs, HORIZONS.index(5)
    n, t = inputs.scale.shape
    score = np.full((n, t), np.nan)
    score[rows[:, 0], rows[:, 1]] = expected_return(quantiles[:, 0, h], QUANTILE_LEVELS)
    label = inputs.targets.values[:, :, 0, h]
    first = ready.fold.test_from
    daily = rank_correlation(score[:, first:], label[:, first:]).daily
    actual = label[rows[:, 0], rows[:, 1]]
    inside = (actual >= quantiles[:, 0, h, 1]) & (actual <= quantiles[:, 0, h, 5])
    best, every = weekly_net(score, data, first)
    apart = best - every
    return {
        "rank_ic": told(mean_over_days(daily, dependence="cosine")),
        "coverage": round(float(inside[np.isfinite(actual)].mean()), 4),
        "net_yearly": round(float(best.mean() * 52), 4),
        "one_nth_yearly": round(float(every.mean() * 52), 4),
        "apart_yearly": told(mean_over_days(apart * 52)),
    }


def told(mean: DayMean) -> list[float]:
    """Return mean and interval, rounded."""
    return [round(x, 4) for x in (mean.interval.value, mean.interval.low, mean.interval.high)]


def compared(data: MarketData, protocol: Protocol, out: Path, forecasters: tuple[str, ...]) -> dict[str, Any]:
    """Return the table of all forecasters; several seeds are judged by their mean quantiles and one by one."""
    out.mkdir(parents=True, exist_ok=True)
    data = most_liquid(data, protocol.names)
    names, absent = available_features(data, chosen_names(protocol.features, data.bar_set.asset_class)[1])
    ready = plan_parts(forecast_inputs(data, names, HORIZONS, ("close",)), absent)
    rows = held_out_rows(ready)
    table: dict[str, Any] = {}
    for name in forecasters:
        seeds = range(protocol.seeds if name in SEEDED else 1)
        made_by = [forecast(name, seed, ready, protocol, out) for seed in seeds]
        mean = np.mean([quantiles for quantiles, _ in made_by], axis=0)
        row = judged(mean, rows, ready, data)
        row["by_seed"] = [judged(quantiles, rows, ready, data)["rank_ic"][0] for quantiles, _ in made_by]
        row["fit_seconds"] = round(sum(spent for _, spent in made_by), 1)
        table[name] = row
        print(line(name, row), flush=True)
    return {
        "protocol": asdict(protocol),
        "instruments": [str(one) for one in data.bars.instruments],
        "training_rows": len(ready.training.train_rows),
        "test_rows": len(rows),
        "features": len(names),
        "table": table,
    }


HEAD = (
    f"{'':15s}{'RankIC':>8s} {'95 % interval':>17s} {'by seed':>22s} {'P10-P90':>8s} {'net/year':>9s}"
    f" {'1/N':>7s} {'apart':>7s} {'95 % interval':>17s} {'fit':>7s}"
)


def line(name: str, row: dict[str, Any]) -> str:
    """Return a line of the table."""
    ic, apart = row["rank_ic"], row["apart_yearly"]
    seeds = " ".join(f"{one:+.3f}" for one in row["by_seed"]) if len(row["by_seed"]) > 1 else ""
    return (
        f"{name:15s}{ic[0]:+8.4f} [{ic[1]:+.4f}, {ic[2]:+.4f}] {seeds:>22s} {row['coverage']:8.1%}"
        f" {row['net_yearly']:+9.1%} {row['one_nth_yearly']:+7.1%} {apart[0]:+7.1%} [{apart[1]:+.1%}, {apart[2]:+.1%}]"
        f" {row['fit_seconds']:6.0f}s"
    )


def main() -> None:
    """Run the comparison."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, help="file of daily bars")
    parser.add_argument("--out", type=Path, required=True, help="folder for forecasts, checkpoints and results.json")
    parser.add_argument("--forecasters", default=",".join(FORECASTERS))
    for field, value in asdict(Protocol()).items():
        parser.add_argument(f"--{field}", type=type(value), default=value)
    given = parser.parse_args()
    protocol = Protocol(**{field: getattr(given, field) for field in asdict(Protocol())})
    device_of(protocol.device)  # refused before anything is read
    _, data = load_market(FeatureRequest(bars=given.data))
    print(HEAD)
    result = compared(data, protocol, given.out, tuple(given.forecasters.split(",")))
    (given.out / "results.json").write_text(json.dumps(result, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
