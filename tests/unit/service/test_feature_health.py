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
from typer.testing import CliRunner

from foresail.cli.main import app
from foresail.core.canonical import canonical_bytes, hash_value
from foresail.core.clock import SimulatedClock, from_ns
from foresail.core.errors import ConfigError
from foresail.domain.panel import Panel
from foresail.service import feature_health
from foresail.service.feature_health import HealthRequest, features_health
from foresail.service.models import promote_model, show_model
from foresail.service.models_folder import write_manifest
from foresail.service.predicting import PredictRequest, predict_with
from foresail.service.serving_daemon import ServeRequest, serving_status, start_serving
from foresail.service.training import train_model
from foresail.service.training_request import TrainRequest
from foresail.store.embedded import EmbeddedStore
from foresail.testing.builders import bar_set, bar_table, fixed_clock, small_panel

PANEL = small_panel(6, 400)
LAST = from_ns(int(PANEL.end[-1])).date()
MODEL = "stock_1d_ridge_v1"


def quiet(stage: str, done: int, total: int) -> None:
    del stage, done, total


def store(place: Path, panel: Panel, name: str, at: datetime = datetime(2023, 1, 1, tzinfo=UTC)) -> None:
    EmbeddedStore(place / "store").append(bar_table(panel), bar_set(panel, name=name), recorded_at=at)


def wild() -> Panel:
    """Return the bars, four times as wild from the 300th on."""
    values = PANEL.values.copy()
    steps = np.log(values[:, 1:, :4] / values[:, :-1, 3:4])
    close = values[:, :, 3].copy()
    for t in range(300, PANEL.shape[1]):
        close[:, t] = close[:, t - 1] * np.exp(4.0 * steps[:, t - 1, 3])
    values[:, 300:, :4] *= (close / PANEL.values[:, :, 3])[:, 300:, None]
    return replace(PANEL, values=values)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("health")
    (place / "foresail.toml").write_text("version = 1\n")
    store(place, PANEL, "mine")
    store(place, wild(), "wild")
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
    clock = asked.pop("clock", fixed_clock())
    return features_health(HealthRequest(**asked), progress=quiet, clock=clock)


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


def test_the_process_and_the_model_tell_how_inputs_are(workspace: Path) -> None:
    promote_model(MODEL, clock=fixed_clock())
    assert show_model(MODEL).document["served"] == []
    clock = SimulatedClock(from_ns(int(PANEL.end[-1])) + timedelta(minutes=1))
    shutil.rmtree("store")
    store(workspace, PANEL, "mine", clock.now())
    store(workspace, wild(), "wild", clock.now())
    start_serving(ServeRequest(data=("mine", "wild"), once=True), note=lambda _: None, clock=clock)
    status = serving_status()
    mine, other = status.document["last"]["sets"]
    assert mine["health"]["well"] is True
    assert other["health"]["moved"] == health(bars="wild", last=250, at=None, clock=clock).document["moved"]
    assert other["health"]["at"].startswith(LAST.isoformat())
    lines = [line.strip() for line in status.lines if line.strip().startswith("features as of")]
    assert lines[0].endswith(": well")
    assert "NOT WELL: features that have moved" in lines[1]
    shown = show_model(MODEL)
    assert [one["data"] for one in shown.document["served"]] == ["mine", "wild"]
    assert any(line.startswith("wild, features as of") and "NOT WELL" in line for line in shown.lines)


def test_only_the_first_instruments_are_looked_at(workspace: Path) -> None:
    seen = []
    with pytest.MonkeyPatch.context() as patch:
        real = feature_health.model_features
        patch.setattr(feature_health, "model_features", lambda data, names: seen.append(data) or real(data, names))
        result = CliRunner().invoke(
            app, ["features", "health", "--bars", "mine", "--model", MODEL, "--at", LAST.isoformat(), "--names", "2"]
        )
    assert result.exit_code in (0, 4), result.output
    assert [one.bars.shape[0] for one in seen] == [2]


def test_bars_are_asked_for(workspace: Path) -> None:
    with pytest.raises(ConfigError, match="bars"):
        health(bars="")
