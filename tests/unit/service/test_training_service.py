"""Training and serving end to end with ridge: what is registered, what is forecast, and what is refused."""

from __future__ import annotations

import inspect
import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import foresail
from foresail.cli.main import app
from foresail.core.canonical import canonical_bytes, hash_value
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
from foresail.domain.forecast import QUANTILE_LEVELS
from foresail.domain.model_card import MODEL_CARD_KEYS
from foresail.domain.training import FitReport, ForecasterSpec
from foresail.evaluation.registry import TrialRegistry
from foresail.forecasting.baselines import NoChange
from foresail.forecasting.confidence import BUCKETS
from foresail.forecasting.linear import Ridge
from foresail.forecasting.probabilities import TemperatureScaling
from foresail.forecasting.records import RECORD_COLUMNS
from foresail.service import training_baselines, training_data, training_job, training_scores
from foresail.service.models import list_models, show_model, verify_models
from foresail.service.models_folder import write_manifest
from foresail.service.models_loading import load_model
from foresail.service.models_registry import ModelRegistry
from foresail.service.outcome import Outcome
from foresail.service.predicting import PredictRequest, predict_with
from foresail.service.training import train_model
from foresail.service.training_baselines import TRAINING_BASELINES, baseline_rows
from foresail.service.training_card import acceptance
from foresail.service.training_request import TrainRequest, horizons_of, parse_options, with_config
from foresail.service.training_tickers import train_tickers
from foresail.store.embedded import EmbeddedStore
from foresail.testing.builders import bar_set, bar_table, fixed_clock, small_panel

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


@pytest.fixture(scope="module", autouse=True)
def _same_code() -> Iterator[None]:
    """The hash of the sources is that of one moment, whoever edits them while the tests run."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("foresail.service.training_job.code_hash", lambda: "c" * 64)
        yield


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """A workspace with bars and one model; nobody changes it."""
    place = tmp_path_factory.mktemp("trained")
    (place / "foresail.toml").write_text("version = 1\n")
    EmbeddedStore(place / "store").append(
        bar_table(PANEL), bar_set(PANEL, name="mine"), recorded_at=datetime(2023, 1, 1, tzinfo=UTC)
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        return place, train()


@pytest.fixture
def workspace(trained: tuple[Path, dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it, and the present folder."""
    shutil.copytree(trained[0], tmp_path / "work")
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path / "work"


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


# -- training ---------------------------------------------------------------------------------------------------------


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


def test_probabilities_are_calibrated_and_judged(trained, monkeypatch):
    """EVAL-06: fitted on the calibration rows, kept with the model, told on the card, judged below 5 points."""
    folder = trained[0] / "models/stock_1d_ridge_v1"
    kept = json.loads((folder / "calibration.json").read_text())["classes"]
    assert kept["rule"] == {"band": 0.5, "fixed": None, "floor": trained[1]["record"]["metrics"]["class_rule"]["floor"]}
    assert 0.001 <= kept["rule"]["floor"] < 0.0011  # slippage of both sides, and the fees of selling
    assert len(kept["classes"]) == len(kept["confidence"]) == 2
    card = json.loads((folder / "card.json").read_text())
    told = [one for one in card["calibration"] if one["target"] == "close"]
    for one in told:
        for key in ("classes", "confidence"):
            curve = one[key]["curve"]
            count = np.array([b["rows"] for b in curve])
            apart = np.array([abs(b["said"] - b["seen"]["value"]) for b in curve])
            assert one[key]["error"] == pytest.approx(float(apart @ count / count.sum()))
    checks = {one["text"]: one["passed"] for one in card["acceptance"]["checks"] if "calibration error" in one["text"]}
    assert len(checks) == 4
    for text, passed in checks.items():
        assert passed == (float(text.split(" points")[0].rpartition(" ")[2]) < 5.0), text
    assert "Calibration error of probabilities" in (folder / "card.html").read_text()


def test_an_error_of_five_points_or_none_is_not_accepted(trained):
    metrics = json.loads(json.dumps(trained[1]["record"]["metrics"]))
    for error, passed in ((0.0499, True), (0.05, False), (None, False)):
        for one in metrics["classes"]:
            for key in ("classes", "confidence"):
                one["calibration"][key]["error"] = error
        found = [one["passed"] for one in acceptance(metrics)["checks"] if "calibration error" in one["text"]]
        assert found == [passed] * 4


def test_a_stored_calibration_is_applied_where_forecasts_are_made(workspace):
    plain = predict()["forecasts"]
    found = load_model(entry(workspace))
    hot = TemperatureScaling(4.0)

    def scaled(model: Any) -> Any:
        return replace(load_model(model), classes=replace(found.classes, classes=(hot, hot), sign=(hot, hot)))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("foresail.service.predicting.load_model", scaled)
        rows, bare = predict()["forecasts"], predict(calibration="none")["forecasts"]
    for row, before in zip(rows, plain, strict=True):
        assert row["quantiles"] == before["quantiles"]
        assert 0.5 <= row["confidence_score"] <= before["confidence_score"]
        three = np.array([row["prob_down"], row["prob_neutral"], row["prob_up"]])
        was = np.array([before["prob_down"], before["prob_neutral"], before["prob_up"]])
        np.testing.assert_allclose(three, was**0.25 / (was**0.25).sum(), rtol=1e-6)
    sure, less = (sum(r["confidence_score"] for r in one) for one in (plain, rows))
    assert less < sure - 0.1
    spread = [max(r["prob_up"] for r in one) - min(r["prob_up"] for r in one) for one in (rows, bare)]
    assert spread[0] < 0.5 * spread[1]  # --calibration none leaves them


