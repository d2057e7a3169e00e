"""Costs: the worked examples of COST-06 to the cent, dated fees, accruals, repricing."""

import math
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from foresail.core.clock import NS_PER_DAY, to_ns
from foresail.core.errors import ConfigError
from foresail.core.ids import instrument_id
from foresail.domain.accounts import Position
from foresail.domain.instruments import AssetClass, Instrument, PriceBasis
from foresail.domain.signals import Side
from foresail.execution.costs import CostModel, CostSettings, default_costs
from foresail.execution.dated_fees import read_fees

D = Decimal
APPLE = Instrument(instrument_id("stock.US.AAPL"), "AAPL", AssetClass.STOCK)
BITCOIN = Instrument(instrument_id("crypto.BINANCE.BTC-USDT"), "BTCUSDT", AssetClass.CRYPTO, currency="USDT")
EURO = Instrument(instrument_id("fx.EUR-USD"), "EURUSD", AssetClass.FOREX)
YEN = Instrument(instrument_id("fx.USD-JPY"), "USDJPY", AssetClass.FOREX, currency="JPY")
LIRA = Instrument(instrument_id("fx.USD-TRY"), "USDTRY", AssetClass.FOREX, currency="TRY")


def at(text):
    return to_ns(datetime.fromisoformat(text).replace(tzinfo=UTC))


MID_2024 = at("2024-07-01")  # 27.80 per million and 0.000166 per share


def test_bitcoin_round_trip_is_280():
    trip = CostModel.of_class(AssetClass.CRYPTO).round_trip(D(1), D(40_000), MID_2024, BITCOIN)
    assert (trip.fees, trip.slippage, trip.money) == (D(120), D(160), D(280))
    assert trip.fraction == pytest.approx(0.0070, abs=1e-15)


def test_hundred_shares_cost_10_278_and_with_taf_10_2946():
    adjusted = CostModel.of_class(AssetClass.STOCK, PriceBasis.SPLIT_ADJUSTED)
    assert adjusted.round_trip(D(100), D(100), MID_2024, APPLE).money == D("10.278")
    assert CostModel.of_class(AssetClass.STOCK).round_trip(D(100), D(100), MID_2024, APPLE).money == D("10.2946")


def test_euro_costs_63_40_and_with_commission_73_40():
    model = CostModel.of_class(AssetClass.FOREX)
    trip = model.round_trip(D(100_000), D("1.0850"), MID_2024, EURO)
    assert (trip.spread, trip.slippage, trip.fees, trip.money) == (D(20), D("43.40"), D(10), D("73.40"))
    free = CostModel(CostSettings(AssetClass.FOREX, slippage_fraction=D("0.0002"), major_pips=D(1)))
    trip = free.round_trip(D(100_000), D("1.0850"), MID_2024, EURO)
    assert trip.money == D("63.40")
    assert round(trip.fraction, 6) == 0.000584


def test_spread_paid_once_per_round_trip_is_an_option():
    settings = CostSettings(AssetClass.FOREX, major_pips=D(1), spread_legs=1)
    assert CostModel(settings).round_trip(D(100_000), D("1.0850"), 0, EURO).money == D(10)


@pytest.mark.parametrize(("one", "pips"), [(EURO, "0.0001"), (YEN, "0.01"), (LIRA, "0.0010")])
def test_pips_follow_the_pair(one, pips):
    assert CostModel.of_class(AssetClass.FOREX).spread_step(one) == D(pips)


@pytest.mark.parametrize("model", [CostModel.of_class(c) for c in AssetClass])
def test_fraction_for_signals_equals_the_exact_round_trip(model):
    one = {AssetClass.STOCK: APPLE, AssetClass.CRYPTO: BITCOIN, AssetClass.FOREX: EURO}[model.settings.asset_class]
    exact = model.round_trip(D(1000), D("87.25"), MID_2024, one).fraction
    assert model.round_trip_fraction(87.25, MID_2024, one) == pytest.approx(exact, rel=1e-12)
    assert model.minimum_target(87.25, MID_2024, one) == pytest.approx(3 * exact, rel=1e-12)


def test_an_unknown_price_has_no_cost_rather_than_a_free_one():
    model = CostModel.of_class(AssetClass.STOCK)
    for price in (math.nan, 0.0, -1.0, math.inf):
        assert math.isnan(model.round_trip_fraction(price, 0, APPLE))


def test_sec_fee_ends_on_the_day_it_ended():
    model = CostModel.of_class(AssetClass.STOCK, PriceBasis.SPLIT_ADJUSTED)
    million = (Side.SELL, D(10_000), D(100))
    assert model.fees(*million, at("2025-05-13T13:30:00")) == D("27.80")
    assert model.fees(*million, at("2025-05-14T13:30:00")) == D(0)
    assert model.fees(Side.BUY, D(10_000), D(100), at("2025-05-13T13:30:00")) == 0


