"""A model beside baselines and other forecasters, on the same rows, and what its card says of them."""

from __future__ import annotations

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from tests.unit.service.trained_ridge import PANEL, REQUEST, entry, train

from foresail.core.errors import (
    CapabilityError,
    UnknownNameError,
)
from foresail.domain.forecast import QUANTILE_LEVELS
from foresail.domain.training import ForecasterSpec
from foresail.engine.normalised import Normalised
from foresail.forecasting.baselines import NoChange
from foresail.service import training_baselines, training_data, training_job
from foresail.service.models import show_model
from foresail.service.training_baselines import TRAINING_BASELINES, Beside, baseline_rows
from foresail.service.training_card import acceptance

pytestmark = pytest.mark.usefixtures("same_code")


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
    assert {name for name, one in paired.items() if not one["is_baseline"]} == {"last direction", "gjr"}
    with pytest.raises(UnknownNameError, match="Did you mean 'lstm'"):
        train(beside="lsmt", data="no such file")
    looks = len((workspace / "trials.jsonl").read_text().splitlines())
    with pytest.raises(CapabilityError, match="needs the feature log_return_1"):
        train(features="rsi_14,volatility_20", beside="last_direction")
    assert len((workspace / "trials.jsonl").read_text().splitlines()) == looks  # refused before the test part is seen


def test_one_beside_is_nothing_to_beat_and_no_other_trial(workspace, monkeypatch):
    """VALID-14 asks for better than every baseline; asking for a comparison must not cost an acceptance or a trial."""
    plain = train(horizons="1", targets="close")["record"]
    beside = train(horizons="1", targets="close", beside="last_direction")["record"]
    assert beside["trials"] == plain["trials"]
    metrics = json.loads(json.dumps(beside["metrics"]))
    for one in metrics["paired"]:
        one["word"] = "better" if one["is_baseline"] else "worse"
    assert acceptance(metrics)["checks"][0]["passed"]
    metrics["paired"][0]["word"] = "worse"
    assert not acceptance(metrics)["checks"][0]["passed"]


def test_trees_that_were_only_asked_for_are_no_baseline(workspace, monkeypatch):
    monkeypatch.setattr(training_baselines, "_MOST_CELLS", 0)
    record = train(horizons="1", targets="close", beside="quantile_trees")["record"]
    told = {one["other"]: one["is_baseline"] for one in record["metrics"]["paired"]}
    assert not told["quantile trees"]
    assert told["no change"]


def test_one_beside_has_the_normalised_inputs_of_the_model(workspace, monkeypatch):
    pytest.importorskip("torch")
    fitted = []
    real = training_baselines._forecast

    def spied(model, *rest, **more):
        fitted.append(model)
        return real(model, *rest, **more)

    monkeypatch.setattr(training_baselines, "_forecast", spied)
    small = {"width": "8", "epochs": "1", "context_length": "5", "threads": "1", "minimum_windows": "50", "stride": "5"}
    asked = {
        "forecaster": "gru",
        "beside": "lstm,last_direction",
        "horizons": "1",
        "targets": "close",
        "options": small,
    }
    losses = {}
    for way in ("standard", None):
        record = train(normalise=way, **asked)["record"]
        losses[way] = {one["other"]: one["other_loss"] for one in record["metrics"]["paired"]}
        lstm, direction = fitted[-2:]
        assert isinstance(lstm, Normalised) == (way is not None)
        assert lstm.spec.context_length == 5
        assert not isinstance(direction, Normalised)  # it reads the last return as it is
    assert losses["standard"]["lstm"] != losses[None]["lstm"]
    assert losses["standard"]["last direction"] == losses[None]["last direction"]


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
    asked = Beside({"tft": {"preset": "daily"}})
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


def test_a_model_is_not_compared_with_itself_under_its_other_name(small_market):
    names = ("log_return_1", "volatility_20")
    ready = training_data.plan_parts(training_data.forecast_inputs(small_market, names, (1,), ("close",)), {})
    rows = training_data.held_out_rows(ready)[:50]
    spec = ForecasterSpec("ewma", "1", names, ("close",), (1,), QUANTILE_LEVELS)
    others, notes = baseline_rows(small_market, ready, rows, spec, seed=7, beside=Beside({"ewma_volatility": {}}))
    assert not notes
    assert {one.key for one in others} == set(TRAINING_BASELINES) - {"ewma_volatility"}