def test_thresholds_of_the_classes_can_be_set(workspace):
    base = entry(workspace).record()["metrics"]
    wide, fixed, dear = (
        train(**changes)["record"]["metrics"]
        for changes in ({"neutral_band": 1.0}, {"fixed_threshold": 0.01}, {"round_trip_cost": 0.05})
    )
    neutral = [one["balance"][3]["counts"][1] for one in (base, wide, dear)]
    assert neutral == sorted(neutral)
    assert neutral[0] < neutral[1] < neutral[2]
    assert (fixed["class_rule"]["fixed"], dear["class_rule"]["floor"]) == (0.01, 0.05)
    row = predict(model="stock_1d_ridge_v4")["forecasts"][0]
    assert row["prob_neutral"] > predict()["forecasts"][0]["prob_neutral"]
    with pytest.raises(ConfigError, match="give one of the two"):
        train(neutral_band=0.5, fixed_threshold=0.01)


def test_models_of_older_versions_still_answer(workspace):
    """A calibration.json without classes leaves probabilities as they are read off the curve."""
    content: dict[str, Any] = {}

    def strip(document: dict[str, Any]) -> None:
        document.pop("classes")
        content.update(document)

    rewrite(workspace, "calibration.json", strip)
    rewrite(workspace, "model.json", lambda c: c.__setitem__("calibration_hash", hash_value(content)))
    assert load_model(entry(workspace)).classes.rule.floor == 0.0
    assert predict()["stale"] == 0


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

    monkeypatch.setattr("foresail.service.training.card_document", full)
    with pytest.raises(UserError, match="No space left on device; nothing was registered"):
        train(seed=9)
    assert [e.name for e in ModelRegistry(workspace).entries()] == ["stock_1d_ridge_v1"]
    assert not list((workspace / "models").glob(".tmp-*"))
    monkeypatch.undo()
    monkeypatch.chdir(workspace)
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


# -- loading ----------------------------------------------------------------------------------------------------------


def test_a_loaded_model_is_what_was_registered(workspace):
    assert load_model(entry(workspace)).spec.horizons == (1, 5)
    assert verify_models(None).exit_code == 0
    with (workspace / "models/stock_1d_ridge_v1/weights/model.json").open("ab") as stream:
        stream.write(b" ")
    outcome = verify_models("stock_1d_ridge_v1")
    assert outcome.exit_code == 4
    assert "was changed after" in outcome.document["models"][0]["reason"]
    with pytest.raises(ModelError, match="expected SHA-256"):
        predict()


def test_a_damaged_record_is_told_and_blocks_nothing(workspace):
    record = workspace / "models/stock_1d_ridge_v1/model.json"
    for text in ("not json", "{}"):
        record.write_text(text)
        row = list_models().document["models"][0]
        assert "model.json" in row["damaged"]
    assert "damaged" in list_models().lines[1]
    assert train(seed=11)["registered"]


def test_other_formulas_are_refused_by_name(workspace, monkeypatch):
    monkeypatch.setattr(training_data, "formula_text", lambda expression: "another formula")
    with pytest.raises(ModelError, match=r"was trained on features \w{16} .* computes \w{16} .*changed: log_return_1"):
        predict()


@pytest.mark.parametrize(
    ("file", "change", "text"),
    [
        ("scaler.json", lambda c: c["mean"].__setitem__(0, 1.0), "expected scaler"),
        ("calibration.json", lambda c: c["shifts"][0][0].__setitem__(0, 1.0), "expected calibration"),
        ("model.json", lambda c: c.__setitem__("forecaster", "tft"), "the name says ridge"),
        ("model.json", lambda c: c["features"].__setitem__("hash", "0" * 64), "expected hash 0000"),
        ("model.json", lambda c: c["spec"].__setitem__("horizons", [1, 6]), "the record says"),
        (
            "weights/model.json",
            lambda c: c["content"]["location"]["deviation"].__setitem__(0, 9.0),
            "the probe differs",
        ),
        ("weights/model.json", lambda c: c.__setitem__("kind", "quantile_trees"), "expected 'ridge'"),
        ("probe.json", lambda c: c.__setitem__("fields", ["a"]), "other features than the model"),
    ],
)
def test_what_does_not_fit_the_record_is_refused(workspace, file, change, text):
    rewrite(workspace, file, change)
    with pytest.raises(ModelError, match=text):
        load_model(entry(workspace))


# -- forecasts --------------------------------------------------------------------------------------------------------


