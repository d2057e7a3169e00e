"""The crypto ladder (EXIT-06), end to end: thirds at +10 % and +20 %, the rest behind a trail."""

from __future__ import annotations

from decimal import Decimal

import pytest
from tests.unit.engine.test_level_keeping import SOL, STOCK, At, inputs_of, run

from foresail.core.errors import ConfigError
from foresail.core.ids import InstrumentId
from foresail.domain.orders import FillReason
from foresail.domain.signals import OrderIntent, Side, Weights
from foresail.engine.backtest import Backtest
from foresail.engine.netted_backtest import run_netted_backtest
from foresail.engine.trading.netted import Sleeve
from foresail.engine.trading_settings import ExitChoice
from foresail.risk.accounts import trading_limits

D = Decimal
CALM = [100.0, 101, 100] * 8  # 24 hours that tell an average true range
UP = [*CALM, 100.0, 105, 112, 115, 121, 124, 124, 115, 112, 112]
ASKED = OrderIntent(SOL, Side.BUY, D(9), ladder=True)


def fills(book: Backtest) -> list[tuple[str, Decimal, float]]:
    return [(one.side.value, one.quantity, float(one.reference_price)) for one in book.fills]


def trail_of(book: Backtest) -> float:
    (trail,) = [float(one.order.trail) for one in book.orders if one.order.trail is not None]
    return trail


def test_thirds_leave_at_110_and_120_and_the_rest_trails() -> None:
    book = run(SOL, UP, At({24: [ASKED]}))
    bought, first, second, rest = fills(book)
    assert (bought[:2], first, second) == (("buy", D(9)), ("sell", D(3), 110.0), ("sell", D(3), 120.0))
    assert rest[:2] == ("sell", D(3))
    assert rest[2] == pytest.approx(124.0 - trail_of(book), abs=0.01)  # behind the best price
    assert [one.reason for one in book.fills][1:] == [FillReason.TARGET, FillReason.TARGET, FillReason.STOP]


def test_the_stop_of_the_position_guards_all_of_it_and_ends_the_ladder() -> None:
    wild = [100.0, 104, 100, 96] * 6  # a trail further away than the stop
    fallen = run(SOL, [*wild, 100.0, 100, 95, 91, 89, 111, 125], At({24: [ASKED]}))
    assert [one[:2] for one in fills(fallen)] == [("buy", D(9)), ("sell", D(9))]
    half = run(SOL, [*wild, 97.0, 105, 108, 106, 100, 95, 89, 121, 125], At({24: [ASKED]}))
    assert [one[:2] for one in fills(half)][:2] == [("buy", D(9)), ("sell", D(3))]
    assert sum(one[1] for one in fills(half) if one[0] == "sell") == 9


def test_the_settings_give_every_purchase_one_and_a_rung_is_not_bought_back() -> None:
    wants = At({24: [Weights(((SOL, 0.01),))], 27: [Weights(((SOL, 0.02),))], 29: [Weights(((SOL, 0.02),))]})
    book = run(SOL, UP, wants, ExitChoice(ladder=True))
    whole = book.fills[0].quantity
    assert [one[0] for one in fills(book)[:4]] == ["buy", "sell", "sell", "sell"]
    assert [one[2] for one in fills(book)[1:3]] == [110.0, 120.0]
    assert fills(book)[1][1] == pytest.approx(whole / 3, abs=D("0.002"))
    assert any("EXIT-06" in text for _at, _name, text in book.notes)
    assert FillReason.TARGET not in [one.reason for one in run(SOL, UP, At(wants.plan)).fills]


@pytest.mark.parametrize("then", [0.02, 0.005, 0.0])  # more, less and nothing while rungs stand
def test_net_orders_have_ladders_too(then: float) -> None:
    wants = {24: [Weights(((SOL, 0.01),))], 27: [Weights(((SOL, then),))], 29: [Weights(((SOL, then),))]}
    exits, limits = ExitChoice(ladder=True), trading_limits("multi-asset")
    plain = run(SOL, UP, At(wants), exits)
    netted = run_netted_backtest(inputs_of(SOL, UP, exits), [Sleeve(At(wants), D(1))], limits=limits)
    assert len(plain.fills) > 1
    told = [
        [(one.side, one.quantity, one.reference_price, one.reason) for one in book.fills] for book in (plain, netted)
    ]
    assert told[0] == told[1]


def test_rungs_of_several_strategies_sell_what_they_hold_together() -> None:
    one, two = At({24: [Weights(((SOL, 0.01),))]}), At({26: [Weights(((SOL, 0.01),))]}, id="test/other@1")
    exits, limits = ExitChoice(ladder=True), trading_limits("multi-asset")
    sleeves = [Sleeve(one, D("0.5")), Sleeve(two, D("0.5"))]
    book = run_netted_backtest(inputs_of(SOL, UP, exits), sleeves, limits=limits)
    sold = [one for one in book.fills if one.side is Side.SELL]
    assert [float(one.reference_price) for one in sold if one.reason is FillReason.TARGET][:2] == [110.0, 120.0]
    assert {one.reason for one in sold} == {FillReason.TARGET, FillReason.STOP}
    assert all(units > 0 for units in book.books.holdings().values())


def test_the_gate_cuts_entry_and_rungs_alike() -> None:
    book = run(SOL, UP, At({24: [OrderIntent(SOL, Side.BUY, D(900), ladder=True)]}))
    bought, first = fills(book)[:2]
    assert bought[1] < 900
    assert first[1] == pytest.approx(bought[1] / 3, abs=D("0.002"))


@pytest.mark.parametrize(
    "wrong",
    [
        OrderIntent(STOCK, Side.BUY, D(9), ladder=True),
        OrderIntent(SOL, Side.SELL, D(9), ladder=True),
        OrderIntent(SOL, Side.BUY, D(9), target_price=D(105), ladder=True),
    ],
)
def test_what_can_have_no_ladder_is_refused(wrong: OrderIntent) -> None:
    name = InstrumentId(wrong.instrument)
    with pytest.raises(ConfigError, match="ladder"):
        run(name, CALM, At({20: [wrong]}))
