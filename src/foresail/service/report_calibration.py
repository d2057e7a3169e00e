"""Whether the forecast ranges mean what they say: coverage by fold, the model beside baselines, one forecast drawn."""

from __future__ import annotations

import numpy as np

from foresail.domain.signals import Signal
from foresail.engine.pipeline import PipelineResult
from foresail.reporting.model import Absent, BaselineRow, Calibration, CoverageRow, Fan
from foresail.service.finished import Finished
from foresail.service.report_figures import Figures
from foresail.service.report_scores import Score, fold_score, outcomes

__all__ = ["calibration_block"]

_HISTORY = 120  # closes before the forecast that the fan shows


def calibration_block(finished: Finished, shown: Figures) -> Calibration | Absent:
    """Return coverage, baselines and the fan of the newest top-ranked name."""
    close = [one for one in shown.scores if one.target == "close" and one.forecasts]
    if not close:
        return Absent("No forecast has a known outcome yet.")
    model = finished.result.settings.forecaster.replace("_", " ")
    rows = [_row(model, one, is_model=True) for one in close]
    rows += [_row(one.name, one.score) for one in shown.baselines]
    rows.sort(key=lambda row: row.horizon)
    return Calibration(
        coverage=_coverage(finished),
        baselines=tuple(rows),
        fan=_fan(finished),
        notes=_notes(close),
    )


def _coverage(finished: Finished) -> tuple[CoverageRow, ...]:
    result = finished.result
    realised = outcomes(result)
    rows = []
    for fold in result.walk.folds:
        if fold.report is None:
            continue
        for step, horizon in enumerate(result.walk.block.horizons):
            told = fold_score(result, realised, fold, 0, step)
            if told.forecasts:
                name = str(fold.fold.index + 1)
                rows.append(CoverageRow(name, horizon, told.coverage, told.width, told.forecasts))
    return tuple(rows)


def _row(name: str, one: Score, *, is_model: bool = False) -> BaselineRow:
    return BaselineRow(name, one.horizon, one.pinball, one.mae, one.rank_ic, one.hit_rate, is_model=is_model)


def _notes(close: list[Score]) -> tuple[str, ...]:
    said = [
        "Losses are means over the quantile levels, in log return; baselines go through the same folds and the same "
        "calibration, and are scored on the same rows.",
        "Rank correlations are means over decision times, their intervals count stretches of one horizon as one.",
    ]
    for one in close:
        bars = "1 bar" if one.horizon == 1 else f"{one.horizon} bars"
        said.append(
            f"Over {bars} the median had the right sign in {one.hit_rate:.1%}; always saying the more common sign "
            f"would have been right in {one.base_rate:.1%}. Its mean error is {one.mae:.3%}, that of no change "
            f"{one.no_change_mae:.3%}."
        )
    return tuple(said)


def _fan(finished: Finished) -> Fan | Absent:
    result = finished.result
    chosen = _newest_best(result)
    if chosen is None:
        return Absent("No ranked signal came with a forecast.")
    signal, position = chosen
    bars, block = result.data.bars, result.walk.block
    row = block.instruments.index(signal.instrument)
    now = int(block.position[position])
    close = bars.field("close")[row]
    start = max(0, now + 1 - _HISTORY)
    seen = start + np.flatnonzero(np.isfinite(close[start : now + 1]))
    last = float(close[seen[-1]])
    known = {one.id: one for one in result.data.bar_set.instruments}[signal.instrument]
    return Fan(
        label=known.symbol,
        unit=known.currency,
        history_end=bars.end[seen],
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
