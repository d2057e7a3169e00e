"""The volatility benchmark: windows, what entrants may see, the order of writing and scoring, looks, refusals."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from foresail.cli.main import app
from foresail.core.canonical import hash_file
from foresail.core.errors import DataError, IntegrityError, NonFiniteOutputError, UnknownNameError, UserError
from foresail.evaluation.registry import TrialRegistry
from foresail.evaluation.volatility_task import contest as contest_module
from foresail.evaluation.volatility_task.contest import KNOWN_CONTENT, Contest, check_counts, window_counts
from foresail.evaluation.volatility_task.entrants import ENTRANTS, chosen_entrants, har_inputs
from foresail.evaluation.volatility_task.scoring import daily_losses, score_entrants
from foresail.evaluation.volatility_task.series import indices, series_of
from foresail.evaluation.volatility_task.task import ENCODER, HORIZON, VolatilityTask
from foresail.forecasting.econometric.har import har_design
from foresail.service import volatility as service
from foresail.service.volatility import VolatilityRequest, bench_volatility
from foresail.testing.builders import fixed_clock

SOME = ("last_value", "har")


def silent(stage: str, done: int, total: int) -> None:
    del stage, done, total


def frame(last: str = "2019-07-31", first: str = "2014-06-02") -> pd.DataFrame:
    """31 indices with persistent variances, moving together; an early cut changes nothing before it."""
    days = pd.bdate_range(first, last, tz="UTC")
    whole = pd.bdate_range(first, "2019-12-31", tz="UTC")
    random = np.random.default_rng(5)
    shocks = random.normal(size=(32, len(whole)))
    parts = []
    for place, one in enumerate(indices()):
        level = np.zeros(len(whole))
        for t in range(1, len(whole)):
            level[t] = 0.95 * level[t - 1] + 0.15 * shocks[place, t] + 0.15 * shocks[31, t]
        variance = np.exp(level - 0.5 + random.normal(0.0, 0.4, size=len(whole)))  # measured with noise
        returns = np.sqrt(variance) * random.normal(size=len(whole))
        table = pd.DataFrame({"ts": whole, "symbol": one.alias, "r": returns, "rv": variance})
        parts.append(table[: len(days)])
    return pd.concat(parts, ignore_index=True)


@pytest.fixture(scope="module")
def long_frame() -> pd.DataFrame:
    return frame()


@pytest.fixture(scope="module")
def task(long_frame: pd.DataFrame) -> VolatilityTask:
    return VolatilityTask(series_of(long_frame))


@pytest.fixture(scope="module")
def long_file(long_frame: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("volatility") / "long.parquet"
    long_frame.to_parquet(path)
    return path


def request_of(file: Path, place: Path, **changes: object) -> VolatilityRequest:
    base = VolatilityRequest(data=file, out=place / "out", entrants=SOME, workspace=place)
    return replace(base, **changes)  # type: ignore[arg-type]


# --- the map and the series ------------------------------------------------------------------------------------------


def test_the_map_has_31_indices_and_the_four_regions_of_the_reference() -> None:
    found = {one.alias: one for one in indices()}
    assert len(found) == 31
    assert (found["bell"].symbol, found["psi"].symbol, found["tsx"].symbol) == ("BFX", "BVLG", "GSPTSE")
    assert sorted({one.reference_region for one in found.values()}) == ["AMER", "APAC", "APAC ", "EMEA"]
    assert (found["rut"].region, found["rut"].reference_region) == ("AMER", "EMEA")
    assert found["n225"].reference_region == "APAC "
    assert sorted({one.region for one in found.values()}) == ["AMER", "APAC", "EMEA"]


def test_zeros_take_the_value_before_them_and_late_rows_stay_unseen(long_frame: pd.DataFrame) -> None:
    changed = long_frame.copy()
    rows = changed.index[changed["symbol"] == "dax"]
    changed.loc[rows[[0, 10, 11]], "rv"] = 0.0
    found = series_of(changed)
    one = next(s for s in found.series if s.index.alias == "dax")
    before = np.log(changed.loc[rows[9], "rv"] / 10_000)
    assert one.log_variance[[8, 9, 10]].tolist() == [before] * 3  # the first row had nothing before it and is gone
    assert found.filled == 2
    assert date.fromordinal(date(1970, 1, 1).toordinal() + found.last) == date(2019, 6, 28)
    assert found.left_out == 31 * int((long_frame["ts"].drop_duplicates() > "2019-06-28").sum())


@pytest.mark.parametrize(
    ("change", "error", "text"),
    [
        (lambda f: f.drop(columns="rv"), DataError, "column 'rv' is missing"),
        (lambda f: f.assign(rv=f["rv"] / 10_000), DataError, "fraction squared: multiply by 10,000"),
        (lambda f: f.assign(r=f["r"] / 100), DataError, "a fraction: multiply by 100"),
        (lambda f: f.assign(symbol=f["symbol"].replace("dax", "daxx")), UnknownNameError, "Did you mean 'dax'"),
        (lambda f: f[f["symbol"] != "dax"], DataError, "missing: dax"),
        (lambda f: pd.concat([f, f.iloc[[7]]]), DataError, "two rows on one date"),
        (
            lambda f: f.assign(rv=f["rv"].where(f.index != 3, -1.0)),
            DataError,
            "row 4: expected a variance of 0 or more",
        ),
        (lambda f: f.assign(r=f["r"].where(f.index != 3)), DataError, "row 4: expected a number"),
        (lambda f: f.assign(ts=f["ts"].astype(str).where(f.index != 3, "soon")), DataError, "row 4: expected a date"),
        (lambda f: f.iloc[:0], DataError, "no rows"),
    ],
)
def test_a_wrong_table_is_refused_with_the_reason(long_frame, change, error, text) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(error, match=text):
        series_of(change(long_frame), file="f.parquet")


# --- windows ---------------------------------------------------------------------------------------------------------


def test_windows_are_counted_inside_their_split(task: VolatilityTask) -> None:
    rows = {"train": 0, "validation": 0, "test": 0}
    for one in task.series.series:
        year = one.day.astype("datetime64[D]").astype("datetime64[Y]").astype(int) + 1970
        rows["train"] += max(int((year < 2016).sum()) - 256, 0)
        rows["validation"] += max(int(((year == 2016) | (year == 2017)).sum()) - 256, 0)
        rows["test"] += max(int((year >= 2018).sum()) - 256, 0)
    counts = window_counts(task)
    assert {name: counts[name] for name in rows} == rows
    assert counts["test_whole"] == rows["test"] + 31 * 251
    assert counts["validation_whole"] == rows["validation"] + 31 * 251


@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_labels_lie_in_the_split_and_reference_windows_too(task: VolatilityTask, split: str) -> None:
    first, last = {"train": (1990, 2015), "validation": (2016, 2017), "test": (2018, 2019)}[split]
    for inside in (True, False):
        origins = task.origins(split, inside=inside)
        for k in (0, len(origins) // 2, len(origins) - 1):
            day = task.series.series[int(origins.index[k])].day
            row = int(origins.row[k])
            years = (
                day[[row, row + 1, row + HORIZON]].astype("datetime64[D]").astype("datetime64[Y]").astype(int) + 1970
            )
            assert first <= years.min()
            assert years.max() <= last
            if inside:
                begin = day[row - ENCODER + 1].astype("datetime64[D]").astype("datetime64[Y]").astype(int) + 1970
                assert begin >= first


def test_a_window_ends_at_its_origin_and_labels_begin_after_it(task: VolatilityTask) -> None:
    origins = task.origins("validation").where(np.array([0, 4000, 9000]))
    windows = next(task.windows(origins))
    labels = task.labels(origins)
    for k in range(3):
        one = task.series.series[int(origins.index[k])]
        row = int(origins.row[k])
        assert windows.past[k, :, 0].tolist() == one.log_variance[row - 251 : row + 1].tolist()
        assert windows.past[k, -1, 1] == one.simple_return[row]
        assert labels[k].tolist() == one.log_variance[row + 1 : row + 6].tolist()
        stamp = pd.Timestamp(one.day[row + 5].astype("datetime64[D]"))
        week = stamp.isocalendar().week
        wanted = [(stamp - pd.Timestamp("2000-01-03")).days, stamp.day_of_week, stamp.day, week, stamp.month]
        assert windows.calendar[k, -1].tolist() == wanted


def test_the_mean_over_indices_is_that_of_the_day_before(task: VolatilityTask) -> None:
    origins = task.origins("validation").where(np.array([100]))
    windows = next(task.windows(origins))
    row = int(origins.row[0])
    assert windows.past[0, -1, 2] == pytest.approx(np.mean([s.log_variance[row - 1] for s in task.series.series]))
    last_five = [np.mean([s.log_variance[row - k] for s in task.series.series]) for k in range(1, 6)]
    assert windows.past[0, -1, 3] == pytest.approx(np.mean(last_five))


def test_the_means_are_those_of_the_har_design(task: VolatilityTask) -> None:
    origins = task.origins("validation").where(np.arange(40))
    own = har_inputs(next(task.windows(origins)))[:, :5]
    one = task.series.series[0]
    design = har_design(one.log_variance[None], (1, 5, 22, 66, 252))[0]
    np.testing.assert_allclose(own, design[origins.row], rtol=1e-12)


def test_nothing_given_to_learn_from_ends_later_than_its_split(task: VolatilityTask) -> None:
    for split, last in (("train", "2015-12-31"), ("validation", "2017-12-31")):
        learning = task.learning(split)
        assert learning._table.day.max() <= np.datetime64(last, "D").astype(int)
    with pytest.raises(DataError, match="never learnt from"):
        task.learning("test")
    with pytest.raises(UnknownNameError, match="split"):
        task.origins("tset")


def test_later_data_change_no_earlier_forecast(long_frame: pd.DataFrame) -> None:
    """Noise after an origin's day leaves every forecast made up to that day as it was, bit by bit."""
    changed = long_frame.copy()
    late = changed["ts"] > "2017-06-30"
    changed.loc[late, ["r", "rv"]] *= np.random.default_rng(0).uniform(0.5, 2.0, size=(int(late.sum()), 1))
    cut = np.datetime64("2017-06-30", "D").astype(int)
    found = []
    for table in (long_frame, changed):
        contest = Contest(
            VolatilityTask(series_of(table)), chosen_entrants(("har_per_index",)), seed=0, progress=silent
        )
        found.append(contest.forecast("validation"))
    early = found[0].origins.day <= cut
    assert early.any()
    assert not early.all()
    for name, values in found[0].quantiles.items():
        np.testing.assert_array_equal(values[early], found[1].quantiles[name][early])
        assert not np.array_equal(values[~early], found[1].quantiles[name][~early])


