"""The way of orders through the gate and the latches of a core.

A rule that fails halts the account: what cannot be checked opens nothing until a person has looked (``rearm``).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING

from foresail.core.ids import InstrumentId, OrderId
from foresail.domain.alerts import Alert, Severity
from foresail.domain.orders import Order
from foresail.domain.signals import Signal
from foresail.engine.trading.alerting import tell
from foresail.engine.trading.leaving import leaving_units
from foresail.engine.trading.parts import DeskCall, ReviewedOrder
from foresail.engine.trading.risk_view import CoreRiskView, in_account_currency
from foresail.ledger.entries import OrderReview, Reviewed, SignalSeen, TradingHalted
from foresail.ledger.slices import slice_id
from foresail.risk.gate import FAULT_RULE, halt_reason

if TYPE_CHECKING:
    from foresail.engine.trading.core import CoreEffect, TradingCore

__all__ = ["record", "record_changes", "review", "review_or_halt"]


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
        sliced=_sliced(core, orders, call.at),
        levels=core.levels.standing,
    )
    reviewed = core.parts.gate.review(asked, view)
    return _latched(
        core,
        [
            ReviewedOrder(order, passed.quantity, rulings)
            for order, (passed, rulings) in zip(orders, reviewed, strict=True)
        ],
    )


def _sliced(core: TradingCore, orders: Sequence[Order], at: int) -> frozenset[OrderId]:
    """Return the orders that are to leave in slices; their children, which come here too, are not among them."""
    slicer = core.parts.slicer
    if slicer is None:
        return frozenset()
    children = {
        slice_id(one.parent, one.method, number) for one in core.slices.open() for number in range(len(one.slices))
    }
    return frozenset(one.id for one in orders if one.id not in children and slicer.started(one, at) is not None)


def review_or_halt(
    core: TradingCore, orders: Sequence[Order], call: DeskCall
) -> tuple[tuple[ReviewedOrder, ...], list[CoreEffect]]:
    """Review, and halt the account where a rule failed: orders that wait are taken back, nothing of this opens."""
    if not orders:
        return (), []
    reviewed = review(core, orders, call)
    why = halt_reason([ruling for one in reviewed for ruling in one.rulings])
    if not why or "" in core.latches.halted:
        return reviewed, []
    core.write(TradingHalted, call.at, scope="", rule=FAULT_RULE, text=why)
    effects = core.take_back(call.at, None, entries_only=True)
    text = f"nothing is opened until somebody rearms: {why}"
    effects += tell(core, call.at, [Alert(FAULT_RULE, Severity.CRITICAL, text)])
    return _latched(core, reviewed), effects


def record(
    core: TradingCore, at: int, strategy: str, reviewed: Sequence[ReviewedOrder], signals: Sequence[Signal] = ()
) -> None:
    """Journal what the gate said of each order, and the signals behind it (COMP-01).

    A backtest that is not audited leaves out the orders of which there is nothing to tell.
    """
    seen: dict[InstrumentId, tuple[SignalSeen, ...]] = {}
    for one in signals:
        confidence = one.confidence if math.isfinite(one.confidence) else None
        told = SignalSeen(one.strategy, one.rule, one.model, one.features_hash, confidence, one.expires_at)
        seen[one.instrument] = (*seen.get(one.instrument, ()), told)
    rows, whole = [], []
    for found in reviewed:
        order = found.order
        behind = seen.get(order.instrument, ())
        if found.rulings or behind:
            rows.append(OrderReview(order.id, order.instrument, order.quantity, found.allowed, found.rulings, behind))
        elif core.parts.is_audited:
            whole.append(order.id)
    if rows or whole:
        core.write(Reviewed, at, strategy=strategy, orders=tuple(rows), whole=tuple(whole))


def record_changes(core: TradingCore, at: int, strategy: str, reviewed: Sequence[ReviewedOrder]) -> None:
    """Journal what the gate said of the changes of open orders: under the order's id, in the units that each adds.

    A backtest that is not audited leaves out those of which there is nothing to tell.
    """
    rows = tuple(
        OrderReview(one.order.id, one.order.instrument, one.order.quantity, one.allowed, one.rulings)
        for one in reviewed
        if one.rulings or core.parts.is_audited
    )
    if rows:
        core.write(Reviewed, at, strategy=strategy, orders=rows)


def _latched(core: TradingCore, reviewed: Sequence[ReviewedOrder]) -> tuple[ReviewedOrder, ...]:
    """Return orders as far as what is halted lets them pass.

    What is on its way out is not there to be reduced once more: two exits of one position would turn it. An order that
    only reduces never does, and may rest beside others.
    """
    if not core.latches.halted:
        return tuple(reviewed)
    passed, taken = [], dict[InstrumentId, Decimal]()
    for one in reviewed:
        order, name = one.order, one.order.instrument
        held = core.books.quantity(name)
        if not order.reduce_only:
            left = max(Decimal(0), abs(held) - leaving_units(core, name) - taken.get(name, Decimal(0)))
            held = left if held > 0 else -left
        stopped = core.latches.ruling(order, held)
        if stopped is not None and stopped.quantity < one.allowed:
            one = replace(one, allowed=stopped.quantity, rulings=(*one.rulings, stopped))  # noqa: PLW2901
        if stopped is not None and not order.reduce_only:
            taken[name] = taken.get(name, Decimal(0)) + one.allowed
        passed.append(one)
    return tuple(passed)
