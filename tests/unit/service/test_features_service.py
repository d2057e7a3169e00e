"""Features as tables and files, the list, the explanation and the drawing; formulas printed from their graphs."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

import foresail
from foresail.core.errors import CapabilityError, ConfigError, DataError, UnknownNameError, UserError
from foresail.domain.instruments import AssetClass
from foresail.features.catalogue import CATALOGUE, find
from foresail.features.readable import formula_lines, formula_text
from foresail.service.feature_catalogue import explain_feature, list_features
from foresail.service.feature_names import chosen_names
from foresail.service.feature_plot import feature_chart, plot_feature
from foresail.service.features import FeatureRequest, FeatureTable, compute_features, compute_table

NAMES = "rsi_14,macd,sma_20,atr_14,tft_p50_5"


def quiet(stage: str, done: int, total: int) -> None:
    del stage, done, total


def request(names: str = NAMES, **more: object) -> FeatureRequest:
    return FeatureRequest(names=names, until="1992-12-31", instruments=4, **more)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def table() -> FeatureTable:
    return compute_table(request(), progress=quiet)


def test_columns_are_those_asked_for_and_absent_ones_say_why(table):
    assert table.panel.fields == ("rsi_14", "macd", "sma_20", "atr_14", "tft_p50_5")
    assert set(table.absent) == {"atr_14", "tft_p50_5"}
    assert "needs high, low" in table.absent["atr_14"]
    assert "model" in table.absent["tft_p50_5"]
    assert np.isnan(table.panel.field("atr_14")).all()
    share = table.known_share()
    assert share["atr_14"] == 0.0
    assert 0.9 < share["rsi_14"] < 1.0


def test_values_are_those_of_plain_arithmetic(table):
    close = table.bars.field("close")[0] * table.bars.field("total_factor")[0]
    here = np.flatnonzero(table.bars.present[0])
    mean = np.convolve(close[here], np.full(20, 0.05), "valid")
    np.testing.assert_allclose(table.panel.field("sma_20")[0, here[19:]], mean, rtol=1e-12)


def test_the_model_form_is_free_of_units(table):
    model = compute_table(request(form="model"), progress=quiet)
    close = table.bars.field("close") * table.bars.field("total_factor")
    expected = table.panel.field("sma_20") / close - 1.0
    np.testing.assert_allclose(model.panel.field("sma_20"), expected, rtol=1e-9, atol=1e-12)
    assert np.array_equal(model.panel.field("rsi_14"), table.panel.field("rsi_14"), equal_nan=True)
    assert model.features_hash != table.features_hash


def test_the_hash_names_the_values(table):
    again = compute_table(request(), progress=quiet)
    assert again.features_hash == table.features_hash
    shorter = compute_table(FeatureRequest(names=NAMES, until="1992-12-30", instruments=4), progress=quiet)
    assert shorter.features_hash != table.features_hash


def test_a_file_holds_values_masks_and_what_they_are(tmp_path, table):
    out = tmp_path / "features.parquet"
    outcome = compute_features(request(), out=out, progress=quiet)
    found = pq.read_table(out)
    assert found.num_rows == outcome.document["rows"] == int(table.panel.present.sum())
    known = found.column("rsi_14__known").to_numpy()
    values = found.column("rsi_14")
    assert values.null_count == int((~known).sum()) > 0
    assert found.column("atr_14").null_count == found.num_rows
    told = json.loads(found.schema.metadata[b"foresail.features"])
    assert told["features_hash"] == table.features_hash
    assert told["absent"] == table.absent
    assert told["form"] == "display"
    i, t = np.nonzero(table.panel.present)
    assert np.array_equal(values.to_numpy(zero_copy_only=False), table.panel.values[i, t, 0], equal_nan=True)
    assert found.column("instrument").to_pylist() == [str(table.panel.instruments[k]) for k in i]
    assert list(tmp_path.iterdir()) == [out]
    first = out.read_bytes()
    with pytest.raises(UserError, match="exists"):
        compute_features(request(), out=out, progress=quiet)
    compute_features(request(), out=out, force=True, progress=quiet)
    assert out.read_bytes() == first


def test_wrong_requests_say_what_to_do(tmp_path):
    with pytest.raises(UnknownNameError, match=r"'rsi14'. Did you mean 'rsi_14'"):
        chosen_names("rsi14")
    with pytest.raises(UnknownNameError, match="frame"):
        chosen_names("rsi_14@2fortnights")
    with pytest.raises(ConfigError, match="name of a set"):
        chosen_names(" , ")
    with pytest.raises(UnknownNameError, match="form of features"):
        compute_table(request(form="raw"), progress=quiet)
    with pytest.raises(ConfigError, match="parquet"):
        compute_features(request(), out=tmp_path / "a.csv", progress=quiet)
    with pytest.raises(UserError, match="there is no folder"):
        compute_features(request(), out=tmp_path / "no" / "a.parquet", progress=quiet)
    with pytest.raises(UnknownNameError, match="style of frames 'day'"):
        compute_table(request("mtf_agreement", style="day"), progress=quiet)
    with pytest.raises(UserError):
        compute_table(FeatureRequest(names="rsi_14", bars=str(tmp_path / "nowhere")), progress=quiet)


def test_names_sets_and_aliases_are_understood_without_repeats():
    assert chosen_names("spine")[0] == "spine"
    kind, names = chosen_names("MACD, spine, macd")
    assert kind == "chosen"
    assert names[0] == "macd"
    assert len(names) == 63
    assert chosen_names("direction_1h")[1] == ("trend_direction@1h",)


def test_members_of_a_set_take_the_variants_of_the_class_and_named_features_do_not():
    plain, crypto = chosen_names("core20")[1], chosen_names("core20", AssetClass.CRYPTO)[1]
    assert {"bb_upper", "bb_lower"} <= set(plain)
    assert {"bb25_upper", "bb25_lower"} <= set(crypto)
    assert not {"bb_upper", "bb_lower"} & set(crypto)
    assert len(plain) == len(crypto)
    assert chosen_names("bb_upper", AssetClass.CRYPTO)[1] == ("bb_upper",)


def test_a_coarser_frame_is_computed_on_its_own_bars_or_joined():
    coarse = compute_table(request("sma_20", frame="1w"), progress=quiet)
    assert coarse.panel.frame == "1w"
    joined = compute_table(request("sma_20@1w"), progress=quiet)
    last = int(np.flatnonzero(np.isin(joined.panel.end, coarse.panel.end))[-1])
    week = int(np.flatnonzero(coarse.panel.end == joined.panel.end[last])[0])
    assert joined.panel.values[0, last, 0] == coarse.panel.values[0, week, 0]
    with pytest.raises(UserError):
        compute_table(request("sma_20", frame="1h"), progress=quiet)


def test_the_list_is_filtered_and_wrong_filters_are_refused():
    everything = list_features()
    assert len(everything.document["features"]) == len(CATALOGUE)
    trend = list_features(group="trend", asset_class="forex").document["features"]
    assert {row["group"] for row in trend} == {"trend"}
    assert all("forex" in row["classes"] for row in trend)
    assert len(list_features(of_set="spine").document["features"]) == 62
    for wrong in ({"group": "x"}, {"asset_class": "x"}, {"of_set": "x"}):
        with pytest.raises(UnknownNameError):
            list_features(**wrong)


def test_an_explanation_holds_all_there_is_to_know():
    outcome = explain_feature("MACD", progress=quiet)
    told = outcome.document
    assert told["name"] == "macd"
    assert told["formula"] == ["ema(close, 12) - ema(close, 26)"]
    assert told["model_formula"] == ["(ema(close, 12) - ema(close, 26)) / close"]
    assert told["warm_up"] == 26
    assert told["states"] > 0
    assert len(told["last_values"]) == 3
    assert "no value on the sample" in "\n".join(explain_feature("atr_14", progress=quiet).lines)
    assert "last_values" not in explain_feature("rsi_14", values=False, progress=quiet).document
    with pytest.raises(UnknownNameError, match="Did you mean"):
        explain_feature("rsi_41", progress=quiet)


def test_every_feature_can_be_explained_and_its_formula_names_what_it_reads():
    for name, spec in CATALOGUE.items():
        assert explain_feature(name, values=False, progress=quiet).lines
        text = formula_text(spec.expression)
        for source in spec.inputs:
            kind, _, one = source.rpartition(":")
            if kind:
                assert one in text, name
        assert formula_lines(spec.expression)[-1]


def test_formulas_read_like_formulas():
    assert formula_text(find("price_to_sma_20").expression) == "(close / rolling_mean(close, 20)) - 1"
    assert formula_text(find("rank_log_return_5").expression) == "rank(log_change(close, 5))"
    assert formula_text(find("day_sin").expression) == "calendar.day_sin"
    assert formula_text(find("momentum_12_1").expression) == "log_change(close, 252, 21)"
    *parts, value = formula_lines(find("rsi_14").expression)
    assert parts[0] == "p1 = up_down(close)"
    assert value == "p2 / (p2 + wilder(p1[1], 14)), 0.5 where it is 0"


def test_a_drawing_shows_price_feature_and_warm_up(tmp_path):
    out = tmp_path / "rsi.svg"
    outcome = plot_feature(request("rsi_14"), "aapl", out=out, last=5000, progress=quiet)
    root = ET.fromstring(out.read_text(encoding="utf-8"))
    texts = [one.text for one in root.iter("{http://www.w3.org/2000/svg}text")]
    assert "rsi_14, times 100" in texts
    assert outcome.document["known"] == outcome.document["bars"] - 14
    assert any("shade" in one.get("class", "") for one in root.iter("{http://www.w3.org/2000/svg}rect"))
    page = tmp_path / "sma.html"
    plot_feature(request("sma_20"), "stock.US.AAPL", out=page, progress=quiet)
    text = page.read_text(encoding="utf-8")
    assert "forward-adjusted close and sma_20" in text
    assert "&lt;svg" not in text
    assert "http://" not in text.replace("http://www.w3.org", "")


def test_missing_values_after_the_first_are_marked(table):
    values = table.panel.values.copy()
    values[0, 300:310, 0] = np.nan
    chart = feature_chart(replace(table, panel=replace(table.panel, values=values)), "AAPL", last=10_000)
    assert int(chart.missing.sum()) == int(table.panel.present[0, 300:310].sum())


def test_an_instrument_is_found_by_its_parts(table):
    ids = ("crypto.SPOT.BTC-USDT", "crypto.PERP.BTC-USDT", "crypto.SPOT.ETH-USDT")
    named = replace(table, panel=replace(table.panel.cut(0, 0), instruments=ids, values=np.empty((3, 0, 5)),
                                         present=np.empty((3, 0), bool)))  # fmt: skip
    for symbol, text in (("btc", "2 instruments"), ("doge", "unknown instrument")):
        with pytest.raises(UserError, match=text):
            feature_chart(named, symbol)
    with pytest.raises(DataError, match="no bar"):
        feature_chart(replace(named, bars=named.panel), "eth")


def test_wrong_drawings_are_refused(tmp_path):
    with pytest.raises(CapabilityError, match="pixels"):
        plot_feature(request("rsi_14"), "AAPL", out=tmp_path / "a.png", progress=quiet)
    with pytest.raises(ConfigError, match="one feature"):
        plot_feature(request("spine"), "AAPL", out=tmp_path / "a.svg", progress=quiet)
    with pytest.raises(UnknownNameError, match="instrument"):
        plot_feature(request("rsi_14"), "NOPE", out=tmp_path / "a.svg", progress=quiet)
    with pytest.raises(DataError, match="needs high, low"):
        plot_feature(request("atr_14"), "AAPL", out=tmp_path / "a.svg", progress=quiet)
    assert list(tmp_path.iterdir()) == []


def test_from_python_features_come_as_pandas(tmp_path: Path):
    found = foresail.compute_features(["rsi_14", "atr_14"], until="1992-12-31", out=tmp_path / "a.parquet")
    frame = found.frame("rsi_14")
    assert frame.shape == (found.panel.shape[1], found.panel.shape[0])
    assert str(frame.index.tz) == "UTC"
    assert found.absent.keys() == {"atr_14"}
    assert (tmp_path / "a.parquet").is_file()
    with pytest.raises(UnknownNameError):
        found.frame("macd")
