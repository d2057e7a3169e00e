"""The network on the volatility task: its inputs, what it may learn from, seeds, restart, tuning, and the command."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed (extra: deep)")
torch.set_num_threads(1)  # the suite runs several workers

from foresail.core.errors import CapabilityError, ConfigError, DataError, UserError  # noqa: E402
from foresail.evaluation.volatility_task import entrants as entrants_module  # noqa: E402
from foresail.evaluation.volatility_task import networks as networks_module  # noqa: E402
from foresail.evaluation.volatility_task import tuning as tuning_module  # noqa: E402
from foresail.evaluation.volatility_task.contest import Contest  # noqa: E402
from foresail.evaluation.volatility_task.entrants import ENTRANTS, chosen_entrants  # noqa: E402
from foresail.evaluation.volatility_task.network_inputs import (  # noqa: E402
    calendar_inputs,
    centre_of,
    step_inputs,
    stitched,
)
from foresail.evaluation.volatility_task.networks import NetworkEntrant, NetworkSettings  # noqa: E402
from foresail.evaluation.volatility_task.series import indices, series_of  # noqa: E402
from foresail.evaluation.volatility_task.task import VolatilityTask  # noqa: E402
from foresail.evaluation.volatility_task.tuning import CHANGES, Trial, gained, tune  # noqa: E402
from foresail.forecasting.neural import fitting as fitting_module  # noqa: E402
from foresail.forecasting.neural.fitting import NetworkPanel, PanelSource  # noqa: E402
from foresail.forecasting.neural.training import TrainingTask  # noqa: E402
from foresail.forecasting.neural.windows import WindowSettings  # noqa: E402
from foresail.service import volatility as service  # noqa: E402
from foresail.service.volatility import VolatilityRequest, bench_volatility  # noqa: E402
from foresail.testing.builders import fixed_clock  # noqa: E402

SMALL = NetworkSettings(context_length=8, width=8, epochs=1, batch=64)
SMALL_TFT = NetworkEntrant("tft", "TFT", SMALL, seeds=2)


def silent(stage: str, done: int, total: int) -> None:
    del stage, done, total


def frame(late: float = 1.0, last: str = "2017-01-31") -> pd.DataFrame:
    """31 indices from mid-2014 on, holidays of their own; ``late`` scales variances after 2015."""
    days = pd.bdate_range("2014-06-02", last, tz="UTC")
    random = np.random.default_rng(5)
    parts = []
    for one in indices():
        shocks = random.normal(size=len(days))
        level = np.zeros(len(days))
        for t in range(1, len(days)):
            level[t] = 0.95 * level[t - 1] + 0.2 * shocks[t]
        variance = np.exp(level - 0.5 + random.normal(0.0, 0.4, size=len(days)))
        variance[days.year > 2015] *= late
        returns = np.sqrt(variance) * random.normal(size=len(days))
        table = pd.DataFrame({"ts": days, "symbol": one.alias, "r": returns, "rv": variance})
        parts.append(table[random.random(len(days)) > 0.02])
    return pd.concat(parts, ignore_index=True)


@pytest.fixture(scope="module")
def task() -> VolatilityTask:
    return VolatilityTask(series_of(frame()))


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("network") / "short.parquet"
    frame().to_parquet(path)
    return path


# --- inputs ----------------------------------------------------------------------------------------------------------


def test_stitched_windows_are_the_series_they_were_cut_from(task: VolatilityTask) -> None:
    learning = task.learning("train")
    found = stitched(learning)
    for place in (0, 7, 30):
        one = task.series.series[place]
        end = int(found.present[place].sum())
        np.testing.assert_array_equal(found.past[place, :end, 0], one.log_variance[:end])
        np.testing.assert_array_equal(found.past[place, :end, 1], one.simple_return[:end])
        assert np.isnan(found.past[place, end:]).all()
        start = found.calendar[place, 0, 0]
        assert np.array_equal(found.calendar[place, : end + 5, 0] - start, one.day[: end + 5] - one.day[0])
    again = found.labels[found.rows[:, 0], found.rows[:, 1]]
    np.testing.assert_array_equal(again, learning.labels)
    assert int(np.isfinite(found.labels[..., 0]).sum()) == len(learning.labels)


def test_inputs_of_a_window_are_those_of_the_series_at_every_step(task: VolatilityTask) -> None:
    """What is learnt from segments and what is forecast from windows is the same function of the same rows."""
    learning = task.learning("train")
    found = stitched(learning)
    chosen = np.array([0, 60, len(learning.labels) - 1])
    windows = learning.batch(chosen)
    whole, days = step_inputs(found.past, 8), calendar_inputs(found.calendar)
    own, own_days = step_inputs(windows.past, 8, last=8), calendar_inputs(windows.calendar)[:, -13:]
    assert np.isfinite(own).all()
    for k, (place, row) in enumerate(found.rows[chosen].tolist()):
        np.testing.assert_allclose(own[k], whole[place, row - 7 : row + 1], rtol=1e-12, atol=1e-12)
        np.testing.assert_array_equal(own_days[k], days[place, row - 7 : row + 6])
        np.testing.assert_allclose(centre_of(windows.past, last=1)[k, 0], centre_of(found.past)[place, row], rtol=1e-12)
        level = windows.past[k, :, 0]
        means = [level[-span:].mean() for span in (1, 5, 22, 66, 245)]
        expected = [*(a - b for a, b in pairwise(means)), means[-1]]
        np.testing.assert_allclose(own[k, -1, :5], expected, rtol=1e-9, atol=1e-12)


def test_the_calendar_tells_the_weekday_and_the_days_since_the_last_session() -> None:
    calendar = np.array([[[4, 4, 9, 2, 1], [7, 0, 12, 2, 1], [8, 1, 13, 2, 1]]])  # Friday, Monday, Tuesday
    found = calendar_inputs(calendar)[0]
    assert found[:, :5].argmax(axis=1).tolist() == [4, 0, 1]
    np.testing.assert_allclose(np.exp(found[:, 5]), [1.0, 3.0, 1.0])


def test_every_instrument_is_given_its_own_calendar() -> None:
    known = np.arange(2 * 12 * 1, dtype=float).reshape(2, 12, 1)
    panel = NetworkPanel(np.zeros((2, 9, 1)), known, np.ones((2, 9), dtype=bool), np.ones((2, 1), dtype=np.int64))
    source = PanelSource(WindowSettings(4, 3, windows=2), panel, None)
    told = source.batch(np.array([[0, 3], [1, 4]])).segments.known[..., 0]
    assert told.tolist() == [list(range(8)), list(range(13, 21))]
    with pytest.raises(DataError, match="12"):
        PanelSource(WindowSettings(4, 3), replace(panel, known=known[:, :-1]), None)
    known[1, 2] = np.nan
    with pytest.raises(DataError, match="known ahead"):
        PanelSource(WindowSettings(4, 3), panel, None)


# --- learning --------------------------------------------------------------------------------------------------------


def test_no_label_that_is_learnt_from_lies_among_those_that_stop(task: VolatilityTask) -> None:
    learning = task.learning("train")
    learnt, stopped = networks_module._fold([stitched(learning)], learning)
    assert len(learnt) > len(stopped) > 0
    for place in range(31):
        day = task.series.series[place].day
        last_label = day[learnt[learnt[:, 0] == place, 1].max() + 5]
        assert last_label < day[stopped[stopped[:, 0] == place, 1].min()]


def test_the_years_that_are_forecast_are_not_learnt_from(task: VolatilityTask) -> None:
    other = VolatilityTask(series_of(frame(late=3.0)))
    windows = next(task.windows(task.origins("train", inside=True).where(np.arange(5))))
    network = replace(SMALL_TFT, seeds=1)
    found = [network.fit(one.learning("train"), None, seed=0)(windows) for one in (task, other)]
    np.testing.assert_array_equal(*found)


def test_seeds_differ_are_averaged_and_come_out_the_same_again(task: VolatilityTask) -> None:
    contest = Contest(task, (SMALL_TFT,), seed=4, progress=silent)
    found = contest.forecast("validation")
    each = found.members["tft"]
    assert list(each) == ["seed 0", "seed 1"]
    assert not np.array_equal(each["seed 0"], each["seed 1"])
    np.testing.assert_array_equal(found.quantiles["tft"], np.mean(list(each.values()), axis=0))
    assert (np.diff(found.quantiles["tft"], axis=-1) >= 0.0).all()
    names = pd.unique(np.asarray(found.columns()["entrant"])).tolist()
    assert names == ["tft", "tft, seed 0", "tft, seed 1"]
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        again = Contest(task, (SMALL_TFT,), seed=4, progress=silent).forecast("validation")
    finally:
        torch.set_num_threads(before)
    np.testing.assert_array_equal(again.quantiles["tft"], found.quantiles["tft"])


def test_the_test_is_forecast_by_what_stopped_on_the_validation_years(task: VolatilityTask) -> None:
    train, validation = task.learning("train"), task.learning("validation")
    parts = [stitched(train), stitched(validation)]
    learnt, stopped = networks_module._fold(parts, train)
    assert (len(learnt), len(stopped)) == (len(train.labels), len(validation.labels))
    assert stopped[:, 0].min() == 31
    panel, labels, scale = networks_module._panel(parts, learnt, SMALL)
    told = labels[stopped[:, 0], stopped[:, 1], :, 0] * scale.label_deviation + scale.label_mean
    windows = validation.batch(np.arange(len(validation.labels)))
    np.testing.assert_allclose(told + centre_of(windows.past)[:, -1:], validation.labels, rtol=1e-9)
    assert panel.static[:, 0].tolist() == [*range(1, 32), *range(1, 32)]
    assert SMALL_TFT.fit(train, validation, seed=0)(windows).shape == (len(windows), 5, 3)


def test_a_longer_file_has_its_test_years_forecast_by_a_fit_of_its_own() -> None:
    long = VolatilityTask(series_of(frame(last="2018-02-28")))
    contest = Contest(long, (replace(SMALL_TFT, seeds=1),), seed=0, progress=silent)
    found = contest.forecast("test")
    assert list(contest._fitted) == [("tft", True)]
    assert found.members["tft"]["seed 0"].shape == (len(long.origins("test")), 5, 3)
    labels = long.labels(found.origins)
    error = np.abs(labels - found.quantiles["tft"][..., 1]).mean()
    assert error < np.abs(labels - labels.mean()).mean()


def test_a_finished_fit_is_read_again_and_another_is_not_mistaken_for_it(
    task: VolatilityTask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train = task.learning("train")
    windows = train.batch(np.arange(10))
    kept = replace(SMALL_TFT, folder=tmp_path, seeds=1)
    first = kept.fit(train, None, seed=0)(windows)
    np.testing.assert_array_equal(first, replace(kept, folder=None).fit(train, None, seed=0)(windows))

    def refuse(*args: object, **words: object) -> None:
        raise AssertionError("trained again")

    monkeypatch.setattr(fitting_module, "train", refuse)
    np.testing.assert_array_equal(kept.fit(train, None, seed=0)(windows), first)
    with pytest.raises(AssertionError, match="trained again"):
        kept.fit(train, None, seed=1)
    with pytest.raises(AssertionError, match="trained again"):
        replace(kept, settings=replace(SMALL, dropout=0.2)).fit(train, None, seed=0)


# --- tuning ----------------------------------------------------------------------------------------------------------


def test_changes_that_gained_are_joined_and_the_better_of_two_is_kept() -> None:
    def trial(score: float, **changes: object) -> Trial:
        return Trial(changes, (0.0, 0.0, 0.0), score, 0.8)

    trials = [trial(5.0), trial(4.0, width=16), trial(3.0, width=64), trial(6.0, rate=1.0), trial(4.5, dropout=0.3)]
    assert gained(trials) == {"width": 64, "dropout": 0.3}
    assert gained([trial(1.0), trial(2.0, width=16)]) == {}


def test_the_search_is_twelve_trials_at_most_and_takes_the_lowest(
    task: VolatilityTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert len(CHANGES) + 1 <= 12
    assert all(one.get("width", 0) <= 64 for one in CHANGES)
    monkeypatch.setattr(tuning_module, "START", SMALL)
    monkeypatch.setattr(tuning_module, "CHANGES", ({}, {"centred": False}))
    found = tune(task, SMALL_TFT, seed=0, progress=silent)
    best = min(found.trials, key=lambda one: one.score)
    assert found.settings == replace(SMALL, **best.changes)
    assert found.trials[0].score != found.trials[1].score
    assert found.document()["trials"][1]["changes"] == {"centred": False}


# --- the command -----------------------------------------------------------------------------------------------------


def request_of(file: Path, place: Path, **changes: object) -> VolatilityRequest:
    base = VolatilityRequest(data=file, out=place / "out", entrants=("tft_har_x",), workspace=place)
    return replace(base, **changes)  # type: ignore[arg-type]


def test_the_command_tells_seeds_trials_and_the_ensemble(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert [one.name for one in chosen_entrants(("tft_har_x",))] == ["har_x", "tft", "tft_har_x"]
    monkeypatch.setitem(entrants_module.ENTRANTS, "tft", SMALL_TFT)
    monkeypatch.setattr(tuning_module, "START", SMALL)
    monkeypatch.setattr(tuning_module, "CHANGES", ({}, {"centred": False}))
    outcome = bench_volatility(request_of(file, tmp_path, tune=True), progress=silent, clock=fixed_clock())
    document = outcome.document
    table = document["tables"]["validation_whole"]
    assert [row["entrant"] for row in table["rows"]] == ["har_x", "tft", "tft_har_x"]
    assert [row["seed"] for row in table["seeds"]["tft"]] == ["seed 0", "seed 1"]
    assert len(document["tuning"]["tft"]["trials"]) == 2
    assert any(line.strip().startswith("seed 1") for line in outcome.lines)
    assert any(line.startswith("trials of TFT") for line in outcome.lines)
    assert not (tmp_path / "out" / "unfinished").exists()
    stored = pd.read_parquet(tmp_path / "out" / "forecasts-validation.parquet").set_index(
        ["entrant", "index", "origin"]
    )
    both = (stored.loc["tft"]["q50"].to_numpy() + stored.loc["har_x"]["q50"].to_numpy()) / 2.0
    np.testing.assert_allclose(stored.loc["tft_har_x"]["q50"].to_numpy(), both, rtol=1e-12)
    page = (tmp_path / "out" / "report.html").read_text()
    assert "each seed by itself" in page
    assert "trials on 2016-17" in page


def test_a_killed_run_goes_on_without_force(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(entrants_module.ENTRANTS, "tft", replace(SMALL_TFT, seeds=1))

    def killed(*args: object, **words: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as once:
        once.setattr(service, "window_tables", killed)
        with pytest.raises(KeyboardInterrupt):
            bench_volatility(request_of(file, tmp_path), progress=silent)
    assert list((tmp_path / "out" / "unfinished").glob("*/network.safetensors"))
    monkeypatch.setattr(fitting_module, "train", killed)  # the fit is read, not made again
    bench_volatility(request_of(file, tmp_path), progress=silent, clock=fixed_clock())
    assert json.loads((tmp_path / "out" / "results.json").read_text())["tables"]
    with pytest.raises(UserError, match="holds results"):
        bench_volatility(request_of(file, tmp_path), progress=silent)


def test_without_the_deep_extra_the_network_is_left_out_and_that_is_said(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "deep_is_installed", lambda: False)
    outcome = bench_volatility(request_of(file, tmp_path), progress=silent, clock=fixed_clock())
    assert list(outcome.document["entrants"]) == ["har_x"]
    told = [line for line in outcome.lines if "extra: deep" in line]
    assert told == ["note: left out, as torch and safetensors are not installed (extra: deep): tft, tft_har_x"]


def test_there_must_be_a_network_to_tune(file: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="nothing to tune"):
        bench_volatility(request_of(file, tmp_path, entrants=("har",), tune=True), progress=silent)
    assert ENTRANTS["tft"].name == "tft"


def test_seeds_and_device_are_the_users_and_five_seeds_an_accelerators(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def prepared(**changes: object) -> NetworkEntrant:
        found, _ = service._taking_part(request_of(tmp_path / "none", tmp_path, entrants=("tft",), **changes))
        (network,) = (one for one in found if isinstance(one, NetworkEntrant))
        return network

    plain = prepared()
    assert (plain.seeds, plain.device, plain.title) == (3, "cpu", "TFT, mean of 3 seeds")
    assert (prepared(seeds=1).seeds, prepared(seeds=1).title) == (1, "TFT, one seed")
    with monkeypatch.context() as there:
        there.setattr(torch.cuda, "is_available", lambda: True)
        found = prepared(device="cuda")
        assert (found.seeds, found.device, found.title) == (5, "cuda", "TFT, mean of 5 seeds")
        assert prepared(device="cuda", seeds=2).seeds == 2
    if not torch.cuda.is_available():
        assert prepared(device="auto").seeds == 3
        with pytest.raises(CapabilityError, match="cuda was asked for"):
            prepared(device="cuda")
    with pytest.raises(ConfigError, match="seeds >= 1"):
        request_of(tmp_path / "none", tmp_path, seeds=0)


def test_a_fit_is_trained_where_the_entrant_says_and_kept_apart(
    task: VolatilityTask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []

    def noted(job: TrainingTask, **words: object) -> None:
        told.append(job.recipe.device)
        raise KeyboardInterrupt

    train = task.learning("train")
    kept = replace(SMALL_TFT, folder=tmp_path, seeds=1)
    kept.fit(train, None, seed=0)
    monkeypatch.setattr(fitting_module, "train", noted)
    with pytest.raises(KeyboardInterrupt):
        replace(kept, device="cuda").fit(train, None, seed=0)  # numbers of another device are others
    assert told == ["cuda"]
