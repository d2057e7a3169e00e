"""Training end to end with ridge: what is registered, and what is refused."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from tests.unit.service.trained_ridge import PANEL, REQUEST, entry, predict, quiet, train

from foresail.core.clock import from_ns
from foresail.core.errors import (
    CapabilityError,
    ConfigError,
    DataError,
    LookAheadError,
    ModelError,
    UnknownNameError,
    UserError,
)
from foresail.domain.model_card import MODEL_CARD_KEYS
from foresail.domain.training import FitReport
from foresail.evaluation.registry import TrialRegistry
from foresail.forecasting.linear import Ridge
from foresail.service import training_data
from foresail.service.models_registry import ModelRegistry
from foresail.service.training import train_model
from foresail.testing.builders import bar_set, fixed_clock

pytestmark = pytest.mark.usefixtures("same_code")


def test_the_record_says_what_was_done(trained):
    record = trained[1]["record"]
    assert trained[1]["model"] == record["name"] == "stock_1d_ridge_v1"
    assert record["features"]["names"] == ["log_return_1", "log_return_5", "rsi_14", "volatility_20", "sma_20"]
    assert [one["part"] for one in record["splits"]] == ["train", "validation", "calibration", "test"]
    rows = [one["rows"] for one in record["splits"]]
    assert rows[0] > 2.5 * rows[3]
    assert record["config"]["model_type"] == "ridge"
    assert record["config"]["features"] == 5
    assert len(record["config"]["tickers"]) == 6
    assert {(s["target"], s["horizon"]) for s in record["metrics"]["scores"]} == {
        (k, h) for k in ("close", "high", "low") for h in (1, 5)
    }
    assert np.array(record["metrics"]["classes"][0]["confusion"]).sum() == record["metrics"]["classes"][0]["rows"]
    balance = record["metrics"]["balance"]
    assert [one["part"] for one in balance[:4]] == ["train", "validation", "calibration", "test"]
    assert sum(balance[3]["counts"]) == record["metrics"]["classes"][0]["rows"]
    assert [sum(row) for row in record["metrics"]["classes"][0]["confusion"]] == balance[3]["counts"]
    card = json.loads((trained[0] / "models/stock_1d_ridge_v1/card.json").read_text())
    assert set(card) == {path.removesuffix("[]") for path, *_ in MODEL_CARD_KEYS}
    page = (trained[0] / "models/stock_1d_ridge_v1/card.html").read_text()
    assert "Test part, scored once" in page
    assert "stock_1d_ridge_v1" in page


def test_parts_are_purged_of_labels_that_reach_on(trained, monkeypatch):
    monkeypatch.chdir(trained[0])
    data = training_data
    from foresail.service.loading import load_bars

    loaded = load_bars("mine", workspace=trained[0])
    ready = data.plan_parts(data.forecast_inputs(loaded.data, ("log_return_1", "rsi_14"), (1, 5)), {})
    fold, training = ready.fold, ready.training
    for rows, border in (
        (training.train_rows, fold.validation_from),
        (training.validation_rows, fold.calibration_from),
        (training.calibration_rows, fold.test_from),
    ):
        assert rows[:, 1].max() + 5 < border
    assert training.features.shape[1] == fold.test_from
    assert data.held_out_rows(ready)[:, 1].min() == fold.test_from
    usable = np.flatnonzero(ready.inputs.usable.any(axis=0))
    assert fold.test_from == usable[int(len(usable) * 0.8)]


def test_features_come_in_the_form_of_models(workspace):
    """sma_20 in units of price would be a price level; scaling all prices must change no forecast."""
    record = entry(workspace).record()
    scaler = json.loads((workspace / "models/stock_1d_ridge_v1/scaler.json").read_text())
    mean = dict(zip(scaler["features"], scaler["mean"], strict=True))["sma_20"]
    assert abs(mean) < 0.2
    assert record["scaler_hash"]


def test_a_model_reads_features_of_longer_frames(workspace):
    told = train(features="log_return_1,volatility_20,rsi_5@1w,sma_10@1w")
    assert told["record"]["features"]["names"] == ["log_return_1", "volatility_20", "rsi_5@1w", "sma_10@1w"]
    rows = predict(model=told["model"])["forecasts"]
    assert len(rows) == 12  # six instruments, two horizons


def test_the_same_training_is_done_once_and_each_look_counts(workspace):
    again = train()
    assert again["registered"] is False
    assert again["model"] == "stock_1d_ridge_v1"
    assert again["record"]["trials"] == 1
    other = train(horizons="1d")
    assert (other["model"], other["registered"], other["record"]["trials"]) == ("stock_1d_ridge_v2", True, 2)
    third = train(seed=8)
    assert third["record"]["trials"] == 3
    assert sum(b'"kind": "trial"' in line for line in (workspace / "trials.jsonl").read_bytes().splitlines()) == 3
    registry = TrialRegistry(workspace / "trials.jsonl")
    assert registry.count(_lineage()).n == 3


def _lineage() -> Any:
    from foresail.evaluation.registry import Lineage

    return Lineage(tuple(PANEL.instruments), "1d", "close", int(PANEL.end[-20]), int(PANEL.end[-1]))


def test_training_gives_the_same_bytes_again(workspace, trained):
    shutil.rmtree(workspace / "models")
    (workspace / "trials.jsonl").unlink()
    train()
    for name in ("manifest.json", "model.json", "weights/model.json", "card.html"):
        one, two = (place / "models/stock_1d_ridge_v1" / name for place in (workspace, trained[0]))
        assert one.read_bytes() == two.read_bytes(), name


def test_a_killed_registration_leaves_the_look_on_record_and_no_model(workspace, monkeypatch):
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("foresail.service.training.card_document", full)
        with pytest.raises(UserError, match="No space left on device; nothing was registered"):
            train(seed=9)
    assert [e.name for e in ModelRegistry(workspace).entries()] == ["stock_1d_ridge_v1"]
    assert not list((workspace / "models").glob(".tmp-*"))
    done = train(seed=9)
    assert done["record"]["trials"] == 2  # the same look, not a second one


def test_too_little_data_and_wrong_requests_are_refused(workspace):
    with pytest.raises(ModelError, match="training rows, 250 needed"):
        train(names=1)
    with pytest.raises(DataError, match="too few to train, validate and test"):
        train(until=from_ns(int(PANEL.end[50])).date().isoformat())
    with pytest.raises(UnknownNameError, match="Did you mean 'ridge'"):
        train(forecaster="rigde")
    with pytest.raises(UnknownNameError, match="option of ridge"):
        train(options={"width": "3"})
    with pytest.raises(ConfigError, match="looks at the features of one bar"):
        train(context=60)
    with pytest.raises(ConfigError, match="expected bars to train on"):
        train(data="")
    with pytest.raises(UnknownNameError, match="target of these bars"):
        train(targets="open")
    with pytest.raises(UnknownNameError, match="frame"):
        train(features="rsi_14@7w")
    with pytest.raises(ConfigError, match="bars of 1d make no bars of 1h"):
        train(features="rsi_14@1h")
    with pytest.raises(CapabilityError, match="cannot be fine-tuned"):
        train(sector="energy", base="stock_1d_ridge_v1", forecaster="", features="")
    with pytest.raises(ConfigError, match="name it: --base"):
        train(sector="energy")
    with pytest.raises(ConfigError, match="give --sector"):
        train(base="stock_1d_ridge_v1")


def test_a_missing_extra_is_one_line_before_bars_are_read(workspace, monkeypatch):
    def absent(name: str) -> Any:
        raise ModuleNotFoundError("No module named 'torch'", name="torch")

    monkeypatch.setattr("foresail.forecasting.registry.import_module", absent)
    with pytest.raises(CapabilityError, match=r"tft needs torch, which is not installed\n.*foresail\[deep\]"):
        train(forecaster="tft", data="no such file")


def test_a_refit_learns_from_all_bars_and_says_so(workspace, trained):
    document = train(refit=True)
    record, first = document["record"], trained[1]["record"]
    assert record["metrics"]["scores"] == first["metrics"]["scores"]
    assert record["metrics"]["predictions_sha256"] == first["metrics"]["predictions_sha256"]
    assert record["model_version"] != first["model_version"]
    assert [one["part"] for one in record["refit"]] == ["train", "validation", "calibration"]
    assert record["refit"][0]["rows"] > first["splits"][0]["rows"]
    assert record["usable_from_ns"] == int(PANEL.end[-1])
    limits = json.loads((workspace / "models/stock_1d_ridge_v2/card.json").read_text())["limits"]
    assert any("nothing has scored them yet" in one for one in limits)
    assert predict(model="stock_1d_ridge_v2")["stale"] == 0
    with pytest.raises(LookAheadError, match="it cannot forecast as of"):
        predict(model="stock_1d_ridge_v2", at=from_ns(int(PANEL.end[-2])).date().isoformat())
    with pytest.raises(ConfigError, match="give one of the two"):
        train(refit=True, sector="energy", base="stock_1d_ridge_v2")


class Tuned(Ridge):
    """A forecaster that tells its progress, keeps checkpoints and can be fine-tuned."""

    progress: Any = None
    checkpoint: Any = None
    rows: int = 0

    def fit(self, data: Any, *, seed: int) -> FitReport:
        history = {"train_loss": [0.3, 0.2], "validation_loss": [0.31, 0.3], "rate": [0.1, 0.2]}
        self.checkpoint.mkdir(parents=True)
        (self.checkpoint / "checkpoint.json").write_text(json.dumps({"next": 1, "history": history}))
        for epoch in (1, 2):
            self.progress("training", epoch, 2)
        return super().fit(data, seed=seed)

    def fine_tune(self, data: Any, *, seed: int) -> FitReport:
        Tuned.rows = len(data.train_rows)
        return super().fit(data, seed=seed)


def test_epochs_are_told_and_a_sector_is_fine_tuned(workspace, monkeypatch):
    for module in ("forecasting.options", "service.models_loading"):
        monkeypatch.setattr(f"foresail.{module}.forecaster_class", lambda _: Tuned)
    told: list[str] = []
    done = train_model(replace(REQUEST, seed=3), progress=quiet, note=told.append, clock=fixed_clock()).document
    assert told == [
        "epoch 1: train loss 0.3, validation loss 0.31, rate 0.1",
        "epoch 2: train loss 0.2, validation loss 0.3, rate 0.2",
    ]
    assert not (workspace / "models" / ".checkpoints").exists()
    sectors = {one.sector for one in bar_set(PANEL).instruments}
    sector = sorted(sectors)[0]
    base = done["model"]
    tuned = train(forecaster="", features="", sector=sector, base=base)
    assert tuned["model"] == f"stock_1d_ridge_{sector.replace(' ', '_')}_v1"
    assert tuned["record"]["base"] == base
    own = [str(one.id) for one in bar_set(PANEL).instruments if one.sector == sector]
    assert tuned["record"]["sectors"] == {sector: own}
    assert 0 < Tuned.rows < tuned["record"]["splits"][0]["rows"]
    assert len(tuned["record"]["instruments"]) == 6  # the base serves the others
    limits = json.loads((workspace / f"models/{tuned['model']}/card.json").read_text())["limits"]
    assert any(f"names outside are forecast by {base}" in one for one in limits)
    with pytest.raises(DataError, match="of the sector nowhere"):
        train(forecaster="", features="", sector="nowhere", base=base)
    with pytest.raises(ConfigError, match="of its base"):
        train(forecaster="ridge", features="spine", sector=sector, base=base)
    with pytest.raises(LookAheadError, match="has learned from bars up to"):
        train(
            forecaster="", features="", sector=sector, base=base, until=from_ns(int(PANEL.end[300])).date().isoformat()
        )


@pytest.mark.parametrize("way", [None, "standard"])
def test_an_lstm_has_permutation_importance_on_its_card(workspace, way):
    pytest.importorskip("torch")
    small = {"width": "8", "epochs": "6", "context_length": "5", "threads": "1", "stride": "1", "rate": "0.02"}
    record = train(forecaster="lstm", options=small, horizons="1", targets="close", normalise=way)["record"]
    assert sum(share for _, share in record["importance"]) == pytest.approx(1.0, abs=1e-6)
    assert any("permuted" in note for note in record["notes"])
    card = json.loads((workspace / "models/stock_1d_lstm_v1/card.json").read_text())
    assert card["importance"] == dict(record["importance"])
