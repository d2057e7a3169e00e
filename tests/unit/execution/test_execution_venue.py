"""The simulated venue, case by case: what fills, at what price, what waits and what leaves the book."""

from decimal import Decimal

import numpy as np
import pytest

from foresail.core.errors import OrderRejectedError, UnknownNameError
from foresail.core.ids import OrderId, instrument_id
from foresail.domain.instruments import AssetClass, Instrument
from foresail.domain.orders import FillReason, Order, OrderKind
from foresail.domain.signals import Side
from foresail.execution.costs import CostModel, CostSettings
from foresail.execution.simulated.settings import VenueBar, VenueSettings
from foresail.execution.simulated.venue import SimulatedVenue

D = Decimal
A, B = (
    Instrument(instrument_id(f"stock.US.{name}"), name, AssetClass.STOCK, tick=D("0.01")) for name in ("AAA", "BBB")
)
FREE = CostModel(CostSettings(AssetClass.STOCK))
START, END = 5, 10


class Bench:
    def __init__(self, costs=FREE, **settings):
        self.venue = SimulatedVenue((A, B), costs, VenueSettings(**settings))
        self.number = 0

    def order(self, side, quantity, kind=OrderKind.MARKET, one=A, **rest):
        self.number += 1
        order = Order(OrderId(f"{self.number:032x}"), one.id, side, D(quantity), kind, 0, **rest)
        self.venue.submit(order)
        return order

    def bar(self, a, b=(50, 50, 50, 50), volume=1e6, present=(True, True)):
        columns = [np.array([x, y], dtype=float) for x, y in zip(a, b, strict=True)]
        volumes = np.array([volume, volume], dtype=float)
        return self.venue.step(VenueBar(0, END, *columns, volumes, np.array(present), start=START))

    def events(self):
        return [(e.outcome, e.quantity_lots) for e in self.venue.take_events()]


def prices(fills):
    return [(f.side.value, float(f.quantity), float(f.price), f.reason.value) for f in fills]


def test_market_order_fills_at_the_next_open_with_slippage_against_it():
    bench = Bench(CostModel.of_class(AssetClass.STOCK))
    bench.order(Side.BUY, 100)
    (fill,) = bench.bar((100, 101, 99, 100))
    assert (fill.price, fill.reference_price, fill.slippage, fill.filled_at) == (D("100.05"), D(100), D(5), START)
    bench.order(Side.SELL, 100, reason=FillReason.EXIT)
    (fill,) = bench.bar((100, 101, 99, 100))
    assert (fill.price, fill.slippage) == (D("99.95"), D(5))


def test_close_only_set_fills_at_the_next_close():
    bench = Bench(close_only=True)
    bench.order(Side.BUY, 1)
    nan = float("nan")
    (fill,) = bench.bar((nan, nan, nan, 42), (nan, nan, nan, 50))
    assert (fill.price, fill.filled_at) == (D(42), END)


def test_limit_fills_only_when_price_trades_through():
    bench = Bench()
    bench.order(Side.BUY, 1, OrderKind.LIMIT, limit_price=D(95))
    assert bench.bar((100, 101, 95, 100)) == []
    assert prices(bench.bar((100, 101, 94.99, 100))) == [("buy", 1, 95.0, "entry")]


def test_limit_fills_at_a_better_open():
    bench = Bench(CostModel.of_class(AssetClass.STOCK))
    bench.order(Side.BUY, 100, OrderKind.LIMIT, limit_price=D(95))
    (fill,) = bench.bar((90, 91, 89, 90))
    assert (fill.price, fill.reference_price) == (D("90.04"), D(90))  # 4.5 ticks, half to even


def test_stop_fills_at_the_worse_of_stop_and_open():
    for opened, expected in ((100, 95.0), (90, 90.0)):
        bench = Bench()
        bench.order(Side.BUY, 1, stop_price=D(95))
        bench.bar((100, 101, 99, 100))
        assert prices(bench.bar((opened, opened + 1, 89, 90))) == [("sell", 1, expected, "stop")]


def test_stop_wins_over_target_inside_one_bar():
    bench = Bench()
    bench.order(Side.BUY, 1, stop_price=D(95), target_price=D(105))
    assert prices(bench.bar((100, 110, 90, 100)))[1] == ("sell", 1, 95.0, "stop")


def test_target_needs_to_be_traded_through_and_takes_a_better_open():
    bench = Bench()
    bench.order(Side.BUY, 1, target_price=D(105))
    bench.bar((100, 105, 99, 100))
    assert bench.venue.position(A.id) == 1
    assert prices(bench.bar((107, 108, 106, 107))) == [("sell", 1, 107.0, "target")]


def test_entry_inside_the_bar_can_be_stopped_but_meets_no_target_in_it():
    bench = Bench()
    bench.order(Side.BUY, 1, OrderKind.LIMIT, limit_price=D(95), target_price=D(101))
    assert prices(bench.bar((100, 110, 94, 100))) == [("buy", 1, 95.0, "entry")]
    bench = Bench()
    bench.order(Side.BUY, 1, OrderKind.STOP, stop_price=D(105))
    bench.bar((100, 106, 99, 105))
    bench.venue.attach(A.id, 95.0, None)
    assert prices(bench.bar((100, 106, 94, 100))) == [("sell", 1, 95.0, "stop")]


def test_short_position_is_stopped_above():
    bench = Bench(allow_short=True)
    bench.order(Side.SELL, 2, stop_price=D(105), target_price=D(95))
    bench.bar((100, 101, 99, 100))
    assert prices(bench.bar((106, 107, 90, 100))) == [("buy", 2, 106.0, "stop")]


