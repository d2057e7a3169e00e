"""Forecasts of a registered model: whole rows, reasons, and what is not forecast."""

from __future__ import annotations

import shutil
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from tests.unit.service.trained_ridge import BARS, LAST_DAY, PANEL, entry, predict, quiet, train

from foresail.core.clock import from_ns
from foresail.core.errors import (
    CapabilityError,
    ConfigError,
    LookAheadError,
    ModelError,
    UnknownNameError,
)
from foresail.forecasting.confidence import BUCKETS
from foresail.forecasting.linear import Ridge
from foresail.forecasting.records import RECORD_COLUMNS
from foresail.service import training_data, training_scores
from foresail.service.models_loading import load_model
from foresail.service.predicting import PredictRequest, predict_with
from foresail.store.embedded import EmbeddedStore
from foresail.testing.builders import bar_set, bar_table, fixed_clock

pytestmark = pytest.mark.usefixtures("same_code")


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
