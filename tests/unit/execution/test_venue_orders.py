"""Kinds and lives of orders on bars: stop-limit, trailing, time in force, families, ladder, replace, halts, borrow."""

import json
from decimal import Decimal

import numpy as np
import pytest

from foresail.core.errors import ConfigError, OrderRejectedError
from foresail.core.ids import OrderId, instrument_id
from foresail.domain.effects import ReplaceSend
from foresail.domain.events import VenueOutcome
from foresail.domain.instruments import AssetClass, Instrument
from foresail.domain.orders import FillReason, Order, OrderKind, TimeInForce
from foresail.domain.signals import Side
from foresail.execution.brackets import BracketLegs, bracket_orders
from foresail.execution.costs import CostModel, CostSettings
from foresail.execution.simulated.settings import VenueBar, VenueSettings
from foresail.execution.simulated.venue import SimulatedVenue

D = Decimal
A, B = (
    Instrument(instrument_id(f"stock.US.{name}"), name, AssetClass.STOCK, tick=D("0.01")) for name in ("AAA", "BBB")
)
BUY, SELL = Side.BUY, Side.SELL
FLAT = (100, 101, 99, 100)


class Bench:
    """One venue; bars are an hour long and follow one another."""

    hour = 3600 * 10**9

    def __init__(self, costs=None, **settings):
        settings = {"good_for_bars": 0, **settings}
        self.venue = SimulatedVenue(
            (A, B), CostModel(costs or CostSettings(AssetClass.STOCK)), VenueSettings(**settings)
        )
        self.number = self.now = 0

    def order(self, side, quantity, kind=OrderKind.MARKET, one=A, **rest):
        self.number += 1
        order = Order(OrderId(f"{self.number:032x}"), one.id, side, D(quantity), kind, self.now, **rest)
        self.venue.submit(order)
        return order

    def bar(self, a=FLAT, b=(50, 50, 50, 50), volume=1e6, **rest):
        columns = [np.array([x, y], dtype=float) for x, y in zip(a, b, strict=True)]
        volumes = np.full(2, float(volume))
        start, self.now = self.now, self.now + self.hour
        bar = VenueBar(0, self.now, *columns, volumes, np.array([True, True]), start=start, **rest)
        return [(f.side.value, int(f.quantity), float(f.price)) for f in self.venue.step(bar)]

    def outcomes(self):
        return [(r.outcome, int(r.left)) for r in self.venue.take_reports()]

    def hold(self, quantity=9, **rest):
        order = self.order(BUY, quantity, **rest)
        self.bar()
        return order


def pair(a, b=np.nan):
    return np.array([a, b], dtype=float)


def test_stop_limit_fills_inside_the_bar_only_if_its_limit_lies_beyond_the_trigger():
    bench = Bench()
    bench.order(BUY, 1, OrderKind.STOP_LIMIT, trigger_price=D(105), limit_price=D(106))
    assert bench.bar((100, 107, 99, 106)) == [("buy", 1, 105.0)]
    bench = Bench()
    bench.order(BUY, 1, OrderKind.STOP_LIMIT, trigger_price=D(105), limit_price=D(103))
    assert bench.bar((100, 107, 99, 106)) == []  # it may have come back to 103 before it was triggered
    assert bench.bar((104, 105, 103, 104)) == []  # a limit now, and not traded through
    assert bench.bar((104, 105, 102.99, 104)) == [("buy", 1, 103.0)]


def test_stop_limit_that_the_open_passes_is_a_limit_at_once():
    bench = Bench()
    bench.order(BUY, 1, OrderKind.STOP_LIMIT, trigger_price=D(105), limit_price=D(106))
    assert bench.bar((108, 109, 107, 108)) == []
    assert bench.bar((105.5, 109, 105, 108)) == [("buy", 1, 105.5)]


def test_trailing_follows_only_prices_that_were_known():
    bench = Bench()
    bench.hold()
    bench.order(SELL, 9, OrderKind.TRAILING, trail=D(5), reason=FillReason.STOP)
    assert bench.bar((100, 120, 96, 110)) == []  # level 95 from the open; the high counts from the next bar on
    assert bench.bar((118, 119, 115.01, 116)) == []  # level 115
    assert bench.bar((122, 123, 116, 118)) == [("sell", 9, 117.0)]  # the open raised it to 117


