from dataclasses import replace

import numpy as np
import pytest

from foresail.core.errors import UnknownNameError
from foresail.domain.instruments import AssetClass
from foresail.domain.panel import Panel
from foresail.features.catalogue import CATALOGUE, critical_features, expand, find, resolve
from foresail.features.declared.sets import (
    DEFAULT_SETS,
    FEATURE_SETS,
    SETS,
    default_sets,
    feature_set,
    members_for,
)
from foresail.features.declared.spec import TYPES, declare
from foresail.features.expressions import CLOSE
from foresail.features.givens import absence
from foresail.features.missing import NO_NEWS, dropped_notes, gap_steps, with_no_news
from foresail.features.transforms import DropSparse, Fold, Pipeline

SIZES = {
    "book": 4, "core20": 20, "ensemble": 114, "frame50": 50, "scan100": 100, "spine": 62, "swing32": 32, "tft64": 64,
    "tft_daily": 6,
}  # fmt: skip
FIELDS = ("open", "high", "low", "close", "volume")
FRAME_NS = 86_400_000_000_000


def bars(kind: str = "stock.US", n: int = 3, t: int = 260) -> Panel:
    rng = np.random.default_rng(5)
    close = 100.0 * np.exp(np.cumsum(rng.normal(0.0, 0.01, (n, t)), axis=1))
    high, low = close * 1.01, close * 0.99
    values = np.stack([close * 1.001, high, low, close, rng.uniform(1e3, 1e4, (n, t))], axis=2)
    end = 1_600_000_000_000_000_000 + FRAME_NS * np.arange(1, t + 1, dtype=np.int64)
    names = tuple(f"{kind}.S{i}" for i in range(n))
    return Panel(values, np.ones((n, t), bool), end - FRAME_NS, end, end, FIELDS, names, "1d", "24/7")


@pytest.mark.parametrize("name", sorted(SIZES))
def test_sets_have_the_size_that_their_names_promise(name):
    assert len(expand(name)) == SIZES[name]
    assert len(set(SETS[name])) == len(SETS[name])


def test_every_member_is_a_name_of_the_catalogue():
    strange = {name: [m for m in members if m not in CATALOGUE] for name, members in SETS.items()}
    assert strange == {name: [] for name in SETS}


def test_ensemble_is_scan100_with_predictions_and_risks():
    assert SETS["ensemble"][:100] == SETS["scan100"]
    assert [find(n).type for n in SETS["ensemble"][100:106]] == ["model"] * 6
    assert SETS["scan100"][:50] == SETS["frame50"]


def test_multi_holds_at_least_sixty_for_each_class_and_is_the_one_to_select_from():
    for asset_class in AssetClass:
        there = [n for n in members_for("multi", asset_class) if asset_class in find(n).asset_classes]
        assert len(there) >= 60
    assert [name for name, one in sorted(FEATURE_SETS.items()) if not one.fixed] == ["multi"]


def test_a_set_is_stored_by_name_and_version():
    assert feature_set("scan100").id == "scan100/2"
    with pytest.raises(UnknownNameError, match="scan100"):
        feature_set("scan10")


def test_defaults_by_use_name_sets():
    assert default_sets("daily") == ("swing32",)
    assert default_sets("hourly") == ("core20", "multi")
    assert all(name in SETS for names in DEFAULT_SETS.values() for name in names)
    with pytest.raises(UnknownNameError, match="minute"):
        default_sets("minutes")


def test_crypto_takes_the_wider_bands():
    assert "bb_upper" in members_for("core20", AssetClass.STOCK)
    crypto = members_for("core20", AssetClass.CRYPTO)
    assert crypto.index("bb25_upper") == SETS["core20"].index("bb_upper")
    assert "bb_upper" not in crypto
    assert "bb25_upper" in {spec.name for spec in resolve("core20", bars("crypto.X"))[0]}
    assert members_for("spine", AssetClass.CRYPTO) == SETS["spine"]


