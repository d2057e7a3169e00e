"""Features of several frames and presets as a user asks for them: ``set@frame``, groups of frames, styles."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from foresail.core.errors import CapabilityError, ConfigError, UnknownNameError
from foresail.domain.instruments import AssetClass
from foresail.engine.pipeline import feature_inputs
from foresail.features.batch import compute
from foresail.features.catalogue import find
from foresail.features.declared.sets import SETS
from foresail.features.frame_columns import absent_in_frames, expand_frames
from foresail.features.live import LiveDriver
from foresail.features.plain import compute_plain
from foresail.service.feature_names import chosen_names, default_use
from foresail.service.features import FeatureRequest, FeatureTable, compute_table, load_market

SET = """version = 1
name = "coins"
files = ["coins.csv"]
class = "crypto"
frame = "{frame}"
time = "start"
price_basis = "raw"
"""


def quiet(stage: str, done: int, total: int) -> None:
    del stage, done, total


def bars(folder: Path, frame: str, count: int) -> str:
    """Write a described set of two coins and return its path."""
    start = pd.date_range("2024-03-04", periods=count, freq=pd.Timedelta(frame), tz="UTC")
    rng = np.random.default_rng(6)
    tables = []
    for symbol in ("BTC-USD", "ETH-USD"):
        close = 100.0 * np.exp(np.cumsum(rng.normal(0, 0.002, count)))
        columns = {"open": close, "high": close * 1.001, "low": close * 0.999, "close": close, "volume": 5.0}
        tables.append(pd.DataFrame({"timestamp": start, "symbol": symbol, **columns}))
    pd.concat(tables).to_csv(folder / "coins.csv", index=False)
    (folder / "coins.toml").write_text(SET.format(frame=frame))
    return str(folder / "coins.toml")


def table_of(path: str, names: str, **more: object) -> FeatureTable:
    return compute_table(FeatureRequest(names=names, bars=path, **more), progress=quiet)  # type: ignore[arg-type]


def test_the_agreement_of_frames_is_the_sum_of_their_directions(tmp_path: Path) -> None:
    path = bars(tmp_path, "5m", 1200)
    table = table_of(path, "mtf_agreement,direction_5m,direction_15m,direction_60m")
    assert table.absent == {}
    agreement, *parts = (table.panel.values[:, :, k] for k in range(4))
    assert np.isfinite(agreement).any()
    assert len(set(agreement[np.isfinite(agreement)])) > 2
    np.testing.assert_array_equal(agreement, sum(parts))


def test_the_style_chooses_the_frames_or_says_why_they_are_not_there(tmp_path: Path) -> None:
    path = bars(tmp_path, "1h", 1500)
    refused = table_of(path, "mtf_agreement")
    assert "the style intraday adds up 5m, 15m, 1h, and bars of 1h do not make bars of 5m" in str(refused.absent)
    table = table_of(path, "mtf_agreement,direction_1h,direction_4h,direction_1d", style="swing")
    assert table.absent == {}
    agreement, *parts = (table.panel.values[:, :, k] for k in range(4))
    assert np.isfinite(agreement).any()
    np.testing.assert_array_equal(agreement, sum(parts))
    with pytest.raises(UnknownNameError, match="style of frames"):
        table_of(path, "rsi_14", style="daily")


def test_a_set_on_a_frame_is_each_of_its_members_there_in_both_forms(tmp_path: Path) -> None:
    path = bars(tmp_path, "5m", 900)
    table = table_of(path, "frame50@1h")
    assert table.set_name == "frame50@1h"
    assert len(table.panel.fields) == 50
    assert set(table.panel.fields) >= {"rsi_14@1h", "bb25_upper@1h"}  # crypto
    alone = table_of(path, "rsi_14@1h,sma_10@1h")
    assert np.array_equal(table.panel.field("rsi_14@1h"), alone.panel.field("rsi_14@1h"), equal_nan=True)
    model = table_of(path, "sma_10@1h,close@1h", form="model")
    hourly = table_of(path, "sma_10,close", frame="1h", form="model")
    ends = np.searchsorted(model.panel.end, hourly.panel.end)
    np.testing.assert_array_equal(model.panel.values[:, ends], hourly.panel.values)
    assert np.nanmax(np.abs(model.panel.values)) < 1.0


def test_rows_of_the_day_are_refused_on_a_daily_frame_with_the_reason(tmp_path: Path) -> None:
    table = table_of(bars(tmp_path, "1h", 100), "vwap@1d,vwap,mtf_agreement@4h")
    assert table.absent["vwap@1d"] == "needs bars within the day, and these are of 1d"
    assert "without one" in table.absent["mtf_agreement@4h"]
    assert "vwap" not in table.absent


def test_six_frames_of_fifty_indicators_are_three_hundred_names() -> None:
    names = expand_frames(["frame50@six"])
    assert len(names) == 300
    assert names[:2] == ("sma_10@1m", "sma_20@1m")
    assert names[-1] == "hurst_128@1d"
    assert len(expand_frames(["frame50@six"], own="5m")) == 250
    assert expand_frames(["btc_spy_corr_30d@correlations"]) == tuple(
        f"btc_spy_corr_30d@{frame}" for frame in ("1h", "4h", "1d")
    )
    assert expand_frames(["rsi_14@lstm"], own="1h") == ("rsi_14@1h", "rsi_14@1d")
    with pytest.raises(ConfigError, match="none of the frames"):
        expand_frames(["rsi_14@correlations"], own="1w")
    with pytest.raises(UnknownNameError, match="frame or group of frames 'sixty'"):
        expand_frames(["rsi_14@sixty"])
    assert absent_in_frames(["rsi_14@1h"], "5m", {"rsi_14": "why"}) == {"rsi_14@1h": "why"}


def test_presets_and_the_default_stand_for_their_names() -> None:
    kind, names = chosen_names("preset:scalp")
    assert (kind, names) == ("preset:scalp", ("rsi_7", "rsi_5", "rsi_6", "macd_3_10_1"))
    assert chosen_names("preset:swing@1d")[1] == ("rsi_9@1d", "rsi_14@1d", "macd_5_13_1@1d", "macd@1d")
    assert chosen_names("default", None, "1d") == ("default", SETS["swing32"])
    assert chosen_names("default", None, "1m")[1] == SETS["tft64"]
    hourly = chosen_names("default", AssetClass.STOCK, "1h")[1]
    assert hourly[:20] == SETS["core20"]
    assert set(hourly) == {*SETS["core20"], *SETS["multi"]}
    assert chosen_names("default:funnel,rsi_5")[1] == (*SETS["scan100"], "rsi_5")
    assert [default_use(frame) for frame in ("30m", "1h", "6h", "1d", "1w")] == [
        "minute", "hourly", "hourly", "daily", "daily",
    ]  # fmt: skip
    with pytest.raises(UnknownNameError, match="preset of indicators 'scalper'"):
        chosen_names("preset:scalper")
    with pytest.raises(UnknownNameError, match="use of features"):
        chosen_names("default:weekly")


def test_a_run_and_a_training_take_features_of_frames_through_the_same_door(tmp_path: Path) -> None:
    path = bars(tmp_path, "1h", 400)
    _, data = load_market(FeatureRequest(bars=path))
    names = ("rsi_14", "sma_10@4h", "frame50@1d", "vwap@1d", "rsi_14@30m", "mtf_agreement", "direction_4h")
    context, specs, absent = feature_inputs(data, names)
    got = [spec.name for spec in specs]
    assert got[:2] == ["rsi_14", "sma_10@4h"]
    assert got[-1] == "trend_direction@4h"
    assert "bb25_upper@1d" in got  # of crypto
    assert absent["vwap@1d"] == "needs bars within the day, and these are of 1d"
    assert absent["rsi_14@30m"] == "bars of 1h make no bars of 30m"
    assert "the style intraday adds up 5m" in absent["mtf_agreement"]
    model = compute(data.bars, got, context, form="model")
    assert model.fields == tuple(got)
    wanted = table_of(path, "sma_10@4h", form="model").panel.values[:, :, 0]
    np.testing.assert_array_equal(model.values[:, :, 1], wanted)
    assert find("RSI@4h").name == "rsi_14@4h"
    assert find("rsi_14@4h").group == "momentum"


def test_the_agreement_of_five_minute_bars_reaches_a_model(tmp_path: Path) -> None:
    path = bars(tmp_path, "5m", 900)
    _, data = load_market(FeatureRequest(bars=path))
    context, specs, absent = feature_inputs(data, ("mtf_agreement",))
    assert absent == {}
    values = compute(data.bars, [spec.name for spec in specs], context, form="model").values
    np.testing.assert_array_equal(values, table_of(path, "mtf_agreement").panel.values)


def test_one_frame_is_not_taken_for_another(tmp_path: Path) -> None:
    _, data = load_market(FeatureRequest(bars=bars(tmp_path, "1h", 30)))
    context, _, _ = feature_inputs(data, ("rsi_14",))
    with pytest.raises(CapabilityError, match="rsi_14@4h is of another frame"):
        LiveDriver(data.bars.instruments, ["rsi_14@4h"], context)
    with pytest.raises(CapabilityError, match="rsi_14@4h is of another frame"):
        compute_plain(data.bars, ["rsi_14@4h"], context)