def test_trailing_gap_fills_at_the_open_and_first_level_can_be_given():
    bench = Bench()
    bench.hold()
    bench.order(SELL, 9, OrderKind.TRAILING, trail=D(5), trigger_price=D(97), reason=FillReason.STOP)
    assert bench.bar((96, 100, 90, 95)) == [("sell", 9, 96.0)]


def test_buy_trailing_mirrors_the_sell():
    bench = Bench(allow_short=True)
    bench.order(SELL, 3)
    bench.bar()
    bench.order(BUY, 3, OrderKind.TRAILING, trail=D(5), reduce_only=True)
    assert bench.bar((100, 104, 80, 82)) == []
    assert bench.bar((82, 86, 81, 85)) == [("buy", 3, 85.0)]


def test_stop_with_a_trigger_price_carries_an_attached_stop():
    bench = Bench()
    bench.order(BUY, 1, OrderKind.STOP, trigger_price=D(105), stop_price=D(98), target_price=D(120))
    assert bench.bar((100, 106, 99, 105)) == [("buy", 1, 105.0)]
    assert bench.venue.levels(A.id) == (D(98), D(120))


def test_triggered_stop_that_lacks_volume_goes_on_as_a_market_order():
    bench = Bench(volume_share=0.5)
    for _ in range(2):
        bench.order(BUY, 5)
    bench.bar(volume=100)
    bench.order(SELL, 10, OrderKind.STOP, stop_price=D(95), reason=FillReason.STOP)
    assert bench.bar((100, 101, 94, 96), volume=8) == [("sell", 4, 95.0)]
    assert bench.bar((99, 101, 98, 99), volume=100) == [("sell", 6, 99.0)]


def test_attached_stop_that_lacks_volume_leaves_at_the_next_open():
    bench = Bench(volume_share=0.5)
    bench.order(BUY, 10, stop_price=D(95))
    bench.bar(volume=100)
    assert bench.bar((100, 101, 94, 96), volume=8) == [("sell", 4, 95.0)]
    assert bench.bar((99, 101, 98, 99), volume=100) == [("sell", 6, 99.0)]


@pytest.mark.parametrize(
    ("force", "volume", "filled", "outcome"),
    [
        (TimeInForce.IOC, 12, 6, VenueOutcome.CANCELLED),
        (TimeInForce.FOK, 12, 0, VenueOutcome.CANCELLED),
        (TimeInForce.FOK, 20, 10, VenueOutcome.FILLED),
    ],
)
def test_at_once_is_decided_at_the_open(force, volume, filled, outcome):
    bench = Bench(volume_share=0.5)
    bench.order(BUY, 10, time_in_force=force)
    assert sum(q for _, q, _ in bench.bar(volume=volume)) == filled
    assert bench.outcomes()[-1][0] is outcome
    assert bench.venue.open_orders == ()


def test_limit_ioc_needs_the_open_and_a_halt_cancels_it():
    bench = Bench()
    bench.order(BUY, 1, OrderKind.LIMIT, limit_price=D(99.5), time_in_force=TimeInForce.IOC)
    assert bench.bar((100, 101, 90, 100)) == []
    assert bench.venue.open_orders == ()
    bench.order(BUY, 1, time_in_force=TimeInForce.IOC)
    assert bench.bar(halted=np.array([True, False])) == []
    assert bench.venue.open_orders == ()
    with pytest.raises(OrderRejectedError, match="cannot be ioc"):
        bench.order(BUY, 1, OrderKind.STOP, stop_price=D(105), time_in_force=TimeInForce.IOC)


def test_day_order_ends_with_the_session_of_its_first_bar():
    bench = Bench()
    bench.order(BUY, 1, OrderKind.LIMIT, limit_price=D(95), time_in_force=TimeInForce.DAY)
    for _ in range(2):
        bench.bar(session_end=3 * bench.hour)
    assert len(bench.venue.open_orders) == 1
    bench.bar(session_end=3 * bench.hour)
    assert bench.outcomes()[-1] == (VenueOutcome.EXPIRED, 1)