def test_rows_are_complete_and_consistent(workspace):
    told = predict()
    rows = told["forecasts"]
    assert len(rows) == 12
    assert told["stale"] == 0
    for row in rows:
        assert list(row) == list(RECORD_COLUMNS)
        curve = list(row["quantiles"].values())
        assert curve == sorted(curve)
        assert sum(row[name] for name in BUCKETS) == pytest.approx(1.0, abs=1e-12)
        assert row["prob_down"] + row["prob_neutral"] + row["prob_up"] == pytest.approx(1.0, abs=1e-12)
        assert 0.5 <= row["confidence_score"] <= 1.0
        assert row["predicted_low"] <= row["predicted_price"] <= row["predicted_high"]
        assert len(row["features_hash"]) == 64
        assert row["model_version"].startswith("stock_1d_ridge_v1 ridge@1-")
    assert [row["horizon_name"] for row in rows[:2]] == ["1d", "1w"]


def test_forecasts_of_one_are_those_of_all(workspace):
    all_rows = {(r["instrument"], r["horizon"]): r for r in predict()["forecasts"]}
    name = str(PANEL.instruments[2])
    for asked in (name, name.rpartition(".")[2].lower()):
        rows = predict(symbols=(asked,))["forecasts"]
        assert rows == [all_rows[name, 1], all_rows[name, 5]]
    with pytest.raises(UnknownNameError, match="symbol of these bars"):
        predict(symbols=("NOPE",))


def test_stored_none_and_online_calibration(workspace):
    stored, none, online = (predict(calibration=c)["forecasts"] for c in ("stored", "none", "online"))
    widths = [[r["quantiles"]["0.9"] - r["quantiles"]["0.1"] for r in rows] for rows in (stored, none, online)]
    # Ridge has calibrated itself on the same few rows; what has come true since says something else.
    np.testing.assert_allclose(widths[0], widths[1], rtol=0.15)
    assert not np.allclose(widths[0], widths[2], rtol=1e-3)
    for one, other in zip(stored, online, strict=True):
        assert one["predicted_return"] == pytest.approx(other["predicted_return"], abs=2e-6)
    with pytest.raises(UnknownNameError, match="calibration"):
        predict(calibration="wrong")


def test_ridge_tells_its_linear_parts(workspace):
    """XPL-01: the parts of all features and the drift are the mean of the forecast."""
    row = predict(explain=True, symbols=(str(PANEL.instruments[0]),))["forecasts"][0]
    assert len(row["reasons"]) == 5
    sizes = [abs(one["adds"]) for one in row["reasons"]]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[0] > 0.0
    assert row["similar"] is None
    assert row["inside"] is None


def test_reasons_add_up_where_the_model_can_say(workspace, monkeypatch):
    trivial = train(forecaster="no_change")["model"]
    with pytest.raises(CapabilityError, match="cannot say which features"):
        predict(model=trivial, explain=True)

    def explain(self: Any, features: Any, rows: Any, horizon: int) -> Any:
        out = np.zeros((len(rows), features.shape[2]))
        out[:, 0], out[:, 2] = 0.5, -1.0
        return out

    monkeypatch.setattr(Ridge, "explain", explain, raising=False)
    row = predict(explain=True, symbols=(str(PANEL.instruments[0]),))["forecasts"][1]
    assert [one["feature"] for one in row["reasons"][:2]] == ["rsi_14", "log_return_1"]
    assert row["reasons"][0]["adds"] == pytest.approx(-2 * row["reasons"][1]["adds"], rel=1e-4)
    assert len(row["reasons"]) == 5
    asked = PredictRequest(data="mine", model="stock_1d_ridge_v1", at=LAST_DAY, explain=True)
    told = predict_with(asked, progress=quiet, clock=fixed_clock()).lines
    assert sum("rsi_14 -" in line for line in told) == 12
    told = predict_with(replace(asked, as_csv=True), progress=quiet, clock=fixed_clock()).lines
    assert sum("; log_return_1 +" in line for line in told) == 12
    assert predict()["forecasts"][0]["reasons"] is None


def test_nothing_is_forecast_from_stale_bars(workspace):
    late = from_ns(int(PANEL.end[-1]) + 9 * 86_400 * 10**9).date().isoformat()
    told = predict(at=late)
    assert told["stale"] == 12
    for row in told["forecasts"]:
        assert row["stale"] is True
        assert "bars of 1d have closed since" in row["reason"]
        assert row["quantiles"] is None
        assert row["predicted_return"] is None
        assert row["current_price"] > 0
    assert "days ago" in predict(at=None)["forecasts"][0]["reason"]
    weekend = from_ns(int(PANEL.end[-1]) + 2 * 86_400 * 10**9).date().isoformat()
    assert predict(at=weekend)["stale"] == 0


