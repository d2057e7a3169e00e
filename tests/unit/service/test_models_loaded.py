"""A loaded model is what was registered, or is refused by name."""

from __future__ import annotations

import pytest
from tests.unit.service.trained_ridge import entry, predict, rewrite, train

from foresail.core.errors import (
    ModelError,
)
from foresail.service import training_data
from foresail.service.models import list_models, verify_models
from foresail.service.models_loading import load_model

pytestmark = pytest.mark.usefixtures("same_code")


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