def test_day_order_without_a_calendar_ends_at_midnight_utc():
    bench = Bench()
    bench.order(BUY, 1, OrderKind.LIMIT, limit_price=D(95), time_in_force=TimeInForce.DAY)
    for _ in range(23):
        bench.bar()
    assert len(bench.venue.open_orders) == 1
    bench.bar()
    assert bench.venue.open_orders == ()


def test_dated_order_fills_inside_a_bar_only_if_it_lives_through_it():
    for minutes, filled in ((60, 1), (30, 0)):
        bench = Bench()
        end = minutes * 60 * 10**9
        rest = {"time_in_force": TimeInForce.GTD, "expires_at": end}
        bench.order(BUY, 1, OrderKind.LIMIT, limit_price=D(99.5), **rest)
        assert len(bench.bar()) == filled
        assert bench.venue.open_orders == ()
    with pytest.raises(OrderRejectedError, match="expires_at"):
        bench.order(BUY, 1, time_in_force=TimeInForce.GTD, expires_at=bench.now)


def test_latency_in_time_and_in_bars():
    for settings in ({"latency_ns": Bench.hour + 1}, {"latency_bars": 2}):
        bench = Bench(**settings)
        bench.order(BUY, 1)
        assert [len(bench.bar()) for _ in range(3)] == [0, 0, 1]


def test_bracket_lives_from_the_fill_of_its_parent_and_for_what_was_filled():
    bench = Bench(volume_share=0.5)
    entry = bench.order(BUY, 9, OrderKind.LIMIT, limit_price=D(95), target_price=None)
    for child in bracket_orders(entry, BracketLegs(D(90), ((D(110), D(1)),)), A):
        bench.venue.submit(child)
    assert bench.bar((100, 120, 96, 100)) == []  # nothing is awake
    assert bench.bar((100, 120, 94, 100), volume=8) == [("buy", 4, 95.0)]  # not the target in the bar of the entry
    assert bench.bar((100, 111, 99, 105), volume=1000) == [("sell", 4, 110.0)]
    bench.bar()
    assert bench.venue.open_orders == ()  # the position is closed, the family has ended
    assert bench.venue.position(A.id) == 0


def test_bracket_stop_can_be_hit_in_the_bar_of_the_entry():
    bench = Bench()
    entry = bench.order(BUY, 9, OrderKind.LIMIT, limit_price=D(95))
    for child in bracket_orders(entry, BracketLegs(D(90), ((D(110), D(1)),)), A):
        bench.venue.submit(child)
    assert bench.bar((100, 120, 89, 100)) == [("buy", 9, 95.0), ("sell", 9, 90.0)]
    assert bench.venue.open_orders == ()


def test_partial_exit_shrinks_the_other_leg():
    bench = Bench(volume_share=0.5)
    entry = bench.order(BUY, 8)
    for child in bracket_orders(entry, BracketLegs(D(90), ((D(110), D(1)),)), A):
        bench.venue.submit(child)
    bench.bar(volume=100)
    bench.venue.take_reports()
    assert bench.bar((100, 111, 99, 105), volume=6) == [("sell", 3, 110.0)]
    assert (VenueOutcome.REPLACED, 5) in bench.outcomes()
    assert bench.bar((100, 101, 89, 95), volume=1000) == [("sell", 5, 90.0)]
    assert bench.venue.open_orders == ()


def test_crypto_ladder_sells_thirds_at_110_and_120_and_trails_the_rest():
    """EXIT-06: entry at 100; one third at 110, one third at 120, the last trails by 3 ATR (ATR 2)."""
    bench = Bench()
    entry = bench.order(BUY, 9)
    third = D(1) / D(3)
    legs = BracketLegs(D(90), ((D(110), third), (D(120), third)), trail=3 * D(2))
    for child in bracket_orders(entry, legs, A):
        bench.venue.submit(child)
    assert bench.bar((100, 101, 99, 100)) == [("buy", 9, 100.0)]
    assert bench.bar((101, 110.5, 101, 110)) == [("sell", 3, 110.0)]
    assert bench.bar((110, 121, 110, 120)) == [("sell", 3, 120.0)]
    assert bench.bar((120, 130, 119, 128)) == []  # trail 124 from now
    assert bench.bar((128, 129, 123, 125)) == [("sell", 3, 124.0)]
    assert bench.venue.position(A.id) == 0
    assert bench.venue.open_orders == ()


