"""The venue on order books: queues, prints, cancels ahead, taking level by level, stops, latency, snapshots."""

import json
from decimal import Decimal

import numpy as np
import pytest

from foresail.core.errors import ConfigError
from foresail.core.ids import OrderId, instrument_id
from foresail.domain.books import ASK, BID, BookKind, BookStream
from foresail.domain.effects import ReplaceSend
from foresail.domain.instruments import AssetClass, Instrument
from foresail.domain.orders import FillReason, Order, OrderKind, TimeInForce
from foresail.domain.signals import Side
from foresail.execution.costs import CostModel, CostSettings
from foresail.execution.simulated.settings import VenueSettings
from foresail.execution.simulated.venue import SimulatedVenue

D = Decimal
ONE = Instrument(instrument_id("crypto.SIM.ONE"), "ONE", AssetClass.CRYPTO, tick=D(1), lot=D(1))
LEVEL, TRADE = BookKind.LEVEL, BookKind.TRADE
BOOK = [(LEVEL, BID, 99, 10), (LEVEL, BID, 98, 20), (LEVEL, ASK, 101, 5), (LEVEL, ASK, 102, 7), (LEVEL, ASK, 105, 50)]


class Desk:
    def __init__(self, book=BOOK, costs=None, **settings):
        model = CostModel(costs or CostSettings(AssetClass.CRYPTO))
        self.venue = SimulatedVenue((ONE,), model, VenueSettings(good_for_bars=0, **settings))
        self.number = self.now = 0
        self.rows(*book)

    def order(self, side, lots, kind=OrderKind.MARKET, **rest):
        self.number += 1
        order = Order(OrderId(f"{self.number:032x}"), ONE.id, side, D(lots), kind, rest.pop("at", self.now), **rest)
        self.venue.submit(order)
        return order

    def rows(self, *rows):
        """Apply rows, each a message of its own, one nanosecond apart; return the fills."""
        n = len(rows)
        kind, side, price, size = (np.array([row[c] for row in rows]) for c in range(4))
        times = self.now + 1 + np.arange(n, dtype=np.int64)
        self.now += n
        zeros = np.zeros(n, dtype=np.int64)
        stream = BookStream(
            ONE.id,
            1.0,
            1.0,
            times,
            times,
            kind.astype(np.int8),
            side.astype(np.int8),
            price.astype(np.int64),
            size.astype(np.int64),
            zeros,
            zeros,
            np.ones(n, dtype=bool),
        )
        return [(f.side.value, int(f.quantity), int(f.price)) for f in self.venue.step_book(stream)]

    def quiet(self):
        """Apply a row that changes nothing near the touch."""
        return self.rows((LEVEL, ASK, 120, 1))


def test_market_order_walks_the_levels_and_leaves_the_rest_of_the_last_one():
    desk = Desk()
    order = desk.order(Side.BUY, 10)
    assert desk.quiet() == [("buy", 5, 101), ("buy", 5, 102)]
    assert desk.venue.position(ONE.id) == 10
    desk.order(Side.BUY, 3)
    assert desk.quiet() == [("buy", 2, 102), ("buy", 1, 105)]
    fills = [r.fill for r in desk.venue.take_reports() if r.fill is not None and r.order_id == order.id]
    assert [(f.reference_price, f.slippage) for f in fills] == [(101, 0), (101, 5)]
    assert len({f.execution for f in fills}) == 2


def test_limit_waits_behind_what_was_there_and_fills_after_it_is_traded():
    desk = Desk()
    desk.order(Side.BUY, 4, OrderKind.LIMIT, limit_price=D(99))
    assert desk.quiet() == []
    assert desk.rows((TRADE, ASK, 99, 9), (LEVEL, BID, 99, 1)) == []
    assert desk.rows((TRADE, ASK, 99, 3), (LEVEL, BID, 99, 0)) == [("buy", 2, 99)]
    assert desk.rows((TRADE, ASK, 99, 1)) == [("buy", 1, 99)]