def test_an_instrument_without_its_last_bar_is_stale_alone(workspace, monkeypatch):
    from foresail.service import predicting

    real = predicting.load_reading

    def gap(*args: Any, **options: Any) -> Any:
        loaded = real(*args, **options)
        bars = loaded.data.bars
        present, values = bars.present.copy(), bars.values.copy()
        present[1, -1], values[1, -1] = False, np.nan
        return replace(loaded, data=replace(loaded.data, bars=replace(bars, present=present, values=values)))

    monkeypatch.setattr(predicting, "load_reading", gap)
    told = predict()
    assert told["stale"] == 2
    rows = {r["instrument"]: r for r in told["forecasts"]}
    mine = rows[str(PANEL.instruments[1])]
    assert "no bar where the set has its last" in mine["reason"]
    assert mine["last_good"]["as_of"] == mine["as_of"]
    assert mine["last_good"]["predicted_price"] == pytest.approx(mine["current_price"], rel=0.05)
    assert mine["current_price"] == pytest.approx(float(PANEL.field("close")[1, -2]))


def test_a_model_does_not_forecast_what_it_has_learned(workspace):
    with pytest.raises(LookAheadError, match="it cannot forecast as of"):
        predict(at=from_ns(int(PANEL.end[200])).date().isoformat())


def test_later_bars_change_no_forecast(workspace):
    """What is forecast as of a day is the same whether or not later bars are stored."""
    day = from_ns(int(PANEL.end[-10])).date().isoformat()
    then = predict(at=day)["forecasts"]
    store = workspace / "short"
    cut = PANEL.cut(0, BARS - 9)
    EmbeddedStore(store / "store").append(
        bar_table(cut), bar_set(cut, name="mine"), recorded_at=datetime(2023, 1, 1, tzinfo=UTC)
    )
    shutil.rmtree(workspace / "store")
    shutil.move(store / "store", workspace / "store")
    assert predict(at=day)["forecasts"] == then


def test_other_instruments_are_told(workspace, monkeypatch):
    part = PANEL.select(PANEL.instruments[:4])
    EmbeddedStore(workspace / "store").append(
        bar_table(part), bar_set(part, name="part"), recorded_at=datetime(2023, 1, 1, tzinfo=UTC)
    )
    told = predict(data="part")
    assert len(told["forecasts"]) == 8
    assert any(note.startswith("2 of 6 instruments it was trained on are not in these bars") for note in told["notes"])
    train(data="part")
    notes = predict(model="stock_1d_ridge_v2")["notes"]
    assert any(note.startswith("not among the instruments it was trained on") for note in notes)


def test_other_markets_and_absent_features_are_refused(workspace, monkeypatch):
    with pytest.raises(UnknownNameError, match="model 'stock_1d_rigde'"):
        predict(model="stock_1d_rigde")
    with pytest.raises(ConfigError, match="expected bars to forecast from"):
        predict(data="")
    found = load_model(entry(workspace))
    other = replace(bar_set(PANEL), frame="1h")
    with pytest.raises(ModelError, match="is a model of stock 1d bars, the set test has stock 1h bars"):
        found.check_market(other)
    monkeypatch.setattr(
        training_data, "feature_inputs", lambda data, names: (None, (), {"rsi_14": "needs close, which is not there"})
    )
    with pytest.raises(ModelError, match="rsi_14: needs close"):
        predict()


# -- requests and Python ----------------------------------------------------------------------------------------------


def test_files_and_options_are_read_typed(tmp_path):
    file = tmp_path / "train.toml"
    file.write_text(
        'version = 1\n[train]\ndata = "mine"\nhorizons = [1, 5]\nseed = 3\n[options]\nwidth = 64\nrate = 0.002\n'
    )
    found = with_config(TrainRequest(config=file, seed=4, options={"width": "32"}))
    assert (found.data, found.horizons, found.seed, found.options) == ("mine", "1,5", 4, {"width": "32", "rate": 0.002})
    for text, error in (
        ("version = 2", "expected version = 1"),
        ("version = 1\n[nope]\n", "key of a training file"),
        ("version = 1\n[train]\nfoo = 1", r"key in \[train\]"),
        ("version = 1\n[train]\nseed = 'a'", "expected a whole number"),
        ("version = 1\n[train]\ndata = 1", "expected text"),
        ("version = ", "cannot be read as TOML"),
    ):
        file.write_text(text)
        with pytest.raises(UserError, match=error):
            with_config(TrainRequest(config=file))
    with pytest.raises(ConfigError, match="cannot be read"):
        with_config(TrainRequest(config=tmp_path / "absent.toml"))
    assert parse_options(["a=1", "b = x=y"]) == {"a": "1", "b": "x=y"}
    for wrong in (["a"], ["=1"], ["a=1", "a=2"]):
        with pytest.raises(ConfigError, match="--option"):
            parse_options(wrong)


def test_horizons_default_to_those_of_the_frame():
    stock = bar_set(PANEL).asset_class
    assert horizons_of(None, stock, "1d") == (1, 5)
    assert horizons_of("1w, 1d", stock, "1d") == (1, 5)
    assert horizons_of("4h,1d,1w", stock, "1h") == (4, 7, 35)