def test_entry_orders_of_one_group_cancel_one_another():
    bench = Bench(volume_share=0.5)
    bench.order(BUY, 5, OrderKind.STOP, stop_price=D(105), group="breakout")
    bench.order(BUY, 5, OrderKind.LIMIT, limit_price=D(95), group="breakout")
    assert bench.bar((100, 106, 99, 105), volume=4) == [("buy", 2, 105.0)]
    assert [order.kind for order in bench.venue.open_orders] == [OrderKind.STOP]


def test_group_may_span_instruments():
    bench = Bench()
    bench.order(BUY, 5, OrderKind.LIMIT, limit_price=D(99.5), group="either")
    bench.order(BUY, 5, OrderKind.LIMIT, one=B, limit_price=D(49), group="either")
    assert bench.bar(b=(50, 51, 48, 50)) == [("buy", 5, 99.5)]
    assert bench.venue.open_orders == ()


def test_children_end_with_a_parent_that_never_fills():
    bench = Bench()
    entry = bench.order(BUY, 9, OrderKind.LIMIT, limit_price=D(95))
    bench.order(SELL, 9, OrderKind.STOP, stop_price=D(90), parent=entry.id, reduce_only=True)
    assert bench.venue.cancel_order(entry.id, at_ns=7)
    assert [r[0] for r in bench.outcomes()][-2:] == [VenueOutcome.CANCELLED] * 2
    assert bench.venue.open_orders == ()
    with pytest.raises(OrderRejectedError, match="without a fill"):
        bench.order(SELL, 9, OrderKind.STOP, stop_price=D(90), parent=entry.id, reduce_only=True)
    with pytest.raises(OrderRejectedError, match="not known"):
        bench.order(SELL, 9, parent=OrderId("f" * 32))


def test_child_sent_after_the_fill_is_awake_for_it():
    bench = Bench()
    entry = bench.hold(4)
    child = bench.order(SELL, 9, OrderKind.LIMIT, limit_price=D(105), parent=entry.id, reduce_only=True)
    assert bench.venue.open_quantity(A.id) == -4
    assert bench.bar((100, 106, 99, 105)) == [("sell", 4, 105.0)]
    assert child.id not in {order.id for order in bench.venue.open_orders}


def test_reduce_only_never_turns_a_position():
    bench = Bench(allow_short=True)
    bench.hold(3)
    bench.order(SELL, 5, reduce_only=True)
    assert bench.bar() == [("sell", 3, 100.0)]
    assert bench.venue.position(A.id) == 0


def test_replace_counts_what_is_filled_and_tells_it():
    bench = Bench(volume_share=0.5)
    order = bench.order(BUY, 10, OrderKind.LIMIT, limit_price=D(95))
    bench.bar((96, 97, 94, 95), volume=8)
    bench.venue.take_reports()
    assert bench.venue.replace(ReplaceSend(order.id, A.id, D(6), D(96)))
    (report,) = bench.venue.take_reports()
    assert (report.outcome, report.left, report.limit_price) == (VenueOutcome.REPLACED, 6, D(96))
    assert bench.venue.open_quantity(A.id) == 2
    assert bench.bar((96, 97, 95.5, 96), volume=100) == [("buy", 2, 96.0)]
    assert not bench.venue.replace(ReplaceSend(order.id, A.id, D(6)))
    assert bench.outcomes()[-1][0] is VenueOutcome.CANCEL_REJECTED


