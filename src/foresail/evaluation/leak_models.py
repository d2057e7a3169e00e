"""Leaks of classes: transforms and forecasters that peek at the rows of a batch, strategies that reach behind the view.

- A transform is fitted on training rows; what it makes of a row may not depend on later rows of the same batch.
- A forecaster with ``fit(x, y)`` and ``predict(x)`` likewise. One of Foresail's own kind (it has ``spec``) is put
  through ``fuzz_forecaster`` on a market with a known signal.
- A step strategy runs in a small pipeline twice, the second time with everything after one bar scrambled: the canary of
  every run (``canaries``). Its decisions before that bar must be the same.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from foresail.core.arrays import FloatArray
from foresail.core.errors import ConfigError
from foresail.core.seeds import generator
from foresail.engine.settings import PipelineSettings, WalkForwardSettings
from foresail.evaluation.canaries import perturbed_future
from foresail.evaluation.fuzz_causality import changed_cells
from foresail.evaluation.leak_causes import explain
from foresail.evaluation.leak_market import HuntData
from foresail.evaluation.leak_report import Leak, LeakReport, report_of, source_line
from foresail.evaluation.self_calibration import simulated_market_data
from foresail.evaluation.simulated_market import SimulationSettings
from foresail.evaluation.trace import Scope, origin, record
from foresail.evaluation.user_file import UserFile, user_code

__all__ = ["hunt_model", "hunt_strategy"]

_TOLERANCE = 1e-9
_SMALL = SimulationSettings(instruments=8, bars=420)
_SETTINGS = PipelineSettings(
    horizons=(5,),
    targets=("close",),
    forecaster="ridge",
    features=("log_return_1", "log_return_5", "log_return_20", "rsi_14", "volatility_20", "price_to_sma_20"),
    walk_forward=WalkForwardSettings(train_bars=260, minimum_train_bars=250, refit_bars=100),
)


def hunt_model(user: UserFile, data: HuntData, seed: int) -> LeakReport:
    """Return the leaks of a class with ``fit`` and ``transform`` or ``predict``.

    Raises
    ------
    ConfigError
        If it cannot be made, fails, or gives other than one row for each row.
    """
    samples = data.tables.get("samples")
    if samples is None:
        raise ConfigError(f"plug-in {user.path}: these bars bring no samples", hint=f"use: foresail leaks {user.path}")
    names = [c for c in samples.columns if c not in ("time", "instrument", "label", "label_end")]
    x, y = np.nan_to_num(samples[names].to_numpy(dtype=np.float64)), samples["label"].to_numpy(dtype=np.float64)
    split = int(0.6 * len(x))
    test = x[split:]
    model = _fitted(user, x[:split], y[:split])
    first = _applied(user, model, test)
    times = samples["time"].astype("int64").to_numpy()[split:]
    for share in (0.02, 0.5, 0.9):
        row = int(share * len(test))
        for what, batch in (("later rows", _later_changed(test, row, seed)), ("rows", test[: row + 1])):
            other = _applied(user, model, batch)
            changed = changed_cells(first[: row + 1], other[: row + 1], tolerance=_TOLERANCE).any(axis=1)
            if changed.any():
                place = int(np.flatnonzero(changed)[-1])
                column = _column(user, model, (test, first, row), names, seed) if what == "later rows" else "rows"
                line, cause = _where(user, (x[:split], y[:split]), test, row, seed)
                leak = Leak(str(user.path), line, column, int(times[place]), cause, source_line(user.source, line))
                return report_of((leak,), (int(times[row]),), "")
    return report_of((), (int(times[0]),), f"{user.path}: no leak, {len(test)} rows transformed or predicted")


def hunt_strategy(user: UserFile, seed: int) -> LeakReport:
    """Return the leak of a step strategy: decisions that changed with the bars after them."""
    market = simulated_market_data(_SMALL, seed)
    with user_code(user.path, f"{user.plugin.__name__}()"):
        strategy = user.plugin()
    with user_code(user.path, "step(state, view)"):
        found = perturbed_future(market, _SETTINGS, strategy=strategy)
    cut = int(found.figures["position"])
    time = int(market.bars.end[cut])
    cause = "decisions change with bars that come after them: the strategy reads the run behind the view"
    leaks = (
        ()
        if found.passed
        else (Leak(str(user.path), user.line, "bars", time, cause, source_line(user.source, user.line)),)
    )
    return report_of(leaks, (time,), f"{user.path}: no leak, decisions before a scrambled future are the same")


def _fitted(user: UserFile, x: FloatArray, y: FloatArray) -> Any:
    what = f"{user.plugin.__name__}.fit"
    with user_code(user.path, what):
        model = user.renewed()()
        wanted = [p for p in inspect.signature(model.fit).parameters.values() if p.default is p.empty]
        model.fit(*(x.copy(), y.copy())[: max(1, len(wanted))])
    return model


def _applied(user: UserFile, model: Any, x: FloatArray) -> FloatArray:
    name = "transform" if user.kind == "transform" else "predict"
    what = f"{user.plugin.__name__}.{name}"
    with user_code(user.path, what):
        result = np.asarray(getattr(model, name)(x.copy()), dtype=np.float64)
    if result.ndim == 0 or len(result) != len(x):
        raise ConfigError(f"plug-in {user.path}: {what}: expected {len(x)} rows, received shape {result.shape}")
    return result.reshape(len(x), -1)


def _later_changed(x: FloatArray, row: int, seed: int, column: int | None = None) -> FloatArray:
    draw = generator(seed, "later rows", row)
    changed = x.copy()
    columns = slice(None) if column is None else slice(column, column + 1)
    part = changed[row + 1 :, columns]
    changed[row + 1 :, columns] = -3.0 * part + 2.0 * draw.standard_normal(part.shape) + 1.0
    return changed


def _column(user: UserFile, model: Any, rows: tuple[FloatArray, FloatArray, int], names: list[str], seed: int) -> str:
    test, first, row = rows
    for k, name in enumerate(names):
        other = _applied(user, model, _later_changed(test, row, seed, k))
        if changed_cells(first[: row + 1], other[: row + 1], tolerance=_TOLERANCE).any():
            return name
    return "rows"


def _where(
    user: UserFile, train: tuple[FloatArray, FloatArray], test: FloatArray, row: int, seed: int
) -> tuple[int, str]:
    recordings = []
    for batch in (test, _later_changed(test, row, seed)):
        model = _fitted(user, *train)
        call: Callable[[], Any] = partial(_applied, user, model, batch)
        recordings.append(record(call, str(user.path), Scope(row + 1, len(test), 0)))
    where = origin(recordings[0], recordings[1], ast.parse(user.source))
    if where is None:
        return user.line, "a row depends on later rows of the same batch"
    return explain(where.statement, where.line)
