"""What a core does to protect the account: breakers that are due, and reductions of size that a condition asks for.

Everything is journalled before anything leaves. A breaker closes a part of every position (RISK-19, 24, 25). A
condition makes the positions that it is about smaller once, when it begins (SIZE-10, RISK-11), and keeps targets
smaller until it ends.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from decimal import Decimal
from typing import TYPE_CHECKING

from foresail.core.ids import InstrumentId
from foresail.domain.alerts import Alert, Severity
from foresail.domain.orders import Order
from foresail.engine.trading.alerting import tell
from foresail.engine.trading.closing import close_orders, send_closing
from foresail.engine.trading.deleveraging import reduce_risk
from foresail.engine.trading.parts import DeskCall
from foresail.engine.trading.reductions import PAIR, conditions_now
from foresail.engine.trading.strategy_breakers import halt_strategies
from foresail.engine.trading.watching import watch_book
from foresail.ledger.entries import BreakerTripped, ReductionBegun, ReductionEnded
from foresail.risk.alerts import cost_share_alert, profile_alert, unsaid
from foresail.risk.breakers import due

if TYPE_CHECKING:
    from foresail.engine.trading.core import CoreEffect, TradingCore

__all__ = ["propose_profile", "protect", "reduce_sizes", "warn_of_cost"]

_SMALL = "small-account"


def protect(core: TradingCore, at: int) -> list[CoreEffect]:
    """Journal the breakers that are due (RISK-24 to 30), take entries back, close the part that they ask for."""
    limits, own = core.parts.limits, halt_strategies(core, at)
    if core.risk is None or limits is None:
        return own
    action = due(core.risk, limits, at)
    if not (action.trips or action.conditions):
        return own
    for trip in action.trips:
        core.write(BreakerTripped, at, rule=trip.rule, until=trip.until, text=trip.text)
    effects = [*own, *tell(core, at, (*action.alerts, *unsaid(action.conditions, core.risk, at)))]
    if action.cancels_entries:
        effects += core.take_back(at, None, entries_only=True)
    if action.close_fraction > 0:
        effects += send_closing(core, at, close_orders(core, at, "breaker", action.close_fraction))
    return effects


def propose_profile(core: TradingCore, at: int, capital: Decimal) -> None:
    """Journal the proposal of another profile where an account is too small for its own (RISK-01, SMALL-01)."""
    if core.parts.limits is not None:
        tell(core, at, profile_alert(core.parts.limits, capital))


def warn_of_cost(core: TradingCore, orders: Sequence[Order], call: DeskCall) -> list[CoreEffect]:
    """Tell a small account where a round trip costs too large a share of what an order risks at its stop (SMALL-06)."""
    limits, cost_of = core.parts.limits, core.parts.round_trip
    if limits is None or cost_of is None or core.risk is None or limits.profile != _SMALL:
        return []
    alerts: list[Alert] = []
    for order in orders:
        price = call.prices.get(order.instrument, math.nan)
        if order.stop_price is not None and not order.reduce_only and price > 0.0:
            cost = cost_of(order.instrument, price, call.at) * price
            risk = abs(price - float(order.stop_price))
            alerts += cost_share_alert(order.instrument, cost=cost, risk=risk, limits=limits)
    return tell(core, call.at, unsaid(alerts, core.risk, call.at))


def reduce_sizes(core: TradingCore, at: int) -> list[CoreEffect]:
    """Journal the conditions on size that begin or end (SIZE-10, RISK-11); make smaller what is held where one begins.

    Several that begin at once multiply; all pairs of RISK-11 together cut a name once. Alerts that are due are told as
    well (ALERT-02, 04).
    """
    limits = core.parts.limits
    if limits is None:
        return []
    found, active = conditions_now(core, limits), core.reductions.active
    for rule in sorted(rule for rule in active if rule not in found):
        core.write(ReductionEnded, at, rule=rule)
    left: dict[InstrumentId, float] = {}
    effects: list[CoreEffect] = []
    for rule in sorted(rule for rule in found if rule not in active):
        factors, text = found[rule]
        for name, factor in factors:
            if not core.reductions.is_cut(rule, name):
                left[name] = left.get(name, 1.0) * factor
        core.write(ReductionBegun, at, rule=rule, factors=factors, text=text)
        if factors:
            effects += tell(core, at, [Alert(_alert_of(rule), Severity.WARNING, text)])
    for name, factor in sorted(left.items()):
        effects += send_closing(core, at, close_orders(core, at, "reduction", 1.0 - factor, only=name))
    return [*effects, *watch_book(core, at, limits), *reduce_risk(core, at, limits)]


def _alert_of(rule: str) -> str:
    """Return what is told when a condition begins: ALERT-05 of a pair that moves together, else the rule itself."""
    return f"ALERT-05{rule.removeprefix(PAIR)}" if rule.startswith(PAIR) else rule