def test_counts_of_the_known_data_are_asserted(task: VolatilityTask, monkeypatch: pytest.MonkeyPatch) -> None:
    told = check_counts(task)
    assert any("not those of the known file" in line for line in told)
    assert any("the reference has 101,899" in line for line in told)
    monkeypatch.setattr(contest_module, "KNOWN_CONTENT", task.series.content_hash)
    assert task.series.content_hash != KNOWN_CONTENT
    with pytest.raises(IntegrityError, match="train: expected 101,899"):
        check_counts(task)


# --- entrants --------------------------------------------------------------------------------------------------------


def test_every_baseline_of_the_table_takes_part_and_forecasts(task: VolatilityTask) -> None:
    assert list(ENTRANTS) == [
        "last_value",
        "mean_5",
        "mean_22",
        "mean_252",
        "har",
        "har_per_index",
        "har_x",
        "lightgbm",
        "tft",
        "tft_har_x",
    ]
    assert [one.name for one in chosen_entrants(("mean_5",))] == ["mean_5", "har_x"]
    with pytest.raises(UnknownNameError, match="entrant"):
        chosen_entrants(("tfd",))
    forest = replace(ENTRANTS["lightgbm"], trees=5)  # type: ignore[type-var]
    plain = [one for one in ENTRANTS.values() if one.name not in ("lightgbm", "tft", "tft_har_x")]
    entrants = (*plain, forest)
    found = Contest(task, entrants, seed=0, progress=silent).forecast("test")
    labels = task.labels(found.origins)
    scores = {one.name: one for one in score_entrants(found.quantiles, labels, found.origins.day, seed=0)}
    assert scores["har_x"].q_risk[1] < scores["last_value"].q_risk[1]
    assert scores["har"].q_risk[1] < scores["mean_252"].q_risk[1]
    assert scores["har_x"].in_confidence_set
    assert not scores["last_value"].in_confidence_set
    assert scores["last_value"].p_values[1] < 0.05
    assert 0.7 < scores["har"].coverage < 0.9
    for one in scores.values():
        assert one.interval[1].low < one.q_risk[1] < one.interval[1].high
        assert one.interval[1].value == pytest.approx(one.q_risk[1], rel=1e-12)


