"""The orders that close what is held against anybody's wish: a person's, a breaker's, a reduction's, an expiry's.

Only market exits count as leaving. A resting stop, target or trailing exit may never fill, and what is being taken back
will not: whoever waited for those would hold the position on. Where all of a position goes, its resting exits are taken
back as well; where a part goes, those that never open anything stay, because a venue never lets them open.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING

from foresail.core.ids import InstrumentId, OrderId, order_id
from foresail.domain.orders import FillReason, Order, OrderKind
from foresail.domain.signals import Side
from foresail.engine.trading.changes import take_back_orders
from foresail.engine.trading.latches import reduces
from foresail.engine.trading.leaving import is_leaving, leaving_units, sleeps
from foresail.engine.trading.parts import DeskCall
from foresail.risk.breakers import exit_quantity

if TYPE_CHECKING:
    from foresail.engine.trading.core import CoreEffect, TradingCore

__all__ = ["close_orders", "closing_pending", "send_closing", "take_back_asked", "take_back_waiting"]

_CLOSERS = frozenset(
    {"operator", "breaker", "reduction", "weekend", "stop", "expiry", "margin", "value-at-risk", "news"}
)


def close_orders(
    core: TradingCore,
    at: int,
    why: str,
    fraction: float = 1.0,
    *,
    only: InstrumentId | None = None,
    reason: FillReason = FillReason.EXIT,
) -> list[Order]:
    """Return market orders that close a fraction of every position, never more than is held less what is leaving.

    Parameters
    ----------
    why : who closes, one of ``_CLOSERS``; part of the ids
    only : the one position that is meant; None = all
    """
    orders = []
    parts = core.parts
    for position in core.books.positions():
        name, quantity = position.instrument, position.quantity
        if only is not None and name != only:
            continue
        identity = order_id(
            environment=parts.environment, account=parts.account, strategy=why, version="1",
            decided_at_ns=at, leg=f"{name}:close",
        )  # fmt: skip
        side = Side.SELL if quantity > 0 else Side.BUY
        units = exit_quantity(quantity, leaving_units(core, name), fraction, parts.instruments[name].lot)
        if identity in core.orders or units <= 0:
            continue  # the same command told again, or all of it is leaving already
        order = Order(identity, name, side, units, OrderKind.MARKET, at, reason, strategy=why)
        orders.append(replace(order, reduce_only=True))
    return orders


def send_closing(core: TradingCore, at: int, orders: Sequence[Order]) -> list[CoreEffect]:
    """Journal orders of ``close_orders`` and return them, after the cancels of the exits that they replace."""
    effects: list[CoreEffect] = []
    for order in orders:
        effects += take_back_orders(core, at, _replaced(core, order))
    return [*effects, *core.intend(at, orders)]


def take_back_waiting(core: TradingCore, at: int) -> list[CoreEffect]:
    """Journal that every open order is taken back, but for the market exits that are on their way."""
    names = [one.parent.id for one in core.slices.open()]
    return take_back_orders(core, at, [*names, *(s.order.id for s in core.orders.open() if not is_leaving(core, s))])


def take_back_asked(core: TradingCore, at: int, instruments: Sequence[InstrumentId]) -> list[CoreEffect]:
    """Journal that what is open in some instruments is taken back because a strategy asked for it.

    The exits by which a person, a breaker or a rule closes against its wish stay.
    """
    effects: list[CoreEffect] = []
    for name in instruments:
        parents = [one.parent.id for one in core.slices.open(name)]
        own = [one.order.id for one in core.orders.open(name) if not _is_closer(one.order)]
        effects += take_back_orders(core, at, [*parents, *own])
    return effects


def closing_pending(call: DeskCall, instruments: Collection[InstrumentId]) -> dict[InstrumentId, Decimal]:
    """Return signed units on order that stay on order where a strategy takes back what is open in some instruments."""
    found: dict[InstrumentId, Decimal] = {}
    for one in () if call.orders is None or not instruments else call.orders.open():
        order = one.order
        if order.instrument in instruments and _is_closer(order):
            signed = one.left if order.side is Side.BUY else -one.left
            found[order.instrument] = found.get(order.instrument, Decimal(0)) + signed
    return found


def _is_closer(order: Order) -> bool:
    return order.reduce_only and order.strategy in _CLOSERS


def _replaced(core: TradingCore, order: Order) -> list[OrderId]:
    """Return the resting exits that may not stay beside an order that closes a position, or a part of one.

    Exits that may open something go as well where what is left is less than they would trade. What guards an entry
    that still waits stays with it.
    """
    name = order.instrument
    held = core.books.quantity(name)
    kept = abs(held) - leaving_units(core, name) - order.quantity
    slices = [one.parent for one in core.slices.open(name) if reduces(one.parent, held)]
    resting = [
        one
        for one in core.orders.open(name)
        if reduces(one.order, held) and not (one.is_cancelling or is_leaving(core, one) or sleeps(core, one))
    ]
    if kept <= 0:
        return [*(one.id for one in slices), *(one.order.id for one in resting)]
    plain = [one for one in resting if not one.order.reduce_only]
    return [one.order.id for one in plain] if sum((one.reserved for one in plain), Decimal(0)) > kept else []
