"""Forced exits close what is held whatever rests: stops, targets, sleeping children, cancels on their way."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from tests.unit.engine.trading_tens import A, S, bar, decide, filled, kinds, make, order, signal, told

from foresail.domain.effects import CancelSend, Send
from foresail.domain.events import Fact, Operator, Rank, VenueOutcome
from foresail.domain.limits import BookLimits, BreakerLimits, TradingLimits
from foresail.domain.orders import Order, OrderKind
from foresail.domain.signals import Side
from foresail.engine.trading.closing import close_orders, send_closing
from foresail.engine.trading.core import TradingCore
from foresail.engine.trading.parts import Decision
from foresail.ledger.entries import CancelIntended, OrderIntended

QUIET = BreakerLimits(daily_loss=None, weekly_loss=None, drawdown_warning=None, drawdown_cut=None, drawdown_close=None)
LIMITS = TradingLimits(breakers=QUIET, book=BookLimits(correlation=None))


def exit_of(number: int, quantity: int, kind: OrderKind = OrderKind.STOP, **more: Any) -> Order:
    """A resting exit of a long position in A."""
    one = order(A, number, Side.SELL, quantity, kind=kind, limit_price=None, reduce_only=True)
    level = {OrderKind.STOP: {"stop_price": Decimal(5)}, OrderKind.LIMIT: {"limit_price": Decimal(90)}}
    return replace(one, **{**level.get(kind, {}), **more})


def long(*resting: Order, units: int = 5, limits: TradingLimits | None = LIMITS, signals: Any = ()) -> TradingCore:
    """A core on 10,000 that holds units of A at 10, with working orders besides."""
    waiting = [Decision((order(A, S, quantity=units),), signals=tuple(signals))]
    core = make(lambda call: waiting.pop() if waiting else Decision(), limits=limits)
    core.begin(0, Decimal(10_000))
    decide(core, S)
    filled(core, order(A, S, quantity=units), 2 * S)
    for one in resting:
        core.intend(3 * S, [one])
        told(core, one.id, VenueOutcome.ACCEPTED, 3 * S)
    return core


def did(effects: Any) -> list[Any]:
    """What left: the ids of cancels, (side, units) of orders."""
    return [
        (one.order.side, int(one.order.quantity)) if isinstance(one, Send) else one.order_id
        for one in effects
        if isinstance(one, CancelSend | Send)
    ]


def close(core: TradingCore, at: int) -> list[Any]:
    return did(core.step(Operator(at, at, Rank.DECISION, source="ada", command="kill close")))


@pytest.mark.parametrize(
    "resting",
    [
        exit_of(9, 5),
        exit_of(9, 5, OrderKind.LIMIT),
        exit_of(9, 5, OrderKind.LIMIT, reduce_only=False),
        exit_of(9, 5, OrderKind.TRAILING, trail=Decimal(1)),
    ],
    ids=["stop", "target", "plain limit", "trailing"],
)
def test_a_kill_close_closes_all_that_is_held_beside_a_resting_exit(resting: Order) -> None:
    core = long(resting)
    assert close(core, 4 * S) == [resting.id, (Side.SELL, 5)]
    assert kinds(core, OrderIntended)[-1].order.reduce_only
    assert close(core, 5 * S) == []  # it is on its way: neither cancelled nor sent again
    told(core, resting.id, VenueOutcome.CANCELLED, 5 * S, left=resting.quantity)
    filled(core, kinds(core, OrderIntended)[-1].order, 6 * S)
    assert not core.books.positions()
    assert not core.orders.is_waiting


def test_what_leaves_at_the_market_already_is_not_sold_twice_and_a_cancelled_exit_does_not_count() -> None:
    leaving = exit_of(8, 2, OrderKind.MARKET)
    assert close(long(leaving), 4 * S) == [(Side.SELL, 3)]
    core = long(leaving)
    core.write(CancelIntended, 4 * S, order_id=leaving.id)
    assert close(core, 4 * S) == [(Side.SELL, 5)]


def test_an_expired_position_is_closed_beside_its_stop() -> None:
    stop = exit_of(9, 5)
    core = long(stop, limits=None, signals=(signal(A, S),))
    assert did(decide(core, 60 * S)) == []
    assert did(decide(core, 62 * S)) == [stop.id, (Side.SELL, 5)]
    assert did(decide(core, 63 * S)) == []


def test_a_breaker_closes_beside_a_stop() -> None:
    stop = exit_of(9, 500)
    breakers = replace(QUIET, daily_loss=0.03, closes_on_loss=True)
    core = long(stop, units=500, limits=replace(LIMITS, breakers=breakers))
    assert did(bar(core, 4 * S, 0, a=10.0)) == []
    assert did(bar(core, 5 * S, 1, a=9.0)) == [stop.id, (Side.SELL, 500)]


def test_a_value_at_risk_is_cut_beside_a_stop_which_stays() -> None:
    core = long(exit_of(9, 900), units=900)
    core.parts.market.daily_returns = lambda names: np.tile([-0.2, 0.1], (len(names), 60))  # type: ignore[attr-defined]
    bar(core, 4 * S, 0, a=10.0)
    assert did(decide(core, 5 * S)) == [(Side.SELL, 150)]
    assert did(decide(core, 6 * S)) == []  # what is leaving counts as gone


def test_a_part_takes_back_only_what_could_turn_the_position() -> None:
    """An order that may open something would sell more than is left; one that only reduces is cut by the venue."""
    for units, gone in ((900, True), (750, False)):
        plain = exit_of(9, units, OrderKind.LIMIT, reduce_only=False)
        core = long(plain, exit_of(8, 900), units=900)
        core.parts.market.daily_returns = lambda names: np.tile([-0.2, 0.1], (len(names), 60))  # type: ignore[attr-defined]
        bar(core, 4 * S, 0, a=10.0)
        assert did(decide(core, 5 * S)) == [*([plain.id] if gone else []), (Side.SELL, 150)]


def test_a_condition_on_size_cuts_beside_a_stop() -> None:
    core = long(exit_of(9, 100), units=100)
    core.step(Fact(4 * S, 4 * S, Rank.FEATURES, "facts", None, kind="vix", value=50.0))
    assert did(decide(core, 5 * S)) == [(Side.SELL, 30)]


def test_what_guards_an_entry_that_waits_stays_with_it() -> None:
    entry = order(A, 7, quantity=3, limit_price=Decimal(4))
    child = exit_of(8, 3, parent=entry.id)
    stop = exit_of(9, 5)
    core = long(entry, child, stop, limits=None)
    assert did(send_closing(core, 4 * S, close_orders(core, 4 * S, "stop", only=A))) == [stop.id, (Side.SELL, 5)]
