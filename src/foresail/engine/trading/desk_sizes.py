"""What conditions leave of the sizes that a strategy wants (SIZE-10, RISK-11): applied to targets, not to changes.

A gate that cuts orders cuts only the way to a target, and the next decision goes the rest of it. So the target itself
is made smaller, and what is held beyond it is sold.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal

from foresail.core.ids import InstrumentId
from foresail.core.numbers import round_quantity
from foresail.domain.instruments import AssetClass, Instrument
from foresail.domain.orders import Order
from foresail.domain.signals import Side, TargetWeights
from foresail.engine.trading.parts import DeskCall
from foresail.portfolio.multipliers import Conditions, condition_factor

__all__ = ["not_enlarged", "reduced_order", "reduced_targets"]

_ONE = Decimal(1)
_NO_LOT_LESS = 1.0 + 1e-9  # what is held, as a weight, must not lose a lot to rounding
_PAIR = "RISK-11: it moves together with another position: times"


def reduced_targets(
    targets: TargetWeights, call: DeskCall, instruments: Mapping[InstrumentId, Instrument]
) -> TargetWeights:
    """Return target weights with every condition applied; what acted is noted for every name that it changed."""
    if call.limits is None or not (call.facts or call.factors):
        return targets
    weights, notes = [], list(targets.notes)
    for name, weight in zip(targets.instruments, targets.weights, strict=True):
        factor, text = _factor(name, call, instruments)
        weights.append(weight * float(factor))
        if weights[-1] != weight:
            notes.append((name, text))
    return replace(targets, weights=tuple(weights), notes=tuple(sorted(notes)))


def not_enlarged(
    targets: TargetWeights,
    why: Mapping[InstrumentId, str],
    call: DeskCall,
    instruments: Mapping[InstrumentId, Instrument],
) -> TargetWeights:
    """Return target weights that make no position of some names larger, with the reason of each."""
    if not why:
        return targets
    held = {one.instrument: one.quantity for one in call.account.positions}
    weights, notes, equity = list(targets.weights), list(targets.notes), float(call.account.equity)
    for i, name in enumerate(targets.instruments):
        if name not in why or weights[i] == 0.0:
            continue
        one, units = instruments[name], float(held.get(name, Decimal(0)))
        worth = float(one.multiplier * call.rates.get(one.currency, _ONE))
        now = units * call.prices.get(name, math.nan) * worth / equity if units != 0.0 else 0.0
        if now * weights[i] <= 0.0 or abs(weights[i]) > abs(now):
            weights[i] = now * _NO_LOT_LESS if now * weights[i] > 0.0 else 0.0
            notes.append((name, why[name]))
    return replace(targets, weights=tuple(weights), notes=tuple(sorted(notes)))


def reduced_order(order: Order, call: DeskCall, instruments: Mapping[InstrumentId, Instrument]) -> tuple[Order, str]:
    """Return an order that a strategy asked for itself, smaller where it opens, and the reason; no units = nothing."""
    if call.limits is None or not (call.facts or call.factors):
        return order, ""
    held = next((p.quantity for p in call.account.positions if p.instrument == order.instrument), Decimal(0))
    if order.reduce_only or (held < 0 if order.side is Side.BUY else held > 0):
        return order, ""
    factor, text = _factor(order.instrument, call, instruments)
    if factor == _ONE:
        return order, ""
    return replace(order, quantity=round_quantity(order.quantity * factor, instruments[order.instrument].lot)), text


def _factor(name: InstrumentId, call: DeskCall, instruments: Mapping[InstrumentId, Instrument]) -> tuple[Decimal, str]:
    """Return the share of its size that a name keeps, and why."""
    facts, kind = call.facts, instruments[name].asset_class
    now = Conditions(
        beta=facts.get(f"beta:{name}", math.nan),
        vix=facts.get("vix", math.nan),
        bitcoin_volatility=facts.get("btc_volatility_30d", math.nan),
        is_asian_session=False if kind is AssetClass.FOREX else None,  # the gate halves leverage then
    )
    found = condition_factor(kind, now, call.limits.market) if call.limits is not None else None
    size, acted = (_ONE, []) if found is None else (found.size, list(found.acted))
    is_held = any(position.instrument == name for position in call.account.positions)
    if found is not None and not found.opens and not is_held:
        size = Decimal(0)
    pair = call.factors.get(name, 1.0)
    if pair != 1.0:
        size *= Decimal(repr(pair))
        acted.append(f"{_PAIR} {pair:g}")
    return size, "; ".join(acted)
