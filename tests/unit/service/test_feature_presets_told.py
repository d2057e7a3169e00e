"""Presets, levels by class and explanations on any bars, from the command line's use cases and from Python."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import foresail
from foresail.core.errors import UnknownNameError
from foresail.domain.instruments import AssetClass
from foresail.features.declared.presets import levels_of
from foresail.reporting.feature_chart import feature_svg
from foresail.service.feature_catalogue import explain_feature
from foresail.service.feature_plot import feature_chart
from foresail.service.feature_presets import list_presets
from foresail.service.features import FeatureRequest, compute_table

PAIRS = """version = 1
name = "pairs"
files = ["pairs.csv"]
class = "forex"
frame = "1h"
time = "start"
price_basis = "raw"
"""


def quiet(stage: str, done: int, total: int) -> None:
    del stage, done, total


@pytest.fixture
def pairs(tmp_path: Path) -> str:
    start = pd.date_range("2024-03-04 22:00", periods=60, freq="1h", tz="UTC")
    wave = 1.0 + 0.01 * np.sin(np.arange(60) / 4.0)
    rows = [
        pd.DataFrame({"timestamp": start, "symbol": symbol, "close": level * wave})
        for symbol, level in (("EURUSD", 1.1), ("USDJPY", 150.0))
    ]
    pd.concat(rows).to_csv(tmp_path / "pairs.csv", index=False)
    (tmp_path / "pairs.toml").write_text(PAIRS)
    return str(tmp_path / "pairs.toml")


def test_presets_are_told_with_levels_bands_uses_and_frames():
    outcome = list_presets()
    scalp = next(row for row in outcome.document["presets"] if row["name"] == "scalp")
    assert (scalp["oversold"], scalp["overbought"], scalp["rsi"][0]) == (0.2, 0.8, "rsi_7")
    assert outcome.document["levels"] == {"stock": [0.3, 0.7], "crypto": [0.2, 0.8], "forex": [0.25, 0.75]}
    assert outcome.document["bands"]["forex"] == {"bars": 20, "deviations": 2.2, "quiet_deviations": 1.8}
    assert outcome.document["default_sets"]["hourly"] == ["core20", "multi"]
    assert outcome.document["frame_groups"]["correlations"] == ["1h", "4h", "1d"]
    text = "\n".join(outcome.lines)
    assert "forex      25/75  20 bars, 2.2 deviations, 1.8 in Asian hours" in text
    assert "scalp      5m               20/80  rsi_7 rsi_5 rsi_6 macd_3_10_1" in text


def test_levels_are_those_of_the_class_for_14_bars_and_of_the_preset_for_fewer():
    assert [levels_of("rsi_14", one) for one in AssetClass] == [
        {AssetClass.STOCK: (0.3, 0.7), AssetClass.FOREX: (0.25, 0.75), AssetClass.CRYPTO: (0.2, 0.8)}[one]
        for one in AssetClass
    ]
    assert levels_of("rsi_7", AssetClass.STOCK) == (0.2, 0.8)
    assert levels_of("rsi_9", None) == (0.25, 0.75)
    assert levels_of("macd", None) is None
    lines = explain_feature("rsi_14", values=False, progress=quiet).lines
    assert any(line.split() == ["levels", "stock", "30/70,", "crypto", "20/80,", "forex", "25/75"] for line in lines)
    assert not any("levels " in line for line in explain_feature("macd", values=False, progress=quiet).lines)


def test_an_explanation_takes_its_values_from_any_bars_and_of_one_instrument(pairs):
    told = explain_feature("RSI", bars=pairs, symbol="usd", progress=quiet)
    table = compute_table(FeatureRequest(names="rsi_14", bars=pairs), progress=quiet)
    assert told.document["last_values"] == [
        {"instrument": "fx.USD-JPY", "end": "2024-03-07T10:00:00Z", "value": table.panel.values[1, -1, 0]}
    ]
    assert f"last values on {pairs}, times 100 on screens:" in told.lines
    every = explain_feature("close@4h", bars=pairs, progress=quiet).document["last_values"]
    assert [row["instrument"] for row in every] == ["fx.EUR-USD", "fx.USD-JPY"]
    assert "no value on" in explain_feature("obv", bars=pairs, progress=quiet).lines[-1]
    with pytest.raises(UnknownNameError, match="instrument"):
        explain_feature("rsi_14", bars=pairs, symbol="GBP", progress=quiet)


def test_a_drawing_has_lines_at_the_levels_of_the_class(pairs):
    table = compute_table(FeatureRequest(names="rsi_14", bars=pairs), progress=quiet)
    chart = feature_chart(table, "EUR-USD")
    assert chart.levels == (25.0, 75.0)
    drawn = ET.fromstring(feature_svg(chart))
    dashed = [one for one in drawn.iter() if one.get("class") == "bound"]
    assert len(dashed) == 2
    assert dashed[0].get("d") != dashed[1].get("d")
    plain = ET.fromstring(feature_svg(replace(chart, levels=())))
    assert not [one for one in plain.iter() if one.get("class") == "bound"]
    stock = compute_table(FeatureRequest(names="rsi_14", until="1991-12-31", instruments=1), progress=quiet)
    assert feature_chart(stock, str(stock.panel.instruments[0])).levels == (30.0, 70.0)


def test_from_python_features_are_listed_explained_and_drawn(pairs, tmp_path):
    trend = foresail.list_features(group="trend", asset_class="forex")
    assert {row["group"] for row in trend} == {"trend"}
    told = foresail.explain_feature("RSI", bars=pairs, symbol="EUR")
    assert told.name == "rsi_14"
    assert str(told).startswith("rsi_14 (also")
    assert told.last_values[0]["instrument"] == "fx.EUR-USD"
    assert foresail.explain_feature("RSI", bars=None).last_values == ()
    assert foresail.compute_features("mtf_agreement", bars=pairs, style="swing").absent == {}
    assert "intraday adds up 5m" in foresail.compute_features("mtf_agreement", bars=pairs).absent["mtf_agreement"]
    out = foresail.plot_feature("rsi_14", "EUR", bars=pairs, out=tmp_path / "rsi.svg")
    assert out == tmp_path / "rsi.svg"
    assert "bound" in out.read_text(encoding="utf-8")