class _Own:
    """An entrant of somebody else, which keeps what it was given."""

    name, title, learns_from_validation = "own", "own", True

    def __init__(self, answer: float = 0.0) -> None:
        self.answer = answer
        self.validations: list[object] = []

    def fit(self, train, validation, *, seed):  # type: ignore[no-untyped-def]
        del train, seed
        self.validations.append(validation)
        return lambda windows: np.full((len(windows), 5, 3), self.answer)


def test_validation_labels_are_given_for_the_test_only(task: VolatilityTask) -> None:
    own = _Own()
    contest = Contest(task, (own,), seed=0, progress=silent)
    contest.forecast("validation")
    assert own.validations == [None]
    contest.forecast("test")
    given = own.validations[1]
    assert len(given.labels) == window_counts(task)["validation"]  # type: ignore[attr-defined]
    with pytest.raises(NonFiniteOutputError, match="own"):
        Contest(task, (_Own(np.nan),), seed=0, progress=silent).forecast("validation")


def test_daily_losses_weigh_days_and_not_windows() -> None:
    forecast = np.zeros((3, 5, 3))
    labels = np.array([[1.0] * 5, [3.0] * 5, [2.0] * 5])
    loss = daily_losses(forecast, labels, np.array([7, 7, 9]))
    np.testing.assert_allclose(loss, [[0.2, 1.0, 1.8], [0.2, 1.0, 1.8]])


