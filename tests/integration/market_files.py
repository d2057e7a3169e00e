"""Markets as a user has them, a folder with Parquet and ``foresail-set.toml``, and what a run said up to a day."""

from __future__ import annotations

import dataclasses
import os
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from foresail.core.arrays import FloatArray
from foresail.core.clock import from_ns
from foresail.engine.pipeline import PipelineResult, run_pipeline
from foresail.engine.walkforward import RunOptions
from foresail.evaluation.simulated_market import SimulationSettings, simulate
from foresail.protocols import Strategy
from foresail.service.loading import load_bars
from foresail.service.run import settings_for
from foresail.service.settings import Overrides
from foresail.store.panels import end_of_day_ns

PRICES = ["open", "high", "low", "close"]
DATA = Path(os.environ.get("FORESAIL_DATA", Path(__file__).parents[3] / "shared" / "data"))
REAL_FILE = DATA / "us_stocks_daily_2003_2016" / "sp500_daily.parquet"
REAL_NAMES = ("AAPL", "AMZN", "BA", "BAC", "CVX", "DIS", "GOOGL", "IBM", "KO", "MSFT", "PFE", "XOM")

# Folds begin at sessions 250, 375, 500, 625 ...; decisions at every fifth session, so folds and decisions meet.
SETTINGS = """version = 1
[run]
forecaster = "{forecaster}"
horizons = {horizons}
capital = "{capital}"
[walk_forward]
train = "500 sessions"
minimum_train = "250 sessions"
refit = "125 sessions"
"""
REFIT, MID_FOLD = 500, 560  # sessions on which a decision falls


def settings_file(folder: Path, forecaster: str = "ridge", capital: str = "1000000 USD") -> Path:
    """Write a settings file that fits small sets."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"settings-{forecaster}.toml"
    horizons = "[5]" if forecaster == "quantile_trees" else "[1, 5]"  # one model fewer for each target
    path.write_text(SETTINGS.format(forecaster=forecaster, horizons=horizons, capital=capital))
    return path


def simulated_frame(*, bars: int = 700, instruments: int = 12, seed: int = 5) -> pd.DataFrame:
    """Return rows of a simulated market with a planted edge, late listings, ended ones and missing bars."""
    simulation = SimulationSettings(
        instruments=instruments, bars=bars, sectors=3, information_coefficient=0.1, first_day="2008-01-02"
    )
    panel = simulate(simulation, seed)
    row, time = np.nonzero(panel.present)
    days = np.array([from_ns(int(end)).date() for end in panel.end])
    symbols = np.array([name.rsplit(".", 1)[-1] for name in panel.instruments])
    columns: dict[str, Any] = {"date": days[time], "symbol": symbols[row]}
    columns |= {name: panel.field(name)[row, time] for name in (*PRICES, "volume")}
    return pd.DataFrame(columns)


def real_frame(first: str = "2003-01-01", last: str = "2008-12-31") -> pd.DataFrame:
    """Return 12 large US stocks; skips where the market data are not there."""
    if not REAL_FILE.is_file():
        pytest.skip(f"needs {REAL_FILE} (say where with FORESAIL_DATA)")
    span = [("ts", ">=", pd.Timestamp(first, tz="UTC")), ("ts", "<=", pd.Timestamp(last, tz="UTC"))]
    frame = pd.read_parquet(REAL_FILE, filters=[("symbol", "in", REAL_NAMES), *span])
    frame.insert(0, "date", frame.pop("ts").dt.date)
    return frame.sort_values(["symbol", "date"], ignore_index=True)


def write_set(folder: Path, frame: pd.DataFrame, *, basis: str = "raw", name: str = "bars") -> Path:
    """Write rows and their description into a folder and return it."""
    folder.mkdir(parents=True, exist_ok=True)
    frame.to_parquet(folder / "bars.parquet", index=False)
    (folder / "foresail-set.toml").write_text(
        f'version = 1\nname = "{name}"\nfiles = ["bars.parquet"]\nclass = "stock"\nframe = "1d"\n'
        f'time = "session"\nprice_basis = "{basis}"\nuniverse = "point_in_time"\n'
    )
    return folder


def sessions(frame: pd.DataFrame) -> list[date]:
    """Return the days of a market, in order."""
    return sorted(frame["date"].unique())


def run_set(folder: Path, settings: Path, *, strategy: Strategy | None = None) -> PipelineResult:
    """Go from files to books as ``foresail run`` does: importer, gate, panel, settings, pipeline."""
    loaded = load_bars(str(folder), workspace=folder)
    resolved = settings_for(loaded, settings, Overrides())
    return run_pipeline(loaded.data, resolved, strategy=strategy, options=RunOptions(explained=strategy is None))


def said_until(result: PipelineResult, day: date) -> dict[str, Any]:
    """Return everything that a run said or did up to the end of a day, by instrument; comparable with ``==``.

    Numbers are compared by their bytes: ``repr`` of a float tells all of it.
    """
    limit = end_of_day_ns(day)
    bars, book, block = result.data.bars, result.backtest, result.walk.block
    t = int(np.searchsorted(bars.available_at, limit, side="right"))
    p = int(np.searchsorted(block.issued_at, limit, side="right"))
    listed = [i for i, there in enumerate(bars.present[:, :t].any(axis=1)) if there]
    features = result.prepared.features
    contributions = {key: repr(told) for key, told in result.walk.contributions.items() if key[0] <= limit}
    return {
        "bars": _by_name(bars.instruments, listed, bars.values[:, :t]),
        "features": (features.fields, _by_name(bars.instruments, listed, features.values[:, :t])),
        "forecasts": _by_name(bars.instruments, listed, block.values[:, :p]),
        "issued_at": block.issued_at[:p].tolist(),
        "models": block.model[:p],
        "explanations": contributions,
        "decisions": [_plain(one) for one in book.signals if one.decided_at <= limit],
        "weights": {key: repr(weight) for key, weight in book.weights.items() if key[0] <= limit},
        "orders": [_plain(one) for one in book.orders if one.order.decided_at <= limit],
        "fills": [_plain(one) for one in book.fills if one.filled_at <= limit],
        "equity": [repr(value) for value in book.net[:t].tolist()],
        "gross": [repr(value) for value in book.gross[:t].tolist()],
    }


def _by_name(names: tuple[str, ...], listed: list[int], values: FloatArray) -> dict[str, bytes]:
    return {str(names[i]): values[i].tobytes() for i in listed}


def _plain(record: Any) -> str:
    return repr(dataclasses.asdict(record))


def differing(first: dict[str, Any], second: dict[str, Any]) -> list[str]:
    """Return which parts of two ``said_until`` differ: a short text where an assert would print a megabyte."""
    return [part for part in first if first[part] != second[part]]


def did_something(said: dict[str, Any]) -> bool:
    """Return whether there was anything to compare: fitted models, decisions, orders, fills."""
    return all(len(said[part]) > 10 for part in ("decisions", "orders", "fills")) and any(said["models"])