@pytest.mark.parametrize("name", ["train", "predict"])
def test_the_functions_have_the_options_of_the_commands(name):
    command = next(c for c in app.registered_commands if c.name == name).callback
    assert command is not None
    told = set(inspect.signature(command).parameters) - {"as_json", "as_csv", "option", "bars", "data"}
    known = set(inspect.signature(getattr(foresail, name)).parameters) - {"progress", "options", "data", "bars"}
    assert known == told  # of bars the first argument, whatever it is called


def test_the_same_from_python(workspace):
    model = foresail.train(
        "mine", forecaster="ridge", features=["log_return_1", "rsi_14"], horizons=[1], targets=["close"]
    )
    assert model.is_new
    assert str(model).startswith("registered stock_1d_ridge_v2")
    assert model.card.is_file()
    assert [one["horizon"] for one in model.metrics["scores"]] == [1]
    told = foresail.predict("mine", model=model.name, at=LAST_DAY, symbols=[str(PANEL.instruments[0])])
    frame = told.frame()
    assert frame["horizon"].tolist() == [1]
    assert frame["q0.1"].iloc[0] < frame["q0.9"].iloc[0]
    assert "1d" in str(told)
    assert [one["model"] for one in foresail.models()] == ["stock_1d_ridge_v1", "stock_1d_ridge_v2"]


# -- some symbols, and one model for each -----------------------------------------------------------------------------


def test_a_model_of_some_symbols_learns_from_them_alone(workspace):
    chosen = [str(PANEL.instruments[i]) for i in (1, 4)]
    record = train(symbols=",".join(chosen))["record"]
    assert record["instruments"] == chosen
    assert record["name"] == "stock_1d_ridge_v2"
    assert record["splits"][0]["rows"] < 0.4 * entry(workspace).record()["splits"][0]["rows"]
    assert len(predict(model="stock_1d_ridge_v2")["forecasts"]) == 12  # it may forecast the others
    with pytest.raises(UnknownNameError, match="symbol of these bars"):
        train(symbols="NOPE")


def test_each_ticker_has_a_model_of_its_own_by_one_command(workspace, monkeypatch):
    """FCST-16, TRAIN-31: its own key, scaler and rows; one that cannot be trained does not stop the others."""
    real = training_job._spec
    monkeypatch.setattr(training_job, "_spec", lambda *args: replace(real(*args), minimum_rows=100))
    chosen = [str(PANEL.instruments[i]) for i in (0, 3)]
    asked = replace(REQUEST, symbols=",".join(chosen), per_ticker=True)
    told = train_tickers(asked, progress=quiet, clock=fixed_clock())
    tickers = {str(one.id): one.symbol.lower() for one in bar_set(PANEL).instruments}
    names = [f"stock_1d_ridge_only_{tickers[one]}_v1" for one in chosen]
    assert [one["model"] for one in told.document["models"]] == names
    scalers = [(workspace / "models" / name / "scaler.json").read_bytes() for name in names]
    assert scalers[0] != scalers[1]
    for name, one in zip(names, chosen, strict=True):
        assert entry(workspace, name).record()["instruments"] == [one]
        assert [row["instrument"] for row in predict(model=name)["forecasts"]] == [one, one]
    assert len(predict(model=names[0], symbols=(chosen[1],))["forecasts"]) == 2
    registry = ModelRegistry(workspace)
    registry.promote(names[0])
    with pytest.raises(UserError, match="has no champion"):
        predict(model="")  # it answers only where it is named
    assert registry.find(names[0].removesuffix("_v1")).name == names[0]
    registry.promote("stock_1d_ridge_v1")
    assert predict(model="")["model"] == "stock_1d_ridge_v1"
    again = train_tickers(asked, progress=quiet, clock=fixed_clock())
    assert [one["registered"] for one in again.document["models"]] == [False, False]
    model = foresail.train(
        "mine", forecaster="ridge", features=["log_return_1", "rsi_14"], symbols=[chosen[0]], per_ticker=True
    )
    assert model.name == names[0].replace("_v1", "_v2")
    with pytest.raises(ConfigError, match="learns from one instrument, received 2"):
        train(symbols=asked.symbols, per_ticker=True)
    with pytest.raises(ConfigError, match="trains afresh"):
        train_tickers(replace(asked, sector="energy"), progress=quiet)


def test_a_ticker_that_cannot_be_trained_is_told(workspace, monkeypatch):
    bad, good = (str(PANEL.instruments[i]) for i in (0, 3))
    asked = replace(REQUEST, symbols=f"{bad},{good}", per_ticker=True)
    with pytest.raises(ModelError, match="250 needed"):  # neither has enough rows
        train_tickers(asked, progress=quiet, clock=fixed_clock())

    def one_fails(request: TrainRequest, **_: Any) -> Outcome:
        if request.symbols == bad:
            raise ModelError("3 training rows, 250 needed")
        return Outcome({"model": "m"}, ["done"])

    monkeypatch.setattr("foresail.service.training_tickers.train_model", one_fails)
    told = train_tickers(asked, progress=quiet, clock=fixed_clock())
    assert told.document["refused"] == [{"instrument": bad, "reason": "3 training rows, 250 needed"}]
    assert told.lines[-1] == "1 of 2 tickers have a model of their own"


