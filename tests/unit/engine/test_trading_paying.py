"""Money that leaves an account (RISK-19): never what short sales brought, nor what stands as margin; else an alert."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from tests.unit.engine.test_trading_deleveraging import LIMITS, holding
from tests.unit.engine.trading_tens import A, B, S, bar, filled, kinds, order

from foresail.domain.effects import Notify
from foresail.domain.events import Operator, Rank
from foresail.domain.signals import Side
from foresail.engine.trading.core import TradingCore
from foresail.engine.trading.paying import REFUSED_DEPOSIT, REFUSED_WITHDRAWAL, withdrawable
from foresail.ledger.entries import AlertRaised, Deposited


def asked(core: TradingCore, command: str) -> Any:
    return core.step(Operator(9 * S, 9 * S, Rank.DECISION, source="ada", command=command))


def test_short_sale_proceeds_and_margin_do_not_leave() -> None:
    core = holding(None, a=-600)  # 16,000 in cash, 10,000 of equity, 3,000 of margin
    assert (core.books.cash, core.books.equity()) == (16_000, 10_000)
    assert withdrawable(core) == 7_000
    (effect,) = asked(core, "withdraw 7000.01 USD")
    assert isinstance(effect, Notify)
    assert len(kinds(core, Deposited)) == 1
    (alert,) = [one for one in kinds(core, AlertRaised) if one.kind == REFUSED_WITHDRAWAL]
    assert alert.severity == "WARNING"
    assert "at most 7000 may" in alert.text
    assert asked(core, "withdraw 7000 USD") == ()
    assert (core.books.equity(), withdrawable(core)) == (3_000, 0)


def test_cash_is_the_most_where_everything_is_paid_for() -> None:
    core = holding(None, a=600)
    assert (core.books.cash, withdrawable(core)) == (4_000, 4_000)
    bar(core, 5 * S, 1, a=2.0, b=10.0)
    assert withdrawable(core) == 4_000


@pytest.mark.parametrize("units", [-300, 300])
def test_what_has_no_price_or_was_lost_leaves_nothing(units: int) -> None:
    core = holding(None, a=units, b=-10)
    del core.parts.market.prices[B]  # type: ignore[attr-defined]
    assert withdrawable(core) == 0
    core = holding(None, a=-900)
    bar(core, 5 * S, 1, a=30.0, b=10.0)  # owes 27,000 and has 19,000
    assert withdrawable(core) == 0


def test_without_limits_equity_is_the_most_and_another_currency_has_none() -> None:
    core = holding(None, None, a=-600)  # type: ignore[arg-type]
    assert (withdrawable(core), withdrawable(core, "EUR")) == (10_000, 0)
    assert isinstance(asked(core, "withdraw 1 EUR")[0], Notify)
    assert LIMITS.book.margin_rate[0] == 0.5
    assert core.books.quantity(A) == Decimal(-600)


@pytest.mark.parametrize(("price", "equity"), [(9, 9_400), (11, 10_600)])
def test_money_of_another_currency_takes_no_profit_or_loss_since_the_mark_with_it(price: int, equity: int) -> None:
    core = holding(None, a=600)
    core.parts.market.rates = lambda prices=None: {"EUR": Decimal("1.1")}  # type: ignore[method-assign]
    sale = order(A, 4 * S, Side.SELL, 600)
    core.intend(4 * S, [sale])
    filled(core, sale, 4 * S, price=price)  # bought at 10; no mark tells of it yet
    asked(core, "deposit 500 EUR")
    assert core.risk is not None
    assert (core.risk.memory.peak, core.risk.memory.day_equity, core.risk.drawdown) == (10_550, 10_550, 0.0)
    bar(core, 10 * S, 1)
    assert core.risk.memory.equity == equity + 550
    assert core.risk.drawdown == pytest.approx(600 / 10_550 if price < 10 else 0.0)


def test_money_of_a_currency_without_a_rate_is_refused_and_told() -> None:
    """What was journalled could not be folded: no later start would open the account."""
    core = holding(None, a=600)
    before = core.books.equity()
    asked(core, "deposit 500 EUR")
    assert core.books.equity() == before
    (told,) = [one for one in kinds(core, AlertRaised) if one.kind == REFUSED_DEPOSIT]
    assert "no rate from EUR to USD" in told.text
