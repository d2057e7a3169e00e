"""Every kind of order that a strategy may ask for itself (EXEC-02), from the intent to the fill of a backtest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from foresail.core.errors import ConfigError, UnknownNameError
from foresail.core.ids import InstrumentId
from foresail.domain.forecast import ForecastBlock
from foresail.domain.orders import FillReason
from foresail.domain.signals import Cancel, Intent, OrderIntent, Replace, Side
from foresail.engine.backtest import Backtest, run_backtest
from foresail.engine.driver import BacktestInputs
from foresail.engine.netted_backtest import run_netted_backtest
from foresail.engine.settings import MarketData, PipelineSettings
from foresail.engine.trading.netted import Sleeve
from foresail.engine.walkforward import WalkForward
from foresail.evaluation.simulated_market import simulated_bar_set
from foresail.ledger.entries import OrderIntended, OrderReplaced
from foresail.protocols import MarketView
from foresail.testing.builders import bar_panel

D = Decimal
A = InstrumentId("sim.S01.A")
BUY = OrderIntent(A, Side.BUY, D(10))
LEAVE = OrderIntent(A, Side.SELL, D(10), leg="out", reduce_only=True)


@dataclass
class Script:
    """Asks for what is written for the number of a decision, from 0."""

    lines: Mapping[int, Sequence[Intent]]

    @property
    def spec(self) -> Any:
        return SimpleNamespace(id="test/script@1", every=1, critical_inputs=())

    def start(self) -> dict[str, int]:
        return {"n": -1}

    def step(self, state: dict[str, int], view: MarketView) -> Sequence[Intent]:
        state["n"] += 1
        return self.lines.get(state["n"], ())


def inputs_on(closes: Sequence[float]) -> BacktestInputs:
    bars = bar_panel({A: closes})
    none = np.empty(0, dtype=np.int64)
    block = ForecastBlock(np.empty((1, 0, 1, 1, 1)), none, none, bars.instruments, ("close",), (1,), (0.5,), ())
    data = MarketData(bars, simulated_bar_set(bars), {}, np.full(1, len(closes)), None)
    settings = PipelineSettings(capital=D(20_000), horizons=(1,), decision_horizon=1, targets=("close",))
    return BacktestInputs(data, settings, bars, {}, WalkForward(block, ()), 252.0)


def run(closes: Sequence[float], lines: Mapping[int, Sequence[Intent]]) -> Backtest:
    return run_backtest(inputs_on(closes), strategy=Script(lines), first=0)


def filled(book: Backtest) -> list[tuple[int, str, Decimal, FillReason]]:
    """Return (bar, side, price before slippage, reason) of every fill."""
    inputs = [one.at for one in book.journal if type(one).__name__ == "Marked"]
    return [(int(np.searchsorted(inputs, f.filled_at)), f.side.value, f.reference_price, f.reason) for f in book.fills]


def test_a_stop_limit_is_released_and_fills_within_its_limit() -> None:
    order = replace(BUY, kind="stop_limit", trigger_price=D(102), limit_price=D("103"))
    ((bar, side, price, _),) = filled(run([100, 100, 101, 102.5, 102, 104], {0: [order]}))
    assert (side, bar) == ("buy", 3)  # inside the bar, as its limit lies beyond its trigger
    assert D(102) <= price <= D(103)
    assert filled(run([100, 100, 101, 101.5, 101, 101], {0: [order]})) == []


def test_a_stop_with_a_trigger_carries_an_attached_stop() -> None:
    order = replace(BUY, kind="stop", trigger_price=D(102), stop_price=D(99))
    found = filled(run([100, 100, 101, 103, 101, 97, 97], {0: [order]}))
    assert [(side, price, reason) for _, side, price, reason in found] == [
        ("buy", D(102), FillReason.ENTRY), ("sell", D(99), FillReason.STOP),
    ]  # fmt: skip


def test_a_trailing_order_follows_the_best_price() -> None:
    trail = replace(LEAVE, kind="trailing", trail=D(3))
    found = filled(run([100, 100, 104, 108, 109, 104, 100], {0: [BUY], 1: [trail]}))
    assert [(bar, side, price) for bar, side, price, _ in found] == [(1, "buy", D(100)), (5, "sell", D(106))]


def test_of_a_group_the_first_fill_ends_the_rest() -> None:
    pair = [
        replace(LEAVE, kind="limit", limit_price=D(105), leg="up", group="exit"),
        replace(LEAVE, kind="stop", stop_price=D(96), leg="down", group="exit"),
    ]
    book = run([100, 100, 101, 107, 90, 90, 90], {0: [BUY], 1: pair})
    assert [(side, price) for _, side, price, _ in filled(book)] == [("buy", D(100)), ("sell", D(105))]
    (ended,) = book.order_events
    assert (ended.outcome, ended.order_id) == ("cancelled", book.orders[2].order.id)
    up, down = (one.order for one in book.orders[1:3])
    assert up.group == down.group != ""


def test_children_sleep_until_their_parent_fills() -> None:
    lines = [
        replace(LEAVE, kind="limit", limit_price=D(99), leg="up", group="exit", parent="entry"),
        replace(LEAVE, kind="stop", stop_price=D(90), leg="down", group="exit", parent="entry"),
        replace(BUY, kind="limit", limit_price=D(95)),
    ]
    found = filled(run([100, 100, 101, 94, 97, 102, 102], {0: lines}))
    assert [(bar, side, price) for bar, side, price, _ in found] == [(3, "buy", D(95)), (5, "sell", D(99))]


@pytest.mark.parametrize("kind", ["ioc", "fok"])
def test_at_once_or_not_at_all(kind: str) -> None:
    order = replace(BUY, kind="limit", limit_price=D(98), time_in_force=kind)
    book = run([100, 100, 101, 95, 95], {0: [order], 1: [replace(order, limit_price=D(101), leg="near")]})
    assert [bar for bar, *_ in filled(book)] == [2]
    assert [one.outcome for one in book.order_events] == ["cancelled"]


def test_a_dated_order_ends_on_its_date() -> None:
    inputs = inputs_on([100, 100, 101, 101, 95, 95])
    order = replace(BUY, kind="limit", limit_price=D(98), time_in_force="gtd")
    for last, fills in ((2, 0), (5, 1)):
        dated = replace(order, expires_at=int(inputs.data.bars.end[last]))
        book = run_backtest(inputs, strategy=Script({0: [dated]}), first=0)
        assert len(book.fills) == fills
        assert [one.outcome for one in book.order_events] == ["expired"] * (1 - fills)


def test_a_change_moves_the_open_order_of_a_leg() -> None:
    order = replace(BUY, kind="limit", limit_price=D(90), leg="dip")
    book = run([100, 100, 101, 99, 98, 98], {0: [order], 2: [Replace(A, "dip", limit_price=D(100), quantity=D(4))]})
    (fill,) = book.fills
    assert (fill.quantity, fill.reference_price) == (D(4), D(100))
    assert [one.limit_price for one in book.journal if isinstance(one, OrderReplaced)] == [D(100)]
    nothing = run([100, 100, 101], {1: [Replace(A, "dip", limit_price=D(100))]})
    assert nothing.fills == ()


@pytest.mark.parametrize("trigger", [103, 107])
def test_a_stop_order_may_be_moved_to_either_side(trigger: int) -> None:
    order = replace(BUY, kind="stop", stop_price=D(105), leg="up")
    moved = Replace(A, "up", trigger_price=D(trigger))
    book = run([100, 100, 99, 104, 109, 109], {0: [order], 1: [moved]})
    assert [fill.reference_price for fill in book.fills] == [D(trigger)]
    assert [one.trigger_price for one in book.journal if isinstance(one, OrderReplaced)] == [D(trigger)]


def test_one_leg_is_taken_back_and_the_others_stay() -> None:
    orders = [replace(BUY, kind="limit", limit_price=D(one), leg=str(one)) for one in (97, 96)]
    book = run([100, 100, 101, 90, 90], {0: orders, 1: [Cancel(A, "97")]})
    assert [price for _, _, price, _ in filled(book)] == [D(96)]


def test_what_a_strategy_cannot_mean_is_said() -> None:
    with pytest.raises(UnknownNameError, match="stop_limit"):
        run([100, 100], {0: [replace(BUY, kind="iceberg")]})
    with pytest.raises(UnknownNameError, match="time in force"):
        run([100, 100], {0: [replace(BUY, time_in_force="gtx")]})
    with pytest.raises(ConfigError, match="no other leg"):
        run([100, 100], {0: [replace(LEAVE, parent="entry")]})


def test_ids_and_groups_are_a_function_of_the_decision() -> None:
    pair = [replace(BUY, kind="limit", limit_price=D(one), leg=str(one), group="g") for one in (97, 96)]
    one, two = (
        [e.order for e in run([100, 100, 101], {0: pair, 1: pair}).journal if isinstance(e, OrderIntended)]
        for _ in range(2)
    )
    assert one == two
    assert one[0].group == one[1].group != one[2].group


def test_a_strategy_among_others_changes_and_groups_its_own_orders() -> None:
    order = replace(BUY, kind="limit", limit_price=D(90), leg="dip")
    lines: dict[int, Sequence[Intent]] = {
        0: [order],
        1: [Replace(A, "dip", limit_price=D(100))],
        3: [
            replace(LEAVE, kind="limit", limit_price=D(105), leg="up", group="exit"),
            replace(LEAVE, kind="trailing", trail=D(30), leg="down", group="exit"),
        ],
    }
    inputs = inputs_on([100, 101, 101, 99, 98, 110, 110])
    book = run_netted_backtest(inputs, [Sleeve(Script(lines), D(1))])
    assert [(one.side.value, one.reference_price) for one in book.fills] == [("buy", D(100)), ("sell", D(105))]


def test_an_exit_joins_the_group_of_an_open_order() -> None:
    guard = replace(LEAVE, kind="trailing", trail=D(20), leg="guard", group="exit")
    out = replace(LEAVE, joins="guard")
    book = run([100, 100, 101, 102, 103, 103], {0: [BUY], 1: [guard], 3: [out]})
    assert [(bar, side) for bar, side, _, _ in filled(book)] == [(1, "buy"), (4, "sell")]
    assert book.orders[2].order.group == book.orders[1].order.group != ""
    assert [one.outcome for one in book.order_events] == ["cancelled"]
    alone = run([100, 100, 101, 102, 103, 103], {0: [BUY], 1: [guard], 3: [LEAVE]})
    assert [ruling.text for ruling in alone.orders[2].rulings] == ["no more is held than is on its way out already"]
