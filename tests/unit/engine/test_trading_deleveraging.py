"""The book as a whole is made smaller where value at risk or margin ask for it (RISK-14, RISK-21)."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from tests.unit.engine.trading_tens import A, B, S, bar, decide, filled, kinds, make, order

from foresail.domain.effects import Send
from foresail.domain.limits import BookLimits, BreakerLimits, TradingLimits
from foresail.domain.orders import Order
from foresail.domain.signals import Side
from foresail.engine.trading.core import TradingCore
from foresail.engine.trading.parts import Decision
from foresail.engine.trading.reductions import is_calm
from foresail.ledger.entries import Reviewed

QUIET = BreakerLimits(daily_loss=None, weekly_loss=None, drawdown_warning=None, drawdown_cut=None, drawdown_close=None)
LIMITS = TradingLimits(breakers=QUIET, book=BookLimits(correlation=None))
DOWN_A_FIFTH = {A: [-0.2, 0.1], B: [0.0, 0.0]}


def holding(moves: dict[Any, list[float]] | None, limits: TradingLimits = LIMITS, **units: int) -> TradingCore:
    """A core on 10,000 that holds so many units of A and B, bought or sold at 10."""
    core = make(lambda call: Decision(), limits=limits)
    if moves is not None:
        core.parts.market.daily_returns = lambda names: np.array(  # type: ignore[attr-defined]
            [np.tile(moves[name], 60) for name in names]
        )
    core.begin(0, Decimal(10_000))
    for k, (name, count) in enumerate(zip((A, B), (units.get("a", 0), units.get("b", 0)), strict=True)):
        if count:
            one = order(name, S + k, Side.BUY if count > 0 else Side.SELL, quantity=abs(count))
            core.intend(S + k, [one])
            filled(core, one, S + k)
    bar(core, 3 * S, 0, a=10.0, b=10.0)
    return core


def sent(core: TradingCore, at: int) -> list[tuple[Any, Side, int]]:
    orders: list[Order] = [one.order for one in decide(core, at) if isinstance(one, Send)]
    return [(one.instrument, one.side, int(one.quantity)) for one in orders]


def test_a_value_at_risk_above_its_limit_takes_the_same_share_off_every_position() -> None:
    core = holding(DOWN_A_FIFTH, a=900, b=60)  # one day in twenty loses 18 % of equity, 15 % are allowed
    assert sent(core, 4 * S) == [(A, Side.SELL, 150), (B, Side.SELL, 10)]
    (entry,) = kinds(core, Reviewed)
    assert entry.strategy == "risk"
    assert {row.rulings[0].rule for row in entry.orders} == {"RISK-14 value at risk"}
    assert "18.0% of equity, 15% are allowed" in entry.orders[0].rulings[0].text
    assert sent(core, 5 * S) == []  # what is leaving counts as gone


@pytest.mark.parametrize(
    ("moves", "limits", "units"),
    [
        (DOWN_A_FIFTH, LIMITS, 700),
        (None, LIMITS, 900),
        (DOWN_A_FIFTH, replace(LIMITS, book=replace(LIMITS.book, value_at_risk=None)), 900),
    ],
    ids=["within", "no history", "no limit"],
)
def test_what_is_within_the_limit_or_cannot_be_measured_stays(moves: Any, limits: TradingLimits, units: int) -> None:
    assert sent(holding(moves, limits, a=units), 4 * S) == []


def test_the_riskiest_position_is_closed_where_margin_runs_out_and_no_more_than_that() -> None:
    moves = {A: [-0.001, 0.001], B: [-0.01, 0.01]}
    core = holding(moves, a=-600, b=-300)
    assert sent(core, 4 * S) == []
    bar(core, 5 * S, 1, a=20.0, b=15.0)  # 2,500 of equity behind a margin of 8,250; without B behind 6,000
    assert sent(core, 6 * S) == [(B, Side.BUY, 300), (A, Side.BUY, 600)]
    core = holding(moves, a=-300, b=-500)
    bar(core, 5 * S, 1, a=11.0, b=26.0)  # 1,700 behind 8,150; without B behind 1,650
    assert sent(core, 6 * S) == [(B, Side.BUY, 500)]
    assert kinds(core, Reviewed)[0].orders[0].rulings[0].rule == "RISK-21 margin"
    assert sent(core, 7 * S) == []


def test_a_position_without_a_history_is_not_spared() -> None:
    core = holding({A: [-0.01, 0.01], B: [float("nan"), float("nan")]}, a=-300, b=-500)
    bar(core, 5 * S, 1, a=11.0, b=26.0)  # as above; nobody knows how volatile B is, so its value decides
    assert sent(core, 6 * S) == [(B, Side.BUY, 500)]


def test_a_large_book_of_small_positions_is_not_passed_over() -> None:
    core = holding(None, a=70, b=70)
    assert is_calm(core)
    core = holding(None, a=100, b=100)
    assert not is_calm(core)