def test_no_news_is_neutral_from_the_first_news_on():
    panel = bars(t=30)
    n, t, _ = panel.shape
    values = np.full((n, t, 3), np.nan)
    values[0, 10, 0] = 0.4
    values[:, :, 2] = np.where(np.arange(t) % 3 == 0, 55.0, np.nan)
    features = replace(panel, values=values, fields=("sentiment_score", "news_volume", "rsi_14"))
    told = with_no_news(features)
    score = told.field("sentiment_score")
    assert np.isnan(score[:, :10]).all()  # nobody has looked for news yet
    assert score[0, 10] == 0.4
    assert (score[0, 11:] == NO_NEWS["sentiment_score"]).all()
    assert (score[1:, 10:] == 0.0).all()
    assert np.isnan(told.field("news_volume")).all()  # no series, no news of it
    assert np.array_equal(told.field("rsi_14"), values[:, :, 2], equal_nan=True)
    framed = replace(features, fields=("sentiment_score@1w", "news_volume@1w", "rsi_14@1w"))
    assert np.array_equal(with_no_news(framed).values, told.values, equal_nan=True)
    plain = replace(panel, values=values[:, :, 2:], fields=("rsi_14",))
    assert with_no_news(plain) is plain


def test_a_bar_that_does_not_exist_has_no_neutral_news():
    panel = bars(t=6)
    panel.present[0, 3] = False
    values = np.full((3, 6, 1), np.nan)
    values[1, 0] = 0.3
    told = with_no_news(replace(panel, values=values, fields=("sentiment_score",)))
    assert np.isnan(told.values[0, 3, 0])
    assert told.values[0, 2, 0] == 0.0


def test_gaps_go_to_trees_and_medians_with_a_mask_to_networks():
    rng = np.random.default_rng(0)
    values = rng.normal(size=(2, 20, 3))
    values[:, :5, 1] = np.nan  # a quarter of the rows
    values[0, 3, 2] = np.nan
    rows = np.array([(i, t) for t in range(20) for i in range(2)])
    trees = Pipeline(gap_steps("trees")).fit(values, rows, Fold(0, 20))
    assert trees.outputs == ("f0", "f2")
    assert np.isnan(trees.transform(values)[0, 3, 1])
    network = Pipeline(gap_steps("network")).fit(values, rows, Fold(0, 20))
    assert network.outputs == ("f0", "f2", "missing:f0", "missing:f2")
    told = network.transform(values)
    assert told[0, 3, 3] == 1.0
    assert told[0, 3, 1] == np.nanmedian(values[:, :, 2])
    sparse = trees.steps[0]
    assert isinstance(sparse, DropSparse)
    assert dropped_notes(sparse) == ("f1 is missing in 25.0% of the training rows (at most 20% allowed): left out",)
    with pytest.raises(UnknownNameError, match="network"):
        gap_steps("networks")


def test_an_unknown_type_is_refused_and_all_others_are_used():
    with pytest.raises(ValueError, match="unknown type 'unknown'"):
        declare("x", CLOSE, "d", "FEAT-101", group="price", type_="unknown")
    assert {spec.type for spec in CATALOGUE.values()} == set(TYPES)


def test_critical_lists_follow_the_class():
    assert critical_features(AssetClass.STOCK) == ("close", "volume", "sentiment_score", "rsi_14")
    assert critical_features(AssetClass.CRYPTO) == ("close", "volume", "rsi_14")
    assert critical_features(AssetClass.FOREX) == ("close", "rsi_14")


def test_forex_takes_the_bands_of_its_sessions_and_spellings_of_the_sources_are_known():
    members = members_for("core20", AssetClass.FOREX)
    assert {"bb_session_upper", "bb_session_lower"} <= set(members)
    assert not {"bb_upper", "bb_lower"} & set(members)
    assert {"bb_session_width", "price_vs_bb_session"} <= set(members_for("frame50", AssetClass.FOREX))
    spelt = {
        "MACD_signal": "macd_signal", "MACD_histogram": "macd_histogram", "macd_12_26_9": "macd",
        "macd_slow_12_26_9": "macd", "bb_upper_20_2": "bb_upper", "bb_lower_20_2": "bb_lower",
        "bb_upper_10_2": "bb10_upper", "bb_upper_20_2.5": "bb25_upper",
    }  # fmt: skip
    assert {alias: find(alias).name for alias in spelt} == spelt


def test_the_position_in_a_forecast_is_a_row_that_its_window_fills():
    spec = find("relative_time_idx")
    assert spec.known_in_advance
    assert spec.source == "FEAT-225"
    assert "whose window counts it" in absence("relative_time_idx")
