"""Exchange rates out of the set itself, and the stages of one backtest."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest

from foresail.core.errors import UnknownNameError
from foresail.core.ids import InstrumentId
from foresail.engine.parts import build_parts, round_trip_costs
from foresail.engine.rates import account_rates
from foresail.engine.settings import MarketData, PipelineSettings


def rates(*pairs: tuple[str, float], currency: str = "USD") -> dict[str, Decimal]:
    names = [InstrumentId(name) for name, _ in pairs]
    return account_rates(names, np.array([price for _, price in pairs]), currency)


def test_a_pair_quoted_in_the_account_is_the_rate_and_one_based_on_it_its_inverse() -> None:
    found = rates(("fx.EUR-USD", 1.25), ("fx.USD-JPY", 125.0))
    assert found == {"EUR": Decimal("1.25"), "JPY": Decimal("0.008")}


def test_crosses_missing_prices_and_other_classes_give_no_rate() -> None:
    assert rates(("fx.EUR-GBP", 0.8), ("fx.GBP-USD", float("nan")), ("crypto.X.BTC-USD", 30_000.0)) == {}
    assert rates(("fx.EUR-GBP", 0.8), currency="GBP") == {"EUR": Decimal("0.8")}


def test_an_instrument_without_a_record_is_refused(small_market: MarketData, small_settings: PipelineSettings) -> None:
    lacking = replace(small_market.bar_set, instruments=small_market.bar_set.instruments[1:])
    with pytest.raises(UnknownNameError):
        build_parts(small_market.bars, lacking, small_settings, strategy=None, explain=None)


def test_round_trip_costs_are_twice_a_side_and_unknown_without_a_price(
    small_market: MarketData, small_settings: PipelineSettings
) -> None:
    parts = build_parts(small_market.bars, small_market.bar_set, small_settings, strategy=None, explain=None)
    names = small_market.bars.instruments[:2]
    costs = round_trip_costs(parts.costs, parts.by_id, names, np.array([50.0, np.nan]), int(small_market.bars.end[0]))
    assert 0.0 < costs[0] < 0.02
    assert np.isnan(costs[1])