def test_replace_down_to_what_is_filled_ends_the_order():
    bench = Bench(volume_share=0.5)
    order = bench.order(BUY, 10)
    bench.bar(volume=8)
    assert bench.venue.replace(ReplaceSend(order.id, A.id, D(3)))
    assert bench.outcomes()[-2:] == [(VenueOutcome.REPLACED, 4), (VenueOutcome.CANCELLED, 0)]
    assert bench.venue.open_orders == ()


def test_replace_refuses_prices_that_an_order_has_not():
    bench = Bench()
    order = bench.order(BUY, 10)
    assert not bench.venue.replace(ReplaceSend(order.id, A.id, D(10), limit_price=D(90)))
    assert not bench.venue.replace(ReplaceSend(order.id, A.id, D(10), trigger_price=D(90)))
    assert not bench.venue.replace(ReplaceSend(order.id, A.id, D("NaN")))
    assert bench.bar() == [("buy", 10, 100.0)]


def test_moved_stop_triggers_at_its_new_level():
    bench = Bench()
    bench.hold()
    order = bench.order(SELL, 9, OrderKind.STOP, stop_price=D(90), reason=FillReason.STOP)
    assert bench.venue.replace(ReplaceSend(order.id, A.id, D(9), trigger_price=D(97)))
    assert bench.venue.open_orders[0].stop_price == D(97)
    assert bench.bar((100, 101, 96, 97)) == [("sell", 9, 97.0)]


def test_nothing_trades_in_a_halt():
    bench = Bench()
    bench.hold(stop_price=D(95))
    bench.order(BUY, 1)
    assert bench.bar((90, 91, 80, 85), halted=np.array([True, False])) == []
    assert bench.bar((90, 91, 80, 85)) == [("buy", 1, 90.0), ("sell", 10, 90.0)]


def test_buyers_wait_at_the_upper_limit_and_sellers_at_the_lower():
    bench = Bench()
    bench.order(BUY, 1)
    assert bench.bar((110, 110, 110, 110), limit_up=pair(110)) == []
    assert bench.bar((109, 110, 108, 110), limit_up=pair(110)) == [("buy", 1, 109.0)]
    bench.order(SELL, 1, reason=FillReason.EXIT)
    assert bench.bar((90, 90, 90, 90), limit_down=pair(90)) == []
    assert bench.bar((91, 92, 90, 91), limit_down=pair(90)) == [("sell", 1, 91.0)]


def test_slippage_stops_at_a_price_limit():
    bench = Bench(CostSettings(AssetClass.STOCK, slippage_fraction=D("0.05")))
    bench.order(BUY, 1)
    assert bench.bar((109, 110, 108, 110), limit_up=pair(110)) == [("buy", 1, 110.0)]


def test_stop_at_the_lower_limit_waits_for_a_bar_that_trades():
    bench = Bench()
    bench.hold(stop_price=D(95))
    assert bench.bar((90, 90, 90, 90), limit_down=pair(90)) == []
    assert bench.bar((92, 93, 91, 92), limit_down=pair(81)) == [("sell", 9, 92.0)]


def test_short_sale_is_limited_by_what_can_be_borrowed():
    bench = Bench(allow_short=True)
    bench.venue.lend(A.id, D(4))
    bench.order(SELL, 10)
    assert bench.bar() == [("sell", 4, 100.0)]
    assert bench.outcomes()[-1] == (VenueOutcome.CANCELLED, 6)
    bench.venue.lend(A.id, D(0))
    bench.order(SELL, 1)
    assert bench.bar() == []
    bench.venue.lend(A.id, None)
    bench.order(SELL, 3)
    assert bench.bar() == [("sell", 3, 100.0)]
    with pytest.raises(ConfigError, match="borrow"):
        bench.venue.lend(A.id, D(-1))


def test_square_root_impact_moves_the_price_of_a_taker_only():
    costs = CostSettings(AssetClass.STOCK, impact="square_root")
    known = {"average_volume": pair(10_000, 1), "volatility": pair(0.02, 0.02)}
    bench = Bench(costs)
    bench.order(BUY, 100)
    assert bench.bar(**known) == [("buy", 100, 100.2)]  # 1 % of volume at 2 %: 20 basis points
    bench.order(SELL, 100, OrderKind.LIMIT, limit_price=D(105), reason=FillReason.EXIT)
    assert bench.bar((100, 106, 99, 105), **known) == [("sell", 100, 105.0)]
    bench.order(BUY, 100)
    assert bench.bar() == [("buy", 100, 101.0)]  # volume is not known: 1 %


