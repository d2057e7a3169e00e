"""A workspace with one trained ridge, and how tests train and forecast in it; its fixtures are in ``conftest.py``."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from foresail.core.canonical import canonical_bytes
from foresail.core.clock import from_ns
from foresail.service.models_folder import write_manifest
from foresail.service.models_registry import ModelRegistry
from foresail.service.predicting import PredictRequest, predict_with
from foresail.service.training import train_model
from foresail.service.training_request import TrainRequest
from foresail.testing.builders import fixed_clock, small_panel

__all__ = ["BARS", "LAST_DAY", "PANEL", "REQUEST", "entry", "predict", "quiet", "rewrite", "train"]

BARS = 400
PANEL = small_panel(6, BARS)
LAST_DAY = from_ns(int(PANEL.end[-1])).date().isoformat()
REQUEST = TrainRequest(
    data="mine", forecaster="ridge", features="log_return_1,log_return_5,rsi_14,volatility_20,sma_20"
)


def quiet(stage: str, done: int, total: int) -> None:
    del stage, done, total


def train(**changes: Any) -> dict[str, Any]:
    return train_model(replace(REQUEST, **changes), progress=quiet, clock=fixed_clock()).document


def predict(**changes: Any) -> dict[str, Any]:
    asked = {"data": "mine", "model": "stock_1d_ridge_v1", "at": LAST_DAY, **changes}
    return predict_with(PredictRequest(**asked), progress=quiet, clock=fixed_clock()).document


def entry(workspace: Path, name: str = "stock_1d_ridge_v1") -> Any:
    return ModelRegistry(workspace).find(name)


def rewrite(workspace: Path, file: str, change: Any) -> None:
    """Change a JSON file of the model and make the manifest fit again, as someone would who knows how."""
    path = workspace / "models" / "stock_1d_ridge_v1"
    content = json.loads((path / file).read_text())
    change(content)
    (path / file).write_bytes(canonical_bytes(content))
    digest = write_manifest(path)
    journal = workspace / "models" / "journal.jsonl"
    first = json.loads(journal.read_text().splitlines()[0])
    journal.write_text(json.dumps({**first, "manifest": digest}) + "\n")
