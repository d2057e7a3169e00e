"""The planner: weights to units, small changes skipped, money checked, ids a function of the decision."""

from decimal import Decimal

import pytest

from foresail.core.errors import ConfigError, UnknownNameError
from foresail.core.ids import instrument_id
from foresail.domain.accounts import Account, Position
from foresail.domain.instruments import AssetClass, Instrument
from foresail.domain.orders import FillReason
from foresail.domain.signals import Side, TargetWeights
from foresail.execution.planner import PlannerSettings, PlanRequest, plan_quantities, plan_weights

D = Decimal
A, B, C = (instrument_id(f"stock.US.{name}") for name in ("AAA", "BBB", "CCC"))
RECORDS = {name: Instrument(name, name, AssetClass.STOCK, tick=D("0.01")) for name in (A, B, C)}
NAN = float("nan")


def request(cash=10_000, held=None, prices=None, **rest):
    prices = {A: 100.0, B: 50.0, C: 10.0} if prices is None else prices
    positions = tuple(Position(name, D(q), D(1), 0) for name, q in sorted((held or {}).items()))
    equity = D(cash) + sum((p.quantity * D(str(prices.get(p.instrument, 0))) for p in positions), D(0))
    account = Account("main", "USD", D(cash), equity, positions, 7)
    return PlanRequest(account, prices, RECORDS, 7, "foresail/top", "1", **rest)


def weights(wanted, stops=NAN, targets=NAN):
    names = tuple(wanted)
    return TargetWeights(names, tuple(wanted.values()), (stops,) * len(names), (targets,) * len(names))


def short(plan):
    return [(o.instrument, o.side.value, int(o.quantity), o.reason.value) for o in plan.orders]


FREE = PlannerSettings(cash_buffer=0.0)


def test_weights_become_whole_lots_towards_zero():
    plan = plan_weights(weights({A: 0.255, B: 0.1}), request(), FREE)
    assert short(plan) == [(A, "buy", 25, "entry"), (B, "buy", 20, "entry")]


def test_less_than_a_lot_is_noted():
    plan = plan_weights(weights({A: 0.1, B: 0.004, C: 0.0}), request(), FREE)
    assert short(plan) == [(A, "buy", 10, "entry")]
    assert plan.notes == ((B, "SIZE-13: 0.40% of equity is less than one lot of 1: nothing is held"),)


def test_names_not_named_are_closed_and_sales_come_first():
    plan = plan_weights(weights({A: 0.1}), request(held={C: 100}), FREE)
    assert short(plan) == [(C, "sell", 100, "exit"), (A, "buy", 11, "entry")]


def test_small_changes_are_skipped_but_closing_never():
    held = {A: 50, C: 1}
    plan = plan_weights(weights({A: 5_200 / 15_010}), request(held=held), PlannerSettings(minimum_notional=D(20)))
    assert short(plan) == [(C, "sell", 1, "exit")]
    assert plan.notes == ((A, "a change of less than 10% of the position is not traded"),)
    plan = plan_quantities({A: D(50), C: D(2)}, request(held=held), PlannerSettings(minimum_notional=D(20)))
    assert plan.orders == ()
    assert "below the minimum" in plan.notes[0][1]


def test_reductions_are_rebalances_and_keep_their_levels_apart():
    plan = plan_weights(weights({A: 0.3}, stops=90.0), request(held={A: 50}), FREE)
    assert short(plan) == [(A, "sell", 5, "rebalance")]
    assert plan.orders[0].stop_price is None
    assert plan.levels == ((A, 90.0, None),)


def test_entries_carry_stop_and_target_on_the_tick_grid():
    (order,) = plan_weights(weights({A: 0.3}, 90.004, 120.006), request(), FREE).orders
    assert (order.stop_price, order.target_price) == (D("90.00"), D("120.01"))


def test_turning_around_needs_two_orders_and_permission():
    target = weights({A: -0.2})
    plan = plan_weights(target, request(held={A: 10}), FREE)
    assert short(plan) == [(A, "sell", 10, "exit")]
    assert "short positions are not allowed" in plan.notes[0][1]
    plan = plan_weights(target, request(held={A: 10}), PlannerSettings(allow_short=True))
    assert short(plan) == [(A, "sell", 10, "exit"), (A, "sell", 22, "entry")]
    assert len({o.id for o in plan.orders}) == 2


