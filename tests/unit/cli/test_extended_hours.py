"""Bars from 04:00 to 20:00 New York, and the frame of six hours that needs them (DATA-42)."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from foresail.domain.calendars import bars_per_session, bars_per_year

TOML = """version = 1
name = "halves"
files = ["halves.csv"]
class = "stock"
frame = "30m"
time = "start"
zone = "America/New_York"
price_basis = "split_adjusted"
"""


def write_halves(folder: Path, days: int) -> None:
    """Write half hours of two stocks from 04:00 to 20:00 New York."""
    sessions = [
        d for d in pd.bdate_range("2016-04-04", periods=days + 8) if d.strftime("%m-%d") not in ("05-30", "07-04")
    ]
    times = [d + pd.Timedelta(minutes=240 + 30 * i) for d in sessions[:days] for i in range(32)]
    level = 50.0 * np.exp(np.cumsum(0.002 * np.sin(np.arange(len(times)) / 9.0)))
    columns = {"date": times, "open": level, "high": level * 1.01, "low": level * 0.99, "close": level * 1.001}
    both = [pd.DataFrame({**columns, "symbol": s, "volume": 10.0}) for s in ("AAA", "BBB")]
    pd.concat(both).to_csv(folder / "halves.csv", index=False)
    (folder / "halves.toml").write_text(TOML)
    (folder / "foresail.toml").write_text("version = 1\n")


def test_without_extended_hours_the_frame_of_six_hours_is_absent_with_the_reason(foresail, tmp_path):
    write_halves(tmp_path, 8)
    asked = (
        "features",
        "compute",
        "--bars",
        "halves.toml",
        "--set",
        "log_return_1@6h,log_return_1@1h",
        "--force",
        "--json",
    )
    done = foresail(*asked)
    assert done.code == 0, done.out
    document = json.loads(done.out)
    assert list(document["absent"]) == ["log_return_1@6h"]
    assert "needs bars with extended hours" in document["absent"]["log_return_1@6h"]
    assert document["known_share"]["log_return_1@1h"] > 0.8
    assert document["bars"].get("extended") is None
    kept = json.loads(foresail(*asked, "--extended").out)
    assert kept["absent"] == {}
    assert kept["bars"]["extended"] is True
    assert kept["known_share"]["log_return_1@6h"] > 0.8


def test_six_hours_are_made_of_extended_bars_also_at_import(foresail, tmp_path):
    write_halves(tmp_path, 8)
    asked = ("features", "compute", "--set", "log_return_1", "--force", "--json")
    refused = foresail(*asked, "--bars", "halves.toml", "--frame", "6h")
    assert refused.code == 2
    assert "--extended" in json.loads(refused.out)["hint"]
    made = json.loads(foresail(*asked, "--bars", "halves.toml", "--frame", "6h", "--extended").out)
    assert made["bars"]["incomplete_bars"] == 0
    table = pq.read_table(tmp_path / "features.parquet")
    hours = np.diff(np.column_stack([table.column(name).to_numpy() for name in ("start", "end")]), axis=1)[:3, 0]
    assert (hours / 3.6e12).tolist() == [6.0, 6.0, 4.0]
    assert table.num_rows == 2 * 3 * 8
    stored = foresail("import", "halves.toml", "--frame", "6h", "--extended", "--name", "six", "--json")
    assert (stored.code, json.loads(stored.out)["gaps"]) == (0, 0)
    assert json.loads(foresail(*asked, "--bars", "six").out)["features_hash"] == made["features_hash"]


def test_a_year_has_three_bars_of_six_hours_a_session():
    assert bars_per_year("XNYS", "6h") == 3 * 252
    _, counts = bars_per_session("XNYS", "6h", date(2016, 11, 23), date(2016, 11, 25))
    assert counts.tolist() == [3, 3]  # 04 to 10, 10 to 16, and 16 to 20, or to 17 after an early close


def test_models_learn_from_extended_hours_in_bars_of_six_hours_only(foresail, tmp_path):
    write_halves(tmp_path, 62)
    (tmp_path / "foresail.toml").write_text(
        'version = 1\n[run]\nforecaster = "ridge"\nfeatures = ["log_return_1", "volatility_20"]\nhorizons = [1]\n'
        'decision_horizon = 1\n[walk_forward]\ntrain = "90 bars"\nminimum_train = "90 bars"\nrefit = "40 bars"\n'
    )
    refused = foresail("run", "--bars", "halves.toml", "--extended", "--frame", "1h", "--json")
    assert refused.code == 2
    assert "regular hours" in json.loads(refused.out)["text"]
    done = foresail("run", "--bars", "halves.toml", "--extended", "--frame", "6h", "--out", "six", "--json")
    assert done.code == 0, done.err
    assert json.loads((tmp_path / "six" / "run.json").read_text())["inputs"]["extended"] is True
    assert foresail("verify", "six", "--json").code == 0


FUTURES = """version = 1
kind = "series"
name = "futures"
files = ["futures.csv"]
event_time = "time"
publication_lag = "0d"
[series]
es = "close"
"""


def test_futures_before_the_open_are_read_on_extended_bars(foresail, tmp_path):
    write_halves(tmp_path, 8)
    hours = pd.date_range("2016-04-03", "2016-04-16", freq="h")
    pd.DataFrame({"time": hours, "close": 2000.0 + np.arange(len(hours))}).to_csv(tmp_path / "futures.csv", index=False)
    (tmp_path / "futures.toml").write_text(FUTURES)
    words = ("--set", "overnight_futures_change_es", "--series", "futures.toml", "--force", "--json")
    asked = ("features", "compute", "--bars", "halves.toml", *words)
    assert foresail(*asked).code == 0
    assert not column(tmp_path).any()  # within a regular session it is zero
    assert json.loads(foresail(*asked, "--extended").out)["absent"] == {}
    change = column(tmp_path)[:256].reshape(8, 32)[1:]  # the first day has no close before it
    level = 2000.0 + np.arange(len(hours))
    at = dict(zip(hours, level, strict=True))
    # the half hour that ends at 09:00 New York on the 5th, after the regular close of the 4th
    expected = at[pd.Timestamp("2016-04-05 13:00")] / at[pd.Timestamp("2016-04-04 20:00")] - 1.0
    assert abs(change[0, 9] - expected) < 1e-12
    assert (change[:, :11] > 0.0).all()  # half hours that end from 04:30 to 09:30


def column(folder: Path) -> np.ndarray:
    table = pq.read_table(folder / "features.parquet")
    return np.nan_to_num(table.column("overnight_futures_change_es").to_numpy(zero_copy_only=False))
