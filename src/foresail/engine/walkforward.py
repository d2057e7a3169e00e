"""Walk-forward forecasts: fit on the past, serve the next block, keep the intervals calibrated with what has resolved.

1. ``plan_folds`` draws the borders.
2. A fold sees a panel that ends where its model starts to serve: nothing later exists for it.
3. Raw quantiles of the whole test block are corrected with residuals whose labels were known at each issue time.
4. A finished fold is kept in the cache under a hash of everything that went into it, so an interrupted run resumes. A
   network keeps its epochs there as well while it is trained, so the fold in hand is not begun again either.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from foresail.core.arrays import FloatArray, IntArray
from foresail.core.ids import InstrumentId
from foresail.core.seeds import derive_seed
from foresail.domain.forecast import QUANTILE_LEVELS, ForecastBlock
from foresail.domain.panel import Panel
from foresail.domain.training import FitReport, ForecasterSpec, Targets, TrainingSet
from foresail.engine.cache import FoldCache
from foresail.engine.explaining import Contribution, Explained, explain_best, told
from foresail.engine.folds import Fold, plan_folds
from foresail.engine.inspecting import Inside, Issued, look_inside
from foresail.engine.normalised import normalised
from foresail.engine.row_rules import context_of, windows_whole
from foresail.engine.selecting import Choice, choose_features, with_fields
from foresail.engine.settings import PipelineSettings
from foresail.engine.training_sets import ForecastInputs, fitting_rows, of_windows, training_set, usable_rows
from foresail.features.selection import Stability, plan_selection
from foresail.forecasting import calibration, registry
from foresail.forecasting.cross_section import centre_cross_section
from foresail.forecasting.options import attach, build_forecaster

if TYPE_CHECKING:
    from foresail.protocols import Forecaster
from foresail.protocols import Progress

__all__ = ["FoldResult", "RunOptions", "WalkForward", "walk_forward"]


@dataclass(frozen=True, slots=True)
class RunOptions:
    """How a run is carried out; nothing here changes a forecast or a decision.

    Attributes
    ----------
    cache : finished folds; None = compute everything
    explained : whether to work out which features moved the best ranked forecasts
    progress : told how far the run is
    """

    cache: FoldCache | None = None
    explained: bool = False
    progress: Progress | None = None


@dataclass(frozen=True, slots=True)
class FoldResult:
    """What became of one fold; ``reason`` says why it was not fitted, ``selected`` what it reads of the features."""

    fold: Fold
    model: str
    report: FitReport | None
    reason: str = ""
    selected: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class WalkForward:
    """Out-of-sample forecasts at every decision position, with the folds that made them.

    Attributes
    ----------
    contributions : (issued_at, instrument) -> (feature, contribution in log return, value), the leading ones of the
        best ranked instruments
    inside : what a network shows of its newest forecasts; None for other forecasters
    stability : of the selection of features over the folds; None where none was asked for
    """

    block: ForecastBlock
    folds: tuple[FoldResult, ...]
    contributions: dict[tuple[int, InstrumentId], tuple[Contribution, ...]] = field(default_factory=dict)
    inside: Inside | None = None
    stability: Stability | None = None

    def explain(self, now: int, names: Sequence[InstrumentId]) -> dict[InstrumentId, tuple[Contribution, ...]]:
        """Return what moved the forecasts issued at an instant, for the instruments where it was worked out."""
        found = {name: self.contributions.get((now, name)) for name in names}
        return {name: reasons for name, reasons in found.items() if reasons is not None}


@dataclass(frozen=True, slots=True, eq=False)
class _Served:
    """One fold's raw quantiles, (N, P, K, H, Q), and what is told of them.

    Attributes
    ----------
    reasons : contributions by (issued_at, instrument)
    """

    raw: FloatArray | None
    result: FoldResult
    reasons: dict[tuple[int, InstrumentId], tuple[Contribution, ...]]
    inside: Inside | None


def walk_forward(
    features: Panel,
    targets: Targets,
    scale: FloatArray,
    settings: PipelineSettings,
    options: RunOptions | None = None,
) -> WalkForward:
    """Return the forecasts of a walk-forward over a panel.

    Parameters
    ----------
    features : (N, T, F)
    targets : labels of the same axes
    scale : (N, T) volatility of the one-bar log return, known at t
    options : how it is carried out; None = without cache, reasons or progress
    """
    options = RunOptions() if options is None else options
    (n, t, _), every = features.shape, settings.decision_horizon
    folds = plan_folds(t, settings.walk_forward)
    first = folds[0].test_from if folds else t
    positions = np.arange(first + (-first) % every, t, every, dtype=np.int64)
    inputs = ForecastInputs(features, targets, scale, usable_rows(features, targets, scale))
    choice = _choose(inputs, folds, settings, options)
    shape = (n, len(positions), len(targets.names), len(targets.horizons), len(QUANTILE_LEVELS))
    values = np.full(shape, np.nan)
    models = [""] * len(positions)
    results: list[FoldResult] = []
    contributions: dict[tuple[int, InstrumentId], tuple[Contribution, ...]] = {}
    inside: Inside | None = None
    for fold, chosen in zip(folds, choice.fields, strict=True):
        own = _of_fold(options, fold.index, len(folds))
        here = np.flatnonzero((positions >= fold.test_from) & (positions < fold.test_to))
        newest = len(here) > 0 and int(here[-1]) == len(positions) - 1
        rows = _test_rows(inputs, positions[here])
        seen = inputs if chosen is None else replace(inputs, features=with_fields(features, chosen))
        served = _serve(seen, fold, (positions[here], rows), settings, own, newest=newest)
        results.append(replace(served.result, selected=chosen))
        inside = served.inside if newest else None
        if served.raw is not None:
            values[:, here] = served.raw
            contributions |= served.reasons
            for i in here:
                models[i] = served.result.model
    if options.progress is not None:
        options.progress("walk-forward", len(folds), len(folds))
    values = centre_cross_section(values, QUANTILE_LEVELS.index(0.5))
    values = calibration.calibrate_block(
        values,
        targets,
        scale,
        positions,
        window=settings.walk_forward.conformal_window,
        method=settings.calibration,
    )
    block = ForecastBlock(
        values=values,
        position=positions,
        issued_at=features.available_at[positions],
        instruments=features.instruments,
        targets=targets.names,
        horizons=targets.horizons,
        levels=QUANTILE_LEVELS,
        model=tuple(models),
    )
    return WalkForward(block, tuple(results), contributions, inside, choice.stability)


def _choose(inputs: ForecastInputs, folds: Sequence[Fold], settings: PipelineSettings, options: RunOptions) -> Choice:
    """Return which features each fold reads."""
    asked, fields = settings.features, inputs.features.fields
    seed = derive_seed(settings.seed, "selection")
    plan = plan_selection(asked, fields, settings.inputs.selection, k=settings.inputs.keep, seed=seed)
    if plan is None:
        return Choice((None,) * len(folds), None)
    if options.progress is not None:
        options.progress("selecting features", 0, len(folds))
    choice = choose_features(inputs, [fitting_rows(inputs, fold) for fold in folds], plan)
    if options.progress is not None:
        options.progress("selecting features", len(folds), len(folds))
    return choice


def _serve(
    inputs: ForecastInputs,
    fold: Fold,
    asked: tuple[IntArray, IntArray],
    settings: PipelineSettings,
    options: RunOptions,
    *,
    newest: bool,
) -> _Served:
    """Fit one fold and forecast its test positions and rows; ``newest`` = it holds the newest decision."""
    positions, rows = asked
    forecaster = _forecaster(_spec_of(inputs, settings), settings)
    context = context_of(forecaster)
    if context > 1:  # such a window was never learned from
        rows = rows[windows_whole(inputs.features.present, context)[rows[:, 0], rows[:, 1]]]
    data = training_set(of_windows(inputs, context), fold, row_weights=settings.inputs.row_weights)
    least = max(forecaster.spec.minimum_rows, getattr(getattr(forecaster, "settings", None), "minimum_windows", 0))
    if len(data.train_rows) < least:
        reason = f"{len(data.train_rows)} training rows, {least} needed (TRAIN-06)"
        return _Served(None, FoldResult(fold, "", None, reason), {}, None)
    seed = derive_seed(settings.seed, "fold", fold.index)
    cache, key, stored = options.cache, "", None
    unfinished: Path | None = None
    if cache is not None:
        key = cache.key(data, inputs.features, inputs.scale, rows, settings=settings, seed=seed)
        unfinished = cache.folder / f"{key}.training"
        key += ("-inside" if newest else "-explained") if options.explained else ""
        stored = cache.read(key)
    if stored is None:
        report = _fitted(forecaster, data, seed, options.progress, unfinished)
        predicted = forecaster.predict(inputs.features, rows, inputs.scale)
        reasons, inside = Explained.nothing(), None
        traded = settings.decision_horizon
        if options.explained:
            reasons = explain_best(forecaster, inputs.features, rows, predicted, scale=inputs.scale, horizon=traded)
        if options.explained and newest:
            inside = look_inside(forecaster, inputs.features, data, Issued(rows, predicted, inputs.scale, traded))
        if cache is not None:
            cache.write(key, predicted, reasons, inside, report)
    else:
        predicted, reasons, inside, report = stored
    n = len(inputs.features.instruments)
    block = np.full((n, len(positions), *predicted.shape[1:]), np.nan)
    block[rows[:, 0], np.searchsorted(positions, rows[:, 1])] = predicted
    return _Served(block, FoldResult(fold, report.model, report), told(reasons, inputs.features), inside)


def _fitted(
    forecaster: Forecaster, data: TrainingSet, seed: int, progress: Progress | None, unfinished: Path | None
) -> FitReport:
    """Fit; a network tells its epochs and goes on where a killed run of the same fold was."""
    attach(forecaster, progress=progress, checkpoint=unfinished)
    report = forecaster.fit(data, seed=seed)
    attach(forecaster, progress=None, checkpoint=None)
    if unfinished is not None:
        shutil.rmtree(unfinished, ignore_errors=True)
    return report


def _of_fold(options: RunOptions, done: int, count: int) -> RunOptions:
    """Tell that the next fold begins, and return options whose progress says which fold its stages are of."""
    progress = options.progress
    if progress is None:
        return options
    progress("walk-forward", done, count)

    def tell(stage: str, steps: int, total: int) -> None:
        progress(f"fold {done + 1} of {count}: {stage}", steps, total)

    return replace(options, progress=tell)


def _forecaster(spec: ForecasterSpec, settings: PipelineSettings) -> Forecaster:
    if settings.inputs.normalise != "none":
        return normalised(spec, settings.inputs.normalise, dict(settings.forecaster_options))
    if not settings.forecaster_options:
        return registry.forecaster(settings.forecaster, spec)
    return build_forecaster(settings.forecaster, spec, dict(settings.forecaster_options))


def _spec_of(inputs: ForecastInputs, settings: PipelineSettings) -> ForecasterSpec:
    return ForecasterSpec(
        name=settings.forecaster,
        version="1",
        features=inputs.features.fields,
        targets=inputs.targets.names,
        horizons=inputs.targets.horizons,
        levels=QUANTILE_LEVELS,
    )


def _test_rows(inputs: ForecastInputs, positions: IntArray) -> IntArray:
    enough = np.isfinite(inputs.features.values[:, positions]).mean(axis=2) >= 0.5
    ready = inputs.features.present[:, positions] & np.isfinite(inputs.scale[:, positions]) & enough
    time, instrument = np.nonzero(ready.T)
    return np.column_stack([instrument, positions[time]]).astype(np.int64)
