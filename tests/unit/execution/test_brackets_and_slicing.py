"""Brackets and slices: whole lots, sums, order of levels, ids."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foresail.core.errors import ConfigError
from foresail.core.ids import OrderId, instrument_id
from foresail.domain.instruments import AssetClass, Instrument
from foresail.domain.orders import Order, OrderKind
from foresail.domain.signals import Side
from foresail.execution.brackets import BracketLegs, bracket_orders
from foresail.execution.slicing import child_order, needs_slicing, pov_quantity, twap, vwap

D = Decimal
A = instrument_id("crypto.BINANCE.BTC-USDT")
HOUR = 3600 * 10**9


def record(lot="0.001", tick="0.01"):
    return Instrument(A, "BTCUSDT", asset_class=AssetClass.CRYPTO, currency="USDT", tick=D(tick), lot=D(lot))


def entry(quantity="1", side=Side.BUY):
    return Order(OrderId("e" * 32), A, side, D(quantity), OrderKind.MARKET, 7, strategy="s@1")


def test_the_crypto_ladder_as_orders():
    third = D(1) / D(3)
    legs = BracketLegs(D(95), ((D(110), third), (D(120), third)), trail=D(12))
    stop, first, second, trail = bracket_orders(entry(), legs, record())
    assert [o.kind for o in (stop, first, second, trail)] == [
        OrderKind.STOP, OrderKind.LIMIT, OrderKind.LIMIT, OrderKind.TRAILING,
    ]  # fmt: skip
    assert (stop.quantity, first.quantity, second.quantity, trail.quantity) == (1, D("0.333"), D("0.333"), D("0.334"))
    assert (stop.trigger_price, first.limit_price, second.limit_price, trail.trail) == (95, 110, 120, 12)
    children = (stop, first, second, trail)
    assert {o.parent for o in children} == {o.group for o in children} == {"e" * 32}
    assert all(o.reduce_only and o.side is Side.SELL and o.strategy == "s@1" for o in children)
    assert len({o.id for o in children}) == 4
    assert bracket_orders(entry(), legs, record()) == children


def test_a_target_for_everything_leaves_nothing_over():
    stop, target = bracket_orders(entry("7"), BracketLegs(D(95), ((D(110), D(1)),)), record(lot="1"))
    assert (stop.quantity, target.quantity) == (7, 7)


@pytest.mark.parametrize(
    "legs",
    [
        BracketLegs(D(111), ((D(110), D(1)),)),
        BracketLegs(D(95), ((D(120), D("0.5")), (D(110), D("0.5")))),
        BracketLegs(D(95), ((D(110), D("0.7")), (D(120), D("0.7")))),
        BracketLegs(D(95), ((D(110), D(0)),)),
    ],
)
def test_levels_out_of_order_and_shares_beyond_the_whole_are_refused(legs):
    with pytest.raises(ConfigError):
        bracket_orders(entry(), legs, record())


def test_a_short_bracket_lies_the_other_way_round():
    stop, target = bracket_orders(entry(side=Side.SELL), BracketLegs(D(105), ((D(90), D(1)),)), record())
    assert (stop.side, target.limit_price) == (Side.BUY, 90)


@given(
    quantity=st.integers(1, 10**6),
    count=st.integers(1, 50),
    lot=st.sampled_from(["1", "0.1", "0.001"]),
    weights=st.lists(st.integers(0, 1000), min_size=1, max_size=50).filter(any),
)
def test_slices_are_the_parent_and_stay_inside_the_span(quantity, count, lot, weights):
    parent = entry(str(quantity))
    for plan in (
        twap(parent, 0, HOUR, count, D(lot)),
        vwap(parent, 0, HOUR, [D(w) for w in weights], D(lot)),
    ):
        assert sum(one.quantity for one in plan.slices) == parent.quantity
        assert all(0 <= one.at < HOUR and one.quantity > 0 for one in plan.slices)
        assert [one.at for one in plan.slices] == sorted(one.at for one in plan.slices)
        assert len({child_order(plan, one).id for one in plan.slices}) == len(plan.slices)


def test_a_volume_profile_is_followed():
    plan = vwap(entry("100"), 0, HOUR, [D(1), D(3), D(0), D(1)], D(1))
    assert [one.quantity for one in plan.slices] == [20, 60, 20]


def test_participation_follows_what_is_traded_and_stops_at_the_parent():
    parent = entry("100")
    assert pov_quantity(parent, D(0), D(300), D("0.1"), D(1)) == 30
    assert pov_quantity(parent, D(30), D(305), D("0.1"), D(1)) == 0
    assert pov_quantity(parent, D(90), D(10_000), D("0.1"), D(1)) == 10
    with pytest.raises(ConfigError):
        pov_quantity(parent, D(0), D("NaN"), D("0.1"), D(1))


def test_what_is_large_is_sliced_and_unknown_volume_counts_as_large():
    assert needs_slicing(D(101), D(10_000))
    assert not needs_slicing(D(100), D(10_000))
    assert needs_slicing(D(1), D("NaN"))


@pytest.mark.parametrize(("start", "end", "count"), [(0, 0, 3), (5, 1, 3), (0, 10, 0)])
def test_empty_spans_and_no_slices_are_refused(start, end, count):
    with pytest.raises(ConfigError):
        twap(entry(), start, end, count, D(1))


def test_less_than_a_lot_is_refused():
    with pytest.raises(ConfigError, match="smaller than one lot"):
        twap(entry("0.5"), 0, HOUR, 2, D(1))
