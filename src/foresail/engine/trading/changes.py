"""Changes of open orders, as a decision asks for them: reviewed, journalled, then sent under a revision of their own.

A change that makes an order larger is reviewed by the gate for the units that it adds, in one batch with the new orders
of the decision; one that only moves a price for one lot at the new price; one that makes it smaller always passes. The
larger of old and new stays reserved until the venue has spoken.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
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

__all__ = ["ReviewedChanges", "review_together", "send_changes", "take_back_orders"]

if TYPE_CHECKING:
    from foresail.engine.trading.core import CoreEffect, TradingCore


@dataclass(frozen=True, slots=True)
class ReviewedChanges:
    """What the gate said of the changes of one decision.

    Attributes
    ----------
    passed : the changes that may leave, each with its revision
    reviewed : what each of those asked adds, as an order, and what the gate let pass of it
    effects : what a rule that failed brought about, on a change or on an order of the same batch
    """

    passed: tuple[ReplaceSend, ...] = ()
    reviewed: tuple[ReviewedOrder, ...] = ()
    effects: tuple[CoreEffect, ...] = ()


def review_together(
    core: TradingCore, wanted: Sequence[ReplaceSend], orders: Sequence[Order], call: DeskCall
) -> tuple[ReviewedChanges, tuple[ReviewedOrder, ...]]:
    """Review the changes and the new orders of one decision.

    What changes add and what the orders are make one batch, changes first: a raised order and a new one never pass a
    cap together that neither may pass. A change that moves prices alone opens nothing more than is reserved already; it
    is reviewed by itself, before them: what a rule that fails halts, opens nothing after it.
    """
    effects: list[CoreEffect] = []
    passed: list[ReplaceSend] = []
    seen: list[ReviewedOrder] = []
    raised: list[tuple[ReplaceSend, Order]] = []
    for change, asked in _asked_changes(wanted, core.orders, core.parts.instruments):
        state = core.orders.get(change.order_id)
        if asked is None:
            passed.append(change)
        elif state is not None and change.quantity > state.order.quantity:
            raised.append((change, asked))
        else:
            reviewed, halting = review_or_halt(core, [asked], call)
            effects += halting
            seen += reviewed
            passed += [change] if reviewed[0].allowed >= asked.quantity else []
    while True:
        together, halting = review_or_halt(core, [*(asked for _change, asked in raised), *orders], call)
        effects += halting
        cut = next((i for i, (_one, asked) in enumerate(raised) if together[i].allowed < asked.quantity), None)
        if cut is None:
            break
        seen.append(together[cut])
        del raised[cut]  # a change is made whole or not at all, and what is left out takes no room
    seen += together[: len(raised)]
    passed += [change for change, _asked in raised]
    place = {change.order_id: i for i, change in enumerate(wanted)}
    seen.sort(key=lambda one: place[one.order.id])
    passed.sort(key=lambda change: place[change.order_id])
    return ReviewedChanges(tuple(passed), tuple(seen), tuple(effects)), together[len(raised) :]


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


def _asked_changes(
    wanted: Sequence[ReplaceSend], orders: OrderBook, instruments: Mapping[InstrumentId, Instrument]
) -> Iterator[tuple[ReplaceSend, Order | None]]:
    """Yield each change that may be asked for, with its revision, and what it adds as an order (None = nothing).

    Only working orders are changed, and only when no other change or cancel of theirs is on its way.
    """
    for change in wanted:
        state = orders.get(change.order_id)
        if state is not None and _is_free(state) and change.instrument == state.order.instrument:
            added = _added(state, change, instruments[change.instrument].lot)
            yield replace(change, revision=state.asked + 1), added


def _is_free(state: OrderState) -> bool:
    return state.status is OrderStatus.WORKING and not state.is_cancelling and state.replacing is None


def _added(state: OrderState, change: ReplaceSend, lot: Decimal) -> Order | None:
    """Return what a change adds, as an order to be reviewed; None where it only makes the order smaller."""
    order = state.order
    limit = order.limit_price if change.limit_price is None else change.limit_price
    trigger = order.trigger if change.trigger_price is None else change.trigger_price
    more = change.quantity - order.quantity
    if more <= 0 and (limit, trigger) == (order.limit_price, order.trigger):
        return None
    moved = order if trigger is None else order.with_trigger(trigger)
    return replace(moved, quantity=more if more > 0 else lot, limit_price=limit)
