"""New bars alone give the rows of the whole history; what they cannot give is computed anew, and the status says so."""

from __future__ import annotations

import importlib.util
import shutil
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from foresail.core.clock import SimulatedClock, format_ns, from_ns, to_ns
from foresail.core.errors import UserError
from foresail.domain.panel import Panel
from foresail.features.context import FeatureContext
from foresail.forecasting.neural.calendar import calendar_numbers
from foresail.service import serving_live
from foresail.service.feature_health import health_document
from foresail.service.loading import load_bars
from foresail.service.models import promote_model
from foresail.service.models_loading import LoadedModel, load_model
from foresail.service.models_registry import ModelRegistry
from foresail.service.predicting import PredictRequest, forecast_market
from foresail.service.predicting_online import PastForecasts
from foresail.service.serving_answers import SAME, _Tail
from foresail.service.serving_bars import BarFeed
from foresail.service.serving_daemon import ServeRequest, serving_status, start_serving
from foresail.service.serving_inside import LiveInside
from foresail.service.serving_live import Telling
from foresail.service.serving_sets import ServedSet
from foresail.service.training import train_model
from foresail.service.training_data import forecast_inputs
from foresail.service.training_request import TrainRequest
from foresail.store.embedded import EmbeddedStore
from foresail.testing.builders import bar_set, bar_table, small_panel

PANEL = small_panel(5, 380)
FIRST = 350  # bars that are stored before anything is served
TINY = {"width": 8, "heads": 2, "epochs": 1, "context_length": 20, "minimum_windows": 50, "stride": 5, "threads": 1}
HAS_TORCH = importlib.util.find_spec("torch") is not None
DEEP = pytest.mark.skipif(not HAS_TORCH, reason="torch is not installed (extra: deep)")
MODELS = ["ridge", "quantile_trees", pytest.param("tft", marks=DEEP), pytest.param("lstm", marks=DEEP)]