def test_cancels_move_the_queue_by_their_share_and_newcomers_stand_behind():
    desk = Desk()
    desk.order(Side.BUY, 4, OrderKind.LIMIT, limit_price=D(99))
    desk.quiet()  # 10 ahead
    desk.rows((LEVEL, BID, 99, 30), (LEVEL, BID, 99, 15))  # 20 join behind, then 15 of 30 leave: 5 of the 10 ahead
    assert desk.rows((TRADE, ASK, 99, 5)) == []
    assert desk.rows((TRADE, ASK, 99, 6)) == [("buy", 4, 99)]


def test_level_that_goes_away_leaves_the_order_first():
    desk = Desk()
    desk.order(Side.BUY, 4, OrderKind.LIMIT, limit_price=D(99))
    desk.quiet()
    desk.rows((LEVEL, BID, 99, 0))
    assert desk.rows((TRADE, ASK, 99, 2)) == [("buy", 2, 99)]


def test_view_row_moves_no_queue():
    desk = Desk()
    desk.order(Side.BUY, 4, OrderKind.LIMIT, limit_price=D(99))
    desk.quiet()
    desk.rows((BookKind.VIEW, BID, 99, 2))
    assert desk.rows((TRADE, ASK, 99, 5)) == []


def test_print_beyond_the_price_fills_but_never_more_than_was_printed():
    desk = Desk()
    desk.order(Side.BUY, 8, OrderKind.LIMIT, limit_price=D(99))
    desk.quiet()
    assert desk.rows((TRADE, ASK, 98, 3)) == [("buy", 3, 99)]
    assert desk.rows((TRADE, 0, 98, 3)) == [("buy", 3, 99)]  # nobody knows who was the aggressor
    assert desk.rows((TRADE, 0, 99, 50)) == []
    assert desk.rows((TRADE, BID, 98, 50)) == []  # a buyer does not take from a buyer


def test_two_own_orders_share_one_print_in_their_order():
    desk = Desk()
    for _ in range(2):
        desk.order(Side.BUY, 4, OrderKind.LIMIT, limit_price=D(99))
    desk.quiet()
    assert desk.rows((TRADE, ASK, 99, 16)) == [("buy", 4, 99), ("buy", 2, 99)]


def test_other_side_that_comes_to_a_waiting_order_fills_it_as_maker():
    costs = CostSettings(AssetClass.CRYPTO, commission_fraction=D("0.01"), maker_fraction=D("0.001"))
    desk = Desk(costs=costs)
    desk.order(Side.BUY, 4, OrderKind.LIMIT, limit_price=D(100))
    desk.quiet()
    assert desk.rows((LEVEL, ASK, 99, 3)) == [("buy", 3, 100)]
    (fill,) = [r.fill for r in desk.venue.take_reports() if r.fill is not None]
    assert fill.fee == D("0.30")


def test_crossing_limit_takes_up_to_its_price_and_rests_with_the_remainder():
    desk = Desk()
    desk.order(Side.BUY, 20, OrderKind.LIMIT, limit_price=D(102))
    assert desk.quiet() == [("buy", 5, 101), ("buy", 7, 102)]
    assert desk.venue.open_quantity(ONE.id) == 8
    assert desk.rows((TRADE, ASK, 102, 3)) == [("buy", 3, 102)]


@pytest.mark.parametrize(("force", "lots", "filled"), [("ioc", 20, 12), ("fok", 20, 0), ("fok", 12, 12)])
def test_orders_that_must_fill_at_once(force, lots, filled):
    desk = Desk()
    desk.order(Side.BUY, lots, OrderKind.LIMIT, limit_price=D(102), time_in_force=TimeInForce(force))
    assert sum(size for _, size, _ in desk.quiet()) == filled
    assert desk.venue.open_orders == ()


def test_latency_keeps_an_order_from_the_book_that_was_seen():
    desk = Desk(latency_ns=3)
    desk.order(Side.BUY, 5)
    assert desk.rows((LEVEL, ASK, 101, 1), (LEVEL, ASK, 101, 0)) == []
    assert desk.rows((LEVEL, ASK, 120, 1)) == [("buy", 5, 102)]


