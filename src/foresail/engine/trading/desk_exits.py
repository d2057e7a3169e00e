"""Stops for what would be held without one (EXIT-01 to 04): hung on targets and on orders before they leave.

Weights and orders of a strategy need not name a stop. Where a profile's limits hold, the stop of the price tier, else
of the class, is put in: measured from the average price of what is held, from the newest price of what is bought. A
stop of the strategy's own is cut to the widest that tier or class allow (for stocks two average true ranges where those
are wider), unless the strategy may exceed it. What moves them later is in
``level_keeping``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal

from foresail.core.ids import InstrumentId, OrderId
from foresail.core.numbers import round_tick
from foresail.domain.instruments import AssetClass, Instrument, PriceBasis
from foresail.domain.orders import Order, OrderKind
from foresail.domain.signals import Side, TargetWeights
from foresail.domain.tiers import tier_of
from foresail.engine.trading.parts import DeskCall
from foresail.portfolio.exits import ExitInputs, ExitPlan, choose_exit, exit_group
from foresail.portfolio.sizing import pip_size
from foresail.risk.exposure import asset_class_of

__all__ = ["DeskExits", "entry_price", "is_laddered"]

_FEW_PIPS = 600  # a price of fewer pips: the widest stop of 60 would be a tenth of it
_STOPS = frozenset({OrderKind.STOP, OrderKind.STOP_LIMIT})
_PROTECTING = _STOPS | {OrderKind.TRAILING}


@dataclass(frozen=True, slots=True, eq=False)
class DeskExits:
    """Puts stops in.

    Attributes
    ----------
    basis : price tiers exist on raw prices only
    has_targets : whether a target of twice the distance is put in besides
    may_exceed : whether a stop of the strategy's own may lie beyond the maximum (EXIT-02)
    has_ladders : whether every purchase of crypto without a target of its own gets a ladder (EXIT-06)
    ranges : (instrument, position) -> average true range up to there, price, NaN where it is not known; None = never
    """

    instruments: Mapping[InstrumentId, Instrument]
    basis: PriceBasis
    has_targets: bool = False
    may_exceed: bool = False
    has_ladders: bool = False
    ranges: Callable[[InstrumentId, int], float] | None = None

    def targets(self, wanted: TargetWeights, call: DeskCall) -> TargetWeights:
        """Return target weights in which whatever is to be held has a stop."""
        entries = {one.instrument: (one.quantity, one.average_price) for one in call.account.positions}
        stops, targets = list(wanted.stops), list(wanted.targets)
        for i, (name, weight) in enumerate(zip(wanted.instruments, wanted.weights, strict=True)):
            held, paid = entries.get(name, (Decimal(0), Decimal(0)))
            price = call.prices.get(name, math.nan)
            entry = float(paid) if float(held) * weight > 0.0 else price
            if weight == 0.0 or not (math.isfinite(weight) and math.isfinite(entry) and entry > 0.0):
                continue
            plan = self._plan(name, Side.BUY if weight > 0.0 else Side.SELL, _exact(entry), call, stops[i])
            if plan is None:
                continue
            if self.has_ladders and weight > 0.0 and self.instruments[name].asset_class is AssetClass.CRYPTO:
                targets[i] = math.nan  # the rungs are its targets
            elif self.has_targets and math.isnan(stops[i]) and math.isnan(targets[i]):
                targets[i] = float(plan.targets[0].price)
            stops[i] = float(plan.stop)
        return replace(wanted, stops=tuple(stops), targets=tuple(targets))

    def orders(self, wanted: Iterable[Order], call: DeskCall, laddered: Collection[OrderId] = ()) -> list[Order]:
        """Return orders of which each that opens something has a stop.

        Parameters
        ----------
        laddered : those that get a ladder, and no target besides
        """
        orders = list(wanted)
        held = {one.instrument: one.quantity for one in call.account.positions}
        guarded = {one.parent for one in orders if one.parent and one.reduce_only and one.kind in _PROTECTING}
        entries = {one.id: one for one in orders if one.id in guarded}
        return [
            self._guard(one, entries[one.parent], call)
            if one.parent in entries and one.reduce_only
            else self._order(one, held.get(one.instrument, Decimal(0)), call, (guarded, laddered))
            for one in orders
        ]

    def _order(self, order: Order, held: Decimal, call: DeskCall, known: tuple[Collection[OrderId], ...]) -> Order:
        signed = order.quantity if order.side is Side.BUY else -order.quantity
        guarded, laddered = known
        reduces = order.reduce_only or (held * signed < 0 and abs(signed) <= abs(held))
        is_stop = order.kind is OrderKind.STOP and order.trigger_price is None
        own = math.nan if order.stop_price is None or is_stop else float(order.stop_price)
        if reduces or (order.id in guarded and math.isnan(own)):
            return order
        entry = entry_price(order, call)
        plan = None if entry is None else self._plan(order.instrument, order.side, entry, call, own)
        if plan is None:
            return order
        if is_stop:
            order = replace(order, trigger_price=order.stop_price)
        tick = self.instruments[order.instrument].tick
        is_rung = order.id in laddered or (self.has_ladders and is_laddered(order))
        if self.has_targets and math.isnan(own) and order.target_price is None and not is_rung:
            order = replace(order, target_price=max(tick, round_tick(plan.targets[0].price, tick)))
        return replace(order, stop_price=max(tick, round_tick(plan.stop, tick)))

    def _guard(self, child: Order, parent: Order, call: DeskCall) -> Order:
        """Return a stop that guards an entry of the same decision, no wider than an own stop may be."""
        level = child.trigger_price
        if level is None and child.kind is OrderKind.STOP:
            level = child.stop_price
        entry = entry_price(parent, call)
        if child.kind not in _STOPS or level is None or entry is None:
            return child
        plan = self._plan(child.instrument, parent.side, entry, call, float(level))
        if plan is None or plan.stop == level:
            return child
        tick = self.instruments[child.instrument].tick
        return replace(child, trigger_price=max(tick, round_tick(plan.stop, tick)))

    def _plan(self, name: InstrumentId, side: Side, entry: Decimal, call: DeskCall, own: float) -> ExitPlan | None:
        """Return where to leave; None where the stop would lie within a tick of the entry, or a level is no price."""
        one = self.instruments[name]
        sign = 1 if side is Side.BUY else -1
        stop = None if math.isnan(own) else _exact(own)
        if stop is not None and sign * (entry - stop) <= 0:
            return None  # a stop that protects a gain stays where it is
        plan = choose_exit(self._inputs(one, side, entry, call, stop))
        return plan if sign * (entry - plan.stop) >= one.tick else None

    def _inputs(self, one: Instrument, side: Side, entry: Decimal, call: DeskCall, own: Decimal | None) -> ExitInputs:
        """Return what the choice of a stop knows."""
        tier = atr = None
        if one.asset_class is AssetClass.STOCK:
            if self.basis is PriceBasis.RAW:
                tier = tier_of(float(entry), basis=self.basis)
            found = math.nan if self.ranges is None else self.ranges(one.id, call.position)
            atr = _exact(found) if own is not None and found > 0.0 else None
        pip, group = pip_size(one.currency), exit_group(one)
        if one.asset_class is AssetClass.FOREX and pip * _FEW_PIPS >= entry:
            group = "stock"  # a pip is no small step of such a price: a fraction of it is
        tier_stop = None if tier is None else _exact(tier.stop)
        return ExitInputs(
            entry, side, group, pip=pip, signal_stop=own, tier_stop=tier_stop, atr=atr, may_exceed=self.may_exceed
        )


def is_laddered(order: Order) -> bool:
    """Return whether an order may have a ladder: a purchase of crypto that opens something and has no target."""
    opens = order.side is Side.BUY and not order.reduce_only and order.parent is None
    return opens and order.target_price is None and asset_class_of(order.instrument) is AssetClass.CRYPTO


def entry_price(order: Order, call: DeskCall) -> Decimal | None:
    """Return the price at which an order is to open something, None where none is known."""
    is_stop = order.kind is OrderKind.STOP and order.trigger_price is None
    entry = order.stop_price if is_stop else order.limit_price
    if entry is None:
        entry = order.trigger_price
    if entry is None:
        price = call.prices.get(order.instrument, math.nan)
        entry = _exact(price) if math.isfinite(price) and price > 0.0 else None
    return entry


def _exact(value: float) -> Decimal:
    return Decimal(repr(float(value)))
