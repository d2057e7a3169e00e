"""Every worked example of SIZE-01, 02, 03, 07, 08, 09, 13, 14."""

from __future__ import annotations

from decimal import Decimal as D

import pytest

from foresail.core.errors import ConfigError
from foresail.domain.instruments import AssetClass, PriceBasis
from foresail.portfolio.sizing import (
    SIZING_METHODS,
    fixed_percentage,
    pip_size,
    small_account_units,
    stop_based_shares,
    tier_cap,
    volatility_adjusted,
)


@pytest.mark.parametrize(
    ("entry", "stop", "shares"),
    [(D(100), D(95), 100), (D(50), D(40), 200), (D("182.50"), D("182.50") * D("0.97"), 54)],
)
def test_size_01_examples(entry, stop, shares):
    assert stop_based_shares(D(100_000), entry, stop) == shares


def test_size_01_without_the_cap_is_400():
    assert stop_based_shares(D(100_000), D(100), D(95), cap=D(1)) == 400


def test_size_02_example():
    assert fixed_percentage(D(10_000), D(100), D(98)) == 50
    assert fixed_percentage(D(10_000), D(98), D(100), is_short=True) == 50


def test_size_03_example():
    assert small_account_units(D(1_000), D("0.01"), D("0.50")) == 20


def test_size_07_example_and_never_above_base():
    assert volatility_adjusted(D(1_000), D("0.60")) == 250
    assert volatility_adjusted(D(1_000), D("0.10")) == 1_000
    assert volatility_adjusted(D(1_000), D("0.10"), may_lever=True) == 1_500


def test_size_08_pips():
    assert pip_size("JPY") == D("0.01")
    assert pip_size("USD") == D("0.0001")


@pytest.mark.parametrize(
    ("price", "cap"), [(3.45, 0.05), (20.0, 0.08), (50.0, 0.10), (182.50, 0.12), (458.20, 0.12), (520.30, 0.15)]
)
def test_size_09_tier_caps_on_raw_prices(price, cap):
    assert tier_cap(price, PriceBasis.RAW)[0] == cap


def test_size_09_elsewhere_says_why_there_is_none():
    cap, text = tier_cap(458.20, PriceBasis.SPLIT_ADJUSTED)
    assert cap is None
    assert "price basis split_adjusted" in text
    assert tier_cap(0.30, PriceBasis.RAW)[0] == 0.0


@pytest.mark.parametrize("stop", [D(100), D(101)])
def test_size_13_stop_at_or_beyond_the_entry_is_an_error(stop):
    for size in (stop_based_shares, fixed_percentage):
        with pytest.raises(ConfigError, match="must lie below"):
            size(D(1_000), D(100), stop)


@pytest.mark.parametrize("bad", [D("NaN"), D("Infinity"), D(-1)])
def test_nan_never_becomes_a_size(bad):
    with pytest.raises(ConfigError):
        fixed_percentage(D(1_000), bad, D(90))


def test_arguments_out_of_range_are_refused():
    for call in (
        lambda: volatility_adjusted(D(1), D(0)),
        lambda: small_account_units(D(1), D(1), D(0)),
    ):
        with pytest.raises(ConfigError):
            call()


def test_size_14_methods_by_class():
    assert SIZING_METHODS[AssetClass.FOREX] == "SIZE-08"
    assert SIZING_METHODS[AssetClass.STOCK] == SIZING_METHODS[AssetClass.CRYPTO] == "SIZE-02"
