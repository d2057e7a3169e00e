"""Forecasts at regular times: each once whatever happens, by the champion of that time, never from stale bars."""

from __future__ import annotations

import json
import os
import shutil
import signal
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from foresail.core.clock import SimulatedClock, format_ns, from_ns, to_ns
from foresail.core.errors import ConfigError, DataError, IntegrityError, ModelError, UnknownNameError, UserError
from foresail.features.targets import compute_targets
from foresail.forecasting.linear import Ridge
from foresail.forecasting.records import RECORD_COLUMNS
from foresail.service import models_loading, serving_daemon, training_data
from foresail.service.models import promote_model, retire_model
from foresail.service.predicting import PredictRequest, predict_with
from foresail.service.serving_daemon import ServeRequest, serving_status, start_serving, stop_serving
from foresail.service.training import train_model
from foresail.service.training_request import TrainRequest
from foresail.store.embedded import EmbeddedStore
from foresail.testing.builders import bar_panel, bar_set, bar_table, small_panel

NAMES, LIVE = 4, 390  # instruments, and the bar from which on forecasts are made
PANEL = small_panel(NAMES, 400)
HOURS = bar_panel(
    {
        f"stock.S0.H{k}": 50.0 * np.exp(np.random.default_rng(k).normal(0, 0.01, 400).cumsum()).round(4)
        for k in range(3)
    },
    frame="1h",
    first_day="2001-05-01",
)
DAYS = ServeRequest(data=("mine",), every="1d")
FEATURES = "log_return_1,log_return_5,rsi_14,volatility_20"


