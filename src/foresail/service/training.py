"""``foresail train``: bars to a registered model, by the functions that the main job trains with.

1. The same data, settings, seed and code are one training: asked for again, it names the model that is there.
2. A forecaster that keeps checkpoints goes on where a killed training stood.
3. Forecasts of the test part are made and hashed, the look is a line of the trial registry, and only then are they
   scored (VALID-09), beside baselines on the same rows (BASE). The look counts as a trial of those data from then on.
4. With ``refit`` the same settings are then fitted on all bars, and that model is registered; its record says that the
   scores are those of the first fit.
5. The model is registered whole or not at all, as a candidate.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from foresail.core.canonical import canonical_bytes, hash_value, plain
from foresail.core.clock import Clock, SystemClock
from foresail.core.errors import ModelError
from foresail.domain.calendars import bars_per_year
from foresail.domain.training import FitReport, TrainingSet
from foresail.evaluation.registry import Lineage, Trial, TrialRegistry
from foresail.forecasting.interval_shift import IntervalShift
from foresail.forecasting.options import attach
from foresail.measures.honesty import SharpeSample
from foresail.protocols import Forecaster, Progress
from foresail.reporting.model_card import render_model_card
from foresail.service.models_folder import RECORD, WEIGHTS, read_document
from foresail.service.models_loading import probe_document
from foresail.service.models_registry import ModelRegistry
from foresail.service.outcome import Outcome
from foresail.service.training_baselines import Beside, baseline_rows, paired_tests
from foresail.service.training_card import card_document
from foresail.service.training_classes import fit_classes
from foresail.service.training_data import Ready, plan_refit, scaler_document
from foresail.service.training_importance import PermutationSettings, permutation_importance
from foresail.service.training_job import FittedModel, TrainJob, made_forecaster, resolve_training
from foresail.service.training_progress import EpochLines, history_of
from foresail.service.training_record import training_outcome, training_record
from foresail.service.training_request import TrainRequest, preset_note, with_config
from foresail.service.training_scores import HeldOut, forecast_held_out, score_held_out
from foresail.service.training_sectors import parts_of, tuned_for_sectors
from foresail.service.workspace import find_workspace

__all__ = ["train_model"]


def train_model(
    request: TrainRequest,
    *,
    progress: Progress,
    note: Callable[[str], None] | None = None,
    clock: Clock | None = None,
) -> Outcome:
    """Train, score once and register a model.

    Parameters
    ----------
    note : told a line on every fifth epoch, where the forecaster trains in epochs (TRAIN-21)
    clock : source of the times in journal and trial registry

    Raises
    ------
    UserError
        If the request names something unknown, or an extra is not installed.
    DataError
        If the bars cannot be used.
    ModelError
        If there is too little to train on (TRAIN-06), or training fails.
    """
    watch = SystemClock() if clock is None else clock
    workspace = find_workspace()
    registry = ModelRegistry(workspace, clock=watch)
    progress("reading bars", 0, 1)
    job = resolve_training(with_config(request), workspace, registry, watch)
    progress("reading bars", 1, 1)
    known = registry.same_recipe(job.digest)
    if known is not None:
        return training_outcome(known, known.record(), again=True)
    fitted = _fit(job, job.ready, registry.checkpoint(job.digest), _Told(progress, note))
    progress("scoring the test part", 0, 1)
    held = forecast_held_out(fitted.forecaster, job.ready, fitted.shift)
    trials = _register_look(job, held, workspace, watch)
    metrics = score_held_out(
        held, job.ready, job.spec, classes=fitted.classes, model=fitted.report.model, seed=job.seed
    )
    others, left_out = baseline_rows(
        job.loaded.data,
        job.ready,
        held.rows,
        job.spec,
        seed=job.seed,
        beside=Beside(job.recipe["beside"], job.recipe["normalise"]),
    )
    metrics["paired"] = paired_tests(held.values, others, held.rows, job.ready, job.spec, seed=job.seed)
    progress("scoring the test part", 1, 1)
    if job.request.refit:
        again = hash_value([job.digest, "refit"])
        fitted = _fit(job, plan_refit(job.ready), registry.checkpoint(again), _Told(progress, note))
        registry.drop_checkpoint(again)
    preset = preset_note(job.recipe["preset"], job.key.frame)
    report = replace(fitted.report, notes=(*([preset] if preset else []), *fitted.report.notes, *left_out))
    content = training_record(job, replace(fitted, report=report), metrics, trials)
    entry = registry.register(job.key, lambda folder, name: _write(folder, name, content, fitted))
    registry.drop_checkpoint(job.digest)
    return training_outcome(entry, entry.record(), again=False)


@dataclass(frozen=True, slots=True)
class _Told:
    progress: Progress
    note: Callable[[str], None] | None


def _fit(job: TrainJob, ready: Ready, checkpoint: Path, told: _Told) -> FittedModel:
    """Fit on the training rows of a split, and calibrate intervals and classes on its calibration rows."""
    training = ready.training
    base = None if job.base is None else job.base.forecaster
    forecaster = made_forecaster(job) if base is None else base
    if len(training.train_rows) < forecaster.spec.minimum_rows:
        raise ModelError(
            f"{len(training.train_rows)} training rows, {forecaster.spec.minimum_rows} needed (TRAIN-06)",
            hint="give a longer history or more instruments",
        )
    attach(forecaster, progress=EpochLines(told.progress, told.note, checkpoint), checkpoint=checkpoint)
    silent = not hasattr(forecaster, "progress")  # others tell their epochs themselves
    if silent:
        told.progress("training", 0, 1)
    if base is None:
        report = forecaster.fit(training, seed=job.seed)
    else:
        forecaster, report = tuned_for_sectors(base, training, job)
    report = _with_importance(forecaster, report, training, job.seed)
    if silent:
        told.progress("training", 1, 1)
    for one in parts_of(forecaster):
        attach(one, progress=None, checkpoint=None)
    raw = forecaster.predict(training.features, training.calibration_rows, training.scale)
    shift = IntervalShift.fit(raw, training, job.spec.levels)
    classes = fit_classes(raw, training, job.spec.levels, shift=shift, rule=job.rule)
    return FittedModel(forecaster, report, shift, classes, ready)


def _with_importance(forecaster: Forecaster, report: FitReport, data: TrainingSet, seed: int) -> FitReport:
    """Return the report with permutation importance where a network has none of its own (XPL-02)."""
    if report.importance or not hasattr(parts_of(forecaster)[0], "encode"):
        return report
    found = permutation_importance(forecaster, data, PermutationSettings(seed=seed))
    note = "importance: rise of the validation loss when a feature is permuted" + ("" if found else "; none rose")
    return replace(report, importance=found, notes=(*report.notes, note))


def _register_look(job: TrainJob, held: HeldOut, workspace: Path, clock: Clock) -> int:
    """Record that the test part is looked at, and return the trials that its data have seen."""
    bars, fold = job.loaded.data.bars, job.ready.fold
    lineage = Lineage(
        universe=tuple(job.recipe["instruments"] or bars.instruments),
        frame=bars.frame,
        target="close",
        start=int(bars.end[fold.test_from]),
        end=int(bars.end[fold.test_to - 1]) + 1,
    )
    trial = Trial(
        settings_hash=hash_value({k: v for k, v in job.recipe.items() if k not in ("inputs", "code", "beside")}),
        code_hash=job.recipe["code"],
        lineage=lineage,
        sample=SharpeSample(float("nan"), 0, float("nan"), float("nan")),  # a forecast has no return of its own
        bars_per_year=bars_per_year(bars.calendar, bars.frame),
        run_id=f"train:{job.key}:{held.digest[:12]}",
        registered_at=clock.now().isoformat(),
    )
    registry = TrialRegistry(workspace / "trials.jsonl", runs=workspace / "runs")
    registry.register(trial)
    return registry.count(lineage).n


def _write(folder: Path, name: str, content: dict[str, Any], fitted: FittedModel) -> None:
    """Write everything but the manifest of a model."""
    fitted.forecaster.save(folder / WEIGHTS)
    scaler = scaler_document(fitted.ready.training, fitted.forecaster.spec.features)
    (folder / "scaler.json").write_bytes(canonical_bytes(scaler))
    calibration = {**fitted.shift.content(), "classes": fitted.classes.content()}
    (folder / "calibration.json").write_bytes(canonical_bytes(calibration))
    probe = probe_document(fitted.forecaster, fitted.ready, fitted.shift)
    (folder / "probe.json").write_bytes(canonical_bytes(probe))
    record = plain(
        {
            **content,
            "name": name,
            "history": history_of(folder / WEIGHTS),
            "scaler_hash": hash_value(read_document(folder / "scaler.json")),
            "calibration_hash": hash_value(read_document(folder / "calibration.json")),
        }
    )
    (folder / RECORD).write_bytes(canonical_bytes(record))
    card = card_document(record)
    (folder / "card.json").write_bytes(canonical_bytes(card))
    (folder / "card.html").write_text(render_model_card(card, record), encoding="utf-8")