# --- the command -----------------------------------------------------------------------------------------------------


def test_without_test_years_the_validation_table_is_printed_and_the_absence_said(tmp_path: Path) -> None:
    file = tmp_path / "short.parquet"
    frame("2017-12-29").to_parquet(file)
    outcome = bench_volatility(request_of(file, tmp_path), progress=silent, clock=fixed_clock())
    document = outcome.document
    assert sorted(document["tables"]) == ["validation", "validation_whole"]
    assert document["looks"] is None
    assert any("the test years are not in short.parquet" in note for note in document["notes"])
    assert any("11,340" in line for line in outcome.lines)
    assert not (tmp_path / "trials.jsonl").exists()
    assert "The test years are not in the file" in (tmp_path / "out" / "report.html").read_text()
    table = pd.read_csv(tmp_path / "out" / "table.csv")
    assert len(table) == 2 * 3
    stored = json.loads((tmp_path / "out" / "results.json").read_text())
    assert stored["tables"] == document["tables"]
    assert stored["forecasts"]["validation"]["sha256"] == hash_file(tmp_path / "out" / "forecasts-validation.parquet")


def test_both_test_tables_come_through_one_counted_look(long_file: Path, tmp_path: Path) -> None:
    first = bench_volatility(request_of(long_file, tmp_path), progress=silent, clock=fixed_clock()).document
    assert {"test", "test_whole"} <= set(first["tables"])
    assert first["looks"] == {"number": 1, "total": 1}
    again = bench_volatility(request_of(long_file, tmp_path, out=tmp_path / "b"), progress=silent).document
    assert again["looks"] == {"number": 1, "total": 1}
    assert again["tables"] == first["tables"]
    other = request_of(long_file, tmp_path, out=tmp_path / "c", entrants=("mean_5",))
    with pytest.raises(UserError, match="has looked at the hold-out"):
        bench_volatility(other, progress=silent)
    counted = replace(other, out=tmp_path / "d", another_look=True)
    last = bench_volatility(counted, progress=silent)
    assert last.document["looks"] == {"number": 2, "total": 2}
    assert any("looked at 2 times" in line for line in last.lines)
    folder = tmp_path / "out" / first["forecasts"]["test"]["folder"]
    assert hash_file(folder / "predictions.parquet") == first["forecasts"]["test"]["sha256"]
    assert "look" in (tmp_path / "d" / "report.html").read_text()
    assert len([r for r in TrialRegistry(tmp_path / "trials.jsonl").holdout_records() if r["kind"] == "look"]) == 2


