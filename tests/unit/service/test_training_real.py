"""Training and forecasting on hourly coins: horizons are calendar time, and the market never closes (FCST-15)."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import foresail

DATA = Path(os.environ.get("FORESAIL_DATA", Path(__file__).parents[3].parent / "shared" / "data"))
FILE = DATA / "crypto_spot_1h" / "binance_1h.parquet"
SET = """
version = 1
name = "spot"
files = ["{file}"]
class = "crypto"
place = "BINANCE"
frame = "1h"
calendar = "24/7"
time = "start"
zone = "UTC"
price_basis = "raw"
universe = "hindsight"
currency = "USDT"
"""


@pytest.mark.data
@pytest.mark.skipif(not FILE.is_file(), reason=f"no {FILE}: set FORESAIL_DATA")
def test_hourly_coins(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "foresail-set.toml").write_text(SET.format(file=FILE))
    features = ["log_return_1", "log_return_20", "rsi_14", "volatility_20"]
    model = foresail.train(
        tmp_path, forecaster="ridge", features=features, horizons="4h,1d,1w", names=2, until="2019-06-30"
    )
    assert model.record["horizons"] == [4, 24, 168]
    for one in model.metrics["scores"]:
        if one["target"] == "close" and one["horizon"] < 168:
            assert 0.7 < one["coverage"]["value"] < 0.9
    told = foresail.predict(tmp_path, model=model.name, at="2020-06-30", symbols=["BTCUSDT"])
    assert [row["horizon_name"] for row in told.rows] == ["4h", "1d", "1w"]
    assert told.stale == 0
    assert told.rows[0]["as_of"] == "2020-06-30T23:00:00Z"
    late = foresail.predict(tmp_path, model=model.name, at="2030-01-01", symbols=["BTCUSDT"])
    assert late.stale == 3