# -- panels and the last good value -----------------------------------------------------------------------------------


def test_a_panel_is_the_weighted_mean_of_its_models(workspace):
    other = train(forecaster="no_change", horizons="1")["model"]
    alone = [predict(model=name, symbols=(str(PANEL.instruments[0]),)) for name in ("stock_1d_ridge_v1", other)]
    asked = PredictRequest(
        data="mine",
        model=f"stock_1d_ridge_v1,{other}",
        weights=(3.0, 1.0),
        at=LAST_DAY,
        symbols=(str(PANEL.instruments[0]),),
    )
    told = predict_with(asked, progress=quiet, clock=fixed_clock())
    (row,) = told.document["forecasts"]
    parts = [one["forecasts"][0] for one in alone]
    for key in ("predicted_price", "price_low", "price_high", "prob_up", "predicted_high"):
        assert row[key] == pytest.approx(0.75 * parts[0][key] + 0.25 * parts[1][key], rel=1e-9), key
    assert row["price_low"] == pytest.approx(row["current_price"] * np.exp(row["quantiles"]["0.1"]), rel=1e-9)
    assert [(one["model"], one["weight"]) for one in row["breakdown"]] == [("stock_1d_ridge_v1", 0.75), (other, 0.25)]
    assert [one["signal"] for one in row["breakdown"]] == [one["signal"] for one in parts]
    assert list(row) == list(RECORD_COLUMNS)
    assert sum(row[name] for name in BUCKETS) == pytest.approx(1.0, abs=1e-12)
    assert told.document["notes"][-1] == "horizons that not all models forecast are left out: 5 bars"
    assert any("(75%, " in line and " = stock_1d_ridge_v1 " in line for line in told.lines)
    late = from_ns(int(PANEL.end[-1]) + 9 * 86_400 * 10**9).date().isoformat()
    assert predict_with(replace(asked, at=late), progress=quiet, clock=fixed_clock()).document["stale"] == 1
    for wrong, text in (
        ({"weights": (1.0,)}, "1 for 2 models"),
        ({"weights": (1.0, 0.0)}, "above 0"),
        ({"model": "stock_1d_ridge_v1,stock_1d_ridge_v1"}, "comes twice"),
        ({"explain": True}, "reasons of one model"),
        ({"model": "", "weights": (1.0, 2.0)}, "2 for 1 model"),
    ):
        with pytest.raises(ConfigError, match=text):
            predict_with(replace(asked, **wrong), progress=quiet, clock=fixed_clock())


def test_a_stale_row_has_the_last_good_value_and_no_signal(workspace):
    """FCST-19: what was forecast from the last complete bar stands beside it, as the past that it is."""
    good = {(row["instrument"], row["horizon"]): row for row in predict()["forecasts"]}
    late = from_ns(int(PANEL.end[-1]) + 9 * 86_400 * 10**9).date().isoformat()
    told = predict_with(
        PredictRequest(data="mine", model="stock_1d_ridge_v1", at=late), progress=quiet, clock=fixed_clock()
    )
    for row in told.document["forecasts"]:
        before = good[row["instrument"], row["horizon"]]
        assert row["signal"] is None
        assert row["predicted_price"] is None
        assert row["last_good"] == {
            key: pytest.approx(before[key], rel=1e-12) if key != "as_of" else before[key] for key in row["last_good"]
        }
        assert set(row["last_good"]) == {"as_of", "predicted_return", "predicted_price", "price_low", "price_high"}
    assert sum(line.startswith("  last good, as of ") for line in told.lines) == 12
    assert all(row["last_good"] is None for row in good.values())


def test_the_close_is_found_by_its_name(workspace, monkeypatch):
    """Classes and the tickers of the right signs are those of the close, wherever it stands among the targets."""
    monkeypatch.setattr(training_scores, "_FEWEST_OF_TICKER", 1)
    monkeypatch.setattr(training_scores, "_BEST_TICKER", 0.5)
    asked = {"forecaster": "ridge", "horizons": "1"}
    own, same = (train(targets=told, **asked)["record"]["metrics"] for told in ("high,close", "close,high"))
    assert own["balance"] == same["balance"]
    assert own["best_tickers"] == same["best_tickers"]
    looks = len((workspace / "trials.jsonl").read_text().splitlines())
    with pytest.raises(ConfigError, match="forecasts the close"):
        train(targets="high,low", **asked)
    assert len((workspace / "trials.jsonl").read_text().splitlines()) == looks


# -- networks ---------------------------------------------------------------------------------------------------------


