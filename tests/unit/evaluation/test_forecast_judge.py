"""Forecasts made elsewhere: read or refused with a place, compared on the same rows, judged by the stated rules."""

import json

import numpy as np
import pandas as pd
import pytest

from foresail.core.errors import ConfigError, DataError, UnknownNameError
from foresail.evaluation.forecast_baselines import baseline_forecasts, known_times
from foresail.evaluation.forecast_judge import ForecastJudgeSettings, judge_forecast_table
from foresail.evaluation.forecast_scores import class_figures
from foresail.evaluation.forecast_table import TableOptions, read_forecasts
from foresail.evaluation.paired import BETTER, CANNOT_TELL, WORSE, PairedSettings, compare_losses
from foresail.evaluation.slices import shock_labels, slice_gain

DAYS = pd.bdate_range("2019-01-02", periods=600)
Z = {"q10": -1.2816, "q50": 0.0, "q90": 1.2816}


def point_table(skill=0.0, *, names=5, seed=1):
    random = np.random.default_rng(seed)
    parts = []
    for k in range(names):
        y = random.normal(0, 0.02, len(DAYS))
        forecast = skill * y + 0.001 * random.normal(size=len(DAYS))
        parts.append(
            pd.DataFrame({"instrument": f"A{k}", "issued_at": DAYS, "horizon": 1, "outcome": y, "forecast": forecast})
        )
    return pd.concat(parts, ignore_index=True)


def quantile_table(scale=1.0, *, seed=2):
    random = np.random.default_rng(seed)
    parts = []
    for k in range(4):
        sigma = 0.01 * np.exp(0.8 * np.sin(np.arange(len(DAYS)) / 40 + k))
        y = sigma * random.normal(size=len(DAYS))
        quantiles = {name: z * sigma * scale for name, z in Z.items()}
        parts.append(pd.DataFrame({"instrument": f"A{k}", "issued_at": DAYS, "horizon": 1, "outcome": y, **quantiles}))
    return pd.concat(parts, ignore_index=True)


def test_skill_is_better_and_harm_is_worse():
    assert judge_forecast_table(point_table(0.3)).word == "better"
    bad = point_table()
    bad["forecast"] = -0.5 * bad["outcome"]
    assert judge_forecast_table(bad).word in ("worse", "mixed")
    assert all(t.word == WORSE for t in judge_forecast_table(bad).horizons[0].tests if t.other == "no change")


def test_noise_is_not_better_than_no_change():
    report = judge_forecast_table(point_table())
    test = next(t for t in report.horizons[0].tests if t.other == "no change")
    assert test.word != BETTER
    assert test.detectable > 0


def test_true_quantiles_beat_the_past_and_are_calibrated():
    report = judge_forecast_table(quantile_table())
    assert report.kind == "quantiles"
    assert report.word == "better"
    found = report.horizons[0].calibration
    assert found.error < 0.02
    assert found.bands[0].coverage.low < 0.8 < found.bands[0].coverage.high
    assert sum(b.seen.value for b in found.histogram) == pytest.approx(1.0)
    narrow = judge_forecast_table(quantile_table(0.4)).horizons[0].calibration
    assert narrow.error > 0.05
    titles = [s.title for s in report.horizons[0].slices]
    assert "Named shocks" in titles
    assert "By year" in titles
    json.dumps(report.to_json(), allow_nan=False)


def test_a_csv_with_dates_reads_like_the_frame(tmp_path):
    frame = point_table(0.3, names=2)
    frame.to_csv(tmp_path / "f.csv", index=False)
    frame.to_parquet(tmp_path / "f.parquet")
    words = [judge_forecast_table(source) for source in (frame, tmp_path / "f.csv", tmp_path / "f.parquet")]
    assert len({(r.word, r.horizons[0].tests[0].improvement.value.hex()[:12]) for r in words}) == 1


def test_classes_against_base_rate_and_always_neutral():
    random = np.random.default_rng(3)
    p = random.dirichlet([3, 2, 3], 2400)
    y = [random.choice(3, p=q) for q in p]
    frame = pd.DataFrame({
        "instrument": np.repeat(["A", "B", "C", "D"], 600), "issued_at": np.tile(DAYS, 4), "horizon": 1,
        "outcome": np.array(["down", "neutral", "up"])[y], "p_down": p[:, 0], "p_neutral": p[:, 1], "p_up": p[:, 2],
    })  # fmt: skip
    report = judge_forecast_table(frame)
    assert (report.kind, report.word) == ("classes", "better")
    assert report.baselines == ("past frequencies", "always neutral", "one third each")
    assert report.horizons[0].calibration.error < 0.05
    told = report.horizons[0].figures[""]
    assert np.sum(told["confusion"]) == 2400
    assert told["accuracy"] > told["base_rate"]


def test_class_figures_by_hand():
    told = class_figures(
        np.array([0, 0, 1, 2]), np.array([[0.8, 0.1, 0.1], [0.1, 0.8, 0.1], [0.1, 0.8, 0.1], [0, 0, 1.0]])
    )
    assert told["accuracy"] == 0.75
    assert told["classes"]["down"] == {"precision": 1.0, "recall": 0.5, "f1": pytest.approx(2 / 3), "rows": 2}
    assert told["balanced_accuracy"] == pytest.approx((0.5 + 1 + 1) / 3)
    assert told["log_loss"] == pytest.approx(-(np.log(0.8) * 2 + np.log(0.1)) / 4)


