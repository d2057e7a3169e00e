import pytest

from foresail.core.errors import UnknownNameError
from foresail.domain.instruments import AssetClass
from foresail.features.catalogue import CATALOGUE, find
from foresail.features.declared.presets import BANDS, INDICATOR_PRESETS, RSI_LEVELS, indicator_preset


def test_presets_name_rows_of_the_catalogue():
    for preset in INDICATOR_PRESETS.values():
        assert all(name in CATALOGUE for name in (*preset.rsi, *preset.macd))
        assert preset.oversold == pytest.approx(1.0 - preset.overbought)


def test_defaults_are_those_of_the_table():
    told = {p.name: (p.rsi[0], p.oversold, p.macd[0]) for p in INDICATOR_PRESETS.values()}
    assert told == {
        "scalp": ("rsi_7", 0.20, "macd_3_10_1"),
        "balanced": ("rsi_9", 0.25, "macd_5_13_1"),
        "fifteen": ("rsi_14", 0.30, "macd_8_17_9"),
        "swing": ("rsi_9", 0.30, "macd_5_13_1"),
        "standard": ("rsi_14", 0.30, "macd"),
    }
    assert find("macd").scale == "price_change"
    with pytest.raises(UnknownNameError, match="scalp"):
        indicator_preset("scalper")


def test_levels_and_bands_follow_the_class():
    assert set(RSI_LEVELS) == set(BANDS) == set(AssetClass)
    assert RSI_LEVELS[AssetClass.FOREX] == (0.25, 0.75)
    assert BANDS[AssetClass.CRYPTO].deviations == 2.5
    assert (BANDS[AssetClass.FOREX].quiet_deviations, BANDS[AssetClass.FOREX].deviations) == (1.8, 2.2)