def test_stop_is_triggered_by_a_print_or_by_the_quote_it_would_take():
    for row in ((TRADE, ASK, 97, 1), (LEVEL, BID, 96, 30)):
        desk = Desk(allow_short=True)
        desk.order(Side.SELL, 2, OrderKind.STOP, stop_price=D(97))
        assert desk.rows((LEVEL, BID, 99, 0)) == []
        if row[0] is LEVEL:
            desk.rows((LEVEL, BID, 96, 30))
            assert desk.rows((LEVEL, BID, 98, 0)) == [("sell", 2, 96)]
        else:
            assert desk.rows(row) == [("sell", 2, 98)]


def test_stop_limit_rests_where_the_book_has_left_its_limit():
    desk = Desk(allow_short=True)
    desk.order(Side.SELL, 2, OrderKind.STOP_LIMIT, trigger_price=D(98), limit_price=D(98))
    desk.quiet()
    assert desk.rows((LEVEL, BID, 99, 0)) == [("sell", 2, 98)]
    desk = Desk(allow_short=True)
    desk.order(Side.SELL, 2, OrderKind.STOP_LIMIT, trigger_price=D(98), limit_price=D(98))
    desk.rows((LEVEL, BID, 98, 0))
    assert desk.rows((TRADE, ASK, 97, 1), (LEVEL, BID, 99, 0)) == [("sell", 2, 99)]


def test_trailing_order_follows_the_bid_and_sells_when_it_falls_back():
    desk = Desk(allow_short=True)
    desk.order(Side.SELL, 2, OrderKind.TRAILING, trail=D(2))
    desk.quiet()
    assert desk.rows((LEVEL, BID, 100, 5)) == []  # level 98
    assert desk.rows((LEVEL, BID, 100, 0)) == []
    assert desk.rows((LEVEL, BID, 99, 0)) == [("sell", 2, 98)]


def test_attached_stop_and_target_leave_by_the_book():
    desk = Desk()
    desk.order(Side.BUY, 5, stop_price=D(98), target_price=D(110))
    desk.quiet()
    assert desk.rows((LEVEL, BID, 99, 0)) == [("sell", 5, 98)]
    desk = Desk()
    desk.order(Side.BUY, 5, stop_price=D(90), target_price=D(110))
    desk.quiet()
    assert desk.rows((LEVEL, BID, 111, 3)) == [("sell", 3, 111)]
    assert desk.venue.position(ONE.id) == 2


def test_bracket_wakes_with_the_fill_and_one_cancels_the_other():
    desk = Desk()
    entry = desk.order(Side.BUY, 4, OrderKind.LIMIT, limit_price=D(99))
    rest = {"parent": entry.id, "group": "exit", "reduce_only": True}
    desk.order(Side.SELL, 4, OrderKind.LIMIT, limit_price=D(110), reason=FillReason.TARGET, **rest)
    desk.order(Side.SELL, 4, OrderKind.STOP, trigger_price=D(95), reason=FillReason.STOP, **rest)
    desk.quiet()
    assert desk.rows((TRADE, ASK, 98, 4)) == [("buy", 4, 99)]
    assert desk.rows((LEVEL, BID, 110, 9)) == [("sell", 4, 110)]
    assert desk.venue.open_orders == ()


def test_invalid_book_fills_nothing_and_a_new_one_ends_all_queues():
    desk = Desk()
    desk.order(Side.BUY, 4, OrderKind.LIMIT, limit_price=D(99))
    desk.quiet()
    assert desk.rows((BookKind.INVALID, 0, 0, 0), (TRADE, ASK, 98, 9)) == []
    desk.rows((BookKind.CLEAR, 0, 0, 0), (LEVEL, BID, 99, 6))
    assert desk.rows((TRADE, ASK, 99, 9)) == [("buy", 4, 99)]  # 0 ahead: it joined the empty book first


def test_orders_of_a_full_feed_move_the_queue_too():
    desk = Desk()
    desk.order(Side.BUY, 4, OrderKind.LIMIT, limit_price=D(99))
    desk.quiet()
    desk.rows((BookKind.ADD, BID, 99, 10), (BookKind.DELETE, BID, 99, 10))  # of 20 half leave: 5 of the 10 ahead
    assert desk.rows((BookKind.EXECUTE, BID, 99, 5)) == []
    assert desk.rows((BookKind.EXECUTE, BID, 99, 3)) == [("buy", 3, 99)]


