"""``foresail models``: what is registered, whether it is whole, and which model is in use."""

from __future__ import annotations

from typing import Any

from foresail.core.clock import Clock
from foresail.core.errors import ForesailError, ModelError
from foresail.service.feature_health import health_line
from foresail.service.models_folder import RECORD, read_document
from foresail.service.models_loading import load_model
from foresail.service.models_registry import ModelEntry, ModelRegistry
from foresail.service.outcome import Outcome
from foresail.service.serving_records import last_served
from foresail.service.training_lines import metric_lines
from foresail.service.workspace import find_workspace

__all__ = ["list_models", "promote_model", "remove_model", "retire_model", "show_model", "verify_models"]


def _registry(clock: Clock | None = None) -> ModelRegistry:
    return ModelRegistry(find_workspace(), clock=clock)


def _summary(entry: ModelEntry) -> dict[str, Any]:
    """Return a line of the list; a record that cannot be read is said, not raised."""
    head = {"model": entry.name, "stage": entry.stage, "since": entry.since, "path": str(entry.path)}
    try:
        return head | _figures(read_document(entry.path / RECORD))
    except ModelError as e:
        return {**head, "damaged": e.text}
    except (KeyError, TypeError) as e:
        return {**head, "damaged": f"{entry.path / RECORD} is no record of a model: {type(e).__name__} {e}"}


def _figures(record: dict[str, Any]) -> dict[str, Any]:
    close = [one for one in record["metrics"]["scores"] if one["target"] == "close"]
    return {
        "model_version": record["model_version"],
        "forecaster": record["forecaster"],
        "class": record["class"],
        "frame": record["frame"],
        "usable_from": record["usable_from"],
        "instruments": len(record["instruments"]),
        "features": len(record["features"]["names"]),
        "trials": record["trials"],
        "scores": [
            {key: one[key] for key in ("horizon", "pinball", "no_change_pinball", "coverage", "hit_rate")}
            for one in close
        ],
    }


def list_models() -> Outcome:
    """List the models of the workspace with their stage and what they scored."""
    rows = [_summary(entry) for entry in _registry().entries()]
    lines = [f"{'model':<40} {'stage':<10} {'usable from':<12} {'pinball / no change by horizon'}"]
    for row in rows:
        if "damaged" in row:
            lines.append(f"{row['model']:<40} {row['stage']:<10} damaged: {row['damaged']}")
            continue
        told = ", ".join(f"{s['horizon']}: {s['pinball'] / s['no_change_pinball']:.4f}" for s in row["scores"])
        lines.append(f"{row['model']:<40} {row['stage']:<10} {row['usable_from'][:10]:<12} {told}")
    if not rows:
        lines = ["no model is registered; next: foresail train --bars ..."]
    return Outcome({"models": rows}, lines)


def show_model(name: str) -> Outcome:
    """Show the record of a model, its files verified."""
    registry = _registry()
    entry = registry.find(name)
    record, past = entry.record(), registry.history(entry.name)
    data, served = record["data"], last_served(find_workspace() / "forecasts", entry.name)
    lines = [
        f"{entry.name} ({entry.stage}): {record['model_version']}",
        f"{len(record['instruments'])} instruments, {data['frame']} bars, features {record['features']['hash'][:16]}",
        *(f"{one['part']}: {one['from'][:10]} to {one['to'][:10]}, {one['rows']:,} rows" for one in record["splits"]),
        f"seed {record['seed']}, {record['trials']} trials on these data",
        *metric_lines(record),
        *(f"{one['at'][:19]} {one.get('stage', one['kind'])} {one.get('note', '')}".rstrip() for one in past),
        *(f"{one['data']}, {health_line(one['health'])}" for one in served),
        f"card: {entry.path / 'card.html'}",
    ]
    document = {"model": entry.name, "stage": entry.stage, "history": list(past), "record": record, "served": served}
    return Outcome(document, lines)


def verify_models(name: str | None) -> Outcome:
    """Check that models are what was registered and forecast as they did; exit 4 where one is not."""
    registry = _registry()
    entries = registry.entries() if name is None else (registry.find(name),)
    rows: list[dict[str, Any]] = []
    for entry in entries:
        try:
            load_model(entry)
        except ForesailError as e:
            rows.append({"model": entry.name, "whole": False, "reason": e.text})
        else:
            rows.append({"model": entry.name, "whole": True, "reason": ""})
    broken = [row for row in rows if not row["whole"]]
    lines = [
        f"{row['model']}: " + ("whole, and forecasts as it did" if row["whole"] else row["reason"]) for row in rows
    ]
    return Outcome({"models": rows, "whole": not broken}, lines or ["no model is registered"], 4 if broken else 0)


def promote_model(name: str, *, note: str = "", clock: Clock | None = None) -> Outcome:
    """Make a model the champion of its class, frame and model, after it was loaded and checked."""
    registry = _registry(clock)
    load_model(registry.find(name))
    entry = registry.promote(name, note=note)
    return _changed(entry, f"{entry.name} is the champion of {entry.key}")


def retire_model(name: str, *, note: str = "", clock: Clock | None = None) -> Outcome:
    """Take a model out of use; it stays on disk."""
    entry = _registry(clock).retire(name, note=note)
    return _changed(entry, f"{entry.name} is retired")


def remove_model(name: str, *, clock: Clock | None = None) -> Outcome:
    """Delete a model that is not the champion."""
    entry = _registry(clock).remove(name)
    return Outcome(
        {"model": entry.name, "removed": True}, [f"{entry.name} was removed; its version is not given again"]
    )


def _changed(entry: ModelEntry, text: str) -> Outcome:
    return Outcome({"model": entry.name, "stage": entry.stage, "since": entry.since}, [text])
