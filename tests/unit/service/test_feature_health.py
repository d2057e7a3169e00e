"""Inputs of a registered model: fresh, whole, and like those of training; what is not is told, with exit code 4."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from foresail.core.canonical import canonical_bytes, hash_value
from foresail.core.clock import from_ns
from foresail.core.errors import ConfigError
from foresail.domain.panel import Panel
from foresail.service.feature_health import HealthRequest, features_health
from foresail.service.models_folder import write_manifest
from foresail.service.predicting import PredictRequest, predict_with
from foresail.service.training import train_model
from foresail.service.training_request import TrainRequest
from foresail.store.embedded import EmbeddedStore
from foresail.testing.builders import bar_set, bar_table, fixed_clock, small_panel

PANEL = small_panel(6, 400)
LAST = from_ns(int(PANEL.end[-1])).date()
MODEL = "stock_1d_ridge_v1"


def quiet(stage: str, done: int, total: int) -> None:
    del stage, done, total


def store(place: Path, panel: Panel, name: str) -> None:
    EmbeddedStore(place / "store").append(
        bar_table(panel), bar_set(panel, name=name), recorded_at=datetime(2023, 1, 1, tzinfo=UTC)
    )


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("health")
    (place / "foresail.toml").write_text("version = 1\n")
    store(place, PANEL, "mine")
    wild = PANEL.values.copy()
    steps = np.log(wild[:, 1:, :4] / wild[:, :-1, 3:4])
    close = wild[:, :, 3].copy()
    for t in range(300, PANEL.shape[1]):  # four times as wild from there
        close[:, t] = close[:, t - 1] * np.exp(4.0 * steps[:, t - 1, 3])
    wild[:, 300:, :4] *= (close / PANEL.values[:, :, 3])[:, 300:, None]
    store(place, replace(PANEL, values=wild), "wild")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        request = TrainRequest(data="mine", forecaster="ridge", features="log_return_1,log_return_2,rsi_5")
        train_model(request, progress=quiet, clock=fixed_clock())
    return place


@pytest.fixture
def workspace(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(trained, tmp_path / "work")
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path / "work"


def health(**changes: Any) -> Any:
    asked = {"model": MODEL, "bars": "mine", "at": LAST.isoformat(), "last": 200, **changes}
    return features_health(HealthRequest(**asked), progress=quiet, clock=fixed_clock())


def test_bars_like_those_of_training_are_well(workspace: Path) -> None:
    told = health()
    assert told.exit_code == 0
    assert told.document["well"] is told.document["compared"] is True
    assert told.document["moved"] == []
    groups = {one["group"]: one for one in told.document["groups"]}
    assert set(groups) == {"price", "momentum"}
    assert all(one["missing"] == 0.0 and one["drift"] < 0.2 for one in groups.values())
    assert told.lines[-1] == "well"


def test_what_moved_and_carries_the_model_is_told(workspace: Path) -> None:
    told = health(bars="wild")
    assert told.exit_code == 4
    assert "log_return_1" in told.document["moved"]
    assert told.document["carried_by_moved"] > 0.2
    assert "moved since training" in told.document["wrong"][0]


def test_old_bars_are_told(workspace: Path) -> None:
    told = health(at=(LAST + timedelta(days=30)).isoformat())
    assert told.exit_code == 4
    assert len(told.document["wrong"]) == 2
    assert told.document["wrong"][0].endswith("days old")


def test_a_model_of_before_kept_no_rows_to_compare_with(workspace: Path) -> None:
    folder = workspace / "models" / MODEL
    scaler = json.loads((folder / "scaler.json").read_text())
    assert np.array(scaler.pop("quantiles")).shape == (101, 3)
    (folder / "scaler.json").write_bytes(canonical_bytes(scaler))
    record = json.loads((folder / "model.json").read_text())
    (folder / "model.json").write_bytes(canonical_bytes({**record, "scaler_hash": hash_value(scaler)}))
    journal = workspace / "models" / "journal.jsonl"
    first = json.loads(journal.read_text().splitlines()[0])
    journal.write_text(json.dumps({**first, "manifest": write_manifest(folder)}) + "\n")
    told = health(bars="wild")
    assert told.exit_code == 0
    assert told.document["compared"] is False
    assert all(one["drift"] is None for one in told.document["groups"])
    assert "kept no training rows" in told.lines[0]


def test_a_forecast_tells_how_its_inputs_are(workspace: Path) -> None:
    request = PredictRequest(data="wild", model=MODEL, at=LAST.isoformat())
    told = predict_with(request, progress=quiet, clock=fixed_clock()).document["health"]
    assert told["well"] is False
    assert told["moved"] == health(bars="wild", last=250).document["moved"]


def test_bars_are_asked_for(workspace: Path) -> None:
    with pytest.raises(ConfigError, match="bars"):
        health(bars="")