@pytest.mark.parametrize(
    ("change", "row", "column", "says"),
    [
        (lambda f: f.drop(columns="horizon"), None, "horizon", "expected a column 'horizon'"),
        (lambda f: pd.concat([f, f.iloc[[3]]]), 2401, "issued_at", "twice, first in row 4"),
        (lambda f: f.assign(q50=f["q90"] + 1.0), 1, "q90", "quantiles cross"),
        (lambda f: f.assign(known_at=f["issued_at"]), 1, "issued_at", "already known"),
        (lambda f: f.assign(outcome="x"), 1, "outcome", "expected a finite number"),
        (lambda f: f.assign(horizon=0), 1, "horizon", "whole number of bars"),
        (lambda f: f.assign(q50=np.nan), 1, "q10", "missing on a row with an outcome"),
        (lambda f: f.assign(outcome=np.nan), None, "outcome", "received none"),
    ],
)
def test_bad_tables_are_refused_with_their_place(change, row, column, says):
    with pytest.raises(DataError, match=says) as error:
        read_forecasts(change(quantile_table()))
    assert (error.value.row, error.value.column) == (row, column)


def test_probabilities_must_sum_to_one_and_times_share_a_zone(tmp_path):
    head = "instrument,issued_at,horizon,outcome,down,neutral,up\n"
    (tmp_path / "p.csv").write_text(head + "A,2020-01-02,1,up,0.2,0.3,0.5\nA,2020-01-03,1,up,0.2,0.3,0.6\n")
    with pytest.raises(DataError, match="do not sum to 1") as error:
        read_forecasts(tmp_path / "p.csv")
    assert error.value.row == 2
    (tmp_path / "z.csv").write_text(head + "A,2020-01-02,1,up,0.2,0.3,0.5\nA,2020-01-03T00:00Z,1,up,0.2,0.3,0.5\n")
    with pytest.raises(DataError, match="all with a zone"):
        read_forecasts(tmp_path / "z.csv")


def test_options_are_checked_and_crossing_can_be_sorted():
    frame = quantile_table().assign(q50=1.0)
    table = read_forecasts(frame, TableOptions(crossing="sort"))
    assert table.crossings == len(frame)
    assert (np.diff(table.forecasts[""], axis=1) >= 0).all()
    with pytest.raises(UnknownNameError):
        read_forecasts(frame, TableOptions(kind="nothing"))
    with pytest.raises(ConfigError):
        read_forecasts(frame, TableOptions(crossing="ignore"))


def test_levels_prefixes_and_open_rows():
    frame = quantile_table().rename(columns={"q10": "q2.5", "q90": "q97.5"})
    frame["mine_q2.5"], frame["mine_q50"], frame["mine_q97.5"] = frame["q2.5"] * 2, 0.0, frame["q97.5"] * 2
    frame.loc[0, "outcome"] = np.nan
    table = read_forecasts(frame)
    assert table.levels == (0.025, 0.5, 0.975)
    assert set(table.forecasts) == {"", "mine"}
    assert (table.open_rows, len(table.outcome)) == (1, len(frame) - 1)
    assert judge_forecast_table(frame).others == ("mine",)


def test_baselines_never_look_ahead():
    frame = quantile_table()
    changed = frame.copy()
    late = frame["issued_at"] >= DAYS[300]
    changed.loc[late, "outcome"] = 9.0
    first, second = (baseline_forecasts(read_forecasts(f)) for f in (frame, changed))
    early = read_forecasts(frame).issued_at <= DAYS[300].value
    for name, values in first.items():
        np.testing.assert_array_equal(values[early], second[name][early])
    table = read_forecasts(frame)
    assert (known_times(table) > table.issued_at).all()


def test_rows_of_one_day_are_not_independent():
    random = np.random.default_rng(4)
    day = np.repeat(np.arange(100), 50)
    shared = np.repeat(random.normal(0.02, 0.2, 100), 50)
    loss = np.ones(len(day))
    found = compare_losses(loss, loss + shared, day, name="x")
    alone = compare_losses(loss, loss + shared, np.arange(len(day)), name="x")
    assert found.word == CANNOT_TELL
    width = found.improvement.high - found.improvement.low
    assert width > 5 * (alone.improvement.high - alone.improvement.low)
    wide = compare_losses(loss, loss + shared, day, name="x", settings=PairedSettings(overlap=4))
    assert wide.clusters == 25
    assert "could have been seen" in found.text


def test_few_issue_times_get_no_ruling():
    found = compare_losses(np.zeros(10), np.ones(10), np.arange(10), name="x")
    assert (found.word, np.isnan(found.p_value)) == (CANNOT_TELL, True)
    assert "too few" in found.text
    with pytest.raises(DataError, match="no row has both"):
        compare_losses(np.full(3, np.nan), np.ones(3), np.arange(3), name="x")


def test_slices_add_up_and_name_the_shocks():
    times = np.array(pd.to_datetime(["2020-03-16", "2022-06-01", "2021-01-04"]).as_unit("ns").asi8)
    assert shock_labels(times).tolist() == ["2020: pandemic", "2022: rates and war", ""]
    ours, theirs = np.full(100, 1.0), np.full(100, 2.0)
    labels = np.array(["a"] * 70 + ["b"] * 30, dtype=object)
    found = slice_gain("x", (ours, theirs), np.arange(100), labels)
    assert [(p.label, p.rows, p.improvement.value) for p in found.parts] == [("a", 70, 0.5), ("b", 30, 0.5)]


def test_prices_print_mape_beside_no_change():
    frame = point_table(0.3, names=2)
    frame["last"] = 100.0
    frame["forecast"], frame["outcome"] = 100 * np.exp(frame["forecast"]), 100 * np.exp(frame["outcome"])
    told = judge_forecast_table(frame, ForecastJudgeSettings(seed=1)).horizons[0].figures[""]
    assert told["mape"] < told["no_change_mape"]
