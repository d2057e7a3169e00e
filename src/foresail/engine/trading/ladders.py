"""Ladders (EXIT-06): a crypto purchase of which a third leaves at +10 %, a third at +20 %, and the rest trails.

Where a strategy or the settings ask for it, an entry gets its rungs as orders of their own: the gate reviews them with
it, they are shares of what it leaves of the entry, sleep until that fills, and only ever reduce. The stop that hangs on
the position guards all of it. The rungs count from the price at which the entry is expected. While a rung stands,
targets of weights and signals do not enlarge the position, so that what another has sold is not bought back, and no
other target hangs on it.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING

from foresail.core.ids import InstrumentId, OrderId
from foresail.domain.instruments import Instrument
from foresail.domain.orders import Order, Ruling
from foresail.domain.signals import Side, TargetWeights
from foresail.engine.trading.desk_exits import entry_price
from foresail.engine.trading.desk_sizes import not_enlarged
from foresail.engine.trading.parts import Decision, DeskCall, ReviewedOrder
from foresail.execution.brackets import BracketLegs, bracket_orders, leg_id
from foresail.portfolio.exits import ExitPlan, crypto_ladder

if TYPE_CHECKING:
    from foresail.engine.trading.core import TradingCore

__all__ = ["fitted", "held_targets", "pending_besides", "with_rungs"]

_RULE = "EXIT-06 ladder"
_LEGS = ("target 1", "target 2", "trail")


def _standing(call: DeskCall) -> dict[InstrumentId, Decimal]:
    """Return the units that standing rungs may still sell, by instrument."""
    found: dict[InstrumentId, Decimal] = {}
    for one in () if call.orders is None else call.orders.open():
        order = one.order
        if order.reduce_only and order.parent is not None and _is_rung(order, order.parent):
            found[order.instrument] = found.get(order.instrument, Decimal(0)) + one.left
    return found


def pending_besides(call: DeskCall) -> Mapping[InstrumentId, Decimal]:
    """Return signed units on order without rungs: those wait for prices of their own, not for what is wanted now."""
    rungs = _standing(call)
    if not rungs:
        return call.pending
    return {name: units + rungs.get(name, Decimal(0)) for name, units in call.pending.items()}


def _is_rung(order: Order, entry: OrderId) -> bool:
    return any(order.id == leg_id(entry, order.decided_at, leg) for leg in _LEGS)


def held_targets(
    targets: TargetWeights, call: DeskCall, instruments: Mapping[InstrumentId, Instrument]
) -> TargetWeights:
    """Return targets that enlarge no position on which a ladder stands, and hang no target on it."""
    held = {one.instrument for one in call.account.positions}
    names = held & _standing(call).keys()
    if not names:
        return targets
    levels = tuple(
        math.nan if name in names else level for name, level in zip(targets.instruments, targets.targets, strict=True)
    )
    why = dict.fromkeys(names, "EXIT-06: a ladder stands: the position is not enlarged")
    return not_enlarged(replace(targets, targets=levels), why, call, instruments)


def with_rungs(core: TradingCore, call: DeskCall, decision: Decision) -> tuple[Order, ...]:
    """Return the orders of a decision, and the rungs of those that are to have a ladder."""
    if not decision.ladders:
        return decision.orders
    return (*decision.orders, *_rungs(core, call, decision.orders, decision.ladders))


def fitted(
    core: TradingCore, call: DeskCall, reviewed: tuple[ReviewedOrder, ...], ladders: Collection[OrderId]
) -> tuple[ReviewedOrder, ...]:
    """Return reviewed orders with rungs that are shares of what the gate has left of their entry."""
    if not ladders:
        return reviewed
    passed = [one.passed for one in reviewed if one.allowed > 0]
    shares = {one.id: one.quantity for one in _rungs(core, call, passed, ladders)}
    return tuple(_share(one, shares) if one.order.parent in ladders else one for one in reviewed)


def _share(one: ReviewedOrder, shares: Mapping[OrderId, Decimal]) -> ReviewedOrder:
    most = shares.get(one.order.id, Decimal(0))
    if one.allowed <= most:
        return one
    return ReviewedOrder(one.order, most, (*one.rulings, Ruling(_RULE, most, "a share of what is left of the entry")))


def _rungs(core: TradingCore, call: DeskCall, entries: Sequence[Order], wanted: Collection[OrderId]) -> list[Order]:
    """Return the rungs of entries.

    Where too few bars tell an average true range, the rest keeps its stop. What leaves in slices has no ladder: later
    slices would meet the rungs of earlier ones in the market (COMP-06).
    """
    out: list[Order] = []
    for one in entries:
        entry = entry_price(one, call) if one.id in wanted else None
        slicer = core.parts.slicer
        if entry is None or (slicer is not None and slicer.started(one, call.at) is not None):
            continue
        width = math.nan if core.parts.ranges is None else core.parts.ranges(one.instrument, call.position)
        atr = Decimal(repr(float(width))) if width > 0.0 else None
        plan = crypto_ladder(ExitPlan(Side.BUY, entry if one.stop_price is None else one.stop_price), entry, atr)
        legs = BracketLegs(None, tuple((rung.price, rung.share) for rung in plan.targets), plan.trail)
        out += bracket_orders(one, legs, core.parts.instruments[one.instrument])
    return out