def test_dividend_lowers_buy_limits_and_sell_stops_only():
    bench = Bench()
    bench.hold()
    orders = [
        bench.order(BUY, 1, OrderKind.LIMIT, limit_price=D(95)),
        bench.order(SELL, 1, OrderKind.STOP, stop_price=D(90), reason=FillReason.STOP),
        bench.order(SELL, 1, OrderKind.LIMIT, limit_price=D(120)),
        bench.order(BUY, 1, OrderKind.STOP, stop_price=D(125)),
    ]
    assert bench.venue.apply_dividend(A.id, D("0.505")) == 2
    by_id = {order.id: order for order in bench.venue.open_orders}
    limit, stop, high, above = (by_id[order.id] for order in orders)
    assert (limit.limit_price, stop.stop_price) == (D("94.49"), D("89.49"))
    assert (high.limit_price, above.stop_price) == (D(120), D(125))


def test_split_restates_every_level_of_an_open_order():
    bench = Bench()
    bench.hold()
    bench.order(SELL, 8, OrderKind.TRAILING, trail=D(10), reason=FillReason.STOP)
    bench.order(BUY, 2, OrderKind.STOP_LIMIT, trigger_price=D(120), limit_price=D(122))
    bench.bar()
    assert bench.venue.apply_split(A.id, D(2)) == 18
    trailing, waiting = bench.venue.open_orders
    assert (trailing.quantity, trailing.trail) == (16, D(5))
    assert (waiting.quantity, waiting.trigger_price, waiting.limit_price) == (4, D(60), D(61))
    assert bench.bar((50, 51, 45.4, 46)) == [("sell", 16, 45.5)]  # best 101 is 50.5 now


def test_reports_tell_every_step_with_executions_of_their_own():
    bench = Bench(volume_share=0.5)
    order = bench.order(BUY, 10)
    bench.bar(volume=8)
    bench.bar(volume=100)
    reports = bench.venue.take_reports()
    assert [r.outcome for r in reports] == [VenueOutcome.ACCEPTED, VenueOutcome.FILLED, VenueOutcome.FILLED]
    assert [r.fill.execution for r in reports[1:]] == [f"{A.id}:1", f"{A.id}:2"]
    assert {r.order_id for r in reports} == {order.id}
    assert bench.venue.take_reports() == ()
    assert not bench.venue.cancel_order(order.id)
    assert bench.outcomes() == [(VenueOutcome.CANCEL_REJECTED, 0)]


def test_snapshot_keeps_families_groups_and_trails():
    one, two = Bench(), Bench()
    entry = one.order(BUY, 9)
    legs = BracketLegs(D(90), ((D(110), D("0.5")),), trail=D(6))
    for child in bracket_orders(entry, legs, A):
        one.venue.submit(child)
    one.bar()
    two.venue.restore(json.loads(json.dumps(one.venue.snapshot())))
    two.now = one.now
    for bar in ((100, 111, 99, 110), (110, 112, 104, 105)):
        fills = one.bar(bar)
        assert fills == two.bar(bar) != []
    assert one.venue.snapshot() == two.venue.snapshot()


@pytest.mark.parametrize(
    ("kind", "rest"),
    [
        (OrderKind.STOP_LIMIT, {"limit_price": D(100)}),
        (OrderKind.STOP_LIMIT, {"trigger_price": D(100)}),
        (OrderKind.TRAILING, {}),
        (OrderKind.TRAILING, {"trail": D("NaN")}),
        (OrderKind.STOP, {}),
        (OrderKind.STOP, {"trigger_price": D(-1)}),
    ],
)
def test_orders_that_lack_what_their_kind_needs_are_refused(kind, rest):
    with pytest.raises(OrderRejectedError):
        Bench().order(BUY, 1, kind, **rest)
