"""Whether the forecast ranges mean what they say: coverage by fold, the model beside baselines, one forecast drawn."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from foresail.domain.signals import Signal
from foresail.engine.pipeline import PipelineResult
from foresail.evaluation.monitoring import MonitoringRules, Resolved, monitor_forecasts
from foresail.reporting.figures import bars, percent
from foresail.reporting.model import Absent, BaselineRow, Calibration, CoverageRow, Fan
from foresail.service.finished import Finished
from foresail.service.report_baselines import refit_every
from foresail.service.report_figures import Figures
from foresail.service.report_scores import Score, outcomes, score

__all__ = ["calibration_block"]

_HISTORY = 120  # closes before the forecast that the fan shows
_WATCHED = 20  # newest issue times with outcomes that are compared with all before them


def calibration_block(finished: Finished, shown: Figures) -> Calibration | Absent:
    """Return coverage, baselines and the fan of the newest top-ranked name."""
    close = [one for one in shown.scores if one.target == "close" and one.forecasts]
    if not close:
        return Absent("No forecast has a known outcome yet.")
    model = finished.result.settings.forecaster.replace("_", " ")
    left_out = tuple(one.text for one in shown.left_out)
    rows, fewer = _table(finished.result, shown, close, model)
    return Calibration(
        coverage=_coverage(shown),
        baselines=tuple(rows),
        fan=_fan(finished),
        notes=(*_notes(close, refit_every(finished.result)), *fewer, *left_out, *_monitored(finished.result)),
        left_out=left_out,
    )


def _table(
    result: PipelineResult, shown: Figures, close: list[Score], model: str
) -> tuple[list[BaselineRow], tuple[str, ...]]:
    """Return the rows by horizon, and a note where one forecast less than the model: it is scored there once more."""
    block, all_of = result.walk.block, {one.horizon: one.forecasts for one in close}
    rows = [_row(model, one, is_model=True) for one in close]
    seen: set[tuple[int, bytes]] = set()
    for one in shown.baselines:
        count, horizon = one.score.forecasts, one.score.horizon
        if count == all_of.get(horizon, 0):
            rows.append(_row(one.name, one.score))
            continue
        made = np.isfinite(one.loss)
        if count and (horizon, made.tobytes()) not in seen:
            there = replace(block, values=np.where(made[:, :, None, None, None], block.values, np.nan))
            step = block.horizons.index(horizon)
            ours = score(there, outcomes(result), 0, step, seed=result.settings.seed)
            rows.append(_row(f"{model} ({count:,} forecasts)", ours, is_model=True))
        seen.add((horizon, made.tobytes()))
        rows.append(_row(f"{one.name} ({count:,} forecasts)", one.score))
    every = "; ".join(f"{all_of[horizon]:,} over {bars(horizon)}" for horizon in sorted(all_of))
    note = (
        f"Where one forecast fewer rows than {model} ({every}), their number stands behind its name, and {model} is "
        "scored on those rows once more."
    )
    return sorted(rows, key=lambda row: row.horizon), (note,) if seen else ()


def _coverage(shown: Figures) -> tuple[CoverageRow, ...]:
    return tuple(
        CoverageRow(
            str(one.fold.fold.index + 1),
            one.score.horizon,
            one.score.coverage,
            one.score.width,
            one.score.forecasts,
        )
        for one in shown.folds
        if one.score.target == "close" and one.score.forecasts
    )


def _row(name: str, one: Score, *, is_model: bool = False) -> BaselineRow:
    return BaselineRow(name, one.horizon, one.pinball, one.mae, one.rank_ic, one.hit_rate, is_model=is_model)


def _notes(close: list[Score], every: int) -> tuple[str, ...]:
    refits = "" if every == 1 else f" (refitted at one border of {every})"
    said = [
        "Losses are means over the quantile levels, in log return. Baselines go through the same walk-forward and the "
        f"same calibration{refits}, and are scored on the same rows.",
        "Rank correlations are means over decision times; their intervals count stretches of one horizon as one. A "
        "baseline without a direction ranks too: its median is a small multiple of each name's volatility.",
    ]
    said += [
        f"Over {bars(one.horizon)} the median had the right sign in {percent(one.hit_rate)}; always saying the more "
        f"common sign would have been right in {percent(one.base_rate)}. Its mean error is {percent(one.mae, 3)}; "
        f"forecasting exactly no change would have given {percent(one.no_change_mae, 3)}."
        for one in close
    ]
    said += [_errors(one) for one in close]
    return tuple(said)


def _errors(one: Score) -> str:
    """Return squared and price errors beside no change, and how often the value at risk was exceeded (EVAL-02, 05)."""
    text = (
        f"Over {bars(one.horizon)} the root mean squared error is {percent(one.rmse, 3)} (no change "
        f"{percent(one.no_change_rmse, 3)}); as a price the median was off by {percent(one.mape, 3)} of the price that "
        f"came (no change {percent(one.no_change_mape, 3)}: such a figure flatters)."
    )
    var = one.value_at_risk
    if var is None or not math.isfinite(var.share):
        return text
    tested = (
        f" By instrument the number of breaches is wrong in {var.kupiec} of {var.tested} (Kupiec), the number or the "
        f"rhythm in {var.christoffersen} (Christoffersen)."
        if var.tested
        else ""
    )
    return f"{text} {percent(var.share)} of outcomes fell below the 5 % value at risk.{tested}"


def _monitored(result: PipelineResult) -> tuple[str, ...]:
    """Return what the rules for retraining say about the newest resolved forecasts of the traded horizon."""
    block = result.walk.block
    h = block.horizons.index(result.settings.decision_horizon)
    low, high = block.levels.index(0.10), block.levels.index(0.90)
    forecast, outcome = block.values[:, :, 0, h], outcomes(result)[:, :, 0, h]
    known = np.isfinite(outcome) & np.isfinite(forecast).all(axis=2)
    times = np.flatnonzero(known.any(axis=0))
    if len(times) < 2 * _WATCHED:
        return ()
    position, name = np.nonzero(known.T)
    rows, came = forecast[name, position], outcome[name, position]
    apart = came[:, None] - rows
    levels = np.asarray(block.levels)
    loss = np.maximum(levels * apart, (levels - 1.0) * apart).mean(axis=1)
    recent = int(np.count_nonzero(position >= times[-_WATCHED]))
    report = monitor_forecasts(
        Resolved(block.issued_at[position], rows[:, low], rows[:, high], came, loss),
        float(loss[:-recent].mean()),
        rules=MonitoringRules(recent=recent),
    )
    said = "; ".join(one.text for one in report.rulings) or "none of the rules asks for a new model"
    return (
        f"Over the last {_WATCHED} issue times ({recent:,} forecasts) P10 to P90 held "
        f"{percent(report.coverage[-1])}, and the loss was {report.loss_ratio[-1]:.2f} times that of all before: "
        f"{said}.",
    )


def _fan(finished: Finished) -> Fan | Absent:
    result = finished.result
    chosen = _newest_best(result)
    if chosen is None:
        return Absent("No ranked signal came with a forecast.")
    signal, position = chosen
    panel, block = result.data.bars, result.walk.block
    row = block.instruments.index(signal.instrument)
    now = int(block.position[position])
    close = panel.field("close")[row]
    start = max(0, now + 1 - _HISTORY)
    seen = start + np.flatnonzero(np.isfinite(close[start : now + 1]))
    last = float(close[seen[-1]])
    known = {one.id: one for one in result.data.bar_set.instruments}[signal.instrument]
    return Fan(
        label=known.symbol,
        unit=known.currency,
        history_end=panel.end[seen],
        history=close[seen],
        horizons=block.horizons,
        levels=block.levels,
        quantiles=last * np.exp(block.values[row, position, 0]),
        realised=last * np.exp(outcomes(result)[row, position, 0]),
    )


def _newest_best(result: PipelineResult) -> tuple[Signal, int] | None:
    """Return the best ranked signal of the newest decision that has a whole forecast, with its issue time."""
    block = result.walk.block
    issued = {int(at): p for p, at in enumerate(block.issued_at)}
    row = {name: i for i, name in enumerate(block.instruments)}
    for signal in sorted(result.backtest.signals, key=lambda s: (-s.decided_at, s.rank, s.instrument)):
        position = issued.get(signal.decided_at)
        if position is not None and np.isfinite(block.values[row[signal.instrument], position, 0]).all():
            return signal, position
    return None