def quiet(*_: object) -> None:
    """Say nothing."""


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with two sets of bars, two daily models, of which the first is champion, and an hourly champion."""
    place = tmp_path_factory.mktemp("served")
    (place / "foresail.toml").write_text("version = 1\n")
    clock = at_bar(LIVE)
    feed(clock, place / "store", bars=LIVE + 1)
    hours = HOURS.cut(0, int(np.searchsorted(HOURS.end, to_ns(clock.now()), "right")))
    EmbeddedStore(place / "store").append(bar_table(hours), bar_set(HOURS, name="hourly"), recorded_at=clock.now())
    day = clock.now().date().isoformat()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        patch.setattr("foresail.service.training_job.code_hash", lambda: "c" * 64)
        asked = TrainRequest(data="mine", forecaster="ridge", features=FEATURES, until=day)
        for request in (asked, replace(asked, seed=2), replace(asked, data="hourly", features=FEATURES + ",sma_20")):
            train_model(request, progress=quiet, clock=clock)
        for name in ("stock_1d_ridge_v1", "stock_1h_ridge_v1"):
            promote_model(name, clock=clock)
    return place


@pytest.fixture
def workspace(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    shutil.copytree(trained, tmp_path / "work")
    monkeypatch.chdir(tmp_path / "work")
    before = signal.getsignal(signal.SIGTERM)
    yield tmp_path / "work"
    assert signal.getsignal(signal.SIGTERM) is before


def at_bar(position: int) -> SimulatedClock:
    """Return a clock a minute after the end of a daily bar."""
    return SimulatedClock(from_ns(int(PANEL.end[position])) + timedelta(minutes=1))


def feed(clock: SimulatedClock, store: Path = Path("store"), *, bars: int = 15) -> None:
    """Store the newest daily bars that have closed by now, as somebody who fetches them would."""
    closed = int(np.searchsorted(PANEL.end, to_ns(clock.now()), "right"))
    newest = bar_table(PANEL.cut(max(0, closed - bars), closed))
    EmbeddedStore(store).append(newest, bar_set(PANEL, name="mine"), recorded_at=clock.now())


def serve(
    clock: SimulatedClock,
    until: datetime | None = None,
    *,
    request: ServeRequest = DAYS,
    meanwhile: Callable[[], None] = quiet,
) -> dict[str, Any]:
    """Serve until an instant, where the process gets a real SIGTERM; each nap is six hours."""

    def nap(_seconds: float) -> None:
        meanwhile()
        clock.advance_to(clock.now() + timedelta(hours=6))
        feed(clock)
        if until is not None and clock.now() >= until:
            os.kill(os.getpid(), signal.SIGTERM)

    feed(clock)
    request = replace(request, once=request.once or until is None)
    return start_serving(request, note=quiet, clock=clock, nap=nap).document


def records(workspace: Path, place: str = "stock_1d") -> list[dict[str, Any]]:
    files = sorted((workspace / "forecasts" / place).glob("*.jsonl"))
    return [json.loads(line) for file in files for line in file.read_text().splitlines()]


def scores(workspace: Path) -> dict[tuple[Any, ...], dict[str, Any]]:
    files = sorted((workspace / "forecasts/stock_1d/scores").glob("*.jsonl"))
    lines = [json.loads(line) for file in files for line in file.read_text().splitlines()]
    found = dict(zip(keys(lines), lines, strict=True))
    assert len(found) == len(lines)  # each once
    return found


def keys(rows: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    return [(r["model_version"], r["instrument"], r["as_of"], r["horizon"]) for r in rows]


def test_every_bar_is_forecast_once_also_over_a_restart(workspace):
    clock, end = at_bar(LIVE), from_ns(int(PANEL.end[LIVE + 5]))
    first = serve(clock, end)
    assert first["rounds"] > 5  # nights and days without bars too
    assert first["running"] is False
    begun = records(workspace)
    assert serve(clock)["last"]["sets"][0]["written"] in (0, first["last"]["sets"][0]["rows"])
    serve(clock, from_ns(int(PANEL.end[399])) + timedelta(hours=12))
    rows = records(workspace)
    assert rows[: len(begun)] == begun
    assert len(set(keys(rows))) == len(rows)
    horizons = {row["horizon"] for row in rows}
    assert {row["as_of"] for row in rows} == {format_ns(int(PANEL.end[i])) for i in range(LIVE, 400)}
    assert len(rows) == NAMES * len(horizons) * 10
    assert not any(row["stale"] for row in rows)
    assert [*rows[0]] == sorted(RECORD_COLUMNS)
    assert {file.name for file in (workspace / "forecasts/stock_1d").glob("*.jsonl")} == {
        f"{row['as_of'][:10]}.jsonl" for row in rows
    }


def test_a_forecast_is_what_predict_says_at_that_time_and_sees_nothing_later(workspace):
    serve(at_bar(LIVE))
    feed(at_bar(399))
    day = from_ns(int(PANEL.end[LIVE])).date().isoformat()
    told = predict_with(PredictRequest(data="mine", at=day), progress=quiet, clock=at_bar(399)).document["forecasts"]
    for mine, other in zip(records(workspace), told, strict=True):
        assert mine | {"prediction_time": 0} == other | {"prediction_time": 0}


def test_a_kill_in_the_middle_of_a_batch_loses_and_repeats_nothing(workspace):
    serve(at_bar(LIVE))
    (file,) = (workspace / "forecasts/stock_1d").glob("*.jsonl")
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) * 2 // 3])  # some lines, and a part of one
    assert not file.read_bytes().endswith(b"\n")
    told = serve(at_bar(LIVE))["last"]["sets"][0]
    assert 0 < told["written"] < told["rows"]
    assert file.read_bytes() == whole


def test_every_forecast_is_scored_once_when_its_horizon_ends(workspace):
    clock = at_bar(LIVE)
    told = serve(clock, from_ns(int(PANEL.end[LIVE + 7])) + timedelta(hours=12))
    rows, found = records(workspace), scores(workspace)
    labels = compute_targets(PANEL, sorted({row["horizon"] for row in rows}))
    place = {name: i for i, name in enumerate(PANEL.instruments)}
    ended = 0
    for row, key in zip(rows, keys(rows), strict=True):
        t = int(np.searchsorted([format_ns(int(end)) for end in PANEL.end], row["as_of"]))
        assert (key in found) == (t + row["horizon"] <= LIVE + 7)
        if key not in found:
            continue
        ended += 1
        actual = labels.values[place[row["instrument"]], t, 0, labels.horizons.index(row["horizon"])]
        assert found[key]["outcome"] == pytest.approx(actual, abs=1e-12)
        gaps = [(float(level), actual - value) for level, value in row["quantiles"].items()]
        assert found[key]["loss"] == pytest.approx(np.mean([max(q * gap, (q - 1) * gap) for q, gap in gaps]))
        assert found[key]["inside"] == (row["quantiles"]["0.1"] <= actual <= row["quantiles"]["0.9"])
    assert ended == len(found) > 20
    shown = told["last"]["sets"][0]["scores"]
    first = min(labels.horizons)
    mine = [one for one in found.values() if one["horizon"] == first]
    assert shown[0]["scored"] == len(mine)
    assert shown[0]["coverage"] == pytest.approx(np.mean([one["inside"] for one in mine]))
    assert shown[0]["right"] == pytest.approx(np.mean([one["right"] for one in mine]))
    assert any("right sign" in line for line in serving_status().lines)


def test_a_restart_and_a_torn_score_file_score_nothing_twice(workspace):
    clock = at_bar(LIVE)
    serve(clock, from_ns(int(PANEL.end[LIVE + 5])))
    shown = serve(clock)["last"]["sets"][0]["scores"]
    before = scores(workspace)
    again = serve(clock)["last"]["sets"][0]
    assert again["scored"] == 0
    assert again["scores"] == shown
    assert scores(workspace) == before
    for file in sorted((workspace / "forecasts/stock_1d/scores").glob("*.jsonl")):
        whole = file.read_bytes()
        file.write_bytes(whole[: len(whole) * 2 // 3])  # some lines, and a part of one
    (workspace / "forecasts/stock_1d/scores/settled.json").unlink(missing_ok=True)
    assert serve(clock)["last"]["sets"][0]["scored"] > 0
    assert scores(workspace) == before


def test_a_challenger_forecasts_beside_the_champion_and_is_compared_on_the_same_rows(workspace):
    asked = replace(DAYS, challengers=("stock_1d_ridge_v2",))
    told = serve(at_bar(LIVE), from_ns(int(PANEL.end[LIVE + 7])) + timedelta(hours=12), request=asked)
    last = told["last"]["sets"][0]
    (beside,) = last["beside"]
    assert (last["model"], beside["model"], beside["stage"]) == ("stock_1d_ridge_v1", "stock_1d_ridge_v2", "candidate")
    found, first = scores(workspace), min(row["horizon"] for row in records(workspace))
    by_model: dict[str, dict[Any, float]] = {}
    for key, one in found.items():
        if one["horizon"] == first:
            by_model.setdefault(key[0].split()[0], {})[key[1:]] = one["loss"]
    ours, theirs = by_model["stock_1d_ridge_v1"], by_model["stock_1d_ridge_v2"]
    assert ours.keys() == theirs.keys()
    compared = beside["paired"][0]
    assert (compared["horizon"], compared["pairs"], compared["enough"]) == (first, len(ours), False)
    assert compared["loss_ratio"] == pytest.approx(sum(theirs.values()) / sum(ours.values()))
    assert compared["days"] == len({key[1] for key in ours})
    assert any("too little to judge" in line for line in serving_status().lines)
    gone = replace(asked, challengers=("stock_1d_ridge_v2",), once=True)
    shutil.rmtree(workspace / "models/stock_1d_ridge_v2/weights")
    last = serve(at_bar(399), request=gone)["last"]["sets"][0]
    assert "missing" in last["beside"][0]["refused"]
    assert last["model"] == "stock_1d_ridge_v1"
    assert "refused" not in last


def test_the_rows_kept_reach_as_far_as_the_horizon_of_a_challenger(workspace, monkeypatch):
    monkeypatch.setattr("foresail.service.serving_live._OUTCOMES", 1)
    clock = at_bar(LIVE)
    day = clock.now().date().isoformat()
    asked = TrainRequest(data="mine", forecaster="ridge", features=FEATURES, until=day, horizons="1")
    train_model(asked, progress=quiet, clock=clock)
    promote_model("stock_1d_ridge_v3", clock=clock)
    request = replace(DAYS, models=("stock_1d_ridge_v3",), challengers=("stock_1d_ridge_v2",))
    serve(clock, from_ns(int(PANEL.end[LIVE + 7])) + timedelta(hours=12), request=request)
    found = [key for key, one in scores(workspace).items() if key[0].startswith("stock_1d_ridge_v2")]
    assert {key[3] for key in found} == {1, 5}


def test_forecasts_of_a_set_that_is_served_no_more_are_given_up_and_told(workspace, monkeypatch):
    monkeypatch.setattr("foresail.service.serving_scores._GONE", 5)
    clock = at_bar(LIVE)
    told = serve(clock, from_ns(int(PANEL.end[LIVE + 7])))
    assert told["last"]["given_up"] == 0
    place = workspace / "forecasts/stock_1d"
    first = min(place.glob("*.jsonl"))
    gone = [{**json.loads(line), "instrument": "stock.S0.GONE"} for line in first.read_text().splitlines()[:1]]
    with first.open("a") as stream:
        stream.writelines(json.dumps(one) + "\n" for one in gone)
    told = serve(clock)
    assert told["last"]["given_up"] == 1
    assert "forecasts that can never be scored, since their bars or sets have gone: 1" in serving_status().lines
    assert serve(clock)["last"]["given_up"] == 0


def test_the_log_says_what_a_model_decided_and_how_long_it_took(workspace):
    serve(at_bar(LIVE), from_ns(int(PANEL.end[LIVE + 2])))
    files = sorted((workspace / "forecasts/stock_1d/decisions").glob("*.jsonl"))
    lines = [json.loads(line) for file in files for line in file.read_text().splitlines()]
    assert [one["as_of"] for one in lines] == sorted({row["as_of"] for row in records(workspace)})
    assert [one["path"] for one in lines] == ["whole", "live"]
    horizons = {str(row["horizon"]) for row in records(workspace)}
    for one in lines:
        assert {*one["votes"]} == {*one["confidence"]} == horizons
        assert all(sum(votes.values()) == NAMES for votes in one["votes"].values())
        assert all(0.5 <= sure <= 1.0 for sure in one["confidence"].values())
        assert one["taken_ms"] >= 0.0


def test_a_promotion_is_picked_up_and_a_model_is_checked_once(workspace, monkeypatch):
    loaded = []

    def counted(entry: Any) -> Any:
        loaded.append(entry.name)
        return models_loading.load_model(entry)

    monkeypatch.setattr(serving_daemon, "load_model", counted)
    clock, change = at_bar(LIVE), from_ns(int(PANEL.end[LIVE + 2]))
    done: list[str] = []

    def promote() -> None:
        if clock.now() >= change and not done:
            done.append(promote_model("stock_1d_ridge_v2", clock=clock).document["model"])

    serve(clock, from_ns(int(PANEL.end[LIVE + 4])), meanwhile=promote)
    assert loaded == ["stock_1d_ridge_v1", "stock_1d_ridge_v2"]
    by_day = {row["as_of"]: row["model_version"].split()[0] for row in records(workspace)}
    assert by_day[format_ns(int(PANEL.end[LIVE + 1]))] == "stock_1d_ridge_v1"
    assert by_day[format_ns(int(PANEL.end[LIVE + 3]))] == "stock_1d_ridge_v2"


def test_stale_bars_are_said_and_not_forecast(workspace):
    clock = at_bar(399)
    serve(clock)
    good = records(workspace)
    clock.advance_to(clock.now() + timedelta(days=9))
    told = serve(clock, clock.now() + timedelta(days=3))["last"]["sets"][0]
    assert told["stale"] == told["rows"]
    assert "have closed since" in told["stale_reason"]
    notices = [row for row in records(workspace) if row["stale"]]
    assert keys(notices) == keys(good)  # one each, however many rounds
    assert all(row["predicted_return"] is None and row["quantiles"] is None for row in notices)
    assert [row for row in records(workspace) if not row["stale"]] == good
    assert serving_status().document["last"]["sets"][0]["stale"] == told["rows"]


def test_a_model_whose_features_changed_is_refused_by_name_while_others_go_on(workspace, monkeypatch):
    formula = training_data.formula_text
    monkeypatch.setattr(training_data, "formula_text", lambda e: formula(e).replace("20", "21"))
    both = ServeRequest(data=("hourly", "mine"))
    told = serve(at_bar(LIVE), request=both)["last"]["sets"]
    assert [one["model"] for one in told] == ["stock_1h_ridge_v1", "stock_1d_ridge_v1"]
    assert all("this version computes" in one["refused"] for one in told)
    monkeypatch.setattr(
        training_data,
        "formula_text",
        lambda e: (
            formula(e) + " other"
            if formula(e) == formula(training_data.find("sma_20").model_expression)
            else formula(e)
        ),
    )
    outcome = start_serving(replace(both, once=True), note=quiet, clock=at_bar(LIVE))
    assert outcome.exit_code == 0
    first, second = outcome.document["last"]["sets"]
    assert first["model"] == "stock_1h_ridge_v1"
    assert "changed: sma_20" in first["refused"]
    assert second["written"] == second["rows"] > 0
    assert any("stock_1h_ridge_v1 REFUSED" in line for line in outcome.lines)
    assert not (workspace / "forecasts/stock_1h").exists()


def test_each_class_and_frame_has_its_model_and_its_folder(workspace):
    told = serve(at_bar(LIVE), request=ServeRequest(data=("hourly", "mine"), once=True))
    assert [one["model"] for one in told["last"]["sets"]] == ["stock_1h_ridge_v1", "stock_1d_ridge_v1"]
    assert {row["frame"] for row in records(workspace, "stock_1h")} == {"1h"}
    named = ServeRequest(data=("mine",), models=("stock_1d_ridge_v2",))
    assert serve(at_bar(LIVE), request=named)["last"]["sets"][0]["stage"] == "candidate"
    heard: list[str] = []
    idle = ServeRequest(data=("mine",), models=("stock_1h_ridge",), once=True)
    start_serving(idle, note=heard.append, clock=at_bar(LIVE))
    assert heard[1].startswith("--model stock_1h_ridge: none of the sets")
    twice = ServeRequest(data=("mine",), models=("stock_1d_ridge", "stock_1d_ridge_v2"))
    assert "are both of stock_1d" in serve(at_bar(LIVE), request=twice)["last"]["sets"][0]["refused"]


def test_candidates_answer_only_where_that_was_asked_for(workspace):
    retire_model("stock_1d_ridge_v1")
    assert start_serving(replace(DAYS, once=True), note=quiet, clock=at_bar(LIVE)).exit_code == 3
    told = serve(at_bar(LIVE), request=replace(DAYS, stage="candidate"))["last"]["sets"][0]
    assert (told["model"], told["stage"]) == ("stock_1d_ridge_v2", "candidate")


def test_a_round_that_serves_nothing_ends_the_start_and_says_why(workspace):
    outcome = start_serving(replace(DAYS, data=("absent",)), note=quiet, clock=at_bar(LIVE))
    assert outcome.exit_code == 3
    assert "stored sets: hourly, mine" in outcome.lines[-1]
    assert records(workspace) == []


@pytest.mark.parametrize(
    ("change", "error", "text"),
    [
        ({"data": ()}, ConfigError, "--bars"),
        ({"every": "5"}, ConfigError, "--every"),
        ({"stage": "best"}, UnknownNameError, "champion"),
        ({"models": ("stock_1d_rigde",)}, UnknownNameError, "stock_1d_ridge_v1"),
    ],
)
def test_requests_that_make_no_sense_are_refused(workspace, change, error, text):
    with pytest.raises(error, match=text):
        start_serving(replace(DAYS, **change), note=quiet, clock=at_bar(LIVE))


@pytest.mark.parametrize(("sets", "minutes"), [(("mine",), 30), (("hourly", "mine"), 30)])
def test_times_are_whole_multiples_of_the_interval(workspace, sets, minutes):
    clock, seen = at_bar(LIVE), []

    def nap(_seconds: float) -> None:
        seen.append(serving_status().document["next"])
        clock.advance_to(clock.now() + timedelta(minutes=minutes))
        if len(seen) == 3:
            os.kill(os.getpid(), signal.SIGTERM)

    start_serving(ServeRequest(data=sets), note=quiet, clock=clock, nap=nap)
    due = [to_ns(datetime.fromisoformat(one)) for one in seen]
    assert all(one % (minutes * 60 * 10**9) == 0 for one in due)
    assert np.diff(due).tolist() == [minutes * 60 * 10**9] * 2


def test_one_process_serves_a_workspace_and_stops_when_asked(workspace):
    with pytest.raises(UserError, match="nothing was forecast"):
        serving_status()
    with pytest.raises(UserError, match="no process"):
        stop_serving()
    found: list[Any] = []

    def stop() -> None:
        if found:
            return
        assert serving_status().document["running"] is True
        with pytest.raises(IntegrityError, match="another process"):
            start_serving(replace(DAYS, once=True), note=quiet, clock=at_bar(LIVE))
        found.append(threading.Thread(target=lambda: found.append(stop_serving().document)))
        found[0].start()

    start_serving(DAYS, note=quiet, clock=at_bar(LIVE), nap=lambda _: (stop(), threading.Event().wait(0.01))[0])
    found[0].join(timeout=30)
    assert found[1] == {"stopped": True}
    assert serving_status().document["running"] is False


def test_a_damaged_record_is_refused_and_left_alone(workspace):
    serve(at_bar(LIVE))
    (file,) = (workspace / "forecasts/stock_1d").glob("*.jsonl")
    file.write_bytes(b"no record\n" + file.read_bytes())
    before = file.read_bytes()
    with pytest.raises(DataError, match="line 1"):
        serve(at_bar(LIVE))
    assert file.read_bytes() == before


def test_new_records_tell_their_reasons_and_only_they_are_explained(workspace, monkeypatch):
    asked: list[int] = []
    real = Ridge.explain
    monkeypatch.setattr(Ridge, "explain", lambda *one: asked.append(len(one[2])) or real(*one))
    first = at_bar(LIVE + 1)
    told = serve(first, first.now() + timedelta(days=3), request=replace(DAYS, explain=True, calibration="online"))
    rows = [row for row in records(workspace) if not row["stale"]]
    assert rows
    assert all(len(row["reasons"]) == 4 and row["similar"] is None for row in rows)
    assert sum(asked) == len(rows)  # each horizon of each new record once; a round without a new bar asks nothing
    assert told["last"]["sets"][0]["calibration"] == "online"
    assert told["rounds"] > len({row["as_of"] for row in rows})
    predicted = predict_with(
        PredictRequest(data="mine", at=rows[-1]["as_of"][:10], calibration="online", explain=True),
        progress=quiet,
        clock=at_bar(LIVE + 9),
    ).document["forecasts"]
    mine = {(row["instrument"], row["horizon"]): row for row in rows if row["as_of"] == rows[-1]["as_of"]}
    for other in predicted:
        row = mine[other["instrument"], other["horizon"]]
        assert row["quantiles"] == pytest.approx(other["quantiles"], abs=1e-5)
        assert [one["feature"] for one in row["reasons"]] == [one["feature"] for one in other["reasons"]]


def test_what_cannot_be_explained_is_recorded_with_a_note(workspace, monkeypatch):
    once = replace(DAYS, explain=True, once=True)
    with monkeypatch.context() as patch:
        patch.setattr("foresail.service.serving_inside.ExplainingForecaster", str)
        (told,) = serve(at_bar(LIVE + 1), request=once)["last"]["sets"]
    assert told["written"] > 0
    (note,) = told["notes"]
    assert note == "stock_1d_ridge_v1 cannot say which features moved a forecast: its records have no reasons"
    assert all(row["reasons"] is None for row in records(workspace))

    def fails(*_: object) -> None:
        raise ModelError("slopes without end")

    with monkeypatch.context() as patch:
        patch.setattr(Ridge, "explain", fails)
        (told,) = serve(at_bar(LIVE + 2), request=once)["last"]["sets"]
    assert told["written"] > 0
    assert told["notes"] == ["no reasons: slopes without end"]
    with pytest.raises(UnknownNameError, match="calibration"):
        serve(at_bar(LIVE + 2), request=replace(once, calibration="today"))
