"""The features of a run: sets by name with the variants of their class, and no price level in front of a model."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from foresail.core.errors import UnknownNameError
from foresail.domain.instruments import AssetClass
from foresail.engine.pipeline import prepare
from foresail.engine.settings import MarketData, PipelineSettings
from foresail.engine.walkforward import walk_forward
from foresail.features.declared.sets import SETS, members_for, members_of

LEVELS = ("sma_20", "obv", "bb_upper", "atr_14", "macd", "close", "log_return_1")


def times(data: MarketData, factor: float) -> MarketData:
    """Return the market with all prices of every third name times a constant, those of the others as they are."""
    values = data.bars.values.copy()
    for name in ("open", "high", "low", "close"):
        values[::3, :, data.bars.index(name)] *= factor
    return replace(data, bars=replace(data.bars, values=values))


@pytest.mark.parametrize("features", [LEVELS, ("core20",)])
def test_the_unit_of_prices_changes_no_forecast(
    small_market: MarketData, small_settings: PipelineSettings, features: tuple[str, ...]
) -> None:
    settings = replace(small_settings, features=features)
    blocks = []
    for factor in (1.0, 8.0):
        ready = prepare(times(small_market, factor), settings)
        blocks.append(walk_forward(ready.features, ready.targets, ready.scale, settings).block.values)
    assert np.isfinite(blocks[0]).any()
    np.testing.assert_array_equal(blocks[0], blocks[1])


def test_models_see_ratios_and_strategies_see_what_is_defined(
    small_market: MarketData, small_settings: PipelineSettings
) -> None:
    ready = prepare(small_market, replace(small_settings, features=("sma_20", "rsi_14")))
    price, shown, seen = small_market.bars.field("close"), ready.shown.field("sma_20"), ready.features.field("sma_20")
    known = np.isfinite(shown) & np.isfinite(seen)
    assert known.any()
    np.testing.assert_allclose(seen[known], shown[known] / price[known] - 1.0, rtol=1e-9, atol=1e-12)
    same = prepare(small_market, replace(small_settings, features=("rsi_14",)))
    assert same.shown is same.features


def test_a_run_takes_sets_beside_names(small_market: MarketData, small_settings: PipelineSettings) -> None:
    ready = prepare(small_market, replace(small_settings, features=("rsi_9", "core20", "rsi_14")))
    own = prepare(small_market, replace(small_settings, features=("rsi_9", *SETS["core20"])))
    assert len(ready.features.fields) > 10
    assert ready.features.fields == own.features.fields
    with pytest.raises(UnknownNameError, match="core21"):
        prepare(small_market, replace(small_settings, features=("core21",)))


def test_members_of_sets_take_the_variants_of_the_class() -> None:
    assert members_of("core20", AssetClass.CRYPTO) == members_for("core20", AssetClass.CRYPTO)
    found = members_of(("bb_upper", "core20"), AssetClass.CRYPTO)
    assert found[0] == "bb_upper"  # named by itself, it stays
    assert "bb25_upper" in found
    assert found.count("bb_upper") == 1
    assert members_of(("core20",), AssetClass.STOCK) == SETS["core20"]


def test_bands_of_a_crypto_set_are_wider(small_market: MarketData) -> None:
    ids = tuple(f"crypto.TEST.{name.rpartition('.')[2]}-USD" for name in small_market.bars.instruments)
    data = replace(small_market, bars=replace(small_market.bars, instruments=ids))
    names = tuple(
        replace(one, id=new, asset_class=AssetClass.CRYPTO)
        for one, new in zip(sorted(data.bar_set.instruments, key=lambda i: i.id), ids, strict=True)
    )
    data = replace(data, bar_set=replace(data.bar_set, asset_class=AssetClass.CRYPTO, instruments=names))
    fields = prepare(data, PipelineSettings(features=("core20",))).features.fields
    assert "bb25_upper" in fields
    assert "bb_upper" not in fields