def test_purchases_are_cut_to_cash_and_proceeds():
    plan = plan_quantities({A: D(60), B: D(80)}, request(cash=5000), FREE)
    assert short(plan) == [(A, "buy", 30, "entry"), (B, "buy", 40, "entry")]
    assert all("cash pays for 50.0%" in text for _name, text in plan.notes)
    plan = plan_quantities({A: D(60), C: D(0)}, request(cash=5000, held={C: 100}), FREE)
    assert short(plan) == [(C, "sell", 100, "exit"), (A, "buy", 60, "entry")]
    assert plan_quantities({A: D(60)}, request(cash=0), FREE).orders == ()


def test_covering_a_short_is_never_cut():
    plan = plan_quantities({A: D(0), B: D(10)}, request(cash=100, held={A: -50}), PlannerSettings(allow_short=True))
    assert short(plan) == [(A, "buy", 50, "exit")]


def test_buffer_keeps_money_for_costs():
    assert short(plan_quantities({A: D(100)}, request(), PlannerSettings(cash_buffer=0.02))) == [
        (A, "buy", 98, "entry")
    ]


def test_pending_units_count_as_held():
    plan = plan_quantities({A: D(50)}, request(pending={A: D(50)}), FREE)
    assert plan.orders == ()


def test_unknown_price_stops_planning_but_not_closing():
    plan = plan_weights(weights({A: 0.2, B: 0.2}), request(held={C: 5}, prices={A: NAN, B: 50.0}), FREE)
    assert short(plan) == [(C, "sell", 5, "exit"), (B, "buy", 40, "entry")]
    assert (A, "no price is known: nothing planned") in plan.notes


def test_a_held_name_without_a_price_is_not_closed_for_want_of_one():
    plan = plan_weights(weights({A: 0.2}), request(held={A: 5}, prices={A: NAN}), FREE)
    assert plan.orders == ()


def test_exit_reason_can_be_given():
    (order,) = plan_quantities({A: D(0)}, request(held={A: 5}, reasons={A: FillReason.TIME}), FREE).orders
    assert (order.reason, order.side) == (FillReason.TIME, Side.SELL)


def test_ids_follow_the_decision_only():
    one, two = (plan_weights(weights({A: 0.2}), request(), FREE).orders[0].id for _ in range(2))
    assert one == two
    other = plan_weights(weights({A: 0.2}), request(), PlannerSettings(cash_buffer=0.0, environment="paper"))
    assert other.orders[0].id != one


def test_senseless_requests_are_refused():
    with pytest.raises(ConfigError, match="finite weight"):
        plan_weights(weights({A: NAN}), request(), FREE)
    with pytest.raises(UnknownNameError):
        plan_quantities({instrument_id("stock.US.ZZZ"): D(1)}, request(), FREE)


def test_purchases_on_order_hold_back_their_money():
    pending = {B: D(100)}  # 5,000 of 10,000
    plan = plan_quantities({A: D(80)}, request(pending=pending), FREE)
    assert short(plan) == [(A, "buy", 50, "entry")]
    assert short(plan_quantities({A: D(80)}, request(pending={B: D(-100)}), FREE)) == [(A, "buy", 80, "entry")]


def test_thin_crypto_hours_get_limit_orders():
    coin = instrument_id("crypto.BTC-USD")
    records = {coin: Instrument(coin, "BTC", AssetClass.CRYPTO, tick=D("0.01"), lot=D("0.001"))}
    settings = PlannerSettings(limit_distance=D("0.001"), thin_hours=(2, 6))
    hour = 3_600_000_000_000

    def plan(at, wanted, held=0):
        positions = (Position(coin, D(held), D(100), 0),) if held else ()
        account = Account("main", "USD", D(10_000), D(10_000), positions, at)
        one = PlanRequest(account, {coin: 100.0}, records, at, "foresail/top", "1")
        (order,) = plan_quantities({coin: D(wanted)}, one, settings).orders
        return order.kind.value, order.limit_price

    assert plan(2 * hour, 10) == ("limit", D("100.10"))
    assert plan(6 * hour - 1, 0, held=10) == ("limit", D("99.90"))
    assert plan(6 * hour, 10) == plan(2 * hour - 1, 10) == ("market", None)
    with pytest.raises(ConfigError, match="limit_distance"):
        PlannerSettings(limit_distance=D(1))