def test_day_and_dated_orders_expire():
    desk = Desk()
    desk.order(Side.BUY, 1, OrderKind.LIMIT, limit_price=D(90), time_in_force=TimeInForce.GTD, expires_at=desk.now + 2)
    desk.quiet()
    assert len(desk.venue.open_orders) == 1
    desk.quiet()
    assert [e.outcome for e in desk.venue.take_events()] == ["expired"]


def test_smaller_quantity_keeps_the_place_a_new_price_loses_it():
    desk = Desk()
    orders = [desk.order(Side.BUY, 4, OrderKind.LIMIT, limit_price=D(99)) for _ in range(2)]
    desk.quiet()
    assert desk.venue.replace(ReplaceSend(orders[0].id, ONE.id, D(2)))
    assert desk.rows((TRADE, ASK, 99, 13)) == [("buy", 2, 99), ("buy", 1, 99)]
    desk = Desk()
    orders = [desk.order(Side.BUY, 4, OrderKind.LIMIT, limit_price=D(99)) for _ in range(2)]
    desk.quiet()
    assert desk.venue.replace(ReplaceSend(orders[0].id, ONE.id, D(5)))
    desk.quiet()
    fills = desk.rows((TRADE, ASK, 99, 15))
    assert fills == [("buy", 4, 99), ("buy", 1, 99)]


def test_snapshot_in_the_middle_of_a_queue():
    one, two = Desk(), Desk([(LEVEL, BID, 1, 1)])
    one.order(Side.BUY, 4, OrderKind.LIMIT, limit_price=D(99))
    one.rows((LEVEL, BID, 99, 12), (TRADE, ASK, 99, 3))
    two.venue.restore(json.loads(json.dumps(one.venue.snapshot())))
    two.now = one.now
    rows = [(TRADE, ASK, 99, 8), (LEVEL, ASK, 99, 2), (TRADE, ASK, 98, 9)]
    assert one.rows(*rows) == two.rows(*rows) != []
    assert one.venue.snapshot() == two.venue.snapshot()


def test_other_tick_than_the_instrument_is_refused():
    desk = Desk()
    empty = np.zeros(0, dtype=np.int64)
    small = empty.astype(np.int8)
    rows = BookStream(ONE.id, 0.1, 1.0, empty, empty, small, small, empty, empty, empty, empty, empty.astype(bool))
    with pytest.raises(ConfigError, match="tick"):
        desk.venue.step_book(rows)


def random_rows(random, n):
    """Return n rows of a book that is never crossed, with prints at the touch."""
    rows = []
    middle = 100
    for _ in range(n):
        middle = int(np.clip(middle + random.integers(-1, 2), 80, 120))
        side = BID if random.integers(2) else ASK
        price = middle - side * int(random.integers(1, 6))
        if random.random() < 0.3:
            rows.append((TRADE, -side, price, int(random.integers(1, 12))))
        else:
            rows.append((LEVEL, side, price, int(random.integers(0, 15))))
    return rows


@pytest.mark.parametrize("seed", range(20))
def test_resting_orders_never_get_more_than_was_printed_at_or_beyond_them(seed):
    random = np.random.default_rng(seed)
    desk = Desk([(LEVEL, BID, 70, 10), (LEVEL, ASK, 130, 10)], allow_short=True)
    for _ in range(60):
        side = Side.BUY if random.integers(2) else Side.SELL
        sign = 1 if side is Side.BUY else -1
        desk.order(side, int(random.integers(1, 9)), OrderKind.LIMIT, limit_price=D(100 - sign * 8))
        for row in random_rows(random, 3):
            fills = desk.rows(row)
            if row[0] is TRADE:
                assert sum(size for _, size, _ in fills) <= row[3]
            held = sum(int(r.quantity) for r in desk.venue.open_orders)
            assert held >= 0
    reports = desk.venue.take_reports()
    filled = sum((1 if r.fill.side is Side.BUY else -1) * r.fill.quantity for r in reports if r.fill is not None)
    assert filled == desk.venue.position(ONE.id)
