"""The way of orders through the gate and the latches of a core; it journals nothing."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import TYPE_CHECKING

from foresail.domain.orders import Order
from foresail.engine.trading.parts import DeskCall, ReviewedOrder
from foresail.engine.trading.risk_view import CoreRiskView, in_account_currency

if TYPE_CHECKING:
    from foresail.engine.trading.core import TradingCore

__all__ = ["review"]


def review(core: TradingCore, orders: Sequence[Order], call: DeskCall) -> tuple[ReviewedOrder, ...]:
    """Let the gate cut or refuse; limits are compared in the account's currency, levels of orders included."""
    if not orders:
        return ()
    records, prices, asked = core.parts.instruments, dict(call.prices), list(orders)
    if call.rates:
        factor = {name: call.rates.get(records[name].currency, Decimal(1)) for name in prices}
        prices = {name: price * float(factor[name]) for name, price in prices.items()}
        asked = [in_account_currency(one, factor.get(one.instrument, Decimal(1))) for one in orders]
    market = core.parts.market
    view = CoreRiskView(
        call.account,
        call.at,
        prices,
        records,
        core.orders,
        market,
        state=core.risk,
        facts_known=core.notes.facts,
        rates=call.rates,
    )
    reviewed = core.parts.gate.review(asked, view)
    out = []
    for order, (passed, rulings) in zip(orders, reviewed, strict=True):
        stopped = core.latches.ruling(order, core.books.quantity(order.instrument))
        if stopped is not None and stopped.quantity < passed.quantity:
            out.append(ReviewedOrder(order, stopped.quantity, (*rulings, stopped)))
        else:
            out.append(ReviewedOrder(order, passed.quantity, rulings))
    return tuple(out)
