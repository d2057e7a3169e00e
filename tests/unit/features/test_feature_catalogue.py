from dataclasses import replace

import numpy as np
import pytest

from foresail.core.errors import UnknownNameError
from foresail.domain.instruments import AssetClass
from foresail.domain.panel import Panel
from foresail.features.catalogue import (
    CATALOGUE,
    critical_features,
    expand,
    features_hash,
    find,
    resolve,
    validate_columns,
)

FIELDS = ("open", "high", "low", "close", "volume")


def panel(fields: dict[str, float], names: tuple[str, ...] = ("stock.US.A", "stock.US.B"), frame: str = "1d") -> Panel:
    n, t = len(names), 5
    values = np.full((n, t, len(FIELDS)), np.nan)
    for field, value in fields.items():
        values[:, :, FIELDS.index(field)] = value
    end = np.arange(1, t + 1, dtype=np.int64)
    return Panel(values, np.ones((n, t), bool), end - 1, end, end, FIELDS, names, frame, "24/7")


ALL = {"open": 1.0, "high": 2.0, "low": 1.0, "close": 1.5, "volume": 10.0}


def test_names_are_snake_case_and_aliases_are_unique():
    aliases = [a for spec in CATALOGUE.values() for a in spec.aliases]
    assert len(aliases) == len(set(aliases))
    assert not set(aliases) & set(CATALOGUE)
    assert all(name == name.lower() and " " not in name for name in CATALOGUE)


def test_every_row_is_complete_and_of_a_known_type():
    types = {"price", "volume", "sentiment", "percentage", "indicator", "index", "flag", "cyclic", "category", "macro"}
    types |= {"onchain", "book", "model"}
    for spec in CATALOGUE.values():
        assert spec.type in types
        assert spec.description
        assert spec.source.startswith(("FEAT-", "IND-", "MTF-", "RGM-", "SESS-"))
        assert spec.scope in {"lane", "row", "book"}
        assert spec.memory in {"finite", "recursive", "cumulative"}
        assert spec.inputs


def test_memory_and_scope_follow_from_the_formula():
    assert find("rsi_14").memory == "recursive"
    assert find("skew_60").memory == "finite"
    assert find("beta_60").scope == "row"
    assert find("rank_log_return_1").scope == "row"
    assert find("atr_pct_14").inputs == ("close", "high", "low")
    assert find("day_sin").known_in_advance
    assert find("day_sin").normaliser == "none"


def test_aliases_find_their_feature_and_sets_expand_without_repeats():
    assert find("RSI").name == "rsi_14"
    assert [s.name for s in expand(["rsi", "rsi_14", "ret_1"])] == ["rsi_14", "log_return_1"]
    assert len(expand(None)) == len(expand("spine")) == 62


def test_an_unknown_name_tells_the_near_one():
    with pytest.raises(UnknownNameError, match="Did you mean 'rsi_14'"):
        find("rsi_141")
    with pytest.raises(UnknownNameError, match="feature set"):
        expand("nonsense")


def test_validator_lists_present_and_missing_in_schema_order():
    present, missing = validate_columns(["RSI", "log_return_1", "else"])
    assert present == ("log_return_1", "rsi_14")
    assert len(present) + len(missing) == len(CATALOGUE)
    assert list(missing) == [n for n in CATALOGUE if n in missing]


def test_close_only_panels_lose_features_with_the_reason():
    available, absent = resolve(None, panel({"close": 1.5}))
    assert "needs high, low" in absent["atr_pct_14"]
    assert "needs volume" in absent["volume_ratio_20"]
    assert "needs high, low, open" in absent["overnight_gap"]
    assert "vix" in absent["vix_zscore_250"]
    assert {s.name for s in available} >= {"rsi_14", "log_return_1", "rank_log_return_1", "day_sin"}
    assert all(set(s.inputs) <= {"close", "calendar:day_sin", "calendar:day_cos"} for s in available)


def test_references_hours_and_single_names_are_judged():
    assert "vix_change_1" in {s.name for s in resolve(None, panel(ALL), ["VIX"])[0]}
    assert "hour" in resolve(None, panel(ALL))[1]["hour_sin"]
    assert "hour_sin" in {s.name for s in resolve(None, panel(ALL, frame="1h"))[0]}
    assert "only one" in resolve(None, panel(ALL, ("stock.US.A",)))[1]["rank_log_return_1"]


def test_classes_drop_what_is_not_defined_for_them():
    assert "crypto" in resolve(None, panel(ALL, ("crypto.X.A", "crypto.X.B")))[1]["overnight_gap"]
    assert "forex" in resolve(None, panel(ALL, ("fx.EUR-USD", "fx.USD-JPY")))[1]["amihud_ratio_60"]


def test_forex_has_rows_of_volume_where_ticks_are_counted():
    counted = panel(ALL, ("fx.EUR-USD", "fx.USD-JPY"))
    names = ["volume", "obv", "volume_ratio_20", "mfi_14", "cmf_20", "volume_24h"]
    assert [spec.name for spec in resolve(names, counted)[0]] == names
    values = counted.values.copy()
    values[:, :, list(counted.fields).index("volume")] = 0.0
    _, absent = resolve(names, replace(counted, values=values))
    assert set(absent) == set(names)
    assert absent["obv"] == "needs volume, which this set does not have"
    assert "forex" in resolve(["rvol"], counted)[1]["rvol"]


def test_critical_features_exist():
    for kind in AssetClass:
        assert all(n in CATALOGUE or n in FIELDS for n in critical_features(kind))
    assert "volume" not in critical_features(AssetClass.FOREX)


def test_hash_depends_on_names_order_and_values_but_not_on_the_kind_of_nan():
    row = np.array([1.0, np.nan, -0.0])
    other = row.copy()
    other[1] = -np.float64(np.nan)
    first = features_hash(["a", "b", "c"], row)
    assert len(first) == 64
    assert first == features_hash(["a", "b", "c"], other)
    assert first == features_hash(["a", "b", "c"], np.array([1.0, np.nan, 0.0]))
    assert first != features_hash(["b", "a", "c"], row)
    assert first != features_hash(["a", "b", "c"], np.array([1.0, np.nan, 1e-12]))
    assert features_hash(["ab", "c"], row[:2]) != features_hash(["a", "bc"], row[:2])
