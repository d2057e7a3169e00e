"""Options that decide how bars are read and what stands beside them, as a user gives them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from foresail.core.errors import ConfigError
from foresail.service.calls import compute_features, run

STOCKS = """version = 1
name = "mine"
files = ["mine.csv"]
class = "stock"
frame = "1d"
time = "session"
price_basis = "split_adjusted"
"""
INDICES = """version = 1
kind = "series"
name = "indices"
files = ["indices.csv"]
event_time = "date"
at_close = true
symbol = "name"
value = "close"
[series]
vix = "VIX"
sp500 = "SPY"
"""


def write_market(folder: Path, count: int = 60) -> None:
    """Write two stocks and, beside them, a file with the VIX and the fund on the S&P 500."""
    days = pd.bdate_range("2016-02-01", periods=count + 4)
    days = days[~days.isin(pd.to_datetime(["2016-02-15", "2016-03-25"]))][:count].date
    wave = np.sin(np.arange(len(days)) / 4.0)
    stocks = [pd.DataFrame({"date": days, "symbol": s, "close": p + wave}) for s, p in (("AAA", 20.0), ("BBB", 40.0))]
    pd.concat(stocks).to_csv(folder / "mine.csv", index=False)
    (folder / "mine.toml").write_text(STOCKS)
    names = [pd.DataFrame({"date": days, "name": s, "close": p + wave}) for s, p in (("VIX", 18.0), ("SPY", 200.0))]
    pd.concat(names).to_csv(folder / "indices.csv", index=False)
    (folder / "indices.toml").write_text(INDICES)


def column(path: Path, name: str) -> np.ndarray:
    return pq.read_table(path).column(name).to_numpy(zero_copy_only=False)


def test_imported_series_reach_features_of_imported_bars(foresail, tmp_path):
    write_market(tmp_path)
    (tmp_path / "foresail.toml").write_text("version = 1\n")
    for name in ("mine", "indices"):
        done = foresail("import", f"{name}.toml", "--json")
        assert done.code == 0, done.err
    names = "vix_level,spy_return"
    done = foresail("features", "compute", "--bars", "mine", "--set", names, "--json")
    assert done.code == 0, done.err
    document = json.loads(done.out)
    assert document["absent"] == {}
    assert list(document["bars"]["series"]) == ["indices"]
    level = column(tmp_path / "features.parquet", "vix_level")
    np.testing.assert_allclose(level[:60], 18.0 + np.sin(np.arange(60) / 4.0))  # known at the close of its session


def test_series_stand_beside_bars_of_a_path_where_they_are_named(foresail, tmp_path):
    write_market(tmp_path)
    (tmp_path / "foresail.toml").write_text("version = 1\n")
    asked = ("features", "compute", "--bars", "mine.toml", "--set", "vix_level", "--force", "--json")
    assert "vix_level" in json.loads(foresail(*asked).out)["absent"]
    by_path = foresail(*asked, "--series", "indices.toml")
    assert json.loads(by_path.out)["absent"] == {}, by_path.err
    assert foresail("import", "indices.toml").code == 0
    by_name = foresail(*asked, "--series", "indices")
    assert json.loads(by_name.out)["features_hash"] == json.loads(by_path.out)["features_hash"]
    (tmp_path / "mine.toml").write_text('series = ["indices.toml"]\n' + STOCKS)
    declared = foresail(*asked)
    assert json.loads(declared.out)["features_hash"] == json.loads(by_path.out)["features_hash"]
    stored = json.loads(foresail("import", "mine.toml", "--json").out)  # with the series that it names
    assert [one["set"]["name"] for one in stored["series"]] == ["indices"]
    by_store = foresail("features", "compute", "--bars", "mine", *asked[4:])
    assert json.loads(by_store.out)["features_hash"] == json.loads(by_path.out)["features_hash"]
    wrong = foresail(*asked, "--series", "indexes")
    assert wrong.code == 2
    assert "Did you mean 'indices'" in json.loads(wrong.out)["text"]


def settings(folder: Path) -> None:
    (folder / "foresail.toml").write_text(
        'version = 1\n[run]\nforecaster = "ridge"\nfeatures = ["log_return_1", "volatility_20", "vix_level"]\n'
        'horizons = [1]\ndecision_horizon = 1\n[walk_forward]\ntrain = "120 sessions"\n'
        'minimum_train = "120 sessions"\nrefit = "60 sessions"\n'
    )


def test_a_run_records_its_series_and_is_repeated_with_them(foresail, tmp_path):
    write_market(tmp_path, count=240)
    settings(tmp_path)
    done = foresail("run", "--bars", "mine.toml", "--series", "indices.toml", "--out", "one", "--json")
    assert done.code == 0, done.err
    record = json.loads((tmp_path / "one" / "run.json").read_text())
    assert list(record["inputs"]["series"]) == ["indices"]
    again = foresail("verify", "one", "--json")
    assert again.code == 0, again.out
    rows = (tmp_path / "indices.csv").read_text().splitlines()
    (tmp_path / "indices.csv").write_text("\n".join([*rows[:-1], rows[-1].rpartition(",")[0] + ",199"]) + "\n")
    changed = foresail("verify", "one", "--json")
    assert changed.code == 5
    assert "the series that stood beside the bars" in json.loads(changed.out)["text"]


def test_a_pair_takes_its_second_leg_from_the_bars(foresail, tmp_path):
    write_market(tmp_path, count=300)
    (tmp_path / "foresail.toml").write_text("version = 1\n")
    asked = ("features", "compute", "--bars", "mine.toml", "--set", "spread_zscore,adf_pvalue", "--force", "--json")
    assert "no second leg" in json.loads(foresail(*asked).out)["absent"]["spread_zscore_60_pair"]
    done = foresail(*asked, "--pair", "AAA=BBB")
    document = json.loads(done.out)
    assert document["absent"] == {}, done.err
    assert document["bars"]["pairs"] == [["stock.US.AAA", "stock.US.BBB"]]
    score = column(tmp_path / "features.parquet", "spread_zscore_60_pair")
    assert np.isfinite(score[:300]).sum() > 200  # of AAA
    assert not np.isfinite(score[300:]).any()  # BBB has no second leg of its own
    (tmp_path / "foresail.toml").write_text('version = 1\n[pairs]\nAAA = "BBB"\nEURUSD = "GBPUSD"\n')
    settled = json.loads(foresail(*asked).out)
    assert settled["features_hash"] == document["features_hash"]
    for wrong, text in (("AAA=CCC", "unknown instrument of a pair 'CCC'"), ("AAA", "expected A=B"), ("AAA=AAA", "own")):
        refused = foresail(*asked, "--pair", wrong)
        assert refused.code == 2
        assert text in json.loads(refused.out)["text"]


MINUTES = """version = 1
name = "minutes"
files = ["minutes.csv"]
class = "crypto"
frame = "1m"
time = "start"
zone = "UTC"
price_basis = "raw"
"""


def write_minutes(folder: Path, hours: int = 30, holes: tuple[int, ...] = (125, 700)) -> None:
    """Write minutes of two coins; the first lacks some."""
    minutes = pd.date_range("2024-03-01", periods=60 * hours, freq="min")
    level = 100.0 * np.exp(np.cumsum(0.001 * np.sin(np.arange(len(minutes)) / 11.0)))
    rows = []
    for symbol, keep in (
        ("BTCUSD", ~np.isin(np.arange(len(minutes)), holes)),
        ("ETHUSD", np.full(len(minutes), True)),
    ):
        rows.append(
            pd.DataFrame(
                {
                    "date": minutes,
                    "symbol": symbol,
                    "open": level,
                    "high": level * 1.01,
                    "low": level * 0.99,
                    "close": level * 1.001,
                    "volume": 2.0,
                }
            )[keep]
        )
    pd.concat(rows).to_csv(folder / "minutes.csv", index=False)
    (folder / "minutes.toml").write_text(MINUTES)


def test_minutes_become_hours_and_incomplete_ones_are_counted(foresail, tmp_path):
    write_minutes(tmp_path)
    (tmp_path / "foresail.toml").write_text("version = 1\n")
    asked = ("features", "compute", "--set", "log_return_1,atr_14", "--force", "--json")
    done = foresail(*asked, "--bars", "minutes.toml", "--frame", "1h")
    document = json.loads(done.out)
    assert (document["bars"]["frame"], document["bars"]["fine_frame"]) == ("1h", "1m")
    assert document["bars"]["incomplete_bars"] == 2
    assert "2 of 60 are incomplete and left out" in " ".join(document["notes"])
    assert pq.read_table(tmp_path / "features.parquet").num_rows == 58
    # the same hours out of the store, made when they were imported
    stored = foresail("import", "minutes.toml", "--frame", "1h", "--name", "hours", "--json")
    assert stored.code == 0, stored.err
    imported = json.loads(stored.out)
    assert (imported["set"]["frame"], imported["accepted"]) == ("1h", 58)
    assert "2 of 60 are incomplete and left out" in " ".join(imported["notes"])
    again = foresail(*asked, "--bars", "hours")
    assert json.loads(again.out)["features_hash"] == document["features_hash"]
    for frame, text in (("90s", "no multiple of 1m"), ("1w", "close no bar of that frame")):
        refused = foresail(*asked, "--bars", "minutes.toml", "--frame", frame)
        assert (refused.code, text in json.loads(refused.out)["text"]) == (2, True)


def test_a_model_of_hours_learns_from_minutes(foresail, tmp_path):
    write_minutes(tmp_path, hours=320)
    (tmp_path / "foresail.toml").write_text(
        'version = 1\n[run]\nforecaster = "ridge"\nfeatures = ["log_return_1", "volatility_20"]\nhorizons = [1]\n'
        'decision_horizon = 1\n[walk_forward]\ntrain = "150 bars"\nminimum_train = "150 bars"\nrefit = "60 bars"\n'
    )
    done = foresail("run", "--bars", "minutes.toml", "--frame", "1h", "--out", "one", "--json")
    assert done.code == 0, done.err
    inputs = json.loads((tmp_path / "one" / "run.json").read_text())["inputs"]
    assert (inputs["frame"], inputs["incomplete_bars"]) == ("1h", 2)
    assert foresail("verify", "one", "--json").code == 0
    words = ("--forecaster", "ridge", "--features", "log_return_1,volatility_20", "--horizons", "1", "--json")
    trained = foresail("train", "--bars", "minutes.toml", "--frame", "1h", *words)
    assert trained.code == 0, trained.out
    asked = ("predict", "--bars", "minutes.toml", "--model", "crypto_1h_ridge_v1", "--at", "2024-03-14", "--json")
    assert "1m" in json.loads(foresail(*asked).out)["text"]  # the model is of hours, the bars are minutes
    told = foresail(*asked, "--frame", "1h")
    assert told.code == 0, told.out
    assert "crypto_1h_ridge" in told.out


def test_python_calls_read_bars_as_commands_do(foresail, tmp_path, monkeypatch):
    write_market(tmp_path)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "foresail.toml").write_text("version = 1\n")
    words = ("--bars", "mine.toml", "--set", "vix_level", "--frame", "1w", "--series", "indices.toml", "--json")
    told = json.loads(foresail("features", "compute", *words).out)
    called = compute_features("vix_level", bars="mine.toml", frame="1w", series=["indices.toml"])
    assert called.features_hash == told["features_hash"]
    with pytest.raises(ConfigError, match="regular hours"):
        run("mine.toml", frame="1w", extended=True)


def test_a_hold_out_is_not_read_in_another_frame(foresail, tmp_path, tmp_path_factory):
    write_minutes(tmp_path)
    (tmp_path / "foresail.toml").write_text("version = 1\n")
    words = ("--set", "log_return_1", "--frame", "1h", "--force", "--json")
    for name, more in (("fine", ()), ("hours", ("--frame", "1h"))):
        assert foresail("import", "minutes.toml", "--name", name, *more).code == 0
    sealed = foresail(
        "holdout",
        "seal",
        "hours_end",
        "--data",
        "hours",
        "--last",
        "0.25",
        "--vault",
        tmp_path_factory.mktemp("vault"),
        "--json",
    )
    assert sealed.code == 0, sealed.out
    refused = foresail("features", "compute", "--bars", "fine", *words)  # the very hours that were sealed
    assert refused.code == 2
    assert "hold-out hours_end begins" in json.loads(refused.out)["text"]
