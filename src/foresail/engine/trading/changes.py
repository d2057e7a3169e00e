"""Changes of open orders, as a decision asks for them: reviewed, journalled, then sent under a revision of their own.

A change that makes an order larger is reviewed by the gate for the units that it adds, one that only moves a price for
one lot at the new price; one that makes it smaller always passes. The larger of old and new stays reserved until the
venue has spoken.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import TYPE_CHECKING

from foresail.core.ids import InstrumentId, OrderId
from foresail.domain.effects import CancelSend, ReplaceSend
from foresail.domain.instruments import Instrument
from foresail.domain.orders import Order
from foresail.engine.trading.parts import DeskCall, ReviewedOrder
from foresail.engine.trading.reviewing import review_or_halt
from foresail.ledger.entries import CancelIntended, ReplaceIntended, SliceStopped
from foresail.ledger.orders import OrderBook, OrderState, OrderStatus

__all__ = ["ReviewedChanges", "next_changes", "review_changes", "send_changes", "take_back_orders"]

if TYPE_CHECKING:
    from foresail.engine.trading.core import CoreEffect, TradingCore

_Review = Callable[[Sequence[Order]], Sequence[ReviewedOrder]]


@dataclass(frozen=True, slots=True)
class ReviewedChanges:
    """What the gate said of the changes of one decision.

    Attributes
    ----------
    passed : the changes that may leave, each with its revision
    reviewed : what each of those asked adds, as an order, and what the gate let pass of it
    effects : what a rule that failed brought about
    """

    passed: tuple[ReplaceSend, ...] = ()
    reviewed: tuple[ReviewedOrder, ...] = ()
    effects: tuple[CoreEffect, ...] = ()


def review_changes(core: TradingCore, wanted: Sequence[ReplaceSend], call: DeskCall) -> ReviewedChanges:
    """Review changes, before the orders of the same decision: what a failed rule halts, opens nothing after it."""
    if not wanted:
        return ReviewedChanges()
    effects: list[CoreEffect] = []
    seen: list[ReviewedOrder] = []

    def asked(orders: Sequence[Order]) -> Sequence[ReviewedOrder]:
        reviewed, halting = review_or_halt(core, orders, call)
        effects.extend(halting)
        seen.extend(reviewed)
        return reviewed

    passed = next_changes(wanted, core.orders, core.parts.instruments, asked)
    return ReviewedChanges(passed, tuple(seen), tuple(effects))


def send_changes(core: TradingCore, at: int, passed: Sequence[ReplaceSend]) -> list[CoreEffect]:
    """Journal the changes that passed, and return them; what is being taken back since then stays as it is."""
    effects: list[CoreEffect] = []
    for one in passed:
        state = core.orders.get(one.order_id)
        if state is None or not _is_free(state):
            continue
        core.write(
            ReplaceIntended, at, order_id=one.order_id, quantity=one.quantity, limit_price=one.limit_price,
            trigger_price=one.trigger_price, revision=one.revision,
        )  # fmt: skip
        effects.append(one)
    return effects


def take_back_orders(core: TradingCore, at: int, names: Sequence[OrderId]) -> list[CoreEffect]:
    """Journal that single orders, or what is left of parents, are taken back."""
    if not names:
        return []
    effects: list[CoreEffect] = []
    parents = {state.parent.id for state in core.slices.open()}
    for name in names:
        state = core.orders.get(name)
        if name in parents:
            core.write(SliceStopped, at, order_id=name, text="taken back")
        elif state is not None and state.is_open and not state.is_cancelling:
            core.write(CancelIntended, at, order_id=name)
            effects.append(CancelSend(name, state.order.instrument))
    return effects


def next_changes(
    wanted: Sequence[ReplaceSend], orders: OrderBook, instruments: Mapping[InstrumentId, Instrument], review: _Review
) -> tuple[ReplaceSend, ...]:
    """Return the changes that may leave, each with its revision; what the gate does not let pass in full is left out.

    Only working orders are changed, and only when no other change or cancel of theirs is on its way.
    """
    out = []
    for change in wanted:
        state = orders.get(change.order_id)
        if state is None or not _is_free(state) or change.instrument != state.order.instrument:
            continue
        asked = _added(state, change, instruments[change.instrument].lot)
        if asked is not None:
            (reviewed,) = review([asked])
            if reviewed.allowed < asked.quantity:
                continue
        out.append(replace(change, revision=state.asked + 1))
    return tuple(out)


def _is_free(state: OrderState) -> bool:
    return state.status is OrderStatus.WORKING and not state.is_cancelling and state.replacing is None


def _added(state: OrderState, change: ReplaceSend, lot: Decimal) -> Order | None:
    """Return what a change adds, as an order to be reviewed; None where it only makes the order smaller."""
    order = state.order
    limit = order.limit_price if change.limit_price is None else change.limit_price
    trigger = order.trigger_price if change.trigger_price is None else change.trigger_price
    more = change.quantity - order.quantity
    if more <= 0 and (limit, trigger) == (order.limit_price, order.trigger_price):
        return None
    return replace(order, quantity=more if more > 0 else lot, limit_price=limit, trigger_price=trigger)