def test_taf_is_capped_and_only_on_raw_prices():
    model = CostModel.of_class(AssetClass.STOCK)
    day = at("2025-06-02T14:00:00")
    assert model.fees(Side.SELL, D(10_000), D(5), day) == D("1.66")
    assert model.fees(Side.SELL, D(1_000_000), D(5), day) == D("8.30")
    adjusted = CostModel.of_class(AssetClass.STOCK, PriceBasis.TOTAL_RETURN)
    assert adjusted.fees(Side.SELL, D(10_000), D(5), day) == 0
    assert any("not available: price basis total_return" in note for note in adjusted.notes)


def test_before_the_first_record_the_oldest_rate_is_used_and_said():
    model = CostModel.of_class(AssetClass.STOCK, PriceBasis.SPLIT_ADJUSTED)
    assert model.fees(Side.SELL, D(10_000), D(100), at("1990-01-02")) == D("15.00")
    assert "2001-12-28" in model.notes_at(at("1990-01-02"))[0]
    assert not any("older rates" in note for note in model.notes_at(MID_2024))
    assert read_fees("sec").precedes(at("2001-12-27"))
    assert not read_fees("sec").precedes(at("2001-12-28"))


def test_crypto_maker_pays_less():
    model = CostModel.of_class(AssetClass.CRYPTO)
    assert model.fees(Side.BUY, D(1), D(40_000), 0) == D(60)
    assert model.fees(Side.BUY, D(1), D(40_000), 0, maker=True) == D(40)


def test_fees_round_half_to_even():
    model = CostModel(CostSettings(AssetClass.STOCK, commission_fraction=D("0.001")))
    assert model.fees(Side.BUY, D(1), D("5"), 0) == D("0.00")
    assert model.fees(Side.BUY, D(1), D("15"), 0) == D("0.02")


def test_commission_has_a_minimum():
    model = CostModel(CostSettings(AssetClass.STOCK, commission_per_unit=D("0.005"), commission_minimum=D(1)))
    assert model.fees(Side.BUY, D(10), D(50), 0) == D("1.00")
    assert model.fees(Side.BUY, D(1000), D(50), 0) == D("5.00")


def test_flat_model_takes_five_basis_points_per_round_trip():
    assert CostModel.flat(AssetClass.STOCK).round_trip_fraction(50.0, 0, APPLE) == pytest.approx(0.0005)


def test_twice_the_cost_is_twice_in_every_part():
    one = CostModel.of_class(AssetClass.STOCK)
    two = one.scaled(2)
    assert two.round_trip(D(100), D(100), MID_2024, APPLE).money == 2 * D("10.2946")
    short = Position(APPLE.id, D(-100), D(100), 0)
    once = one.holding_cost(short, D(10_000), 0, NS_PER_DAY)
    assert abs(two.holding_cost(short, D(10_000), 0, NS_PER_DAY) - 2 * once) <= D("1e-8")  # each is rounded to 1e-8


def test_shorts_pay_half_a_percent_a_year_and_longs_nothing():
    model = CostModel.of_class(AssetClass.STOCK)
    short, long = Position(APPLE.id, D(-1), D(1), 0), Position(APPLE.id, D(1), D(1), 0)
    assert model.holding_cost(short, D(10_000), 0, 365 * NS_PER_DAY) == D(50)
    assert model.holding_cost(long, D(10_000), 0, 365 * NS_PER_DAY) == 0
    assert model.margin_cost(D(10_000), 0, 365 * NS_PER_DAY) == D(50)
    assert "0.5 % a year" in model.assumptions[0]


def test_perpetuals_pay_funding_three_times_a_day_on_either_side():
    model = CostModel.of_class(AssetClass.CRYPTO)
    for quantity in (D(1), D(-1)):
        held = Position(instrument_id("crypto.BINANCE.BTC-USDT.perp"), quantity, D(1), 0)
        assert model.holding_cost(held, D(10_000), 0, NS_PER_DAY) == D(3)
        assert model.holding_cost(held, D(10_000), 1, NS_PER_DAY // 3 - 1) == 0
        assert model.holding_cost(held, D(10_000), 1, NS_PER_DAY // 3) == D(1)
    assert "0.01 % per 8 h" in model.assumptions[1]


def test_hourly_accruals_do_not_vanish():
    model = CostModel.of_class(AssetClass.STOCK)
    short = Position(APPLE.id, D(-1), D(1), 0)
    hour = NS_PER_DAY // 24
    day = sum(model.holding_cost(short, D(1000), k * hour, (k + 1) * hour) for k in range(24))
    assert day == pytest.approx(model.holding_cost(short, D(1000), 0, NS_PER_DAY), abs=D("2e-7"))


@pytest.mark.parametrize("change", [{"spread_legs": 3}, {"slippage_fraction": D("NaN")}, {"factor": D(-1)}])
def test_senseless_settings_are_refused(change):
    with pytest.raises(ConfigError):
        CostModel(CostSettings(AssetClass.STOCK, **change))


def test_defaults_are_those_of_the_specification():
    crypto = default_costs(AssetClass.CRYPTO)
    assert (crypto.maker_fraction, crypto.commission_fraction, crypto.slippage_fraction) == (
        D("0.001"),
        D("0.0015"),
        D("0.002"),
    )