def test_a_tft_tells_similar_days_and_weights_of_each_forecast(workspace):
    pytest.importorskip("torch")
    small = {"width": "8", "heads": "2", "epochs": "1", "context_length": "10", "threads": "1"}
    done = train(forecaster="tft", options=small, horizons="1", targets="close", beside="lstm")
    assert "lstm" in {one["other"] for one in done["record"]["metrics"]["paired"]}
    name = done["model"]
    asked = PredictRequest(data="mine", model=name, at=LAST_DAY, explain=True, symbols=(str(PANEL.instruments[0]),))
    told = predict_with(asked, progress=quiet, clock=fixed_clock())
    (row,) = told.document["forecasts"]
    assert len(row["reasons"]) == 5
    assert len(row["similar"]) == 5
    distances = [one["distance"] for one in row["similar"]]
    assert distances == sorted(distances)
    assert all(one["day"] < row["as_of"][:10] for one in row["similar"])
    inside = row["inside"]
    assert sum(one["share"] for one in inside["groups"]) == pytest.approx(1.0, abs=0.01)
    assert len(inside["attention"]) == 10
    assert sum(inside["attention"]) + inside["attention_ahead"] == pytest.approx(1.0, abs=0.01)
    assert any(line.startswith("  similar days: ") for line in told.lines)
    assert any(line.startswith("  selected: ") for line in told.lines)
    as_csv = predict_with(replace(asked, as_csv=True), progress=quiet, clock=fixed_clock()).lines
    assert row["similar"][0]["day"] in as_csv[1]
    assert predict(model=name)["forecasts"][0]["similar"] is None


def test_an_lstm_has_permutation_importance_on_its_card(workspace):
    pytest.importorskip("torch")
    small = {"width": "8", "epochs": "6", "context_length": "5", "threads": "1", "stride": "1", "rate": "0.02"}
    record = train(forecaster="lstm", options=small, horizons="1", targets="close")["record"]
    assert sum(share for _, share in record["importance"]) == pytest.approx(1.0, abs=1e-6)
    assert any("permuted" in note for note in record["notes"])
    card = json.loads((workspace / "models/stock_1d_lstm_v1/card.json").read_text())
    assert card["importance"] == dict(record["importance"])


# -- beside baselines -------------------------------------------------------------------------------------------------


def test_a_model_is_compared_with_every_baseline_on_the_same_rows(trained):
    """BASE-01 to 03, 05, 07 with the paired test of EVAL-08, on the card and on the screens."""
    place = trained[0]
    card = json.loads((place / "models/stock_1d_ridge_v1/card.json").read_text())
    found = {(one["other"], one["horizon"]): one for one in card["paired"]}
    names = set(TRAINING_BASELINES.values()) - {"ridge"}
    assert set(found) == {(name, h) for name in names for h in (1, 5)}
    scores = {one["horizon"]: one for one in card["metrics"] if one["target"] == "close"}
    for (name, horizon), one in found.items():
        assert one["rows"] == scores[horizon]["forecasts"]
        assert one["loss"] == pytest.approx(scores[horizon]["pinball"], rel=1e-9)
        if name == "no change":
            assert one["other_loss"] == pytest.approx(scores[horizon]["no_change_pinball"], rel=2e-3)
        assert one["word"] in ("better", "worse", "cannot tell")
    assert len({round(one["other_loss"], 12) for key, one in found.items() if key[1] == 1}) > 4  # drift may be none
    page = (place / "models/stock_1d_ridge_v1/card.html").read_text()
    assert "Beside baselines on the same rows" in page
    assert "only where three tests agree" in page
    checks = [one for one in card["acceptance"]["checks"] if "not better than" in one["text"]]
    assert checks
    assert not any(one["passed"] for one in checks)


def test_a_lower_mean_is_no_better_model(trained):
    metrics = json.loads(json.dumps(trained[1]["record"]["metrics"]))
    for one in metrics["paired"]:
        one.update(word="better")
    assert acceptance(metrics)["checks"][0]["text"] == "1 bar ahead: better than all 7 baselines"
    metrics["paired"][0].update(word="cannot tell", loss=0.5, other_loss=1.0)
    first = acceptance(metrics)["checks"][0]
    assert (first["passed"], first["text"]) == (False, "1 bar ahead: not better than no change (cannot tell)")


def test_the_card_has_errors_beside_no_change_and_breaches(trained):
    card = json.loads((trained[0] / "models/stock_1d_ridge_v1/card.json").read_text())
    one = card["metrics"][0]
    assert (one["target"], one["horizon"]) == ("close", 1)
    for key in ("rmse", "mape", "mae"):
        assert one[key] == pytest.approx(one[f"no_change_{key}"], rel=0.05)
    assert one["rmse"] > one["mae"]
    assert one["value_at_risk"]["breaches"] == round(one["value_at_risk"]["share"] * one["forecasts"])
    assert card["metrics"][2]["value_at_risk"] is None  # of the highest price
    page = (trained[0] / "models/stock_1d_ridge_v1/card.html").read_text()
    assert "below 5 % VaR" in page


def test_models_show_tells_the_paired_tests(workspace):
    lines = show_model("stock_1d_ridge_v1").lines
    place = lines.index("paired tests on the test part (loss below):")
    assert lines[place + 1].startswith("  1 bar ahead: ")
    assert "quantile trees (" in lines[place + 1]
    place = lines.index("calibration error of probabilities on the test part:")
    told = entry(workspace).record()["metrics"]["classes"][0]["calibration"]["classes"]
    assert lines[place + 1].startswith(f"  1 bar ahead: classes {100 * told['error']:.1f} points (")


