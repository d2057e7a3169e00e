"""Class probabilities of a trained model: calibrated, judged, and applied where forecasts are made."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from tests.unit.service.trained_ridge import entry, predict, rewrite, train

from foresail.core.canonical import hash_value
from foresail.core.errors import (
    ConfigError,
)
from foresail.forecasting.probabilities import TemperatureScaling
from foresail.service.models_loading import load_model
from foresail.service.training_card import acceptance

pytestmark = pytest.mark.usefixtures("same_code")


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