def test_forecasts_are_on_disk_before_labels_are_joined(
    long_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []
    real = VolatilityTask.labels
    out = tmp_path / "out"

    def labels(self: VolatilityTask, origins):  # type: ignore[no-untyped-def]
        split = "test" if origins.day.min() >= np.datetime64("2018-01-01", "D").astype(int) else "validation"
        written = (
            list(out.glob("*/predictions.parquet")) if split == "test" else list(out.glob("forecasts-validation.*"))
        )
        counted = b'"kind": "look"' in (tmp_path / "trials.jsonl").read_bytes() if split == "test" else True
        seen.append(f"{split} {len(written)} {counted}")
        return real(self, origins)

    monkeypatch.setattr(VolatilityTask, "labels", labels)
    monkeypatch.setattr(service, "labels_hash", lambda task, split: "a" * 64)
    bench_volatility(request_of(long_file, tmp_path), progress=silent, clock=fixed_clock())
    assert seen == ["validation 2 True", "test 1 True"]


def test_results_are_the_same_bytes_again(long_file: Path, tmp_path: Path) -> None:
    for name in ("a", "b"):
        place = tmp_path / name
        bench_volatility(request_of(long_file, place, seed=3), progress=silent, clock=fixed_clock())
    for file in ("results.json", "table.csv", "report.html", "forecasts-validation.parquet"):
        assert (tmp_path / "a/out" / file).read_bytes() == (tmp_path / "b/out" / file).read_bytes()


def test_a_folder_with_results_or_other_things_is_refused(long_file: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "results.json").write_text("{}")
    with pytest.raises(UserError, match="holds results"):
        bench_volatility(request_of(long_file, tmp_path), progress=silent)
    (out / "letter.txt").write_text("mine")
    with pytest.raises(UserError, match=r"letter\.txt"):
        bench_volatility(request_of(long_file, tmp_path, force=True), progress=silent)


def test_the_command_prints_one_document_and_refuses_in_one(
    long_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["bench", "volatility", "--data", str(long_file), "--out", "out", "--entrants", "har", "--json"]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0
    assert json.loads(done.stdout)["benchmark"] == "volatility"
    bad = CliRunner().invoke(app, ["bench", "volatility", "--data", "no.parquet", "--out", "new", "--json"])
    assert bad.exit_code == 2
    assert "no such file" in json.loads(bad.stdout)["text"]
    assert not (tmp_path / "new").exists()