def quiet(*_: object) -> None:
    """Say nothing."""


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("live")
    (place / "foresail.toml").write_text("version = 1\n")
    clock = after(FIRST - 1)
    EmbeddedStore(place / "store").append(
        bar_table(PANEL.cut(0, FIRST)), bar_set(PANEL, name="mine"), recorded_at=clock.now()
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        patch.setattr("foresail.service.training_job.code_hash", lambda: "c" * 64)
        names = "log_return_1,rsi_14,volatility_20,macd_12_26,rank_log_return_5,day_sin"
        asked = TrainRequest(data="mine", features=names, horizons="1,5", until=clock.now().date().isoformat())
        for name in ("ridge", "quantile_trees", *(("tft", "lstm") if HAS_TORCH else ())):
            options = TINY if name in ("tft", "lstm") else {}
            options = {key: value for key, value in options.items() if name == "tft" or key != "heads"}
            train_model(replace(asked, forecaster=name, options=options), progress=quiet, clock=clock)
    return place


@pytest.fixture
def workspace(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(trained, tmp_path / "work")
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path / "work"


def after(bar: int) -> SimulatedClock:
    """Return a clock two minutes after the end of a bar."""
    return SimulatedClock(from_ns(int(PANEL.end[bar])) + timedelta(minutes=2))


def model_of(name: str) -> LoadedModel:
    return load_model(ModelRegistry(Path()).find(f"stock_1d_{name}_v1"))


def store(panel: Panel, clock: SimulatedClock) -> None:
    EmbeddedStore(Path("store")).append(bar_table(panel), bar_set(panel, name="mine"), recorded_at=clock.now())


class Serving:
    """A set that is served bar after bar, beside one that begins afresh each time."""

    def __init__(self, name: str, bar: int = FIRST - 1, telling: Telling | None = None) -> None:
        self.clock, self.model = after(bar), model_of(name)
        self.telling = Telling() if telling is None else telling
        self.set = ServedSet(BarFeed("mine", Path(), self.clock), telling)

    def at(self, bar: int | None = None, panel: Panel | None = None) -> tuple[list[dict[str, Any]], str, str]:
        if bar is not None:
            self.clock.advance_to(after(bar).now())
        if panel is not None:
            store(panel, self.clock)
        served = self.set.advance(self.now, lambda _: self.model)
        rows = served.market.rows(self.now)
        served.market.explain(rows)
        return rows, served.path, served.why

    @property
    def now(self) -> int:
        return to_ns(self.clock.now())

    def predicted(self) -> list[dict[str, Any]]:
        loaded = load_bars("mine", workspace=Path(), until_ns=self.now, clock=self.clock)
        asked = PredictRequest(calibration=self.telling.calibration, explain=self.telling.explain)
        return forecast_market(self.model, loaded, asked, now=self.now)


def assert_same(rows: list[dict[str, Any]], others: list[dict[str, Any]], limit: float = SAME) -> None:
    assert len(rows) == len(others)
    assert any(not row["stale"] for row in rows)
    for row, other in zip(rows, others, strict=True):
        for key in ("instrument", "horizon", "as_of", "stale", "reason", "features_hash", "current_price"):
            assert row[key] == other[key], key
        assert (row["last_good"] is None) == (other["last_good"] is None)
        if row["last_good"] is not None:
            past = other["last_good"]
            assert row["last_good"]["as_of"] == past["as_of"]
            for key in ("predicted_return", "predicted_price", "price_low", "price_high"):
                assert row["last_good"][key] == pytest.approx(past[key], rel=10 * SAME, abs=SAME)
        if not row["stale"]:
            mine, theirs = (np.array([*one["quantiles"].values()]) for one in (row, other))
            assert np.abs(mine - theirs).max() <= limit
            assert abs(row["predicted_return"] - other["predicted_return"]) <= limit
            for key in ("prob_down", "prob_neutral", "prob_up", "confidence_score"):
                assert abs(row[key] - other[key]) < 1e-3


@pytest.mark.parametrize("name", MODELS)
def test_new_bars_give_the_rows_of_predict(workspace, name):
    serving = Serving(name)
    rows, path, why = serving.at()
    assert (path, why) == ("whole", "the first round of this process")
    assert_same(rows, serving.predicted(), 0.0)
    for bar in range(FIRST, FIRST + 6):
        absent = replace(PANEL, present=PANEL.present.copy())
        if bar % 2:
            absent.present[3, bar] = False
        rows, path, why = serving.at(bar, absent.cut(bar, bar + 1))
        assert (path, why) == ("live", "")
        assert_same(rows, serving.predicted())
    rows, path, _ = serving.at(FIRST + 9, PANEL.cut(FIRST + 6, FIRST + 10))  # four at once
    assert path == "live"
    assert_same(rows, serving.predicted())
    gone = replace(PANEL, present=PANEL.present.copy())
    gone.present[3, FIRST + 10] = False
    rows, path, _ = serving.at(FIRST + 10, gone.cut(FIRST + 10, FIRST + 11))
    assert path == "live"
    assert_same(rows, serving.predicted())
    (past, *_) = [row["last_good"] for row in rows if row["stale"]]
    assert past["as_of"] == format_ns(int(PANEL.end[FIRST + 9]))
    again, path, _ = serving.at()
    assert path == "held"
    assert_same(again, rows, 0.0)


WAYS = [("ridge", "online"), ("ridge", "adaptive"), ("ridge", "none"), pytest.param("tft", "online", marks=DEEP)]


@pytest.mark.parametrize(("name", "way"), WAYS)
def test_new_bars_move_intervals_as_predict_does(workspace, name, way, monkeypatch):
    monkeypatch.setattr("foresail.service.predicting_online._WINDOW", 4)  # so that the first ones are left behind
    serving = Serving(name, telling=Telling(calibration=way))
    rows, _, _ = serving.at()
    assert_same(rows, serving.predicted(), 0.0)
    gone = replace(PANEL, present=PANEL.present.copy())
    gone.present[3, FIRST + 1] = False
    before = FIRST
    for bar in (FIRST, FIRST + 1, FIRST + 12):
        rows, path, _ = serving.at(bar, gone.cut(before, bar + 1))
        before = bar + 1
        assert path == "live"
        # A score near the border of two bins may fall into either, where the live form rounds otherwise.
        assert_same(rows, serving.predicted(), SAME if name == "ridge" else 0.01)
    serving.telling = Telling()
    with pytest.raises(AssertionError):
        assert_same(rows, serving.predicted(), SAME if name == "ridge" else 0.0)


@pytest.mark.parametrize("name", MODELS)
def test_new_bars_are_explained_as_predict_does(workspace, name):
    serving = Serving(name, telling=Telling(explain=True))
    rows, path, _ = serving.at()
    before = FIRST
    for bar in (FIRST - 1, FIRST, FIRST + 1, FIRST + 9):
        if bar >= FIRST:
            rows, path, _ = serving.at(bar, PANEL.cut(before, bar + 1))
            before = bar + 1
            assert path == "live"
        for row, other in zip(rows, serving.predicted(), strict=True):
            assert [one["feature"] for one in row["reasons"]] == [one["feature"] for one in other["reasons"]]
            for mine, theirs in zip(row["reasons"], other["reasons"], strict=True):
                assert mine["adds"] == pytest.approx(theirs["adds"], abs=2e-8)
                assert mine["value"] == theirs["value"]
            days = [
                [(one["instrument"], one["day"], one["followed"]) for one in each["similar"] or ()]
                for each in (row, other)
            ]
            assert days[0] == days[1]
            assert len(days[0]) == (5 if name in ("tft", "lstm") else 0)
            assert (row["inside"] is None) == (name != "tft")
            if row["inside"] is not None:
                np.testing.assert_allclose(row["inside"]["attention"], other["inside"]["attention"], atol=1e-9)


@pytest.mark.parametrize("name", ["ridge", pytest.param("tft", marks=DEEP), pytest.param("lstm", marks=DEEP)])
def test_no_window_across_a_gap_is_forecast(workspace, name):
    serving = Serving(name)
    serving.at()
    own, context = str(PANEL.instruments[3]), TINY["context_length"]
    halted = replace(PANEL, present=PANEL.present.copy())
    halted.present[3, FIRST : FIRST + 6] = False
    back, last = FIRST + 6, FIRST - 1
    before = FIRST
    for bar in (back, last + context - 1, last + context):
        rows, path, _ = serving.at(bar, halted.cut(before, bar + 1))
        before = bar + 1
        assert path == "live"
        assert_same(rows, serving.predicted())
        told = [row for row in rows if row["instrument"] == own]
        if name == "ridge" or bar == last + context:
            assert not any(row["stale"] for row in told)
            continue
        more = last + context - bar
        text = f"a gap of more than 5 bars lies within the {context} bars that the model sees; {more} more to come"
        assert {row["reason"] for row in told} == {text}
        assert {row["last_good"]["as_of"] for row in told} == {format_ns(int(PANEL.end[last]))}
        assert all(row["signal"] is None for row in told)


@pytest.mark.parametrize("name", ["ridge", pytest.param("tft", marks=DEEP)])
def test_a_corrected_bar_gives_the_rows_of_a_fresh_start(workspace, name):
    serving = Serving(name)
    serving.at()
    before, path, _ = serving.at(FIRST, PANEL.cut(FIRST, FIRST + 1))
    assert path == "live"
    values = PANEL.values.copy()
    values[:, FIRST, PANEL.index("close")] = values[:, FIRST, PANEL.index("high")]
    serving.clock.advance_to(serving.clock.now() + timedelta(minutes=1))
    rows, path, why = serving.at(None, replace(PANEL, values=values).cut(FIRST, FIRST + 1))
    assert path == "whole"
    assert "was corrected" in why
    assert_same(rows, serving.predicted(), 0.0)
    assert [row["features_hash"] for row in rows] != [row["features_hash"] for row in before]
    rows, path, _ = serving.at(FIRST + 1, PANEL.cut(FIRST + 1, FIRST + 2))
    assert path == "live"
    assert_same(rows, serving.predicted())


def test_the_features_of_new_bars_are_looked_at_as_those_of_the_history(workspace, monkeypatch):
    monkeypatch.setattr("foresail.service.serving_live.COMPARED_BARS", 100)
    serving = Serving("ridge")
    serving.at()
    before = serving.set._market.health(serving.now)
    serving.clock.advance_to(serving.clock.now() + timedelta(minutes=59))
    assert serving.set._market.health(serving.now) is before
    serving.at(FIRST + 2, PANEL.cut(FIRST, FIRST + 3))
    told = serving.set._market.health(serving.now)
    loaded = load_bars("mine", workspace=Path(), until_ns=serving.now, clock=serving.clock)
    assert told == {"at": format_ns(serving.now), **health_document(serving.model, loaded.data, serving.now, 100)}
    assert told["groups"] != before["groups"]


def test_a_gap_is_a_row_that_is_not_there_and_its_late_bar_is_computed_anew(workspace):
    serving = Serving("ridge")
    serving.at()
    rows, path, _ = serving.at(FIRST + 2, PANEL.cut(FIRST + 2, FIRST + 3))
    assert path == "live"
    assert_same(rows, serving.predicted())
    serving.clock.advance_to(serving.clock.now() + timedelta(minutes=1))
    rows, path, why = serving.at(None, PANEL.cut(FIRST, FIRST + 2))
    assert (path, "came late" in why) == ("whole", True)
    assert_same(rows, serving.predicted(), 0.0)


def test_a_listing_and_another_model_are_computed_anew(workspace):
    serving = Serving("ridge")
    serving.at()
    more = small_panel(7, 380)
    _, path, why = serving.at(FIRST, more.cut(FIRST, FIRST + 1))
    assert (path, why) == ("whole", "an instrument was listed")
    serving.model = model_of("quantile_trees")
    rows, path, why = serving.at(FIRST + 1, more.cut(FIRST + 1, FIRST + 2))
    assert (path, why) == ("whole", "another model answers")
    assert_same(rows, serving.predicted(), 0.0)


def test_a_bar_that_is_not_known_yet_is_awaited(workspace):
    serving = Serving("ridge")
    serving.at()
    later = replace(PANEL, available_at=PANEL.available_at + 10 * 60 * 10**9).cut(FIRST, FIRST + 1)
    rows, path, _ = serving.at(FIRST, later)
    assert path == "whole"
    assert_same(rows, serving.predicted(), 0.0)
    serving.clock.advance_to(serving.clock.now() + timedelta(minutes=10))
    shown, path, _ = serving.at()
    assert path == "whole"
    assert shown[0]["as_of"] > rows[0]["as_of"]
    assert serving.at(FIRST + 1, PANEL.cut(FIRST + 1, FIRST + 2))[1] == "live"


def test_a_closed_hold_out_is_not_entered_bar_by_bar(workspace, monkeypatch):
    serving = Serving("ridge")
    serving.at()
    seen: list[int] = []

    def refused(_registry: object, lineage: Any) -> tuple[str, ...]:
        seen.append(lineage.end)
        raise UserError("the data reach past the hold-out")

    monkeypatch.setattr("foresail.service.serving_bars.refuse_sealed", refused)
    with pytest.raises(UserError, match="hold-out"):
        serving.at(FIRST, PANEL.cut(FIRST, FIRST + 1))
    assert seen == [int(PANEL.available_at[FIRST]) + 1]


def test_what_failed_is_computed_anew_the_next_time(workspace, monkeypatch):
    serving = Serving("ridge")
    serving.at()
    with monkeypatch.context() as patch:
        patch.setattr("foresail.service.serving_live.calendar_flags", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            serving.at(FIRST, PANEL.cut(FIRST, FIRST + 1))
    rows, path, why = serving.at()
    assert (path, why) == ("whole", "the round before failed")
    assert_same(rows, serving.predicted(), 0.0)


def test_a_forecaster_that_answers_otherwise_live_is_always_computed_whole(workspace, monkeypatch):
    serving = Serving("ridge")
    told = serving.model.forecaster.predict
    monkeypatch.setattr(type(serving.model.forecaster), "predict", lambda _, f, r, s: told(f, r, s) + f.shape[1] * 1e-4)
    serving.at()
    _, path, why = serving.at(FIRST, PANEL.cut(FIRST, FIRST + 1))
    assert path == "whole"
    assert "differs from its predict by" in why


def test_bars_of_a_file_are_read_whole(workspace, tmp_path):
    serving = Serving("ridge")
    csv = tmp_path / "bars.csv"
    csv.write_text("date,symbol,close\n")
    feed = BarFeed(str(csv), Path(), serving.clock)
    assert feed.newer(0) == "bars of a file are read whole"


def test_a_model_that_reads_what_stands_beside_the_bars_is_computed_whole(workspace, monkeypatch):
    serving = Serving("ridge")
    monkeypatch.setattr("foresail.service.serving_live._outside", lambda *_: "the model reads facts")
    rows, _, _ = serving.at()
    assert_same(rows, serving.predicted(), 0.0)
    rows, path, why = serving.at(FIRST, PANEL.cut(FIRST, FIRST + 1))
    assert (path, why) == ("whole", "the model reads facts")
    assert_same(rows, serving.predicted(), 0.0)


def test_a_model_of_several_frames_is_computed_whole(workspace, monkeypatch):
    monkeypatch.setattr("foresail.service.training_job.code_hash", lambda: "c" * 64)
    clock = after(FIRST - 1)
    names = "log_return_1,rsi_5@1w,volatility_20,sma_10@1w"
    asked = TrainRequest(data="mine", features=names, horizons="1,5", until=clock.now().date().isoformat())
    train_model(replace(asked, forecaster="ridge"), progress=quiet, clock=clock)
    serving = Serving("ridge")
    serving.model = load_model(ModelRegistry(Path()).find("stock_1d_ridge_v2"))
    rows, _, _ = serving.at()
    assert_same(rows, serving.predicted(), 0.0)
    rows, path, why = serving.at(FIRST, PANEL.cut(FIRST, FIRST + 1))
    assert (path, why) == ("whole", "the model reads features of other frames")
    assert_same(rows, serving.predicted(), 0.0)


def test_series_beside_the_bars_matter_to_models_that_read_them_only(workspace, monkeypatch):
    serving = Serving("ridge")
    context_of = serving_live.feature_context

    def with_series(data: Any, names: tuple[str, ...]) -> Any:
        context, found = context_of(data, names)
        values = np.ones((1, data.bars.shape[1]))
        return replace(context, reference_names=("vix",), reference=values), found

    monkeypatch.setattr(serving_live, "feature_context", with_series)
    serving.at()
    rows, path, _ = serving.at(FIRST, PANEL.cut(FIRST, FIRST + 1))
    assert path == "live"
    assert_same(rows, serving.predicted())
    context = FeatureContext.of(PANEL, reference_names=["vix"])
    assert serving_live._outside(context, ("rsi_14",)) == ""
    assert "reads vix" in serving_live._outside(context, ("rsi_14", "vix_zscore_250"))
    given = replace(context, given_names=("earnings_yield",), given=np.zeros((5, 380, 1)))
    assert "reads earnings_yield" in serving_live._outside(given, ("rsi_14",))


def test_the_status_says_which_way_it_was_and_how_long_it_took(workspace):
    promote_model("stock_1d_ridge_v1", clock=after(FIRST - 1))
    clock = after(FIRST - 1)
    rounds = []

    def nap(_seconds: float) -> None:
        rounds.append(serving_status().document["last"]["sets"][0])
        if len(rounds) == 3:
            raise KeyboardInterrupt
        clock.advance_to(after(FIRST).now() + timedelta(minutes=len(rounds)))
        store(PANEL.cut(FIRST, FIRST + 1), clock)

    with pytest.raises(KeyboardInterrupt):
        start_serving(ServeRequest(data=("mine",), every="1m"), note=quiet, clock=clock, nap=nap)
    assert [one["path"] for one in rounds] == ["whole", "live", "held"]
    assert all(isinstance(one["taken_ms"], float) for one in rounds)
    assert any("no new bar in" in line for line in serving_status().lines)
    assert rounds[0]["why"] == "the first round of this process"


def test_a_model_of_one_ticker_serves_that_one(workspace):
    one = Serving("ridge")
    own = str(PANEL.instruments[2])
    one.model = replace(one.model, record={**one.model.record, "only": [own]})
    rows, _, _ = one.at()
    assert [row["instrument"] for row in rows] == [own, own]
    assert_same(rows, one.predicted())


@pytest.mark.parametrize("way", ["online", "adaptive"])
def test_intervals_of_a_model_of_one_ticker_move_by_its_own_outcomes(workspace, way):
    one, own = Serving("ridge", telling=Telling(calibration=way)), PANEL.instruments[2]
    one.model = replace(one.model, record={**one.model.record, "only": [str(own)], "instruments": [str(own)]})
    data = load_bars("mine", workspace=Path(), until_ns=one.now, clock=one.clock).data
    inputs = forecast_inputs(data, one.model.spec.features, one.model.spec.horizons)
    model = replace(one.model, usable_from=int(PANEL.end[FIRST - 60]))
    past = PastForecasts.of(model, data.bars, inputs.features, inputs.scale)
    alone = PastForecasts.of(model, data.bars.select([own]), inputs.features.select([own]), inputs.scale[[2]])
    told = past.calibrated(model, np.array([2, 4]), way)
    np.testing.assert_array_equal(told[:1], alone.calibrated(model, np.array([0]), way))
    assert np.isfinite(told).all()  # another may be asked for
    pooled = past.calibrated(replace(model, record={**model.record, "only": []}), np.array([2]), way)
    assert not np.array_equal(told[:1], pooled)
    one.at()
    for bar in range(FIRST, FIRST + 9):
        rows, path, _ = one.at(bar, PANEL.cut(bar, bar + 1))
    assert path == "live"
    assert_same(rows, one.predicted())


@DEEP
def test_the_oldest_bar_that_a_forecast_sees_has_its_own_gap(workspace):
    clock, model = after(FIRST - 1), model_of("lstm")
    data = load_bars("mine", workspace=Path(), until_ns=to_ns(clock.now()), clock=clock).data
    inputs = forecast_inputs(data, model.spec.features, model.spec.horizons)
    features, scale, context = inputs.features, inputs.scale, TINY["context_length"]
    ends = features.end
    long = np.diff(ends) > np.diff(ends).min()
    last = next(t for t in range(FIRST - 7, FIRST) if long[t - context])  # the window begins after a weekend
    whole = calendar_numbers(ends, features.frame)[last + 1 - context : last + 1]
    live = _Tail(model.forecaster, features.cut(0, last), context)
    told = live.tell(features.cut(last, last + 1), scale[:, last])
    here = features.cut(0, last + 1)
    inside = LiveInside(model, data.bars.cut(0, last + 1), here, scale[:, : last + 1])
    for seen in (live._tail, inside._newest()):
        mine = calendar_numbers(seen.end, features.frame)[-context:]
        np.testing.assert_allclose(mine, whole, rtol=0.0, atol=1e-9)
    rows = np.column_stack([np.arange(5), np.full(5, last)]).astype(np.int64)
    np.testing.assert_allclose(told, model.forecaster.predict(here, rows, scale[:, : last + 1]), rtol=0.0, atol=1e-9)


@DEEP
@pytest.mark.parametrize("every", [1, 5])
def test_similar_days_are_thinned_as_predict_does(workspace, monkeypatch, every):
    serving = Serving("lstm", telling=Telling(explain=True))
    serving.at()
    count = int(serving.set._market._inside._comparable()[1].sum())
    for place in ("engine.inspecting", "service.serving_inside"):
        monkeypatch.setattr(f"foresail.{place}.MOST_DAYS", -(-(count + 10) // every))  # two bars more are not too many
    serving = Serving("lstm", telling=Telling(explain=True))
    told = []
    for bar in range(FIRST - 1, FIRST + 5):
        rows, path, _ = serving.at(bar, PANEL.cut(bar, bar + 1) if bar >= FIRST else None)
        told.append((path, serving.set._market._inside._states.every))
        for row, other in zip(rows, serving.predicted(), strict=True):
            days = [[(day["instrument"], day["day"]) for day in one["similar"]] for one in (row, other)]
            assert days[0] == days[1], bar
    before, after_it = [("live", every)] * 2, [("live", every + 1)] * 2
    assert told == [("whole", every), *before, ("whole", every + 1), *after_it]