def test_stopping_out_cancels_what_would_have_reduced_the_position():
    bench = Bench()
    bench.order(Side.BUY, 1, stop_price=D(95))
    bench.bar((100, 101, 99, 100))
    bench.order(Side.SELL, 1, OrderKind.LIMIT, limit_price=D(120))
    bench.bar((100, 101, 90, 91))
    assert bench.events() == [("cancelled", 1)]
    assert bench.venue.open_orders == ()


def test_sale_beyond_the_holding_is_cut():
    bench = Bench()
    bench.order(Side.BUY, 3)
    bench.bar((100, 101, 99, 100))
    bench.order(Side.SELL, 5, reason=FillReason.REBALANCE)
    assert prices(bench.bar((100, 101, 99, 100))) == [("sell", 3, 100.0, "rebalance")]
    assert bench.events() == [("cancelled", 2)]


def test_exit_never_opens_the_other_side():
    bench = Bench(allow_short=True)
    bench.order(Side.BUY, 3)
    bench.bar((100, 101, 99, 100))
    bench.order(Side.SELL, 5, reason=FillReason.EXIT)
    bench.bar((100, 101, 99, 100))
    assert bench.venue.position(A.id) == 0


def test_volume_cap_fills_in_parts():
    bench = Bench(volume_share=0.1)
    bench.order(Side.BUY, 25)
    got = [prices(bench.bar((100, 101, 99, 100), volume=v)) for v in (100, float("nan"), 0, 109, 200)]
    assert [sum(f[1] for f in fills) for fills in got] == [10, 0, 0, 10, 5]


def test_order_waits_for_absent_bars_and_then_expires():
    bench = Bench(good_for_bars=3)
    bench.order(Side.BUY, 1)
    for _ in range(2):
        assert bench.bar((100, 101, 99, 100), present=(False, True)) == []
    assert len(bench.bar((100, 101, 99, 100))) == 1
    bench.order(Side.BUY, 1)
    for _ in range(3):
        assert bench.bar((float("nan"),) * 4) == []
    assert bench.events() == [("expired", 1)]
    assert bench.bar((100, 101, 99, 100)) == []


def test_sales_come_before_purchases_whatever_was_submitted_first():
    bench = Bench()
    bench.order(Side.BUY, 1, one=B)
    bench.bar((100, 101, 99, 100))
    bench.order(Side.BUY, 1)
    bench.order(Side.SELL, 1, one=B, reason=FillReason.EXIT)
    assert [f.side.value for f in bench.bar((100, 101, 99, 100))] == ["sell", "buy"]


def test_close_out_pays_the_last_print_less_a_haircut():
    bench = Bench()
    bench.order(Side.BUY, 10)
    bench.bar((100, 101, 99, 100))
    bench.order(Side.BUY, 10)
    fill = bench.venue.close_out(A.id, D(100), at_ns=20, haircut=D("0.3"))
    assert (fill.price, fill.reference_price, fill.reason) == (D(70), D(100), FillReason.DELISTED)
    assert bench.venue.open_orders == ()
    assert bench.venue.close_out(A.id, D(100), at_ns=20) is None


def test_split_restates_position_levels_and_orders():
    bench = Bench()
    bench.order(Side.BUY, 10, stop_price=D(90))
    bench.bar((100, 101, 99, 100))
    bench.order(Side.SELL, 4, OrderKind.LIMIT, limit_price=D(120))
    assert bench.venue.apply_split(A.id, D(2)) == 20
    assert bench.venue.levels(A.id) == (D(45), None)
    assert bench.venue.open_quantity(A.id) == -8
    assert prices(bench.bar((50, 61, 50, 60))) == [("sell", 8, 60.0, "entry")]


def test_snapshot_continues_where_it_was_taken():
    one, two = Bench(), Bench()
    one.order(Side.BUY, 10, stop_price=D("90.5"))
    one.bar((100, 101, 99, 100))
    one.order(Side.BUY, 5, OrderKind.LIMIT, limit_price=D(95))
    two.venue.restore(one.venue.snapshot())
    bar = (100, 101, 80, 85)
    assert one.bar(bar) == two.bar(bar)
    assert one.venue.snapshot() == two.venue.snapshot()


@pytest.mark.parametrize(
    ("quantity", "kind", "levels"),
    [
        ("0", OrderKind.MARKET, {}),
        ("NaN", OrderKind.MARKET, {}),
        ("0.5", OrderKind.MARKET, {}),
        ("1", OrderKind.LIMIT, {}),
        ("1", OrderKind.LIMIT, {"limit_price": D("NaN")}),
        ("1", OrderKind.LIMIT, {"limit_price": D(100), "stop_price": D(101)}),
        ("1", OrderKind.MARKET, {"stop_price": D(101), "target_price": D(99)}),
    ],
)
def test_malformed_order_is_refused(quantity, kind, levels):
    with pytest.raises(OrderRejectedError):
        Bench().order(Side.BUY, quantity, kind, **levels)


def test_same_id_twice_and_unknown_instrument_are_refused():
    bench = Bench()
    order = bench.order(Side.BUY, 1)
    with pytest.raises(OrderRejectedError, match="used before"):
        bench.venue.submit(order)
    with pytest.raises(UnknownNameError):
        bench.venue.attach(instrument_id("stock.US.ZZZ"), 1.0, None)


def test_attaching_to_nothing_is_told():
    assert Bench().venue.attach(A.id, 1.0, None) is False