def test_another_forecaster_is_fitted_beside_the_model(workspace, monkeypatch):
    """BASE-09: what is named is compared with on the same rows; options go to those that have them."""
    made = []
    real = training_baselines.build_forecaster
    monkeypatch.setattr(training_baselines, "build_forecaster", lambda *args: made.append(args[2]) or real(*args))
    asked = {"forecaster": "quantile_trees", "beside": "last_direction,ridge,gjr", "horizons": "1", "targets": "close"}
    record = train(options={"max_rows": "500"}, **asked)["record"]
    paired = {one["other"]: one for one in record["metrics"]["paired"]}
    assert set(TRAINING_BASELINES.values()) - {"quantile trees"} | {"last direction", "gjr"} == set(paired)
    assert len({one["rows"] for one in paired.values()}) == 1
    assert made == [{}, {}]  # ridge is a baseline, and neither of these has max_rows
    with pytest.raises(UnknownNameError, match="Did you mean 'lstm'"):
        train(beside="lsmt", data="no such file")
    looks = len((workspace / "trials.jsonl").read_text().splitlines())
    with pytest.raises(CapabilityError, match="needs the feature log_return_1"):
        train(features="rsi_14,volatility_20", beside="last_direction")
    assert len((workspace / "trials.jsonl").read_text().splitlines()) == looks  # refused before the test part is seen


def test_a_forecaster_beside_that_cannot_be_trained_loses_no_training(workspace, monkeypatch):
    """The test part was looked at by then, so the model is registered, and its card says who is left out and why."""
    pytest.importorskip("torch")
    monkeypatch.setattr(training_baselines, "_MOST_CELLS", 10)
    two = ",".join(str(name) for name in PANEL.instruments[:2])
    done = train(beside="lstm,last_direction", symbols=two, horizons="1", refit=True)
    others = {one["other"] for one in done["record"]["metrics"]["paired"]}
    assert "last direction" in others
    assert "lstm" not in others
    (note,) = (one for one in done["record"]["notes"] if "left out" in one)
    assert note.startswith("lstm is left out of the comparison: ")
    assert "500 needed for a network (TRAIN-06)" in note
    page = (workspace / "models" / done["model"] / "card.html").read_text()
    assert note in page


def test_one_beside_learns_from_windows_without_a_gap(small_market, monkeypatch):
    """TRAIN-03 holds for its own context, not for that of the model: a TFT beside trees sees no window across a gap."""
    names = ("log_return_1", "volatility_20")
    inputs = training_data.forecast_inputs(small_market, names, (1,), ("close",))
    first, last = (int(np.flatnonzero(inputs.usable[0])[k]) for k in (0, -1))
    gaps = [first + (last - first) * part // 100 for part in (30, 75, 90)]  # of training, calibration and test
    present = inputs.features.present.copy()
    for at in gaps:
        present[0, at : at + 8] = False
    inputs = replace(inputs, features=replace(inputs.features, present=present), usable=inputs.usable & present)
    ready = training_data.plan_parts(inputs, {})
    seen = []

    class Spy(NoChange):
        settings = SimpleNamespace(context_length=20)

        def fit(self, data, *, seed):
            seen.append((self.spec.context_length, data))
            return super().fit(data, seed=seed)

    monkeypatch.setattr(training_baselines, "build_forecaster", lambda name, spec, options: Spy(spec))
    spec = ForecasterSpec("quantile_trees", "1", names, ("close",), (1,), QUANTILE_LEVELS)
    rows = training_data.held_out_rows(ready)
    asked = {"tft": {"preset": "daily"}}
    others, notes = baseline_rows(small_market, ready, rows, spec, seed=7, beside=asked)
    assert not notes
    ((context, data),) = seen
    assert context == 20
    told = rows[np.isfinite(others[-1].values).all(axis=(1, 2, 3))]
    for part, at in zip((data.train_rows, data.calibration_rows, told), gaps, strict=True):
        own = part[part[:, 0] == 0, 1]
        assert own[np.searchsorted(own, at)] == at + 19  # the first that does not see the bar before the gap
    assert len(told) == len(rows) - 11


def test_a_preset_goes_to_those_beside_that_have_it():
    asked = replace(REQUEST, forecaster="tft", options={"preset": "daily", "heads": "2"}, beside="lstm,ridge")
    pytest.importorskip("torch")
    assert training_job._beside(asked) == {"lstm": {"preset": "daily", "heads": "2"}, "ridge": {}}


def test_baselines_do_without_the_last_return_among_the_features(workspace, monkeypatch):
    monkeypatch.setattr(training_baselines, "_MOST_CELLS", 10)
    paired = train(features="rsi_14,volatility_20")["record"]["metrics"]["paired"]
    assert {"HAR volatility", "exponential volatility"} < {one["other"] for one in paired}
    assert "quantile trees" not in {one["other"] for one in paired}
