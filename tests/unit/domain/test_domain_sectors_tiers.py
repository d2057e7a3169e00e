"""Sectors (UNI-03 to 05) and price tiers (TIER-01 to 05)."""

from decimal import Decimal
from itertools import pairwise

import pytest

from foresail.core.errors import CapabilityError, ConfigError, UnknownNameError
from foresail.domain.instruments import PriceBasis
from foresail.domain.sectors import (
    Sector,
    baseline_of,
    display_name,
    load_table,
    sector_of,
    sector_table,
    tickers_of,
)
from foresail.domain.tiers import (
    DEFAULT_TIERS,
    TIER_PRESETS,
    allowed_tickers,
    max_value,
    stop_price,
    tier_of,
    tier_unavailable,
)

RAW = PriceBasis.RAW
SEED = {
    Sector.TECHNOLOGY: "AAPL MSFT GOOGL GOOG NVDA META TSLA AVGO ADBE CSCO INTC AMD QCOM TXN AMAT",
    Sector.HEALTHCARE: "AMGN GILD VRTX REGN BIIB",
    Sector.CONSUMER_DISCRETIONARY: "AMZN COST SBUX BKNG",
    Sector.CONSUMER_STAPLES: "PEP MDLZ",
    Sector.COMMUNICATION: "NFLX CMCSA CHTR",
    Sector.FINANCE: "PYPL",
}


def test_seed_map_stands_as_the_specification_has_it():
    for sector, symbols in SEED.items():
        for symbol in symbols.split():
            assert sector_of(symbol) is sector, symbol


def test_all_twenty_demo_names_are_mapped():
    names = "AAPL AMD BAC BBY CVX GE HD JNJ JPM KO LLY MRK MSFT PEP PFE PG RRC UNH WMT XOM"
    for symbol in names.split():
        assert sector_of(symbol) is not Sector.UNKNOWN, symbol


def test_lookup_trims_and_unmapped_is_unknown():
    assert sector_of(" aapl ") is Sector.TECHNOLOGY
    assert sector_of("NOSUCH") is Sector.UNKNOWN
    assert len(sector_table()) > 500
    assert "XOM" in tickers_of(Sector.ENERGY)
    assert list(tickers_of(Sector.ENERGY)) == sorted(tickers_of(Sector.ENERGY))


def test_names_and_baselines():
    assert display_name(Sector.COMMUNICATION) == "Communication Services"
    assert display_name("consumer_staples") == "Consumer Staples"
    assert baseline_of(Sector.HEALTHCARE).sentiment_weight == 1.8
    assert baseline_of(Sector.ENERGY) == baseline_of(Sector.UNKNOWN)
    assert baseline_of(Sector.ENERGY).articles_per_week == 30


def test_a_table_replaces_the_whole_and_is_checked(tmp_path):
    path = tmp_path / "mine.csv"
    path.write_text("symbol,sector\nabc,energy\n")
    table = load_table(path)
    assert sector_of("ABC", table) is Sector.ENERGY
    assert sector_of("AAPL", table) is Sector.UNKNOWN
    path.write_text("symbol,sector\nABC,energie\n")
    with pytest.raises(UnknownNameError, match="Did you mean 'energy'"):
        load_table(path)
    path.write_text("symbol,sector\nABC,energy\nABC,finance\n")
    with pytest.raises(ConfigError, match="row 2: ABC stands in two sectors"):
        load_table(path)
    path.write_text("ticker,sector\nABC,energy\n")
    with pytest.raises(ConfigError, match="expected the columns symbol,sector"):
        load_table(path)


@pytest.mark.parametrize(
    ("price", "name"),
    [
        (458.20, "high"), (3.45, "penny"), (520.30, "mega"), (182.50, "high"), (5.00, "penny"), (5.005, "low"),
        (25.0, "low"), (25.005, "mid"), (100.0, "mid"), (500.0, "high"), (500.01, "mega"), (0.50, "penny"),
    ],
)  # fmt: skip
def test_tier_vectors_and_bounds(price, name):
    tier = tier_of(price, basis=RAW)
    assert tier is not None
    assert tier.name == name


def test_below_the_lowest_tier_is_untradable_and_nothing_falls_through():
    assert tier_of(0.49, basis=RAW) is None
    for below, above in pairwise(DEFAULT_TIERS):
        assert below.high == above.low


def test_stop_and_size_vectors():
    tier = tier_of(182.50, basis=RAW)
    assert tier is not None
    assert stop_price(Decimal("182.50"), tier) == Decimal("178.85")
    assert max_value(Decimal(100_000), tier) == Decimal(12_000)


def test_tiers_need_raw_prices():
    assert tier_unavailable(PriceBasis.SPLIT_ADJUSTED) == "not available: price basis split_adjusted"
    with pytest.raises(CapabilityError, match="not available: price basis total_return"):
        tier_of(10.0, basis=PriceBasis.TOTAL_RETURN)
    with pytest.raises(ConfigError, match="positive price"):
        tier_of(float("nan"), basis=RAW)


def test_presets_drop_tickers_without_a_price():
    prices = {"A": 3.0, "B": 30.0, "C": float("nan"), "D": 600.0, "E": 0.1}
    assert allowed_tickers(prices, "default", basis=RAW) == ("B",)
    assert allowed_tickers(prices, "conservative", basis=RAW) == ("D",)
    assert TIER_PRESETS["default"] == ("low", "mid", "high")
    with pytest.raises(UnknownNameError, match="tier preset"):
        allowed_tickers(prices, "brave", basis=RAW)
