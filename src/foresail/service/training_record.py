"""What is kept and told of a training: ``model.json``, and the last screen of the command."""

from __future__ import annotations

import platform
from dataclasses import asdict
from importlib import metadata
from typing import Any

from foresail import __version__
from foresail.core.arrays import TimeArray
from foresail.core.clock import format_ns
from foresail.core.ids import InstrumentId
from foresail.service.models_folder import MODEL_FORMAT
from foresail.service.models_registry import ModelEntry
from foresail.service.outcome import Outcome
from foresail.service.training_data import FeatureBinding, Ready
from foresail.service.training_inputs import selection_lines, set_ids
from foresail.service.training_job import FittedModel, TrainJob
from foresail.service.training_lines import metric_lines
from foresail.service.training_progress import history_lines

__all__ = ["training_outcome", "training_record"]

_PACKAGES = ("numpy", "scipy", "lightgbm", "torch")


def training_record(job: TrainJob, fitted: FittedModel, metrics: dict[str, Any], trials: int) -> dict[str, Any]:
    """Return ``model.json`` but for the name, which the registry gives, and what is read off the saved weights."""
    bars, spec = job.loaded.data.bars, job.spec
    report, end = fitted.report, bars.end
    usable_from = int(end[min(fitted.ready.fold.test_from, len(end) - 1)])
    learned = sorted({int(i) for i in fitted.ready.training.train_rows[:, 0]})
    names: list[InstrumentId] = [bars.instruments[i] for i in learned]
    return {
        "format": MODEL_FORMAT[0],
        "version": MODEL_FORMAT[1],
        "class": job.key.asset_class,
        "frame": job.key.frame,
        "forecaster": spec.name,
        "model_version": report.model,
        "spec": asdict(spec),
        "horizons": spec.horizons,
        "options": job.options,
        "preset": job.recipe["preset"],
        "features": FeatureBinding.of(spec.features).document(),
        "absent": job.ready.absent,
        "instruments": names,
        "data": _data(job, names),
        "splits": _splits(job.ready, end),
        "refit": _splits(fitted.ready, end) if job.request.refit else [],
        "usable_from": format_ns(usable_from),
        "usable_from_ns": usable_from,
        "seed": job.seed,
        "recipe_hash": job.digest,
        "code": job.recipe["code"],
        "environment": _environment(),
        "metrics": metrics,
        "importance": report.importance,
        "notes": report.notes,
        "feature_sets": set_ids(job.request, bars.frame),
        "selection": job.recipe["selection"],
        "row_weights": job.ready.row_weights,
        "normalise": job.recipe["normalise"],
        "trials": trials,
        "only": list(job.recipe["instruments"]) if job.recipe["per_ticker"] else [],
        "sector": job.recipe["sector"],
        "sectors": {name: list(own) for name, own in job.sectors.items()},
        "base": None if job.base is None else job.base.entry.name,
        "config": _config(job, names, metrics),
    }


def _data(job: TrainJob, names: list[InstrumentId]) -> dict[str, Any]:
    """Return which bars the model was made of."""
    bars, bar_set, fold = job.loaded.data.bars, job.loaded.data.bar_set, job.ready.fold
    return {
        **job.loaded.inputs,
        "from": int(bars.end[fold.train_from]),
        "to": int(bars.end[fold.test_to - 1]),
        "instruments": names,
        "frame": bars.frame,
        "calendar": bars.calendar,
        "price_basis": bar_set.price_basis,
        "universe_basis": bar_set.universe_basis,
    }


def _config(job: TrainJob, names: list[InstrumentId], metrics: dict[str, Any]) -> dict[str, Any]:
    """Return the keys that every export bundle has (MREG-04)."""
    close = next((one for one in metrics["scores"] if one["target"] == "close"), None)
    return {
        "tickers": [one.symbol for one in job.loaded.data.bar_set.instruments if one.id in set(names)],
        "seq_len": job.spec.context_length,
        "features": len(job.spec.features),
        "model_type": job.spec.name,
        "test_accuracy": None if close is None else close["hit_rate"],
        "best_tickers": metrics["best_tickers"],
    }


def _splits(ready: Ready, ends: TimeArray) -> list[dict[str, Any]]:
    fold, training = ready.fold, ready.training
    parts = (
        ("train", fold.train_from, fold.validation_from, len(training.train_rows)),
        ("validation", fold.validation_from, fold.calibration_from, len(training.validation_rows)),
        ("calibration", fold.calibration_from, fold.test_from, len(training.calibration_rows)),
        ("test", fold.test_from, fold.test_to, int(ready.inputs.usable[:, fold.test_from : fold.test_to].sum())),
    )
    return [
        {"part": part, "from": format_ns(int(ends[first])), "to": format_ns(int(ends[last - 1])), "rows": rows}
        for part, first, last, rows in parts
        if last > first
    ]


def _environment() -> dict[str, Any]:
    found: dict[str, str | None] = {}
    for name in _PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = None
    return {"foresail": __version__, "python": platform.python_version(), "packages": found}


def training_outcome(entry: ModelEntry, record: dict[str, Any], *, again: bool) -> Outcome:
    """Return what ``foresail train`` tells of a model.

    Parameters
    ----------
    again : whether it was there before
    """
    splits = {one["part"]: one for one in record["splits"]}
    lines = [
        f"{entry.name} was trained before from the same data, settings, seed and code: nothing was done"
        if again
        else f"registered {entry.name} ({entry.stage}): {record['model_version']}",
        f"{len(record['features']['names'])} features {record['features']['hash'][:16]}, "
        f"{len(record['instruments'])} instruments; trained on {splits['train']['rows']:,} rows "
        f"{splits['train']['from'][:10]} to {splits['train']['to'][:10]}",
        *(f"fitted again on all bars, to {one['to'][:10]}" for one in record["refit"] if one["part"] == "calibration"),
        *history_lines(record["history"]),
        *(f"note: {one}" for one in (*record["notes"], *selection_lines(record.get("selection")))),
        f"test part {splits['test']['from'][:10]} to {splits['test']['to'][:10]}, {splits['test']['rows']:,} rows, "
        f"scored once; {record['trials']} trial{'s' if record['trials'] > 1 else ''} on these data",
        *metric_lines(record),
        f"card: {entry.path / 'card.html'}",
        f"next: foresail predict --model {entry.name} --bars ...    foresail models promote {entry.name}",
    ]
    document = {
        "model": entry.name,
        "registered": not again,
        "stage": entry.stage,
        "path": str(entry.path),
        "card": str(entry.path / "card.html"),
        "record": record,
    }
    return Outcome(document, lines)
