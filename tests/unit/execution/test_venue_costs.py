"""Impact, funding, swap, thin hours and slippage against the decision: vectors by hand and from papers."""

from datetime import UTC, datetime
from decimal import Decimal
from itertools import pairwise

import numpy as np
import pytest

from foresail.core.clock import to_ns
from foresail.core.errors import ConfigError, UnknownNameError
from foresail.core.ids import OrderId, instrument_id
from foresail.domain.instruments import AssetClass, Instrument
from foresail.domain.limits import MarketLimits
from foresail.domain.orders import Fill, FillReason
from foresail.domain.signals import Side
from foresail.domain.thin_hours import is_thin
from foresail.execution.carry import SwapRates, funding_charge, funding_instants, swap_charge, swap_instants
from foresail.execution.costs import CostModel, CostSettings
from foresail.execution.impact import IMPACT_MODELS, ImpactModel, impact_fractions, impact_model
from foresail.execution.slippage import measure_slippage

D = Decimal
ONE = Instrument(instrument_id("stock.US.AAA"), "AAA", AssetClass.STOCK, tick=D("0.01"))


def at(*parts):
    return to_ns(datetime(*parts, tzinfo=UTC))


def cost(model, volatility, share):
    return float(impact_fractions(model, np.array([volatility]), np.array([share]))[0])


def test_square_root_costs_20_basis_points_for_one_per_cent_of_volume_at_two_per_cent_volatility():
    assert cost(IMPACT_MODELS["square_root"], 0.02, 0.01) == pytest.approx(0.0020)


@pytest.mark.parametrize(
    ("volatility", "ratio", "days", "basis_points"),
    [
        (0.0157, 1728 / 6.561, 0.1, 32),
        (0.0157, 1728 / 6.561, 0.2, 25),
        (0.0157, 1728 / 6.561, 0.5, 18),
        (0.0226, 168 / 1.929, 0.1, 43),
        (0.0226, 168 / 1.929, 0.2, 32),
        (0.0226, 168 / 1.929, 0.5, 23),
    ],
)
def test_almgren_gives_the_worked_examples_of_the_paper(volatility, ratio, days, basis_points):
    model = ImpactModel("paper", 0.142, 0.6, 0.314, shares_per_volume=ratio, days=days)
    assert cost(model, volatility, 0.1) * 1e4 == pytest.approx(basis_points, abs=0.6)


def test_the_two_families_are_several_fold_apart_at_one_per_cent_and_errors_surround_the_middle():
    low, high = (cost(IMPACT_MODELS[name], 0.02, 0.01) for name in ("almgren", "square_root"))
    assert 3 < high / low < 10
    around = [cost(IMPACT_MODELS[name], 0.02, 0.01) for name in ("almgren_low", "almgren", "almgren_high")]
    assert around == sorted(around)


def test_impact_grows_with_size_and_is_flat_where_volume_is_unknown():
    shares = np.array([0.001, 0.01, 0.1, 1.0])
    for model in IMPACT_MODELS.values():
        assert (np.diff(impact_fractions(model, np.full(4, 0.02), shares)) > 0).all()
        assert impact_fractions(model, np.array([np.nan]), np.array([0.01]))[0] == model.unknown


def test_models_by_name():
    assert impact_model("none") is None
    with pytest.raises(UnknownNameError, match="square_root"):
        CostModel(CostSettings(AssetClass.STOCK, impact="cubic"))


def test_funding_falls_due_three_times_a_day_and_changes_hands_by_the_rate():
    day = at(2024, 5, 1)
    hour = 3600 * 10**9
    assert funding_instants(day, day + 24 * hour) == tuple(day + k * 8 * hour for k in (1, 2, 3))
    assert funding_instants(day - 1, day) == (day,)
    assert funding_charge(D(2), D(40000), D("0.0001")) == 8
    assert funding_charge(D(-2), D(40000), D("0.0001")) == -8
    assert funding_charge(D(2), D(40000), D("-0.00005")) == -4


def test_swap_rolls_at_17_new_york_and_wednesday_counts_three():
    found = swap_instants(at(2024, 7, 1), at(2024, 7, 8))  # Monday 00:00 UTC to Monday 00:00 UTC
    assert [n for _, n in found] == [1, 1, 3, 1, 1]
    assert found[0][0] == at(2024, 7, 1, 21)  # summer time
    assert swap_instants(at(2024, 1, 2), at(2024, 1, 3))[0][0] == at(2024, 1, 2, 22)
    rates = SwapRates(long=D("0.00006"), short=D("-0.00003"))
    assert swap_charge(D(100_000), rates, found) == 42
    assert swap_charge(D(-100_000), rates, found) == -21


def test_nights_do_not_depend_on_how_a_period_is_cut():
    start, end = at(2024, 3, 4), at(2024, 3, 18)  # the clocks change in between
    cuts = [*range(start, end, 7 * 3600 * 10**9), end]
    parts = [one for a, b in pairwise(cuts) for one in swap_instants(a, b)]
    assert tuple(parts) == swap_instants(start, end)
    assert sum(n for _, n in parts) == 14


def test_backward_periods_are_refused():
    with pytest.raises(ConfigError):
        funding_instants(1, 0)
    with pytest.raises(ConfigError):
        swap_instants(1, 0)


@pytest.mark.parametrize(("hour", "thin"), [(1, False), (2, True), (5, True), (6, False)])
def test_crypto_has_thin_hours(hour, thin):
    hours = MarketLimits().thin_hours
    assert is_thin(AssetClass.CRYPTO, at(2024, 5, 1, hour, 59), hours) is thin
    assert not is_thin(AssetClass.STOCK, at(2024, 5, 1, hour, 59), hours)
    assert not is_thin(AssetClass.CRYPTO, at(2024, 5, 1, hour, 59), None)


def test_slippage_is_told_against_the_middle_at_the_decision():
    costs = CostModel.of_class(AssetClass.STOCK)
    for side, price, fraction in ((Side.BUY, "100.10", 0.001), (Side.SELL, "100.10", -0.001)):
        fill = Fill(OrderId("1"), ONE.id, side, D(1), D(price), D(100), D(0), D(0), 5, FillReason.ENTRY, "x")
        found = measure_slippage(fill, D(100), ONE, costs)
        assert found.fraction == pytest.approx(fraction)
        assert found.expected == pytest.approx(0.0005)
    with pytest.raises(ConfigError, match="middle"):
        measure_slippage(fill, D("NaN"), ONE, costs)
